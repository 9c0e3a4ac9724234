//! `mooring audit verify`: whether the log is what was written.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::log_in;
use crate::{
    cli::{
        Error, Exit,
        output::{self, Format},
    },
    record::{
        audit::{Verified, read_anchors},
        chain::Fault,
        ship::Target,
    },
    settings::Settings,
};

/// Check that no row of the audit log was changed, removed, put in or cut off
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring audit verify
  mooring audit verify --anchor /mnt/elsewhere/mooring.anchors
  mooring audit verify --archive audit-1-532.jsonl",
    long_about = "Check that no row of the audit log was changed, removed, put in or cut off.\n\nThe file in the state directory is read, whether Mooring runs or not, and nothing is changed. Whoever owns that file could write the whole log anew, or cut off its end: to find that out, compare with what was noted elsewhere (`mooring run --audit-anchor FILE`, the events AuditHead, the metric mooring_audit_head).\n\nExit codes: 0 the log is good, 1 it is not, 2 it could not be read."
)]
pub(super) struct VerifyArgs {
    /// Rows that were noted elsewhere, one JSON object a line
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// An archive that the log goes on from; several, oldest first
    #[arg(long, value_name = "FILE")]
    archive: Vec<PathBuf>,
    /// Verify what was shipped to this PostgreSQL instead
    #[arg(long, value_name = "URL", conflicts_with_all = ["anchor", "archive"])]
    database_url: Option<Target>,
    /// How to write the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: VerifyArgs) -> Result<Exit, Error> {
    if let Some(target) = &args.database_url {
        return shipped(target, args.output).await;
    }
    let log = log_in(settings)?;
    let noted = args.anchor.as_deref().map(read_anchors).transpose()?.unwrap_or_default();
    for broken in &noted.broken {
        output::note(&format!("{broken}; it may have been broken off, and is passed over"));
    }
    let bar = output::spinner("verifying");
    let verified = log.verify(&args.archive, &noted.anchors, |row| bar.set_message(format!("verifying, at row {row}"))).await;
    bar.finish_and_clear();
    let verified = verified?;
    let is_good = verified.fault.is_none();
    match args.output {
        Format::Json => output::json(&json!({
            "good": is_good,
            "rows": verified.rows,
            "unsealed": verified.unsealed,
            "head": verified.head,
            "anchors": verified.anchors,
            "brokenAnchors": noted.broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "archive": verified.archive,
            "fault": verified.fault.as_ref().map(ToString::to_string),
            "row": verified.fault.as_ref().map(Fault::row),
        }))?,
        Format::Text => output::print(&rendered(&verified))?,
    }
    Ok(if is_good { Exit::Good } else { Exit::Differs })
}

/// Each log that was shipped to a database.
async fn shipped(target: &Target, format: Format) -> Result<Exit, Error> {
    let logs = output::patiently("verifying", target.verify()).await?;
    let is_good = logs.iter().all(|(_, verified)| verified.fault.is_none());
    match format {
        Format::Json => {
            let logs = logs.iter().map(|(journal, Verified { rows, head, fault, .. })| {
                json!({
                    "journal": journal, "good": fault.is_none(), "rows": rows, "head": head,
                    "fault": fault.as_ref().map(ToString::to_string), "row": fault.as_ref().map(Fault::row),
                })
            });
            output::json(&json!({"good": is_good, "journals": logs.collect::<Vec<_>>()}))?;
        }
        Format::Text => {
            let (good, bad) = (output::GOOD, output::BAD);
            let lines = logs.iter().map(|(journal, Verified { rows, fault, .. })| match fault {
                None => format!("{good}good:{good:#} {rows} rows of journal {journal}"),
                Some(fault) => format!("{bad}not good:{bad:#} in journal {journal}, {fault}"),
            });
            output::print(&output::lines(lines))?;
        }
    }
    Ok(if is_good { Exit::Good } else { Exit::Differs })
}

fn rendered(verified: &Verified) -> String {
    let (good, bad) = (output::GOOD, output::BAD);
    let mut told = match (&verified.fault, &verified.head) {
        (Some(fault), _) => vec![format!("{bad}not good:{bad:#} {fault}"), format!("{} rows before it are good", verified.rows)],
        (None, None) => vec![format!("{good}good:{good:#} the log is empty")],
        (None, Some(head)) => {
            vec![format!("{good}good:{good:#} {} rows, the last one is {} with the digest {}", verified.rows, head.id, head.hash)]
        }
    };
    if verified.anchors > 0 {
        told.push(format!("{} anchored rows are as they were", verified.anchors));
    }
    if verified.unsealed > 0 {
        told.push(format!(
            "{} rows in front are of a version that wrote no digests; nobody can vouch for them",
            verified.unsealed
        ));
    }
    if let Some(archive) = &verified.archive {
        told.push(format!("it goes on from {0}; `--archive {0}` verifies that, too", archive.display()));
    }
    output::lines(told)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::record::chain::Head;

    fn shows(verified: &Verified, expected: &Expect) {
        expected.assert_eq(&anstream::adapter::strip_str(&rendered(verified)).to_string());
    }

    #[test]
    fn it_says_how_far_the_log_is_good_and_what_that_rests_on() {
        shows(
            &Verified::default(),
            &expect![[r#"
            good: the log is empty
        "#]],
        );
        let head = Some(Head { id: 532, hash: "c0ffee".into() });
        let whole = Verified { rows: 12, unsealed: 3, head, archive: Some("audit-1-520.jsonl".into()), anchors: 2, fault: None };
        shows(
            &whole,
            &expect![[r#"
            good: 12 rows, the last one is 532 with the digest c0ffee
            2 anchored rows are as they were
            3 rows in front are of a version that wrote no digests; nobody can vouch for them
            it goes on from audit-1-520.jsonl; `--archive audit-1-520.jsonl` verifies that, too
        "#]],
        );
        shows(
            &Verified { rows: 6, fault: Some(Fault::Changed { id: 7 }), ..Verified::default() },
            &expect![[r#"
            not good: row 7 was changed: its content does not have the digest that it carries
            6 rows before it are good
        "#]],
        );
    }
}
