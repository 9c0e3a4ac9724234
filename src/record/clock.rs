//! The time of day, how it is written down, and limits in it.

use std::{
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake},
    thread::{self, Thread},
    time::Duration,
};

use jiff::Timestamp;

/// What time it is.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// RFC 3339 in UTC with milliseconds: as text it sorts like time.
#[must_use]
pub fn text(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Gives `work` so much real time; none when it is not done by then.
///
/// SQLite works on threads that tokio does not know. Tests that pause tokio's
/// clock would see an idle runtime while a statement runs and jump ahead, past
/// every limit. A blocking task is something that the paused clock waits for.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (working, watched) = mpsc::channel::<()>();
    // Returns at once when `working` is dropped, which this function's end does.
    let limit = tokio::task::spawn_blocking(move || watched.recv_timeout(limit));
    tokio::select! {
        biased;
        value = work => {
            drop(working);
            Some(value)
        }
        _ = limit => None,
    }
}

/// Does `work` to its end while nobody else on this thread does anything, as if it took no time.
///
/// Where tokio's clock is held, what happens in which order is to depend on nothing but that clock, and a thread of SQLite's
/// would be done sooner or later than other things.
pub(super) fn at_once<T>(work: impl Future<Output = T>) -> T {
    // Who has used up his share of a turn would otherwise wait for the next one, which never comes.
    let mut work = pin!(tokio::task::unconstrained(work));
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}

/// Wakes a thread that waits for nothing else.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_whatever_they_are() {
        assert_eq!(text(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(text("2026-01-02T03:04:05.6789Z".parse().unwrap()), "2026-01-02T03:04:05.678Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_does_not_shorten_a_limit() {
        let work = async {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                sender.send("done")
            });
            receiver.await
        };
        assert_eq!(within(Duration::from_secs(5), work).await, Some(Ok("done")));
    }

    #[tokio::test]
    async fn work_without_end_is_given_up() {
        assert_eq!(within(Duration::from_millis(10), std::future::pending::<()>()).await, None);
    }
}
