//! What can be done to a model server.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// One order to a model server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "operation")]
pub enum ModelAction {
    /// Lets the server pull a model, and waits until it has it.
    PullModel {
        /// The server.
        url: String,
        /// The model.
        model: String,
        /// Seconds without progress after which the pull is broken off.
        stall_after_seconds: u64,
        /// The directory of the models, whose free space is watched.
        #[serde(skip_serializing_if = "Option::is_none")]
        directory: Option<PathBuf>,
    },
}

impl ModelAction {
    /// The operation's name in the audit log and in metrics.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::PullModel { .. } => "PullModel",
        }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::PullModel { model, .. } => model,
        }
    }
}

impl fmt::Display for ModelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullModel { model, .. } => write!(f, "pull model {model}"),
        }
    }
}
