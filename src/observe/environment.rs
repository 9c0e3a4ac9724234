//! An `.env` cascade as it is on the disk, with everybody who remembers its secrets.
//!
//! Goes in: what is desired, and the environments of the containers that use
//! it. Comes out: an [`Observed`] for the planner, which holds fingerprints, and
//! the values themselves for whoever has to hand them on. Reading is
//! synchronous; the files are small and on a local disk.
//!
//! What cannot be read is never taken for what is not there: it is
//! [`FileState::Unusable`] or [`Recall::Unknown`], and nothing is decided on it.

mod cascade;
mod computed;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

pub(crate) use self::{
    cascade::{Cascade, Content, Readable},
    computed::{Rendered, computed_values, is_ours},
};
use super::file::{Directory, Refusal};
use crate::{
    dotenv::{Values, is_placeholder},
    plan::{
        History,
        environment::{Desired, FileContent, FileState, LastGood, Observed, Recall, RunningValue, ValueState},
    },
    secret::{Fingerprint, FingerprintKey, Secret},
};

/// The directory of copies in the state directory.
const COPIES: &str = "environments";

/// Looks at cascades.
#[derive(Clone, Debug)]
pub struct EnvironmentReader {
    key: FingerprintKey,
    state_dir: PathBuf,
}

/// A running container that uses an environment.
#[derive(Clone, Debug)]
pub struct RunningContainer {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub variables: BTreeMap<String, Secret>,
}

/// A cascade that has been looked at.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What the planner sees.
    pub observed: Observed,
    /// What containers get: the variables of the cascade, and above them the
    /// computed ones. Those that are to have a value, the wanted secrets and the
    /// computed ones, are among them with an empty one until they do: they have
    /// not been taken away. Others that are empty are left out. Unknown while a
    /// file cannot be used, for the same reason.
    pub values: Recall<Values>,
}

impl EnvironmentReader {
    /// A reader whose fingerprints are made with this key, and who finds the copies in this state directory.
    #[must_use]
    pub fn new(key: FingerprintKey, state_dir: PathBuf) -> Self {
        Self { key, state_dir }
    }

    /// Looks at the files and at what else remembers the secrets.
    #[must_use]
    pub fn read(&self, desired: &Desired, running: &Recall<Vec<RunningContainer>>, history: History, at: Timestamp) -> Reading {
        let cascade = self.cascade(desired);
        let rendered = Rendered::new(desired, cascade.values());
        let wanted = wanted(desired);
        let (computed, computed_values) = computed::compare(desired, &rendered);
        let files = cascade.layers().iter().map(|(name, content)| (name.clone(), self.file_state(content))).collect();
        let observed = Observed {
            at,
            files,
            last_good: self.last_good(desired, &cascade),
            computed_values: computed_values.map(|values| self.remembered(&wanted, &values)),
            running: running.as_ref().map(|running| self.running(&wanted, running)),
            computed,
            history,
        };
        let values = values(desired, cascade, rendered);
        Reading { observed, values }
    }

    /// The files of the cascade alone.
    pub(crate) fn cascade(&self, desired: &Desired) -> Cascade {
        Cascade::read(&self.key, desired)
    }

    /// The copy of the secrets file. Its values are read as those of the file itself would be.
    pub(crate) fn copy(&self, desired: &Desired, file: &str, cascade: &Cascade) -> Content {
        match Directory::open(&self.copies(&desired.key.name)) {
            Ok(directory) => cascade::read_file(&self.key, &directory, &copy_name(file), cascade.below_secrets()),
            Err(Refusal::Directory { source }) if source.kind() == io::ErrorKind::NotFound => Content::Absent,
            Err(refusal) => Content::Unusable { reason: refusal.to_string() },
        }
    }

    /// The directory that copies of this environment's files are kept in.
    pub(crate) fn copies(&self, environment: &str) -> PathBuf {
        self.state_dir.join(COPIES).join(environment)
    }

    /// The key under which digests are made.
    pub(crate) fn key(&self) -> &FingerprintKey {
        &self.key
    }

    fn last_good(&self, desired: &Desired, cascade: &Cascade) -> Recall<Option<LastGood>> {
        let Some(secrets) = &desired.secrets else { return Recall::Known(None) };
        match self.copy(desired, &secrets.file, cascade) {
            Content::Absent => Recall::Known(None),
            Content::Unusable { reason } => Recall::Unknown { reason },
            Content::Readable(copy) => Recall::Known(Some(LastGood { values: self.states(&copy), digest: copy.digest })),
        }
    }

    fn file_state(&self, content: &Content) -> FileState {
        match content {
            Content::Absent => FileState::Absent,
            Content::Unusable { reason } => FileState::Unusable { reason: reason.clone() },
            Content::Readable(readable) => FileState::Present(FileContent {
                digest: readable.digest.clone(),
                mode: readable.handle.mode,
                values: self.states(readable),
                duplicates: readable.file.duplicates().into_iter().map(|duplicate| (duplicate.key, duplicate.lines)).collect(),
            }),
        }
    }

    fn states(&self, readable: &Readable) -> BTreeMap<String, ValueState> {
        readable.values.keys().map(|variable| (variable.clone(), readable.state(&self.key, variable))).collect()
    }

    fn running(&self, wanted: &BTreeSet<&str>, containers: &[RunningContainer]) -> BTreeMap<String, Vec<RunningValue>> {
        let mut values: BTreeMap<String, Vec<RunningValue>> = BTreeMap::new();
        for RunningContainer { id, name, variables } in containers {
            for (variable, fingerprint) in self.remembered(wanted, variables) {
                let value = RunningValue { id: id.clone(), name: name.clone(), fingerprint };
                values.entry(variable).or_default().push(value);
            }
        }
        values
    }

    /// The wanted secrets among `values` that are worth remembering.
    fn remembered(&self, wanted: &BTreeSet<&str>, values: &Values) -> BTreeMap<String, Fingerprint> {
        let real = values.iter().filter(|(variable, value)| wanted.contains(variable.as_str()) && is_real(value));
        real.map(|(variable, value)| (variable.clone(), self.key.fingerprint(value.expose()))).collect()
    }
}

/// Whether a value may be written as that of a secret: there is one, and it has been filled in.
pub(crate) fn is_real(value: &Secret) -> bool {
    !value.is_empty() && !is_placeholder(value.expose())
}

/// The name that a file's copy has. Files in other directories of the cascade's are kept beside the others.
pub(crate) fn copy_name(file: &str) -> String {
    Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn values(desired: &Desired, cascade: Cascade, rendered: Rendered) -> Recall<Values> {
    if let Some((file, reason)) = cascade.unusable() {
        return Recall::Unknown { reason: format!("{file} cannot be used: {reason}") };
    }
    let mut values = cascade.into_values();
    values.extend(rendered.into_values());
    values.retain(|_, value| !value.is_empty());
    let computed = desired.computed.iter().flat_map(|computed| computed.templates.keys()).map(String::as_str);
    for promised in wanted(desired).into_iter().chain(computed) {
        values.entry(promised.to_owned()).or_insert_with(|| Secret::new(String::new()));
    }
    Recall::Known(values)
}

fn wanted(desired: &Desired) -> BTreeSet<&str> {
    desired.secrets.iter().flat_map(|secrets| &secrets.generate).map(|secret| secret.variable.as_str()).collect()
}
