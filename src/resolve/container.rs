//! `Container`: references, and the shape.

use std::{collections::BTreeMap, path::Path};

use super::{Desired, Error, Lookup, Refusal, normalize};
use crate::{
    manifest::{
        ContainerSpec, Key, Kind, Manifest,
        container::{Command, Healthcheck, Management, NetworkAttachment},
        short::{self, split_words},
    },
    plan::{
        self,
        container::{Dependency, Policy, Variables, heal},
        shape::{self, Limits, Network, Restart, Shape},
    },
    store::Object,
};

/// Billionths of a CPU in one.
const NANO: f64 = 1e9;

pub(super) fn resolve(object: &Object, spec: &ContainerSpec, others: &impl Lookup, base: &Path) -> Result<Desired, Error> {
    let mut refusals: Vec<Refusal> = cycle(object.key(), others).into_iter().collect();
    let shape = shape(spec, base).map_err(|refusal| refusals.push(refusal));
    let (Ok(shape), []) = (shape, refusals.as_slice()) else {
        return Err(Error(refusals));
    };
    let depends_on = dependencies(spec);
    let policy = Policy {
        on_manual_stop: spec.on_manual_stop,
        allow_recreate: spec.allow_recreate,
        allow_remove: spec.allow_remove,
        healing: spec.healing.clone(),
    };
    let (key, generation) = (object.key().clone(), object.generation());
    Ok(match spec.management {
        Management::Heal => Desired::Healed(heal::Desired {
            key,
            generation,
            selector: spec.selector.clone().unwrap_or_default(),
            networks: shape.networks,
            depends_on,
            probe: spec.probe.clone(),
            policy,
        }),
        Management::Own => Desired::Container(Box::new(plan::container::Desired {
            name: spec.container_name.clone().unwrap_or_else(|| key.name.clone()),
            key,
            generation,
            shape,
            variables: variables(spec),
            pull_policy: spec.pull_policy,
            depends_on,
            probe: spec.probe.clone(),
            policy,
        })),
    })
}

fn dependencies(spec: &ContainerSpec) -> Vec<Dependency> {
    spec.depends_on
        .iter()
        .map(|dependency| Dependency { key: Key::new(Kind::Container, &dependency.container), condition: dependency.condition })
        .collect()
}

/// The sources of variables in ascending precedence: what is written out wins.
fn variables(spec: &ContainerSpec) -> Vec<Variables> {
    let environments = spec.env_from.iter().map(|from| Variables::Environment {
        name: from.environment.clone(),
        keys: from.keys.clone(),
        optional: from.optional_keys.clone(),
    });
    let literal = spec.environment.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    environments.chain([Variables::Literal(literal)]).collect()
}

/// A circle of dependencies that leads back to `key`, if there is one.
fn cycle(key: &Key, others: &impl Lookup) -> Option<Refusal> {
    fn next(key: &Key, others: &impl Lookup) -> Vec<Key> {
        match others.manifest(key).as_deref() {
            Some(Manifest::Container(container)) => {
                dependencies(&container.spec).into_iter().map(|dependency| dependency.key).collect()
            }
            Some(_) | None => Vec::new(),
        }
    }
    let mut paths: Vec<Vec<Key>> = vec![vec![key.clone()]];
    let mut visited = std::collections::BTreeSet::new();
    while let Some(path) = paths.pop() {
        for follower in next(path.last()?, others) {
            if follower == *key {
                let names: Vec<_> = path.iter().chain([key]).map(|key| key.name.as_str()).collect();
                return Some(Refusal {
                    path: "spec.dependsOn".to_owned(),
                    message: format!("the dependencies go round in a circle: {}", names.join(" → ")),
                });
            }
            if visited.insert(follower.clone()) {
                paths.push(path.iter().cloned().chain([follower]).collect());
            }
        }
    }
    None
}

/// The shape that the manifest describes.
fn shape(spec: &ContainerSpec, base: &Path) -> Result<Shape, Refusal> {
    Ok(Shape {
        image: spec.image.clone().unwrap_or_default(),
        entrypoint: spec.entrypoint.as_ref().map(|command| words("spec.entrypoint", command)).transpose()?,
        command: spec.command.as_ref().map(|command| words("spec.command", command)).transpose()?,
        user: spec.user.as_ref().map(|user| user.0.clone()),
        group_add: spec.group_add.iter().map(|group| group.0.clone()).collect(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        ports: each("spec.ports", spec.ports.iter().map(|port| port.0.as_str()))?,
        volumes: mounts(&spec.volumes, base)?,
        tmpfs: each::<short::Tmpfs>("spec.tmpfs", spec.tmpfs.iter().map(String::as_str))?
            .into_iter()
            .map(|tmpfs| (tmpfs.target, tmpfs.options))
            .collect(),
        networks: spec.networks.iter().map(network).collect(),
        network_mode: spec.network_mode,
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        stop_signal: spec.stop_signal.clone(),
        stop_grace_seconds: spec.stop_grace_period.map(|grace| u32::try_from(grace.0.as_secs()).unwrap_or(u32::MAX)),
        cap_add: spec.cap_add.clone(),
        cap_drop: spec.cap_drop.clone(),
        read_only: spec.read_only,
        no_new_privileges: spec.no_new_privileges,
        limits: limits(spec)?,
        ulimits: spec.ulimits.iter().map(|(name, limit)| (name.clone(), (limit.soft, limit.hard))).collect(),
        sysctls: texts(&spec.sysctls),
        devices: each("spec.devices", spec.devices.iter().map(String::as_str))?,
        gpus: spec.gpus.as_ref().map(|gpus| one("spec.gpus", &gpus.0)).transpose()?,
        extra_hosts: spec.extra_hosts.clone(),
        dns: spec.dns.clone(),
        dns_search: spec.dns_search.clone(),
        log_driver: spec.logging.as_ref().map(|logging| logging.driver.clone()),
        log_options: spec.logging.as_ref().map(|logging| texts(&logging.options)).unwrap_or_default(),
        labels: texts(&spec.labels),
        init: spec.init,
        shm_size: spec.shm_size.map(|size| bytes(size.0)),
    })
}

fn texts(values: &BTreeMap<String, crate::manifest::quantity::IntOrString>) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}

/// Reads each text in its short form. `source` has done so before; a refusal here is for manifests that came another way.
fn each<'a, T>(path: &str, texts: impl Iterator<Item = &'a str>) -> Result<Vec<T>, Refusal>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    texts.enumerate().map(|(at, text)| one(&format!("{path}.{at}"), text)).collect()
}

fn one<T>(path: &str, text: &str) -> Result<T, Refusal>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Refusal { path: path.to_owned(), message: error.to_string() })
}

fn words(path: &str, command: &Command) -> Result<Vec<String>, Refusal> {
    match command {
        Command::Words(words) => Ok(words.clone()),
        Command::Line(line) => split_words(line).map_err(|message| Refusal { path: path.to_owned(), message }),
    }
}

fn mounts(volumes: &[String], base: &Path) -> Result<Vec<shape::Mount>, Refusal> {
    let mut mounts: Vec<shape::Mount> = each("spec.volumes", volumes.iter().map(String::as_str))?;
    for mount in &mut mounts {
        if let shape::MountSource::Bind(path) = &mut mount.source {
            *path = normalize(&base.join(&*path)).display().to_string();
        }
    }
    Ok(mounts)
}

fn network(attachment: &NetworkAttachment) -> Network {
    let NetworkAttachment { name, aliases, ipv4_address, ipv6_address } = attachment.clone();
    Network { name, aliases, ipv4_address, ipv6_address }
}

fn healthcheck(check: &Healthcheck) -> shape::Healthcheck {
    let nanos = |duration: Option<crate::manifest::quantity::Duration>| {
        duration.map_or(0, |duration| i64::try_from(duration.0.as_nanos()).unwrap_or(i64::MAX))
    };
    let test = match &check.test {
        _ if check.disable => vec!["NONE".to_owned()],
        None => Vec::new(),
        Some(Command::Line(line)) => vec!["CMD-SHELL".to_owned(), line.clone()],
        Some(Command::Words(words)) => words.clone(),
    };
    shape::Healthcheck {
        test,
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: check.retries.unwrap_or_default(),
        start_period: nanos(check.start_period),
    }
}

fn limits(spec: &ContainerSpec) -> Result<Limits, Refusal> {
    let restart = spec.restart.as_deref().unwrap_or("no");
    let restart: Restart = restart.parse().map_err(|message| Refusal { path: "spec.restart".to_owned(), message })?;
    Ok(Limits {
        mem_limit: spec.mem_limit.map(|limit| bytes(limit.0)),
        // A CPU limit is small and positive, and the engine counts it in whole billionths.
        #[expect(clippy::cast_possible_truncation, reason = "casting a float saturates, and the engine refuses what is absurd")]
        nano_cpus: spec.cpus.map(|cpus| (cpus * NANO).round() as i64),
        pids_limit: spec.pids_limit,
        restart: Some(restart),
    })
}

fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
