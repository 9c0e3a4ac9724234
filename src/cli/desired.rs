//! The desired-state directory, as commands change it: one file at a time, whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::Error;
use crate::{
    manifest::Key,
    source::{
        directory::{FileReading, Scan, scan},
        parse::Located,
    },
};

/// What a new file may be to others is decided by the umask, as for any file that a person makes.
const MODE: u32 = 0o666;

/// The directory as it was when it was read.
#[derive(Debug)]
pub(super) struct DesiredDirectory {
    root: PathBuf,
    scan: Scan,
}

impl DesiredDirectory {
    /// Reads the directory.
    pub(super) fn read(root: &Path) -> Result<Self, Error> {
        Ok(Self { root: root.to_owned(), scan: scan(root)? })
    }

    /// A directory that says this.
    #[cfg(test)]
    pub(super) fn of(scan: Scan) -> Self {
        Self { root: PathBuf::new(), scan }
    }

    /// Everything that is declared.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &Located> {
        self.scan.files.values().flat_map(|reading| match &**reading {
            FileReading::Parsed(located) => located.as_slice(),
            FileReading::Refused(_) | FileReading::Unreadable(_) => &[],
        })
    }

    /// Where an object is declared; in more than one place when two files have its name.
    pub(super) fn declarations(&self, key: &Key) -> Vec<&Located> {
        self.manifests().filter(|located| located.manifest.key() == *key).collect()
    }

    /// What a file says, when it is there.
    pub(super) fn reading(&self, file: &Path) -> Option<&FileReading> {
        self.scan.files.get(file).map(AsRef::as_ref)
    }

    /// The files that are there and say nothing we can use.
    pub(super) fn unusable(&self) -> Vec<&Path> {
        let usable = |reading: &FileReading| matches!(reading, FileReading::Parsed(_));
        self.scan.files.iter().filter(|(_, reading)| !usable(reading)).map(|(file, _)| file.as_path()).collect()
    }

    /// How many files there are.
    pub(super) fn file_count(&self) -> usize {
        self.scan.files.len()
    }

    /// Where a file is on the disk.
    pub(super) fn path(&self, file: &Path) -> PathBuf {
        self.root.join(file)
    }

    /// A file's bytes.
    pub(super) fn bytes(&self, file: &Path) -> Result<Vec<u8>, Error> {
        let path = self.path(file);
        fs::read(&path).map_err(|source| Error::file("read", &path, source))
    }

    /// Puts a file in place at once: whoever reads sees the old one or the new one, also after a crash.
    pub(super) fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(file);
        refuse_link(&path)?;
        replace(&path, bytes).map_err(|source| Error::file("write", &path, source))
    }

    /// Takes a file away.
    pub(super) fn remove(&self, file: &Path) -> Result<(), Error> {
        let path = self.path(file);
        refuse_link(&path)?;
        let parent = path.parent().unwrap_or(Path::new("."));
        let removed = fs::remove_file(&path).and_then(|()| File::open(parent)?.sync_all());
        removed.map_err(|source| Error::file("remove", &path, source))
    }
}

/// What a link leads to is somebody else's to change, and replacing the link would cut it off.
fn refuse_link(path: &Path) -> Result<(), Error> {
    if !path.is_symlink() {
        return Ok(());
    }
    Err(Error::InTheWay {
        message: format!("{} is a symbolic link", path.display()),
        help: "change the file that it leads to".to_owned(),
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    // Of the same directory, so that the rename is one; hidden and without `.yaml`, so that nobody takes it for a manifest.
    let mode = fs::Permissions::from_mode(MODE);
    let mut temporary = tempfile::Builder::new().prefix(".mooring-").suffix(".new").permissions(mode).tempfile_in(parent)?;
    if let Ok(existing) = fs::metadata(path) {
        temporary.as_file().set_permissions(existing.permissions())?;
    }
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(parent)?.sync_all()
}
