//! `mooring run`: the operator itself.

mod admin;
mod once;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process,
    sync::Arc,
};

use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Error, Exit, engine, output::Format};
use crate::{
    admin::{access::PASSWORD_VARIABLE, desk::DESTRUCTIVE_VARIABLE},
    clock::Clock,
    controller::{self, Context, Open},
    http::{self, Access, ControlSocket},
    manifest::quantity,
    record::ship::Target,
    secret::Secret,
    settings::{Mode, Settings},
};

/// Keep the host as declared
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring run --desired ./shop --state /tmp/shop-state
  mooring run --once --timeout 10m
  mooring run --observe-only --http 127.0.0.1:9464

Exit codes: 0 stopped in order or converged, 1 not converged with --once, 2 it could not start or go on",
    long_about = "Keep the host as declared, until SIGTERM or SIGINT. The step at hand is finished first; a second signal ends it at once."
)]
pub(super) struct RunArgs {
    /// Ends when everything is as declared, or cannot be made so
    #[arg(long)]
    once: bool,
    /// How long --once may take
    #[arg(long, value_name = "DURATION", default_value = "5m", requires = "once")]
    timeout: quantity::Duration,
    /// Plans and reports only, and changes nothing
    #[arg(long)]
    observe_only: bool,
    /// Where to answer with health, metrics and the read-only API
    #[arg(long, env = "MOORING_HTTP", value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    http: SocketAddr,
    /// Answers on the control socket only
    #[arg(long)]
    no_http: bool,
    /// How often everything is looked at although nothing said so
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    resync: quantity::Duration,
    /// A file that is told how far the audit log has come, for `mooring audit verify --anchor`; best on another machine
    #[arg(long, env = "MOORING_AUDIT_ANCHOR", value_name = "FILE")]
    audit_anchor: Option<PathBuf>,
    /// A PostgreSQL that the audit log is shipped to as well, into the table `claw_audit_log`
    #[arg(long, env = "MOORING_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<Target>,
    /// Where the backend manager answers while it is on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    admin_address: IpAddr,
    /// On which port it does
    #[arg(long, env = PORT_VARIABLE, value_name = "PORT", default_value_t = PORT)]
    claw_port: u16,
    /// A name by which browsers reach it, besides addresses and names without a dot
    #[arg(long, value_name = "NAME")]
    admin_host: Vec<String>,
    /// A PostgreSQL for what the backend manager's conversations keep, in the schema `np_claw`; without, it is in the state directory
    #[arg(long, env = "CLAW_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    claw_database_url: Option<Target>,
    /// Lets the backend manager do what may lose something: stop a service, change rows; each asked for twice
    #[arg(long, env = DESTRUCTIVE_VARIABLE, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    claw_admin_allow_destructive: Option<bool>,
    /// How --once writes what it came to
    #[arg(short, long, value_enum, default_value_t, requires = "once")]
    output: Format,
}

impl RunArgs {
    /// Where the backend manager answers.
    fn place(&self) -> admin::Place {
        let given = std::env::var(PASSWORD_VARIABLE).ok().filter(|given| !given.is_empty());
        let address = SocketAddr::new(self.admin_address, self.claw_port);
        let allow_destructive = self.claw_admin_allow_destructive;
        let (hosts, password) = (self.admin_host.clone(), given.map(Secret::new));
        admin::Place { address, hosts, allow_destructive, password, database: self.claw_database_url.clone() }
    }

    /// Whether it reports what was done at its end, which makes the same in the log one too many.
    pub(super) fn ends_by_itself(&self) -> bool {
        self.once
    }
}

/// The variable that says on which port the backend manager answers.
pub(super) const PORT_VARIABLE: &str = "CLAW_PORT";
/// The port, unless it says so.
pub(super) const PORT: u16 = 3710;

/// Shorter than this, looking would be all that Mooring does.
const SHORTEST_RESYNC: quantity::Duration = quantity::Duration::seconds(1);

pub(super) async fn run(settings: Settings, args: RunArgs) -> Result<Exit, Error> {
    let settings = settle(settings, &args)?;
    let stop = CancellationToken::new();
    let signals = tokio::spawn(listen(signals()?, stop.clone()));
    let ended = run_operator(settings, &args, stop).await;
    signals.abort();
    ended
}

fn settle(settings: Settings, args: &RunArgs) -> Result<Settings, Error> {
    if args.resync < SHORTEST_RESYNC {
        let message = format!("--resync {} is too short", args.resync);
        return Err(Error::Usage { message, help: format!("{SHORTEST_RESYNC} is the shortest") });
    }
    if let Some(file) = &args.audit_anchor {
        controller::anchors::open(file).map_err(|source| Error::file("open --audit-anchor", file, source))?;
    }
    Ok(Settings {
        database: args.database_url.clone(),
        audit_anchor: args.audit_anchor.as_deref().map(super::absolute),
        http: (!args.no_http && !args.once).then_some(args.http),
        resync: args.resync.0,
        mode: if args.observe_only { Mode::Observe } else { Mode::Act },
        ..settings
    })
}

pub(super) fn signals() -> Result<[Signal; 2], Error> {
    let listen = |kind| signal(kind).map_err(|source| Error::io("could not listen for signals", source));
    Ok([listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?])
}

/// The first signal asks to stop, the second one does not ask.
pub(super) async fn listen([mut terminate, mut interrupt]: [Signal; 2], stop: CancellationToken) {
    for _ in 0..2 {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.is_cancelled() {
            // As a shell reports it for whoever was interrupted.
            process::exit(130);
        }
        tracing::info!("stopping; the step at hand is finished first");
        stop.cancel();
    }
}

/// The operator, from here to its end.
async fn run_operator(settings: Settings, args: &RunArgs, stop: CancellationToken) -> Result<Exit, Error> {
    let (engines, counter) = engine::engines(&settings)?;
    // First of all: an address that is taken is found out before anything is begun.
    let listener = listener(settings.http).await?;
    let Open { ctx, queue } = Context::open(settings.clone(), engines, Clock::system()).await?;
    let counts = counter.set(Arc::clone(&ctx.record.metrics));
    debug_assert!(counts.is_ok(), "nobody else sets it");
    let mut servers = Servers::start(&settings, listener, Arc::clone(&ctx))?;
    if !args.once {
        servers.add_admin(&settings, Arc::clone(&ctx), args.place());
    }
    let stopper = tokio::spawn({
        let (ctx, stop) = (Arc::clone(&ctx), stop.clone());
        async move {
            stop.cancelled().await;
            ctx.stop();
        }
    });
    tracing::info!(
        desired = %settings.desired.display(), state = %settings.state.display(), owner = settings.owner, engine = settings.engine,
        mode = ?settings.mode, http = settings.http.map(tracing::field::display), "mooring runs",
    );
    let ended = if args.once {
        once::once(&ctx, args.timeout.0, args.output).await
    } else {
        controller::run(Arc::clone(&ctx), queue).await;
        // Ended by itself, it has lost its containers to another Mooring.
        if stop.is_cancelled() {
            Ok(Exit::Good)
        } else {
            Err(Error::Operator("mooring stopped by itself; the log says why".to_owned()))
        }
    };
    stopper.abort();
    servers.stop().await;
    tracing::info!("mooring has stopped");
    ended
}

async fn listener(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Error> {
    let Some(address) = address else { return Ok(None) };
    let failed = |source| Error::io(format!("could not listen on {address}; choose another with --http, or --no-http"), source);
    TcpListener::bind(address).await.map(Some).map_err(failed)
}

/// Those who answer while the operator works.
struct Servers {
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Servers {
    fn start(settings: &Settings, listener: Option<TcpListener>, ctx: Arc<Context>) -> Result<Self, Error> {
        let path = settings.socket();
        let socket = ControlSocket::bind(&path).map_err(|source| Error::file("make the control socket", &path, source))?;
        let (mut tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
        if let Some(listener) = listener {
            tasks.spawn(http::serve(listener, Arc::clone(&ctx) as _, Access::ReadOnly, shutdown.clone()));
        }
        tasks.spawn(http::serve_unix(socket, ctx, Access::Full, shutdown.clone()));
        Ok(Self { tasks, shutdown })
    }

    /// The backend manager as well, whenever it is on.
    fn add_admin(&mut self, settings: &Settings, ctx: Arc<Context>, place: admin::Place) {
        self.tasks.spawn(admin::keep(settings.clone(), ctx, place, self.shutdown.clone()));
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.join_all().await;
    }
}
