//! The pulls that are under way: written by whoever pulls, read by whoever wants to know.
//!
//! A pull takes minutes, and the pass that it belongs to takes as long. So
//! everybody else learns of it from here.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    manifest::Key,
    plan::model_provider::{Desired, same, size},
};

/// The span over which a rate is measured: long enough to be steady, short enough to follow the line.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples are taken so often; the server tells many times a second.
const SAMPLE: Duration = Duration::from_millis(500);

/// All pulls of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pulls {
    under_way: Arc<Mutex<BTreeMap<Key, Pull>>>,
    /// Bytes that have to be free for a model, as far as pulls have found out.
    needed: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// One pull.
#[derive(Clone, Debug)]
pub struct Pull {
    /// What it is for, as it was when it began.
    pub desired: Desired,
    /// The server.
    pub url: String,
    /// The model.
    pub model: String,
    /// How far it is.
    pub progress: Progress,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// How far a pull is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// What the server last said it does, as in `verifying sha256 digest`.
    pub status: String,
    /// Bytes that it has.
    pub completed: u64,
    /// Bytes that there are, as far as it has told.
    pub total: u64,
    samples: VecDeque<(Instant, u64)>,
}

impl Pulls {
    /// The pulls by the objects that they are for.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Key, Pull> {
        lock(&self.under_way).clone()
    }

    /// The other object for which this server pulls this model just now.
    #[must_use]
    pub fn same_for_another(&self, object: &Key, url: &str, model: &str) -> Option<Key> {
        let under_way = lock(&self.under_way);
        let other = under_way.iter().find(|(key, pull)| *key != object && pull.url == url && same(&pull.model, model));
        other.map(|(key, _)| key.clone())
    }

    /// The object for which a model is pulled through this container.
    #[must_use]
    pub fn through(&self, container: &Key) -> Option<Key> {
        let under_way = lock(&self.under_way);
        let pull = under_way.iter().find(|(_, pull)| pull.desired.ollama.container.as_ref() == Some(container));
        pull.map(|(key, _)| key.clone())
    }

    /// Bytes that have to be free for a model, if an earlier pull has found out.
    #[must_use]
    pub fn needed(&self, url: &str, model: &str) -> Option<u64> {
        lock(&self.needed).get(&place(url, model)).copied()
    }

    /// Remembers how many bytes have to be free for a model.
    pub fn needs(&self, url: &str, model: &str, bytes: u64) {
        lock(&self.needed).insert(place(url, model), bytes);
    }

    /// A pull begins; it is over when the guard is dropped. None when there is one for this server and model already.
    #[must_use]
    pub fn begin(&self, desired: &Desired, url: &str, model: &str) -> Option<Begun> {
        let mut under_way = lock(&self.under_way);
        if under_way.values().any(|pull| pull.url == url && same(&pull.model, model)) || under_way.contains_key(&desired.key) {
            return None;
        }
        let cancel = CancellationToken::new();
        let (url, model) = (url.to_owned(), model.to_owned());
        let pull = Pull { desired: desired.clone(), url, model, progress: Progress::default(), cancel: cancel.clone() };
        under_way.insert(desired.key.clone(), pull);
        Some(Begun { pulls: self.clone(), object: desired.key.clone(), cancel })
    }
}

/// A pull that has begun.
#[derive(Debug)]
pub struct Begun {
    pulls: Pulls,
    object: Key,
    /// Fires when the pull is not wanted any more.
    pub cancel: CancellationToken,
}

impl Begun {
    /// The server has told how far it is.
    pub fn told(&self, status: &str, completed: u64, total: u64, now: Instant) {
        if let Some(pull) = lock(&self.pulls.under_way).get_mut(&self.object) {
            pull.progress.told(status, completed, total, now);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        lock(&self.pulls.under_way).remove(&self.object);
    }
}

impl Progress {
    fn told(&mut self, status: &str, completed: u64, total: u64, now: Instant) {
        status.clone_into(&mut self.status);
        (self.completed, self.total) = (completed, total);
        if self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLE) {
            self.samples.push_back((now, completed));
        }
        while self.samples.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second of late; none while nothing comes, or it is not known yet.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        let (from, to) = (self.samples.front()?, self.samples.back()?);
        let took = u64::try_from(to.0.duration_since(from.0).as_millis()).ok().filter(|took| *took > 0)?;
        Some(to.1.saturating_sub(from.1).saturating_mul(1000) / took).filter(|rate| *rate > 0)
    }

    /// Percent of what is known to be there, rounded down.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        (self.total > 0).then(|| self.completed.min(self.total).saturating_mul(100) / self.total)
    }

    /// As in `37 % of 3.3 GB, 41.0 MB/s, 51 s left`.
    #[must_use]
    pub fn describe(&self) -> String {
        let Some(percent) = self.percent() else {
            let is_silent = self.status.is_empty();
            return if is_silent { "the server has not said anything yet".to_owned() } else { self.status.clone() };
        };
        let part = format!("{percent} % of {}", size(self.total));
        match self.rate() {
            _ if percent == 100 => format!("{part}, {}", self.status),
            Some(rate) => {
                let left = Duration::from_secs(self.total.saturating_sub(self.completed).div_ceil(rate));
                format!("{part}, {}/s, {} left", size(rate), crate::manifest::quantity::Duration(left))
            }
            None => format!("{part}, nothing comes just now"),
        }
    }
}

fn place(url: &str, model: &str) -> String {
    format!("{url} {model}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here can be left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_with_rate_and_time_left() {
        let mut progress = Progress::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(progress.describe(), "the server has not said anything yet");
        progress.told("pulling manifest", 0, 0, at(0));
        assert_eq!(progress.describe(), "pulling manifest");
        progress.told("pulling aa", 0, 3_000_000_000, at(1));
        assert_eq!(progress.describe(), "0 % of 3.0 GB, nothing comes just now");
        progress.told("pulling aa", 1_000_000_000, 3_000_000_000, at(10));
        assert_eq!(progress.describe(), "33 % of 3.0 GB, 100.0 MB/s, 20s left");
        // What came long ago says nothing about now.
        progress.told("pulling aa", 1_100_000_000, 3_000_000_000, at(20));
        assert_eq!(progress.describe(), "36 % of 3.0 GB, 10.0 MB/s, 3m10s left");
        progress.told("verifying sha256 digest", 3_000_000_000, 3_000_000_000, at(21));
        assert_eq!(progress.describe(), "100 % of 3.0 GB, verifying sha256 digest");
    }
}
