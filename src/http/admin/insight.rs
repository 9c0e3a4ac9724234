//! What was put right, which secrets there are, which model answers, where
//! routes lead, and whether the audit log is good.

use askama::Template;
use axum::{
    Form,
    extract::{Extension, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    Admin,
    login::Opened,
    pages::{Frame, rendered},
};
use crate::{
    admin::{
        figures::{self, millis},
        timeline::{Episode, episodes, summary},
    },
    observe::gauges::ring::wide,
    view::insight::{ModelView, ProxyView, SecretView, VerifiedView},
};

/// Entries of the log that the timeline is made from.
const ENTRIES: usize = 400;

/// The size of a model, as the page writes it.
fn size(model: &(String, u64)) -> String {
    figures::bytes(wide(model.1))
}

/// How long a correction took, as the page writes it.
fn took(episode: &Episode) -> String {
    episode.took_millis.map(millis).unwrap_or_default()
}

/// What was put right.
struct Timeline {
    summary: Option<(usize, String, String)>,
    episodes: Result<Vec<Episode>, String>,
}

impl Timeline {
    async fn of(admin: &Admin) -> Self {
        let corrections = admin.operator.corrections();
        let entries = admin.operator.healed(ENTRIES).await;
        Self {
            summary: summary(&corrections).map(|(count, middle, slowest)| (count, millis(middle), millis(slowest))),
            episodes: entries.map(|entries| episodes(&entries, &corrections)),
        }
    }
}

#[derive(Template)]
#[template(path = "timeline.html", config = "src/http/admin/askama.toml")]
struct TimelinePage {
    frame: Frame,
    timeline: Timeline,
}

#[derive(Template)]
#[template(path = "timeline_part.html", config = "src/http/admin/askama.toml")]
struct TimelinePart {
    timeline: Timeline,
}

/// The page of what was put right.
pub(super) async fn timeline(State(admin): State<Admin>, Extension(opened): Extension<Opened>) -> Response {
    let timeline = Timeline::of(&admin).await;
    // Once for the page, and not at each of its changes.
    let error = timeline.episodes.as_ref().err().map(String::as_str);
    admin.operator.note(&opened.actor(), "ReadTimeline", "read what was put right", error).await;
    rendered(StatusCode::OK, &TimelinePage { frame: Frame::new("Timeline", "timeline", &opened), timeline })
}

/// The part of it that changes.
pub(super) async fn timeline_part(State(admin): State<Admin>) -> Response {
    rendered(StatusCode::OK, &TimelinePart { timeline: Timeline::of(&admin).await })
}

#[derive(Template)]
#[template(path = "secrets.html", config = "src/http/admin/askama.toml")]
struct SecretsPage {
    frame: Frame,
    secrets: Vec<SecretView>,
}

/// The page of secrets, without a single value.
pub(super) async fn secrets(State(admin): State<Admin>, Extension(opened): Extension<Opened>) -> Response {
    let secrets = admin.operator.secrets().await;
    admin.operator.note(&opened.actor(), "ListSecrets", "list the names of secrets", None).await;
    rendered(StatusCode::OK, &SecretsPage { frame: Frame::new("Secrets", "secrets", &opened), secrets })
}

#[derive(Template)]
#[template(path = "model.html", config = "src/http/admin/askama.toml")]
struct ModelPage {
    frame: Frame,
    models: Vec<ModelView>,
}

#[derive(Template)]
#[template(path = "model_part.html", config = "src/http/admin/askama.toml")]
struct ModelPart {
    models: Vec<ModelView>,
}

/// The page of models.
pub(super) async fn model(State(admin): State<Admin>, Extension(opened): Extension<Opened>) -> Response {
    let models = admin.operator.models().await;
    rendered(StatusCode::OK, &ModelPage { frame: Frame::new("Model", "model", &opened), models })
}

/// The part of it that changes.
pub(super) async fn model_part(State(admin): State<Admin>) -> Response {
    rendered(StatusCode::OK, &ModelPart { models: admin.operator.models().await })
}

#[derive(Template)]
#[template(path = "routes.html", config = "src/http/admin/askama.toml")]
struct RoutesPage {
    frame: Frame,
    proxies: Vec<ProxyView>,
}

#[derive(Template)]
#[template(path = "routes_part.html", config = "src/http/admin/askama.toml")]
struct RoutesPart {
    proxies: Vec<ProxyView>,
}

/// The page of routes.
pub(super) async fn routes(State(admin): State<Admin>, Extension(opened): Extension<Opened>) -> Response {
    let proxies = admin.operator.proxies().await;
    rendered(StatusCode::OK, &RoutesPage { frame: Frame::new("Routes", "routes", &opened), proxies })
}

/// The part of it that changes.
pub(super) async fn routes_part(State(admin): State<Admin>) -> Response {
    rendered(StatusCode::OK, &RoutesPart { proxies: admin.operator.proxies().await })
}

/// What the form of the button has.
#[derive(Deserialize)]
pub(super) struct Asked {
    token: String,
}

#[derive(Template)]
#[template(path = "verified.html", config = "src/http/admin/askama.toml")]
struct VerifiedPage {
    frame: Frame,
    verified: Result<VerifiedView, String>,
}

/// Verifies the whole audit log, and shows what came of it.
pub(super) async fn verify(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Form(Asked { token }): Form<Asked>,
) -> Response {
    if token != opened.token {
        return (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response();
    }
    let verified = admin.operator.verify_audit().await;
    let error = verified.as_ref().map_or_else(|error| Some(error.clone()), |verified| verified.fault.clone());
    admin.operator.note(&opened.actor(), "VerifyAuditLog", "verify the audit log", error.as_deref()).await;
    rendered(StatusCode::OK, &VerifiedPage { frame: Frame::new("Audit log", "audit", &opened), verified })
}
