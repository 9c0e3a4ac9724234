//! A shape → the body of the engine's create call.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, HostConfigLogConfig, NetworkingConfig, PortBinding, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use crate::{
    manifest::container::NetworkMode,
    observe::engine::{ALLOW_REMOVE_LABEL, OBJECT_LABEL, OWNER_LABEL, SHAPE_LABEL, VARIABLES_LABEL},
    plan::{
        action::NewContainer,
        shape::{Device, Gpus, Healthcheck, Limits, Mount, Network, Restart, Shape},
    },
    secret::Secret,
};

/// The whole body.
pub(super) fn container(new: &NewContainer, variables: &BTreeMap<String, Secret>, owner: &str) -> ContainerCreateBody {
    let shape = &new.shape;
    ContainerCreateBody {
        hostname: shape.hostname.clone(),
        user: shape.user.clone(),
        env: Some(variables.iter().map(|(name, value)| variable(name, value)).collect()),
        cmd: shape.command.clone(),
        entrypoint: shape.entrypoint.clone(),
        image: Some(shape.image.clone()),
        working_dir: shape.working_dir.clone(),
        exposed_ports: some(shape.ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol)).collect()),
        healthcheck: shape.healthcheck.as_ref().map(healthcheck),
        labels: Some(labels(new, owner)),
        stop_signal: shape.stop_signal.clone(),
        stop_timeout: shape.stop_grace_seconds.map(i64::from),
        host_config: Some(host(shape)),
        // Engines before API 1.44 take one network here; the plan connects the others.
        networking_config: shape
            .networks
            .first()
            .map(|first| NetworkingConfig { endpoints_config: Some(HashMap::from([(first.name.clone(), endpoint(first))])) }),
        ..ContainerCreateBody::default()
    }
}

/// A variable as the engine takes it.
pub(super) fn variable(name: &str, value: &Secret) -> String {
    format!("{name}={}", value.expose())
}

/// Without words the image's check stays, with these times; a time of zero leaves the image's or the engine's.
fn healthcheck(check: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: some(check.test.clone()),
        interval: Some(check.interval),
        timeout: Some(check.timeout),
        retries: Some(check.retries),
        start_period: Some(check.start_period),
        start_interval: None,
    }
}

fn labels(new: &NewContainer, owner: &str) -> HashMap<String, String> {
    let names: Vec<&String> = new.variables.keys().collect();
    let ours = [
        (OWNER_LABEL, owner.to_owned()),
        (OBJECT_LABEL, new.object.to_string()),
        (SHAPE_LABEL, serde_json::to_string(&new.shape).expect("a shape has string keys and no failing serializer")),
        (VARIABLES_LABEL, serde_json::to_string(&names).expect("names are strings")),
        (ALLOW_REMOVE_LABEL, new.allow_remove.to_string()),
    ];
    // Ours last: a manifest cannot take them over.
    let users = new.shape.labels.iter().map(|(label, value)| (label.clone(), value.clone()));
    users.chain(ours.map(|(label, value)| (label.to_owned(), value))).collect()
}

fn host(shape: &Shape) -> HostConfig {
    HostConfig {
        memory: shape.limits.mem_limit,
        nano_cpus: shape.limits.nano_cpus,
        pids_limit: shape.limits.pids_limit,
        restart_policy: shape.limits.restart.map(restart_policy),
        // Binds, not mounts: they make a directory of the host that is missing, as `docker run -v` does.
        binds: some(shape.volumes.iter().map(Mount::to_string).collect()),
        tmpfs: some_map(&shape.tmpfs),
        network_mode: network_mode(shape),
        port_bindings: port_bindings(shape),
        cap_add: some(shape.cap_add.clone()),
        cap_drop: some(shape.cap_drop.clone()),
        readonly_rootfs: Some(shape.read_only),
        security_opt: shape.no_new_privileges.then(|| vec!["no-new-privileges:true".to_owned()]),
        ulimits: some(shape.ulimits.iter().map(ulimit).collect()),
        sysctls: some_map(&shape.sysctls),
        devices: some(shape.devices.iter().map(device).collect()),
        device_requests: shape.gpus.map(|gpus| vec![gpu_request(gpus)]),
        extra_hosts: some(shape.extra_hosts.clone()),
        dns: some(shape.dns.clone()),
        dns_search: some(shape.dns_search.clone()),
        group_add: some(shape.group_add.clone()),
        log_config: log_config(shape),
        init: shape.init,
        shm_size: shape.shm_size,
        ..HostConfig::default()
    }
}

/// The first user-defined network has to be named here too, or the container joins the default bridge as well.
fn network_mode(shape: &Shape) -> Option<String> {
    match shape.network_mode {
        Some(NetworkMode::Host) => Some("host".to_owned()),
        Some(NetworkMode::None) => Some("none".to_owned()),
        Some(NetworkMode::Bridge) => Some("bridge".to_owned()),
        None => shape.networks.first().map(|network| network.name.clone()),
    }
}

fn port_bindings(shape: &Shape) -> Option<HashMap<String, Option<Vec<PortBinding>>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &shape.ports {
        let binding = PortBinding {
            host_ip: port.host_ip.map(|ip| ip.to_string()),
            // An empty port lets the engine pick one.
            host_port: Some(port.host_port.map(|port| port.to_string()).unwrap_or_default()),
        };
        let inside = format!("{}/{}", port.container_port, port.protocol);
        bindings.entry(inside).or_default().get_or_insert_default().push(binding);
    }
    (!bindings.is_empty()).then_some(bindings)
}

fn ulimit((name, (soft, hard)): (&String, &(i64, i64))) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.clone()), soft: Some(*soft), hard: Some(*hard) }
}

/// Options without a driver are for the engine's default one.
fn log_config(shape: &Shape) -> Option<HostConfigLogConfig> {
    let config = some_map(&shape.log_options);
    let is_given = shape.log_driver.is_some() || config.is_some();
    is_given.then(|| HostConfigLogConfig { typ: shape.log_driver.clone(), config })
}

fn device(device: &Device) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(device.host.clone()),
        path_in_container: Some(device.container.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    }
}

/// What `docker run --gpus` asks for.
fn gpu_request(gpus: Gpus) -> DeviceRequest {
    let count = match gpus {
        Gpus::All => -1,
        Gpus::Count(count) => i64::from(count),
    };
    DeviceRequest { count: Some(count), capabilities: Some(vec![vec!["gpu".to_owned()]]), ..DeviceRequest::default() }
}

/// How a container is attached to a network.
pub(super) fn endpoint(network: &Network) -> EndpointSettings {
    let fixed = network.ipv4_address.is_some() || network.ipv6_address.is_some();
    EndpointSettings {
        aliases: some(network.aliases.clone()),
        ipam_config: fixed.then(|| EndpointIpamConfig {
            ipv4_address: network.ipv4_address.clone(),
            ipv6_address: network.ipv6_address.clone(),
            link_local_ips: None,
        }),
        ..EndpointSettings::default()
    }
}

/// A change of limits. One that is absent stays as it is: the engine can raise and lower a limit of a living
/// container, but not take it away.
pub(super) fn update(limits: &Limits) -> ContainerUpdateBody {
    ContainerUpdateBody {
        memory: limits.mem_limit,
        // The engine refuses a memory limit above the container's limit of memory and swap together, which it
        // made twice the former one when nobody named it; so it is set anew in the same way.
        memory_swap: limits.mem_limit.map(|memory| memory.saturating_mul(2)),
        nano_cpus: limits.nano_cpus,
        pids_limit: limits.pids_limit,
        restart_policy: limits.restart.map(restart_policy),
        ..ContainerUpdateBody::default()
    }
}

/// The engine's form of a restart policy.
fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, count) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, count),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count.map(i64::from) }
}

/// Absent rather than empty: the engine lets an image's own list stand then.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn some_map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.clone().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::{Key, Kind};

    /// What the engine is asked for, as it goes over the wire.
    fn asked(gpus: Option<&str>) -> Value {
        let shape = Shape { image: "ollama:1".to_owned(), gpus: gpus.map(|gpus| gpus.parse().unwrap()), ..Shape::default() };
        let new = NewContainer {
            name: "ollama".to_owned(),
            object: Key::new(Kind::Container, "ollama"),
            shape,
            variables: BTreeMap::new(),
            allow_remove: false,
        };
        let body = serde_json::to_value(container(&new, &BTreeMap::new(), "mooring")).unwrap();
        body["HostConfig"]["DeviceRequests"].clone()
    }

    #[test]
    fn gpus_are_asked_for_as_docker_run_does() {
        assert_eq!(asked(Some("all")), json!([{"Count": -1, "Capabilities": [["gpu"]]}]));
        assert_eq!(asked(Some("2")), json!([{"Count": 2, "Capabilities": [["gpu"]]}]));
        assert_eq!(asked(None), Value::Null, "an engine that has none would refuse");
    }
}
