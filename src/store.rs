//! The resources by key, in kube-runtime's reflector.
//!
//! Objects of every kind share one store, so that one applier schedules them
//! all; the kind stands where Kubernetes has the namespace. The store never
//! forgets by accident: what is to be removed gets a deletion timestamp (a
//! *tombstone*) and leaves only after its last pass, because a key that is not
//! in the store is never reconciled.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use kube_runtime::{
    reflector::{self, ObjectRef},
    watcher,
};

use crate::manifest::{EXPANDED_FROM_ANNOTATION, Key, Manifest};

/// What the store holds: a resource of any kind, or the tombstone of one.
#[derive(Clone, Debug)]
pub struct Object {
    meta: ObjectMeta,
    key: Key,
    manifest: Option<Arc<Manifest>>,
}

impl Object {
    /// A resource that is wanted.
    #[must_use]
    pub fn wanted(manifest: Manifest) -> Self {
        let key = manifest.key();
        let meta = ObjectMeta { namespace: Some(key.kind.to_string()), ..manifest.meta().clone() };
        Self { meta, key, manifest: Some(Arc::new(manifest)) }
    }

    /// What is left of a resource whose manifest is gone.
    #[must_use]
    pub fn tombstone(key: Key, at: jiff::Timestamp) -> Self {
        let meta = ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.kind.to_string()),
            deletion_timestamp: Some(Time(at)),
            ..ObjectMeta::default()
        };
        Self { meta, key, manifest: None }
    }

    /// Kind and name.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The resource; none for a tombstone.
    #[must_use]
    pub fn manifest(&self) -> Option<&Arc<Manifest>> {
        self.manifest.as_ref()
    }

    /// The object whose manifest has expanded into this one.
    #[must_use]
    pub fn expanded_from(&self) -> Option<Key> {
        self.meta.annotations.as_ref()?.get(EXPANDED_FROM_ANNOTATION)?.parse().ok()
    }

    /// The generation of the resource; zero for a tombstone.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.meta.generation.unwrap_or_default()
    }
}

impl kube::Resource for Object {
    type DynamicType = ();
    type Scope = k8s_openapi::ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Object".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "mooring.dev".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "objects".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// How the applier refers to the object of this key.
#[must_use]
pub fn reference(key: &Key) -> ObjectRef<Object> {
    ObjectRef::new(&key.name).within(key.kind.as_str())
}

/// The key of an object, as the applier refers to it.
#[must_use]
pub fn key<K: reflector::Lookup>(reference: &ObjectRef<K>) -> Option<Key> {
    format!("{}/{}", reference.namespace.as_ref()?, reference.name).parse().ok()
}

/// An empty store: its reader, for everybody, and its only writer.
#[must_use]
pub fn store() -> (Reader, Writer) {
    let writer = reflector::store::Writer::default();
    (Reader(writer.as_reader()), Writer { inner: writer, known: BTreeMap::new() })
}

/// Looks things up.
#[derive(Clone)]
pub struct Reader(reflector::Store<Object>);

impl Reader {
    /// For the applier.
    #[must_use]
    pub fn inner(&self) -> reflector::Store<Object> {
        self.0.clone()
    }

    /// The object of this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.0.get(&reference(key))
    }

    /// The resource of this key, unless there is none or only a tombstone.
    #[must_use]
    pub fn manifest(&self, key: &Key) -> Option<Arc<Manifest>> {
        self.get(key)?.manifest.clone()
    }

    /// All objects, tombstones included, in no order: cheaper than [`Self::objects`], for who only looks through them.
    #[must_use]
    pub fn unordered(&self) -> Vec<Arc<Object>> {
        self.0.state()
    }

    /// All objects, tombstones included, by key.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<Key, Arc<Object>> {
        self.0.state().into_iter().map(|object| (object.key.clone(), object)).collect()
    }
}

/// Changes the store.
pub struct Writer {
    inner: reflector::store::Writer<Object>,
    known: BTreeMap<Key, Option<Manifest>>,
}

/// What a change of the store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Objects that are new or different: to be looked at.
    pub touched: Vec<Key>,
    /// Objects that are wanted no more; they stay in the store until they are buried or forgotten.
    pub gone: Vec<Key>,
}

impl Writer {
    /// Makes the store hold exactly these resources. What is missing from them is
    /// reported as gone, for the caller to bury or to forget.
    pub fn replace(&mut self, manifests: BTreeMap<Key, Manifest>) -> Changes {
        let first = self.known.is_empty();
        let gone: Vec<Key> = self
            .known
            .iter()
            .filter(|(key, manifest)| manifest.is_some() && !manifests.contains_key(*key))
            .map(|(key, _)| key.clone())
            .collect();
        let changed: Vec<(Key, Manifest)> =
            manifests.into_iter().filter(|(key, manifest)| self.known.get(key) != Some(&Some(manifest.clone()))).collect();
        let touched = changed.iter().map(|(key, _)| key.clone()).collect();
        if first {
            self.inner.apply_watcher_event(&watcher::Event::Init);
        }
        for (key, manifest) in changed {
            self.known.insert(key, Some(manifest.clone()));
            let object = Object::wanted(manifest);
            self.inner.apply_watcher_event(&if first {
                watcher::Event::InitApply(object)
            } else {
                watcher::Event::Apply(object)
            });
        }
        if first {
            self.inner.apply_watcher_event(&watcher::Event::InitDone);
        }
        Changes { touched, gone }
    }

    /// Turns an object into a tombstone, or makes one for a key that only its containers remember.
    pub fn bury(&mut self, key: &Key, at: jiff::Timestamp) {
        let before = self.known.insert(key.clone(), None);
        if before == Some(None) {
            return;
        }
        let mut tombstone = Object::tombstone(key.clone(), at);
        // Whoever is held holds what it has expanded into, also while that is on its way out.
        let expanded_from = before.flatten().and_then(|manifest| manifest.meta().annotations.clone());
        let expanded_from = expanded_from.and_then(|mut annotations| annotations.remove_entry(EXPANDED_FROM_ANNOTATION));
        tombstone.meta.annotations = expanded_from.map(|annotation| [annotation].into());
        self.inner.apply_watcher_event(&watcher::Event::Apply(tombstone));
    }

    /// Drops an object for good.
    pub fn forget(&mut self, key: &Key) {
        self.known.remove(key);
        self.inner.apply_watcher_event(&watcher::Event::Delete(Object::tombstone(key.clone(), jiff::Timestamp::UNIX_EPOCH)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Kind;

    fn container(name: &str, image: &str) -> (Key, Manifest) {
        let value = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "Container", "metadata": {"name": name}, "spec": {"image": image},
        });
        let manifest = Manifest::Container(Box::new(serde_json::from_value(value).unwrap()));
        (manifest.key(), manifest)
    }

    #[test]
    fn replacing_reports_what_is_new_changed_and_gone() {
        let (reader, mut writer) = store();
        let first = writer.replace([container("web", "a"), container("api", "a")].into());
        assert_eq!(first.touched.len(), 2);
        let second = writer.replace([container("web", "b")].into());
        assert_eq!(second.touched, [Key::new(Kind::Container, "web")]);
        assert_eq!(second.gone, [Key::new(Kind::Container, "api")]);
        assert!(reader.get(&Key::new(Kind::Container, "api")).is_some(), "what is gone stays until it is buried or forgotten");
    }

    #[test]
    fn a_tombstone_stays_until_it_is_forgotten_and_gives_way_to_a_manifest() {
        let (reader, mut writer) = store();
        writer.replace([container("web", "a")].into());
        let key = Key::new(Kind::Container, "web");
        writer.bury(&key, jiff::Timestamp::UNIX_EPOCH);
        assert!(reader.get(&key).unwrap().manifest().is_none());
        assert!(reader.get(&key).unwrap().meta.deletion_timestamp.is_some());
        assert_eq!(writer.replace(BTreeMap::new()), Changes::default(), "a tombstone is gone already");
        assert_eq!(writer.replace([container("web", "a")].into()).touched, std::slice::from_ref(&key));
        assert!(reader.manifest(&key).is_some());
        writer.forget(&key);
        assert!(reader.get(&key).is_none());
    }
}
