//! The engine's events → triggers.
//!
//! The engine drops events for a reader that falls behind, keeps only the last
//! 256 for a late one, and forgets all when it restarts. So the reader here does
//! nothing but note keys, and every connection begins with a look at everything.

use std::{sync::Arc, time::Duration};

use backoff::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use tokio::time::Instant;

use super::{Context, lease, world::lock};
use crate::{
    manifest::{Kind, status::ConditionType},
    observe::engine::{Error, Event, EventAction},
};

/// The pause after the first lost connection; a restarted engine answers within a second or two.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause: the socket of an engine that is back is found within this time.
const LONGEST: Duration = Duration::from_secs(2);

/// Listens until we stop, connecting anew whenever the engine goes away.
pub async fn listen(ctx: Arc<Context>) {
    // Without jitter: nobody else waits for this engine, and it would add as much again to the longest pause.
    let pauses =
        || ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST).with_factor(2.0).without_max_times().build();
    let mut pause = pauses();
    loop {
        let connected = Instant::now();
        let ended = until_gone(&ctx).await;
        lock(&ctx.world.evidence).engine_gone();
        ctx.engine_gone(ended.err().as_ref());
        // A connection that lasted was a good one.
        if connected.elapsed() > LONGEST {
            pause = pauses();
        }
        tokio::time::sleep(pause.next().unwrap_or(LONGEST)).await;
    }
}

/// Reads events until the stream ends.
async fn until_gone(ctx: &Context) -> Result<(), Error> {
    let description = ctx.world.snapshots.engine().describe().await?;
    // Subscribe first, list afterwards: what happens in between is seen twice rather than never.
    let mut events = ctx.world.snapshots.engine().events().await?;
    // An engine that was away may have another master by now.
    if let Err(error) = lease::take(&ctx.world.settings, &*ctx.hands.engine, &**ctx.world.snapshots.engine()).await
        && error.is_held()
    {
        tracing::error!(error = crate::error_chain(&error), "stopping");
        ctx.stop();
        return Ok(());
    }
    ctx.engine_reached(&description);
    ctx.world.snapshots.distrust_all();
    ctx.world.retries.clear_all();
    ctx.look_at_everything(Instant::now());
    while let Some(event) = events.next().await.transpose()? {
        note(ctx, &event);
    }
    Ok(())
}

/// Finds out whom an event may concern, and asks for a look at them.
fn note(ctx: &Context, event: &Event) {
    let now = Instant::now();
    lock(&ctx.world.evidence).note(event, now);
    // A signal changes nothing yet; if the container dies of it, that is an event of its own. A look now would only be
    // in the way of the one that finds it dead.
    if matches!(event.action, EventAction::Signalled { .. }) {
        return;
    }
    let Some(id) = &event.container else { return };
    ctx.world.snapshots.distrust(id);
    let is_ours = event.owner.as_ref() == Some(&ctx.world.settings.owner);
    let named = || event.object.as_ref().filter(|_| is_ours)?.parse().ok();
    match ctx.world.owner_of(id).or_else(named) {
        Some(key) => {
            ctx.triggers.trigger_at(&key, now);
            // It may have another address, and nginx is not to wait for the pass over the container to find that out.
            for proxy in ctx.world.proxies_to(&key) {
                if matches!(event.action, EventAction::Started | EventAction::Died | EventAction::Changed) {
                    lock(&ctx.noted.moves).insert(proxy.clone(), now);
                }
                ctx.triggers.trigger_at(&proxy, now);
            }
        }
        None if event.action == EventAction::Changed || event.action == EventAction::Started => ctx.look_for_strangers(now),
        None => {}
    }
}

impl Context {
    /// Asks for a look at every object.
    pub fn look_at_everything(&self, at: Instant) {
        for key in self.world.reader.objects().keys() {
            self.triggers.trigger_at(key, at);
        }
    }

    /// A container that we know nothing of appeared or changed: it may be one
    /// that somebody's selector means, a plugin's, or one that had, or frees, a name that is wanted.
    fn look_for_strangers(&self, at: Instant) {
        for (key, object) in self.world.reader.objects() {
            let healed = self.world.is_healed(&key);
            let unready = || self.record.status.get(&key).is_some_and(|status| !is_ready(&status));
            let may_concern = match key.kind {
                Kind::Container => healed || unready(),
                // Compose may just have made its container.
                Kind::Plugin => true,
                _ => false,
            };
            if may_concern && object.manifest().is_some() {
                self.triggers.trigger_at(&key, at);
            }
        }
    }
}

fn is_ready(status: &crate::manifest::status::Status) -> bool {
    let ready = status.condition(ConditionType::Ready);
    ready.is_some_and(|condition| condition.status == crate::manifest::status::ConditionStatus::True)
}
