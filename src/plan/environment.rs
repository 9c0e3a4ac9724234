//! Decides what to do about one `.env` cascade.
//!
//! A secret is made only when no file has it *and* nobody remembers it: a lost
//! value comes back from a running container, the last good copy or the
//! computed file before a new one is drawn. Whoever might remember it and
//! cannot be asked just now counts as one who does: then we wait. An existing
//! value is never written over, so there is no action here that could.
//!
//! An empty value counts as none. For secrets that goes for the cascade as
//! well: `NAME=` in a later file does not hide the value of an earlier one.

mod recover;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;

use super::{FileAction, Note, Plan, Wait, Why, history::History, model_provider::Chooser};
use crate::{
    dotenv::template::Template,
    manifest::{Key, environment::SecretFormat},
    secret::Fingerprint,
};

/// Owner only: what every file with secrets in it has.
pub const SECRET_MODE: u32 = 0o600;

/// The permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub templates: BTreeMap<String, Template>,
    /// Which models answer: what each `ModelProvider` of this environment writes into it.
    pub choosers: Vec<Chooser>,
}

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// Every file of the cascade, by name.
    pub files: BTreeMap<String, FileState>,
    /// The copy of the secrets file in the state directory, if there is one.
    pub last_good: Recall<Option<LastGood>>,
    /// What the computed file on the disk says about the wanted secrets: real values, neither empty nor placeholders.
    pub computed_values: Recall<BTreeMap<String, Fingerprint>>,
    /// What running containers that use this environment have of the wanted secrets: real values only.
    pub running: Recall<BTreeMap<String, Vec<RunningValue>>>,
    /// The computed file compared with what it should be.
    pub computed: ComputedState,
    /// What is remembered.
    pub history: History,
}

/// What somebody besides the files remembers.
///
/// *Nothing is remembered* and *it cannot be asked* must not look alike: on the
/// first a secret is made, on the second the old one might be lost by that.
#[derive(Clone, Debug, PartialEq)]
pub enum Recall<T> {
    /// It has been asked.
    Known(T),
    /// It cannot be asked just now.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl<T> Recall<T> {
    /// The same with what is remembered made into something else.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Recall<U> {
        match self {
            Self::Known(value) => Recall::Known(f(value)),
            Self::Unknown { reason } => Recall::Unknown { reason },
        }
    }

    /// The same by reference.
    #[must_use]
    pub fn as_ref(&self) -> Recall<&T> {
        match self {
            Self::Known(value) => Recall::Known(value),
            Self::Unknown { reason } => Recall::Unknown { reason: reason.clone() },
        }
    }

    /// What is remembered, as far as that is known.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// Why it cannot be asked, if it cannot.
    #[must_use]
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown { reason } => Some(reason),
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl ValueState {
    /// The value's public name, if there is a value and it has been filled in.
    #[must_use]
    pub fn real(&self) -> Option<&Fingerprint> {
        match self {
            Self::Set { fingerprint, placeholder: false } => Some(fingerprint),
            Self::Set { placeholder: true, .. } | Self::Empty => None,
        }
    }
}

/// The copy of the secrets file in the state directory.
#[derive(Clone, Debug, PartialEq)]
pub struct LastGood {
    /// SHA-256 of its bytes, keyed, comparable with [`FileContent::digest`].
    pub digest: String,
    /// Its variables.
    pub values: BTreeMap<String, ValueState>,
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
///
/// Lost secrets come first and alone: everything else is decided on the files
/// as they are with them, by the next pass.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan { wait: unusable_file(desired, observed), notes: notes(desired, observed), ..Plan::default() };
    if plan.wait.is_some() {
        // What is in that file is not known, so neither is what is missing.
        plan_modes(&mut plan, desired, observed);
        return plan;
    }
    if let Some(secrets) = &desired.secrets {
        recover::plan(&mut plan, desired, secrets, observed);
    }
    if !plan.steps.is_empty() {
        return plan;
    }
    plan_modes(&mut plan, desired, observed);
    if plan.wait.is_none() {
        plan_last_good(&mut plan, desired, observed);
        plan_computed(&mut plan, desired, observed);
    }
    plan
}

/// The first file of the cascade that cannot be used. Not an empty one: it may hold anything.
fn unusable_file(desired: &Desired, observed: &Observed) -> Option<Wait> {
    desired.files.iter().find_map(|file| match observed.files.get(file) {
        Some(FileState::Absent | FileState::Present(_)) => None,
        Some(FileState::Unusable { reason }) => Some(Wait::UnreadableFile { file: file.clone(), reason: reason.clone() }),
        None => Some(Wait::UnreadableFile { file: file.clone(), reason: "it has not been looked at".to_owned() }),
    })
}

/// What a person should know about the files: variables that stand twice, and
/// placeholders that are in force. One that a later file replaces is a template.
fn notes(desired: &Desired, observed: &Observed) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut in_force = BTreeMap::new();
    for (name, content) in contents(desired, observed) {
        notes.extend(content.duplicates.iter().map(|(variable, lines)| Note::DuplicateVariable {
            file: name.clone(),
            variable: variable.clone(),
            lines: lines.clone(),
        }));
        for (variable, value) in &content.values {
            if let ValueState::Set { placeholder, .. } = value {
                in_force.insert(variable, (name, *placeholder));
            }
        }
    }
    notes.extend(
        in_force
            .into_iter()
            .filter(|(_, (_, placeholder))| *placeholder)
            .map(|(variable, (file, _))| Note::PlaceholderValue { file: file.clone(), variable: variable.clone() }),
    );
    notes
}

/// The files that have been read, lowest precedence first.
fn contents<'a>(desired: &'a Desired, observed: &'a Observed) -> impl Iterator<Item = (&'a String, &'a FileContent)> {
    desired.files.iter().filter_map(|name| match observed.files.get(name) {
        Some(FileState::Present(content)) => Some((name, content)),
        Some(FileState::Absent | FileState::Unusable { .. }) | None => None,
    })
}

/// Whether a file has a value for this variable, be it a placeholder.
fn has_value(desired: &Desired, observed: &Observed, variable: &str) -> bool {
    contents(desired, observed).any(|(_, content)| matches!(content.values.get(variable), Some(ValueState::Set { .. })))
}

/// Whether a file has a value for this variable that has been filled in.
fn has_real_value(desired: &Desired, observed: &Observed, variable: &str) -> bool {
    contents(desired, observed).any(|(_, content)| content.values.get(variable).and_then(ValueState::real).is_some())
}

/// Takes other users' access to the files with secrets away.
fn plan_modes(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let secrets = desired.secrets.iter().filter_map(|secrets| match observed.files.get(&secrets.file) {
        Some(FileState::Present(content)) => Some((&secrets.file, content.mode)),
        Some(FileState::Absent | FileState::Unusable { .. }) | None => None,
    });
    let computed = desired.computed.iter().filter_map(|computed| match observed.computed {
        ComputedState::UpToDate { mode } => Some((&computed.file, mode)),
        // It gets its mode when it is written.
        ComputedState::NotWanted
        | ComputedState::Outdated { .. }
        | ComputedState::MissingValues { .. }
        | ComputedState::Unusable { .. } => None,
    });
    for (file, mode) in secrets.chain(computed).filter(|(_, mode)| mode & OTHERS != 0) {
        plan.step(FileAction::SetMode { path: desired.directory.join(file), mode: SECRET_MODE }, Why::ModeTooOpen { mode });
    }
}

/// Keeps a copy of the secrets file when it is new and good.
fn plan_last_good(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let Some(secrets) = &desired.secrets else { return };
    let Some(FileState::Present(content)) = observed.files.get(&secrets.file) else { return };
    let copy = observed.last_good.known().and_then(Option::as_ref);
    if copy.is_some_and(|copy| copy.digest == content.digest) || !is_good(desired, secrets, observed, content) {
        return;
    }
    plan.step(
        FileAction::KeepLastGood {
            environment: desired.key.name.clone(),
            path: desired.directory.join(&secrets.file),
            expected: content.digest.clone(),
        },
        Why::FileChanged,
    );
}

/// Whether the secrets file deserves to be remembered: no wanted secret in it
/// is a placeholder, and none that the copy knows would be forgotten by it. A
/// secret that has moved to another file is not forgotten.
fn is_good(desired: &Desired, secrets: &Secrets, observed: &Observed, content: &FileContent) -> bool {
    let copy = observed.last_good.known().and_then(Option::as_ref);
    secrets.generate.iter().all(|Generate { variable, .. }| {
        let remembered = copy.is_some_and(|copy| copy.values.get(variable).and_then(ValueState::real).is_some());
        match content.values.get(variable) {
            Some(ValueState::Set { placeholder, .. }) => !placeholder,
            Some(ValueState::Empty) | None => !remembered || has_real_value(desired, observed, variable),
        }
    })
}

/// Writes the computed file when it differs, or says what it lacks.
fn plan_computed(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let Some(computed) = &desired.computed else { return };
    match &observed.computed {
        ComputedState::NotWanted | ComputedState::UpToDate { .. } => {}
        ComputedState::Outdated { changed } => plan.step(
            FileAction::WriteComputed {
                environment: desired.key.name.clone(),
                path: desired.directory.join(&computed.file),
                changed: changed.clone(),
            },
            Why::ComputedOutdated,
        ),
        ComputedState::MissingValues { variables } => {
            plan.wait = Some(Wait::MissingValues { variables: variables.clone() });
        }
        ComputedState::Unusable { reason } => {
            plan.wait = Some(Wait::UnreadableFile { file: computed.file.clone(), reason: reason.clone() });
        }
    }
}
