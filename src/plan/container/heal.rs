//! Decides what to do about a container that somebody else made.

use super::{Dependency, Observed, Policy, Probe, doubles, recover};
use crate::{
    manifest::{Key, container::Selector},
    plan::{Plan, Wait, shape::Network},
};

/// What the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// Which containers are meant.
    pub selector: Selector,
    /// Networks it has to be attached to.
    pub networks: Vec<Network>,
    /// What has to be up first.
    pub depends_on: Vec<Dependency>,
    /// A check of our own.
    pub probe: Option<Probe>,
    /// What is permitted.
    pub policy: Policy,
}

/// Compares what should be with what is, and says how to close the gap: start,
/// restart, reconnect. Nothing is ever made or removed here, but for a network of
/// our own making that only stands in the way.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    if observed.containers.is_empty() {
        return Plan::waiting(Wait::NotFound);
    }
    let mut plan = Plan::default();
    let is_there = |network: &Network| !observed.missing_networks.contains(&network.name);
    let (networks, missing): (Vec<Network>, Vec<Network>) = desired.networks.iter().cloned().partition(is_there);
    for container in &observed.containers {
        let mut part = recover::gently(&desired.policy, &desired.depends_on, &networks, observed, container);
        plan.steps.append(&mut part.steps);
        part.wait.into_iter().for_each(|wait| plan.also_wait(wait));
    }
    for network in missing {
        plan.also_wait(Wait::NetworkNotFound { network: network.name });
    }
    doubles::clear(&mut plan, observed);
    plan
}
