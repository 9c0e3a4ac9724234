use expect_test::{Expect, expect};

use super::*;
use crate::plan::{FileAction, Target, shape::FieldChange, shape::Limits};

const WINDOW: SignedDuration = SignedDuration::from_mins(5);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// Somebody has changed the limit of memory by hand, and it is put back to this.
fn limit(to: &str) -> Step {
    let change = FieldChange { field: "memLimit".to_owned(), from: Some("64m".to_owned()), to: Some(to.to_owned()) };
    let action = EngineAction::UpdateContainer { container: Target::seen("1", "web"), limits: Limits::default() };
    Step { action: action.into(), why: Why::Outdated { fields: vec![change] } }
}

fn start() -> Step {
    let action = EngineAction::StartContainer { container: Target::seen("1", "web") };
    Step { action: action.into(), why: Why::NotRunning { exit_code: 137, out_of_memory: false } }
}

fn restore() -> Step {
    let path = "/srv/shop/.env.secrets".into();
    let action = FileAction::RestoreFile { environment: "shop".to_owned(), path, secrets: Vec::new() };
    Step { action: action.into(), why: Why::FileMissing }
}

fn plan(steps: &[Step]) -> Plan {
    Plan { steps: steps.to_vec(), ..Plan::default() }
}

/// A memory with these steps taken at these seconds.
fn history(step: &Step, times: &[i64]) -> History {
    times.iter().fold(History::default(), |history, time| history.having_corrected([step].into_iter(), at(*time)))
}

fn seen(history: &History, now: i64) -> Contests {
    Contests { contested: contests(history, (3, WINDOW), at(now)), window: WINDOW, hints: vec!["ada was there".to_owned()] }
}

fn check(history: &History, plan: Plan, now: i64, expected: &Expect) {
    expected.assert_eq(&leave(plan, &seen(history, now)).to_string());
}

#[test]
fn what_was_corrected_three_times_in_five_minutes_is_left_alone_and_told() {
    check(
        &history(&limit("128m"), &[0, 100, 200]),
        plan(&[limit("128m")]),
        299,
        &expect![[r#"
            held back: update web, because it differs in memLimit 64m → 128m
            wait: somebody else undoes this: memLimit = 128m was corrected 3 times in 5m and differs again; ada was there; end that, then release it
        "#]],
    );
}

#[test]
fn less_often_is_no_fight() {
    let step = limit("128m");
    assert!(seen(&history(&step, &[0, 100]), 200).contested.is_empty());
    assert!(seen(&history(&step, &[0, 200, 400]), 401).contested.is_empty());
}

#[test]
fn to_follow_another_value_each_time_is_no_fight() {
    let steps = ["128m", "256m", "512m"].map(limit);
    let history = history(&steps[0], &[0])
        .having_corrected([&steps[1]].into_iter(), at(1))
        .having_corrected([&steps[2]].into_iter(), at(2));
    assert!(seen(&history, 3).contested.is_empty());
}

#[test]
fn to_give_a_replacement_its_name_is_no_fight_and_to_give_it_back_after_somebody_took_it_is_one() {
    let rename = |from: &str| {
        let action = EngineAction::RenameContainer { container: Target::seen("1", from), to: "web".to_owned() };
        Step { action: action.into(), why: Why::Misnamed { name: from.to_owned() } }
    };
    let contested = |from: &str| seen(&history(&rename(from), &[0, 100, 200]), 250).contains("name web");
    // Each value that changes ends with this step, once the old one is gone.
    assert!(!contested("web.next") && !contested("web.previous"));
    assert!(contested("web.old") && contested("shop"));
}

#[test]
fn what_has_nothing_to_do_with_it_is_done() {
    check(
        &history(&limit("128m"), &[0, 1, 2]),
        plan(&[start(), limit("128m")]),
        3,
        &expect![[r#"
            start web, because it exited with 137
            held back: update web, because it differs in memLimit 64m → 128m
            wait: somebody else undoes this: memLimit = 128m was corrected 3 times in 5m and differs again; ada was there; end that, then release it
        "#]],
    );
}

#[test]
fn a_fight_lasts_until_the_other_one_gives_in() {
    let step = restore();
    let before = history(&step, &[0, 1, 2]);
    let contests = seen(&before, 3);
    let left = leave(plan(std::slice::from_ref(&step)), &contests);
    let during = before.fought(&left, &contests, at(3));
    // Hours later it is the same, although none of the corrections counts any more.
    let later = seen(&during, 9000);
    assert_eq!(later.contested, [Contest { what: "file .env.secrets".to_owned(), times: 3 }]);
    let left = leave(plan(&[step]), &later);
    let during = during.fought(&left, &later, at(9000));
    assert!(!during.fights.is_empty());
    // The file is there again, and stays.
    let after = during.clone().fought(&Plan::default(), &later, at(9001));
    assert!(after.fights.is_empty() && after.corrections.is_empty());
    assert!(during.released().fights.is_empty(), "or a person says so");
}

#[test]
fn a_new_manifest_is_no_part_of_an_old_fight() {
    let history = History { generation: 1, ..history(&restore(), &[0, 1, 2]) };
    assert!(history.for_generation(2).corrections.is_empty());
}
