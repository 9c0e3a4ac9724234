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
use crate::{
    admin::desk::{Proposal, Wish},
    manifest::Key,
};

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
    propose(&admin, &opened, &key, Wish::Restart(key.clone())).await
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
    propose(&admin, &opened, &key, Wish::Release(key.clone())).await
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
    match admin.desk.confirm(&opened.speaker(), &id).await {
        Ok(done) => Redirect::to(&page_of(&done.key)).into_response(),
        Err(not_done) => {
            let back = not_done.key.as_ref().map_or_else(|| "/admin".to_owned(), page_of);
            let frame = Frame::new("Not done", "overview", &opened);
            rendered(StatusCode::CONFLICT, &ToldPage { frame, text: not_done.why, back })
        }
    }
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
    admin.desk.cancel(&opened.speaker()).await;
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

/// Shows what would be done, and asks.
async fn propose(admin: &Admin, opened: &Opened, key: &Key, wish: Wish) -> Response {
    match admin.desk.propose(&opened.speaker(), wish).await {
        Ok(Proposal { id, what, details }) => {
            let frame = Frame::new("Confirm", "overview", opened);
            rendered(StatusCode::OK, &ConfirmPage { frame, what, details, id, back: page_of(key) })
        }
        Err(error) => told(opened, StatusCode::CONFLICT, error, key),
    }
}

fn told(opened: &Opened, status: StatusCode, text: String, key: &Key) -> Response {
    rendered(status, &ToldPage { frame: Frame::new("Not done", "overview", opened), text, back: page_of(key) })
}

fn forged() -> Response {
    (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response()
}
