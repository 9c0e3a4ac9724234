//! `mooring audit log`: every act, with its reason and its outcome.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    Error, Exit,
    age::moment,
    backend::Backend,
    output::{self, Format},
    table::Columns,
};
use crate::{manifest::Key, settings::Settings, view::AuditView};

/// Show what Mooring did, why, and how it ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring audit log
  mooring audit log --for container/web --limit 20
  mooring audit log -o json")]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    Log(LogArgs),
}

/// List the last entries of the audit log, newest last
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  mooring audit log --limit 20")]
struct LogArgs {
    /// Only those of one object
    #[arg(long = "for", value_name = "KIND/NAME")]
    object: Option<Key>,
    /// How many of the last ones
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: AuditArgs) -> Result<Exit, Error> {
    let AuditCommand::Log(args) = args.command;
    let entries = Backend::any(settings).await?.audit(args.object.as_ref(), usize::from(args.limit)).await?;
    match args.output {
        Format::Json => output::json(&json!({"items": entries}))?,
        Format::Text if entries.is_empty() => output::note("nothing has been done yet"),
        Format::Text => output::print(&rendered(&entries))?,
    }
    Ok(Exit::Good)
}

const COLUMNS: Columns = Columns::new(&[("ID", 5), ("TIME", 20), ("ACTOR", 10), ("OBJECT", 24), ("OUTCOME", 10), ("STEP", 0)]);

fn rendered(entries: &[AuditView]) -> String {
    output::lines(std::iter::once(COLUMNS.headings()).chain(entries.iter().map(row)))
}

fn row(entry: &AuditView) -> String {
    let error = entry.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    let style = match entry.outcome.as_str() {
        "failed" => output::BAD,
        "unknown" | "open" => output::WARN,
        _ => output::PLAIN,
    };
    let cells = [
        entry.id.to_string(),
        moment(&entry.created_at),
        entry.actor.clone(),
        entry.object.clone(),
        entry.outcome.clone(),
        format!("{}, because {}{error}", entry.action, entry.because),
    ];
    format!("{style}{}{style:#}", COLUMNS.row(cells))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::http::fake::entry;

    #[test]
    fn an_entry_says_who_did_what_why_and_how_it_ended() {
        let failed = AuditView { id: 8, outcome: "failed".to_owned(), error: Some("port is taken".to_owned()), ..entry() };
        expect![[r#"
            ID      TIME                   ACTOR        OBJECT                     OUTCOME      STEP
            7       2026-01-02T03:04:05Z   reconciler   Container/web              done         start web, because it exited with 137
            8       2026-01-02T03:04:05Z   reconciler   Container/web              failed       start web, because it exited with 137: port is taken
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&rendered(&[entry(), failed])).to_string());
    }
}
