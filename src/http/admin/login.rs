//! Getting in and out.

use askama::Template;
use axum::{
    Form,
    extract::{Extension, FromRequest, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tower_sessions::Session;

use super::{Admin, client, pages::rendered};
use crate::{
    admin::{
        access::{Password, Refused},
        desk::Speaker,
    },
    secret::Secret,
};

/// Under this name a session says that it is one.
pub(super) const OPENED: &str = "opened";
/// After so long the password has to be given again, whatever was done meanwhile.
const ABSOLUTE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// What a wrong guess costs at least.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(400);

/// What a session knows of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::http) struct Opened {
    /// When.
    at: Timestamp,
    /// With which password, see [`Password::stamp`].
    stamp: String,
    /// Its name in the audit log, which opens nothing.
    pub(super) name: String,
    /// What forms of its pages carry.
    pub(in crate::http) token: String,
}

impl Opened {
    fn new(password: &Password, at: Timestamp) -> Self {
        let (name, token) = (hex::encode(rand::random::<[u8; 4]>()), hex::encode(rand::random::<[u8; 32]>()));
        Self { at, stamp: password.stamp(), name, token }
    }

    /// Whether it was opened with the password in force, and not too long ago.
    pub(super) fn is_valid(&self, password: &Password, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        self.stamp == password.stamp() && age < ABSOLUTE && age > -ABSOLUTE
    }

    /// As it stands in the audit log.
    pub(super) fn actor(&self) -> String {
        format!("session:{}", self.name)
    }

    /// Who it is that speaks in it.
    pub(in crate::http) fn speaker(&self) -> Speaker {
        Speaker { session: self.name.clone(), actor: self.actor() }
    }
}

#[derive(Template)]
#[template(path = "login.html", config = "src/http/admin/askama.toml")]
struct LoginPage<'a> {
    refusal: Option<&'a str>,
}

/// What the form has.
#[derive(Deserialize)]
struct Login {
    password: String,
}

/// The page.
pub(super) async fn form(State(admin): State<Admin>) -> Response {
    if admin.password().await.is_none() {
        return off();
    }
    page(StatusCode::OK, None)
}

/// Opens a session for who knows the password.
pub(super) async fn login(State(admin): State<Admin>, session: Session, request: Request) -> Response {
    let from = client(&request);
    if !super::is_from_our_page(request.headers()) {
        return (StatusCode::FORBIDDEN, "this request does not come from a page of ours").into_response();
    }
    let Ok(Form(Login { password: guess })) = Form::from_request(request, &()).await else {
        return page(StatusCode::UNPROCESSABLE_ENTITY, Some("the form is not complete"));
    };
    let password = admin.password().await;
    let admitted = admin.gate.admit(password.as_ref(), &Secret::new(guess), from).await;
    let (Some(password), Ok(())) = (&password, &admitted) else {
        return refused(&admin, admitted.err().unwrap_or(Refused::Off), &from.to_string()).await;
    };
    let opened = Opened::new(password, admin.operator.now());
    // Whoever knew the session before the login must not know the one after it.
    let kept = async {
        session.cycle_id().await?;
        session.insert(OPENED, &opened).await
    };
    if let Err(error) = kept.await {
        tracing::error!(%error, "a session could not be kept");
        return page(StatusCode::SERVICE_UNAVAILABLE, Some("the session could not be kept; see Mooring's own log"));
    }
    admin.operator.note(&opened.actor(), "Login", &format!("log in from {from}"), None).await;
    Redirect::to("/admin").into_response()
}

async fn refused(admin: &Admin, refusal: Refused, from: &str) -> Response {
    tokio::time::sleep(MOMENT).await;
    let text = crate::error_chain(&refusal);
    match refusal {
        Refused::Off => off(),
        Refused::Wrong => {
            admin.operator.note("session:none", "Login", &format!("log in from {from}"), Some(&text)).await;
            page(StatusCode::UNAUTHORIZED, Some(&text))
        }
        Refused::Paused(left) => {
            let mut response = page(StatusCode::TOO_MANY_REQUESTS, Some(&text));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
            response
        }
        Refused::Busy => page(StatusCode::SERVICE_UNAVAILABLE, Some(&text)),
        Refused::Store(_) => {
            tracing::error!(error = text, "the backend manager's database cannot be used");
            page(StatusCode::SERVICE_UNAVAILABLE, Some("the backend manager's database cannot be used; see Mooring's own log"))
        }
    }
}

/// What the form of the button has.
#[derive(Deserialize)]
pub(super) struct Logout {
    token: String,
}

/// Ends the session.
pub(super) async fn logout(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    session: Session,
    Form(Logout { token }): Form<Logout>,
) -> Response {
    if token != opened.token {
        return (StatusCode::FORBIDDEN, "the page is of another session; load it again").into_response();
    }
    if let Err(error) = session.flush().await {
        tracing::error!(%error, "a session could not be ended");
        return (StatusCode::SERVICE_UNAVAILABLE, "the session could not be ended").into_response();
    }
    admin.operator.note(&opened.actor(), "Logout", "log out", None).await;
    Redirect::to("/admin/login").into_response()
}

/// There is no password, so there is nothing here.
pub(super) fn off() -> Response {
    (StatusCode::NOT_FOUND, "the backend manager is off\n").into_response()
}

fn page(status: StatusCode, refusal: Option<&str>) -> Response {
    rendered(status, &LoginPage { refusal })
}
