//! What stands in the way of a model.

use std::{fmt, path::PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::size;
use crate::manifest::{Key, status::ConditionType};

/// What stands in the way of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "problem")]
pub enum ModelWait {
    /// The cascade cannot be read, so nobody knows which keys are set.
    ChoiceUnknown {
        /// Why.
        reason: String,
    },
    /// The server does not answer.
    ServerDown {
        /// Where it should be.
        url: String,
        /// What the last try ran into.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// The server has been started a moment ago and does not answer yet.
    ServerStarting {
        /// Where it should be.
        url: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// Something answers, but not as a model server that is well does.
    ServerFailing {
        /// Where.
        url: String,
        /// What it said.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// The model is not there, and the manifest says not to pull it.
    ModelMissing {
        /// The model.
        model: String,
        /// What was probably meant.
        likely: Option<String>,
    },
    /// The last pull failed.
    PullFailed {
        /// The model.
        model: String,
        /// What the server said.
        reason: String,
        /// What was probably meant.
        likely: Option<String>,
        /// When it is tried again.
        until: Timestamp,
    },
    /// The model would not fit onto the disk.
    DiskTooSmall {
        /// The model.
        model: String,
        /// Bytes that have to be free.
        needed: u64,
        /// Bytes that are.
        free: u64,
        /// Where.
        directory: PathBuf,
    },
    /// Another object has the same server pull the same model.
    PulledFor {
        /// Which.
        object: Key,
        /// The model.
        model: String,
        /// When to look again.
        until: Timestamp,
    },
    /// A model is being pulled through the container, which would not survive what is to be done to it.
    PullUnderWay {
        /// For which object.
        object: Key,
        /// When to look again.
        until: Timestamp,
    },
}

impl ModelWait {
    /// The reason's word in conditions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ChoiceUnknown { .. } => "ChoiceUnknown",
            Self::ServerDown { .. } => "ServerDown",
            Self::ServerStarting { .. } => "ServerStarting",
            Self::ServerFailing { .. } => "ServerFailing",
            Self::ModelMissing { .. } => "ModelMissing",
            Self::PullFailed { .. } => "PullFailed",
            Self::DiskTooSmall { .. } => "DiskTooSmall",
            Self::PulledFor { .. } => "PulledFor",
            Self::PullUnderWay { .. } => "PullUnderWay",
        }
    }

    /// The condition that it makes true.
    #[must_use]
    pub fn condition(&self) -> ConditionType {
        match self {
            Self::ServerStarting { .. } | Self::PulledFor { .. } | Self::PullUnderWay { .. } => ConditionType::Progressing,
            Self::ChoiceUnknown { .. }
            | Self::ServerDown { .. }
            | Self::ServerFailing { .. }
            | Self::ModelMissing { .. }
            | Self::PullFailed { .. }
            | Self::DiskTooSmall { .. } => ConditionType::Degraded,
        }
    }

    /// When looking again is worthwhile although nothing will tell us to.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::ServerDown { until, .. }
            | Self::ServerStarting { until, .. }
            | Self::ServerFailing { until, .. }
            | Self::PullFailed { until, .. }
            | Self::PulledFor { until, .. }
            | Self::PullUnderWay { until, .. } => Some(*until),
            // The resync looks at these.
            Self::ChoiceUnknown { .. } | Self::ModelMissing { .. } | Self::DiskTooSmall { .. } => None,
        }
    }
}

impl fmt::Display for ModelWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChoiceUnknown { reason } => write!(f, "which provider has its key is not known: {reason}"),
            Self::ServerDown { url, reason, .. } => write!(f, "no model server answers at {url}: {reason}"),
            Self::ServerStarting { url, .. } => write!(f, "the model server at {url} has just been started"),
            Self::ServerFailing { url, reason, .. } => write!(f, "the model server at {url} is not well: {reason}"),
            Self::ModelMissing { model, likely } => {
                write!(f, "model {model} is not there, and the manifest says not to pull it")?;
                meant(f, likely.as_deref())
            }
            Self::PullFailed { model, reason, likely, .. } => {
                write!(f, "model {model} cannot be pulled: {reason}")?;
                meant(f, likely.as_deref())
            }
            Self::DiskTooSmall { model, needed, free, directory } => write!(
                f,
                "model {model} needs {} of free space in {}, and there are {}",
                size(*needed),
                directory.display(),
                size(*free)
            ),
            Self::PulledFor { object, model, .. } => write!(f, "model {model} is being pulled for {object} already"),
            Self::PullUnderWay { object, .. } => write!(f, "a model is being pulled through it for {object}"),
        }
    }
}

fn meant(f: &mut fmt::Formatter<'_>, likely: Option<&str>) -> fmt::Result {
    likely.map_or(Ok(()), |likely| write!(f, " (did you mean `{likely}`?)"))
}
