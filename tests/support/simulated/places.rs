//! Where containers are: an address on each network for as long as one runs, and then for whoever comes next.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use mooring::plan::container::State;

use super::{Simulated, World, take_time};

/// What is done when a container of any image begins, by image and id: it may end at once, with this code.
pub type Starter = Arc<dyn Fn(&str, &str) -> Option<i64> + Send + Sync>;

impl Simulated {
    /// From here on containers have addresses, except those of this image.
    pub fn gives_addresses_to_all_but(&self, image: &str) {
        self.world().without_address = Some(image.to_owned());
    }

    /// Asks this at the start of each container.
    pub fn at_each_start(&self, starter: Starter) {
        self.world().starter = Some(starter);
    }

    /// Somebody else's container on this network, running.
    pub fn foreign_on(&self, network: &str, name: &str) {
        let id = self.insert((name, "foreign:1"), [].into(), mooring::plan::shape::Shape::default(), [].into());
        if let Some(container) = self.world().containers.get_mut(&id) {
            container.listed.networks.insert(network.to_owned(), None);
        }
        self.begin(&id);
    }

    /// Waits until this life of a container is over.
    pub async fn end_of(&self, id: &str, life: u64) {
        let mut happened = self.happened.subscribe();
        let is_alive = || {
            let world = self.world();
            let container = world.containers.get(id).filter(|container| container.life == life);
            container.is_some_and(|container| matches!(container.listed.state, State::Running | State::Paused))
        };
        // The sender lives as long as the engine, which we have.
        while is_alive() && happened.changed().await.is_ok() {}
    }

    /// Takes a moment. Where there are addresses there is somebody who reads and writes many files on another thread; held
    /// time goes on by itself only when he has done so, and then it does not matter how long that takes.
    pub(super) async fn take_time(&self) {
        if self.world().without_address.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else {
            take_time().await;
        }
    }

    /// What a container does at its very start.
    pub(super) fn set_off(&self, id: &str) {
        let starter = {
            let world = self.world();
            let image = world.containers.get(id).map(|container| container.listed.image.clone());
            world.starter.clone().zip(image)
        };
        if let Some(code) = starter.and_then(|(starter, image)| starter(&image, id)) {
            self.end(id, code);
        }
    }

    /// Gives it its addresses, or takes them from it.
    pub(super) fn settle(&self, id: &str) {
        self.world().settle(id);
    }
}

impl World {
    /// Gives a container that runs the lowest address that is free on each of its networks; one that does not has none.
    pub(super) fn settle(&mut self, id: &str) {
        let Some(without) = self.without_address.clone() else { return };
        let Some(container) = self.containers.get(id) else { return };
        let is_up = matches!(container.listed.state, State::Running | State::Paused);
        let has_none = !is_up || container.listed.image.starts_with(&without);
        let networks: Vec<String> = container.listed.networks.keys().cloned().collect();
        for network in networks {
            let others = self.containers.iter().filter(|(other, _)| *other != id);
            let taken: BTreeSet<String> =
                others.filter_map(|(_, other)| other.listed.networks.get(&network).cloned().flatten()).collect();
            let free = (2..250).map(|number| format!("172.18.0.{number}")).find(|address| !taken.contains(address));
            if let Some(place) = self.containers.get_mut(id).and_then(|container| container.listed.networks.get_mut(&network)) {
                let kept = place.take().filter(|address| !taken.contains(address));
                *place = if has_none { None } else { kept.or(free) };
            }
        }
    }
}
