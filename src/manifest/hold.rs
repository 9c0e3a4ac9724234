//! `Hold`: objects to be left alone until a moment, for a reason that everybody can read.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidKey, Key, Kind, status::Status};

/// Objects that Mooring leaves alone until a moment. What it would have done to them is shown, and waits.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "mooring.dev", version = "v1alpha1", kind = "Hold", plural = "holds")]
#[kube(status = "Status", derive = "PartialEq")]
#[kube(printcolumn = r#"{"name": "Until", "type": "string", "jsonPath": ".spec.until"}"#)]
#[kube(printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".spec.reason"}"#)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldSpec {
    /// What is held: objects as `KIND/NAME`, all of a kind as `KIND`, or `all`.
    #[schemars(length(min = 1))]
    pub targets: Vec<String>,
    /// When the hold ends, as a moment with a time zone: `2026-11-21T14:00:00Z`. From then on it does nothing.
    pub until: String,
    /// Why, for whoever wonders.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a hold is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Everything but holds and the host.
    All,
    /// All objects of a kind.
    Kind(Kind),
    /// One object, and those that it expands into.
    Object(Key),
}

impl Target {
    /// Whether it means this object.
    #[must_use]
    pub fn covers(&self, key: &Key) -> bool {
        match self {
            Self::All => !matches!(key.kind, Kind::Hold | Kind::Host),
            Self::Kind(kind) => key.kind == *kind,
            Self::Object(object) => key == object,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Kind(kind) => kind.fmt(f),
            Self::Object(key) => key.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let target = match text {
            text if text.eq_ignore_ascii_case("all") => Self::All,
            text if text.contains('/') => Self::Object(text.parse()?),
            text => Self::Kind(text.parse().map_err(InvalidKey::from)?),
        };
        match target {
            Self::Kind(kind) | Self::Object(Key { kind, .. }) if matches!(kind, Kind::Hold | Kind::Host) => {
                Err(InvalidTarget::NothingDone(kind))
            }
            target => Ok(target),
        }
    }
}

/// Text that names nothing that can be held.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidTarget {
    /// It is none of the three forms.
    #[error("{0}; a target is KIND/NAME, KIND or all")]
    Form(#[from] InvalidKey),
    /// Nothing is done for it, so there is nothing to leave alone.
    #[error("nothing is ever done for a {0} itself; change or delete it instead")]
    NothingDone(Kind),
}

/// The moment that a text names: a date, a time and a time zone.
///
/// A time without a zone would be another one on the machine that reads it.
pub fn moment(text: &str) -> Result<Timestamp, InvalidMoment> {
    text.parse().map_err(|_| match text.parse::<jiff::civil::DateTime>() {
        Ok(_) => InvalidMoment::NoZone(text.to_owned()),
        Err(_) => InvalidMoment::Form(text.to_owned()),
    })
}

/// Text that names no moment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidMoment {
    /// The zone is missing.
    #[error("`{0}` has no time zone; add `Z` for UTC, or an offset such as `+02:00`")]
    NoZone(String),
    /// It is something else.
    #[error("`{0}` is not a moment such as 2026-11-21T14:00:00Z")]
    Form(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_object_a_kind_or_everything() {
        let read = |text: &str| text.parse::<Target>().map(|target| target.to_string()).map_err(|error| error.to_string());
        assert_eq!(read("all"), Ok("all".to_owned()));
        assert_eq!(read("containers"), Ok("Container".to_owned()));
        assert_eq!(read("ctr/web"), Ok("Container/web".to_owned()));
        assert_eq!(read("hold/web"), Err("nothing is ever done for a Hold itself; change or delete it instead".to_owned()));
        assert_eq!(
            read("container/"),
            Err("`container/` is not KIND/NAME, as in container/redis; a target is KIND/NAME, KIND or all".to_owned())
        );
        assert!(read("web").unwrap_err().starts_with("`web` is not a kind"));
    }

    #[test]
    fn everything_is_everything_but_holds_and_the_host() {
        assert!(Target::All.covers(&Key::new(Kind::Container, "web")));
        assert!(!Target::All.covers(&Key::new(Kind::Hold, "night")));
        assert!(!Target::All.covers(&Key::new(Kind::Host, "default")));
        assert!(!Target::Kind(Kind::Container).covers(&Key::new(Kind::Environment, "shop")));
    }

    #[test]
    fn a_moment_needs_a_time_zone() {
        assert_eq!(moment("2026-11-21T14:00:00Z"), moment("2026-11-21T15:00:00+01:00"));
        assert_eq!(moment("2026-11-21T14:00:00"), Err(InvalidMoment::NoZone("2026-11-21T14:00:00".to_owned())));
        assert_eq!(moment("tomorrow"), Err(InvalidMoment::Form("tomorrow".to_owned())));
    }
}
