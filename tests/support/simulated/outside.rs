//! What people and the world do to the engine and its containers.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use mooring::{
    manifest::short::Restart,
    observe::engine::{Event, EventAction, ListedNetwork, OWNER_LABEL},
    plan::{
        container::{Health, State},
        shape::Shape,
    },
};

use super::{Container, Listed, Simulated, World, take_time};

/// Events of a burst that come at once.
const GUST: usize = 50;

/// A container as it really is, whatever the engine says of it.
#[derive(Clone, Debug)]
pub struct Thing {
    /// What a list says.
    pub listed: Listed,
    /// Whether it has data.
    pub is_stateful: bool,
    /// Its environment.
    pub variables: BTreeMap<String, String>,
    /// How often it was started.
    pub starts: u64,
    /// The names of its volumes.
    pub volumes: Vec<String>,
}

impl Simulated {
    /// The engine does not answer any more, and nothing happens to its containers: a cut connection, or `--live-restore`.
    pub fn go_away(&self) {
        self.world().away = true;
        // A stream ends when it sees this.
        let _ = self.events.send(Event {
            container: None,
            object: None,
            owner: None,
            action: EventAction::Other,
            at: Timestamp::UNIX_EPOCH,
            said: String::new(),
        });
    }

    /// The engine is asked to end: it stops all containers, and says so, before it goes.
    pub async fn shut_down(&self) {
        let running = self.running();
        for (id, _) in &running {
            self.emit(id, EventAction::Signalled { kill: false });
            self.end(id, 143);
            self.emit(id, EventAction::Stopped);
        }
        self.world().returning = running.into_iter().filter(|(_, restart)| *restart != Restart::No).map(|(id, _)| id).collect();
        // The stream stays up a while longer.
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.go_away();
    }

    /// The engine is killed: its containers run on, until it is back and kills them itself.
    pub fn crash(&self) {
        self.go_away();
        let running = self.running();
        self.world().returning =
            running.into_iter().filter(|(_, restart)| *restart == Restart::Always).map(|(id, _)| id).collect();
    }

    /// The engine that crashed is back. Nobody hears of what it does first: `unless-stopped` stays down.
    pub fn recover(&self) {
        for (id, _) in self.running() {
            self.end(&id, 143);
        }
        self.come_back();
    }

    /// The engine is back, and starts what it is to start.
    pub fn come_back(&self) {
        let returning = std::mem::take(&mut self.world().returning);
        for id in returning {
            self.begin(&id);
        }
        self.world().away = false;
    }

    fn running(&self) -> Vec<(String, Restart)> {
        let world = self.world();
        let running =
            world.containers.values().filter(|container| [State::Running, State::Paused].contains(&container.listed.state));
        running.map(|container| (container.listed.id.clone(), container.limits.restart.unwrap_or(Restart::No))).collect()
    }

    /// So many things happen to a container within two seconds that mean nothing.
    pub async fn burst(&self, name: &str, events: usize) {
        let id = self.id(name);
        let pause = Duration::from_secs(2) / u32::try_from(events.div_ceil(GUST)).unwrap_or(u32::MAX);
        for number in 0..events {
            self.emit(&id, EventAction::Changed);
            if number % GUST == GUST - 1 {
                tokio::time::sleep(pause).await;
                take_time().await;
            }
        }
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
        let goes_on = {
            let mut world = self.world();
            let World { containers, images, .. } = &mut *world;
            let container = containers.get_mut(&id).expect("it was just found");
            container.listed.state = if paused { State::Paused } else { State::Running };
            // What it was about to do, it does later.
            let behaviour = images.get(&container.listed.image).copied().unwrap_or_default();
            (!paused && container.listed.health == Health::Starting).then_some((container.life, behaviour))
        };
        self.emit(&id, EventAction::Changed);
        if let Some(goes_on) = goes_on {
            self.live(&id, goes_on);
        }
    }

    /// `docker rm -f`.
    pub fn remove(&self, name: &str) {
        let id = self.id(name);
        self.emit(&id, EventAction::Signalled { kill: true });
        self.end(&id, 137);
        self.destroy(&id);
    }

    /// `docker rename`.
    pub fn rename(&self, name: &str, to: &str) {
        let id = self.id(name);
        self.with(&id, |container| to.clone_into(&mut container.listed.name));
    }

    /// `docker network disconnect`.
    pub fn disconnect(&self, name: &str, network: &str) {
        let id = self.id(name);
        if let Some(container) = self.world().containers.get_mut(&id) {
            container.listed.networks.remove(network);
        }
        self.emit(&id, EventAction::Changed);
    }

    /// A network, whether or not there is one of that name: somebody's own, or with this owner's label.
    pub fn network(&self, name: &str, owner: Option<&str>) {
        let mut world = self.world();
        world.made += 1;
        let labels = owner.map(|owner| (OWNER_LABEL.to_owned(), owner.to_owned()));
        let (id, created_at) =
            (format!("{:012x}{:052x}", world.made, 0), Timestamp::UNIX_EPOCH + Duration::from_secs(world.made));
        world.networks.push(ListedNetwork { id, name: name.to_owned(), created_at, labels: labels.into_iter().collect() });
    }

    /// `docker network rm`, of the youngest of this name.
    pub fn remove_youngest_network(&self, name: &str) {
        let mut world = self.world();
        let place = world.networks.iter().rposition(|network| network.name == name).expect("there is none");
        world.networks.remove(place);
    }

    /// All networks as text, one a line, oldest first.
    pub fn networks(&self) -> String {
        let line = |network: &ListedNetwork| {
            let whose = if network.labels.contains_key(OWNER_LABEL) { "ours" } else { "somebody's" };
            format!("{} {whose}", network.name)
        };
        self.world().networks.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// All containers as they really are, oldest first.
    pub fn everything(&self) -> Vec<Thing> {
        let world = self.world();
        let mut things: Vec<Thing> = world
            .containers
            .values()
            .map(|Container { listed, shape, variables, life, .. }| Thing {
                listed: listed.clone(),
                is_stateful: shape.is_stateful(),
                variables: variables.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect(),
                starts: *life,
                volumes: shape.volume_names().map(str::to_owned).collect(),
            })
            .collect();
        things.sort_by(|a, b| a.listed.id.cmp(&b.listed.id));
        things
    }

    /// `docker volume rm`.
    pub fn remove_volume(&self, name: &str) {
        self.world().volumes.remove(name);
    }

    /// The names of all volumes.
    pub fn volume_names(&self) -> std::collections::BTreeSet<String> {
        self.world().volumes.clone()
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
        let id = self.insert((name, "foreign:1"), labels, Shape::default(), BTreeMap::new());
        self.begin(&id);
    }
}
