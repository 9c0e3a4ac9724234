//! A model of ollama: its HTTP API as the real one was seen to answer it, its models in a volume that outlives its
//! container, and a registry that it pulls from. It shares no code with what asks it in Mooring.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep, sleep_until},
};

use super::{
    dice::Dice,
    oracle::{Asked, Oracle},
    trace::Trace,
};

/// The port that it listens on.
pub const PORT: u16 = 11434;
/// The host of a server that is in no container.
pub const ELSEWHERE: &str = "models.test";
/// What people have pulled by themselves, and no manifest speaks of.
pub const FOREIGN: &str = "llama3.2:1b";
/// A model's bytes.
const SIZE: u64 = 3_338_792_448;
/// Of its template, which is a layer as well.
const SMALL: u64 = 358;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens.
    Refuses,
    /// It takes questions and does not answer.
    Hangs,
    /// It answers most questions with this status.
    Fails(u16),
    /// Its answers are not what a model server says.
    Garbles,
    /// Pulls break off.
    Cuts,
    /// Pulls go on without a byte.
    Stalls,
    /// The registry cannot be reached.
    Offline,
    /// There is no room for another byte.
    Full,
    /// What was pulled is said to be there, and is not.
    Forgets,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// All model servers of a run. Clones are the same.
#[derive(Clone)]
pub struct Ollama(Arc<Mutex<Inner>>);

struct Inner {
    dice: Dice,
    oracle: Oracle,
    trace: Trace,
    /// What is wrong, and until when.
    troubles: Vec<(Trouble, Instant)>,
    /// By volume.
    stores: BTreeMap<String, Store>,
}

/// What is in a volume.
#[derive(Default)]
struct Store {
    models: BTreeSet<String>,
    /// Bytes that have come of models that are not whole yet.
    partial: BTreeMap<String, u64>,
    /// The models that are on their way.
    under_way: Vec<String>,
}

impl Ollama {
    /// Every server has what people have pulled.
    pub fn new(dice: Dice, oracle: Oracle, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Inner { dice, oracle, trace, troubles: Vec::new(), stores: BTreeMap::new() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is wrong from now on, for so long.
    pub fn suffer(&self, trouble: Trouble, span: Duration) {
        self.inner().troubles.push((trouble, Instant::now() + span));
    }

    /// Nothing is wrong any more.
    pub fn be_well(&self) {
        self.inner().troubles.clear();
    }

    /// Whether nobody listens.
    pub fn refuses(&self) -> bool {
        self.until(Trouble::Refuses).is_some()
    }

    /// `ollama rm`, by a person.
    pub fn remove(&self, volume: &str, model: &str) -> bool {
        self.inner().store(volume).models.remove(model)
    }

    /// What is there, in the volume of this name.
    pub fn has(&self, volume: &str, model: &str) -> bool {
        self.inner().store(volume).models.contains(model)
    }

    /// What is being pulled just now.
    pub fn pulls(&self, volume: &str) -> Option<String> {
        self.inner().store(volume).under_way.first().cloned()
    }

    /// Speaks with one who has connected, until one of them hangs up.
    pub async fn serve(&self, volume: String, stream: DuplexStream) {
        let service = service_fn(|request| {
            let (server, volume) = (self.clone(), volume.clone());
            async move { Ok::<_, Infallible>(server.answer(volume, request).await) }
        });
        // Whoever hangs up in the middle is an error to this side, and no more than that.
        let _ = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
    }

    fn until(&self, trouble: Trouble) -> Option<Instant> {
        let now = Instant::now();
        let inner = self.inner();
        inner.troubles.iter().filter(|(known, until)| *known == trouble && *until > now).map(|(_, until)| *until).max()
    }

    fn is(&self, trouble: Trouble) -> bool {
        self.until(trouble).is_some()
    }

    fn roll(&self, from: u64, to: u64) -> Duration {
        self.inner().dice.millis(from, to)
    }

    fn percent(&self, share: usize) -> bool {
        self.inner().dice.percent(share)
    }

    /// While it hangs, nothing goes on.
    async fn breathe(&self) {
        while let Some(until) = self.until(Trouble::Hangs) {
            sleep_until(until).await;
        }
    }

    async fn answer(&self, volume: String, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        // Whoever has hung up meanwhile is not answered, and has not asked.
        sleep(self.roll(1, 5)).await;
        self.breathe().await;
        let failing = [500, 503].into_iter().find(|status| self.is(Trouble::Fails(*status)));
        if let Some(status) = failing.filter(|_| self.percent(70)) {
            return refusal(status, "server busy, please try again.  maximum pending requests exceeded");
        }
        if self.is(Trouble::Garbles) && self.percent(50) {
            return whole(StatusCode::OK, "<html><body>It works!</bo".to_owned());
        }
        let question: Value = serde_json::from_slice(&body).unwrap_or_default();
        let model = ["model", "name"].iter().find_map(|name| question[*name].as_str()).unwrap_or_default().to_owned();
        match (head.method, head.uri.path()) {
            (Method::GET, "/") => whole(StatusCode::OK, "Ollama is running".to_owned()),
            (Method::GET, "/api/version") => whole(StatusCode::OK, json!({ "version": "0.9.3" }).to_string()),
            (Method::GET, "/api/tags") => whole(StatusCode::OK, self.inner().store(&volume).listed().to_string()),
            (Method::POST, "/api/show" | "/api/pull") if model.is_empty() => refusal(400, "invalid model name"),
            (Method::POST, "/api/show") => {
                if self.has(&volume, &model) {
                    whole(StatusCode::OK, json!({ "modelfile": modelfile(&model) }).to_string())
                } else {
                    refusal(404, &format!("model '{model}' not found"))
                }
            }
            (Method::POST, "/api/pull") => self.pull(&volume, &model),
            (Method::DELETE, "/api/delete") => self.delete(&volume, &model),
            _ => whole(StatusCode::NOT_FOUND, "404 page not found".to_owned()),
        }
    }

    /// Nobody but people may do that.
    fn delete(&self, volume: &str, model: &str) -> Response<Body> {
        let mut inner = self.inner();
        inner.oracle.accuse(format!("the model {model} is deleted"));
        if inner.store(volume).models.remove(model) {
            whole(StatusCode::OK, String::new())
        } else {
            refusal(404, &format!("model '{model}' not found"))
        }
    }

    fn pull(&self, volume: &str, model: &str) -> Response<Body> {
        let oracle = self.inner().oracle.clone();
        let asked = oracle.asked_for("PullModel", model);
        let mut inner = self.inner();
        inner.trace.note(format!("ollama: pulls {model} into {volume}"));
        let store = inner.store(volume);
        if store.under_way.iter().any(|known| known == model) {
            oracle.accuse(format!("the model {model} is pulled twice at once"));
        }
        store.under_way.push(model.to_owned());
        let rate = inner.dice.millis(80, 1_000).as_millis();
        let download = Download {
            server: self.clone(),
            volume: volume.to_owned(),
            model: model.to_owned(),
            rate: u64::try_from(rate).unwrap() << 20,
            stage: Stage::Manifest,
            _asked: asked,
        };
        let lines = stream::unfold(download, |mut download| async { Some((download.next().await?, download)) });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

impl Inner {
    fn store(&mut self, volume: &str) -> &mut Store {
        let theirs = || Store { models: [FOREIGN.to_owned()].into(), ..Store::default() };
        self.stores.entry(volume.to_owned()).or_insert_with(theirs)
    }
}

impl Store {
    fn listed(&self) -> Value {
        let listed = |model: &String| json!({ "name": model, "model": model, "size": SIZE + SMALL, "digest": digest(model) });
        json!({ "models": self.models.iter().map(listed).collect::<Vec<_>>() })
    }
}

/// How far an answer to a pull is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Manifest,
    Layers,
    Verifying,
    Writing,
    Success,
    Over,
}

/// One answer to a pull, line by line. What has come stays when it is dropped.
struct Download {
    server: Ollama,
    volume: String,
    model: String,
    /// Bytes a second.
    rate: u64,
    stage: Stage,
    /// On record for as long as it goes on.
    _asked: Asked,
}

impl Drop for Download {
    fn drop(&mut self) {
        let mut inner = self.server.inner();
        let under_way = &mut inner.store(&self.volume).under_way;
        if let Some(place) = under_way.iter().position(|model| *model == self.model) {
            under_way.remove(place);
        }
        if self.stage != Stage::Over {
            inner.trace.note(format!("ollama: the pull of {} ends in the middle", self.model));
        }
    }
}

impl Download {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, io::Error>> {
        let (stage, server) = (self.stage, self.server.clone());
        if stage == Stage::Over {
            return None;
        }
        sleep(server.roll(100, if stage == Stage::Layers { 1_500 } else { 400 })).await;
        server.breathe().await;
        if server.is(Trouble::Cuts) && server.percent(40) {
            self.stage = Stage::Over;
            server.inner().trace.note(format!("ollama: the pull of {} breaks off", self.model));
            // As a connection that is reset, or as one that is closed properly and too early.
            return server.percent(50).then(|| Err(io::ErrorKind::ConnectionReset.into()));
        }
        if server.is(Trouble::Garbles) && server.percent(20) {
            return Some(Ok(Frame::data(Bytes::from_static(b"<html>502 Bad Gateway</html>\n"))));
        }
        let line = match stage {
            Stage::Manifest if server.is(Trouble::Offline) => {
                let host = "registry.ollama.ai";
                self.fails(&format!("pull model manifest: Get \"https://{host}/v2/\": dial tcp: lookup {host}: no such host"))
            }
            Stage::Manifest => {
                self.stage = Stage::Layers;
                json!({ "status": "pulling manifest" })
            }
            Stage::Layers => self.layers(),
            Stage::Verifying => {
                self.stage = Stage::Writing;
                json!({ "status": "verifying sha256 digest" })
            }
            Stage::Writing => {
                self.stage = Stage::Success;
                self.keep();
                json!({ "status": "writing manifest" })
            }
            Stage::Success | Stage::Over => {
                self.stage = Stage::Over;
                json!({ "status": "success" })
            }
        };
        Some(Ok(Frame::data(Bytes::from(format!("{line}\n")))))
    }

    /// More of the large layer, behind the small one.
    fn layers(&mut self) -> Value {
        if self.server.is(Trouble::Full) {
            let blob = layer(&self.model, "model");
            return self.fails(&format!("write /root/.ollama/models/blobs/sha256-{blob}-partial: no space left on device"));
        }
        let grows = !self.server.is(Trouble::Stalls);
        let (pace, is_there) = (self.server.roll(200, 1_200), self.server.has(&self.volume, &self.model));
        let mut inner = self.server.inner();
        let Some(completed) = inner.store(&self.volume).partial.get(&self.model).copied() else {
            // The first line of all is of the layer that is there at once.
            let first = if is_there { SIZE } else { 0 };
            inner.store(&self.volume).partial.insert(self.model.clone(), first);
            return progress(&layer(&self.model, "template"), SMALL, SMALL);
        };
        let more = self.rate.saturating_mul(u64::try_from(pace.as_millis()).unwrap()) / 1_000;
        let completed = if grows { SIZE.min(completed + more) } else { completed };
        inner.store(&self.volume).partial.insert(self.model.clone(), completed);
        drop(inner);
        if completed == SIZE {
            self.stage = Stage::Verifying;
        }
        progress(&layer(&self.model, "model"), completed, SIZE)
    }

    fn keep(&self) {
        let forgets = self.server.is(Trouble::Forgets);
        let mut inner = self.server.inner();
        let store = inner.store(&self.volume);
        store.partial.remove(&self.model);
        if !forgets {
            store.models.insert(self.model.clone());
        }
        inner.trace.note(format!("ollama: has {}{}", self.model, if forgets { ", and forgets it" } else { "" }));
    }

    /// Errors come in the stream.
    fn fails(&mut self, message: &str) -> Value {
        self.stage = Stage::Over;
        self.server.inner().trace.note(format!("ollama: {}: {message}", self.model));
        json!({ "error": message })
    }
}

fn progress(layer: &str, completed: u64, total: u64) -> Value {
    json!({ "status": format!("pulling {}", &layer[..12]), "digest": format!("sha256:{layer}"), "total": total, "completed": completed })
}

/// The digest of a model's manifest.
fn digest(model: &str) -> String {
    hex::encode(Sha256::digest(model))
}

/// The digest of one of its layers.
fn layer(model: &str, layer: &str) -> String {
    digest(&format!("{model} {layer}"))
}

fn modelfile(model: &str) -> String {
    format!("# Modelfile generated by \"ollama show\"\nFROM /root/.ollama/models/blobs/sha256-{}\n", layer(model, "model"))
}

fn whole(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn refusal(status: u16, message: &str) -> Response<Body> {
    whole(StatusCode::from_u16(status).unwrap(), json!({ "error": message }).to_string())
}
