//! Decides what to do about one `.env` cascade.
//!
//! A secret is made only when no file has it *and* nobody remembers it: a lost
//! value comes back from a running container, the last good copy or the
//! computed file before a new one is drawn. An existing value is never written
//! over, so there is no action here that could.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;

use super::{Plan, history::History};
use crate::{
    manifest::{Key, environment::SecretFormat},
    secret::Fingerprint,
};

/// What the manifest says, with every path resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// The directory of the files, absolute.
    pub directory: PathBuf,
    /// File names, lowest precedence first.
    pub files: Vec<String>,
    /// The file that holds generated secrets, one of `files`, and what must be in the cascade.
    pub secrets: Option<Secrets>,
    /// The computed file and its templates by variable.
    pub computed: Option<Computed>,
}

/// Secrets that must exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Secrets {
    /// The file that lost ones are written to.
    pub file: String,
    /// The secrets, in the order of the manifest.
    pub generate: Vec<Generate>,
}

/// One secret that must exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Generate {
    /// The variable.
    pub variable: String,
    /// How a new value is written.
    pub format: SecretFormat,
    /// Its length in characters.
    pub length: Option<u16>,
}

/// Values computed from the cascade.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// The file they are written to.
    pub file: String,
    /// Templates by variable.
    pub templates: BTreeMap<String, String>,
}

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// Every file of the cascade, by name.
    pub files: BTreeMap<String, FileState>,
    /// The copy of the secrets file in the state directory.
    pub last_good: Option<LastGood>,
    /// What the computed file on the disk says about the wanted secrets.
    pub computed_values: BTreeMap<String, Fingerprint>,
    /// What running containers that use this environment have of the wanted secrets.
    pub running: BTreeMap<String, Vec<RunningValue>>,
    /// The computed file compared with what it should be.
    pub computed: ComputedState,
    /// What is remembered.
    pub history: History,
}

/// One file of the cascade.
#[derive(Clone, Debug, PartialEq)]
pub enum FileState {
    /// There is none, which counts as an empty one.
    Absent,
    /// It cannot be used: not readable, not parsable, too large, a link out of the directory.
    /// That is not an empty file: nothing is written while its content is unknown.
    Unusable {
        /// Why.
        reason: String,
    },
    /// It has been read.
    Present(FileContent),
}

/// A file that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct FileContent {
    /// SHA-256 of its bytes, keyed.
    pub digest: String,
    /// Permission bits.
    pub mode: u32,
    /// Its variables; the last one counts where one stands twice.
    pub values: BTreeMap<String, ValueState>,
    /// Variables that stand in it more than once, with their lines.
    pub duplicates: Vec<(String, Vec<usize>)>,
}

/// The value of a variable.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueState {
    /// Nothing after the equals sign: counts as absent.
    Empty,
    /// A value.
    Set {
        /// Its public name.
        fingerprint: Fingerprint,
        /// Whether it looks like one that was never filled in.
        placeholder: bool,
    },
}

/// The copy of the secrets file in the state directory.
#[derive(Clone, Debug, PartialEq)]
pub struct LastGood {
    /// SHA-256 of its bytes, keyed, comparable with [`FileContent::digest`].
    pub digest: String,
    /// Its variables.
    pub values: BTreeMap<String, Fingerprint>,
}

/// A value that a running container has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningValue {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The value's public name.
    pub fingerprint: Fingerprint,
}

/// The computed file compared with what it should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ComputedState {
    /// None is wanted.
    #[default]
    NotWanted,
    /// It says exactly what it should, at this mode.
    UpToDate {
        /// Permission bits.
        mode: u32,
    },
    /// It is absent or says something else.
    Outdated {
        /// The variables that differ; all of them when the file is absent or has been edited elsewhere.
        changed: Vec<String>,
    },
    /// Templates refer to variables without a value.
    MissingValues {
        /// The variables.
        variables: Vec<String>,
    },
    /// It cannot be read, or it is a link out of the directory.
    Unusable {
        /// Why.
        reason: String,
    },
}

/// Compares what should be with what is, and says how to close the gap.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let _ = (desired, observed);
    Plan::default()
}
