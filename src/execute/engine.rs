//! What can be done to a container engine, whichever it is.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use crate::{plan::EngineAction, secret::Secret};

/// What can be done to an engine: one call for each action.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Performs `action`. `variables` are the values for [`EngineAction::CreateContainer`], empty otherwise.
    ///
    /// Something that is already as the action would make it is a success:
    /// started when it runs, removed when it is gone, made when it exists with
    /// our label for the same object.
    async fn perform(&self, action: &EngineAction, variables: &BTreeMap<String, Secret>) -> Result<Effect, Error>;

    /// Leaves a marker of this name with this text, unless there is one; gives the text that is in force.
    async fn mark(&self, name: &str, text: &str) -> Result<String, Error>;

    /// Runs a command inside a container to its end, which is to come within `limit`.
    async fn exec(&self, id: &str, command: &[String], limit: Duration) -> Result<Ran, Error>;

    /// Takes a marker away. One that is not there is taken away already.
    async fn unmark(&self, name: &str) -> Result<(), Error>;
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub exit_code: i64,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// What performing an action came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The world is different now.
    Done,
    /// It was so already.
    AlreadySo,
}

/// An action failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no answer: no socket, refused, broken off, timed out. Whether it was done is not known.
    #[error("the engine cannot be reached at {address}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine said no.
    #[error("the engine refused: {status} {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// A pull failed.
    #[error("image {image} cannot be pulled: {message}")]
    Pull {
        /// The image.
        image: String,
        /// The engine's words.
        message: String,
    },
    /// It took longer than it may.
    #[error("the engine did not answer within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
}
