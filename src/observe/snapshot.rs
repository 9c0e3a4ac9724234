//! One look at the engine for everybody who wants one.
//!
//! A pass needs a list of containers that is younger than whatever asked for
//! the pass. Many passes can share one: who comes while a list is being fetched
//! waits for it, and takes it if it was begun late enough. So a resync of a
//! thousand objects, or a burst of ten thousand events, costs a few list calls.
//!
//! Details (`inspect`) are fetched once for each container and kept, because
//! nearly all of them are fixed when it is made. An event about a container
//! drops what is kept, and so does the passing of time, for events can be lost.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::engine::{Engine, Error, Inspected, Listed};
use crate::{
    clock::Clock,
    manifest::{Key, container::Selector},
    plan::container::Health,
};

/// Lists in [`BURST_WINDOW`] after which they are spaced out a little; a single fault needs two or three.
const BURST: usize = 10;
/// The window in which [`BURST`] is counted.
const BURST_WINDOW: Duration = Duration::from_secs(2);
/// The shortest pause between lists in a burst.
const BURST_PAUSE: Duration = Duration::from_millis(20);
/// In a burst the engine is left alone for so many times as long as the last list took: where there are few containers,
/// lists cost next to nothing, and nobody has to wait for them.
const BURST_SHARE: u32 = 9;
/// Lists in [`STORM_WINDOW`] after which they are spaced out by [`STORM_PAUSE`]; a container that moves needs twenty.
const STORM: usize = 30;
/// Longer than any answer is waited for.
const DOUBTED: Duration = Duration::from_mins(1);
/// The window in which [`STORM`] is counted.
const STORM_WINDOW: Duration = Duration::from_secs(10);
/// The longest pause between lists: five each second still feel immediate, and cost little even with a thousand containers.
const STORM_PAUSE: Duration = Duration::from_millis(200);
/// How long details are trusted without an event.
const DETAILS_KEPT: Duration = Duration::from_mins(5);

/// All containers at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// When the list was asked for.
    pub at: Timestamp,
    /// The containers by id.
    pub containers: BTreeMap<String, Listed>,
}

impl Snapshot {
    /// The containers that carry the label of this object, oldest first.
    #[must_use]
    pub fn of_object(&self, owner: &str, key: &Key) -> Vec<&Listed> {
        let object = key.to_string();
        let mut of_object: Vec<&Listed> = self
            .containers
            .values()
            .filter(|container| container.belongs_to(owner) && container.object() == Some(&object))
            .collect();
        of_object.sort_by_key(|container| container.created_at);
        of_object
    }

    /// The containers that a selector names, none of them our own, oldest first.
    #[must_use]
    pub fn selected(&self, selector: &Selector) -> Vec<&Listed> {
        let mut selected: Vec<&Listed> =
            self.containers.values().filter(|container| container.is_selected_by(selector)).collect();
        selected.sort_by_key(|container| container.created_at);
        selected
    }

    /// The objects that containers of this owner name on their labels.
    #[must_use]
    pub fn owned_objects(&self, owner: &str) -> std::collections::BTreeSet<Key> {
        let ours = self.containers.values().filter(|container| container.belongs_to(owner));
        ours.filter_map(|container| container.object()?.parse().ok()).collect()
    }
}

impl Listed {
    /// Whether this Mooring made it.
    #[must_use]
    pub fn belongs_to(&self, owner: &str) -> bool {
        self.labels.get(super::engine::OWNER_LABEL).is_some_and(|label| label == owner)
    }

    /// The object on its label, as text: labels can say anything.
    #[must_use]
    pub fn object(&self) -> Option<&String> {
        self.labels.get(super::engine::OBJECT_LABEL)
    }

    /// Whether a selector means it. What some Mooring made is never somebody else's.
    #[must_use]
    pub fn is_selected_by(&self, selector: &Selector) -> bool {
        let named = selector.name.as_ref().is_none_or(|name| *name == self.name);
        let labelled = selector.labels.iter().all(|(label, value)| self.labels.get(label) == Some(value));
        let selects = selector.name.is_some() || !selector.labels.is_empty();
        selects && named && labelled && !self.labels.contains_key(super::engine::OWNER_LABEL)
    }
}

/// Looks at the engine on behalf of all passes.
pub struct Snapshots {
    engine: Arc<dyn Engine>,
    clock: Clock,
    latest: tokio::sync::Mutex<Latest>,
    details: Mutex<Known<Arc<Inspected>>>,
}

#[derive(Default)]
struct Latest {
    snapshot: Option<(Instant, Arc<Snapshot>)>,
    /// When the last few lists were asked for.
    asked: VecDeque<Instant>,
    /// How long the last one took.
    took: Duration,
}

/// What is known of containers by their ids, and what came in between.
struct Known<T> {
    /// With when it was asked for.
    details: HashMap<String, (Instant, T)>,
    /// When something last happened to a container.
    doubted: HashMap<String, Instant>,
    /// When something may last have happened to any.
    all_doubted: Option<Instant>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { details: HashMap::new(), doubted: HashMap::new(), all_doubted: None }
    }
}

impl<T> Known<T> {
    /// Keeps what was asked for at this time. An answer that was on its way while something happened may be of before that: kept, it
    /// would be believed until the next event, for nothing drops it any more.
    fn keep(&mut self, id: &str, asked: Instant, details: T) {
        let doubted = self.doubted.get(id).copied().max(self.all_doubted);
        if doubted.is_none_or(|doubted| doubted < asked) {
            self.details.insert(id.to_owned(), (asked, details));
        }
    }

    fn distrust(&mut self, id: &str, at: Instant) {
        self.details.remove(id);
        self.doubted.insert(id.to_owned(), at);
    }

    fn distrust_all(&mut self, at: Instant) {
        self.details.clear();
        self.doubted.clear();
        self.all_doubted = Some(at);
    }

    /// Forgets what is too old, and whatever is known of containers that are not there any more.
    fn tidy(&mut self, is_there: impl Fn(&String) -> bool) {
        self.details.retain(|id, (asked, _)| is_there(id) && asked.elapsed() < DETAILS_KEPT);
        self.doubted.retain(|_, doubted| doubted.elapsed() < DOUBTED);
    }
}

impl Snapshots {
    /// Of this engine.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, clock: Clock) -> Self {
        Self { engine, clock, latest: tokio::sync::Mutex::default(), details: Mutex::default() }
    }

    /// The engine that is looked at.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// A list that was asked for no earlier than `not_before`.
    pub async fn since(&self, not_before: Instant) -> Result<Arc<Snapshot>, Error> {
        let mut latest = self.latest.lock().await;
        if let Some((asked, snapshot)) = &latest.snapshot
            && *asked >= not_before
        {
            return Ok(Arc::clone(snapshot));
        }
        latest.pace().await;
        let (asked, at) = (Instant::now(), self.clock.now());
        let containers = self.engine.list().await?;
        latest.took = asked.elapsed();
        let containers: BTreeMap<String, Listed> =
            containers.into_iter().map(|container| (container.id.clone(), container)).collect();
        self.details().tidy(|id| containers.contains_key(id));
        let snapshot = Arc::new(Snapshot { at, containers });
        latest.snapshot = Some((asked, Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    /// The details of a listed container; none when it is gone meanwhile.
    pub async fn details_of(&self, listed: &Listed) -> Result<Option<Arc<Inspected>>, Error> {
        let known = self.details().details.get(&listed.id).map(|(_, inspected)| Arc::clone(inspected));
        // Details that tell of another state, or know nothing of a check that has failed, were fetched before it happened.
        if let Some(inspected) = known
            && std::mem::discriminant(&inspected.state) == std::mem::discriminant(&listed.state)
            && (listed.health != Health::Unhealthy || inspected.health == Health::Unhealthy)
        {
            return Ok(Some(inspected));
        }
        let asked = Instant::now();
        let Some(inspected) = self.engine.inspect(&listed.id).await? else {
            return Ok(None);
        };
        let inspected = Arc::new(inspected);
        self.details().keep(&listed.id, asked, Arc::clone(&inspected));
        Ok(Some(inspected))
    }

    /// Something happened to this container: what is known of it may be wrong.
    pub fn distrust(&self, id: &str) {
        self.details().distrust(id, Instant::now());
    }

    /// The engine was away: anything may have happened.
    pub fn distrust_all(&self) {
        self.details().distrust_all(Instant::now());
    }

    fn details(&self) -> std::sync::MutexGuard<'_, Known<Arc<Inspected>>> {
        // Whole entries are put in and taken out, so a panic elsewhere cannot leave half of one.
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latest {
    /// Waits as long as a burst demands.
    async fn pace(&mut self) {
        let now = Instant::now();
        self.asked.retain(|asked| now.duration_since(*asked) < STORM_WINDOW);
        let is_burst =
            self.asked.iter().rev().take(BURST).filter(|asked| now.duration_since(**asked) < BURST_WINDOW).count() == BURST;
        let pause =
            if self.asked.len() >= STORM { STORM_PAUSE } else { (self.took * BURST_SHARE).clamp(BURST_PAUSE, STORM_PAUSE) };
        if let Some(last) = self.asked.back().filter(|_| is_burst) {
            tokio::time::sleep_until(*last + pause).await;
        }
        self.asked.push_back(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit that somebody set while the answer of before was on its way stayed unseen for five minutes.
    #[test]
    fn an_answer_that_was_on_its_way_while_something_happened_is_not_kept() {
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut known = Known::default();
        known.distrust("c1", at(5));
        known.keep("c1", at(4), "of before");
        known.keep("c2", at(4), "another's");
        assert_eq!((known.details.get("c1"), known.details.len()), (None, 1));
        known.keep("c1", at(6), "of after");
        known.distrust_all(at(7));
        known.keep("c2", at(6), "before the engine went away");
        assert!(known.details.is_empty());
        known.keep("c1", at(8), "as it is");
        assert_eq!(known.details["c1"].1, "as it is");
    }
}
