//! An engine's socket that can do only what Mooring does.
//!
//! Requests come in on a socket of our own and go on to the engine's, each over a connection of its own and written anew
//! from what [`rules`] let through. Answers come back as they are, without end if they have none. Nothing is remembered
//! but which commands were made here, so that one that is killed and started again is as good as before.
//!
//! What is refused is answered as the engine answers, with 403 and a reason.

mod engine;
mod refusals;
pub mod rules;
mod target;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::{Bytes, Incoming},
    header::{self, HeaderMap, HeaderValue},
    server::conn::http1,
    service::service_fn,
    upgrade,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    engine::Engine,
    refusals::Refusals,
    rules::{Answer, Call, Check, Refusal, Rules},
};
use crate::http::ControlSocket;

/// A Mooring works on eight objects at a time, beside its probes and its events.
const MAX_CONNECTIONS: usize = 256;
/// A list of kinds of events is the longest thing that stands in front of a body.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Mooring sends five.
const MAX_HEADERS: usize = 32;
/// A container's body holds its variables, and its shape once more as a label.
const MAX_BODY: usize = 4 << 20;
/// Who is on this host has sent its request in milliseconds. An idle connection is closed after this time too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What a request that has begun gets when we stop.
const GRACE: Duration = Duration::from_secs(2);
/// Commands that were made and not started yet; the oldest are forgotten.
const MAX_EXECS: usize = 1024;

type Body = BoxBody<Bytes, hyper::Error>;
type Answered = Response<Body>;

/// Listens where Mooring is to find its engine: `mode` says who may connect.
pub async fn bind(path: &Path, mode: u32) -> io::Result<ControlSocket> {
    // One that nobody listens on was left by one of us that was killed.
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there"));
    }
    ControlSocket::bind_for(path, mode)
}

/// Passes on to the engine at `engine`, a path, what `rules` let through, until `shutdown`.
pub async fn serve(socket: ControlSocket, engine: &Path, rules: Rules, shutdown: CancellationToken) {
    let proxy = Arc::new(Proxy { rules, engine: Engine::at(engine), refusals: Refusals::default(), execs: Mutex::default() });
    let (listener, _removed_at_the_end) = socket.into_parts();
    proxy.clone().accept(listener, shutdown).await;
    proxy.refusals.sum_up();
}

struct Proxy {
    rules: Rules,
    engine: Engine,
    refusals: Refusals,
    /// Commands that were made here and not started yet.
    execs: Mutex<VecDeque<String>>,
}

/// Why a request is not answered by the engine.
enum Trouble {
    Refused(Refusal),
    Engine(engine::Error),
    /// The engine's own answer to a question of ours, as it stands for the answer to the request.
    Answered(Answered),
}

impl From<engine::Error> for Trouble {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

impl Proxy {
    async fn accept(self: Arc<Self>, listener: UnixListener, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(Arc::clone(&self).connection(stream, shutdown.clone()))),
                    // Out of file descriptors, most likely: some will be free in a moment.
                    Err(error) => {
                        tracing::warn!(error = %error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(self: Arc<Self>, stream: UnixStream, shutdown: CancellationToken) {
        let service = service_fn(move |request| {
            let proxy = Arc::clone(&self);
            async move { proxy.answer(request).await }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEADER_BYTES);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(GRACE, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = crate::error_chain(&error), "a connection broke");
        }
    }

    /// Where the engine is away there is no answer: the connection ends, as the engine's own would. An answer that says so
    /// would be taken for a refusal.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answered, engine::Error> {
        let asked = asked(&request);
        match self.pass_on(request).await {
            Ok(answer) | Err(Trouble::Answered(answer)) => Ok(answer),
            Err(Trouble::Refused(refusal)) => {
                self.refusals.count(&refusal, &asked);
                let message = format!("mooring socket-proxy refuses {asked}: {}", refusal.reason);
                Ok(answered(StatusCode::FORBIDDEN, serde_json::json!({"message": message}).to_string().into()))
            }
            Err(Trouble::Engine(error)) => {
                tracing::debug!(asked, error = crate::error_chain(&error), "the engine did not answer");
                Err(error)
            }
        }
    }

    async fn pass_on(&self, mut request: Request<Incoming>) -> Result<Answered, Trouble> {
        framing(&request).map_err(malformed)?;
        let wants_upgrade = request.headers().contains_key(header::UPGRADE);
        let client = wants_upgrade.then(|| upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let body = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
        let body = body.map_err(|_| malformed("its body does not come"))?;
        let body = body.map_err(|_| malformed("its body is broken off, or too large"))?.to_bytes();
        let mut call = rules::decide(&self.rules, parts.method.as_str(), parts.uri.path(), parts.uri.query(), &body)
            .map_err(Trouble::Refused)?;
        if wants_upgrade && call.answer != Answer::Hijacked {
            return Err(malformed("nothing but a command's start takes a connection over"));
        }
        for check in std::mem::take(&mut call.checks) {
            self.check(&mut call, &check).await?;
        }
        let request = to_engine(&parts.method, &call, wants_upgrade).map_err(|_| malformed("it cannot be written anew"))?;
        let answer = self.engine.ask(request).await?;
        match call.answer {
            Answer::Plain => Ok(passed_back(answer)),
            Answer::Details => self.without_secrets(answer).await,
            Answer::NewExec => self.remember(answer).await,
            Answer::Hijacked => Ok(hijacked(answer, client)),
        }
    }

    /// Asks the engine about what a call is about, immediately before it is passed on.
    async fn check(&self, call: &mut Call, check: &Check) -> Result<(), Trouble> {
        let refused = |name, reason: String| Trouble::Refused(Refusal { call: name, reason });
        if let Check::Exec { id } = check {
            let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
            let known = execs.iter().position(|known| known == id).and_then(|place| execs.remove(place));
            return match known {
                Some(_) => Ok(()),
                None => Err(refused(call.name, "this command was not made here, or is started already".to_owned())),
            };
        }
        let Some(uri) = call.about(check) else { return Ok(()) };
        match self.engine.find(&uri).await? {
            engine::Answered::Found(found) => {
                self.rules.allow(check, &found).map_err(|reason| refused(call.name, reason))?;
                call.settle(check, &found.id);
                Ok(())
            }
            // The engine makes a volume that there is not, a plain one. It says itself, when the container is started, that
            // a network is missing or that there are two.
            engine::Answered::Not(StatusCode::NOT_FOUND, _) if call.name == "create-container" => Ok(()),
            engine::Answered::Not(StatusCode::BAD_REQUEST, _)
                if call.name == "create-container" && matches!(check, Check::Network { .. }) =>
            {
                Ok(())
            }
            engine::Answered::Not(status, body) => Err(Trouble::Answered(answered(status, body))),
        }
    }

    /// Passes the description of a container back, without the variables of one that is nothing to Mooring.
    async fn without_secrets(&self, answer: Response<Incoming>) -> Result<Answered, Trouble> {
        let status = answer.status();
        let body = engine::whole(answer).await?;
        if status != StatusCode::OK {
            return Ok(answered(status, body));
        }
        let mut container: serde_json::Value = serde_json::from_slice(&body).map_err(|_| engine::Error::Nonsense)?;
        let found = engine::found(&container).ok_or(engine::Error::Nonsense)?;
        self.rules.hide(&found, &mut container);
        Ok(answered(status, container.to_string().into()))
    }

    /// Passes an answer back and keeps the command's id that stands in it.
    async fn remember(&self, answer: Response<Incoming>) -> Result<Answered, Trouble> {
        let status = answer.status();
        let body = engine::whole(answer).await?;
        let made = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
        if let Some(id) = made["Id"].as_str().filter(|id| rules::is_id(id)) {
            let mut execs = self.execs.lock().unwrap_or_else(PoisonError::into_inner);
            execs.push_back(id.to_owned());
            if execs.len() > MAX_EXECS {
                execs.pop_front();
            }
        }
        Ok(answered(status, body))
    }
}

fn malformed(reason: &str) -> Trouble {
    Trouble::Refused(Refusal { call: "malformed", reason: reason.to_owned() })
}

/// A request in a few words, for people. It was written by somebody else.
fn asked(request: &Request<Incoming>) -> String {
    let asked = format!("{} {}", request.method(), request.uri().path());
    asked.escape_debug().take(200).collect()
}

/// Whether there is one way to tell where the request ends, and whom it is for. The engine gets it written anew, with a
/// length of our own, so that it could not be misled anyway; who writes such a thing is up to something.
fn framing(request: &Request<Incoming>) -> Result<(), &'static str> {
    let headers = request.headers();
    // Mooring says how long its bodies are. The parser drops a length that stands beside an encoding.
    if headers.contains_key(header::TRANSFER_ENCODING) || headers.contains_key(header::CONTENT_ENCODING) {
        return Err("its body is encoded");
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().count() > 1 {
        return Err("it says more than once how long it is");
    }
    if request.version() != Version::HTTP_11 {
        return Err("it is not HTTP/1.1");
    }
    if request.uri().scheme().is_some() || request.uri().authority().is_some() || request.method() == Method::CONNECT {
        return Err("it is for somebody else");
    }
    Ok(())
}

/// The call in our own words: nothing of the request's headers goes on.
fn to_engine(method: &Method, call: &Call, upgrade: bool) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder().method(method).uri(call.uri()).header(header::HOST, "docker");
    request = request.header(header::USER_AGENT, crate::USER_AGENT);
    if upgrade {
        request = request.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "tcp");
    }
    match &call.body {
        Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Full::from(body.to_string())),
        None => request.body(Full::default()),
    }
}

fn passed_back(answer: Response<Incoming>) -> Answered {
    let (mut parts, body) = answer.into_parts();
    without_hops(&mut parts.headers);
    Response::from_parts(parts, body.boxed())
}

/// These speak of one connection, and there are two.
fn without_hops(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TRAILER] {
        headers.remove(name);
    }
}

/// Joins the two connections, when the engine has agreed to that.
fn hijacked(mut answer: Response<Incoming>, client: Option<upgrade::OnUpgrade>) -> Answered {
    let Some(client) = client.filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS) else {
        return passed_back(answer);
    };
    let engine = upgrade::on(&mut answer);
    tokio::spawn(async move {
        let (Ok(client), Ok(engine)) = tokio::join!(client, engine) else { return };
        let (mut hears, mut says) = tokio::io::split(TokioIo::new(client));
        let mut engine = TokioIo::new(engine);
        // A command gets no input, so nothing goes the other way; and who has gone is not waited for.
        let mut gone = tokio::io::sink();
        tokio::select! {
            _ = tokio::io::copy(&mut engine, &mut says) => drop(says.shutdown().await),
            _ = tokio::io::copy(&mut hears, &mut gone) => {}
        }
    });
    let (mut parts, _) = answer.into_parts();
    without_hops(&mut parts.headers);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    Response::from_parts(parts, nothing())
}

fn answered(status: StatusCode, body: Bytes) -> Answered {
    let body = Full::from(body).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn nothing() -> Body {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed()
}
