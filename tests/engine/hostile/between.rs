//! A socket between Mooring and the engine, and no friend of either.
//!
//! It passes on what it is asked, and every now and then it does not: it refuses, it has done what it says that it has not, or the other
//! way round, it breaks off, hangs, cuts an answer short, and loses, delays, repeats and swaps events. What it does to the
//! `n`-th request of a kind follows from the seed alone, however the requests of different kinds come in between.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header,
};
use hyper_util::rt::TokioIo;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    net::{UnixListener, UnixStream},
    runtime::Runtime,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Kept = Result<Frame<Bytes>, io::Error>;

/// Longer than Mooring waits for an answer about how things are.
const HANG: Duration = Duration::from_secs(12);

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It is answered with this, and not passed on.
    Refused(u16),
    /// It is done, and answered with this.
    DoneAndRefused(u16),
    /// It is done, and then the connection breaks.
    DoneAndBrokenOff,
    /// It is passed on after a while.
    Late(Duration),
    /// There is no answer for a long time, and then none at all; nothing is done.
    Hangs,
    /// Half of the answer comes.
    CutShort,
}

/// What is done to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twist {
    Lost,
    Twice,
    Late(Duration),
    /// It comes after the next one.
    Swapped,
    /// It is the last one of this connection, and comes half.
    CutOff,
}

/// The seed, what was asked so far, and what was done about it.
struct Temper {
    engine: PathBuf,
    /// Zero is well-behaved.
    seed: AtomicU64,
    counts: Mutex<BTreeMap<String, u64>>,
    done: Mutex<Vec<String>>,
}

/// The socket.
pub struct Between {
    runtime: Runtime,
    directory: tempfile::TempDir,
    temper: Arc<Temper>,
}

impl Between {
    /// Listens in front of the engine at this `unix://` address, and behaves.
    pub fn new(engine: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let temper = Arc::new(Temper {
            engine: engine.strip_prefix("unix://").unwrap().into(),
            seed: AtomicU64::new(0),
            counts: Mutex::default(),
            done: Mutex::default(),
        });
        let listener = runtime.block_on(async { UnixListener::bind(directory.path().join("engine.sock")).unwrap() });
        let shared = Arc::clone(&temper);
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let temper = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let temper = Arc::clone(&temper);
                        async move { serve(&temper, request).await }
                    });
                    // Who breaks off, or is broken off, is meant to be.
                    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service);
                    let _ = connection.with_upgrades().await;
                });
            }
        });
        Self { runtime, directory, temper }
    }

    /// Where Mooring finds it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.directory.path().join("engine.sock").display())
    }

    /// From now on it does to every request what follows from this seed; with zero it behaves.
    pub fn turns(&self, seed: u64) {
        self.temper.seed.store(seed, Ordering::SeqCst);
    }

    /// What it has done so far, in this order.
    pub fn deeds(&self) -> Vec<String> {
        self.temper.done.lock().unwrap().clone()
    }

    /// Ends without waiting for what hangs.
    pub fn ends(self) {
        self.runtime.shutdown_background();
    }
}

impl Temper {
    /// The dice for the next one of this kind, if it is not well-behaved just now.
    fn dice(&self, kind: &str) -> Option<StdRng> {
        let seed = self.seed.load(Ordering::SeqCst);
        if seed == 0 {
            return None;
        }
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(kind.to_owned()).or_default();
        *count += 1;
        let mut hasher = DefaultHasher::new();
        (seed, kind, *count).hash(&mut hasher);
        Some(StdRng::seed_from_u64(hasher.finish()))
    }

    fn note(&self, kind: &str, what: &str) {
        self.done.lock().unwrap().push(format!("{kind}: {what}"));
    }

    fn trouble(&self, kind: &str, acts: bool) -> Option<Trouble> {
        let mut dice = self.dice(kind)?;
        let pause = Duration::from_millis(dice.random_range(100..2_000));
        let trouble = match (dice.random_range(0..100), acts) {
            (0..3, _) => Trouble::Refused(500),
            (3..5, _) => Trouble::Refused(503),
            (5..8, _) => Trouble::Late(pause),
            (8, _) => Trouble::Hangs,
            (9..12, true) => Trouble::Refused(409),
            // `already so`, which it is not.
            (12..14, true) => Trouble::Refused(304),
            (14..18, true) => Trouble::DoneAndRefused(500),
            (18..22, true) => Trouble::DoneAndBrokenOff,
            (9..12, false) => Trouble::CutShort,
            _ => return None,
        };
        self.note(kind, &format!("{trouble:?}"));
        Some(trouble)
    }

    fn twist(&self, event: &str) -> Option<Twist> {
        let mut dice = self.dice("event")?;
        let pause = Duration::from_millis(dice.random_range(50..1_500));
        let twist = match dice.random_range(0..100) {
            0..10 => Twist::Lost,
            10..20 => Twist::Twice,
            20..28 => Twist::Late(pause),
            28..38 => Twist::Swapped,
            38..40 => Twist::CutOff,
            _ => return None,
        };
        let action: serde_json::Value = serde_json::from_str(event).unwrap_or_default();
        self.note("event", &format!("{} {twist:?}", action["Action"]));
        Some(twist)
    }
}

/// `POST /containers/{}/start` of `/v1.41/containers/abc/start?t=1`.
fn kind(request: &Request<Incoming>) -> String {
    let mut parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    if parts.first().is_some_and(|part| part.starts_with("v1.")) {
        parts.remove(0);
    }
    if parts.len() > 1 && !["json", "create", "prune"].contains(&parts[1]) {
        parts[1] = "{}";
    }
    format!("{} /{}", request.method(), parts.join("/"))
}

async fn serve(temper: &Arc<Temper>, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let kind = kind(&request);
    let acts = request.method() != "GET" && request.method() != "HEAD";
    let trouble = temper.trouble(&kind, acts);
    match trouble {
        Some(Trouble::Refused(status)) => return Ok(refusal(status)),
        Some(Trouble::Hangs) => {
            tokio::time::sleep(HANG).await;
            return Err(io::Error::other("it hung"));
        }
        Some(Trouble::Late(pause)) => tokio::time::sleep(pause).await,
        _ => {}
    }
    let answer = pass_on(temper, request).await?;
    match trouble {
        Some(Trouble::DoneAndRefused(status)) => Ok(refusal(status)),
        Some(Trouble::DoneAndBrokenOff) => Err(io::Error::other("it broke off")),
        Some(Trouble::CutShort) => Ok(answer.map(cut_short)),
        _ if kind == "GET /events" => Ok(answer.map(|body| twisted(temper, body))),
        _ => Ok(answer),
    }
}

fn refusal(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap();
    let text = if status == 304 { "" } else { r#"{"message": "it is not my day"}"# };
    let body = Full::from(text).map_err(|never: Infallible| match never {}).boxed_unsync();
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body).unwrap()
}

/// Asks the engine, over a connection of its own.
async fn pass_on(temper: &Temper, mut request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let engine = UnixStream::connect(&temper.engine).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(engine)).await.map_err(io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let takes_over = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let mut answer = sender.send_request(request).await.map_err(io::Error::other)?;
    if let (Some(client), StatusCode::SWITCHING_PROTOCOLS) = (takes_over, answer.status()) {
        let engine = hyper::upgrade::on(&mut answer);
        tokio::spawn(async move {
            if let (Ok(client), Ok(engine)) = tokio::join!(client, engine) {
                // Either side may leave when it likes.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(engine)).await;
            }
        });
    }
    Ok(answer.map(|body| {
        let frames = BodyStream::new(body).map(move |frame| {
            // The connection lives as long as somebody could ask over it.
            let _ = &sender;
            frame.map_err(io::Error::other)
        });
        StreamBody::new(frames).boxed_unsync()
    }))
}

/// Half of the first piece, and then nothing.
fn cut_short(body: Body) -> Body {
    let pieces = BodyStream::new(body).take(1).flat_map(|piece| {
        let half = piece.map(|piece| piece.map_data(|data| data.slice(..data.len() / 2)));
        futures::stream::iter([half, Err(io::Error::other("it is cut short"))])
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// The events of the engine, one by one, as they may come in bad times.
fn twisted(temper: &Arc<Temper>, body: Body) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    let temper = Arc::clone(temper);
    tokio::spawn(async move {
        let end = twist_all(&temper, body, &sender).await;
        // Who does not listen any more is not told.
        let _ = sender.send(Err(end.unwrap_or_else(|| io::Error::other("the engine has ended")))).await;
    });
    StreamBody::new(ReceiverStream::new(receiver)).boxed_unsync()
}

/// Passes on each event of the engine, as it is twisted, until either side ends; then why, if it was our doing.
async fn twist_all(temper: &Temper, mut body: Body, out: &mpsc::Sender<Kept>) -> Option<io::Error> {
    let (mut rest, mut held) = (Vec::new(), None);
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        rest.extend_from_slice(&data);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let twist = temper.twist(&String::from_utf8_lossy(&line));
            let times = match twist {
                Some(Twist::Lost) => 0,
                Some(Twist::Twice) => 2,
                Some(Twist::CutOff) => {
                    let half = line[..line.len() / 2].to_vec();
                    let _ = out.send(Ok(Frame::data(half.into()))).await;
                    return Some(io::Error::other("it is cut off"));
                }
                Some(Twist::Swapped) if held.is_none() => {
                    held = Some(line);
                    continue;
                }
                Some(Twist::Late(pause)) => {
                    tokio::time::sleep(pause).await;
                    1
                }
                _ => 1,
            };
            for line in std::iter::repeat_n(line, times).chain(held.take()) {
                out.send(Ok(Frame::data(line.into()))).await.ok()?;
            }
        }
    }
    None
}
