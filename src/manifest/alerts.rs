//! Who is told when something is wrong, how soon, and how often.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    Key,
    hold::{self, InvalidTarget},
    quantity::Duration,
};

/// Who is told when something is wrong with the host, with an object, or with Mooring itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Alerts {
    /// Only what has lasted this long is told, and only what has been over for this long is told to be over.
    pub delay: Duration,
    /// What comes within this time after the first is told together with it, in one message.
    pub group: Duration,
    /// How often something is told again for as long as it lasts; `never`: once.
    pub repeat: Repeat,
    /// What the host is called in messages. Without it: its host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// What is not told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mute: Vec<Mute>,
    /// Who is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<Receiver>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            delay: Duration::seconds(30),
            group: Duration::seconds(10),
            repeat: Repeat(Some(Duration::seconds(4 * 60 * 60))),
            hostname: None,
            mute: Vec::new(),
            receivers: Vec::new(),
        }
    }
}

/// What is not told. It has to be meant by everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Mute {
    /// About what: objects as `KIND/NAME`, all of a kind as `KIND`, `host`, or `all`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// For which reasons, as in `CrashLoop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Until when, as a moment with a time zone: `2026-11-21T14:00:00Z`. Without it: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Somebody who is told, in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receiver {
    /// Its name, unique among the receivers.
    #[schemars(length(min = 1))]
    pub name: String,
    /// How bad it has to be, at least.
    #[serde(default, skip_serializing_if = "is_least")]
    pub severity: Severity,
    /// About what it is told: objects as `KIND/NAME`, all of a kind as `KIND`, `host`, or `all`. Without it: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// A server that takes JSON by HTTP POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Endpoint>,
    /// An incoming webhook of Slack, or of a chat that takes the same: Mattermost, Rocket.Chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Endpoint>,
    /// An Alertmanager, which groups and repeats by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Endpoint>,
    /// A mailbox, by way of an SMTP server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

/// A server that is told over HTTP. Give `url` or `urlFrom`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Endpoint {
    /// Where it listens, as `https://HOST[:PORT][/PATH]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where that stands, if it is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_from: Option<Variable>,
    /// Headers that are sent along.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Where the value of the header `Authorization` stands, as in `Bearer abc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_from: Option<Variable>,
}

/// A mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Email {
    /// The server, as `HOST[:PORT]`. Without a port: 587, with `tls: tls` 465, with `tls: none` 25.
    pub smtp: String,
    /// How the connection is kept from being read.
    #[serde(default)]
    pub tls: Tls,
    /// Who it is from: `Mooring <mooring@example.test>`.
    pub from: String,
    /// Whom it is to.
    #[schemars(length(min = 1))]
    pub to: Vec<String>,
    /// The name under which the server knows us. Without it: none is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Where the password stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_from: Option<Variable>,
}

/// A variable of an `Environment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// The name of the `Environment`.
    pub environment: String,
    /// The variable.
    pub variable: String,
}

/// How a connection to a mail server is kept from being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// It begins in the clear and has to become secret before anything is said.
    #[default]
    StartTls,
    /// It is secret from the beginning.
    Tls,
    /// It is not. For a server on the same host or network.
    None,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Something does not work, and will not without somebody.
    Critical,
}

impl Severity {
    /// The severity's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_least(severity: &Severity) -> bool {
    *severity == Severity::default()
}

/// How often something is told again; none: not again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat(pub Option<Duration>);

/// The word for a repeat that does not come.
const NEVER: &str = "never";

impl FromStr for Repeat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == NEVER { Ok(Self(None)) } else { text.parse().map(|every| Self(Some(every))) }
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(every) => every.fmt(f),
            None => f.write_str(NEVER),
        }
    }
}

impl Serialize for Repeat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Repeat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Repeat {
    fn schema_name() -> Cow<'static, str> {
        "Repeat".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(never|([0-9]+(us|ms|s|m|h))+)$",
            "x-mooring-words": "a duration such as 30m or 4h, or never",
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// What an alert can be about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Everything.
    All,
    /// The host, or Mooring itself.
    Host,
    /// Objects, and what they expand into.
    Objects(hold::Target),
}

impl Target {
    /// Whether it means an alert about this object; about the host, if there is none.
    #[must_use]
    pub fn covers(&self, object: Option<&Key>) -> bool {
        match (self, object) {
            (Self::All, _) | (Self::Host, None) => true,
            (Self::Host, Some(key)) => key.kind == super::Kind::Host,
            (Self::Objects(target), Some(key)) => target.covers(key),
            (Self::Objects(_), None) => false,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Host => f.write_str("host"),
            Self::Objects(target) => target.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        if text.eq_ignore_ascii_case("host") {
            return Ok(Self::Host);
        }
        Ok(match text.parse()? {
            hold::Target::All => Self::All,
            target => Self::Objects(target),
        })
    }
}

impl Endpoint {
    /// Where its secrets stand, with the fields that say so.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &Variable)> {
        let url = self.url_from.iter().map(|variable| ("urlFrom", variable));
        url.chain(self.authorization_from.iter().map(|variable| ("authorizationFrom", variable)))
    }
}

impl Receiver {
    /// Where its secrets stand, with the fields that say so, as in `webhook.urlFrom`.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, &Variable)> {
        let endpoints = [("webhook", &self.webhook), ("slack", &self.slack), ("alertmanager", &self.alertmanager)];
        let of_endpoints = endpoints.into_iter().filter_map(|(name, endpoint)| Some((name, endpoint.as_ref()?)));
        let of_endpoints = of_endpoints.flat_map(|(name, endpoint)| {
            endpoint.variables().map(move |(field, variable)| (format!("{name}.{field}"), variable))
        });
        let password = self.email.iter().filter_map(|email| email.password_from.as_ref());
        of_endpoints.chain(password.map(|variable| ("email.passwordFrom".to_owned(), variable))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Kind;

    #[test]
    fn a_repeat_is_a_duration_or_never() {
        for text in ["never", "4h", "1m30s"] {
            assert_eq!(text.parse::<Repeat>().unwrap().to_string(), text);
        }
        assert!("sometimes".parse::<Repeat>().is_err());
    }

    #[test]
    fn a_target_is_the_host_everything_or_objects() {
        let web = Key::new(Kind::Container, "web");
        let covers = |text: &str| {
            let target: Target = text.parse().unwrap();
            (target.covers(Some(&web)), target.covers(None))
        };
        assert_eq!(covers("all"), (true, true));
        assert_eq!(covers("host"), (false, true));
        assert_eq!(covers("containers"), (true, false));
        assert_eq!(covers("container/web"), (true, false));
        assert_eq!(covers("container/db"), (false, false));
        assert!("web".parse::<Target>().is_err());
    }
}
