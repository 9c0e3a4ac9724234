//! Making a container: what it needs, what stands in the way, the steps.

use std::collections::BTreeSet;

use super::{Container, Desired, Observed, changing_dependency, recover, remove, unmet_dependency};
use crate::{
    manifest::container::PullPolicy,
    plan::{
        Plan, Wait, Why,
        action::{EngineAction, NewContainer, Target},
    },
};

/// The container does not exist: make it, under its own name.
pub(super) fn first(desired: &Desired, observed: &Observed) -> Plan {
    if let Some(wait) = obstacle(desired, observed) {
        return Plan::waiting(wait);
    }
    // Somebody who removes it over and over again must not make us a part of that.
    if let Some(wait) = recover::out_of_tries(&desired.policy.healing, observed, &Why::Missing) {
        return Plan::waiting(wait);
    }
    let mut plan = Plan::starting();
    prepare(&mut plan, desired, observed);
    make(&mut plan, desired, observed, &desired.name, &Why::Missing);
    plan.step(EngineAction::StartContainer { container: Target::named(&desired.name) }, Why::NeverStarted);
    plan
}

/// Puts a new container in the place of one that is of no use any more.
///
/// Everything that can fail for reasons outside the container comes before its removal.
pub(super) fn anew(plan: &mut Plan, desired: &Desired, observed: &Observed, (spent, why): (&Container, &Why)) {
    prepare(plan, desired, observed);
    remove(plan, spent, why);
    make(plan, desired, observed, &desired.name, why);
    plan.step(EngineAction::StartContainer { container: Target::named(&desired.name) }, why.clone());
}

/// What keeps a container from being made.
pub(super) fn obstacle(desired: &Desired, observed: &Observed) -> Option<Wait> {
    if observed.taken_names.contains(&desired.name) {
        return Some(Wait::NameTaken { name: desired.name.clone() });
    }
    if let Some((variable, reason)) = observed.missing_variables.first_key_value() {
        return Some(Wait::MissingVariable { variable: variable.clone(), reason: reason.clone() });
    }
    image_unavailable(desired, observed)
        .or_else(|| unmet_dependency(&desired.depends_on, observed))
        .or_else(|| changing_dependency(&desired.depends_on, observed))
}

fn image_unavailable(desired: &Desired, observed: &Observed) -> Option<Wait> {
    let image = &desired.shape.image;
    match (desired.pull_policy, observed.missing_images.contains(image)) {
        (PullPolicy::Never | PullPolicy::IfMissing, false) => None,
        (PullPolicy::Never, true) => {
            let reason = "pullPolicy is never".to_owned();
            Some(Wait::ImageUnavailable { image: image.clone(), reason, until: None })
        }
        (PullPolicy::IfMissing, true) | (PullPolicy::Always, _) => {
            let failed = observed.history.failed_pull.as_ref().filter(|failed| failed.image == *image)?;
            let until = desired.policy.healing.backoff.due(failed.at, failed.count);
            (observed.at < until).then(|| Wait::ImageUnavailable {
                image: image.clone(),
                reason: failed.reason.clone(),
                until: Some(until),
            })
        }
    }
}

/// The steps that bring about what the container needs: networks, volumes, its image.
pub(super) fn prepare(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let needed = || Why::NeededBy { object: desired.key.clone() };
    for network in &desired.shape.networks {
        if observed.missing_networks.contains(&network.name) {
            plan.step(EngineAction::CreateNetwork { name: network.name.clone() }, needed());
        }
    }
    let volumes: BTreeSet<&str> = desired.shape.volume_names().filter(|name| observed.missing_volumes.contains(*name)).collect();
    for volume in volumes {
        plan.step(EngineAction::CreateVolume { name: volume.to_owned() }, needed());
    }
    if desired.pull_policy == PullPolicy::Always || observed.missing_images.contains(&desired.shape.image) {
        plan.step(EngineAction::PullImage { image: desired.shape.image.clone() }, needed());
    }
}

/// The steps that make the container itself, up to but without its start.
pub(super) fn make(plan: &mut Plan, desired: &Desired, observed: &Observed, name: &str, why: &Why) {
    let variables = observed.variables.iter().map(|(name, variable)| (name.clone(), variable.source.clone())).collect();
    let new = NewContainer {
        name: name.to_owned(),
        object: desired.key.clone(),
        shape: desired.shape.clone(),
        variables,
        allow_remove: desired.policy.allow_remove,
    };
    plan.step(EngineAction::CreateContainer(Box::new(new)), why.clone());
    // Engines before API 1.44 take one network at creation; the others have to follow.
    for network in desired.shape.networks.iter().skip(1) {
        plan.step(
            EngineAction::ConnectNetwork { container: Target::named(name), network: network.clone() },
            Why::Disconnected { network: network.name.clone() },
        );
    }
}
