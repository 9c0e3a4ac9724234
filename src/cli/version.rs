//! `mooring version`.

use clap::Args;
use serde_json::json;

use super::{
    Error, Exit,
    output::{self, Format},
};
use crate::manifest::API_VERSION;

/// Print the version
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mooring version -o json")]
pub(super) struct VersionArgs {
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &VersionArgs) -> Result<Exit, Error> {
    let version = env!("CARGO_PKG_VERSION");
    match args.output {
        Format::Json => output::json(&json!({"version": version, "apiVersion": API_VERSION}))?,
        Format::Text => output::line(&format!("mooring {version} ({API_VERSION})"))?,
    }
    Ok(Exit::Good)
}
