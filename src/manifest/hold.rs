//! `Hold`: objects to be left alone until a moment, for a reason that everybody can read.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Status;

/// Objects that Mooring leaves alone until a moment. What it would have done to them is shown, and waits.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "Hold", plural = "holds")]
#[kube(status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Until", "type": "string", "jsonPath": ".spec.until"}"#)]
#[kube(printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".spec.reason"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldSpec {
    /// What is held: objects as `KIND/NAME`, all of a kind as `KIND`, or `all`.
    #[schemars(length(min = 1))]
    pub targets: Vec<String>,
    /// When the hold ends, as a moment with a time zone: `2026-11-21T14:00:00Z`. From then on it does nothing.
    pub until: String,
    /// Why, for whoever wonders.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
