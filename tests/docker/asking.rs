//! What is said of containers is what they do.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bollard::models::ContainerCreateBody;
use mooring::{
    execute::engine::Engine as _,
    observe::engine::{Engine as _, Error, OBJECT_LABEL, OWNER_LABEL},
    plan::{
        EngineAction, Target,
        container::{Health, State},
        shape::{Healthcheck, Limits, Network, Restart, Shape},
    },
    secret::Secret,
};

use crate::world::{BUSYBOX, World, script, sleeper};

const SECOND: i64 = 1_000_000_000;

#[tokio::test]
async fn an_engine_says_who_it_is() {
    let world = World::new("describe").await;
    let description = world.eyes.describe().await.unwrap();
    let version = world.raw.version().await.unwrap();
    assert_eq!(Some(description.version), version.version);
    assert_eq!(Some(description.api_version), version.api_version);
    assert_eq!(Some(description.id), world.raw.info().await.unwrap().id);
}

#[tokio::test]
async fn the_list_and_the_details_agree_on_what_a_container_is_doing() {
    let world = World::new("states").await;
    let made = world.make("made", sleeper()).await;
    let running = world.run("running", sleeper()).await;
    let paused = world.run("paused", sleeper()).await;
    world.raw.pause_container(paused.reference()).await.unwrap();
    let ended = world.run("ended", script("exit 3")).await;
    let limits = Limits { restart: Some(Restart::Always), ..Limits::default() };
    let failing = world.run("failing", Shape { limits, ..script("exit 4") }).await;

    let three = State::Exited { exit_code: 3, out_of_memory: false };
    world.until(&ended, |listed| listed.state == three).await;
    // Soon it spends more time between two tries than in one.
    world.until(&failing, |listed| listed.state == State::Restarting).await;
    assert!(world.inspected(&failing).await.restarts > 0 && world.inspected(&running).await.restarts == 0);
    for (container, state) in
        [(made, State::Created), (running, State::Running), (paused, State::Paused), (ended, three), (failing, State::Restarting)]
    {
        assert_eq!(world.until(&container, |listed| listed.state == state).await.name, container.name);
        if state != State::Restarting {
            assert_eq!(world.inspected(&container).await.state, state, "{container}");
        }
    }
}

#[tokio::test]
async fn a_line_of_the_list_has_name_image_labels_and_addresses() {
    let world = World::new("line").await;
    let network = Network { name: world.name("net"), aliases: vec![], ipv4_address: None, ipv6_address: None };
    world.perform(EngineAction::CreateNetwork { name: network.name.clone() }).await;
    let labels = BTreeMap::from([("colour".to_owned(), "blue = green".to_owned())]);
    let container = world.run("web", Shape { networks: vec![network.clone()], labels, ..sleeper() }).await;

    let listed = world.listed(&container).await;
    assert_eq!((listed.name, listed.image), (world.name("web"), BUSYBOX.to_owned()));
    assert_eq!(listed.labels["colour"], "blue = green");
    assert_eq!(listed.labels[OWNER_LABEL], world.owner);
    assert_eq!(listed.labels[OBJECT_LABEL], "Container/web");
    assert_eq!(listed.networks.keys().collect::<Vec<_>>(), [&network.name]);
    let address = listed.networks[&network.name].as_ref().unwrap();
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address}");

    world.perform(EngineAction::StopContainer { container: container.clone() }).await;
    // The list of newer engines lags behind the answer to a stop; details do not.
    assert_ne!(world.inspected(&container).await.state, State::Running);
    let stopped = world.until(&container, |listed| listed.state != State::Running).await;
    assert_eq!(stopped.networks[&network.name], None, "what does not run has no address");
}

#[tokio::test]
async fn details_tell_when_a_container_began_and_ended() {
    let world = World::new("times").await;
    // Of one that ends at once the engine may note the end before the start.
    let container = world.make("job", script("sleep 0.5")).await;
    let before = world.inspected(&container).await;
    assert_eq!((before.started_at, before.finished_at), (None, None));

    world.perform(EngineAction::StartContainer { container: container.clone() }).await;
    world.until(&container, |listed| listed.state != State::Running && listed.state != State::Created).await;
    let after = world.inspected(&container).await;
    assert!(before.started_at < after.started_at && after.started_at < after.finished_at, "{after:?}");
}

#[tokio::test]
async fn a_container_killed_for_want_of_memory_says_so() {
    let world = World::new("memory").await;
    let limits = Limits { mem_limit: Some(8 << 20), ..Limits::default() };
    let shape = Shape { init: None, command: Some(["tail", "/dev/zero"].map(str::to_owned).into()), limits, ..sleeper() };
    let container = world.run("hungry", shape).await;
    world.until(&container, |listed| matches!(listed.state, State::Exited { exit_code: 137, .. })).await;
    // Newer engines hear of the reason a moment after the death.
    let begun = Instant::now();
    while world.inspected(&container).await.state != (State::Exited { exit_code: 137, out_of_memory: true }) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", world.inspected(&container).await.state);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_label_that_lies_about_the_exit_code_is_not_believed() {
    let world = World::new("liar").await;
    let labels = [("exitCode", "0"), ("signal", "0"), ("status", "running")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let container = world.run("liar", Shape { labels, ..script("exit 5") }).await;
    let five = State::Exited { exit_code: 5, out_of_memory: false };
    world.until(&container, |listed| listed.state == five).await;
    assert_eq!(world.inspected(&container).await.state, five);
}

#[tokio::test]
async fn health_goes_from_starting_to_healthy_to_unhealthy_and_is_nothing_without_a_check() {
    let world = World::new("health").await;
    let unchecked = world.run("unchecked", sleeper()).await;
    assert_eq!(world.listed(&unchecked).await.health, Health::None);
    assert_eq!(world.inspected(&unchecked).await.health, Health::None);

    let test = ["CMD-SHELL", "test -e /tmp/well || test ! -e /tmp/begun"].map(str::to_owned).into();
    let check = Healthcheck { test, interval: SECOND, timeout: 5 * SECOND, retries: 2, start_period: 0 };
    let container = world.run("checked", Shape { healthcheck: Some(check), ..sleeper() }).await;
    assert_eq!(world.listed(&container).await.health, Health::Starting);
    for (line, health) in
        [("true", Health::Healthy), ("touch /tmp/begun", Health::Unhealthy), ("touch /tmp/well", Health::Healthy)]
    {
        world.shell(&container, line).await;
        world.until(&container, |listed| listed.health == health).await;
        assert_eq!(world.inspected(&container).await.health, health);
    }
}

#[tokio::test]
async fn details_have_variables_limits_and_the_stop_signal() {
    let world = World::new("details").await;
    let values = [("PLAIN", "value"), ("EQUALS", "a=b=c"), ("EMPTY", ""), ("LINES", "one\ntwo")];
    let variables: BTreeMap<String, Secret> = values.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))).into();
    let limits = Limits {
        mem_limit: Some(64 << 20),
        nano_cpus: Some(500_000_000),
        pids_limit: Some(100),
        restart: Some(Restart::OnFailure(Some(3))),
    };
    let shape = Shape { limits: limits.clone(), stop_signal: Some("SIGINT".to_owned()), ..sleeper() };
    let new = world.new_container("all", shape, &variables);
    let container = Target::named(&new.name);
    world.hands.perform(&EngineAction::CreateContainer(Box::new(new)), &variables).await.unwrap();

    let inspected = world.inspected(&container).await;
    for (name, value) in values {
        assert_eq!(inspected.variables[name].expose(), value, "{name}");
    }
    assert_eq!(inspected.limits, limits);
    assert_eq!(inspected.stop_signal.as_deref(), Some("SIGINT"));

    let none = world.make("none", sleeper()).await;
    assert_eq!(world.inspected(&none).await.limits, Limits { restart: Some(Restart::No), ..Limits::default() });
}

#[tokio::test]
async fn a_variable_without_a_value_is_an_empty_one() {
    let world = World::new("bare").await;
    let body = ContainerCreateBody {
        image: Some(BUSYBOX.to_owned()),
        env: Some(vec!["BARE".to_owned(), "SET=1".to_owned()]),
        labels: Some([(OWNER_LABEL.to_owned(), world.owner.clone())].into()),
        ..ContainerCreateBody::default()
    };
    let id = world.raw.create_container(None, body).await.unwrap().id;
    let variables = world.inspected(&Target::seen(&id, "bare")).await.variables;
    assert_eq!(variables["SET"].expose(), "1");
    // The engine takes a bare name as a wish to have none.
    assert!(variables.get("BARE").is_none_or(Secret::is_empty));
}

#[tokio::test]
async fn what_is_not_there_is_none_and_no_failure() {
    let world = World::new("absent").await;
    assert!(world.eyes.inspect(&world.name("nobody")).await.unwrap().is_none());
    assert!(!world.eyes.has_image("mooring-demo/nothing:1").await.unwrap());
    assert!(world.eyes.has_image(BUSYBOX).await.unwrap());
    assert!(world.eyes.networks().await.unwrap().iter().all(|network| network.name != world.name("net")));
    assert!(!world.eyes.volumes().await.unwrap().contains(&world.name("data")));
    let refused = world.eyes.has_image("../containers/json?x=").await;
    assert!(matches!(refused, Err(Error::Refused { status: 400, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_command_gives_its_exit_code_and_the_end_of_its_output() {
    let world = World::new("exec").await;
    let container = world.run("host", sleeper()).await;
    let exec = async |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        world.eyes.exec(container.reference(), &words).await
    };
    let result = exec(&["sh", "-c", "echo out; echo err >&2; exit 7"]).await.unwrap();
    assert_eq!(result.exit_code, 7);
    assert!(result.output.contains("out\n") && result.output.contains("err\n"), "{result:?}");

    let long = exec(&["sh", "-c", "yes éé | head -n 20000; echo the end"]).await.unwrap();
    assert!(long.output.ends_with("éé\nthe end\n") && long.output.len() <= 400, "{long:?}");

    let missing = exec(&["no-such-program"]).await.unwrap();
    assert!(matches!(missing.exit_code, 126 | 127) && missing.output.contains("no-such-program"), "{missing:?}");

    world.perform(EngineAction::StopContainer { container: container.clone() }).await;
    let stopped = exec(&["true"]).await;
    assert!(matches!(stopped, Err(Error::Refused { status: 409, .. })), "{stopped:?}");
}

#[tokio::test]
async fn every_request_is_counted_by_a_word_of_its_own() {
    let world = World::new("calls").await;
    world.eyes.list().await.unwrap();
    world.eyes.list().await.unwrap();
    world.eyes.networks().await.unwrap();
    let calls = world.calls.lock().unwrap();
    assert_eq!(*calls, ["negotiate-version", "list-containers", "list-containers", "list-networks"]);
}
