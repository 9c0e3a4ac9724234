//! What has to be remembered about an object to decide well: tries made, a
//! stop by hand, a version that did not come up.
//!
//! The memory is part of the observation. It is changed by what was done
//! ([`History::after`]) and by what was decided ([`History::settled`]), both
//! pure; `record` keeps it durably.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The memory of one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// The generation of the manifest that it belongs to. A new generation starts with a clean slate.
    pub generation: i64,
    /// When corrective tries were made, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Timestamp>,
    /// Since when the budget is spent. It stays so until it is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_loop: Option<Timestamp>,
    /// A stop by a person that was seen with our own eyes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_stop: Option<ManualStop>,
    /// The version that did not come up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_replacement: Option<FailedReplacement>,
    /// An image that could not be pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_pull: Option<FailedPull>,
    /// The image with which the container was last seen well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_image: Option<String>,
}

/// A stop by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualStop {
    /// The container's id.
    pub container: String,
    /// When.
    pub at: Timestamp,
}

/// A version that did not come up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedReplacement {
    /// How often it was tried.
    pub count: u32,
    /// When it last failed.
    pub at: Timestamp,
    /// What it did.
    pub reason: String,
}

/// An image that could not be pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPull {
    /// The image.
    pub image: String,
    /// How often it was tried.
    pub count: u32,
    /// When it last failed.
    pub at: Timestamp,
    /// What the engine said.
    pub reason: String,
}
