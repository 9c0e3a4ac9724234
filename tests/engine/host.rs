//! A Mooring on a real engine, with a desired state of its own.
//!
//! In manifests and commands `@` stands for the test's own prefix, so that
//! `@web` is a container that no other test has; what is read back has the `@`
//! again. Everything on the engine goes away with the [`Host`].

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mooring::{
    clock::Clock,
    controller::{self, Context, Engines, Open},
    execute,
    manifest::{Key, status::ConditionStatus},
    observe,
    record::{
        self, Record,
        audit::{AuditLog, read_anchors},
        events::EventFilter,
        journal::{AuditEntry, AuditFilter},
        ship::Target,
    },
    settings::{Mode, Settings},
    source::parse::parse_file,
    view::PlanView,
};
use tokio::{runtime::Runtime, task::JoinHandle};

/// Long enough for a machine that has other things to do; whoever waits this long has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between one look and the next.
const LOOK: Duration = Duration::from_millis(50);
/// Short, because a test has no time for a resync that comes late; longer than an engine's slow answers.
const RESYNC: Duration = Duration::from_secs(3);

/// Where the engine is that is tested on: this host's own, or the one of `DOCKER_HOST`, which may be another generation of it; its
/// networks have to be those of the test.
pub fn engine() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| Settings::ENGINE.to_owned())
}

/// The same as a path.
pub fn socket() -> PathBuf {
    let engine = engine();
    engine.strip_prefix("unix://").unwrap_or(&engine).into()
}

/// A port that nobody listened on just now.
///
/// The kernel gives it to nobody by itself (those are above 32767): a container that was killed has to get it again.
pub fn free_port() -> u16 {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    let begin = std::process::id() as usize * 61;
    let next = || 20_000 + (begin + GIVEN.fetch_add(1, Ordering::Relaxed)) % 12_000;
    let mut ports = std::iter::repeat_with(next).map(|port| u16::try_from(port).expect("less than 32000"));
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("there is no end of them")
}

/// A Mooring and what it is to keep.
pub struct Host {
    /// Owner and prefix.
    pub name: String,
    /// Where it looks for the engine.
    pub engine: String,
    /// Where everybody else finds the engine.
    pub outside: String,
    /// Where it ships the audit log.
    pub database: Option<Target>,
    /// How long whoever waits for something waits.
    pub patience: Duration,
    directory: tempfile::TempDir,
    runtime: Runtime,
    running: Option<(Arc<Context>, JoinHandle<()>)>,
    /// Whether there is a record of anything.
    has_ever_run: bool,
}

/// A file with a `Container` of this name; its spec is YAML in one or more lines.
pub fn container(name: &str, spec: &str) -> (String, String) {
    manifest("Container", name, spec)
}

/// A file with an `Environment` of this name.
pub fn environment(name: &str, spec: &str) -> (String, String) {
    manifest("Environment", name, spec)
}

/// A file with a `Proxy` of this name.
pub fn proxy(name: &str, spec: &str) -> (String, String) {
    manifest("Proxy", name, spec)
}

/// A file with an object of this kind and name.
pub fn manifest(kind: &str, name: &str, spec: &str) -> (String, String) {
    let mut text = format!("apiVersion: mooring.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n");
    let named =
        if kind == "Container" && !spec.contains("management:") { format!("containerName: '@{name}'\n") } else { String::new() };
    for line in named.lines().chain(spec.lines()) {
        writeln!(text, "  {}", line.replace("web:", "mooring-demo/web:").replace("busybox:", "mooring-demo/busybox:")).unwrap();
    }
    (format!("{name}.yaml"), text)
}

impl Host {
    /// With these manifests, and no Mooring yet.
    pub fn new(manifests: &[(String, String)]) -> Self {
        static HOSTS: AtomicUsize = AtomicUsize::new(0);
        let name = format!("mtest-{}-{}", std::process::id(), HOSTS.fetch_add(1, Ordering::Relaxed));
        let answers = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
        assert!(answers.is_ok_and(|answer| answer.status.success()), "no Docker Engine: run `make setup`");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (engine, outside) = (engine(), engine());
        let host = Self {
            name,
            engine,
            outside,
            database: None,
            patience: PATIENCE,
            directory,
            runtime,
            running: None,
            has_ever_run: false,
        };
        fs::create_dir_all(host.path("")).unwrap();
        for (file, text) in manifests {
            host.write(file, text);
        }
        host
    }

    /// With these manifests, and converged.
    pub fn start(manifests: &[(String, String)]) -> Self {
        let mut host = Self::new(manifests);
        host.run();
        host.converges();
        host
    }

    // Mooring

    /// Starts Mooring.
    pub fn run(&mut self) {
        self.run_after(|_| {});
    }

    /// Starts it, after something was done with what it has remembered.
    pub fn run_after(&mut self, prepare: impl FnOnce(&Context)) {
        self.try_run_after(prepare).unwrap();
    }

    /// Starts it where it may be refused.
    pub fn try_run(&mut self) -> Result<(), controller::OpenError> {
        self.try_run_after(|_| {})
    }

    fn try_run_after(&mut self, prepare: impl FnOnce(&Context)) -> Result<(), controller::OpenError> {
        let Open { ctx, queue } = self.open()?;
        prepare(&ctx);
        let task = self.runtime.spawn(controller::run(Arc::clone(&ctx), queue));
        self.running = Some((ctx, task));
        self.has_ever_run = true;
        Ok(())
    }

    /// Opens what Mooring would run with.
    pub fn open(&self) -> Result<Open, controller::OpenError> {
        self.runtime.block_on(open(self.directory.path(), &self.name, &self.engine, self.database.clone()))
    }

    /// Waits for an answer.
    pub fn wait_for<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// Ends Mooring, as SIGTERM does.
    pub fn stop(&mut self) {
        if let Some((ctx, task)) = self.running.take() {
            ctx.stop();
            self.runtime.block_on(task).unwrap();
        }
    }

    /// The Mooring that runs.
    pub fn context(&self) -> &Arc<Context> {
        &self.running.as_ref().expect("Mooring is not running").0
    }

    /// A person says: try again.
    pub fn release(&self, key: &str) {
        self.runtime.block_on(self.context().try_again(&key.parse().unwrap())).unwrap();
    }

    /// Waits until every object is as declared.
    pub fn converges(&self) {
        self.eventually("everything is as declared", |host| {
            let objects = host.context().world.reader.objects();
            let is_ready = |key: &Key, generation| {
                let status = host.context().record.status.get(key).unwrap_or_default();
                status.observed_generation == Some(generation) && host.holds(&key.to_string()).starts_with("Ready: ")
            };
            !objects.is_empty() && objects.iter().all(|(key, object)| is_ready(key, object.generation()))
        });
    }

    /// Waits until this is so.
    #[track_caller]
    pub fn eventually(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < self.patience, "not within {:?}: {what}\n{}", self.patience, self.story());
            thread::sleep(LOOK);
        }
    }

    /// Sees to it that this stays so for a while.
    #[track_caller]
    pub fn stays(&self, seconds: u64, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            assert!(is_so(self), "not any more: {what}\n{}", self.story());
            thread::sleep(LOOK * 4);
        }
    }

    /// Waits until for so many seconds in a row this is so and nothing is done. Not at once: what a busy machine lets time out is a fault, and
    /// healed like one.
    #[track_caller]
    pub fn comes_to_rest(&self, seconds: u64, what: &str, is_so: impl Fn(&Self) -> bool) {
        let acts = || self.audit().iter().filter(|entry| entry.actor == "reconciler").count();
        let (begun, mut rest, mut done) = (Instant::now(), Instant::now(), acts());
        while rest.elapsed() < Duration::from_secs(seconds) {
            let now = acts();
            if now != done || !is_so(self) {
                (rest, done) = (Instant::now(), now);
            }
            assert!(begun.elapsed() < self.patience, "no rest within {:?}: {what}\n{}", self.patience, self.story());
            thread::sleep(LOOK * 4);
        }
    }

    /// The conditions that hold, as `Ready: AsDeclared (it is as declared)`, one a line.
    pub fn holds(&self, key: &str) -> String {
        let status = self.context().record.status.get(&key.parse::<Key>().unwrap()).unwrap_or_default();
        let holding = status.conditions.iter().filter(|condition| condition.status == ConditionStatus::True);
        let lines = holding.map(|condition| format!("{}: {} ({})", condition.kind, condition.reason, condition.message));
        self.shortened(&lines.collect::<Vec<_>>().join("\n"))
    }

    /// Everything that was done for the sake of an object, as `StartContainer @web: it exited with 137 [done]`.
    pub fn steps(&self, key: &str) -> Vec<String> {
        let entries = self.audit().into_iter().filter(|entry| entry.object == key);
        let shown = entries.map(|AuditEntry { operation, target, why, outcome, .. }| {
            self.shortened(&format!("{operation} {target}: {why} [{}]", outcome.as_deref().unwrap_or("open")))
        });
        shown.collect()
    }

    /// How many steps begin like this.
    pub fn count(&self, key: &str, beginning: &str) -> usize {
        self.steps(key).iter().filter(|step| step.starts_with(beginning)).count()
    }

    /// The whole audit log, whether somebody runs or not.
    pub fn audit(&self) -> Vec<AuditEntry> {
        if let Some((ctx, _)) = &self.running {
            return self.audit_of(&ctx.record);
        }
        let state = self.directory.path().join("state");
        if self.wait_for(async { AuditLog::of(&state) }).is_none() {
            return Vec::new();
        }
        let record = self.runtime.block_on(Record::join(&state, record::Settings::default())).unwrap();
        let entries = self.audit_of(&record);
        self.runtime.block_on(record.shutdown());
        entries
    }

    fn audit_of(&self, record: &Record) -> Vec<AuditEntry> {
        let filter = AuditFilter { limit: 10_000, ..AuditFilter::default() };
        self.runtime.block_on(record.journal.log(&filter)).unwrap()
    }

    /// The reasons of an object's events, each with its count.
    pub fn events(&self, key: &str) -> Vec<(String, i64)> {
        let events = &self.context().record.events;
        let filter = EventFilter { object: Some(key.parse().unwrap()), ..EventFilter::default() };
        let listed = self.runtime.block_on(async {
            events.flush().await.unwrap();
            events.list(&filter).await.unwrap()
        });
        listed.into_iter().map(|event| (event.key.reason, event.count)).collect()
    }

    /// What would be done for an object now.
    pub fn plans(&self, key: &str) -> Vec<PlanView> {
        self.runtime.block_on(self.context().world.plans(Some(&key.parse().unwrap()))).unwrap_or_default()
    }

    /// What would be done if this file, made by [`container`] or the like, were declared; a line for each step and wait.
    pub fn would(&self, (_, text): (String, String)) -> Vec<String> {
        let text = text.replace('@', &format!("{}-", self.name));
        let manifests = parse_file(Path::new("given"), text.as_bytes()).unwrap();
        let plans = self.runtime.block_on(self.context().world.plans_if(manifests)).unwrap();
        let told = plans.iter().flat_map(|PlanView { key, steps, wait, .. }| {
            let steps = steps.iter().map(|step| {
                let target = step.target.rsplit('/').next().unwrap_or_default();
                format!("{} {target}", step.operation)
            });
            let waits = wait.iter().map(|wait| format!("waits: {}", wait.code));
            let mut told: Vec<_> = steps.chain(waits).collect();
            if told.is_empty() {
                told.push("nothing".to_owned());
            }
            told.into_iter().map(move |line| self.shortened(&format!("{key}: {line}")))
        });
        told.collect()
    }

    // Files

    /// A path in the desired state.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join("desired").join(file)
    }

    /// Writes a file at once, as `mooring apply` does.
    pub fn write(&self, file: &str, text: &str) {
        // A name that no manifest has, so that nobody reads it half written.
        let unfinished = self.directory.path().join("unfinished");
        fs::write(&unfinished, text.replace('@', &format!("{}-", self.name))).unwrap();
        fs::rename(unfinished, self.path(file)).unwrap();
    }

    /// Writes a manifest, made by [`container`] or [`environment`].
    pub fn put(&self, (file, text): (String, String)) {
        self.write(&file, &text);
    }

    /// A file's text; empty without a file.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    /// Removes a file.
    pub fn delete(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    /// The value of a variable in a file, as it stands there.
    pub fn value(&self, file: &str, variable: &str) -> Option<String> {
        let text = self.read(file);
        text.lines().rev().find_map(|line| line.strip_prefix(&format!("{variable}="))).map(str::to_owned)
    }

    // The engine

    fn client(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.outside);
        command
    }

    /// Runs `docker` with these words and says what it printed.
    #[track_caller]
    pub fn docker(&self, command: &str) -> String {
        self.try_docker(command).unwrap_or_else(|error| panic!("docker {command}: {error}"))
    }

    /// The same, or what it complained of.
    pub fn try_docker(&self, command: &str) -> Result<String, String> {
        self.try_words(&command.split(' ').collect::<Vec<_>>())
    }

    /// Pauses a container. An engine with too much to do cannot freeze one, now and then.
    pub fn pause(&self, container: &str) {
        self.eventually("it is paused", |host| {
            host.try_docker(&format!("pause @{container}")).is_ok() || host.state(container).starts_with("paused")
        });
    }

    /// The same with words that may have spaces in them.
    pub fn try_words(&self, words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| word.replace('@', &format!("{}-", self.name))).collect();
        let output = self.client().args(&words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// One thing about a container, by a template; nothing when there is no container.
    pub fn inspect(&self, container: &str, template: &str) -> Option<String> {
        let name = format!("{}-{container}", self.name);
        let output = self.client().args(["container", "inspect", "--format", template, &name]).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// What a container is doing, as `running healthy`, `exited`, or `absent`.
    pub fn state(&self, container: &str) -> String {
        let template = "{{.State.Status}}{{with .State.Health}} {{.Status}}{{end}}";
        self.inspect(container, template).unwrap_or_else(|| "absent".to_owned())
    }

    /// A container's id; empty without a container.
    pub fn id(&self, container: &str) -> String {
        self.inspect(container, "{{.Id}}").unwrap_or_default()
    }

    /// A container's image.
    pub fn image(&self, container: &str) -> String {
        self.inspect(container, "{{.Config.Image}}").unwrap_or_default().replace("mooring-demo/", "")
    }

    /// When a container was last started: another text after each start.
    pub fn started(&self, container: &str) -> String {
        self.inspect(container, "{{.State.StartedAt}}").unwrap_or_default()
    }

    /// The value of a variable in a container.
    pub fn variable(&self, container: &str, variable: &str) -> Option<String> {
        let all = self.inspect(container, "{{range .Config.Env}}{{println .}}{{end}}")?;
        all.lines().find_map(|line| line.strip_prefix(&format!("{variable}="))).map(str::to_owned)
    }

    /// The names of all containers of ours, in order.
    pub fn names(&self) -> Vec<String> {
        let filter = format!("label=dev.mooring.owner={}", self.name);
        let listed = self.docker(&format!("ps --all --filter {filter} --format {{{{.Names}}}}"));
        let mut names: Vec<String> = listed.lines().map(|name| self.shortened(name)).collect();
        names.sort();
        names
    }

    fn shortened(&self, text: &str) -> String {
        text.replace(&format!("{}-", self.name), "@")
    }

    /// What there is to know when something did not come about.
    pub fn story(&self) -> String {
        let mut story = self
            .docker(&format!("ps --all --filter name={} --format {{{{.Names}}}}\t{{{{.Image}}}}\t{{{{.Status}}}}", self.name));
        if let Some((ctx, _)) = &self.running {
            for problem in ctx.desired.problems() {
                write!(story, "\n{problem}").unwrap();
            }
            for key in ctx.world.reader.objects().keys().map(ToString::to_string) {
                write!(story, "\n{key}\n{}\n  {}", self.holds(&key), self.steps(&key).join("\n  ")).unwrap();
            }
        }
        story
    }

    // Dying

    /// Name, engine and directory, for another process.
    pub fn handle(&self) -> String {
        format!("{} {} {}", self.name, self.engine, self.directory.path().display())
    }

    /// Converges once on the host of another process.
    pub fn converge_elsewhere(handle: &str) -> controller::once::Outcome {
        let [name, engine, directory] = handle.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let Open { ctx, .. } = open(Path::new(directory), name, engine, None).await.unwrap();
            let outcome = controller::once::once(&ctx, PATIENCE).await;
            ctx.close().await;
            outcome
        })
    }

    /// Files that nobody wanted and a crash left behind.
    pub fn leftovers(&self) -> Vec<String> {
        let wanted = [".env", ".env.secrets", ".env.computed"];
        let entries = fs::read_dir(self.path("")).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().unwrap().is_dir());
        files
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|file| {
                Path::new(file).extension().is_none_or(|extension| extension != "yaml") && !wanted.contains(&file.as_str())
            })
            .collect()
    }

    fn remove_everything(&self) {
        let remove = |list: &[&str], remove: &[&str]| {
            let listed = self.client().args(list).output().unwrap();
            let ids = String::from_utf8(listed.stdout).unwrap();
            let ids: Vec<&str> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                // What is gone already is what we want.
                let _ = self.client().args(remove).args(ids).output();
            }
        };
        let (owner, name) = (format!("label=dev.mooring.owner={}", self.name), format!("name={}-", self.name));
        remove(&["ps", "-aq", "--filter", &owner], &["rm", "-fv"]);
        remove(&["ps", "-aq", "--filter", &name], &["rm", "-fv"]);
        remove(&["network", "ls", "-q", "--filter", &name], &["network", "rm"]);
        remove(&["volume", "ls", "-q", "--filter", &name], &["volume", "rm"]);
        // What a Mooring that was killed held.
        remove(&["volume", "ls", "-q", "--filter", &owner], &["volume", "rm"]);
    }

    /// Every step has an intent, which the log has by its nature, and an outcome: the one that was under way when
    /// Mooring was asked to end was finished first, and one that a death cut short was closed by the next Mooring; the log verifies, also
    /// against its anchors. To be asked when nobody runs, for a step may begin at any time.
    pub fn record_is_whole(&self) {
        let state = self.directory.path().join("state");
        let record = self.runtime.block_on(Record::join(&state, record::Settings::default())).unwrap();
        let entries = self.audit_of(&record);
        self.runtime.block_on(record.shutdown());
        let open: Vec<_> = entries.iter().filter(|entry| entry.outcome.is_none()).collect();
        assert!(open.is_empty(), "steps without an outcome: {open:?}");
        if let Some(log) = self.wait_for(async { AuditLog::of(&state) }) {
            let file = self.directory.path().join("anchors");
            let anchors = if file.exists() { read_anchors(&file).unwrap().anchors } else { Vec::new() };
            let verified = self.wait_for(log.verify(&[], &anchors, |_| {})).unwrap();
            assert_eq!(verified.fault, None, "the audit log does not verify");
        }
        let unordered = entries.iter().find(|entry| entry.concluded_at.as_ref().is_some_and(|at| *at < entry.created_at));
        assert!(unordered.is_none(), "an outcome before its intent: {unordered:?}");
    }
}

/// Opens a Mooring of this name in a directory.
async fn open(directory: &Path, name: &str, engine: &str, database: Option<Target>) -> Result<Open, controller::OpenError> {
    let connection = observe::docker::Connection::new(engine, Arc::new(|_| {})).unwrap();
    let engines = Engines {
        observe: Arc::new(observe::docker::Docker::new(connection.clone())),
        execute: Arc::new(execute::docker::Docker::new(connection, name.to_owned())),
        dial: Arc::new(observe::dial::Tcp),
    };
    let settings = Settings {
        desired: directory.join("desired"),
        state: directory.join("state"),
        owner: name.to_owned(),
        engine: engine.to_owned(),
        http: None,
        resync: RESYNC,
        concurrency: Settings::CONCURRENCY,
        mode: Mode::Act,
        audit_anchor: Some(directory.join("anchors")),
        hearing: mooring::source::watch::Hearing::default(),
        database,
    };
    Context::open(settings, engines, Clock::system()).await
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        // However it ended, and whoever ended it.
        if !thread::panicking() && self.has_ever_run {
            // What was made goes away also when this fails.
            let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.record_is_whole()));
            self.remove_everything();
            if let Err(panic) = looked {
                std::panic::resume_unwind(panic);
            }
        } else {
            self.remove_everything();
        }
    }
}
