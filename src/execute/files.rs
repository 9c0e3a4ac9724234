//! Changes of files: each one atomic, none that loses what somebody else wrote.
//!
//! Goes in: one [`FileAction`], and what is desired of the cascade it belongs
//! to. Everything the decision rested on is looked at again under the lock; when
//! it is not so any more, nothing is done and the next pass looks again. What
//! never happens here: an existing value is written over, an empty one or a
//! placeholder is stored, a file is half written, a secret lies in a file that
//! others can read, not even for a moment.

mod lock;
mod replace;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;

use self::replace::Stages;
pub use self::replace::sweep_temporaries;
use super::engine::Effect;
use crate::{
    crash,
    dotenv::{self, MAX_SIZE, generate},
    observe::{
        environment::{Cascade, Content, EnvironmentReader, Readable, Rendered, computed_values, copy_name, is_ours, is_real},
        file::{Directory, Handle, Refusal},
    },
    plan::{
        FileAction,
        action::{SecretSource, SecretWrite},
        environment::Desired,
    },
    secret::Secret,
};

/// Owner only: the mode of the directories that hold copies.
const COPIES_MODE: u32 = 0o700;

const SECRETS: Stages = replace::stages!("secrets");
const RESTORE: Stages = replace::stages!("restore");
const COPY: Stages = replace::stages!("copy");
const COMPUTED: Stages = replace::stages!("computed");
const VARIABLE: Stages = replace::stages!("variable");

/// Asks a running container for the value of one of its variables.
#[async_trait]
pub trait ContainerVariables: Send + Sync {
    /// The value; none when the container is gone, has no such variable or cannot be asked.
    async fn container_variable(&self, id: &str, variable: &str) -> Option<Secret>;
}

/// A change of a file was not made, and the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody was faster. Looking again helps at once.
    #[error("{path} is not any more what it was when this was decided")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else is at work there.
    #[error("{path} is locked by {holder}")]
    Locked {
        /// The locked file.
        path: PathBuf,
        /// Who holds the lock, as far as that can be told.
        holder: String,
    },
    /// The file is not one to be written.
    #[error("{path} is not touched")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Refusal,
    },
    /// A file that the change depends on cannot be used.
    #[error("{file} cannot be used: {reason}")]
    Unusable {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// A source does not have the value that it had, or not one that may be stored.
    #[error("there is no value for {variable} {from}")]
    NoValue {
        /// The variable.
        variable: String,
        /// Who should have had it.
        from: SecretSource,
    },
    /// The computed file is somebody else's.
    #[error("{path} was not written by Mooring")]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The text would not be one that can be read back.
    #[error("the new text of {path} is not valid")]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: dotenv::Error,
    },
    /// No secret could be made.
    #[error("no value could be made for {variable}")]
    Generate {
        /// The variable.
        variable: String,
        /// What is wrong.
        source: generate::Error,
    },
    /// The system says no.
    #[error("could not {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Changes files.
#[derive(Clone, Debug)]
pub struct Files {
    reader: EnvironmentReader,
}

impl Files {
    /// Changes the files that this reader reads.
    #[must_use]
    pub fn new(reader: EnvironmentReader) -> Self {
        Self { reader }
    }

    /// Performs `action`, which was planned for `desired`.
    ///
    /// Takes a moment even on a fast disk: everything is on it when this
    /// returns. Waits for locks, but not for long.
    pub async fn perform(
        &self,
        action: &FileAction,
        desired: &Desired,
        containers: &dyn ContainerVariables,
    ) -> Result<Effect, Error> {
        let running = running_values(action, containers).await?;
        let job = Job { reader: self.reader.clone(), desired: desired.clone(), running };
        let action = action.clone();
        let path = action.path().clone();
        let done = tokio::task::spawn_blocking(move || job.perform(&action)).await;
        done.unwrap_or_else(|lost| Err(Error::Io { doing: "change", path, source: io::Error::other(lost) }))
    }

    /// Removes what a crash may have left of unfinished changes; to be called
    /// when nothing is under way. Says how many files that were.
    pub fn sweep(&self, desired: &Desired) -> io::Result<usize> {
        let mut directories = BTreeSet::from([self.reader.copies(&desired.key.name)]);
        if let Ok(directory) = Directory::open(&desired.directory) {
            // Any file of the cascade may have been about to change: variables are set in each of them.
            let written = desired.files.iter().chain(desired.computed.iter().map(|computed| &computed.file));
            let located = written.filter_map(|file| directory.locate(file.as_ref()).ok());
            directories.extend(located.filter_map(|path| path.parent().map(Path::to_owned)));
        }
        directories.iter().map(|directory| sweep_temporaries(directory, Duration::ZERO)).sum()
    }
}

/// The values that the action takes from running containers. They are asked again, because a plan holds none.
async fn running_values(action: &FileAction, containers: &dyn ContainerVariables) -> Result<BTreeMap<String, Secret>, Error> {
    let secrets = match action {
        FileAction::WriteSecrets { secrets, .. } | FileAction::RestoreFile { secrets, .. } => secrets.as_slice(),
        FileAction::KeepLastGood { .. }
        | FileAction::WriteComputed { .. }
        | FileAction::ChangeVariable { .. }
        | FileAction::SetMode { .. } => &[],
    };
    let mut values = BTreeMap::new();
    for SecretWrite { variable, from } in secrets {
        if let SecretSource::Container { id, .. } = from {
            let value = containers.container_variable(id, variable).await;
            let value = value.ok_or_else(|| Error::NoValue { variable: variable.clone(), from: from.clone() })?;
            values.insert(variable.clone(), value);
        }
    }
    Ok(values)
}

/// One action with everything it needs; blocks.
struct Job {
    reader: EnvironmentReader,
    desired: Desired,
    running: BTreeMap<String, Secret>,
}

impl Job {
    fn perform(&self, action: &FileAction) -> Result<Effect, Error> {
        let place = Place::new(&self.desired.directory, action.path())?;
        match action {
            FileAction::WriteSecrets { expected, secrets, .. } => self.write_secrets(&place, expected.as_deref(), secrets),
            FileAction::RestoreFile { secrets, .. } => self.restore_file(&place, secrets),
            FileAction::KeepLastGood { expected, .. } => self.keep_last_good(&place, expected),
            FileAction::WriteComputed { .. } => self.write_computed(&place),
            FileAction::ChangeVariable { expected, variable, value, .. } => {
                self.change_variable(&place, expected.as_deref(), (variable, value.as_ref()))
            }
            FileAction::SetMode { mode, .. } => set_mode(&place, *mode),
        }
    }

    fn write_secrets(&self, place: &Place, expected: Option<&str>, secrets: &[SecretWrite]) -> Result<Effect, Error> {
        let _locks = place.lock()?;
        let cascade = self.cascade()?;
        let missing: Vec<_> = secrets.iter().filter(|write| !cascade.has_value(&write.variable)).collect();
        if missing.is_empty() {
            return Ok(Effect::AlreadySo);
        }
        let values = self.values(&missing, &cascade)?;
        crash::point(SECRETS.before_write);
        match cascade.take(&place.name) {
            Some(Content::Absent) if expected.is_none() => {
                let file = place.with_values(dotenv::File::default(), values)?;
                replace::create(place, file.expose().as_bytes(), &SECRETS)?;
            }
            Some(Content::Readable(readable)) if expected == Some(&readable.digest) => {
                let Readable { handle, digest, file, .. } = *readable;
                let file = place.with_values(file, values)?;
                replace::replace(&handle, file.expose().as_bytes(), &SECRETS, |bytes| self.reader.key().digest(bytes) == digest)?;
            }
            Some(Content::Absent | Content::Readable(_) | Content::Unusable { .. }) | None => return Err(place.changed()),
        }
        Ok(Effect::Done)
    }

    /// What a person asked for, in the file that he was shown and no other.
    fn change_variable(
        &self,
        place: &Place,
        expected: Option<&str>,
        (variable, value): (&str, Option<&Secret>),
    ) -> Result<Effect, Error> {
        let _locks = place.lock()?;
        let change = |mut file: dotenv::File| {
            let Some(value) = value else {
                file.remove(variable);
                return Ok(file);
            };
            place.with_values(file, vec![(variable.to_owned(), value.clone())])
        };
        crash::point(VARIABLE.before_write);
        match self.cascade()?.take(&place.name) {
            Some(Content::Absent) if expected.is_none() => {
                replace::create(place, change(dotenv::File::default())?.expose().as_bytes(), &VARIABLE)?;
            }
            Some(Content::Readable(readable)) if expected == Some(&readable.digest) => {
                let Readable { handle, digest, file, .. } = *readable;
                let file = change(file)?;
                replace::replace(&handle, file.expose().as_bytes(), &VARIABLE, |bytes| {
                    self.reader.key().digest(bytes) == digest
                })?;
            }
            Some(Content::Absent | Content::Readable(_) | Content::Unusable { .. }) | None => return Err(place.changed()),
        }
        Ok(Effect::Done)
    }

    fn restore_file(&self, place: &Place, secrets: &[SecretWrite]) -> Result<Effect, Error> {
        let _locks = place.lock()?;
        let cascade = self.cascade()?;
        let copy = match self.reader.copy(&self.desired, &place.name, &cascade) {
            Content::Readable(copy) => *copy,
            Content::Absent => return Err(self.unusable_copy(place, "it is gone".to_owned())),
            Content::Unusable { reason } => return Err(self.unusable_copy(place, reason)),
        };
        // What runs has to stand in this file; anything else that the copy lacks may be in another one by now.
        let runs = |write: &SecretWrite| matches!(write.from, SecretSource::Container { .. });
        let differing: Vec<_> = secrets.iter().filter(|write| runs(write) || !cascade.has_value(&write.variable)).collect();
        let values = self.values(&differing, &cascade)?;
        match cascade.take(&place.name) {
            Some(Content::Absent) => {}
            Some(Content::Readable(readable)) if readable.digest == copy.digest => return Ok(Effect::AlreadySo),
            Some(Content::Readable(_) | Content::Unusable { .. }) | None => return Err(place.changed()),
        }
        crash::point(RESTORE.before_write);
        let file = place.with_values(copy.file, values)?;
        replace::create(place, file.expose().as_bytes(), &RESTORE)?;
        Ok(Effect::Done)
    }

    fn keep_last_good(&self, place: &Place, expected: &str) -> Result<Effect, Error> {
        let cascade = self.cascade()?;
        let copy = self.reader.copy(&self.desired, &place.name, &cascade);
        let bytes = match cascade.take(&place.name) {
            Some(Content::Readable(readable)) if readable.digest == expected => readable.bytes,
            Some(Content::Absent | Content::Readable(_) | Content::Unusable { .. }) | None => return Err(place.changed()),
        };
        if matches!(copy, Content::Readable(copy) if copy.digest == expected) {
            return Ok(Effect::AlreadySo);
        }
        let directory = self.reader.copies(&self.desired.key.name);
        let made = fs::DirBuilder::new().recursive(true).mode(COPIES_MODE).create(&directory);
        made.map_err(|source| Error::Io { doing: "make", path: directory.clone(), source })?;
        crash::point(COPY.before_write);
        replace::overwrite(&directory.join(copy_name(&place.name)), &bytes, &COPY)?;
        Ok(Effect::Done)
    }

    fn write_computed(&self, place: &Place) -> Result<Effect, Error> {
        let _locks = place.lock()?;
        let rendered = Rendered::new(&self.desired, self.cascade()?.values());
        let text = rendered.text().ok_or_else(|| place.changed())?.expose().as_bytes();
        let Some(mut handle) = place.handle()? else {
            crash::point(COMPUTED.before_write);
            replace::create(place, text, &COMPUTED)?;
            return Ok(Effect::Done);
        };
        let before = handle.read(MAX_SIZE as u64).map_err(|source| place.refused(source))?;
        if !is_ours(&before) {
            return Err(Error::NotOurs { path: place.path() });
        }
        if *before == text {
            return Ok(Effect::AlreadySo);
        }
        crash::point(COMPUTED.before_write);
        replace::replace(&handle, text, &COMPUTED, |bytes| bytes == before.as_slice())?;
        Ok(Effect::Done)
    }

    /// The cascade as it is now, if all of it can be read.
    fn cascade(&self) -> Result<Cascade, Error> {
        let cascade = self.reader.cascade(&self.desired);
        match cascade.unusable() {
            Some((file, reason)) => Err(Error::Unusable { file: file.to_owned(), reason: reason.to_owned() }),
            None => Ok(cascade),
        }
    }

    fn values(&self, writes: &[&SecretWrite], cascade: &Cascade) -> Result<Vec<(String, Secret)>, Error> {
        writes.iter().map(|write| Ok((write.variable.clone(), self.value(write, cascade)?))).collect()
    }

    /// The value to write. Whatever the source, nothing is stored that is not one.
    fn value(&self, SecretWrite { variable, from }: &SecretWrite, cascade: &Cascade) -> Result<Secret, Error> {
        let value = match from {
            SecretSource::Container { .. } => self.running.get(variable).cloned(),
            SecretSource::LastGood => match self.secrets_file().map(|file| self.reader.copy(&self.desired, file, cascade)) {
                Some(Content::Readable(mut copy)) => copy.values.remove(variable),
                Some(Content::Absent | Content::Unusable { .. }) | None => None,
            },
            SecretSource::Computed => computed_values(&self.desired).known().and_then(|values| values.get(variable)).cloned(),
            SecretSource::Generated { format, length } => {
                let made = generate::secret(*format, *length);
                Some(made.map_err(|source| Error::Generate { variable: variable.clone(), source })?)
            }
        };
        let real = value.filter(is_real);
        real.ok_or_else(|| Error::NoValue { variable: variable.clone(), from: from.clone() })
    }

    fn secrets_file(&self) -> Option<&str> {
        self.desired.secrets.as_ref().map(|secrets| secrets.file.as_str())
    }

    fn unusable_copy(&self, place: &Place, reason: String) -> Error {
        let copy = self.reader.copies(&self.desired.key.name).join(copy_name(&place.name));
        Error::Unusable { file: copy.display().to_string(), reason }
    }
}

fn set_mode(place: &Place, mode: u32) -> Result<Effect, Error> {
    let Some(handle) = place.handle()? else { return Err(place.changed()) };
    if handle.mode == mode {
        return Ok(Effect::AlreadySo);
    }
    let failed = |source| Error::Io { doing: "set the mode of", path: place.path(), source };
    handle.file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    crash::point("mode-after-change");
    handle.file.sync_all().map_err(failed)?;
    Ok(Effect::Done)
}

/// A file by its name in a directory.
struct Place {
    directory: Directory,
    name: String,
}

impl Place {
    fn new(directory: &Path, path: &Path) -> Result<Self, Error> {
        let refused = |source| Error::Refused { path: path.to_owned(), source };
        let name = path.strip_prefix(directory).ok().and_then(Path::to_str).ok_or_else(|| refused(Refusal::Outside))?;
        Ok(Self { directory: Directory::open(directory).map_err(refused)?, name: name.to_owned() })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    fn handle(&self) -> Result<Option<Handle>, Error> {
        self.directory.handle(self.name.as_ref()).map_err(|source| self.refused(source))
    }

    /// The real path the file has, or would have.
    fn locate(&self) -> Result<PathBuf, Error> {
        self.directory.locate(self.name.as_ref()).map_err(|source| self.refused(source))
    }

    /// Keeps others out until the locks are dropped: nself's programs, and whoever locks the file itself.
    fn lock(&self) -> Result<lock::Locks, Error> {
        lock::take(&self.directory, &self.name)
    }

    /// The text with these values in it.
    fn with_values(&self, mut file: dotenv::File, values: Vec<(String, Secret)>) -> Result<dotenv::File, Error> {
        for (variable, value) in values {
            let set = file.set(&variable, value.expose());
            set.map_err(|source| Error::Text { path: self.path(), source })?;
        }
        Ok(file)
    }

    fn changed(&self) -> Error {
        Error::Changed { path: self.path() }
    }

    fn refused(&self, source: Refusal) -> Error {
        Error::Refused { path: self.path(), source }
    }
}
