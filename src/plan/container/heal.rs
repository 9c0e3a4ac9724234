//! Decides what to do about a container that somebody else made.

use super::{Dependency, Observed, Policy, Probe};
use crate::{
    manifest::{Key, container::Selector},
    plan::{Plan, shape::Network},
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

/// Compares what should be with what is, and says how to close the gap.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let _ = (desired, observed);
    Plan::default()
}
