//! Who reads the same again and again, such as a program that waits for something, would fill the audit log with nothing
//! else: within a minute once is enough, and the next entry says how often it was.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

/// Within this time a read is written down once.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// Reads that are remembered. Beyond, each is written down, as if nobody had read it before.
const MOST: usize = 1000;

/// A read that stands in the audit log.
struct Poll {
    since: Timestamp,
    /// Times that it was read since then.
    unsaid: u32,
}

/// The reads of the last minute, by who read and what.
#[derive(Default)]
pub(super) struct Polls(Mutex<HashMap<(String, String), Poll>>);

impl Polls {
    /// What to write down of a read; nothing where that stands there already.
    pub(super) fn words(&self, (actor, path): (&str, &str), words: &str, now: Timestamp) -> Option<String> {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = (actor.to_owned(), path.to_owned());
        let is_over = |poll: &Poll| !(SignedDuration::ZERO..WINDOW).contains(&now.duration_since(poll.since));
        let Some(poll) = polls.get_mut(&known) else {
            if polls.len() >= MOST {
                polls.retain(|_, poll| !is_over(poll));
            }
            if polls.len() < MOST {
                polls.insert(known, Poll { since: now, unsaid: 0 });
            }
            return Some(words.to_owned());
        };
        if !is_over(poll) {
            poll.unsaid = poll.unsaid.saturating_add(1);
            return None;
        }
        let Poll { since, unsaid } = std::mem::replace(poll, Poll { since: now, unsaid: 0 });
        match unsaid {
            0 => Some(words.to_owned()),
            1 => Some(format!("{words}, and once more within a minute from {since:.0}")),
            _ => Some(format!("{words}, and {unsaid} times more within a minute from {since:.0}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_and_again_is_written_down_once_a_minute_with_how_often_it_was() {
        let polls = Polls::default();
        let read = |actor, path, second| {
            let now = "2026-01-02T03:04:05.5Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second);
            polls.words((actor, path), "GET /claw/threads", now)
        };
        let plain = || Some("GET /claw/threads".to_owned());
        assert_eq!(read("ci", "/claw/threads", 0), plain());
        assert_eq!(read("ci", "/claw/threads", 1), None);
        assert_eq!(read("ci", "/claw/threads", 59), None);
        assert_eq!(read("cd", "/claw/threads", 59), plain(), "somebody else");
        assert_eq!(read("ci", "/claw/threads?limit=1", 59), plain(), "something else");
        let said = "GET /claw/threads, and 2 times more within a minute from 2026-01-02T03:04:05Z";
        assert_eq!(read("ci", "/claw/threads", 60).as_deref(), Some(said));
        assert_eq!(read("ci", "/claw/threads", 61), None);
        assert!(read("ci", "/claw/threads", 500).unwrap().contains("once more"));
        assert_eq!(read("ci", "/claw/threads", 600), plain(), "nothing was left out");
        assert_eq!(read("ci", "/claw/threads", 100), plain(), "a clock that was put back leaves nothing out");
    }

    #[test]
    fn more_than_can_be_remembered_is_written_down_each_time() {
        let polls = Polls::default();
        let read = |number: usize, second| {
            let now = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second);
            polls.words(("ci", &format!("/{number}")), "GET", now).is_some()
        };
        assert!((0..=MOST).all(|number| read(number, 0)));
        assert!(!read(0, 1) && read(MOST, 1), "the last one was not remembered");
        assert!(read(MOST, 60) && !read(MOST, 61), "what is over makes room");
    }
}
