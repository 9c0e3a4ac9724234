//! The command line: what was typed → what is asked, done and printed.
//!
//! Each command is a file with its arguments and its `run`. Nothing here knows
//! how a host is kept as declared: commands ask the running operator over its
//! control socket ([`backend`]), or change the files that are the truth.

mod age;
mod alerts;
mod apply;
mod audit;
pub mod backend;
pub mod claw;
mod client;
mod completions;
mod crds;
mod delete;
mod describe;
mod diff;
mod doctor;
mod engine;
mod error;
mod events;
mod expand;
mod explain;
mod get;
mod health;
mod hold;
mod logging;
mod output;
mod release;
mod run;
mod selection;
mod socket_proxy;
mod table;
mod validate;
mod version;
mod wait;
mod why;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{ArgAction, Args, Parser, Subcommand};

pub use error::Error;

use crate::settings::{Mode, Settings};

/// Keeps a Docker host where its owner declared it should be.
#[derive(Debug, Parser)]
#[command(name = "mooring", version, max_term_width = 110, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Objects are named as KIND/NAME or KIND NAME; kinds can be shortened (container, ctr; environment, env).

Exit codes:
  0  done, or nothing differs
  1  it differs, is not converged, or the condition was not met in time
  2  wrong usage, wrong input, or something failed

Examples:
  mooring run --desired ./shop --state /tmp/shop-state
  mooring apply -f web.yaml && mooring wait --for condition=Ready container/web
  mooring get all";

/// What every command can be told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Globals {
    /// The directory of the desired state: YAML manifests, which are the truth
    #[arg(long, global = true, env = "MOORING_DESIRED", value_name = "DIR", default_value = "/etc/mooring")]
    desired: PathBuf,
    /// The directory of the journal and of the control socket
    #[arg(long, global = true, env = "MOORING_STATE", value_name = "DIR", default_value = "/var/lib/mooring")]
    state: PathBuf,
    /// The name of this Mooring on the labels of its containers
    #[arg(long, global = true, env = "MOORING_OWNER", value_name = "NAME", default_value = Settings::OWNER)]
    owner: String,
    /// Where the engine listens
    #[arg(long, global = true, env = "DOCKER_HOST", value_name = "URL", default_value = Settings::ENGINE)]
    engine: String,
    /// How to write the log: text on a terminal, JSON otherwise
    #[arg(long, global = true, value_name = "FORMAT", value_enum)]
    log_format: Option<logging::Format>,
    /// Says more in the log; twice for even more. `RUST_LOG` goes before it
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

impl Globals {
    /// The settings of a command that only asks.
    fn settings(&self) -> Settings {
        Settings {
            // What is relative here is relative to where the command is typed, and must not be to anything else later.
            desired: absolute(&self.desired),
            state: absolute(&self.state),
            owner: self.owner.clone(),
            // Set and empty is not set, as Docker's own programs see it.
            engine: if self.engine.is_empty() { Settings::ENGINE.to_owned() } else { self.engine.clone() },
            http: None,
            resync: Settings::RESYNC,
            concurrency: Settings::CONCURRENCY,
            // Whoever only asks does not act, and asks what would be done.
            mode: Mode::Act,
            audit_anchor: None,
            hearing: crate::source::watch::Hearing::default(),
            database: None,
        }
    }
}

/// Who types, for the audit log.
fn user() -> String {
    crate::account::name(nix::unistd::getuid())
}

fn absolute(path: &Path) -> PathBuf {
    // It fails only without a current directory, and then what was typed is the best there is.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Apply(apply::ApplyArgs),
    Delete(delete::DeleteArgs),
    Get(get::GetArgs),
    Describe(describe::DescribeArgs),
    Diff(diff::DiffArgs),
    Wait(wait::WaitArgs),
    Events(events::EventsArgs),
    Alerts(alerts::AlertsArgs),
    Audit(audit::AuditArgs),
    Why(why::WhyArgs),
    Hold(hold::HoldArgs),
    Claw(claw::ClawArgs),
    Release(release::ReleaseArgs),
    Health(health::HealthArgs),
    SocketProxy(Box<socket_proxy::SocketProxyArgs>),
    Doctor(doctor::DoctorArgs),
    Validate(validate::ValidateArgs),
    Expand(expand::ExpandArgs),
    Explain(explain::ExplainArgs),
    Crds(crds::CrdsArgs),
    Completions(completions::CompletionsArgs),
    Version(version::VersionArgs),
}

impl Command {
    /// Whether it goes on until it is told to stop, and tells what it does meanwhile.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Run(args) => !args.ends_by_itself(),
            Self::SocketProxy(_) => true,
            _ => false,
        }
    }
}

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing differs: 0.
    Good,
    /// It differs, is not converged, or the condition was not met: 1.
    Differs,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => Self::SUCCESS,
            Exit::Differs => Self::from(1),
        }
    }
}

/// Reads the command line, does what it says, and reports what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = runtime(&cli.command).and_then(|runtime| {
        let ended = runtime.block_on(cli.execute());
        // A read of standard input or a name look-up may hang for ever, and nobody waits for it any more.
        runtime.shutdown_background();
        ended
    });
    ended.map_or_else(|error| output::report(&error), ExitCode::from)
}

/// The operator works on many objects at once; whoever only asks needs no threads.
fn runtime(command: &Command) -> Result<tokio::runtime::Runtime, Error> {
    let mut builder = match command {
        Command::Run(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build().map_err(|source| Error::io("could not start", source))
}

impl Cli {
    async fn execute(self) -> Result<Exit, Error> {
        let Self { globals, command } = self;
        logging::start(globals.log_format, globals.verbose, command.is_lasting());
        let settings = globals.settings();
        match command {
            Command::Run(args) => run::run(settings, *args).await,
            Command::Apply(args) => apply::run(&settings, args).await,
            Command::Delete(args) => delete::run(&settings, &args),
            Command::Get(args) => get::run(&settings, args).await,
            Command::Describe(args) => describe::run(&settings, args).await,
            Command::Diff(args) => diff::run(&settings, args).await,
            Command::Wait(args) => wait::run(&settings, args).await,
            Command::Events(args) => events::run(&settings, args).await,
            Command::Alerts(args) => alerts::run(&settings, args).await,
            Command::Audit(args) => audit::run(&settings, args).await,
            Command::Why(args) => why::run(&settings, args).await,
            Command::Hold(args) => hold::run(&settings, args).await,
            Command::Claw(args) => claw::run(&settings, args).await,
            Command::Release(args) => release::run(&settings, args).await,
            Command::Health(args) => health::run(&settings, args).await,
            Command::SocketProxy(args) => socket_proxy::run(&settings, *args).await,
            Command::Doctor(args) => doctor::run(&settings, args).await,
            Command::Validate(args) => validate::run(&settings, &args),
            Command::Expand(args) => expand::run(&settings, &args),
            Command::Explain(args) => explain::run(&args),
            Command::Crds(args) => crds::run(&args),
            Command::Completions(args) => completions::run::<Self>(&args),
            Command::Version(args) => version::run(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Example"), "{}", command.get_name());
            assert!(help.contains("\n  mooring "), "{}", command.get_name());
        }
    }
}
