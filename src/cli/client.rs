//! Asks the running operator over its control socket.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    manifest::{Key, Kind},
    view::{AlertView, AuditQuery, AuditView, EventView, Health, ObjectView, PlanView, SentView, WhyView},
};

/// Longer than the operator's own limit of half a minute: whoever is late says so itself.
const TIMEOUT: Duration = Duration::from_secs(40);
/// Ten thousand objects with their manifests take a fifth of it.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// One object or event; a manifest file has at most a megabyte.
const MAX_LINE_BYTES: usize = 4 << 20;

/// Asks the operator that listens on a control socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// The operator did not answer as hoped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no mooring runs with the control socket {}", socket.display())]
    NoOperator {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket is not for us.
    #[error("the control socket {} cannot be opened", socket.display())]
    Closed {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("the conversation with mooring broke off")]
    Transport {
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There was no answer in time.
    #[error("mooring did not answer within {} seconds", TIMEOUT.as_secs())]
    Late,
    /// The answer makes no sense.
    #[error("mooring's answer cannot be understood; is it another version?")]
    Answer {
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The operator refused.
    #[error("{message}")]
    Refused {
        /// The status of the reply.
        status: u16,
        /// Its words.
        message: String,
    },
    /// A stream without an end has ended.
    #[error("mooring has stopped")]
    Stopped,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoOperator { .. } => {
                Some("start it with `mooring run`, or name its state directory with --state DIR".to_owned())
            }
            Self::Closed { .. } => Some("ask as the user who runs mooring, with sudo for instance".to_owned()),
            Self::Transport { .. } | Self::Late | Self::Answer { .. } | Self::Refused { .. } | Self::Stopped => None,
        }
    }

    fn transport(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transport { source: source.into() }
    }
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Client {
    /// A client of the operator that listens there.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Whether somebody listens.
    pub async fn knock(&self) -> Result<(), Error> {
        self.connect().await.map(drop)
    }

    /// Whether the operator lives and is of use.
    pub async fn health(&self) -> Result<Health, Error> {
        // Who is not alive says so with an error's status and the same body.
        let answer = self.send(Method::GET, "/healthz").await?;
        Answer { status: StatusCode::OK, ..answer }.whole().await
    }

    /// All objects, or those of one kind.
    pub async fn objects(&self, kind: Option<Kind>) -> Result<Vec<ObjectView>, Error> {
        self.list("objects", &[("kind", kind.map(|kind| kind.to_string()))]).await
    }

    /// One object, when there is one.
    pub async fn object(&self, key: &Key) -> Result<Option<ObjectView>, Error> {
        match self.get(&object_path(key)).await {
            Ok(object) => Ok(Some(object)),
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What would be done now.
    pub async fn plans(&self, object: Option<&Key>) -> Result<Vec<PlanView>, Error> {
        self.list("plans", &[("object", object.map(ToString::to_string))]).await
    }

    /// What would be done if these manifests were declared.
    pub async fn plans_if(&self, manifests: Vec<u8>) -> Result<Vec<PlanView>, Error> {
        let answer = self.send_with(Method::POST, "/api/v1/plans", manifests.into()).await?;
        answer.whole().await.map(|Items { items }| items)
    }

    /// Why something was done for an object; none if nothing was.
    pub async fn why(&self, key: &Key, act: Option<i64>) -> Result<Option<WhyView>, Error> {
        let path = match act {
            Some(act) => format!("{}/why?act={act}", object_path(key)),
            None => format!("{}/why", object_path(key)),
        };
        match self.get(&path).await {
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            answered => answered.map(Some),
        }
    }

    /// The last events, oldest first.
    pub async fn events(&self, object: Option<&Key>, limit: usize) -> Result<Vec<EventView>, Error> {
        self.list("events", &[("object", object.map(ToString::to_string)), ("limit", Some(limit.to_string()))]).await
    }

    /// The last entries of the audit log, newest last.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditView>, Error> {
        self.list("audit", &audit_parameters(query)).await
    }

    /// The last entries of the audit log, and then each act when it has ended.
    pub async fn follow_audit(&self, query: &AuditQuery) -> Result<impl Stream<Item = Result<AuditView, Error>> + use<>, Error> {
        let mut parameters = audit_parameters(query).to_vec();
        parameters.push(("follow", Some("true".to_owned())));
        self.send(Method::GET, &path("audit", &parameters)).await?.lines().await
    }

    /// What is wrong, and who was told.
    pub async fn alerts(&self) -> Result<Vec<AlertView>, Error> {
        self.list("alerts", &[]).await
    }

    /// Sends a test to this receiver, or to all.
    pub async fn test_alerts(&self, receiver: Option<&str>) -> Result<Vec<SentView>, Error> {
        let path = path("alerts/test", &[("receiver", receiver.map(str::to_owned))]);
        self.send(Method::POST, &path).await?.whole().await.map(|Items { items }| items)
    }

    /// Lets Mooring try again with an object.
    pub async fn release(&self, key: &Key) -> Result<(), Error> {
        let answer = self.send(Method::POST, &format!("{}/release", object_path(key))).await?;
        answer.whole::<serde_json::Value>().await.map(drop)
    }

    /// The objects as they are, and then each again whenever it changes.
    pub async fn follow_objects(
        &self,
        kind: Option<Kind>,
    ) -> Result<impl Stream<Item = Result<ObjectView, Error>> + use<>, Error> {
        let path = path("objects", &[("watch", Some("true".to_owned())), ("kind", kind.map(|kind| kind.to_string()))]);
        self.send(Method::GET, &path).await?.lines().await
    }

    /// The last events and then every new one.
    pub async fn follow_events(
        &self,
        object: Option<&Key>,
        limit: usize,
    ) -> Result<impl Stream<Item = Result<EventView, Error>> + use<>, Error> {
        let query = [
            ("follow", Some("true".to_owned())),
            ("object", object.map(ToString::to_string)),
            ("limit", Some(limit.to_string())),
        ];
        self.send(Method::GET, &path("events", &query)).await?.lines().await
    }

    async fn list<T: DeserializeOwned>(&self, what: &str, query: &[(&str, Option<String>)]) -> Result<Vec<T>, Error> {
        let items: Items<T> = self.get(&path(what, query)).await?;
        Ok(items.items)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(Method::GET, path).await?.whole().await
    }

    /// One connection for each request: they are made in microseconds on a socket of the same host.
    async fn send(&self, method: Method, path: &str) -> Result<Answer, Error> {
        self.send_with(method, path, Bytes::new()).await
    }

    async fn send_with(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Error> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::transport)?;
        // Its failures come out of the request or the body as well.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let request = Request::builder().method(method).uri(path).header("host", "mooring").body(Full::new(body));
        let request = request.map_err(Error::transport)?;
        let response = tokio::time::timeout(TIMEOUT, sender.send_request(request)).await.map_err(|_| Error::Late)?;
        let (head, body) = response.map_err(Error::transport)?.into_parts();
        Ok(Answer { status: head.status, body, connection })
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        UnixStream::connect(&self.socket).await.map_err(|source| {
            let socket = self.socket.clone();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NoOperator { socket, source },
                _ => Error::Closed { socket, source },
            }
        })
    }
}

fn audit_parameters(query: &AuditQuery) -> [(&'static str, Option<String>); 9] {
    let AuditQuery { object, actor, operation, target, outcome, since, until, before, limit } = query;
    [
        ("object", object.as_ref().map(ToString::to_string)),
        ("actor", actor.clone()),
        ("operation", operation.clone()),
        ("target", target.clone()),
        ("outcome", outcome.clone()),
        ("since", since.map(|since| since.to_string())),
        ("until", until.map(|until| until.to_string())),
        ("before", before.map(|before| before.to_string())),
        ("limit", Some(limit.to_string())),
    ]
}

/// A reply whose head has come.
struct Answer {
    status: StatusCode,
    body: Incoming,
    connection: AbortOnDropHandle<()>,
}

impl Answer {
    async fn whole<T: DeserializeOwned>(self) -> Result<T, Error> {
        let Self { status, body, connection } = self;
        let bytes =
            tokio::time::timeout(TIMEOUT, Limited::new(body, MAX_ANSWER_BYTES).collect()).await.map_err(|_| Error::Late)?;
        let bytes = bytes.map_err(Error::transport)?.to_bytes();
        drop(connection);
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|source| Error::Answer { source });
        }
        let message = serde_json::from_slice::<Refused>(&bytes).map_or_else(|_| status.to_string(), |refused| refused.error);
        Err(Error::Refused { status: status.as_u16(), message })
    }

    /// The values of an answer that has one on each line. It is not expected to end.
    async fn lines<T: DeserializeOwned>(self) -> Result<impl Stream<Item = Result<T, Error>> + use<T>, Error> {
        if !self.status.is_success() {
            return Err(self.whole::<serde_json::Value>().await.err().unwrap_or(Error::Stopped));
        }
        let lines = Lines { body: self.body, read: Vec::new(), connection: self.connection };
        let lines = stream::try_unfold(lines, |mut lines| async move { Ok(lines.next().await?.map(|line| (line, lines))) });
        // An empty line only says that somebody is still there.
        let values = lines.try_filter(|line| std::future::ready(!line.is_empty()));
        let values = values.map(|line| serde_json::from_slice(&line?).map_err(|source| Error::Answer { source }));
        Ok(values.chain(stream::once(std::future::ready(Err(Error::Stopped)))))
    }
}

/// Cuts a body into lines.
struct Lines {
    body: Incoming,
    read: Vec<u8>,
    #[expect(dead_code, reason = "the body comes over it")]
    connection: AbortOnDropHandle<()>,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.read.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.read.len() > MAX_LINE_BYTES {
                return Err(Error::transport("a line is longer than any object"));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(Error::transport)?.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
}

fn object_path(key: &Key) -> String {
    format!("/api/v1/objects/{}/{}", key.kind, encoded(&key.name))
}

fn path(what: &str, query: &[(&str, Option<String>)]) -> String {
    let query = query.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))));
    format!("/api/v1/{what}?{}", query.collect::<Vec<_>>().join("&"))
}

/// Text as it may stand in a URL.
fn encoded(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http::{Access, ControlSocket, fake, fake::Fake, serve_unix};

    struct Server {
        client: Client,
        operator: Arc<Fake>,
        shutdown: CancellationToken,
        _directory: tempfile::TempDir,
    }

    fn served() -> Server {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("m.sock");
        let (operator, shutdown) = (Arc::new(Fake::default()), CancellationToken::new());
        let listening = ControlSocket::bind(&socket).unwrap();
        tokio::spawn(serve_unix(listening, Arc::clone(&operator) as _, Access::Full, shutdown.clone()));
        Server { client: Client::new(&socket), operator, shutdown, _directory: directory }
    }

    fn web() -> Key {
        Key::new(Kind::Container, "web")
    }

    #[tokio::test]
    async fn what_the_operator_knows_comes_back_as_it_was() {
        let served = served();
        let (client, operator) = (&served.client, &served.operator);
        assert_eq!(client.objects(Some(Kind::Environment)).await.unwrap(), [fake::shop()]);
        assert_eq!(client.object(&Key::new(Kind::Container, "ä/b")).await.unwrap(), None);
        assert_eq!(client.object(&web()).await.unwrap().unwrap().key, web());
        assert_eq!(client.plans(Some(&web())).await.unwrap(), [fake::plan()]);
        assert_eq!(client.events(None, 1).await.unwrap(), [fake::event("Created", 1)]);
        assert_eq!(client.audit(&AuditQuery::newest(5)).await.unwrap(), [fake::entry()]);
        client.release(&web()).await.unwrap();
        assert_eq!(operator.released.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_refusal_comes_in_the_operators_words() {
        let served = served();
        let error = served.client.audit(&AuditQuery { object: Some(web()), ..AuditQuery::newest(5) }).await.unwrap_err();
        assert_eq!(error.to_string(), "the journal cannot be read");
    }

    #[tokio::test]
    async fn a_stream_brings_what_is_and_what_changes_until_the_operator_stops() {
        let served = served();
        let (client, shutdown) = (&served.client, &served.shutdown);
        let mut objects = std::pin::pin!(client.follow_objects(Some(Kind::Container)).await.unwrap());
        assert_eq!(objects.next().await.unwrap().unwrap().key, web());
        assert_eq!(objects.next().await.unwrap().unwrap().key, web());
        shutdown.cancel();
        assert!(matches!(objects.next().await, Some(Err(Error::Stopped))));
        assert!(objects.next().await.is_none());
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_not_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("m.sock");
        assert!(matches!(Client::new(&socket).knock().await, Err(Error::NoOperator { .. })));
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(matches!(Client::new(&socket).knock().await, Err(Error::NoOperator { .. })));
    }
}
