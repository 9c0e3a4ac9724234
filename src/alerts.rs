//! What is wrong → who is told of it, when, and in which words.
//!
//! Pure: no I/O, no clock. [`Book`] remembers what was told to whom and decides
//! what is to be told now; `words` says it. `deliver` brings it there.

pub mod address;
pub mod book;
pub mod policy;
pub mod words;

pub use book::{Book, Notification, Seen, State};
pub use policy::{Policy, Receiver};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::{Key, alerts::Severity};

/// The reason of the alert that a receiver cannot be told. It is told to the others.
pub const NOT_SENT: &str = "AlertNotSent";

/// What tells one alert from another: two that are equal are the same thing that is still wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    /// The object; the host, or Mooring itself, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Key>,
    /// One word in CamelCase.
    pub reason: String,
    /// What of the host it is about, where there may be several: a budget, a file, a receiver.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}

impl Id {
    /// Of an alert about an object.
    #[must_use]
    pub fn of_object(key: Key, reason: &str) -> Self {
        Self { object: Some(key), reason: reason.to_owned(), about: String::new() }
    }

    /// Of an alert about the host or Mooring itself.
    #[must_use]
    pub fn of_host(reason: &str, about: &str) -> Self {
        Self { object: None, reason: reason.to_owned(), about: about.to_owned() }
    }

    /// `Container/web`, or `Host`.
    #[must_use]
    pub fn subject(&self) -> String {
        self.object.as_ref().map_or_else(|| "Host".to_owned(), ToString::to_string)
    }
}

/// What is wrong just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// How bad it is.
    pub severity: Severity,
    /// In words.
    pub message: String,
}

/// An alert as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Which.
    #[serde(flatten)]
    pub id: Id,
    /// How bad it is, or was.
    pub severity: Severity,
    /// In words.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Timestamp>,
}

/// How bad it is when this is the reason.
#[must_use]
pub fn severity(reason: &str) -> Severity {
    match reason {
        "CrashLoop"
        | "EngineLost"
        | "HostInTrouble"
        | "JournalNotWritable"
        | "DirectoryUnreadable"
        | "DirectoryEmpty"
        | "Fight" => Severity::Critical,
        _ => Severity::Warning,
    }
}
