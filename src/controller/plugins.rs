//! Plugins: their files and what was found of them → what is wanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Context, found,
    world::{World, lock},
};
use crate::{
    expand::{self, Expansion, Found, Report},
    manifest::{Key, Kind, Manifest, PluginSpec},
    observe::engine,
    paths::normalize,
    plan::{
        container::Readiness,
        plugin::{Desired, Observed},
    },
    resolve,
    source::{
        self,
        plugin::{Place, Plugins, Reading, Wanted},
    },
};

/// Quiet after the last change of a plugin's file until it is read.
const SETTLE: Duration = Duration::from_millis(50);
/// The longest a stream of changes can put reading off.
const SETTLE_CAP: Duration = Duration::from_millis(250);

/// What became of all plugins when they were last expanded.
#[derive(Clone, Debug, Default)]
pub struct Expanded {
    /// What became of each that could be understood.
    pub reports: BTreeMap<Key, Report>,
    /// What each of them says, and why others could not be understood.
    pub plugins: Plugins,
    /// What was declared of the objects to which plugins have added something.
    originals: BTreeMap<Key, Manifest>,
}

impl Expanded {
    /// What was declared, given what is wanted: without all that plugins have brought along.
    #[must_use]
    pub fn declared(&self, mut wanted: BTreeMap<Key, Manifest>) -> BTreeMap<Key, Manifest> {
        for key in self.reports.values().flat_map(|report| &report.objects) {
            wanted.remove(key);
        }
        wanted.extend(self.originals.clone());
        wanted
    }
}

/// Reads the plugins among what is declared, and expands them.
pub fn expand(
    declared: BTreeMap<Key, Manifest>,
    directory: &Path,
    plugins: &mut Plugins,
    found: &BTreeMap<Key, Vec<Found>>,
) -> Expansion {
    plugins.read(wanted(&declared, directory), Instant::now().into_std());
    expand::expand(declared, &plugins.readings(), found)
}

/// Where the plugins' files are.
fn wanted(declared: &BTreeMap<Key, Manifest>, directory: &Path) -> BTreeMap<Key, Wanted> {
    let wanted = declared.iter().filter_map(|(key, manifest)| {
        let Manifest::Plugin(plugin) = manifest else { return None };
        let spec = &plugin.spec;
        let place = match (&spec.manifest, &spec.directory) {
            (Some(inline), _) => Place::Inline(Value::Object(inline.clone())),
            (None, named) => Place::Directory(place(named.as_deref().unwrap_or_default(), manifest, directory)),
        };
        Some((key.clone(), Wanted { names: names(spec, &place), place }))
    });
    wanted.collect()
}

/// A plugin's directory; `~/` is the home directory.
fn place(named: &str, manifest: &Manifest, directory: &Path) -> PathBuf {
    let home = || named.strip_prefix("~/").zip(std::env::var_os("HOME"));
    match home() {
        Some((rest, home)) => PathBuf::from(home).join(rest),
        None => normalize(&resolve::base_directory(manifest, directory).join(named)),
    }
}

/// What the names in a Compose file stand for, as nself has them.
fn names(spec: &PluginSpec, place: &Place) -> BTreeMap<String, String> {
    let network = spec.network.clone().unwrap_or_else(|| format!("{}_network", spec.project));
    let names = [("COMPOSE_PROJECT_NAME", &spec.project), ("PROJECT_NAME", &spec.project), ("DOCKER_NETWORK", &network)];
    let mut names: BTreeMap<_, _> = names.map(|(name, value)| (name.to_owned(), value.clone())).into();
    if let Place::Directory(directory) = place
        && let Some(parent) = directory.parent()
    {
        names.insert("NSELF_PLUGIN_DIR".to_owned(), parent.display().to_string());
    }
    names
}

impl World {
    /// What is wanted, plugins expanded.
    pub fn expanded(&self, declared: BTreeMap<Key, Manifest>, plugins: &mut Plugins) -> BTreeMap<Key, Manifest> {
        let found = lock(&self.found).clone();
        // What plugins can add something to; of the rest nobody needs a second copy.
        let can_be_extended = |key: &Key| matches!(key.kind, Kind::Environment | Kind::Proxy);
        let extendable = declared.iter().filter(|(key, _)| can_be_extended(key));
        let mut originals: BTreeMap<Key, Manifest> = extendable.map(|(key, manifest)| (key.clone(), manifest.clone())).collect();
        let Expansion { manifests, reports } = expand(declared, &self.settings.desired, plugins, &found);
        let extended: BTreeSet<&Key> = reports.values().flat_map(|report| &report.extended).collect();
        originals.retain(|key, _| extended.contains(key));
        *lock(&self.expansion) = Arc::new(Expanded { reports, plugins: plugins.clone(), originals });
        manifests
    }

    /// Looks at a plugin: what became of it, and what there is of it on the engine.
    pub(super) async fn observe_plugin(&self, desired: &Desired, not_before: Instant) -> Result<Observed, engine::Error> {
        let expanded = Arc::clone(&lock(&self.expansion));
        let at = self.clock.now();
        let Some(report) = expanded.reports.get(&desired.key) else {
            let unreadable = expanded.plugins.broken().get(&desired.key).cloned();
            return Ok(Observed { at, unreadable, findings: BTreeSet::new(), down: Vec::new(), found: Vec::new() });
        };
        let found = match expanded.plugins.reading(&desired.key) {
            Some(reading) => self.found(&desired.spec, reading, not_before).await?,
            None => Vec::new(),
        };
        let mut down = Vec::new();
        let containers: Vec<_> = report.objects.iter().filter(|key| key.kind == Kind::Container).collect();
        if !containers.is_empty() {
            let snapshot = self.snapshot(not_before).await?;
            let is_down = |key: &&Key| self.readiness_of(key, &snapshot) != Readiness::Healthy;
            down.extend(containers.into_iter().filter(is_down).cloned());
        }
        Ok(Observed { at, unreadable: None, findings: report.findings.clone(), down, found })
    }

    /// The containers that Compose has made for a plugin.
    async fn found(&self, spec: &PluginSpec, reading: &Reading, not_before: Instant) -> Result<Vec<Found>, engine::Error> {
        let snapshot = self.snapshot(not_before).await?;
        let mut found = Vec::new();
        for listed in snapshot.containers.values() {
            let Some(service) = expand::service_on(&listed.labels, spec, reading) else { continue };
            let inspected = self.snapshots.details_of(listed).await?;
            let value = |name: &str| inspected.as_ref()?.variables.get(name)?.expose().parse().ok();
            let port = value("PORT").or_else(|| value("SERVICE_PORT"));
            found.push(Found { service: service.to_owned(), container: listed.name.clone(), port });
        }
        found.sort();
        Ok(found)
    }

    /// Looks for the containers of all plugins; whether that is news.
    pub(super) async fn find_all(&self) -> bool {
        let expanded = Arc::clone(&lock(&self.expansion));
        let mut all = lock(&self.found).clone();
        for (key, reading) in &expanded.plugins.readings() {
            let manifest = self.reader.manifest(key);
            let Some(Manifest::Plugin(plugin)) = manifest.as_deref() else { continue };
            if let Ok(found) = self.found(&plugin.spec, reading, Instant::now()).await
                && !found.is_empty()
            {
                all.insert(key.clone(), found);
            }
        }
        std::mem::replace(&mut *lock(&self.found), all.clone()) != all
    }
}

impl Context {
    /// What is wanted, plugins expanded; plugins of which that is news are looked at.
    pub(super) fn expanded(&self, declared: BTreeMap<Key, Manifest>, plugins: &mut Plugins) -> BTreeMap<Key, Manifest> {
        let before = Arc::clone(&lock(&self.world.expansion));
        let manifests = self.world.expanded(declared, plugins);
        if let Err(error) = plugins.save(&self.world.settings.state) {
            tracing::error!(error = crate::error_chain(&error), "what plugins last said could not be kept");
        }
        let now = Arc::clone(&lock(&self.world.expansion));
        let is_news = |key: &&Key| {
            before.reports.get(*key) != now.reports.get(*key) || before.plugins.broken().get(*key) != plugins.broken().get(*key)
        };
        now.reports.keys().chain(plugins.broken().keys()).filter(is_news).for_each(|key| self.triggers.trigger(key));
        manifests
    }

    /// A plugin's containers were looked for: expands again when they are not those that were known.
    pub(super) async fn found(&self, key: &Key, found: &[Found]) {
        // Compose may be making it anew. One that is gone for good takes its `Plugin` along.
        if found.is_empty() {
            return;
        }
        let is_news = lock(&self.world.found).insert(key.clone(), found.to_vec()).is_none_or(|before| before != found);
        if is_news {
            found::save(&self.world.settings.state, &lock(&self.world.found));
            self.expand_again().await;
        }
    }
}

/// Reads everything again whenever something in a plugin's directory changes.
pub(super) async fn watch(ctx: Arc<Context>) {
    loop {
        let (directories, hearing) = (directories(&ctx), &ctx.world.settings.hearing);
        let mut changes = std::pin::pin!(source::watch::watch_flat(hearing, directories.clone(), SETTLE, SETTLE_CAP));
        let mut again = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                look = changes.next() => {
                    if look.is_none() { break; }
                    ctx.rescan().await;
                }
                _ = again.tick() => {
                    if ctx.has_absent_plugin_files().await {
                        ctx.rescan().await;
                    }
                    if self::directories(&ctx) != directories { break }
                }
            }
        }
    }
}

/// The directories of all plugins, and of their files for nginx.
fn directories(ctx: &Context) -> Vec<PathBuf> {
    let objects = ctx.world.reader.objects().into_values();
    let plugins = objects.filter(|object| object.key().kind == Kind::Plugin);
    let declared = plugins.filter_map(|object| Some((object.key().clone(), (**object.manifest()?).clone()))).collect();
    let places = wanted(&declared, &ctx.world.settings.desired).into_values().filter_map(|wanted| match wanted.place {
        Place::Directory(directory) => Some(directory),
        Place::Inline(_) => None,
    });
    places.flat_map(|directory| [directory.join("nginx"), directory]).collect()
}
