//! Looking at everything now and then, whatever events said or did not say.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior};

use super::{Context, world::lock};
use crate::plan::history::ManualStop;

/// How often stops by people are confirmed.
const CONFIRM: Duration = Duration::from_secs(1);

/// Looks at everything at the settings' interval, with one list call.
pub(super) async fn tick(ctx: Arc<Context>) {
    let mut resync = tokio::time::interval(ctx.world.settings.resync);
    resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut confirm = tokio::time::interval(CONFIRM);
    confirm.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = resync.tick() => look(&ctx).await,
            _ = confirm.tick() => confirm_stops(&ctx).await,
        }
    }
}

/// One list for all passes that follow from it, and the orphans that only it can find.
async fn look(ctx: &Context) {
    ctx.look_at_host().await;
    let asked = Instant::now();
    match ctx.world.snapshot(asked).await {
        Ok(snapshot) => {
            ctx.observed_everything(&snapshot);
            ctx.guard();
            ctx.bury_orphans(&snapshot).await;
            ctx.look_at_everything(asked);
        }
        Err(error) => {
            tracing::warn!(error = crate::error_chain(&error), "a resync could not look at the engine");
            // Cascades can be put right without an engine.
            ctx.look_at_everything(asked);
        }
    }
}

/// Remembers the stops by people that have proven to be such.
async fn confirm_stops(ctx: &Context) {
    let confirmed = lock(&ctx.world.evidence).confirmed(Instant::now());
    for (container, stopped) in confirmed {
        if let Some(key) = ctx.world.owner_of(&container) {
            let ago = SignedDuration::try_from(stopped.elapsed()).unwrap_or_default();
            let at = ctx.world.clock.now().saturating_sub(ago).unwrap_or(Timestamp::MIN);
            let stop = ManualStop { container: container.clone(), at, asked: false };
            ctx.remember_stop(&key, stop).await;
            ctx.triggers.trigger(&key);
        }
        lock(&ctx.world.evidence).forget(&container);
    }
}
