//! What Mooring reports back about an object, in Kubernetes' shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The last reported state of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation of the manifest that this status speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The conditions, one of each type.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

impl Status {
    /// The condition of this type, when it has been reported.
    #[must_use]
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

/// One aspect of an object's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds: `True`, `False`, `Unknown`.
    pub status: ConditionStatus,
    /// One word in CamelCase, for programs.
    pub reason: String,
    /// A sentence, for people.
    pub message: String,
    /// When `status` last changed, RFC 3339.
    pub last_transition_time: String,
}

/// The types of condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionType {
    /// The object is as declared.
    Ready,
    /// Mooring is working on it, or waiting for something that will come by itself.
    Progressing,
    /// Something is wrong that Mooring could not correct yet.
    Degraded,
    /// Mooring has been told to leave it alone.
    Held,
    /// The healing budget is spent; a person has to look.
    CrashLoop,
}

impl ConditionType {
    /// All types, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Ready, Self::Progressing, Self::Degraded, Self::Held, Self::CrashLoop];
}

impl std::fmt::Display for ConditionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl std::str::FromStr for ConditionType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.to_string().eq_ignore_ascii_case(text)).ok_or_else(|| {
            format!("`{text}` is not a condition; the conditions are {}", Self::ALL.map(|kind| kind.to_string()).join(", "))
        })
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}
