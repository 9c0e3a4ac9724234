//! The loop's wiring: what makes us look, who looks, what follows from it.
//!
//! kube-runtime's applier runs the passes: one at a time for each object, many
//! objects at once, triggers for one object folded into one. Everything that
//! can make a pass necessary only puts a key into [`Triggers`]; nothing decides
//! on what an event says.

mod absence;
mod alerts;
pub mod anchors;
mod context;
pub mod desired;
pub mod events;
mod found;
mod guard;
mod hints;
mod holds;
mod insight;
pub mod instance;
pub mod lease;
mod memory;
mod models;
pub mod once;
pub mod operator;
pub mod pass;
pub mod plugins;
pub mod preview;
pub mod requests;
mod restraints;
mod resync;
mod retries;
mod shipping;
pub mod triggers;
mod troubles;
mod what_if;
mod why;
mod wishes;
pub mod world;

use std::sync::Arc;

use futures::StreamExt;
use kube_runtime::controller::{Config, Error, applier};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet};
use tokio_stream::wrappers::UnboundedReceiverStream;

pub use context::{Context, Engines, Open, OpenError};
use pass::{error_policy, reconcile};
pub use triggers::Triggers;

use crate::{manifest::Key, store};

/// Keeps the host as declared until `ctx` is told to stop; then finishes the current steps.
pub async fn run(ctx: Arc<Context>, queue: UnboundedReceiver<Key>) {
    let mut tasks = JoinSet::new();
    tasks.spawn(desired::watch(Arc::clone(&ctx)));
    tasks.spawn(desired::watch_files(Arc::clone(&ctx)));
    tasks.spawn(plugins::watch(Arc::clone(&ctx)));
    tasks.spawn(events::listen(Arc::clone(&ctx)));
    tasks.spawn(resync::tick(Arc::clone(&ctx)));
    tasks.spawn(models::tell(Arc::clone(&ctx)));
    tasks.spawn(anchors::keep(Arc::clone(&ctx)));
    tasks.spawn(shipping::ship(Arc::clone(&ctx)));

    // Not one of those that are broken off at the end: what is on its way may arrive.
    let telling = tokio::spawn(alerts::tell(Arc::clone(&ctx)));

    let requests = UnboundedReceiverStream::new(queue).map(|key| Ok::<_, std::convert::Infallible>(store::reference(&key)));
    let config = Config::default().concurrency(ctx.world.settings.concurrency);
    let passes = applier(
        |object, ctx| Box::pin(reconcile(object, ctx)),
        error_policy,
        Arc::clone(&ctx),
        ctx.world.reader.inner(),
        requests.take_until(ctx.stopped()),
        config,
    );
    passes
        .for_each(|passed| {
            // A pass that failed has been dealt with where it happened.
            if let Err(Error::ObjectNotFound(reference)) = passed
                && let Some(key) = store::key(&reference)
            {
                ctx.nobody_there(&key);
            }
            async {}
        })
        .await;
    tasks.shutdown().await;
    if let Err(error) = telling.await {
        tracing::error!(%error, "the task that tells people died");
    }
    ctx.close().await;
}
