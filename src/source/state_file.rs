//! What is kept in the state directory as JSON: readable by its owner alone, replaced atomically.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{crash, paths::TEMPORARY_PREFIX};

/// A file of the state directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateFile {
    /// Its name there.
    pub(crate) name: &'static str,
    /// What is in it, for errors: `the last good desired state`.
    pub(crate) what: &'static str,
}

/// What is in a file could not be kept, or not be found again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("{what} in {} cannot be read", path.display())]
    Read {
        /// What is in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what was written there.
    #[error("{what} in {} is damaged", path.display())]
    Damaged {
        /// What is in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The file could not be written.
    #[error("{what} could not be written to {}", path.display())]
    Write {
        /// What is in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StateFile {
    /// What was last saved; none when nothing ever was.
    pub(crate) fn load<T: DeserializeOwned>(self, state: &Path) -> Result<Option<T>, Error> {
        let (what, path) = (self.what, state.join(self.name));
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|source| Error::Damaged { what, path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { what, path, source }),
        }
    }

    /// Saves this. After a crash at any point, the old file or the new one is there, whole.
    pub(crate) fn save(self, state: &Path, kept: &impl Serialize) -> Result<(), Error> {
        self.replace(state, kept).map_err(|source| Error::Write { what: self.what, path: state.join(self.name), source })
    }

    fn replace(self, state: &Path, kept: &impl Serialize) -> io::Result<()> {
        // Made with mode 0600: manifests may have passwords in them.
        let mut file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(state)?;
        let mut writer = io::BufWriter::new(file.as_file_mut());
        serde_json::to_writer(&mut writer, kept)?;
        writer.flush()?;
        drop(writer);
        file.as_file().sync_all()?;
        crash::point("state-after-temp");
        file.persist(state.join(self.name))?;
        crash::point("state-after-rename");
        File::open(state)?.sync_all()
    }
}
