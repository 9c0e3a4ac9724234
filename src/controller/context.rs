//! What a pass has at hand, and what outlives it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt, io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    time::Instant,
};

use super::{
    Triggers,
    alerts::Desk,
    desired::DesiredState,
    found,
    instance::{self, Instance},
    lease,
    memory::Turns,
    triggers::Mark,
    troubles::Troubles,
    world::{World, lock, out_of_reach},
};
use crate::{
    clock::Clock,
    execute::{self, Hands},
    manifest::Key,
    observe::{
        dial::Dial,
        dns::Names,
        engine::{self, Description},
        probe::{OnChange, Probes},
        snapshot::Snapshot,
    },
    plan::{self, History, Plan, Situation, Wait, container::Readiness},
    record::{
        self, Record,
        status::{self, Findings},
    },
    resolve,
    settings::{Mode, Settings},
    source::problem::Problem,
    store::{self, Object},
    view::insight::{CorrectionView, PendingView},
};

/// Whoever has not finished a file by then never will.
const UNFINISHED: Duration = Duration::from_mins(1);

/// Everything a running Mooring consists of.
pub struct Context {
    /// The side that only looks.
    pub world: World,
    /// The side that acts.
    pub hands: Hands,
    /// What happened.
    pub record: Record,
    /// What has to be looked at.
    pub triggers: Arc<Triggers>,
    /// The files that say what is wanted.
    pub desired: DesiredState,
    stopping: watch::Sender<bool>,
    /// What was noted of objects since the start.
    pub(super) noted: Noted,
    /// Whose turn it is to write down what is remembered.
    pub(super) turns: Turns,
    /// What people were told.
    pub(super) alerts: Desk,
    /// How far each object has come, and whether another version of it is.
    pub(super) readiness: Mutex<BTreeMap<Key, (Readiness, bool)>>,
    engine: Mutex<EngineState>,
    observed: AtomicBool,
    turned: Mutex<Instant>,
    _instance: Instance,
}

/// How the connection to the engine fares.
#[derive(Debug, Default)]
struct EngineState {
    reached: Option<Description>,
    lost: Option<Loss>,
}

/// The engine is away.
#[derive(Debug)]
struct Loss {
    since: Timestamp,
    reason: String,
    /// Whether an attempt to reach it again has failed, so that it is more than a broken connection.
    is_confirmed: bool,
}

/// A context, and the queue that its triggers fill.
pub struct Open {
    /// The context.
    pub ctx: Arc<Context>,
    /// For [`super::run`].
    pub queue: UnboundedReceiver<Key>,
}

/// Mooring cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory cannot be made or entered.
    #[error("the state directory {directory} cannot be used")]
    StateDirectory {
        /// The directory.
        directory: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another Mooring has it.
    #[error(transparent)]
    Instance(#[from] instance::Error),
    /// Another Mooring has the containers.
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// The journal cannot be opened.
    #[error("the record cannot be opened")]
    Record {
        /// Why.
        source: record::Error,
    },
    /// The desired state cannot be read.
    #[error("the desired state cannot be read")]
    Desired {
        /// Why.
        source: super::desired::Error,
    },
    /// What is permitted cannot be understood, and no version of it ever was: to begin without it would be to do what it
    /// may forbid.
    #[error("the manifest of the host is refused, and there is no earlier version of it:\n{}", lines(.0))]
    Policy(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Both sides of an engine, and the way to what runs on it.
pub struct Engines {
    /// The side that is asked.
    pub observe: Arc<dyn engine::Engine>,
    /// The side that acts.
    pub execute: Arc<dyn execute::engine::Engine>,
    /// Connections to what is looked after.
    pub dial: Arc<dyn Dial>,
}

/// What was noted of objects since the start, and is worth nothing after it.
#[derive(Default)]
pub(super) struct Noted {
    /// Since when each object has not been as declared.
    pub(super) faults: Mutex<BTreeMap<Key, Instant>>,
    /// When a container that it leads to, or its own, last came, went or moved, by `Proxy`.
    pub(super) moves: Mutex<BTreeMap<Key, Instant>>,
    /// The notes that are known to have been told, by object.
    pub(super) told: Mutex<BTreeMap<Key, BTreeSet<String>>>,
    /// What is wrong with the host or with Mooring itself.
    pub(super) troubles: Troubles,
    /// What is still to be done, as the last pass of each object has found.
    pub(super) pending: Mutex<BTreeMap<Key, PendingView>>,
    /// What was put right, oldest first.
    pub(super) corrections: Mutex<VecDeque<CorrectionView>>,
}

impl Noted {
    pub(super) fn forget(&self, key: &Key) {
        lock(&self.faults).remove(key);
        lock(&self.moves).remove(key);
        lock(&self.told).remove(key);
        lock(&self.pending).remove(key);
    }
}

impl Context {
    /// Takes the state directory, opens the record, and reads what is wanted.
    pub async fn open(settings: Settings, engines: Engines, clock: Clock) -> Result<Open, OpenError> {
        make_state_directory(&settings.state)?;
        let instance = instance::take(&settings.state)?;
        match lease::take(&settings, &*engines.execute, &*engines.observe).await {
            Err(error) if error.is_held() => return Err(error.into()),
            // An engine that is away is asked for the lease when it is back, before anything else.
            Ok(()) | Err(_) => {}
        }
        let failed = |source| OpenError::Record { source };
        let how = record::Settings { at_once: clock.is_anchored(), ..record::Settings::default() };
        let (record, opened) = Record::open(&settings.state, how).await.map_err(failed)?;
        let fingerprints = record::fingerprint_key(&settings.state).map_err(failed)?;
        let (reader, writer) = store::store();
        let (triggers, queue) = Triggers::new();
        let triggers = Arc::new(triggers);
        let on_change: OnChange = {
            let triggers = Arc::clone(&triggers);
            Arc::new(move |key: &Key| triggers.trigger(key))
        };
        let world = World {
            names: Some(Names::new(Arc::clone(&on_change), settings.resync)),
            probes: Some(Probes::new((Arc::clone(&engines.observe), Arc::clone(&engines.dial)), clock, on_change)),
            histories: Mutex::new(known_at(clock.now(), &record).await),
            found: Mutex::new(found::load(&settings.state)),
            ..World::new(settings, clock, reader, (Arc::clone(&engines.observe), Arc::clone(&engines.dial)), fingerprints)
        };
        let (evidence, owed) = (Arc::clone(&world.evidence), Arc::clone(&world.evidence));
        let (stopping, stops) = watch::channel(false);
        let hands = Hands {
            journal: record.journal.clone(),
            files: execute::files::Files::new(world.files.clone()),
            ollama: execute::ollama::Ollama::new(world.pulls.clone(), Arc::clone(&engines.dial), stops.clone()),
            dial: engines.dial,
            containers: engines.observe,
            engine: engines.execute,
            stopping: stops,
            before_stop: Box::new(move |id| lock(&evidence).ours(id, Instant::now())),
            stop_failed: Box::new(move |id| lock(&owed).owed(id, Instant::now())),
        };
        let desired = DesiredState::open(&world.settings, writer).map_err(|source| OpenError::Desired { source })?;
        let ctx = Arc::new(Self {
            world,
            hands,
            record,
            triggers,
            desired,
            stopping,
            noted: Noted::default(),
            alerts: Desk::default(),
            turns: Turns::default(),
            readiness: Mutex::default(),
            engine: Mutex::default(),
            observed: AtomicBool::new(false),
            turned: Mutex::new(Instant::now()),
            _instance: instance,
        });
        ctx.take_over(&opened.open_intents).await;
        ctx.rescan().await;
        if let Some(problems) = ctx.host_refused() {
            ctx.close().await;
            return Err(OpenError::Policy(problems));
        }
        ctx.sweep();
        Ok(Open { ctx, queue })
    }

    /// Removes what a crash left of unfinished changes of files.
    fn sweep(&self) {
        if self.world.settings.mode == Mode::Observe {
            return;
        }
        let sweep = |directory: &Path, age| {
            let swept = execute::files::sweep_temporaries(directory, age);
            told(&directory.display(), swept);
        };
        sweep(&self.world.settings.state, Duration::ZERO);
        // Commands write there as well, whether we run or not.
        sweep(&self.world.settings.desired, UNFINISHED);
        for object in self.world.reader.objects().values() {
            match self.world.resolve(object).0 {
                Some(resolve::Desired::Environment(environment)) => told(object.key(), self.hands.files.sweep(&environment)),
                Some(resolve::Desired::Proxy(proxy)) => {
                    proxy.directories().iter().for_each(|directory| sweep(directory, Duration::ZERO));
                }
                _ => {}
            }
        }
    }

    /// Asks everything to finish its current step and end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Gives everything back that was taken. Nothing may be under way any more.
    pub async fn close(&self) {
        lease::give_back(&self.world.settings, &*self.hands.engine).await;
        self.anchor_for_good().await;
        self.record.shutdown().await;
    }

    /// Ends when somebody called [`Self::stop`].
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // The sender lives in the context; if that is gone, so are we.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    /// A pass begins: what is wrong with the object's references or with its file.
    pub(super) fn refused(&self, object: &Object, refusal: Option<&resolve::Error>) {
        *lock(&self.turned) = Instant::now();
        if let Some(refusal) = refusal {
            let (key, message) = (object.key(), refusal.to_string());
            let previous = self.record.status.get(key).unwrap_or_default();
            if self.record.status.set(key, status::refused(&previous, &message, self.world.clock.now())) {
                self.record.events.warning(key.clone(), "InvalidManifest", message);
            }
        }
    }

    /// Reports that the world could not be seen.
    pub(super) fn unreachable(&self, object: &Object, error: &engine::Error) {
        let wait = Wait::EngineUnreachable { reason: out_of_reach(error) };
        self.decided(object, &Plan::waiting(wait), None, None);
    }

    /// Reports a decision: conditions, and events where they changed for the worse.
    pub(super) fn decided(&self, object: &Object, plan: &Plan, failure: Option<&str>, refusal: Option<&resolve::Error>) {
        let key = object.key();
        self.tell_notes(key, plan);
        self.note_pending(key, plan);
        self.note_budget(key, plan.wait.as_ref());
        let refusal = refusal.map(ToString::to_string).or_else(|| self.desired.problem_of(key));
        let findings = Findings { generation: object.generation(), plan, failure, refusal: refusal.as_deref() };
        let previous = self.record.status.get(key).unwrap_or_default();
        let news = self.record.status.set(key, status::conditions(&previous, &findings, self.world.clock.now()));
        match &plan.wait {
            Some(wait @ Wait::Held { .. }) if news => self.record.events.normal(key.clone(), wait.code(), wait.to_string()),
            Some(Wait::HoldOver { since }) if news => self.hold_over(key, &previous, *since),
            Some(wait) if news && !wait.ends_by_itself() => {
                self.record.events.warning(key.clone(), wait.code(), wait.to_string());
            }
            Some(_) | None => {}
        }
        if let (true, Some(Wait::CrashLoop { .. })) = (news, &plan.wait) {
            self.record.metrics.crash_loop(key.kind);
        }
    }

    /// Whether what a `Proxy` leads to has moved since this moment.
    pub(super) fn has_moved_since(&self, key: &Key, at: Instant) -> bool {
        lock(&self.noted.moves).get(key).is_some_and(|moved| *moved > at)
    }

    /// Tells what is to be known of an object, once for as long as it is so.
    fn tell_notes(&self, key: &Key, plan: &Plan) {
        let notes: BTreeMap<String, &'static str> = plan.notes.iter().map(|note| (note.to_string(), note.code())).collect();
        let told: BTreeSet<String> = notes.keys().cloned().collect();
        let before =
            if told.is_empty() { lock(&self.noted.told).remove(key) } else { lock(&self.noted.told).insert(key.clone(), told) };
        let before = before.unwrap_or_default();
        for (note, code) in notes.into_iter().filter(|(note, _)| !before.contains(note)) {
            self.record.events.warning(key.clone(), code, note);
        }
    }

    /// Since when the object has not been as declared, for the time it takes to correct it.
    pub(super) fn fault_since(&self, key: &Key, plan: &Plan, mark: Option<Mark>) -> Option<Instant> {
        if !plan.withheld.is_empty() {
            // The time in which we were told to do nothing is not ours.
            lock(&self.noted.faults).remove(key);
            return None;
        }
        if plan.is_converged() {
            return None;
        }
        let first = mark.map_or_else(Instant::now, |mark| mark.first);
        Some(*lock(&self.noted.faults).entry(key.clone()).or_insert(first))
    }

    /// The object is as declared.
    pub(super) fn corrected(&self, key: &Key) {
        if let Some(since) = lock(&self.noted.faults).remove(key) {
            let took = since.elapsed();
            self.record.metrics.correction(key.kind, took);
            self.note_correction(key, took);
        }
    }

    /// There was a trigger for a key that is not in the store: an event of a container whose object is gone, say. Were it
    /// kept waiting, an object of that name would never be looked at.
    pub(super) fn nobody_there(&self, key: &Key) {
        self.triggers.take(key);
        // One may have come in between. Objects are put into the store first and triggered then, so it is seen either here
        // or by its trigger.
        if self.world.reader.get(key).is_some() {
            self.triggers.trigger(key);
        }
    }

    /// Lets those that depend on an object look again when it came up or went down, or is or is not to be replaced any more.
    pub(super) fn readiness_changed(&self, key: &Key, situation: &Situation, plan: &Plan) {
        let containers = match situation {
            Situation::Container(_, observed) | Situation::Healed(_, observed) | Situation::Absent(_, observed) => {
                &observed.containers
            }
            Situation::ModelProvider(_, plan::model_provider::Observed { run: Some(observed), .. }) => &observed.containers,
            Situation::Environment(..)
            | Situation::Proxy(..)
            | Situation::ModelProvider(..)
            | Situation::Plugin(..)
            | Situation::Hold(..)
            | Situation::Host(..) => return,
        };
        let readiness = containers.iter().map(crate::plan::container::Container::readiness).max().unwrap_or(Readiness::Down);
        let readiness = (readiness, situation.is_on_its_way(plan) && !self.world.retries.is_failing(key));
        if lock(&self.readiness).insert(key.clone(), readiness) != Some(readiness) {
            self.look_at_users(key);
            if let Some(parent) = self.world.reader.get(key).and_then(|object| object.expanded_from()) {
                self.triggers.trigger(&parent);
            }
        }
    }

    /// Asks for a look at everything that refers to an object.
    pub fn look_at_users(&self, key: &Key) {
        for user in self.world.users(key) {
            self.triggers.trigger(&user);
        }
    }

    /// The engine answers.
    pub(super) fn engine_reached(&self, description: &Description) {
        tracing::info!(version = description.version, api = description.api_version, "connected to the engine");
        let before = std::mem::replace(&mut *lock(&self.engine), EngineState { reached: Some(description.clone()), lost: None });
        self.settle_trouble("EngineLost", "EngineBack", "the engine answers again");
        if before.lost.is_some() {
            lock(&self.world.guard).engine_back(self.world.clock.now());
        }
    }

    /// The engine does not answer any more.
    pub(super) fn engine_gone(&self, error: Option<&engine::Error>) {
        let reason = error.map_or_else(|| "it closed the connection".to_owned(), out_of_reach);
        let message = format!("the engine cannot be reached: {reason}");
        self.record.metrics.engine_reconnected();
        let is_confirmed = matches!(error, Some(engine::Error::Unreachable { .. }));
        let was_confirmed = {
            let mut engine = lock(&self.engine);
            engine.reached = None;
            let known = engine.lost.take();
            // Said once for each loss, not for each attempt.
            if known.is_none() {
                tracing::warn!(reason, "the engine is away");
            }
            let since = known.as_ref().map_or_else(|| self.world.clock.now(), |loss| loss.since);
            let was_confirmed = known.is_some_and(|loss| loss.is_confirmed);
            engine.lost = Some(Loss { since, reason, is_confirmed: is_confirmed || was_confirmed });
            was_confirmed
        };
        if is_confirmed {
            self.raise("EngineLost", &message);
        }
        if is_confirmed && !was_confirmed {
            // What cannot be seen is not to be called ready until the next resync.
            self.look_at_everything(Instant::now());
        }
    }

    /// Where the engine keeps its containers, as it says itself.
    pub(super) fn engine_root(&self) -> Option<std::path::PathBuf> {
        lock(&self.engine).reached.as_ref().and_then(|description| description.root.clone())
    }

    /// The whole world has been looked at.
    pub(super) fn observed_everything(&self, snapshot: &Snapshot) {
        if let Some(probes) = &self.world.probes {
            probes.retain(&snapshot.containers);
        }
        self.observed.store(true, Ordering::Relaxed);
        *lock(&self.turned) = Instant::now();
        self.record.metrics.observed(self.world.clock.now());
        self.record.metrics.queue_depth(self.triggers.depth());
    }

    /// Whether we live and are of use.
    #[must_use]
    pub fn health(&self) -> crate::view::Health {
        let patience = self.world.settings.resync * 3 + std::time::Duration::from_secs(30);
        let mut not_ready = Vec::new();
        let engine_lost_since = lock(&self.engine).lost.as_ref().map(|loss| {
            let since = record::clock::text(loss.since);
            not_ready.push(format!("the engine cannot be reached since {since}: {}", loss.reason));
            since
        });
        if !self.observed.load(Ordering::Relaxed) {
            not_ready.push("the first full observation is not done yet".to_owned());
        }
        if !*self.record.journal.writable().borrow() {
            not_ready.push("the journal cannot be written, so nothing is corrected".to_owned());
        }
        not_ready.extend(self.desired.trouble());
        let refused = self.desired.problems().iter().map(ToString::to_string).collect();
        crate::view::Health { alive: lock(&self.turned).elapsed() < patience, not_ready, refused, engine_lost_since }
    }
}

/// What is remembered, for somebody who finds it at this time: the clock may have been set back since. What is left of objects
/// that are long gone is dropped.
async fn known_at(at: Timestamp, record: &Record) -> BTreeMap<Key, History> {
    let mut known = BTreeMap::new();
    for (key, history) in record.history.load_all() {
        let history = history.no_later_than(at);
        let history = if history.is_left_behind() { history.left_behind(at) } else { Some(history) };
        if let Some(history) = history {
            known.insert(key, history);
        } else if let Err(error) = record.history.forget(&key).await {
            tracing::warn!(object = %key, error = crate::error_chain(&error), "what is left of it could not be dropped");
        }
    }
    known
}

/// Tells what came of sweeping up there.
fn told(place: &impl fmt::Display, swept: io::Result<usize>) {
    match swept {
        Ok(0) => {}
        Ok(swept) => tracing::warn!(%place, swept, "removed what a crash left of unfinished changes"),
        Err(error) => tracing::warn!(%place, %error, "what a crash may have left could not be removed"),
    }
}

/// The state directory holds secrets: nobody else may enter it.
fn make_state_directory(directory: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    let failed = |source| OpenError::StateDirectory { directory: directory.display().to_string(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).map_err(failed)
}
