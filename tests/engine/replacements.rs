//! New versions: beside the old one where that is possible, in its place where it is not, and back when it fails.

use crate::host::{Host, container, free_port};

/// A version that never becomes healthy, and does not take long to say so.
const SICK: &str = "image: web:2\nhealthcheck: {test: 'false', interval: 300ms, retries: 1}\n\
                    healing: {budget: {attempts: 2, window: 10m}, backoff: {initial: 300ms}}";
const WELL: &str = "image: web:1\nhealing: {budget: {attempts: 2, window: 10m}, backoff: {initial: 300ms}}";

#[test]
fn a_new_version_comes_up_beside_the_old_one_which_serves_until_then() {
    let host = Host::start(&[container("web", "image: web:1")]);
    let old = host.id("web");
    host.put(container("web", "image: web:2"));
    host.eventually("the new one has taken over", |host| {
        let seen = host.inspect("web", "{{.Id}} {{.State.Running}} {{.State.Health.Status}}");
        // Between the two renames the name is nobody's, for milliseconds.
        let Some(seen) = seen else { return false };
        assert!(seen.contains(" true "), "the name leads to a container that does not run: {seen}");
        if !seen.starts_with(&old) {
            assert!(seen.ends_with(" healthy"), "the new one took over before it was healthy: {seen}");
        }
        !seen.starts_with(&old)
    });
    host.eventually("the old one is gone", |host| host.names() == ["@web"]);
    assert_eq!(host.image("web"), "web:2");
    host.converges();
    assert_eq!(host.count("Container/web", "StopContainer"), 1);
}

#[test]
fn a_new_version_that_needs_the_same_port_comes_after_the_old_one_has_stopped() {
    let ports = format!("ports: ['127.0.0.1:{}:8080']", free_port());
    let host = Host::start(&[container("web", &format!("image: web:1\n{ports}"))]);
    host.put(container("web", &format!("image: web:2\n{ports}")));
    host.eventually("the new one is in place", |host| host.image("web") == "web:2" && host.state("web") == "running healthy");
    host.eventually("the old one is gone", |host| host.names() == ["@web"]);
    host.converges();
    let steps = host.steps("Container/web");
    let operations: Vec<&str> = steps.iter().skip(2).filter_map(|step| step.split(':').next()).collect();
    let expected = [
        "CreateContainer @web.next",
        "StopContainer @web",
        "RenameContainer @web",
        "RenameContainer @web.next",
        "StartContainer @web",
    ];
    assert_eq!(operations[..5], expected, "{steps:#?}");
    assert!(operations[5].starts_with("RemoveContainer @web.previous"), "{steps:#?}");
}

fn gives_way_to_the_old_one(more: &str) {
    let host = Host::start(&[container("web", &format!("{WELL}\n{more}"))]);
    let old = host.id("web");
    host.put(container("web", &format!("{SICK}\n{more}")));
    host.eventually("the tries are spent", |host| {
        host.holds("Container/web").contains("the old one runs on; change the manifest, or release it")
    });
    assert!(host.holds("Container/web").contains("Degraded: ReplacementFailed"), "{}", host.holds("Container/web"));
    host.eventually("only the old one is there", |host| host.names() == ["@web"] && host.state("web") == "running healthy");
    assert_eq!(host.id("web"), old);
    assert_eq!(host.count("Container/web", "CreateContainer"), 3, "the first one and two tries");
    host.stays(3, "it is not tried again", |host| host.count("Container/web", "CreateContainer") == 3);

    host.docker("kill @web");
    host.eventually("the old one is kept alive", |host| host.state("web") == "running healthy");
    host.put(container("web", &format!("image: web:2\n{more}")));
    host.eventually("a better version comes up", |host| host.image("web") == "web:2" && host.state("web") == "running healthy");
    host.eventually("the old one is gone", |host| host.names() == ["@web"]);
}

#[test]
fn a_version_that_never_becomes_healthy_beside_gives_way_to_the_old_one() {
    gives_way_to_the_old_one("");
}

#[test]
fn a_version_that_never_becomes_healthy_in_its_place_gives_way_to_the_old_one() {
    gives_way_to_the_old_one(&format!("ports: ['127.0.0.1:{}:8080']", free_port()));
}

#[test]
fn a_container_with_data_is_not_replaced_without_permission() {
    let data = "volumes: ['@data:/data']";
    let host = Host::start(&[container("web", &format!("image: web:1\n{data}"))]);
    let id = host.id("web");
    host.put(container("web", &format!("image: web:2\n{data}")));
    host.eventually("it is said", |host| host.holds("Container/web").contains("Degraded: RecreateForbidden"));
    host.docker("kill @web");
    host.eventually("it is kept alive", |host| host.state("web") == "running healthy");
    assert_eq!((host.id("web"), host.image("web").as_str()), (id, "web:1"));

    host.put(container("web", &format!("image: web:2\nallowRecreate: true\n{data}")));
    host.eventually("it is replaced", |host| host.image("web") == "web:2" && host.state("web") == "running healthy");
    host.eventually("the old one is gone", |host| host.names() == ["@web"]);
    assert_eq!(host.inspect("web", "{{range .Mounts}}{{.Name}}{{end}}").unwrap(), format!("{}-data", host.name));
}
