//! The pages, from the same views as everybody else's answers.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Extension, Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Admin,
    gauges::{Gauge, strip_of},
    login::Opened,
    logs::{self, Log, Search},
};
use crate::{
    admin::{figures, standing::Standing},
    manifest::{
        Key, Kind,
        status::{ConditionStatus, ConditionType},
    },
    view::{
        self, AuditQuery, AuditView, EventView, ObjectView, PlanView, WhyView,
        insight::{PendingView, RunView},
    },
};

/// Events on the first page.
const EVENTS: usize = 30;
/// Entries of the audit log beside it.
const SIDEBAR: usize = 50;
/// Entries on a page of the audit log.
const PAGE: usize = 100;

/// What every page shows around itself.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) token: String,
    /// Which of the places at the top it is.
    pub(super) place: &'static str,
}

impl Frame {
    pub(super) fn new(title: &str, place: &'static str, opened: &Opened) -> Self {
        Self { title: title.to_owned(), token: opened.token.clone(), place }
    }
}

/// An object in a few words.
struct Line {
    kind: String,
    name: String,
    summary: String,
    state: Standing,
    message: String,
    since: String,
    /// What the health check of its container says, and how that is painted.
    health: Option<Health>,
    uptime: String,
    restarts: String,
    pending: PendingView,
}

/// How a container fares.
struct Health {
    word: String,
    class: &'static str,
}

impl Health {
    fn of(run: &RunView) -> Self {
        let word = run.health.filter(|_| run.is_running).unwrap_or(&run.state);
        let class = match word {
            "healthy" | "running" => "good",
            "starting" | "restarting" => "busy",
            _ => "bad",
        };
        Self { word: word.to_owned(), class }
    }
}

/// What is known of objects besides their conditions.
#[derive(Default)]
struct Known {
    runs: Vec<RunView>,
    pending: BTreeMap<Key, PendingView>,
    now: Timestamp,
}

impl Known {
    async fn of(admin: &Admin) -> Self {
        // An engine that is away is told of by every object's condition.
        let runs = admin.operator.runs().await.unwrap_or_default();
        Self { runs, pending: admin.operator.pending(), now: admin.operator.now() }
    }

    fn line(&mut self, object: ObjectView) -> Line {
        let (state, message, since) = Standing::of(object.status.as_ref());
        let pending = self.pending.remove(&object.key).unwrap_or_default();
        // The one that runs is the one that counts.
        let of_object = || self.runs.iter().filter(|run| run.key == object.key);
        let run = of_object().find(|run| run.is_running).or_else(|| of_object().next_back());
        let started = run.and_then(|run| run.started_at);
        Line {
            health: run.map(Health::of),
            uptime: started.map(|at| figures::since(at, self.now)).unwrap_or_default(),
            restarts: run.map(|run| run.restarts.to_string()).unwrap_or_default(),
            kind: object.key.kind.to_string(),
            name: object.key.name,
            summary: object.summary,
            state,
            message,
            since,
            pending,
        }
    }
}

/// The day and the time of an instant, to the second, as the page writes them.
fn clock(at: &str) -> String {
    at.get(..19).unwrap_or(at).replace('T', " ")
}

/// How that is painted.
trait Painted {
    fn class(self) -> &'static str;
}

impl Painted for Standing {
    fn class(self) -> &'static str {
        match self {
            Self::Ready => "good",
            Self::Progressing => "busy",
            Self::Held => "held",
            Self::Degraded => "bad",
            Self::Unknown => "dim",
        }
    }
}

/// What is to be seen at a glance.
struct Overview {
    health: view::Health,
    lines: Vec<Line>,
    counts: Vec<(Standing, usize)>,
    events: Vec<EventView>,
    trouble: Option<String>,
}

impl Overview {
    async fn of(admin: &Admin) -> Self {
        let mut known = Known::of(admin).await;
        let lines: Vec<Line> = admin.operator.objects(None).into_iter().map(|object| known.line(object)).collect();
        let states = [Standing::Degraded, Standing::Progressing, Standing::Held, Standing::Unknown, Standing::Ready];
        let count = |state| lines.iter().filter(|line| line.state == state).count();
        let counts = states.into_iter().map(|state| (state, count(state))).filter(|(_, count)| *count > 0).collect();
        let (mut events, trouble) = match admin.operator.events(None, EVENTS).await {
            Ok(events) => (events, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        events.reverse();
        Self { health: admin.operator.health(), lines, counts, events, trouble }
    }
}

#[derive(Template)]
#[template(path = "overview.html", config = "src/http/admin/askama.toml")]
struct OverviewPage {
    frame: Frame,
    strip: Vec<Gauge>,
    overview: Overview,
    audit: Result<Vec<AuditView>, String>,
}

#[derive(Template)]
#[template(path = "overview_part.html", config = "src/http/admin/askama.toml")]
struct OverviewPart {
    overview: Overview,
}

/// All objects, the last events, and what was done last.
pub(super) async fn overview(State(admin): State<Admin>, Extension(opened): Extension<Opened>) -> Response {
    let audit = admin.operator.audit(&AuditQuery::newest(SIDEBAR), Some(&opened.actor())).await.map(newest_first);
    let frame = Frame::new("Overview", "overview", &opened);
    rendered(StatusCode::OK, &OverviewPage { frame, strip: strip_of(&admin), overview: Overview::of(&admin).await, audit })
}

/// The part of it that changes by itself.
pub(super) async fn overview_part(State(admin): State<Admin>) -> Response {
    rendered(StatusCode::OK, &OverviewPart { overview: Overview::of(&admin).await })
}

fn newest_first(mut entries: Vec<AuditView>) -> Vec<AuditView> {
    entries.reverse();
    entries
}

/// Everything about one object.
struct Details {
    line: Line,
    source: String,
    conditions: Vec<(&'static str, String, String, String, String)>,
    plan: Result<Option<PlanView>, String>,
    events: Vec<EventView>,
    why: Option<WhyView>,
}

impl Details {
    async fn of(admin: &Admin, key: &Key) -> Option<Self> {
        let object = admin.operator.object(key)?;
        let conditions = object.status.iter().flat_map(|status| &status.conditions).map(|condition| {
            let class = match (condition.kind, condition.status) {
                (ConditionType::Ready, ConditionStatus::True) => "good",
                (ConditionType::Ready, _) => "bad",
                (_, ConditionStatus::True) => "held",
                _ => "dim",
            };
            let (kind, reason) = (condition.kind.to_string(), condition.reason.clone());
            (class, kind, reason, condition.message.clone(), condition.last_transition_time.clone())
        });
        let conditions = conditions.collect();
        let plan = admin.operator.plans(Some(key)).await.map(|plans| plans.into_iter().next());
        let mut events = admin.operator.events(Some(key), EVENTS).await.unwrap_or_default();
        events.reverse();
        let why = admin.operator.why(key, None).await.ok().flatten();
        let source = object.source.clone().unwrap_or_default();
        Some(Self { line: Known::of(admin).await.line(object), source, conditions, plan, events, why })
    }
}

impl Details {
    /// What can be asked for from its page.
    fn verbs(&self) -> &'static [&'static str] {
        match self.line.kind.as_str() {
            "Container" => &["Restart", "Start", "Stop", "Hold", "Release"],
            "Hold" | "Host" => &["Release"],
            _ => &["Hold", "Release"],
        }
    }
}

#[derive(Template)]
#[template(path = "object.html", config = "src/http/admin/askama.toml")]
struct ObjectPage {
    frame: Frame,
    details: Details,
    key: Key,
    log: Option<Log>,
}

#[derive(Template)]
#[template(path = "object_part.html", config = "src/http/admin/askama.toml")]
struct ObjectPart {
    details: Details,
}

/// One object: its conditions, what would be done, what happened, and why.
pub(super) async fn object(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Path((kind, name)): Path<(String, String)>,
    Query(search): Query<Search>,
) -> Response {
    let (Some(details), Ok(kind)) = (details(&admin, &kind, &name).await, kind.parse()) else { return not_found().await };
    let key = Key::new(kind, &name);
    let has_log = matches!(kind, Kind::Container | Kind::ModelProvider);
    let log = if has_log { Some(logs::last(&admin, &opened, &key, &search).await) } else { None };
    let frame = Frame::new(&format!("{} {}", details.line.kind, details.line.name), "overview", &opened);
    rendered(StatusCode::OK, &ObjectPage { frame, details, key, log })
}

/// The part of it that changes by itself.
pub(super) async fn object_part(State(admin): State<Admin>, Path((kind, name)): Path<(String, String)>) -> Response {
    match details(&admin, &kind, &name).await {
        Some(details) => rendered(StatusCode::OK, &ObjectPart { details }),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn details(admin: &Admin, kind: &str, name: &str) -> Option<Details> {
    let key = Key::new(kind.parse().ok()?, name);
    Details::of(admin, &key).await
}

/// What is looked for in the audit log.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    object: String,
    actor: String,
    operation: String,
    outcome: String,
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "audit.html", config = "src/http/admin/askama.toml")]
struct AuditPage {
    frame: Frame,
    filter: Filter,
    refusal: Option<String>,
    entries: Vec<AuditView>,
    /// The number before which the next page begins.
    older: Option<i64>,
}

/// The audit log, page by page.
pub(super) async fn audit(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Query(filter): Query<Filter>,
) -> Response {
    let frame = Frame::new("Audit log", "audit", &opened);
    let given = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let object = given(&filter.object).map(|text| text.parse::<Key>().map_err(|error| error.to_string())).transpose();
    let (object, refusal) = match object {
        Ok(object) => (object, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let query = AuditQuery {
        object,
        actor: given(&filter.actor),
        operation: given(&filter.operation),
        outcome: given(&filter.outcome),
        before: filter.before,
        ..AuditQuery::newest(PAGE)
    };
    let found = match &refusal {
        Some(_) => Ok(Vec::new()),
        None => admin.operator.audit(&query, Some(&opened.actor())).await,
    };
    let (entries, refusal) = match found {
        Ok(entries) => (newest_first(entries), refusal),
        Err(error) => (Vec::new(), Some(error)),
    };
    let older = entries.last().filter(|_| entries.len() == PAGE).map(|entry| entry.id);
    rendered(StatusCode::OK, &AuditPage { frame, filter, refusal, entries, older })
}

#[derive(Template)]
#[template(path = "not_found.html", config = "src/http/admin/askama.toml")]
struct NotFound;

/// There is no such page, or no such object.
pub(super) async fn not_found() -> Response {
    rendered(StatusCode::NOT_FOUND, &NotFound)
}

/// A page that was rendered, or what went wrong.
pub(super) fn rendered(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered\n").into_response()
        }
    }
}
