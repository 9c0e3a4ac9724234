//! The rules as a table, and the laws that no way to write a request breaks.

mod properties;

use expect_test::expect;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const ID: &str = "3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a";

fn rules() -> Rules {
    Rules { owner: "shop".to_owned(), engine: "/var/run/docker.sock".to_owned(), ..Rules::default() }
}

fn generous() -> Rules {
    let set = |name: &str| BTreeSet::from([name.to_owned()]);
    let bind = |path: &str, and_below| Bind { path: path.to_owned(), and_below };
    Rules {
        binds: vec![bind("/srv/sites", false), bind("/srv/data", true), bind("/", true)],
        volumes: set("theirs"),
        heal: vec![Selector::Label("app".to_owned(), Some("shop".to_owned())), Selector::Name("redis".to_owned())],
        exec: set("db"),
        nginx: set("edge"),
        capabilities: set("NET_ADMIN"),
        devices: set("/dev/fuse"),
        gpus: true,
        host_network: true,
        pull: true,
        ..rules()
    }
}

/// `METHOD /path?query`, and a body if there is one.
fn ask(rules: &Rules, asked: &str, body: &Value) -> Decided {
    let (method, target) = asked.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    decide(rules, method, path, query, &body)
}

/// What becomes of a request, in a line.
fn line(rules: &Rules, asked: &str, body: &Value) -> String {
    match ask(rules, asked, body) {
        Ok(Call { name, checks, .. }) if checks.is_empty() => format!("{asked} → {name}\n"),
        Ok(Call { name, checks, .. }) => {
            let checks = checks.iter().map(|check| match check {
                Check::Container { reference, need } => format!("{need:?} {reference}"),
                other => format!("{other:?}"),
            });
            format!("{asked} → {name} if {}\n", checks.collect::<Vec<_>>().join(", "))
        }
        Err(Refusal { call, reason }) => format!("{asked} ✗ {call}: {reason}\n"),
    }
}

fn table(rules: &Rules, requests: &[(&str, Value)]) -> String {
    requests.iter().map(|(asked, body)| line(rules, asked, body)).collect()
}

fn labels() -> Value {
    json!({"dev.mooring.owner": "shop", "dev.mooring.object": "Container/web"})
}

/// A container as Mooring makes it, with something more said of the host.
fn container(host: &Value) -> Value {
    let mut whole = json!({"NetworkMode": "shop_net", "RestartPolicy": {"Name": "always"}, "ReadonlyRootfs": false});
    whole.as_object_mut().unwrap().extend(host.as_object().unwrap().clone());
    json!({"Image": "web:1", "Env": ["PASSWORD=hunter2"], "Labels": labels(), "HostConfig": whole})
}

fn refusal_of(rules: &Rules, body: &Value) -> String {
    ask(rules, "POST /containers/create?name=web", body).err().map_or_else(String::new, |refusal| refusal.reason)
}

/// Why a container with each of these is refused, although much is allowed.
fn refusals_of(hosts: &[Value]) -> String {
    let binds = generous().binds.into_iter().filter(|bind| bind.path != "/").collect();
    let rules = Rules { host_network: false, binds, ..generous() };
    lines(hosts.iter().map(|host| format!("{host} ✗ {}", refusal_of(&rules, &container(host)))))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

#[test]
fn looking_changes_nothing_and_is_let_through() {
    let none = Value::Null;
    let requests = [
        "GET /version",
        "GET /v1.41/info",
        "GET /v1.41/events?since=1.000000001&filters=%7B%22type%22%3A%5B%22container%22%5D%7D",
        "GET /v1.41/containers/json?all=true&size=false",
        "GET /v1.41/containers/json?size=true",
        "GET /v1.41/containers/web/json",
        "GET /v1.41/containers/web/logs?stdout=true",
        "GET /v1.41/containers/web/logs?details=true",
        "GET /v1.41/containers/web/stats?stream=false&one-shot=true",
        "GET /v1.41/containers/web/export",
        "GET /v1.41/containers/web/archive?path=%2Fetc%2Fnginx",
        "GET /v1.41/images/registry.test:5000/team/web@sha256:aa/json",
        "GET /v1.41/images/json",
        "GET /v1.41/images/json?all=true",
        "GET /v1.41/images/web/get",
        "GET /v1.41/networks",
        "GET /v1.41/volumes/data",
        "GET /v1.41/secrets",
        "GET /v1.41/exec/../containers/x/json",
        "HEAD /v1.41/containers/web/archive?path=%2F",
    ]
    .map(|asked| (asked, none.clone()));
    expect![[r#"
        GET /version → version
        GET /v1.41/info → info
        GET /v1.41/events?since=1.000000001&filters=%7B%22type%22%3A%5B%22container%22%5D%7D → events
        GET /v1.41/containers/json?all=true&size=false → list-containers
        GET /v1.41/containers/json?size=true ✗ list-containers: `size` is never asked for
        GET /v1.41/containers/web/json → inspect-container
        GET /v1.41/containers/web/logs?stdout=true → container-log if Heal web
        GET /v1.41/containers/web/logs?details=true ✗ container-log: `details` in the query is never asked for
        GET /v1.41/containers/web/stats?stream=false&one-shot=true → container-stats
        GET /v1.41/containers/web/export ✗ unknown: Mooring never asks for that
        GET /v1.41/containers/web/archive?path=%2Fetc%2Fnginx → archive-container if Files web
        GET /v1.41/images/registry.test:5000/team/web@sha256:aa/json → inspect-image
        GET /v1.41/images/json → list-images
        GET /v1.41/images/json?all=true ✗ list-images: `all` in the query is never asked for
        GET /v1.41/images/web/get ✗ unknown: Mooring never asks for that
        GET /v1.41/networks → list-networks
        GET /v1.41/volumes/data → inspect-volume
        GET /v1.41/secrets ✗ unknown: Mooring never asks for that
        GET /v1.41/exec/../containers/x/json ✗ malformed: its path is not written in the one way that is taken
        HEAD /v1.41/containers/web/archive?path=%2F ✗ unknown: Mooring never asks for that
    "#]]
    .assert_eq(&table(&rules(), &requests));
}

#[test]
fn acting_on_a_container_depends_on_whose_it_is() {
    let none = Value::Null;
    let start = format!("POST /v1.41/exec/{ID}/start");
    let requests = [
        ("POST /v1.41/containers/web/start", none.clone()),
        ("POST /v1.41/containers/web/start?detachKeys=q", none.clone()),
        ("POST /v1.41/containers/web/start", json!({"Binds": ["/:/host"]})),
        ("POST /v1.41/containers/web/restart", none.clone()),
        ("POST /v1.41/containers/web/stop", none.clone()),
        ("POST /v1.41/containers/web/kill", none.clone()),
        ("POST /v1.41/containers/web/rename?name=web-old", none.clone()),
        ("POST /v1.41/containers/web/rename?name=..%2Fx", none.clone()),
        ("POST /v1.41/containers/web/update", json!({"Memory": 1, "RestartPolicy": {"Name": "no"}})),
        ("POST /v1.41/containers/web/update", json!({"Devices": [{"PathOnHost": "/dev/sda"}]})),
        ("DELETE /v1.41/containers/web?v=false&force=false&link=false", none.clone()),
        ("DELETE /v1.41/containers/web?v=true", none.clone()),
        ("DELETE /v1.41/containers/web?force=1", none.clone()),
        ("POST /v1.41/containers/prune", none.clone()),
        ("PUT /v1.41/containers/web/archive?path=%2F", none.clone()),
        ("POST /v1.41/containers/web/exec", json!({"Cmd": ["nginx", "-T"], "AttachStdout": true})),
        ("POST /v1.41/containers/web/exec", json!({"Cmd": ["id"], "Privileged": true})),
        ("POST /v1.41/containers/web/exec", json!({"Cmd": ["id"], "User": "root"})),
        ("POST /v1.41/containers/web/exec", json!({"Cmd": []})),
        (&start, json!({"Detach": false, "Tty": false, "OutputCapacity": null})),
        (&start, json!({"Detach": true})),
        ("POST /v1.41/exec/3f2a/start", json!({"Detach": false})),
    ];
    expect![[r#"
        POST /v1.41/containers/web/start → start-container if Heal web
        POST /v1.41/containers/web/start?detachKeys=q ✗ start-container: `detachKeys` in the query is never asked for
        POST /v1.41/containers/web/start ✗ start-container: it has a body, and Mooring sends none
        POST /v1.41/containers/web/restart → restart-container if Heal web
        POST /v1.41/containers/web/stop → stop-container if Own web
        POST /v1.41/containers/web/kill ✗ unknown: Mooring never asks for that
        POST /v1.41/containers/web/rename?name=web-old → rename-container if Own web
        POST /v1.41/containers/web/rename?name=..%2Fx ✗ rename-container: it gives no name, or none that the engine takes
        POST /v1.41/containers/web/update → update-container if Own web
        POST /v1.41/containers/web/update ✗ update-container: `Devices` is never asked for
        DELETE /v1.41/containers/web?v=false&force=false&link=false → remove-container if Own web
        DELETE /v1.41/containers/web?v=true ✗ remove-container: Mooring removes nothing by force, and no volumes
        DELETE /v1.41/containers/web?force=1 ✗ remove-container: Mooring removes nothing by force, and no volumes
        POST /v1.41/containers/prune ✗ unknown: Mooring never asks for that
        PUT /v1.41/containers/web/archive?path=%2F ✗ unknown: Mooring never asks for that
        POST /v1.41/containers/web/exec → create-exec if Exec(["nginx", "-T"]) web
        POST /v1.41/containers/web/exec ✗ create-exec: `Privileged` is never asked for
        POST /v1.41/containers/web/exec ✗ create-exec: `User` is never asked for
        POST /v1.41/containers/web/exec ✗ create-exec: it names no command
        POST /v1.41/exec/3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a/start → start-exec if Exec { id: "3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a" }
        POST /v1.41/exec/3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a/start ✗ start-exec: Mooring reads what a command prints, and gives it no terminal
        POST /v1.41/exec/3f2a/start ✗ unknown: Mooring never asks for that
    "#]].assert_eq(&table(&rules(), &requests));
}

#[test]
fn networks_volumes_and_images_are_made_plainly() {
    let none = Value::Null;
    let labelled = json!({"Name": "net", "Driver": "bridge", "Labels": labels()});
    let requests = [
        ("POST /v1.41/networks/create", labelled),
        ("POST /v1.41/networks/create", json!({"Name": "net", "Driver": "bridge"})),
        ("POST /v1.41/networks/create", json!({"Name": "net", "Driver": "macvlan", "Labels": labels()})),
        (
            "POST /v1.41/networks/create",
            json!({"Name": "net", "Driver": "bridge", "Labels": labels(), "Options": {"parent": "eth0"}}),
        ),
        ("POST /v1.41/networks/net/connect", json!({"Container": "web", "EndpointConfig": {"Aliases": ["web"]}})),
        ("POST /v1.41/networks/net/connect", json!({"Container": "../x", "EndpointConfig": null})),
        ("POST /v1.41/networks/net/connect", json!({"Container": "web", "EndpointConfig": {"DriverOpts": {}}})),
        ("POST /v1.41/networks/net/disconnect", json!({"Container": "web"})),
        ("DELETE /v1.41/networks/net", none.clone()),
        ("POST /v1.41/volumes/create", json!({"Name": "data", "Labels": labels()})),
        ("POST /v1.41/volumes/create", json!({"Name": "data", "Labels": labels(), "DriverOpts": {"device": "/", "o": "bind"}})),
        ("DELETE /v1.41/volumes/data", none.clone()),
        ("DELETE /v1.41/volumes/data?force=true", none.clone()),
        ("POST /v1.41/images/create?fromImage=web%3A1&platform=", none.clone()),
        ("POST /v1.41/build", none.clone()),
        ("POST /v1.41/plugins/pull", none),
    ];
    expect![[r#"
        POST /v1.41/networks/create → create-network
        POST /v1.41/networks/create ✗ create-network: it does not carry the label dev.mooring.owner=shop
        POST /v1.41/networks/create ✗ create-network: Mooring makes bridges only
        POST /v1.41/networks/create ✗ create-network: `Options` is never asked for
        POST /v1.41/networks/net/connect → connect-network if Network { reference: "net", goes: false }, Heal web
        POST /v1.41/networks/net/connect ✗ connect-network: it names no container
        POST /v1.41/networks/net/connect ✗ connect-network: `EndpointSettings.DriverOpts` is never asked for
        POST /v1.41/networks/net/disconnect ✗ unknown: Mooring never asks for that
        DELETE /v1.41/networks/net → remove-network if Network { reference: "net", goes: true }
        POST /v1.41/volumes/create → create-volume
        POST /v1.41/volumes/create ✗ create-volume: `DriverOpts` is never asked for
        DELETE /v1.41/volumes/data → remove-volume if Volume { name: "data", goes: true }
        DELETE /v1.41/volumes/data?force=true ✗ remove-volume: Mooring removes nothing by force
        POST /v1.41/images/create?fromImage=web%3A1&platform= ✗ pull-image: no image may be pulled (--allow-pull)
        POST /v1.41/build ✗ unknown: Mooring never asks for that
        POST /v1.41/plugins/pull ✗ unknown: Mooring never asks for that
    "#]]
    .assert_eq(&table(&rules(), &requests));
}

#[test]
fn a_container_is_made_with_what_a_manifest_can_say() {
    let whole = json!({
        "Memory": 1, "NanoCpus": 1, "PidsLimit": 1, "Binds": ["/srv/sites:/etc/nginx/sites:ro", "data:/data"],
        "Tmpfs": {"/tmp": "size=1m"}, "PortBindings": {"80/tcp": [{"HostIp": null, "HostPort": "80"}]},
        "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"],
        "Sysctls": {"net.core.somaxconn": "1"}, "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}],
        "DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}],
    });
    let call = ask(&generous(), "POST /v1.41/containers/create?name=web&platform=", &container(&whole)).unwrap();
    let data = Check::Volume { name: "data".to_owned(), goes: false };
    assert_eq!(call.checks, [data, Check::Network { reference: "shop_net".to_owned(), goes: false }]);
    assert_eq!(call.uri(), "/v1.41/containers/create?name=web&platform=");
    assert_eq!(call.body.unwrap()["Env"], json!(["PASSWORD=hunter2"]));
}

#[test]
fn a_container_gets_nothing_that_reaches_out_of_it() {
    let hosts = [
        json!({"Privileged": true}),
        json!({"privileged": true}),
        json!({"PidMode": "host"}),
        json!({"IpcMode": "host"}),
        json!({"UTSMode": "host"}),
        json!({"UsernsMode": "host"}),
        json!({"CgroupParent": "/"}),
        json!({"VolumesFrom": ["db"]}),
        json!({"Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]}),
        json!({"Runtime": "other"}),
        json!({"NetworkMode": "host"}),
        json!({"NetworkMode": "container:db"}),
        json!({"NetworkMode": ["host"]}),
        json!({"CapAdd": ["SYS_ADMIN"]}),
        json!({"CapAdd": ["ALL"]}),
        json!({"SecurityOpt": ["seccomp=unconfined"]}),
        json!({"SecurityOpt": ["apparmor=unconfined"]}),
        json!({"Devices": [{"PathOnHost": "/dev/sda"}]}),
        json!({"Devices": [{"PathOnHost": "/dev/fuse", "pathOnHost": "/dev/sda"}]}),
        json!({"DeviceRequests": [{"Driver": "other", "Capabilities": [["gpu"]]}]}),
        json!({"Sysctls": {"kernel.core_pattern": "|/x"}}),
        json!({"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "tcp://x"}}}),
    ];
    expect![[r#"
        {"Privileged":true} ✗ `HostConfig.Privileged` is never asked for
        {"privileged":true} ✗ `HostConfig.privileged` is never asked for
        {"PidMode":"host"} ✗ `HostConfig.PidMode` is never asked for
        {"IpcMode":"host"} ✗ `HostConfig.IpcMode` is never asked for
        {"UTSMode":"host"} ✗ `HostConfig.UTSMode` is never asked for
        {"UsernsMode":"host"} ✗ `HostConfig.UsernsMode` is never asked for
        {"CgroupParent":"/"} ✗ `HostConfig.CgroupParent` is never asked for
        {"VolumesFrom":["db"]} ✗ `HostConfig.VolumesFrom` is never asked for
        {"Mounts":[{"Type":"bind","Source":"/","Target":"/host"}]} ✗ `HostConfig.Mounts` is never asked for
        {"Runtime":"other"} ✗ `HostConfig.Runtime` is never asked for
        {"NetworkMode":"host"} ✗ the host's network is not for containers (--allow-host-network)
        {"NetworkMode":"container:db"} ✗ `HostConfig.NetworkMode` is no network's name
        {"NetworkMode":["host"]} ✗ `HostConfig.NetworkMode` is no network's name
        {"CapAdd":["SYS_ADMIN"]} ✗ capability SYS_ADMIN is not given to containers (--allow-cap)
        {"CapAdd":["ALL"]} ✗ capability ALL is not given to containers (--allow-cap)
        {"SecurityOpt":["seccomp=unconfined"]} ✗ `HostConfig.SecurityOpt` takes protection away
        {"SecurityOpt":["apparmor=unconfined"]} ✗ `HostConfig.SecurityOpt` takes protection away
        {"Devices":[{"PathOnHost":"/dev/sda"}]} ✗ a device of the host is not given to containers (--allow-device)
        {"Devices":[{"PathOnHost":"/dev/fuse","pathOnHost":"/dev/sda"}]} ✗ `HostConfig.Devices.pathOnHost` is never asked for
        {"DeviceRequests":[{"Driver":"other","Capabilities":[["gpu"]]}]} ✗ `HostConfig.DeviceRequests.Driver` is never asked for
        {"Sysctls":{"kernel.core_pattern":"|/x"}} ✗ `HostConfig.Sysctls` has a parameter that is not the container's own
        {"LogConfig":{"Type":"syslog","Config":{"syslog-address":"tcp://x"}}} ✗ its log driver sends elsewhere; json-file, local, journald and none are taken
    "#]].assert_eq(&refusals_of(&hosts));
}

#[test]
fn a_container_mounts_only_what_is_allowed() {
    let hosts = [
        json!({"Binds": ["/etc:/etc"]}),
        json!({"Binds": ["/:/host"]}),
        json!({"Binds": ["/srv/sites/../../etc:/x"]}),
        json!({"Binds": ["//etc:/x"]}),
        json!({"Binds": ["/srv/sites/below:/x"]}),
        json!({"Binds": ["/srv/datas:/x"]}),
        json!({"Binds": ["/run/docker.sock:/x"]}),
        json!({"Binds": ["/var/run:/x"]}),
        json!({"Binds": ["/srv/sites:/x:rshared"]}),
        json!({"Binds": "/:/host"}),
    ];
    expect![[r#"
        {"Binds":["/etc:/etc"]} ✗ /etc may not be mounted (--allow-bind)
        {"Binds":["/:/host"]} ✗ / holds the engine's socket
        {"Binds":["/srv/sites/../../etc:/x"]} ✗ `HostConfig.Binds` has a path that is not written plainly
        {"Binds":["//etc:/x"]} ✗ `HostConfig.Binds` has a path that is not written plainly
        {"Binds":["/srv/sites/below:/x"]} ✗ /srv/sites/below may not be mounted (--allow-bind)
        {"Binds":["/srv/datas:/x"]} ✗ /srv/datas may not be mounted (--allow-bind)
        {"Binds":["/run/docker.sock:/x"]} ✗ /run/docker.sock holds the engine's socket
        {"Binds":["/var/run:/x"]} ✗ /var/run holds the engine's socket
        {"Binds":["/srv/sites:/x:rshared"]} ✗ `HostConfig.Binds` has a mount that is written in no usual way
        {"Binds":"/:/host"} ✗ `HostConfig.Binds` is no list of texts
    "#]]
    .assert_eq(&refusals_of(&hosts));
}

#[test]
fn the_engines_socket_is_not_mounted_whatever_is_allowed() {
    for path in ["/", "/var/run", "/run", "/run/docker.sock", "/var/run/docker.sock", "/run/", "/var/run/docker.sock/"] {
        let body = container(&json!({"Binds": [format!("{path}:/x")]}));
        assert_eq!(refusal_of(&generous(), &body), format!("{path} holds the engine's socket"));
    }
    assert_eq!(refusal_of(&generous(), &container(&json!({"Binds": ["/runner:/x", "/var/lib:/y"]}))), "");
    let elsewhere = Rules { engine: "/host/run/docker.sock".to_owned(), ..generous() };
    for path in ["/run", "/host/run", "/host"] {
        let body = container(&json!({"Binds": [format!("{path}:/x")]}));
        assert_eq!(refusal_of(&elsewhere, &body), format!("{path} holds the engine's socket"));
    }
}

#[test]
fn a_container_is_the_owners_and_says_nothing_unheard_of() {
    let good = container(&json!({}));
    assert_eq!(refusal_of(&rules(), &good), "");
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        refusal_of(&rules(), &body)
    };
    assert_eq!(with("Labels", json!({})), "it does not carry the label dev.mooring.owner=shop");
    assert_eq!(with("Labels", json!({"dev.mooring.owner": "other"})), "it does not carry the label dev.mooring.owner=shop");
    assert_eq!(with("hostconfig", json!({"Privileged": true})), "`hostconfig` is never asked for");
    assert_eq!(with("MacAddress", json!("aa")), "`MacAddress` is never asked for");
    assert_eq!(with("MacAddress", Value::Null), "", "nothing is nothing");
    let endpoints = |name: &str, settings: Value| with("NetworkingConfig", json!({"EndpointsConfig": {name: settings}}));
    assert_eq!(endpoints("shop_net", json!({"Aliases": ["web"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}})), "");
    assert_eq!(endpoints("host", json!({})), "`NetworkingConfig.EndpointsConfig.host` is never asked for");
    assert_eq!(endpoints("shop_net", json!({"Links": ["db"]})), "`EndpointSettings.Links` is never asked for");
}

#[test]
fn a_field_that_stands_there_twice_is_passed_on_once() {
    // The engine takes an object that comes twice together; its parts would be looked at one by one.
    let twice = r#"{"Labels": {"dev.mooring.owner": "shop"}, "HostConfig": {"Privileged": true}, "HostConfig": {"Init": true}}"#;
    let call = decide(&rules(), "POST", "/containers/create", Some("name=web"), twice.as_bytes()).unwrap();
    assert_eq!(call.body.unwrap()["HostConfig"], json!({"Init": true}));
}

#[test]
fn a_refusal_does_not_repeat_a_variable() {
    for body in [
        json!({"Env": ["PASSWORD=hunter2"], "Labels": {}}),
        json!({"Env": ["PASSWORD=hunter2"], "Labels": labels(), "Unheard": "hunter2"}),
    ] {
        assert!(!refusal_of(&rules(), &body).contains("hunter2"));
    }
    let broken = decide(&rules(), "POST", "/containers/create", Some("name=web"), br#"{"Env": ["PASSWORD=hunter2"}"#);
    assert_eq!(broken.unwrap_err().reason, "its body is not JSON");
}

fn found(name: &str, labels: &[(&str, &str)]) -> Found {
    let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    Found { id: ID.to_owned(), name: name.to_owned(), labels, driver: "bridge".to_owned() }
}

#[test]
fn a_container_of_somebody_else_is_kept_alive_at_most() {
    let words = |words: &str| Need::Exec(words.split(' ').map(str::to_owned).collect());
    let needs = [
        Need::Own,
        Need::Heal,
        Need::Files,
        words("nginx -s reload"),
        words("nginx -t -q -c /etc/nginx/sites/.mooring/edge/nginx.conf"),
        words("nginx -c x"),
        words("sh"),
    ];
    let containers = [
        found("web", &[("dev.mooring.owner", "shop")]),
        found("web", &[("dev.mooring.owner", "other")]),
        found("cache", &[("app", "shop")]),
        found("cache", &[("app", "bakery")]),
        found("redis", &[]),
        found("db", &[]),
        found("edge", &[]),
    ];
    let may = |found: &Found| -> String {
        let may = needs.iter().filter(|need| generous().allow(&of_container("x", (*need).clone()), found).is_ok());
        may.map(|need| match need {
            Need::Exec(command) => format!(" [{}]", command.join(" ")),
            other => format!(" {other:?}"),
        })
        .collect()
    };
    let told = lines(containers.iter().map(|found| format!("{} {:?}:{}", found.name, found.labels, may(found))));
    expect![[r#"
        web {"dev.mooring.owner": "shop"}: Own Heal Files [nginx -s reload] [nginx -t -q -c /etc/nginx/sites/.mooring/edge/nginx.conf] [nginx -c x] [sh]
        web {"dev.mooring.owner": "other"}:
        cache {"app": "shop"}: Heal Files
        cache {"app": "bakery"}:
        redis {}: Heal Files
        db {}: Files [nginx -s reload] [nginx -t -q -c /etc/nginx/sites/.mooring/edge/nginx.conf] [nginx -c x] [sh]
        edge {}: Files [nginx -s reload] [nginx -t -q -c /etc/nginx/sites/.mooring/edge/nginx.conf]
    "#]].assert_eq(&told);
    assert!(generous().allow(&of_container("x", Need::Own), &containers[1]).is_err());
}

#[test]
fn the_variables_of_a_container_are_for_whoever_keeps_it() {
    let shown = |found: &Found| {
        let mut container = json!({"Config": {"Env": ["PASSWORD=hunter2", "PORT=8080", "SERVICE_PORT=1", "PORTAL=x", "PORT"]}});
        generous().hide(found, &mut container);
        container["Config"]["Env"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for kept in [found("web", &[("dev.mooring.owner", "shop")]), found("cache", &[("app", "shop")]), found("db", &[])] {
        assert_eq!(shown(&kept).len(), 5, "{}", kept.name);
    }
    for other in [found("web", &[("dev.mooring.owner", "other")]), found("vault", &[]), found("edge", &[])] {
        assert_eq!(shown(&other), ["PORT=8080", "SERVICE_PORT=1"], "{}", other.name);
    }
    // A description that is none is left as it is.
    let mut none = json!({"Config": null});
    generous().hide(&found("vault", &[]), &mut none);
    assert_eq!(none, json!({"Config": null}));
}

#[test]
fn networks_and_volumes_of_others_stay_theirs() {
    let (ours, theirs) = (found("ours", &[("dev.mooring.owner", "shop")]), found("theirs", &[]));
    let marker = found("marker", &[("dev.mooring.owner", "shop"), ("dev.mooring.marker", "x")]);
    let network = |goes| Check::Network { reference: "n".to_owned(), goes };
    let volume = |goes| Check::Volume { name: "v".to_owned(), goes };
    assert_eq!(rules().allow(&network(true), &ours), Ok(()));
    assert!(rules().allow(&network(true), &theirs).is_err());
    assert_eq!(rules().allow(&network(false), &theirs), Ok(()), "networks are there to be shared");
    let host = Found { driver: "host".to_owned(), ..theirs.clone() };
    assert!(rules().allow(&network(false), &host).is_err() && generous().allow(&network(false), &host).is_ok());
    assert_eq!(rules().allow(&volume(false), &ours), Ok(()));
    assert!(rules().allow(&volume(false), &theirs).is_err() && generous().allow(&volume(false), &theirs).is_ok());
    assert!(rules().allow(&volume(true), &ours).is_err(), "it may hold data");
    assert_eq!(rules().allow(&volume(true), &marker), Ok(()));
}

#[test]
fn what_was_checked_is_what_is_meant() {
    let mut stop = ask(&rules(), "POST /v1.41/containers/web/stop", &Value::Null).unwrap();
    let check = stop.checks[0].clone();
    assert_eq!(stop.about(&check).as_deref(), Some("/v1.41/containers/web/json"));
    stop.settle(&check, ID);
    assert_eq!(stop.uri(), format!("/v1.41/containers/{ID}/stop"));
    let mut connect = ask(&rules(), "POST /networks/net/connect", &json!({"Container": "web"})).unwrap();
    for check in connect.checks.clone() {
        let id = if matches!(check, Check::Network { .. }) { "the-network" } else { "the-container" };
        connect.settle(&check, id);
    }
    assert_eq!(
        (connect.uri().as_str(), &connect.body),
        ("/networks/the-network/connect", &Some(json!({"Container": "the-container"})))
    );
}

/// Requests that nobody may make, whatever is allowed.
const FORBIDDEN: [&str; 8] = [
    "/containers/web/kill",
    "/containers/web/attach",
    "/containers/web/export",
    "/containers/prune",
    "/volumes/prune",
    "/build",
    "/swarm/init",
    "/plugins/x/enable",
];
