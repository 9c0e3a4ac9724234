//! Plain HTTP to one server: one connection for each question, every answer bounded.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::{Bytes, Incoming},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use crate::observe::dial::Dial;

/// A server with a thousand models lists them in less than half of this.
const LONGEST: usize = 4 << 20;
/// Of an error nobody reads more.
const LONGEST_ERROR: usize = 64 << 10;
/// What is shown of an answer that is not what it should be.
const SHOWN: usize = 200;
/// A server that is there accepts at once, whatever else it does.
const CONNECT: Duration = Duration::from_secs(3);
/// The port of plain HTTP.
const HTTP: u16 = 80;

/// Asking a model server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("`{url}` is not a URL that begins with http://")]
    Address {
        /// What it says.
        url: String,
    },
    /// There is no answer, or it broke off.
    #[error("{reason}")]
    Silent {
        /// What went wrong.
        reason: String,
    },
    /// The server said no.
    #[error("{message} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// There is an answer, but not one that a model server gives.
    #[error("the answer to {path} is not a model server's: {reason}")]
    Unreadable {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The way to one server.
#[derive(Clone, Debug)]
pub struct Client {
    dial: Arc<dyn Dial>,
    host: String,
    port: u16,
    authority: String,
    base: String,
}

/// An answer whose body is still to come. The connection ends with it.
pub(crate) struct Streaming {
    pub(crate) body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Client {
    /// To the server at `http://HOST[:PORT][/PATH]`. Nothing is connected yet.
    pub fn new(url: &str, dial: &Arc<dyn Dial>) -> Result<Self, Error> {
        let invalid = || Error::Address { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(invalid)?;
        Ok(Self {
            dial: Arc::clone(dial),
            // An address of IPv6 stands in brackets, which are no part of it.
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(HTTP),
            authority: authority.to_string(),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = self.send(Method::GET, path, None).await?;
        read(path, answer).await
    }

    /// Asks for something that takes words.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, question: &Value) -> Result<T, Error> {
        let answer = self.send(Method::POST, path, Some(question)).await?;
        read(path, answer).await
    }

    /// Begins something whose answer comes bit by bit. An error that comes before the first bit is an error here.
    pub(crate) async fn begin(&self, path: &str, question: &Value) -> Result<Streaming, Error> {
        self.send(Method::POST, path, Some(question)).await
    }

    async fn send(&self, method: Method, path: &str, question: Option<&Value>) -> Result<Streaming, Error> {
        let silent = |error: &dyn std::error::Error| Error::Silent { reason: crate::error_chain(error) };
        let connecting = tokio::time::timeout(CONNECT, self.dial.dial(&self.host, self.port));
        let stream = match connecting.await {
            Ok(connected) => connected.map_err(|error| silent(&error))?,
            Err(_) => return Err(Error::Silent { reason: format!("no connection within {} s", CONNECT.as_secs()) }),
        };
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| silent(&error))?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // Whatever goes wrong with it shows in the answer as well.
            let _ = connection.await;
        }));
        let body = question.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("host", &self.authority)
            .header("user-agent", crate::USER_AGENT)
            .header("content-type", "application/json")
            .header("connection", "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| silent(&error))?;
        let (head, body) = sender.send_request(request).await.map_err(|error| silent(&error))?.into_parts();
        let answer = Streaming { body, _connection: connection };
        if head.status.is_success() { Ok(answer) } else { Err(refusal(head.status, answer).await) }
    }
}

async fn refusal(status: StatusCode, answer: Streaming) -> Error {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }

    let body =
        Limited::new(answer.body, LONGEST_ERROR).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let message = match serde_json::from_slice::<Refusal>(&body) {
        Ok(Refusal { error }) => error,
        Err(_) => shown(&body),
    };
    let message = if message.is_empty() { "it refused without a word".to_owned() } else { message };
    Error::Refused { status: status.as_u16(), message }
}

async fn read<T: DeserializeOwned>(path: &str, answer: Streaming) -> Result<T, Error> {
    let unreadable = |reason| Error::Unreadable { path: path.to_owned(), reason };
    let body = match Limited::new(answer.body, LONGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Err(unreadable(format!("it broke off: {error}"))),
    };
    serde_json::from_slice(&body).map_err(|error| unreadable(format!("{error}, in {:?}", shown(&body))))
}

/// The beginning of an answer, for people.
pub(crate) fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::dial::Tcp;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        let dial: Arc<dyn Dial> = Arc::new(Tcp);
        let parts = |url| {
            let Client { host, port, authority, base, .. } = Client::new(url, &dial).unwrap();
            format!("{host} {port} {authority} {base}")
        };
        assert_eq!(parts("http://localhost:11434"), "localhost 11434 localhost:11434 ");
        assert_eq!(parts("http://models.test/ollama/"), "models.test 80 models.test /ollama");
        assert_eq!(parts("http://[::1]:11434"), "::1 11434 [::1]:11434 ");
        for url in ["https://localhost", "localhost:11434", "", "http://"] {
            let expected = format!("`{url}` is not a URL that begins with http://");
            assert_eq!(Client::new(url, &dial).unwrap_err().to_string(), expected);
        }
    }
}
