//! Answers that are worked on, so that whoever waits for one can have it stopped.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The answers that are worked on, by the sessions that wait for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Going(Arc<Mutex<HashMap<String, (CancellationToken, usize)>>>);

/// An answer of a session; it is not worked on any more when this is dropped.
pub(super) struct Worked {
    going: Going,
    session: String,
    token: CancellationToken,
}

impl Going {
    /// One more answer is worked on.
    pub(super) fn begin(&self, session: &str) -> Worked {
        let mut all = self.lock();
        let (token, answers) = all.entry(session.to_owned()).or_default();
        *answers += 1;
        Worked { going: self.clone(), session: session.to_owned(), token: token.clone() }
    }

    /// Stops what is worked on for a session. False if that is nothing.
    pub(super) fn stop(&self, session: &str) -> bool {
        let stopped = self.lock().remove(session);
        stopped.inspect(|(token, _)| token.cancel()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (CancellationToken, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worked {
    /// Ends when somebody wants it stopped.
    pub(super) async fn stopped(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Worked {
    fn drop(&mut self) {
        let mut all = self.going.lock();
        // What was begun after a stop has another token.
        if let Some((_, answers)) = all.get_mut(&self.session).filter(|_| !self.token.is_cancelled()) {
            *answers -= 1;
            if *answers == 0 {
                all.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_session_waits_for_is_stopped_and_nothing_else() {
        let going = Going::default();
        assert!(!going.stop("ada"), "nothing is worked on");
        let (first, second, other) = (going.begin("ada"), going.begin("ada"), going.begin("bob"));
        drop(first);
        assert!(going.stop("ada"));
        second.stopped().await;
        assert!(!other.token.is_cancelled());
        let next = going.begin("ada");
        drop(second);
        assert!(!next.token.is_cancelled() && going.stop("ada"), "what came after the stop goes on until the next one");
        drop(other);
        assert!(going.lock().is_empty(), "nothing is left of what has ended");
    }
}
