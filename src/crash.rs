//! Places at which a test can make the process die, to see what is left behind.
//!
//! Without the feature `crash-points` this is nothing. With it, the environment
//! variable `MOORING_CRASH_AT=name` makes the process abort when it first comes
//! by that place, `MOORING_CRASH_AT=name:3` when it comes by for the third time.

/// Dies here, if that is asked for.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub fn point(_name: &str) {}

/// Dies here, if that is asked for.
#[cfg(feature = "crash-points")]
pub fn point(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    };

    static WANTED: LazyLock<Option<(String, usize)>> = LazyLock::new(|| {
        let wanted = std::env::var("MOORING_CRASH_AT").ok()?;
        match wanted.split_once(':') {
            Some((name, count)) => Some((name.to_owned(), count.parse().expect("MOORING_CRASH_AT=name:count"))),
            None => Some((wanted, 1)),
        }
    });
    static HITS: AtomicUsize = AtomicUsize::new(0);

    if let Some((wanted, count)) = &*WANTED
        && wanted == name
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        // No destructors: what would have been cleaned up stays, as after a power failure.
        std::process::abort();
    }
}
