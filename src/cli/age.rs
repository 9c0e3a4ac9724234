//! How long ago something was, in kubectl's short form.

use jiff::Timestamp;

/// The time since `then`, as in `42s`, `7m`, `5h`, `3d`; the text itself when it is no time.
pub(super) fn age(then: &str, now: Timestamp) -> String {
    let Ok(then) = then.parse::<Timestamp>() else { return then.to_owned() };
    // A clock that was set back must not make things happen in the future.
    match now.duration_since(then).as_secs().max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A time of day without fractions: seconds are what people compare.
pub(super) fn moment(text: &str) -> String {
    text.parse::<Timestamp>().map_or_else(|_| text.to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        for (then, expected) in [
            ("2026-01-09T23:59:18.5Z", "41s"),
            ("2026-01-09T23:50:00Z", "10m"),
            ("2026-01-09T19:00:00Z", "5h"),
            ("2026-01-01T00:00:00Z", "9d"),
            ("2026-01-10T00:00:09Z", "0s"),
            ("never", "never"),
        ] {
            assert_eq!(age(then, now), expected, "{then}");
        }
    }

    #[test]
    fn moments_have_no_fractions() {
        assert_eq!(moment("2026-01-09T23:59:18.123456Z"), "2026-01-09T23:59:18Z");
    }
}
