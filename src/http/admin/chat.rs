//! The page of the conversation.
//!
//! What is said stands in threads, which a restart keeps; what was done stands
//! in the audit log. With a script the answer comes part by part, without one
//! as a page.

use std::convert::Infallible;

use askama::Template;
use axum::{
    Form,
    extract::{Extension, Query, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{
    Admin,
    login::Opened,
    pages::{Frame, rendered},
};
use crate::{
    admin::{
        chat::{self, Part},
        claw::{
            Error, Span,
            personas::{self, Persona},
            runner,
            talk::{self, Talking},
            threads::{self, Message, Thread},
        },
        desk::Speaker,
    },
    http::claw::wants_stream,
};

/// Messages on the page.
const SHOWN: u32 = 60;
/// Threads beside it.
const THREADS: u32 = 30;
/// Personas to choose from: all that there may be.
const PERSONAS: u32 = 100;
/// What the page of a thread that is still to begin is asked for by.
const NEW: &str = "new";

#[derive(Template)]
#[template(path = "chat.html", config = "src/http/admin/askama.toml")]
struct ChatPage {
    frame: Frame,
    token: String,
    /// The thread that is shown; nothing for one that is still to begin.
    thread: String,
    /// Whether something can be said in it.
    is_ours: bool,
    said: Vec<Message>,
    threads: Vec<Thread>,
    playbooks: Vec<Thread>,
    personas: Vec<Persona>,
    /// The persona that is spoken to; nothing for the one that is taken otherwise.
    persona: String,
    /// Why there is less on the page than should be.
    trouble: Option<&'static str>,
}

/// What is kept does not answer.
const AWAY: &str = "What was said before cannot be read just now, because the database that keeps it does not answer. \
                    You are answered all the same, and nothing of it is kept.";

#[derive(Template)]
#[template(path = "part.html", config = "src/http/admin/askama.toml")]
struct PartOfPage<'a> {
    part: &'a Part,
    token: &'a str,
    thread: &'a str,
    is_ours: bool,
}

/// Which thread.
#[derive(Deserialize)]
pub(super) struct Which {
    thread: Option<String>,
    persona: Option<String>,
}

/// What the form has.
#[derive(Deserialize)]
pub(super) struct Line {
    token: String,
    text: String,
    /// The question that a button answers.
    #[serde(default)]
    id: Option<String>,
    thread: Option<String>,
    persona: Option<String>,
}

/// What the form of the button has.
#[derive(Deserialize)]
pub(super) struct Gone {
    token: String,
    thread: String,
}

/// The conversation so far: the one that is asked for, or else the last one.
pub(super) async fn page(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Query(which): Query<Which>,
) -> Response {
    match shown(&admin, &opened, which).await {
        Ok(page) => rendered(StatusCode::OK, &page),
        Err(Error::Away) => rendered(StatusCode::OK, &unkept(&opened, Vec::new())),
        Err(error) => failed(&error),
    }
}

/// The page when what is kept is away.
fn unkept(opened: &Opened, said: Vec<Message>) -> ChatPage {
    ChatPage {
        frame: Frame::new("Chat", "chat", opened),
        token: opened.token.clone(),
        thread: String::new(),
        is_ours: true,
        said,
        threads: Vec::new(),
        playbooks: Vec::new(),
        personas: Vec::new(),
        persona: String::new(),
        trouble: Some(AWAY),
    }
}

async fn shown(admin: &Admin, opened: &Opened, which: Which) -> Result<ChatPage, Error> {
    let Which { thread: asked, persona } = which;
    let speaker = opened.speaker();
    let few = Span { limit: Some(THREADS), cursor: None };
    let threads = threads::list(&admin.claw.shelf, &speaker.actor, &few).await?.items;
    let playbooks = threads::list(&admin.claw.shelf, runner::OWNER, &few).await?.items;
    let personas = personas::list(&admin.claw.shelf, &Span { limit: Some(PERSONAS), cursor: None }).await?.items;
    let asked = asked.filter(|id| !id.is_empty()).or_else(|| threads.first().map(|thread| thread.id.clone()));
    let (mut is_ours, mut thread, mut said) = (true, String::new(), Vec::new());
    if let Some(id) = asked.filter(|id| id != NEW) {
        is_ours = !playbooks.iter().any(|thread| thread.id == id);
        let owner = Speaker { actor: runner::OWNER.to_owned(), ..speaker.clone() };
        let span = Span { limit: Some(SHOWN), cursor: None };
        let (found, page) = admin.claw.messages(if is_ours { &speaker } else { &owner }, &id, &span).await?;
        thread = found.id;
        said = page.items;
        said.reverse();
    }
    let frame = Frame::new("Chat", "chat", opened);
    let (token, persona) = (opened.token.clone(), persona.unwrap_or_default());
    Ok(ChatPage { frame, token, thread, is_ours, said, threads, playbooks, personas, persona, trouble: None })
}

/// Understands a line, and answers it.
pub(super) async fn say(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    headers: HeaderMap,
    Form(Line { token, text, thread, id, persona }): Form<Line>,
) -> Response {
    if token != opened.token {
        return forged();
    }
    if text.trim().is_empty() {
        return Redirect::to("/admin/chat").into_response();
    }
    let speaker = opened.speaker();
    let thread = match thread.filter(|id| !id.is_empty()) {
        Some(id) => Some(id).filter(|id| id != NEW),
        None => last(&admin, &speaker).await,
    };
    let persona = persona.filter(|id| !id.is_empty());
    let talking = if let Some(id) = id {
        admin.claw.confirm(&speaker, thread.as_deref(), (&id, &text)).await
    } else {
        let line = talk::Line { thread: thread.as_deref(), persona: persona.as_deref(), text: &text };
        admin.claw.say_anyway(&speaker, line).await
    };
    match talking {
        Ok(talking) if wants_stream(&headers) => {
            Sse::new(events(talking, opened.token)).keep_alive(KeepAlive::new()).into_response()
        }
        Ok(talking) => whole(&admin, &opened, talking, persona.as_deref()).await,
        Err(error) => failed(&error),
    }
}

/// The page with the whole answer: that of its thread, or one for this answer where nothing can be kept.
async fn whole(admin: &Admin, opened: &Opened, talking: Talking, persona: Option<&str>) -> Response {
    let Talking { thread, said, parts, kept } = talking;
    let parts = chat::whole(parts).await;
    match (kept.await, thread) {
        (Ok(Ok(_)), Some(thread)) => {
            let is_plain = |id: &&str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let persona = persona.filter(is_plain).map(|id| format!("&persona={id}")).unwrap_or_default();
            Redirect::to(&format!("/admin/chat?thread={}{persona}#last", thread.id)).into_response()
        }
        (Ok(Err(Error::Away)), _) => {
            let said = Message { id: String::new(), text: said, parts, created_at: admin.operator.now().to_string() };
            rendered(StatusCode::OK, &unkept(opened, vec![said]))
        }
        (Ok(Err(error)), _) => failed(&error),
        (Ok(Ok(_)) | Err(_), _) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the answer broke off; see Mooring's own log\n").into_response()
        }
    }
}

async fn last(admin: &Admin, speaker: &Speaker) -> Option<String> {
    let one = Span { limit: Some(1), cursor: None };
    let page = threads::list(&admin.claw.shelf, &speaker.actor, &one).await.ok()?;
    page.items.into_iter().next().map(|thread| thread.id)
}

/// What was said as it is kept, the parts as they belong on the page, each when it comes, and at the end where they stand.
fn events(talking: Talking, token: String) -> impl Stream<Item = Result<Event, Infallible>> {
    let Talking { thread, said, parts, kept } = talking;
    let thread = thread.map_or_else(String::new, |thread| thread.id);
    let id = thread.clone();
    let part = move |part: Part| {
        let html = PartOfPage { part: &part, token: &token, thread: &id, is_ours: true }.render();
        let html = html.unwrap_or_else(|_| "<p>This part cannot be shown.</p>".to_owned());
        let is_over = !matches!(part, Part::Progress { .. });
        Event::default().event(if is_over { "part" } else { "progress" }).data(json!(html).to_string())
    };
    let end = async move {
        let is_kept = matches!(kept.await, Ok(Ok(_)));
        Event::default().event("done").data(json!({"thread": thread, "kept": is_kept}).to_string())
    };
    // As text it is put on the page; it is none of its markup before either.
    let said = Event::default().event("said").data(json!(said).to_string().replace('<', "\\u003c"));
    stream::iter([said]).chain(UnboundedReceiverStream::new(parts).map(part)).chain(stream::once(end)).map(Ok)
}

/// What the button beside an answer that is on its way has.
#[derive(Deserialize)]
pub(super) struct Stop {
    token: String,
}

/// Stops the answer that is worked on.
pub(super) async fn stop(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Form(Stop { token }): Form<Stop>,
) -> Response {
    if token != opened.token {
        return forged();
    }
    if admin.claw.chat.stop(&opened.speaker()) {
        admin.operator.note(&opened.actor(), "Cancel", "stop an answer that was worked on", None).await;
    }
    StatusCode::NO_CONTENT.into_response()
}

/// Forgets a thread.
pub(super) async fn delete(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Form(Gone { token, thread }): Form<Gone>,
) -> Response {
    if token != opened.token {
        return forged();
    }
    match threads::delete(&admin.claw.shelf, &opened.actor(), &thread).await {
        Ok(()) => {
            admin.operator.note(&opened.actor(), "DeleteThread", &format!("forget the thread {thread}"), None).await;
            Redirect::to("/admin/chat").into_response()
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> Response {
    let status = match error {
        Error::NoSuch(_) => StatusCode::NOT_FOUND,
        Error::Conflict(_) => StatusCode::CONFLICT,
        Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Busy | Error::Away | Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{error}\n")).into_response()
}

fn forged() -> Response {
    (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response()
}
