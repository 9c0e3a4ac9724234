//! One POST: connect, speak, read the answer, all within limits.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
    http::response::Parts,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use tokio_util::task::AbortOnDropHandle;

use super::{CONNECT, Error};
use crate::{alerts::address::HttpAddress, secret::Secret};

/// Nobody who takes a message says more than this.
const LONGEST_ANSWER: usize = 64 << 10;
/// What is shown of a refusal.
const SHOWN: usize = 200;

/// Where a message goes, and what goes along.
pub(crate) struct Target {
    pub(crate) address: HttpAddress,
    pub(crate) headers: Vec<(String, Secret)>,
}

/// What a server said, whether it is a yes or a no.
pub(crate) struct Said {
    pub(crate) status: u16,
    /// When it wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// An answer whose body is still to come. The connection ends with it.
struct Streaming {
    head: Parts,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

/// Sends JSON.
pub(super) async fn post(target: &Target, body: &Value) -> Result<(), Error> {
    let Streaming { head, body, _connection } = connect(target, body).await?;
    if head.status.is_success() { Ok(()) } else { Err(refusal(target, head.status, body).await) }
}

/// Sends JSON, and waits for the whole answer, which may have so many bytes. Who calls limits the time.
pub(crate) async fn ask(target: &Target, body: &Value, longest: usize) -> Result<Said, Error> {
    let Streaming { head, body, _connection } = connect(target, body).await?;
    let body = Limited::new(body, longest).collect().await.map_err(|error| {
        let is_long = error.is::<http_body_util::LengthLimitError>();
        if is_long {
            // The same question has the same answer.
            return Error::Unready { reason: format!("the answer is longer than {longest} bytes") };
        }
        Error::Silent { reason: format!("it broke off: {error}") }
    })?;
    Ok(Said { status: head.status.as_u16(), retry_after: retry_after(&head.headers), body: body.to_bytes() })
}

/// How long a server wants to be left alone: in seconds, or as some say it, in milliseconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    let millis = number("retry-after-ms").map(|millis| Duration::from_millis(millis.into()));
    millis.or_else(|| number(RETRY_AFTER.as_str()).map(|seconds| Duration::from_secs(seconds.into())))
}

async fn connect(target: &Target, body: &Value) -> Result<Streaming, Error> {
    let HttpAddress { is_tls, host, port, .. } = &target.address;
    let stream = match tokio::time::timeout(CONNECT, TcpStream::connect((host.as_str(), *port))).await {
        Ok(connected) => connected.map_err(|error| silent(&error))?,
        Err(_) => return Err(Error::Silent { reason: format!("no connection within {} s", CONNECT.as_secs()) }),
    };
    if !is_tls {
        return speak(target, stream, body).await;
    }
    let name = ServerName::try_from(host.clone()).map_err(|error| silent(&error))?;
    let stream = TlsConnector::from(tls()).connect(name, stream).await.map_err(|error| silent(&error))?;
    speak(target, stream, body).await
}

/// How we speak TLS: with the authorities that browsers trust.
fn tls() -> Arc<ClientConfig> {
    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks the versions that it brings along");
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    });
    Arc::clone(&CONFIG)
}

async fn speak<S>(target: &Target, stream: S, body: &Value) -> Result<Streaming, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| silent(&error))?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Whatever goes wrong with it shows in the answer as well.
        let _ = connection.await;
    }));
    let request = request(target, body)?;
    let (head, body) = sender.send_request(request).await.map_err(|error| silent(&error))?.into_parts();
    Ok(Streaming { head, body, _connection: connection })
}

fn request(target: &Target, body: &Value) -> Result<Request<Full<Bytes>>, Error> {
    let mut request = Request::post(target.address.path.as_str())
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|_| Error::Unready { reason: "the URL cannot be asked for".to_owned() })?;
    let unready = |name: &str| Error::Unready { reason: format!("the header {name} cannot be sent as it is") };
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&target.address.authority).map_err(|_| unready("Host"))?);
    headers.insert(USER_AGENT, HeaderValue::from_static(crate::USER_AGENT));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in &target.headers {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unready(name))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unready(name))?;
        value.set_sensitive(key == AUTHORIZATION);
        headers.insert(key, value);
    }
    Ok(request)
}

async fn refusal(target: &Target, status: StatusCode, body: Incoming) -> Error {
    let body = Limited::new(body, LONGEST_ANSWER).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let said: String = String::from_utf8_lossy(&body).trim().chars().take(SHOWN).collect();
    let message = if said.is_empty() || repeats_a_secret(target, &String::from_utf8_lossy(&body)) {
        format!("status {}", status.as_u16())
    } else {
        format!("status {}, {said:?}", status.as_u16())
    };
    Error::Refused { message, is_final: is_final(status) }
}

/// Whether what the server said has something of what we said to it: many repeat the path, and the token in it.
fn repeats_a_secret(target: &Target, said: &str) -> bool {
    let parts = target.address.path.split(['/', '?', '&', '=']).filter(|part| part.len() > 3);
    let values = target.headers.iter().flat_map(|(_, value)| value.expose().split_whitespace()).filter(|part| part.len() > 3);
    parts.chain(values).any(|part| said.contains(part))
}

/// Whether the server would say the same again, whenever it is asked.
fn is_final(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

fn silent(error: &dyn std::error::Error) -> Error {
    Error::Silent { reason: crate::error_chain(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_repeats_of_a_token_is_not_shown() {
        let address = "https://chat.example.test/hooks/T0K3N?key=s3cr3t".parse().unwrap();
        let target = Target { address, headers: vec![("authorization".to_owned(), Secret::new("Bearer hunter2".to_owned()))] };
        for said in ["Cannot POST /hooks/T0K3N", "no key s3cr3t", "hunter2 is not known"] {
            assert!(repeats_a_secret(&target, said), "{said}");
        }
        assert!(!repeats_a_secret(&target, "invalid_payload"));
    }

    #[test]
    fn a_server_that_has_trouble_is_asked_again_and_one_that_refuses_is_not() {
        let is_final = |status: u16| super::is_final(StatusCode::from_u16(status).unwrap());
        assert_eq!([400, 401, 404, 301].map(is_final), [true; 4]);
        assert_eq!([500, 502, 503, 429, 408].map(is_final), [false; 5]);
    }
}
