//! The desired-state directory, as it is changed on behalf of people: one file at a time, whole or not at all.

pub mod documents;
pub mod holds;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    directory::{self, FileReading, Scan, scan},
    parse::{Located, parse_located},
    problem::Problem,
};
use crate::{crash, manifest::Key, paths::TEMPORARY_PREFIX};

/// What a new file may be to others is decided by the umask, as for any file that a person makes.
const MODE: u32 = 0o666;

/// An emptied directory looks like a missing mount, and Mooring would hold on to everything. A comment says otherwise.
const PLACEHOLDER: &str = "# Nothing is declared here any more. This file says that on purpose: without any file, the directory
# would look like one that is not mounted, and nothing would be removed.
";

/// A change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be read.
    #[error(transparent)]
    Directory(#[from] directory::Error),
    /// A file is not as it has to be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Problem>),
    /// What a link leads to is somebody else's to change, and replacing the link would cut it off.
    #[error("{} is a symbolic link", .0.display())]
    Link(PathBuf),
    /// Nobody can say where in the file an object begins and ends.
    #[error("the documents of {} cannot be told apart", .0.display())]
    Apart(PathBuf),
    /// The system says no.
    #[error("could not {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl Error {
    /// How to go on.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Link(_) => Some("change the file that it leads to"),
            Self::Apart(_) => Some("take the document out by hand"),
            Self::Directory(_) | Self::Refused(_) | Self::Io { .. } => None,
        }
    }
}

/// The directory as it was when it was read.
#[derive(Debug)]
pub struct DesiredDirectory {
    root: PathBuf,
    scan: Scan,
}

impl DesiredDirectory {
    /// Reads the directory.
    pub fn read(root: &Path) -> Result<Self, Error> {
        Ok(Self { root: root.to_owned(), scan: scan(root)? })
    }

    /// A directory that says this.
    #[cfg(test)]
    pub(crate) fn of(scan: Scan) -> Self {
        Self { root: PathBuf::new(), scan }
    }

    /// Everything that is declared.
    pub fn manifests(&self) -> impl Iterator<Item = &Located> {
        self.scan.files.values().flat_map(|reading| match &**reading {
            FileReading::Parsed(located) => located.as_slice(),
            FileReading::Refused(_) | FileReading::Unreadable(_) => &[],
        })
    }

    /// Where an object is declared; in more than one place when two files have its name.
    #[must_use]
    pub fn declarations(&self, key: &Key) -> Vec<&Located> {
        self.manifests().filter(|located| located.manifest.key() == *key).collect()
    }

    /// What a file says, when it is there.
    pub fn reading(&self, file: &Path) -> Option<&FileReading> {
        self.scan.files.get(file).map(AsRef::as_ref)
    }

    /// The files that are there and say nothing we can use.
    #[must_use]
    pub fn unusable(&self) -> Vec<&Path> {
        let usable = |reading: &FileReading| matches!(reading, FileReading::Parsed(_));
        self.scan.files.iter().filter(|(_, reading)| !usable(reading)).map(|(file, _)| file.as_path()).collect()
    }

    /// How many files there are.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.scan.files.len()
    }

    /// Where a file is on the disk.
    #[must_use]
    pub fn path(&self, file: &Path) -> PathBuf {
        self.root.join(file)
    }

    /// A file's bytes.
    pub fn bytes(&self, file: &Path) -> Result<Vec<u8>, Error> {
        let path = self.path(file);
        fs::read(&path).map_err(|source| Error::Io { doing: "read", path, source })
    }

    /// Puts a file in place at once: whoever reads sees the old one or the new one, also after a crash.
    pub fn write(&self, file: &Path, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(file);
        refuse_link(&path)?;
        replace(&path, bytes).map_err(|source| Error::Io { doing: "write", path, source })
    }

    /// What taking an object out does to its file.
    pub fn without(&self, located: &Located) -> Result<FileChange, Error> {
        let file = located.file.clone();
        let bytes = self.bytes(&file)?;
        let text = String::from_utf8_lossy(&bytes);
        let rest = documents::without(&text, located.line);
        let left = parse_located(&file, rest.as_bytes()).map_err(Error::Refused)?;
        let is_intact = |located: &Located| {
            self.declarations(&located.manifest.key()).iter().any(|old| old.manifest.has_spec_of(&located.manifest))
        };
        let before = self.manifests().filter(|other| other.file == file).count();
        if left.len() + 1 != before || !left.iter().all(is_intact) {
            return Err(Error::Apart(file));
        }
        Ok(match (left.is_empty(), self.file_count()) {
            (true, 1) => FileChange::Empty(file),
            (true, _) => FileChange::Remove(file),
            (false, _) => FileChange::Cut(file, rest.into_bytes()),
        })
    }

    /// Takes a file away.
    pub fn remove(&self, file: &Path) -> Result<(), Error> {
        let path = self.path(file);
        refuse_link(&path)?;
        let parent = path.parent().unwrap_or(Path::new("."));
        let removed = fs::remove_file(&path).and_then(|()| {
            crash::point("manifest-after-remove");
            File::open(parent)?.sync_all()
        });
        removed.map_err(|source| Error::Io { doing: "remove", path, source })
    }
}

fn refuse_link(path: &Path) -> Result<(), Error> {
    if path.is_symlink() { Err(Error::Link(path.to_owned())) } else { Ok(()) }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    // Of the same directory, so that the rename is one.
    let mode = fs::Permissions::from_mode(MODE);
    let mut temporary = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).permissions(mode).tempfile_in(parent)?;
    if let Ok(existing) = fs::metadata(path) {
        temporary.as_file().set_permissions(existing.permissions())?;
    }
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    crash::point("manifest-after-temp");
    temporary.persist(path).map_err(|error| error.error)?;
    crash::point("manifest-after-rename");
    File::open(parent)?.sync_all()
}

/// What is done to the file of an object that is not declared any more.
#[derive(Debug, PartialEq, Eq)]
pub enum FileChange {
    /// It goes.
    Remove(PathBuf),
    /// It loses a document.
    Cut(PathBuf, Vec<u8>),
    /// It would be the last one to go, so an empty one stays.
    Empty(PathBuf),
}

impl FileChange {
    /// Makes it. The directory is to be read again before the next one.
    pub fn make(&self, directory: &DesiredDirectory) -> Result<(), Error> {
        match self {
            Self::Remove(file) => directory.remove(file),
            Self::Cut(file, rest) => directory.write(file, rest),
            Self::Empty(file) => directory.write(file, PLACEHOLDER.as_bytes()),
        }
    }

    /// The same in words.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::Remove(_) => "the file is removed",
            Self::Cut(..) => "its document is taken out, the others stay",
            Self::Empty(_) => "the file stays with a comment, so that the directory does not look like a missing mount",
        }
    }
}
