//! The container planner: a few lines of world in, the plan's text out.
//!
//! `properties` states the laws and plays random worlds through `simulator`; the
//! other modules are named cases.

mod changed_again;
mod create;
mod dependencies;
mod doubles;
mod in_place;
mod interrupted;
mod others;
mod properties;
mod recover;
mod refused;
mod replace;
mod simulator;

use expect_test::Expect;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    manifest::{Kind, container::OnManualStop, quantity},
    plan::{
        history::{FailedPull, FailedStart, ManualStop},
        shape::{FieldChange, Mount, MountSource, Network, PortBinding, Protocol, Restart},
    },
    secret::FingerprintKey,
};

/// When every world here is looked at.
fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn seconds_ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn in_seconds(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn fingerprint(value: &str) -> Fingerprint {
    FingerprintKey::new([7; FingerprintKey::LENGTH]).fingerprint(value)
}

/// Prints the plan and compares it.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect!` makes a value")]
fn check(wish: &Wish, world: &World, expected: Expect) {
    expected.assert_eq(&plan(&wish.desired, &world.seen_for(wish)).to_string());
}

/// A manifest, and the values that its variables have in their sources.
#[derive(Clone, Debug)]
struct Wish {
    desired: Desired,
    variables: BTreeMap<String, Variable>,
}

fn desired(name: &str) -> Wish {
    let shape = Shape { image: "nginx:1".into(), ..Shape::default() };
    let desired = Desired {
        key: Key::new(Kind::Container, name),
        generation: 1,
        name: name.to_owned(),
        shape,
        variables: Vec::new(),
        pull_policy: PullPolicy::IfMissing,
        depends_on: Vec::new(),
        probe: None,
        policy: Policy::default(),
    };
    Wish { desired, variables: BTreeMap::new() }
}

impl Wish {
    fn shaped(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        change(&mut self.desired.shape);
        self
    }

    fn image(self, image: &str) -> Self {
        self.shaped(|shape| image.clone_into(&mut shape.image))
    }

    fn volume(self, name: &str) -> Self {
        let source = MountSource::Volume(name.to_owned());
        self.shaped(|shape| shape.volumes.push(Mount { source, target: "/data".into(), read_only: false }))
    }

    fn port(self, port: u16) -> Self {
        let binding = PortBinding { host_ip: None, host_port: Some(port), container_port: port, protocol: Protocol::Tcp };
        self.shaped(|shape| shape.ports.push(binding))
    }

    fn network(self, name: &str) -> Self {
        let network = Network { name: name.to_owned(), aliases: Vec::new(), ipv4_address: None, ipv6_address: None };
        self.shaped(|shape| shape.networks.push(network))
    }

    fn memory(self, bytes: i64) -> Self {
        self.shaped(|shape| shape.limits.mem_limit = Some(bytes))
    }

    fn restart(self, restart: Restart) -> Self {
        self.shaped(|shape| shape.limits.restart = Some(restart))
    }

    fn label(self, name: &str, value: &str) -> Self {
        self.shaped(|shape| drop(shape.labels.insert(name.to_owned(), value.to_owned())))
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        let source = VariableSource::Environment("shop".into());
        self.variables.insert(name.to_owned(), Variable { source, fingerprint: fingerprint(value) });
        self
    }

    fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.desired.name);
        self
    }

    fn pull(mut self, policy: PullPolicy) -> Self {
        self.desired.pull_policy = policy;
        self
    }

    fn depends_on(mut self, name: &str, condition: DependencyCondition) -> Self {
        self.desired.depends_on.push(Dependency { key: Key::new(Kind::Container, name), condition });
        self
    }

    fn allow_recreate(mut self) -> Self {
        self.desired.policy.allow_recreate = true;
        self
    }

    fn allow_remove(mut self) -> Self {
        self.desired.policy.allow_remove = true;
        self
    }

    fn heal_manual_stops(mut self) -> Self {
        self.desired.policy.on_manual_stop = OnManualStop::Heal;
        self
    }

    fn budget(mut self, attempts: u32, window: u64) -> Self {
        self.desired.policy.healing.budget.attempts = attempts;
        self.desired.policy.healing.budget.window = quantity::Duration::seconds(window);
        self
    }
}

/// A container as it was seen.
#[derive(Clone, Debug)]
struct Seen(Container);

/// A container that runs since an hour ago, unchecked, with labels that cannot be read.
fn container(id: &str, name: &str) -> Seen {
    Seen(Container {
        id: id.to_owned(),
        name: name.to_owned(),
        state: State::Running,
        health: Health::None,
        broken_check: None,
        starved: None,
        start_error: None,
        probe: None,
        started_at: Some(seconds_ago(3600)),
        restarts: 0,
        made_with: None,
        networks: BTreeSet::new(),
        variables: BTreeMap::new(),
        limits: Limits::default(),
    })
}

impl Seen {
    /// It was made from this manifest.
    fn made_from(mut self, wish: &Wish) -> Self {
        let shape = wish.desired.shape.clone();
        self.0.networks = shape.networks.iter().map(|network| network.name.clone()).collect();
        self.0.limits = shape.limits.clone();
        self.0.variables = wish.variables.iter().map(|(name, variable)| (name.clone(), variable.fingerprint.clone())).collect();
        let variables = wish.variables.keys().cloned().collect();
        self.0.made_with = Some(MadeWith { shape, variables, allow_remove: wish.desired.policy.allow_remove });
        self
    }

    fn state(mut self, state: State) -> Self {
        self.0.state = state;
        self
    }

    fn created(mut self) -> Self {
        self.0.started_at = None;
        self.state(State::Created)
    }

    fn exited(self, exit_code: i64) -> Self {
        self.state(State::Exited { exit_code, out_of_memory: false })
    }

    fn restarting(mut self, restarts: u32) -> Self {
        self.0.restarts = restarts;
        self.state(State::Restarting)
    }

    fn health(mut self, health: Health) -> Self {
        self.0.health = health;
        self
    }

    fn probe(mut self, probe: ProbeState) -> Self {
        self.0.probe = Some(probe);
        self
    }

    /// The engine has tried to start it, and says this.
    fn not_startable(mut self, error: &str) -> Self {
        self.0.start_error = Some(error.to_owned());
        self
    }

    fn started(mut self, seconds: i64) -> Self {
        self.0.started_at = Some(seconds_ago(seconds));
        self
    }

    fn off(mut self, network: &str) -> Self {
        self.0.networks.remove(network);
        self
    }
}

/// What is there, apart from the values of variables.
#[derive(Clone, Debug)]
struct World(Observed);

fn world() -> World {
    World(Observed {
        at: now(),
        containers: Vec::new(),
        taken_names: BTreeSet::new(),
        missing_networks: BTreeSet::new(),
        doubles: BTreeMap::new(),
        missing_volumes: BTreeSet::new(),
        missing_images: BTreeSet::new(),
        variables: BTreeMap::new(),
        missing_variables: BTreeMap::new(),
        dependencies: BTreeMap::new(),
        changing: BTreeSet::new(),
        stop_suspected_until: None,
        closed: None,
        pulls_for: None,
        history: History { generation: 1, ..History::default() },
    })
}

impl World {
    fn seen_for(&self, wish: &Wish) -> Observed {
        Observed { variables: wish.variables.clone(), ..self.0.clone() }
    }

    fn with(mut self, container: Seen) -> Self {
        self.0.containers.push(container.0);
        self
    }

    fn taken(mut self, name: &str) -> Self {
        self.0.taken_names.insert(name.to_owned());
        self
    }

    fn no_network(mut self, name: &str) -> Self {
        self.0.missing_networks.insert(name.to_owned());
        self
    }

    /// One of several networks of this name: whose it is, whether it is used, when it was made.
    fn double(mut self, name: &str, (id, ours, in_use): (&str, bool, bool), seconds: i64) -> Self {
        let double = Double { id: id.to_owned(), ours, in_use, created_at: seconds_ago(seconds) };
        self.0.doubles.entry(name.to_owned()).or_default().push(double);
        self
    }

    fn no_volume(mut self, name: &str) -> Self {
        self.0.missing_volumes.insert(name.to_owned());
        self
    }

    fn no_image(mut self, image: &str) -> Self {
        self.0.missing_images.insert(image.to_owned());
        self
    }

    fn no_value(mut self, variable: &str) -> Self {
        self.0.missing_variables.insert(variable.to_owned(), "it is in no file of Environment/shop".into());
        self
    }

    fn dependency(mut self, name: &str, readiness: Readiness) -> Self {
        self.0.dependencies.insert(Key::new(Kind::Container, name), readiness);
        self
    }

    /// Another version of a dependency is on its way.
    fn changing(mut self, name: &str) -> Self {
        self.0.changing.insert(Key::new(Kind::Container, name));
        self
    }

    fn remembering(mut self, change: impl FnOnce(&mut History)) -> Self {
        change(&mut self.0.history);
        self
    }

    /// Corrective tries were made so many seconds ago.
    fn tried(self, seconds: &[i64]) -> Self {
        self.remembering(|history| {
            history.attempts = seconds.iter().map(|seconds| seconds_ago(*seconds)).collect();
            history.failures = u32::try_from(seconds.len()).unwrap();
        })
    }

    fn stopped_by_hand(self, id: &str, seconds: i64) -> Self {
        let stop = ManualStop { container: id.to_owned(), at: seconds_ago(seconds), asked: false };
        self.remembering(|history| history.manual_stop = Some(stop))
    }

    fn start_failed(self, container: &str, reason: &str) -> Self {
        let failed = FailedStart { container: container.to_owned(), reason: reason.to_owned() };
        self.remembering(|history| history.failed_start = Some(failed))
    }

    fn pull_failed(self, image: &str, count: u32, seconds: i64) -> Self {
        let failed = FailedPull { image: image.to_owned(), count, at: seconds_ago(seconds), reason: "no route to host".into() };
        self.remembering(|history| history.failed_pull = Some(failed))
    }
}
