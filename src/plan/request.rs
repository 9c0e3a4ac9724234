//! What a person has asked for, and confirmed: it becomes a step of the plan,
//! and so is taken by the one loop that acts, and stands in the same record.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    EngineAction, FileAction, Plan, Situation, Target, Why,
    container::{self, Container, State},
    environment::{self, FileState},
};
use crate::secret::Secret;

/// Something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked, as it stands in the audit log.
    pub by: String,
    /// What.
    pub wanted: Wanted,
}

impl Request {
    /// What somebody may ask for, to see what would come of it.
    #[must_use]
    pub const fn by_nobody(wanted: Wanted) -> Self {
        Self { by: String::new(), wanted }
    }
}

/// What was asked for: of exactly what was shown to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To stop the container and start it.
    Restart(Shown),
    /// To start the container.
    Start(Shown),
    /// To stop the container, and to leave it stopped until somebody starts it.
    Stop(Shown),
    /// To change a variable of an `.env` file.
    Variable(VariableChange),
}

/// A container as it was shown: another start is another container to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// When it was started.
    pub started_at: Option<Timestamp>,
}

/// A variable that gets a value, or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableChange {
    /// The file's name in the cascade.
    pub file: String,
    /// Where it is.
    pub path: PathBuf,
    /// Digest of the file as it was shown. None: there was no file.
    pub expected: Option<String>,
    /// The variable.
    pub variable: String,
    /// Its new value; none takes it out.
    pub value: Option<Secret>,
}

/// The plan with what was asked for, unless there is something to do anyway. A stop comes before whatever else would be
/// done, but not into the middle of it.
#[must_use]
pub fn with(mut plan: Plan, situation: &Situation, request: &Request) -> Plan {
    let is_idle = plan.steps.is_empty() && plan.withheld.is_empty();
    let why = Why::Asked { by: request.by.clone() };
    match (situation, &request.wanted) {
        (Situation::Container(_, observed) | Situation::Healed(_, observed), wanted) => {
            let Some(action) = container_action(wanted, observed) else { return plan };
            let comes_first = matches!(wanted, Wanted::Stop(_)) && !plan.is_finishing;
            if comes_first {
                plan.steps.clear();
            }
            if comes_first || is_idle {
                plan.step(action, why);
            }
        }
        (Situation::Environment(desired, observed), Wanted::Variable(change)) if is_idle && change.fits(observed) => {
            plan.step(
                FileAction::ChangeVariable {
                    environment: desired.key.name.clone(),
                    path: change.path.clone(),
                    expected: change.expected.clone(),
                    variable: change.variable.clone(),
                    value: change.value.clone(),
                },
                why,
            );
        }
        _ => {}
    }
    plan
}

/// Whether what was shown to whoever asked is still so: otherwise nothing will come of it.
#[must_use]
pub fn fits(situation: &Situation, request: &Request) -> bool {
    match (situation, &request.wanted) {
        (Situation::Container(_, observed) | Situation::Healed(_, observed), wanted) => {
            container_action(wanted, observed).is_some()
        }
        (Situation::Environment(_, observed), Wanted::Variable(change)) => change.fits(observed),
        _ => false,
    }
}

/// What is to be done with the container that was shown, if it is still as it was.
fn container_action(wanted: &Wanted, observed: &container::Observed) -> Option<EngineAction> {
    let (Wanted::Restart(shown) | Wanted::Start(shown) | Wanted::Stop(shown)) = wanted else { return None };
    let seen = observed.containers.iter().find(|container| shown.is(container))?;
    let container = Target::seen(&seen.id, &seen.name);
    match (wanted, &seen.state) {
        (Wanted::Restart(_), State::Running) => Some(EngineAction::RestartContainer { container }),
        (Wanted::Start(_), State::Exited { .. } | State::Created) => Some(EngineAction::StartContainer { container }),
        (Wanted::Stop(_), State::Running | State::Restarting) => Some(EngineAction::StopContainer { container }),
        _ => None,
    }
}

impl Shown {
    /// Whether a container is the one that was shown.
    #[must_use]
    pub fn is(&self, container: &Container) -> bool {
        // One that the engine restarts again and again is the same however often it does.
        self.id == container.id && (self.started_at == container.started_at || container.state == State::Restarting)
    }
}

impl VariableChange {
    /// Whether the file is as it was shown.
    fn fits(&self, observed: &environment::Observed) -> bool {
        match (observed.files.get(&self.file), &self.expected) {
            (Some(FileState::Present(content)), Some(expected)) => content.digest == *expected,
            (Some(FileState::Absent), None) => true,
            _ => false,
        }
    }
}
