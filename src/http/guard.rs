//! What stands before every route: time limits, headers for browsers, and the
//! check that a page from elsewhere does not ask in a browser's name.

use std::{net::IpAddr, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use super::refusal::Refusal;

/// A fresh look at everything takes as long as the engine does, and a busy engine takes seconds. A stream has begun
/// to answer by then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Nothing we answer is to be sniffed, framed, cached, or read by a page from elsewhere.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Bounds the time of a request and marks its answer.
pub(super) fn for_everyone(router: Router) -> Router {
    router.layer(middleware::from_fn(limit_time)).layer(middleware::map_response(mark))
}

/// Besides, refuses requests that a browser was tricked into.
pub(super) fn for_browsers(router: Router) -> Router {
    router.layer(middleware::from_fn(check_host)).layer(middleware::map_response(mark))
}

async fn limit_time(request: Request, next: Next) -> Response {
    let late = |_| Refusal::new(StatusCode::GATEWAY_TIMEOUT, "there was no answer within 30 seconds").into_response();
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(late)
}

async fn mark(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page of evil.example can make its own name point to 127.0.0.1 and then read our answers as its own ("DNS
/// rebinding"). The browser still sends the page's name as `Host`, and that gives it away.
async fn check_host(request: Request, next: Next) -> Response {
    match host(&request) {
        Some(host) if !is_local(&host) => {
            let name = said_back(&host).map_or_else(|| "what was asked for".to_owned(), |host| format!("`{host}`"));
            let text = format!("this is not {name}; ask by address, as localhost, or by a name without a dot");
            Refusal::new(StatusCode::MISDIRECTED_REQUEST, text).into_response()
        }
        // Browsers always send it.
        Some(_) | None => next.run(request).await,
    }
}

/// The name and port that were asked for.
pub(super) fn host(request: &Request) -> Option<String> {
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    host.or_else(|| request.headers().get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()))
}

/// A host as an answer may repeat it. What no host is called (RFC 1123) may be a credential in the wrong place.
pub(super) fn said_back(host: &str) -> Option<&str> {
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    (is_name && !host.is_empty()).then_some(host)
}

/// The name without the port.
pub(super) fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether that is this name.
pub(super) fn is_named(host: &str, name: &str) -> bool {
    name_of(host).eq_ignore_ascii_case(name)
}

/// Whether no stranger can own this name: an address; `localhost`; or a name without a dot, which is one of this
/// machine or of a container network (as in a Prometheus that scrapes `mooring:3700`), never of the public DNS.
pub(super) fn is_local(host: &str) -> bool {
    let name = name_of(host).to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok() || name.ends_with(".localhost") || !name.contains('.')
}

#[cfg(test)]
mod tests {
    use super::{is_local, said_back};

    /// Found by trying texts at random: whoever put a token where the host belongs had it in the answer, and in what keeps answers.
    #[test]
    fn only_what_a_host_can_be_called_is_repeated() {
        for host in ["claw.example.test", "claw.example.test:3700", "[2001:db8::1]:80"] {
            assert_eq!(said_back(host), Some(host));
        }
        for host in ["", "mct_7aaefb", "Bearer mct_7aaefb", "a<b>", "`"] {
            assert_eq!(said_back(host), None, "{host}");
        }
    }

    #[test]
    fn addresses_localhost_and_bare_names_are_local() {
        for host in
            ["127.0.0.1:3700", "[::1]:3700", "[::1]", "localhost", "LOCALHOST:80", "a.localhost:1", "mooring:3700", "10.0.0.2"]
        {
            assert!(is_local(host), "{host}");
        }
    }

    #[test]
    fn names_that_strangers_can_own_are_not_local() {
        for host in
            ["evil.example", "evil.example:3700", "127.0.0.1.evil.example", "localhost.evil.example", "evil.", "localhost."]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
