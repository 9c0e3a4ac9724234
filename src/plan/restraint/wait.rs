//! Why nothing is done although it would be right.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    manifest::status::ConditionType,
    plan::{Wait, wait::tries},
};

/// What forbids it just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "restraint")]
pub enum Restrained {
    /// It is only to be observed.
    ObserveOnly {
        /// Who says so.
        by: String,
    },
    /// It works, and would be replaced or removed, which is permitted in its maintenance window only.
    OutsideWindow {
        /// The window.
        hours: String,
        /// When it opens next.
        until: Timestamp,
        /// What would be done.
        what: String,
    },
    /// As much as is permitted was done already.
    BudgetSpent {
        /// On what.
        scope: String,
        /// How much is permitted.
        attempts: u32,
        /// In which time.
        window: SignedDuration,
        /// When there is something left of it again.
        until: Timestamp,
    },
    /// Something is wrong with the host.
    HostInTrouble {
        /// What.
        cause: String,
    },
    /// Containers come back a few at a time, and others are before it.
    NotItsTurn,
    /// Somebody else undoes what we do.
    Fight {
        /// The fields or files.
        what: Vec<String>,
        /// How often each was corrected.
        times: u32,
        /// In which time.
        window: SignedDuration,
        /// What is known of who it may be.
        hints: Vec<String>,
    },
}

impl Restrained {
    /// The reason's word in conditions and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ObserveOnly { .. } => "ObserveOnly",
            Self::OutsideWindow { .. } => "OutsideWindow",
            Self::BudgetSpent { .. } => "BudgetSpent",
            Self::HostInTrouble { .. } => "HostInTrouble",
            Self::NotItsTurn => "NotItsTurn",
            Self::Fight { .. } => "Fight",
        }
    }

    /// The condition that it makes true.
    #[must_use]
    pub fn condition(&self) -> ConditionType {
        match self {
            Self::ObserveOnly { .. } | Self::OutsideWindow { .. } => ConditionType::Held,
            Self::BudgetSpent { .. } | Self::HostInTrouble { .. } | Self::NotItsTurn => ConditionType::Progressing,
            Self::Fight { .. } => ConditionType::Degraded,
        }
    }

    /// When looking again is worthwhile although nothing will tell us to.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::OutsideWindow { until, .. } | Self::BudgetSpent { until, .. } => Some(*until),
            Self::ObserveOnly { .. } | Self::HostInTrouble { .. } | Self::NotItsTurn | Self::Fight { .. } => None,
        }
    }
}

impl From<Restrained> for Wait {
    fn from(restrained: Restrained) -> Self {
        Self::Restrained(restrained)
    }
}

impl fmt::Display for Restrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ObserveOnly { by } => write!(f, "only observed, as {by} says"),
            Self::OutsideWindow { hours, until, what } => {
                write!(f, "it works, and waits for its maintenance window ({hours}), which opens at {until:.0}: {what}")
            }
            Self::BudgetSpent { scope, attempts, window, until } => write!(
                f,
                "the budget of {scope} is spent ({} in {window:#}); there is something left at {until:.0}",
                tries(*attempts)
            ),
            Self::HostInTrouble { cause } => write!(f, "what runs is not touched while the host is in trouble: {cause}"),
            Self::NotItsTurn => f.write_str("containers come back a few at a time, and others are before it"),
            Self::Fight { what, times, window, hints } => {
                let what = what.join(", ");
                write!(f, "somebody else undoes this: {what} was corrected {} in {window:#} and differs again", often(*times))?;
                hints.iter().try_for_each(|hint| write!(f, "; {hint}"))?;
                f.write_str("; end that, then release it")
            }
        }
    }
}

fn often(times: u32) -> String {
    if times == 1 { "once".to_owned() } else { format!("{times} times") }
}
