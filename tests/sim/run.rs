//! One run: a stack, a Mooring, and everything that goes wrong with them, until
//! all is well again or somebody is to blame.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use mooring::{
    clock::Clock,
    controller::{self, Context, Engines, Open},
    plan::container::State,
    record::audit::AuditLog,
    settings::{Mode, Settings},
    source::watch::Hearing,
};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::{
    dice::Dice,
    disk::{self, Disks},
    edge::IMAGE,
    fleet::Job,
    hostile::Hostile,
    network::Network,
    nginx::Nginx,
    ollama::Ollama,
    oracle::{Oracle, files_below},
    records::Records,
    sabotage::Sabotage,
    schedule::Schedule,
    support::simulated::Simulated,
    trace::Trace,
    verdict::{Case, Deeds, Verdict, told},
    world::World,
    writes,
};

/// When every run begins.
const OPENING: &str = "2026-01-01T00:00:00Z";
/// How long Mooring may take once nothing goes wrong any more: longer than any pause and any window of a budget.
const BOUND: Duration = Duration::from_mins(30);
/// How long all has to stay as it is until that counts.
const STAYS: Duration = Duration::from_secs(30);
/// How long nothing at all may be written after that.
const STEADY: Duration = Duration::from_mins(2);

/// How long Mooring remembers that it tried.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// How much room is kept for a full disk, two minutes after there was some.
const BALLAST: u64 = 8 << 20;

/// What came of a run.
pub struct Outcome {
    /// What went wrong around Mooring.
    pub schedule: Schedule,
    /// What Mooring did wrong; nothing, mostly.
    pub violations: Vec<String>,
    /// What happened.
    pub trace: Trace,
    /// How long it took from the end of the faults until all was well, in simulated time.
    pub healed_in: Duration,
    /// How many objects were not as declared in the end, with a reason.
    pub explained: usize,
}

thread_local! {
    /// What panicked on this thread.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Collects what panics, by thread.
fn collect_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
        before(panic);
    }));
}

/// Makes what is made once for the whole program.
pub fn warm_up() {
    collect_panics();
    disk::are_possible();
    let world = World::full();
    let outcome = on_a_thread(0, Schedule::of_everything(&world), world, None);
    assert!(outcome.violations.is_empty(), "everything at once: {}", outcome.violations.join("; "));
}

/// Runs a seed as it is to be run.
pub fn run(Job { seed, without, sabotage, breadth, faults }: &Job) -> Outcome {
    let world = match sabotage {
        Some(sabotage) if sabotage.needs_all() => World::full(),
        _ => World::new(*seed, *breadth),
    };
    let schedule = match faults {
        Some(faults) => Schedule { faults: faults.clone() },
        None => Schedule::new(*seed, &world),
    };
    let schedule = schedule.without(without);
    stay_on_one_processor(*seed);
    if schedule.has_disks() {
        // While this process has one thread.
        disk::own_mounts();
    }
    on_a_thread(*seed, schedule, world, *sabotage)
}

/// What is done on other threads is done while that of the run has nothing to do, and not beside it: what comes first then
/// does not depend on who is faster.
fn stay_on_one_processor(seed: u64) {
    let ours = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let ours: Vec<usize> = (0..CpuSet::count()).filter(|place| ours.is_set(*place).unwrap_or(false)).collect();
    let mut one = CpuSet::new();
    one.set(ours[usize::try_from(seed).unwrap() % ours.len()]).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
}

fn on_a_thread(seed: u64, schedule: Schedule, world: World, sabotage: Option<Sabotage>) -> Outcome {
    // A thread of its own: hash maps take their chance from it.
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).stack_size(16 << 20);
    let played = thread.spawn(move || {
        chance::sow(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            // What is to be done on other threads is done one after the other, and told when nobody here has anything to do.
            .max_blocking_threads(1)
            // One that ended after ten real seconds without work would be followed by one that begins its chance anew.
            .thread_keep_alive(Duration::from_hours(1))
            .global_queue_interval(u32::MAX)
            .event_interval(u32::MAX)
            .on_thread_start(move || {
                chance::sow(seed ^ 1);
                chance::be_patient();
            })
            .on_thread_park(writes::look)
            .build()
            .unwrap();
        runtime.block_on(async move {
            // The main future is polled out of turn, so nothing is done in it.
            tokio::spawn(play(seed, world, schedule, sabotage)).await.unwrap()
        })
    });
    played.unwrap().join().unwrap()
}

async fn play(seed: u64, world: World, schedule: Schedule, sabotage: Option<Sabotage>) -> Outcome {
    let mut stage = Stage::new(seed, world, schedule.has_disks());
    stage.start().await;
    stage.act_out(&schedule, sabotage).await;
    stage.mend().await;
    let (healed_in, explained) = stage.heal().await;
    stage.stay_calm(sabotage, explained).await;
    stage.stop().await;
    stage.judge().await;
    for panic in PANICS.with_borrow_mut(std::mem::take) {
        stage.oracle.accuse(format!("a panic: {panic}"));
    }
    writes::end();
    let violations = stage.oracle.violations();
    Outcome { schedule, violations, trace: stage.trace, healed_in, explained }
}

/// Everything that takes part in a run.
pub struct Stage {
    /// The disks that they are on, where those are to fail.
    pub disks: Option<Disks>,
    /// Where its files are.
    pub directory: tempfile::TempDir,
    /// What is declared now.
    pub world: World,
    /// The engine as it is.
    pub engine: Simulated,
    /// The engine as Mooring meets it.
    pub hostile: Hostile,
    /// The nginx in front.
    pub nginx: Nginx,
    /// The model servers.
    pub ollama: Ollama,
    /// The way to them.
    pub network: Network,
    /// Who judges.
    pub oracle: Oracle,
    /// What happens.
    pub trace: Trace,
    /// What people have done.
    pub deeds: Deeds,
    /// How far the clock is ahead, in milliseconds.
    pub ahead: &'static AtomicI64,
    /// Whether the engine can be reached.
    pub is_away: bool,
    /// Whether Mooring is down for nothing but that it could not start.
    pub is_refused: bool,
    clock: Clock,
    teller: Arc<watch::Sender<()>>,
    running: Option<(Arc<Context>, JoinHandle<()>)>,
    told: BTreeMap<String, String>,
}

impl Stage {
    fn new(seed: u64, world: World, has_disks: bool) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let disks = has_disks.then(|| Disks::mounted(directory.path()));
        // The clock is copied everywhere, so what sets it has to outlive the run: eight bytes a seed.
        let ahead: &'static AtomicI64 = Box::leak(Box::default());
        let clock = Clock::anchored(OPENING.parse::<Timestamp>().unwrap()).set_by(ahead);
        let trace = Trace::new();
        let engine = Simulated::new("mooring", clock);
        world.furnish(&engine);
        let oracle = Oracle::new(&world, trace.clone());
        let nginx = Nginx::new(directory.path(), oracle.clone(), trace.clone());
        let started = nginx.clone();
        engine.at_each_start(Arc::new(move |image, id| if image.starts_with(IMAGE) { started.start(id) } else { None }));
        let ollama = Ollama::new(Dice::new(seed, "model server"), oracle.clone(), trace.clone());
        let hostile = Hostile::new((engine.clone(), nginx.clone(), ollama.clone()), seed, oracle.clone(), trace.clone());
        let network = Network::new(engine.clone(), ollama.clone());
        fs::create_dir_all(directory.path().join("desired/sites")).unwrap();
        let stage = Self {
            disks,
            directory,
            world,
            engine,
            hostile,
            nginx,
            ollama,
            network,
            oracle,
            trace,
            deeds: Deeds::default(),
            ahead,
            is_away: false,
            is_refused: false,
            clock,
            teller: Arc::new(watch::channel(()).0),
            running: None,
            told: BTreeMap::new(),
        };
        for (name, text) in stage.world.files() {
            stage.write(&name, &text);
        }
        writes::begin(&stage.oracle);
        for place in ["", "sites"] {
            writes::add(&stage.path(place));
        }
        stage
    }

    /// A file of the desired state.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("desired").join(name)
    }

    /// Writes a file of the desired state, if there is a place for it.
    pub fn write(&self, name: &str, text: &str) {
        if self.path("").is_dir() {
            fs::write(self.path(name), text).unwrap();
        }
        self.tell();
    }

    /// Files have changed, and Mooring hears of it.
    pub fn tell(&self) {
        writes::forget();
        self.teller.send_replace(());
    }

    /// The running Mooring, if it runs.
    pub fn context(&self) -> Option<&Arc<Context>> {
        self.running.as_ref().map(|(ctx, _)| ctx)
    }

    /// Starts Mooring, unless it runs.
    pub async fn start(&mut self) {
        if self.running.is_some() {
            return;
        }
        let settings = Settings {
            audit_anchor: None,
            database: None,
            desired: self.path(""),
            state: self.directory.path().join("state"),
            owner: "mooring".to_owned(),
            engine: "simulated".to_owned(),
            http: None,
            hearing: Hearing::Told(Arc::clone(&self.teller)),
            resync: Settings::RESYNC,
            concurrency: Settings::CONCURRENCY,
            mode: Mode::Act,
        };
        for _ in 0..1000 {
            let hostile = Arc::new(self.hostile.clone());
            let dial = Arc::new(self.network.clone());
            let engines = Engines { observe: hostile.clone(), execute: hostile, dial };
            match Context::open(settings.clone(), engines, self.clock).await {
                Ok(Open { ctx, queue }) => {
                    self.trace.note("mooring runs");
                    self.is_refused = false;
                    self.oracle.reads(&settings.state);
                    self.running = Some((Arc::clone(&ctx), tokio::spawn(controller::run(ctx, queue))));
                    return;
                }
                // What was killed lets go of its directory a moment later; what the engine does not say now it says then.
                Err(error) => {
                    let why = mooring::error_chain(&error).replace(&self.directory.path().display().to_string(), "");
                    self.trace.note(format!("mooring does not start: {why}"));
                    if self.disks.as_ref().is_some_and(Disks::may_refuse) {
                        self.is_refused = true;
                        return;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        self.oracle.accuse("it does not start any more".to_owned());
    }

    /// Asks Mooring to end.
    pub async fn stop(&mut self) {
        if let Some((ctx, task)) = self.running.take() {
            self.trace.note("mooring is to stop");
            ctx.stop();
            let ended = tokio::time::timeout(Duration::from_mins(2), task).await;
            ctx.record.shutdown().await;
            if ended.is_err() {
                self.oracle.accuse("it does not end".to_owned());
            }
            self.oracle.closes();
        }
    }

    /// Drops Mooring where it is, as a kill would.
    pub async fn crash(&mut self) {
        if let Some((ctx, task)) = self.running.take() {
            self.trace.note("mooring is killed");
            self.nginx.forget_reloads();
            task.abort();
            let _ = task.await;
            ctx.record.shutdown().await;
            drop(ctx);
            // Work on another thread goes on to its end.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            self.oracle.closes();
        }
    }

    /// Leaves Mooring without anybody who does its work.
    pub fn sleep_for_ever(&self) {
        if let Some((_, task)) = &self.running {
            task.abort();
        }
    }

    /// Lets time pass, and looks now and then.
    async fn pass(&mut self, until: Instant) {
        while Instant::now() < until {
            sleep_until(until.min(Instant::now() + Duration::from_secs(1))).await;
            self.look();
        }
    }

    /// Looks at the secrets and at what Mooring says.
    fn look(&mut self) {
        writes::add(&self.directory.path().join("state/environments/shop"));
        if let Some(disks) = &mut self.disks {
            disks.go_on();
        }
        if let Ok(text) = fs::read_to_string(self.path(".env.secrets")) {
            self.oracle.look_at_secrets(&text);
        }
        self.oracle.look_at_containers(&self.engine.everything());
        let Some((ctx, _)) = &self.running else { return };
        for (key, status) in ctx.record.status.all() {
            let now = told(Some(&status)).replace(&self.directory.path().display().to_string(), "");
            let now = writes::without_chance(&now);
            if self.told.get(&key.to_string()) != Some(&now) {
                self.trace.note(format!("status: {key}: {now}"));
                self.told.insert(key.to_string(), now);
            }
        }
    }

    /// Everything that goes wrong, in its order, each thing to its end.
    async fn act_out(&mut self, schedule: &Schedule, sabotage: Option<Sabotage>) {
        let began = Instant::now();
        let mut timeline = Vec::new();
        for (number, (at, fault)) in schedule.faults.iter().enumerate() {
            timeline.push((*at, number, true));
            timeline.push((*at + fault.lasts(), number, false));
        }
        timeline.sort_by_key(|(at, number, begins)| (*at, !*begins, *number));
        for (at, number, begins) in timeline {
            self.pass(began + at).await;
            let fault = &schedule.faults[number].1;
            if begins {
                self.trace.note(format!("fault {number}: {fault}"));
                self.begin(fault).await;
            } else if !fault.lasts().is_zero() {
                self.trace.note(format!("fault {number} ends"));
                self.end(fault).await;
            }
        }
        if let Some(sabotage) = sabotage {
            self.pass(Instant::now() + Duration::from_secs(20)).await;
            sabotage.strike(self).await;
        }
    }

    /// Nothing goes wrong any more, and everything is as people have declared it.
    async fn mend(&mut self) {
        self.trace.note("no more faults");
        // What was changed until now was not changed by people.
        writes::look();
        self.hostile.be_well();
        self.ollama.be_well();
        if let Some(disks) = &mut self.disks {
            disks.be_well();
        }
        for thing in self.engine.everything() {
            if thing.listed.state == State::Paused {
                self.engine.set_paused(&thing.listed.name, false);
            }
        }
        self.mend_at_edge();
        // What could not be ended because it was out of sight.
        let _ = fs::remove_dir(self.path(".env.secrets"));
        for (name, text) in self.world.files() {
            if fs::read_to_string(self.path(&name)).ok().as_ref() != Some(&text) {
                self.write(&name, &text);
            }
        }
        self.tell();
        self.start().await;
    }

    /// Waits until all is well, or explained: how long that took, and how much is explained.
    async fn heal(&mut self) -> (Duration, usize) {
        let began = Instant::now();
        let mut since = None;
        loop {
            self.pass(Instant::now() + Duration::from_secs(5)).await;
            let verdicts = self.verdicts();
            let wrong: Vec<_> = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Wrong(_))).collect();
            if wrong.is_empty() && !self.hostile.late.is_left() {
                let since = *since.get_or_insert_with(Instant::now);
                if since.elapsed() >= STAYS {
                    let explained = verdicts.values().filter(|verdict| **verdict != Verdict::Well).count();
                    return (since.duration_since(began), explained);
                }
            } else {
                since = None;
            }
            if began.elapsed() >= BOUND {
                for (name, verdict) in wrong {
                    self.oracle.accuse(format!("{name}: {verdict:?}"));
                }
                return (BOUND, 0);
            }
        }
    }

    fn verdicts(&self) -> BTreeMap<String, Verdict> {
        let Some(ctx) = self.context() else { return BTreeMap::new() };
        let files = [".env", ".env.secrets", ".env.computed"]
            .map(|name| (name.to_owned(), fs::read_to_string(self.path(name)).unwrap_or_default()));
        let case = Case {
            world: &self.world,
            things: &self.engine.everything(),
            statuses: &ctx.record.status.all(),
            deeds: &self.deeds,
            oracle: &self.oracle,
            files: &files.into(),
            nginx: (&self.nginx, &self.path("")),
            servers: (&self.ollama, &self.network),
        };
        case.verdicts()
    }

    /// Where nothing is to be done, nothing is done, and nothing is written.
    async fn stay_calm(&mut self, sabotage: Option<Sabotage>, explained: usize) {
        self.trace.note("all is calm");
        let (acts, files) = (self.oracle.acts(), files_below(self.directory.path()));
        let mut records = Records::open(&self.directory.path().join("state"));
        let (began, kept) = (Instant::now(), records.kept());
        if let Some(sabotage) = sabotage {
            sabotage.disturb(self).await;
        }
        self.pass(began + STEADY).await;
        let now = self.oracle.acts();
        if now != acts {
            self.oracle.accuse(format!("{} acts although nothing was to be done", now - acts));
        }
        let later = files_below(self.directory.path());
        for path in files.keys().filter(|path| !later.contains_key(*path)) {
            self.oracle.accuse(format!("{} was removed although nothing was to be done", path.display()));
        }
        for (path, content) in &later {
            if files.get(path) != Some(content) {
                let name = path.strip_prefix(self.directory.path()).unwrap().display().to_string();
                // Whoever reads is noted there, and the oracle does.
                // Room that was given up is kept again within a minute.
                if name.ends_with("-shm") || (name == "state/ballast" && self.disks.is_some()) {
                    continue;
                }
                // What is remembered of tries is dropped when they are long past, and so is a stop that lies in the future
                // since the clock was set back; what is waited for is looked at again.
                let explained = explained > 0 || self.ahead.load(Ordering::Relaxed) != 0;
                if name.starts_with("state/mooring.db") && (explained || self.trace.elapsed() > FORGOTTEN) {
                    continue;
                }
                for row in records.kept().difference(&kept) {
                    self.trace.note(format!("written: {row}"));
                }
                self.oracle.accuse(format!("{name} was written although nothing was to be done"));
            }
        }
    }

    /// What can be judged when all is over.
    async fn judge(&mut self) {
        let state = self.directory.path().join("state");
        writes::look();
        for path in files_below(self.directory.path()).into_keys() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(writes::UNFINISHED) {
                self.oracle.accuse(format!("{name} was left behind"));
            }
        }
        if !fs::metadata(state.join("ballast")).is_ok_and(|room| room.is_file() && room.len() >= BALLAST) {
            self.oracle.accuse("no room is kept for a full disk".to_owned());
        }
        let mut records = Records::open(&state);
        self.oracle.count(&mut records);
        if let Some(fault) = records.fault() {
            self.oracle.accuse(format!("the audit log: {fault}"));
        }
        let verified = AuditLog::of(&state).unwrap().verify(&[], &[], |_| ()).await.unwrap();
        if let Some(fault) = verified.fault {
            self.oracle.accuse(format!("the audit log is not verified: {fault:?}"));
        }
        self.trace.note(format!("{} rows in the audit log, {} acts", records.rows(), self.oracle.acts()));
        let there: Vec<String> = self.engine.everything().into_iter().map(|thing| thing.listed.name).collect();
        for stranger in self.world.strangers.clone() {
            if !there.contains(&stranger) {
                self.oracle.accuse(format!("{stranger} is gone"));
            }
        }
        self.judge_models();
        if self.world.services["db"].is_stateful && !self.engine.volume_names().contains("db_data") {
            self.oracle.accuse("the volume of db is not there".to_owned());
        }
    }

    /// The clock is set.
    pub fn set_clock(&self, seconds: i64) {
        self.nginx.forget_reloads();
        self.ahead.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}
