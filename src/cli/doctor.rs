//! `mooring doctor`: what is wrong on this host that nobody says.

mod host;
mod nginx;
mod reload;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Error, Exit,
    output::{self, BAD, Format, GOOD, WARN, printable},
};
use crate::settings::Settings;

/// Look for what is wrong and says nothing
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring doctor
  mooring doctor nginx --container edge
  mooring doctor nginx ./nginx/sites -o json

Exit codes: 0 nothing was found, 1 something was, 2 it cannot be said",
    long_about = "Look for what is wrong and says nothing: whether the engine answers, whether Mooring's directories can be used, and what nginx on this host and in its containers takes for right although it is not."
)]
pub(super) struct DoctorArgs {
    #[command(subcommand)]
    check: Option<Check>,
    /// How to write what was found
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Check {
    Nginx(nginx::NginxArgs),
}

/// What one check came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    /// What was looked at.
    check: String,
    verdict: Verdict,
    /// What was seen, in a sentence.
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Verdict {
    Good,
    Wrong,
    /// There is nothing to look at.
    Skipped,
}

pub(super) async fn run(settings: &Settings, args: DoctorArgs) -> Result<Exit, Error> {
    match args.check {
        Some(Check::Nginx(args)) => nginx::run(settings, args).await,
        None => everything(settings, args.output).await,
    }
}

async fn everything(settings: &Settings, format: Format) -> Result<Exit, Error> {
    let mut checks = output::patiently("looking", host::check(settings)).await;
    let (found, blind) = output::patiently("looking into nginx", nginx::everywhere(settings)).await;
    if found.is_empty() && blind.is_empty() {
        checks.push(Checked {
            check: "nginx".to_owned(),
            verdict: Verdict::Skipped,
            message: "there is none on this host, and no container of an image with that name".to_owned(),
        });
    }
    checks.extend(found.iter().map(nginx::Found::checked).chain(blind));
    match format {
        Format::Json => {
            output::json(&serde_json::json!({"checks": checks, "nginx": found}))?;
        }
        Format::Text => {
            output::print(&output::lines(checks.iter().map(line)))?;
            for found in found {
                output::print(&found.text())?;
            }
        }
    }
    let wrong = checks.iter().any(|checked| checked.verdict == Verdict::Wrong);
    Ok(if wrong { Exit::Differs } else { Exit::Good })
}

fn line(checked: &Checked) -> String {
    let Checked { check, verdict, message } = checked;
    let (style, word) = match verdict {
        Verdict::Good => (GOOD, "good"),
        Verdict::Wrong => (BAD, "wrong"),
        Verdict::Skipped => (WARN, "skipped"),
    };
    format!("{style}{word:<8}{style:#}{}: {}", printable(check), printable(message))
}
