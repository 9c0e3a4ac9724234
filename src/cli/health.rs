//! `mooring health`: what a container's health check asks.

use clap::Args;

use super::{
    Error, Exit,
    client::Client,
    output::{self, Format},
};
use crate::{settings::Settings, view::Health};

/// Say whether the mooring that runs here is alive, or ready
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring health
  mooring health --ready -o json

Alive: its loop has turned lately. Ready: it has seen the whole host, the engine answers, and the journal can be written.

Exit codes:
  0  it is
  1  it is not, and the answer says why
  2  no mooring runs here")]
pub(super) struct HealthArgs {
    /// Ask whether it is ready, which is more than alive
    #[arg(long)]
    ready: bool,
    /// How to write the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: HealthArgs) -> Result<Exit, Error> {
    let health = Client::new(&settings.socket()).health().await?;
    let is_well = health.alive && (!args.ready || health.not_ready.is_empty());
    match args.output {
        Format::Json => output::json(&health)?,
        Format::Text => output::line(&words(&health))?,
    }
    Ok(if is_well { Exit::Good } else { Exit::Differs })
}

fn words(health: &Health) -> String {
    let dead = (!health.alive).then_some("not alive: the loop has not turned for a while").into_iter();
    let not_ready = health.not_ready.iter().map(|reason| format!("not ready: {reason}"));
    let reasons: Vec<_> = dead.map(str::to_owned).chain(not_ready).collect();
    if reasons.is_empty() { "alive and ready".to_owned() } else { reasons.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told() {
        let well = Health { alive: true, ..Health::default() };
        assert_eq!(words(&well), "alive and ready");
        let ill = Health { alive: false, not_ready: vec!["the engine cannot be reached".to_owned()], ..Health::default() };
        assert_eq!(words(&ill), "not alive: the loop has not turned for a while\nnot ready: the engine cannot be reached");
    }
}
