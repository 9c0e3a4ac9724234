//! Decides what to do about one model.

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

/// Not yet anything.
#[must_use]
pub fn plan(_: &Desired, _: &Observed) -> Plan {
    Plan::default()
}
