//! The catalogue on disk: `catalogue.json` in the state directory.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Catalogue, Located};
use crate::{
    manifest::{Kind, Manifest},
    source::{
        problem::{Code, Place, Problem},
        state_file::{Error, StateFile},
    },
};

const FILE: StateFile = StateFile { name: "catalogue.json", what: "the last good desired state" };

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
        let Some(stored) = FILE.load::<Stored>(state)? else { return Ok(Self::default()) };
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
        FILE.save(state, &stored)?;
        self.is_changed = false;
        Ok(())
    }
}
