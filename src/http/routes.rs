//! What can be asked, and of whom.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRef, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Access, alerts, events, guard, objects, refusal::Refusal, stream::Streams};
use crate::{
    operator::Operator,
    source::parse::MAX_BYTES,
    view::{Health, ObjectView},
};

/// Only manifests come in a body; of any other, this much is read before it is refused.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What there is, for those who ask for something else.
const PATHS: [&str; 13] = [
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /api/v1/objects?kind=&watch=",
    "GET /api/v1/objects/{kind}/{name}",
    "GET /api/v1/objects/{kind}/{name}/why?act=",
    "GET /api/v1/plans?object=",
    "GET /api/v1/events?object=&limit=&follow=",
    "GET /api/v1/audit?object=&actor=&operation=&target=&outcome=&since=&until=&before=&limit=&follow=",
    "GET /api/v1/alerts",
    "POST /api/v1/alerts/test?receiver= (on the control socket)",
    "POST /api/v1/plans (on the control socket; YAML manifests that might be declared)",
    "POST /api/v1/objects/{kind}/{name}/release (on the control socket)",
];

/// What the handlers know.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) operator: Arc<dyn Operator>,
    pub(super) access: Access,
    pub(super) streams: Streams,
}

impl Context {
    /// An object as whoever asks may see it.
    ///
    /// Every user of the host can reach a TCP address on loopback, but not every one may read the manifests. Who can
    /// open the control socket owns them.
    pub(super) fn shown(&self, object: ObjectView) -> ObjectView {
        match self.access {
            Access::ReadOnly => object.masked(),
            Access::Full => object,
        }
    }
}

impl FromRef<Context> for Arc<dyn Operator> {
    fn from_ref(ctx: &Context) -> Self {
        Arc::clone(&ctx.operator)
    }
}

/// All routes.
pub(super) fn router(operator: Arc<dyn Operator>, access: Access, shutdown: CancellationToken) -> Router {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/objects", get(objects::list))
        .route("/api/v1/objects/{kind}/{name}", get(objects::one))
        .route("/api/v1/objects/{kind}/{name}/release", post(objects::release))
        .route("/api/v1/objects/{kind}/{name}/why", get(objects::why))
        .route("/api/v1/plans", get(objects::plans).post(objects::plans_if).layer(DefaultBodyLimit::max(MAX_BYTES)))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/audit", get(events::audit))
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/test", post(alerts::test))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Context { operator, access, streams: Streams::new(shutdown) });
    guard::for_everyone(routes)
}

/// Alive: the loop has turned lately. What is not alive is to be restarted.
async fn healthz(State(operator): State<Arc<dyn Operator>>, headers: HeaderMap) -> Response {
    let health = operator.health();
    let status = if health.alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = if health.alive { "alive" } else { "the loop has not turned for a while" };
    told(status, text, &health, &headers)
}

/// Ready: it sees the host and can act. What is not ready says what it waits for.
async fn readyz(State(operator): State<Arc<dyn Operator>>, headers: HeaderMap) -> Response {
    let health = operator.health();
    if health.alive && health.not_ready.is_empty() {
        return told(StatusCode::OK, "ready", &health, &headers);
    }
    let dead = (!health.alive).then_some("the loop has not turned for a while");
    let reasons: Vec<_> = dead.into_iter().chain(health.not_ready.iter().map(String::as_str)).collect();
    told(StatusCode::SERVICE_UNAVAILABLE, &reasons.join("\n"), &health, &headers)
}

/// A line for people and probes that ask for text, JSON for everyone else.
fn told(status: StatusCode, text: &str, health: &Health, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/") {
        return (status, format!("{text}\n")).into_response();
    }
    (status, Json(health)).into_response()
}

async fn metrics(State(operator): State<Arc<dyn Operator>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], operator.metrics()).into_response()
}

async fn unknown(uri: Uri) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path())).with("paths", json!(PATHS))
}

async fn unknown_method(uri: Uri) -> Refusal {
    let error = format!("{} does not take this method", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error).with("paths", json!(PATHS))
}
