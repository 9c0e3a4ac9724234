//! A plugin: what it needs is kept by the objects that it expands into.

use jiff::Timestamp;

use super::Plan;
use crate::manifest::Key;

/// What the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
}

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
}

/// What it expands into does the work.
#[must_use]
pub fn plan(_: &Desired, _: &Observed) -> Plan {
    Plan::default()
}
