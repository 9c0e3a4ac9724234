//! A simulated container engine: a fake, for behaviour over time and for faults
//! that a real one cannot be made to show on demand (lost, doubled and swapped
//! events, refusals, silence).
//!
//! It keeps containers in memory and behaves as the real one was seen to: a
//! stop signals, kills, announces the stop; a name is unique; a published port
//! belongs to one running container; what is removed cannot be inspected. What
//! a container does after its start is said by its image's [`Behaviour`].

mod engine;
pub mod outside;
pub mod places;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use mooring::{
    clock::Clock,
    execute::{self, engine::Effect},
    observe::engine::{
        ALLOW_REMOVE_LABEL, Error, Event, EventAction, Listed, ListedNetwork, OBJECT_LABEL, OWNER_LABEL, SHAPE_LABEL,
        VARIABLES_LABEL,
    },
    plan::{
        EngineAction,
        action::NewContainer,
        container::{Health, State},
        shape::{Limits, Shape},
    },
    secret::Secret,
};
use tokio::sync::{broadcast, watch};

/// What a container made from an image does after its start.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the scripts say `healthy=2s`, which reads as `healthy after 2s`")]
pub struct Behaviour {
    /// It has a health check, which says healthy after this time.
    pub healthy_after: Option<Duration>,
    /// It has a health check, which says unhealthy after this time.
    pub unhealthy_after: Option<Duration>,
    /// It exits with this code after this time.
    pub exits_after: Option<(Duration, i64)>,
}

/// What becomes of events on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Events {
    /// They arrive.
    #[default]
    Delivered,
    /// They do not.
    Lost,
    /// They arrive twice.
    Doubled,
    /// Every other one arrives after those that follow it.
    Reordered,
}

/// How late an event is that others overtake.
const OVERTAKEN: Duration = Duration::from_millis(100);

/// When a call is left hanging, for somebody to die in the middle of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it did anything.
    Before,
    /// After it did what it was to do, and before it answers.
    After,
}

/// The engine. Clones are the same engine.
#[derive(Clone)]
pub struct Simulated {
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<Event>,
    /// Changes when anything has happened to any container, whoever hears of it.
    happened: Arc<watch::Sender<()>>,
    owner: String,
    clock: Clock,
}

#[derive(Default)]
struct World {
    containers: BTreeMap<String, Container>,
    networks: Vec<ListedNetwork>,
    volumes: BTreeSet<String>,
    markers: BTreeMap<String, String>,
    images: BTreeMap<String, Behaviour>,
    calls: Vec<String>,
    /// Lists that were asked for.
    lists: usize,
    delivery: Events,
    /// Events that were sent, or were to be.
    announced: u64,
    away: bool,
    /// Containers that the engine starts when it is back, by their ids.
    returning: Vec<String>,
    /// The call that is left hanging.
    hanging: Option<(Moment, String)>,
    made: u64,
    /// Whose containers have no address, if any has one.
    without_address: Option<String>,
    starter: Option<places::Starter>,
}

#[derive(Clone)]
struct Container {
    listed: Listed,
    shape: Shape,
    variables: BTreeMap<String, Secret>,
    limits: Limits,
    started_at: Option<Timestamp>,
    /// Counts starts, so that what was planned for an earlier life does not happen to a later one.
    life: u64,
}

impl Simulated {
    /// An engine without containers, for a Mooring of this owner.
    pub fn new(owner: &str, clock: Clock) -> Self {
        let (events, _) = broadcast::channel(1024);
        Self { world: Arc::default(), events, happened: Arc::new(watch::channel(()).0), owner: owner.to_owned(), clock }
    }

    /// Gives the engine an image.
    pub fn image(&self, reference: &str, behaviour: Behaviour) {
        self.world().images.insert(reference.to_owned(), behaviour);
    }

    /// Takes an image away.
    pub fn remove_image(&self, reference: &str) {
        self.world().images.remove(reference);
    }

    /// Says what becomes of events from now on.
    pub fn events_are(&self, delivery: Events) {
        self.world().delivery = delivery;
    }

    /// The calls that changed something, or tried to, since the last time this was asked.
    ///
    /// Those for one thing are in their order; objects are worked on at once, so that of different things is left to chance.
    pub fn take_calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut self.world().calls);
        calls.sort_by_key(|call| {
            let mut words = call.split(' ').skip(1).skip_while(|word| ["network", "volume"].contains(word));
            words.next().and_then(|name| name.split('.').next()).unwrap_or_default().to_owned()
        });
        calls
    }

    /// How many lists were asked for since the last time this was asked.
    pub fn take_lists(&self) -> usize {
        std::mem::take(&mut self.world().lists)
    }

    /// Leaves the next call hanging that reads like this.
    pub fn hang(&self, moment: Moment, call: &str) {
        self.world().hanging = Some((moment, call.to_owned()));
    }

    /// All containers as text, one a line, by name.
    pub fn containers(&self) -> String {
        let world = self.world();
        let mut lines: Vec<String> = world
            .containers
            .values()
            .map(|container| {
                let Listed { name, image, state, health, .. } = &container.listed;
                let state = match state {
                    State::Exited { exit_code, .. } => format!("exited({exit_code})"),
                    other => format!("{other:?}").to_lowercase(),
                };
                let health =
                    if *health == Health::None { String::new() } else { format!(" {}", format!("{health:?}").to_lowercase()) };
                format!("{name} {image} {state}{health}")
            })
            .collect();
        lines.sort();
        lines.join("\n")
    }

    /// The value of a variable in a container.
    pub fn variable(&self, name: &str, variable: &str) -> Option<String> {
        let id = self.id(name);
        let world = self.world();
        world.containers.get(&id)?.variables.get(variable).map(|value| value.expose().to_owned())
    }

    /// The id of the container of this name.
    pub fn id(&self, name: &str) -> String {
        let world = self.world();
        let found = world.containers.values().find(|container| container.listed.name == name);
        found.unwrap_or_else(|| panic!("there is no container {name}")).listed.id.clone()
    }

    /// Whether there is a container of this name.
    pub fn has(&self, name: &str) -> bool {
        self.world().containers.values().any(|container| container.listed.name == name)
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reachable(&self) -> Result<(), Error> {
        if self.world().away {
            let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            return Err(Error::Unreachable { address: "simulated".into(), source: source.into() });
        }
        Ok(())
    }

    fn emit(&self, id: &str, action: EventAction) {
        self.happened.send_replace(());
        let (labels, delivery, number) = {
            let mut world = self.world();
            world.announced += 1;
            let labels = world.containers.get(id).map(|container| container.listed.labels.clone());
            (labels.unwrap_or_default(), world.delivery, world.announced)
        };
        let (object, owner) = (labels.get(OBJECT_LABEL).cloned(), labels.get(OWNER_LABEL).cloned());
        // No two at the same moment, as with a real one, whose events say nanoseconds.
        let at = self.clock.now() + Duration::from_nanos(number);
        let event = Event { container: Some(id.to_owned()), object, owner, action, at, said: String::new() };
        let times = match delivery {
            Events::Lost => 0,
            Events::Reordered if number % 2 == 1 => return self.send_late(event),
            Events::Delivered | Events::Reordered => 1,
            Events::Doubled => 2,
        };
        for _ in 0..times {
            // Nobody may be listening.
            let _ = self.events.send(event.clone());
        }
    }

    fn send_late(&self, event: Event) {
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(OVERTAKEN).await;
            let _ = events.send(event);
        });
    }

    fn insert(
        &self,
        (name, image): (&str, &str),
        labels: BTreeMap<String, String>,
        shape: Shape,
        variables: BTreeMap<String, Secret>,
    ) -> String {
        let id = {
            let mut world = self.world();
            world.made += 1;
            let id = format!("{:064x}", world.made);
            let networks = shape.networks.iter().take(1).map(|network| (network.name.clone(), None)).collect();
            let listed = Listed {
                id: id.clone(),
                name: name.to_owned(),
                image: image.to_owned(),
                state: State::Created,
                health: Health::None,
                created_at: Timestamp::UNIX_EPOCH + Duration::from_secs(world.made),
                labels,
                networks,
                network_ids: BTreeMap::new(),
            };
            let limits = shape.limits.clone();
            world.containers.insert(id.clone(), Container { listed, shape, variables, limits, started_at: None, life: 0 });
            id
        };
        self.emit(&id, EventAction::Changed);
        id
    }

    fn begin(&self, id: &str) {
        let life = {
            let mut world = self.world();
            let behaviour = world
                .containers
                .get(id)
                .and_then(|container| world.images.get(&container.listed.image))
                .copied()
                .unwrap_or_default();
            let Some(container) = world.containers.get_mut(id) else { return };
            let checked = behaviour.healthy_after.is_some() || behaviour.unhealthy_after.is_some();
            container.listed.state = State::Running;
            container.listed.health = if checked { Health::Starting } else { Health::None };
            container.started_at = Some(self.clock.now());
            container.life += 1;
            (container.life, behaviour)
        };
        self.settle(id);
        self.emit(id, EventAction::Started);
        self.live(id, life);
        self.set_off(id);
    }

    /// What the container does by itself from here on.
    fn live(&self, id: &str, (life, behaviour): (u64, Behaviour)) {
        for (after, health) in [(behaviour.healthy_after, Health::Healthy), (behaviour.unhealthy_after, Health::Unhealthy)] {
            if let Some(after) = after {
                let (engine, id) = (self.clone(), id.to_owned());
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    engine.take_time().await;
                    if engine.is_in_life(&id, life) {
                        if let Some(container) = engine.world().containers.get_mut(&id) {
                            container.listed.health = health;
                        }
                        engine.emit(&id, EventAction::HealthChanged);
                    }
                });
            }
        }
        if let Some((after, exit_code)) = behaviour.exits_after {
            let (engine, id) = (self.clone(), id.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                engine.take_time().await;
                if engine.is_in_life(&id, life) {
                    engine.end(&id, exit_code);
                }
            });
        }
    }

    fn is_in_life(&self, id: &str, life: u64) -> bool {
        self.world()
            .containers
            .get(id)
            .is_some_and(|container| container.life == life && container.listed.state == State::Running)
    }

    fn end(&self, id: &str, exit_code: i64) {
        if let Some(container) = self.world().containers.get_mut(id) {
            container.listed.state = State::Exited { exit_code, out_of_memory: false };
            container.listed.health = Health::None;
        }
        self.settle(id);
        self.emit(id, EventAction::Died);
    }

    fn destroy(&self, id: &str) {
        self.emit(id, EventAction::Changed);
        self.world().containers.remove(id);
    }

    fn find(&self, reference: &str) -> Option<String> {
        let world = self.world();
        let by_name = || {
            world.containers.values().find(|container| container.listed.name == reference).map(|found| found.listed.id.clone())
        };
        world.containers.contains_key(reference).then(|| reference.to_owned()).or_else(by_name)
    }

    fn is_somebody_elses(&self, name: &str) -> bool {
        let world = self.world();
        let found = world.containers.values().find(|container| container.listed.name == name);
        found.is_some_and(|found| found.listed.labels.get(OWNER_LABEL) != Some(&self.owner))
    }

    fn create(&self, new: &NewContainer, variables: &BTreeMap<String, Secret>) -> Result<Effect, execute::engine::Error> {
        if !self.world().images.contains_key(&new.shape.image) {
            return Err(refused(404, &format!("No such image: {}", new.shape.image)));
        }
        if self.has(&new.name) {
            return Err(refused(409, &format!("the name {} is taken", new.name)));
        }
        // A volume that is not there by then is made along with the container.
        self.world().volumes.extend(new.shape.volume_names().map(ToOwned::to_owned));
        let names: Vec<&String> = variables.keys().collect();
        let mut labels = new.shape.labels.clone();
        labels.insert(OWNER_LABEL.into(), self.owner.clone());
        labels.insert(OBJECT_LABEL.into(), new.object.to_string());
        labels.insert(SHAPE_LABEL.into(), serde_json::to_string(&new.shape).expect("a shape can be written"));
        labels.insert(VARIABLES_LABEL.into(), serde_json::to_string(&names).expect("names can be written"));
        labels.insert(ALLOW_REMOVE_LABEL.into(), new.allow_remove.to_string());
        self.insert((&new.name, &new.shape.image), labels, new.shape.clone(), variables.clone());
        Ok(Effect::Done)
    }

    fn start_container(&self, id: &str) -> Result<Effect, execute::engine::Error> {
        let conflict = {
            let world = self.world();
            let container = &world.containers[id];
            if container.listed.state == State::Running {
                return Ok(Effect::AlreadySo);
            }
            let mut others =
                world.containers.values().filter(|other| other.listed.id != id && other.listed.state == State::Running);
            let published = |shape: &Shape| shape.ports.iter().filter_map(|port| port.host_port).collect::<BTreeSet<_>>();
            let wanted = published(&container.shape);
            others.any(|other| !published(&other.shape).is_disjoint(&wanted))
        };
        if conflict {
            return Err(refused(500, "port is already allocated"));
        }
        self.attach(id)?;
        self.begin(id);
        Ok(Effect::Done)
    }

    fn has_network(&self, name: &str) -> bool {
        self.world().networks.iter().any(|network| network.name == name)
    }

    /// Looks up the networks on which a container has never been by their names, as the engine does at its start.
    fn attach(&self, id: &str) -> Result<(), execute::engine::Error> {
        let mut world = self.world();
        let World { containers, networks, .. } = &mut *world;
        let Some(Container { listed, .. }) = containers.get_mut(id) else { return Ok(()) };
        for name in listed.networks.keys() {
            let ids: Vec<&String> = networks.iter().filter(|network| network.name == *name).map(|network| &network.id).collect();
            match (listed.network_ids.get(name), &ids[..]) {
                (Some(known), _) if ids.contains(&known) => {}
                (Some(known), _) => return Err(refused(404, &format!("network {known} not found"))),
                (None, []) => return Err(refused(404, &format!("network {name} not found"))),
                (None, [id]) => drop(listed.network_ids.insert(name.clone(), (*id).clone())),
                _ => {
                    let message = format!("network {name} is ambiguous ({} matches found on name)", ids.len());
                    return Err(refused(400, &message));
                }
            }
        }
        Ok(())
    }

    fn is_on(&self, id: &str, network: &str) -> bool {
        let world = self.world();
        let listed = &world.containers[id].listed;
        let is_there = |known: &String| world.networks.iter().any(|network| network.id == *known);
        listed.networks.contains_key(network) && listed.network_ids.get(network).is_none_or(is_there)
    }

    fn remove_network(&self, id: &str) -> Result<Effect, execute::engine::Error> {
        let mut world = self.world();
        let is_on_it = |container: &Container| {
            container.listed.state == State::Running && container.listed.network_ids.values().any(|known| known == id)
        };
        if world.containers.values().any(is_on_it) {
            return Err(refused(403, "it has active endpoints"));
        }
        let before = world.networks.len();
        world.networks.retain(|network| network.id != id);
        Ok(if world.networks.len() < before { Effect::Done } else { Effect::AlreadySo })
    }

    fn change(&self, action: &EngineAction, id: &str) -> Result<Effect, execute::engine::Error> {
        match action {
            EngineAction::StartContainer { .. } => return self.start_container(id),
            EngineAction::StopContainer { .. } | EngineAction::RestartContainer { .. } => {
                self.emit(id, EventAction::Signalled { kill: false });
                self.end(id, 143);
                self.emit(id, EventAction::Stopped);
                if matches!(action, EngineAction::RestartContainer { .. }) {
                    self.begin(id);
                }
            }
            EngineAction::RemoveContainer { .. } => {
                if self.world().containers[id].listed.state == State::Running {
                    return Err(refused(409, "You cannot remove a running container"));
                }
                self.destroy(id);
            }
            EngineAction::RenameContainer { to, .. } => {
                if self.has(to) {
                    return Err(refused(409, &format!("the name {to} is taken")));
                }
                self.with(id, |container| container.listed.name.clone_from(to));
            }
            EngineAction::ConnectNetwork { network, .. } => {
                // As `execute::docker` finds it before it asks.
                if self.is_on(id, &network.name) {
                    return Ok(Effect::AlreadySo);
                }
                self.with(id, |container| {
                    container.listed.networks.insert(network.name.clone(), None);
                    if container.listed.state != State::Running {
                        container.listed.network_ids.remove(&network.name);
                    }
                });
                self.settle(id);
            }
            EngineAction::UpdateContainer { limits, .. } => self.with(id, |container| container.limits = limits.clone()),
            EngineAction::CreateNetwork { .. }
            | EngineAction::RemoveNetwork { .. }
            | EngineAction::CreateVolume { .. }
            | EngineAction::PullImage { .. }
            | EngineAction::CreateContainer(_) => unreachable!("these act on no container"),
        }
        Ok(Effect::Done)
    }

    fn with(&self, id: &str, change: impl FnOnce(&mut Container)) {
        if let Some(container) = self.world().containers.get_mut(id) {
            change(container);
        }
        self.emit(id, EventAction::Changed);
    }
}

/// Everything takes a moment, also where time is held: what follows from it comes later.
pub async fn take_time() {
    tokio::time::advance(Duration::from_micros(1)).await;
}

fn refused(status: u16, message: &str) -> execute::engine::Error {
    execute::engine::Error::Refused { status, message: message.to_owned() }
}
