//! The backend manager in a browser: pages made here, a little script, and a
//! session that only the server can vouch for.
//!
//! Every request but for the login and the style sheet needs a session that was
//! opened with the password in force; every request that changes something also
//! needs the session's own token, and to come from a page of ours.

mod asked;
mod assets;
mod chat;
mod gauges;
mod insight;
mod live;
mod login;
mod logs;
mod pages;
mod plot;
mod sessions;
mod shared;
#[cfg(test)]
pub(in crate::http) mod tests;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_sessions::{Expiry, Session, SessionManagerLayer, cookie::SameSite, cookie::time::Duration as CookieDuration};

use super::{
    connection::{self, Peer},
    guard,
};
use crate::{
    admin::{
        access::{self, Gate, Password},
        claw::talk::Claw,
        desk::Desk,
        store::Store,
        tries::Origin,
    },
    operator::Operator,
    secret::Secret,
};
use sessions::Sessions;
use shared::Shared;

/// A form has a password and a token in it.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Each viewer keeps one connection open, and asks by others.
const MAX_CONNECTIONS: usize = 512;
/// Who does nothing for so long has left.
const IDLE: CookieDuration = CookieDuration::hours(24);
/// The cookie's name. The prefix that browsers know for such cookies needs TLS, which is not for us to say.
const COOKIE: &str = "mooring-session";

/// Scripts, styles and pictures are ours alone, and nothing stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is needed to serve it.
#[derive(Clone)]
pub struct Admin {
    /// Who is asked.
    pub operator: Arc<dyn Operator>,
    /// What is kept.
    pub store: Store,
    /// Where changes are asked for.
    pub desk: Desk,
    /// What is talked about, and kept of it.
    pub claw: Claw,
    /// Who lets people in.
    pub gate: Arc<Gate>,
    /// Names besides addresses and those of this machine under which a browser may ask.
    pub hosts: Arc<[String]>,
    /// The password that the process was given, before all others.
    pub given: Option<Secret>,
    /// When to end streams.
    pub shutdown: CancellationToken,
}

impl Admin {
    /// The password in force; none when the backend manager is off, or when nobody can say.
    pub async fn password(&self) -> Option<Password> {
        let given = self.given.clone().or_else(|| self.operator.variable(access::PASSWORD_VARIABLE));
        match self.gate.password(given).await {
            Ok(password) => password,
            Err(error) => {
                tracing::error!(
                    error = crate::error_chain(&error),
                    "whether there is a password is not known, so nobody gets in"
                );
                None
            }
        }
    }
}

/// Answers on a TCP address until the shutdown, then finishes what it has begun.
pub async fn serve(listener: TcpListener, admin: Admin) {
    let shutdown = admin.shutdown.clone();
    connection::accept(listener, router(admin), shutdown, MAX_CONNECTIONS).await;
}

fn router(admin: Admin) -> Router {
    let parts = Router::new()
        .route("/admin/parts/overview", get(pages::overview_part))
        .route("/admin/parts/objects/{kind}/{name}", get(pages::object_part))
        .route("/admin/parts/metrics", get(gauges::metrics_part))
        .route("/admin/parts/strip", get(gauges::strip_part))
        .route("/admin/parts/timeline", get(insight::timeline_part))
        .route("/admin/parts/model", get(insight::model_part))
        .route("/admin/parts/routes", get(insight::routes_part))
        .layer(middleware::from_fn_with_state(Shared::default(), shared::once));
    let inside = Router::new()
        .route("/admin", get(pages::overview))
        .route("/admin/objects/{kind}/{name}", get(pages::object))
        .route("/admin/audit", get(pages::audit))
        .route("/admin/live", get(live::changes))
        .route("/admin/live/logs/{kind}/{name}", get(logs::follow))
        .route("/admin/metrics", get(gauges::metrics))
        .route("/admin/timeline", get(insight::timeline))
        .route("/admin/secrets", get(insight::secrets))
        .route("/admin/model", get(insight::model))
        .route("/admin/routes", get(insight::routes))
        .route("/admin/audit/verify", post(insight::verify))
        .route("/admin/chat", get(chat::page).post(chat::say))
        .route("/admin/chat/delete", post(chat::delete))
        .route("/admin/chat/stop", post(chat::stop))
        .route("/admin/objects/{kind}/{name}/{verb}", post(asked::button))
        .route("/admin/confirm", post(asked::answer))
        .route("/admin/cancel", post(asked::cancel))
        .route("/admin/logout", post(login::logout))
        .merge(parts)
        .layer(middleware::from_fn_with_state(admin.clone(), needs_session));
    let sessions = SessionManagerLayer::new(Sessions::new(admin.store.clone()))
        .with_name(COOKIE)
        .with_http_only(true)
        .with_same_site(SameSite::Strict)
        .with_secure(false)
        .with_path("/")
        .with_always_save(false)
        .with_expiry(Expiry::OnInactivity(IDLE));
    let routes = Router::new()
        .route("/", get(async || Redirect::to("/admin")))
        .route("/admin/login", get(login::form).post(login::login))
        .route("/admin/assets/{name}", get(assets::asset))
        .merge(inside)
        .merge(super::claw::routes(&admin))
        .fallback(pages::not_found)
        .layer(sessions)
        .layer(middleware::map_request(sessions::only_ids))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(admin.clone());
    guard::for_everyone(routes)
        .layer(middleware::map_response(mark))
        .layer(middleware::from_fn(secure_cookies))
        .layer(middleware::from_fn_with_state(admin, check_host))
}

/// Lets nobody further who has not logged in with the password that is in force now.
async fn needs_session(State(admin): State<Admin>, session: Session, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_page = !path.starts_with("/admin/parts/") && !path.starts_with("/admin/live");
    let refused =
        || if is_page { Redirect::to("/admin/login").into_response() } else { StatusCode::UNAUTHORIZED.into_response() };
    let opened = match opened(&admin, &session).await {
        Ok(Some(opened)) => opened,
        Ok(None) if admin.password().await.is_none() => return login::off(),
        Ok(None) => return refused(),
        Err(error) => {
            tracing::warn!(%error, "a session could not be read");
            return refused();
        }
    };
    if !request.method().is_safe() && !is_from_our_page(request.headers()) {
        return (StatusCode::FORBIDDEN, "this request does not come from a page of ours").into_response();
    }
    let mut request = request;
    request.extensions_mut().insert(opened);
    next.run(request).await
}

/// The session, if somebody has opened it with the password that is in force now.
pub(super) async fn opened(admin: &Admin, session: &Session) -> Result<Option<login::Opened>, tower_sessions::session::Error> {
    let Some(password) = admin.password().await else { return Ok(None) };
    let opened = session.get::<login::Opened>(login::OPENED).await?;
    Ok(opened.filter(|opened| opened.is_valid(&password, admin.operator.now())))
}

/// Browsers say where a request comes from. Older ones say nothing, and then the session's token has to do.
pub(super) fn is_from_our_page(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let site = header(HeaderName::from_static("sec-fetch-site"));
    let host = header(header::HOST).unwrap_or_default();
    let is_ours = |origin: &str| origin.split_once("://").is_some_and(|(_, name)| name == host);
    site.is_none_or(|site| matches!(site, "same-origin" | "none")) && header(header::ORIGIN).is_none_or(is_ours)
}

async fn mark(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Behind TLS the cookie is for TLS alone. Whether we are, only who stands before us knows, and only on our own networks
/// is anybody believed.
async fn secure_cookies(request: Request, next: Next) -> Response {
    let is_trusted = peer(&request).is_some_and(is_near);
    let proto = request.headers().get("x-forwarded-proto").and_then(|proto| proto.to_str().ok());
    let is_secure = is_trusted && proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
    let mut response = next.run(request).await;
    if is_secure {
        let cookies: Vec<HeaderValue> = response.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
        response.headers_mut().remove(header::SET_COOKIE);
        for cookie in cookies {
            let secure = [cookie.as_bytes(), b"; Secure"].concat();
            let secure = HeaderValue::from_bytes(&secure).unwrap_or(cookie);
            response.headers_mut().append(header::SET_COOKIE, secure);
        }
    }
    response
}

/// A page of elsewhere can make its own name lead to us; the browser still sends that name.
async fn check_host(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    match guard::host(&request) {
        Some(host) if !guard::is_local(&host) && !admin.hosts.iter().any(|known| guard::is_named(&host, known)) => {
            let text = match guard::said_back(guard::name_of(&host)) {
                Some(name) => format!("this is not `{name}`; if it should be, start Mooring with `--admin-host {name}`\n"),
                None => "this is not what was asked for; if it should be, start Mooring with `--admin-host NAME`\n".to_owned(),
            };
            if super::claw::is_ours(request.uri().path()) {
                return super::claw::misdirected(text);
            }
            (StatusCode::MISDIRECTED_REQUEST, text).into_response()
        }
        Some(_) | None => next.run(request).await,
    }
}

/// Whoever is at the other end of the connection.
fn peer(request: &Request) -> Option<IpAddr> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Address(address)) => Some(*address),
        Some(Peer::Unknown | Peer::User(_)) | None => None,
    }
}

/// Whether an address is of this host or of a network of containers: where our own proxies are.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Whom guesses are counted for: whoever is connected, or the client that he names last where he is near, as our proxies are.
/// Whoever is near can say anything, so that guesses are counted for him as well.
pub(super) fn client(request: &Request) -> Origin {
    let near = peer(request).unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
    let forwarded = request.headers().get_all("x-forwarded-for").iter().next_back();
    let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    match last.filter(|_| is_near(near)) {
        Some(client) => Origin { client, through: Some(near) },
        None => Origin::from(near),
    }
}
