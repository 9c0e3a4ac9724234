//! `Container`: a container that must exist, run and be healthy. Field names are Compose's, in camelCase.

mod forms;

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use forms::{Command, NetworkAttachment, Ulimit};

use super::{
    host::Mode,
    quantity::{Bytes, Duration, IntOrString},
    status::Status,
    window::Window,
};

/// A container that must exist, run and be healthy.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "Container", plural = "containers", shortname = "ctr")]
#[kube(status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Image", "type": "string", "jsonPath": ".spec.image"}"#)]
#[kube(printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerSpec {
    /// `own`: Mooring creates, recreates and removes it. `heal`: someone else made it; Mooring only starts, restarts and reconnects it.
    #[serde(skip_serializing_if = "is_default")]
    pub management: Management,
    /// With `management: heal`, which containers are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// The container's name on the engine. Default: the object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"))]
    #[schemars(extend("x-mooring-words" = "a name of letters, digits, `_`, `.` and `-`, beginning with a letter or digit"))]
    pub container_name: Option<String>,
    /// The image, as `docker run` takes it. Needed unless `management` is `heal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When to pull the image.
    #[serde(skip_serializing_if = "is_default")]
    pub pull_policy: PullPolicy,
    /// Replaces the image's entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Command>,
    /// Replaces the image's command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Environment variables, written out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, IntOrString>,
    /// Environment variables taken from `Environment` objects. `environment` wins over these, later entries over earlier ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFrom>,
    /// User (and group) to run as: `name`, `uid`, `uid:gid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<IntOrString>,
    /// Supplementary groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_add: Vec<IntOrString>,
    /// The working directory inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// The host name inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Published ports in Compose's short form: `[HOST_IP:]HOST:CONTAINER[/PROTOCOL]`, or `CONTAINER` for a random host port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<IntOrString>,
    /// Mounts in Compose's short form: `VOLUME:/path[:ro]` or `/host/path:/path[:ro]`; a path that starts with a dot is relative to the manifest's file. Named volumes are created when missing, never removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Paths that get an empty file system in memory: `/path[:options]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<String>,
    /// Networks to join, by name, or with aliases and fixed addresses. Created when missing, never removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkAttachment>,
    /// `host`, `none`, or `bridge` instead of `networks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<NetworkMode>,
    /// Containers that have to be up before this one is created or started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// The engine's restart policy: `no`, `always`, `unless-stopped`, `on-failure[:N]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(no|always|unless-stopped|on-failure(:[0-9]+)?)$"))]
    #[schemars(extend("x-mooring-words" = "no, always, unless-stopped or on-failure[:N]"))]
    pub restart: Option<String>,
    /// Replaces the image's health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// A check made by Mooring, besides or instead of the engine's health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// Signal that asks the container to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed. Default: the engine's ten seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<Duration>,
    /// Capabilities to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Mounts the root file system read-only.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only: bool,
    /// Keeps processes from gaining privileges through set-uid programs.
    #[serde(skip_serializing_if = "is_default")]
    pub no_new_privileges: bool,
    /// Memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_limit: Option<Bytes>,
    /// CPU limit, in CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01))]
    pub cpus: Option<f64>,
    /// Limit of processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub pids_limit: Option<i64>,
    /// Resource limits by name, as in `nofile`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Kernel parameters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, IntOrString>,
    /// Devices: `HOST[:CONTAINER[:PERMISSIONS]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// The host's GPUs: `all`, or how many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<IntOrString>,
    /// Additional lines of `/etc/hosts`: `NAME:ADDRESS`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<String>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Search domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_search: Vec<String>,
    /// Log driver and its options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Labels. Those that start with `dev.mooring.` are reserved.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, IntOrString>,
    /// Runs the engine's init as process 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Size of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<Bytes>,
    /// Permits that a container with data volumes is recreated, which stops it for a while. Its volumes stay.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_recreate: bool,
    /// Permits that a container with data volumes is removed when its manifest goes. Its volumes stay.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_remove: bool,
    /// What a `docker stop` by a person means: `respect` leaves it stopped and says so, `heal` starts it again.
    #[serde(skip_serializing_if = "is_default")]
    pub on_manual_stop: OnManualStop,
    /// How often and how fast Mooring may try to bring the container back.
    #[serde(skip_serializing_if = "is_default")]
    pub healing: Healing,
    /// When it may be replaced or removed while it works, instead of the host's and its groups' windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// `observe`: what would be done to it is shown, and not done.
    #[serde(skip_serializing_if = "Mode::is_act")]
    pub mode: Mode,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Who makes the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Management {
    /// Mooring makes it, and removes it when its manifest goes.
    #[default]
    Own,
    /// Someone else makes it; Mooring never creates, recreates or removes it.
    Heal,
}

/// Which of other people's containers are meant. All given parts have to match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// The container's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels and their values, as in `com.docker.compose.service: redis`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// When to pull the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PullPolicy {
    /// Never: the image has to be there.
    Never,
    /// When the engine does not have it.
    #[default]
    IfMissing,
    /// Before every creation of the container.
    Always,
}

/// Variables taken from an `Environment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvFrom {
    /// The name of the `Environment`.
    pub environment: String,
    /// The variables to take. Without it: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// Variables to take besides `keys` when they have a value; nothing waits for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional_keys: Vec<String>,
}

/// A network that is not a user-defined one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// The host's own network.
    Host,
    /// No network.
    None,
    /// The engine's default bridge, which resolves no container names.
    Bridge,
}

/// A container that has to be up first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
    /// The name of the `Container` object.
    pub container: String,
    /// What it has to have reached.
    #[serde(default)]
    pub condition: DependencyCondition,
}

/// What a dependency has to have reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DependencyCondition {
    /// It runs.
    #[default]
    Started,
    /// It runs, and its health check and probe, if it has any, succeed.
    Healthy,
}

/// A health check that the engine makes inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Healthcheck {
    /// The command: a line for the container's shell, or words that start with `CMD`, `CMD-SHELL` or `NONE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Command>,
    /// Time between checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Time limit of one check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub retries: Option<i64>,
    /// Time after the start in which failures do not count, until the first success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_period: Option<Duration>,
    /// Switches the image's own check off.
    #[serde(skip_serializing_if = "is_default")]
    pub disable: bool,
}

/// A check that Mooring makes itself. Exactly one of `http`, `tcp`, `exec` is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// Succeeds when a GET is answered with a status of 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProbe>,
    /// Succeeds when the port accepts a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpProbe>,
    /// Succeeds when a command inside the container exits with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecProbe>,
    /// Time between checks.
    #[serde(default = "ten_seconds")]
    pub interval: Duration,
    /// Time limit of one check.
    #[serde(default = "five_seconds")]
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy.
    #[serde(default = "three")]
    #[schemars(range(min = 1))]
    pub retries: u32,
    /// Time after the start in which failures do not count.
    #[serde(default = "ten_seconds")]
    pub start_period: Duration,
}

fn ten_seconds() -> Duration {
    Duration::seconds(10)
}

fn five_seconds() -> Duration {
    Duration::seconds(5)
}

fn three() -> u32 {
    3
}

/// An HTTP check against the container's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpProbe {
    /// The port inside the container.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The path to ask for.
    #[serde(default = "root_path")]
    #[schemars(regex(pattern = "^/"), extend("x-mooring-words" = "a path that begins with `/`"))]
    pub path: String,
}

fn root_path() -> String {
    "/".to_owned()
}

/// A TCP check against the container's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpProbe {
    /// The port inside the container.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// A check by a command inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecProbe {
    /// The words of the command; no shell is involved.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
}

/// Where the container's output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Logging {
    /// The log driver, as in `json-file`.
    pub driver: String,
    /// The driver's options, as in `max-size: 10m`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, IntOrString>,
}

/// What a `docker stop` by a person means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnManualStop {
    /// It stays stopped until it is started, released or declared otherwise.
    #[default]
    Respect,
    /// It is started again.
    Heal,
}

/// How often and how fast Mooring may try to bring a container back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Healing {
    /// The pause between one try and the next.
    pub backoff: HealingBackoff,
    /// The most tries in a span of time; after them comes `CrashLoop` and no further try.
    pub budget: Budget,
}

/// A growing pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealingBackoff {
    /// The pause before the second try; the first is made at once.
    pub initial: Duration,
    /// How much longer each pause is than the one before.
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: f64,
    /// The longest pause.
    pub cap: Duration,
    /// A container that stayed up this long starts over with a clean slate.
    pub reset_after: Duration,
}

impl Default for HealingBackoff {
    fn default() -> Self {
        Self { initial: Duration::seconds(1), factor: 2.0, cap: Duration::seconds(300), reset_after: Duration::seconds(600) }
    }
}

/// The most tries in a span of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Budget {
    /// How many tries.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// In which time.
    pub window: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { attempts: 3, window: Duration::seconds(600) }
    }
}
