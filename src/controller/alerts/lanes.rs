//! When each receiver is tried, and when a message for it is given up.

use std::{collections::BTreeMap, time::Duration};

use backoff::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::{
    alerts::{Notification, Receiver},
    deliver,
};

/// The pause after the first try that failed.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause: whoever is back is told within this time.
const LONGEST: Duration = Duration::from_mins(1);
/// Whom we could not tell for so long is not there.
const PATIENCE: Duration = Duration::from_mins(10);

/// Every receiver that something is told to.
#[derive(Default)]
pub(super) struct Lanes(BTreeMap<String, Lane>);

struct Lane {
    /// Who it leads to, as it was last tried.
    receiver: Receiver,
    /// The message.
    message: String,
    begun: Instant,
    is_under_way: bool,
    pauses: ExponentialBackoff,
    due: Instant,
    failures: u32,
}

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message has arrived.
    Done,
    /// It is tried again.
    Again {
        /// Whether it is the first time that it failed.
        is_first: bool,
    },
    /// It is not.
    GivenUp,
}

impl Lanes {
    /// Whether to try now to deliver this message. If so, it counts as being under way.
    pub(super) fn set_out(&mut self, notification: &Notification, receiver: &Receiver) -> bool {
        let now = Instant::now();
        let is_known = |lane: &Lane| lane.message == notification.id && lane.receiver == *receiver;
        match self.0.get_mut(&receiver.name) {
            Some(lane) if lane.is_under_way => false,
            Some(lane) if is_known(lane) => {
                lane.is_under_way = now >= lane.due;
                lane.is_under_way
            }
            // Another message, or another way: what failed before says nothing of it.
            Some(_) | None => {
                let lane = Lane {
                    receiver: receiver.clone(),
                    message: notification.id.clone(),
                    begun: now,
                    is_under_way: true,
                    pauses: pauses(),
                    due: now,
                    failures: 0,
                };
                self.0.insert(receiver.name.clone(), lane);
                true
            }
        }
    }

    /// A try has ended.
    pub(super) fn tried(&mut self, receiver: &str, error: Option<&deliver::Error>) -> Verdict {
        let (Some(error), Some(lane)) = (error, self.0.get_mut(receiver)) else {
            self.0.remove(receiver);
            return Verdict::Done;
        };
        if error.is_final() || lane.begun.elapsed() >= PATIENCE {
            self.0.remove(receiver);
            return Verdict::GivenUp;
        }
        lane.is_under_way = false;
        lane.failures += 1;
        lane.due = Instant::now() + lane.pauses.next().unwrap_or(LONGEST);
        Verdict::Again { is_first: lane.failures == 1 }
    }

    /// Forgets receivers that there are no more, unless something is under way to them.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|name, lane| lane.is_under_way || is_there(name));
    }
}

/// With jitter: many hosts may have the same receiver, and lose it at the same time.
fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST).with_factor(2.0);
    pauses.without_max_times().with_jitter().build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alerts::{State, policy::Way},
        manifest::alerts::{Endpoint, Severity},
    };

    fn receiver(url: &str) -> Receiver {
        let endpoint = Endpoint { url: Some(url.to_owned()), ..Endpoint::default() };
        Receiver { name: "ops".to_owned(), severity: Severity::Warning, only: Vec::new(), way: Way::Webhook(endpoint) }
    }

    fn message(id: &str) -> Notification {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let (id, receiver) = (id.to_owned(), "ops".to_owned());
        Notification { id, receiver, state: State::Firing, at, alerts: Vec::new(), earlier: [].into() }
    }

    fn refused(is_final: bool) -> deliver::Error {
        deliver::Error::Refused { message: "no".to_owned(), is_final }
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_try_at_a_time_with_growing_pauses_until_it_is_given_up() {
        let (mut lanes, ops, one) = (Lanes::default(), receiver("http://a"), message("one"));
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            assert!(lanes.set_out(&one, &ops));
            assert!(!lanes.set_out(&one, &ops));
            tries += 1;
            match lanes.tried("ops", Some(&refused(false))) {
                Verdict::Again { is_first } => assert_eq!(is_first, tries == 1),
                verdict => {
                    assert_eq!(verdict, Verdict::GivenUp);
                    break;
                }
            }
            while !lanes.0["ops"].due.elapsed().gt(&Duration::ZERO) {
                tokio::time::advance(Duration::from_millis(100)).await;
            }
        }
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < PATIENCE + LONGEST * 3, "{:?}", begun.elapsed());
        assert!((10..40).contains(&tries), "{tries}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_is_given_up_at_once_and_the_next_message_is_tried() {
        let (mut lanes, ops) = (Lanes::default(), receiver("http://a"));
        assert!(lanes.set_out(&message("one"), &ops));
        assert_eq!(lanes.tried("ops", Some(&refused(true))), Verdict::GivenUp);
        assert!(lanes.set_out(&message("two"), &ops));
        assert_eq!(lanes.tried("ops", None), Verdict::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn another_address_is_tried_at_once() {
        let (mut lanes, one) = (Lanes::default(), message("one"));
        assert!(lanes.set_out(&one, &receiver("http://a")));
        lanes.tried("ops", Some(&refused(false)));
        assert!(!lanes.set_out(&one, &receiver("http://a")));
        assert!(lanes.set_out(&one, &receiver("http://b")));
    }
}
