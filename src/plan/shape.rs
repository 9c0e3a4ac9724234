//! Everything about a container that is fixed when it is created.
//!
//! A shape is stored on the container itself, as a label, so that a later pass
//! can name every field in which the container differs from its manifest. The
//! values of environment variables are not in it: they may be secret, and the
//! engine can be asked for them (`container::Observed` has their fingerprints).

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::manifest::container::NetworkMode;
pub use crate::manifest::short::{Device, Gpus, Mount, MountSource, PortBinding, Protocol, Restart};

/// Everything about a container that is fixed when it is created, except the values of its variables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shape {
    /// The image as the manifest names it.
    pub image: String,
    /// Replaces the image's entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// User (and group).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Supplementary groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_add: Vec<String>,
    /// Working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Published ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortBinding>,
    /// Volumes and bind mounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Mount>,
    /// File systems in memory: options by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    /// User-defined networks. The first is the one it is created with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Instead of user-defined networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// Replaces the image's health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Signal that asks it to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds it may take to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_grace_seconds: Option<u32>,
    /// Capabilities to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Read-only root file system.
    #[serde(skip_serializing_if = "is_false")]
    pub read_only: bool,
    /// No privileges through set-uid programs.
    #[serde(skip_serializing_if = "is_false")]
    pub no_new_privileges: bool,
    /// What the engine can change without a new container.
    #[serde(flatten)]
    pub limits: Limits,
    /// Resource limits by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Kernel parameters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// How many of the host's GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Gpus>,
    /// Additional lines of `/etc/hosts`, as `NAME:ADDRESS`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<String>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Log driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_driver: Option<String>,
    /// The log driver's options.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub log_options: BTreeMap<String, String>,
    /// Labels of the user's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The engine's init as process 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Bytes of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Shape {
    /// Whether the container keeps data that it alone may write: a named volume or a writable bind mount.
    ///
    /// Such a container is never recreated silently, and its old and new
    /// version never run at the same time.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        self.volumes.iter().any(|mount| !mount.read_only)
    }

    /// Whether the old container has to stop before the new one can start, because both would claim the same thing.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.is_stateful()
            || self.ports.iter().any(|port| port.host_port.is_some())
            || self.network_mode == Some(NetworkMode::Host)
            // An alias would lead clients to the new one before it is healthy.
            || self.networks.iter().any(|network| !network.aliases.is_empty() || network.ipv4_address.is_some() || network.ipv6_address.is_some())
    }

    /// The names of the volumes that have to exist.
    pub fn volume_names(&self) -> impl Iterator<Item = &str> {
        self.volumes.iter().filter_map(|mount| match &mount.source {
            MountSource::Volume(name) => Some(name.as_str()),
            MountSource::Bind(_) => None,
        })
    }

    /// Every field in which `self`, the wanted shape, differs from `other`, the one that a container was made with.
    #[must_use]
    pub fn changes_from(&self, other: &Self) -> Vec<FieldChange> {
        let (wanted, made) = (fields(self), fields(other));
        let names: std::collections::BTreeSet<&String> = wanted.keys().chain(made.keys()).collect();
        names
            .into_iter()
            .filter(|name| wanted.get(*name) != made.get(*name))
            .map(|name| FieldChange { field: name.clone(), from: made.get(name).map(shown), to: wanted.get(name).map(shown) })
            .collect()
    }
}

/// Every field that can differ, by the name under which a manifest has it: `image`, `labels.team`.
fn fields(shape: &Shape) -> BTreeMap<String, Value> {
    let Ok(Value::Object(fields)) = serde_json::to_value(shape) else {
        unreachable!("a shape is an object with string keys");
    };
    let mut flat = BTreeMap::new();
    for (name, value) in fields {
        match value {
            Value::Object(entries) => flat.extend(entries.into_iter().map(|(entry, value)| (format!("{name}.{entry}"), value))),
            value => drop(flat.insert(name, value)),
        }
    }
    flat
}

/// A value as a diff shows it: text without quotes, the rest as compact JSON.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What the engine can change on a living container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Bytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_limit: Option<i64>,
    /// Billionths of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nano_cpus: Option<i64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<i64>,
    /// The engine's restart policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// A network to join.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// The network's name.
    pub name: String,
    /// Names by which others find the container, besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// A fixed IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<String>,
}

/// A health check that the engine makes; times in nanoseconds, as its API has them, zero for the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Healthcheck {
    /// The words, the first one `CMD`, `CMD-SHELL` or `NONE`; empty to keep the image's.
    pub test: Vec<String>,
    /// Between checks.
    pub interval: i64,
    /// Limit of one check.
    pub timeout: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: i64,
    /// After the start, in which failures do not count.
    pub start_period: i64,
}

/// One field in which a container differs from its manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldChange {
    /// The field's name, as in `image` or `environment.TZ`.
    pub field: String,
    /// What the container has; a fingerprint where that is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the manifest says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, from, to } = self;
        match (from, to) {
            (Some(from), Some(to)) => write!(f, "{field} {from} → {to}"),
            (None, Some(to)) => write!(f, "{field} added: {to}"),
            (Some(from), None) => write!(f, "{field} removed, was {from}"),
            (None, None) => write!(f, "{field}"),
        }
    }
}
