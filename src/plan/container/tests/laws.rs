//! Laws that hold in every world: planning and doing leads to the goal, a second
//! plan is empty, and nothing is ever touched that must not be.

use proptest::{prelude::*, sample::select};

use super::{world::at, *};
use crate::plan::Action;

/// How a container made from the wanted version behaves once it is started.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Well,
    Crashes,
}

/// Does what a plan says. Refuses what the engine would refuse.
fn simulate(world: &mut World, plan: &Plan, fate: Fate) {
    for step in &plan.steps {
        let Action::Engine(action) = &step.action else { panic!("containers have no files") };
        perform(world, action, fate);
        let history = std::mem::take(&mut world.observed.history);
        world.observed.history = history.after(step, None, world.observed.at);
    }
}

fn perform(world: &mut World, action: &EngineAction, fate: Fate) {
    let shape = &world.desired.shape;
    match action {
        EngineAction::CreateNetwork { name } => drop(world.observed.missing_networks.remove(name)),
        EngineAction::CreateVolume { name } => drop(world.observed.missing_volumes.remove(name)),
        EngineAction::PullImage { .. } => world.observed.image_present = true,
        EngineAction::CreateContainer(new) => {
            assert!(world.observed.image_present, "made from an image that is not there");
            assert!(world.observed.missing_networks.is_empty() && world.observed.missing_volumes.is_empty());
            assert!(world.observed.containers.iter().all(|other| other.name != new.name), "the name {} is taken", new.name);
            let id = format!("new-{}-{}", world.observed.at.as_second(), world.observed.containers.len());
            world.observed.containers.push(Container {
                id,
                name: new.name.clone(),
                state: State::Created,
                health: Health::None,
                probe: None,
                started_at: None,
                made_with: Some(MadeWith {
                    shape: new.shape.clone(),
                    variables: new.variables.keys().cloned().collect(),
                    allow_remove: new.allow_remove,
                }),
                networks: new.shape.networks.iter().take(1).map(|network| network.name.clone()).collect(),
                variables: world
                    .observed
                    .variables
                    .iter()
                    .map(|(name, variable)| (name.clone(), variable.fingerprint.clone()))
                    .collect(),
                limits: new.shape.limits.clone(),
            });
        }
        other => {
            let target = other.container().expect("it acts on a container").clone();
            let position = find(world, &target);
            let (shape, at) = (shape.clone(), world.observed.at);
            if let EngineAction::RemoveContainer { .. } = other {
                let container = world.observed.containers.remove(position);
                assert_ne!(container.state, State::Running, "the engine refuses to remove what runs");
                return;
            }
            if let EngineAction::RenameContainer { to, .. } = other {
                assert!(world.observed.containers.iter().all(|other| other.name != *to), "the name {to} is taken");
            }
            change(&mut world.observed.containers[position], other, (&shape, at, fate));
        }
    }
}

fn find(world: &World, target: &Target) -> usize {
    let is_meant = |container: &Container| match &target.id {
        Some(id) => container.id == *id,
        None => container.name == target.name,
    };
    world.observed.containers.iter().position(is_meant).expect("every step names a container that is there")
}

fn change(container: &mut Container, action: &EngineAction, (wanted, at, fate): (&Shape, Timestamp, Fate)) {
    match action {
        EngineAction::StartContainer { .. } | EngineAction::RestartContainer { .. } => {
            // Only the wanted version may be a bad one: what ran before it did run.
            let is_wanted = container.made_with.as_ref().is_some_and(|made_with| made_with.shape.image == wanted.image);
            container.state = match fate {
                Fate::Crashes if is_wanted => State::Exited { exit_code: 1, out_of_memory: false },
                Fate::Well | Fate::Crashes => State::Running,
            };
            container.health = Health::None;
            container.started_at = Some(at);
        }
        EngineAction::StopContainer { .. } => container.state = State::Exited { exit_code: 0, out_of_memory: false },
        EngineAction::RenameContainer { to, .. } => container.name.clone_from(to),
        EngineAction::ConnectNetwork { network, .. } => drop(container.networks.insert(network.name.clone())),
        EngineAction::UpdateContainer { limits, .. } => container.limits = limits.clone(),
        _ => unreachable!("the others are done elsewhere"),
    }
}

/// One pass, and some time.
fn pass(world: &mut World, fate: Fate) -> Plan {
    let plan = world.plan();
    simulate(world, &plan, fate);
    let reset = jiff::SignedDuration::from_secs(600);
    let history = std::mem::take(&mut world.observed.history);
    world.observed.history = history.settled(&plan, &world.observed.containers, world.observed.at, reset);
    world.observed.at += jiff::SignedDuration::from_secs(2);
    plan
}

/// The goal, without the planner's words: one container, running, named and made as wanted.
fn is_reached(world: &World) -> bool {
    let [container] = world.observed.containers.as_slice() else { return false };
    let as_made = container.made_with.as_ref().is_some_and(|made_with| {
        let mut made = made_with.shape.clone();
        made.limits = world.desired.shape.limits.clone();
        made == world.desired.shape
    });
    let attached = world.desired.shape.networks.iter().all(|network| container.networks.contains(&network.name));
    let valued =
        world.observed.variables.iter().all(|(name, variable)| container.variables.get(name) == Some(&variable.fingerprint));
    container.state == State::Running && container.name == world.desired.name && as_made && attached && valued
}

fn states() -> impl Strategy<Value = State> {
    select(vec![
        State::Created,
        State::Running,
        State::Running,
        State::Exited { exit_code: 1, out_of_memory: false },
        State::Dead,
    ])
}

/// A container of the object, as any earlier pass, person or crash may have left it.
fn containers(name: &'static str) -> impl Strategy<Value = Option<(&'static str, State, bool, bool, bool)>> {
    proptest::option::of((Just(name), states(), any::<bool>(), any::<bool>(), any::<bool>()))
}

prop_compose! {
    fn worlds()(
        (port, volume, network, second, variable, permitted) in any::<(bool, bool, bool, bool, bool, bool)>(),
        image_present in any::<bool>(),
        containers in (containers("web"), containers("web.next"), containers("web.previous"), containers("misnamed")),
    ) -> World {
        let mut world = wanted().image("web:2");
        if port { world = world.port(80) }
        if volume { world = world.volume("data") }
        if network { world = world.network("shop") }
        if network && second { world = world.network("metrics") }
        if variable { world = world.variable("TZ", "UTC") }
        if permitted { world = world.allow_recreate() }
        world.observed.image_present = image_present;
        let (one, two, three, four) = containers;
        for (name, state, outdated, revalued, detached) in [one, two, three, four].into_iter().flatten() {
            // What is there has its networks, volumes and image.
            world.observed.missing_networks.clear();
            world.observed.missing_volumes.clear();
            world = world.has(name, |mut container| {
                if outdated { container = container.of_image("web:1") }
                if revalued { container = container.given("TZ", "CET") }
                if detached { container.networks.clear() }
                container.is(state)
            });
        }
        world
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn planning_and_doing_leads_to_the_goal_or_to_a_wait_for_a_person(mut world in worlds()) {
        let mut last = Plan::default();
        for _ in 0..40 {
            last = pass(&mut world, Fate::Well);
            if last.is_converged() { break }
        }
        if last.is_converged() {
            prop_assert!(is_reached(&world), "{:#?}", world.observed.containers);
            prop_assert_eq!(world.plan(), Plan::default(), "a second plan is empty");
        } else {
            let wait = last.wait.expect("without being reached, the goal is waited for");
            prop_assert!(!wait.ends_by_itself(), "{wait}");
            prop_assert!(world.desired.shape.is_stateful() && !world.desired.policy.allow_recreate, "{wait}");
        }
    }

    #[test]
    fn a_version_that_always_crashes_is_tried_a_few_times_and_the_old_one_comes_back(port in any::<bool>(), volume in any::<bool>()) {
        let mut world = wanted().image("web:2").allow_recreate();
        if port { world = world.port(80) }
        if volume { world = world.volume("data") }
        world.observed.missing_volumes.clear();
        world = world.has("web", |container| container.of_image("web:1"));
        let mut made = 0;
        for _ in 0..300 {
            let plan = pass(&mut world, Fate::Crashes);
            made += plan.steps.iter().filter(|step| step.action.operation() == "CreateContainer").count();
        }
        prop_assert!((1..=3).contains(&made), "{made} tries");
        let running: Vec<_> = world.observed.containers.iter().filter(|container| container.state == State::Running).collect();
        prop_assert_eq!(running.len(), 1);
        prop_assert_eq!(&running[0].name, "web");
        prop_assert_eq!(&running[0].made_with.as_ref().unwrap().shape.image, "web:1");
    }

    #[test]
    fn in_ten_minutes_of_crashing_no_more_tries_are_made_than_the_budget_has(stateful in any::<bool>()) {
        let mut world = wanted();
        if stateful { world = world.volume("data") }
        world.observed.missing_volumes.clear();
        world = world.has("web", |container| container.exited(1));
        let until = world.observed.at + jiff::SignedDuration::from_secs(600);
        let mut tries = 0;
        while world.observed.at < until {
            let plan = pass(&mut world, Fate::Crashes);
            tries += plan.steps.iter().filter(|step| step.action.operation() == "StartContainer").count();
        }
        prop_assert_eq!(tries, 3);
    }

    #[test]
    fn removing_and_stopping_name_what_was_seen_and_no_plan_removes_a_volume(world in worlds()) {
        for step in &world.plan().steps {
            let Action::Engine(action) = &step.action else { panic!("containers have no files") };
            if let EngineAction::RemoveContainer { container } | EngineAction::StopContainer { container } = action {
                prop_assert!(container.id.is_some(), "{step}");
            }
        }
    }

    #[test]
    fn the_same_world_always_gets_the_same_plan(world in worlds()) {
        prop_assert_eq!(world.plan().to_string(), world.clone().plan().to_string());
    }
}

#[test]
fn the_start_of_time_is_no_special_time() {
    let mut world = wanted().has("web", |container| container.exited(1));
    world.observed.at = at(0);
    assert_eq!(world.plan().steps.len(), 1);
}
