//! The digest of the audit log's last row, told to others: who would cut off the log's end, or write it anew, does not have
//! these as well.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::Context;
use crate::record::{audit::Anchor, chain::Head, clock, events::Subject};

/// Between two lines in the file while things are done: no longer tail can be cut off unseen.
const FILE: Duration = Duration::from_secs(10);
/// Between two events: few enough to be read.
const EVENT: Duration = Duration::from_hours(1);

/// Tells how far the log has come, as long as it grows.
pub(super) async fn keep(ctx: Arc<Context>) {
    let mut head = ctx.record.journal.head();
    let mut event_due = Instant::now();
    while head.changed().await.is_ok() {
        sleep(FILE).await;
        let last = head.borrow_and_update().clone();
        ctx.anchor(&last).await;
        if Instant::now() >= event_due {
            event_due = Instant::now() + EVENT;
            ctx.tell_head(&last);
        }
    }
}

impl Context {
    /// The last word before the end.
    pub(super) async fn anchor_for_good(&self) {
        let last = self.record.journal.head().borrow().clone();
        if last.id > 0 {
            self.anchor(&last).await;
            self.tell_head(&last);
        }
    }

    fn tell_head(&self, head: &Head) {
        let message = format!("the audit log goes to row {}, whose digest is {}", head.id, head.hash);
        self.record.events.normal(Subject::Host, "AuditHead", message);
    }

    /// Puts a line into the anchor file, if there is one.
    async fn anchor(&self, head: &Head) {
        let Some(file) = self.world.settings.audit_anchor.clone() else { return };
        let anchor = Anchor { at: clock::text(self.world.clock.now()), id: head.id, hash: head.hash.clone() };
        let path = file.clone();
        // The file may lie on another machine, which may be slow.
        let written = tokio::task::spawn_blocking(move || append(&path, &anchor)).await;
        if let Err(error) = written.unwrap_or_else(|lost| Err(io::Error::other(lost))) {
            let message = format!("the anchor of the audit log could not be written to {}: {error}", file.display());
            self.record.events.warning(Subject::Host, "AnchorNotWritten", message);
        }
    }
}

/// Adds a line to an anchor file. Nothing in it is ever changed.
fn append(path: &Path, anchor: &Anchor) -> io::Result<()> {
    let mut file = open(path)?;
    file.write_all(format!("{}\n", serde_json::to_string(anchor)?).as_bytes())?;
    file.sync_all()
}

/// Opens an anchor file, making it if there is none: what fails here fails when Mooring starts.
pub fn open(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
