//! Networks that are gone, and several with one name, which engines before API 1.44 permit.

use std::io::{Read as _, Write as _};

use crate::host::{Host, container};

impl Host {
    /// Makes a network as a Mooring of this owner does, whether or not there is one; its id. None where names are unique.
    pub fn another_network(&self, name: &str, owner: &str) -> Option<String> {
        let body =
            format!(r#"{{"Name": "{}-{name}", "Driver": "bridge", "Labels": {{"dev.mooring.owner": "{owner}"}}}}"#, self.name);
        let mut socket = std::os::unix::net::UnixStream::connect(crate::host::socket()).unwrap();
        let head = format!("Host: docker\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        write!(socket, "POST /networks/create HTTP/1.0\r\n{head}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        if answer.contains(" 409 ") {
            return None;
        }
        let (_, id) = answer.split_once(r#""Id":""#).unwrap_or_else(|| panic!("{answer}"));
        Some(id.split('"').next().unwrap().to_owned())
    }

    /// Makes two such networks of one name; the id of the first one. None where names are unique: that is so from API 1.44 on.
    pub fn doubled_network(&self, name: &str, owner: &str) -> Option<String> {
        let first = self.another_network(name, owner)?;
        self.another_network(name, owner).map(|_| first)
    }

    /// The ids of the networks of this name, oldest first.
    pub fn networks(&self, name: &str) -> Vec<String> {
        let filter = format!("name=^{}-{name}$", self.name);
        let listed = self.docker(&format!("network ls --no-trunc --filter {filter} --format {{{{.CreatedAt}}}}\t{{{{.ID}}}}"));
        let mut lines: Vec<&str> = listed.lines().collect();
        lines.sort_unstable();
        lines.into_iter().map(|line| line.split('\t').nth(1).unwrap().to_owned()).collect()
    }
}

const WEB: &str = "image: web:1\nnetworks: ['@net']\nhealing: {backoff: {initial: 300ms}}";

#[test]
fn of_two_networks_of_ours_the_empty_one_goes_and_the_container_comes_up() {
    let mut host = Host::new(&[container("web", WEB), container("other", WEB)]);
    let Some(first) = host.doubled_network("net", &host.name) else { return };
    host.run();
    host.converges();
    assert_eq!(host.networks("net").join(" "), first, "the older one stays");

    host.another_network("net", &host.name).unwrap();
    host.docker("kill @web");
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    assert_eq!(host.networks("net").join(" "), first, "the one in use stays");
    host.converges();
    for object in ["Container/web", "Container/other"] {
        assert!(host.events(object).iter().all(|(reason, _)| reason != "StepFailed"), "{:?}", host.events(object));
    }
}

#[test]
fn a_double_that_is_not_ours_is_left_alone_and_its_removal_by_hand_is_all_it_takes() {
    let mut host = Host::new(&[container("web", WEB)]);
    let Some(first) = host.doubled_network("net", "somebody") else { return };
    let second = host.networks("net").pop().unwrap();
    host.run();
    let refused = |host: &Host| host.count("Container/web", "StartContainer @web: it was made and never started [failed]");
    // More often than any budget permits.
    host.eventually("it is tried", |host| refused(host) > 4);
    assert_eq!(host.networks("net"), [first.clone(), second.clone()]);
    assert!(!host.holds("Container/web").contains("CrashLoop"), "{}", host.holds("Container/web"));
    host.docker(&format!("network rm {second}"));
    host.converges();
    assert_eq!(host.networks("net"), [first]);
}

/// A container that has run on a network is started on that one only, by its id: `network … not found`, for ever.
fn is_started_on_the_new_network(again: bool) {
    let host = Host::start(&[container(
        "db",
        "image: web:1\nnetworks: ['@net', {name: '@two', aliases: [shop]}]\nvolumes: ['@data:/data']",
    )]);
    let id = host.id("db");
    host.docker("stop @db");
    host.eventually("the stop is known to be meant", |host| host.holds("Container/db").contains("Held: StoppedByHand"));
    host.docker("network rm @net");
    host.docker("network rm @two");
    if again {
        host.docker("network create @net");
        host.docker("network create @two");
    }
    host.release("Container/db");
    host.converges();
    assert_eq!(host.id("db"), id, "it has data, so it is not made anew");
    assert_eq!(host.inspect("db", "{{len .NetworkSettings.Networks}}").unwrap(), "2");
    let aliases = host.inspect("db", "{{range .NetworkSettings.Networks}}{{.Aliases}}{{end}}").unwrap();
    assert!(aliases.contains("shop"), "{aliases}");
    assert!(host.steps("Container/db").iter().all(|step| step.ends_with("[done]")), "{:#?}", host.steps("Container/db"));
}

#[test]
fn a_stopped_container_whose_networks_are_gone_is_started_on_new_ones() {
    is_started_on_the_new_network(false);
}

#[test]
fn a_stopped_container_whose_networks_were_made_anew_is_started_on_those() {
    is_started_on_the_new_network(true);
}
