//! Names every field in which a container is not what its manifest says.

use super::{Container, Desired, MadeWith, Observed};
use crate::plan::shape::{FieldChange, Limits, Restart, Shape};

/// Every field in which a container differs from its manifest and that needs a new container.
///
/// Variables without a known value are left out: not knowing is no evidence of a difference.
pub(super) fn differences(desired: &Desired, observed: &Observed, container: &Container) -> Vec<FieldChange> {
    let Some(made_with) = &container.made_with else {
        return vec![FieldChange { field: "labels".into(), from: Some("unreadable".into()), to: Some("readable".into()) }];
    };
    let mut changes = desired.shape.without_limits().changes_from(&made_with.shape.without_limits());
    // The engine can set and change a limit of a living container, but not take one away.
    changes.extend(limit_changes(desired, container, made_with).into_iter().filter(|change| change.to.is_none()));
    changes.extend(variable_changes(observed, container, made_with));
    changes
}

/// Every limit that the engine can set on the living container.
pub(super) fn settable_limits(desired: &Desired, container: &Container) -> Vec<FieldChange> {
    let changes = container.made_with.as_ref().map(|made_with| limit_changes(desired, container, made_with));
    changes.into_iter().flatten().filter(|change| change.to.is_some()).collect()
}

/// Limits are compared with those that the container has now: they may have been changed since it was made.
fn limit_changes(desired: &Desired, container: &Container, made_with: &MadeWith) -> Vec<FieldChange> {
    let wanted = desired.shape.limits.explicit();
    let mut actual = container.limits.explicit();
    // Some engines have a default for this one, which every new container would have again.
    if made_with.shape.limits.pids_limit.is_none() && wanted.pids_limit.is_none() {
        actual.pids_limit = None;
    }
    let shape = |limits| Shape { limits, ..Shape::default() };
    shape(wanted).changes_from(&shape(actual))
}

fn variable_changes(observed: &Observed, container: &Container, made_with: &MadeWith) -> Vec<FieldChange> {
    let has = |name: &String| container.variables.get(name).map(ToString::to_string);
    let change = |name: &String, to| FieldChange { field: format!("environment.{name}"), from: has(name), to };
    let wanted = observed.variables.iter().map(|(name, variable)| (name, &variable.fingerprint));
    let changed = wanted.filter(|(name, value)| container.variables.get(*name) != Some(value));
    let unwanted = made_with
        .variables
        .iter()
        .filter(|name| !observed.variables.contains_key(*name) && !observed.missing_variables.contains_key(*name));
    changed.map(|(name, value)| change(name, Some(value.to_string()))).chain(unwanted.map(|name| change(name, None))).collect()
}

impl Shape {
    fn without_limits(&self) -> Self {
        Self { limits: Limits::default(), ..self.clone() }
    }
}

impl Limits {
    /// The limits as the engine understands them: to it, no restart policy is the policy `no`.
    pub(super) fn explicit(&self) -> Self {
        Self { restart: Some(self.restart.unwrap_or(Restart::No)), ..self.clone() }
    }
}
