//! Each action does what it says, once; done again it finds its work done.

use std::{collections::BTreeMap, time::Instant};

use jiff::{SignedDuration, Timestamp};
use mooring::{
    execute::engine::{Effect, Engine as _, Error},
    observe::engine::{Engine as _, OWNER_LABEL},
    plan::{
        EngineAction, Target,
        container::State,
        shape::{Limits, Mount, Network, Restart, Shape},
    },
    secret::Secret,
};

use crate::world::{BUSYBOX, World, address, script, sleeper};

fn network(name: &str, alias: &str) -> Network {
    Network { name: name.to_owned(), aliases: vec![alias.to_owned()], ipv4_address: None, ipv6_address: None }
}

#[tokio::test]
async fn every_action_that_is_taken_again_finds_it_so_already() {
    let world = World::new("again").await;
    let (net, data) = (world.name("net"), world.name("data"));
    let new = world.new_container("web", sleeper(), &BTreeMap::new());
    let name = new.name.clone();
    for action in [
        EngineAction::CreateNetwork { name: net.clone() },
        EngineAction::CreateVolume { name: data },
        EngineAction::CreateContainer(Box::new(new)),
    ] {
        assert_done_once(&world, action).await;
    }
    let container = world.seen(&name).await;
    let to = world.name("renamed");
    for action in [
        EngineAction::ConnectNetwork { container: container.clone(), network: network(&net, "one") },
        EngineAction::StartContainer { container: container.clone() },
        EngineAction::RenameContainer { container: container.clone(), to },
        EngineAction::StopContainer { container: container.clone() },
        EngineAction::RemoveContainer { container: container.clone() },
        EngineAction::StopContainer { container: Target::named("mooring-test-never-made") },
    ] {
        if matches!(&action, EngineAction::StopContainer { container } if container.id.is_none()) {
            assert_eq!(world.perform(action).await, Effect::AlreadySo, "what is not there does not run");
        } else {
            assert_done_once(&world, action).await;
        }
    }
}

#[tokio::test]
async fn what_is_known_by_its_name_only_is_not_started_when_it_is_somebody_elses() {
    let world = World::new("names").await;
    let ours = world.make("ours", sleeper()).await;
    let theirs = world.name("theirs");
    let docker = |words: &[&str]| {
        let done = std::process::Command::new("docker").env("DOCKER_HOST", address()).args(words).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    docker(&["create", "--name", &theirs, BUSYBOX, "sleep", "60"]);
    let net = world.name("net");
    world.perform(EngineAction::CreateNetwork { name: net.clone() }).await;
    let (status, message) = world.refusal(EngineAction::StartContainer { container: Target::named(&theirs) }).await;
    let connected = EngineAction::ConnectNetwork { container: Target::named(&theirs), network: network(&net, "one") };
    let refused = world.refusal(connected).await.0;
    let seen = world.seen(&theirs).await;
    let state = world.listed(&seen).await.state;
    docker(&["rm", "-f", &theirs]);
    assert_eq!((status, refused, state), (409, 409, State::Created));
    assert!(message.contains("somebody else's"), "{message}");
    let by_name = EngineAction::StartContainer { container: Target::named(&ours.name) };
    assert_eq!(world.perform(by_name).await, Effect::Done);
}

async fn assert_done_once(world: &World, action: EngineAction) {
    assert_eq!(world.perform(action.clone()).await, Effect::Done, "{action}");
    assert_eq!(world.perform(action.clone()).await, Effect::AlreadySo, "{action}, again");
}

#[tokio::test]
async fn a_running_container_is_connected_once_with_its_alias() {
    let world = World::new("connect").await;
    let net = world.name("net");
    world.perform(EngineAction::CreateNetwork { name: net.clone() }).await;
    let container = world.run("web", sleeper()).await;
    let other = world.run("client", Shape { networks: vec![network(&net, "client")], ..sleeper() }).await;
    assert_done_once(&world, EngineAction::ConnectNetwork { container: container.clone(), network: network(&net, "one") }).await;
    assert!(world.listed(&container).await.networks[&net].is_some());
    world.shell(&other, "nslookup one 127.0.0.11").await;
}

#[tokio::test]
async fn two_that_need_one_network_at_once_get_one() {
    let world = World::new("together").await;
    let make = || world.perform(EngineAction::CreateNetwork { name: world.name("net") });
    let mut effects = <[Effect; 3]>::from(tokio::join!(make(), make(), make()));
    effects.sort_by_key(|effect| *effect == Effect::AlreadySo);
    assert_eq!(effects, [Effect::Done, Effect::AlreadySo, Effect::AlreadySo]);
    let networks = world.raw.list_networks(None).await.unwrap();
    assert_eq!(networks.iter().filter(|network| network.name.as_ref() == Some(&world.name("net"))).count(), 1);
}

#[tokio::test]
async fn a_network_is_removed_by_its_id_once_and_not_while_somebody_is_on_it() {
    let world = World::new("double").await;
    let net = world.name("net");
    world.perform(EngineAction::CreateNetwork { name: net.clone() }).await;
    let container = world.run("web", Shape { networks: vec![network(&net, "one")], ..sleeper() }).await;
    let listed = world.eyes.networks().await.unwrap().into_iter().find(|listed| listed.name == net).unwrap();
    assert_eq!(listed.labels.get(OWNER_LABEL), Some(&world.owner));
    assert!(listed.created_at > Timestamp::now() - SignedDuration::from_mins(5), "{listed:?}");
    assert!(world.listed(&container).await.network_ids.values().any(|id| *id == listed.id));
    let action = EngineAction::RemoveNetwork { id: listed.id.clone(), name: net };
    assert_eq!(world.refusal(action.clone()).await.0, 403);
    world.perform(EngineAction::StopContainer { container: container.clone() }).await;
    assert!(
        world.listed(&container).await.network_ids.values().any(|id| *id == listed.id),
        "it is to be on it at its next start"
    );
    world.perform(EngineAction::RemoveContainer { container }).await;
    assert_done_once(&world, action).await;
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_refused() {
    let world = World::new("taken").await;
    let create = |shape: Shape, object: &str| {
        let mut new = world.new_container(object, shape, &BTreeMap::new());
        new.name = world.name("web");
        EngineAction::CreateContainer(Box::new(new))
    };
    world.perform(create(sleeper(), "web")).await;
    assert_eq!(world.refusal(create(script("sleep 1"), "web")).await.0, 409, "of another shape");
    assert_eq!(world.refusal(create(sleeper(), "api")).await.0, 409, "of another object");
    assert_eq!(world.perform(create(sleeper(), "web")).await, Effect::AlreadySo);
}

#[tokio::test]
async fn a_container_of_a_missing_image_is_refused() {
    let world = World::new("no-image").await;
    let shape = Shape { image: "mooring-demo/nothing:1".to_owned(), ..sleeper() };
    let new = world.new_container("web", shape, &BTreeMap::new());
    let (status, message) = world.refusal(EngineAction::CreateContainer(Box::new(new))).await;
    assert_eq!(status, 404);
    assert!(message.contains("mooring-demo/nothing:1"), "{message}");
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let world = World::new("cannot").await;
    let container = world.run("web", sleeper()).await;
    assert_eq!(world.refusal(EngineAction::RemoveContainer { container: container.clone() }).await.0, 409);
    assert_eq!(world.listed(&container).await.state, State::Running, "what runs is not removed");

    world.raw.pause_container(container.reference()).await.unwrap();
    assert_eq!(world.refusal(EngineAction::StartContainer { container: container.clone() }).await.0, 409);
    assert_eq!(world.listed(&container).await.state, State::Paused);

    let nobody = Target::named(&world.name("nobody"));
    assert_eq!(world.refusal(EngineAction::StartContainer { container: nobody.clone() }).await.0, 404);
    assert_eq!(world.refusal(EngineAction::RestartContainer { container: nobody.clone() }).await.0, 404);
    assert_eq!(world.refusal(EngineAction::RenameContainer { container: nobody.clone(), to: world.name("x") }).await.0, 404);
    assert_eq!(world.perform(EngineAction::RemoveContainer { container: nobody }).await, Effect::AlreadySo);
}

#[tokio::test]
async fn a_name_that_would_make_it_another_request_is_refused() {
    let world = World::new("path").await;
    let container = world.make("stopped", sleeper()).await;
    let trap = network("../containers/prune?x=", "one");
    assert_eq!(world.refusal(EngineAction::ConnectNetwork { container: container.clone(), network: trap }).await.0, 400);
    assert!(world.find(&container).await.is_some(), "it has not been pruned");
}

#[tokio::test]
async fn a_container_that_runs_already_is_not_started_and_one_that_restarts_neither() {
    let world = World::new("starts").await;
    let limits = Limits { restart: Some(Restart::Always), ..Limits::default() };
    let container = world.run("failing", Shape { limits, ..script("exit 4") }).await;
    world.until(&container, |listed| listed.state == State::Restarting).await;
    assert_eq!(world.perform(EngineAction::StartContainer { container }).await, Effect::AlreadySo);
}

#[tokio::test]
async fn restarting_starts_what_has_ended_and_begins_anew_what_runs() {
    let world = World::new("restart").await;
    let container = world.run("web", sleeper()).await;
    let first = world.inspected(&container).await.started_at;
    assert_eq!(world.perform(EngineAction::RestartContainer { container: container.clone() }).await, Effect::Done);
    let second = world.inspected(&container).await;
    assert!(second.state == State::Running && first < second.started_at, "{second:?}");

    world.perform(EngineAction::StopContainer { container: container.clone() }).await;
    world.perform(EngineAction::RestartContainer { container: container.clone() }).await;
    assert_eq!(world.listed(&container).await.state, State::Running);
}

#[tokio::test]
async fn stopping_gives_a_container_its_own_signal_and_its_own_grace() {
    let world = World::new("stop").await;
    let polite = script("trap 'exit 9' INT; while :; do sleep 0.1; done");
    let polite = Shape { init: None, stop_signal: Some("SIGINT".to_owned()), stop_grace_seconds: Some(30), ..polite };
    let polite = world.run("polite", polite).await;
    let deaf = Shape { init: None, stop_grace_seconds: Some(2), ..script("trap '' TERM; while :; do sleep 0.1; done") };
    let deaf = world.run("deaf", deaf).await;
    // The traps have to be set first.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for (container, code, seconds) in [(polite, 9, 0..20), (deaf, 137, 2..20)] {
        let begun = Instant::now();
        world.perform(EngineAction::StopContainer { container: container.clone() }).await;
        assert!(seconds.contains(&begun.elapsed().as_secs()), "{container}: {:?}", begun.elapsed());
        assert_eq!(world.inspected(&container).await.state, State::Exited { exit_code: code, out_of_memory: false });
    }
}

#[tokio::test]
async fn a_volume_outlives_the_container_that_used_it() {
    let world = World::new("volume").await;
    let data = world.name("data");
    world.perform(EngineAction::CreateVolume { name: data.clone() }).await;
    let volumes = vec![format!("{data}:/data").parse::<Mount>().unwrap()];
    let container = world.run("db", Shape { volumes: volumes.clone(), ..sleeper() }).await;
    world.shell(&container, "echo kept >/data/file").await;
    world.perform(EngineAction::StopContainer { container: container.clone() }).await;
    world.perform(EngineAction::RemoveContainer { container }).await;

    assert!(world.eyes.volumes().await.unwrap().contains(&data));
    let next = world.run("next", Shape { volumes, ..sleeper() }).await;
    world.shell(&next, "test $(cat /data/file) = kept").await;
}

#[tokio::test]
async fn limits_of_a_living_container_are_raised_and_lowered() {
    let world = World::new("update").await;
    let start = Limits { mem_limit: Some(32 << 20), ..Limits::default() };
    let container = world.run("web", Shape { limits: start, ..sleeper() }).await;
    let limits = |megabytes: i64, restart| Limits {
        mem_limit: Some(megabytes << 20),
        nano_cpus: Some(250_000_000),
        pids_limit: Some(50),
        restart: Some(restart),
    };
    // The first is more than memory and swap together were at the start.
    for limits in [limits(256, Restart::Always), limits(24, Restart::OnFailure(Some(2))), limits(24, Restart::No)] {
        let action = EngineAction::UpdateContainer { container: container.clone(), limits: limits.clone() };
        assert_eq!(world.perform(action).await, Effect::Done);
        assert_eq!(world.inspected(&container).await.limits, limits);
    }
    let unlimited = world.run("unlimited", sleeper()).await;
    let limits = limits(64, Restart::UnlessStopped);
    world.perform(EngineAction::UpdateContainer { container: unlimited.clone(), limits: limits.clone() }).await;
    assert_eq!(world.inspected(&unlimited).await.limits, limits);
}

#[tokio::test]
async fn a_pull_that_fails_says_why() {
    let world = World::new("pull").await;
    // Nobody listens there, so the engine is not kept waiting.
    let image = "127.0.0.1:1/nothing:1".to_owned();
    let failed = world.try_perform(EngineAction::PullImage { image: image.clone() }).await;
    let Err(Error::Pull { image: named, message }) = failed else { panic!("{failed:?}") };
    assert_eq!(named, image);
    assert!(message.contains("127.0.0.1:1"), "{message}");
}

#[tokio::test]
async fn a_refusal_does_not_tell_a_secret() {
    let world = World::new("secret").await;
    // The engine repeats a variable that has no name.
    let variables = BTreeMap::from([(String::new(), Secret::new("hunter2".to_owned()))]);
    let new = world.new_container("web", sleeper(), &variables);
    let refused = world.hands.perform(&EngineAction::CreateContainer(Box::new(new)), &variables).await.unwrap_err();
    let text = format!("{} {refused:?}", mooring::error_chain(&refused));
    assert!(text.contains("invalid environment variable") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_marker_stays_with_the_first_who_left_it_until_it_is_taken_away() {
    let world = World::new("marker").await;
    let name = world.name("marker");
    assert_eq!(world.hands.mark(&name, "one").await.unwrap(), "one");
    assert_eq!(world.hands.mark(&name, "other").await.unwrap(), "one");
    world.hands.unmark(&name).await.unwrap();
    world.hands.unmark(&name).await.unwrap();
    assert_eq!(world.hands.mark(&name, "other").await.unwrap(), "other");
    world.hands.unmark(&name).await.unwrap();
    assert!(!world.eyes.volumes().await.unwrap().contains(&name));
}
