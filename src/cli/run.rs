//! `mooring run`: the operator itself.

use std::{net::SocketAddr, process};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Error, Exit, output::Format};
use crate::{
    manifest::quantity,
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
#[expect(clippy::unused_async, reason = "the controller is put in here")]
async fn run_operator(settings: Settings, args: &RunArgs, stop: CancellationToken) -> Result<Exit, Error> {
    let _ = (settings, args, stop);
    Err(Error::Operator("the controller is not put in yet".to_owned()))
}
