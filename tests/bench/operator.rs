//! Mooring itself, as the process that is measured.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use mooring::{
    clock::Clock,
    controller::{self, Context, Engines, Open},
    execute,
    manifest::{
        Key,
        status::{ConditionStatus, ConditionType, Status},
    },
    observe,
    observe::docker::Connection,
    record::status::Changed,
    settings::{Mode, Settings},
};
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast::Receiver,
};

use super::{OWNER, Result};

/// What is printed when every object has been looked at and is as declared.
pub(crate) const READY: &str = "ready";

/// Keeps the host as `directory` declares, through the engine's `socket`, until SIGTERM.
pub(crate) async fn run(directory: &Path, socket: &Path) -> Result<()> {
    // Whoever measures may be killed; its containers are not to be kept alive by us then.
    set_pdeathsig(Signal::SIGKILL)?;
    let settings = Settings {
        desired: directory.join("desired"),
        state: directory.join("state"),
        owner: OWNER.to_owned(),
        engine: format!("unix://{}", socket.display()),
        http: None,
        resync: Settings::RESYNC,
        concurrency: Settings::CONCURRENCY,
        mode: Mode::Act,
        audit_anchor: None,
        database: None,
    };
    let connection = Connection::new(&settings.engine, Arc::new(|_| {}))?;
    let engines = Engines {
        observe: Arc::new(observe::docker::Docker::new(connection.clone())),
        execute: Arc::new(execute::docker::Docker::new(connection, OWNER.to_owned())),
    };
    let Open { ctx, queue } = Context::open(settings, engines, Clock::system()).await?;
    announce(&ctx);
    let mut terminated = signal(SignalKind::terminate())?;
    let stopping = Arc::clone(&ctx);
    tokio::spawn(async move {
        terminated.recv().await;
        stopping.stop();
    });
    controller::run(ctx, queue).await;
    Ok(())
}

/// Says so when every object is ready. What an earlier process wrote down about them does not count.
fn announce(ctx: &Context) {
    let changes = ctx.record.status.subscribe();
    let objects: BTreeSet<Key> = ctx.world.reader.objects().into_keys().collect();
    for key in &objects {
        ctx.record.status.forget(key);
    }
    tokio::spawn(all_ready(changes, objects));
}

async fn all_ready(mut changes: Receiver<Changed>, mut missing: BTreeSet<Key>) {
    while !missing.is_empty() {
        let Ok(Changed { key, status }) = changes.recv().await else { return };
        if status.as_ref().is_some_and(is_ready) {
            missing.remove(&key);
        }
    }
    println!("{READY}");
}

fn is_ready(status: &Status) -> bool {
    status.condition(ConditionType::Ready).is_some_and(|ready| ready.status == ConditionStatus::True)
}
