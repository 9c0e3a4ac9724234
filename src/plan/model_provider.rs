//! Decides what to do about one model: who answers, and that the local one is there.
//!
//! Only while ollama is the choice is anything local looked after: first the
//! container that was made for it, then the server in it, then the model. The
//! choice itself is written by the environment's own plan, from the same
//! [`Chooser`].

pub mod action;
mod choice;
mod name;
#[cfg(test)]
mod tests;
mod wait;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::{Note, Plan, Wait, Why, container, history::History};
use crate::manifest::{
    Key,
    container::Healing,
    model_provider::{ModelPull, Provider},
};

pub use action::ModelAction;
pub use choice::{Choice, Chooser};
pub use name::{likely, same};
pub use wait::ModelWait;

/// A server that does not answer is asked again so soon.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// A container may take so long from its start until the server in it answers.
const COMING_UP: SignedDuration = SignedDuration::from_secs(30);

/// What the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// The name of the `Environment` that has the keys.
    pub environment: String,
    /// How the choice is made.
    pub chooser: Chooser,
    /// The local server.
    pub ollama: Ollama,
}

/// The local server, and what is wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ollama {
    /// Where it is, when that is written down.
    pub url: Option<String>,
    /// The `Container` that it runs in.
    pub container: Option<Key>,
    /// A container that is there only while ollama is the choice.
    pub run: Option<Box<container::Desired>>,
    /// Whether a missing model is pulled.
    pub pull: ModelPull,
    /// Without progress for so long, a pull is broken off.
    pub stall_after: std::time::Duration,
    /// The directory of the models, when that is written down.
    pub directory: Option<PathBuf>,
    /// The pauses between pulls that fail.
    pub healing: Healing,
}

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// Who answers; or why that is not known.
    pub choice: Result<Choice, String>,
    /// The world of the container that is made for it.
    pub run: Option<Box<container::Observed>>,
    /// How far the container has come that it runs in.
    pub container: Option<container::Readiness>,
    /// When the container that it runs in was started, whichever that is. Only asked when the server does not answer.
    pub started_at: Option<Timestamp>,
    /// The server, where it was to be asked.
    pub server: Option<Server>,
    /// What is remembered.
    pub history: History,
}

/// A model server that was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where.
    pub url: String,
    /// What it said.
    pub answer: Answer,
    /// The object for which it pulls the same model just now.
    pub pulls_for: Option<Key>,
    /// The disk that it has its models on, as far as that can be seen.
    pub disk: Option<Disk>,
}

/// What a model server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Silent {
        /// Why.
        reason: String,
    },
    /// An error, or nothing that can be read.
    Wrong {
        /// What.
        reason: String,
    },
    /// Its models.
    Models {
        /// Its version.
        version: String,
        /// What it has.
        models: Vec<Model>,
    },
}

/// A model on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name with its tag.
    pub name: String,
    /// The digest of its manifest, hexadecimal.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// The disk that models are kept on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The directory.
    pub directory: PathBuf,
    /// Bytes that are free there.
    pub free: u64,
    /// Bytes that have to be free, if an earlier pull has found out.
    pub needed: Option<u64>,
}

/// Compares what should be with what is, and says how to close the gap.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let choice = match &observed.choice {
        Ok(choice) => choice,
        // Whatever runs stays as it is until it is known again.
        Err(reason) => return waiting(ModelWait::ChoiceUnknown { reason: reason.clone() }),
    };
    if let (None, Some(left)) = (&desired.ollama.run, &observed.run)
        && !left.containers.is_empty()
    {
        return container::absent::plan(left);
    }
    if choice.provider != Provider::Ollama {
        return put_away(observed, choice);
    }
    let mut plan = Plan::default();
    if let (Some(run), Some(seen)) = (&desired.ollama.run, &observed.run) {
        plan = container::plan(run, seen);
        let is_up = seen.containers.iter().any(|container| container.readiness() == container::Readiness::Healthy);
        if !plan.steps.is_empty() || !is_up {
            return plan;
        }
    }
    if let (Some(container), true) = (&desired.ollama.container, observed.container != Some(container::Readiness::Healthy)) {
        plan.also_wait(Wait::Dependency { object: container.clone(), condition: "healthy".to_owned() });
        return plan;
    }
    if let Some(server) = &observed.server {
        serve(&mut plan, desired, observed, (choice, server));
    }
    plan
}

fn waiting(wait: ModelWait) -> Plan {
    Plan::waiting(Wait::Model(wait))
}

/// Somebody else answers: what was made for a local server goes, but for its volume.
fn put_away(observed: &Observed, choice: &Choice) -> Plan {
    let mut plan = observed.run.as_deref().map(container::absent::plan).unwrap_or_default();
    for step in &mut plan.steps {
        step.why = Why::OtherProvider { choice: choice.to_string() };
    }
    if plan.is_converged() {
        plan.state = Some(format!("{choice} answers, because {}", choice.reason()));
    }
    plan
}

/// The server should answer and have the model.
fn serve(plan: &mut Plan, desired: &Desired, observed: &Observed, (choice, server): (&Choice, &Server)) {
    let until = observed.at.checked_add(ASK_AGAIN).unwrap_or(Timestamp::MAX);
    let url = server.url.clone();
    let models = match &server.answer {
        Answer::Silent { .. } if has_just_started(observed) => {
            return plan.also_wait(Wait::Model(ModelWait::ServerStarting { url, until }));
        }
        Answer::Silent { reason } => {
            return plan.also_wait(Wait::Model(ModelWait::ServerDown { url, reason: reason.clone(), until }));
        }
        Answer::Wrong { reason } => {
            return plan.also_wait(Wait::Model(ModelWait::ServerFailing { url, reason: reason.clone(), until }));
        }
        Answer::Models { models, .. } => models,
    };
    if let Some(model) = models.iter().find(|model| same(&model.name, &choice.model)) {
        let digest = model.digest.get(..12).unwrap_or(&model.digest);
        plan.state = Some(format!("{choice} answers ({}, {digest}), because {}", size(model.size), choice.reason()));
        return;
    }
    if server.disk.is_none() && desired.ollama.pull == ModelPull::IfMissing {
        // Between two tries as well, so that it is told once and not with each of them.
        plan.notes.push(Note::FreeSpaceUnknown);
    }
    match obstacle(desired, observed, &choice.model, (server, models)) {
        Some(wait) => plan.also_wait(Wait::Model(wait)),
        None => plan.step(
            ModelAction::PullModel {
                url,
                model: choice.model.clone(),
                stall_after_seconds: desired.ollama.stall_after.as_secs(),
                directory: server.disk.as_ref().map(|disk| disk.directory.clone()),
            },
            Why::Missing,
        ),
    }
}

fn has_just_started(observed: &Observed) -> bool {
    observed.started_at.is_some_and(|started| observed.at.duration_since(started) < COMING_UP)
}

/// Why a missing model is not pulled just now.
fn obstacle(desired: &Desired, observed: &Observed, model: &str, (server, models): (&Server, &[Model])) -> Option<ModelWait> {
    let likely = || likely(model, models.iter().map(|model| model.name.as_str()));
    let model = model.to_owned();
    if desired.ollama.pull == ModelPull::Never {
        return Some(ModelWait::ModelMissing { likely: likely(), model });
    }
    if let Some(object) = &server.pulls_for {
        let until = observed.at.checked_add(ASK_AGAIN).unwrap_or(Timestamp::MAX);
        return Some(ModelWait::PulledFor { object: object.clone(), model, until });
    }
    // Before what failed, which it most likely was for this.
    if let Some(Disk { directory, free, needed: Some(needed) }) = &server.disk
        && free < needed
    {
        return Some(ModelWait::DiskTooSmall { model, needed: *needed, free: *free, directory: directory.clone() });
    }
    let failed = observed.history.failed_model.as_ref().filter(|failed| failed.model == model)?;
    let until = desired.ollama.healing.backoff.due(failed.at, failed.count);
    (observed.at < until).then(|| ModelWait::PullFailed { likely: likely(), model, reason: failed.reason.clone(), until })
}

/// Leaves a container alone through which a model is being pulled: what would stop it has to wait.
#[must_use]
pub fn spare(plan: Plan, observed: &container::Observed) -> Plan {
    use super::{Action, EngineAction};

    let Some(object) = &observed.pulls_for else { return plan };
    let stops = |action: &Action| {
        matches!(
            action,
            Action::Engine(
                EngineAction::StopContainer { .. } | EngineAction::RestartContainer { .. } | EngineAction::RemoveContainer { .. }
            )
        )
    };
    if !plan.steps.iter().any(|step| stops(&step.action)) {
        return plan;
    }
    let until = observed.at.checked_add(ASK_AGAIN).unwrap_or(Timestamp::MAX);
    Plan { notes: plan.notes, ..waiting(ModelWait::PullUnderWay { object: object.clone(), until }) }
}

/// A size as people say it, in powers of 1000 as disks and model listings have it.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            // One digit after the point, cut off and not rounded: 999.9 MB is not 1000.0 MB.
            return format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10));
        }
    }
    format!("{bytes} B")
}
