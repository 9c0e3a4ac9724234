//! The time of day.
//!
//! Kept in one place so that a scenario can run ten minutes of backoff in a
//! second: its clock goes with tokio's, which a test can hold and push.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    anchor: Option<(Timestamp, Instant)>,
    set: Option<&'static AtomicI64>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that shows `now` now, and goes as tokio's does.
    #[must_use]
    pub fn anchored(now: Timestamp) -> Self {
        Self { anchor: Some((now, Instant::now())), set: None }
    }

    /// The same clock, which somebody sets again and again: it is ahead by so many milliseconds, or behind.
    #[must_use]
    pub fn set_by(self, milliseconds: &'static AtomicI64) -> Self {
        Self { set: Some(milliseconds), ..self }
    }

    /// Whether it goes with tokio's clock, so that nothing that takes real time is to be seen in it.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        self.anchor.is_some()
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let Some((then, instant)) = self.anchor else {
            return Timestamp::now();
        };
        let elapsed = SignedDuration::try_from(instant.elapsed()).unwrap_or(SignedDuration::MAX);
        let set = SignedDuration::from_millis(self.set.map_or(0, |set| set.load(Ordering::Relaxed)));
        then.checked_add(elapsed.saturating_add(set)).unwrap_or(Timestamp::MAX)
    }
}
