//! A hold on objects: nothing is done for it, and nothing to those that it names.

use jiff::Timestamp;

use super::Plan;
use crate::manifest::Key;

/// What the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
}

/// There is nothing to do.
#[must_use]
pub fn plan(_: &Desired, _: &Observed) -> Plan {
    Plan::default()
}
