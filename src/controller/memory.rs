//! What is remembered of each object: who changes it, and how that is kept.
//!
//! A pass, a person who releases an object, a stop that was seen and a clock that was set may all come at the same moment. So
//! nobody puts back what he has read before: a change is made of what is known at that instant. Writing down takes longer, and is
//! done in turn, of what is known by then.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{Context, pass, world::lock};
use crate::{
    manifest::{Key, Kind},
    observe::evidence::OURS,
    plan::{
        History,
        history::{CutShort, End, ManualStop, STOP_ASKED},
    },
    record::{
        self,
        journal::{AuditEntry, AuditFilter, OpenIntent},
    },
};

/// How many acts are looked through for those that nobody remembers, and for stops that may come late.
const LATE: u32 = 200;

/// Whose turn it is to write down what is remembered of an object: an older memory must not come after a newer one.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Key, Arc<AsyncMutex<()>>>>);

impl Turns {
    fn of(&self, key: &Key) -> Arc<AsyncMutex<()>> {
        Arc::clone(lock(&self.0).entry(key.clone()).or_default())
    }

    /// Nobody waits for the turn of an object that is gone.
    fn forget(&self, key: &Key) {
        let mut turns = lock(&self.0);
        if turns.get(key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(key);
        }
    }
}

impl Context {
    /// Changes what is remembered of an object; durable when it returns.
    pub(super) async fn remember(
        &self,
        (key, generation): (&Key, i64),
        change: impl FnOnce(History) -> History,
    ) -> Result<(), pass::Error> {
        self.change((key, generation), change);
        self.write_down(key).await.map_err(|source| pass::Error::Record { key: key.clone(), source })
    }

    /// The same where nobody waits for it.
    async fn note(&self, key: &Key, change: impl FnOnce(History) -> History) {
        let Some(object) = self.world.reader.get(key) else { return };
        self.change((key, object.generation()), change);
        self.try_to_write_down(key).await;
    }

    fn change(&self, (key, generation): (&Key, i64), change: impl FnOnce(History) -> History) {
        let mut histories = lock(&self.world.histories);
        let known = histories.get(key).cloned().unwrap_or_default().for_generation(generation);
        histories.insert(key.clone(), change(known));
    }

    /// Writes it down where nobody waits to hear that this failed; the log says so.
    async fn try_to_write_down(&self, key: &Key) {
        if let Err(error) = self.write_down(key).await {
            tracing::error!(object = %key, error = crate::error_chain(&error), "what is remembered could not be written down");
        }
    }

    /// Keeps what is known of an object when its turn has come.
    async fn write_down(&self, key: &Key) -> Result<(), record::Error> {
        let turn = self.turns.of(key);
        let _turn = turn.lock().await;
        let known = lock(&self.world.histories).get(key).cloned();
        match known {
            Some(history) => self.record.history.save(key, &history).await,
            None => self.record.history.forget(key).await,
        }
    }

    /// A stop by a person has proven to be one.
    pub(super) async fn remember_stop(&self, key: &Key, stop: ManualStop) {
        let stopped = |history: History| {
            // What was asked of us looks like a stop by somebody else to whoever only sees the engine's events.
            let is_ours = history.manual_stop.as_ref().is_some_and(|known| known.asked && known.container == stop.container);
            if is_ours { history } else { History { manual_stop: Some(stop), ..history } }
        };
        self.note(key, stopped).await;
    }

    /// A person said: try again.
    pub async fn try_again(&self, key: &Key) -> Result<(), String> {
        self.believe_absent_holds().await;
        if matches!(key.kind, Kind::Hold | Kind::Host) {
            return Ok(());
        }
        if self.world.reader.get(key).is_none() {
            return Err(format!("there is no {key}"));
        }
        self.tries_again(key, History::released).await;
        Ok(())
    }

    /// An object is looked at with such a memory, which knows a reason to try again.
    pub(super) async fn tries_again(&self, key: &Key, change: impl FnOnce(History) -> History) {
        self.note(key, change).await;
        self.world.retries.clear(key);
        self.triggers.trigger(key);
    }

    /// What whoever was here before did, and did not live to remember or to see the end of.
    pub(super) async fn take_over(&self, open: &[OpenIntent]) {
        for intent in open {
            tracing::warn!(?intent, "a step was cut short by a crash; looking again");
        }
        // There is no index by time: the newest are those of the last minute, but for some in a storm.
        let entries = match self.record.journal.log(&AuditFilter { limit: LATE, ..AuditFilter::default() }).await {
            Ok(entries) => entries,
            Err(error) => {
                let error = crate::error_chain(&error);
                tracing::error!(error, "what was done last is not remembered, and late stops will pass for stops by hand");
                return;
            }
        };
        self.expect_late_stops(&entries);
        for pass in passes(&entries) {
            self.remember_pass(&pass, entries.last().map_or(0, |newest| newest.id)).await;
        }
    }

    /// The stops that nobody knows to be done: the engine may still carry them out. Who asked for one means it, whenever it comes.
    fn expect_late_stops(&self, entries: &[AuditEntry]) {
        let now = self.world.clock.now();
        let is_owed = |entry: &&AuditEntry| {
            let is_stop = ["RestartContainer", "StopContainer"].contains(&entry.operation.as_str()) && entry.code() != STOP_ASKED;
            is_stop && matches!(entry.outcome.as_deref(), Some("failed" | "unknown"))
        };
        for entry in entries.iter().filter(is_owed) {
            let age = entry.begun().and_then(|at| Duration::try_from(now.duration_since(at)).ok()).unwrap_or_default();
            if let Some(id) = entry.container()
                && age <= OURS
            {
                lock(&self.world.evidence).owed(id, Instant::now().checked_sub(age).unwrap_or_else(Instant::now));
            }
        }
    }

    /// Remembers the steps of a pass that the object's memory does not go by yet.
    async fn remember_pass(&self, steps: &[&AuditEntry], newest: i64) {
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return };
        let Ok(key) = first.object.parse::<Key>() else { return };
        let goes_by = lock(&self.world.histories).get(&key).map_or(0, |known| known.goes_by);
        // A number that this log has not reached is of one that was moved aside.
        let goes_by = if goes_by <= newest { goes_by } else { 0 };
        let now = self.world.clock.now();
        let unseen: Vec<CutShort<'_>> =
            steps.iter().filter(|entry| entry.id > goes_by).map(|entry| cut_short(entry, now)).collect();
        if unseen.is_empty() {
            return;
        }
        let generation = first.generation.unwrap_or_default();
        self.change((&key, generation), |known| known.cut_short(&unseen, now).going_by(last.id));
        self.try_to_write_down(&key).await;
    }

    /// Nothing is left of an object whose manifest is gone, but that things were done to it: the host's budgets would be
    /// endless, were a manifest that is away for a moment enough to forget that.
    pub(super) async fn forget(&self, key: &Key) {
        self.desired.forget(key).await;
        {
            let mut histories = lock(&self.world.histories);
            let left = histories.remove(key).and_then(|history| history.left_behind(self.world.clock.now()));
            histories.extend(left.map(|left| (key.clone(), left)));
        }
        lock(&self.world.resolved).remove(key);
        self.noted.forget(key);
        self.note_budget(key, None);
        lock(&self.readiness).remove(key);
        self.record.status.forget(key);
        self.try_to_write_down(key).await;
        self.turns.forget(key);
    }

    /// Tries were made as long ago as they were, whatever the clock says now.
    pub(super) async fn move_histories(&self, by: SignedDuration, at: Timestamp) {
        let keys: Vec<Key> = {
            let mut histories = lock(&self.world.histories);
            histories.values_mut().for_each(|history| *history = std::mem::take(history).moved(by, at));
            histories.keys().cloned().collect()
        };
        for key in keys {
            self.try_to_write_down(&key).await;
        }
        self.look_at_everything(Instant::now());
    }
}

/// The steps of each pass, in the order in which the passes began.
fn passes(entries: &[AuditEntry]) -> Vec<Vec<&AuditEntry>> {
    let mut passes: Vec<Vec<&AuditEntry>> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.pass.is_some()) {
        match passes.iter_mut().find(|pass| pass.first().is_some_and(|first| first.pass == entry.pass)) {
            Some(pass) => pass.push(entry),
            None => passes.push(vec![entry]),
        }
    }
    passes
}

fn cut_short(entry: &AuditEntry, now: Timestamp) -> CutShort<'_> {
    let end = match entry.outcome.as_deref() {
        Some("done" | "already-so") => End::Done,
        Some("failed") => End::Failed,
        _ => End::Unknown,
    };
    CutShort { code: entry.code(), container: entry.container(), end, at: entry.begun().map_or(now, |at| at.min(now)) }
}
