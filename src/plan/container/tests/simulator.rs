//! An engine in a few lines: applies actions to a host as a real one would.
//!
//! How a container fares is written in its image's name, so that a world is
//! plain data: see [`Fortune`].

use std::fmt;

use super::*;
use crate::plan::action::NewContainer;

/// How a container made from an image fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fortune {
    /// It comes up and stays.
    Good,
    /// It exits after a second.
    Exits,
    /// Its check says after five seconds that it is not well; without a check nobody notices.
    Sick,
    /// The engine cannot start it.
    Broken,
}

impl Fortune {
    fn of(shape: &Shape) -> Self {
        match shape.image.split_once(':').map_or("", |(name, _)| name) {
            "exits" => Self::Exits,
            "sick" => Self::Sick,
            "broken" => Self::Broken,
            _ => Self::Good,
        }
    }
}

/// What may happen to a container behind our back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mishap {
    /// `docker kill`.
    Falls,
    /// `docker rm -f`.
    Vanishes,
}

/// A container of somebody else's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Foreign {
    pub(super) name: String,
    pub(super) port: Option<u16>,
}

/// A host with containers of one object, and with others.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) at: Timestamp,
    pub(super) containers: Vec<Container>,
    pub(super) foreign: Vec<Foreign>,
    pub(super) images: BTreeSet<String>,
    pub(super) networks: BTreeSet<String>,
    /// Networks of which there are several, or were.
    pub(super) doubles: BTreeMap<String, Vec<Double>>,
    pub(super) volumes: BTreeSet<String>,
    pub(super) history: History,
    /// Every container that was started, in order, with when.
    pub(super) starts: Vec<Timestamp>,
    made: usize,
}

/// A screenful, where the derived one would be a book.
impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at {}", self.at)?;
        for Container { id, name, state, health, made_with, networks, .. } in &self.containers {
            let shape = made_with.as_ref().map(|made_with| serde_json::to_string(&made_with.shape).unwrap());
            writeln!(f, "  {id} {name} {state:?} {health:?} {networks:?} made with {}", shape.as_deref().unwrap_or("?"))?;
        }
        writeln!(f, "  foreign: {:?}", self.foreign)?;
        writeln!(f, "  history: {}", serde_json::to_string(&self.history).unwrap())
    }
}

impl Host {
    pub(super) fn new() -> Self {
        let empty = BTreeSet::new;
        let history = History { generation: 1, ..History::default() };
        Self {
            at: now(),
            containers: Vec::new(),
            foreign: Vec::new(),
            images: empty(),
            networks: empty(),
            doubles: BTreeMap::new(),
            volumes: empty(),
            history,
            starts: Vec::new(),
            made: 0,
        }
    }

    pub(super) fn observe(&self, wish: &Wish) -> Observed {
        let shape = &wish.desired.shape;
        let missing = |names: Vec<&str>, there: &BTreeSet<String>| {
            names.into_iter().filter(|name| !there.contains(*name)).map(str::to_owned).collect()
        };
        let images = [Some(&shape.image), self.history.good_image.as_ref()].into_iter().flatten().map(String::as_str).collect();
        Observed {
            at: self.at,
            containers: self.containers.clone(),
            taken_names: wish
                .desired
                .names()
                .into_iter()
                .filter(|name| self.foreign.iter().any(|other| other.name == *name))
                .collect(),
            missing_networks: missing(shape.networks.iter().map(|network| network.name.as_str()).collect(), &self.networks),
            doubles: self
                .doubles
                .iter()
                .filter(|(_, doubles)| doubles.len() > 1)
                .map(|(name, all)| (name.clone(), all.clone()))
                .collect(),
            missing_volumes: missing(shape.volume_names().collect(), &self.volumes),
            missing_images: missing(images, &self.images),
            variables: wish.variables.clone(),
            history: self.history.clone(),
            ..world().0
        }
    }

    /// Does what an action says, or says why not.
    pub(super) fn apply(&mut self, wish: &Wish, action: &EngineAction) -> Result<(), String> {
        match action {
            EngineAction::CreateNetwork { name } => drop(self.networks.insert(name.clone())),
            EngineAction::RemoveNetwork { id, name } => {
                let doubles = self.doubles.get_mut(name).ok_or("no such network")?;
                let place = doubles.iter().position(|double| double.id == *id).ok_or("no such network")?;
                assert!(doubles.len() > 1 && doubles[place].ours && !doubles[place].in_use, "{id} is removed of {doubles:?}");
                doubles.remove(place);
            }
            EngineAction::CreateVolume { name } => drop(self.volumes.insert(name.clone())),
            EngineAction::PullImage { image } if image.starts_with("unknown") => return Err("no such image".into()),
            EngineAction::PullImage { image } => drop(self.images.insert(image.clone())),
            EngineAction::CreateContainer(new) => self.create(wish, new)?,
            EngineAction::StartContainer { container } => self.start(container)?,
            EngineAction::RestartContainer { container } => {
                self.find(container)?.state = State::Exited { exit_code: 0, out_of_memory: false };
                self.start(container)?;
            }
            EngineAction::StopContainer { container } => {
                let container = self.find(container)?;
                if container.state == State::Paused {
                    return Err("it is paused".into());
                }
                container.state = State::Exited { exit_code: 0, out_of_memory: false };
            }
            EngineAction::RenameContainer { container, to } => {
                self.is_free(to)?;
                to.clone_into(&mut self.find(container)?.name);
            }
            EngineAction::RemoveContainer { container } => {
                if matches!(self.find(container)?.state, State::Running | State::Restarting | State::Paused | State::Removing) {
                    return Err("it cannot be removed now".into());
                }
                let id = self.find(container)?.id.clone();
                self.containers.retain(|container| container.id != id);
            }
            EngineAction::ConnectNetwork { container, network } => {
                self.networks.get(&network.name).ok_or("no such network")?;
                self.find(container)?.networks.insert(network.name.clone());
            }
            EngineAction::UpdateContainer { container, limits } => {
                let there = &mut self.find(container)?.limits;
                there.mem_limit = limits.mem_limit.or(there.mem_limit);
                there.restart = limits.restart.or(there.restart);
            }
        }
        Ok(())
    }

    /// Lets time pass, and every container become what its fortune says.
    pub(super) fn advance(&mut self, seconds: i64) {
        self.at += SignedDuration::from_secs(seconds);
        self.containers.retain(|container| container.state != State::Removing);
        for container in &mut self.containers {
            let age = container.started_at.map_or(0, |started| self.at.duration_since(started).as_secs());
            let Some(made_with) = container.made_with.as_ref().filter(|_| container.state == State::Running) else {
                continue;
            };
            match Fortune::of(&made_with.shape) {
                Fortune::Exits if age >= 1 => container.state = State::Exited { exit_code: 1, out_of_memory: false },
                Fortune::Sick if age >= 5 && container.health != Health::None => container.health = Health::Unhealthy,
                Fortune::Good if age >= 5 && container.health != Health::None => container.health = Health::Healthy,
                Fortune::Good | Fortune::Exits | Fortune::Sick | Fortune::Broken => {}
            }
        }
    }

    pub(super) fn suffer(&mut self, number: usize, mishap: Mishap) {
        match (mishap, self.containers.get_mut(number)) {
            (Mishap::Falls, Some(container)) if container.state == State::Running => {
                container.state = State::Exited { exit_code: 137, out_of_memory: false };
            }
            (Mishap::Vanishes, Some(_)) => drop(self.containers.remove(number)),
            (Mishap::Falls | Mishap::Vanishes, _) => {}
        }
    }

    fn find(&mut self, target: &Target) -> Result<&mut Container, String> {
        let named = |container: &&mut Container| match &target.id {
            Some(id) => container.id == *id,
            None => container.name == target.name,
        };
        self.containers.iter_mut().find(named).ok_or_else(|| format!("no such container {target}"))
    }

    fn is_free(&self, name: &str) -> Result<(), String> {
        let ours = self.containers.iter().any(|container| container.name == name);
        let foreign = self.foreign.iter().any(|container| container.name == name);
        if ours || foreign { Err(format!("the name {name} is taken")) } else { Ok(()) }
    }

    fn create(&mut self, wish: &Wish, new: &NewContainer) -> Result<(), String> {
        self.is_free(&new.name)?;
        self.images.get(&new.shape.image).ok_or("no such image")?;
        self.made += 1;
        let wish = Wish { desired: Desired { shape: new.shape.clone(), ..wish.desired.clone() }, ..wish.clone() };
        let Seen(mut container) = container(&format!("made{}", self.made), &new.name).made_from(&wish).created();
        container.networks = new.shape.networks.iter().take(1).map(|network| network.name.clone()).collect();
        self.containers.push(container);
        Ok(())
    }

    /// The engine keeps with the container what came in the way of a start.
    fn start(&mut self, target: &Target) -> Result<(), String> {
        let started = self.try_to_start(target);
        self.find(target)?.start_error = started.as_ref().err().cloned();
        started
    }

    fn try_to_start(&mut self, target: &Target) -> Result<(), String> {
        let at = self.at;
        self.starts.push(at);
        let Container { id, made_with, state, .. } = self.find(target)?.clone();
        if state == State::Running {
            return Ok(());
        }
        let shape = made_with.map(|made_with| made_with.shape).unwrap_or_default();
        let runs = |container: &&Container| container.id != id && matches!(container.state, State::Running | State::Paused);
        let ours = self.containers.iter().filter(runs).filter_map(|container| Some(&container.made_with.as_ref()?.shape));
        let taken: BTreeSet<u16> = ours.flat_map(ports).chain(self.foreign.iter().filter_map(|foreign| foreign.port)).collect();
        if ports(&shape).any(|port| taken.contains(&port)) {
            return Err("the port is taken".into());
        }
        let is_doubled = |name: &String| self.doubles.get(name).is_some_and(|doubles| doubles.len() > 1);
        if let Some(network) = shape.networks.iter().find(|network| is_doubled(&network.name)) {
            return Err(format!("network {} is ambiguous (2 matches found on name)", network.name));
        }
        if Fortune::of(&shape) == Fortune::Broken {
            return Err("no such program".into());
        }
        let container = self.find(target)?;
        container.state = State::Running;
        container.started_at = Some(at);
        container.restarts = 0;
        container.health = if shape.healthcheck.is_some() { Health::Starting } else { Health::None };
        Ok(())
    }
}

fn ports(shape: &Shape) -> impl Iterator<Item = u16> {
    shape.ports.iter().filter_map(|port| port.host_port)
}
