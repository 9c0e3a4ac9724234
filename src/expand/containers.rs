//! The containers of a plugin: of our own when its image is known, Compose's to be kept alive otherwise.

use std::collections::BTreeMap;

use super::{Expander, Finding, Plugin, secrets};
use crate::{
    manifest::{
        Container, ContainerSpec, Key, Kind, Manifest, PluginSpec,
        container::{Dependency, DependencyCondition, EnvFrom, HttpProbe, Management, NetworkAttachment, Probe, Selector},
        quantity::{Duration, IntOrString},
    },
    source::plugin::{FragmentService, Reading},
};

/// The longest name that an object can have.
const LONGEST_NAME: usize = 63;
/// Compose's label for the stack.
const PROJECT_LABEL: &str = "com.docker.compose.project";
/// Compose's label for the service.
const SERVICE_LABEL: &str = "com.docker.compose.service";

/// The container that answers for a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Main {
    /// The `Container`.
    pub(super) object: String,
    /// The name under which others on the network find it.
    pub(super) host: String,
    /// The port that it serves.
    pub(super) port: Option<u16>,
}

/// The container that answers for a plugin, if it has any.
pub(super) fn main_of(plugin: &Plugin<'_>) -> Option<Main> {
    if !plugin.is_service() {
        return None;
    }
    let (object, port) = (plugin.key.name.clone(), port_of(plugin));
    if plugin.image().is_some() {
        return Some(Main { host: object.clone(), object, port });
    }
    let service = service_of(plugin)?;
    Some(Main { host: service, object, port })
}

/// The Compose service that answers for a plugin. What was seen wins.
pub(super) fn service_of(plugin: &Plugin<'_>) -> Option<String> {
    let written = written_service(plugin).map(|service| service.name.clone());
    let is_seen = |name: &String| plugin.found.iter().any(|found| found.service == *name);
    let seen = || match plugin.found {
        [one] => Some(one.service.clone()),
        several => several.iter().map(|found| &found.service).find(|service| is_named_after(service, plugin)).cloned(),
    };
    written.clone().filter(is_seen).or_else(seen).or(written)
}

/// The service of the plugin's Compose file that answers for it.
pub(super) fn written_service<'a>(plugin: &'a Plugin<'_>) -> Option<&'a FragmentService> {
    let services = &plugin.reading.fragment.as_ref()?.services;
    match services.as_slice() {
        [one] => Some(one),
        several => several.iter().find(|service| is_named_after(&service.name, plugin)),
    }
}

fn is_named_after(service: &str, plugin: &Plugin<'_>) -> bool {
    is_name_of(service, &plugin.reading.manifest.name)
}

/// Whether a service is called like a plugin, in any of the ways that occur.
fn is_name_of(service: &str, name: &str) -> bool {
    ["plugin-", "nself-"].iter().find_map(|prefix| service.strip_prefix(prefix)).unwrap_or(service) == name
}

/// The service that a container with these labels is of a plugin, if it is one.
pub(super) fn service_on<'a>(labels: &'a BTreeMap<String, String>, spec: &PluginSpec, reading: &Reading) -> Option<&'a str> {
    let service = labels.get(SERVICE_LABEL).filter(|_| labels.get(PROJECT_LABEL) == Some(&spec.project))?;
    let mut written = reading.fragment.iter().flat_map(|fragment| &fragment.services);
    let is_its = is_name_of(service, &reading.manifest.name) || written.any(|written| written.name == *service);
    is_its.then_some(service.as_str())
}

/// The port that a plugin serves: as its own `Plugin` tells it, as its container was seen to, as Compose makes it, as its manifest says, as nginx is told.
pub(super) fn port_of(plugin: &Plugin<'_>) -> Option<u16> {
    let written = written_service(plugin).filter(|_| plugin.image().is_none());
    let proxied = || plugin.reading.snippets.iter().flat_map(|snippet| &snippet.backends).find_map(|(_, port)| *port);
    let seen = plugin.found.iter().find(|found| plugin.found.len() == 1 || is_named_after(&found.service, plugin));
    let seen = seen.filter(|_| plugin.image().is_none()).and_then(|found| found.port);
    let told = plugin.spec.variables.get("PORT").filter(|_| plugin.image().is_some()).and_then(|port| port.0.parse().ok());
    told.or(seen).or_else(|| written?.port()).or(plugin.reading.manifest.port).or_else(proxied)
}

/// The path that answers when the plugin is well.
pub(super) fn health_of(plugin: &Plugin<'_>) -> Option<String> {
    let written = || written_service(plugin)?.health.as_ref().map(|health| health.path.clone());
    written().or_else(|| plugin.reading.manifest.health.clone())
}

impl Expander {
    /// Adds the plugin's containers, and says which one answers for it.
    pub(super) fn containers(&mut self, plugin: &Plugin<'_>, all: &[Plugin<'_>]) -> Option<Main> {
        if !plugin.is_service() {
            return None;
        }
        let main = main_of(plugin);
        if let Some(image) = plugin.image() {
            let spec = self.own(plugin, all, image);
            self.container(plugin, &plugin.key.name, spec);
            return main;
        }
        if let Some(main) = &main {
            self.container(plugin, &main.object, healed(plugin, &main.host, true));
        }
        let written = plugin.reading.fragment.iter().flat_map(|fragment| &fragment.services).collect::<Vec<_>>();
        let answering = written_service(plugin).map(|service| &service.name);
        for service in written.into_iter().filter(|service| Some(&service.name) != answering) {
            let mut name = format!("{}-{}", plugin.key.name, service.name.to_ascii_lowercase());
            // Compose takes names of any length. Where two of them begin alike, the second is reported.
            name.truncate(LONGEST_NAME);
            self.container(plugin, &name, healed(plugin, &service.name, false));
        }
        if main.is_none() && plugin.reading.fragment.is_none() {
            self.finding(plugin, Finding::NoContainer);
        }
        main
    }

    fn container(&mut self, plugin: &Plugin<'_>, name: &str, spec: ContainerSpec) {
        self.add(plugin, Manifest::Container(Box::new(Container::new(name, spec))));
    }

    /// A container of our own.
    fn own(&self, plugin: &Plugin<'_>, all: &[Plugin<'_>], image: &str) -> ContainerSpec {
        let manifest = &plugin.reading.manifest;
        let network = NetworkAttachment {
            name: plugin.network(),
            // The names under which nself's own files look for a plugin.
            aliases: vec![plugin.key.name.clone(), format!("plugin-{}", manifest.name)],
            ipv4_address: None,
            ipv6_address: None,
        };
        let environment = literals(plugin, all);
        ContainerSpec {
            container_name: Some(format!("{}_{}", plugin.spec.project, plugin.key.name)),
            image: Some(image.to_owned()),
            env_from: vec![taken(plugin, &environment)],
            environment,
            networks: vec![network],
            depends_on: self.dependencies(plugin, all),
            probe: probe(plugin),
            restart: Some("unless-stopped".to_owned()),
            ..ContainerSpec::default()
        }
    }

    /// The containers of what the plugin needs: other plugins', and those that are declared.
    fn dependencies(&self, plugin: &Plugin<'_>, all: &[Plugin<'_>]) -> Vec<Dependency> {
        let needs_database = plugin.reading.manifest.variables.iter().any(|variable| variable.name == "DATABASE_URL");
        let database = needs_database.then_some("postgres").into_iter();
        let required = plugin.reading.manifest.dependencies.iter().filter(|dependency| dependency.is_required);
        let mut containers: Vec<String> = Vec::new();
        for name in database.chain(required.map(|dependency| dependency.name.as_str())) {
            let declared = || Some(name).filter(|name| self.out.manifests.contains_key(&Key::new(Kind::Container, *name)));
            let container = find(name, all).and_then(main_of).map(|main| main.object);
            let container = container.or_else(|| declared().map(str::to_owned));
            containers.extend(container.filter(|container| *container != plugin.key.name && !containers.contains(container)));
        }
        let dependency = |container| Dependency { container, condition: DependencyCondition::Healthy };
        containers.into_iter().map(dependency).collect()
    }
}

/// The plugin of this name.
pub(super) fn find<'a, 'b>(name: &str, all: &'a [Plugin<'b>]) -> Option<&'a Plugin<'b>> {
    all.iter().find(|plugin| plugin.key.name == name).or_else(|| all.iter().find(|plugin| plugin.reading.manifest.name == name))
}

/// Somebody else's container, by Compose's labels.
fn healed(plugin: &Plugin<'_>, service: &str, is_main: bool) -> ContainerSpec {
    let labels = [(PROJECT_LABEL, plugin.spec.project.as_str()), (SERVICE_LABEL, service)];
    let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into();
    // Where Compose checks on it, one check is enough.
    let is_checked = written_service(plugin).is_some_and(|service| service.health.is_some());
    ContainerSpec {
        management: Management::Heal,
        selector: Some(Selector { name: None, labels }),
        probe: probe(plugin).filter(|_| is_main && !is_checked),
        ..ContainerSpec::default()
    }
}

fn probe(plugin: &Plugin<'_>) -> Option<Probe> {
    let http = HttpProbe { port: port_of(plugin)?, path: health_of(plugin)? };
    Some(Probe {
        http: Some(http),
        tcp: None,
        exec: None,
        interval: Duration::seconds(10),
        timeout: Duration::seconds(5),
        retries: 3,
        // As long as nself's own files give a plugin to come up.
        start_period: Duration::seconds(90),
    })
}

/// What a plugin is told of the stack, as nself tells it.
fn literals(plugin: &Plugin<'_>, all: &[Plugin<'_>]) -> BTreeMap<String, IntOrString> {
    let manifest = &plugin.reading.manifest;
    let project = &plugin.spec.project;
    let mut literals: BTreeMap<String, String> = [
        ("PROJECT_NAME", project.clone()),
        ("COMPOSE_PROJECT_NAME", project.clone()),
        ("DOCKER_NETWORK", plugin.network()),
        ("SERVICE_NAME", plugin.key.name.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(port) = port_of(plugin) {
        literals.extend(["PORT", "SERVICE_PORT"].map(|name| (name.to_owned(), port.to_string())));
    }
    for dependency in &manifest.dependencies {
        let Some(Main { host, port: Some(port), .. }) = find(&dependency.name, all).and_then(main_of) else { continue };
        let (name, url) = (dependency.name.to_ascii_uppercase().replace('-', "_"), format!("http://{host}:{port}"));
        literals.insert(format!("PLUGIN_{name}_INTERNAL_URL"), url.clone());
        let own_word = format!("{name}_PLUGIN_URL");
        if manifest.variables.iter().any(|variable| variable.name == own_word) {
            literals.insert(own_word, url);
        }
    }
    let literals = literals.into_iter().map(|(name, value)| (name, IntOrString(value)));
    literals.chain(plugin.spec.variables.clone()).collect()
}

/// What a plugin gets of its `Environment`: what it needs, and what it knows if it is there.
fn taken(plugin: &Plugin<'_>, literals: &BTreeMap<String, IntOrString>) -> EnvFrom {
    let mut keys = secrets::needed(plugin);
    let mut optional_keys: Vec<String> = Vec::new();
    let variables = &plugin.reading.manifest.variables;
    for variable in variables.iter().filter(|variable| !literals.contains_key(&variable.name)) {
        let is_needed = variable.is_required && variable.default.is_none();
        let list = if is_needed { &mut keys } else { &mut optional_keys };
        list.push(variable.name.clone());
    }
    optional_keys.extend(["ENV", "BASE_DOMAIN"].map(str::to_owned));
    let mut seen = std::collections::BTreeSet::new();
    keys.retain(|name| seen.insert(name.clone()));
    optional_keys.retain(|name| seen.insert(name.clone()));
    EnvFrom { environment: plugin.spec.environment.clone(), keys: Some(keys), optional_keys }
}
