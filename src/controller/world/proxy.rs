//! What a pass over a `Proxy` sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use tokio::time::Instant;

use super::{World, lock};
use crate::{
    manifest::{Key, Kind},
    observe::{
        docker::Inside,
        engine,
        nginx_files::{self, NginxFiles},
        proxy,
        snapshot::Snapshot,
    },
    plan::{
        container::{Readiness, State, readiness},
        proxy::{Desired, NginxState, Observed, repair::Around},
    },
    resolve,
};

impl World {
    /// Looks at an nginx, its files, and its backends.
    pub(super) async fn observe_proxy(&self, desired: &Desired, not_before: Instant) -> Result<Observed, engine::Error> {
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
        let backends = names.into_iter().map(|name| {
            let containers = self.containers_of(&Key::new(Kind::Container, name), &snapshot);
            (name.clone(), proxy::backend(&containers, networks.as_ref()))
        });
        let backends: BTreeMap<_, _> = backends.collect();
        let mut hosts = good.map(|good| good.hosts.clone()).unwrap_or_default();
        hosts.extend(desired.config.hosts.clone());
        let is_unloaded = proxy::unloaded_mark(&desired.directory, &desired.config.proxy).exists();
        let (directory, fingerprints) = (desired.directory.clone(), self.fingerprints.clone());
        // A thousand files take a moment.
        let read = tokio::task::spawn_blocking(move || (proxy::files(&directory), proxy::certificates(&hosts, &fingerprints)));
        let (files, certificates) = read.await.unwrap_or_else(|lost| (Err(format!("it was not read: {lost}")), BTreeMap::new()));
        let around = self.around(desired, &nginx, listed).await?;
        Ok(Observed { at: snapshot.at, nginx, files, is_unloaded, backends, certificates, around, history })
    }

    /// Reads what nginx reads, if sites of others are to be repaired.
    async fn around(
        &self,
        desired: &Desired,
        nginx: &NginxState,
        listed: Option<&engine::Listed>,
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
            nginx_files::around(read, &wanted, &mounts)
        });
        Ok(Some(read.await.unwrap_or_default()))
    }

    /// The files of a container that its nginx may read.
    async fn files_of(&self, id: &str, main: &Path) -> Result<Inside, engine::Error> {
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
    fn containers_of<'a>(&self, key: &Key, snapshot: &'a Snapshot) -> Vec<(&'a engine::Listed, Readiness)> {
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
