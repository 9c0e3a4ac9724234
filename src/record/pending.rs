//! What is to be written when there is time: events and statuses.
//!
//! Both are folded here, before they cost anything: ten thousand equal events
//! are one row, and of a status only the last counts. Putting something here
//! never waits; the writer takes it from here between acts.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

use super::events::EventKey;
use crate::manifest::{Key, status::Status};

/// Long enough for the events of one pass to share a transaction, short enough that a person who watches does not notice.
const RIPENS: Duration = Duration::from_millis(100);

/// Different events that may wait while the database cannot be written; a
/// thousand kinds of trouble at once tell no more than the first of them.
const EVENTS: usize = 1024;

/// Rows in one transaction: an act that arrives meanwhile waits for it, so it has to stay in the milliseconds.
const BATCH: usize = 100;

/// How often something happened since it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) count: u64,
    /// The place of the last one among all that were told. Events of one pass often have one time.
    pub(super) place: u64,
}

/// Things to write.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: BTreeMap<EventKey, Tally>,
    /// The newest status of an object; none when the object is gone.
    pub(super) statuses: BTreeMap<Key, Option<Status>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.statuses.is_empty()
    }

    /// Adds an event; false when there is no room for it.
    fn fold(&mut self, event: EventKey, tally: Tally) -> bool {
        if let Some(known) = self.events.get_mut(&event) {
            known.first_at = known.first_at.min(tally.first_at);
            known.last_at = known.last_at.max(tally.last_at);
            known.count += tally.count;
            known.place = known.place.max(tally.place);
            return true;
        }
        let has_room = self.events.len() < EVENTS;
        if has_room {
            self.events.insert(event, tally);
        }
        has_room
    }
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    batch: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: Batch,
    told: u64,
    since: Option<Instant>,
}

impl Pending {
    /// Adds an event; false when it had to be dropped.
    pub(super) fn add_event(&self, event: EventKey, at: Timestamp) -> bool {
        let kept = self.change(|waiting| {
            waiting.told += 1;
            waiting.batch.fold(event, Tally { first_at: at, last_at: at, count: 1, place: waiting.told })
        });
        self.arrived.notify_one();
        kept
    }

    /// Adds the newest status of an object, or that the object is gone.
    pub(super) fn add_status(&self, key: Key, status: Option<Status>) {
        self.change(|waiting| waiting.batch.statuses.insert(key, status));
        self.arrived.notify_one();
    }

    /// Takes out as much as one transaction may hold.
    pub(super) fn take(&self) -> Batch {
        let mut waiting = self.lock();
        let batch = Batch { events: split(&mut waiting.batch.events), statuses: split(&mut waiting.batch.statuses) };
        if waiting.batch.is_empty() {
            waiting.since = None;
        }
        batch
    }

    /// Puts back what could not be written. What has come in meanwhile is newer.
    pub(super) fn put_back(&self, batch: Batch) {
        self.change(|waiting| {
            for (event, tally) in batch.events {
                waiting.batch.fold(event, tally);
            }
            for (key, status) in batch.statuses {
                waiting.batch.statuses.entry(key).or_insert(status);
            }
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().batch.is_empty()
    }

    /// Waits until something has been waiting long enough.
    pub(super) async fn ripe(&self) {
        loop {
            let since = self.lock().since;
            match since {
                Some(since) => return tokio::time::sleep_until(since + RIPENS).await,
                None => self.arrived.notified().await,
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        let mut waiting = self.lock();
        waiting.since.get_or_insert_with(Instant::now);
        change(&mut waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.batch.lock().expect("nothing panics while holding it")
    }
}

/// The first entries of a map, as many as one transaction may hold.
fn split<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>) -> BTreeMap<K, V> {
    let rest = match map.keys().nth(BATCH).cloned() {
        Some(key) => map.split_off(&key),
        None => BTreeMap::new(),
    };
    mem::replace(map, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::events::{EventType, Subject};

    fn event(message: impl Into<String>) -> EventKey {
        EventKey { object: Subject::Host, kind: EventType::Normal, reason: "Test".into(), message: message.into() }
    }

    #[test]
    fn equal_events_wait_as_one() {
        let pending = Pending::default();
        for second in [5, 1, 9] {
            assert!(pending.add_event(event("again"), Timestamp::from_second(second).unwrap()));
        }
        let batch = pending.take();
        let at = |second| Timestamp::from_second(second).unwrap();
        let tally = Tally { first_at: at(1), last_at: at(9), count: 3, place: 3 };
        assert_eq!(batch.events.into_iter().collect::<Vec<_>>(), [(event("again"), tally)]);
        assert!(pending.take().is_empty());
    }

    #[test]
    fn a_flood_of_different_events_is_cut_and_leaves_in_small_batches() {
        let pending = Pending::default();
        let kept = (0..EVENTS + 7).filter(|number| pending.add_event(event(number.to_string()), Timestamp::UNIX_EPOCH)).count();
        assert_eq!(kept, EVENTS);
        assert_eq!(pending.take().events.len(), BATCH);
        assert!(pending.add_event(event("room again"), Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn what_is_put_back_does_not_replace_what_is_newer() {
        let pending = Pending::default();
        let key: Key = "Container/redis".parse().unwrap();
        let (old, new) = (Status::default(), Status { observed_generation: Some(2), ..Status::default() });
        pending.add_status(key.clone(), Some(old));
        let batch = pending.take();
        pending.add_status(key.clone(), Some(new.clone()));
        pending.put_back(batch);
        assert_eq!(pending.take().statuses[&key], Some(new));
    }
}
