//! Looking changes nothing: not a request that is not a question, and not a byte in any file.
//!
//! Each command is run twice. Once where it could write, and then every file is as it was, to the inode and to the
//! nanosecond. Once more where the whole file system is read-only, and then it says the same.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    between::{Between, only_looks},
    host::{Host, container, environment},
    proxy::{make_directories, stack},
};

/// Makes every mount of a namespace of its own read-only, but for one directory if it is named, and runs a command there.
const READ_ONLY: &str = r#"
    set -e
    mount --make-rprivate /
    [ -z "$WRITABLE" ] || mount --bind "$WRITABLE" "$WRITABLE"
    cut -d' ' -f5 /proc/self/mountinfo | tac | while read -r at; do
        [ "$at" = "$WRITABLE" ] || mount -o remount,ro,bind "$at" 2>/dev/null || true
    done
    ! touch "$CONTROL/could-write" 2>/dev/null
    exec "$@"
"#;

/// A host, and commands on it through a socket that keeps what it was asked.
struct Dry {
    host: Host,
    between: Between,
}

/// What a file is: where it is, who it is, when it was changed, and what it holds.
type Seen = BTreeMap<PathBuf, (u64, u32, (i64, i64), (i64, i64), Option<Vec<u8>>)>;

fn look(directory: &Path, seen: &mut Seen) {
    let metadata = fs::symlink_metadata(directory).unwrap();
    let content = metadata.is_file().then(|| fs::read(directory).unwrap());
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    // SQLite, run by root, gives the log of a Mooring that was killed to the owner that it has. That moves this time alone.
    let is_log = ["mooring.db-wal", "mooring.db-shm"].iter().any(|name| directory.ends_with(name));
    let changed = if is_log { (0, 0) } else { (metadata.ctime(), metadata.ctime_nsec()) };
    seen.insert(directory.to_owned(), (metadata.ino(), metadata.mode(), modified, changed, content));
    if metadata.is_dir() {
        for entry in fs::read_dir(directory).unwrap() {
            look(&entry.unwrap().path(), seen);
        }
    }
}

impl Dry {
    /// A stack of every kind that a Mooring has kept and a look can be taken at, with much that is not as declared.
    fn new(more: &str) -> Self {
        let mut manifests = stack("address", "");
        manifests.push(environment("shop", "secrets: {generate: [{name: PLUGIN_INTERNAL_SECRET}]}"));
        manifests.push(container("web", &format!("image: web:1\nenvFrom: [{{environment: shop}}]\n{more}")));
        manifests.push(container("app", "management: heal\nselector: {name: '@app'}"));
        let host = Host::new(&manifests);
        make_directories(&host);
        host.docker("run --detach --name @app --pull never mooring-demo/web:1");
        // What is on its way would be another thing at the second look.
        host.eventually("it is up", |host| host.state("app") == "running healthy");
        let between = Between::new(&host.engine);
        Self { host, between }
    }

    fn directory(&self) -> PathBuf {
        self.host.path("").parent().unwrap().to_owned()
    }

    fn state(&self) -> PathBuf {
        self.directory().join("state")
    }

    fn mooring(&self, words: &[&str]) -> Vec<String> {
        let (desired, state) = (self.host.path("").display().to_string(), self.state().display().to_string());
        let globals = ["--desired", &desired, "--state", &state, "--owner", &self.host.name];
        let words = words.iter().map(|word| word.replace('@', &format!("{}-", self.host.name)));
        [env!("CARGO_BIN_EXE_mooring").to_owned()].into_iter().chain(words).chain(globals.map(str::to_owned)).collect()
    }

    fn run(&self, mut command: Command) -> Output {
        command.env("DOCKER_HOST", self.between.address()).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command where it could write.
    fn plainly(&self, words: &[&str]) -> Output {
        let words = self.mooring(words);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        self.run(command)
    }

    /// Runs a command where nothing can be written, but in this directory.
    fn read_only(&self, words: &[&str], writable: Option<&Path>) -> Output {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", READ_ONLY, "sh"]).args(self.mooring(words));
        command.env("CONTROL", self.directory()).env("WRITABLE", writable.unwrap_or(Path::new("")));
        self.run(command)
    }

    fn files(&self) -> Seen {
        let mut seen = Seen::new();
        look(&self.directory(), &mut seen);
        seen
    }

    /// A Mooring of its own process, which has made everything as declared, and then ends like this.
    fn was_kept_until(&self, signal: Signal) {
        let words = self.mooring(&["run", "--no-http", "--resync", "1s"]);
        let mut operator = Command::new(&words[0]);
        operator.args(&words[1..]).env("DOCKER_HOST", crate::host::engine()).stderr(Stdio::null());
        let mut operator = operator.spawn().unwrap();
        let begun = Instant::now();
        while !self.plainly(&["wait", "--all", "--timeout", "1m"]).status.success() {
            assert!(begun.elapsed() < Duration::from_mins(2), "it does not converge");
            thread::sleep(Duration::from_millis(100));
        }
        kill(Pid::from_raw(operator.id().cast_signed()), signal).unwrap();
        operator.wait().unwrap();
        self.between.take_asked();
    }

    /// Something of everything is not as declared.
    fn drifts(&self) {
        self.host.docker("kill @web");
        self.host.docker("kill @app");
        self.host.docker("rm --force @two");
        fs::write(self.host.path(".env.secrets"), "").unwrap();
        let site = fs::read_dir(self.host.path("sites")).unwrap().map(|entry| entry.unwrap().path());
        let site = site.filter(|path| path.extension().is_some_and(|extension| extension == "conf")).min().unwrap();
        fs::write(&site, fs::read_to_string(&site).unwrap() + "# by hand\n").unwrap();
    }

    /// Runs a command both ways; what it said, and how it ended.
    #[track_caller]
    fn only_looks(&self, words: &[&str], code: i32) -> String {
        let before = self.files();
        let output = self.plainly(words);
        let said = |output: &Output| {
            (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        assert_eq!(output.status.code(), Some(code), "{words:?}: {:?}", said(&output));
        let changed: Vec<_> = {
            let after = self.files();
            let paths = before.keys().chain(after.keys());
            paths.filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
        };
        assert!(changed.is_empty(), "{words:?} wrote {changed:?}");
        let again = self.read_only(words, None);
        assert_eq!(again.status.code(), Some(code), "{words:?} on a read-only file system: {:?}", said(&again));
        // An age grows from one look to the next, and which of two addresses is told first does not matter either.
        let lines = |(stdout, _): (String, String)| stdout.lines().count();
        assert_eq!(lines(said(&output)), lines(said(&again)), "{words:?}");
        self.asked_only();
        said(&output).0
    }

    /// Nothing was asked of the engine but questions; how many.
    #[track_caller]
    fn asked_only(&self) -> usize {
        let asked = self.between.take_asked();
        let writes: Vec<&String> = asked.iter().filter(|asked| !only_looks(asked)).collect();
        assert!(writes.is_empty(), "not a question: {writes:?}");
        asked.len()
    }

    /// Every way to look.
    fn look_at_everything(&self) {
        let given = self.directory().join("given.yaml");
        let (_, text) = container("web", "image: web:2\nrestart: always");
        fs::write(&given, text.replace('@', &format!("{}-", self.host.name))).unwrap();
        let plan = self.only_looks(&["diff"], 1);
        for step in ["start", "write PLUGIN_INTERNAL_SECRET", "create"] {
            assert!(plan.contains(step), "{step}: {plan}");
        }
        let would = self.only_looks(&["apply", "--dry-run", "-f", given.to_str().unwrap()], 0);
        assert!(would.contains("configured") && would.contains("What mooring would do"), "{would}");
        assert!(self.only_looks(&["delete", "--dry-run", "container/web"], 0).contains("(dry run)"));
        self.only_looks(&["hold", "container/web", "--for", "1h", "--reason", "a test", "--dry-run"], 0);
        assert!(self.only_looks(&["get", "all"], 0).contains("edge"));
        self.only_looks(&["describe", "container/web"], 0);
        self.only_looks(&["expand"], 0);
        self.only_looks(&["validate"], 0);
        self.only_looks(&["events"], 0);
        self.only_looks(&["audit", "log"], 0);
        self.only_looks(&["why", "container/web"], 0);
        self.only_looks(&["doctor", "nginx", "--container", "@nginx"], 0);
    }
}

#[test]
fn looking_writes_nothing_after_a_mooring_that_ended_in_order() {
    let dry = Dry::new("");
    dry.was_kept_until(Signal::SIGTERM);
    assert!(!dry.state().join("mooring.db-wal").exists(), "all is in one file");
    dry.drifts();
    dry.look_at_everything();
    // It says of a directory that cannot be written that it cannot, and so says something else then.
    let before = dry.files();
    let found = String::from_utf8(dry.plainly(&["doctor"]).stdout).unwrap();
    assert!(found.contains("can be written") && before == dry.files(), "{found}");
    let found = String::from_utf8(dry.read_only(&["doctor"], None).stdout).unwrap();
    assert!(found.contains("cannot be written: Read-only file system"), "{found}");
    assert!(dry.asked_only() > 0);
}

#[test]
fn looking_writes_nothing_after_a_mooring_that_was_killed() {
    let dry = Dry::new("");
    dry.was_kept_until(Signal::SIGKILL);
    assert!(fs::metadata(dry.state().join("mooring.db-wal")).unwrap().len() > 0, "what was killed leaves its log behind");
    dry.drifts();
    dry.look_at_everything();
    let log = dry.only_looks(&["audit", "log", "--for", "container/web"], 0);
    assert!(log.contains("start"), "what stands in the log alone is read as well: {log}");
}

#[test]
fn looking_writes_nothing_where_there_never_was_a_mooring() {
    let dry = Dry::new("");
    assert!(dry.only_looks(&["diff"], 1).contains("create"));
    dry.only_looks(&["get", "all"], 0);
    assert!(!dry.state().exists());
}

#[test]
fn a_mooring_that_only_observes_writes_to_its_own_directory_alone() {
    let dry = Dry::new("");
    dry.was_kept_until(Signal::SIGTERM);
    dry.drifts();
    let outside =
        |dry: &Dry| -> Seen { dry.files().into_iter().filter(|(path, _)| path.starts_with(dry.host.path(""))).collect() };
    let before = outside(&dry);
    for output in [
        dry.plainly(&["run", "--observe-only", "--once", "--timeout", "3s"]),
        dry.read_only(&["run", "--observe-only", "--once", "--timeout", "3s"], Some(&dry.state())),
    ] {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("only observed, as --observe-only says"), "{said}");
    }
    assert!(before == outside(&dry), "a file was changed");
    assert!(dry.asked_only() > 0);
    assert_eq!(dry.host.state("two"), "absent");
}

#[test]
fn a_probe_that_is_a_command_is_run_by_an_observer_and_not_by_a_look() {
    let dry = Dry::new("probe: {exec: {command: [test, -e, /]}, interval: 1s}");
    dry.was_kept_until(Signal::SIGTERM);
    dry.only_looks(&["diff"], 0);
    dry.only_looks(&["get", "all"], 0);
    dry.plainly(&["run", "--observe-only", "--once", "--timeout", "3s"]);
    let asked = dry.between.take_asked();
    let writes: Vec<&String> = asked.iter().filter(|asked| !only_looks(asked)).collect();
    let of_probe = format!("/containers/{}/exec", dry.host.id("web"));
    let is_probe = |asked: &&&String| asked.ends_with(&of_probe) || asked.contains("/exec/") && asked.ends_with("/start");
    assert_eq!(writes.iter().filter(is_probe).count(), writes.len(), "{writes:?}");
    assert!(!writes.is_empty());
}
