//! What plugins last said, on disk: `plugins.json` in the state directory, readable by its owner alone, replaced atomically.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Key, Known, Plugins, Texts};
use crate::source::catalogue::replace;

/// The file's name in the state directory.
const FILE: &str = "plugins.json";

/// What plugins last said could not be kept, or not be found again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("what plugins last said in {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what was written there.
    #[error("what plugins last said in {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The file could not be written.
    #[error("what plugins last said could not be written to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Plugins {
    /// What was last saved in the state directory; nothing when there is none.
    pub fn load(state: &Path) -> Result<Self, Error> {
        let path = state.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(Error::Read { path, source }),
        };
        let stored: Vec<(Key, Texts)> = serde_json::from_slice(&text).map_err(|source| Error::Damaged { path, source })?;
        // They are understood when it is known what the names in them stand for.
        let known = |texts| Known { wanted: None, texts: Arc::new(texts), reading: Arc::default() };
        Ok(Self { known: stored.into_iter().map(|(key, texts)| (key, known(texts))).collect(), ..Self::default() })
    }

    /// Saves what plugins last said in the state directory, unless that is what is there.
    pub fn save(&mut self, state: &Path) -> Result<(), Error> {
        if !self.is_changed {
            return Ok(());
        }
        let stored: Vec<_> = self.known.iter().map(|(key, known)| (key, &*known.texts)).collect();
        replace(state, FILE, &stored).map_err(|source| Error::Write { path: state.join(FILE), source })?;
        self.is_changed = false;
        Ok(())
    }
}
