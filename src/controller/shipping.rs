//! The audit log's way to PostgreSQL, and what is told about it.

use std::{sync::Arc, time::Duration};

use super::Context;
use crate::{
    manifest::host::Database,
    record::{
        events::Subject,
        ship::{Progress, Target},
    },
};

/// How often it is seen whether the log is shipped elsewhere now.
const LOOK: Duration = Duration::from_secs(5);

/// The word for a log that is not shipped.
const NOT_SHIPPED: &str = "AuditNotShipped";
/// The word for a database of which nobody knows where it is.
const UNKNOWN: &str = "DatabaseUnknown";

/// Ships for as long as it is wanted, to wherever it is wanted. Healing does not know of it.
pub(super) async fn ship(ctx: Arc<Context>) {
    loop {
        let target = ctx.target();
        // What the last target had is nothing of this one's.
        ctx.noted.troubles.settle(NOT_SHIPPED, "");
        let changed = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if ctx.target() != target {
                    return;
                }
            }
        };
        let Some(target) = &target else {
            ctx.shipped(None).await;
            changed.await;
            continue;
        };
        tokio::select! {
            () = ship_to(&ctx, target.clone()) => {}
            () = changed => {}
        }
    }
}

/// Ships until the record is closed.
async fn ship_to(ctx: &Context, target: Target) {
    let (shipper, mut progress) = ctx.record.shipper(target.clone());
    let mut head = ctx.record.journal.head();
    let tell = async {
        let mut told = Progress::default();
        loop {
            let now = progress.borrow_and_update().clone();
            ctx.record.metrics.audit_unshipped(head.borrow_and_update().id - now.shipped);
            match (&told.trouble, &now.trouble) {
                (before, Some(trouble)) if before.as_ref() != Some(trouble) => {
                    tracing::warn!(%target, trouble, "the audit log is not shipped; it is kept here meanwhile");
                    let message = format!("the audit log is kept here and not shipped: {trouble}");
                    ctx.noted.troubles.note(NOT_SHIPPED, "", &message);
                    ctx.record.events.warning(Subject::Host, NOT_SHIPPED, message);
                }
                (Some(_), None) => {
                    ctx.noted.troubles.settle(NOT_SHIPPED, "");
                    ctx.record.events.normal(
                        Subject::Host,
                        "AuditShipped",
                        format!("the audit log is shipped to {target} again"),
                    );
                }
                _ => {}
            }
            if now.shipped != told.shipped {
                ctx.shipped(Some(now.shipped)).await;
            }
            told = now;
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return },
                changed = head.changed() => if changed.is_err() { return },
            }
        }
    };
    tokio::join!(shipper.run(), tell);
}

impl Context {
    /// Where the log is shipped to: as the command line says, or else as the variable says that the host's manifest names.
    ///
    /// While that cannot be read, it is said so, and nothing is shipped: it is all kept here.
    fn target(&self) -> Option<Target> {
        if let Some(target) = &self.world.settings.database {
            return Some(target.clone());
        }
        let policy = self.world.policy();
        let Some(Database { environment, variable }) = &policy.database else {
            self.settle_trouble(UNKNOWN, "DatabaseKnown", "the audit log is not to be shipped any more");
            return None;
        };
        let values = self.world.values(environment);
        let url = values.and_then(|values| values.get(variable).cloned().ok_or_else(|| format!("{variable} has no value")));
        let target = url.and_then(|url| url.expose().parse::<Target>().map_err(|error| error.to_string()));
        match target {
            Ok(target) => {
                self.settle_trouble(UNKNOWN, "DatabaseKnown", "the audit log's database is known again");
                Some(target)
            }
            Err(reason) => {
                let message =
                    format!("{variable} of Environment/{environment} does not say where to ship the audit log to: {reason}");
                self.raise(UNKNOWN, &message);
                None
            }
        }
    }

    /// Remembers how far the log has been shipped: what has not is not archived.
    async fn shipped(&self, last: Option<i64>) {
        if let Err(error) = self.record.journal.shipped(last).await {
            tracing::warn!(error = crate::error_chain(&error), "how far the audit log was shipped could not be written down");
        }
    }
}
