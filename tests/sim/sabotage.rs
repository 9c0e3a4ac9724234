//! Those who break Mooring on purpose, to see whether the oracle sees it.

use std::{collections::BTreeMap, fs, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use mooring::{
    execute::engine::Engine as _,
    manifest::{Key, Kind},
    observe::dial::Dial as _,
    plan::{
        Action, EngineAction, Step, Target, Why,
        proxy::{Nginx, ProxyAction},
    },
    record::journal::{Actor, Intent, Outcome, PassId},
};
use serde_json::json;
use sqlx::{ConnectOptions as _, Executor as _, sqlite::SqliteConnectOptions};
use tokio::{task::JoinHandle, time::sleep};

use super::{
    edge::EDGE,
    model::{self, OLLAMA},
    ollama::{FOREIGN, PORT},
    records::at_once,
    run::Stage,
    world::{NETWORK, SECRETS},
};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The executor acts and writes nothing down.
    ActsWithoutRecord,
    /// What the engine refuses is on record as done.
    CallsRefusedDone,
    /// What it does is on record as done before.
    CallsDoneAlreadySo,
    /// An act is done twice, with one record.
    ActsTwice,
    /// It writes a file and says nothing of it.
    WritesWithoutRecord,
    /// It writes a file that it has nothing to do with.
    WritesElsewhere,
    /// It writes into a site of the user's own.
    TouchesOwnSite,
    /// Routes are not led after their backends any more.
    LosesWay,
    /// nginx is told to read what it has not tested.
    ReloadsUntested,
    /// nginx is told to read its files twice at once.
    ReloadsTwice,
    /// nginx is told to read its files, and nobody wrote that down.
    ReloadsWithoutRecord,
    /// A container that does nothing any more is not seen to be.
    NeverProbes,
    /// A model that is gone is not pulled again.
    NeverPulls,
    /// A model is pulled, and nobody wrote that down.
    PullsWithoutRecord,
    /// A model is pulled while it is on its way already.
    PullsTwice,
    /// A model that people have pulled is deleted.
    DeletesModel,
    /// It keeps no room for a full disk.
    KeepsNoRoom,
    /// It leaves a file that it did not finish.
    LeavesHalf,
    /// It acts, on record, as often as it likes.
    KeepsNoBudget,
    /// It did so until the clock was set.
    KeptNoBudget,
    /// It stops what is somebody else's, on record.
    TouchesStrangers,
    /// A secret gets another value.
    ChangesSecret,
    /// A volume is removed.
    RemovesVolume,
    /// A row is taken out of the log.
    LosesRow,
    /// The operator does nothing any more, and says nothing about it.
    FallsAsleep,
    /// It acts although there is nothing to do.
    ActsInCalm,
    /// It writes the same again although there is nothing to do.
    WritesInCalm,
}

impl Sabotage {
    /// Whether it needs an nginx, or a model.
    pub fn needs_all(self) -> bool {
        matches!(
            self,
            Self::TouchesOwnSite
                | Self::LosesWay
                | Self::ReloadsUntested
                | Self::ReloadsTwice
                | Self::ReloadsWithoutRecord
                | Self::NeverProbes
                | Self::NeverPulls
                | Self::PullsWithoutRecord
                | Self::PullsTwice
                | Self::DeletesModel
        )
    }

    /// After all that goes wrong by itself.
    pub async fn strike(self, stage: &mut Stage) {
        let api = EngineAction::RestartContainer { container: Target::named("api") };
        match self {
            Self::ActsWithoutRecord => drop(stage.hostile.perform(&api, &BTreeMap::new()).await),
            Self::CallsRefusedDone => {
                let nobody = EngineAction::RestartContainer { container: Target::named("nobody") };
                concluded_as(stage, &nobody, 1, |_| Outcome::Done).await;
            }
            Self::CallsDoneAlreadySo => concluded_as(stage, &api, 1, |_| Outcome::AlreadySo).await,
            Self::ActsTwice => concluded_as(stage, &api, 2, |_| Outcome::Done).await,
            Self::WritesWithoutRecord => {
                let (path, temporary) = (stage.path(".env.secrets"), stage.path(".mooring-tmp-x"));
                // As Mooring does it: on another thread, in one step.
                let written = tokio::task::spawn_blocking(move || {
                    fs::copy(&path, &temporary).unwrap();
                    fs::rename(temporary, path).unwrap();
                });
                written.await.unwrap();
            }
            Self::WritesElsewhere => {
                let path = stage.path("notes");
                tokio::task::spawn_blocking(|| fs::write(path, "").unwrap()).await.unwrap();
            }
            Self::KeepsNoRoom => {
                let ballast = stage.directory.path().join("state/ballast");
                fs::remove_file(&ballast).unwrap();
                fs::create_dir(ballast).unwrap();
            }
            Self::LeavesHalf => fs::write(stage.path(".mooring-tmp-half"), "DB_PASS").unwrap(),
            Self::KeepsNoBudget => exceed_budget(stage, &api).await,
            Self::KeptNoBudget => {
                exceed_budget(stage, &api).await;
                stage.oracle.clock_set();
                stage.set_clock(5);
            }
            Self::TouchesStrangers => {
                let name = &stage.world.strangers[0];
                let container = Target::seen(&stage.engine.id(name), name);
                on_record(stage, &EngineAction::StopContainer { container }).await;
            }
            Self::ChangesSecret => {
                let text = fs::read_to_string(stage.path(".env.secrets")).unwrap();
                let changed = text.replace(&format!("{}=", SECRETS[0]), &format!("{}=0", SECRETS[0]));
                stage.write(".env.secrets", &changed);
                sleep(Duration::from_secs(2)).await;
            }
            Self::RemovesVolume => stage.engine.remove_volume("db_data"),
            Self::LosesRow => lose_row(stage),
            Self::FallsAsleep => {
                stage.sleep_for_ever();
                let id = stage.engine.everything().into_iter().find(|thing| thing.listed.name == "api");
                if id.is_some() {
                    stage.engine.remove("api");
                }
            }
            Self::NeverProbes => {
                stage.sleep_for_ever();
                stage.deafen("api");
            }
            Self::NeverPulls | Self::PullsWithoutRecord | Self::PullsTwice | Self::DeletesModel => {
                self.strike_at_model(stage).await;
            }
            _ => self.strike_at_edge(stage).await,
        }
    }

    async fn strike_at_model(self, stage: &mut Stage) {
        match self {
            Self::NeverPulls => {
                stage.sleep_for_ever();
                stage.begin_at_model(&model::Fault::Lost);
            }
            Self::PullsWithoutRecord => drop(ask_server(stage, Method::POST, "/api/pull", "gemma3:27b").await),
            Self::PullsTwice => {
                let first = ask_server(stage, Method::POST, "/api/pull", "gemma3:27b").await;
                drop(ask_server(stage, Method::POST, "/api/pull", "gemma3:27b").await);
                drop(first);
            }
            Self::DeletesModel => drop(ask_server(stage, Method::DELETE, "/api/delete", FOREIGN).await),
            _ => {}
        }
    }

    async fn strike_at_edge(self, stage: &mut Stage) {
        match self {
            Self::TouchesOwnSite => {
                let path = stage.path("sites/own.conf");
                tokio::task::spawn_blocking(|| fs::write(path, "# Yours.").unwrap()).await.unwrap();
            }
            Self::LosesWay => {
                stage.sleep_for_ever();
                let routes = stage.world.edge.as_ref().map(|edge| edge.routes.clone()).unwrap_or_default();
                for (.., service, _) in routes {
                    stage.engine.exit(&service, 1);
                    stage.engine.foreign_on(NETWORK, &format!("newcomer-{service}"));
                    stage.engine.start(&service);
                }
            }
            Self::ReloadsUntested => {
                let path = stage.path("sites/shop.test.conf");
                let text = fs::read_to_string(&path).unwrap();
                stage.write("sites/shop.test.conf", &text.replace("listen 80;", "listen 80;\n    access_log off;"));
                reload(stage, true).await;
            }
            Self::ReloadsTwice => {
                reload(stage, true).await;
                reload(stage, true).await;
            }
            Self::ReloadsWithoutRecord => reload(stage, false).await,
            _ => {}
        }
    }

    /// While all is calm.
    pub async fn disturb(self, stage: &mut Stage) {
        match self {
            Self::ActsInCalm => {
                on_record(stage, &EngineAction::StartContainer { container: Target::named("api") }).await;
            }
            Self::WritesInCalm => {
                let path = stage.path(".env.computed");
                let text = fs::read(&path).unwrap();
                fs::remove_file(&path).unwrap();
                fs::write(stage.path(".env.filler"), "").unwrap();
                fs::write(&path, text).unwrap();
            }
            _ => {}
        }
    }
}

/// Acts as the executor does, with nobody having decided on it.
async fn on_record(stage: &Stage, action: &EngineAction) {
    concluded_as(stage, action, 1, |outcome| outcome).await;
}

/// The same so many times by one record, with what came of the last said in other words.
async fn concluded_as(stage: &Stage, action: &EngineAction, times: usize, say: fn(Outcome) -> Outcome) {
    let Some(ctx) = stage.context() else { return };
    let (object, step) = (Key::new(Kind::Container, "api"), Step { action: action.clone().into(), why: Why::Missing });
    let intent =
        Intent { actor: &Actor::Reconciler, pass: PassId::new(), number: 1, object: &object, generation: 1, step: &step };
    let intent = ctx.record.journal.intend(&intent).await.unwrap();
    let mut outcome = Outcome::Unknown;
    for _ in 0..times {
        let done = stage.hostile.perform(action, &BTreeMap::new()).await;
        outcome = done.map_or_else(|error| Outcome::Failed { error: error.to_string() }, |_| Outcome::Done);
    }
    ctx.record.journal.conclude(intent, say(outcome)).await.unwrap();
}

async fn exceed_budget(stage: &Stage, action: &EngineAction) {
    for _ in 0..8 {
        on_record(stage, action).await;
        sleep(Duration::from_secs(5)).await;
    }
}

/// Has nginx read its files, as the executor does, with nobody having decided on it.
async fn reload(stage: &Stage, is_on_record: bool) {
    let Some(ctx) = stage.context() else { return };
    let id = stage.engine.id(EDGE);
    let action = ProxyAction::ReloadProxy {
        nginx: Nginx::Container(Target::seen(&id, EDGE)),
        proxy: EDGE.to_owned(),
        directory: stage.path("sites"),
        digest: String::new(),
        instance: String::new(),
        config: String::new(),
    };
    let (object, step) = (Key::new(Kind::Proxy, EDGE), Step { action: Action::Proxy(action), why: Why::NotLoaded });
    let intent =
        Intent { actor: &Actor::Reconciler, pass: PassId::new(), number: 1, object: &object, generation: 1, step: &step };
    let intent = if is_on_record { Some(ctx.record.journal.intend(&intent).await.unwrap()) } else { None };
    let command = ["nginx", "-s", "reload"].map(str::to_owned);
    drop(stage.hostile.exec(&id, &command, Duration::from_secs(30)).await);
    if let Some(intent) = intent {
        ctx.record.journal.conclude(intent, Outcome::Done).await.unwrap();
    }
}

/// Asks the model server for something, as Mooring does; the answer goes on for as long as it is kept.
async fn ask_server(stage: &Stage, method: Method, path: &str, model: &str) -> (Response<Incoming>, JoinHandle<()>) {
    let ollama = stage.engine.everything().into_iter().find(|thing| thing.listed.name == OLLAMA);
    let address = ollama.and_then(|thing| thing.listed.networks.values().flatten().next().cloned()).unwrap();
    let stream = stage.network.dial(&address, PORT).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    // It ends with the answer.
    let driver = tokio::spawn(async { drop(connection.await) });
    let body = Full::new(Bytes::from(json!({ "model": model }).to_string()));
    (sender.send_request(Request::builder().method(method).uri(path).body(body).unwrap()).await.unwrap(), driver)
}

/// Does what the journal itself refuses to do.
fn lose_row(stage: &Stage) {
    let options = SqliteConnectOptions::new().filename(stage.directory.path().join("state/mooring.db"));
    let mut connection = at_once(options.connect()).unwrap();
    at_once(connection.execute("DROP TRIGGER audit_refuses_delete")).unwrap();
    at_once(connection.execute("PRAGMA foreign_keys = OFF")).unwrap();
    at_once(connection.execute("DELETE FROM audit WHERE id = 2")).unwrap();
}
