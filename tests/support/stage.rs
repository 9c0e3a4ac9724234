//! A Mooring on a simulated engine, with time held.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use mooring::{
    clock::Clock,
    controller::{self, Context, Engines, Open},
    manifest::{Key, status::ConditionStatus},
    plan::container::Health,
    record::{events::EventFilter, journal::AuditFilter},
    settings::{Mode, Settings},
};
use tokio::task::JoinHandle;

use super::simulated::{Behaviour, Events, Simulated};

/// When every scenario begins.
const OPENING: &str = "2026-01-01T00:00:00Z";

/// Time goes in steps of this size; in between, everybody gets to do what is due.
const STEP: Duration = Duration::from_millis(10);
/// Steps beyond the first ten seconds of a `settle`: nothing that matters happens in between.
const LONG_STEP: Duration = Duration::from_millis(250);

/// A Mooring on a simulated engine.
pub struct Stage {
    directory: tempfile::TempDir,
    clock: Clock,
    engine: Simulated,
    running: Option<(Arc<Context>, JoinHandle<()>)>,
    /// Time that is held does not go on by itself while a blocking task runs.
    _hold: std::sync::mpsc::Sender<()>,
}

impl Stage {
    /// An empty desired state and an engine without containers.
    pub async fn new() -> Self {
        let (hold, until_dropped) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || until_dropped.recv());
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("desired")).unwrap();
        let clock = Clock::anchored(OPENING.parse::<Timestamp>().unwrap());
        Self { directory, clock, engine: Simulated::new("mooring", clock), running: None, _hold: hold }
    }

    /// Ends the operator, if it runs.
    pub async fn leave(mut self) {
        self.stop().await;
    }

    /// Performs a command and says what it printed.
    pub async fn perform(&mut self, command: &str, input: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["file", path] => self.write(path, input),
            ["delete-file", path] => std::fs::remove_file(self.path(path)).unwrap(),
            ["cat", path] => return std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| error.kind().to_string()),
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
            ["health", name, "healthy"] => self.engine.set_health(name, Health::Healthy),
            ["health", name, "unhealthy"] => self.engine.set_health(name, Health::Unhealthy),
            ["events-are", "lost"] => self.engine.events_are(Events::Lost),
            ["events-are", "doubled"] => self.engine.events_are(Events::Doubled),
            ["events-are", "delivered"] => self.engine.events_are(Events::Delivered),
            ["engine", "away"] => self.engine.go_away(),
            ["engine", "back"] => self.engine.come_back(),
            ["foreign", name, labels @ ..] => {
                let labels: Vec<(&str, &str)> = labels.iter().map(|label| label.split_once('=').unwrap()).collect();
                self.engine.foreign(name, &labels);
            }
            ["release", key] => self.context().release(&key.parse().unwrap()).await.unwrap(),
            ["containers"] => return self.engine.containers(),
            ["calls"] => return self.engine.take_calls().join("\n"),
            ["conditions", key] => return self.conditions(&key.parse().unwrap()),
            ["events", key] => return self.events(key).await,
            ["audit"] => return self.audit().await,
            ["health"] => return self.context().health().not_ready.join("\n"),
            ["variable", name, variable] => return self.engine.variable(name, variable).unwrap_or_else(|| "(none)".to_owned()),
            _ => panic!("no such command: {command}"),
        }
        String::new()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("desired").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }

    fn context(&self) -> &Arc<Context> {
        &self.running.as_ref().expect("Mooring is not running").0
    }

    async fn run(&mut self, mode: Mode) {
        let settings = Settings {
            desired: self.directory.path().join("desired"),
            state: self.directory.path().join("state"),
            owner: "mooring".to_owned(),
            engine: "simulated".to_owned(),
            http: None,
            resync: Settings::RESYNC,
            concurrency: Settings::CONCURRENCY,
            mode,
        };
        let engines = Engines { observe: Arc::new(self.engine.clone()), execute: Arc::new(self.engine.clone()) };
        let Open { ctx, queue } = Context::open(settings, engines, self.clock).await.unwrap();
        let task = tokio::spawn(controller::run(Arc::clone(&ctx), queue));
        self.running = Some((ctx, task));
        self.settle(Duration::from_millis(100)).await;
    }

    async fn stop(&mut self) {
        if let Some((ctx, task)) = self.running.take() {
            ctx.stop();
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
    }

    /// Lets time pass.
    async fn settle(&self, duration: Duration) {
        let mut passed = Duration::ZERO;
        while passed < duration {
            let step = if passed < Duration::from_secs(10) { STEP } else { LONG_STEP };
            tokio::time::advance(step).await;
            self.quiet().await;
            passed += step;
        }
    }

    /// Lets everybody do what is due, those on other threads included: the record's writer, the watcher of files.
    async fn quiet(&self) {
        for _ in 0..3 {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_micros(300))).await.unwrap();
        }
    }

    fn conditions(&self, key: &Key) -> String {
        let Some(status) = self.context().record.status.get(key) else {
            return "(unknown)".to_owned();
        };
        let told = status.conditions.iter().filter(|condition| condition.status != ConditionStatus::False);
        let told: Vec<String> =
            told.map(|condition| format!("{}: {} ({})", condition.kind, condition.reason, condition.message)).collect();
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
