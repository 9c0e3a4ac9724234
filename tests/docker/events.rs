//! What happens on the engine is told, and nothing else.

use std::collections::BTreeMap;

use bollard::query_parameters::{KillContainerOptions, RemoveContainerOptions, StopContainerOptions};
use futures::{StreamExt, stream::BoxStream};
use mooring::{
    observe::engine::{Engine as _, Error, Event, EventAction},
    plan::{
        EngineAction, Target,
        container::Health,
        shape::{Healthcheck, Network, Shape},
    },
};

use crate::world::{LIMIT, World, script, sleeper};

const TERM: EventAction = EventAction::Signalled { kill: false };
const KILL: EventAction = EventAction::Signalled { kill: true };

/// Reads what is told, of this test's containers only.
struct Listener {
    events: BoxStream<'static, Result<Event, Error>>,
    id: String,
}

impl Listener {
    async fn new(world: &World, container: &Target) -> Self {
        Self { events: world.eyes.events().await.unwrap(), id: container.id.clone().unwrap() }
    }

    /// All that is told of the container, up to and with this.
    async fn until(&mut self, last: EventAction) -> Vec<EventAction> {
        let mut told = Vec::new();
        while told.last() != Some(&last) {
            let event = tokio::time::timeout(LIMIT, self.events.next()).await;
            let Ok(event) = event else { panic!("{last:?} was never told, only {told:?}") };
            let event = event.unwrap().unwrap();
            if event.container.as_ref() == Some(&self.id) {
                told.push(event.action);
            }
        }
        told
    }
}

#[tokio::test]
async fn a_stop_is_a_polite_signal_a_death_and_the_engines_word() {
    let world = World::new("told-stop").await;
    let container = world.run("web", sleeper()).await;
    let mut listener = Listener::new(&world, &container).await;
    world.raw.stop_container(container.reference(), None::<StopContainerOptions>).await.unwrap();
    let mut told = listener.until(EventAction::Stopped).await;
    // Engine 20.10 tells of the death first, engine 26 last; leaving the network comes before or after it.
    if !told.contains(&EventAction::Died) {
        told.extend(listener.until(EventAction::Died).await);
    }
    told.retain(|action| *action != EventAction::Changed);
    assert_eq!(told[0], TERM);
    assert!(told.contains(&EventAction::Stopped) && told.len() == 3, "{told:?}");
}

#[tokio::test]
async fn a_kill_is_a_signal_that_cannot_be_refused_and_no_stop() {
    let world = World::new("told-kill").await;
    let container = world.run("web", sleeper()).await;
    let mut listener = Listener::new(&world, &container).await;
    world.raw.kill_container(container.reference(), None::<KillContainerOptions>).await.unwrap();
    let mut told = listener.until(EventAction::Died).await;
    world.perform(EngineAction::StartContainer { container }).await;
    told.extend(listener.until(EventAction::Started).await);
    told.retain(|action| *action != EventAction::Changed);
    assert_eq!(told, [KILL, EventAction::Died, EventAction::Started]);
}

#[tokio::test]
async fn a_removal_by_force_ends_with_a_change() {
    let world = World::new("told-removal").await;
    let container = world.run("web", sleeper()).await;
    let mut listener = Listener::new(&world, &container).await;
    let options = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
    world.raw.remove_container(container.reference(), Some(options)).await.unwrap();
    let mut told = listener.until(EventAction::Died).await;
    told.extend(listener.until(EventAction::Changed).await);
    assert!(told.contains(&KILL) && !told.contains(&EventAction::Stopped), "{told:?}");
}

#[tokio::test]
async fn renaming_connecting_and_pausing_are_changes() {
    let world = World::new("told-changes").await;
    let container = world.run("web", sleeper()).await;
    let network = Network { name: world.name("net"), aliases: vec![], ipv4_address: None, ipv6_address: None };
    world.perform(EngineAction::CreateNetwork { name: network.name.clone() }).await;
    let mut listener = Listener::new(&world, &container).await;
    world.perform(EngineAction::RenameContainer { container: container.clone(), to: world.name("renamed") }).await;
    assert_eq!(listener.until(EventAction::Changed).await.len(), 1);
    // The event is the network's, and has the container's id among its attributes.
    world.perform(EngineAction::ConnectNetwork { container: container.clone(), network }).await;
    assert_eq!(listener.until(EventAction::Changed).await.len(), 1);
    world.raw.pause_container(container.reference()).await.unwrap();
    assert_eq!(listener.until(EventAction::Changed).await.len(), 1);
}

#[tokio::test]
async fn health_is_told_when_it_flips_and_probes_are_not_told() {
    let world = World::new("told-health").await;
    let test = ["CMD-SHELL", "test ! -e /tmp/sick"].map(str::to_owned).into();
    let check = Healthcheck { test, interval: 200_000_000, timeout: 5_000_000_000, retries: 2, start_period: 0 };
    let container = world.make("web", Shape { healthcheck: Some(check), ..sleeper() }).await;
    let mut listener = Listener::new(&world, &container).await;
    world.perform(EngineAction::StartContainer { container: container.clone() }).await;
    let mut told = listener.until(EventAction::HealthChanged).await;
    assert_eq!(world.listed(&container).await.health, Health::Healthy);
    world.shell(&container, "touch /tmp/sick").await;
    told.extend(listener.until(EventAction::HealthChanged).await);
    assert_eq!(world.listed(&container).await.health, Health::Unhealthy);
    told.retain(|action| *action != EventAction::Changed);
    assert_eq!(told, [EventAction::Started, EventAction::HealthChanged, EventAction::HealthChanged]);
}

#[tokio::test]
async fn what_happens_before_the_stream_is_first_read_is_told() {
    let world = World::new("told-gap").await;
    let container = world.make("web", sleeper()).await;
    let mut listener = Listener::new(&world, &container).await;
    world.perform(EngineAction::StartContainer { container: container.clone() }).await;
    // What was before it was asked for is not: the making.
    let told = listener.until(EventAction::Started).await;
    assert!(told.iter().filter(|action| **action == EventAction::Changed).count() <= 1, "{told:?}");
}

#[tokio::test]
async fn an_event_names_the_object_on_the_containers_label() {
    let world = World::new("told-object").await;
    let mut events = world.eyes.events().await.unwrap();
    let container = world.run("web", script("exit 0")).await;
    let mut objects = BTreeMap::new();
    while !objects.contains_key("Died") {
        let event = tokio::time::timeout(LIMIT, events.next()).await.unwrap().unwrap().unwrap();
        if event.container == container.id {
            objects.insert(format!("{:?}", event.action), event.object);
        }
    }
    assert_eq!(objects["Died"].as_deref(), Some("Container/web"));
    assert_eq!(objects["Started"].as_deref(), Some("Container/web"));
}
