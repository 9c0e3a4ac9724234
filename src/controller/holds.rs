//! Holds, at the one place where plans are made.
//!
//! Every plan goes through [`World::plan`], and every change of a hold, its end
//! included, asks for a look at what it is on.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Context,
    world::{World, lock},
};
use crate::{
    manifest::{
        Key, Kind,
        hold::Target,
        status::{ConditionStatus, ConditionType, Status},
    },
    plan::hold::{Desired, Observed, Unmatched},
    resolve,
};

/// The longest sleep until the end of a hold: the time of day can be set while we sleep.
const LONGEST: Duration = Duration::from_mins(10);

impl World {
    /// All holds, those that are over included.
    #[must_use]
    pub fn holds(&self) -> Arc<[Desired]> {
        Arc::clone(&lock(&self.holds))
    }

    /// Reads the holds from the store, whenever that has changed. Returns what they were before.
    pub fn read_holds(&self) -> Arc<[Desired]> {
        let objects = self.reader.objects();
        let holds = objects.iter().filter(|(key, _)| key.kind == Kind::Hold).filter_map(|(_, object)| self.resolve(object).0);
        let holds: Vec<_> = holds
            .filter_map(|desired| match desired {
                resolve::Desired::Hold(hold) => Some(hold),
                _ => None,
            })
            .collect();
        std::mem::replace(&mut *lock(&self.holds), holds.into())
    }

    /// What a hold is on, and what it misses.
    pub(super) fn observe_hold(&self, desired: &Desired) -> Observed {
        Observed { at: self.clock.now(), unmatched: self.unmatched(&desired.targets) }
    }

    /// The targets that mean no object.
    pub(super) fn unmatched(&self, targets: &[Target]) -> Vec<Unmatched> {
        let keys: Vec<Key> = self.reader.objects().into_keys().collect();
        let unmatched = targets.iter().filter_map(|target| match target {
            Target::Object(key) if !keys.contains(key) => {
                let namesakes = keys.iter().filter(|known| known.kind == key.kind || known.name == key.name);
                Some(Unmatched { target: target.to_string(), nearest: resolve::nearest(key, namesakes).cloned() })
            }
            Target::Object(_) | Target::Kind(_) | Target::All => None,
        });
        unmatched.collect()
    }

    /// When the end of this hold has to be looked at, if it is one that is in force.
    pub(super) fn hold_ends_in(&self, key: &Key) -> Option<Duration> {
        let at = self.clock.now();
        let holds = self.holds();
        let hold = holds.iter().find(|hold| hold.key == *key && hold.is_in_force(at))?;
        let left = Duration::try_from(hold.until.duration_since(at)).unwrap_or_default();
        Some(left.clamp(Duration::from_millis(10), LONGEST))
    }

    /// The objects that a hold is on.
    fn held_by(&self, hold: &Desired) -> Vec<Key> {
        let objects = self.reader.objects().into_iter();
        objects.filter(|(key, object)| hold.covers(key, object.expanded_from().as_ref())).map(|(key, _)| key).collect()
    }
}

impl Context {
    /// The store has changed: looks at everything that a changed hold is, or was, on.
    pub(super) fn holds_changed(&self) {
        if self.world.read_policy() {
            // Anything may be permitted now that was not, and the other way round.
            self.look_at_everything(Instant::now());
        }
        let before = self.world.read_holds();
        let now = self.world.holds();
        let at = self.world.clock.now();
        for hold in before.iter().filter(|hold| !now.contains(hold)) {
            let is_gone = !now.iter().any(|other| other.key == hold.key);
            self.look_at_held(hold, |key| {
                if is_gone && hold.is_in_force(at) {
                    self.record.events.normal(key.clone(), "HoldOver", format!("{} was taken away", hold.key));
                }
            });
        }
        now.iter().filter(|hold| !before.contains(hold)).for_each(|hold| self.look_at_held(hold, |_| {}));
    }

    /// A hold has come to its end: says so, to everything that it was on as well, and looks at that.
    pub(super) fn hold_over(&self, key: &Key, previous: &Status, since: Timestamp) {
        let message = format!("it ended at {since:.0} and holds nothing any more");
        self.record.events.normal(key.clone(), "HoldOver", message);
        let was_in_force = previous.condition(ConditionType::Held).is_some_and(|held| held.status == ConditionStatus::True);
        if let Some(hold) = self.world.holds().iter().find(|hold| hold.key == *key && was_in_force) {
            let message = format!("{key} ended at {since:.0}");
            self.look_at_held(hold, |key| self.record.events.normal(key.clone(), "HoldOver", message.clone()));
        }
    }

    fn look_at_held(&self, hold: &Desired, tell: impl Fn(&Key)) {
        for key in self.world.held_by(hold) {
            tell(&key);
            self.triggers.trigger(&key);
        }
    }
}
