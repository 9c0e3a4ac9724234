//! The parameters of requests, read strictly: a misspelt one is told, not ignored.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{StatusCode, request::Parts},
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::refusal::Refusal;
use crate::{
    manifest::{Key, Kind, UnknownKind},
    view::AuditQuery,
};

/// Enough for a screen; who wants more says so.
const DEFAULT_LIMIT: usize = 100;
/// An answer is made in memory; this many entries are a few megabytes.
pub(super) const MAX_LIMIT: usize = 10_000;

/// The query of a request.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = Query::try_from_uri(&parts.uri).map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
        Ok(Self(query.0))
    }
}

/// The object that a path names.
pub(super) struct ObjectPath(pub(super) Key);

impl<S: Send + Sync> FromRequestParts<S> for ObjectPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((kind, name)) = path.map_err(|rejection| Refusal::bad_request(rejection.body_text()))?;
        let kind: Kind = kind.parse().map_err(|error: UnknownKind| Refusal::new(StatusCode::NOT_FOUND, error.to_string()))?;
        Ok(Self(Key::new(kind, name)))
    }
}

/// Which objects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectsQuery {
    #[serde(default, deserialize_with = "parsed")]
    pub(super) kind: Option<Kind>,
    #[serde(default)]
    pub(super) watch: bool,
}

/// To whom a test goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestParams {
    pub(super) receiver: Option<String>,
}

/// Which plans.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlansQuery {
    #[serde(default, deserialize_with = "parsed")]
    pub(super) object: Option<Key>,
}

/// Which act.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyParams {
    pub(super) act: Option<i64>,
}

/// Which events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    #[serde(default, deserialize_with = "parsed")]
    pub(super) object: Option<Key>,
    #[serde(default)]
    pub(super) limit: Limit,
    #[serde(default)]
    pub(super) follow: bool,
}

/// Which entries of the audit log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditParams {
    #[serde(default, deserialize_with = "parsed")]
    object: Option<Key>,
    actor: Option<String>,
    operation: Option<String>,
    target: Option<String>,
    outcome: Option<String>,
    #[serde(default, deserialize_with = "parsed")]
    since: Option<Timestamp>,
    #[serde(default, deserialize_with = "parsed")]
    until: Option<Timestamp>,
    before: Option<i64>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    pub(super) follow: bool,
}

impl From<AuditParams> for AuditQuery {
    fn from(params: AuditParams) -> Self {
        let AuditParams { object, actor, operation, target, outcome, since, until, before, limit, follow: _ } = params;
        Self { object, actor, operation, target, outcome, since, until, before, limit: limit.0 }
    }
}

/// How many entries.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "usize")]
pub(super) struct Limit(pub(super) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl TryFrom<usize> for Limit {
    type Error = String;

    fn try_from(limit: usize) -> Result<Self, String> {
        match limit {
            1..=MAX_LIMIT => Ok(Self(limit)),
            _ => Err(format!("the limit has to be from 1 to {MAX_LIMIT}")),
        }
    }
}

/// Reads what people write, `ctr` for a kind or `ctr/redis` for an object, not only what programs do.
fn parsed<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?.parse().map(Some).map_err(serde::de::Error::custom)
}
