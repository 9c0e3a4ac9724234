//! Those who break Mooring on purpose, to see whether the oracle sees it.

use std::{collections::BTreeMap, fs, time::Duration};

use mooring::{
    execute::engine::Engine as _,
    manifest::{Key, Kind},
    plan::{EngineAction, Step, Target, Why},
    record::journal::{Actor, Intent, Outcome, PassId},
};
use sqlx::{ConnectOptions as _, Executor as _, sqlite::SqliteConnectOptions};
use tokio::time::sleep;

use super::{records::at_once, run::Stage, world::SECRETS};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The executor acts and writes nothing down.
    ActsWithoutRecord,
    /// It acts, on record, as often as it likes.
    KeepsNoBudget,
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
    /// After all that goes wrong by itself.
    pub async fn strike(self, stage: &mut Stage) {
        let api = EngineAction::RestartContainer { container: Target::named("api") };
        match self {
            Self::ActsWithoutRecord => drop(stage.hostile.perform(&api, &BTreeMap::new()).await),
            Self::KeepsNoBudget => {
                for _ in 0..8 {
                    on_record(stage, &api).await;
                    sleep(Duration::from_secs(5)).await;
                }
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
            Self::ActsInCalm | Self::WritesInCalm => {}
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
    let Some(ctx) = stage.context() else { return };
    let (object, step) = (Key::new(Kind::Container, "api"), Step { action: action.clone().into(), why: Why::Missing });
    let intent =
        Intent { actor: &Actor::Reconciler, pass: PassId::new(), number: 1, object: &object, generation: 1, step: &step };
    let intent = ctx.record.journal.intend(&intent).await.unwrap();
    let done = stage.hostile.perform(action, &BTreeMap::new()).await;
    let outcome = done.map_or_else(|error| Outcome::Failed { error: error.to_string() }, |_| Outcome::Done);
    ctx.record.journal.conclude(intent, outcome).await.unwrap();
}

/// Does what the journal itself refuses to do.
fn lose_row(stage: &Stage) {
    let options = SqliteConnectOptions::new().filename(stage.directory.path().join("state/mooring.db"));
    let mut connection = at_once(options.connect()).unwrap();
    at_once(connection.execute("DROP TRIGGER audit_refuses_delete")).unwrap();
    at_once(connection.execute("PRAGMA foreign_keys = OFF")).unwrap();
    at_once(connection.execute("DELETE FROM audit WHERE id = 2")).unwrap();
}
