//! Nothing is wrong: what looking costs, and how long the first look takes.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use tokio::time::{Instant, sleep};

use super::{
    Options, Result,
    engine::Engine,
    proxy::Request,
    report::{Row, Unit},
    stage::{Stage, sleepers},
};

/// The last words about what was done are written down by then, and blocking threads have ended.
const SETTLED: Duration = Duration::from_secs(25);

/// Fifty containers: a resync without drift, idling, starting.
pub(crate) async fn steady(engine: &Engine, options: &Options) -> Result<Vec<Row>> {
    eprintln!("making 50 containers ...");
    let mut stage = Stage::open(engine, &sleepers(50)).await?;
    let mut rows = idle(&stage, 50, "≤ 0.1", "≤ 15", options.quick).await?;
    let mut start = Row::new("process start → all 50 looked at", Unit::Millis, "≤ 300");
    eprintln!("starting again and again ...");
    for _ in 0..if options.quick { 5 } else { 20 } {
        stage = stage.restart().await?;
        start.measured.push(stage.child.ready().await?.as_secs_f64() * 1e3);
        // So that no resync of a process that is stopped falls into the next start.
        sleep(Duration::from_millis(500)).await;
        let asked = Instant::now();
        engine.look().await?;
        start.floor.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    rows.push(start);
    stage.close(engine).await?;
    Ok(rows)
}

/// Three hundred containers: idling.
pub(crate) async fn crowd(engine: &Engine, options: &Options) -> Result<Vec<Row>> {
    eprintln!("making 300 containers ...");
    let stage = Stage::open(engine, &sleepers(300)).await?;
    let rows = idle(&stage, 300, "≤ 1 with 1000", "≤ 45 with 1000", options.quick).await?;
    stage.close(engine).await?;
    Ok(rows)
}

/// Watches an operator that has nothing to do.
async fn idle(stage: &Stage, containers: usize, goal_cpu: &str, goal_rss: &str, quick: bool) -> Result<Vec<Row>> {
    let window = Duration::from_secs(if quick { 20 } else { 60 });
    eprintln!("watching it idle with {containers} containers for {} s ...", window.as_secs());
    sleep(SETTLED).await;
    let (before, written) = (stage.child.usage()?, written(&stage.state())?);
    let rows_before = rows_in(&stage.state()).await?;
    stage.proxy.take();
    sleep(window).await;
    let (after, requests) = (stage.child.usage()?, stage.proxy.take());
    let rewritten = u32::from(self::written(&stage.state())? != written);
    let rows_written = rows_in(&stage.state()).await? - rows_before;

    let asked = |what: &str| u32::try_from(requests.iter().filter(|request| is(request, what)).count());
    let lists = asked("/containers/json")?;
    let others = u32::try_from(requests.len())? - lists;
    let used = after.processor.saturating_sub(before.processor).as_secs_f64() / window.as_secs_f64() * 100.0;
    let sleeps = f64::from(u32::try_from(after.sleeps.saturating_sub(before.sleeps))?) / window.as_secs_f64();
    let resyncs = window.as_secs_f64() / 10.0;
    let of = |what: &str| format!("{what}, {containers} containers");
    Ok(vec![
        Row::single(of("lists per resync without drift"), Unit::Count, f64::from(lists) / resyncs, "1"),
        Row::single(of("other requests per resync"), Unit::Count, f64::from(others) / resyncs, "0"),
        Row::single(of("rows and files written by resyncs"), Unit::Count, f64::from(rows_written + rewritten), "0"),
        Row::single(of("idle: % of a core"), Unit::Percent, used, goal_cpu),
        Row::single(of("idle: threads put to sleep per second"), Unit::Count, sleeps, ""),
        Row::single(of("resident memory"), Unit::Mebibytes, after.resident_mib, goal_rss),
        Row::single(of("… of it not mapped from files"), Unit::Mebibytes, after.anonymous_mib, ""),
    ])
}

fn is(request: &Request, what: &str) -> bool {
    request.line.split([' ', '?']).nth(1).is_some_and(|path| path.ends_with(what))
}

/// When the database's files were written last.
fn written(state: &Path) -> Result<Vec<(PathBuf, SystemTime)>> {
    let files = ["mooring.db", "mooring.db-wal"].map(|file| state.join(file));
    files.into_iter().map(|file| Ok((file.clone(), file.metadata()?.modified()?))).collect()
}

async fn rows_in(state: &Path) -> Result<u32> {
    let mut database = SqliteConnectOptions::new().filename(state.join("mooring.db")).read_only(true).connect().await?;
    let count = "SELECT (SELECT count(*) FROM audit) + (SELECT coalesce(sum(count), 0) FROM event)";
    Ok(sqlx::query_scalar(count).fetch_one(&mut database).await?)
}

/// The program as it is shipped.
pub(crate) fn size() -> Result<Row> {
    let bytes = u32::try_from(Path::new(env!("CARGO_BIN_EXE_mooring")).metadata()?.len())?;
    Ok(Row::single("size of the program, stripped".to_owned(), Unit::Megabytes, f64::from(bytes) / 1e6, "≤ 20"))
}
