//! The disk on which the journal is kept in trouble: no record, no act.

use std::{fs, path::Path, process, sync::Arc};

use futures::StreamExt as _;
use mooring::{
    operator::Operator as _,
    record::{
        audit::{AuditLog, read_anchors},
        events::Subject,
        journal::{Actor, Command, Outcome},
    },
    view::AuditQuery,
};

use crate::host::{Host, container};

/// A disk of its own, small enough to be filled.
struct Disk(tempfile::TempDir);

impl Disk {
    /// So many MiB; none where nothing may be mounted.
    fn new(size: u32) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={size}m,mode=700");
        let mount =
            process::Command::new("mount").args(["-t", "tmpfs", "-o", &options, "mooring-test"]).arg(directory.path()).status();
        mount.is_ok_and(|status| status.success()).then_some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves room for nothing.
    fn fill(&self) {
        let mut filler = fs::File::create(self.path().join("filler")).unwrap();
        let full = std::io::copy(&mut std::io::repeat(b'x'), &mut filler).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = process::Command::new("umount").arg(self.path()).status();
    }
}

/// Something that a person is said to have done.
fn row() -> Command<'static> {
    Command {
        actor: &Actor::Reconciler,
        operation: "Test",
        object: &Subject::Host,
        target: "some container with a long name",
        why: "rows of a usual length shall be written",
        details: &serde_json::Value::Null,
        outcome: &Outcome::Done,
    }
}

/// Two containers, as declared, with the state directory on that disk.
fn on(disk: &Disk) -> Host {
    let mut host = Host::new(&[container("web", "image: web:1"), container("other", "image: web:1")]);
    std::os::unix::fs::symlink(disk.path(), host.path("../state")).unwrap();
    host.run();
    host.converges();
    host
}

fn is_missed(host: &Host) -> bool {
    host.context().health().not_ready.iter().any(|trouble| trouble.contains("the journal cannot be written"))
}

#[test]
fn while_the_disk_is_full_nothing_is_done_and_it_is_reported_and_then_all_is_made_up_for() {
    // Too small for any room to be kept on it.
    let Some(disk) = Disk::new(8) else {
        eprintln!("only root can mount a disk to fill");
        return;
    };
    let mut host = on(&disk);
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
fn room_that_is_kept_lets_healing_go_on_while_the_disk_is_full_and_is_kept_again_after() {
    let Some(disk) = Disk::new(64) else {
        eprintln!("only root can mount a disk to fill");
        return;
    };
    let mut host = on(&disk);
    let ballast = disk.path().join("ballast");
    host.eventually("room is kept", |_| fs::metadata(&ballast).is_ok_and(|file| file.len() >= 8 << 20));
    disk.fill();
    let starts = "StartContainer @web: it exited with 137 [done]";
    for times in 1..=3 {
        host.docker("kill @web");
        host.eventually("it runs again", |host| {
            host.state("web") == "running healthy" && host.count("Container/web", starts) == times
        });
    }
    assert!(!ballast.exists(), "the kept room was not needed");
    let told = |host: &Host| host.events("Host").iter().any(|(reason, _)| reason == "StateDiskFull");
    host.eventually("it is told", told);
    host.eventually("the journal can be written", |host| !is_missed(host));
    let journal = &host.context().record.journal;
    let more = async {
        for _ in 0..2_000 {
            journal.note(&row()).await.unwrap();
        }
    };
    host.wait_for(more);

    disk.empty();
    host.stop();
    host.run();
    host.converges();
    host.eventually("room is kept again", |_| ballast.exists());
    assert_eq!(host.count("Container/web", starts), 3);
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
    let anchors = read_anchors(&host.path("../anchors")).unwrap().anchors;
    let verified = host.wait_for(log.verify(&[], &anchors, |_| {})).unwrap();
    assert_eq!((verified.fault, verified.anchors > 0), (None, true));
    assert_eq!(anchors.last().unwrap().hash, verified.head.unwrap().hash, "the last word is the last row");
}
