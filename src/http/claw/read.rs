//! What requests bring along, read strictly, with refusals in our own shape.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::refusal::Refused;

/// A body that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let read = tokio::time::timeout(PATIENCE, Json::<T>::from_request(request, state)).await;
        let late = |_| Refused::new(StatusCode::REQUEST_TIMEOUT, "slow", "the body did not come within 10 seconds");
        match read.map_err(late)? {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => {
                let code = match &rejection {
                    JsonRejection::JsonDataError(_) => "invalid",
                    JsonRejection::JsonSyntaxError(_) => "not_json",
                    JsonRejection::MissingJsonContentType(_) => "unsupported_media_type",
                    _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => "too_large",
                    _ => "bad_request",
                };
                Err(Refused::new(rejection.status(), code, rejection.body_text()))
            }
        }
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
