//! Orders that the engine carries out although nobody waits for them any more: it
//! has said that they failed, the one who gave them has given up, or has died.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mooring::{
    plan::{EngineAction, Target},
    secret::Secret,
};
use tokio::{task::JoinHandle, time::sleep};

use super::{
    dice::Dice,
    hostile::{Hostile, Ill},
    oracle::Call,
};

/// How late they are, in milliseconds.
const SOONEST: u64 = 1_000;
const LATEST: u64 = 20_000;

/// Those that are still to be carried out. Clones are the same.
#[derive(Clone)]
pub struct Late(Arc<Mutex<Inner>>);

struct Inner {
    dice: Dice,
    pending: Vec<JoinHandle<()>>,
}

impl Late {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { dice: Dice::new(seed, "late acts"), pending: Vec::new() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How late this is carried out, if it is at all.
    pub fn by(&self, action: &EngineAction) -> Option<Duration> {
        let takes_long = matches!(
            action,
            EngineAction::CreateContainer(_)
                | EngineAction::StartContainer { .. }
                | EngineAction::StopContainer { .. }
                | EngineAction::RestartContainer { .. }
        );
        let mut inner = self.inner();
        (takes_long && inner.dice.percent(60)).then(|| inner.dice.millis(SOONEST, LATEST))
    }

    /// What is said of an order that is put off.
    pub fn excuse(&self) -> Ill {
        match self.inner().dice.below(3) {
            0 => Ill::TimedOut,
            1 => Ill::Status(500),
            _ => Ill::Garbled,
        }
    }

    /// Whether something is still to be carried out.
    pub fn is_left(&self) -> bool {
        let mut inner = self.inner();
        inner.pending.retain(|task| !task.is_finished());
        !inner.pending.is_empty()
    }

    /// The engine has ended, and with it all that it was to do.
    pub fn forget(&self) {
        for task in self.inner().pending.drain(..) {
            task.abort();
        }
    }

    fn add(&self, task: JoinHandle<()>) {
        self.inner().pending.push(task);
    }
}

impl Hostile {
    /// This is carried out so late, to what it was meant for when it was asked for.
    pub fn later(&self, action: &EngineAction, variables: &BTreeMap<String, Secret>, call: &Call, late: Duration) {
        let Some(action) = self.meant(action) else { return };
        self.trace.note(format!("engine: {action} will be carried out in {late:?}"));
        let (engine, variables, call) = (self.clone(), variables.clone(), call.clone());
        let task = tokio::spawn(async move {
            sleep(late).await;
            engine.trace.note(format!("engine: late, {action}"));
            // Nobody is told what it came to.
            let _ = engine.carry_out(&action, &variables, &call).await;
        });
        self.late.add(task);
    }

    /// The same of the container that has the name now: that is looked up when a request comes.
    fn meant(&self, action: &EngineAction) -> Option<EngineAction> {
        let seen = |target: &Target| {
            let things = self.engine.everything();
            let reference = target.reference();
            let found = things.iter().find(|thing| thing.listed.id == reference || thing.listed.name == reference)?;
            Some(Target::seen(&found.listed.id, &target.name))
        };
        Some(match action {
            EngineAction::StartContainer { container } => EngineAction::StartContainer { container: seen(container)? },
            EngineAction::StopContainer { container } => EngineAction::StopContainer { container: seen(container)? },
            EngineAction::RestartContainer { container } => EngineAction::RestartContainer { container: seen(container)? },
            other => other.clone(),
        })
    }
}

/// An order that the engine has heard of. Whoever hangs up before it has begun may have it carried out all the same.
pub struct Heard<'a> {
    pub engine: &'a Hostile,
    pub action: &'a EngineAction,
    pub variables: &'a BTreeMap<String, Secret>,
    pub call: Call,
    /// Whether what becomes of it is decided.
    pub is_settled: bool,
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        if let Some(late) = self.engine.late.by(self.action) {
            self.engine.later(self.action, self.variables, &self.call, late);
        }
    }
}
