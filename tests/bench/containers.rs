//! Faults of containers. Each fault of one of Mooring's is followed by the same one that is mended by hand.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Result,
    engine::{Engine, Heard},
    report::{Row, Unit, millis},
    stage::{Stage, name, patients, sleepers},
};

/// Enough that a container has come to rest before it is broken again.
const CONTAINERS: usize = 10;
/// Health checks load the engine, so there are fewer of these.
const PATIENTS: usize = 5;
/// Between two faults: what follows from the last one is over by then.
const REST: Duration = Duration::from_millis(400);
/// The container that is mended by hand.
const BY_HAND: &str = "bench-by-hand";
const UNHEALTHY: &str = "health_status: unhealthy";

/// `docker kill` → running, and what of it is ours.
pub(crate) async fn killed(engine: &Engine, faults: usize) -> Result<[Row; 2]> {
    eprintln!("killing {faults} containers ...");
    let stage = Stage::open(engine, &sleepers(CONTAINERS)).await?;
    by_hand(engine).await?;
    let mut healed = Row::new("docker kill → running again", Unit::Millis, "p50 ≤ 600, p99 ≤ 1200");
    let mut share = Row::new("die event → our start request", Unit::Millis, "floor + 25");
    for fault in 0..faults {
        let victim = name(fault % CONTAINERS);
        sleep(REST).await;
        stage.proxy.take();
        let mut ears = engine.listen();
        let asked = Instant::now();
        let watch = async {
            let died = ears.hear(|heard| heard.is("die", &victim)).await?;
            let started = ears.hear(|heard| heard.is("start", &victim)).await?;
            Ok((died, started))
        };
        let ((), (died, started)) = tokio::try_join!(engine.kill(&victim), watch)?;
        healed.measured.push(millis(started.at - asked));
        let requests = stage.proxy.take();
        let start = requests.iter().find(|request| request.line.starts_with("POST") && request.line.contains("/start"));
        share.measured.push(millis(start.ok_or("nobody asked for a start")?.at - died.at));

        sleep(REST).await;
        // In turns: looking first would be in the way of the quickest way to mend it.
        if fault % 2 == 0 {
            healed.floor.push(millis(kill_by_hand(engine, false).await?.healed));
        } else {
            share.floor.push(millis(kill_by_hand(engine, true).await?.known));
        }
    }
    stage.close(engine).await?;
    Ok([healed, share])
}

/// A fault that was mended by hand.
struct ByHand {
    /// From the call to kill to the container's running again.
    healed: Duration,
    /// From the word of its death to when the engine shows it dead.
    known: Duration,
}

async fn kill_by_hand(engine: &Engine, look_first: bool) -> Result<ByHand> {
    let mut ears = engine.listen();
    let asked = Instant::now();
    let mend = async {
        let died = ears.hear(|heard| heard.is("die", BY_HAND)).await?;
        if look_first {
            engine.inspect(BY_HAND).await?;
        }
        let known = died.at.elapsed();
        engine.start(BY_HAND).await?;
        let started = ears.hear(|heard| heard.is("start", BY_HAND)).await?;
        Ok(ByHand { healed: started.at - asked, known })
    };
    let ((), by_hand) = tokio::try_join!(engine.kill(BY_HAND), mend)?;
    Ok(by_hand)
}

/// `docker rm -f` → running.
pub(crate) async fn removed(engine: &Engine, faults: usize) -> Result<Row> {
    eprintln!("removing {faults} containers ...");
    let stage = Stage::open(engine, &sleepers(CONTAINERS)).await?;
    by_hand(engine).await?;
    let mut row = Row::new("docker rm -f → running again", Unit::Millis, "");
    for fault in 0..faults {
        let victim = name(fault % CONTAINERS);
        let object = format!("Container/{victim}");
        sleep(REST).await;
        let mut ears = engine.listen();
        let asked = Instant::now();
        let watch = ears.hear(|heard| heard.is_of("start", &object));
        let ((), started) = tokio::try_join!(engine.remove(&victim), watch)?;
        row.measured.push(millis(started.at - asked));

        sleep(REST).await;
        let body = engine.body_like(BY_HAND).await?;
        let mut ears = engine.listen();
        let asked = Instant::now();
        engine.remove(BY_HAND).await?;
        engine.create(BY_HAND, body).await?;
        engine.start(BY_HAND).await?;
        let started = ears.hear(|heard| heard.is("start", BY_HAND)).await?;
        row.floor.push(millis(started.at - asked));
    }
    stage.close(engine).await?;
    Ok(row)
}

/// The engine says unhealthy → it is asked for a restart, both by the engine's own clock.
pub(crate) async fn unhealthy(engine: &Engine, faults: usize) -> Result<Row> {
    eprintln!("making {faults} containers unhealthy ...");
    let stage = Stage::open(engine, &patients(PATIENTS)).await?;
    by_hand(engine).await?;
    let mut ears = engine.listen();
    ears.hear(|heard| heard.is("health_status: healthy", BY_HAND)).await?;
    let mut row = Row::new("unhealthy event → restart under way", Unit::Millis, "p99 ≤ 25");
    for fault in 0..faults {
        let victim = name(fault % PATIENTS);
        let mut ears = engine.listen();
        engine.exec(&victim, &["rm", "-f", "/ok"]).await?;
        let sick = ears.hear(|heard| heard.is(UNHEALTHY, &victim)).await?;
        let restarting = ears.hear(|heard| heard.is("kill", &victim)).await?;
        row.measured.push(nanos(&sick, &restarting));

        let mut ears = engine.listen();
        engine.exec(BY_HAND, &["rm", "-f", "/ok"]).await?;
        let sick = ears.hear(|heard| heard.is(UNHEALTHY, BY_HAND)).await?;
        engine.restart(BY_HAND).await?;
        let restarting = ears.hear(|heard| heard.is("kill", BY_HAND)).await?;
        row.floor.push(nanos(&sick, &restarting));
        ears.hear(|heard| heard.is("health_status: healthy", BY_HAND)).await?;
    }
    stage.close(engine).await?;
    Ok(row)
}

/// Makes the container that is mended by hand, like the first of Mooring's.
async fn by_hand(engine: &Engine) -> Result<()> {
    engine.create(BY_HAND, engine.body_like(&name(0)).await?).await?;
    engine.start(BY_HAND).await
}

fn nanos(from: &Heard, to: &Heard) -> f64 {
    let nanos = u64::try_from(to.nanos - from.nanos).unwrap_or_default();
    millis(Duration::from_nanos(nanos))
}
