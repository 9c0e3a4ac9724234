//! Where trying has an end, or has to wait.

use crate::host::{Host, container};

const DOOMED: &str = "image: busybox:1\ncommand: [sh, -c, exit 3]\n\
                      healing: {budget: {attempts: 2, window: 10m}, backoff: {initial: 300ms}}";

/// The release comes while a pass over it may be under way: that once put back what it had read before, and it stayed given up.
#[test]
fn a_container_that_always_exits_ends_in_a_crash_loop_that_is_told_once() {
    let mut host = Host::new(&[container("web", DOOMED)]);
    host.run();
    let in_crash_loop = |host: &Host| host.holds("Container/web").contains("CrashLoop: CrashLoop");
    let starts = |host: &Host| host.count("Container/web", "StartContainer");
    let told = |host: &Host| {
        host.events("Container/web").iter().filter(|(reason, _)| reason == "CrashLoop").map(|(_, count)| count).sum::<i64>()
    };
    host.eventually("it is in a crash loop", in_crash_loop);
    host.stays(4, "it is left alone", |host| starts(host) == 3 && told(host) == 1);
    host.stop();
    host.run();
    host.stays(4, "it is left alone by the next Mooring too", |host| starts(host) == 3 && told(host) == 1);
    assert!(in_crash_loop(&host));

    host.release("Container/web");
    host.eventually("it is tried again", |host| starts(host) > 3);
    host.eventually("it is given up again", in_crash_loop);
    assert_eq!(starts(&host), 5);
}

#[test]
fn a_container_waits_until_what_it_depends_on_is_healthy() {
    let slow = "image: busybox:1\ncommand: [sh, -c, 'rm -f /tmp/up; sleep 4; touch /tmp/up; sleep 1000']\ninit: true\n\
                healthcheck: {test: '[ -e /tmp/up ]', interval: 500ms, retries: 100}";
    let api = "image: web:1\ndependsOn: [{container: db, condition: healthy}]";
    let mut host = Host::new(&[container("api", api), container("db", slow)]);
    host.run();
    host.eventually("api waits", |host| host.holds("Container/api").contains("Container/db is not healthy"));
    assert_eq!(host.state("api"), "absent");
    host.converges();
    assert_eq!((host.state("db").as_str(), host.state("api").as_str()), ("running healthy", "running healthy"));
    let objects: Vec<String> = host.audit().into_iter().map(|entry| entry.object).collect();
    assert_eq!(objects, ["Container/db", "Container/db", "Container/api", "Container/api"]);
}

#[test]
fn an_image_that_is_missing_and_may_not_be_pulled_is_a_condition_and_no_loop() {
    let mut host = Host::new(&[container("web", "image: mooring-demo/none:1\npullPolicy: never")]);
    host.run();
    host.eventually("it is said", |host| host.holds("Container/web").contains("Degraded: ImageUnavailable"));
    host.stays(5, "nothing is tried", |host| host.steps("Container/web").is_empty());
    let told: i64 = host.events("Container/web").iter().map(|(_, count)| count).sum();
    assert_eq!(told, 1, "{:?}", host.events("Container/web"));
}
