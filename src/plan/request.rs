//! What a person has asked for, and confirmed: it becomes a step of the plan,
//! and so is taken by the one loop that acts, and stands in the same record.

use jiff::Timestamp;

use super::{EngineAction, Plan, Situation, Target, Why, container::State};

/// A restart that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked, as it stands in the audit log.
    pub by: String,
    /// The id of the container that was shown to whoever asked.
    pub container: String,
    /// When that container was started: another start is another container to whoever asked.
    pub started_at: Option<Timestamp>,
    /// From when on nobody waits for it any more.
    pub until: Timestamp,
}

/// The plan with what was asked for, unless there is something to do anyway.
#[must_use]
pub fn with(mut plan: Plan, situation: &Situation, request: &Request) -> Plan {
    let (Situation::Container(_, observed) | Situation::Healed(_, observed)) = situation else { return plan };
    let shown = observed.containers.iter().find(|container| container.id == request.container);
    let Some(shown) = shown.filter(|shown| request.means(shown.started_at, &shown.state)) else { return plan };
    if observed.at < request.until && plan.steps.is_empty() && plan.withheld.is_empty() {
        let container = Target::seen(&shown.id, &shown.name);
        plan.step(EngineAction::RestartContainer { container }, Why::Asked { by: request.by.clone() });
    }
    plan
}

impl Request {
    /// Whether a container that was started then is still the one that was shown.
    #[must_use]
    pub fn means(&self, started_at: Option<Timestamp>, state: &State) -> bool {
        *state == State::Running && self.started_at == started_at
    }
}
