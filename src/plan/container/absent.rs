//! Decides what to do about containers whose manifest is gone.

use super::{Container, Observed, State, remove};
use crate::plan::{Plan, Wait, Why};

/// Removes what is left, except where there is data that nobody permitted to let go of.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for container in &observed.containers {
        match obstacle(container) {
            Some(wait) => plan.wait = Some(wait),
            None => remove(&mut plan, container, &Why::NoLongerWanted),
        }
    }
    plan
}

fn obstacle(container: &Container) -> Option<Wait> {
    if container.state == State::Paused {
        return Some(Wait::Paused);
    }
    if container.state == State::Removing {
        return Some(Wait::EngineBusy { doing: "removing".to_owned() });
    }
    // A label that cannot be read says nothing about data, and that is not a permission.
    let may_go = container.made_with.as_ref().is_some_and(|made_with| !made_with.shape.is_stateful() || made_with.allow_remove);
    (!may_go).then_some(Wait::RemoveForbidden)
}
