//! A directory → what each of its files says now.
//!
//! Every `*.yaml` and `*.yml` file below the directory is read; files that have
//! not changed are not parsed again. A file that cannot be read is reported as
//! that, and a directory that cannot be read is an error: neither looks as if
//! something had been deleted. Writes nothing.

mod walk;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use super::{
    parse::{self, Located, MAX_BYTES},
    problem::Problem,
};

/// The most files of one directory: twice what is promised, far below what would make every scan a burden.
pub const MAX_FILES: usize = 20_000;

/// The directory could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or may not be read, or is no directory.
    #[error("the desired-state directory {} cannot be read", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has more files than are ever meant for us: probably it is the wrong one.
    #[error("the desired-state directory {} has more than {MAX_FILES} YAML files below it", path.display())]
    TooManyFiles {
        /// The directory.
        path: PathBuf,
    },
}

/// What one file says.
#[derive(Clone, Debug, PartialEq)]
pub enum FileReading {
    /// Its manifests; none for a file of comments.
    Parsed(Vec<Located>),
    /// Everything that is wrong with it.
    Refused(Vec<Problem>),
    /// Why it could not be read. Of a directory: none of the files below it could.
    Unreadable(String),
}

/// What all files of the directory say, by their paths relative to it.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The readings. They are shared with the scanner, which gives the same ones again while a file does not change.
    pub files: BTreeMap<PathBuf, Arc<FileReading>>,
}

impl Scan {
    /// Whether there is no file at all. One with only a comment in it is a file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// Reads a directory that it has never seen.
pub fn scan(directory: &Path) -> Result<Scan, Error> {
    Scanner::new(directory).scan()
}

/// Reads a directory again and again.
#[derive(Debug)]
pub struct Scanner {
    directory: PathBuf,
    known: BTreeMap<PathBuf, Known>,
}

/// What is known of a file since it was last read.
#[derive(Debug)]
struct Known {
    stamp: Stamp,
    /// Whether the stamp was the same at two readings. The clock of file systems is so coarse that a second write
    /// can leave the stamp of the first, but not when the first was seen in an earlier scan.
    is_settled: bool,
    digest: [u8; 32],
    reading: Arc<FileReading>,
}

/// What changes when a file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Scanner {
    /// A scanner of this directory, which need not exist yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), known: BTreeMap::new() }
    }

    /// Reads what is there now.
    pub fn scan(&mut self) -> Result<Scan, Error> {
        let walk::Listing { files, unreadable } = walk::list(&self.directory)?;
        let mut scan = Scan::default();
        let mut known = BTreeMap::new();
        for file in files {
            match self.look(&file) {
                Ok(Some(now)) => {
                    scan.files.insert(file.clone(), Arc::clone(&now.reading));
                    known.insert(file, now);
                }
                Ok(None) => {}
                Err(error) => drop(scan.files.insert(file, Arc::new(FileReading::Unreadable(error.to_string())))),
            }
        }
        self.known = known;
        let unreadable = unreadable.into_iter().map(|(path, reason)| (path, Arc::new(FileReading::Unreadable(reason))));
        scan.files.extend(unreadable);
        Ok(scan)
    }

    /// What a file says now; `None` when it has gone since it was listed.
    fn look(&mut self, file: &Path) -> io::Result<Option<Known>> {
        let path = self.directory.join(file);
        let known = self.known.remove(file);
        match (known, fs::metadata(&path)) {
            (Some(known), Ok(metadata)) if known.is_settled && known.stamp == Stamp::of(&metadata) => Ok(Some(known)),
            (known, Ok(_)) => read(&path).map(|(stamp, bytes)| Some(understand(file, known, stamp, &bytes))),
            (_, Err(error)) => match fs::symlink_metadata(&path) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
                // A link to nowhere is there; what it leads to may be on a mount that is not.
                Err(_) | Ok(_) => Err(error),
            },
        }
    }
}

/// The reading of a file's bytes: the known one when they are the same.
fn understand(file: &Path, known: Option<Known>, stamp: Stamp, bytes: &[u8]) -> Known {
    let digest = Sha256::digest(bytes).into();
    match known.filter(|known| known.digest == digest) {
        Some(known) => Known { is_settled: known.stamp == stamp, stamp, ..known },
        None => Known { stamp, is_settled: false, digest, reading: Arc::new(parsed(file, bytes)) },
    }
}

fn parsed(file: &Path, bytes: &[u8]) -> FileReading {
    match parse::parse_located(file, bytes) {
        Ok(manifests) => FileReading::Parsed(manifests),
        Err(problems) => FileReading::Refused(problems),
    }
}

/// The bytes of a regular file, but not many more than are ever parsed.
pub(super) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    read(path).map(|(_, bytes)| bytes)
}

/// Reads a file, but not much more of it than is ever parsed.
fn read(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let file = open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((stamp, bytes))
}

/// Opens a regular file, and nothing else: opening a pipe would wait for its writer.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path)?;
    let kind = file.metadata()?.file_type();
    match () {
        () if kind.is_file() => Ok(file),
        () if kind.is_dir() => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")),
        () => Err(io::Error::other("it is not a regular file")),
    }
}
