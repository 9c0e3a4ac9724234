//! Converging once, for cron and CI: the same passes, without waiting for anything to happen.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    Context,
    pass::{Looked, look_and_act},
    triggers::Mark,
};
use crate::{manifest::Key, store::Object};

/// Between rounds: what starts needs hundreds of milliseconds, not thousands.
const PAUSE: Duration = Duration::from_millis(250);

/// What converging once came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Objects that are not as declared, and why.
    pub unresolved: BTreeMap<Key, String>,
}

impl Outcome {
    /// Whether everything is as declared.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.unresolved.is_empty()
    }
}

/// Runs passes over everything until all is as declared, only people can help, or `limit` has passed.
pub async fn once(ctx: &Arc<Context>, limit: Duration) -> Outcome {
    let deadline = Instant::now() + limit;
    let mut outcome = Outcome::default();
    loop {
        let round = round(ctx).await;
        let hopeful = round.iter().any(|(_, state)| matches!(state, State::Acted | State::OnItsWay(_) | State::Failed(_)));
        outcome.unresolved.clear();
        for (key, state) in round {
            match state {
                State::Converged => {}
                State::Acted => drop(outcome.unresolved.insert(key, "it was acted on just now".to_owned())),
                State::OnItsWay(reason) | State::Failed(reason) | State::Stuck(reason) => {
                    outcome.unresolved.insert(key, reason);
                }
            }
        }
        if !hopeful || Instant::now() >= deadline || *ctx.hands.stopping.borrow() {
            return outcome;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How an object stands after a round.
enum State {
    Converged,
    Acted,
    OnItsWay(String),
    Stuck(String),
    Failed(String),
}

/// One pass over every object.
async fn round(ctx: &Arc<Context>) -> Vec<(Key, State)> {
    ctx.look_at_host().await;
    let now = Instant::now();
    if let Ok(snapshot) = ctx.world.snapshot(now).await {
        ctx.observed_everything(&snapshot);
        ctx.guard();
        ctx.bury_orphans(&snapshot).await;
    }
    let objects = ctx.world.reader.objects();
    stream::iter(objects)
        .map(|(key, object)| async move {
            let state = look(ctx, &object, now).await;
            (key, state)
        })
        .buffer_unordered(usize::from(ctx.world.settings.concurrency))
        .collect()
        .await
}

async fn look(ctx: &Context, object: &Object, now: Instant) -> State {
    // One list for the whole round; what a round changes, the next one sees.
    let mark = Mark { first: now, last: now };
    match look_and_act(object, ctx, Some(mark)).await {
        Ok(Looked::Converged) => State::Converged,
        Ok(Looked::Acted) => State::Acted,
        Ok(Looked::Refused(error)) => State::Stuck(error.to_string()),
        Ok(Looked::Waiting { wait: Some(wait), .. }) if wait.ends_by_itself() => State::OnItsWay(wait.to_string()),
        Ok(Looked::Waiting { wait: Some(wait), .. }) => State::Stuck(wait.to_string()),
        Ok(Looked::Waiting { wait: None, .. }) => {
            State::Stuck("there is something to do, and the desired-state directory looks unmounted".to_owned())
        }
        Err(error) => State::Failed(crate::error_chain(&error)),
    }
}
