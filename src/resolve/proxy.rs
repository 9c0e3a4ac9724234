//! `Proxy`: references, defaults and paths.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{Error, Lookup, Refusal, normalize};
use crate::{
    manifest::{
        Key, Kind, Manifest, ProxySpec,
        container::Management,
        proxy::{HostNginx, Route},
    },
    plan::proxy::{Desired, Server, repair::Wanted},
    sites::{
        Config,
        config::{Host, Pair},
    },
    store::Object,
};

/// The label by which Compose says what a container is called on its networks.
const COMPOSE_SERVICE: &str = "com.docker.compose.service";

pub(super) fn resolve(object: &Object, spec: &ProxySpec, others: &impl Lookup, base: &Path) -> Result<Desired, Error> {
    let key = object.key();
    let mut refusals = twice(key, spec);
    refusals.extend(elsewhere(key, spec, others));
    let server = server(spec);
    let (Some(server), true) = (server, refusals.is_empty()) else {
        if spec.container.is_none() && spec.host.is_none() {
            let message = "it says neither which `container` nginx runs in nor which nginx on the `host` is meant".to_owned();
            refusals.push(Refusal { path: "spec.container".to_owned(), message });
        }
        return Err(Error(refusals));
    };
    let backends: BTreeSet<&str> = spec.routes.iter().map(|route| route.to.container.as_str()).collect();
    Ok(Desired {
        key: key.clone(),
        generation: object.generation(),
        config: Config {
            proxy: key.name.clone(),
            upstreams: spec.upstreams,
            resolver: spec.resolver.clone(),
            listen: spec.listen.clone(),
            hosts: hosts(spec, base),
            names: backends.into_iter().map(|backend| (backend.to_owned(), dns_name(backend, others))).collect(),
            default_status: spec.default_server.as_ref().map(|server| server.status),
            unavailable_page: spec.unavailable_page.clone(),
        },
        server,
        directory: normalize(&base.join(&spec.directory)),
        mounts: spec.mounts.iter().map(|(outside, inside)| (normalize(&base.join(outside)), inside.clone())).collect(),
        on_hand_edit: spec.on_hand_edit,
        repair: spec.repair.as_ref().map(|repair| Wanted {
            files: repair.files.iter().map(|file| normalize(&base.join(file))).collect(),
            marker: repair.marker.clone(),
        }),
        healing: spec.healing.clone(),
    })
}

fn server(spec: &ProxySpec) -> Option<Server> {
    match (&spec.container, &spec.host) {
        (Some(name), _) => Some(Server::Container(Key::new(Kind::Container, name))),
        (None, Some(HostNginx { command, reload, address })) => {
            let words = |words: &[&str]| command.iter().cloned().chain(words.iter().map(|word| (*word).to_owned())).collect();
            let reload = reload.clone().unwrap_or_else(|| words(&["-s", "reload"]));
            Some(Server::Host { command: command.clone(), reload, address: address.clone() })
        }
        (None, None) => None,
    }
}

/// The hosts with their routes, longest path first.
fn hosts(spec: &ProxySpec, base: &Path) -> BTreeMap<String, Host> {
    let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
    for route in &spec.routes {
        let name = route.host.to_lowercase();
        let host = hosts.entry(name.clone()).or_insert_with(|| {
            let tls = spec.tls.iter().find(|(host, _)| host.eq_ignore_ascii_case(&name)).map(|(_, tls)| tls);
            let path = |path: &String| normalize(&base.join(path));
            let pair = |tls: &crate::manifest::proxy::Certificate| Pair {
                certificate: path(&tls.certificate),
                key: path(&tls.key),
                redirect: tls.redirect,
            };
            Host { certificate: tls.map(pair), routes: Vec::new() }
        });
        host.routes.push(Route { host: name, ..route.clone() });
    }
    for host in hosts.values_mut() {
        host.routes.sort_by(|one, other| other.path.len().cmp(&one.path.len()).then_with(|| one.path.cmp(&other.path)));
    }
    hosts
}

/// What the network's DNS knows a backend by: the container's name, or the alias that Compose gives to all replicas.
fn dns_name(backend: &str, others: &impl Lookup) -> String {
    let manifest = others.manifest(&Key::new(Kind::Container, backend));
    let Some(Manifest::Container(container)) = manifest.as_deref() else { return backend.to_owned() };
    let spec = &container.spec;
    let selector = spec.selector.as_ref().filter(|_| spec.management == Management::Heal);
    let selected = selector.and_then(|selector| selector.name.as_ref().or_else(|| selector.labels.get(COMPOSE_SERVICE)));
    selected.or(spec.container_name.as_ref()).cloned().unwrap_or_else(|| backend.to_owned())
}

/// Routes of this manifest that nginx could not tell apart.
fn twice(key: &Key, spec: &ProxySpec) -> Vec<Refusal> {
    let mut seen: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut refusals = Vec::new();
    for (at, route) in spec.routes.iter().enumerate() {
        if let Some(first) = seen.insert((route.host.to_lowercase(), &route.path), at) {
            refusals.push(Refusal {
                path: format!("spec.routes.{at}"),
                message: format!("{}{} is a route of {key} already: spec.routes.{first}", route.host, route.path),
            });
        }
    }
    refusals
}

/// Hosts, and a default server, that another `Proxy` of the same nginx has. The one whose name comes first keeps them,
/// so that a second one never takes a working host down.
fn elsewhere(key: &Key, spec: &ProxySpec, others: &impl Lookup) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for name in others.names(Kind::Proxy).into_iter().filter(|name| *name < key.name) {
        let other = Key::new(Kind::Proxy, &name);
        let manifest = others.manifest(&other);
        let Some(Manifest::Proxy(proxy)) = manifest.as_deref() else { continue };
        if server(&proxy.spec) != server(spec) {
            continue;
        }
        let theirs = &proxy.spec.routes;
        for (at, route) in spec.routes.iter().enumerate() {
            let same_host = |their: &&Route| their.host.eq_ignore_ascii_case(&route.host);
            let path = format!("spec.routes.{at}");
            let message = if theirs.iter().filter(same_host).any(|their| their.path == route.path) {
                format!(
                    "{}{} is a route of {other} already, and {key} would serve it with the same nginx",
                    route.host, route.path
                )
            } else if theirs.iter().any(|their| same_host(&their)) {
                format!(
                    "{} belongs to {other}, with the same nginx; a host cannot be shared, so add the route of {key} there",
                    route.host
                )
            } else {
                continue;
            };
            refusals.push(Refusal { path, message });
        }
        if spec.default_server.is_some() && proxy.spec.default_server.is_some() {
            let message =
                format!("{other} has a default server already, and an nginx can have only one: {key} would be the second");
            refusals.push(Refusal { path: "spec.defaultServer".to_owned(), message });
        }
    }
    refusals
}
