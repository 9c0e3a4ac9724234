//! `Environment`: an `.env` cascade with generated secrets.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{host::Mode, status::Status};

/// A directory's `.env` cascade, the secrets that must be in it, and values computed from it.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "Environment", plural = "environments", shortname = "env")]
#[kube(status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// The directory of the files, relative to the manifest's own file. Nothing outside it is read or written.
    #[serde(default = "current_directory")]
    pub directory: String,
    /// The files of the cascade, lowest precedence first. A file that does not exist is an empty one.
    #[serde(default = "default_files")]
    #[schemars(length(min = 1))]
    pub files: Vec<String>,
    /// Secrets that must exist, and where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// Values computed from the cascade, and where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed: Option<Computed>,
    /// `observe`: what would be done to it is shown, and not done.
    #[serde(default, skip_serializing_if = "Mode::is_act")]
    pub mode: Mode,
}

fn current_directory() -> String {
    ".".to_owned()
}

pub(crate) fn default_files() -> Vec<String> {
    [".env", ".env.secrets", ".env.local"].map(str::to_owned).to_vec()
}

/// Secrets that are made when no file of the cascade has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secrets {
    /// The file that missing secrets are written to; it has to be one of `files`. It is kept at mode 0600.
    #[serde(default = "secrets_file")]
    pub file: String,
    /// The secrets that must exist. An existing value is never overwritten.
    pub generate: Vec<GeneratedSecret>,
}

pub(crate) fn secrets_file() -> String {
    ".env.secrets".to_owned()
}

/// One secret that must exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GeneratedSecret {
    /// The variable's name.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[schemars(extend("x-mooring-words" = "a variable's name: letters, digits and `_`, not beginning with a digit"))]
    pub name: String,
    /// How the value is written.
    #[serde(default)]
    pub format: SecretFormat,
    /// Length in characters of the value as written (32 to 256; `uuid` has its own). Default: 64 for `hex`, else 43.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 256))]
    pub length: Option<u16>,
}

/// How a generated value is written. All are drawn from the operating system's generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretFormat {
    /// Hexadecimal digits; 64 of them by default, that is 32 random bytes.
    #[default]
    Hex,
    /// The URL-safe base 64 alphabet, without padding.
    Base64url,
    /// Letters and digits.
    Alphanumeric,
    /// A random (version 4) UUID.
    Uuid,
}

/// Values computed from the cascade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Computed {
    /// The file that is written, wholly owned by Mooring. It has to be none of `files`. It is kept at mode 0600.
    #[serde(default = "computed_file")]
    pub file: String,
    /// Templates by variable name. `${NAME}` takes a value of the cascade, `${NAME:-default}` falls back,
    /// `${NAME:urlencode}` encodes it for a URL, `$$` is a dollar sign.
    pub values: BTreeMap<String, String>,
}

pub(crate) fn computed_file() -> String {
    ".env.computed".to_owned()
}
