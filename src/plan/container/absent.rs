//! Decides what to do about containers whose manifest is gone.

use super::{Closed, Container, Observed, State, remove};
use crate::plan::{Plan, Wait, Why, restraint::Restrained};

/// Removes what is left, except where there is data that nobody permitted to let go of.
#[must_use]
pub fn plan(observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for container in &observed.containers {
        match obstacle(container).or_else(|| outside_window(observed, container)) {
            Some(wait) => plan.also_wait(wait),
            None => remove(&mut plan, container, &Why::NoLongerWanted),
        }
    }
    plan
}

/// What works is only taken away when that is permitted.
fn outside_window(observed: &Observed, container: &Container) -> Option<Wait> {
    let Closed { hours, until } = observed.closed.as_ref().filter(|_| container.state == State::Running)?;
    let what = "it would be removed, because its manifest is gone".to_owned();
    Some(Restrained::OutsideWindow { hours: hours.clone(), until: *until, what }.into())
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
