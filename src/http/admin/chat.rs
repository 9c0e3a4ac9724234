//! The page of the conversation.
//!
//! A conversation lives as long as its session is used and Mooring runs; what
//! was done stands in the audit log.

use std::{
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
use crate::admin::chat::{Part, whole};

/// What is kept of a conversation.
const KEPT: usize = 60;
/// Conversations that are kept.
const SESSIONS: usize = 256;

/// What was said in each session.
#[derive(Debug, Default)]
pub struct Conversations(Mutex<HashMap<String, VecDeque<Said>>>);

/// One thing that was said, and what was answered.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// By the person.
    text: String,
    /// The answer.
    parts: Vec<Part>,
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
            earlier.parts.retain(|part| !matches!(part, Part::Question { .. }));
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
    /// The question that a button answers.
    #[serde(default)]
    id: Option<String>,
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
    Form(Line { token, text, id }): Form<Line>,
) -> Response {
    if token != opened.token {
        return (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response();
    }
    let text = text.trim();
    if !text.is_empty() {
        let parts = match id {
            Some(id) => admin.chat.confirm(&opened.speaker(), &id, Some(text)),
            None => admin.chat.say(&opened.speaker(), text),
        };
        let parts = whole(parts).await;
        admin.conversations.add(&opened.name, Said { text: text.to_owned(), parts });
    }
    Redirect::to("/admin/chat#last").into_response()
}
