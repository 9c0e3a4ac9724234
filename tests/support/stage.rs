//! A Mooring on a simulated engine, with time held.

use std::{fmt::Write as _, fs, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use mooring::{
    clock::Clock,
    controller::{self, Context, Engines, Open},
    manifest::{
        Key,
        status::{ConditionStatus, Status},
    },
    observe::dial::Tcp,
    plan::container::Health,
    record::{events::EventFilter, journal::AuditFilter},
    settings::{Mode, Settings},
};
use tokio::task::JoinHandle;

use super::simulated::{Behaviour, Events, Moment, Simulated, take_time};

/// When every scenario begins.
const OPENING: &str = "2026-01-01T00:00:00Z";

/// Time goes in steps, and between two of them everybody does what is due. The
/// longer a `settle` has gone on, the less depends on the order of things in it:
/// from so much time on, the steps are so long.
const STEPS: [(Duration, Duration); 5] = [
    (Duration::ZERO, Duration::from_millis(10)),
    (Duration::from_millis(500), Duration::from_millis(25)),
    (Duration::from_secs(3), Duration::from_millis(100)),
    (Duration::from_secs(15), Duration::from_millis(500)),
    (Duration::from_mins(1), Duration::from_secs(2)),
];

/// Commands that print something.
const TOLD: [&str; 11] =
    ["containers", "networks", "calls", "lists", "conditions", "events", "audit", "health", "problems", "variable", "cat"];

/// A word of letters and digits that is as long as this was made, not written.
const UNFORESEEN: usize = 32;

/// How long it may take the kernel and a thread of the watcher's, in real time, to tell of a file.
const WATCHER: Duration = Duration::from_millis(25);

/// How long nobody may have done anything, in real time, until all is quiet.
const QUIET: Duration = Duration::from_micros(200);

/// The conditions that hold, or of which nobody knows, a line each.
pub fn told(status: &Status) -> Vec<String> {
    let told = status.conditions.iter().filter(|condition| condition.status != ConditionStatus::False);
    told.map(|condition| {
        // What nobody knows must not be read as what is true.
        let unknown = if condition.status == ConditionStatus::Unknown { "?" } else { "" };
        format!("{}{unknown}: {} ({})", condition.kind, condition.reason, condition.message)
    })
    .collect()
}

/// A Mooring on a simulated engine.
pub struct Stage {
    directory: tempfile::TempDir,
    clock: Clock,
    engine: Simulated,
    running: Option<(Arc<Context>, JoinHandle<()>)>,
    /// Values that nobody can know in advance, in the order in which they were first told.
    unforeseen: Vec<String>,
    /// Time that is held does not go on by itself while a blocking task runs.
    _hold: std::sync::mpsc::Sender<()>,
}

impl Stage {
    /// An empty desired state and an engine without containers.
    pub fn new() -> Self {
        let (hold, released) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || released.recv());
        let directory = in_memory();
        fs::create_dir(directory.path().join("desired")).unwrap();
        let clock = Clock::anchored(OPENING.parse::<Timestamp>().unwrap());
        Self { directory, clock, engine: Simulated::new("mooring", clock), running: None, unforeseen: Vec::new(), _hold: hold }
    }

    /// Ends the operator, if it runs.
    pub async fn leave(mut self) {
        self.stop().await;
    }

    /// Performs a command and says what it printed.
    pub async fn perform(&mut self, command: &str, input: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        take_time().await;
        let output = match words.first() {
            Some(&("file" | "delete-file" | "delete-line" | "forget-copies" | "empty-directory" | "directory")) => {
                self.change_files(&words, input);
                self.heard_by_watcher().await;
                String::new()
            }
            Some(first) if TOLD.contains(first) => self.tell(&words).await,
            _ => {
                self.happen(&words).await;
                String::new()
            }
        };
        self.recognise(&output)
    }

    /// What happens to files.
    fn change_files(&self, words: &[&str], input: &str) {
        match words {
            ["file", path] => self.write(path, input),
            ["delete-file", path] => fs::remove_file(self.path(path)).unwrap(),
            ["delete-line", path, variable] => {
                let text = fs::read_to_string(self.path(path)).unwrap();
                let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with(&format!("{variable}="))).collect();
                self.write(path, &kept.join("\n"));
            }
            ["empty-directory"] => {
                fs::remove_dir_all(self.path("")).unwrap();
                fs::create_dir(self.path("")).unwrap();
            }
            ["forget-copies"] => fs::remove_dir_all(self.directory.path().join("state/environments")).unwrap(),
            ["directory", "away"] => fs::rename(self.path(""), self.directory.path().join("unmounted")).unwrap(),
            ["directory", "back"] => fs::rename(self.directory.path().join("unmounted"), self.path("")).unwrap(),
            _ => panic!("no such command: {words:?}"),
        }
    }

    /// What happens to Mooring, the engine and its containers.
    async fn happen(&mut self, words: &[&str]) {
        match words {
            ["image", reference, behaviour @ ..] => self.engine.image(reference, parse_behaviour(behaviour)),
            ["no-image", reference] => self.engine.remove_image(reference),
            ["run"] => self.run(Mode::Act).await,
            ["observe"] => self.run(Mode::Observe).await,
            ["stop-mooring"] => self.stop().await,
            ["crash-mooring"] => self.crash().await,
            ["settle", duration] => self.settle(parse_duration(duration)).await,
            ["kill", name] => self.engine.kill(name),
            ["exit", name, code] => self.engine.exit(name, code.parse().unwrap()),
            ["stop", name] => self.engine.stop(name),
            ["start", name] => self.engine.start(name),
            ["pause", name] => self.engine.set_paused(name, true),
            ["unpause", name] => self.engine.set_paused(name, false),
            ["rm", name] => self.engine.remove(name),
            ["disconnect", name, network] => self.engine.disconnect(name, network),
            ["becomes", name, "healthy"] => self.engine.set_health(name, Health::Healthy),
            ["becomes", name, "unhealthy"] => self.engine.set_health(name, Health::Unhealthy),
            ["events-are", "lost"] => self.engine.events_are(Events::Lost),
            ["events-are", "doubled"] => self.engine.events_are(Events::Doubled),
            ["events-are", "delivered"] => self.engine.events_are(Events::Delivered),
            ["events-are", "reordered"] => self.engine.events_are(Events::Reordered),
            ["engine", "away"] => self.engine.go_away(),
            ["engine", "shut-down"] => {
                let engine = self.engine.clone();
                tokio::spawn(async move { engine.shut_down().await });
                self.settle(Duration::from_secs(1)).await;
            }
            ["engine", "crashed"] => self.engine.crash(),
            ["engine", "back"] => self.engine.come_back(),
            ["engine", "recovered"] => self.engine.recover(),
            ["foreign", name, labels @ ..] => {
                let labels: Vec<(&str, &str)> = labels.iter().map(|label| label.split_once('=').unwrap()).collect();
                self.engine.foreign(name, &labels);
            }
            ["network", name] => self.engine.network(name, None),
            ["rm-network", name] => self.engine.remove_youngest_network(name),
            ["network-of-ours", name] => self.engine.network(name, Some("mooring")),
            ["release", key] => self.context().try_again(&key.parse().unwrap()).await.unwrap(),
            ["burst", name, events] => {
                let (engine, name, events) = (self.engine.clone(), (*name).to_owned(), events.parse().unwrap());
                tokio::spawn(async move { engine.burst(&name, events).await });
            }
            ["hang-before", call @ ..] => self.engine.hang(Moment::Before, &call.join(" ")),
            ["hang-after", call @ ..] => self.engine.hang(Moment::After, &call.join(" ")),
            _ => panic!("no such command: {words:?}"),
        }
    }

    /// What there is to see.
    async fn tell(&self, words: &[&str]) -> String {
        match words {
            ["cat", path] => fs::read_to_string(self.path(path)).unwrap_or_else(|error| error.kind().to_string()),
            ["containers"] => self.engine.containers(),
            ["networks"] => self.engine.networks(),
            ["calls"] => self.engine.take_calls().join("\n"),
            ["lists", "<", limit] => match self.engine.take_lists() {
                lists if lists < limit.parse().unwrap() => "yes".to_owned(),
                lists => format!("no, {lists}"),
            },
            ["conditions", key] => self.conditions(&key.parse().unwrap()),
            ["problems"] => {
                let problems = self.context().desired.problems();
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
            ["events", key] => self.events(key).await,
            ["audit"] => self.audit().await,
            ["health"] => self.context().health().not_ready.join("\n"),
            ["variable", name, variable] => self.engine.variable(name, variable).unwrap_or_else(|| "(none)".to_owned()),
            _ => panic!("no such command: {words:?}"),
        }
    }

    /// Puts names in the place of what is different in each run: secrets, ids, fingerprints. The same value has the same name.
    fn recognise(&mut self, text: &str) -> String {
        let mut recognised = String::new();
        let text = text.replace(&format!("{}/", self.directory.path().display()), "");
        let mut rest = text.as_str();
        while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            recognised.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            let is_fingerprint = recognised.ends_with("sha256:");
            if !is_fingerprint && word.len() < UNFORESEEN {
                recognised.push_str(word);
                continue;
            }
            let known = self.unforeseen.iter().position(|known| known == word);
            let number = known.unwrap_or_else(|| {
                self.unforeseen.push(word.to_owned());
                self.unforeseen.len() - 1
            });
            write!(recognised, "‹{}›", number + 1).unwrap();
        }
        recognised + rest
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("desired").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn context(&self) -> &Arc<Context> {
        &self.running.as_ref().expect("Mooring is not running").0
    }

    async fn run(&mut self, mode: Mode) {
        let settings = Settings {
            audit_anchor: None,
            hearing: mooring::source::watch::Hearing::default(),
            database: None,
            desired: self.directory.path().join("desired"),
            state: self.directory.path().join("state"),
            owner: "mooring".to_owned(),
            engine: "simulated".to_owned(),
            http: None,
            resync: Settings::RESYNC,
            concurrency: Settings::CONCURRENCY,
            mode,
        };
        let engines =
            Engines { observe: Arc::new(self.engine.clone()), execute: Arc::new(self.engine.clone()), dial: Arc::new(Tcp) };
        let Open { ctx, queue } = Context::open(settings, engines, self.clock).await.unwrap();
        let task = tokio::spawn(controller::run(Arc::clone(&ctx), queue));
        self.running = Some((ctx, task));
        self.settle(Duration::from_millis(100)).await;
    }

    async fn stop(&mut self) {
        if let Some((ctx, task)) = self.running.take() {
            ctx.stop();
            let begun = tokio::time::Instant::now();
            // The current step is finished, which may take time, though not much.
            while !task.is_finished() {
                assert!(begun.elapsed() < Duration::from_secs(5), "Mooring does not end");
                tokio::time::advance(STEPS[0].1).await;
                quiet(None).await;
            }
            task.await.unwrap();
        }
    }

    /// Drops everything where it is, as a kill would.
    async fn crash(&mut self) {
        if let Some((ctx, task)) = self.running.take() {
            task.abort();
            let _ = task.await;
            ctx.record.shutdown().await;
        }
        // What was aborted lets go of the state directory when it is dropped.
        quiet(None).await;
    }

    /// Lets time pass.
    async fn settle(&self, duration: Duration) {
        let mut passed = Duration::ZERO;
        while passed < duration {
            let (_, step) = STEPS.iter().rfind(|(from, _)| *from <= passed).unwrap();
            tokio::time::advance(*step).await;
            quiet(self.running.as_ref().map(|(ctx, _)| &**ctx)).await;
            passed += *step;
        }
    }

    /// Waits until the watcher of files must have heard of the last change. No time passes.
    async fn heard_by_watcher(&self) {
        sleep_really(WATCHER).await;
    }

    fn conditions(&self, key: &Key) -> String {
        let Some(status) = self.context().record.status.get(key) else {
            return "(unknown)".to_owned();
        };
        let told = told(&status);
        if told.is_empty() { "(nothing holds)".to_owned() } else { told.join("\n") }
    }

    async fn events(&self, key: &str) -> String {
        let context = self.context();
        context.record.events.flush().await.unwrap();
        let filter = EventFilter { object: Some(key.parse().unwrap()), ..EventFilter::default() };
        let events = context.record.events.list(&filter).await.unwrap();
        let lines: Vec<String> = events
            .iter()
            .map(|event| format!("{:?} {} ×{}: {}", event.key.kind, event.key.reason, event.count, event.key.message))
            .collect();
        lines.join("\n")
    }

    async fn audit(&self) -> String {
        let entries = self.context().record.journal.log(&AuditFilter::default()).await.unwrap();
        let lines: Vec<String> = entries
            .iter()
            .map(|entry| {
                format!(
                    "{} {} {}: {} [{}]",
                    entry.object,
                    entry.operation,
                    entry.target,
                    entry.why,
                    entry.outcome.as_deref().unwrap_or("open")
                )
            })
            .collect();
        lines.join("\n")
    }
}

fn parse_behaviour(words: &[&str]) -> Behaviour {
    let mut behaviour = Behaviour::default();
    for word in words {
        match word.split_once('=').unwrap() {
            ("healthy", after) => behaviour.healthy_after = Some(parse_duration(after)),
            ("unhealthy", after) => behaviour.unhealthy_after = Some(parse_duration(after)),
            ("exits", exit) => {
                let (code, after) = exit.split_once('@').unwrap();
                behaviour.exits_after = Some((parse_duration(after), code.parse().unwrap()));
            }
            _ => panic!("no such behaviour: {word}"),
        }
    }
    behaviour
}

fn parse_duration(text: &str) -> Duration {
    text.parse::<mooring::manifest::quantity::Duration>().unwrap().0
}

/// A directory whose files are written without waiting for a disk, where there is such a thing.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Returns when everybody has done what is due, those on other threads included. No time passes.
///
/// The record's writer answers one after the other, so an answer of its says
/// that what was asked before is done. Whoever acts on that wakes this thread
/// up; when nobody has for a while, twice in a row, all wait for time to pass.
async fn quiet(ctx: Option<&Context>) {
    let mut quiet = 0;
    while quiet < 2 {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        if let Some(ctx) = ctx {
            // Not even a record that cannot be written is in the way of time.
            let _ = ctx.record.events.flush().await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let woken = || tokio::runtime::Handle::current().metrics().worker_park_count(0);
        let before = woken();
        sleep_really(QUIET).await;
        quiet = if woken() - before <= 1 { quiet + 1 } else { 0 };
    }
}

/// Sleeps while time is held.
async fn sleep_really(duration: Duration) {
    tokio::task::spawn_blocking(move || std::thread::sleep(duration)).await.unwrap();
}
