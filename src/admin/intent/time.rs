//! Moments, spans and durations as people say them.
//!
//! Everything is UTC unless a zone is named (`3pm Europe/Berlin`). A clock time alone is the nearest one in the
//! direction that is asked about: `since 3pm` is past, `until 6am` is to come.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    lexicon,
    words::{Word, starts},
};

/// Nobody means more, and it keeps the arithmetic within what there are dates for.
const LONGEST: i64 = 10 * 366 * DAY;

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

/// From when and until when, as far as that was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
}

/// Which of two moments with the same name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Past,
    Future,
}

/// Something that was read off the beginning of some words, and how many of them it took.
type Read<T> = Option<(T, usize)>;

/// The first span that these words speak of, and where.
pub(super) fn find_span(words: &[Word], now: Timestamp) -> Option<(Span, std::ops::Range<usize>)> {
    (0..words.len()).find_map(|at| {
        let (mut span, mut length) = span(&words[at..], now)?;
        // "Since monday until tuesday" is two halves of one.
        if let Some((rest, more)) = self::span(&words[at + length..], now)
            && (span.since.is_none() || rest.since.is_none())
            && (span.until.is_none() || rest.until.is_none())
        {
            span = Span { since: span.since.or(rest.since), until: span.until.or(rest.until) };
            length += more;
        }
        Some((span, at..at + length))
    })
}

fn span(words: &[Word], now: Timestamp) -> Read<Span> {
    let first = words.first().filter(|word| !word.quoted)?;
    let rest = &words[1..];
    let past = |words: &[Word]| moment(words, now, Direction::Past);
    match first.low.as_str() {
        "since" | "after" => past(rest).map(|(since, taken)| (Span { since: Some(since), until: None }, taken + 1)),
        "until" | "till" | "before" => past(rest).map(|(until, taken)| (Span { since: None, until: Some(until) }, taken + 1)),
        "between" | "from" => {
            let (since, taken) = past(rest)?;
            let after = &rest[taken..];
            let until = after.first().filter(|word| word.is_one_of(&["and", "to", "until", "till"]));
            match until.and_then(|_| past(&after[1..])) {
                Some((until, more)) => {
                    Some((Span { since: Some(on_the_day_of(since, until)), until: Some(until) }, taken + more + 2))
                }
                None if first.low == "from" && !after.first().is_some_and(|word| word.is("to")) => {
                    // "From today", "from yesterday": that day.
                    span(rest, now).map(|(span, taken)| (span, taken + 1))
                }
                None => None,
            }
        }
        "on" | "in" | "of" | "during" | "over" | "for" => {
            let the = usize::from(rest.first().is_some_and(|word| word.is("the")));
            named(&rest[the..], now).map(|(span, taken)| (span, taken + 1 + the))
        }
        _ => named(words, now).or_else(|| {
            let (ago, taken) = ago(words, now)?;
            Some((Span { since: Some(ago), until: None }, taken))
        }),
    }
}

/// "Between 2pm and 3pm yesterday": both are yesterday.
fn on_the_day_of(since: Timestamp, until: Timestamp) -> Timestamp {
    let ahead = since.duration_since(until).as_secs();
    let days = if ahead > 0 { ahead / DAY + 1 } else { 0 };
    since.checked_sub(SignedDuration::from_secs(days * DAY)).unwrap_or(since)
}

/// A span with a name of its own: `today`, `last week`, `the last two hours`, a date.
fn named(words: &[Word], now: Timestamp) -> Read<Span> {
    let ((first, until), taken, in_zone) = days(words, now)?;
    if let Some(duration) = in_zone {
        return Some((Span { since: now.checked_sub(duration).ok(), until: None }, taken));
    }
    let (zone, more) = zone(&words[taken..]);
    let at = |datetime: DateTime| zone.to_timestamp(datetime).ok();
    Some((Span { since: Some(at(first)?), until: until.and_then(at) }, taken + more))
}

type Bounds = (DateTime, Option<DateTime>);

/// The bounds of a named span; a duration instead for one that reaches back from now.
fn days(words: &[Word], now: Timestamp) -> Option<(Bounds, usize, Option<SignedDuration>)> {
    let today = zone_of(words).to_datetime(now).date();
    let back = |days: i64| today.checked_sub(days.days()).ok();
    let whole = |date: Date| -> Option<Bounds> { Some((midnight(date), Some(midnight(date.tomorrow().ok()?)))) };
    let monday = back(i64::from(today.weekday().to_monday_zero_offset()))?;
    let night = today.yesterday().ok()?.at(18, 0, 0, 0);
    let named = [
        ("today", (midnight(today), None)),
        ("yesterday", whole(today.yesterday().ok()?)?),
        ("this morning", (midnight(today), Some(today.at(12, 0, 0, 0)))),
        ("this afternoon", (today.at(12, 0, 0, 0), None)),
        ("this evening", (today.at(18, 0, 0, 0), None)),
        ("last night", (night, Some(today.at(6, 0, 0, 0)))),
        ("this week", (midnight(monday), None)),
        ("last week", (midnight(monday.checked_sub(7.days()).ok()?), Some(midnight(monday)))),
        ("this month", (midnight(today.first_of_month()), None)),
        ("last month", {
            let last = today.first_of_month().yesterday().ok()?;
            (midnight(last.first_of_month()), Some(midnight(today.first_of_month())))
        }),
    ];
    if let Some((phrase, bounds)) = named.into_iter().find(|(phrase, _)| starts(words, phrase)) {
        return Some((bounds, phrase.split(' ').count(), None));
    }
    let first = words.first()?;
    if first.is_one_of(&["last", "past", "previous"]) {
        if let Some((duration, taken)) = duration(&words[1..]).or_else(|| unit_alone(&words[1..])) {
            return Some(((midnight(today), None), taken + 1, Some(SignedDuration::from_secs(duration))));
        }
        let (date, taken) = weekday(&words[1..], today)?;
        return Some((whole(date)?, taken + 1, None));
    }
    let (date, taken) =
        weekday(words, today).or_else(|| Some((first.raw.parse::<Date>().ok()?, 1)).filter(|_| is_date(&first.raw)))?;
    let has_time = words.get(taken).is_some_and(|word| word.is("at")) || time(&words[taken..]).is_some();
    (!has_time).then_some((whole(date)?, taken, None))
}

fn is_date(raw: &str) -> bool {
    raw.len() == 10
}

fn unit_alone(words: &[Word]) -> Read<i64> {
    let word = words.first()?;
    if word.low.ends_with('s') { None } else { unit(&word.low).map(|seconds| (seconds, 1)) }
}

/// The last day of this name before today.
fn weekday(words: &[Word], today: Date) -> Read<Date> {
    let day = match words.first().filter(|word| !word.quoted)?.low.as_str() {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    };
    today.nth_weekday(-1, day).ok().map(|date| (date, 1))
}

/// A moment, as it comes after `since` or `until`.
pub(super) fn moment(words: &[Word], now: Timestamp, direction: Direction) -> Read<Timestamp> {
    let first = words.first()?;
    if let Ok(moment) = first.raw.parse::<Timestamp>() {
        return Some((moment, 1));
    }
    if first.is("now") {
        return Some((now, 1));
    }
    if let Some(ago) = ago(words, now) {
        return Some(ago);
    }
    if direction == Direction::Past
        && let Some((Span { since: Some(since), .. }, taken)) =
            named(words, now).filter(|_| first.is_one_of(&["last", "this", "past"]))
    {
        return Some((since, taken));
    }
    civil(words, now, direction)
}

/// A day, a time, or both in either order, and the zone in which they are meant.
fn civil(words: &[Word], now: Timestamp, direction: Direction) -> Read<Timestamp> {
    let here = zone_of(words).to_datetime(now);
    let on = |at: usize| at + usize::from(words.get(at).is_some_and(|word| word.is("on")));
    let (date, clock, taken) = match (day(words, here.date(), direction), time(words)) {
        (Some((date, taken)), _) => match time(&words[taken..]) {
            Some((clock, more)) => (Some(date), Some(clock), taken + more),
            None => (Some(date), None, taken),
        },
        (None, Some((clock, taken))) => match day(&words[on(taken)..], here.date(), direction) {
            Some((date, more)) => (Some(date), Some(clock), on(taken) + more),
            None => (None, Some(clock), taken),
        },
        (None, None) => {
            let joined: DateTime = words[0].raw.parse().ok().filter(|_| words[0].raw.len() > 10)?;
            (Some(joined.date()), Some(joined.time()), 1)
        }
    };
    let (zone, more) = zone(&words[taken..]);
    let clock = clock.unwrap_or(Time::MIN);
    let mut moment = date.unwrap_or_else(|| here.date()).to_datetime(clock);
    if date.is_none() {
        moment = match direction {
            Direction::Past if moment > here => moment.checked_sub(1.day()).ok()?,
            Direction::Future if moment <= here => moment.checked_add(1.day()).ok()?,
            Direction::Past | Direction::Future => moment,
        };
    }
    Some((zone.to_timestamp(moment).ok()?, taken + more))
}

fn day(words: &[Word], today: Date, direction: Direction) -> Read<Date> {
    let first = words.first().filter(|word| !word.quoted)?;
    match first.low.as_str() {
        "today" => return Some((today, 1)),
        "yesterday" => return today.yesterday().ok().map(|date| (date, 1)),
        "tomorrow" => return today.tomorrow().ok().map(|date| (date, 1)),
        "next" => return day(&words[1..], today, Direction::Future).map(|(date, taken)| (date, taken + 1)),
        _ => {}
    }
    if let Some((last, taken)) = weekday(words, today) {
        let date = match direction {
            Direction::Past => last,
            Direction::Future if last.checked_add(7.days()).ok()? == today => last.checked_add(14.days()).ok()?,
            Direction::Future => last.checked_add(7.days()).ok()?,
        };
        return Some((date, taken));
    }
    if is_date(&first.raw) { first.raw.parse().ok().map(|date| (date, 1)) } else { None }
}

/// `3pm`, `3:30 pm`, `15:00`, `noon`; a bare number only after `at`.
fn time(words: &[Word]) -> Read<Time> {
    let after_at = usize::from(words.first().is_some_and(|word| word.is("at")));
    let words = &words[after_at..];
    let first = words.first().filter(|word| !word.quoted)?;
    match first.low.as_str() {
        "noon" => return Some((Time::constant(12, 0, 0, 0), 1 + after_at)),
        "midnight" => return Some((Time::MIN, 1 + after_at)),
        _ => {}
    }
    let half = |low: &str| match low {
        "am" | "a.m" => Some(0),
        "pm" | "p.m" => Some(12),
        _ => None,
    };
    let digits = first.low.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (offset, taken) = match &first.low[digits.len()..] {
        "" => match words.get(1).and_then(|word| half(&word.low)) {
            Some(offset) => (Some(offset), 2),
            None => (None, 1),
        },
        ending => (Some(half(ending)?), 1),
    };
    let mut numbers = digits.split(':').map(|number| number.parse::<i8>().ok().filter(|_| number.len() <= 2));
    let (hour, minute, second) = (numbers.next()??, numbers.next(), numbers.next());
    if offset.is_none() && minute.is_none() && after_at == 0 || numbers.next().is_some() {
        return None;
    }
    let hour = match offset {
        Some(offset) if (1..=12).contains(&hour) => hour % 12 + offset,
        Some(_) => return None,
        None => hour,
    };
    let part = |part: Option<Option<i8>>| part.unwrap_or(Some(0));
    Some((Time::new(hour, part(minute)?, part(second)?, 0).ok()?, taken + after_at))
}

fn midnight(date: Date) -> DateTime {
    date.to_datetime(Time::MIN)
}

/// `two hours ago`.
fn ago(words: &[Word], now: Timestamp) -> Read<Timestamp> {
    let (seconds, taken) = duration(words)?;
    words.get(taken).filter(|word| word.is("ago"))?;
    Some((now.checked_sub(SignedDuration::from_secs(seconds)).ok()?, taken + 1))
}

/// A duration in seconds: `2h`, `1h30m`, `an hour and a half`, `half an hour`, `a couple of days`.
pub(super) fn duration(words: &[Word]) -> Read<i64> {
    let first = words.first().filter(|word| !word.quoted)?;
    if let Some(seconds) = short(&first.low) {
        return Some((seconds, 1));
    }
    let rest = &words[1..];
    if first.is("half") {
        let skip = usize::from(rest.first().is_some_and(|word| word.is_one_of(&["a", "an"])));
        return rest.get(skip).and_then(|word| unit(&word.low)).map(|seconds| (seconds / 2, skip + 2));
    }
    let skip = if starts(words, "a couple of") { 3 } else { 1 };
    let number = if skip == 3 { 2 } else { i64::from(lexicon::number(&first.low)?) };
    let seconds = number.checked_mul(unit(&words.get(skip)?.low)?)?;
    let mut taken = skip + 1;
    let mut total = seconds;
    if starts(&words[taken..], "and a half") {
        total = total.checked_add(unit(&words[skip].low)? / 2)?;
        taken += 3;
    } else if words.get(taken).is_some_and(|word| word.is("and")) && words.len() > taken + 2 {
        let more = lexicon::number(&words[taken + 1].low).zip(unit(&words[taken + 2].low));
        if let Some((number, unit)) = more {
            total = total.checked_add(i64::from(number).checked_mul(unit)?)?;
            taken += 3;
        }
    }
    (total <= LONGEST).then_some((total, taken))
}

/// `1h30m`.
fn short(low: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut rest = low;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total = total.checked_add(number.checked_mul(unit(&rest[..letters])?)?)?;
        rest = &rest[letters..];
    }
    (!low.is_empty() && total <= LONGEST).then_some(total)
}

fn unit(low: &str) -> Option<i64> {
    match low {
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3600),
        "d" | "day" | "days" => Some(DAY),
        "w" | "week" | "weeks" => Some(7 * DAY),
        "month" | "months" => Some(30 * DAY),
        _ => None,
    }
}

/// The zone that is named first in these words; UTC if none is.
fn zone_of(words: &[Word]) -> TimeZone {
    words.iter().take(4).find_map(named_zone).unwrap_or(TimeZone::UTC)
}

fn zone(words: &[Word]) -> (TimeZone, usize) {
    match words.first().and_then(named_zone) {
        Some(zone) => (zone, 1),
        None => (TimeZone::UTC, 0),
    }
}

fn named_zone(word: &Word) -> Option<TimeZone> {
    if word.is_one_of(&["utc", "gmt"]) {
        return Some(TimeZone::UTC);
    }
    // Others have short names that are words or names of services as well.
    if word.quoted || !word.raw.contains('/') { None } else { TimeZoneDatabase::bundled().get(&word.raw).ok() }
}

#[cfg(test)]
mod tests {
    use super::{super::words::sentences, *};

    const NOW: &str = "2026-11-21T14:30:00Z";

    fn words(text: &str) -> Vec<Word> {
        sentences(text).unwrap().remove(0)
    }

    fn said(text: &str) -> String {
        let words = words(text);
        let Some((span, range)) = find_span(&words, NOW.parse().unwrap()) else { return "nothing".to_owned() };
        let show = |moment: Option<Timestamp>| moment.map_or("..".to_owned(), |moment| moment.to_string());
        format!("{} {} ({})", show(span.since), show(span.until), range.len())
    }

    #[test]
    fn spans_are_read_as_they_are_said() {
        for (text, expected) in [
            ("today", "2026-11-21T00:00:00Z .. (1)"),
            ("from yesterday", "2026-11-20T00:00:00Z 2026-11-21T00:00:00Z (2)"),
            ("since 3pm", "2026-11-20T15:00:00Z .. (2)"),
            ("since 2:15 pm today", "2026-11-21T14:15:00Z .. (4)"),
            ("in the last 2 hours", "2026-11-21T12:30:00Z .. (5)"),
            ("over the past half an hour", "2026-11-21T14:00:00Z .. (6)"),
            ("between 9:00 and 10:30", "2026-11-21T09:00:00Z 2026-11-21T10:30:00Z (4)"),
            ("from 2026-11-19 to 2026-11-20", "2026-11-19T00:00:00Z 2026-11-20T00:00:00Z (4)"),
            ("this week", "2026-11-16T00:00:00Z .. (2)"),
            ("last week", "2026-11-09T00:00:00Z 2026-11-16T00:00:00Z (2)"),
            ("last month", "2026-10-01T00:00:00Z 2026-11-01T00:00:00Z (2)"),
            ("on monday", "2026-11-16T00:00:00Z 2026-11-17T00:00:00Z (2)"),
            ("on 2026-11-18", "2026-11-18T00:00:00Z 2026-11-19T00:00:00Z (2)"),
            ("since monday at 6am", "2026-11-16T06:00:00Z .. (4)"),
            ("since 3pm Europe/Berlin", "2026-11-21T14:00:00Z .. (3)"),
            ("since noon until 2pm", "2026-11-21T12:00:00Z 2026-11-21T14:00:00Z (4)"),
            ("an hour and a half ago", "2026-11-21T13:00:00Z .. (6)"),
            ("since 2026-11-21T08:00:00.5Z", "2026-11-21T08:00:00.5Z .. (2)"),
            ("last 5 errors", "nothing"),
            ("for redis", "nothing"),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn moments_to_come_are_the_next_of_their_name() {
        for (text, expected) in [
            ("6am", "2026-11-22T06:00:00Z"),
            ("tomorrow 6am", "2026-11-22T06:00:00Z"),
            ("tomorrow at 6", "2026-11-22T06:00:00Z"),
            ("3pm", "2026-11-21T15:00:00Z"),
            ("monday", "2026-11-23T00:00:00Z"),
            ("saturday", "2026-11-28T00:00:00Z"),
            ("noon tomorrow", "2026-11-22T12:00:00Z"),
            ("2026-12-01 08:00", "2026-12-01T08:00:00Z"),
            ("2026-12-01T08:00", "2026-12-01T08:00:00Z"),
            ("tomorrow 6am Europe/Berlin", "2026-11-22T05:00:00Z"),
        ] {
            let words = words(text);
            let (moment, taken) = moment(&words, NOW.parse().unwrap(), Direction::Future).unwrap();
            assert_eq!((moment.to_string().as_str(), taken), (expected, words.len()), "{text}");
        }
    }

    #[test]
    fn durations_that_no_calendar_holds_are_none() {
        for text in ["99999999999999999h", "4000000000 weeks", "h", "2x", "an apple"] {
            assert_eq!(duration(&words(text)), None, "{text}");
        }
        assert_eq!(duration(&words("1h30m")), Some((5400, 1)));
        assert_eq!(duration(&words("1 hour and 30 minutes")), Some((5400, 5)));
        assert_eq!(duration(&words("a couple of days")), Some((172_800, 4)));
    }
}
