//! The disk on which the journal is kept in trouble: no record, no act.

use std::{fs, path::Path, process::Command, sync::Arc};

use futures::StreamExt as _;
use mooring::{
    operator::Operator as _,
    record::audit::{AuditLog, read_anchors},
    view::AuditQuery,
};

use crate::host::{Host, container};

/// A disk of its own, small enough to be filled.
struct Disk(tempfile::TempDir);

impl Disk {
    /// None where nothing may be mounted.
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=700", "mooring-test"]).arg(directory.path()).status();
        mount.is_ok_and(|status| status.success()).then_some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves room for nothing.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.path().join("ballast")).unwrap();
        let full = std::io::copy(&mut std::io::repeat(b'x'), &mut ballast).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn is_missed(host: &Host) -> bool {
    host.context().health().not_ready.iter().any(|trouble| trouble.contains("the journal cannot be written"))
}

#[test]
fn while_the_disk_is_full_nothing_is_done_and_it_is_reported_and_then_all_is_made_up_for() {
    let Some(disk) = Disk::new() else {
        eprintln!("only root can mount a disk to fill");
        return;
    };
    let mut host = Host::new(&[container("web", "image: web:1"), container("other", "image: web:1")]);
    std::os::unix::fs::symlink(disk.path(), host.path("../state")).unwrap();
    host.run();
    host.converges();
    disk.fill();
    host.docker("kill @web");
    host.docker("rm --force @other");
    host.eventually("it is reported", is_missed);
    host.stays(4, "nothing is done", |host| host.state("web").starts_with("exited") && host.state("other") == "absent");
    assert!(is_missed(&host));
    disk.empty();
    host.eventually("both run again", |host| ["web", "other"].iter().all(|name| host.state(name) == "running healthy"));
    host.eventually("all is well again", |host| host.context().health().not_ready.is_empty());
    host.converges();
    assert_eq!(host.count("Container/web", "StartContainer @web: it exited with 137 [done]"), 1);
    assert_eq!(host.count("Container/other", "CreateContainer @other: it is missing [done]"), 2);

    // What was remembered before is remembered still, and the next one finds all of it.
    let steps = host.steps("Container/web");
    host.stop();
    host.run();
    host.converges();
    assert_eq!(host.steps("Container/web"), steps);
}

#[test]
fn a_heal_is_chained_anchored_followed_and_explained_and_so_is_that_somebody_reads_it() {
    let mut host = Host::new(&[container("web", "image: web:1")]);
    host.run();
    host.converges();
    let all = AuditQuery::newest(100);
    let ctx = Arc::clone(host.context());
    let mut followed = ctx.follow_audit(&all);
    host.docker("kill @web");
    host.eventually("it runs again", |host| host.state("web") == "running healthy");
    host.converges();

    let next = host.wait_for(followed.next()).unwrap();
    assert_eq!((next.operation.as_str(), next.outcome.as_str()), ("StartContainer", "done"));
    let web = "Container/web".parse().unwrap();
    let why = host.wait_for(ctx.why(&web, None)).unwrap().unwrap();
    assert_eq!((why.seen.as_str(), why.rule.as_str()), ("it exited with 137", "NotRunning"));
    assert_eq!((why.steps.len(), why.outcome.as_str()), (1, "every step was done"));
    assert!(why.proof.iter().any(|proof| proof.starts_with("Ready since ")), "{:?}", why.proof);
    let first = host.wait_for(ctx.why(&web, Some(host.audit()[0].id))).unwrap().unwrap();
    assert_eq!(first.rule, "Missing");
    assert_eq!(host.wait_for(ctx.why(&web, Some(4711))).unwrap(), None);

    let read = host.wait_for(ctx.audit(&AuditQuery { outcome: Some("failed".into()), ..all }, Some("root"))).unwrap();
    assert_eq!(read, []);
    let last = host.audit().pop().unwrap();
    assert_eq!((last.actor.as_str(), last.operation.as_str(), last.object.as_str()), ("cli:root", "ReadAuditLog", "Host"));

    drop(followed);
    let metrics = ctx.metrics();
    let head = ctx.record.journal.head().borrow().clone();
    assert!(metrics.contains(&format!("mooring_audit_head{{hash=\"{}\"}} {}\n", &head.hash[..16], head.id)), "{metrics}");
    drop(ctx);
    host.stop();
    let log = host.wait_for(async { AuditLog::of(&host.path("../state")) }).unwrap();
    let anchors = read_anchors(&host.path("../anchors")).unwrap();
    let verified = host.wait_for(log.verify(&[], &anchors, |_| {})).unwrap();
    assert_eq!((verified.fault, verified.anchors > 0), (None, true));
    assert_eq!(anchors.last().unwrap().hash, verified.head.unwrap().hash, "the last word is the last row");
}
