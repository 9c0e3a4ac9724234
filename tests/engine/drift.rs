//! Living containers that somebody changed.

use crate::host::{Host, container};

#[test]
fn a_container_that_was_taken_off_its_network_is_put_back() {
    let host = Host::start(&[container("web", "image: web:1\nnetworks: ['@one', {name: '@two', aliases: [shop]}]")]);
    let id = host.id("web");
    let networks = |host: &Host| host.inspect("web", "{{len .NetworkSettings.Networks}}").unwrap();
    assert_eq!(networks(&host), "2");
    host.docker("network disconnect @two @web");
    host.eventually("web is on both networks", |host| networks(host) == "2");
    assert_eq!(host.id("web"), id);
    let aliases = host.inspect("web", "{{range .NetworkSettings.Networks}}{{.Aliases}}{{end}}").unwrap();
    assert!(aliases.contains("shop"), "{aliases}");
    host.eventually("it is on record", |host| host.count("Container/web", "ConnectNetwork") == 2);
}

#[test]
fn a_renamed_container_gets_its_name_back() {
    let host = Host::start(&[container("web", "image: web:1")]);
    let id = host.id("web");
    host.docker("rename @web @other");
    host.eventually("web has its name", |host| host.id("web") == id);
    assert_eq!(host.names(), ["@web"]);
    host.eventually("it is on record", |host| host.count("Container/web", "RenameContainer") == 1);
}

#[test]
fn limits_that_drifted_are_corrected_in_place() {
    let host = Host::start(&[container("web", "image: web:1\nmemLimit: 64m\nrestart: unless-stopped")]);
    let (id, started) = (host.id("web"), host.started("web"));
    let limits = |host: &Host| host.inspect("web", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}").unwrap();
    assert_eq!(limits(&host), "67108864 unless-stopped");
    host.docker("update --memory 128m --memory-swap 256m --restart no @web");
    host.eventually("the limits are as declared", |host| limits(host) == "67108864 unless-stopped");
    assert_eq!((host.id("web"), host.started("web")), (id, started), "it was neither replaced nor restarted");
}

#[test]
fn a_paused_container_is_left_alone_until_it_is_unpaused() {
    let host = Host::start(&[container("web", "image: web:1")]);
    let before = host.steps("Container/web");
    host.pause("web");
    host.eventually("it is said", |host| host.holds("Container/web").contains("Held: Paused"));
    host.stays(5, "web is paused", |host| host.state("web").starts_with("paused"));
    host.docker("unpause @web");
    host.converges();
    assert_eq!(host.steps("Container/web"), before);
}
