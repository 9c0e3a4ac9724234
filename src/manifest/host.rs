//! `Host`: what is permitted on the host as a whole, and who is told when something is wrong.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    alerts::Alerts,
    quantity::{Bytes, Duration},
    status::Status,
    window::Window,
};

/// The only name that a `Host` can have: there is one host.
pub const NAME: &str = "default";

/// What is permitted on this host as a whole, and in groups of its objects. There is one, named `default`.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "Host", plural = "hosts")]
#[kube(status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Mode", "type": "string", "jsonPath": ".spec.mode"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostSpec {
    /// `observe`: everything is planned and shown, and nothing is done.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// When containers that work may be replaced or removed. Without it: at any time. Healing waits for no window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// How many containers may be acted upon on the whole host.
    #[serde(skip_serializing_if = "is_default")]
    pub budget: HostBudget,
    /// What is permitted in groups of objects, by the groups' names. What is forbidden to one group of an object is forbidden.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// When it is the host that fails, and not its containers.
    #[serde(skip_serializing_if = "is_default")]
    pub guard: Guard,
    /// When somebody else is taken to undo what Mooring does.
    #[serde(skip_serializing_if = "is_default")]
    pub fights: Fights,
    /// Where the audit log is shipped to, unless `--database-url` says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// Who is told when something is wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub alerts: Alerts,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether steps are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They are.
    #[default]
    Act,
    /// They are only shown.
    Observe,
}

impl Mode {
    /// Whether steps are taken.
    #[must_use]
    pub fn is_act(&self) -> bool {
        *self == Self::Act
    }
}

/// How many acts are permitted: passes that start, restart, replace or remove a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupBudget {
    /// How many.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts: u32,
    /// In which time, at most an hour.
    #[serde(default = "ten_minutes")]
    pub window: Duration,
}

fn ten_minutes() -> Duration {
    Duration::seconds(600)
}

/// How many acts are permitted on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostBudget {
    /// How many within `window`.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts: u32,
    /// In which time, at most an hour.
    pub window: Duration,
    /// How many within any minute.
    #[schemars(range(min = 1, max = 1000))]
    pub per_minute: u32,
}

impl Default for HostBudget {
    fn default() -> Self {
        Self { attempts: 600, window: ten_minutes(), per_minute: 120 }
    }
}

/// What is permitted in a group of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// What belongs to it: objects as `KIND/NAME`, all of a kind as `KIND`, or `all`.
    #[schemars(length(min = 1))]
    pub members: Vec<String>,
    /// `observe`: what would be done to its members is shown, and not done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// When containers of its members that work may be replaced or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// How many of its containers may be acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<GroupBudget>,
}

/// When it is the host that fails, and not its containers: what works is not touched then, and what is down comes back
/// a few at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Guard {
    /// The share of the containers, in percent, that has to fail at once.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u8,
    /// How many containers have to fail at once, at least.
    #[schemars(range(min = 1))]
    pub containers: u32,
    /// What counts as at once.
    pub within: Duration,
    /// How long restarts and replacements are held back when the cause is not seen to end.
    pub patience: Duration,
    /// How many containers are brought back at a time.
    #[schemars(range(min = 1, max = 100))]
    pub concurrency: u32,
    /// A disk with less than this is full.
    pub disk_free: Bytes,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            percent: 50,
            containers: 4,
            within: Duration::seconds(30),
            patience: Duration::seconds(120),
            concurrency: 3,
            disk_free: Bytes(256 << 20),
        }
    }
}

/// When somebody else is taken to undo what Mooring does: what was corrected so often, and differs again, is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fights {
    /// How often the same thing was corrected.
    #[schemars(range(min = 1, max = 1000))]
    pub corrections: u32,
    /// In which time, at most an hour.
    pub window: Duration,
}

impl Default for Fights {
    fn default() -> Self {
        Self { corrections: 3, window: Duration::seconds(300) }
    }
}

/// A database whose URL is in an `Environment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// The name of the `Environment`.
    pub environment: String,
    /// The variable that has the URL.
    #[serde(default = "database_url")]
    pub variable: String,
}

fn database_url() -> String {
    "DATABASE_URL".to_owned()
}
