//! Plugins and what they say → objects of the other kinds. Pure.
//!
//! A plugin has no controller of its own: what it needs becomes secrets of an
//! `Environment`, `Container`s, routes of a `Proxy` and a `ModelProvider`, which
//! are kept as if somebody had declared them. What somebody did declare wins.
//! Where a plugin's files contradict each other, or what runs, that is a
//! [`Finding`]; what is seen counts more than what is written.

mod containers;
mod findings;
mod routes;
mod secrets;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use findings::Finding;

use crate::{
    manifest::{EXPANDED_FROM_ANNOTATION, Key, Kind, Manifest, ModelProvider, ModelProviderSpec, PluginSpec},
    source::plugin::{Reading, Service},
};

/// The annotation of an object to which plugins have added something, with their names.
pub const EXTENDED_BY_ANNOTATION: &str = "mooring.dev/extended-by";

/// A container of a plugin that Compose has made, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// The service on Compose's label.
    pub service: String,
    /// The container's name.
    pub container: String,
    /// The port that its variables say it listens on.
    pub port: Option<u16>,
}

/// The service that a container with these labels is of a plugin, if Compose has made it for that.
#[must_use]
pub fn service_on<'a>(labels: &'a BTreeMap<String, String>, spec: &PluginSpec, reading: &Reading) -> Option<&'a str> {
    containers::service_on(labels, spec, reading)
}

/// What plugins expand into.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expansion {
    /// Everything that is wanted: what was declared, with what was added to it, and what is new.
    pub manifests: BTreeMap<Key, Manifest>,
    /// What became of each plugin that could be understood.
    pub reports: BTreeMap<Key, Report>,
}

/// What became of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The objects that it has expanded into.
    pub objects: BTreeSet<Key>,
    /// The objects that it has added something to.
    pub extended: BTreeSet<Key>,
    /// What a person should know.
    pub findings: BTreeSet<Finding>,
}

/// Expands every plugin that is wanted.
#[must_use]
pub fn expand(
    declared: BTreeMap<Key, Manifest>,
    readings: &BTreeMap<Key, Arc<Reading>>,
    found: &BTreeMap<Key, Vec<Found>>,
) -> Expansion {
    let specs: Vec<(Key, PluginSpec, Option<String>)> = declared
        .iter()
        .filter_map(|(key, manifest)| match manifest {
            Manifest::Plugin(plugin) => Some((key.clone(), plugin.spec.clone(), source_of(manifest))),
            _ => None,
        })
        .collect();
    let mut expander = Expander { out: Expansion { manifests: declared, reports: BTreeMap::new() } };
    let plugins: Vec<Plugin<'_>> = specs
        .iter()
        .filter_map(|(key, spec, source)| {
            let reading = readings.get(key)?;
            let found = found.get(key).map(Vec::as_slice).unwrap_or_default();
            expander.out.reports.insert(key.clone(), Report::default());
            let is_wanted = spec.enabled && !reading.is_disabled;
            is_wanted.then(|| Plugin { key, spec, source: source.as_deref(), reading, found })
        })
        .collect();
    for plugin in &plugins {
        expander.expand(plugin, &plugins);
    }
    expander.collisions(&plugins);
    expander.number();
    expander.out
}

/// A plugin that is wanted.
struct Plugin<'a> {
    key: &'a Key,
    spec: &'a PluginSpec,
    /// Where it is declared.
    source: Option<&'a str>,
    reading: &'a Reading,
    found: &'a [Found],
}

impl Plugin<'_> {
    fn network(&self) -> String {
        self.spec.network.clone().unwrap_or_else(|| format!("{}_network", self.spec.project))
    }

    fn is_service(&self) -> bool {
        self.reading.manifest.service != Service::None
    }

    fn image(&self) -> Option<&str> {
        let unless_fragment = || self.reading.manifest.image.as_deref().filter(|_| self.reading.fragment.is_none());
        self.spec.image.as_deref().or_else(unless_fragment)
    }
}

struct Expander {
    out: Expansion,
}

impl Expander {
    fn expand(&mut self, plugin: &Plugin<'_>, all: &[Plugin<'_>]) {
        self.secrets(plugin);
        let main = self.containers(plugin, all);
        self.routes(plugin, main.as_ref());
        if plugin.reading.manifest.name == "ai" {
            self.model_provider(plugin, all);
        }
        let findings = findings::of(plugin, all, &self.out.manifests);
        self.report(plugin).findings.extend(findings);
    }

    fn report(&mut self, plugin: &Plugin<'_>) -> &mut Report {
        self.out.reports.entry(plugin.key.clone()).or_default()
    }

    fn finding(&mut self, plugin: &Plugin<'_>, finding: Finding) {
        self.report(plugin).findings.insert(finding);
    }

    /// Adds an object, unless there is one of this name.
    fn add(&mut self, plugin: &Plugin<'_>, mut manifest: Manifest) {
        let key = manifest.key();
        if let Some(other) = self.out.manifests.get(&key) {
            let by = other.meta().annotations.as_ref().and_then(|notes| notes.get(EXPANDED_FROM_ANNOTATION)).cloned();
            self.finding(plugin, Finding::Declared { object: key, by });
            return;
        }
        let annotations = manifest.meta_mut().annotations.get_or_insert_default();
        annotations.insert(EXPANDED_FROM_ANNOTATION.to_owned(), plugin.key.to_string());
        if let Some(source) = plugin.source {
            annotations.insert(crate::source::parse::SOURCE_ANNOTATION.to_owned(), source.to_owned());
        }
        self.report(plugin).objects.insert(key.clone());
        self.out.manifests.insert(key, manifest);
    }

    /// Notes that something was added to a declared object.
    fn extended(&mut self, plugin: &Plugin<'_>, key: &Key) {
        self.report(plugin).extended.insert(key.clone());
        let Some(manifest) = self.out.manifests.get_mut(key) else { return };
        let annotation = manifest.meta_mut().annotations.get_or_insert_default().entry(EXTENDED_BY_ANNOTATION.to_owned());
        let names = annotation.or_default();
        let name = plugin.key.to_string();
        if !names.split(", ").any(|known| known == name) {
            let separator = if names.is_empty() { "" } else { ", " };
            *names = format!("{names}{separator}{name}");
        }
    }

    /// The plugin `ai` needs a model, unless somebody has said which.
    fn model_provider(&mut self, plugin: &Plugin<'_>, all: &[Plugin<'_>]) {
        let environment = &plugin.spec.environment;
        let is_chosen =
            self.out.manifests.values().any(
                |manifest| matches!(manifest, Manifest::ModelProvider(provider) if provider.spec.environment == *environment),
            );
        if is_chosen {
            return;
        }
        // One that Compose makes of the plugin `ollama`, or one that is declared.
        let of_plugin = all.iter().any(|other| other.reading.manifest.name == "ollama" && other.key.name == "ollama");
        let is_declared = self.out.manifests.contains_key(&Key::new(Kind::Container, "ollama"));
        let container = (of_plugin || is_declared).then_some("ollama");
        let mut spec = serde_json::json!({"environment": environment});
        if let Some(container) = container {
            spec["ollama"] = serde_json::json!({"container": container});
        }
        let spec: ModelProviderSpec = serde_json::from_value(spec).expect("every other field has a default");
        self.add(plugin, Manifest::ModelProvider(Box::new(ModelProvider::new(&plugin.key.name, spec))));
    }

    /// Ports on the host that two plugins want.
    fn collisions(&mut self, plugins: &[Plugin<'_>]) {
        let mut takers: BTreeMap<u16, BTreeSet<&Key>> = BTreeMap::new();
        for plugin in plugins.iter().filter(|plugin| plugin.image().is_none()) {
            let services = plugin.reading.fragment.iter().flat_map(|fragment| &fragment.services);
            services.flat_map(|service| &service.host_ports).for_each(|port| {
                takers.entry(*port).or_default().insert(plugin.key);
            });
        }
        for (port, takers) in takers.iter().filter(|(_, takers)| takers.len() > 1) {
            for plugin in plugins.iter().filter(|plugin| takers.contains(plugin.key)) {
                let others = takers.iter().filter(|other| **other != plugin.key).map(|other| (*other).clone()).collect();
                self.finding(plugin, Finding::PortTaken { port: *port, others });
            }
        }
    }

    /// Gives everything that expansion has made or changed a generation that is another one whenever its spec is.
    ///
    /// A count would have to be remembered; a digest of the spec says the same after every restart.
    fn number(&mut self) {
        let reports = self.out.reports.values();
        let keys: BTreeSet<Key> = reports.flat_map(|report| report.objects.iter().chain(&report.extended)).cloned().collect();
        for key in keys {
            if let Some(manifest) = self.out.manifests.get_mut(&key) {
                let digest = Sha256::digest(manifest.spec_json().to_string());
                let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
                manifest.meta_mut().generation = Some(i64::from(number % 1_000_000_000) + 1);
            }
        }
    }
}

fn source_of(manifest: &Manifest) -> Option<String> {
    manifest.meta().annotations.as_ref()?.get(crate::source::parse::SOURCE_ANNOTATION).cloned()
}
