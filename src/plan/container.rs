//! Decides what to do about one container.

pub mod absent;
mod create;
mod differences;
mod doubles;
pub mod heal;
mod recover;
mod replace;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Note, Plan, Step, Wait, Why,
    action::{Action, EngineAction, Target, VariableSource},
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
use differences::differences;

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
        /// Variables besides, if they have a value.
        optional: Vec<String>,
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
    /// Those of [`Desired::names`] that a container has which is not of this object.
    pub taken_names: BTreeSet<String>,
    /// Networks that the shape names and that do not exist.
    pub missing_networks: BTreeSet<String>,
    /// Networks that the shape names and of which there are several: all that have the name.
    pub doubles: BTreeMap<String, Vec<Double>>,
    /// Volumes that the shape names and that do not exist.
    pub missing_volumes: BTreeSet<String>,
    /// Images that a new container may need, the wanted one and the last good one, and that the
    /// engine does not have. Only asked when a container would have to be made.
    pub missing_images: BTreeSet<String>,
    /// The variables that the container should have, with their sources' values as they are now.
    pub variables: BTreeMap<String, Variable>,
    /// Variables that are wanted and have no value, with the reason.
    pub missing_variables: BTreeMap<String, String>,
    /// How each dependency fares.
    pub dependencies: BTreeMap<Key, Readiness>,
    /// Those of them of which another version is on its way, see [`is_on_its_way`]. Only asked when a container would have to be made.
    pub changing: BTreeSet<Key>,
    /// Until when a stop by a person has to be thought possible: a polite signal, or the
    /// engine's word for a stop, was seen and has been neither confirmed nor disproved yet.
    pub stop_suspected_until: Option<Timestamp>,
    /// The maintenance window, while it is closed.
    pub closed: Option<Closed>,
    /// The object for which a model is being pulled through it.
    pub pulls_for: Option<Key>,
    /// What is remembered.
    pub history: History,
}

/// A maintenance window that is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its hours.
    pub hours: String,
    /// When it opens.
    pub until: Timestamp,
}

/// One of several networks with the same name.
///
/// Engines before API 1.44 permit them, and then refuse to start whatever is to be on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Double {
    /// The engine's id.
    pub id: String,
    /// Whether we made it.
    pub ours: bool,
    /// Whether some container is on it, or was when it last ran.
    pub in_use: bool,
    /// When it was made.
    pub created_at: Timestamp,
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
    /// Why the health check cannot be run, if it cannot. What it says is not to be believed then, and is not in `health`.
    pub broken_check: Option<String>,
    /// What is wrong with the host, if it has no processor time to give, and all that is known against the container is that its
    /// health check took too long.
    pub starved: Option<String>,
    /// What the engine has noted of its last start, if that failed: not that it was refused, but that it was tried.
    pub start_error: Option<String>,
    /// What our own probe says; none when there is no probe.
    pub probe: Option<ProbeState>,
    /// When its main process was last started. Known of everything that runs.
    pub started_at: Option<Timestamp>,
    /// How often the engine has restarted it by its own policy since somebody last started it.
    pub restarts: u32,
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

impl Container {
    /// How far it has come.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        readiness(&self.state, self.health, self.probe.as_ref())
    }

    /// Whether anybody checks on it, be it the engine or we ourselves.
    fn is_checked(&self) -> bool {
        self.health != Health::None || self.probe.is_some()
    }

    /// Whether it is on its way out, or has got stuck there.
    fn is_gone(&self) -> bool {
        matches!(self.state, State::Removing | State::Dead)
    }

    /// Whether it may keep data. A label that cannot be read is no evidence against it.
    fn may_have_data(&self) -> bool {
        self.made_with.as_ref().is_none_or(|made_with| made_with.shape.is_stateful())
    }

    /// Whether there is more to go by than that it runs just now: a check, or that it has run for a while.
    pub(super) fn has_settled(&self, at: Timestamp) -> bool {
        self.is_checked() || self.started_at.is_some_and(|started| at.duration_since(started) >= replace::SETTLED)
    }

    /// How we refer to it in a step.
    fn target(&self) -> Target {
        Target::seen(&self.id, &self.name)
    }
}

/// How far a container has come that is in this state and of which its checks say this.
#[must_use]
pub fn readiness(state: &State, health: Health, probe: Option<&ProbeState>) -> Readiness {
    if *state != State::Running {
        return Readiness::Down;
    }
    // Our own probe asks what the owner has said; the image's check may ask something else.
    let is_contradicted = health == Health::Unhealthy && probe == Some(&ProbeState::Passing);
    let healthy = matches!(health, Health::None | Health::Healthy) || is_contradicted;
    let probed = matches!(probe, None | Some(ProbeState::Passing));
    if healthy && probed { Readiness::Healthy } else { Readiness::Started }
}

/// Compares what should be with what is, and says how to close the gap.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let desired = &desired.with_fallback(&observed.history);
    // A container on its way out does nothing any more, but it may still have the name.
    let gone = observed.containers.iter().filter(|container| container.is_gone());
    if let Some(holder) = gone.clone().find(|container| container.name == desired.name) {
        return recover::own(desired, observed, holder);
    }
    let (current, old) = versions(desired, observed);
    let in_play = |container: &Container| [current, old].iter().flatten().any(|one| one.id == container.id);
    let others: Vec<_> = observed.containers.iter().filter(|container| !in_play(container)).collect();
    let mut plan = match (current, old) {
        (None, None) => create::first(desired, observed),
        (None, Some(old)) => replace::begin(desired, observed, old, &others),
        (Some(current), None) => recover::own(desired, observed, current),
        (Some(new), Some(old)) => replace::go_on(desired, observed, (new, old), &others),
    };
    if plan.is_converged() {
        replace::clear(&mut plan, desired, &others);
    }
    if let (true, Some(fallback)) = (plan.is_converged(), &observed.history.fallback) {
        plan.wait = Some(Wait::OnLastGoodImage { image: fallback.good.clone(), wanted: fallback.bad.clone() });
    }
    doubles::clear(&mut plan, observed);
    plan
}

/// The container that is as declared, and the one that it replaces or that has to be replaced.
fn versions<'a>(desired: &Desired, observed: &'a Observed) -> (Option<&'a Container>, Option<&'a Container>) {
    let living = observed.containers.iter().filter(|container| !container.is_gone());
    let (fitting, outdated): (Vec<_>, Vec<_>) =
        living.partition(|container| differences(desired, observed, container).is_empty());
    // The one that has the name, if there are several: an earlier pass may have been cut short.
    let current = fitting.into_iter().max_by_key(|container| (container.name == desired.name, container.readiness()));
    (current, replace::way_back(desired, observed, current, &outdated))
}

/// Whether there is no container yet that is as declared, so that [`Observed::changing`] matters.
#[must_use]
pub fn has_to_be_made(desired: &Desired, observed: &Observed) -> bool {
    versions(&desired.with_fallback(&observed.history), observed).0.is_none()
}

/// Whether another version is coming: it is about to be made, has to prove itself, or waits for a dependency of which
/// the same holds.
///
/// What may not come, or not now, does not count: nobody has to wait for a version that is forbidden, has failed or lacks something.
#[must_use]
pub fn is_on_its_way(desired: &Desired, observed: &Observed, plan: &Plan) -> bool {
    let is_made = |step: &Step| matches!(step.action, Action::Engine(EngineAction::CreateContainer(_)));
    let waits_in_turn = match &plan.wait {
        Some(Wait::Dependency { object, .. }) => observed.changing.contains(object),
        _ => false,
    };
    let both = matches!(versions(&desired.with_fallback(&observed.history), observed), (Some(_), Some(_)));
    let goes_on = !plan.steps.is_empty() || plan.wait.as_ref().is_some_and(Wait::ends_by_itself);
    plan.steps.iter().any(is_made) || waits_in_turn || (both && goes_on)
}

impl Desired {
    /// The names that containers of this object may have: the right one, and those they have
    /// while they are replaced.
    #[must_use]
    pub fn names(&self) -> [String; 3] {
        [self.name.clone(), self.next_name(), self.previous_name()]
    }

    /// The wish as it stands while the wanted image is known not to work.
    fn with_fallback(&self, history: &History) -> Self {
        match &history.fallback {
            Some(fallback) if fallback.bad == self.shape.image => self.with_image(&fallback.good),
            Some(_) | None => self.clone(),
        }
    }

    fn with_image(&self, image: &str) -> Self {
        let mut desired = self.clone();
        image.clone_into(&mut desired.shape.image);
        desired
    }

    /// The name of a new container while the old one still has the right one.
    fn next_name(&self) -> String {
        next_name(&self.name)
    }

    /// The name of the old container once the new one has the right one.
    fn previous_name(&self) -> String {
        previous_name(&self.name)
    }
}

fn next_name(name: &str) -> String {
    format!("{name}.next")
}

fn previous_name(name: &str) -> String {
    format!("{name}.previous")
}

/// Whether a container has this name from us, while it takes the place of the one with the right name or makes room for it.
pub(super) fn is_interim(name: &str, right: &str) -> bool {
    name == next_name(right) || name == previous_name(right)
}

/// The first dependency that is not where it has to be.
fn unmet_dependency(depends_on: &[Dependency], observed: &Observed) -> Option<Wait> {
    depends_on.iter().find_map(|dependency| {
        let readiness = observed.dependencies.get(&dependency.key).copied().unwrap_or(Readiness::Down);
        let (needed, word) = match dependency.condition {
            DependencyCondition::Started => (Readiness::Started, "started"),
            DependencyCondition::Healthy => (Readiness::Healthy, "healthy"),
        };
        (readiness < needed).then(|| Wait::Dependency { object: dependency.key.clone(), condition: word.to_owned() })
    })
}

/// The first dependency of which another version is on its way.
///
/// Whatever has to be made anew together, because a value changed that all of them use, is so in the order of their
/// dependencies. Only making waits for this: what runs is kept alive meanwhile.
fn changing_dependency(depends_on: &[Dependency], observed: &Observed) -> Option<Wait> {
    let changing = depends_on.iter().find(|dependency| observed.changing.contains(&dependency.key))?;
    Some(Wait::Dependency { object: changing.key.clone(), condition: "up to date yet".to_owned() })
}

/// Takes a container away, its volumes never.
fn remove(plan: &mut Plan, container: &Container, why: &Why) {
    match container.state {
        State::Removing => return,
        // The engine refuses, and whoever paused it wants to look at it.
        State::Paused => {
            plan.notes.push(Note::Leftover { container: container.name.clone() });
            return;
        }
        // The engine refuses to remove what is running.
        State::Running | State::Restarting => {
            plan.step(EngineAction::StopContainer { container: container.target() }, why.clone());
        }
        State::Created | State::Exited { .. } | State::Dead => {}
    }
    plan.step(EngineAction::RemoveContainer { container: container.target() }, why.clone());
}

#[cfg(test)]
mod tests;
