//! The bodies of requests: what of them may be passed on.
//!
//! Each function gives back the body as the engine gets it. It is made of what was read, so that a field that stands
//! there twice, or in other letters (the engine does not mind), is not there any more. A field that is nothing is left out.

use serde_json::{Map, Value};

use super::{Bind, Check, Rules, is_name};
use crate::{
    manifest::short::{Mount, MountSource},
    observe::engine::OWNER_LABEL,
};

type Checked = Result<Value, String>;

/// What a container is made of, besides `HostConfig` and `NetworkingConfig`. Nothing of it reaches out of the container.
const CONTAINER: [&str; 14] = [
    "Hostname",
    "User",
    "Env",
    "Cmd",
    "Entrypoint",
    "Image",
    "WorkingDir",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "HostConfig",
    "NetworkingConfig",
];

/// What may be said of a container and its host. Those that reach out of the container are looked into below.
const HOST: [&str; 23] = [
    "Memory",
    "NanoCpus",
    "PidsLimit",
    "RestartPolicy",
    "Binds",
    "Tmpfs",
    "NetworkMode",
    "PortBindings",
    "CapAdd",
    "CapDrop",
    "ReadonlyRootfs",
    "SecurityOpt",
    "Ulimits",
    "Sysctls",
    "Devices",
    "DeviceRequests",
    "ExtraHosts",
    "Dns",
    "DnsSearch",
    "GroupAdd",
    "LogConfig",
    "Init",
    "ShmSize",
];

/// Log drivers that send nothing elsewhere and read no files of the host.
const LOG_DRIVERS: [&str; 5] = ["", "json-file", "local", "journald", "none"];

/// Where the engine's socket is on nearly every host.
const ENGINE: &str = "/run/docker.sock";

/// Kernel parameters that are the container's own.
const SYSCTLS: [&str; 6] = ["net.", "kernel.shm", "kernel.msg", "kernel.sem", "kernel.domainname", "fs.mqueue."];

/// The body of a container's creation.
pub(super) fn container(body: Value, rules: &Rules) -> Checked {
    let mut body = fields(body, "", &CONTAINER)?;
    owned(&body, &rules.owner)?;
    let host = fields(body.remove("HostConfig").unwrap_or_default(), "HostConfig.", &HOST)?;
    let mode = network_mode(&host, rules)?;
    binds(&host, rules)?;
    privileges(&host, rules)?;
    logs(&host)?;
    if let Some(networking) = body.remove("NetworkingConfig") {
        body.insert("NetworkingConfig".to_owned(), endpoints(networking, mode.as_deref())?);
    }
    body.insert("HostConfig".to_owned(), Value::Object(host));
    Ok(Value::Object(body))
}

/// What has to be known of the volumes and of the network that a container is made with.
pub(super) fn mounts_and_networks(body: &Value) -> Vec<Check> {
    let host = &body["HostConfig"];
    let mounts = host["Binds"].as_array().into_iter().flatten().filter_map(|bind| bind.as_str()?.parse::<Mount>().ok());
    let volumes = mounts.filter_map(|mount| match mount.source {
        MountSource::Volume(name) => Some(Check::Volume { name, goes: false }),
        MountSource::Bind(_) => None,
    });
    let network = host["NetworkMode"].as_str().map(|mode| Check::Network { reference: mode.to_owned(), goes: false });
    volumes.chain(network).collect()
}

/// The body of a change of limits.
pub(super) fn update(body: Value) -> Checked {
    let body = fields(body, "", &["Memory", "MemorySwap", "NanoCpus", "PidsLimit", "RestartPolicy"])?;
    Ok(Value::Object(body))
}

/// The body of a command. It is run as the container's own user, with what the container has.
pub(super) fn exec(body: Value) -> Checked {
    let body = fields(body, "", &["Cmd", "AttachStdout", "AttachStderr"])?;
    if words(&body, "", "Cmd")?.is_empty() { Err("it names no command".to_owned()) } else { Ok(Value::Object(body)) }
}

/// The body of a command's start.
pub(super) fn start(body: Value) -> Checked {
    let body = fields(body, "", &["Detach", "Tty"])?;
    if body.values().all(|value| *value == Value::Bool(false)) {
        Ok(Value::Object(body))
    } else {
        Err("Mooring reads what a command prints, and gives it no terminal".to_owned())
    }
}

/// The body of a network's creation.
pub(super) fn network(body: Value, owner: &str) -> Checked {
    let body = fields(body, "", &["Name", "Driver", "Labels"])?;
    owned(&body, owner)?;
    named(&body)?;
    match body.get("Driver").and_then(Value::as_str) {
        Some("bridge") => Ok(Value::Object(body)),
        _ => Err("Mooring makes bridges only".to_owned()),
    }
}

/// The body of a container's connection to a network.
pub(super) fn connect(body: Value) -> Checked {
    let mut body = fields(body, "", &["Container", "EndpointConfig"])?;
    if let Some(settings) = body.remove("EndpointConfig") {
        body.insert("EndpointConfig".to_owned(), endpoint(settings)?);
    }
    Ok(Value::Object(body))
}

/// The body of a volume's creation: a plain one, which is a directory of the engine's own.
pub(super) fn volume(body: Value, owner: &str) -> Checked {
    let body = fields(body, "", &["Name", "Labels"])?;
    owned(&body, owner)?;
    named(&body)?;
    Ok(Value::Object(body))
}

/// An object's fields, if there are no others than these. The names are the engine's, letter by letter.
fn fields(value: Value, place: &str, known: &[&str]) -> Result<Map<String, Value>, String> {
    let mut object = match value {
        Value::Object(object) => object,
        Value::Null => Map::new(),
        _ => return Err(format!("its `{place}` is no object")),
    };
    object.retain(|_, value| !value.is_null());
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        // Names may be anything as well, and are told to people.
        Some(name) => Err(format!("`{place}{}` is never asked for", name.escape_debug().take(40).collect::<String>())),
        None => Ok(object),
    }
}

fn named(body: &Map<String, Value>) -> Result<(), String> {
    if body.get("Name").and_then(Value::as_str).is_some_and(is_name) {
        Ok(())
    } else {
        Err("it gives no name, or none that the engine takes".to_owned())
    }
}

/// Whether it will carry the owner's label.
fn owned(body: &Map<String, Value>, owner: &str) -> Result<(), String> {
    let labels = body.get("Labels").and_then(Value::as_object);
    let label = labels.and_then(|labels| labels.get(OWNER_LABEL)).and_then(Value::as_str);
    if label == Some(owner) { Ok(()) } else { Err(format!("it does not carry the label {OWNER_LABEL}={owner}")) }
}

/// A list of texts; empty if there is none.
fn words<'a>(object: &'a Map<String, Value>, place: &str, name: &str) -> Result<Vec<&'a str>, String> {
    let Some(value) = object.get(name) else { return Ok(Vec::new()) };
    let words = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    words.ok_or_else(|| format!("`{place}{name}` is no list of texts"))
}

fn network_mode(host: &Map<String, Value>, rules: &Rules) -> Result<Option<String>, String> {
    let Some(mode) = host.get("NetworkMode") else { return Ok(None) };
    // A colon makes it another container's network, or one of the host's by its path.
    let mode = mode.as_str().filter(|mode| is_name(mode)).ok_or("`HostConfig.NetworkMode` is no network's name")?;
    if mode == "host" && !rules.host_network {
        return Err("the host's network is not for containers (--allow-host-network)".to_owned());
    }
    Ok(Some(mode.to_owned()))
}

/// The network that the container is made with has to be the one that was checked.
fn endpoints(networking: Value, mode: Option<&str>) -> Checked {
    let mut networking = fields(networking, "NetworkingConfig.", &["EndpointsConfig"])?;
    let endpoints = networking.remove("EndpointsConfig").unwrap_or_default();
    let endpoints = fields(endpoints, "NetworkingConfig.EndpointsConfig.", mode.as_slice())?;
    let endpoints = endpoints.into_iter().map(|(name, settings)| Ok((name, endpoint(settings)?)));
    let endpoints = endpoints.collect::<Result<Map<_, _>, String>>()?;
    Ok(serde_json::json!({"EndpointsConfig": endpoints}))
}

fn endpoint(settings: Value) -> Checked {
    let mut settings = fields(settings, "EndpointSettings.", &["Aliases", "IPAMConfig"])?;
    if let Some(addresses) = settings.remove("IPAMConfig") {
        let addresses = fields(addresses, "IPAMConfig.", &["IPv4Address", "IPv6Address"])?;
        settings.insert("IPAMConfig".to_owned(), Value::Object(addresses));
    }
    Ok(Value::Object(settings))
}

fn binds(host: &Map<String, Value>, rules: &Rules) -> Result<(), String> {
    for bind in words(host, "HostConfig.", "Binds")? {
        let mount = bind.parse::<Mount>().map_err(|_| "`HostConfig.Binds` has a mount that is written in no usual way")?;
        match &mount.source {
            // The engine knows a volume by its name alone.
            MountSource::Volume(name) if is_name(name) => {}
            MountSource::Volume(_) => return Err("`HostConfig.Binds` names a volume that there cannot be".to_owned()),
            MountSource::Bind(path) => bindable(path, rules)?,
        }
    }
    Ok(())
}

/// Whether a path of the host may be mounted.
fn bindable(path: &str, rules: &Rules) -> Result<(), String> {
    let parts = path.strip_prefix('/').map(|rest| rest.trim_end_matches('/'));
    let is_plain = parts.is_some_and(|parts| parts.split('/').all(|part| !matches!(part, "." | ".." | "")));
    if !is_plain && path != "/" {
        return Err("`HostConfig.Binds` has a path that is not written plainly".to_owned());
    }
    let written = path;
    let path = beneath_run(path.trim_end_matches('/'));
    // In a container of its own, the proxy sees the socket elsewhere than the engine does.
    if [rules.engine.as_str(), ENGINE].iter().any(|socket| is_within(&beneath_run(socket), &path)) {
        return Err(format!("{written} holds the engine's socket"));
    }
    let allowed = rules.binds.iter().any(|Bind { path: allowed, and_below }| {
        let allowed = beneath_run(allowed.trim_end_matches('/'));
        path == allowed || (*and_below && is_within(&path, &allowed))
    });
    if allowed { Ok(()) } else { Err(format!("{written} may not be mounted (--allow-bind)")) }
}

/// `/var/run` is `/run` nearly everywhere.
fn beneath_run(path: &str) -> String {
    path.strip_prefix("/var/run")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .map_or_else(|| path.to_owned(), |rest| format!("/run{rest}"))
}

/// Whether a path is this directory or lies below it.
fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What would let a container do more on the host than any other.
fn privileges(host: &Map<String, Value>, rules: &Rules) -> Result<(), String> {
    // One without the prefix is the same.
    let plain = |name: &str| name.strip_prefix("CAP_").unwrap_or(name).to_owned();
    let allowed = |name: &str| rules.capabilities.iter().any(|allowed| plain(allowed) == plain(name));
    if let Some(capability) = words(host, "HostConfig.", "CapAdd")?.into_iter().find(|name| !allowed(name)) {
        return Err(format!("capability {} is not given to containers (--allow-cap)", capability.escape_debug()));
    }
    if words(host, "HostConfig.", "SecurityOpt")?.into_iter().any(|option| option != "no-new-privileges:true") {
        return Err("`HostConfig.SecurityOpt` takes protection away".to_owned());
    }
    let devices = host.get("Devices").map_or(Some(&[][..]), |devices| devices.as_array().map(Vec::as_slice));
    for device in devices.ok_or("`HostConfig.Devices` is no list")? {
        let device = fields(device.clone(), "HostConfig.Devices.", &["PathOnHost", "PathInContainer", "CgroupPermissions"])?;
        if !device.get("PathOnHost").and_then(Value::as_str).is_some_and(|path| rules.devices.contains(path)) {
            return Err("a device of the host is not given to containers (--allow-device)".to_owned());
        }
    }
    let requests = host.get("DeviceRequests").map_or(Some(&[][..]), |requests| requests.as_array().map(Vec::as_slice));
    for request in requests.ok_or("`HostConfig.DeviceRequests` is no list")? {
        let request = fields(request.clone(), "HostConfig.DeviceRequests.", &["Count", "Capabilities"])?;
        if !rules.gpus || request.get("Capabilities") != Some(&serde_json::json!([["gpu"]])) {
            return Err("GPUs are not given to containers (--allow-gpus)".to_owned());
        }
    }
    let sysctls = host.get("Sysctls").map_or(Some(Vec::new()), |sysctls| Some(sysctls.as_object()?.keys().collect()));
    let is_own = |name: &&String| SYSCTLS.iter().any(|own| name.starts_with(own));
    if sysctls.ok_or("`HostConfig.Sysctls` is no object")?.iter().all(is_own) {
        Ok(())
    } else {
        Err("`HostConfig.Sysctls` has a parameter that is not the container's own".to_owned())
    }
}

fn logs(host: &Map<String, Value>) -> Result<(), String> {
    let Some(config) = host.get("LogConfig") else { return Ok(()) };
    let config = fields(config.clone(), "HostConfig.LogConfig.", &["Type", "Config"])?;
    let driver = config.get("Type").map_or(Some(""), Value::as_str);
    if driver.is_some_and(|driver| LOG_DRIVERS.contains(&driver)) {
        Ok(())
    } else {
        Err("its log driver sends elsewhere; json-file, local, journald and none are taken".to_owned())
    }
}
