//! `Proxy`: nginx that follows its containers.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    container::Healing,
    host::Mode,
    quantity::{Bytes, Duration},
    status::Status,
};

/// An nginx whose sites follow the containers they lead to.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "Proxy", plural = "proxies", shortname = "px")]
#[kube(status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxySpec {
    /// The `Container` that nginx runs in, own or healed. It is reloaded from inside. Needed unless `host` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// An nginx that runs on the host itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostNginx>,
    /// The directory of the generated files, one for each host name, relative to the manifest's own file. nginx has to
    /// include its `*.conf`. Files without Mooring's marker are never touched.
    #[schemars(length(min = 1))]
    pub directory: String,
    /// Where nginx sees directories of this host, when that is not what the engine says of its container: the
    /// directory, relative to the manifest's own file, and the path inside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mounts: BTreeMap<String, String>,
    /// How backends are named in the files.
    #[serde(default)]
    pub upstreams: Upstreams,
    /// Who resolves the names of backends.
    #[serde(default)]
    pub resolver: Resolver,
    /// The ports that nginx listens on.
    #[serde(default)]
    pub listen: Listen,
    /// Certificates by host name. A host gets a TLS server once both files are there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tls: BTreeMap<String, Certificate>,
    /// What leads where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// What those get who ask for a host that has no route. Without it, that is nginx's own first server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_server: Option<DefaultServer>,
    /// The page of a backend that is down, as HTML, at most 4000 bytes. Default: a plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_page: Option<String>,
    /// What happens to a generated file that somebody has edited.
    #[serde(default)]
    pub on_hand_edit: OnHandEdit,
    /// Sites that another tool has generated, in which fixed backends are turned into followed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
    /// How often, and how fast, failed changes are tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub healing: Healing,
    /// `observe`: what would be done to it is shown, and not done.
    #[serde(default, skip_serializing_if = "Mode::is_act")]
    pub mode: Mode,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An nginx that runs on the host itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostNginx {
    /// The command that runs nginx; `-t`, `-T` and `-s reload` are put behind it.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// The command that reloads it. Default: `command` with `-s reload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload: Option<Vec<String>>,
    /// Where it answers.
    pub address: String,
}

impl Default for HostNginx {
    fn default() -> Self {
        Self { command: vec!["nginx".to_owned()], reload: None, address: "127.0.0.1".to_owned() }
    }
}

/// How backends are named in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Upstreams {
    /// By name, through a resolver: nginx starts while a backend is absent, and follows it without Mooring as well.
    #[default]
    Resolver,
    /// By address, with connections kept open: faster, and only as fresh as Mooring.
    Address,
}

/// Who resolves the names of backends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resolver {
    /// The DNS server, as nginx reaches it.
    pub address: String,
    /// How long nginx believes an answer. Without Mooring, this is how long a moved container is not found.
    pub valid: Duration,
    /// How long nginx waits for an answer.
    pub timeout: Duration,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { address: "127.0.0.11".to_owned(), valid: Duration::seconds(30), timeout: Duration::seconds(5) }
    }
}

/// The ports that nginx listens on, as nginx sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Listen {
    /// For HTTP.
    #[schemars(range(min = 1))]
    pub http: u16,
    /// For HTTPS.
    #[schemars(range(min = 1))]
    pub https: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Self { http: 80, https: 443 }
    }
}

/// A certificate and its key. Relative paths are relative to the manifest's own file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The file of the certificate and its chain, on this host.
    pub certificate: String,
    /// The file of the private key, on this host.
    pub key: String,
    /// Whether plain HTTP is redirected to HTTPS.
    #[serde(default = "yes")]
    pub redirect: bool,
}

fn yes() -> bool {
    true
}

/// What leads where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// The host name.
    #[schemars(regex(pattern = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$"))]
    #[schemars(extend("x-mooring-words" = "a host name such as api.example.com or *.example.com"))]
    pub host: String,
    /// The beginning of the path.
    #[serde(default = "root")]
    #[schemars(regex(pattern = r"^/[A-Za-z0-9._~%!&'()*+,=:@/-]*$"))]
    #[schemars(extend("x-mooring-words" = "a path that begins with / and has no spaces, quotes, braces or semicolons"))]
    pub path: String,
    /// The backend.
    pub to: Backend,
    /// Whether `path` is taken off before the request goes to the backend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strip_path: bool,
    /// Whether connections may be upgraded to websockets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub websocket: bool,
    /// The largest request body. Default: nginx's 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_max_body_size: Option<Bytes>,
    /// How long nginx waits for the backend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// Headers that the backend gets besides the usual ones, which they can replace. nginx's variables have their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub request_headers: BTreeMap<String, String>,
    /// Headers that the client gets. nginx's variables have their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// The path that is asked to prove that the route leads to its backend, whatever that answers. Default: `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
}

fn root() -> String {
    "/".to_owned()
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backend {
    /// The `Container`, own or healed. With `address`, all containers that its selector names share the requests.
    pub container: String,
    /// The port inside the container.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Whether it speaks TLS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: bool,
}

/// How long nginx waits for a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// For the connection. Default: 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    /// Between two reads. Default: nginx's 60s, with `websocket` a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Duration>,
    /// Between two writes. Default: nginx's 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Duration>,
}

/// What those get who ask for a host that has no route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DefaultServer {
    /// The status; 444 closes the connection without an answer.
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
}

/// What happens to a generated file that somebody has edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnHandEdit {
    /// It is written anew.
    #[default]
    Restore,
    /// It is kept, and reported.
    Keep,
}

/// Sites that another tool has generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repair {
    /// Their files, relative to the manifest's own file; `*` stands for any part of a name.
    #[schemars(length(min = 1))]
    pub files: Vec<String>,
    /// What the first line of a generated file begins with. Files without it are only reported, never changed.
    #[serde(default = "nself_marker")]
    #[schemars(length(min = 1))]
    pub marker: String,
}

fn nself_marker() -> String {
    "# Generated by nself build".to_owned()
}
