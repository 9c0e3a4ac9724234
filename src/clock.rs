//! The time of day.
//!
//! Kept in one place so that a scenario can run ten minutes of backoff in a
//! second: its clock goes with tokio's, which a test can hold and push.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    anchor: Option<(Timestamp, Instant)>,
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
        Self { anchor: Some((now, Instant::now())) }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let Some((then, instant)) = self.anchor else {
            return Timestamp::now();
        };
        let elapsed = SignedDuration::try_from(instant.elapsed()).unwrap_or(SignedDuration::MAX);
        then.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
