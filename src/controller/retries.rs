//! The pause after a pass that failed.
//!
//! kube-runtime's error policy is not told how often it has been asked, and a
//! trigger from outside overtakes the pause it asks for. So the count is kept
//! here, and a pass begins by asking whether its object's pause is over.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use backoff::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use super::world::lock;
use crate::manifest::Key;

/// The pause after the first failure: an engine that hiccups is asked again soon.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause: a cause that has gone is noticed within this time.
const LONGEST: Duration = Duration::from_secs(30);

/// The pauses of all objects whose last pass failed.
#[derive(Debug, Default)]
pub struct Retries(Mutex<HashMap<Key, Retry>>);

#[derive(Debug)]
struct Retry {
    pauses: ExponentialBackoff,
    due: Instant,
}

impl Retries {
    /// A pass failed: the pause until the next one.
    pub fn failed(&self, key: &Key) -> Duration {
        let mut retries = lock(&self.0);
        let retry = retries.entry(key.clone()).or_insert_with(|| {
            let pauses =
                ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST).with_factor(2.0).without_max_times();
            Retry { pauses: pauses.build(), due: Instant::now() }
        });
        let pause = retry.pauses.next().unwrap_or(LONGEST);
        retry.due = Instant::now() + pause;
        pause
    }

    /// How much of an object's pause is left.
    pub fn left(&self, key: &Key) -> Option<Duration> {
        let left = lock(&self.0).get(key)?.due.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then_some(left)
    }

    /// Whether an object's last pass failed.
    pub fn is_failing(&self, key: &Key) -> bool {
        lock(&self.0).contains_key(key)
    }

    /// A pass succeeded, or the object is another one now.
    pub fn clear(&self, key: &Key) {
        lock(&self.0).remove(key);
    }

    /// The cause that all of them may have had is gone.
    pub fn clear_all(&self) {
        lock(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Kind;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_cap_and_start_over_after_a_success() {
        let (retries, key) = (Retries::default(), Key::new(Kind::Container, "web"));
        let pauses: Vec<u128> = (0..8).map(|_| retries.failed(&key).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert!(retries.left(&key).is_some());
        tokio::time::advance(LONGEST).await;
        assert!(retries.left(&key).is_none() && retries.is_failing(&key));
        retries.clear(&key);
        assert!(!retries.is_failing(&key));
        assert_eq!(retries.failed(&key), FIRST);
    }
}
