//! Real requests through nginx: first until it answers by its new files, then one for each changed route.
//!
//! For a moment after a reload old workers still take connections. An answer counts only when the worker that gives it
//! has the new file: it is asked for its version first, on the very same connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Effect;
use crate::{
    observe::dial::Dial,
    plan::proxy::action::{Asked, Behind, Proof},
    sites::server::{DOWN_HEADER, VERSION_PATH},
};

/// New workers answer within some ten milliseconds; with many hosts and a busy machine within seconds.
const LOADED: Duration = Duration::from_secs(5);
/// A backend that has just come up, and that nobody checks, may not listen yet.
const UP: Duration = Duration::from_secs(2);
/// How long one answer may take. A backend that is slow is not one that is down.
const ANSWER: Duration = Duration::from_secs(3);
/// Between one question and the next.
const AGAIN: Duration = Duration::from_millis(10);
/// The longest pause between two questions.
const RARELY: Duration = Duration::from_millis(200);
/// Questions at once.
const AT_ONCE: usize = 16;

/// What is to be proven, and the way to it.
struct Case {
    proof: Proof,
    dial: Arc<dyn Dial>,
}

pub(super) async fn prove(proof: &Proof, dial: &Arc<dyn Dial>) -> Result<Effect, String> {
    let case = Arc::new(Case { proof: proof.clone(), dial: Arc::clone(dial) });
    let versions = stream::iter(proof.versions.clone()).map(|(host, version)| {
        let case = Arc::clone(&case);
        async move { is_loaded(&case, &host, &version).await }
    });
    versions.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    // All are asked, so that all that fail are named.
    let routes = stream::iter(proof.routes.clone()).map(|route| {
        let case = Arc::clone(&case);
        async move { leads_there(&case, &route).await }
    });
    let behind = stream::iter(proof.behind.clone()).map(|route| {
        let case = Arc::clone(&case);
        async move { somebody_listens(&case, &route).await }
    });
    let mut answers: Vec<Result<(), String>> = routes.buffered(AT_ONCE).collect().await;
    answers.extend(behind.buffered(AT_ONCE).collect::<Vec<_>>().await);
    let failures: Vec<String> = answers.into_iter().filter_map(Result::err).collect();
    match failures.as_slice() {
        [] => Ok(Effect::Done),
        [one, two, three, rest @ ..] if !rest.is_empty() => Err(format!("{one}; {two}; {three}; and {} routes more", rest.len())),
        few => Err(few.join("; ")),
    }
}

/// Asks until the workers that have read this version of the file answer.
async fn is_loaded(case: &Case, host: &str, version: &str) -> Result<(), String> {
    let ask = || async { has_version(&mut Connection::open(case).await?, host, version).await };
    let asked = again_for(LOADED, || async { timeout(ANSWER, ask()).await.unwrap_or_else(|_| Err(NO_ANSWER.to_owned())) });
    asked.await.map_err(|problem| format!("nginx does not serve {host} by its file: {problem}"))
}

/// Asks, ever more rarely, until the answer is good or patience is over: then the last problem.
async fn again_for<F: Future<Output = Result<(), String>>>(patience: Duration, ask: impl Fn() -> F) -> Result<(), String> {
    let begun = Instant::now();
    let mut pause = AGAIN;
    loop {
        let Err(problem) = ask().await else { return Ok(()) };
        if begun.elapsed() > patience {
            return Err(problem);
        }
        sleep(pause).await;
        pause = (pause * 2).min(RARELY);
    }
}

/// Whether the worker at the other end has this version of the file.
async fn has_version(connection: &mut Connection, host: &str, version: &str) -> Result<(), String> {
    match connection.ask(host, VERSION_PATH).await? {
        Answer { status: StatusCode::OK, body, .. } if body == version => Ok(()),
        Answer { status: StatusCode::OK, .. } => Err("it still has an earlier version".to_owned()),
        Answer { status, .. } => Err(format!("it has another server for that host, which answers {}", status.as_u16())),
    }
}

/// Asks for a route whose backend is up. Any answer but nginx's own word that the backend is down will do.
async fn leads_there(case: &Case, route: &Asked) -> Result<(), String> {
    let asked = again_for(UP, || leads_there_now(case, route));
    asked.await.map_err(|problem| format!("{}{} does not work: {problem}", route.host, route.path))
}

/// Whether a route that can only be asked for over TLS leads to somebody. Only a refusal says that it does not: from where
/// we are the network may not be reached at all.
async fn somebody_listens(case: &Case, route: &Behind) -> Result<(), String> {
    let asked = again_for(UP, || async {
        for place in &route.places {
            // What is no address cannot be refused there.
            let Ok(address) = place.parse::<SocketAddr>() else { return Ok(()) };
            match timeout(ANSWER, case.dial.dial(&address.ip().to_string(), address.port())).await {
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Ok(_) | Err(_) => return Ok(()),
            }
        }
        Err(format!("nobody listens at {}", route.places.join(" or ")))
    });
    asked.await.map_err(|problem| format!("{}{} does not work: {problem}", route.host, route.path))
}

async fn leads_there_now(case: &Case, route: &Asked) -> Result<(), String> {
    let opened = async {
        let mut connection = Connection::open(case).await?;
        if let Some((_, version)) = case.proof.versions.iter().find(|(host, _)| *host == route.host) {
            has_version(&mut connection, &route.host, version).await?;
        }
        // `keepalive_timeout 0` lets nobody ask twice.
        if connection.is_closed().await { Connection::open(case).await } else { Ok(connection) }
    };
    let mut connection = timeout(ANSWER, opened).await.map_err(|_| NO_ANSWER.to_owned())??;
    match timeout(ANSWER, connection.ask(&route.host, &route.path)).await {
        // It is connected to, and thinks.
        Err(_) => Ok(()),
        Ok(Ok(answer)) if !answer.is_down => Ok(()),
        Ok(Ok(_)) => Err(format!("{} runs, and does not answer there", route.backend)),
        Ok(Err(error)) => Err(error),
    }
}

struct Answer {
    status: StatusCode,
    is_down: bool,
    /// Only of the version that a file has.
    body: String,
}

/// The longest answer to the question for a version that is read.
const VERSION_LENGTH: usize = 64;
/// What is told when nginx takes too long.
const NO_ANSWER: &str = "nginx does not answer";

/// A connection to one of nginx's workers, and to no other.
struct Connection {
    address: String,
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortOnDropHandle<()>,
}

impl Connection {
    async fn open(Case { proof, dial }: &Case) -> Result<Self, String> {
        let address = format!("{}:{}", proof.address, proof.port);
        let failed = |error: &dyn std::fmt::Display| format!("{address}: {error}");
        let stream = dial.dial(&proof.address, proof.port).await.map_err(|error| failed(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // What ends it badly is told to whoever asks.
        let driver = AbortOnDropHandle::new(tokio::spawn(async { drop(connection.await) }));
        Ok(Self { address, sender, driver })
    }

    /// Whether the other end has had enough.
    async fn is_closed(&mut self) -> bool {
        self.driver.is_finished() || self.sender.ready().await.is_err()
    }

    async fn ask(&mut self, host: &str, path: &str) -> Result<Answer, String> {
        let request = Request::get(path)
            .header("host", host.replace('*', "mooring"))
            .header("user-agent", crate::USER_AGENT)
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let response = self.sender.send_request(request).await.map_err(|error| format!("{}: {error}", self.address))?;
        let status = response.status();
        let is_down = response.headers().get(DOWN_HEADER).is_some_and(|value| value == "down");
        let body = if path == VERSION_PATH { version(response.into_body()).await } else { String::new() };
        Ok(Answer { status, is_down, body })
    }
}

async fn version(body: hyper::body::Incoming) -> String {
    let limited = http_body_util::Limited::new(body, VERSION_LENGTH);
    let bytes = limited.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
