//! Why a step is taken. The diff, the event, the audit row and the metric's
//! label are all made from this value; there is no second explanation.

use std::fmt;

use serde::Serialize;

use super::{action::SecretSource, shape::FieldChange};
use crate::manifest::Key;

/// The reason for a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code")]
pub enum Why {
    /// It should exist and does not.
    Missing,
    /// Something needs it.
    NeededBy {
        /// What needs it.
        object: Key,
    },
    /// It was made and never started.
    NeverStarted,
    /// It should run and does not.
    NotRunning {
        /// The exit code of its main process.
        exit_code: i64,
        /// Whether the kernel killed it for want of memory.
        out_of_memory: bool,
    },
    /// The engine could not start it.
    StartFailed {
        /// What the engine said.
        error: String,
    },
    /// It exits again and again, however often the engine restarts it.
    Restarting {
        /// How often it did.
        restarts: u32,
    },
    /// An earlier removal got stuck half-way.
    HalfRemoved,
    /// Its health check says so.
    Unhealthy,
    /// Our own probe says so.
    ProbeFailing {
        /// What the last try ran into.
        error: String,
    },
    /// It differs from what is declared.
    Outdated {
        /// Every field that differs.
        fields: Vec<FieldChange>,
    },
    /// Starting it again did not help.
    RestartDidNotHelp {
        /// How many tries were made.
        attempts: u32,
    },
    /// Neither that nor making it anew helped, so its image is suspect and the last good one is tried.
    ImageSuspect {
        /// The image that kept failing.
        image: String,
        /// How many tries were made.
        attempts: u32,
    },
    /// The new version did not come up, so the old one comes back.
    ReplacementFailed {
        /// What the new one did.
        reason: String,
        /// What the new version would have changed.
        fields: Vec<FieldChange>,
    },
    /// A new container has taken its place.
    Replaced,
    /// It is a duplicate, or what an interrupted replacement left behind.
    LeftOver,
    /// It had stepped aside for another version, and the manifest has come back to it.
    WantedAgain,
    /// Its manifest is gone.
    NoLongerWanted,
    /// Another provider answers, so nothing local is needed.
    OtherProvider {
        /// Which, with its model.
        choice: String,
    },
    /// It is not attached to a network that it belongs to.
    Disconnected {
        /// The network.
        network: String,
    },
    /// A person has asked for it.
    Asked {
        /// Who, as it stands in the audit log.
        by: String,
    },
    /// Another network has its name, and the engine cannot tell which of them is meant.
    Doubled,
    /// It has another name than declared.
    Misnamed {
        /// The name it has.
        name: String,
    },
    /// Secrets that must exist are in no file.
    SecretsMissing {
        /// Each with where it comes back from.
        secrets: Vec<(String, SecretSource)>,
    },
    /// The file is gone.
    FileMissing,
    /// A file has new content, and it is good.
    FileChanged,
    /// Computed values differ from what the cascade gives.
    ComputedOutdated,
    /// Other users can read or write it.
    ModeTooOpen {
        /// The permission bits it has.
        mode: u32,
    },
    /// What is served is not what the manifest says.
    RoutesChanged,
    /// Backends are somewhere else than the files say.
    AddressMoved {
        /// Each of them.
        moves: Vec<BackendMove>,
    },
    /// Somebody has edited generated files.
    HandEdited {
        /// Their names.
        files: Vec<String>,
    },
    /// A certificate, or its key, is another one.
    CertificateChanged {
        /// The host.
        host: String,
    },
    /// A change did not work, so what worked before comes back; or it is tried again.
    ChangeFailed {
        /// What went wrong.
        reason: String,
    },
    /// Sites of another tool name backends that nginx would never look up again.
    FixedBackends,
    /// Sites of another tool were repaired by a Mooring that ended before nginx had proven them.
    RepairUnproven,
    /// That nginx has read the files is not known.
    NotLoaded,
    /// It has been restarted, and which files it read then is not known.
    NginxRestarted,
    /// That the routes work has not been shown.
    NotProven {
        /// What went wrong when it was tried.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// A backend that is somewhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendMove {
    /// The `Container`.
    pub backend: String,
    /// Where it was; empty when it was down.
    pub from: String,
    /// Where it is; empty when it is down.
    pub to: String,
}

/// Addresses in one line.
pub(super) fn places(addresses: &std::collections::BTreeSet<String>) -> String {
    addresses.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for BackendMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, from, to } = self;
        match (from.is_empty(), to.is_empty()) {
            (_, true) => write!(f, "{backend} is down"),
            (true, false) => write!(f, "{backend} is up at {to}"),
            (false, false) => write!(f, "{backend} has moved from {from} to {to}"),
        }
    }
}

impl Why {
    /// The reason's word in events and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::NeededBy { .. } => "NeededBy",
            Self::NeverStarted => "NeverStarted",
            Self::NotRunning { .. } => "NotRunning",
            Self::StartFailed { .. } => "StartFailed",
            Self::Restarting { .. } => "Restarting",
            Self::HalfRemoved => "HalfRemoved",
            Self::Unhealthy => "Unhealthy",
            Self::ProbeFailing { .. } => "ProbeFailing",
            Self::Outdated { .. } => "Outdated",
            Self::RestartDidNotHelp { .. } => "RestartDidNotHelp",
            Self::ImageSuspect { .. } => "ImageSuspect",
            Self::ReplacementFailed { .. } => "ReplacementFailed",
            Self::Replaced => "Replaced",
            Self::LeftOver => "LeftOver",
            Self::WantedAgain => "WantedAgain",
            Self::NoLongerWanted => "NoLongerWanted",
            Self::OtherProvider { .. } => "OtherProvider",
            Self::Disconnected { .. } => "Disconnected",
            Self::Asked { .. } => "Asked",
            Self::Doubled => "Doubled",
            Self::Misnamed { .. } => "Misnamed",
            Self::SecretsMissing { .. } => "SecretsMissing",
            Self::FileMissing => "FileMissing",
            Self::FileChanged => "FileChanged",
            Self::ComputedOutdated => "ComputedOutdated",
            Self::ModeTooOpen { .. } => "ModeTooOpen",
            Self::RoutesChanged => "RoutesChanged",
            Self::FixedBackends => "FixedBackends",
            Self::RepairUnproven => "RepairUnproven",
            Self::AddressMoved { .. } => "AddressMoved",
            Self::HandEdited { .. } => "HandEdited",
            Self::CertificateChanged { .. } => "CertificateChanged",
            Self::ChangeFailed { .. } => "ChangeFailed",
            Self::NotLoaded => "NotLoaded",
            Self::NginxRestarted => "NginxRestarted",
            Self::NotProven { .. } => "NotProven",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::NeededBy { object } => write!(f, "{object} needs it"),
            Self::NeverStarted => f.write_str("it was made and never started"),
            Self::NotRunning { out_of_memory: true, .. } => f.write_str("it ran out of memory and was killed"),
            Self::NotRunning { exit_code, .. } => write!(f, "it exited with {exit_code}"),
            Self::StartFailed { error } => write!(f, "it could not be started: {error}"),
            Self::Restarting { restarts } => write!(f, "it exited again after each of {restarts} restarts by the engine"),
            Self::HalfRemoved => f.write_str("an earlier removal got stuck"),
            Self::Unhealthy => f.write_str("it is unhealthy"),
            Self::ProbeFailing { error } => write!(f, "its probe fails: {error}"),
            Self::Outdated { fields } => {
                let fields: Vec<_> = fields.iter().map(ToString::to_string).collect();
                write!(f, "it differs in {}", fields.join("; "))
            }
            Self::RestartDidNotHelp { attempts: 1 } => f.write_str("an earlier try did not help"),
            Self::RestartDidNotHelp { attempts } => write!(f, "{attempts} earlier tries did not help"),
            Self::ImageSuspect { image, attempts } => write!(f, "{attempts} earlier tries with {image} did not help"),
            Self::ReplacementFailed { reason, .. } => write!(f, "the new version did not come up: {reason}"),
            Self::Replaced => f.write_str("a new one has taken its place"),
            Self::LeftOver => f.write_str("it is left over"),
            Self::WantedAgain => f.write_str("the manifest has come back to it"),
            Self::NoLongerWanted => f.write_str("its manifest is gone"),
            Self::OtherProvider { choice } => write!(f, "{choice} answers instead"),
            Self::Disconnected { network } => write!(f, "it is not on {network}"),
            Self::Asked { by } => write!(f, "{by} asked for it"),
            Self::Doubled => f.write_str("there is another one of that name, and nobody is on this one"),
            Self::Misnamed { .. } => f.write_str("that is its declared name"),
            Self::SecretsMissing { secrets } => {
                let names: Vec<_> = secrets.iter().map(|(name, _)| name.as_str()).collect();
                write!(f, "{} {} in no file", names.join(", "), if names.len() == 1 { "is" } else { "are" })
            }
            Self::FileMissing => f.write_str("the file is gone"),
            Self::FileChanged => f.write_str("its content is new and good"),
            Self::ComputedOutdated => f.write_str("the cascade gives other values"),
            Self::ModeTooOpen { mode } => write!(f, "its mode {mode:04o} lets others in"),
            Self::FixedBackends => f.write_str("nginx would never look up again the backends that it names"),
            Self::RepairUnproven => f.write_str("whoever repaired it ended before that was proven"),
            Self::RoutesChanged => f.write_str("the files are not what the manifest gives"),
            Self::AddressMoved { moves } => {
                let moves: Vec<_> = moves.iter().map(ToString::to_string).collect();
                f.write_str(&moves.join("; "))
            }
            Self::HandEdited { files } => write!(f, "somebody has edited {}", files.join(", ")),
            Self::CertificateChanged { host } => write!(f, "{host} has another certificate"),
            Self::ChangeFailed { reason } => write!(f, "a change did not work: {reason}"),
            Self::NotLoaded => f.write_str("it is not known to have read its files"),
            Self::NginxRestarted => f.write_str("it has been restarted"),
            Self::NotProven { reason: None } => f.write_str("it has not been shown that the routes work"),
            Self::NotProven { reason: Some(reason) } => write!(f, "it did not work before: {reason}"),
        }
    }
}
