//! Making a container: what it needs, what stands in the way, the steps.

use super::{Desired, Observed, unmet_dependency};
use crate::{
    manifest::container::PullPolicy,
    plan::{
        Plan, Wait, Why,
        action::{EngineAction, NewContainer, Target},
    },
};

/// The container does not exist: make it, under its own name.
pub(super) fn first(desired: &Desired, observed: &Observed) -> Plan {
    if observed.name_taken {
        return Plan::waiting(Wait::NameTaken { name: desired.name.clone() });
    }
    if let Some(wait) = obstacle(desired, observed) {
        return Plan::waiting(wait);
    }
    // Somebody who removes it over and over again must not make us a part of that.
    if observed.history.seen_ready
        && let Some(wait) = super::recover::out_of_tries(&desired.policy.healing, observed, "it keeps vanishing")
    {
        return Plan::waiting(wait);
    }
    let mut plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
    make(&mut plan, desired, observed, &desired.name, &Why::Missing);
    plan.step(EngineAction::StartContainer { container: Target::named(&desired.name) }, Why::NeverStarted);
    plan
}

/// What keeps a container from being made.
pub(super) fn obstacle(desired: &Desired, observed: &Observed) -> Option<Wait> {
    if let Some((variable, reason)) = observed.missing_variables.first_key_value() {
        return Some(Wait::MissingVariable { variable: variable.clone(), reason: reason.clone() });
    }
    image_unavailable(desired, observed).or_else(|| unmet_dependency(&desired.depends_on, observed))
}

fn image_unavailable(desired: &Desired, observed: &Observed) -> Option<Wait> {
    let image = &desired.shape.image;
    match (desired.pull_policy, observed.image_present) {
        (PullPolicy::Never | PullPolicy::IfMissing, true) => None,
        (PullPolicy::Never, false) => {
            let reason = "pullPolicy is never".to_owned();
            Some(Wait::ImageUnavailable { image: image.clone(), reason, until: None })
        }
        (PullPolicy::IfMissing | PullPolicy::Always, _) => {
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

/// The steps that make the container and everything it needs, up to but without its start.
pub(super) fn make(plan: &mut Plan, desired: &Desired, observed: &Observed, name: &str, why: &Why) {
    let needed = || Why::NeededBy { object: desired.key.clone() };
    for network in &desired.shape.networks {
        if observed.missing_networks.contains(&network.name) {
            plan.step(EngineAction::CreateNetwork { name: network.name.clone() }, needed());
        }
    }
    for volume in desired.shape.volume_names() {
        if observed.missing_volumes.contains(volume) {
            plan.step(EngineAction::CreateVolume { name: volume.to_owned() }, needed());
        }
    }
    if desired.pull_policy == PullPolicy::Always || !observed.image_present {
        plan.step(EngineAction::PullImage { image: desired.shape.image.clone() }, needed());
    }
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
