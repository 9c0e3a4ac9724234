//! Changes: asked for, shown, confirmed, and handed to the loop that acts.

use askama::Template;
use axum::{
    Form,
    extract::{Extension, Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::SignedDuration;
use serde::Deserialize;

use super::{
    Admin,
    login::Opened,
    pages::{Frame, not_found, rendered},
};
use crate::{
    admin::desk::{Confirmed, HoldEnd, Proposal, Wish},
    manifest::{Key, hold::Target},
};

/// How long a button holds something; the chat and `mooring hold` know other times.
const HELD_FOR: SignedDuration = SignedDuration::from_hours(1);

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
    /// The name of what it is about, where a yes is not enough.
    #[serde(default)]
    name: Option<String>,
}

#[derive(Template)]
#[template(path = "confirm.html", config = "src/http/admin/askama.toml")]
struct ConfirmPage {
    frame: Frame,
    proposal: Proposal,
    back: String,
}

#[derive(Template)]
#[template(path = "told.html", config = "src/http/admin/askama.toml")]
struct ToldPage {
    frame: Frame,
    text: String,
    back: String,
}

/// Shows what a button would do, and asks.
pub(super) async fn button(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Path((kind, name, verb)): Path<(String, String, String)>,
    Form(asked): Form<Asked>,
) -> Response {
    let key = match object(&admin, &opened, &(kind, name), &asked).await {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let wish = match verb.as_str() {
        "restart" => Wish::Restart(key.clone()),
        "start" => Wish::Start(key.clone()),
        "stop" => Wish::Stop(key.clone()),
        "release" => Wish::Release(key.clone()),
        "hold" => Wish::Hold {
            targets: vec![Target::Object(key.clone())],
            end: HoldEnd::After(HELD_FOR),
            reason: "asked for on the dashboard".to_owned(),
        },
        _ => return not_found().await,
    };
    match admin.desk.propose(&opened.speaker(), wish).await {
        Ok(proposal) => ask(&opened, proposal, page_of(&key)),
        Err(error) => told(&opened, StatusCode::CONFLICT, error, page_of(&key)),
    }
}

/// Does what was asked, if the question still stands.
pub(super) async fn answer(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Form(Answer { token, id, name }): Form<Answer>,
) -> Response {
    if token != opened.token {
        return forged();
    }
    let back = |key: Option<&Key>| key.map_or_else(|| "/admin".to_owned(), page_of);
    match admin.desk.confirm(&opened.speaker(), &id, name.as_deref()).await {
        Ok(Confirmed::Done(done)) => Redirect::to(&back(done.key.as_ref())).into_response(),
        Ok(Confirmed::Again(proposal)) => ask(&opened, *proposal, back(None)),
        Err(not_done) => told(&opened, StatusCode::CONFLICT, not_done.why, back(not_done.key.as_ref())),
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

fn ask(opened: &Opened, proposal: Proposal, back: String) -> Response {
    let frame = Frame::new("Confirm", "overview", opened);
    rendered(StatusCode::OK, &ConfirmPage { frame, proposal, back })
}

fn told(opened: &Opened, status: StatusCode, text: String, back: String) -> Response {
    rendered(status, &ToldPage { frame: Frame::new("Not done", "overview", opened), text, back })
}

fn forged() -> Response {
    (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response()
}
