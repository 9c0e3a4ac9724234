//! Why nothing more is done just now.
//!
//! *Nothing to do* and *nothing to do yet* must not look alike, so waiting is
//! an answer of its own. A refusal by policy is a wait as well: it ends when a
//! person permits what it forbids.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::{model_provider::ModelWait, restraint::Restrained, shape::FieldChange};
use crate::manifest::{Key, status::ConditionType};

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "code")]
pub enum Wait {
    /// It has been started and is not healthy yet.
    Starting,
    /// It has been started, and as nobody checks on it, it has to stay up for a moment to count as well.
    Settling {
        /// When it has.
        until: Timestamp,
    },
    /// The engine is working on it: restarting or removing it.
    EngineBusy {
        /// What the engine does.
        doing: String,
    },
    /// Something it depends on is not up.
    Dependency {
        /// What.
        object: Key,
        /// What it should be, and is not.
        condition: String,
    },
    /// What it works on has no container.
    NoContainer {
        /// The object that should have one.
        object: Key,
    },
    /// A variable of its environment has no value.
    MissingVariable {
        /// The variable.
        variable: String,
        /// Why not.
        reason: String,
    },
    /// A person is in the middle of stopping it, as far as can be told.
    StopUnderWay {
        /// When to look again.
        until: Timestamp,
    },
    /// A person stopped it, and the manifest says to respect that.
    StoppedByHand {
        /// When.
        at: Timestamp,
    },
    /// It is paused; somebody did that on purpose.
    Paused,
    /// The last try was too recent.
    BackingOff {
        /// When the next one is due.
        until: Timestamp,
        /// Tries made so far.
        attempts: u32,
    },
    /// The healing budget is spent on what the engine refused to do, which says nothing about the container.
    EngineRefuses {
        /// Until the budget has something left.
        until: Timestamp,
        /// Tries made.
        attempts: u32,
        /// What was to be mended.
        reason: String,
    },
    /// The healing budget is spent.
    CrashLoop {
        /// Tries made.
        attempts: u32,
        /// What it last did.
        reason: String,
    },
    /// A container with data would have to be recreated, and nobody has permitted that.
    RecreateForbidden {
        /// Every field that differs.
        fields: Vec<FieldChange>,
    },
    /// A container with data would have to be removed, and nobody has permitted that.
    RemoveForbidden,
    /// It runs, and its health check cannot be believed; a restart would change nothing about that.
    HealthUntrusted {
        /// Why not.
        reason: String,
    },
    /// The image is not there and may not, or cannot, be pulled.
    ImageUnavailable {
        /// The image.
        image: String,
        /// What was tried.
        reason: String,
        /// When it is tried again; never, when it may not be pulled.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// It runs, but with an older image, because the wanted one kept failing.
    OnLastGoodImage {
        /// The image it runs with.
        image: String,
        /// The image that the manifest names.
        wanted: String,
    },
    /// The new version did not come up; the old one runs on.
    ReplacementFailed {
        /// What the new one did.
        reason: String,
        /// When it is tried again; never, when the tries are spent.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// The name belongs to a container that is not ours.
    NameTaken {
        /// The name.
        name: String,
    },
    /// A container to be healed does not exist; making it is not our job.
    NotFound,
    /// A network that a container to be healed belongs to does not exist; making it is not our job.
    NetworkNotFound {
        /// The network.
        network: String,
    },
    /// A container to be healed is half removed; finishing that is not our job.
    HalfRemoved,
    /// A file of the cascade cannot be read or does not parse.
    UnreadableFile {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Computed values refer to variables that have no value.
    MissingValues {
        /// The variables.
        variables: Vec<String>,
    },
    /// The engine cannot be reached.
    EngineUnreachable {
        /// Why.
        reason: String,
    },
    /// nginx was reloaded a moment ago.
    ReloadsSpaced {
        /// When the next reload may be.
        until: Timestamp,
    },
    /// nginx refused the new files; what worked before stays in force.
    ChangeRefused {
        /// What nginx said.
        reason: String,
        /// When it is tried again.
        until: Timestamp,
    },
    /// A route does not work.
    RouteFails {
        /// What it does.
        reason: String,
        /// When it is asked again.
        until: Timestamp,
    },
    /// nginx does not see a path of this host.
    OutOfSight {
        /// The path.
        path: String,
    },
    /// A file that is not ours has the name of one that should be.
    FileTaken {
        /// The file.
        file: String,
    },
    /// Somebody asked to leave it alone.
    Held {
        /// By this.
        hold: Key,
        /// When that ends.
        until: Timestamp,
        /// Who asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        reason: String,
    },
    /// It is not permitted just now.
    Restrained(Restrained),
    /// The hold itself is over.
    HoldOver {
        /// When it ended.
        since: Timestamp,
    },
    /// Something about a model.
    Model(ModelWait),
}

impl Wait {
    /// The reason's word in conditions and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Settling { .. } => "Settling",
            Self::EngineBusy { .. } => "EngineBusy",
            Self::Dependency { .. } | Self::NoContainer { .. } => "WaitingForDependency",
            Self::MissingVariable { .. } => "MissingVariable",
            Self::StopUnderWay { .. } => "StopUnderWay",
            Self::StoppedByHand { .. } => "StoppedByHand",
            Self::Paused => "Paused",
            Self::BackingOff { .. } => "BackingOff",
            Self::EngineRefuses { .. } => "EngineRefuses",
            Self::CrashLoop { .. } => "CrashLoop",
            Self::RecreateForbidden { .. } => "RecreateForbidden",
            Self::RemoveForbidden => "RemoveForbidden",
            Self::HealthUntrusted { .. } => "HealthUntrusted",
            Self::ImageUnavailable { .. } => "ImageUnavailable",
            Self::OnLastGoodImage { .. } => "OnLastGoodImage",
            Self::ReplacementFailed { .. } => "ReplacementFailed",
            Self::NameTaken { .. } => "NameTaken",
            Self::NotFound => "NotFound",
            Self::NetworkNotFound { .. } => "NetworkNotFound",
            Self::HalfRemoved => "HalfRemoved",
            Self::UnreadableFile { .. } => "UnreadableFile",
            Self::MissingValues { .. } => "MissingValues",
            Self::EngineUnreachable { .. } => "EngineUnreachable",
            Self::ReloadsSpaced { .. } => "ReloadsSpaced",
            Self::ChangeRefused { .. } => "ChangeRefused",
            Self::RouteFails { .. } => "RouteFails",
            Self::OutOfSight { .. } => "OutOfSight",
            Self::FileTaken { .. } => "FileTaken",
            Self::Held { .. } => "Held",
            Self::Restrained(restrained) => restrained.code(),
            Self::HoldOver { .. } => "HoldOver",
            Self::Model(wait) => wait.code(),
        }
    }

    /// The condition that it makes true.
    #[must_use]
    pub fn condition(&self) -> ConditionType {
        match self {
            Self::Starting
            | Self::Settling { .. }
            | Self::EngineBusy { .. }
            | Self::Dependency { .. }
            | Self::NoContainer { .. }
            | Self::StopUnderWay { .. }
            | Self::BackingOff { .. }
            | Self::ReloadsSpaced { .. } => ConditionType::Progressing,
            Self::StoppedByHand { .. } | Self::Paused | Self::Held { .. } => ConditionType::Held,
            Self::HoldOver { .. } => ConditionType::Ready,
            Self::CrashLoop { .. } => ConditionType::CrashLoop,
            Self::MissingVariable { .. }
            | Self::EngineRefuses { .. }
            | Self::RecreateForbidden { .. }
            | Self::RemoveForbidden
            | Self::HealthUntrusted { .. }
            | Self::ImageUnavailable { .. }
            | Self::OnLastGoodImage { .. }
            | Self::ReplacementFailed { .. }
            | Self::NameTaken { .. }
            | Self::NotFound
            | Self::NetworkNotFound { .. }
            | Self::HalfRemoved
            | Self::UnreadableFile { .. }
            | Self::MissingValues { .. }
            | Self::EngineUnreachable { .. }
            | Self::ChangeRefused { .. }
            | Self::RouteFails { .. }
            | Self::OutOfSight { .. }
            | Self::FileTaken { .. } => ConditionType::Degraded,
            Self::Restrained(restrained) => restrained.condition(),
            Self::Model(wait) => wait.condition(),
        }
    }

    /// When looking again is worthwhile although nothing will tell us to.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Settling { until }
            | Self::StopUnderWay { until }
            | Self::BackingOff { until, .. }
            | Self::EngineRefuses { until, .. }
            | Self::ReloadsSpaced { until }
            | Self::ChangeRefused { until, .. }
            | Self::RouteFails { until, .. }
            | Self::Held { until, .. } => Some(*until),
            Self::ReplacementFailed { until, .. } | Self::ImageUnavailable { until, .. } => *until,
            Self::Restrained(restrained) => restrained.until(),
            Self::Model(wait) => wait.until(),
            _ => None,
        }
    }

    /// Whether it keeps something from being as declared. A hold by itself does not: what is held may well be.
    #[must_use]
    pub fn is_in_the_way(&self) -> bool {
        !matches!(self, Self::Held { .. } | Self::HoldOver { .. })
    }

    /// Whether `run --once` has to go on: what it waits for comes without a person.
    #[must_use]
    pub fn ends_by_itself(&self) -> bool {
        self.condition() == ConditionType::Progressing
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("it is starting"),
            Self::Settling { .. } => f.write_str("it has just been started and has to stay up for a moment"),
            Self::EngineBusy { doing } => write!(f, "the engine is {doing} it"),
            Self::Dependency { object, condition } => write!(f, "{object} is not {condition}"),
            Self::NoContainer { object } => write!(f, "there is no container of {object}"),
            Self::MissingVariable { variable, reason } => write!(f, "{variable} has no value: {reason}"),
            Self::StopUnderWay { .. } => f.write_str("somebody seems to be stopping it"),
            Self::StoppedByHand { at } => write!(f, "it was stopped by hand at {at:.0}; start it, or release it"),
            Self::Paused => f.write_str("it is paused; unpause it when you are done"),
            Self::BackingOff { until, attempts } => write!(f, "backing off until {until:.0} after {}", tries(*attempts)),
            Self::EngineRefuses { until, attempts, reason } => write!(
                f,
                "the engine refuses to mend it ({reason}): {} were in vain, and the next one may be at {until:.0}",
                tries(*attempts)
            ),
            Self::CrashLoop { attempts, reason } => {
                write!(f, "crash loop: given up after {} ({reason}); mend it, then release it", tries(*attempts))
            }
            Self::RecreateForbidden { fields } => {
                let fields: Vec<_> = fields.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "forbidden: would recreate a container with data, because it differs in {}; set allowRecreate",
                    fields.join("; ")
                )
            }
            Self::HealthUntrusted { reason } => {
                write!(f, "its health check is not to be believed, and it is not restarted for that: {reason}")
            }
            Self::RemoveForbidden => f.write_str(
                "forbidden: would remove a container with data; it was made without allowRemove, so remove it by hand",
            ),
            Self::ImageUnavailable { image, reason, .. } => write!(f, "image {image} is not there: {reason}"),
            Self::OnLastGoodImage { image, wanted } => {
                write!(
                    f,
                    "it runs with the last good image {image}, because {wanted} kept failing; change the manifest, or release it"
                )
            }
            Self::ReplacementFailed { reason, until: Some(until) } => {
                write!(f, "the new version did not come up ({reason}), the old one runs on; next try at {until:.0}")
            }
            Self::ReplacementFailed { reason, until: None } => {
                write!(f, "the new version did not come up ({reason}), the old one runs on; change the manifest, or release it")
            }
            Self::NameTaken { name } => write!(f, "a container named {name} exists and is not ours"),
            Self::NotFound => f.write_str("there is no such container, and making it is not Mooring's job"),
            Self::NetworkNotFound { network } => write!(f, "there is no network {network}, and making it is not Mooring's job"),
            Self::HalfRemoved => f.write_str("the engine has half removed it; remove it by hand"),
            Self::UnreadableFile { file, reason } => write!(f, "{file} cannot be used: {reason}"),
            Self::MissingValues { variables } => write!(f, "{} has no value in any file", variables.join(", ")),
            Self::EngineUnreachable { reason } => write!(f, "the engine cannot be reached: {reason}"),
            Self::ReloadsSpaced { .. } => f.write_str("nginx was reloaded a moment ago; what has changed since is collected"),
            Self::ChangeRefused { reason, .. } => write!(f, "the change was refused, and what worked before stays: {reason}"),
            Self::RouteFails { reason, .. } => f.write_str(reason),
            Self::OutOfSight { path } => {
                write!(f, "nginx does not see {path}: mount it into the container, or say under `mounts` where it is inside")
            }
            Self::FileTaken { file } => {
                write!(f, "{file} exists and was not generated for it; move it away, or remove the route")
            }
            Self::Held { hold, until, by, reason } => {
                let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                write!(f, "held until {until:.0}{by} ({hold}): {reason}")
            }
            Self::Restrained(restrained) => restrained.fmt(f),
            Self::HoldOver { since } => write!(f, "it ended at {since:.0} and holds nothing any more"),
            Self::Model(wait) => wait.fmt(f),
        }
    }
}

pub(super) fn tries(attempts: u32) -> String {
    if attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") }
}
