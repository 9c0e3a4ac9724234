//! A socket between Mooring and the engine, and no friend of either.
//!
//! It passes on what it is asked, and often enough it does not: it refuses, it has done what it says that it has not, or the other
//! way round, it breaks off, hangs, cuts an answer short, and loses, delays, repeats and swaps events. What it does to the
//! `n`-th request of a kind follows from the seed alone, however the requests of different kinds come in between.
//!
//! Nothing is left to luck: each kind of request has a deck of troubles that the seed has shuffled, and the decks of the five acts on
//! containers begin at different places, so that after three rounds of them everything has happened to one of them.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    fmt,
    hash::{DefaultHasher, Hasher as _},
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
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
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use tokio::{
    net::{UnixListener, UnixStream},
    runtime::Runtime,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_stream::wrappers::ReceiverStream;

use Trouble::{CutShort, DoneAndBrokenOff, DoneAndRefused, DoneLater, Halved, Hangs, Late, Refused};

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Kept = Result<Frame<Bytes>, io::Error>;

/// Longer than Mooring waits for an answer about how things are.
const HANG: Duration = Duration::from_secs(12);
/// The same for an act, for whose answer Mooring waits a minute: no story has so much time, so that the engine gives up first. That Mooring
/// does is in `tests/docker/faults.rs` and in the simulation.
const HANG_OF_ACT: Duration = Duration::from_secs(3);

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It is answered with this, and not passed on.
    Refused(u16),
    /// It is done, and answered with this.
    DoneAndRefused(u16),
    /// It is done, and then the connection breaks.
    DoneAndBrokenOff,
    /// The connection breaks, and it is done some seconds later all the same, when whoever asked may have tried again.
    DoneLater,
    /// It is passed on after a while.
    Late,
    /// There is no answer for a long time, and then none at all; nothing is done.
    Hangs,
    /// Half of the answer comes, and then the connection breaks.
    CutShort,
    /// Half of the answer comes, and is said to be all of it.
    Halved,
}

/// What happens to acts. To answer 304 is to say `already so`, which it is not.
const ACTS: [Trouble; 9] =
    [Refused(500), Refused(503), Refused(409), Refused(304), DoneAndRefused(500), DoneAndBrokenOff, DoneLater, Late, Hangs];
/// What happens to looks.
const LOOKS: [Trouble; 6] = [Refused(500), Refused(503), Late, Hangs, CutShort, Halved];
/// One look of so many gets into trouble. A pass takes half a dozen of them, and some passes have to come to their end.
const LOOKS_PER_TROUBLE: u64 = 12;
/// One act of so many does, the first one among them.
const ACTS_PER_TROUBLE: u64 = 3;
/// How late an event comes, with all those behind it.
const LATE_EVENT: Duration = Duration::from_millis(700);
/// One event of so many is twisted.
const EVENTS_PER_TWIST: u64 = 3;

/// What is done to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Twist {
    Lost,
    Twice,
    Late,
    /// It comes after the next one.
    Swapped,
    /// It is the last one of this connection, and comes half.
    CutOff,
}

const TWISTS: [Twist; 5] = [Twist::Lost, Twist::Twice, Twist::Late, Twist::Swapped, Twist::CutOff];

/// The acts on containers to which everything has to happen.
const VERBS: [&str; 5] = [
    "POST /containers/{}/start",
    "POST /containers/{}/stop",
    "POST /containers/{}/rename",
    "DELETE /containers/{}",
    "POST /containers/create",
];

/// The seed, what was asked so far, and what was done about it.
struct Temper {
    engine: PathBuf,
    /// Zero is well-behaved.
    seed: AtomicU64,
    spares_events: AtomicBool,
    counts: Mutex<BTreeMap<String, u64>>,
    /// What happens to the next requests of a kind, whatever the seed says.
    ordered: Mutex<BTreeMap<String, VecDeque<Trouble>>>,
    done: Mutex<Vec<Deed>>,
    /// How many acts will be done later.
    pending: AtomicUsize,
    /// None until somebody wants to know.
    asked: Mutex<Option<Vec<String>>>,
}

/// To which kind of request it was done, or to an `event`, and what.
pub type Deed = (String, String);

/// What is still to be done until everything was: each trouble to one of the acts on containers at least, each of those acts has met one, each
/// trouble of looks and each twist of events was there.
pub fn still_to_do(done: &[Deed]) -> Vec<String> {
    let told = |trouble: &dyn fmt::Debug| format!("{trouble:?}");
    let met = |is_meant: &dyn Fn(&str) -> bool, what: &str| done.iter().any(|(kind, did)| is_meant(kind) && did == what);
    let acts = ACTS.iter().chain(&[Halved]).map(|trouble| ("an act", told(trouble)));
    let looks = LOOKS.iter().map(|trouble| ("a look", told(trouble)));
    let events = TWISTS.iter().map(|twist| ("an event", told(twist)));
    let is_left = |(to, what): &(&str, String)| match *to {
        "an act" => !met(&|kind| VERBS.contains(&kind), what),
        "a look" => !met(&only_looks, what),
        _ => !met(&|kind| kind == "event", what),
    };
    let troubles = acts.chain(looks).chain(events).filter(is_left).map(|(to, what)| format!("{what} to {to}"));
    let verbs = VERBS.iter().filter(|verb| done.iter().all(|(kind, _)| kind != *verb)).map(|verb| format!("anything to {verb}"));
    troubles.chain(verbs).collect()
}

/// Whether it can change nothing.
pub fn only_looks(asked: &str) -> bool {
    asked.starts_with("GET ") || asked.starts_with("HEAD ")
}

/// What it does with whoever connects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// What else it is told to.
    Faithful,
    /// Answers every request with 500.
    Failing,
    /// Lets it wait before the first answer, as an engine does that is coming up.
    Late(Duration),
}

/// The socket.
pub struct Between {
    runtime: Runtime,
    directory: tempfile::TempDir,
    temper: Arc<Temper>,
    listening: Option<JoinHandle<()>>,
}

impl Between {
    /// Listens in front of the engine at this `unix://` address, and behaves.
    pub fn new(engine: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let temper = Arc::new(Temper {
            engine: engine.strip_prefix("unix://").unwrap().into(),
            seed: AtomicU64::new(0),
            spares_events: AtomicBool::new(false),
            counts: Mutex::default(),
            ordered: Mutex::default(),
            done: Mutex::default(),
            pending: AtomicUsize::new(0),
            asked: Mutex::default(),
        });
        let mut between = Self { runtime, directory, temper, listening: None };
        between.listens(Manner::Faithful);
        between
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    /// Listens in a new socket file; what the old one had accepted is broken off.
    pub fn listens(&mut self, manner: Manner) {
        self.vanishes();
        let listener = self.runtime.block_on(async { UnixListener::bind(self.path()).unwrap() });
        let temper = Arc::clone(&self.temper);
        self.listening = Some(self.runtime.spawn(async move {
            // Dropped, and with it all connections, when the listening ends.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                // Mooring's memory is measured in this process.
                while connections.try_join_next().is_some() {}
                let temper = Arc::clone(&temper);
                connections.spawn(async move {
                    if let Manner::Late(pause) = manner {
                        tokio::time::sleep(pause).await;
                    }
                    let service = hyper::service::service_fn(move |request| {
                        let temper = Arc::clone(&temper);
                        async move { serve(&temper, manner, request).await }
                    });
                    // Who breaks off, or is broken off, is meant to be.
                    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service);
                    let _ = connection.with_upgrades().await;
                });
            }
        }));
    }

    /// Breaks everything off and removes the socket file.
    pub fn vanishes(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = self.runtime.block_on(listening);
            std::fs::remove_file(self.path()).unwrap();
        }
    }

    /// Where Mooring finds it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path().display())
    }

    /// From now on it does to every request what follows from this seed; with zero it behaves, once all is done that it owes.
    pub fn turns(&self, seed: u64) {
        self.temper.seed.store(seed, Ordering::SeqCst);
        while seed == 0 && self.owes() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it is still to do what it said it had not.
    pub fn owes(&self) -> bool {
        self.temper.pending.load(Ordering::SeqCst) > 0
    }

    /// From now on it leaves the events as they are, and who asks for them in peace: who is not told of a stop cannot tell it from a death.
    pub fn spares_events(&self) {
        self.temper.spares_events.store(true, Ordering::SeqCst);
    }

    /// The next requests of this kind, as in `POST /containers/{}/restart`, meet these troubles, one after the other.
    pub fn orders(&self, kind: &str, troubles: &[Trouble]) {
        self.temper.ordered.lock().unwrap().entry(kind.to_owned()).or_default().extend(troubles);
    }

    /// What it was asked since the last time, each as `GET /v1.41/info`. It is noted from the first time on: noted always, it
    /// would be counted as growth of Mooring in a soak.
    pub fn take_asked(&self) -> Vec<String> {
        self.temper.asked.lock().unwrap().replace(Vec::new()).unwrap_or_default()
    }

    /// What it has done so far, in this order: to which kind of request, and what.
    pub fn deeds(&self) -> Vec<Deed> {
        self.temper.done.lock().unwrap().clone()
    }

    /// Ends without waiting for what hangs.
    pub fn ends(self) {
        self.runtime.shutdown_background();
    }
}

impl Temper {
    /// The seed, if it is not well-behaved just now, and the number of this one of its kind, from zero.
    fn counted(&self, kind: &str) -> Option<(u64, u64)> {
        let seed = self.seed.load(Ordering::SeqCst);
        if seed == 0 {
            return None;
        }
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(kind.to_owned()).or_default();
        *count += 1;
        Some((seed, *count - 1))
    }

    fn note(&self, kind: &str, what: &str) {
        self.done.lock().unwrap().push((kind.to_owned(), what.to_owned()));
    }

    fn trouble(&self, kind: &str, acts: bool) -> Option<(Trouble, Duration)> {
        let ordered = self.ordered.lock().unwrap().get_mut(kind).and_then(VecDeque::pop_front);
        let trouble = ordered.or_else(|| {
            let (seed, count) = self.counted(kind)?;
            if acts { of_acts(seed, kind, count) } else { of_looks(seed, kind, count) }
        });
        // Whoever asks for events has an answer without an end, of which there is no half.
        let is_spared = |trouble| match kind {
            "GET /events" => self.spares_events.load(Ordering::SeqCst) || matches!(trouble, CutShort | Halved),
            _ => false,
        };
        let trouble = trouble.filter(|trouble| !is_spared(*trouble))?;
        self.note(kind, &format!("{trouble:?}"));
        let between = |least: u64, most: u64| {
            let mut dice = dice(&(kind, self.done.lock().unwrap().len()));
            Duration::from_millis(dice.random_range(least..most))
        };
        let pause = match (trouble, acts) {
            (Hangs, true) => HANG_OF_ACT,
            (Hangs, false) => HANG,
            (DoneLater, _) => between(1_000, 5_000),
            _ => between(100, 2_000),
        };
        Some((trouble, pause))
    }

    fn twist(&self) -> Option<Twist> {
        if self.spares_events.load(Ordering::SeqCst) {
            return None;
        }
        let (seed, count) = self.counted("event")?;
        if !count.is_multiple_of(EVENTS_PER_TWIST) {
            return None;
        }
        let twist = shuffled(TWISTS, seed)[usize::try_from(count / EVENTS_PER_TWIST % 5).expect("less than five")];
        self.note("event", &format!("{twist:?}"));
        Some(twist)
    }
}

fn dice(of: &impl std::hash::Hash) -> StdRng {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    StdRng::seed_from_u64(hasher.finish())
}

fn shuffled<T, const N: usize>(mut deck: [T; N], seed: u64) -> [T; N] {
    deck.shuffle(&mut dice(&seed));
    deck
}

/// The `number`-th card of a deck that begins at this place, and is gone through in strides, so that those who began beside each other
/// soon have all of it among them.
fn card<T: Copy>(deck: &[T], begin: usize, number: u64) -> T {
    let stride = VERBS.len() * usize::try_from(number % deck.len() as u64).expect("less than a deck");
    deck[(begin + stride) % deck.len()]
}

/// Half an answer is only to be had where there is one.
fn of_acts(seed: u64, kind: &str, count: u64) -> Option<Trouble> {
    if kind.ends_with("/create") && count == 1 {
        return Some(Halved);
    }
    let begin = VERBS.iter().position(|verb| *verb == kind);
    let begin = begin.unwrap_or_else(|| dice(&(seed, kind)).random_range(0..ACTS.len()));
    count.is_multiple_of(ACTS_PER_TROUBLE).then(|| card(&shuffled(ACTS, seed), begin, count / ACTS_PER_TROUBLE))
}

fn of_looks(seed: u64, kind: &str, count: u64) -> Option<Trouble> {
    let (begin, at) = (dice(&(seed, kind)).random_range(0..LOOKS.len()), count % LOOKS_PER_TROUBLE);
    (at == LOOKS_PER_TROUBLE / 2).then(|| card(&shuffled(LOOKS, seed), begin, count / LOOKS_PER_TROUBLE))
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

async fn serve(temper: &Arc<Temper>, manner: Manner, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    if let Some(asked) = &mut *temper.asked.lock().unwrap() {
        asked.push(format!("{} {}", request.method(), request.uri()));
    }
    if manner == Manner::Failing {
        return Ok(refusal(500));
    }
    let kind = kind(&request);
    let acts = request.method() != "GET" && request.method() != "HEAD";
    let (trouble, pause) = temper.trouble(&kind, acts).unzip();
    match trouble {
        Some(Refused(status)) => return Ok(refusal(status)),
        Some(Hangs) => {
            tokio::time::sleep(pause.unwrap_or_default()).await;
            return Err(io::Error::other("it hung"));
        }
        Some(DoneLater) => {
            done_later(temper, pause.unwrap_or_default(), request).await?;
            return Err(io::Error::other("it broke off"));
        }
        Some(Late) => tokio::time::sleep(pause.unwrap_or_default()).await,
        _ => {}
    }
    let answer = pass_on(temper, request.map(|body| body.map_err(io::Error::other).boxed_unsync())).await?;
    match trouble {
        Some(DoneAndRefused(status)) => Ok(refusal(status)),
        Some(DoneAndBrokenOff) => Err(io::Error::other("it broke off")),
        Some(CutShort) => Ok(answer.map(cut_short)),
        Some(Halved) => halved(answer).await,
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

/// Has it done after a pause, whoever is still there then.
async fn done_later(temper: &Arc<Temper>, pause: Duration, request: Request<Incoming>) -> Result<(), io::Error> {
    let (head, body) = request.into_parts();
    let body = Full::from(body.collect().await.map_err(io::Error::other)?.to_bytes());
    let request = Request::from_parts(head, body.map_err(|never: Infallible| match never {}).boxed_unsync());
    temper.pending.fetch_add(1, Ordering::SeqCst);
    let temper = Arc::clone(temper);
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        // What it comes to by then is the engine's to say, and nobody is there to hear it.
        if let Ok(answer) = pass_on(&temper, request).await {
            let _ = answer.into_body().collect().await;
        }
        temper.pending.fetch_sub(1, Ordering::SeqCst);
    });
    Ok(())
}

/// Asks the engine, over a connection of its own.
async fn pass_on(temper: &Temper, mut request: Request<Body>) -> Result<Response<Body>, io::Error> {
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

/// Half of the answer with a length that says that it is all of it; also of one that came in pieces.
async fn halved(answer: Response<Body>) -> Result<Response<Body>, io::Error> {
    let (mut head, body) = answer.into_parts();
    let whole = body.collect().await?.to_bytes();
    let half = whole.slice(..whole.len() / 2);
    head.headers.remove(header::TRANSFER_ENCODING);
    head.headers.insert(header::CONTENT_LENGTH, half.len().into());
    Ok(Response::from_parts(head, Full::from(half).map_err(|never: Infallible| match never {}).boxed_unsync()))
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
            let twist = temper.twist();
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
                Some(Twist::Late) => {
                    tokio::time::sleep(LATE_EVENT).await;
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
