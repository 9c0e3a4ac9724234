//! The claw API: the same conversation, and the same desk for changes, for
//! programs; with what conversations keep.
//!
//! Every request names who asks and stands in the audit log under that name.
//! Nothing here decides or acts: that is `admin`'s.

mod backend;
mod caller;
mod kept;
mod messages;
mod openapi;
mod playbooks;
mod polls;
mod read;
mod refusal;
#[cfg(test)]
pub(in crate::http) mod tests;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::{StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use messages::wants_stream;

use super::admin::Admin;
use openapi::{Api, Method};
use polls::Polls;
use refusal::Refused;

/// The longest message is a fourth of it.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Five hundred memories of some length.
const MAX_IMPORT_BYTES: usize = 1024 * 1024;

/// Less than what every request of this server gets, so that it is told in our own shape. A stream has begun by then.
const PATIENCE: Duration = Duration::from_secs(28);

/// A list that is told as a whole.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Items<T> {
    /// All of them.
    items: Vec<T>,
}

/// All routes, and what describes them.
fn api() -> Api {
    let mut api = Api::new();
    api.add_open(Method::Get, "/api/openapi.json", "This description", describe).answers::<Value>(200, "OpenAPI 3.1.");
    messages::routes(&mut api);
    kept::routes(&mut api);
    playbooks::routes(&mut api);
    backend::routes(&mut api);
    api
}

/// All of it, for the server of the backend manager, whose sessions count here too.
pub(super) fn routes(admin: &Admin) -> Router<Admin> {
    let (open, router, _) = api().finish();
    let known = router
        .route("/claw/{*rest}", any(no_route))
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state((admin.clone(), Arc::<Polls>::default()), caller::known));
    open.method_not_allowed_fallback(no_method).merge(known)
}

/// What there is, for everybody: it is the same in every Mooring of this version.
async fn describe() -> Json<&'static Value> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| api().finish().2);
    Json(&DOCUMENT)
}

/// Whether a path is of the API, where refusals are JSON.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with("/claw/") || path.starts_with("/api/")
}

/// It is asked by a name that is not ours.
pub(super) fn misdirected(message: String) -> Response {
    Refused::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message).into_response()
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| Refused::new(StatusCode::GATEWAY_TIMEOUT, "slow", "there was no answer in time").into_response();
    tokio::time::timeout(PATIENCE, next.run(request)).await.unwrap_or_else(late)
}

async fn no_route(uri: Uri) -> Refused {
    let message = format!("there is nothing at {}; /api/openapi.json says what there is", uri.path());
    Refused::new(StatusCode::NOT_FOUND, "no_route", message)
}

async fn no_method(uri: Uri) -> Refused {
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "no_method", format!("{} does not take this method", uri.path()))
}
