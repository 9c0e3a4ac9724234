//! `ModelProvider`: which model answers, and that it is there.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    container::{Healing, OnManualStop},
    host::Mode,
    quantity::{Duration, IntOrString},
    status::Status,
};

/// Which model answers. The choice follows the keys in an `Environment`; a local model is kept present.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "ModelProvider", plural = "modelproviders")]
#[kube(shortname = "model", shortname = "mp", status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelProviderSpec {
    /// The `Environment` in whose cascade the keys are looked for, and in whose computed file the choice is written.
    pub environment: String,
    /// The variables that the choice is written to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub variables: Variables,
    /// The providers, the most wanted one first. The first one that has its key is taken: `OPENAI_API_KEY`,
    /// `ANTHROPIC_API_KEY`, `OLLAMA_MODEL`. A key without a value, or with a placeholder, is none. Without any, it is
    /// ollama with its default model.
    #[serde(default = "all_providers")]
    #[schemars(length(min = 1))]
    pub order: Vec<Provider>,
    /// The model to ask `OpenAI` for.
    #[serde(default = "openai_model")]
    pub openai_model: String,
    /// The model to ask Anthropic for.
    #[serde(default = "anthropic_model")]
    pub anthropic_model: String,
    /// The local server. It is only looked after while it is the choice.
    #[serde(default)]
    pub ollama: Ollama,
    /// How often, and how fast, failed pulls are tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub healing: Healing,
    /// `observe`: what would be done to it is shown, and not done.
    #[serde(default, skip_serializing_if = "Mode::is_act")]
    pub mode: Mode,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn all_providers() -> Vec<Provider> {
    vec![Provider::Openai, Provider::Anthropic, Provider::Ollama]
}

fn openai_model() -> String {
    "gpt-4o-mini".to_owned()
}

fn anthropic_model() -> String {
    "claude-3-5-haiku".to_owned()
}

/// The variables that the choice is written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Variables {
    /// Gets the provider, as in `ollama`.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[schemars(extend("x-mooring-words" = "a variable's name: letters, digits and `_`, not beginning with a digit"))]
    pub provider: String,
    /// Gets the provider and the model, as in `ollama/gemma3:4b`.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[schemars(extend("x-mooring-words" = "a variable's name: letters, digits and `_`, not beginning with a digit"))]
    pub model: String,
    /// Gets the reason for the choice, as in `OPENAI_API_KEY is set`.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    #[schemars(extend("x-mooring-words" = "a variable's name: letters, digits and `_`, not beginning with a digit"))]
    pub reason: String,
}

impl Default for Variables {
    fn default() -> Self {
        Self { provider: "AI_PROVIDER".to_owned(), model: "AI_MODEL".to_owned(), reason: "AI_MODEL_REASON".to_owned() }
    }
}

/// Who can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// `OpenAI`, with `OPENAI_API_KEY`.
    Openai,
    /// Anthropic, with `ANTHROPIC_API_KEY`.
    Anthropic,
    /// A local ollama.
    Ollama,
}

impl Provider {
    /// The name as it stands in `ollama/gemma3:4b`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
        }
    }

    /// The variable that chooses it.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Openai => "OPENAI_API_KEY",
            Self::Anthropic => "ANTHROPIC_API_KEY",
            Self::Ollama => "OLLAMA_MODEL",
        }
    }
}

/// The local server, and the model on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ollama {
    /// The `Container` that it runs in, which keeps it running whichever provider is chosen. Without this and without
    /// `run` it is somebody else's to keep it running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// A container that is made and kept running only while ollama is the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<OllamaContainer>,
    /// Where Mooring reaches it. Default: with `container` or `run` that container's own address, else `http://localhost:11434`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^http://[^\s/]+(/\S*)?$"))]
    #[schemars(extend("x-mooring-words" = "a URL that begins with http://"))]
    pub url: Option<String>,
    /// The model, when `OLLAMA_MODEL` names no other.
    #[schemars(regex(pattern = r"^\S+$"))]
    #[schemars(extend("x-mooring-words" = "a model's name such as gemma3:4b"))]
    pub model: String,
    /// Whether a missing model is pulled.
    pub pull: ModelPull,
    /// A pull that makes no progress for this long is broken off and tried again.
    pub stall_after: Duration,
    /// The directory of the models on this host, whose free space is looked at before and during a pull. Default: what
    /// the container has at `/root/.ollama`, as far as that can be seen from where Mooring runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// A container for ollama.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OllamaContainer {
    /// Its name on the engine. Default: `ollama`.
    #[serde(default = "ollama")]
    pub name: String,
    /// Its image.
    #[serde(default = "ollama_image")]
    pub image: String,
    /// The volume of its models, at `/root/.ollama`. Created when missing, never removed.
    #[serde(default = "ollama")]
    pub volume: String,
    /// Whether it gets all of the host's GPUs.
    #[serde(default)]
    pub gpus: bool,
    /// Variables, as in `OLLAMA_KEEP_ALIVE: 24h`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, IntOrString>,
    /// The networks that it joins, where others find it by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Published ports, as in a `Container`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// What a `docker stop` by a person means, as in a `Container`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_manual_stop: OnManualStop,
}

fn ollama() -> String {
    "ollama".to_owned()
}

fn ollama_image() -> String {
    "ollama/ollama:latest".to_owned()
}

/// Whether a missing model is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ModelPull {
    /// It is.
    #[default]
    IfMissing,
    /// It is only reported.
    Never,
}

impl Default for Ollama {
    fn default() -> Self {
        Self {
            container: None,
            run: None,
            url: None,
            model: "gemma3:4b".to_owned(),
            pull: ModelPull::default(),
            stall_after: Duration::seconds(60),
            directory: None,
        }
    }
}
