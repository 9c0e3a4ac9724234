//! `Plugin`: a plugin's own manifest, which expands into objects of the other kinds.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{host::Mode, quantity::IntOrString, status::Status};

/// A plugin. Its manifest says what it needs; Mooring turns that into objects of the other kinds and keeps those.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "Plugin", plural = "plugins", shortname = "plug")]
#[kube(status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginSpec {
    /// The plugin's directory, with its `plugin.json` and, when it has one, its `docker-compose.plugin.yml`. Relative
    /// to the manifest's own file; `~/` is the home directory. Needed unless `manifest` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The plugin's manifest, written out here instead of in a directory. Either shape of `plugin.json` will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub manifest: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether the plugin is wanted. One that is not expands into nothing.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The name of the stack, which stands before the names of its containers and networks, as in `shop_claw`.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]*$"))]
    #[schemars(extend("x-mooring-words" = "the name of a stack: lower-case letters, digits, `_` and `-`"))]
    pub project: String,
    /// The `Environment` whose secrets file gets the secrets that the plugin needs, and whose values its container gets.
    pub environment: String,
    /// The image of the plugin's container, which Mooring makes then. Default: what the plugin's manifest says, unless
    /// it brings a Compose file. Without an image the container is one that Compose makes; it is found by Compose's labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The network of the plugin's container. Default: `PROJECT_network`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Environment variables for the plugin's container, above those that its manifest names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, IntOrString>,
    /// Where the plugin is reached from outside; not at all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<PluginRoute>,
    /// `observe`: what would be done to what it expands into is shown, and not done.
    #[serde(default, skip_serializing_if = "Mode::is_act")]
    pub mode: Mode,
}

fn yes() -> bool {
    true
}

/// Where a plugin is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PluginRoute {
    /// The `Proxy` that gets the route.
    pub proxy: String,
    /// The host name.
    #[schemars(regex(pattern = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$"))]
    #[schemars(extend("x-mooring-words" = "a host name such as api.example.com or *.example.com"))]
    pub host: String,
    /// The beginning of the path. Default: what the plugin's manifest says, else `/NAME/`. Webhooks are reached at their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/[A-Za-z0-9._~%!&'()*+,=:@/-]*$"))]
    #[schemars(extend("x-mooring-words" = "a path that begins with / and has no spaces, quotes, braces or semicolons"))]
    pub path: Option<String>,
}
