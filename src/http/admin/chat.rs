//! The conversation: what is said is understood by the grammar, answered from
//! the same views as everything else, and changes something only after a yes.
//!
//! A conversation lives as long as its session is used and Mooring runs; what
//! was done stands in the audit log.

mod answer;

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use askama::Template;
use axum::{
    Form,
    extract::{Extension, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Admin,
    login::Opened,
    pages::{Frame, rendered},
};

/// What is kept of a conversation.
const KEPT: usize = 60;
/// Conversations that are kept.
const SESSIONS: usize = 256;
/// More is not said in a line.
const LONGEST: usize = 4000;

/// What was said in each session.
#[derive(Debug, Default)]
pub struct Conversations(Mutex<HashMap<String, VecDeque<Said>>>);

/// One thing that was said, and what was answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// By the person.
    text: String,
    /// The answer in sentences.
    answer: Vec<String>,
    /// A table, where there is one: its head and its rows.
    head: Vec<Cow<'static, str>>,
    rows: Vec<Vec<String>>,
    /// Sentences that can be said instead.
    instead: Vec<String>,
    /// What waits for a yes.
    question: Option<String>,
}

impl Conversations {
    fn of(&self, session: &str) -> Vec<Said> {
        self.lock().get(session).map(|said| said.iter().cloned().collect()).unwrap_or_default()
    }

    fn add(&self, session: &str, said: Said) {
        let mut all = self.lock();
        if all.len() >= SESSIONS && !all.contains_key(session) {
            // Whoever has been away that long has his record in the audit log.
            let any = all.keys().next().cloned();
            any.and_then(|any| all.remove(&any));
        }
        let conversation = all.entry(session.to_owned()).or_default();
        // Only the last question can be answered.
        for earlier in conversation.iter_mut() {
            earlier.question = None;
        }
        conversation.push_back(said);
        let surplus = conversation.len().saturating_sub(KEPT);
        conversation.drain(..surplus);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, VecDeque<Said>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Template)]
#[template(path = "chat.html", config = "src/http/admin/askama.toml")]
struct ChatPage {
    frame: Frame,
    said: Vec<Said>,
}

/// What the form has.
#[derive(Deserialize)]
pub(super) struct Line {
    token: String,
    text: String,
}

/// The conversation so far.
pub(super) async fn page(State(admin): State<Admin>, Extension(opened): Extension<Opened>) -> Response {
    let said = admin.conversations.of(&opened.name);
    rendered(StatusCode::OK, &ChatPage { frame: Frame::new("Chat", "chat", &opened), said })
}

/// Understands a line, and answers it.
pub(super) async fn say(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Form(Line { token, text }): Form<Line>,
) -> Response {
    if token != opened.token {
        return (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response();
    }
    let text: String = text.chars().take(LONGEST).collect();
    if !text.trim().is_empty() {
        let said = answer::answer(&admin, &opened, text.trim()).await;
        admin.conversations.add(&opened.name, said);
    }
    Redirect::to("/admin/chat#last").into_response()
}
