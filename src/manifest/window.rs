//! Maintenance windows: the hours of the week in which something may be disturbed.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp, ToSpan,
    civil::{Time, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hours of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// The days on which it opens: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`. Without them: every day.
    #[serde(default = "every_day", skip_serializing_if = "is_every_day")]
    #[schemars(length(min = 1))]
    pub days: Vec<String>,
    /// When it opens, as in `02:00`.
    pub start: String,
    /// When it closes, as in `04:30`; on the next day when that is not after `start`.
    pub end: String,
    /// Whose clock that is, as in `Europe/Berlin`.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    pub time_zone: String,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn every_day() -> Vec<String> {
    DAYS.map(|(name, _)| name.to_owned()).to_vec()
}

fn is_every_day(days: &[String]) -> bool {
    days == every_day()
}

fn utc() -> String {
    "UTC".to_owned()
}

fn is_utc(zone: &str) -> bool {
    zone == "UTC"
}

/// A window that has been understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours {
    days: Vec<Weekday>,
    start: Time,
    end: Time,
    zone: TimeZone,
    text: String,
}

/// One thing that is wrong with a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidWindow {
    /// The field of the window, as in `days/0`.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl Window {
    /// What it means; everything that is wrong with it otherwise.
    pub fn hours(&self) -> Result<Hours, Vec<InvalidWindow>> {
        let mut wrong = Vec::new();
        let mut note = |field: &str, message: String| wrong.push(InvalidWindow { field: field.to_owned(), message });
        let days: Vec<_> = self.days.iter().map(|day| weekday(day)).collect();
        for (at, day) in days.iter().enumerate() {
            if let Err(message) = day {
                note(&format!("days/{at}"), message.clone());
            }
        }
        if days.is_empty() {
            note("days", "it never opens: there is no day in the list".to_owned());
        }
        let (start, end, zone) = (time(&self.start), time(&self.end), zone(&self.time_zone));
        for (field, problem) in [("start", start.as_ref().err()), ("end", end.as_ref().err()), ("timeZone", zone.as_ref().err())]
        {
            if let Some(message) = problem {
                note(field, message.clone());
            }
        }
        if let (Ok(start), Ok(end)) = (&start, &end)
            && start == end
        {
            note("end", "it never opens: `end` is `start`".to_owned());
        }
        match (days.into_iter().collect::<Result<_, _>>(), start, end, zone) {
            (Ok(days), Ok(start), Ok(end), Ok(zone)) if wrong.is_empty() => {
                Ok(Hours { days, start, end, zone, text: self.to_string() })
            }
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !is_every_day(&self.days) {
            write!(f, "{} ", self.days.join(","))?;
        }
        write!(f, "{}–{} {}", self.start, self.end, self.time_zone)
    }
}

fn weekday(name: &str) -> Result<Weekday, String> {
    let found = DAYS.iter().find(|(short, _)| *short == name).map(|(_, day)| *day);
    found.ok_or_else(|| format!("`{name}` is not a day; the days are {}", DAYS.map(|(name, _)| name).join(", ")))
}

fn time(text: &str) -> Result<Time, String> {
    let is_formed = text.len() == 5 && text.is_char_boundary(2) && &text[2..3] == ":";
    let time = is_formed.then(|| Time::from_str(text).ok()).flatten();
    time.ok_or_else(|| format!("`{text}` is not a time of day such as 02:00"))
}

/// By the database that is part of the program, so that a window means the same on every host.
fn zone(name: &str) -> Result<TimeZone, String> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    let database = TimeZoneDatabase::bundled();
    database.get(name).map_err(|_| {
        let names: Vec<String> = database.available().map(|known| known.as_str().to_owned()).collect();
        let alike = names.iter().map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), known));
        match alike.max_by(|(one, _), (other, _)| one.total_cmp(other)).filter(|(likeness, _)| *likeness > 0.8) {
            Some((_, known)) => format!("`{name}` is not a time zone (did you mean `{known}`?)"),
            None => format!("`{name}` is not a time zone such as Europe/Berlin"),
        }
    })
}

impl Hours {
    /// Whether it is open at this moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.around(at).any(|(opens, closes)| opens <= at && at < closes)
    }

    /// When it opens next; none only at the end of time.
    #[must_use]
    pub fn opens_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.around(at).map(|(opens, _)| opens).filter(|opens| *opens > at).min()
    }

    /// Every opening from yesterday to this day in a week.
    ///
    /// A time that a change of the clocks leaves out is the moment as much later; one that there is twice is the first.
    fn around(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let today = at.to_zoned(self.zone.clone()).date();
        (-1..=8_i64).filter_map(move |offset| {
            let day = today.checked_add(offset.days()).ok().filter(|day| self.days.contains(&day.weekday()))?;
            let last = if self.end > self.start { day } else { day.tomorrow().ok()? };
            let moment = |day: jiff::civil::Date, time| Some(day.to_datetime(time).to_zoned(self.zone.clone()).ok()?.timestamp());
            Some((moment(day, self.start)?, moment(last, self.end)?))
        })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[&str], start: &str, end: &str, zone: &str) -> Window {
        let days = days.iter().map(|day| (*day).to_owned()).collect();
        Window { days, start: start.to_owned(), end: end.to_owned(), time_zone: zone.to_owned() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Whether it is open, and when it opens next.
    fn look(window: &Window, moment: &str) -> (bool, String) {
        let hours = window.hours().unwrap();
        (hours.is_open(at(moment)), hours.opens_after(at(moment)).unwrap().to_string())
    }

    #[test]
    fn a_window_opens_by_the_clock_of_its_place() {
        let saturdays = window(&["sat"], "02:00", "04:30", "Europe/Berlin");
        assert_eq!(look(&saturdays, "2026-11-21T00:59:59Z"), (false, "2026-11-21T01:00:00Z".to_owned()));
        assert_eq!(look(&saturdays, "2026-11-21T01:00:00Z"), (true, "2026-11-28T01:00:00Z".to_owned()));
        assert_eq!(look(&saturdays, "2026-11-21T03:30:00Z"), (false, "2026-11-28T01:00:00Z".to_owned()));
        // The same hour of the wall clock, another one of the sun.
        assert_eq!(look(&saturdays, "2026-07-03T12:00:00Z"), (false, "2026-07-04T00:00:00Z".to_owned()));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
        let fridays = window(&["fri"], "23:00", "01:00", "UTC");
        assert_eq!(look(&fridays, "2026-11-21T00:30:00Z"), (true, "2026-11-27T23:00:00Z".to_owned()));
        assert_eq!(look(&fridays, "2026-11-20T00:30:00Z"), (false, "2026-11-20T23:00:00Z".to_owned()));
    }

    #[test]
    fn an_hour_that_the_clocks_leave_out_is_found_all_the_same() {
        // On 2026-03-29 there is no 02:30 in Berlin.
        let nights = window(&["sun"], "02:30", "05:00", "Europe/Berlin");
        assert_eq!(look(&nights, "2026-03-28T12:00:00Z"), (false, "2026-03-29T01:30:00Z".to_owned()));
        assert_eq!(look(&nights, "2026-03-29T02:00:00Z"), (true, "2026-04-05T00:30:00Z".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said_of_each_field() {
        let check = |window: Window| {
            let wrong = window.hours().unwrap_err();
            wrong.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.message)).collect::<Vec<_>>()
        };
        assert_eq!(check(window(&[], "02:00", "03:00", "UTC")), ["days: it never opens: there is no day in the list"]);
        assert_eq!(check(window(&["sun"], "02:00", "02:00", "UTC")), ["end: it never opens: `end` is `start`"]);
        assert_eq!(
            check(window(&["sun", "someday"], "2am", "25:00", "Europe/Berln")),
            [
                "days/1: `someday` is not a day; the days are mon, tue, wed, thu, fri, sat, sun",
                "start: `2am` is not a time of day such as 02:00",
                "end: `25:00` is not a time of day such as 02:00",
                "timeZone: `Europe/Berln` is not a time zone (did you mean `Europe/Berlin`?)",
            ]
        );
    }

    #[test]
    fn a_window_reads_as_it_was_written() {
        assert_eq!(window(&["sat", "sun"], "02:00", "04:30", "UTC").to_string(), "sat,sun 02:00–04:30 UTC");
        let daily = Window { days: every_day(), ..window(&[], "02:00", "04:30", "UTC") };
        assert_eq!(daily.to_string(), "02:00–04:30 UTC");
    }
}
