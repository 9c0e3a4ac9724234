//! What should be, against what is: the decision.
//!
//! Pure: no I/O, no clock, no randomness, no logging, and it cannot fail. What
//! could be wrong was refused by `source` and `resolve`; everything a decision
//! needs, the time included, is in the observation; everything worth knowing
//! about it is in the [`Plan`].

pub mod action;
pub mod container;
pub mod environment;
pub mod fight;
pub mod guard;
pub mod history;
pub mod hold;
pub mod host;
pub mod model_provider;
pub mod plugin;
pub mod proxy;
pub mod request;
pub mod restraint;
pub mod rules;
pub mod shape;
pub mod wait;
pub mod why;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

pub use action::{Action, EngineAction, FileAction, Target};
pub use history::History;
pub use model_provider::ModelAction;
pub use wait::Wait;
pub use why::Why;

use crate::{expand::Finding, manifest::Key};

/// One object's two sides, as `resolve` and `observe` have put them together.
#[derive(Clone, Debug)]
pub enum Situation {
    /// An `.env` cascade.
    Environment(environment::Desired, environment::Observed),
    /// A container of our own.
    Container(Box<container::Desired>, container::Observed),
    /// Somebody else's container, to be kept alive.
    Healed(Box<container::heal::Desired>, container::Observed),
    /// An nginx that follows its containers.
    Proxy(Box<proxy::Desired>, Box<proxy::Observed>),
    /// Which model answers.
    ModelProvider(Box<model_provider::Desired>, model_provider::Observed),
    /// A plugin.
    Plugin(Box<plugin::Desired>, plugin::Observed),
    /// Objects to be left alone.
    Hold(hold::Desired, hold::Observed),
    /// What is permitted on the host as a whole.
    Host(Box<host::Desired>, host::Observed),
    /// An object whose manifest is gone while containers of it are left.
    Absent(Key, container::Observed),
}

impl Situation {
    /// When the world was looked at.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Environment(_, observed) => observed.at,
            Self::Proxy(_, observed) => observed.at,
            Self::ModelProvider(_, observed) => observed.at,
            Self::Plugin(_, observed) => observed.at,
            Self::Hold(_, observed) => observed.at,
            Self::Host(_, observed) => observed.at,
            Self::Container(_, observed) | Self::Healed(_, observed) | Self::Absent(_, observed) => observed.at,
        }
    }

    /// Whether another version of the object is coming, seeing what was decided about it.
    #[must_use]
    pub fn is_on_its_way(&self, plan: &Plan) -> bool {
        match self {
            Self::Container(desired, observed) => container::is_on_its_way(desired, observed, plan),
            Self::Environment(..)
            | Self::Healed(..)
            | Self::Proxy(..)
            | Self::ModelProvider(..)
            | Self::Plugin(..)
            | Self::Hold(..)
            | Self::Host(..)
            | Self::Absent(..) => false,
        }
    }
}

/// Compares what should be with what is, and says how to close the gap.
#[must_use]
pub fn plan(situation: &Situation) -> Plan {
    match situation {
        Situation::Environment(desired, observed) => environment::plan(desired, observed),
        Situation::Container(desired, observed) => model_provider::spare(container::plan(desired, observed), observed),
        Situation::Healed(desired, observed) => model_provider::spare(container::heal::plan(desired, observed), observed),
        Situation::Proxy(desired, observed) => proxy::plan(desired, observed),
        Situation::ModelProvider(desired, observed) => model_provider::plan(desired, observed),
        Situation::Plugin(desired, observed) => plugin::plan(desired, observed),
        Situation::Hold(desired, observed) => hold::plan(desired, observed),
        Situation::Host(desired, observed) => host::plan(desired, observed),
        Situation::Absent(_, observed) => container::absent::plan(observed),
    }
}

/// The decision about one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// What to do, in this order. The first failure ends the plan.
    pub steps: Vec<Step>,
    /// What stands in the way of more, when something does. Without steps and
    /// without a wait, the object is as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Things a person should know that no step corrects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What would be done if the object were not held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Step>,
    /// How the object is, where there is more to say than that it is as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether this goes on with something that was begun, and is worse in its middle than at either end.
    #[serde(skip)]
    pub is_finishing: bool,
}

impl Plan {
    /// A plan that only waits.
    #[must_use]
    pub fn waiting(wait: Wait) -> Self {
        Self { wait: Some(wait), ..Self::default() }
    }

    /// The same with all steps kept aside, for this reason.
    #[must_use]
    pub fn withheld_for(mut self, wait: impl Into<Wait>) -> Self {
        self.withheld.append(&mut self.steps);
        self.wait = Some(wait.into());
        self
    }

    /// A plan after whose steps the object has to come up.
    #[must_use]
    pub fn starting() -> Self {
        Self::waiting(Wait::Starting)
    }

    /// Takes note of one more thing that stands in the way.
    ///
    /// There is room for one. What nobody will remind us of comes first, then
    /// what a person has to know, then what comes by itself.
    pub fn also_wait(&mut self, wait: Wait) {
        let weight = |wait: &Wait| (wait.until().is_some(), !wait.ends_by_itself());
        if self.wait.as_ref().is_none_or(|present| weight(&wait) > weight(present)) {
            self.wait = Some(wait);
        }
    }

    /// Adds a step.
    pub fn step(&mut self, action: impl Into<Action>, why: Why) {
        self.steps.push(Step { action: action.into(), why });
    }

    /// Whether it makes, starts, restarts or stops containers.
    #[must_use]
    pub fn acts_on_containers(&self) -> bool {
        self.steps.iter().any(restraint::acts_on_container)
    }

    /// Whether the object is as declared: nothing to do and nothing to wait for.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.steps.is_empty() && self.withheld.is_empty() && !self.wait.as_ref().is_some_and(Wait::is_in_the_way)
    }
}

/// One outside effect and the reason for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The effect.
    pub action: Action,
    /// The reason.
    pub why: Why,
}

/// What a step is by the words of the audit log: its operation and the code of its reason.
pub type Code<'a> = (&'a str, &'a str);

impl Step {
    /// See [`Code`].
    #[must_use]
    pub fn code(&self) -> Code<'static> {
        (self.action.operation(), self.why.code())
    }

    /// Whether it is taken because somebody asked for it.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        matches!(self.why, Why::Asked { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, because {}", self.action, self.why)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.withheld.iter().try_for_each(|step| writeln!(f, "held back: {step}"))?;
        self.wait.iter().try_for_each(|wait| writeln!(f, "wait: {wait}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

/// Something a person should know that Mooring does not correct by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "code")]
pub enum Note {
    /// A variable stands in a file more than once; the last one counts.
    DuplicateVariable {
        /// The file's name.
        file: String,
        /// The variable.
        variable: String,
        /// The lines it stands on, counted from one.
        lines: Vec<usize>,
    },
    /// A value looks like one that was never filled in.
    PlaceholderValue {
        /// The file's name.
        file: String,
        /// The variable.
        variable: String,
    },
    /// A lost secret is known with different values; the running one was taken.
    SourcesDisagree {
        /// The variable.
        variable: String,
        /// Each source with its fingerprint, the chosen one first.
        sources: Vec<String>,
    },
    /// A container of ours is not the one in use and waits to be removed by a person.
    Leftover {
        /// The container's name.
        container: String,
    },
    /// A backend runs where nginx cannot reach it.
    NoSharedNetwork {
        /// The backend.
        container: String,
    },
    /// The DNS that nginx asks does not find a backend that runs.
    NameNotFound {
        /// The hosts that lead there.
        hosts: String,
        /// The backend.
        backend: String,
        /// The name that was asked for.
        name: String,
        /// Who was asked.
        server: String,
        /// What it said.
        said: String,
        /// Where the engine knows the backend to be.
        known: String,
    },
    /// The DNS that nginx asks leads elsewhere than to the backend.
    NameElsewhere {
        /// The hosts that lead there.
        hosts: String,
        /// The backend.
        backend: String,
        /// The name that was asked for.
        name: String,
        /// Who was asked.
        server: String,
        /// The addresses in its answer that are none of the backend's.
        strange: String,
        /// Where the engine knows the backend to be.
        known: String,
    },
    /// A host's certificate is away, and nginx is left with the one that it has loaded.
    CertificateAway {
        /// The host.
        host: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// A host is served without TLS, although it should have it.
    NoCertificate {
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// Somebody has edited a generated file, and the manifest says to keep that.
    HandEditKept {
        /// The file.
        file: String,
    },
    /// A site of another tool, or one written by hand, has something that a person has to change.
    SiteFinding {
        /// The file and the line.
        place: String,
        /// What it means.
        message: String,
        /// The lines to change.
        changes: Vec<crate::nginx::findings::Change>,
    },
    /// There is more of that than is told one by one.
    MoreSiteFindings {
        /// How many.
        more: usize,
    },
    /// A site that is to be repaired cannot be.
    SiteUnread {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Nobody can tell from here whether a model fits onto the disk that it is pulled to.
    FreeSpaceUnknown,
    /// A hold names something that is not there.
    HoldsNothing(hold::Unmatched),
    /// A group of the host names something that is not there.
    GroupMemberMissing {
        /// The group.
        group: String,
        /// What it names.
        unmatched: hold::Unmatched,
    },
    /// A plugin's files contradict each other, or something else is worth knowing of them.
    Plugin(Finding),
}

impl Note {
    /// The reason word of the event that tells it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateVariable { .. } => "DuplicateVariable",
            Self::PlaceholderValue { .. } => "PlaceholderValue",
            Self::SourcesDisagree { .. } => "SourcesDisagree",
            Self::Leftover { .. } => "Leftover",
            Self::NoSharedNetwork { .. } => "NoSharedNetwork",
            Self::NameNotFound { .. } => "NameNotFound",
            Self::NameElsewhere { .. } => "NameElsewhere",
            Self::NoCertificate { .. } => "NoCertificate",
            Self::CertificateAway { .. } => "CertificateAway",
            Self::HandEditKept { .. } => "HandEditKept",
            Self::SiteFinding { .. } | Self::MoreSiteFindings { .. } => "SiteFinding",
            Self::SiteUnread { .. } => "SiteUnread",
            Self::FreeSpaceUnknown => "FreeSpaceUnknown",
            Self::HoldsNothing(_) => "HoldsNothing",
            Self::GroupMemberMissing { .. } => "GroupMemberMissing",
            Self::Plugin(finding) => finding.code(),
        }
    }

    /// Whether something does not work, or may do harm, until a person has mended it: two of a container may write to the same data.
    #[must_use]
    pub fn is_defect(&self) -> bool {
        match self {
            Self::NameNotFound { .. } | Self::NameElsewhere { .. } | Self::Leftover { .. } => true,
            Self::Plugin(finding) => finding.is_defect(),
            _ => false,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateVariable { file, variable, lines } => {
                let lines = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                write!(f, "{variable} stands in {file} more than once (lines {lines}); the last one counts")
            }
            Self::PlaceholderValue { file, variable } => {
                write!(f, "{variable} in {file} looks like a placeholder that was never filled in")
            }
            Self::SourcesDisagree { variable, sources } => {
                write!(f, "{variable} was lost and its sources disagree; taken was the first of {}", sources.join(", "))
            }
            Self::Leftover { container } => write!(f, "container {container} is a leftover that is not removed by itself"),
            Self::NoSharedNetwork { container } => write!(f, "{container} runs on no network that nginx is on"),
            Self::NameNotFound { hosts, backend, name, server, said, known } => write!(
                f,
                "{hosts}: nginx does not find {backend} by its name: asked for {name}, {server} says {said}; it runs at {known}"
            ),
            Self::NameElsewhere { hosts, backend, name, server, strange, known } => write!(
                f,
                "{hosts}: nginx finds somebody else by the name of {backend}: asked for {name}, {server} says {strange}; it runs at {known}"
            ),
            Self::NoCertificate { host, reason } => write!(f, "{host} is served without TLS: {reason}"),
            Self::CertificateAway { host, reason } => {
                write!(f, "nginx serves {host} with the certificate that it has loaded, and could not load it again: {reason}")
            }
            Self::HandEditKept { file } => write!(f, "{file} has been edited by hand and is kept so; it is followed no more"),
            Self::SiteFinding { place, message, changes } => {
                write!(f, "{place}: {message}")?;
                changes.iter().try_for_each(|change| match &change.old {
                    Some(old) => write!(f, "; in line {}, write `{}` for `{}`", change.line, change.new.trim(), old.trim()),
                    None => write!(f, "; before line {}, write `{}`", change.line, change.new.trim()),
                })
            }
            Self::MoreSiteFindings { more } => write!(f, "{more} more findings; `mooring doctor nginx` shows them all"),
            Self::SiteUnread { file, reason } => write!(f, "{file} is not repaired: {reason}"),
            Self::FreeSpaceUnknown => {
                f.write_str("free space for models cannot be seen from here, so a full disk is not foreseen")
            }
            Self::HoldsNothing(unmatched) => write!(f, "{unmatched}, so nothing is held by it{}", unmatched.suggestion()),
            Self::GroupMemberMissing { group, unmatched } => {
                write!(f, "group {group}: {unmatched}{}", unmatched.suggestion())
            }
            Self::Plugin(finding) => finding.fmt(f),
        }
    }
}
