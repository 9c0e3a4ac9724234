//! Decides what to do about a container that somebody else made.

use super::{Dependency, Observed, Policy, Probe, State, recover};
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
/// restart, reconnect. Nothing is ever made or removed here.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    if observed.containers.is_empty() {
        return Plan::waiting(Wait::NotFound);
    }
    let mut plan = Plan::default();
    for container in &observed.containers {
        let mut part = recover::gently(&desired.policy, &desired.depends_on, observed, container);
        if container.state == State::Running {
            recover::reconnect(&mut part, &desired.networks, observed, container);
        }
        plan.steps.append(&mut part.steps);
        plan.wait = plan.wait.or(part.wait);
    }
    plan
}
