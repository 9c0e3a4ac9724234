//! What is worth knowing of a plugin's files: where they contradict each other, what runs, or other plugins.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::{Plugin, containers};
use crate::{
    manifest::{Key, Kind, Manifest},
    source::plugin::{FRAGMENT, Fragment},
};

/// Something that a person should know about a plugin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "finding")]
pub enum Finding {
    /// The plugin's files, or what runs, say different things.
    Disagreement {
        /// About what.
        about: &'static str,
        /// Who says what.
        said: Vec<(String, String)>,
        /// What is gone by.
        used: String,
    },
    /// A port on the host is wanted by more than one plugin.
    PortTaken {
        /// The port.
        port: u16,
        /// The others.
        others: Vec<Key>,
    },
    /// A file for nginx leads to nginx's own container.
    Loopback {
        /// The file.
        file: String,
        /// The host that it names.
        host: String,
    },
    /// A file for nginx has a location outside of any server.
    BareLocation {
        /// The file.
        file: String,
    },
    /// A Compose file has a name under which nself does not find it.
    OverlookedFragment {
        /// The file.
        file: String,
    },
    /// A service is on no network of the stack.
    NoNetwork {
        /// The service.
        service: String,
    },
    /// A container's name does not begin with the stack's, so that two stacks would want the same one.
    ForeignName {
        /// The name.
        container: String,
    },
    /// The plugin needs another one that is not there.
    MissingDependency {
        /// Its name.
        name: String,
    },
    /// Nobody knows what the plugin's container is made from, and none was found.
    NoContainer,
    /// There is nothing that a route could lead to.
    NoRoute {
        /// The host name.
        host: String,
    },
    /// A route of the proxy leads elsewhere already.
    RouteTaken {
        /// The host name.
        host: String,
        /// The path.
        path: String,
        /// Where it leads.
        to: String,
    },
    /// A path cannot stand in an nginx file.
    UnusablePath {
        /// The path.
        path: String,
    },
    /// No file of the cascade is one for secrets.
    NoSecretsFile {
        /// The `Environment`.
        environment: Key,
    },
    /// An object of that name is declared, and stays as it is.
    Declared {
        /// The object.
        object: Key,
        /// The other plugin that it is from.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The plugin is not to be used any more.
    Deprecated {
        /// What instead.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
}

impl Finding {
    /// The reason's word in events.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disagreement { .. } => "Disagreement",
            Self::PortTaken { .. } => "PortTaken",
            Self::Loopback { .. } => "Loopback",
            Self::BareLocation { .. } => "BareLocation",
            Self::OverlookedFragment { .. } => "OverlookedFragment",
            Self::NoNetwork { .. } => "NoNetwork",
            Self::ForeignName { .. } => "ForeignName",
            Self::MissingDependency { .. } => "MissingDependency",
            Self::NoContainer => "NoContainer",
            Self::NoRoute { .. } => "NoRoute",
            Self::RouteTaken { .. } => "RouteTaken",
            Self::UnusablePath { .. } => "UnusablePath",
            Self::NoSecretsFile { .. } => "NoSecretsFile",
            Self::Declared { .. } => "DeclaredAlready",
            Self::Deprecated { .. } => "Deprecated",
        }
    }

    /// Whether something does not work until somebody has mended it, rather than being worth knowing.
    #[must_use]
    pub fn is_defect(&self) -> bool {
        !matches!(self, Self::Declared { .. } | Self::Deprecated { .. } | Self::ForeignName { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disagreement { about, said, used } => {
                let said: Vec<_> = said.iter().map(|(who, what)| format!("{who} says {what}")).collect();
                write!(f, "its {about} is told in different ways: {}; Mooring goes by {used}", said.join(", "))
            }
            Self::PortTaken { port, others } => {
                let others: Vec<_> = others.iter().map(ToString::to_string).collect();
                write!(f, "port {port} of the host is wanted by {} as well, so only one of them starts", others.join(", "))
            }
            Self::Loopback { file, host } => {
                write!(f, "{file} leads to {host}, which inside of nginx's container is nginx itself; give the plugin a `route`")
            }
            Self::BareLocation { file } => write!(f, "{file} has a location outside of any server, which nginx refuses"),
            Self::OverlookedFragment { file } => {
                write!(f, "nself overlooks {file}, so nobody makes its container; rename it to {FRAGMENT}")
            }
            Self::NoNetwork { service } => {
                write!(f, "service {service} names no network, so the rest of the stack does not find it")
            }
            Self::ForeignName { container } => {
                write!(f, "container {container} is not named after the stack, so two stacks on one host would want the same")
            }
            Self::MissingDependency { name } => write!(f, "it needs {name}, which is neither a Plugin nor a Container here"),
            Self::NoContainer => {
                f.write_str("nobody knows its image, it has no Compose file, and no container of its was found; set `image`")
            }
            Self::NoRoute { host } => write!(f, "{host} cannot lead to it: it has no container, or nobody knows its port"),
            Self::RouteTaken { host, path, to } => write!(f, "{host}{path} is declared and leads to {to}"),
            Self::UnusablePath { path } => write!(f, "{path:?} cannot be the path of a route"),
            Self::NoSecretsFile { environment } => {
                write!(f, "{environment} lists no file for secrets; set `secrets.file` there, or add `.env.secrets` to its files")
            }
            Self::Declared { object, by: Some(by) } => write!(f, "{object} comes from {by}, and that one counts"),
            Self::Declared { object, by: None } => write!(f, "{object} is declared, and what is declared counts"),
            Self::Deprecated { by: Some(by) } => write!(f, "it is not to be used any more; {by} takes its place"),
            Self::Deprecated { by: None } => f.write_str("it is not to be used any more"),
        }
    }
}

/// Everything that is worth knowing of a plugin's own files.
pub(super) fn of(plugin: &Plugin<'_>, all: &[Plugin<'_>], manifests: &BTreeMap<Key, Manifest>) -> BTreeSet<Finding> {
    let manifest = &plugin.reading.manifest;
    let mut findings = BTreeSet::new();
    if manifest.is_deprecated || manifest.replaced_by.is_some() {
        findings.insert(Finding::Deprecated { by: manifest.replaced_by.clone() });
    }
    let required = manifest.dependencies.iter().filter(|dependency| dependency.is_required);
    let is_there = |name: &str| containers::find(name, all).is_some() || manifests.contains_key(&Key::new(Kind::Container, name));
    // Compose's own stack is not declared here; what is not a plugin is its affair then.
    let missing = required.filter(|dependency| !is_there(&dependency.name) && !is_core(&dependency.name));
    findings.extend(missing.map(|dependency| Finding::MissingDependency { name: dependency.name.clone() }));
    if !plugin.is_service() {
        return findings;
    }
    findings.extend([port(plugin), service(plugin), health(plugin)].into_iter().flatten());
    snippets(plugin, &mut findings);
    if let Some(fragment) = plugin.reading.fragment.as_ref().filter(|_| plugin.image().is_none()) {
        compose(plugin, fragment, &mut findings);
    }
    findings
}

/// The services that nself itself brings.
fn is_core(name: &str) -> bool {
    matches!(name, "postgres" | "postgresql" | "hasura" | "auth" | "nginx" | "redis" | "minio" | "storage" | "meilisearch")
}

fn compose(plugin: &Plugin<'_>, fragment: &Fragment, findings: &mut BTreeSet<Finding>) {
    if fragment.file != FRAGMENT {
        findings.insert(Finding::OverlookedFragment { file: fragment.file.clone() });
    }
    for service in &fragment.services {
        if !service.has_networks {
            findings.insert(Finding::NoNetwork { service: service.name.clone() });
        }
        let foreign = service.container_name.as_ref().filter(|name| !name.contains(&plugin.spec.project) && !name.contains('$'));
        findings.extend(foreign.map(|container| Finding::ForeignName { container: container.clone() }));
    }
}

fn snippets(plugin: &Plugin<'_>, findings: &mut BTreeSet<Finding>) {
    for snippet in &plugin.reading.snippets {
        let (file, mut hosts) = (snippet.file.clone(), snippet.backends.iter().map(|(host, _)| host));
        if let Some(host) = hosts.find(|host| is_loopback(host)) {
            findings.insert(Finding::Loopback { file: file.clone(), host: host.clone() });
        }
        if !snippet.locations.is_empty() && !snippet.has_server {
            findings.insert(Finding::BareLocation { file });
        }
    }
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

/// Tells a disagreement, when there is one.
fn disagreement(about: &'static str, said: Vec<(String, String)>, used: Option<String>) -> Option<Finding> {
    let values: BTreeSet<&String> = said.iter().map(|(_, what)| what).collect();
    (values.len() > 1).then(|| Finding::Disagreement { about, used: used.unwrap_or_default(), said })
}

fn port(plugin: &Plugin<'_>) -> Option<Finding> {
    let manifest = plugin.reading.manifest.port.map(|port| ("plugin.json".to_owned(), port));
    let fragment = plugin.reading.fragment.as_ref();
    let written = containers::written_service(plugin).and_then(|service| Some((fragment?.file.clone(), service.port()?)));
    let proxied = plugin
        .reading
        .snippets
        .iter()
        .flat_map(|snippet| snippet.backends.iter().filter_map(|(_, port)| Some((snippet.file.clone(), (*port)?))));
    let seen = plugin.found.iter().filter(|_| plugin.found.len() == 1);
    let seen = seen.filter_map(|found| Some((format!("container {}", found.container), found.port?)));
    let said = manifest.into_iter().chain(written).chain(proxied).chain(seen);
    let said = said.map(|(who, port)| (who, port.to_string())).collect();
    disagreement("port", said, containers::port_of(plugin).map(|port| port.to_string()))
}

fn service(plugin: &Plugin<'_>) -> Option<Finding> {
    let fragment = plugin.reading.fragment.as_ref();
    let written = containers::written_service(plugin);
    // The name of a container leads to it as well as that of a service.
    let is_name = |host: &str| written.is_some_and(|service| service.container_name.as_deref() == Some(host));
    let proxied = plugin.reading.snippets.iter().flat_map(|snippet| {
        let hosts = snippet.backends.iter().map(|(host, _)| host).filter(|host| !is_loopback(host) && !host.contains('$'));
        hosts.filter(|host| !is_name(host)).map(|host| (snippet.file.clone(), host.clone()))
    });
    let seen = plugin.found.iter().filter(|_| plugin.found.len() == 1);
    let seen = seen.map(|found| (format!("the label of {}", found.container), found.service.clone()));
    let written = written.and_then(|service| Some((fragment?.file.clone(), service.name.clone())));
    let said = written.into_iter().chain(proxied).chain(seen).collect();
    let used = containers::main_of(plugin).map(|main| main.host);
    disagreement("service's name", said, used)
}

fn health(plugin: &Plugin<'_>) -> Option<Finding> {
    let manifest = plugin.reading.manifest.health.clone().map(|path| ("plugin.json".to_owned(), path));
    let fragment = plugin.reading.fragment.as_ref();
    let written = containers::written_service(plugin)
        .and_then(|service| Some((fragment?.file.clone(), service.health.as_ref()?.path.clone())));
    let said = manifest.into_iter().chain(written).collect();
    disagreement("health path", said, containers::health_of(plugin))
}
