//! Others at work on the same files, a full disk, and dying half-way.

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::*;

/// Tells a test that it runs in a process of its own, which has these directories: project, then state.
const CHILD: &str = "MOORING_TEST_DIRECTORIES";

#[test]
fn a_file_that_changed_after_the_plan_is_left_alone() {
    let world = World::new(SECRETS, "PASSWORD=p1\n");
    let plan = world.plan();
    world.write(SECRETS, "PASSWORD=p1\n# a new comment\n");
    assert!(matches!(world.perform(&plan.steps[0].action), Err(Error::Changed { .. })));
    assert_eq!(world.text(SECRETS), "PASSWORD=p1\n# a new comment\n");
    assert!(world.temporaries().is_empty());
}

#[test]
fn a_file_that_came_or_went_after_the_plan_is_left_alone() {
    let world = World::new(".env", "NAME=shop\n");
    let plan = world.plan();
    world.write(SECRETS, "OTHER=o1\n");
    assert!(matches!(world.perform(&plan.steps[0].action), Err(Error::Changed { .. })));
    assert_eq!(world.text(SECRETS), "OTHER=o1\n");
    let plan = world.plan();
    fs::remove_file(world.path(SECRETS)).unwrap();
    assert!(matches!(world.perform(&plan.steps[0].action), Err(Error::Changed { .. })));
    assert!(!world.path(SECRETS).exists());
}

#[test]
fn a_file_that_came_back_by_itself_is_not_restored() {
    let world = World::settled();
    fs::remove_file(world.path(SECRETS)).unwrap();
    let plan = world.plan();
    world.write(SECRETS, "TOKEN=t2\n");
    assert!(matches!(world.perform(&plan.steps[0].action), Err(Error::Changed { .. })));
    assert_eq!(world.text(SECRETS), "TOKEN=t2\n");
}

#[test]
fn a_file_that_is_not_good_any_more_is_not_remembered() {
    let world = World::settled();
    world.write(SECRETS, "TOKEN=t2\nPASSWORD=p1\n");
    let plan = world.plan();
    world.write(SECRETS, "PASSWORD=p1\n");
    assert!(matches!(world.perform(&plan.steps[0].action), Err(Error::Changed { .. })));
    world.converge();
    assert_eq!(line(&world.text(SECRETS), "TOKEN"), "t1");
}

#[test]
fn a_lock_on_the_file_is_waited_for() {
    let world = World::new(SECRETS, "PASSWORD=p1\n");
    let plan = world.plan();
    let editor = fs::File::open(world.path(SECRETS)).unwrap();
    editor.lock().unwrap();
    let freed = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            freed.store(true, Ordering::SeqCst);
            editor.unlock().unwrap();
        });
        assert_eq!(world.perform(&plan.steps[0].action).unwrap(), Effect::Done);
        assert!(freed.load(Ordering::SeqCst), "the lock was not honoured");
    });
}

#[test]
fn the_lock_of_nself_is_honoured_and_its_holder_named() {
    let world = World::new(SECRETS, "PASSWORD=p1\n");
    world.write(".nself/op.lock", r#"{"pid": 4711, "command": "nself build", "token": "t0", "host": "h"}"#);
    let plan = world.plan();
    let nself = fs::File::open(world.path(".nself/op.lock")).unwrap();
    nself.lock().unwrap();
    let start = Instant::now();
    let error = world.perform(&plan.steps[0].action).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(error.to_string().ends_with(".nself/op.lock is locked by nself build (process 4711)"), "{error}");
    assert_eq!(world.text(SECRETS), "PASSWORD=p1\n");
    nself.unlock().unwrap();
    assert_eq!(world.perform(&plan.steps[0].action).unwrap(), Effect::Done);
}

#[test]
fn an_edit_that_is_under_way_is_not_lost() {
    let world = World::settled();
    thread::scope(|scope| {
        let editor = scope.spawn(|| (0..100).for_each(|number| edit_and_check(&world, number)));
        while !editor.is_finished() {
            let (plan, error) = world.pass();
            assert!(error.as_ref().is_none_or(|error| matches!(error, Error::Changed { .. })), "{plan}: {error:?}");
        }
    });
    world.write(SECRETS, "NUMBER=100\nPASSWORD=p1\n");
    world.converge();
    assert_eq!(world.text(SECRETS), "NUMBER=100\nPASSWORD=p1\nTOKEN=t1\n");
    assert!(world.temporaries().is_empty());
}

/// Saves the file as an editor does: opens and empties it, thinks for a moment, writes it in two goes. One secret is forgotten.
fn edit_and_check(world: &World, number: u64) {
    let start = Instant::now();
    let mut file = fs::File::create(world.path(SECRETS)).unwrap();
    thread::sleep(Duration::from_millis(number % 3));
    file.write_all(format!("NUMBER={number}\n").as_bytes()).unwrap();
    file.write_all(b"PASSWORD=p1\n").unwrap();
    let took = start.elapsed();
    thread::sleep(Duration::from_micros(500 * (number % 40)));
    // On a busy machine, this thread may have been put aside for longer than any program waits for an editor.
    if took < Duration::from_millis(7) {
        let text = world.text(SECRETS);
        assert_eq!(line(&text, "NUMBER"), number.to_string(), "the edit was lost:\n{text}");
        assert_eq!(line(&text, "PASSWORD"), "p1");
    }
}

#[test]
fn nobody_else_can_read_a_secret_at_any_moment() {
    let world = World::new(".env", "NAME=shop\n");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::SeqCst) {
                for entry in fs::read_dir(world.path(".")).unwrap().flatten().filter(|entry| entry.file_name() != ".env") {
                    // It may be gone by now.
                    let Ok(metadata) = entry.metadata() else { continue };
                    assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
                    seen += 1;
                }
            }
            seen
        });
        for _ in 0..20 {
            world.converge();
            fs::remove_file(world.path(SECRETS)).unwrap();
            fs::remove_file(world.path(".env.computed")).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        assert!(watcher.join().unwrap() > 0);
    });
}

#[test]
fn what_a_crash_left_behind_is_swept_away() {
    let world = World::settled();
    world.write(".mooring-tmp-abc", "TOKEN=t1\n");
    fs::write(world.state.join("environments/shop/.mooring-tmp-def"), "TOKEN=t1\n").unwrap();
    assert_eq!(world.temporaries().len(), 2);
    assert_eq!(world.sweep(), 2);
    assert!(world.temporaries().is_empty());
    assert_eq!(world.converge(), "");
}

#[test]
fn a_disk_that_is_full_leaves_the_old_file_as_it_is() {
    if in_child() {
        return;
    }
    let long = "# a comment that takes up space\n".repeat(100);
    let world = World::new(SECRETS, &long);
    // No file may become larger than 1 KiB: the write breaks off in the middle, as on a full disk, whoever the user is.
    let limits = "ulimit -f 2; trap '' XFSZ; exec \"$0\" \"$@\"";
    let (world, output) = child(world, "a_disk_that_is_full_leaves_the_old_file_as_it_is", |test| {
        let mut shell = Command::new("sh");
        shell.args(["-c", limits]).arg(test);
        shell
    });
    assert!(output.contains("File too large"), "{output}");
    assert_eq!(world.text(SECRETS), long);
    assert!(world.temporaries().is_empty(), "what was written in part is taken away");
    world.converge();
    assert!(world.text(SECRETS).starts_with(&long));
}

/// Runs one test once more, in a process of its own on the directories of this
/// world; gives the world back, and what the process printed.
fn child(world: World, test: &str, command: impl FnOnce(&std::path::Path) -> Command) -> (World, String) {
    let (project, state) = world.into_directories();
    let output = command(&std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("execute::files::tests::faults::{test}")])
        .env(CHILD, std::env::join_paths([project.path(), state.path()]).unwrap())
        .output()
        .unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (World::in_directories(project, state), printed)
}

/// In the process that [`child`] has started: runs passes and prints how they ended. Says whether this is that process.
fn in_child() -> bool {
    let Some(directories) = std::env::var_os(CHILD) else { return false };
    let directories: Vec<_> = std::env::split_paths(&directories).collect();
    let world = World::in_paths(&directories[0], &directories[1]);
    for _ in 0..3 {
        if let (plan, Some(error)) = world.pass() {
            println!("{plan}{error:?}");
            break;
        }
    }
    true
}

#[cfg(feature = "crash-points")]
#[test]
fn whenever_it_dies_the_next_start_finds_nothing_lost_and_nothing_half_done() {
    if in_child() {
        return;
    }
    let text = "# mine\nPASSWORD=p1\n";
    for effect in ["secrets", "restore", "copy", "computed"] {
        for stage in ["before-write", "after-temp", "after-rename", "after-sync"] {
            let world = World::new(SECRETS, text);
            if effect == "restore" {
                world.write(SECRETS, &format!("{text}TOKEN=t1\n"));
                world.converge();
                fs::remove_file(world.path(SECRETS)).unwrap();
            }
            let point = format!("{effect}-{stage}");
            let (world, output) =
                child(world, "whenever_it_dies_the_next_start_finds_nothing_lost_and_nothing_half_done", |test| {
                    let mut command = Command::new(test);
                    command.env("MOORING_CRASH_AT", &point);
                    command
                });
            assert!(!output.contains("test result"), "it did not die at {point}:\n{output}");
            check_after_crash(&world, effect, stage, text);
        }
    }
}

#[cfg(feature = "crash-points")]
fn check_after_crash(world: &World, effect: &str, stage: &str, text: &str) {
    let found = fs::read_to_string(world.path(SECRETS)).unwrap_or_default();
    let made = found.lines().find_map(|line| line.strip_prefix("TOKEN=")).map(str::to_owned);
    assert_eq!(world.sweep(), usize::from(stage == "after-temp" || (effect == "secrets" && stage == "after-rename")));
    world.converge();
    assert!(world.temporaries().is_empty());
    let after = world.text(SECRETS);
    let token = line(&after, "TOKEN");
    assert_eq!(after, format!("{text}TOKEN={token}\n"), "{effect}-{stage}");
    assert!(made.is_none_or(|made| made == token), "a secret that was on the disk has changed");
    assert!(effect != "restore" || token == "t1");
    assert_eq!(world.converge(), "");
}
