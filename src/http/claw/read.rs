//! What requests bring along, read strictly, with refusals in our own shape.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use jsonschema::Validator;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::refusal::Refused;

/// A body that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whole numbers up to here are the same as fractions; 2 to the 53rd.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// More of what is wrong with a body nobody reads.
const LONGEST: usize = 400;

/// A JSON body, which is as its description says: it is held against that very schema before it is read.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + JsonSchema + 'static, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let read = tokio::time::timeout(PATIENCE, Json::<Value>::from_request(request, state)).await;
        let late = |_| Refused::new(StatusCode::REQUEST_TIMEOUT, "slow", "the body did not come within 10 seconds");
        let Json(mut body) = read.map_err(late)?.map_err(|rejection| {
            let code = match &rejection {
                JsonRejection::MissingJsonContentType(_) => "unsupported_media_type",
                _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => "too_large",
                _ => "not_json",
            };
            Refused::new(rejection.status(), code, rejection.body_text())
        })?;
        if let Err(error) = validator::<T>().validate(&body) {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the body".to_owned() } else { place };
            let message: String = format!("{place}: {error}").chars().take(LONGEST).collect();
            return Err(Refused::invalid(message));
        }
        whole(&mut body);
        serde_json::from_value(body).map(Self).map_err(|error| Refused::invalid(error.to_string()))
    }
}

/// What holds a body against the schema of its type; made once.
fn validator<T: JsonSchema + 'static>() -> Arc<Validator> {
    static KNOWN: LazyLock<Mutex<HashMap<TypeId, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let made = known.entry(TypeId::of::<T>()).or_insert_with(|| {
        let schema = schemars::schema_for!(T).to_value();
        Arc::new(jsonschema::draft202012::new(&schema).expect("schemas of our own types are valid; a test holds them to it"))
    });
    Arc::clone(made)
}

/// To JSON `45.0` is a whole number, to serde it is none.
fn whole(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(whole),
        Value::Object(fields) => fields.values_mut().for_each(whole),
        Value::Number(number) => {
            let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() < EXACT;
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && is_whole(float))
                && let Ok(exact) = format!("{float:.0}").parse::<i64>()
            {
                *number = exact.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The query: a misspelt parameter is told, not ignored.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Refused::invalid(rejection.body_text())),
        }
    }
}

/// The one name in the path.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(Refused::not_found(rejection.body_text())),
        }
    }
}
