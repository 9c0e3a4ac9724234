//! The engine itself in trouble: what is between it and Mooring vanishes, fails, or is slow.

use std::{thread, time::Duration};

use crate::{
    between::{Between, Manner, Trouble},
    host::{Host, container, manifest},
    proxy,
    receiver::{self, Http},
};

/// A Mooring that reaches the engine over a socket of ours, and a container that is as declared.
fn over_a_socket() -> (Host, Between) {
    with("image: web:1")
}

/// The same with this container.
fn with(spec: &str) -> (Host, Between) {
    let mut host = Host::new(&[container("web", spec)]);
    let between = Between::new(&host.engine);
    host.engine = between.address();
    host.run();
    host.converges();
    (host, between)
}

fn is_missed(host: &Host) -> bool {
    host.context().health().not_ready.iter().any(|trouble| trouble.contains("the engine cannot be reached"))
}

#[test]
fn what_dies_while_the_engine_is_out_of_reach_is_healed_when_it_is_back() {
    let (host, mut between) = over_a_socket();
    between.vanishes();
    host.eventually("it is reported", is_missed);
    host.docker("kill @web");
    thread::sleep(Duration::from_secs(10));
    assert!(host.state("web").starts_with("exited"));
    between.listens(Manner::Faithful);
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.eventually("all is well again", |host| host.context().health().not_ready.is_empty());
}

#[test]
fn an_engine_that_answers_with_errors_is_waited_for() {
    let (host, mut between) = over_a_socket();
    between.listens(Manner::Failing);
    host.docker("kill @web");
    host.eventually("it is reported", is_missed);
    host.stays(3, "web is down", |host| host.state("web").starts_with("exited"));
    between.listens(Manner::Faithful);
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.converges();
}

/// Two refusals once led to another container, and three to one that stayed down until somebody released it.
#[test]
fn what_an_engine_refuses_for_a_while_is_the_same_container_again_and_nobody_has_to_release_it() {
    let (host, between) = with("image: web:1\nhealing: {budget: {attempts: 2, window: 8s}, backoff: {initial: 300ms}}");
    let id = host.id("web");
    between.orders("POST /containers/{}/start", &[Trouble::Refused(503), Trouble::Refused(500)]);
    host.docker("kill @web");
    host.eventually("it is told", |host| host.holds("Container/web").contains("Degraded: EngineRefuses"));
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.converges();
    assert_eq!((host.id("web"), host.count("Container/web", "StartContainer")), (id, 4));
}

/// Each refusal once counted against the configuration, and the next try came after as long a pause as if nginx had refused it.
#[test]
fn an_engine_that_refuses_to_ask_nginx_does_not_keep_a_backend_from_being_followed() {
    let mut host = Host::new(&proxy::stack("address", "healing: {backoff: {initial: 5m}}\n"));
    let between = Between::new(&host.engine);
    host.engine = between.address();
    proxy::begin(&mut host);
    between.orders("POST /containers/{}/exec", &[Trouble::Refused(503), Trouble::Refused(500), Trouble::Refused(409)]);
    proxy::move_backend(&host, "one");
    host.eventually("one answers again", |host| proxy::who(host, "one.test") == "one");
    host.converges();
    let failed = host.steps("Proxy/edge").iter().filter(|step| step.ends_with("[failed]")).count();
    assert!(failed >= 3, "each was refused");
}

#[test]
fn an_engine_whose_first_answer_hangs_is_not_given_up() {
    let (host, mut between) = over_a_socket();
    between.listens(Manner::Late(Duration::from_secs(6)));
    host.docker("kill @web");
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.eventually("all is well again", |host| host.context().health().not_ready.is_empty());
}

#[test]
fn an_engine_with_a_new_socket_file_is_found() {
    let (host, mut between) = over_a_socket();
    for _ in 0..3 {
        between.listens(Manner::Faithful);
        host.docker("kill @web");
        host.eventually("web runs again", |host| host.state("web").starts_with("running"));
    }
    assert_eq!(host.names(), ["@web"]);
}

#[test]
fn an_engine_that_is_lost_is_one_alert_however_many_containers_it_has() {
    let ops = Http::new(receiver::Manner::Answers(Vec::new()));
    let (host, mut between) = over_a_socket();
    host.put(container("api", "image: web:1"));
    let receiver = format!("{{name: ops, webhook: {{url: '{}'}}}}", ops.url("/"));
    host.put(manifest("Host", "default", &format!("alerts: {{delay: 2s, group: 1s, repeat: never, receivers: [{receiver}]}}")));
    host.converges();
    between.vanishes();
    host.eventually("it is told", |_| !ops.messages().is_empty());
    host.stays(4, "it is told once", |_| ops.messages() == ["firing Host EngineLost"]);
    between.listens(Manner::Faithful);
    host.eventually("its end is told", |_| ops.messages() == ["firing Host EngineLost", "resolved Host EngineLost"]);
    host.converges();
    host.stays(4, "there is no more to tell", |_| ops.messages().len() == 2);
}
