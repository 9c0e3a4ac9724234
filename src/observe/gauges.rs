//! What is used of the host and by each container: measured every ten seconds
//! while somebody may look, and kept in memory for an hour.
//!
//! It is bounded: [`ring::POINTS`] points, two lines for each of at most [`MOST`]
//! containers. No more than [`ASKED`] containers are asked about in a round, a
//! few at a time, so that an engine with hundreds of them is not kept busy: what
//! was not asked about keeps its last point until its turn comes. Who was asked
//! and did not answer leaves a gap.

pub mod host;
pub mod ring;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use self::{
    host::Look,
    ring::{Counter, Ring, narrow, wide},
};
use super::engine::{Engine, Listed, Usage};
use crate::{manifest::Key, plan::container::State};

/// How often it is measured.
pub const EVERY: Duration = Duration::from_secs(10);
/// Containers that are kept in mind.
pub const MOST: usize = 500;
/// Containers that are asked about in a round.
pub const ASKED: usize = 60;
/// That many at a time. An engine looks once a second and lets everybody wait for that: asked about one after the other,
/// sixty containers take a minute.
const AT_ONCE: usize = 20;
/// A round that takes longer is broken off, and so is the look at disks.
const ROUND: Duration = Duration::from_secs(8);
/// An engine that takes longer for one container is not waited for.
const ONE: Duration = Duration::from_secs(3);

/// All that was measured in the last hour.
#[derive(Debug, Default)]
pub struct Gauges(Mutex<Measured>);

/// The same, to be read.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// When it was last measured.
    pub at: Option<Timestamp>,
    /// The host, as it was last looked at.
    pub look: Look,
    /// Share of the processors that worked, in percent.
    pub processors: Ring,
    /// Share of the memory that is in use, in percent.
    pub memory: Ring,
    /// Load of the last minute.
    pub load: Ring,
    /// Bytes received in a second.
    pub received: Ring,
    /// Bytes sent in a second.
    pub sent: Ring,
    /// Share of each file system that is in use, in percent, by its first directory.
    pub disks: BTreeMap<PathBuf, Ring>,
    /// The containers that run, by name.
    pub containers: BTreeMap<String, Used>,
    /// Containers that are not kept in mind, because there are too many.
    pub left_out: usize,
    /// Why nothing is known of containers, if that is so.
    pub trouble: Option<String>,
    /// What the next round goes by.
    pub counters: Counters,
}

/// What the next round of the host's numbers goes by.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    begun: Option<Instant>,
    ticks: (Counter, Counter),
    bytes: (Counter, Counter),
    turn: usize,
}

/// What a container uses.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// The object that it belongs to.
    pub object: Option<Key>,
    /// Percent of one processor.
    pub processors: Ring,
    /// Bytes of memory, without caches.
    pub memory: Ring,
    /// The memory that it may use, in bytes, if that is limited.
    pub limit: Option<u64>,
    /// Bytes received in a second.
    pub received: Option<f32>,
    /// Bytes sent in a second.
    pub sent: Option<f32>,
    /// What the next answer is compared with.
    pub before: Before,
}

/// What the next answer about a container is compared with.
#[derive(Clone, Debug, Default)]
pub struct Before {
    id: String,
    asked: Option<Timestamp>,
    nanos: Counter,
    bytes: (Counter, Counter),
}

impl Gauges {
    /// What was measured.
    #[must_use]
    pub fn read(&self) -> Measured {
        self.lock().clone()
    }

    /// When it was last measured.
    #[must_use]
    pub fn measured_at(&self) -> Option<Timestamp> {
        self.lock().at
    }

    /// One round. `listed` is whatever the engine has, or why that is not known.
    pub async fn measure(
        &self,
        engine: &dyn Engine,
        paths: Vec<PathBuf>,
        listed: Result<Vec<(Listed, Option<Key>)>, String>,
        at: Timestamp,
    ) {
        let look = tokio::task::spawn_blocking(move || host::look(&paths));
        let look = tokio::time::timeout(ROUND, look).await.ok().and_then(Result::ok).unwrap_or_default();
        let now = Instant::now();
        let asked = {
            let mut measured = self.lock();
            measured.begin(now, at);
            measured.host(look, now);
            measured.containers(listed)
        };
        let deadline = now + ROUND;
        let answers: Vec<_> = stream::iter(asked)
            .map(|(name, id)| async move {
                let limit = ONE.min(deadline.saturating_duration_since(Instant::now()));
                let answer = tokio::time::timeout(limit, engine.usage(&id)).await;
                (name, answer.ok().and_then(Result::ok).flatten())
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut measured = self.lock();
        for (name, usage) in answers {
            if let Some(used) = measured.containers.get_mut(&name) {
                used.answered(usage);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        // Every point stands for itself, so a panic elsewhere spoils one round at most.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    /// Rounds that were left out, while nobody could look, are gaps.
    fn begin(&mut self, now: Instant, at: Timestamp) {
        if let Some(before) = self.counters.begun {
            let rounds = now.duration_since(before).as_secs_f64() / EVERY.as_secs_f64();
            let missed = (1..=ring::POINTS).take_while(|missed| wide(*missed as u64) + 0.5 < rounds).count();
            let rings = [&mut self.processors, &mut self.memory, &mut self.load, &mut self.received, &mut self.sent];
            let of_containers = self.containers.values_mut().flat_map(|used| [&mut used.processors, &mut used.memory]);
            rings.into_iter().chain(self.disks.values_mut()).chain(of_containers).for_each(|ring| ring.skip(missed));
        }
        self.at = Some(at);
    }

    fn host(&mut self, look: Look, now: Instant) {
        let seconds = self.counters.begun.map_or(0.0, |before| now.duration_since(before).as_secs_f64());
        self.counters.begun = Some(now);
        let (worked, all) = look.processors.unzip();
        let (worked, all) = (self.counters.ticks.0.rate(worked, seconds), self.counters.ticks.1.rate(all, seconds));
        self.processors.push(worked.zip(all).map(|(worked, all)| worked / all * 100.0));
        self.memory.push(look.memory.and_then(|(used, total)| percent(used, total)));
        self.load.push(look.load.map(|load| load[0]));
        let (received, sent) = look.network.unzip();
        self.received.push(self.counters.bytes.0.rate(received, seconds));
        self.sent.push(self.counters.bytes.1.rate(sent, seconds));
        let mut disks = std::mem::take(&mut self.disks);
        self.disks = look
            .disks
            .iter()
            .filter_map(|disk| {
                let first = disk.paths.first()?;
                let mut ring = disks.remove(first).unwrap_or_default();
                ring.push(percent(disk.used, disk.total));
                Some((first.clone(), ring))
            })
            .collect();
        self.look = look;
    }

    /// Takes over which containers run, and says which of them are to be asked about now: names and ids.
    fn containers(&mut self, listed: Result<Vec<(Listed, Option<Key>)>, String>) -> Vec<(String, String)> {
        let listed = match listed {
            Ok(listed) => listed,
            Err(trouble) => {
                self.trouble = Some(trouble);
                self.containers.values_mut().for_each(|used| used.answered(None));
                return Vec::new();
            }
        };
        self.trouble = None;
        let mut running: Vec<_> = listed.into_iter().filter(|(listed, _)| listed.state == State::Running).collect();
        running.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        self.left_out = running.len().saturating_sub(MOST);
        running.truncate(MOST);
        let mut before = std::mem::take(&mut self.containers);
        for (listed, object) in running {
            let known = before.remove(&listed.name).unwrap_or_default();
            // Another container of that name goes on with the line, and its counters begin anew.
            let used = if known.before.id == listed.id { known } else { known.anew(listed.id) };
            self.containers.insert(listed.name, Used { object, ..used });
        }
        self.take_turn()
    }

    /// Whose turn it is; the others keep their last point.
    fn take_turn(&mut self) -> Vec<(String, String)> {
        let rounds = self.containers.len().div_ceil(ASKED).max(1);
        let turn = self.counters.turn % rounds;
        self.counters.turn = turn + 1;
        let mut asked = Vec::with_capacity(ASKED);
        for (number, (name, used)) in self.containers.iter_mut().enumerate() {
            if number % rounds == turn {
                asked.push((name.clone(), used.before.id.clone()));
            } else {
                used.wait();
            }
        }
        asked
    }
}

impl Used {
    /// The line goes on, the counters do not.
    fn anew(self, id: String) -> Self {
        let before = Before { id, ..Before::default() };
        Self { processors: self.processors, memory: self.memory, before, ..Self::default() }
    }

    fn wait(&mut self) {
        self.processors.push(self.processors.last());
        self.memory.push(self.memory.last());
    }

    /// What came of asking.
    fn answered(&mut self, usage: Option<Usage>) {
        let usage = usage.unwrap_or_default();
        let seconds = match (self.before.asked, usage.at) {
            (Some(before), Some(at)) => at.duration_since(before).as_secs_f64(),
            _ => 0.0,
        };
        self.before.asked = usage.at;
        let nanos = self.before.nanos.rate(usage.nanos, seconds);
        self.processors.push(nanos.map(|nanos| nanos / 1e7));
        self.memory.push(usage.memory.map(|bytes| narrow(wide(bytes))));
        self.limit = usage.limit;
        self.received = self.before.bytes.0.rate(usage.received, seconds);
        self.sent = self.before.bytes.1.rate(usage.sent, seconds);
    }
}

/// One in percent of the other.
#[must_use]
pub fn percent(part: u64, whole: u64) -> Option<f32> {
    (whole > 0).then(|| narrow(wide(part) / wide(whole) * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(count: usize) -> Vec<(Listed, Option<Key>)> {
        let one = |number: usize| Listed {
            id: format!("id{number}"),
            name: format!("c{number:03}"),
            image: String::new(),
            state: State::Running,
            health: crate::plan::container::Health::None,
            created_at: Timestamp::UNIX_EPOCH,
            labels: BTreeMap::new(),
            networks: BTreeMap::new(),
            network_ids: BTreeMap::new(),
        };
        (0..count).map(|number| (one(number), None)).collect()
    }

    fn usage(second: i64, nanos: u64) -> Usage {
        let at = Timestamp::from_second(second).ok();
        Usage { at, nanos: Some(nanos), memory: Some(1 << 20), ..Usage::default() }
    }

    #[test]
    fn every_container_has_its_turn_and_none_is_asked_about_too_often() {
        let mut measured = Measured::default();
        let mut asked = BTreeMap::new();
        for _ in 0..5 {
            let round = measured.containers(Ok(listed(300)));
            assert_eq!(round.len(), ASKED);
            for (name, _) in round {
                *asked.entry(name).or_insert(0) += 1;
            }
        }
        assert!(asked.len() == 300 && asked.values().all(|times| *times == 1), "{asked:?}");
        assert_eq!(measured.containers(Ok(listed(3))).len(), 3, "few are asked about every time");
    }

    #[test]
    fn more_containers_than_are_kept_in_mind_are_counted() {
        let mut measured = Measured::default();
        measured.containers(Ok(listed(MOST + 7)));
        assert_eq!((measured.containers.len(), measured.left_out), (MOST, 7));
    }

    #[test]
    fn work_is_what_the_counter_grew_by_between_two_answers() {
        let mut used = Used::default();
        used.answered(Some(usage(100, 5_000_000_000)));
        used.answered(Some(usage(110, 10_000_000_000)));
        used.answered(None);
        used.answered(Some(usage(130, 11_000_000_000)));
        used.answered(Some(usage(140, 1_000_000_000)));
        assert_eq!(used.processors.points(), [None, Some(50.0), None, None, None]);
        assert_eq!(used.memory.points().iter().filter(|point| point.is_none()).count(), 1, "a gap, not a zero");
    }

    #[test]
    fn a_container_in_the_place_of_another_goes_on_with_its_line() {
        let mut measured = Measured::default();
        measured.containers(Ok(listed(1)));
        let used = measured.containers.get_mut("c000").unwrap();
        used.answered(Some(usage(100, 9_000_000_000)));
        let mut replaced = listed(1);
        replaced[0].0.id = "another".to_owned();
        assert_eq!(measured.containers(Ok(replaced)), [("c000".to_owned(), "another".to_owned())]);
        let used = measured.containers.get_mut("c000").unwrap();
        used.answered(Some(usage(110, 1_000_000_000)));
        assert_eq!(used.processors.points(), [None, None], "what the other one used is not counted against it");
        assert_eq!(used.memory.points().len(), 2);
    }

    #[test]
    fn an_engine_that_does_not_answer_leaves_gaps_and_is_named() {
        let mut measured = Measured::default();
        measured.containers(Ok(listed(2)));
        measured.containers.values_mut().for_each(|used| used.answered(Some(usage(1, 1))));
        assert!(measured.containers(Err("it is away".to_owned())).is_empty());
        assert_eq!(measured.trouble.as_deref(), Some("it is away"));
        assert!(measured.containers.values().all(|used| used.memory.last().is_none()));
    }

    #[test]
    fn the_time_in_which_nobody_could_look_is_a_gap() {
        let mut measured = Measured::default();
        let begun = Instant::now();
        for after in [0, 10, 20, 60, 70] {
            let now = begun + Duration::from_secs(after);
            measured.begin(now, Timestamp::UNIX_EPOCH);
            measured.host(Look { load: Some([1.0; 3]), ..Look::default() }, now);
        }
        let shown: String = measured.load.points().iter().map(|point| if point.is_some() { '#' } else { '.' }).collect();
        assert_eq!(shown, "###...##");
    }
}
