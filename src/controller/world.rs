//! The side of the controller that looks and changes nothing: what a pass sees,
//! and what `diff` sees without ever acting.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::{
    execute::Environments,
    manifest::{Key, Kind, Manifest},
    observe::{
        container::Lens,
        engine,
        environment::{EnvironmentReader, RunningSecret},
        evidence::Evidence,
        probe::Probes,
        snapshot::{Snapshot, Snapshots},
    },
    plan::{
        self, History, Situation,
        container::{ProbeState, Readiness, Variables},
    },
    resolve::{self, Desired, resolve},
    secret::FingerprintKey,
    settings::Settings,
    store::{Object, Reader},
};

/// Everything that is needed to look.
pub struct World {
    /// How we run.
    pub settings: Settings,
    /// What is wanted.
    pub reader: Reader,
    /// The engine, as seen.
    pub snapshots: Snapshots,
    /// Our own checks.
    pub probes: Probes,
    /// For public names of values.
    pub fingerprints: FingerprintKey,
    /// The `.env` files.
    pub files: EnvironmentReader,
    /// What was seen live about stops.
    pub evidence: Mutex<Evidence>,
    /// What is remembered of each object.
    pub histories: Mutex<BTreeMap<Key, History>>,
    /// What was last wanted of each object while its references were good.
    pub resolved: Mutex<BTreeMap<Key, Desired>>,
}

/// What a pass saw.
pub struct Seen {
    /// For the planner.
    pub situation: Situation,
    /// For the executor: values that a new container needs.
    pub environments: Environments,
}

impl World {
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
        match desired {
            Desired::Environment(desired) => {
                let observed = self.observe_environment(desired, not_before).await?;
                Ok(Seen { situation: Situation::Environment(desired.clone(), observed), environments: Environments::new() })
            }
            Desired::Container(container) => {
                let snapshot = self.snapshots.since(not_before).await?;
                let environments = self.environments(&container.variables).await;
                let history = self.history(&container.key, container.generation);
                let probe = container.probe.as_ref();
                let probes = |listed: &engine::Listed| self.probe_state(&container.key, probe, listed);
                let dependencies = self.readiness(&container.depends_on, &snapshot).await?;
                let suspected = |id: &str| self.stop_suspected_until(id, snapshot.at);
                let lens = self.lens(&snapshot, &environments, (&probes, &suspected), (dependencies, history));
                let observed = lens.own(container).await?;
                Ok(Seen { situation: Situation::Container(container.clone(), observed), environments })
            }
            Desired::Healed(healed) => {
                let snapshot = self.snapshots.since(not_before).await?;
                let history = self.history(&healed.key, healed.generation);
                let probe = healed.probe.as_ref();
                let probes = |listed: &engine::Listed| self.probe_state(&healed.key, probe, listed);
                let dependencies = self.readiness(&healed.depends_on, &snapshot).await?;
                let suspected = |id: &str| self.stop_suspected_until(id, snapshot.at);
                let environments = Environments::new();
                let lens = self.lens(&snapshot, &environments, (&probes, &suspected), (dependencies, history));
                let observed = lens.healed(healed).await?;
                Ok(Seen { situation: Situation::Healed(healed.clone(), observed), environments })
            }
            Desired::Absent(key) => {
                let snapshot = self.snapshots.since(not_before).await?;
                let environments = Environments::new();
                let lens = self.lens(&snapshot, &environments, (&|_| None, &|_| None), (BTreeMap::new(), History::default()));
                let observed = lens.absent(key).await?;
                Ok(Seen { situation: Situation::Absent(key.clone(), observed), environments })
            }
        }
    }

    fn lens<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        environments: &'a Environments,
        (probes, stop_suspected_until): (
            &'a (dyn Fn(&engine::Listed) -> Option<ProbeState> + Sync),
            &'a (dyn Fn(&str) -> Option<Timestamp> + Sync),
        ),
        (dependencies, history): (BTreeMap<Key, Readiness>, History),
    ) -> Lens<'a> {
        Lens {
            snapshots: &self.snapshots,
            snapshot,
            owner: &self.settings.owner,
            fingerprints: &self.fingerprints,
            probes,
            stop_suspected_until,
            dependencies,
            environments,
            history,
        }
    }

    fn probe_state(&self, key: &Key, probe: Option<&crate::manifest::container::Probe>, listed: &engine::Listed) -> Option<ProbeState> {
        self.probes.state(key, listed, probe?)
    }

    fn stop_suspected_until(&self, id: &str, at: Timestamp) -> Option<Timestamp> {
        let left = lock(&self.evidence).suspected_for(id, Instant::now())?;
        at.checked_add(SignedDuration::try_from(left).ok()?).ok()
    }

    /// How far the containers of other objects have come.
    async fn readiness(
        &self,
        depends_on: &[plan::container::Dependency],
        snapshot: &Snapshot,
    ) -> Result<BTreeMap<Key, Readiness>, engine::Error> {
        let mut readiness = BTreeMap::new();
        for dependency in depends_on {
            readiness.insert(dependency.key.clone(), self.readiness_of(&dependency.key, snapshot));
        }
        Ok(readiness)
    }

    /// How far an object's container has come.
    #[must_use]
    pub fn readiness_of(&self, key: &Key, snapshot: &Snapshot) -> Readiness {
        let desired = lock(&self.resolved).get(key).cloned();
        let (listed, probe) = match &desired {
            Some(Desired::Healed(healed)) => (snapshot.selected(&healed.selector), healed.probe.as_ref()),
            Some(Desired::Container(container)) => (snapshot.of_object(&self.settings.owner, key), container.probe.as_ref()),
            Some(Desired::Environment(_) | Desired::Absent(_)) | None => (Vec::new(), None),
        };
        let one = |listed: &&engine::Listed| {
            let probe = self.probe_state(key, probe, listed);
            plan::container::readiness(&listed.state, listed.health, probe.as_ref())
        };
        listed.iter().map(one).max().unwrap_or(Readiness::Down)
    }

    /// The values of the environments that a container takes variables from.
    async fn environments(&self, variables: &[Variables]) -> Environments {
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

    /// The values of an environment as its files have them now.
    fn values(&self, name: &str) -> Result<BTreeMap<String, crate::secret::Secret>, String> {
        let key = Key::new(Kind::Environment, name);
        let resolved = lock(&self.resolved).get(&key).cloned();
        let desired = match resolved {
            Some(Desired::Environment(desired)) => desired,
            _ => match self.reader.get(&key).map(|object| self.resolve(&object).0) {
                Some(Some(Desired::Environment(desired))) => desired,
                _ => return Err(format!("there is no {key}")),
            },
        };
        self.files.values(&desired)
    }

    /// Looks at a cascade: the files, and, when something is missing from them, at the containers that may know it.
    async fn observe_environment(
        &self,
        desired: &plan::environment::Desired,
        not_before: Instant,
    ) -> Result<plan::environment::Observed, engine::Error> {
        let history = self.history(&desired.key, desired.generation);
        let observed = self.files.read(desired, &[], history.clone(), Timestamp::now());
        if !observed.lacks_a_secret(desired) {
            return Ok(observed);
        }
        // Without the engine nobody knows what runs, and a new value would be made although the old one is in use.
        let snapshot = self.snapshots.since(not_before).await?;
        let running = self.running_secrets(desired, &snapshot).await?;
        Ok(self.files.read(desired, &running, history, Timestamp::now()))
    }

    /// What containers have of an environment's secrets: those that take variables from it.
    async fn running_secrets(
        &self,
        desired: &plan::environment::Desired,
        snapshot: &Snapshot,
    ) -> Result<Vec<RunningSecret>, engine::Error> {
        let wanted = desired.secrets.iter().flat_map(|secrets| &secrets.generate).map(|secret| &secret.variable);
        let wanted: std::collections::BTreeSet<&String> = wanted.collect();
        let mut running = Vec::new();
        for user in self.users(&desired.key) {
            for listed in snapshot.of_object(&self.settings.owner, &user) {
                let Some(inspected) = self.snapshots.details_of(listed).await? else { continue };
                running.extend(inspected.variables.iter().filter(|(name, value)| wanted.contains(name) && !value.is_empty()).map(
                    |(variable, value)| RunningSecret {
                        id: listed.id.clone(),
                        name: listed.name.clone(),
                        variable: variable.clone(),
                        value: value.clone(),
                    },
                ));
            }
        }
        Ok(running)
    }

    /// The objects that refer to `key`: dependents of a container, users of an environment.
    #[must_use]
    pub fn users(&self, key: &Key) -> Vec<Key> {
        let uses = |manifest: &Manifest| match manifest {
            Manifest::Container(container) => match key.kind {
                Kind::Environment => container.spec.env_from.iter().any(|from| from.environment == key.name),
                Kind::Container => container.spec.depends_on.iter().any(|dependency| dependency.container == key.name),
            },
            Manifest::Environment(_) => false,
        };
        let objects = self.reader.objects().into_iter();
        objects.filter(|(_, object)| object.manifest().is_some_and(|manifest| uses(manifest))).map(|(key, _)| key).collect()
    }
}

/// Locks; whoever panicked while holding the lock had put in or taken out whole values.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So that a look can be shared with the tasks that bring triggers.
pub type SharedWorld = Arc<World>;
