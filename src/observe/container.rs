//! The engine's answers and the cascades' values → what the container planner looks at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    engine::{ALLOW_REMOVE_LABEL, Error, Inspected, Listed, ListedNetwork, OWNER_LABEL, SHAPE_LABEL, VARIABLES_LABEL},
    host,
    snapshot::{Snapshot, Snapshots},
};
use crate::{
    clock::Clock,
    manifest::Key,
    plan::{
        History,
        action::VariableSource,
        container::{
            Container, Desired, Double, Health, MadeWith, Observed, ProbeState, Readiness, State, Variable, Variables, heal,
        },
        shape::Shape,
    },
    secret::{FingerprintKey, Secret},
};

/// What a pass brings along to look at a container's world.
pub struct Lens<'a> {
    /// The engine.
    pub snapshots: &'a Snapshots,
    /// The list of containers that this pass goes by.
    pub snapshot: &'a Snapshot,
    /// The name of this Mooring on labels.
    pub owner: &'a str,
    /// What time it is, and whose.
    pub clock: Clock,
    /// For public names of values.
    pub fingerprints: &'a FingerprintKey,
    /// What our own probes say, by container id.
    pub probes: &'a (dyn Fn(&Listed) -> Option<ProbeState> + Sync),
    /// Until when a stop by a person has to be thought possible, by container id.
    pub stop_suspected_until: &'a (dyn Fn(&str) -> Option<Timestamp> + Sync),
    /// How the objects that this one depends on fare.
    pub dependencies: BTreeMap<Key, Readiness>,
    /// The values of the environments that it refers to, or why there are none.
    pub environments: &'a BTreeMap<String, Result<BTreeMap<String, Secret>, String>>,
    /// What is remembered.
    pub history: History,
}

impl Lens<'_> {
    /// Looks at the world of a container of our own.
    pub async fn own(self, desired: &Desired) -> Result<Observed, Error> {
        let listed = self.snapshot.of_object(self.owner, &desired.key);
        let ours: BTreeSet<&str> = listed.iter().map(|container| container.id.as_str()).collect();
        let names = desired.names();
        let strangers = self.snapshot.containers.values().filter(|other| !ours.contains(other.id.as_str()));
        let taken = strangers.filter(|other| names.contains(&other.name)).map(|other| other.name.clone()).collect();
        let mut observed = self.containers(&listed).await?;
        observed.taken_names = taken;
        (observed.variables, observed.missing_variables) = self.variables(&desired.variables);
        // A container that has the shape proves that networks, volumes and image are there, or will be asked for when it is not well.
        let needs_nothing = observed.containers.iter().any(|container| {
            let has_shape = container.made_with.as_ref().is_some_and(|made_with| made_with.shape == desired.shape);
            let attached = desired.shape.networks.iter().all(|network| container.networks.contains(&network.name));
            has_shape && attached && container.readiness() == Readiness::Healthy
        });
        if !needs_nothing {
            let engine = self.snapshots.engine();
            let networks: BTreeSet<String> = desired.shape.networks.iter().map(|network| network.name.clone()).collect();
            let volumes: BTreeSet<String> = desired.shape.volume_names().map(str::to_owned).collect();
            let fallback = self.history.fallback.as_ref().map(|fallback| &fallback.good);
            let images = [Some(&desired.shape.image), self.history.good_image.as_ref(), fallback];
            let images: BTreeSet<String> = images.into_iter().flatten().cloned().collect();
            // At once, for somebody may be waiting for a container that is down.
            let seen;
            (seen, observed.missing_volumes, observed.missing_images) = tokio::try_join!(
                self.networks(networks),
                missing(volumes, || engine.volumes()),
                missing_images(engine.as_ref(), images),
            )?;
            self.note(&mut observed, seen);
        }
        Ok(observed)
    }

    /// Looks at the world of somebody else's containers.
    pub async fn healed(self, desired: &heal::Desired) -> Result<Observed, Error> {
        let listed = self.snapshot.selected(&desired.selector);
        let mut observed = self.containers(&listed).await?;
        // One that is well and attached needs nothing; one that has to be started needs all its networks.
        let needs = |name: &String| {
            let lacks = |container: &Container| !container.networks.contains(name) || container.readiness() != Readiness::Healthy;
            observed.containers.iter().any(lacks)
        };
        let wanted: BTreeSet<String> = desired.networks.iter().map(|network| network.name.clone()).filter(needs).collect();
        let seen = self.networks(wanted).await?;
        self.note(&mut observed, seen);
        Ok(observed)
    }

    /// All that have these names.
    async fn networks(&self, wanted: BTreeSet<String>) -> Result<BTreeMap<String, Vec<ListedNetwork>>, Error> {
        let mut seen: BTreeMap<String, Vec<ListedNetwork>> = wanted.into_iter().map(|name| (name, Vec::new())).collect();
        if !seen.is_empty() {
            for network in self.snapshots.engine().networks().await? {
                if let Some(of_name) = seen.get_mut(&network.name) {
                    of_name.push(network);
                }
            }
        }
        Ok(seen)
    }

    /// Tells which of these networks do not exist, which do more than once, and who is on one that is gone.
    fn note(&self, observed: &mut Observed, seen: BTreeMap<String, Vec<ListedNetwork>>) {
        for container in observed.containers.iter_mut().filter(|container| container.state != State::Running) {
            // One that was made anew under the same name does not help: the engine starts the container on the one it knows.
            let known = self.snapshot.containers.get(&container.id).map(|listed| &listed.network_ids);
            let is_gone = |name: &String| match (known.and_then(|known| known.get(name)), seen.get(name)) {
                (Some(id), Some(there)) => there.iter().all(|network| network.id != *id),
                _ => false,
            };
            container.networks.retain(|name| !is_gone(name));
        }
        for (name, there) in seen {
            match there.len() {
                0 => drop(observed.missing_networks.insert(name)),
                1 => {}
                _ => drop(observed.doubles.insert(name, there.iter().map(|network| self.double(network)).collect())),
            }
        }
    }

    fn double(&self, network: &ListedNetwork) -> Double {
        let mut used = self.snapshot.containers.values().flat_map(|container| container.network_ids.values());
        Double {
            id: network.id.clone(),
            ours: network.labels.get(OWNER_LABEL).is_some_and(|owner| owner == self.owner),
            in_use: used.any(|id| *id == network.id),
            created_at: network.created_at,
        }
    }

    /// Looks at what is left of an object whose manifest is gone.
    pub async fn absent(self, key: &Key) -> Result<Observed, Error> {
        let listed = self.snapshot.of_object(self.owner, key);
        self.containers(&listed).await
    }

    async fn containers(&self, listed: &[&Listed]) -> Result<Observed, Error> {
        let mut containers = Vec::with_capacity(listed.len());
        for listed in listed {
            if let Some(inspected) = self.snapshots.details_of(listed).await? {
                containers.push(self.container(listed, &inspected));
            }
        }
        let suspected = containers.iter().filter_map(|container| (self.stop_suspected_until)(&container.id)).max();
        Ok(Observed {
            at: self.snapshot.at,
            containers,
            taken_names: BTreeSet::new(),
            missing_networks: BTreeSet::new(),
            doubles: BTreeMap::new(),
            missing_volumes: BTreeSet::new(),
            missing_images: BTreeSet::new(),
            variables: BTreeMap::new(),
            missing_variables: BTreeMap::new(),
            dependencies: self.dependencies.clone(),
            changing: BTreeSet::new(),
            stop_suspected_until: suspected,
            closed: None,
            pulls_for: None,
            history: self.history.clone(),
        })
    }

    fn container(&self, listed: &Listed, inspected: &Arc<Inspected>) -> Container {
        Container {
            id: listed.id.clone(),
            name: listed.name.clone(),
            // The list is the younger of the two, but only the details know exit codes.
            state: inspected.state.clone(),
            // The same goes for whether a check has failed at all, and whether it could be run.
            health: match listed.health {
                Health::Unhealthy if inspected.broken_check.is_some() => Health::None,
                Health::Unhealthy => inspected.health,
                listed => listed,
            },
            broken_check: inspected.broken_check.clone().filter(|_| listed.health == Health::Unhealthy),
            starved: (listed.health == Health::Unhealthy && inspected.check_is_late)
                .then(|| host::overload(&self.clock))
                .flatten(),
            start_error: inspected.start_error.clone(),
            probe: (self.probes)(listed),
            started_at: inspected.started_at,
            restarts: inspected.restarts,
            made_with: made_with(&listed.labels),
            networks: listed.networks.keys().cloned().collect(),
            variables: inspected
                .variables
                .iter()
                .map(|(name, value)| (name.clone(), self.fingerprints.fingerprint(value.expose())))
                .collect(),
            limits: inspected.limits.clone(),
        }
    }

    /// The variables that the container should have, and those that have no value.
    fn variables(&self, sources: &[Variables]) -> (BTreeMap<String, Variable>, BTreeMap<String, String>) {
        let (mut known, mut missing) = (BTreeMap::new(), BTreeMap::new());
        for source in sources {
            match source {
                Variables::Literal(values) => known.extend(values.iter().map(|(name, value)| {
                    let source = VariableSource::Literal(Secret::new(value.clone()));
                    (name.clone(), Variable { source, fingerprint: self.fingerprints.fingerprint(value) })
                })),
                Variables::Environment { name, keys, optional } => {
                    self.take_from_environment(name, (keys.as_deref(), optional), &mut known, &mut missing);
                }
            }
        }
        // What a later source has, an earlier one need not.
        missing.retain(|name, _| !known.contains_key(name));
        (known, missing)
    }

    fn take_from_environment(
        &self,
        environment: &str,
        (keys, optional): (Option<&[String]>, &[String]),
        known: &mut BTreeMap<String, Variable>,
        missing: &mut BTreeMap<String, String>,
    ) {
        let values = match self.environments.get(environment) {
            Some(Ok(values)) => values,
            Some(Err(reason)) => {
                let names = keys.map_or_else(|| vec!["(all)".to_owned()], <[String]>::to_vec);
                // Whether the optional ones have a value is not known either, and must not be taken for a change.
                missing.extend(names.into_iter().chain(optional.iter().cloned()).map(|name| (name, reason.clone())));
                return;
            }
            None => return,
        };
        let names: Vec<&String> = keys.map_or_else(|| values.keys().collect(), |keys| keys.iter().collect());
        for name in names.into_iter().chain(optional) {
            match values.get(name).filter(|value| !value.is_empty()) {
                Some(value) => {
                    let fingerprint = self.fingerprints.fingerprint(value.expose());
                    let source = VariableSource::Environment(environment.to_owned());
                    known.insert(name.clone(), Variable { source, fingerprint });
                }
                None if optional.contains(name) => {}
                // One that was asked for by name, or one that is to have a value and does not have it yet.
                None => {
                    missing.insert(name.clone(), format!("Environment/{environment} has none"));
                }
            }
        }
    }
}

async fn missing<F>(wanted: BTreeSet<String>, existing: impl FnOnce() -> F) -> Result<BTreeSet<String>, Error>
where
    F: Future<Output = Result<BTreeSet<String>, Error>>,
{
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let existing = existing().await?;
    Ok(wanted.into_iter().filter(|name| !existing.contains(name)).collect())
}

async fn missing_images(engine: &dyn super::engine::Engine, wanted: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    let mut missing = BTreeSet::new();
    for image in wanted {
        if !engine.has_image(&image).await? {
            missing.insert(image);
        }
    }
    Ok(missing)
}

/// What a container's labels say it was made with; none when they cannot be read.
fn made_with(labels: &BTreeMap<String, String>) -> Option<MadeWith> {
    let shape: Shape = serde_json::from_str(labels.get(SHAPE_LABEL)?).ok()?;
    let variables: BTreeSet<String> = serde_json::from_str(labels.get(VARIABLES_LABEL)?).ok()?;
    let allow_remove = labels.get(ALLOW_REMOVE_LABEL).is_some_and(|value| value == "true");
    Some(MadeWith { shape, variables, allow_remove })
}
