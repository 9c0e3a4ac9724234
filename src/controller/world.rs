//! The side of the controller that looks and changes nothing: what a pass sees,
//! and what `diff` sees without ever acting.

mod proxy;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{guard::Guard, plugins::Expanded, requests::Requests, retries::Retries};
use crate::{
    clock::Clock,
    dotenv::Values,
    execute::Environments,
    expand::Found,
    manifest::{Key, Kind, Manifest},
    observe::{
        container::Lens,
        dial::Dial,
        dns::Names,
        engine,
        environment::{EnvironmentReader, RunningContainer},
        evidence::Evidence,
        gauges::Gauges,
        ollama::pulls::Pulls,
        probe::Probes,
        snapshot::{Snapshot, Snapshots},
    },
    plan::{
        self, History, Situation,
        container::{ProbeState, Readiness, Variables},
        environment::{FileState, Recall, ValueState},
    },
    resolve::{self, Desired, resolve},
    secret::{FingerprintKey, Secret},
    settings::Settings,
    store::{Object, Reader},
};

/// Everything that is needed to look.
pub struct World {
    /// How we run.
    pub settings: Settings,
    /// The time of day.
    pub clock: Clock,
    /// What is wanted.
    pub reader: Reader,
    /// The engine, as seen.
    pub snapshots: Snapshots,
    /// What failed and when it is tried again.
    pub retries: Retries,
    /// Our own checks; none when we only have a look.
    pub probes: Option<Probes>,
    /// What names lead to; nothing when we only have a look.
    pub names: Option<Names>,
    /// For public names of values.
    pub fingerprints: FingerprintKey,
    /// The `.env` files.
    pub files: EnvironmentReader,
    /// What was seen live about stops.
    pub evidence: Arc<Mutex<Evidence>>,
    /// The models that are being pulled.
    pub pulls: Pulls,
    /// What is remembered of each object.
    pub histories: Mutex<BTreeMap<Key, History>>,
    /// What was last wanted of each object while its references were good.
    pub resolved: Mutex<BTreeMap<Key, Desired>>,
    /// Whom the containers of the last list belong to, by their ids.
    pub owners: Mutex<HashMap<String, Key>>,
    /// What is to be left alone, and until when.
    pub holds: Mutex<Arc<[plan::hold::Desired]>>,
    /// What is permitted on the host.
    pub policy: Mutex<Arc<plan::host::Policy>>,
    /// What people have asked for and confirmed.
    pub requests: Requests,
    /// The acts under way, which no memory has yet, with when they were decided on.
    pub acting: Mutex<BTreeMap<Key, Timestamp>>,
    /// Whether it is the host that fails.
    pub guard: Mutex<Guard>,
    /// What became of plugins.
    pub expansion: Mutex<Arc<Expanded>>,
    /// The containers that Compose has made for plugins.
    pub found: Mutex<BTreeMap<Key, Vec<Found>>>,
    /// The last list.
    pub latest: Mutex<Option<Arc<Snapshot>>>,
    /// What was used of the host in the last hour.
    pub gauges: Gauges,
    /// The way to model servers.
    pub dial: Arc<dyn Dial>,
}

/// What our own probe says of a container.
type OnListed<'a> = dyn Fn(&engine::Listed) -> Option<ProbeState> + Sync + 'a;
/// Until when a stop by a person has to be thought possible.
type OnId<'a> = dyn Fn(&str) -> Option<Timestamp> + Sync + 'a;

/// What a pass saw.
pub struct Seen {
    /// For the planner.
    pub situation: Situation,
    /// For the executor: values that a new container needs.
    pub environments: Environments,
}

impl World {
    /// A world of which nothing is known yet, for somebody who only has a look: without checks of our own.
    #[must_use]
    pub fn new(
        settings: Settings,
        clock: Clock,
        reader: Reader,
        (engine, dial): (Arc<dyn engine::Engine>, Arc<dyn Dial>),
        fingerprints: FingerprintKey,
    ) -> Self {
        Self {
            snapshots: Snapshots::new(engine, clock),
            files: EnvironmentReader::new(fingerprints.clone(), settings.state.clone()),
            retries: Retries::default(),
            probes: None,
            names: None,
            evidence: Arc::default(),
            pulls: Pulls::default(),
            histories: Mutex::default(),
            resolved: Mutex::default(),
            owners: Mutex::default(),
            holds: Mutex::default(),
            policy: Mutex::default(),
            requests: Requests::default(),
            acting: Mutex::default(),
            guard: Mutex::default(),
            expansion: Mutex::default(),
            found: Mutex::default(),
            latest: Mutex::default(),
            gauges: Gauges::default(),
            dial,
            settings,
            clock,
            reader,
            fingerprints,
        }
    }

    /// A list of containers that was asked for no earlier than `not_before`.
    pub async fn snapshot(&self, not_before: Instant) -> Result<Arc<Snapshot>, engine::Error> {
        let snapshot = self.snapshots.since(not_before).await?;
        let mut latest = lock(&self.latest);
        // Many passes get the same list; its owners are worked out once.
        if !latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, &snapshot)) {
            *lock(&self.owners) = self.owners_in(&snapshot);
            *latest = Some(Arc::clone(&snapshot));
        }
        Ok(snapshot)
    }

    fn owners_in(&self, snapshot: &Snapshot) -> HashMap<String, Key> {
        let mut owners = HashMap::new();
        for container in snapshot.containers.values().filter(|container| container.belongs_to(&self.settings.owner)) {
            if let Some(key) = container.object().and_then(|object| object.parse().ok()) {
                owners.insert(container.id.clone(), key);
            }
        }
        for (key, desired) in lock(&self.resolved).iter() {
            if let Desired::Healed(healed) = desired {
                owners.extend(snapshot.selected(&healed.selector).iter().map(|container| (container.id.clone(), key.clone())));
            }
        }
        owners
    }

    /// Whether the object's containers are somebody else's.
    #[must_use]
    pub fn is_healed(&self, key: &Key) -> bool {
        matches!(lock(&self.resolved).get(key), Some(Desired::Healed(_)))
    }

    /// The object that this container belonged to when it was last seen.
    #[must_use]
    pub fn owner_of(&self, id: &str) -> Option<Key> {
        lock(&self.owners).get(id).cloned()
    }

    /// What is wanted of an object. With dangling references: what was last wanted of it, and what is wrong.
    pub fn resolve(&self, object: &Object) -> (Option<Desired>, Option<resolve::Error>) {
        match resolve(object, &self.reader, &self.settings.desired) {
            Ok(desired) => {
                lock(&self.resolved).insert(object.key().clone(), desired.clone());
                (Some(desired), None)
            }
            Err(error) => (lock(&self.resolved).get(object.key()).cloned(), Some(error)),
        }
    }

    /// What is remembered of an object, as its manifest's generation finds it.
    pub fn history(&self, key: &Key, generation: i64) -> History {
        lock(&self.histories).get(key).cloned().unwrap_or_default().for_generation(generation)
    }

    /// Looks at the object's world, which has to be no older than `not_before`.
    pub async fn observe(&self, desired: &Desired, not_before: Instant) -> Result<Seen, engine::Error> {
        self.observe_for(desired, not_before, &[]).await
    }

    /// Looks at the object's world for the sake of those on the path, each of which depends on the one after it.
    async fn observe_for(&self, desired: &Desired, not_before: Instant, path: &[Key]) -> Result<Seen, engine::Error> {
        match desired {
            Desired::Environment(desired) => {
                let observed = self.observe_environment(desired, not_before).await;
                Ok(Seen { situation: Situation::Environment(desired.clone(), observed), environments: Environments::new() })
            }
            Desired::Container(container) => {
                let snapshot = self.snapshot(not_before).await?;
                let environments = self.environments(&container.variables);
                let history = self.history(&container.key, container.generation);
                let probe = container.probe.as_ref();
                let probes = |listed: &engine::Listed| self.probe_state(&container.key, probe, listed);
                let dependencies = self.readiness(&container.depends_on, &snapshot);
                let suspected = |id: &str| self.stop_suspected_until(id, snapshot.at);
                let lens = self.lens(&snapshot, &environments, (&probes, &suspected), (dependencies, history));
                let mut observed = lens.own(container).await?;
                if !container.depends_on.is_empty() && plan::container::has_to_be_made(container, &observed) {
                    observed.changing = self.changing(container, not_before, path).await?;
                }
                observed.pulls_for = self.pulls.through(&container.key);
                observed.closed = self.closed(&container.key, observed.at);
                Ok(Seen { situation: Situation::Container(container.clone(), observed), environments })
            }
            Desired::Healed(healed) => {
                let snapshot = self.snapshot(not_before).await?;
                let history = self.history(&healed.key, healed.generation);
                let probe = healed.probe.as_ref();
                let probes = |listed: &engine::Listed| self.probe_state(&healed.key, probe, listed);
                let dependencies = self.readiness(&healed.depends_on, &snapshot);
                let suspected = |id: &str| self.stop_suspected_until(id, snapshot.at);
                let environments = Environments::new();
                let lens = self.lens(&snapshot, &environments, (&probes, &suspected), (dependencies, history));
                let mut observed = lens.healed(healed).await?;
                observed.pulls_for = self.pulls.through(&healed.key);
                Ok(Seen { situation: Situation::Healed(Box::new(healed.clone()), observed), environments })
            }
            Desired::Proxy(desired) => {
                let observed = Box::new(self.observe_proxy(desired, not_before).await?);
                Ok(Seen { situation: Situation::Proxy(desired.clone(), observed), environments: Environments::new() })
            }
            Desired::ModelProvider(desired) => {
                let observed = self.observe_model(desired, not_before).await?;
                Ok(Seen { situation: Situation::ModelProvider(desired.clone(), observed), environments: Environments::new() })
            }
            Desired::Plugin(desired) => {
                let observed = self.observe_plugin(desired, not_before).await?;
                Ok(Seen { situation: Situation::Plugin(desired.clone(), observed), environments: Environments::new() })
            }
            Desired::Hold(desired) => {
                let observed = self.observe_hold(desired);
                Ok(Seen { situation: Situation::Hold(desired.clone(), observed), environments: Environments::new() })
            }
            Desired::Host(desired) => {
                let observed = self.observe_host(desired);
                Ok(Seen { situation: Situation::Host(desired.clone(), observed), environments: Environments::new() })
            }
            Desired::Absent(key) => {
                let snapshot = self.snapshot(not_before).await?;
                let environments = Environments::new();
                let lens = self.lens(&snapshot, &environments, (&|_| None, &|_| None), (BTreeMap::new(), History::default()));
                let mut observed = lens.absent(key).await?;
                observed.closed = self.closed(key, observed.at);
                Ok(Seen { situation: Situation::Absent(key.clone(), observed), environments })
            }
        }
    }

    pub(super) fn lens<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        environments: &'a Environments,
        (probes, stop_suspected_until): (&'a OnListed<'a>, &'a OnId<'a>),
        (dependencies, history): (BTreeMap<Key, Readiness>, History),
    ) -> Lens<'a> {
        Lens {
            snapshots: &self.snapshots,
            snapshot,
            owner: &self.settings.owner,
            clock: self.clock,
            fingerprints: &self.fingerprints,
            probes,
            stop_suspected_until,
            dependencies,
            environments,
            history,
        }
    }

    pub(super) fn probe_state(
        &self,
        key: &Key,
        probe: Option<&crate::manifest::container::Probe>,
        listed: &engine::Listed,
    ) -> Option<ProbeState> {
        self.probes.as_ref()?.state(key, listed, probe?)
    }

    pub(super) fn stop_suspected_until(&self, id: &str, at: Timestamp) -> Option<Timestamp> {
        let left = lock(&self.evidence).suspected_for(id, Instant::now())?;
        at.checked_add(SignedDuration::try_from(left).ok()?).ok()
    }

    /// How far the containers of other objects have come.
    fn readiness(&self, depends_on: &[plan::container::Dependency], snapshot: &Snapshot) -> BTreeMap<Key, Readiness> {
        let keys = depends_on.iter().map(|dependency| &dependency.key);
        keys.map(|key| (key.clone(), self.readiness_of(key, snapshot))).collect()
    }

    /// How far an object's container has come.
    #[must_use]
    pub fn readiness_of(&self, key: &Key, snapshot: &Snapshot) -> Readiness {
        let desired = lock(&self.resolved).get(key).cloned();
        let (listed, probe) = match &desired {
            Some(Desired::Healed(healed)) => (snapshot.selected(&healed.selector), healed.probe.as_ref()),
            Some(Desired::Container(container)) => (snapshot.of_object(&self.settings.owner, key), container.probe.as_ref()),
            Some(
                Desired::Environment(_)
                | Desired::Proxy(_)
                | Desired::ModelProvider(_)
                | Desired::Plugin(_)
                | Desired::Hold(_)
                | Desired::Host(_)
                | Desired::Absent(_),
            )
            | None => (Vec::new(), None),
        };
        let one = |listed: &&engine::Listed| {
            let probe = self.probe_state(key, probe, listed);
            plan::container::readiness(&listed.state, listed.health, probe.as_ref())
        };
        listed.iter().map(one).max().unwrap_or(Readiness::Down)
    }

    /// The dependencies of which another version is on its way.
    ///
    /// They are looked at just now, in all depth: their own passes may not have come to it yet. This costs something,
    /// but only while a container has to be made.
    async fn changing(
        &self,
        container: &plan::container::Desired,
        not_before: Instant,
        path: &[Key],
    ) -> Result<BTreeSet<Key>, engine::Error> {
        let path = [path, std::slice::from_ref(&container.key)].concat();
        let mut changing = BTreeSet::new();
        // References are free of circles, except perhaps while several manifests with errors are replaced.
        for dependency in container.depends_on.iter().filter(|dependency| !path.contains(&dependency.key)) {
            let Some(Desired::Container(desired)) = self.reader.get(&dependency.key).and_then(|object| self.resolve(&object).0)
            else {
                continue;
            };
            // What fails for reasons that nobody here knows may fail for ever.
            if self.retries.is_failing(&dependency.key) {
                continue;
            }
            let seen = Box::pin(self.observe_for(&Desired::Container(desired), not_before, &path)).await?;
            if seen.situation.is_on_its_way(&plan::plan(&seen.situation)) {
                changing.insert(dependency.key.clone());
            }
        }
        Ok(changing)
    }

    /// The values of the environments that a container takes variables from.
    fn environments(&self, variables: &[Variables]) -> Environments {
        let mut environments = Environments::new();
        for variables in variables {
            if let Variables::Environment { name, .. } = variables
                && !environments.contains_key(name)
            {
                environments.insert(name.clone(), self.values(name));
            }
        }
        environments
    }

    /// What is wanted of an environment.
    pub(super) fn environment(&self, name: &str) -> Result<plan::environment::Desired, String> {
        let key = Key::new(Kind::Environment, name);
        let resolved = lock(&self.resolved).get(&key).cloned();
        match resolved {
            Some(Desired::Environment(desired)) => Ok(desired),
            _ => match self.reader.get(&key).map(|object| self.resolve(&object).0) {
                Some(Some(Desired::Environment(desired))) => Ok(desired),
                _ => Err(format!("there is no {key}")),
            },
        }
    }

    /// The values of an environment as its files have them now.
    pub(super) fn values(&self, name: &str) -> Result<Values, String> {
        let desired = self.environment(name)?;
        let not_asked = Recall::Unknown { reason: "it was not asked".to_owned() };
        match self.files.read(&desired, &not_asked, History::default(), self.clock.now()).values {
            Recall::Known(values) => Ok(values),
            Recall::Unknown { reason } => Err(reason),
        }
    }

    /// The value of a variable in the first environment that has one.
    pub(super) fn variable_in_files(&self, name: &str) -> Option<Secret> {
        let objects = self.reader.objects();
        let environments = objects.keys().filter(|key| key.kind == Kind::Environment);
        environments.filter_map(|key| self.values(&key.name).ok()?.get(name).cloned()).find(|value| !value.expose().is_empty())
    }

    /// Looks at a cascade: the files, and, when a secret is missing from them, at the containers that may know it.
    async fn observe_environment(
        &self,
        desired: &plan::environment::Desired,
        not_before: Instant,
    ) -> plan::environment::Observed {
        let history = self.history(&desired.key, desired.generation);
        let not_asked = Recall::Unknown { reason: "it was not asked".to_owned() };
        let observed = self.files.read(desired, &not_asked, history.clone(), self.clock.now()).observed;
        if !lacks_a_secret(desired, &observed) {
            return observed;
        }
        // Files can be put right without an engine, but without one nobody knows what runs: the planner is told so.
        let running = match self.running(desired, not_before).await {
            Ok(running) => Recall::Known(running),
            Err(error) => Recall::Unknown { reason: out_of_reach(&error) },
        };
        self.files.read(desired, &running, history, self.clock.now()).observed
    }

    /// The running containers that take variables from an environment.
    async fn running(
        &self,
        desired: &plan::environment::Desired,
        not_before: Instant,
    ) -> Result<Vec<RunningContainer>, engine::Error> {
        let snapshot = self.snapshot(not_before).await?;
        let mut running = Vec::new();
        for user in self.users(&desired.key) {
            for listed in snapshot.of_object(&self.settings.owner, &user) {
                if let Some(inspected) = self.snapshots.details_of(listed).await? {
                    let (id, name) = (listed.id.clone(), listed.name.clone());
                    running.push(RunningContainer { id, name, variables: inspected.variables.clone() });
                }
            }
        }
        Ok(running)
    }

    /// The objects that refer to `key`: dependents of a container, users of an environment.
    #[must_use]
    pub fn users(&self, key: &Key) -> Vec<Key> {
        self.users_of(&BTreeSet::from([key.clone()]))
    }

    /// The objects that refer to any of `keys`. One look through all objects, however many keys there are.
    #[must_use]
    pub fn users_of(&self, keys: &BTreeSet<Key>) -> Vec<Key> {
        self.users_among(|_| true, keys)
    }

    /// The proxies that lead to an object. Cheap enough for every event of the engine: references are worked out for them only.
    #[must_use]
    pub fn proxies_to(&self, key: &Key) -> Vec<Key> {
        self.users_among(|kind| kind == Kind::Proxy, &BTreeSet::from([key.clone()]))
    }

    fn users_among(&self, is_meant: impl Fn(Kind) -> bool, keys: &BTreeSet<Key>) -> Vec<Key> {
        let uses = |manifest: &Manifest| manifest.references().iter().any(|reference| keys.contains(&reference.key));
        let objects = self.reader.unordered().into_iter().filter(|object| is_meant(object.key().kind));
        let mut found: Vec<Key> = objects
            .filter(|object| object.manifest().is_some_and(|manifest| uses(manifest)))
            .map(|object| object.key().clone())
            .collect();
        found.sort();
        found
    }
}

/// Whether a wanted secret has no value in any file.
fn lacks_a_secret(desired: &plan::environment::Desired, observed: &plan::environment::Observed) -> bool {
    let has = |variable: &String| {
        observed.files.values().any(|file| match file {
            FileState::Present(content) => matches!(content.values.get(variable), Some(ValueState::Set { .. })),
            FileState::Absent | FileState::Unusable { .. } => false,
        })
    };
    desired.secrets.iter().flat_map(|secrets| &secrets.generate).any(|secret| !has(&secret.variable))
}

/// Why the engine cannot be reached, for a sentence that says so already.
pub(super) fn out_of_reach(error: &engine::Error) -> String {
    match error {
        engine::Error::Unreachable { address, source } => format!("{address}: {}", crate::error_chain(&**source)),
        engine::Error::Refused { .. } | engine::Error::Unreadable { .. } => crate::error_chain(error),
    }
}

/// Locks; whoever panicked while holding the lock had put in or taken out whole values.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So that a look can be shared with the tasks that bring triggers.
pub type SharedWorld = Arc<World>;
