//! Worlds for the tests, in a few words.

use super::super::*;
use crate::{
    manifest::Kind,
    plan::{
        history::{FailedPull, ManualStop},
        shape::{Mount, MountSource, Network, PortBinding, Restart},
    },
    secret::{FingerprintKey, Secret},
};

/// When every test takes place.
pub(super) const NOW: i64 = 1_000_000;

/// What is wanted, and what is there.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) desired: Desired,
    pub(super) observed: Observed,
}

/// The public name of a value, as the world has it.
pub(super) fn named(value: &str) -> Fingerprint {
    FingerprintKey::new([7; 32]).fingerprint(value)
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A container `web` from `web:1` is wanted, and nothing is there.
pub(super) fn wanted() -> World {
    let shape =
        Shape { image: "web:1".into(), limits: Limits { restart: Some(Restart::No), ..Limits::default() }, ..Shape::default() };
    World {
        desired: Desired {
            key: Key::new(Kind::Container, "web"),
            generation: 1,
            name: "web".into(),
            shape,
            variables: Vec::new(),
            pull_policy: PullPolicy::IfMissing,
            depends_on: Vec::new(),
            probe: None,
            policy: Policy::default(),
        },
        observed: Observed {
            at: at(NOW),
            containers: Vec::new(),
            name_taken: false,
            missing_networks: BTreeSet::new(),
            missing_volumes: BTreeSet::new(),
            image_present: true,
            variables: BTreeMap::new(),
            missing_variables: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            stop_suspected_until: None,
            history: History { generation: 1, ..History::default() },
        },
    }
}

impl World {
    pub(super) fn plan(&self) -> Plan {
        plan(&self.desired, &self.observed)
    }

    pub(super) fn network(mut self, name: &str) -> Self {
        self.desired.shape.networks.push(Network {
            name: name.into(),
            aliases: Vec::new(),
            ipv4_address: None,
            ipv6_address: None,
        });
        self.observed.missing_networks.insert(name.into());
        self
    }

    pub(super) fn volume(mut self, name: &str) -> Self {
        let source = MountSource::Volume(name.into());
        self.desired.shape.volumes.push(Mount { source, target: format!("/{name}"), read_only: false });
        self.observed.missing_volumes.insert(name.into());
        self
    }

    pub(super) fn port(mut self, port: u16) -> Self {
        let binding = PortBinding {
            host_ip: None,
            host_port: Some(port),
            container_port: port,
            protocol: crate::plan::shape::Protocol::Tcp,
        };
        self.desired.shape.ports.push(binding);
        self
    }

    pub(super) fn memory(mut self, bytes: i64) -> Self {
        self.desired.shape.limits.mem_limit = Some(bytes);
        self
    }

    pub(super) fn image(mut self, image: &str) -> Self {
        self.desired.shape.image = image.into();
        self
    }

    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        let source = VariableSource::Literal(Secret::new(value.into()));
        self.observed.variables.insert(name.into(), Variable { source, fingerprint: named(value) });
        self
    }

    pub(super) fn lacks_variable(mut self, name: &str) -> Self {
        self.observed.missing_variables.insert(name.into(), "Environment/shop has none".into());
        self
    }

    pub(super) fn missing_image(mut self) -> Self {
        self.observed.image_present = false;
        self
    }

    pub(super) fn never_pull(mut self) -> Self {
        self.desired.pull_policy = PullPolicy::Never;
        self
    }

    pub(super) fn pull_failed_before(mut self, seconds: i64) -> Self {
        let failed = FailedPull {
            image: self.desired.shape.image.clone(),
            count: 5,
            at: at(NOW - seconds),
            reason: "no such host".into(),
        };
        self.observed.history.failed_pull = Some(failed);
        self
    }

    /// It depends on this object's health, which has come this far.
    pub(super) fn depends_on(mut self, name: &str, readiness: Readiness) -> Self {
        let key = Key::new(Kind::Container, name);
        self.desired.depends_on.push(Dependency { key: key.clone(), condition: DependencyCondition::Healthy });
        self.observed.dependencies.insert(key, readiness);
        self
    }

    pub(super) fn name_taken(mut self) -> Self {
        self.observed.name_taken = true;
        self
    }

    pub(super) fn allow_recreate(mut self) -> Self {
        self.desired.policy.allow_recreate = true;
        self
    }

    pub(super) fn heals_manual_stops(mut self) -> Self {
        self.desired.policy.on_manual_stop = OnManualStop::Heal;
        self
    }

    /// Tries were made this many seconds ago.
    pub(super) fn tried(mut self, seconds_ago: &[i64]) -> Self {
        self.observed.history.attempts = seconds_ago.iter().map(|ago| at(NOW - ago)).collect();
        self.observed.history.failures = u32::try_from(seconds_ago.len()).unwrap();
        self
    }

    pub(super) fn stopped_by_hand(mut self) -> Self {
        let container = self.observed.containers[0].id.clone();
        self.observed.history.manual_stop = Some(ManualStop { container, at: at(NOW - 60) });
        self
    }

    pub(super) fn remembers(mut self, change: impl FnOnce(&mut History)) -> Self {
        change(&mut self.observed.history);
        self
    }

    /// There is a container of this object that was made as is wanted now, and runs; `change` says what is different.
    pub(super) fn has(mut self, name: &str, change: impl FnOnce(Container) -> Container) -> Self {
        let container = Container {
            id: format!("id-{}", self.observed.containers.len()),
            name: name.into(),
            state: State::Running,
            health: Health::None,
            probe: None,
            started_at: Some(at(NOW - 3600)),
            made_with: Some(MadeWith {
                shape: self.desired.shape.clone(),
                variables: self.observed.variables.keys().cloned().collect(),
                allow_remove: false,
            }),
            networks: self.desired.shape.networks.iter().map(|network| network.name.clone()).collect(),
            variables: self
                .observed
                .variables
                .iter()
                .map(|(name, variable)| (name.clone(), variable.fingerprint.clone()))
                .collect(),
            limits: self.desired.shape.limits.clone(),
        };
        self.observed.containers.push(change(container));
        self
    }

    pub(super) fn stopped(container: Container) -> Container {
        container.exited(0)
    }
}

impl Container {
    pub(super) fn exited(mut self, exit_code: i64) -> Self {
        self.state = State::Exited { exit_code, out_of_memory: false };
        self
    }

    pub(super) fn is(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    pub(super) fn healthy(mut self, health: Health) -> Self {
        self.health = health;
        self
    }

    pub(super) fn probed(mut self, probe: ProbeState) -> Self {
        self.probe = Some(probe);
        self
    }

    pub(super) fn started(mut self, seconds_ago: i64) -> Self {
        self.started_at = Some(at(NOW - seconds_ago));
        self
    }

    pub(super) fn made_with(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        change(&mut self.made_with.as_mut().unwrap().shape);
        self
    }

    pub(super) fn of_image(self, image: &str) -> Self {
        self.made_with(|shape| shape.image = image.into())
    }

    pub(super) fn with_memory(mut self, bytes: i64) -> Self {
        self.limits.mem_limit = Some(bytes);
        self
    }

    pub(super) fn given(mut self, variable: &str, value: &str) -> Self {
        self.variables.insert(variable.into(), named(value));
        self.made_with.as_mut().unwrap().variables.insert(variable.into());
        self
    }

    pub(super) fn off(mut self, network: &str) -> Self {
        self.networks.remove(network);
        self
    }
}
