//! Whether it is the host that fails, and not its containers.
//!
//! When most containers fail at once, none of them is to blame, and restarting
//! them one by one makes it worse. So what runs is left alone then, what is
//! down comes back a few at a time, and one person is told once.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};

use crate::manifest::Key;

/// How long an engine that has come back, or a clock that has jumped, explains what fails.
const EXPLAINS: SignedDuration = SignedDuration::from_secs(60);
/// How many times the patience a recovery may take until each container is judged by itself again.
const RECOVERIES: i32 = 5;

/// When it counts as the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The share of the containers that has to fail at once, in percent.
    pub percent: u8,
    /// How many containers have to, at least.
    pub containers: u32,
    /// What counts as at once.
    pub within: SignedDuration,
    /// How long what runs is left alone when the cause is not seen to end.
    pub patience: SignedDuration,
    /// How many containers come back at a time.
    pub concurrency: u32,
    /// A disk with less than this many bytes is full.
    pub disk_free: u64,
}

/// Something about the host that explains why many containers fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A disk is full.
    DiskFull {
        /// Where it is mounted, or a path on it.
        path: String,
        /// Bytes that are left.
        free: u64,
        /// What would make room.
        advice: Vec<String>,
    },
    /// The host has no memory left.
    OutOfMemory {
        /// Bytes that are left.
        available: u64,
    },
    /// The host had a way to the outside, and has none any more.
    NetworkGone,
    /// The engine was away.
    EngineRestarted {
        /// When it was back.
        at: Timestamp,
    },
    /// The time of day was set.
    ClockJumped {
        /// By how much.
        by: SignedDuration,
        /// When that was seen.
        at: Timestamp,
    },
}

impl Sign {
    /// Whether it holds for as long as it is seen, and is no thing of a moment.
    fn is_standing(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::OutOfMemory { .. } | Self::NetworkGone)
    }

    fn explains(&self, now: Timestamp) -> bool {
        match self {
            Self::DiskFull { .. } | Self::OutOfMemory { .. } | Self::NetworkGone => true,
            Self::EngineRestarted { at } | Self::ClockJumped { at, .. } => now.duration_since(*at) <= EXPLAINS,
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiskFull { path, free, advice } => {
                write!(f, "the disk of {path} is full, {} MiB are left", free >> 20)?;
                advice.iter().try_for_each(|advice| write!(f, "; {advice}"))
            }
            Self::OutOfMemory { available } => write!(f, "the host is out of memory, {} MiB are left", available >> 20),
            Self::NetworkGone => f.write_str("the host has lost its way to the network"),
            Self::EngineRestarted { .. } => f.write_str("the engine was restarted"),
            Self::ClockJumped { by, .. } => write!(f, "the clock was set by {by:#}"),
        }
    }
}

/// What there is to see of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// When.
    pub at: Timestamp,
    /// How many objects have containers that have been well at some time.
    pub total: usize,
    /// Those of them that fail, with since when they do.
    pub failing: BTreeMap<Key, Timestamp>,
    /// What else is known.
    pub signs: Vec<Sign>,
}

/// How the host is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    #[default]
    Ordinary,
    /// Something is wrong with it.
    Trouble {
        /// Since when.
        since: Timestamp,
        /// What, and how many containers fail for it.
        cause: String,
    },
    /// What was wrong is over, or has lasted too long to wait for its end.
    Recovery {
        /// Since when.
        since: Timestamp,
    },
}

impl State {
    /// How the host is now, seeing this.
    #[must_use]
    pub fn next(&self, census: &Census, settings: &Settings) -> Self {
        let Census { at, failing, signs, .. } = census;
        let at = *at;
        let is_full = signs.iter().any(|sign| matches!(sign, Sign::DiskFull { .. }));
        let is_mass = census.fallen(settings.within) >= census.threshold(settings);
        let stands = signs.iter().any(Sign::is_standing) && (is_full || failing.len() >= census.threshold(settings));
        match self {
            Self::Ordinary if is_full || is_mass => Self::Trouble { since: at, cause: census.cause() },
            Self::Ordinary => Self::Ordinary,
            Self::Trouble { since, cause } => {
                if failing.is_empty() && !stands {
                    return Self::Ordinary;
                }
                let is_many = failing.len() >= census.threshold(settings);
                if stands || (is_many && at.duration_since(*since) < settings.patience) {
                    return Self::Trouble { since: *since, cause: cause.clone() };
                }
                Self::Recovery { since: at }
            }
            // It comes again, or another one.
            Self::Recovery { .. } if stands => Self::Trouble { since: at, cause: census.cause() },
            Self::Recovery { since } => {
                let is_over = failing.is_empty() || at.duration_since(*since) >= settings.patience * RECOVERIES;
                if is_over { Self::Ordinary } else { Self::Recovery { since: *since } }
            }
        }
    }
}

impl Census {
    /// How many have to fail.
    fn threshold(&self, settings: &Settings) -> usize {
        let share = (self.total * usize::from(settings.percent)).div_ceil(100);
        share.max(usize::try_from(settings.containers).unwrap_or(usize::MAX)).max(1)
    }

    /// How many fail that did not a while ago.
    fn fallen(&self, within: SignedDuration) -> usize {
        self.failing.values().filter(|since| self.at.duration_since(**since) <= within).count()
    }

    fn cause(&self) -> String {
        let signs: Vec<String> = self.signs.iter().filter(|sign| sign.explains(self.at)).map(ToString::to_string).collect();
        let many = format!("{} of {} containers fail at once", self.failing.len(), self.total);
        match (signs.is_empty(), self.failing.len()) {
            (true, _) => format!("{many}, and nothing is seen that explains it"),
            (false, 0) => signs.join("; "),
            (false, _) => format!("{many}: {}", signs.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests;
