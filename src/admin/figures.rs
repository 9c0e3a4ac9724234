//! Numbers as people read them.

use jiff::{SignedDuration, Timestamp};

/// Bytes in the unit in which they are short.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut scaled = bytes.max(0.0);
    let mut unit = "B";
    for larger in units {
        if scaled < 999.5 {
            break;
        }
        (scaled, unit) = (scaled / 1024.0, larger);
    }
    if unit == "B" || scaled >= 99.95 { format!("{scaled:.0} {unit}") } else { format!("{scaled:.1} {unit}") }
}

/// A share in percent.
#[must_use]
pub fn percent(percent: f32) -> String {
    if percent >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// A span in its two largest units.
#[must_use]
pub fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// How long since a moment.
#[must_use]
pub fn since(then: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(then))
}

/// A short time.
#[must_use]
pub fn millis(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..100_000 => format!("{}.{} s", millis / 1000, millis / 100 % 10),
        _ => span(SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_short() {
        let shown = [0.0, 512.0, 1000.0, 1536.0, 104_857_600.0, 3_435_973_836.0, 1e15].map(bytes);
        assert_eq!(shown, ["0 B", "512 B", "1.0 KiB", "1.5 KiB", "100 MiB", "3.2 GiB", "909 TiB"]);
    }

    #[test]
    fn small_shares_have_a_tenth() {
        assert_eq!([0.0, 0.26, 9.9, 9.97, 55.4, 210.0].map(percent), ["0.0 %", "0.3 %", "9.9 %", "10 %", "55 %", "210 %"]);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let shown = [-5, 59, 60, 3599, 3660, 90_061].map(|seconds| span(SignedDuration::from_secs(seconds)));
        assert_eq!(shown, ["0 s", "59 s", "1 min", "59 min", "1 h 1 min", "1 d 1 h"]);
        assert_eq!([7, 999, 1234, 61_000, 200_000].map(millis), ["7 ms", "999 ms", "1.2 s", "61.0 s", "3 min"]);
    }
}
