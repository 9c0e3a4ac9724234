//! Changes: asked for, shown, confirmed, and handed to the loop that acts.

use askama::Template;
use axum::{
    Form,
    extract::{Extension, Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Admin,
    login::Opened,
    pages::{Frame, not_found, rendered},
};
use crate::{admin::confirm::Question, manifest::Key, view::Restartable};

/// What the form of a button has.
#[derive(Deserialize)]
pub(super) struct Asked {
    token: String,
}

/// What the form of a confirmation has.
#[derive(Deserialize)]
pub(super) struct Answer {
    token: String,
    id: String,
}

#[derive(Template)]
#[template(path = "confirm.html", config = "src/http/admin/askama.toml")]
struct ConfirmPage {
    frame: Frame,
    what: String,
    details: Vec<String>,
    id: String,
    back: String,
}

#[derive(Template)]
#[template(path = "told.html", config = "src/http/admin/askama.toml")]
struct ToldPage {
    frame: Frame,
    text: String,
    back: String,
}

/// Shows what a restart would do, and asks.
pub(super) async fn restart(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Path(path): Path<(String, String)>,
    Form(asked): Form<Asked>,
) -> Response {
    let key = match object(&admin, &opened, &path, &asked).await {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    match admin.operator.restartable(&key).await {
        Ok(shown) => {
            let details = about(&shown);
            confirm(&admin, &opened, &key, (format!("Restart {}?", shown.name), details), Question::Restart(key.clone(), shown))
        }
        Err(error) => told(&opened, StatusCode::CONFLICT, error, &key),
    }
}

/// Asks whether Mooring should try again.
pub(super) async fn release(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Path(path): Path<(String, String)>,
    Form(asked): Form<Asked>,
) -> Response {
    let key = match object(&admin, &opened, &path, &asked).await {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let details = vec!["what was given up, left stopped or left to somebody else is taken in hand again".to_owned()];
    confirm(&admin, &opened, &key, (format!("Release {key}?"), details), Question::Release(key.clone()))
}

/// Does what was asked, if the question still stands.
pub(super) async fn answer(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Form(Answer { token, id }): Form<Answer>,
) -> Response {
    if token != opened.token {
        return forged();
    }
    match carry_out(&admin, &opened, &id).await {
        Ok((key, _)) => Redirect::to(&page_of(&key)).into_response(),
        Err((key, error)) => {
            let back = key.as_ref().map_or_else(|| "/admin".to_owned(), page_of);
            rendered(StatusCode::CONFLICT, &ToldPage { frame: Frame::new("Not done", "overview", &opened), text: error, back })
        }
    }
}

/// Does what the question of this id was about, if it still stands: the object, and what was done in words; or why not.
pub(super) async fn carry_out(admin: &Admin, opened: &Opened, id: &str) -> Result<(Key, String), (Option<Key>, String)> {
    let actor = opened.actor();
    let question = admin.confirmations.answer(&opened.name, id).map_err(|void| (None, void.to_string()))?;
    let (key, words, outcome) = match question {
        Question::Restart(key, shown) => {
            let outcome = admin.operator.restart(&key, &shown, &actor).await;
            (key, format!("confirm the restart of {}", shown.name), outcome)
        }
        Question::Release(key) => {
            let outcome = admin.operator.release(&key, &actor).await;
            let words = format!("confirm the release of {key}");
            (key, words, outcome)
        }
    };
    admin.operator.note(&actor, "Confirm", &words, outcome.as_ref().err().map(String::as_str)).await;
    match outcome {
        Ok(()) => Ok((key, words)),
        Err(error) => Err((Some(key), error)),
    }
}

/// What is to be known before a container is restarted.
pub(super) fn about(shown: &Restartable) -> Vec<String> {
    let since = shown.started_at.map_or_else(|| "it runs".to_owned(), |at| format!("it runs since {at:.0}"));
    let id = shown.id.get(..12).unwrap_or(&shown.id);
    let users: Vec<String> = shown.users.iter().map(ToString::to_string).collect();
    let users = (!users.is_empty()).then(|| format!("what depends on it may notice: {}", users.join(", ")));
    let what =
        [format!("container {} ({id}): {since}", shown.name), "it is stopped and started again; its data stays".to_owned()];
    what.into_iter().chain(users).collect()
}

/// Takes the question back.
pub(super) async fn cancel(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Form(Asked { token }): Form<Asked>,
) -> Response {
    if token != opened.token {
        return forged();
    }
    if admin.confirmations.cancel(&opened.name) {
        admin.operator.note(&opened.actor(), "Cancel", "cancel what was asked for", None).await;
    }
    Redirect::to("/admin").into_response()
}

/// The object of a page whose button was pressed in this session.
async fn object(admin: &Admin, opened: &Opened, path: &(String, String), asked: &Asked) -> Result<Key, Response> {
    let (kind, name) = path;
    let key = kind.parse().ok().map(|kind| Key::new(kind, name)).filter(|key| admin.operator.object(key).is_some());
    let Some(key) = key else { return Err(not_found().await) };
    if asked.token == opened.token { Ok(key) } else { Err(forged()) }
}

fn page_of(key: &Key) -> String {
    format!("/admin/objects/{key}")
}

fn confirm(admin: &Admin, opened: &Opened, key: &Key, (what, details): (String, Vec<String>), question: Question) -> Response {
    let id = admin.confirmations.ask(&opened.name, question);
    let frame = Frame::new("Confirm", "overview", opened);
    rendered(StatusCode::OK, &ConfirmPage { frame, what, details, id, back: page_of(key) })
}

fn told(opened: &Opened, status: StatusCode, text: String, key: &Key) -> Response {
    rendered(status, &ToldPage { frame: Frame::new("Not done", "overview", opened), text, back: page_of(key) })
}

fn forged() -> Response {
    (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response()
}
