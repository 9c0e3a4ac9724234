//! What would be done if something else were declared: for `apply --dry-run`.
//!
//! The world is copied and looked at anew, so that nothing of what a pass goes
//! by can change. Plugins are expanded anew as well, so that what a change of
//! theirs leads to is told too. Writes nothing, and starts no probe.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use super::world::{World, lock};
use crate::{
    manifest::{Key, Manifest},
    source::parse::SOURCE_ANNOTATION,
    store::{self, Reader, Writer},
    view::PlanView,
};

impl World {
    /// What would be done if these manifests were declared beside, or instead of, what is: with their objects, in this
    /// order, and with those that plugins would bring along, change or take away because of that.
    pub async fn plans_if(&self, manifests: Vec<Manifest>) -> Result<Vec<PlanView>, String> {
        let given: Vec<Key> = manifests.iter().map(Manifest::key).collect();
        let (world, led_to) = self.with(manifests).await;
        let mut plans = Vec::with_capacity(given.len() + led_to.len());
        for key in given.iter().chain(led_to.iter().filter(|key| !given.contains(key))) {
            plans.append(&mut world.plans(Some(key)).await?);
        }
        Ok(plans)
    }

    /// The world in which these manifests are declared as well, and the objects that differ there.
    async fn with(&self, manifests: Vec<Manifest>) -> (Self, BTreeSet<Key>) {
        let objects = self.reader.objects().into_iter();
        let before: BTreeMap<Key, Manifest> =
            objects.filter_map(|(key, object)| Some((key, object.manifest()?.as_ref().clone()))).collect();
        let expanded = Arc::clone(&lock(&self.expansion));
        let mut declared = expanded.declared(before.clone());
        for mut manifest in manifests {
            let key = manifest.key();
            take_over(declared.get(&key), &mut manifest);
            declared.insert(key, manifest);
        }
        let (reader, mut writer) = store::store();
        writer.replace(before);
        let world = self.copy(reader);
        let mut plugins = expanded.plugins.clone();
        let mut changes = writer.replace(world.expanded(declared.clone(), &mut plugins));
        if world.find_all().await {
            let again = writer.replace(world.expanded(declared, &mut plugins));
            changes.touched.extend(again.touched);
            changes.gone = again.gone;
        }
        let mut differs: BTreeSet<Key> = changes.touched.into_iter().collect();
        differs.extend(world.without(changes.gone, &mut writer));
        world.resolve_all();
        world.read_holds();
        world.read_policy();
        (world, differs)
    }

    /// The same world, with a store of its own.
    fn copy(&self, reader: Reader) -> Self {
        let ways = (Arc::clone(self.snapshots.engine()), Arc::clone(&self.dial));
        Self {
            files: self.files.clone(),
            evidence: Arc::clone(&self.evidence),
            histories: Mutex::new(lock(&self.histories).clone()),
            resolved: Mutex::new(lock(&self.resolved).clone()),
            holds: Mutex::new(Arc::clone(&lock(&self.holds))),
            policy: Mutex::new(Arc::clone(&lock(&self.policy))),
            guard: Mutex::new(lock(&self.guard).clone()),
            found: Mutex::new(lock(&self.found).clone()),
            expansion: Mutex::new(lock(&self.expansion).clone()),
            // Without probes: they would begin to ask as the new manifest says.
            ..Self::new(self.settings.clone(), self.clock, reader, ways, self.fingerprints.clone())
        }
    }

    /// Takes these objects out of the store. Returns those whose containers would have to go.
    fn without(&self, gone: Vec<Key>, writer: &mut Writer) -> Vec<Key> {
        let (with_containers, without): (Vec<Key>, Vec<Key>) = gone.into_iter().partition(|key| key.kind.has_containers());
        for key in &with_containers {
            writer.bury(key, self.clock.now());
        }
        for key in &without {
            writer.forget(key);
        }
        with_containers
    }

    /// Resolves every object, so that each is found by those that refer to it.
    pub(super) fn resolve_all(&self) {
        for object in self.reader.objects().values() {
            self.resolve(object);
        }
    }
}

/// Gives a manifest what it would have in the place of the one that is declared: the file that its paths are relative
/// to, and its generation, for what is remembered of an object counts for one generation only.
fn take_over(declared: Option<&Manifest>, manifest: &mut Manifest) {
    let Some(declared) = declared else {
        manifest.meta_mut().generation = Some(1);
        return;
    };
    let generation = declared.meta().generation.unwrap_or_default();
    let generation = if declared.has_spec_of(manifest) { generation } else { generation + 1 };
    let source = declared.meta().annotations.as_ref().and_then(|notes| notes.get_key_value(SOURCE_ANNOTATION));
    let meta = manifest.meta_mut();
    meta.generation = Some(generation);
    meta.annotations.get_or_insert_default().extend(source.map(|(name, file)| (name.clone(), file.clone())));
}
