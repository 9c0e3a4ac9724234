//! Telling a person's stop from a failure.
//!
//! A container that has exited looks the same whether a person stopped it, it
//! crashed, or the engine went down. What tells them apart is what was seen
//! live, and only this:
//!
//! * `docker stop` sends a polite signal, then the container dies, then the
//!   engine says `stop`. Between the death and that word there are a few
//!   milliseconds, on a busy host more, in which acting would undo a person's
//!   wish, so after a polite signal a death is given a moment.
//! * The engine also says `stop` for every container when it shuts down itself.
//!   So its word only counts when the engine is still there a while later.
//! * What we did ourselves is no person's wish.
//!
//! Evidence lives in memory until it is confirmed; without evidence an exit is
//! a failure and is healed. That way round, because a container wrongly started
//! is seen, and one wrongly left down is an outage.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::engine::{Event, EventAction};

/// How long after a death the engine's word for a stop may take to arrive. It is a matter of milliseconds, and was once more than
/// half a second on a host with ten processes for each processor. Whoever is signalled politely and not stopped waits that long.
const WORD_FOLLOWS: Duration = Duration::from_secs(3);

/// How long the engine has to be there after its word for a stop until we take it for a person's:
/// longer than its own shutdown takes by default (15 s).
const CONFIRMED: Duration = Duration::from_secs(20);

/// How long a polite signal explains a death: the grace period most containers have, and then some.
const SIGNAL_EXPLAINS: Duration = Duration::from_mins(1);

/// How long after our own call the engine's events about it can still arrive.
pub const OURS: Duration = Duration::from_mins(1);

/// What was seen live about the stops of containers.
#[derive(Debug, Default)]
pub struct Evidence {
    by_container: HashMap<String, Trail>,
    /// When each container was started, by the engine's clock and by ours, for as long as what was before may still be told.
    started: HashMap<String, (Timestamp, Instant)>,
    /// The engine's last word about each container that was changed.
    said: HashMap<String, (Timestamp, String)>,
}

/// What was seen about one container.
#[derive(Debug, Default)]
struct Trail {
    signalled: Option<Instant>,
    died: Option<Instant>,
    stopped: Option<Instant>,
    ours: Option<Instant>,
    /// When a call of ours failed, which the engine may carry out all the same.
    owed: Option<Instant>,
}

impl Evidence {
    /// Takes an event in.
    pub fn note(&mut self, event: &Event, now: Instant) {
        let Some(id) = &event.container else { return };
        match event.said.as_str() {
            "destroy" => {
                self.said.remove(id);
                self.started.remove(id);
            }
            "" => {}
            said => drop(self.said.insert(id.clone(), (event.at, said.to_owned()))),
        }
        match event.action {
            EventAction::Started => {
                // What the engine still owes comes after the start.
                let owed = self.by_container.remove(id).and_then(|trail| trail.owed);
                if owed.is_some() {
                    self.trail(id).owed = owed;
                }
                self.started.insert(id.clone(), (event.at, now));
            }
            // Told late, of what was before that start: it explains nothing that comes after.
            _ if self.started.get(id).is_some_and(|(at, seen)| event.at < *at && now.duration_since(*seen) <= OURS) => {}
            EventAction::Signalled { kill: false } => self.trail(id).signalled = Some(now),
            EventAction::Died => self.trail(id).died = Some(now),
            EventAction::Stopped => {
                let trail = self.trail(id);
                if !trail.is_ours(now) {
                    trail.stopped = Some(now);
                }
            }
            EventAction::Signalled { kill: true } | EventAction::HealthChanged | EventAction::Changed | EventAction::Other => {}
        }
    }

    /// Says that we are about to stop or restart a container ourselves.
    pub fn ours(&mut self, id: &str, now: Instant) {
        let trail = self.trail(id);
        *trail = Trail { ours: Some(now), owed: trail.owed, ..Trail::default() };
    }

    /// Says that this failed: it may not have been done yet, and be done when the container has been started again.
    pub fn owed(&mut self, id: &str, now: Instant) {
        self.trail(id).owed = Some(now);
    }

    /// The engine is gone: the stops it announced were its own. What we asked for it may still do when it is back.
    pub fn engine_gone(&mut self) {
        self.by_container.retain(|_, trail| {
            *trail = Trail { ours: trail.ours, owed: trail.owed, ..Trail::default() };
            trail.ours.or(trail.owed).is_some()
        });
    }

    /// The engine's last word about a container, with its time.
    #[must_use]
    pub fn last_said(&self, id: &str) -> Option<String> {
        self.said.get(id).map(|(at, said)| format!("{said} at {at:.0}"))
    }

    /// How long a stop by a person still has to be thought possible.
    #[must_use]
    pub fn suspected_for(&self, id: &str, now: Instant) -> Option<Duration> {
        let trail = self.by_container.get(id)?;
        if trail.is_ours(now) {
            return None;
        }
        if let Some(stopped) = trail.stopped {
            // Until somebody has noted the confirmed stop and forgets it here, it must not look like a failure.
            return Some((stopped + CONFIRMED).saturating_duration_since(now).max(WORD_FOLLOWS));
        }
        let until = trail.died.unwrap_or(now).max(explained(trail, now)?) + WORD_FOLLOWS;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// The containers whose stops have been confirmed, and when they were stopped. Remember them, then [`Self::forget`] them here.
    pub fn confirmed(&mut self, now: Instant) -> Vec<(String, Instant)> {
        self.started.retain(|_, (_, seen)| now.duration_since(*seen) <= OURS);
        self.by_container.retain(|_, trail| {
            trail.stopped.is_some() || trail.latest().is_some_and(|at| now.duration_since(at) <= SIGNAL_EXPLAINS)
        });
        let stopped = self.by_container.iter().filter_map(|(id, trail)| Some((id.clone(), trail.stopped?)));
        stopped.filter(|(_, at)| now.duration_since(*at) >= CONFIRMED).collect()
    }

    /// Drops what was seen about a container.
    pub fn forget(&mut self, id: &str) {
        self.by_container.remove(id);
    }

    fn trail(&mut self, id: &str) -> &mut Trail {
        self.by_container.entry(id.to_owned()).or_default()
    }
}

/// When the polite signal was sent, if it explains a death now.
fn explained(trail: &Trail, now: Instant) -> Option<Instant> {
    let death = trail.died.unwrap_or(now);
    trail.signalled.filter(|signalled| death.duration_since(*signalled) <= SIGNAL_EXPLAINS)
}

impl Trail {
    fn latest(&self) -> Option<Instant> {
        self.signalled.max(self.died).max(self.stopped).max(self.ours).max(self.owed)
    }

    /// Whether what is seen now may be our own doing.
    fn is_ours(&self, now: Instant) -> bool {
        self.ours.max(self.owed).is_some_and(|at| now.duration_since(at) <= OURS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Watch {
        evidence: Evidence,
        start: Instant,
    }

    impl Watch {
        fn new() -> Self {
            Self { evidence: Evidence::default(), start: Instant::now() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn sees(self, millis: u64, action: EventAction) -> Self {
            self.hears(i64::try_from(millis).unwrap(), millis, action)
        }

        /// Of something that was at the first time, at the second.
        fn hears(mut self, was: i64, millis: u64, action: EventAction) -> Self {
            let event = Event {
                container: Some("c1".into()),
                object: None,
                owner: None,
                action,
                at: Timestamp::from_millisecond(was).unwrap(),
                said: String::new(),
            };
            let now = self.at(millis);
            self.evidence.note(&event, now);
            self
        }

        fn suspects(&self, millis: u64) -> bool {
            self.evidence.suspected_for("c1", self.at(millis)).is_some()
        }

        fn confirms(&mut self, millis: u64) -> bool {
            let now = self.at(millis);
            self.evidence.confirmed(now).iter().any(|(id, _)| id == "c1")
        }
    }

    const TERM: EventAction = EventAction::Signalled { kill: false };
    const KILL: EventAction = EventAction::Signalled { kill: true };

    #[test]
    fn a_docker_stop_is_suspected_at_the_death_and_confirmed_later() {
        let watch = Watch::new().sees(0, TERM).sees(40, EventAction::Died);
        assert!(watch.suspects(41), "the engine's word has not come yet");
        let mut watch = watch.sees(60, EventAction::Stopped);
        assert!(watch.suspects(10_000));
        assert!(!watch.confirms(10_000));
        assert!(watch.suspects(20_100), "until it is forgotten here it must not look like a failure");
        assert!(watch.confirms(20_100));
        watch.evidence.forget("c1");
        assert!(!watch.suspects(20_200));
    }

    #[test]
    fn a_docker_kill_is_a_failure_at_once() {
        let watch = Watch::new().sees(0, KILL).sees(40, EventAction::Died);
        assert!(!watch.suspects(41));
    }

    #[test]
    fn a_polite_signal_without_the_word_stop_is_a_failure_after_a_moment() {
        let mut watch = Watch::new().sees(0, TERM).sees(40, EventAction::Died);
        assert!(watch.suspects(2_900));
        assert!(!watch.suspects(3_100));
        assert!(!watch.confirms(30_000));
    }

    #[test]
    fn a_docker_stop_on_a_host_that_is_busy_is_a_stop() {
        let watch = Watch::new().sees(0, TERM).sees(40, EventAction::Died);
        assert!(watch.suspects(1_500));
        let mut watch = watch.sees(1_600, EventAction::Stopped);
        assert!(watch.suspects(4_000));
        assert!(watch.confirms(30_000));
    }

    #[test]
    fn a_stop_that_is_killed_after_its_grace_period_is_still_a_stop() {
        let mut watch = Watch::new().sees(0, TERM).sees(10_000, KILL).sees(10_050, EventAction::Died);
        assert!(watch.suspects(10_060));
        watch = watch.sees(10_070, EventAction::Stopped);
        assert!(watch.confirms(40_000));
    }

    /// It was taken for a stop by hand, and the container stayed down for good.
    #[test]
    fn what_we_asked_for_is_ours_although_the_engine_was_away_in_between() {
        let mut watch = Watch::new();
        watch.evidence.ours("c1", watch.start);
        watch.evidence.engine_gone();
        let mut watch = watch.sees(10_000, TERM).sees(10_040, EventAction::Died).sees(10_060, EventAction::Stopped);
        assert!(!watch.suspects(10_061));
        assert!(!watch.confirms(40_000));
    }

    /// It was asked three times, refused each time, and did so after the container had been started again.
    #[test]
    fn a_stop_that_failed_is_ours_when_it_comes_after_the_next_start_but_not_for_long() {
        let stops =
            |watch: Watch, at: u64| watch.sees(at, TERM).sees(at + 40, EventAction::Died).sees(at + 60, EventAction::Stopped);
        let mut watch = Watch::new();
        watch.evidence.ours("c1", watch.start);
        watch.evidence.owed("c1", watch.start);
        let watch = stops(watch.sees(3_000, EventAction::Started), 10_000);
        assert!(!watch.suspects(10_061));
        let mut watch = stops(watch.sees(11_000, EventAction::Started), 61_000);
        assert!(watch.suspects(61_061));
        assert!(watch.confirms(90_000));
    }

    #[test]
    fn what_the_engine_stops_on_its_way_down_was_nobodys_wish() {
        let mut watch = Watch::new().sees(0, TERM).sees(40, EventAction::Died).sees(60, EventAction::Stopped);
        watch.evidence.engine_gone();
        assert!(!watch.suspects(2_000));
        assert!(!watch.confirms(60_000));
    }

    #[test]
    fn what_we_stopped_ourselves_was_nobodys_wish() {
        let mut watch = Watch::new();
        let now = watch.at(0);
        watch.evidence.ours("c1", now);
        let mut watch = watch.sees(10, TERM).sees(40, EventAction::Died).sees(60, EventAction::Stopped);
        assert!(!watch.suspects(70));
        assert!(!watch.confirms(60_000));
    }

    /// Found by simulation, seed 609: the `stop` of our own restart came after its `start`, and then the container failed.
    #[test]
    fn a_stop_that_is_told_after_the_next_start_is_no_stop_of_what_was_started() {
        let mut watch = Watch::new();
        let now = watch.at(0);
        watch.evidence.ours("c1", now);
        let watch = watch.sees(10, TERM).sees(40, EventAction::Died).sees(90, EventAction::Started);
        let mut watch = watch.hears(60, 91, EventAction::Stopped).sees(1_000, EventAction::Died);
        assert!(!watch.suspects(1_001));
        assert!(!watch.confirms(60_000));
        let mut watch = watch.sees(2_000, EventAction::Started).sees(3_000, TERM).sees(3_040, EventAction::Died);
        watch = watch.sees(3_060, EventAction::Stopped);
        assert!(watch.confirms(30_000), "a person's stop after it still counts");
    }

    #[test]
    fn a_start_ends_every_suspicion() {
        let mut watch =
            Watch::new().sees(0, TERM).sees(40, EventAction::Died).sees(60, EventAction::Stopped).sees(90, EventAction::Started);
        assert!(!watch.suspects(100));
        assert!(!watch.confirms(60_000));
    }
}
