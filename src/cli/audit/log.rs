//! `mooring audit log`: every act, with its reason and its outcome.

use std::path::PathBuf;

use clap::Args;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    cli::{
        Error, Exit,
        age::moment,
        backend::Backend,
        output::{self, Format},
        table::Columns,
        user,
    },
    manifest::{Key, quantity::Duration},
    record::{self, Record, journal::Actor},
    settings::Settings,
    view::{AuditQuery, AuditView},
};

/// List the last entries of the audit log, newest last
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring audit log --limit 20
  mooring audit log --for container/web --since 2h --outcome failed
  mooring audit log --follow
  mooring audit log --clear --confirm",
    long_about = "List the last entries of the audit log, newest last.\n\nThat somebody reads it by way of a running Mooring is an entry itself.\n\n--clear moves everything but what is under way into an archive in the state directory. The log goes on from there: its next row names the archive and the digest of the archive's last row."
)]
pub(in crate::cli) struct LogArgs {
    /// Only those of one object
    #[arg(long = "for", value_name = "KIND/NAME")]
    object: Option<Key>,
    /// Only those of one actor, as `reconciler` or `cli:root`
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only those of one operation, as `StartContainer`
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
    /// Only those on one target, as `redis`
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Only those that ended like this
    #[arg(long, value_parser = ["done", "already-so", "failed", "unknown", "open"])]
    outcome: Option<String>,
    /// Only those since a moment (2026-11-21T14:00:00Z) or for a time (2h)
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<Timestamp>,
    /// Only those until a moment, or until so long ago
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<Timestamp>,
    /// How many of the last ones
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Goes on with every act when it has ended
    #[arg(short, long, conflicts_with = "until")]
    follow: bool,
    /// Moves what there is into an archive; `--confirm` has to be said as well
    #[arg(long, requires = "confirm", conflicts_with_all = ["follow", "object", "actor", "operation", "target", "outcome", "since", "until"])]
    clear: bool,
    /// Says that `--clear` is meant
    #[arg(long, requires = "clear")]
    confirm: bool,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// A moment, or how long ago.
fn when(text: &str) -> Result<Timestamp, String> {
    let ago =
        |Duration(ago): Duration| Timestamp::now().checked_sub(SignedDuration::try_from(ago).unwrap_or(SignedDuration::MAX));
    match text.parse::<Duration>() {
        Ok(duration) => ago(duration).map_err(|_| "that is longer ago than time goes back".to_owned()),
        Err(_) => text.parse().map_err(|_| "expected a moment such as 2026-11-21T14:00:00Z, or a time such as 2h".to_owned()),
    }
}

pub(in crate::cli) async fn run(settings: &Settings, args: LogArgs) -> Result<Exit, Error> {
    if args.clear {
        return clear(settings, args.output).await;
    }
    let (follow, format) = (args.follow, args.output);
    let query = query(args);
    if follow {
        return self::follow(&Backend::running(settings).await?, &query, format).await;
    }
    let entries = Backend::any(settings).await?.audit(&query).await?;
    match format {
        Format::Json => output::json(&json!({"items": entries}))?,
        Format::Text if entries.is_empty() => output::note("nothing like that has been done yet"),
        Format::Text => output::print(&rendered(&entries))?,
    }
    Ok(Exit::Good)
}

fn query(args: LogArgs) -> AuditQuery {
    let LogArgs { object, actor, operation, target, outcome, since, until, limit, .. } = args;
    AuditQuery { object, actor, operation, target, outcome, since, until, before: None, limit: usize::from(limit) }
}

async fn follow(backend: &Backend, query: &AuditQuery, format: Format) -> Result<Exit, Error> {
    let mut entries = backend.follow_audit(query).await?;
    if format == Format::Text {
        output::line(&COLUMNS.headings())?;
    }
    while let Some(entry) = entries.next().await.transpose()? {
        match format {
            Format::Json => output::json_line(&entry)?,
            Format::Text => output::line(&row(&entry))?,
        }
    }
    Ok(Exit::Good)
}

/// Done here and not by the operator, whose work goes on meanwhile: whoever may write the state directory may do it.
async fn clear(settings: &Settings, format: Format) -> Result<Exit, Error> {
    let recorded = Record::join(&settings.state, record::Settings::default()).await;
    let record = recorded.map_err(|error| Error::Operator(crate::error_chain(&error)))?;
    let archive: PathBuf = settings.state.join(format!("audit-{}.jsonl", Timestamp::now().strftime("%Y%m%dT%H%M%SZ")));
    let cleared = output::patiently("archiving", record.journal.clear(&Actor::Cli(user()), &archive)).await;
    record.shutdown().await;
    let cleared = cleared?;
    match (format, &cleared) {
        (Format::Json, _) => output::json(&cleared)?,
        (Format::Text, None) => output::note("there is nothing to archive"),
        (Format::Text, Some(cleared)) => {
            output::line(&format!("{} rows are in {} now", cleared.rows, cleared.archive.display()))?;
            output::note(&format!("`mooring audit verify --archive {}` verifies both", cleared.archive.display()));
        }
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
