//! Mooring itself, as the process that is measured.

use std::{collections::BTreeSet, fs, net::Ipv4Addr, path::Path, sync::Arc};

use mooring::{
    admin::{
        access::Gate,
        chat::Chat,
        claw::{shelf::Shelf, talk::Claw},
        desk::Desk,
        store::Store,
    },
    clock::Clock,
    controller::{self, Context, Engines, Open},
    execute,
    http::admin::{self, Admin},
    manifest::{
        Key,
        status::{ConditionStatus, ConditionType, Status},
    },
    observe,
    observe::{docker::Connection, gauges::EVERY},
    operator::Operator,
    record::status::Changed,
    secret::Secret,
    settings::{Mode, Settings},
};
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::broadcast::Receiver,
};

use tokio_util::sync::CancellationToken;

use super::{OWNER, Result};

/// What is printed when every object has been looked at and is as declared.
pub(crate) const READY: &str = "ready";

/// Where the port of the backend manager stands, if there is to be one.
pub(crate) const PORT_FILE: &str = "claw-port";
/// Its password.
pub(crate) const PASSWORD: &str = "of-the-benchmark";

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
        hearing: mooring::source::watch::Hearing::default(),
        database: None,
    };
    let connection = Connection::new(&settings.engine, Arc::new(|_| {}))?;
    let engines = Engines {
        observe: Arc::new(observe::docker::Docker::new(connection.clone())),
        execute: Arc::new(execute::docker::Docker::new(connection, OWNER.to_owned())),
        dial: Arc::new(observe::dial::Tcp),
    };
    let Open { ctx, queue } = Context::open(settings, engines, Clock::system()).await?;
    announce(&ctx);
    if let Ok(port) = fs::read_to_string(directory.join(PORT_FILE)) {
        manage(Arc::clone(&ctx), directory, port.parse()?).await?;
    }
    let mut terminated = signal(SignalKind::terminate())?;
    let stopping = Arc::clone(&ctx);
    tokio::spawn(async move {
        terminated.recv().await;
        stopping.stop();
    });
    controller::run(ctx, queue).await;
    Ok(())
}

/// Serves the backend manager, and measures for it, as the program does.
async fn manage(ctx: Arc<Context>, directory: &Path, port: u16) -> Result<()> {
    let store = Store::open(&directory.join("state")).await?;
    let operator: Arc<dyn Operator> = ctx;
    let desk = Desk::new(Arc::clone(&operator), None);
    let chat = Chat::new(Arc::clone(&operator), desk.clone());
    let claw = Claw::new(Shelf::from(&store), Arc::clone(&operator), desk.clone(), chat);
    let gate = Arc::new(Gate::new(store.clone()));
    let (given, shutdown) = (Some(Secret::new(PASSWORD.to_owned())), CancellationToken::new());
    let measured = Arc::clone(&operator);
    let admin = Admin { operator, store, gate, desk, claw, hosts: Arc::default(), given, shutdown };
    tokio::spawn(admin::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?, admin));
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(EVERY);
        loop {
            rounds.tick().await;
            measured.measure().await;
        }
    });
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
