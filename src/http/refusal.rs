//! Requests that are not answered, and why: always a JSON object with `error`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::{manifest::Key, secret::said};

/// A request that is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Map<String, Value>,
}

impl Refusal {
    /// With a sentence for a person. One that repeats what was sent does so without what may be a credential in the wrong place.
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let error = said::concealed(&error.into());
        Self { status, body: Map::from_iter([("error".to_owned(), Value::String(error))]) }
    }

    /// Adds something for programs.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.body.insert(name.to_owned(), value);
        self
    }

    /// The request itself is wrong.
    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// There is no such object.
    pub(super) fn no_object(key: &Key) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {key}"))
    }

    /// The operator cannot say at the moment.
    pub(super) fn unavailable(error: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
