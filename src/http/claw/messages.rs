//! Something is said, and answered: at once as a whole, or part by part.

use std::convert::Infallible;

use axum::{
    Json,
    extract::{Extension, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    super::admin::Admin,
    caller::Caller,
    openapi::{Api, Method},
    read::{Asked, Body, Named},
    refusal::Refused,
};
use crate::admin::{
    chat::Part,
    claw::{
        self, Page, Span, WRITTEN,
        talk::{Line, Talking},
        threads::{self, Thread, ThreadPage},
    },
};

/// What is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    /// As it would be said in the chat.
    #[schemars(length(min = 1, max = 4000), regex(pattern = WRITTEN))]
    message: String,
    /// Where; in a new thread, without.
    #[serde(default)]
    #[schemars(length(max = 64))]
    thread_id: Option<String>,
    /// To which persona; to the one that is taken by default, without.
    #[serde(default)]
    #[schemars(length(max = 64))]
    persona_id: Option<String>,
}

/// What was answered.
#[derive(Debug, Serialize, JsonSchema)]
struct Answered {
    /// Where it stands.
    thread_id: String,
    /// Under which id.
    message_id: String,
    /// Its sentences, for those who show no more.
    text: String,
    /// All of it, in order. A `question` waits two minutes for `POST /claw/admin/confirm`, or for `yes` as the next message.
    parts: Vec<Part>,
}

pub(super) fn routes(api: &mut Api) {
    api.add(Method::Post, "/claw/message", "Say something", say)
        .body::<NewMessage>()
        .answers::<Answered>(200, "The answer.")
        .streams("With `Accept: text/event-stream`: `part` for each part as it comes, then `done` with both ids, or `error`.")
        .errors(&[
            (404, "there is no such thread, or no such persona"),
            (504, "the answer takes longer than half a minute; it is kept in the thread"),
        ]);
    api.add(Method::Get, "/claw/threads", "The caller's threads, the last one first", list)
        .query::<Span>()
        .answers::<Page<Thread>>(200, "A page of them.");
    api.add(Method::Get, "/claw/threads/{id}", "What was said in a thread, newest first", one)
        .query::<Span>()
        .answers::<ThreadPage>(200, "The thread and a page of its messages.")
        .errors(&[(404, "there is no such thread")]);
    api.add(Method::Delete, "/claw/threads/{id}", "Forget a thread", delete)
        .empty("It is forgotten.")
        .errors(&[(404, "there is no such thread")]);
}

async fn say(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    headers: HeaderMap,
    Body(NewMessage { message, thread_id, persona_id }): Body<NewMessage>,
) -> Result<Response, Refused> {
    let line = Line { thread: thread_id.as_deref(), persona: persona_id.as_deref(), text: &message };
    let Talking { thread, parts, kept, .. } = admin.claw.say(&speaker, line).await?;
    let thread = thread.ok_or(claw::Error::Away)?.id;
    if wants_stream(&headers) {
        return Ok(Sse::new(events(thread, parts, kept)).keep_alive(KeepAlive::new()).into_response());
    }
    let parts: Vec<Part> = UnboundedReceiverStream::new(parts)
        .filter(|part| std::future::ready(!matches!(part, Part::Progress { .. })))
        .collect()
        .await;
    let message_id = kept.await.map_err(|_| Refused::unavailable("the answer broke off; see Mooring's own log"))??;
    let texts = parts.iter().filter_map(|part| if let Part::Text { text } = part { Some(text.as_str()) } else { None });
    let text = texts.collect::<Vec<_>>().join("\n");
    Ok(Json(Answered { thread_id: thread, message_id, text, parts }).into_response())
}

/// Whether it is to be answered as a stream of events.
pub(in crate::http) fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

fn events(
    thread: String,
    parts: mpsc::UnboundedReceiver<Part>,
    kept: JoinHandle<Result<String, claw::Error>>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let part = |part: Part| Event::default().event("part").data(json!(part).to_string());
    let end = async move {
        match kept.await {
            Ok(Ok(message_id)) => {
                Event::default().event("done").data(json!({"thread_id": thread, "message_id": message_id}).to_string())
            }
            Ok(Err(_)) | Err(_) => Event::default()
                .event("error")
                .data(json!({"code": "unavailable", "message": "the answer could not be kept"}).to_string()),
        }
    };
    UnboundedReceiverStream::new(parts).map(part).chain(stream::once(end)).map(Ok)
}

async fn list(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Asked(span): Asked<Span>,
) -> Result<Json<Page<Thread>>, Refused> {
    Ok(Json(threads::list(&admin.claw.shelf, &speaker.actor, &span).await?))
}

async fn one(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Named(id): Named,
    Asked(span): Asked<Span>,
) -> Result<Json<ThreadPage>, Refused> {
    let (thread, messages) = admin.claw.messages(&speaker, &id, &span).await?;
    Ok(Json(ThreadPage { thread, messages }))
}

async fn delete(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Named(id): Named,
) -> Result<StatusCode, Refused> {
    threads::delete(&admin.claw.shelf, &speaker.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
