//! What clients of the old backend manager ask for, in the shapes that they know.
//! What used to act at once is answered with what would be done, and waits for a yes.

use axum::{
    Json,
    extract::{Extension, State},
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::admin::Admin,
    caller::Caller,
    openapi::{Api, Method},
    read::{Asked, Body, Named},
    refusal::Refused,
};
use crate::{
    admin::{
        claw::{
            Span,
            host::{Metrics, ServiceView, Status},
            modes,
        },
        database::{self, Refused as NotAsked},
        desk::{self, Wish},
        sql::runner,
    },
    manifest::{Key, Kind},
    view::AuditQuery,
};

/// Entries of the audit log on a page, unless others are asked for.
const ENTRIES: u32 = 50;

/// The services.
#[derive(Debug, Serialize, JsonSchema)]
struct Services {
    /// All of them, by name.
    services: Vec<ServiceView>,
}

/// Something waits for a yes.
#[derive(Debug, Serialize, JsonSchema)]
struct Waits {
    /// What to confirm it by.
    id: String,
    /// What would be done, as a question.
    what: String,
    /// What is to be known before.
    details: Vec<String>,
    /// The name that has to be typed, where a yes is not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How long the question stands.
    expires_in_seconds: u64,
}

/// A yes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Yes {
    /// The id of what waits for it.
    #[schemars(length(min = 1, max = 64))]
    id: String,
    /// The name of what it is about, where it asks for that.
    #[serde(default)]
    #[schemars(length(max = 200))]
    name: Option<String>,
}

/// What an answer has led to.
#[derive(Debug, Serialize, JsonSchema)]
struct Confirmed {
    /// To which object it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<String>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// What may lose something is asked a second time: nothing was done yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<Waits>,
}

/// What was taken back.
#[derive(Debug, Serialize, JsonSchema)]
struct Cancelled {
    /// Whether there was anything.
    cancelled: bool,
}

/// A question to the database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// One statement that only reads, in SQL.
    #[schemars(length(min = 1, max = 32768))]
    query: String,
}

/// What the database answers.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// The names of the columns.
    columns: Vec<String>,
    /// The rows, each with a value for every column.
    rows: Vec<Vec<Value>>,
    /// How many there are here.
    row_count: usize,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// A part of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
struct Log {
    /// Newest first.
    entries: Vec<Entry>,
    /// What to ask the next page with, if there is one.
    next_cursor: Option<String>,
}

/// An entry of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
struct Entry {
    /// Its number.
    id: i64,
    /// What was done.
    operation: String,
    /// By whom.
    actor: String,
    /// When.
    created_at: String,
    /// To what, why, and what became of it.
    details: String,
}

/// Whether the backend manager is on for a session of the client's.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Mode {
    /// The client's name for it.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.:-]{1,64}$"))]
    session_id: String,
    /// Whether it is on.
    enabled: bool,
}

/// Which session of the client's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The client's name for it.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.:-]{1,64}$"))]
    session_id: String,
}

/// What a model is told in a session for which the backend manager is on.
#[derive(Debug, Serialize, JsonSchema)]
struct Context {
    /// The client's name for the session.
    session_id: String,
    /// Whether it is on. Where it is not, nothing else is told.
    enabled: bool,
    /// How to speak.
    persona: Option<String>,
    /// What is known of the host.
    facts: Vec<String>,
    /// How everything is, or was less than five minutes ago.
    status: Option<Status>,
}

pub(super) fn routes(api: &mut Api) {
    const DATABASE: [(u16, &str); 2] = [(409, "there is no database"), (504, "the database takes too long")];
    api.add(Method::Get, "/claw/admin/status", "How everything is, or was less than five minutes ago", status)
        .answers::<Status>(200, "The status.");
    api.add(Method::Post, "/claw/admin/refresh", "How everything is now", refresh).answers::<Status>(200, "The status.");
    api.add(Method::Get, "/claw/admin/services", "The services", services).answers::<Services>(200, "All of them.");
    api.add(Method::Post, "/claw/admin/services/{name}/restart", "Propose to restart a service", restart)
        .answers::<Waits>(202, "What would be done waits for a yes.")
        .errors(&[(404, "there is no such service"), (409, "it cannot be restarted")]);
    api.add(Method::Post, "/claw/admin/confirm", "Say yes to what waits for it", confirm)
        .body::<Yes>()
        .answers::<Confirmed>(200, "It is handed to the loop that acts.")
        .errors(&[(409, "nothing of the kind waits, or it is not as it was shown")]);
    api.add(Method::Post, "/claw/admin/cancel", "Take back what waits for a yes", cancel)
        .answers::<Cancelled>(200, "Nothing waits.");
    api.add(Method::Get, "/claw/admin/metrics", "What is used of the host", metrics).answers::<Metrics>(200, "In percent.");
    api.add(Method::Post, "/claw/admin/db-query", "Ask the database, in SQL that only reads", db_query)
        .body::<Query>()
        .answers::<Found>(200, "What it answers.")
        .errors(&DATABASE);
    api.add(Method::Get, "/claw/admin/audit-log", "What was done", audit_log)
        .query::<Span>()
        .answers::<Log>(200, "A page of it.");
    api.add(Method::Post, "/claw/admin/mode", "Turn the backend manager on or off for a session of the client's", mode)
        .body::<Mode>()
        .answers::<Mode>(200, "So it is.");
    api.add(Method::Get, "/claw/admin/context", "What a model is told in a session of the client's", context)
        .query::<Which>()
        .answers::<Context>(200, "What it is told.");
}

async fn status(State(admin): State<Admin>, Extension(Caller(speaker)): Extension<Caller>) -> Json<Status> {
    Json(admin.claw.status(&speaker.actor).await)
}

async fn refresh(State(admin): State<Admin>, Extension(Caller(speaker)): Extension<Caller>) -> Json<Status> {
    Json(admin.claw.refreshed(&speaker.actor).await)
}

async fn services(State(admin): State<Admin>) -> Json<Services> {
    Json(Services { services: admin.claw.services().await })
}

async fn restart(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Named(name): Named,
) -> Result<(StatusCode, Json<Waits>), Refused> {
    let key = Key::new(Kind::Container, &name);
    if admin.operator.object(&key).is_none() {
        return Err(Refused::not_found("there is no such service"));
    }
    let proposal = admin.desk.propose(&speaker, Wish::Restart(key)).await.map_err(Refused::conflict)?;
    Ok((StatusCode::ACCEPTED, Json(waits(proposal))))
}

fn waits(proposal: desk::Proposal) -> Waits {
    let expires_in_seconds = crate::admin::confirm::STANDS.as_secs();
    let desk::Proposal { id, what, details, name, .. } = proposal;
    Waits { id, what, details, name, expires_in_seconds }
}

async fn confirm(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Body(Yes { id, name }): Body<Yes>,
) -> Result<Json<Confirmed>, Refused> {
    match admin.desk.confirm(&speaker, &id, name.as_deref()).await {
        Ok(desk::Confirmed::Done(done)) => {
            let object = done.key.map(|key| key.to_string());
            Ok(Json(Confirmed { object, done: Some(done.words), outcome: Some(done.outcome), again: None }))
        }
        Ok(desk::Confirmed::Again(proposal)) => {
            Ok(Json(Confirmed { object: None, done: None, outcome: None, again: Some(waits(*proposal)) }))
        }
        Err(not_done) => Err(Refused::conflict(not_done.why)),
    }
}

async fn cancel(State(admin): State<Admin>, Extension(Caller(speaker)): Extension<Caller>) -> Json<Cancelled> {
    Json(Cancelled { cancelled: admin.desk.cancel(&speaker).await })
}

async fn metrics(State(admin): State<Admin>) -> Json<Metrics> {
    Json(admin.claw.metrics().await)
}

async fn db_query(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Body(Query { query }): Body<Query>,
) -> Result<Json<Found>, Refused> {
    let answer = database::ask(&*admin.operator, &speaker.actor, &query).await.map_err(|error| not_asked(&error))?;
    let columns = answer.columns.into_iter().map(|column| column.name).collect();
    let mut notes = Vec::new();
    if answer.truncated {
        notes.push("there are more rows than these".to_owned());
    }
    if answer.cut > 0 {
        notes.push(format!("{} values are cut off because they are too long", answer.cut));
    }
    let message = (!notes.is_empty()).then(|| notes.join("; "));
    let mask = admin.operator.mask();
    let masked = |value: Value| match value {
        Value::String(text) => Value::String(mask.apply(text)),
        other => other,
    };
    let rows: Vec<Vec<Value>> = answer.rows.into_iter().map(|row| row.into_iter().map(&masked).collect()).collect();
    Ok(Json(Found { columns, row_count: rows.len(), rows, message }))
}

fn not_asked(error: &NotAsked) -> Refused {
    let message = crate::error_chain(error);
    match error {
        NotAsked::Guard(_) => Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message),
        NotAsked::None => Refused::new(StatusCode::CONFLICT, "no_database", message),
        NotAsked::Database(error) => match error {
            runner::Error::Statement(_)
            | runner::Error::Writes(_)
            | runner::Error::Forbidden { .. }
            | runner::Error::Costly { .. }
            | runner::Error::Big(_) => Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message),
            runner::Error::Slow(_) | runner::Error::Away(_) => Refused::new(StatusCode::GATEWAY_TIMEOUT, "slow", message),
            runner::Error::Url
            | runner::Error::Tls
            | runner::Error::Unreachable(_)
            | runner::Error::Io(_)
            | runner::Error::NotReadOnly
            | runner::Error::Database(_) => Refused::unavailable(message),
        },
    }
}

async fn audit_log(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Asked(span): Asked<Span>,
) -> Result<Json<Log>, Refused> {
    let (before, limit) = span.checked(ENTRIES)?;
    let query = AuditQuery { before, ..AuditQuery::newest(limit) };
    let found = admin.operator.audit(&query, Some(&speaker.actor)).await.map_err(Refused::unavailable)?;
    let next_cursor = found.first().filter(|_| found.len() == limit).map(|entry| entry.id.to_string());
    let entries = found.into_iter().rev().map(|entry| {
        let error = entry.error.map_or_else(String::new, |error| format!(": {error}"));
        let details = format!("{} ({}), because {}; {}{error}", entry.action, entry.object, entry.because, entry.outcome);
        Entry { id: entry.id, operation: entry.operation, actor: entry.actor, created_at: entry.created_at, details }
    });
    Ok(Json(Log { entries: entries.collect(), next_cursor }))
}

async fn mode(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Body(mode): Body<Mode>,
) -> Result<Json<Mode>, Refused> {
    modes::set(&admin.store, &speaker.actor, &mode.session_id, mode.enabled).await?;
    Ok(Json(mode))
}

async fn context(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Asked(Which { session_id }): Asked<Which>,
) -> Result<Json<Context>, Refused> {
    if !modes::is_on(&admin.store, &speaker.actor, &session_id).await? {
        return Ok(Json(Context { session_id, enabled: false, persona: None, facts: Vec::new(), status: None }));
    }
    let told = admin.claw.told().await?;
    let status = Some(admin.claw.status(&speaker.actor).await);
    Ok(Json(Context { session_id, enabled: true, persona: told.persona, facts: told.facts, status }))
}
