//! Every field of a shape reaches the engine: it is made, and read back from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, DeviceMapping, EndpointSettings, HealthConfig, HostConfig, Ipam, IpamConfig,
    NetworkCreateRequest, PortBinding, ResourcesUlimits, RestartPolicyNameEnum,
};
use mooring::{
    execute::engine::Engine as _,
    manifest::container::NetworkMode,
    observe::engine::{ALLOW_REMOVE_LABEL, OBJECT_LABEL, OWNER_LABEL, SHAPE_LABEL, VARIABLES_LABEL},
    plan::{
        EngineAction,
        shape::{Device, Healthcheck, Limits, Network, Restart, Shape},
    },
    secret::Secret,
};

use crate::world::{BUSYBOX, World, sleeper};

const SECOND: i64 = 1_000_000_000;
/// A network of its own, so that an address can be fixed; nothing else on such a machine uses it.
const SUBNET: &str = "10.213.77.0/24";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A shape with a value of its own in every field, but for the network mode.
fn everything(world: &World, directory: &str) -> Shape {
    Shape {
        image: BUSYBOX.to_owned(),
        entrypoint: Some(words(&["sh", "-c"])),
        command: Some(words(&["sleep 1000"])),
        user: Some("1000:1000".to_owned()),
        group_add: words(&["10", "20"]),
        working_dir: Some("/tmp".to_owned()),
        hostname: Some("everything".to_owned()),
        // Below those that the kernel gives out by itself, or somebody else may have them.
        ports: ["127.0.0.1::80", "127.0.0.1::53/udp", "127.0.0.1:19173:81", "127.0.0.1:19174:81"]
            .map(|port| port.parse().unwrap())
            .into(),
        volumes: vec![format!("{}:/data", world.name("data")).parse().unwrap(), format!("{directory}:/host:ro").parse().unwrap()],
        tmpfs: map(&[("/scratch", "size=4m"), ("/plain", "")]),
        networks: vec![
            Network {
                name: world.name("first"),
                aliases: words(&["one", "uno"]),
                ipv4_address: Some("10.213.77.42".to_owned()),
                ipv6_address: None,
            },
            Network { name: world.name("second"), aliases: words(&["two"]), ipv4_address: None, ipv6_address: None },
        ],
        network_mode: None,
        healthcheck: Some(Healthcheck {
            test: words(&["CMD", "true"]),
            interval: 7 * SECOND,
            timeout: 3 * SECOND,
            retries: 4,
            start_period: 2 * SECOND,
        }),
        stop_signal: Some("SIGUSR1".to_owned()),
        stop_grace_seconds: Some(2),
        cap_add: words(&["NET_ADMIN"]),
        cap_drop: words(&["MKNOD", "CHOWN"]),
        read_only: true,
        no_new_privileges: true,
        limits: Limits {
            mem_limit: Some(48 << 20),
            nano_cpus: Some(750_000_000),
            pids_limit: Some(77),
            restart: Some(Restart::OnFailure(Some(5))),
        },
        ulimits: BTreeMap::from([("nofile".to_owned(), (1024, 2048)), ("core".to_owned(), (0, 0))]),
        sysctls: map(&[("net.ipv4.ip_unprivileged_port_start", "0")]),
        devices: vec!["/dev/zero:/dev/nil:r".parse::<Device>().unwrap()],
        gpus: None,
        extra_hosts: words(&["db.example.test:192.0.2.7"]),
        dns: words(&["192.0.2.53"]),
        dns_search: words(&["example.test"]),
        log_driver: Some("json-file".to_owned()),
        log_options: map(&[("max-size", "1m"), ("max-file", "2")]),
        labels: map(&[("colour", "blue"), (OWNER_LABEL, "somebody else")]),
        init: Some(true),
        shm_size: Some(16 << 20),
    }
}

#[tokio::test]
async fn every_field_of_a_shape_reaches_the_engine() {
    let world = World::new("everything").await;
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("made/by/the/engine");
    let shape = everything(&world, &missing.display().to_string());
    make_network_with_subnet(&world).await;
    world.perform(EngineAction::CreateNetwork { name: world.name("second") }).await;
    world.perform(EngineAction::CreateVolume { name: world.name("data") }).await;
    let variables = BTreeMap::from([("GREETING".to_owned(), Secret::new("hello = world".to_owned()))]);
    let new = world.new_container("all", shape.clone(), &variables);
    let name = new.name.clone();
    world.hands.perform(&EngineAction::CreateContainer(Box::new(new)), &variables).await.unwrap();
    let container = world.seen(&name).await;
    world.perform(EngineAction::StartContainer { container: container.clone() }).await;

    let made = world.raw.inspect_container(&name, None).await.unwrap();
    assert_config(&world, &made.config.clone().unwrap(), &shape);
    assert_host(&world, &made.host_config.clone().unwrap(), &missing.display().to_string());
    assert_limits(&made.host_config.clone().unwrap());
    assert!(missing.is_dir(), "a directory of the host that is missing is made, as `docker run -v` does");
    let networks = networks(made);
    assert_eq!(networks.keys().collect::<Vec<_>>(), [&world.name("first")], "others are steps of their own");
    assert_endpoint(&networks[&world.name("first")], &["one", "uno"]);
    assert_eq!(networks[&world.name("first")].ip_address.as_deref(), Some("10.213.77.42"));

    let network = shape.networks[1].clone();
    world.perform(EngineAction::ConnectNetwork { container, network }).await;
    let networks = self::networks(world.raw.inspect_container(&name, None).await.unwrap());
    assert_endpoint(&networks[&world.name("second")], &["two"]);
}

async fn make_network_with_subnet(world: &World) {
    let ipam = IpamConfig { subnet: Some(SUBNET.to_owned()), ..IpamConfig::default() };
    let request = NetworkCreateRequest {
        name: world.name("first"),
        ipam: Some(Ipam { config: Some(vec![ipam]), ..Ipam::default() }),
        labels: Some([(OWNER_LABEL.to_owned(), world.owner.clone())].into()),
        ..NetworkCreateRequest::default()
    };
    world.raw.create_network(request).await.unwrap();
}

fn assert_config(world: &World, config: &ContainerConfig, shape: &Shape) {
    assert_eq!(config.image.as_deref(), Some(BUSYBOX));
    assert_eq!(config.entrypoint, shape.entrypoint);
    assert_eq!(config.cmd, shape.command);
    assert_eq!(config.user, shape.user);
    assert_eq!(config.working_dir, shape.working_dir);
    assert_eq!(config.hostname, shape.hostname);
    assert_eq!(config.stop_signal, shape.stop_signal);
    assert_eq!(config.stop_timeout, Some(2));
    assert!(config.env.as_ref().unwrap().contains(&"GREETING=hello = world".to_owned()));
    assert_same(config.exposed_ports.clone(), words(&["80/tcp", "53/udp", "81/tcp"]));
    let check = HealthConfig {
        test: Some(words(&["CMD", "true"])),
        interval: Some(7 * SECOND),
        timeout: Some(3 * SECOND),
        retries: Some(4),
        start_period: Some(2 * SECOND),
        start_interval: None,
    };
    assert_eq!(config.healthcheck, Some(check));
    let labels = config.labels.as_ref().unwrap();
    assert_eq!(labels["colour"], "blue");
    assert_eq!(labels[OWNER_LABEL], world.owner, "a manifest cannot take over our labels");
    assert_eq!(labels[OBJECT_LABEL], "Container/all");
    assert_eq!(labels[VARIABLES_LABEL], r#"["GREETING"]"#);
    assert_eq!(labels[ALLOW_REMOVE_LABEL], "false");
    assert_eq!(serde_json::from_str::<Shape>(&labels[SHAPE_LABEL]).unwrap(), *shape);
}

fn assert_host(world: &World, host: &HostConfig, directory: &str) {
    assert_same(host.binds.clone(), vec![format!("{}:/data", world.name("data")), format!("{directory}:/host:ro")]);
    assert_same(host.tmpfs.clone(), map(&[("/scratch", "size=4m"), ("/plain", "")]));
    assert_eq!(host.network_mode, Some(world.name("first")));
    assert_eq!(host.group_add, Some(words(&["10", "20"])));
    assert_same(capabilities(host.cap_drop.as_ref()), words(&["MKNOD", "CHOWN"]));
    assert_same(capabilities(host.cap_add.as_ref()), words(&["NET_ADMIN"]));
    assert_eq!(host.readonly_rootfs, Some(true));
    assert_eq!(host.security_opt, Some(words(&["no-new-privileges:true"])));
    assert_eq!(host.extra_hosts, Some(words(&["db.example.test:192.0.2.7"])));
    assert_eq!(host.dns, Some(words(&["192.0.2.53"])));
    assert_eq!(host.dns_search, Some(words(&["example.test"])));
    assert_eq!(host.init, Some(true));
    assert_eq!(host.shm_size, Some(16 << 20));
    assert_same(host.sysctls.clone(), map(&[("net.ipv4.ip_unprivileged_port_start", "0")]));
    let log = host.log_config.clone().unwrap();
    assert_eq!(log.typ.as_deref(), Some("json-file"));
    assert_same(log.config, map(&[("max-size", "1m"), ("max-file", "2")]));
    let device = DeviceMapping {
        path_on_host: Some("/dev/zero".to_owned()),
        path_in_container: Some("/dev/nil".to_owned()),
        cgroup_permissions: Some("r".to_owned()),
    };
    assert_eq!(host.devices, Some(vec![device]));
    let ports = host.port_bindings.clone().unwrap();
    let binding = |port: &str| PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(port.to_owned()) };
    assert_eq!(ports["81/tcp"], Some(vec![binding("19173"), binding("19174")]));
    for random in ["80/tcp", "53/udp"] {
        assert_eq!(ports[random], Some(vec![binding("")]), "{random}");
    }
}

fn assert_limits(host: &HostConfig) {
    assert_eq!((host.memory, host.nano_cpus, host.pids_limit), (Some(48 << 20), Some(750_000_000), Some(77)));
    let restart = host.restart_policy.clone().unwrap();
    assert_eq!((restart.name, restart.maximum_retry_count), (Some(RestartPolicyNameEnum::ON_FAILURE), Some(5)));
    let ulimit = |name: &str, soft, hard| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) };
    assert_eq!(host.ulimits, Some(vec![ulimit("core", 0, 0), ulimit("nofile", 1024, 2048)]));
}

/// Newer engines write them with the kernel's prefix.
fn capabilities(list: Option<&Vec<String>>) -> Option<Vec<String>> {
    let bare = |capability: &String| capability.strip_prefix("CAP_").unwrap_or(capability).to_owned();
    list.map(|list| list.iter().map(bare).collect())
}

fn networks(made: ContainerInspectResponse) -> BTreeMap<String, EndpointSettings> {
    made.network_settings.unwrap().networks.unwrap().into_iter().collect()
}

/// The engine adds the container's short id, and newer ones move it to a field of its own.
fn assert_endpoint(endpoint: &EndpointSettings, aliases: &[&str]) {
    let known = endpoint.aliases.clone().unwrap_or_default();
    assert!(aliases.iter().all(|alias| known.iter().any(|known| known == alias)), "{known:?}");
}

/// The same entries, in whatever order.
fn assert_same<T: Ord + Debug>(actual: Option<impl IntoIterator<Item = T>>, expected: impl IntoIterator<Item = T>) {
    let actual: BTreeSet<T> = actual.unwrap().into_iter().collect();
    assert_eq!(actual, expected.into_iter().collect());
}

#[tokio::test]
async fn what_is_inside_is_what_was_declared() {
    let world = World::new("inside").await;
    let tmpfs = map(&[("/scratch", "size=4m")]);
    let limits = Limits { mem_limit: Some(48 << 20), ..Limits::default() };
    let shape = Shape { tmpfs, read_only: true, user: Some("1000".to_owned()), limits, ..sleeper() };
    let container = world.run("web", shape).await;
    for line in [
        "test $(id -u) = 1000",
        "! touch /file 2>/dev/null",
        "df /scratch | grep -q '^tmpfs.* 4096 '",
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null | grep -q 50331648",
    ] {
        world.shell(&container, line).await;
    }
}

#[tokio::test]
async fn a_shape_without_anything_leaves_everything_to_image_and_engine() {
    let world = World::new("nothing").await;
    let container = world.make("web", Shape { image: "mooring-demo/web:1".to_owned(), ..Shape::default() }).await;
    let made = world.raw.inspect_container(container.reference(), None).await.unwrap();
    let image = world.raw.inspect_image("mooring-demo/web:1").await.unwrap().config.unwrap();
    let (config, host) = (made.config.unwrap(), made.host_config.unwrap());
    assert_eq!((config.cmd, config.user), (image.cmd, image.user));
    assert_eq!(config.healthcheck.unwrap().test, image.healthcheck.unwrap().test);
    let restart = host.restart_policy.unwrap().name;
    assert!(matches!(restart, Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY)), "{restart:?}");
    assert_eq!((host.memory, host.nano_cpus), (Some(0), Some(0)));
    assert!(matches!(host.network_mode.as_deref(), Some("default" | "bridge")), "{:?}", host.network_mode);
}

#[tokio::test]
async fn a_health_check_can_be_switched_off_or_only_slowed_down() {
    let world = World::new("check").await;
    let made = async |what: &str, check: Healthcheck| {
        let shape = Shape { image: "mooring-demo/web:1".to_owned(), healthcheck: Some(check), ..Shape::default() };
        let container = world.make(what, shape).await;
        world.raw.inspect_container(container.reference(), None).await.unwrap().config.unwrap().healthcheck.unwrap()
    };
    let off = made("off", Healthcheck { test: words(&["NONE"]), ..Healthcheck::default() }).await;
    assert_eq!(off.test, Some(words(&["NONE"])));
    let slow = made("slow", Healthcheck { interval: 90 * SECOND, ..Healthcheck::default() }).await;
    assert_eq!((slow.test, slow.interval, slow.retries), (Some(words(&["CMD", "healthy"])), Some(90 * SECOND), Some(2)));
}

#[tokio::test]
async fn options_of_the_log_without_a_driver_are_for_the_engines_own() {
    let world = World::new("log").await;
    let container = world.make("web", Shape { log_options: map(&[("max-size", "1m")]), ..sleeper() }).await;
    let made = world.raw.inspect_container(container.reference(), None).await.unwrap();
    let log = made.host_config.unwrap().log_config.unwrap();
    assert_eq!(log.typ, world.raw.info().await.unwrap().logging_driver);
    assert_same(log.config, map(&[("max-size", "1m")]));
}

#[tokio::test]
async fn a_container_can_be_without_network_or_on_the_hosts() {
    let world = World::new("mode").await;
    for (what, mode) in [("none", NetworkMode::None), ("host", NetworkMode::Host), ("bridge", NetworkMode::Bridge)] {
        let container = world.run(what, Shape { network_mode: Some(mode), ..sleeper() }).await;
        let listed = world.listed(&container).await;
        assert_eq!(listed.networks.keys().collect::<Vec<_>>(), [what]);
    }
}
