//! What a pass over a `Proxy` sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use tokio::time::Instant;

use super::{World, lock};
use crate::{
    manifest::{Key, Kind, proxy::Upstreams},
    observe::{
        dns::{Inside, Question},
        docker::Inside as InsideFiles,
        engine,
        nginx_files::{self, NginxFiles},
        proxy,
        snapshot::Snapshot,
    },
    plan::{
        container::{Readiness, State, readiness},
        fight::Contests,
        proxy::{Backend, Desired, Dns, Memory, NginxState, Observed, repair::Around},
    },
    resolve,
};

impl World {
    /// Looks at an nginx, its files, and its backends.
    pub(in crate::controller) async fn observe_proxy(
        &self,
        desired: &Desired,
        not_before: Instant,
    ) -> Result<Observed, engine::Error> {
        let snapshot = self.snapshot(not_before).await?;
        let history = self.history(&desired.key, desired.generation);
        let listed = desired.container().and_then(|key| self.nginx_of(key, &snapshot));
        let nginx = match (desired.container(), listed) {
            (None, _) => proxy::on_host(&desired.server),
            (Some(_), None) => NginxState::Absent,
            (Some(_), Some(listed)) => match self.snapshots.details_of(listed).await? {
                Some(inspected) => proxy::in_container(listed, &inspected),
                None => NginxState::Absent,
            },
        };
        let networks = proxy::networks(listed);
        // The last configuration that worked may have to come back, with backends of its own.
        let good = history.proxy.as_ref().and_then(|memory| memory.good.as_ref());
        let configs = [Some(&desired.config), good];
        let names: BTreeSet<&String> = configs.iter().flatten().flat_map(|config| config.names.keys()).collect();
        let mut backends = BTreeMap::new();
        for name in names {
            let containers = self.containers_of(&Key::new(Kind::Container, name), &snapshot);
            let mut backend = proxy::backend(&containers, networks.as_ref());
            backend.name = self.name_of(name, &containers, (desired, networks.as_ref())).await?;
            backends.insert(name.clone(), backend);
        }
        let dns = self.dns(desired, &backends, listed, history.proxy.as_deref()).await?;
        let mut hosts = good.map(|good| good.hosts.clone()).unwrap_or_default();
        hosts.extend(desired.config.hosts.clone());
        let is_unloaded = proxy::unloaded_mark(&desired.directory, &desired.config.proxy).exists();
        let (directory, fingerprints) = (desired.directory.clone(), self.fingerprints.clone());
        // A thousand files take a moment.
        let read = tokio::task::spawn_blocking(move || (proxy::files(&directory), proxy::certificates(&hosts, &fingerprints)));
        let (files, certificates) = read.await.unwrap_or_else(|lost| (Err(format!("it was not read: {lost}")), BTreeMap::new()));
        let around = self.around(desired, (&nginx, listed), is_unloaded).await?;
        let mut observed = Observed {
            at: snapshot.at,
            nginx,
            files,
            is_unloaded,
            backends,
            certificates,
            dns,
            around,
            history,
            contests: Contests::default(),
        };
        observed.contests = self.contests(&desired.key, Some(&desired.directory), &observed.history, observed.at);
        Ok(observed)
    }

    /// What the engine's DNS knows a backend by, when that is not what the manifests let one suppose. Whoever runs a
    /// container that is only healed may call it anything.
    async fn name_of(
        &self,
        backend: &str,
        containers: &[(&engine::Listed, Readiness)],
        (desired, networks): (&Desired, Option<&BTreeSet<String>>),
    ) -> Result<Option<String>, engine::Error> {
        let config = &desired.config;
        let is_engines = proxy::server(&config.resolver).is_some_and(|server| server.ip() == proxy::ENGINES_OWN);
        let supposed = config.names.get(backend).map_or(backend, String::as_str);
        let (Some(networks), Upstreams::Resolver, true) = (networks, config.upstreams, is_engines) else { return Ok(None) };
        let is_up = |listed: &engine::Listed| listed.state == State::Running;
        let any_up = containers.iter().any(|(listed, _)| is_up(listed));
        let chosen: Vec<_> = containers.iter().map(|(listed, _)| *listed).filter(|listed| !any_up || is_up(listed)).collect();
        // Its own name is one that a container always has.
        if chosen.iter().any(|listed| listed.name == supposed) {
            return Ok(None);
        }
        let mut known = Vec::new();
        for listed in chosen {
            if let Some(inspected) = self.snapshots.details_of(listed).await? {
                known.push((listed, inspected));
            }
        }
        Ok(proxy::name(supposed, backend, &known, networks))
    }

    /// What the server that nginx asks answers for the names of backends that are up.
    async fn dns(
        &self,
        desired: &Desired,
        backends: &BTreeMap<String, Backend>,
        nginx: Option<&engine::Listed>,
        memory: Option<&Memory>,
    ) -> Result<Option<Dns>, engine::Error> {
        let Some(names) = &self.names else { return Ok(None) };
        let question = self.question(desired, backends, nginx, memory).await?;
        if question.is_none() {
            names.forget(&desired.key);
        }
        Ok(question.and_then(|question| names.answers(&desired.key, question)))
    }

    async fn question(
        &self,
        desired: &Desired,
        backends: &BTreeMap<String, Backend>,
        nginx: Option<&engine::Listed>,
        memory: Option<&Memory>,
    ) -> Result<Option<Question>, engine::Error> {
        let config = &desired.config;
        let (Some(server), Upstreams::Resolver) = (proxy::server(&config.resolver), config.upstreams) else { return Ok(None) };
        // Only the desired ones: others may be there for the sake of a configuration that is on its way out.
        let names = config.names.iter().filter_map(|(name, supposed)| {
            let backend = backends.get(name).filter(|backend| !backend.addresses.is_empty())?;
            // Only for these is asked.
            let is_found = backend.places.iter().any(|place| place.parse::<Ipv4Addr>().is_ok());
            is_found.then(|| (backend.name.as_ref().unwrap_or(supposed).clone(), backend.places.clone()))
        });
        let names: BTreeMap<_, _> = names.collect();
        if names.is_empty() {
            return Ok(None);
        }
        let failures = memory.and_then(|memory| memory.rejected.as_ref()).map_or(0, |rejected| rejected.count);
        let timeout = config.resolver.timeout.0;
        let inside = match nginx {
            Some(listed) if !listed.networks.contains_key("host") && server.ip().is_loopback() => {
                let pid = self.snapshots.details_of(listed).await?.and_then(|inspected| inspected.pid);
                let (Some(pid), State::Running) = (pid, &listed.state) else { return Ok(None) };
                Some(Inside { container: listed.id.clone(), pid })
            }
            // Outside of containers that one answers nobody.
            _ if server.ip() == proxy::ENGINES_OWN => return Ok(None),
            _ => None,
        };
        Ok(Some(Question { server, timeout, inside, names, failures }))
    }

    /// Reads what nginx reads, if sites of others are to be repaired.
    async fn around(
        &self,
        desired: &Desired,
        (nginx, listed): (&NginxState, Option<&engine::Listed>),
        is_unloaded: bool,
    ) -> Result<Option<Around>, engine::Error> {
        let (Some(wanted), NginxState::Present { mounts, .. }) = (&desired.repair, nginx) else { return Ok(None) };
        let given = desired.mounts.iter().map(|(outside, inside)| (outside.clone(), inside.clone()));
        let mounts: Vec<_> = given.chain(mounts.iter().cloned()).collect();
        let main = PathBuf::from(desired.main());
        let inside = match listed {
            Some(listed) => Some(self.files_of(&listed.id, &main).await?),
            None => None,
        };
        let wanted = wanted.files.clone();
        let read = tokio::task::spawn_blocking(move || {
            let read = match inside {
                Some(inside) => NginxFiles::follow(&inside, &main),
                None => NginxFiles::follow(&nginx_files::Disk, &main),
            };
            let mut around = nginx_files::around(read, &wanted, &mounts);
            if is_unloaded {
                around.before = nginx_files::before(&around.named);
            }
            around
        });
        Ok(Some(read.await.unwrap_or_default()))
    }

    /// The files of a container that its nginx may read.
    async fn files_of(&self, id: &str, main: &Path) -> Result<InsideFiles, engine::Error> {
        let engine = self.snapshots.engine();
        let directory = main.parent().unwrap_or(Path::new("/"));
        let mut inside = engine.files_in(id, directory).await?.unwrap_or_default();
        for other in NginxFiles::follow(&inside, main).elsewhere(directory) {
            inside.extend(engine.files_in(id, &other).await?.unwrap_or_default());
        }
        Ok(inside)
    }

    /// The container of an object that runs, or the newest.
    fn nginx_of<'a>(&self, key: &Key, snapshot: &'a Snapshot) -> Option<&'a engine::Listed> {
        let listed = self.listed_of(key, snapshot);
        let running = listed.iter().rev().find(|listed| listed.state == State::Running);
        running.or(listed.last()).copied()
    }

    /// The containers of an object, and how each fares.
    pub(in crate::controller) fn containers_of<'a>(
        &self,
        key: &Key,
        snapshot: &'a Snapshot,
    ) -> Vec<(&'a engine::Listed, Readiness)> {
        let probe = match lock(&self.resolved).get(key) {
            Some(resolve::Desired::Healed(healed)) => healed.probe.clone(),
            Some(resolve::Desired::Container(container)) => container.probe.clone(),
            _ => None,
        };
        let fares = |listed: &'a engine::Listed| {
            let state = self.probe_state(key, probe.as_ref(), listed);
            (listed, readiness(&listed.state, listed.health, state.as_ref()))
        };
        self.listed_of(key, snapshot).into_iter().map(fares).collect()
    }

    /// The containers of an object, oldest first.
    pub(in crate::controller) fn listed_of<'a>(&self, key: &Key, snapshot: &'a Snapshot) -> Vec<&'a engine::Listed> {
        // It may not have been looked at itself yet.
        let known = lock(&self.resolved).get(key).cloned();
        let desired = known.or_else(|| self.resolve(self.reader.get(key)?.as_ref()).0);
        match desired {
            Some(resolve::Desired::Healed(healed)) => snapshot.selected(&healed.selector),
            _ => snapshot.of_object(&self.settings.owner, key),
        }
    }
}
