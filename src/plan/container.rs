//! Decides what to do about one container.

pub mod absent;
pub mod heal;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Plan,
    action::VariableSource,
    history::History,
    shape::{Limits, Shape},
};
use crate::{
    manifest::{
        Key,
        container::{DependencyCondition, Healing, OnManualStop, Probe, PullPolicy},
    },
    secret::Fingerprint,
};

/// What the manifest says, with defaults filled in and references resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// The container's name on the engine.
    pub name: String,
    /// Everything that needs a new container when it changes.
    pub shape: Shape,
    /// Where its environment variables come from, in ascending precedence.
    pub variables: Vec<Variables>,
    /// When to pull the image.
    pub pull_policy: PullPolicy,
    /// What has to be up first.
    pub depends_on: Vec<Dependency>,
    /// A check of our own.
    pub probe: Option<Probe>,
    /// What is permitted.
    pub policy: Policy,
}

/// A source of environment variables.
#[derive(Clone, Debug, PartialEq)]
pub enum Variables {
    /// Written out in the manifest.
    Literal(BTreeMap<String, String>),
    /// Taken from an `Environment`: these, or all that it has.
    Environment {
        /// Its name.
        name: String,
        /// The variables; all, without a list.
        keys: Option<Vec<String>>,
    },
}

/// What has to be up first.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// The object.
    pub key: Key,
    /// What it has to have reached.
    pub condition: DependencyCondition,
}

/// What is permitted, and how often.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// What a stop by a person means.
    pub on_manual_stop: OnManualStop,
    /// Whether a container with data may be recreated.
    pub allow_recreate: bool,
    /// Whether a container with data may be removed when its manifest goes.
    pub allow_remove: bool,
    /// Backoff and budget.
    pub healing: Healing,
}

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// The containers of this object: those that carry its label, or that its selector names. Oldest first.
    pub containers: Vec<Container>,
    /// Whether a container that is not of this object has the wanted name.
    pub name_taken: bool,
    /// Networks that the shape names and that do not exist.
    pub missing_networks: BTreeSet<String>,
    /// Volumes that the shape names and that do not exist.
    pub missing_volumes: BTreeSet<String>,
    /// Whether the engine has the image. Only asked when a container would have to be made.
    pub image_present: bool,
    /// The variables that the container should have, with their sources' values as they are now.
    pub variables: BTreeMap<String, Variable>,
    /// Variables that are wanted and have no value, with the reason.
    pub missing_variables: BTreeMap<String, String>,
    /// How each dependency fares.
    pub dependencies: BTreeMap<Key, Readiness>,
    /// A stop by a person may be under way: a polite signal, or the engine's word, was seen this long ago and is not confirmed yet.
    pub stop_suspected: Option<Timestamp>,
    /// What is remembered.
    pub history: History,
}

/// A variable that the container should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Where it comes from.
    pub source: VariableSource,
    /// The public name of its value.
    pub fingerprint: Fingerprint,
}

/// One container on the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// The name, without the leading slash.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// What the engine's health check says.
    pub health: Health,
    /// What our own probe says; none when there is no probe.
    pub probe: Option<ProbeState>,
    /// When its main process was last started.
    pub started_at: Option<Timestamp>,
    /// What we made it with; none when somebody else made it, or the label cannot be read.
    pub made_with: Option<MadeWith>,
    /// The user-defined networks it is attached to.
    pub networks: BTreeSet<String>,
    /// Its environment variables, by the public names of their values.
    pub variables: BTreeMap<String, Fingerprint>,
    /// Its limits and restart policy as they are now.
    pub limits: Limits,
}

/// What a container of ours was made with, from its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct MadeWith {
    /// Its shape.
    pub shape: Shape,
    /// The names of the variables that it was given; others come from its image.
    pub variables: BTreeSet<String>,
    /// Whether it may be removed although it has data, when its manifest goes.
    pub allow_remove: bool,
}

/// What a container is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen by somebody.
    Paused,
    /// Exited; the engine will start it again by its restart policy.
    Restarting,
    /// The engine is removing it.
    Removing,
    /// Stopped.
    Exited {
        /// The exit code of the main process.
        exit_code: i64,
        /// Whether the kernel killed it for want of memory.
        out_of_memory: bool,
    },
    /// Half removed; only removing helps.
    Dead,
}

/// What the engine's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// There is no check.
    None,
    /// No verdict yet.
    Starting,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
}

/// What our own probe says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// No verdict yet.
    Pending,
    /// Well.
    Passing,
    /// Failed often enough in a row.
    Failing {
        /// What the last try ran into.
        error: String,
    },
}

/// How far a container has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    /// It does not run.
    Down,
    /// It runs.
    Started,
    /// It runs, and nothing says that it is not well.
    Healthy,
}

/// Compares what should be with what is, and says how to close the gap.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let _ = (desired, observed);
    Plan::default()
}
