//! A long audit log: how long it takes to verify.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use mooring::record::{
    Record, Settings,
    audit::AuditLog,
    events::Subject,
    journal::{Actor, Command, Outcome},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    Options, Result,
    report::{Row, Unit, millis},
};

/// As many as the writer takes into one transaction.
const AT_ONCE: usize = 256;

/// A log of a million rows, written by the journal itself → verified to the last one.
pub(crate) async fn verified(options: &Options) -> Result<Row> {
    let (rows, times) = if options.quick { (100_000, 3) } else { (1_000_000, 5) };
    eprintln!("writing {rows} rows of the audit log ...");
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let record = Record::join(state.path(), Settings::default()).await?;
    let acts = stream::iter(0..rows / 2).map(|number| {
        let journal = record.journal.clone();
        async move {
            let details = json!({
                "words": "start web", "action": {"operation": "StartContainer", "container": {"name": "web", "id": "0".repeat(64)}},
                "why": {"code": "NotRunning", "exitCode": 137}, "number": number,
            });
            let command = Command {
                actor: &Actor::Reconciler,
                operation: "StartContainer",
                object: &Subject::Host,
                target: "web",
                why: "it exited with 137",
                details: &details,
                outcome: &Outcome::Done,
            };
            journal.note(&command).await
        }
    });
    acts.buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
    record.shutdown().await;

    eprintln!("verifying them {times} times ...");
    let log = AuditLog::of(state.path()).ok_or("the log is gone")?;
    let mut row = Row::new(&format!("audit log of {rows} rows verified"), Unit::Millis, "≤ 5000 for 1000000");
    for _ in 0..times {
        let began = Instant::now();
        let verified = log.verify(&[], &[], |_| {}).await?;
        row.measured.push(millis(began.elapsed()));
        if verified.fault.is_some() || verified.rows != u64::try_from(rows)? {
            return Err(format!("{verified:?}").into());
        }
    }
    Ok(row)
}
