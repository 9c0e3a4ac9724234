//! The digest of the audit log's last row, told to others: who would cut off the log's end, or write it anew, does not have
//! these as well.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::Context;
use crate::{
    crash,
    record::{audit::Anchor, chain::Head, clock, events::Subject},
};

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

/// Adds a line to an anchor file. Nothing in it is ever changed: what was broken off, by a full disk or a power failure, stays as a
/// line of its own.
fn append(path: &Path, anchor: &Anchor) -> io::Result<()> {
    let mut file = open(path)?;
    let begin = if ends_within_a_line(path, &file.metadata()?)? { "\n" } else { "" };
    file.write_all(format!("{begin}{}\n", serde_json::to_string(anchor)?).as_bytes())?;
    crash::point("anchor-after-write");
    file.sync_all()
}

/// Whether somebody did not get to the end of the last line.
fn ends_within_a_line(path: &Path, of: &fs::Metadata) -> io::Result<bool> {
    // A pipe has nothing to look back at.
    if !of.is_file() || of.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    match File::open(path).and_then(|file| file.read_exact_at(&mut last, of.len() - 1)) {
        Ok(()) => Ok(last != *b"\n"),
        // Who may only write has an empty line instead, which is nobody's anchor.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        Err(error) => Err(error),
    }
}

/// Opens an anchor file, making it if there is none: what fails here fails when Mooring starts.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::audit::read_anchors;

    fn anchor(id: i64) -> Anchor {
        Anchor { at: "t".into(), id, hash: "c0ffee".into() }
    }

    #[test]
    fn a_line_that_was_broken_off_costs_no_other_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("anchors");
        append(&path, &anchor(1)).unwrap();
        append(&path, &anchor(2)).unwrap();
        // The disk was full, or the power went.
        let length = fs::metadata(&path).unwrap().len();
        open(&path).unwrap().set_len(length - 10).unwrap();
        append(&path, &anchor(3)).unwrap();
        append(&path, &anchor(4)).unwrap();
        let noted = read_anchors(&path).unwrap();
        assert_eq!(noted.anchors, [anchor(1), anchor(3), anchor(4)]);
        let broken: Vec<_> = noted.broken.iter().map(ToString::to_string).collect();
        assert_eq!(broken, [format!("{}:2: this is no anchor", path.display())]);
    }
}
