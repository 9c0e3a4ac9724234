//! A resource and the store it stands in → what is wanted, with references
//! checked, defaults filled in and paths made absolute.
//!
//! A file can be checked alone when it is read, but whether the `Environment`
//! it names exists can only be known here. This is the only stage behind
//! `source` that can reject anything; the planner cannot fail. Pure.

mod container;
mod environment;
mod hold;
mod host;
mod model_provider;
mod plugin;
mod proxy;

pub(crate) use model_provider::{MODELS, PORT};

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    manifest::{Key, Kind, Manifest, references::Reference},
    paths::normalize,
    plan,
    store::Object,
};

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Desired {
    /// An `.env` cascade.
    Environment(plan::environment::Desired),
    /// A container of our own.
    Container(Box<plan::container::Desired>),
    /// Somebody else's container, to be kept alive.
    Healed(plan::container::heal::Desired),
    /// An nginx that follows its containers.
    Proxy(Box<plan::proxy::Desired>),
    /// Which model answers.
    ModelProvider(Box<plan::model_provider::Desired>),
    /// What a plugin's manifest says.
    Plugin(Box<plan::plugin::Desired>),
    /// Objects to be left alone.
    Hold(plan::hold::Desired),
    /// What is permitted on the host as a whole.
    Host(Box<plan::host::Desired>),
    /// Nothing: the manifest is gone.
    Absent(Key),
}

impl Desired {
    /// The object that it is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Environment(desired) => &desired.key,
            Self::Container(desired) => &desired.key,
            Self::Healed(desired) => &desired.key,
            Self::Proxy(desired) => &desired.key,
            Self::ModelProvider(desired) => &desired.key,
            Self::Plugin(desired) => &desired.key,
            Self::Hold(desired) => &desired.key,
            Self::Host(desired) => &desired.key,
            Self::Absent(key) => key,
        }
    }
}

/// Everything that is wrong with a resource's references.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Error(pub Vec<Refusal>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The field, as in `spec.envFrom.0.environment`.
    pub path: String,
    /// What is wrong, and the nearest thing that would be right.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The other resources, as far as resolving one of them needs them.
pub trait Lookup {
    /// The resource of this key.
    fn manifest(&self, key: &Key) -> Option<Arc<Manifest>>;

    /// The names of all resources of this kind.
    fn names(&self, kind: Kind) -> Vec<String>;
}

impl Lookup for crate::store::Reader {
    fn manifest(&self, key: &Key) -> Option<Arc<Manifest>> {
        self.manifest(key)
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        let objects = self.objects();
        objects
            .into_iter()
            .filter(|(key, object)| key.kind == kind && object.manifest().is_some())
            .map(|(key, _)| key.name)
            .collect()
    }
}

/// Says what is wanted of `object`. `directory` is the desired-state directory, to which files are relative.
pub fn resolve(object: &Object, others: &impl Lookup, directory: &Path) -> Result<Desired, Error> {
    let Some(manifest) = object.manifest() else {
        return Ok(Desired::Absent(object.key().clone()));
    };
    let base = base_directory(manifest, directory);
    let dangling = dangling(manifest, others);
    let desired = match &**manifest {
        Manifest::Environment(environment) => {
            environment::resolve(object, &environment.spec, others, &base).map(Desired::Environment)
        }
        Manifest::Container(container) => container::resolve(object, &container.spec, others, &base),
        Manifest::Proxy(proxy) => {
            proxy::resolve(object, &proxy.spec, others, &base).map(|desired| Desired::Proxy(Box::new(desired)))
        }
        Manifest::ModelProvider(provider) => model_provider::resolve(object, &provider.spec, others, &base)
            .map(|desired| Desired::ModelProvider(Box::new(desired))),
        Manifest::Plugin(plugin) => Ok(Desired::Plugin(Box::new(plugin::resolve(object, &plugin.spec)))),
        Manifest::Hold(hold) => hold::resolve(object, &hold.spec).map(Desired::Hold),
        Manifest::Host(host) => host::resolve(object, &host.spec).map(|desired| Desired::Host(Box::new(desired))),
    };
    match (desired, dangling.is_empty()) {
        (desired, true) => desired,
        (Ok(_), false) => Err(Error(dangling)),
        (Err(error), false) => Err(Error(dangling.into_iter().chain(error.0).collect())),
    }
}

/// References to objects that do not exist.
fn dangling(manifest: &Manifest, others: &impl Lookup) -> Vec<Refusal> {
    let references = manifest.references().into_iter().filter(|reference| others.manifest(&reference.key).is_none());
    references.map(|Reference { path, key }| Refusal { path, message: not_found(&key, &others.names(key.kind)) }).collect()
}

fn not_found(key: &Key, names: &[String]) -> String {
    match alike(&key.name, names.iter().map(|name| (name.as_str(), name))) {
        Some(name) => format!("there is no {} named `{}` (did you mean `{name}`?)", key.kind, key.name),
        None => format!("there is no {} named `{}`", key.kind, key.name),
    }
}

/// The key that one which does not exist was probably meant to be.
pub(crate) fn nearest<'a>(key: &Key, known: impl Iterator<Item = &'a Key>) -> Option<&'a Key> {
    alike(&key.name, known.map(|known| (known.name.as_str(), known)))
}

fn alike<'a, T>(name: &str, known: impl Iterator<Item = (&'a str, T)>) -> Option<T> {
    /// Below this likeness a suggestion confuses more than it helps.
    const ALIKE: f64 = 0.7;
    known
        .map(|(known, what)| (strsim::jaro_winkler(known, name), what))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, what)| what)
}

/// Annotation in which `source` leaves a manifest's file and line, as `path:line`.
pub const SOURCE_ANNOTATION: &str = "mooring.dev/source";

/// The directory of the manifest's file, to which its paths are relative.
pub(crate) fn base_directory(manifest: &Manifest, directory: &Path) -> PathBuf {
    let source = manifest.meta().annotations.as_ref().and_then(|annotations| annotations.get(SOURCE_ANNOTATION));
    let file = source.and_then(|source| source.rsplit_once(':')).map(|(file, _)| Path::new(file));
    let base = file.and_then(Path::parent).map_or_else(|| directory.to_owned(), |parent| directory.join(parent));
    normalize(&base)
}

#[cfg(test)]
mod tests;
