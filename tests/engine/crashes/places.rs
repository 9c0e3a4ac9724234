//! Death at what Mooring keeps for itself: its journal, key, anchors, lock and lease; at what its commands write, and at acts that the other
//! stories have none of.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
    thread,
    time::Duration,
};

use mooring::record::{audit::AuditLog, events::EventFilter};

use super::{MOST, POINTS, Witness, dies, has_aborted, recovers};
use crate::host::{Host, container, environment, manifest};

/// What is as declared within a moment.
fn shop() -> (String, String) {
    environment("shop", "secrets: {generate: [{name: ONE}]}")
}

/// The names in the state directory, in order.
fn state(host: &Host) -> Vec<String> {
    let listed = fs::read_dir(host.path("../state")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = listed.collect();
    names.sort();
    names
}

fn command(host: &Host, words: &[&str], dies_at: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
    command.args(words).arg("--state").arg(host.path("../state")).env("DOCKER_HOST", &host.outside);
    command.envs(dies_at.map(|point| ("MOORING_CRASH_AT", point))).output().unwrap()
}

fn is_told(host: &Host) -> bool {
    let events = &host.context().record.events;
    let listed = host.wait_for(async {
        events.flush().await.unwrap();
        events.list(&EventFilter::default()).await.unwrap()
    });
    listed.iter().any(|event| event.key.reason == "JournalDamaged")
}

#[test]
fn what_a_start_and_an_end_leave_survives_every_death() {
    let points = [
        "lock-before-name",
        "lease-after-mark",
        "lease-after-unmark",
        "ballast-after-make",
        "key-after-temp",
        "key-after-name",
        "lease-after-return",
        "anchor-after-write",
    ];
    for point in points {
        let mut host = Host::new(&[shop()]);
        let witness = Witness::of(&host);
        // A lease is taken from somebody who is gone.
        assert!(point != "lease-after-unmark" || dies(&host, "lease-after-mark", 1));
        assert!(dies(&host, point, 1), "nobody came by {point}");
        recovers(&mut host, &witness, point, &[]);
        let unfinished: Vec<_> =
            state(&host).into_iter().filter(|name| name.contains("tmp") || name.starts_with("fingerprint.key")).collect();
        assert_eq!(unfinished, ["fingerprint.key"], "after {point}");
    }
}

/// Without its log a database is an older one: whoever opened it then would go on without its last rows, and nobody would know.
#[test]
fn a_damaged_journal_stays_together_whoever_dies_while_it_is_moved_aside() {
    for point in ["journal-aside-before-rename", "journal-aside-after-rename", "journal-aside-between-logs"] {
        let mut host = Host::start(&[shop()]);
        host.stop();
        // A death leaves rows that are in the log of the database only.
        host.delete(".env.secrets");
        assert!(dies(&host, "execute-after-outcome", 1));
        let database = host.path("../state/mooring.db");
        let rows = fs::read(host.path("../state/mooring.db-wal")).unwrap();
        assert!(!rows.is_empty());
        // Whoever reads keeps the last one who closes it from moving them over.
        let reader = host.wait_for(async { AuditLog::of(database.parent().unwrap()) }).unwrap();
        assert_eq!(host.wait_for(reader.rows(0, 1)).unwrap().len(), 1);
        let length = fs::metadata(&database).unwrap().len();
        let mut file = fs::OpenOptions::new().write(true).open(&database).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(4096)).unwrap();
        file.write_all(&vec![b'x'; usize::try_from(length - 4096).unwrap()]).unwrap();

        assert!(dies(&host, point, 1), "nobody came by {point}");
        // The rows that an anchor knows are in the file that is kept aside.
        fs::remove_file(host.path("../anchors")).unwrap();
        host.run();
        host.converges();
        host.eventually("it is told", is_told);
        host.stop();
        host.record_is_whole();
        let aside: Vec<_> = state(&host).into_iter().filter(|name| name.contains("corrupt")).collect();
        assert_eq!(aside.len(), 2, "after {point}: {aside:?}");
        assert_eq!(aside[1], format!("{}-wal", aside[0]), "after {point}");
        assert!(fs::read(host.path("../state").join(&aside[1])).unwrap().starts_with(&rows), "after {point}");
    }
}

#[test]
fn an_archive_of_the_log_survives_every_death() {
    const CLEAR: [&str; 4] = ["audit", "log", "--clear", "--confirm"];
    for point in ["archive-after-file", "archive-after-row", "archive-after-discard"] {
        let mut host = Host::start(&[shop()]);
        host.stop();
        let witness = Witness::of(&host);
        // An archive is what anchors say nothing about unless it is given.
        fs::remove_file(host.path("../anchors")).unwrap();
        let died = command(&host, &CLEAR, Some(point));
        assert!(has_aborted(&died), "nobody came by {point}: {died:?}");
        host.record_is_whole();
        // Its name has the second in it.
        thread::sleep(Duration::from_millis(1100));
        let again = command(&host, &CLEAR, None);
        assert!(again.status.success(), "{point}: {again:?}");
        host.delete(".env.secrets");
        recovers(&mut host, &witness, point, &[]);
        let archives = state(&host).into_iter().filter(|name| name.starts_with("audit-")).collect::<Vec<_>>();
        let given: Vec<_> = archives.iter().map(|name| host.path("../state").join(name)).collect();
        // Where nobody came to take its rows out the first one has nothing that the second has not.
        let given = if point == "archive-after-discard" { given } else { given[1..].to_vec() };
        let log = host.wait_for(async { AuditLog::of(&host.path("../state")) }).unwrap();
        let verified = host.wait_for(log.verify(&given, &[], |_| {})).unwrap();
        assert_eq!((verified.fault, verified.archive), (None, None), "after {point}: {archives:?}");
    }
}

#[test]
fn a_file_that_a_command_takes_away_is_gone_and_what_it_declared_goes_whoever_dies() {
    let mut host = Host::start(&[container("web", "image: web:1"), container("other", "image: web:1")]);
    host.stop();
    let witness = Witness::of(&host);
    let desired = host.path("").display().to_string();
    let died = command(&host, &["delete", "container/web", "--desired", &desired], Some("manifest-after-remove"));
    assert!(has_aborted(&died), "{died:?}");
    recovers(&mut host, &witness, "manifest-after-remove", &["@other"]);
}

#[test]
fn a_mode_that_is_set_survives_every_death() {
    let mut host = Host::start(&[shop()]);
    host.stop();
    let witness = Witness::of(&host);
    let secrets = host.path(".env.secrets");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(dies(&host, "mode-after-change", 1), "nobody came by it");
    recovers(&mut host, &witness, "mode-after-change", &[]);
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
}

/// New limits, a file of secrets that is put back, a container whose manifest is gone: acts that nothing else here has.
#[test]
fn what_changes_in_place_or_goes_survives_every_death() {
    let web = |limit: usize| container("web", &format!("image: web:1\nnetworks: ['@net']\nmemLimit: {limit}m"));
    let other = || container("other", "image: web:1\nstopGracePeriod: 1s");
    // It is the same file again and again.
    let host_policy = manifest("Host", "default", "fights: {corrections: 1000}");
    let mut host = Host::start(&[shop(), web(64), other(), host_policy]);
    host.stop();
    let witness = Witness::of(&host);
    // Between two steps is where the other stories die as well.
    for (point, _) in &POINTS[1..3] {
        for hit in 1.. {
            assert!(hit <= MOST, "{point} has no end");
            let (limit, secret) = (64 + 32 * (hit % 2), host.value(".env.secrets", "ONE"));
            host.put(web(limit));
            host.delete(".env.secrets");
            host.delete("other.yaml");
            let died = dies(&host, point, hit);
            recovers(&mut host, &witness, &format!("{point}:{hit}"), &["@web"]);
            assert_eq!(host.value(".env.secrets", "ONE"), secret, "{point}:{hit}");
            assert_eq!(host.inspect("web", "{{.HostConfig.Memory}}"), Some((limit << 20).to_string()), "{point}:{hit}");
            host.put(other());
            recovers(&mut host, &witness, "a start without a death", &["@other", "@web"]);
            if !died {
                assert!(hit > 3, "{point} was passed {hit} times only");
                break;
            }
        }
    }
}
