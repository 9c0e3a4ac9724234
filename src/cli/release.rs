//! `mooring release`: try again.

use clap::Args;
use serde_json::json;

use super::{
    Error, Exit,
    backend::Backend,
    get::name,
    output::{self, Format},
    selection,
};
use crate::settings::Settings;

/// Let Mooring try again with an object that it gave up or leaves alone
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mooring release container/web")]
pub(super) struct ReleaseArgs {
    /// KIND/NAME or KIND NAME
    #[arg(value_name = "OBJECT", required = true)]
    object: Vec<String>,
    /// How to write the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: ReleaseArgs) -> Result<Exit, Error> {
    let key = selection::one(&args.object)?;
    let backend = Backend::running(settings).await?;
    // Asked first, so that a slip of the finger is answered with the right name.
    backend.object(&key).await?;
    backend.release(&key, "cli").await?;
    match args.output {
        Format::Json => output::json(&json!({"released": key}))?,
        Format::Text => output::line(&format!("{} released", name(&key)))?,
    }
    Ok(Exit::Good)
}
