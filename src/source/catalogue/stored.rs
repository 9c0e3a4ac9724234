//! The catalogue on disk: `catalogue.json` in the state directory, readable by its owner alone, replaced atomically.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Catalogue, Located};
use crate::{
    manifest::{Kind, Manifest},
    source::problem::{Code, Place, Problem},
};

/// The file's name in the state directory.
const FILE: &str = "catalogue.json";

/// The last good state could not be kept, or not be found again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("the last good desired state in {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what was written there.
    #[error("the last good desired state in {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The file could not be written.
    #[error("the last good desired state could not be written to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    manifests: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    file: PathBuf,
    line: usize,
    in_force: bool,
    kind: Kind,
    manifest: Value,
}

impl Entry {
    fn new(located: &Located, in_force: bool) -> Self {
        let Located { manifest, file, line } = located;
        Self { file: file.clone(), line: *line, in_force, kind: manifest.kind(), manifest: manifest.to_json() }
    }
}

impl Catalogue {
    /// The catalogue that was last saved in the state directory; an empty one when there is none.
    ///
    /// A manifest that this version of Mooring does not understand is left out and reported: its file is what counts.
    pub fn load(state: &Path) -> Result<Self, Error> {
        let path = state.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(Error::Read { path, source }),
        };
        let stored: Stored = serde_json::from_slice(&text).map_err(|source| Error::Damaged { path, source })?;
        let mut catalogue = Self { has_files: true, ..Self::default() };
        for entry in stored.manifests {
            catalogue.restore(entry);
        }
        Ok(catalogue)
    }

    fn restore(&mut self, entry: Entry) {
        let Entry { file, line, in_force, kind, manifest } = entry;
        match Manifest::from_json(kind, manifest) {
            Ok(manifest) => {
                let (key, located) = (manifest.key(), Located { manifest, file, line });
                if in_force {
                    self.in_force.insert(key, located);
                } else {
                    self.shadowed.push(located);
                }
            }
            Err(error) => {
                let message =
                    format!("what was kept of the {kind} here cannot be used any more: `{}` is not valid", error.path());
                let (column, path) = (Place::START.column, String::new());
                self.problems.push(Problem { file, line, column, path, code: Code::LastGood, message, help: None });
            }
        }
    }

    /// Saves the catalogue in the state directory, unless that is what is there.
    pub fn save(&mut self, state: &Path) -> Result<(), Error> {
        if !self.is_changed {
            return Ok(());
        }
        let manifests = self.in_force.values().map(|located| Entry::new(located, true));
        let shadowed = self.shadowed.iter().map(|located| Entry::new(located, false));
        let stored = Stored { manifests: manifests.chain(shadowed).collect() };
        replace(state, FILE, &stored).map_err(|source| Error::Write { path: state.join(FILE), source })?;
        self.is_changed = false;
        Ok(())
    }
}

/// After a crash at any point, the old file or the new one is there, whole.
pub(crate) fn replace(state: &Path, name: &str, stored: &impl Serialize) -> io::Result<()> {
    // Made with mode 0600: manifests may have passwords in them.
    let mut file = tempfile::Builder::new().prefix(&format!(".{name}")).tempfile_in(state)?;
    let mut writer = io::BufWriter::new(file.as_file_mut());
    serde_json::to_writer(&mut writer, stored)?;
    writer.flush()?;
    drop(writer);
    file.as_file().sync_all()?;
    file.persist(state.join(name))?;
    File::open(state)?.sync_all()
}
