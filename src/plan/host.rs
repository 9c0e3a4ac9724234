//! What is permitted on the host as a whole, and in groups of its objects.
//!
//! Nothing is ever done for the host itself. Its policy is asked wherever plans
//! are made ([`super::restraint`]), and without a manifest the defaults hold.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Note, Plan, guard, hold::Unmatched};
use crate::{
    alerts,
    manifest::{
        Key, Mode,
        hold::Target,
        host::{Database, HostBudget},
        window::Hours,
    },
};

/// What the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// What is permitted.
    pub policy: Policy,
}

/// What is permitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Whether anything is done at all.
    pub mode: Mode,
    /// When what works may be disturbed; at any time, without it.
    pub window: Option<Hours>,
    /// How many acts are permitted.
    pub budget: HostBudget,
    /// What is permitted in groups, by their names.
    pub groups: BTreeMap<String, Group>,
    /// When it is the host that fails.
    pub guard: guard::Settings,
    /// How often the same thing is corrected in which time until somebody else is taken to undo it.
    pub fights: (u32, SignedDuration),
    /// Where the URL of the database is that the audit log is shipped to.
    pub database: Option<Database>,
    /// Who is told when something is wrong.
    pub alerts: alerts::Policy,
}

/// What is permitted in a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What belongs to it.
    pub members: Vec<Target>,
    /// Whether anything is done.
    pub mode: Mode,
    /// When what works may be disturbed.
    pub window: Option<Hours>,
    /// How many acts are permitted in which time.
    pub budget: Option<(u32, SignedDuration)>,
}

impl Group {
    /// Whether this object belongs to it, or the one that it was expanded from.
    #[must_use]
    pub fn covers(&self, key: &Key, expanded_from: Option<&Key>) -> bool {
        self.members.iter().any(|member| member.covers(key) || expanded_from.is_some_and(|parent| member.covers(parent)))
    }
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// Members of groups that mean no object, with the groups.
    pub unmatched: Vec<(String, Unmatched)>,
    /// What is wrong with the host, if anything is.
    pub trouble: Option<String>,
}

/// Nothing is to be done for the host; only what its manifest misses, and what is in force just now, is worth telling.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let note = |(group, unmatched): &(String, Unmatched)| Note::GroupMemberMissing {
        group: group.clone(),
        unmatched: unmatched.clone(),
    };
    let state = match (&observed.trouble, desired.policy.mode, &desired.policy.window) {
        (Some(trouble), _, _) => Some(format!("in trouble: {trouble}")),
        (None, Mode::Observe, _) => Some("everything is only observed".to_owned()),
        (None, Mode::Act, Some(window)) => Some(match window.opens_after(observed.at) {
            _ if window.is_open(observed.at) => format!("its maintenance window ({window}) is open"),
            Some(opens) => format!("its maintenance window ({window}) opens at {opens:.0}"),
            None => format!("its maintenance window ({window}) is closed"),
        }),
        (None, Mode::Act, None) => None,
    };
    Plan { notes: observed.unmatched.iter().map(note).collect(), state, ..Plan::default() }
}
