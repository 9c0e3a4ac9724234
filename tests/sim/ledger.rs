//! What the engine has really done, held against what the journal says came of it.

use std::collections::{BTreeMap, BTreeSet};

/// Whatever the engine can be asked to do, and nginx. What comes of a pull is seen by the model of ollama.
const OPERATIONS: [&str; 13] = [
    "CreateNetwork",
    "RemoveNetwork",
    "CreateVolume",
    "PullImage",
    "CreateContainer",
    "StartContainer",
    "RestartContainer",
    "StopContainer",
    "RenameContainer",
    "RemoveContainer",
    "ConnectNetwork",
    "UpdateContainer",
    "ReloadProxy",
];

/// An operation, and its target.
pub type What = (String, String);

/// How often what was carried out, and by which intent.
#[derive(Default)]
pub struct Ledger {
    /// By the intents that calls went by.
    by_intent: BTreeMap<i64, usize>,
    /// Whether or not there was one.
    by_what: BTreeMap<What, usize>,
    /// Intents that were open together for the same thing, so that nobody can say which call went by which.
    ambiguous: BTreeSet<i64>,
}

impl Ledger {
    /// The intent that a call goes by, of those that are open for it: none if calls have gone by all of them.
    pub fn take(&mut self, open: &[i64]) -> Option<i64> {
        let free: Vec<i64> = open.iter().copied().filter(|intent| !self.by_intent.contains_key(intent)).collect();
        if free.len() > 1 {
            self.ambiguous.extend(&free);
        }
        // What an earlier Mooring has left open is older.
        let intent = free.last().copied()?;
        self.by_intent.insert(intent, 0);
        Some(intent)
    }

    /// It was carried out, and the world is different now.
    pub fn carried_out(&mut self, what: &What, intent: Option<i64>) {
        *self.by_what.entry(what.clone()).or_default() += 1;
        if let Some(times) = intent.and_then(|intent| self.by_intent.get_mut(&intent)) {
            *times += 1;
        }
    }

    /// Where these outcomes, by their intents, are not what happened.
    pub fn lies(&self, outcomes: &BTreeMap<i64, (String, String, String)>) -> Vec<String> {
        let mut lies = Vec::new();
        // How often each is said to have been done, and how often it may have been.
        let mut said = BTreeMap::<What, (usize, usize)>::new();
        for (intent, (operation, target, outcome)) in outcomes {
            if !OPERATIONS.contains(&operation.as_str()) {
                continue;
            }
            let (least, most) = match outcome.as_str() {
                "done" => (1, 1),
                "already-so" => (0, 0),
                // What is refused may have been done, and what nobody answered.
                _ => (0, 1),
            };
            let sum = said.entry((operation.clone(), target.clone())).or_default();
            *sum = (sum.0 + least, sum.1 + most);
            let times = self.by_intent.get(intent).copied().unwrap_or_default();
            if !self.ambiguous.contains(intent) && !(least..=most).contains(&times) {
                lies.push(format!(
                    "{operation} of {target} is on record as {outcome}, and was done {times} times (row {intent})"
                ));
            }
        }
        for what in self.by_what.keys().chain(said.keys()).collect::<BTreeSet<_>>() {
            let ((least, most), times) =
                (said.get(what).copied().unwrap_or_default(), self.by_what.get(what).copied().unwrap_or_default());
            if !(least..=most).contains(&times) {
                let (operation, target) = what;
                lies.push(format!("{operation} of {target} was done {times} times, and by the log {least} to {most} times"));
            }
        }
        lies
    }
}
