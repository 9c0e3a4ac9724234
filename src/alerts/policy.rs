//! What the manifest says about alerts, understood.

use jiff::{SignedDuration, Timestamp};

use super::{Id, NOT_SENT};
use crate::manifest::{
    alerts::{Email, Endpoint, Severity, Target},
    quantity,
};

/// An Alertmanager takes what it does not hear of again for over. It is told this often.
const KEEP_ALIVE: SignedDuration = SignedDuration::from_secs(60);

/// Who is told what, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long something has to last.
    pub delay: SignedDuration,
    /// How long is waited for more of the same message.
    pub group: SignedDuration,
    /// How often it is told again; not again, without it.
    pub repeat: Option<SignedDuration>,
    /// What the host is called, unless by its own name.
    pub hostname: Option<String>,
    /// What is not told.
    pub mute: Vec<Mute>,
    /// Who is told.
    pub receivers: Vec<Receiver>,
}

impl Default for Policy {
    fn default() -> Self {
        let crate::manifest::alerts::Alerts { delay, group, repeat, .. } = crate::manifest::alerts::Alerts::default();
        let repeat = repeat.0.map(span);
        Self { delay: span(delay), group: span(group), repeat, hostname: None, mute: Vec::new(), receivers: Vec::new() }
    }
}

/// A span of time as it is counted here.
pub(crate) fn span(duration: quantity::Duration) -> SignedDuration {
    SignedDuration::try_from(duration.0).unwrap_or(SignedDuration::MAX)
}

/// What is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    /// About what; about anything, if there is none.
    pub targets: Vec<Target>,
    /// For which reasons; for any, if there is none.
    pub reasons: Vec<String>,
    /// Until when; for good, without it.
    pub until: Option<Timestamp>,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// How bad it has to be.
    pub severity: Severity,
    /// About what it is told; about everything, if there is none.
    pub only: Vec<Target>,
    /// How.
    pub way: Way,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// JSON over HTTP.
    Webhook(Endpoint),
    /// A chat.
    Slack(Endpoint),
    /// An Alertmanager.
    Alertmanager(Endpoint),
    /// A mailbox.
    Email(Email),
}

impl Policy {
    /// Whether an alert is not to be told at this moment.
    #[must_use]
    pub fn mutes(&self, id: &Id, at: Timestamp) -> bool {
        self.mute.iter().any(|mute| {
            let is_target = || mute.targets.is_empty() || mute.targets.iter().any(|target| target.covers(id.object.as_ref()));
            let is_reason = || mute.reasons.is_empty() || mute.reasons.contains(&id.reason);
            mute.until.is_none_or(|until| at < until) && is_target() && is_reason()
        })
    }

    /// The receiver of this name.
    #[must_use]
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    /// How long is waited for more, and how often it is told again, with this receiver.
    pub(super) fn rhythm(&self, receiver: &Receiver) -> (SignedDuration, Option<SignedDuration>) {
        match receiver.way {
            Way::Alertmanager(_) => (SignedDuration::ZERO, Some(KEEP_ALIVE)),
            Way::Webhook(_) | Way::Slack(_) | Way::Email(_) => (self.group, self.repeat),
        }
    }
}

impl Receiver {
    /// Whether an alert is for it.
    #[must_use]
    pub fn wants(&self, id: &Id, severity: Severity) -> bool {
        // Whom we cannot reach we cannot tell that.
        let is_about_itself = id.reason == NOT_SENT && id.about == self.name;
        let is_meant = self.only.is_empty() || self.only.iter().any(|target| target.covers(id.object.as_ref()));
        severity >= self.severity && is_meant && !is_about_itself
    }
}
