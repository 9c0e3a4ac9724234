//! Who asks: a machine by its token, a plugin by the secret that all of them
//! share, or a person by the session of a browser.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tower_sessions::Session;

use super::{
    super::admin::{Admin, client, is_from_our_page, opened},
    polls::Polls,
    refusal::Refused,
};
use crate::admin::{claw::tokens, desk::Speaker, tries::Origin};

/// What plugins name themselves by.
const INTERNAL: HeaderName = HeaderName::from_static("x-internal-token");
/// Where their secret is.
const INTERNAL_VARIABLE: &str = "PLUGIN_INTERNAL_SECRET";
/// What a page of ours brings along to change something.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
/// What a wrong token costs at least.
const MOMENT: std::time::Duration = std::time::Duration::from_millis(200);

/// Whoever asks.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) Speaker);

/// Why somebody is not answered.
enum Stranger {
    /// There is nothing that names anybody.
    Nobody,
    /// It names nobody that there is.
    Wrong(&'static str),
    /// A browser was tricked into it, or lacks its token.
    Forged(&'static str),
    /// It cannot be found out.
    Unknown,
}

/// Lets nobody further who is not known, and writes down who asked what: whatever changes something or is refused, and what is
/// read again within a minute once.
pub(super) async fn known(
    State((admin, polls)): State<(Admin, Arc<Polls>)>,
    session: Session,
    request: Request,
    next: Next,
) -> Response {
    let from = client(&request);
    let (parts, body) = request.into_parts();
    let caller = match name(&admin, &session, &parts, from).await {
        Ok(caller) => caller,
        Err(response) => return *response,
    };
    let route = parts.extensions.get::<MatchedPath>().map_or("a route that there is not", MatchedPath::as_str);
    let path = if route.contains('{') { parts.uri.path() } else { route };
    let (is_read, words) = (parts.method.is_safe(), format!("{} {}", parts.method, path.chars().take(300).collect::<String>()));
    let (actor, asked) = (caller.0.actor.clone(), parts.uri.to_string());
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    let status = response.status();
    let error = (status.is_client_error() || status.is_server_error()).then(|| status.to_string());
    let operation = if is_read { "ReadClaw" } else { "WriteClaw" };
    let is_poll = is_read && error.is_none();
    let words = if is_poll { polls.words((&actor, &asked), &words, admin.operator.now()) } else { Some(words) };
    if let Some(words) = words {
        admin.operator.note(&actor, operation, &words, error.as_deref()).await;
    }
    response
}

async fn name(admin: &Admin, session: &Session, parts: &Parts, from: Origin) -> Result<Caller, Box<Response>> {
    let stranger = match identify(admin, session, parts, from).await {
        Ok(caller) => return Ok(caller),
        Err(stranger) => stranger,
    };
    let unauthorized = |message: &str| {
        let refused = Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response();
        ([(header::WWW_AUTHENTICATE, "Bearer realm=\"mooring\"")], refused).into_response()
    };
    Err(Box::new(match stranger {
        Stranger::Nobody => unauthorized("say who asks: `Authorization: Bearer …`, `X-Internal-Token` or a session"),
        Stranger::Wrong(what) => {
            if let Some(left) = admin.gate.machines.pause(from) {
                let seconds = left.as_secs() + 1;
                let message = format!("too many wrong tokens; try again in {seconds} s");
                let refused = Refused::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message).into_response();
                return Err(Box::new(([(header::RETRY_AFTER, HeaderValue::from(seconds))], refused).into_response()));
            }
            admin.gate.machines.wrong(from);
            tokio::time::sleep(MOMENT).await;
            let words = format!("ask the claw API from {from}");
            admin.operator.note("token:none", "Authenticate", &words, Some(what)).await;
            unauthorized(what)
        }
        Stranger::Forged(why) => Refused::new(StatusCode::FORBIDDEN, "forbidden", why).into_response(),
        Stranger::Unknown => Refused::unavailable("who asks cannot be found out; see Mooring's own log").into_response(),
    }))
}

/// Whoever names himself by a token is nobody else, whatever cookies come along.
async fn identify(admin: &Admin, session: &Session, parts: &Parts, from: Origin) -> Result<Caller, Stranger> {
    if let Some(given) = parts.headers.get(header::AUTHORIZATION) {
        return by_token(admin, given).await;
    }
    if let Some(given) = parts.headers.get(INTERNAL) {
        return by_secret(admin, given, from);
    }
    let opened = match opened(admin, session).await {
        Ok(Some(opened)) => opened,
        Ok(None) => return Err(Stranger::Nobody),
        Err(error) => {
            tracing::warn!(%error, "a session could not be read");
            return Err(Stranger::Unknown);
        }
    };
    if !parts.method.is_safe() {
        if !is_from_our_page(&parts.headers) {
            return Err(Stranger::Forged("this request does not come from a page of ours"));
        }
        let given = parts.headers.get(CSRF).map_or(b"" as &[u8], HeaderValue::as_bytes);
        if !is_same(given, opened.token.as_bytes()) {
            return Err(Stranger::Forged("`X-CSRF-Token` is not the token of this session"));
        }
    }
    Ok(Caller(opened.speaker()))
}

/// A token has 256 random bits, which nobody guesses: a right one is let in even where others were wrong, or whoever shares
/// its address could keep it out.
async fn by_token(admin: &Admin, given: &HeaderValue) -> Result<Caller, Stranger> {
    let token = given.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = token else { return Err(Stranger::Wrong("`Authorization` is not `Bearer TOKEN`")) };
    match tokens::owner(&admin.store, token, admin.operator.now()).await {
        Ok(Some(name)) => Ok(machine(&format!("token:{name}"))),
        Ok(None) => Err(Stranger::Wrong("the token is not known, or has expired")),
        Err(error) => {
            tracing::error!(error = crate::error_chain(&error), "a token could not be looked up");
            Err(Stranger::Unknown)
        }
    }
}

/// This one somebody may have chosen, so it can be guessed: too many wrong ones keep the right one out for a while.
fn by_secret(admin: &Admin, given: &HeaderValue, from: Origin) -> Result<Caller, Stranger> {
    let wrong = Err(Stranger::Wrong("that is not the internal token"));
    if admin.gate.machines.pause(from).is_some() {
        return wrong;
    }
    let Some(secret) = admin.operator.variable(INTERNAL_VARIABLE).filter(|secret| !secret.is_empty()) else { return wrong };
    if !is_same(given.as_bytes(), secret.expose().as_bytes()) {
        return wrong;
    }
    admin.gate.machines.right(from);
    Ok(machine("plugin:internal"))
}

fn machine(name: &str) -> Caller {
    Caller(Speaker { session: name.to_owned(), actor: name.to_owned() })
}

/// Whether two values are the same. What is compared is digests with a random beginning, so that the time it takes says
/// nothing about the values.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let salt: [u8; 16] = rand::random();
    let digest = |value: &[u8]| Sha256::new().chain_update(salt).chain_update(value).finalize();
    digest(one) == digest(other)
}
