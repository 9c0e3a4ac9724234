//! What would be done if something else were declared: for `apply --dry-run`.
//!
//! The world is copied and looked at anew, so that nothing of what a pass goes
//! by can change. Writes nothing, and starts no probe.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{
    retries::Retries,
    world::{World, lock},
};
use crate::{
    manifest::{Key, Manifest},
    observe::{ollama::pulls::Pulls, snapshot::Snapshots},
    store,
    view::PlanView,
};

impl World {
    /// What would be done with these manifests' objects if they were declared beside, or instead of, what is.
    pub async fn plans_if(&self, manifests: Vec<Manifest>) -> Result<Vec<PlanView>, String> {
        let keys: Vec<Key> = manifests.iter().map(Manifest::key).collect();
        let world = self.with(manifests);
        let mut plans = Vec::with_capacity(keys.len());
        for key in keys {
            plans.append(&mut world.plans(Some(&key)).await?);
        }
        Ok(plans)
    }

    fn with(&self, manifests: Vec<Manifest>) -> Self {
        let objects = self.reader.objects().into_iter();
        let declared = objects.filter_map(|(key, object)| Some((key, object.manifest()?.as_ref().clone())));
        let mut wanted: BTreeMap<Key, Manifest> = declared.collect();
        for mut manifest in manifests {
            let key = manifest.key();
            manifest.meta_mut().generation = Some(generation(wanted.get(&key), &manifest));
            wanted.insert(key, manifest);
        }
        let (reader, mut writer) = store::store();
        writer.replace(wanted);
        let world = Self {
            settings: self.settings.clone(),
            clock: self.clock,
            reader,
            snapshots: Snapshots::new(Arc::clone(self.snapshots.engine()), self.clock),
            // They would begin to ask as the new manifest says.
            probes: None,
            names: None,
            fingerprints: self.fingerprints.clone(),
            files: self.files.clone(),
            evidence: Arc::clone(&self.evidence),
            histories: Mutex::new(lock(&self.histories).clone()),
            resolved: Mutex::new(lock(&self.resolved).clone()),
            owners: Mutex::default(),
            latest: Mutex::default(),
            retries: Retries::default(),
            pulls: Pulls::default(),
            holds: Mutex::new(Arc::clone(&lock(&self.holds))),
            found: Mutex::new(lock(&self.found).clone()),
            expansion: Mutex::new(lock(&self.expansion).clone()),
        };
        world.resolve_all();
        world.read_holds();
        world
    }

    /// Resolves every object, so that each is found by those that refer to it.
    pub(super) fn resolve_all(&self) {
        for object in self.reader.objects().values() {
            self.resolve(object);
        }
    }
}

/// The generation that a manifest would get: what is remembered of an object counts for one generation only.
fn generation(declared: Option<&Manifest>, manifest: &Manifest) -> i64 {
    let Some(declared) = declared else { return 1 };
    let generation = declared.meta().generation.unwrap_or_default();
    if declared.has_spec_of(manifest) { generation } else { generation + 1 }
}
