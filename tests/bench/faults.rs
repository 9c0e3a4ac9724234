//! Times to heal on a real engine, each beside its floor: the same done by hand on the bare engine, in the same run and
//! in turns, so that a busy machine slows both. `docs/benchmark.md` says how to read the table.
//!
//! Mooring runs in a process of its own, which is this very program in another mode: its processor time and its memory
//! are then nobody else's.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]
#![expect(clippy::print_stderr, reason = "progress, apart from the table")]

mod audit;
mod backends;
mod child;
mod containers;
mod engine;
mod http;
mod model;
mod nginx;
mod operator;
mod proxy;
mod report;
mod secrets;
mod sites;
mod stage;
mod steady;
mod viewers;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use engine::Engine;
use report::{Machine, Row};

/// Whatever goes wrong ends the run; there is nobody to recover for.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The owner of all containers that Mooring makes here.
const OWNER: &str = "bench";

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Item {
    /// `docker kill` → running, and our share of it
    Killed,
    /// `docker rm -f` → running
    Removed,
    /// The engine says unhealthy → restart requested
    Unhealthy,
    /// A line of a file of secrets, or the whole file, deleted → back
    Secrets,
    /// A backend moved → nginx leads there, in both modes and with 10, 100 and 1000 routes
    Moved,
    /// A generated nginx file edited by hand → restored
    Edited,
    /// A hundred moves without a pause: reloads
    Storm,
    /// A hundred reloads under load: requests that failed
    Reloads,
    /// A model removed from ollama → pulled again
    Model,
    /// A long audit log: verified
    Audit,
    /// With 50 containers: a resync without drift, idling, starting
    Steady,
    /// With 300 containers: idling
    Crowd,
    /// With 300 containers: 200 people look at the dashboard
    Viewers,
    /// The size of the program
    Size,
}

/// Measure how fast faults are healed
#[derive(Debug, Parser)]
struct Options {
    /// What to measure; everything unless named
    #[arg(value_enum)]
    items: Vec<Item>,
    /// Ten faults of each sort instead of fifty, and 20 s instead of 60 s of idling
    #[arg(long)]
    quick: bool,
    /// Leave out the 300 containers, which take minutes to make
    #[arg(long)]
    skip_300: bool,
    /// Write the table in Markdown
    #[arg(long)]
    markdown: bool,
    /// `json` for every single figure
    #[arg(short, long)]
    output: Option<String>,
    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the operator on this directory
    #[arg(long, hide = true, requires = "socket")]
    operate: Option<PathBuf>,
    /// The operator's way to the engine
    #[arg(long, hide = true)]
    socket: Option<PathBuf>,
}

impl Options {
    fn faults(&self) -> usize {
        if self.quick { 10 } else { 50 }
    }

    fn wants(&self, item: Item) -> bool {
        let asked_for = self.items.is_empty() || self.items.contains(&item);
        asked_for && !(matches!(item, Item::Crowd | Item::Viewers) && self.skip_300)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be made");
    let ended = match (&options.operate, &options.socket) {
        (Some(directory), Some(socket)) => runtime.block_on(operator::run(directory, socket)),
        _ => runtime.block_on(bench(&options)),
    };
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", mooring::error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Measures, and leaves nothing behind however it ends.
async fn bench(options: &Options) -> Result<()> {
    let engine = Engine::connect().await?;
    engine.clean().await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let measured = tokio::select! {
        rows = measure(options, &engine) => rows,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        _ = terminated.recv() => Err("terminated".into()),
    };
    // Whoever would make them again is gone by now: its process ended with the future that held it.
    engine.clean().await?;
    let (rows, machine) = (measured?, Machine::look(&engine).await?);
    match options.output.as_deref() {
        Some("json") => println!("{}", report::json(&machine, &rows)),
        _ => println!("{}", report::table(&machine, &rows, options.markdown)),
    }
    Ok(())
}

async fn measure(options: &Options, engine: &Engine) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants(Item::Killed) {
        rows.extend(containers::killed(engine, options.faults()).await?);
    }
    if options.wants(Item::Removed) {
        rows.push(containers::removed(engine, options.faults()).await?);
    }
    if options.wants(Item::Unhealthy) {
        rows.push(containers::unhealthy(engine, options.faults()).await?);
    }
    if options.wants(Item::Secrets) {
        rows.extend(secrets::secrets(engine, options.faults()).await?);
    }
    if options.wants(Item::Moved) {
        rows.extend(sites::moved(engine, options).await?);
    }
    if options.wants(Item::Edited) {
        rows.push(sites::edited(engine, options.faults()).await?);
    }
    if options.wants(Item::Storm) {
        rows.extend(sites::storm(engine, options).await?);
    }
    if options.wants(Item::Reloads) {
        rows.push(sites::reloads(engine, options).await?);
    }
    if options.wants(Item::Model) {
        rows.push(model::removed(engine, options.faults() / 5).await?);
    }
    if options.wants(Item::Audit) {
        rows.extend(audit::audit(options).await?);
    }
    if options.wants(Item::Steady) {
        rows.extend(steady::steady(engine, options).await?);
    }
    if options.wants(Item::Crowd) {
        rows.extend(steady::crowd(engine, options).await?);
    }
    if options.wants(Item::Viewers) {
        rows.extend(viewers::viewers(engine, options).await?);
    }
    if options.wants(Item::Size) {
        rows.push(steady::size()?);
    }
    Ok(rows)
}
