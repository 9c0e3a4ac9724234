//! Decides what to do about containers whose manifest is gone.

use super::{Container, Observed, State, remove};
use crate::plan::{Plan, Wait, Why};

/// Removes what is left, except where there is data that nobody permitted to let go of.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for container in &observed.containers {
        match obstacle(container) {
            Some(wait) => plan.also_wait(wait),
            None => remove(&mut plan, container, &Why::NoLongerWanted),
        }
    }
    plan
}

fn obstacle(container: &Container) -> Option<Wait> {
    match container.state {
        State::Paused => return Some(Wait::Paused),
        State::Removing => return Some(Wait::EngineBusy { doing: "removing".to_owned() }),
        State::Created | State::Running | State::Restarting | State::Exited { .. } | State::Dead => {}
    }
    // A label that cannot be read says nothing about data, and that is not a permission.
    let permitted = container.made_with.as_ref().is_some_and(|made_with| made_with.allow_remove);
    (container.may_have_data() && !permitted).then_some(Wait::RemoveForbidden)
}
