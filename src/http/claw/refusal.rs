//! Requests that are not answered: always `{"error": {"code", "message"}}`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{admin::claw, secret::said};

/// A request that is not answered.
#[derive(Debug)]
pub(in crate::http) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// Why a request is not answered.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Body {
    /// Why.
    pub(super) error: Why,
}

/// Why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Why {
    /// For programs.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
}

impl Refused {
    /// A message that repeats what was sent does so without what may be a credential in the wrong place.
    pub(in crate::http) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: said::concealed(&message.into()) }
    }

    /// Something else is in the way.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// There is none of it.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// What was said cannot be.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    /// Not now.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }
}

impl From<claw::Error> for Refused {
    fn from(error: claw::Error) -> Self {
        let message = error.to_string();
        match error {
            claw::Error::NoSuch(_) => Self::not_found(message),
            claw::Error::Conflict(_) => Self::conflict(message),
            claw::Error::Invalid(_) => Self::invalid(message),
            claw::Error::Busy | claw::Error::Away => Self::unavailable(message),
            claw::Error::Store(error) => {
                tracing::error!(error = crate::error_chain(&error), "the backend manager's database cannot be used");
                Self::unavailable("the backend manager's database cannot be used; see Mooring's own log")
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self { status, code, message } = self;
        (status, Json(Body { error: Why { code: code.to_owned(), message } })).into_response()
    }
}
