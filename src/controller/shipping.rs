//! The audit log's way to PostgreSQL, and what is told about it.

use std::sync::Arc;

use super::Context;
use crate::record::{events::Subject, ship::Progress};

/// Ships for as long as it is wanted. Healing does not know of it.
pub(super) async fn ship(ctx: Arc<Context>) {
    let Some(target) = ctx.world.settings.database.clone() else {
        ctx.shipped(None).await;
        return;
    };
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
                    ctx.record.events.warning(Subject::Host, "AuditNotShipped", message);
                }
                (Some(_), None) => {
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
    /// Remembers how far the log has been shipped: what has not is not archived.
    async fn shipped(&self, last: Option<i64>) {
        if let Err(error) = self.record.journal.shipped(last).await {
            tracing::warn!(error = crate::error_chain(&error), "how far the audit log was shipped could not be written down");
        }
    }
}
