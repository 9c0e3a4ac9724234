//! A simulated container engine: a fake, for behaviour over time and for faults
//! that a real one cannot be made to show on demand (lost, doubled and swapped
//! events, refusals, silence).
//!
//! It keeps containers in memory and behaves as the real one was seen to: a
//! stop signals, kills, announces the stop; a name is unique; a published port
//! belongs to one running container; what is removed cannot be inspected. What
//! a container does after its start is said by its image's [`Behaviour`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use mooring::{
    clock::Clock,
    execute::{self, engine::Effect},
    observe::engine::{
        ALLOW_REMOVE_LABEL, Description, Engine, Error, Event, EventAction, ExecResult, Inspected, Listed, OBJECT_LABEL,
        OWNER_LABEL, SHAPE_LABEL, VARIABLES_LABEL,
    },
    plan::{
        EngineAction,
        action::NewContainer,
        container::{Health, State},
        shape::{Limits, Shape},
    },
    secret::Secret,
};
use tokio::sync::broadcast;

/// What a container made from an image does after its start.
#[derive(Clone, Copy, Debug, Default)]
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
}

/// The engine. Clones are the same engine.
#[derive(Clone)]
pub struct Simulated {
    world: Arc<Mutex<World>>,
    events: broadcast::Sender<Event>,
    owner: String,
    clock: Clock,
}

#[derive(Default)]
struct World {
    containers: BTreeMap<String, Container>,
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    markers: BTreeMap<String, String>,
    images: BTreeMap<String, Behaviour>,
    calls: Vec<String>,
    delivery: Events,
    away: bool,
    made: u64,
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
        Self { world: Arc::default(), events, owner: owner.to_owned(), clock }
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

    /// The engine goes away: streams end, calls fail. What it announces while shutting down comes before.
    pub fn go_away(&self) {
        self.world().away = true;
        // A stream ends when it sees this.
        let _ = self.events.send(event(None, None, EventAction::Other));
    }

    /// The engine is back.
    pub fn come_back(&self) {
        self.world().away = false;
    }

    /// The calls that changed something, or tried to, since the last time this was asked.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world().calls)
    }

    /// `docker kill`.
    pub fn kill(&self, name: &str) {
        let id = self.id(name);
        self.emit(&id, EventAction::Signalled { kill: true });
        self.end(&id, 137);
    }

    /// The main process ends by itself.
    pub fn exit(&self, name: &str, exit_code: i64) {
        let id = self.id(name);
        self.end(&id, exit_code);
    }

    /// `docker stop`, by a person.
    pub fn stop(&self, name: &str) {
        let id = self.id(name);
        self.emit(&id, EventAction::Signalled { kill: false });
        self.end(&id, 143);
        self.emit(&id, EventAction::Stopped);
    }

    /// `docker start`, by a person.
    pub fn start(&self, name: &str) {
        let id = self.id(name);
        self.begin(&id);
    }

    /// `docker pause` and `docker unpause`.
    pub fn set_paused(&self, name: &str, paused: bool) {
        let id = self.id(name);
        if let Some(container) = self.world().containers.get_mut(&id) {
            container.listed.state = if paused { State::Paused } else { State::Running };
        }
        self.emit(&id, EventAction::Changed);
    }

    /// `docker rm -f`.
    pub fn remove(&self, name: &str) {
        let id = self.id(name);
        self.emit(&id, EventAction::Signalled { kill: true });
        self.end(&id, 137);
        self.destroy(&id);
    }

    /// `docker network disconnect`.
    pub fn disconnect(&self, name: &str, network: &str) {
        let id = self.id(name);
        if let Some(container) = self.world().containers.get_mut(&id) {
            container.listed.networks.remove(network);
        }
        self.emit(&id, EventAction::Changed);
    }

    /// Its health check changes its mind.
    pub fn set_health(&self, name: &str, health: Health) {
        let id = self.id(name);
        if let Some(container) = self.world().containers.get_mut(&id) {
            container.listed.health = health;
        }
        self.emit(&id, EventAction::HealthChanged);
    }

    /// Somebody else's container, running.
    pub fn foreign(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let id = self.insert(name, "foreign:1", labels, Shape::default(), BTreeMap::new());
        self.begin(&id);
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
        let (object, delivery) = {
            let world = self.world();
            let labels = world.containers.get(id).map(|container| container.listed.labels.get(OBJECT_LABEL).cloned());
            (labels.flatten(), world.delivery)
        };
        let times = match delivery {
            Events::Lost => 0,
            Events::Delivered => 1,
            Events::Doubled => 2,
        };
        for _ in 0..times {
            // Nobody may be listening.
            let _ = self.events.send(event(Some(id), object.clone(), action.clone()));
        }
    }

    fn insert(
        &self,
        name: &str,
        image: &str,
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
        self.emit(id, EventAction::Started);
        self.live(id, life);
    }

    /// What the container does by itself from here on.
    fn live(&self, id: &str, (life, behaviour): (u64, Behaviour)) {
        for (after, health) in [(behaviour.healthy_after, Health::Healthy), (behaviour.unhealthy_after, Health::Unhealthy)] {
            if let Some(after) = after {
                let (engine, id) = (self.clone(), id.to_owned());
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
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

    fn create(&self, new: &NewContainer, variables: &BTreeMap<String, Secret>) -> Result<Effect, execute::engine::Error> {
        if !self.world().images.contains_key(&new.shape.image) {
            return Err(refused(404, &format!("No such image: {}", new.shape.image)));
        }
        if self.has(&new.name) {
            return Err(refused(409, &format!("the name {} is taken", new.name)));
        }
        let names: Vec<&String> = variables.keys().collect();
        let mut labels = new.shape.labels.clone();
        labels.insert(OWNER_LABEL.into(), self.owner.clone());
        labels.insert(OBJECT_LABEL.into(), new.object.to_string());
        labels.insert(SHAPE_LABEL.into(), serde_json::to_string(&new.shape).expect("a shape can be written"));
        labels.insert(VARIABLES_LABEL.into(), serde_json::to_string(&names).expect("names can be written"));
        labels.insert(ALLOW_REMOVE_LABEL.into(), new.allow_remove.to_string());
        self.insert(&new.name, &new.shape.image, labels, new.shape.clone(), variables.clone());
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
        self.begin(id);
        Ok(Effect::Done)
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
                self.with(id, |container| drop(container.listed.networks.insert(network.name.clone(), None)));
            }
            EngineAction::UpdateContainer { limits, .. } => self.with(id, |container| container.limits = limits.clone()),
            EngineAction::CreateNetwork { .. }
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

fn event(container: Option<&str>, object: Option<String>, action: EventAction) -> Event {
    Event { container: container.map(str::to_owned), object, action, at: Timestamp::UNIX_EPOCH }
}

fn refused(status: u16, message: &str) -> execute::engine::Error {
    execute::engine::Error::Refused { status, message: message.to_owned() }
}

#[async_trait]
impl Engine for Simulated {
    async fn describe(&self) -> Result<Description, Error> {
        self.reachable()?;
        Ok(Description { id: "simulated".into(), version: "0".into(), api_version: "1.41".into() })
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.reachable()?;
        Ok(self.world().containers.values().map(|container| container.listed.clone()).collect())
    }

    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, Error> {
        self.reachable()?;
        Ok(self.world().containers.get(id).map(|container| Inspected {
            state: container.listed.state.clone(),
            health: container.listed.health,
            started_at: container.started_at,
            restarts: 0,
            finished_at: None,
            variables: container.variables.clone(),
            limits: container.limits.clone(),
            stop_signal: None,
        }))
    }

    async fn has_image(&self, reference: &str) -> Result<bool, Error> {
        self.reachable()?;
        Ok(self.world().images.contains_key(reference))
    }

    async fn networks(&self) -> Result<BTreeSet<String>, Error> {
        self.reachable()?;
        Ok(self.world().networks.clone())
    }

    async fn volumes(&self) -> Result<BTreeSet<String>, Error> {
        self.reachable()?;
        Ok(self.world().volumes.clone())
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        self.reachable()?;
        let engine = self.clone();
        let events = tokio_stream::wrappers::BroadcastStream::new(self.events.subscribe());
        let live = events.take_while(move |_| futures::future::ready(!engine.world().away));
        // A reader that falls behind is not told what it missed, as with the real one.
        Ok(live.filter_map(|event| futures::future::ready(event.ok().map(Ok))).boxed())
    }

    async fn exec(&self, _: &str, _: &[String]) -> Result<ExecResult, Error> {
        Ok(ExecResult { exit_code: 0, output: String::new() })
    }
}

#[async_trait]
impl execute::engine::Engine for Simulated {
    async fn perform(
        &self,
        action: &EngineAction,
        variables: &BTreeMap<String, Secret>,
    ) -> Result<Effect, execute::engine::Error> {
        self.reachable().map_err(unreachable)?;
        self.world().calls.push(action.to_string());
        match action {
            EngineAction::CreateNetwork { name } => Ok(inserted(self.world().networks.insert(name.clone()))),
            EngineAction::CreateVolume { name } => Ok(inserted(self.world().volumes.insert(name.clone()))),
            EngineAction::PullImage { image } => {
                let message = "there is no registry in a simulation".to_owned();
                Err(execute::engine::Error::Pull { image: image.clone(), message })
            }
            EngineAction::CreateContainer(new) => self.create(new, variables),
            other => {
                let reference = other.container().map(mooring::plan::Target::reference).unwrap_or_default();
                match (self.find(reference), other) {
                    (Some(id), _) => self.change(other, &id),
                    (None, EngineAction::RemoveContainer { .. }) => Ok(Effect::AlreadySo),
                    (None, _) => Err(refused(404, &format!("No such container: {reference}"))),
                }
            }
        }
    }

    async fn mark(&self, name: &str, text: &str) -> Result<String, execute::engine::Error> {
        self.reachable().map_err(unreachable)?;
        Ok(self.world().markers.entry(name.to_owned()).or_insert_with(|| text.to_owned()).clone())
    }

    async fn unmark(&self, name: &str) -> Result<(), execute::engine::Error> {
        self.reachable().map_err(unreachable)?;
        self.world().markers.remove(name);
        Ok(())
    }
}

fn unreachable(error: Error) -> execute::engine::Error {
    execute::engine::Error::Unreachable { address: "simulated".into(), source: error.into() }
}

fn inserted(new: bool) -> Effect {
    if new { Effect::Done } else { Effect::AlreadySo }
}
