use std::collections::BTreeMap;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::{
    alerts::{
        NOT_SENT,
        policy::{Mute, Way},
    },
    manifest::{
        Kind,
        alerts::{Endpoint, Severity},
    },
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn receiver(name: &str) -> Receiver {
    let way = Way::Webhook(Endpoint::default());
    Receiver { name: name.to_owned(), severity: Severity::Warning, only: Vec::new(), way }
}

fn alertmanager(name: &str) -> Receiver {
    Receiver { way: Way::Alertmanager(Endpoint::default()), ..receiver(name) }
}

/// 30 s of delay, 10 s of group, an hour of repeat.
fn policy(receivers: &[Receiver]) -> Policy {
    Policy { repeat: Some(SignedDuration::from_hours(1)), receivers: receivers.to_vec(), ..Policy::default() }
}

fn id(name: &str) -> Id {
    Id::of_object(Key::new(Kind::Container, name), "CrashLoop")
}

fn seen(names: &[&str]) -> Seen {
    let firing = |name: &&str| (id(name), Firing { severity: Severity::Critical, message: format!("{name} is down") });
    Seen { firing: names.iter().map(firing).collect(), unknown: BTreeSet::new() }
}

/// What is wrong from when on, by the second; and everything that is told, by the second.
struct Story {
    book: Book,
    policy: Policy,
    /// Whether messages arrive.
    is_there: bool,
    log: String,
}

impl Story {
    fn new(policy: Policy) -> Self {
        Self { book: Book::default(), policy, is_there: true, log: String::new() }
    }

    /// These are wrong in these seconds.
    fn during(mut self, seconds: std::ops::Range<i64>, names: &[&str]) -> Self {
        for second in seconds {
            for notification in self.book.step(at(second), &seen(names), &self.policy) {
                let names: Vec<&str> =
                    notification.alerts.iter().map(|alert| alert.id.object.as_ref().unwrap().name.as_str()).collect();
                let Notification { receiver, state, .. } = &notification;
                writeln!(self.log, "{second} {receiver} {} {}", state.as_str(), names.join(" ")).unwrap();
                if self.is_there {
                    self.book.delivered(&notification.id);
                }
            }
        }
        self
    }

    fn restart(mut self) -> Self {
        self.book = serde_json::from_str(&serde_json::to_string(&self.book).unwrap()).unwrap();
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "a story ends with what was told")]
    fn tells(self, expected: Expect) {
        expected.assert_eq(&self.log);
    }
}

#[test]
fn what_lasts_is_told_once_and_then_that_it_is_over() {
    Story::new(policy(&[receiver("ops")])).during(0..300, &["web"]).during(300..600, &[]).tells(expect![[r#"
        40 ops firing web
        340 ops resolved web
    "#]]);
}

#[test]
fn what_does_not_last_is_never_told() {
    let story = Story::new(policy(&[receiver("ops")])).during(0..29, &["web"]).during(29..200, &[]);
    assert!(story.book.is_empty());
    story.tells(expect![[""]]);
}

#[test]
fn what_ends_while_it_waits_for_company_is_not_told() {
    Story::new(policy(&[receiver("ops")])).during(0..35, &["web"]).during(35..200, &[]).tells(expect![[""]]);
}

#[test]
fn what_comes_together_is_told_together() {
    let story = Story::new(policy(&[receiver("ops")])).during(0..8, &["web"]).during(8..200, &["api", "db", "web"]);
    story.during(200..300, &[]).tells(expect![[r#"
        40 ops firing web api db
        240 ops resolved web api db
    "#]]);
}

#[test]
fn what_goes_on_is_told_again_after_the_repeat_and_never_without_one() {
    Story::new(policy(&[receiver("ops")])).during(0..9000, &["web"]).tells(expect![[r#"
        40 ops firing web
        3650 ops firing web
        7260 ops firing web
    "#]]);
    let once = Policy { repeat: None, ..policy(&[receiver("ops")]) };
    Story::new(once).during(0..90_000, &["web"]).tells(expect![[r#"
        40 ops firing web
    "#]]);
}

#[test]
fn an_alertmanager_is_told_every_minute_and_groups_by_itself() {
    Story::new(policy(&[alertmanager("am")])).during(0..180, &["web"]).during(180..400, &[]).tells(expect![[r#"
        30 am firing web
        90 am firing web
        150 am firing web
        210 am resolved web
    "#]]);
}

#[test]
fn a_restart_tells_nothing_twice_and_forgets_no_end() {
    let story = Story::new(policy(&[receiver("ops")])).during(0..100, &["web"]).restart();
    story.during(100..200, &["web"]).restart().during(200..300, &[]).tells(expect![[r#"
        40 ops firing web
        240 ops resolved web
    "#]]);
}

#[test]
fn what_ended_while_we_were_away_is_told_to_be_over() {
    let story = Story::new(policy(&[receiver("ops")])).during(0..100, &["web"]).restart();
    story.during(9000..9100, &[]).tells(expect![[r#"
        40 ops firing web
        9040 ops resolved web
    "#]]);
}

#[test]
fn what_comes_and_goes_has_to_be_gone_for_longer_each_time() {
    let mut story = Story::new(policy(&[receiver("ops")]));
    for round in 0..40 {
        let begin = round * 120;
        story = story.during(begin..begin + 60, &["web"]).during(begin + 60..begin + 120, &[]);
    }
    // 40 times within 80 minutes; without damping it would be 40 pairs.
    story.during(4800..9000, &[]).tells(expect![[r#"
        40 ops firing web
        100 ops resolved web
        160 ops firing web
        3770 ops firing web
        4870 ops resolved web
    "#]]);
}

#[test]
fn nobody_waits_to_hear_the_end_of_what_never_arrived() {
    let mut story = Story::new(policy(&[receiver("ops")]));
    story.is_there = false;
    story = story.during(0..100, &["web"]);
    let id = story.book.next("ops").unwrap().id.clone();
    story.book.given_up(&id);
    assert_eq!(story.book.next("ops"), None);
    assert_eq!(story.book.unreached(), BTreeSet::from(["ops"]));
    story = story.during(100..300, &[]);
    assert_eq!(story.book.shown().count(), 0);
    assert_eq!(story.book.unreached(), BTreeSet::new());
    story.tells(expect![[r#"
        40 ops firing web
    "#]]);
}

#[test]
fn what_was_given_up_is_tried_again_after_an_hour_even_if_nothing_is_repeated() {
    let mut story = Story::new(Policy { repeat: None, ..policy(&[receiver("ops")]) });
    story.is_there = false;
    story = story.during(0..100, &["web"]);
    let id = story.book.next("ops").unwrap().id.clone();
    story.book.given_up(&id);
    story.is_there = true;
    story.during(100..9000, &["web"]).during(9000..9100, &[]).tells(expect![[r#"
        40 ops firing web
        3650 ops firing web
        9040 ops resolved web
    "#]]);
}

#[test]
fn the_end_waits_until_the_beginning_has_arrived_and_names_it() {
    let mut story = Story::new(policy(&[receiver("ops")]));
    story.is_there = false;
    story = story.during(0..100, &["web"]).during(100..500, &[]);
    let first = story.book.next("ops").unwrap().clone();
    story.book.delivered(&first.id);
    story = story.during(500..511, &[]);
    let end = story.book.next("ops").unwrap().clone();
    assert_eq!((end.state, end.earlier), (State::Resolved, BTreeSet::from([first.id])));
    story.tells(expect![[r#"
        40 ops firing web
        510 ops resolved web
    "#]]);
}

#[test]
fn what_is_muted_is_not_told_until_the_mute_ends() {
    let mute =
        Mute { targets: vec!["container/web".parse().unwrap()], reasons: vec!["CrashLoop".to_owned()], until: Some(at(100)) };
    let muted = Policy { mute: vec![mute], ..policy(&[receiver("ops")]) };
    Story::new(muted.clone()).during(0..90, &["api", "web"]).during(90..100, &["api"]).tells(expect![[r#"
        40 ops firing api
    "#]]);
    Story::new(muted).during(0..200, &["web"]).tells(expect![[r#"
        110 ops firing web
    "#]]);
}

#[test]
fn a_mute_of_another_reason_or_object_mutes_nothing() {
    for (target, reason) in [("container/web", "StepFailed"), ("container/api", "CrashLoop"), ("host", "CrashLoop")] {
        let mute = Mute { targets: vec![target.parse().unwrap()], reasons: vec![reason.to_owned()], until: None };
        let policy = Policy { mute: vec![mute], ..policy(&[receiver("ops")]) };
        assert!(!policy.mutes(&id("web"), at(0)), "{target} {reason}");
    }
}

#[test]
fn a_receiver_is_told_only_what_it_wants() {
    let only_web = Receiver { only: vec!["container/web".parse().unwrap()], ..receiver("web-team") };
    Story::new(policy(&[receiver("all"), only_web])).during(0..50, &["api", "web"]).tells(expect![[r#"
        40 all firing api web
        40 web-team firing web
    "#]]);
    let critical = Receiver { severity: Severity::Critical, ..receiver("night") };
    assert!(critical.wants(&id("web"), Severity::Critical) && !critical.wants(&id("web"), Severity::Warning));
    let dead = Id::of_host(NOT_SENT, "ops");
    assert!(!receiver("ops").wants(&dead, Severity::Warning) && receiver("mail").wants(&dead, Severity::Warning));
}

#[test]
fn a_receiver_that_is_declared_later_is_told_what_still_fires() {
    let mut story = Story::new(policy(&[])).during(0..1000, &["web"]);
    story.policy = policy(&[receiver("ops")]);
    story.during(1000..1100, &["web"]).tells(expect![[r#"
        1010 ops firing web
    "#]]);
}

#[test]
fn a_receiver_that_is_gone_waits_for_nothing() {
    let mut story = Story::new(policy(&[receiver("ops")]));
    story.is_there = false;
    story = story.during(0..100, &["web"]);
    story.policy = policy(&[]);
    story = story.during(100..200, &["web"]);
    assert_eq!(story.book.next("ops"), None);
    story = story.during(200..300, &[]);
    assert_eq!(story.book.shown().count(), 0);
}

#[test]
fn what_nobody_can_look_at_is_as_wrong_as_it_was() {
    let mut story = Story::new(policy(&[receiver("ops")])).during(0..100, &["web"]);
    let blind = Seen { firing: BTreeMap::new(), unknown: BTreeSet::from([Key::new(Kind::Container, "web")]) };
    for second in 100..2000 {
        assert_eq!(story.book.step(at(second), &blind, &story.policy), []);
    }
    story.during(2000..2100, &[]).tells(expect![[r#"
        40 ops firing web
        2040 ops resolved web
    "#]]);
}

#[test]
fn a_thousand_alerts_at_once_are_a_few_messages() {
    let names: Vec<String> = (0..1000).map(|number| format!("web-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let story = Story::new(policy(&[receiver("ops")])).during(0..60, &names);
    assert_eq!(story.log.lines().count(), 1000 / MOST_TOGETHER);
}

/// What happens in a second, in a random world.
#[derive(Clone, Debug)]
enum Change {
    Flip(usize),
    Pass(i64),
    Restart,
    GiveUp,
    Deliver,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..4_usize).prop_map(Change::Flip),
        4 => (1..400_i64).prop_map(Change::Pass),
        1 => (3000..20_000_i64).prop_map(Change::Pass),
        1 => Just(Change::Restart),
        1 => Just(Change::GiveUp),
        3 => Just(Change::Deliver),
    ]
}

const NAMES: [&str; 4] = ["api", "db", "muted", "web"];

/// What one receiver has heard of each alert, from messages that arrived.
#[derive(Default)]
struct Heard(BTreeMap<String, (bool, i64)>);

impl Heard {
    fn arrive(&mut self, notification: &Notification, repeat: i64) {
        for alert in &notification.alerts {
            let name = alert.id.object.as_ref().unwrap().name.clone();
            assert_ne!(name, "muted", "what is muted is told");
            let decided = notification.at.as_second();
            let before = self.0.get(&name).copied();
            match notification.state {
                State::Firing => {
                    if let Some((true, last)) = before {
                        assert!(decided - last >= repeat, "{name} is told again after {} s", decided - last);
                    }
                    self.0.insert(name, (true, decided));
                }
                State::Resolved => {
                    assert!(before.is_some_and(|(fires, _)| fires), "the end of {name} is told to whom did not know of it");
                    self.0.insert(name, (false, decided));
                }
            }
        }
    }
}

proptest! {
    // A world is hours of seconds.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_is_told_once_in_a_repeat_each_that_was_told_ends_once_and_the_muted_never(changes in prop::collection::vec(change(), 1..60)) {
        let mute = Mute { targets: vec!["container/muted".parse().unwrap()], reasons: Vec::new(), until: None };
        let policy = Policy { mute: vec![mute], ..policy(&[receiver("ops"), alertmanager("am")]) };
        let (mut book, mut now, mut firing) = (Book::default(), 0, BTreeSet::new());
        let mut heard: BTreeMap<String, Heard> = BTreeMap::new();
        let repeats = BTreeMap::from([("ops", 3600), ("am", 60)]);
        let deliver = |book: &mut Book, heard: &mut BTreeMap<String, Heard>| {
            for (name, repeat) in &repeats {
                while let Some(next) = book.next(name).cloned() {
                    heard.entry((*name).to_owned()).or_default().arrive(&next, *repeat);
                    book.delivered(&next.id);
                }
            }
        };
        for change in changes {
            match change {
                Change::Flip(which) => if !firing.remove(NAMES[which]) { firing.insert(NAMES[which]); },
                Change::Pass(seconds) => {
                    let names: Vec<&str> = firing.iter().copied().collect();
                    for _ in 0..seconds.min(500) {
                        now += (seconds / 500).max(1);
                        book.step(at(now), &seen(&names), &policy);
                    }
                }
                Change::Restart => book = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap(),
                Change::GiveUp => if let Some(next) = book.next("ops").cloned() { book.given_up(&next.id); },
                Change::Deliver => deliver(&mut book, &mut heard),
            }
        }
        // What still fires after a long while with receivers that are there is known to both; what does not, to none.
        let names: Vec<&str> = firing.iter().copied().collect();
        for second in 0..1600 {
            now += 5;
            book.step(at(now), &seen(&names), &policy);
            if second % 7 == 0 {
                deliver(&mut book, &mut heard);
            }
        }
        deliver(&mut book, &mut heard);
        for receiver in ["ops", "am"] {
            let known = heard.get(receiver).map(|heard| &heard.0);
            for name in NAMES {
                let fires = known.and_then(|known| known.get(name)).is_some_and(|(fires, _)| *fires);
                prop_assert_eq!(fires, firing.contains(name) && name != "muted", "{} at {}", name, receiver);
            }
        }
        prop_assert!(book.is_empty() || !firing.is_empty());
    }

    #[test]
    fn however_it_comes_and_goes_it_is_no_storm(spans in prop::collection::vec((1..120_i64, 1..120_i64), 30..60)) {
        let policy = Policy { delay: SignedDuration::ZERO, group: SignedDuration::ZERO, ..policy(&[receiver("ops")]) };
        let mut story = Story::new(policy);
        let mut now = 0;
        for (on, off) in spans {
            story = story.during(now..now + on, &["web"]).during(now + on..now + on + off, &[]);
            now += on + off;
        }
        // With a pause that doubles from 30 s on, at most a pair for each doubling up to two minutes, and the repeats.
        let bound = 2 * 5 + now / 3600;
        let told = i64::try_from(story.log.lines().count()).unwrap();
        prop_assert!(told <= bound, "{} messages in {} s:\n{}", told, now, story.log);
    }
}
