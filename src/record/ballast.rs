//! Room that is kept for the day on which the disk is full.
//!
//! Without a record nothing is done ([decision 1]), so a full disk would end all healing, just when things begin to fall over.
//! A file in the state directory holds a little room that nobody else can take. When the database cannot grow any
//! more, the file goes, and what follows is recorded, and done, in its place: some thousands of rows. It is laid again when
//! there is room.
//!
//! [decision 1]: ../../../docs/decisions/0001-no-record-no-act.md

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{fcntl::posix_fallocate, sys::statvfs::statvfs};

use crate::crash;

/// Its name in the state directory.
const FILE: &str = "ballast";

/// How much it holds. A row is some 400 bytes, and is written twice: into the write-ahead log and into the file.
const BYTES: u32 = 8 << 20;

/// It is laid where this much stays free beside it: a disk that is nearly full is not filled by us.
const FREE: u64 = 4 * BYTES as u64;

/// How often to look whether it can be laid again.
pub(super) const AGAIN: Duration = Duration::from_mins(1);

/// Bytes in a block, as `stat` counts them, whatever the file system's own are.
const BLOCK: u64 = 512;

/// The file, there or not.
#[derive(Debug)]
pub(super) struct Ballast {
    directory: PathBuf,
    path: PathBuf,
}

impl Ballast {
    pub(super) fn in_directory(state: &Path) -> Self {
        Self { directory: state.to_owned(), path: state.join(FILE) }
    }

    /// Takes the room, if it is not taken and there is enough of it. True if it was taken just now.
    ///
    /// Who dies in between leaves a shorter one, which the next attempt makes whole.
    pub(super) fn lay(&self) -> io::Result<bool> {
        if fs::metadata(&self.path).is_ok_and(|file| file.blocks() * BLOCK >= u64::from(BYTES)) {
            return Ok(false);
        }
        if self.free()? < FREE + u64::from(BYTES) {
            return Ok(false);
        }
        let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        crash::point("ballast-after-make");
        if let Err(error) = posix_fallocate(&file, 0, i64::from(BYTES)) {
            // A part of it would only be in the way.
            self.give_up();
            return Err(error.into());
        }
        Ok(true)
    }

    /// Whether there is hardly any room left.
    pub(super) fn is_scarce(&self) -> bool {
        self.free().is_ok_and(|free| free < u64::from(BYTES))
    }

    /// Bytes that are left on the disk for anybody.
    fn free(&self) -> io::Result<u64> {
        let disk = statvfs(&self.directory)?;
        Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }

    /// Gives the room back. False if there was none.
    pub(super) fn give_up(&self) -> bool {
        match fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, path = %self.path.display(), "the ballast cannot be removed");
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_its_room_once_and_gives_all_of_it_back() {
        let state = tempfile::tempdir().unwrap();
        let ballast = Ballast::in_directory(state.path());
        assert!(ballast.lay().unwrap());
        assert!(!ballast.lay().unwrap());
        let taken = fs::metadata(state.path().join(FILE)).unwrap();
        assert!(taken.blocks() * BLOCK >= u64::from(BYTES));
        assert_eq!(taken.mode() & 0o777, 0o600);
        assert!(ballast.give_up());
        assert!(!state.path().join(FILE).exists() && !ballast.give_up());
    }

    #[test]
    fn one_that_was_cut_short_is_made_whole() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(FILE), "short").unwrap();
        let ballast = Ballast::in_directory(state.path());
        assert!(ballast.lay().unwrap());
        assert!(fs::metadata(state.path().join(FILE)).unwrap().blocks() * BLOCK >= u64::from(BYTES));
    }
}
