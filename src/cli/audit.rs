//! `mooring audit`: the record of every act, to be read, verified and kept.

mod export;
pub(super) mod log;
mod verify;

use clap::{Args, Subcommand};

use super::{Error, Exit};
use crate::{record::audit::AuditLog, settings::Settings};

/// Show what Mooring did, why, and how it ended; check that the record is true
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring audit log
  mooring audit log --for container/web --limit 20
  mooring audit verify
  mooring audit export > audit.jsonl")]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Log(Box<log::LogArgs>),
    Verify(Box<verify::VerifyArgs>),
    Export(export::ExportArgs),
}

pub(super) async fn run(settings: &Settings, args: AuditArgs) -> Result<Exit, Error> {
    match args.command {
        AuditCommand::Log(args) => log::run(settings, *args).await,
        AuditCommand::Verify(args) => verify::run(settings, *args).await,
        AuditCommand::Export(args) => export::run(settings, args).await,
    }
}

/// The log in the state directory.
fn log_in(settings: &Settings) -> Result<AuditLog, Error> {
    AuditLog::of(&settings.state).ok_or_else(|| Error::Usage {
        message: format!("there is no audit log in {}", settings.state.display()),
        help: "name the state directory of the Mooring that wrote it, as in --state /var/lib/mooring".to_owned(),
    })
}
