//! `mooring run`: the operator itself.

use std::{net::SocketAddr, process, sync::Arc};

use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::UnboundedReceiver,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Exit,
    engines::{Calls, engines},
    output::{self, Format},
};
use crate::{
    clock::Clock,
    controller::{
        self, Context, Open,
        once::{Outcome, once},
    },
    http::{self, Access, ControlSocket, Operator},
    manifest::{Key, quantity},
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
    /// How --once writes what it came to
    #[arg(short, long, value_enum, default_value_t, requires = "once")]
    output: Format,
}

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
    Ok(Settings {
        http: (!args.no_http && !args.once).then_some(args.http),
        resync: args.resync.0,
        mode: if args.observe_only { Mode::Observe } else { Mode::Act },
        ..settings
    })
}

fn signals() -> Result<[Signal; 2], Error> {
    let listen = |kind| signal(kind).map_err(|source| Error::io("could not listen for signals", source));
    Ok([listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?])
}

/// The first signal asks to stop, the second one does not ask.
async fn listen([mut terminate, mut interrupt]: [Signal; 2], stop: CancellationToken) {
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
    let calls = Calls::default();
    let engines = engines(&settings, calls.counter())?;
    let http = match settings.http {
        Some(address) => Some(listener(address).await?),
        None => None,
    };
    let opened = Context::open(settings, engines, Clock::system()).await;
    let Open { ctx, queue } = opened.map_err(|source| failed("mooring cannot start", source))?;
    calls.count_in(&ctx.record.metrics);
    let stopping = tokio::spawn({
        let (ctx, stop) = (Arc::clone(&ctx), stop.clone());
        async move {
            stop.cancelled().await;
            ctx.stop();
        }
    });
    let ended = if args.once { converge(&ctx, args).await } else { serve(ctx, queue, http, &stop).await };
    stopping.abort();
    ended
}

/// Keeps the host as declared, and answers questions, until it is told to stop.
async fn serve(
    ctx: Arc<Context>,
    queue: UnboundedReceiver<Key>,
    http: Option<TcpListener>,
    stop: &CancellationToken,
) -> Result<Exit, Error> {
    let path = ctx.world.settings.socket();
    let socket = ControlSocket::bind(&path).map_err(|source| Error::file("listen at", &path, source))?;
    let mut servers = JoinSet::new();
    servers.spawn(http::serve_unix(socket, Arc::clone(&ctx) as Arc<dyn Operator>, Access::Full, stop.clone()));
    if let Some(listener) = http {
        tracing::info!(address = ?listener.local_addr().ok(), "answering");
        servers.spawn(http::serve(listener, Arc::clone(&ctx) as Arc<dyn Operator>, Access::ReadOnly, stop.clone()));
    }
    controller::run(ctx, queue).await;
    // Ended by itself, it has lost the containers to another Mooring.
    let was_asked = stop.is_cancelled();
    stop.cancel();
    servers.join_all().await;
    if was_asked {
        return Ok(Exit::Good);
    }
    Err(Error::Operator("mooring stopped by itself; the log says why".to_owned()))
}

/// Converges once, and tells what it came to.
async fn converge(ctx: &Arc<Context>, args: &RunArgs) -> Result<Exit, Error> {
    let problems = ctx.desired.problems();
    if !problems.is_empty() {
        ctx.close().await;
        return Err(Error::Refused(problems));
    }
    if let Some(trouble) = ctx.desired.trouble() {
        ctx.close().await;
        return Err(Error::Operator(trouble));
    }
    let outcome = output::patiently("converging", once(ctx, args.timeout.0)).await;
    ctx.close().await;
    match args.output {
        Format::Json => output::json(&outcome)?,
        Format::Text => output::print(&told(&outcome))?,
    }
    Ok(if outcome.is_converged() { Exit::Good } else { Exit::Differs })
}

fn told(outcome: &Outcome) -> String {
    let acted = outcome.acted.iter().map(|step| format!("done: {step}"));
    let unresolved = outcome.unresolved.iter().map(|(key, reason)| format!("not as declared: {key}: {reason}"));
    let end = if outcome.is_converged() { "everything is as declared" } else { "not everything could be made as declared" };
    output::lines(acted.chain(unresolved).chain([end.to_owned()]))
}

async fn listener(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::io(format!("could not listen at {address}"), source))
}

fn failed(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Run { what: what.to_owned(), source: Box::new(source) }
}
