//! The audit log: how long an act waits for its row, how many rows there can be, and how long it takes to verify a million of them.

use std::{fs::File, io::Write as _, path::Path};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use mooring::record::{
    Record, Settings,
    audit::AuditLog,
    events::Subject,
    journal::{Actor, Command, Outcome},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Options, Result,
    report::{Row, Unit, millis},
};

/// As many as the writer takes into one transaction.
const AT_ONCE: usize = 256;
/// What a short transaction comes to on the disk: a page or two of the write-ahead log.
const PAGE: [u8; 4096] = [0; 4096];

/// All there is to know of it.
pub(crate) async fn audit(options: &Options) -> Result<Vec<Row>> {
    let alone = alone(options).await?;
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let rows = if options.quick { 100_000 } else { 1_000_000 };
    let together = together(state.path(), rows).await?;
    Ok(vec![alone, together, verified(state.path(), rows, options).await?])
}

/// The row of one act, until it is durable; the floor is a page that is appended to a file and synced.
async fn alone(options: &Options) -> Result<Row> {
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let record = Record::join(state.path(), Settings::default()).await?;
    let mut file = File::create(state.path().join("floor"))?;
    let mut row = Row::new("row of the audit log → durable", Unit::Millis, "p99 ≤ 5");
    for number in 0..if options.quick { 100 } else { 1_000 } {
        let (details, began) = (details(number), Instant::now());
        record.journal.announce(&command(&details)).await?;
        row.measured.push(millis(began.elapsed()));
        let began = Instant::now();
        file.write_all(&PAGE)?;
        file.sync_data()?;
        row.floor.push(millis(began.elapsed()));
    }
    record.shutdown().await;
    Ok(row)
}

/// So many rows, as many at once as there is room for: how many of them in a second.
async fn together(state: &Path, rows: usize) -> Result<Row> {
    eprintln!("writing {rows} rows of the audit log ...");
    let record = Record::join(state, Settings::default()).await?;
    let began = Instant::now();
    let acts = stream::iter(0..rows / 2).map(|number| {
        let journal = record.journal.clone();
        async move { journal.note(&command(&details(number))).await }
    });
    acts.buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
    let seconds = began.elapsed().as_secs_f64();
    record.shutdown().await;
    let rate = f64::from(u32::try_from(rows)?) / seconds;
    Ok(Row::single(format!("rows of the audit log per second, {AT_ONCE} acts at once"), Unit::Count, rate, "≥ 5000"))
}

/// A log that the journal has written → verified to the last row.
async fn verified(state: &Path, rows: usize, options: &Options) -> Result<Row> {
    let times = if options.quick { 3 } else { 5 };
    eprintln!("verifying them {times} times ...");
    let log = AuditLog::of(state).ok_or("the log is gone")?;
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

fn details(number: usize) -> Value {
    json!({
        "words": "start web", "action": {"operation": "StartContainer", "container": {"name": "web", "id": "0".repeat(64)}},
        "why": {"code": "NotRunning", "exitCode": 137}, "number": number,
    })
}

const fn command(details: &Value) -> Command<'_> {
    Command {
        actor: &Actor::Reconciler,
        operation: "StartContainer",
        object: &Subject::Host,
        target: "web",
        why: "it exited with 137",
        details,
        outcome: &Outcome::Done,
    }
}
