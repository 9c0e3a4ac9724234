//! Putting a whole file where another one, or none, was.
//!
//! The new text goes into a temporary file beside the old one, onto the disk,
//! and then takes the name in one step. A crash leaves the old file or the new
//! one, and perhaps the temporary one.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, fchown},
    path::Path,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
};
use tempfile::NamedTempFile;

use super::{Error, Place};
use crate::{
    crash,
    dotenv::MAX_SIZE,
    observe::file::{Directory, Handle, Stamp},
    paths::TEMPORARY_PREFIX,
};

/// How long a file has to stay as it is before it is replaced. Many editors
/// empty a file and then write it; replacing it between the two would throw the
/// edit away, because it goes on into the file that has lost its name.
const SETTLE: Duration = Duration::from_millis(10);

/// The names of the places at which a test can make us die.
pub(super) struct Stages {
    pub(super) before_write: &'static str,
    pub(super) after_temp: &'static str,
    pub(super) after_rename: &'static str,
    pub(super) after_sync: &'static str,
}

macro_rules! stages {
    ($effect:literal) => {
        Stages {
            before_write: concat!($effect, "-before-write"),
            after_temp: concat!($effect, "-after-temp"),
            after_rename: concat!($effect, "-after-rename"),
            after_sync: concat!($effect, "-after-sync"),
        }
    };
}
pub(super) use stages;

/// Makes a file where there is none. Should there be one by now, it stays.
pub(super) fn create(place: &Place, text: &[u8], stages: &Stages) -> Result<(), Error> {
    let path = place.locate()?;
    let directory = parent(&path);
    // Whoever owns the directory has to be able to read what is in it.
    let owner = fs::metadata(directory).map_err(failed("look at", directory))?;
    let temporary = write_temporary(directory, text, Some(&owner))?;
    crash::point(stages.after_temp);
    match temporary.persist_noclobber(&path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Err(place.changed()),
        Err(error) => return Err(failed("make", &path)(error.error)),
    }
    crash::point(stages.after_rename);
    finish(directory, stages)
}

/// Puts another file in the place of this one, if its content is as expected to
/// the last moment and one beyond: what has been written into the old file while
/// the names were exchanged brings it back.
pub(super) fn replace(old: &Handle, text: &[u8], stages: &Stages, is_expected: impl Fn(&[u8]) -> bool) -> Result<(), Error> {
    let directory = parent(&old.path);
    let owner = old.file.metadata().map_err(failed("look at", &old.path))?;
    let mut temporary = write_temporary(directory, text, Some(&owner))?;
    crash::point(stages.after_temp);
    thread::sleep(SETTLE);
    let changed = || Error::Changed { path: old.path.clone() };
    if !is_untouched(&old.path, old.stamp, &is_expected) {
        return Err(changed());
    }
    let exchanged = exchange(temporary.path(), &old.path).map_err(failed("replace", &old.path))?;
    if exchanged == Exchange::Swapped && !is_untouched(temporary.path(), old.stamp, &is_expected) {
        if let Err(error) = exchange(temporary.path(), &old.path) {
            // What somebody wrote is under the temporary name, and has to stay.
            temporary.disable_cleanup(true);
            return Err(failed("put back", &old.path)(error));
        }
        return Err(changed());
    }
    crash::point(stages.after_rename);
    // The temporary name has the old file now, or nothing.
    match temporary.close() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove the old", &old.path)(error)),
        Ok(()) | Err(_) => {}
    }
    finish(directory, stages)
}

/// Puts a file in a place that is ours alone, whatever is there.
pub(super) fn overwrite(path: &Path, text: &[u8], stages: &Stages) -> Result<(), Error> {
    let directory = parent(path);
    let temporary = write_temporary(directory, text, None)?;
    crash::point(stages.after_temp);
    temporary.persist(path).map_err(|error| failed("replace", path)(error.error))?;
    crash::point(stages.after_rename);
    finish(directory, stages)
}

/// Removes what a crash has left of unfinished changes in a directory; none when there is no such directory. What is younger than
/// `age` may be somebody's who is still at it.
pub fn sweep_temporaries(directory: &Path, age: Duration) -> io::Result<usize> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let is_temporary = entry.file_name().as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes());
        // Of a time to come, where the clock was set back: nobody is at that one either.
        let is_old = || io::Result::Ok(entry.metadata()?.modified()?.elapsed().unwrap_or(Duration::MAX) >= age);
        if is_temporary && entry.file_type()?.is_file() && is_old()? {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A file with this text that is on the disk and that nobody but its owner has ever been able to read.
fn write_temporary(directory: &Path, text: &[u8], owner: Option<&fs::Metadata>) -> Result<NamedTempFile, Error> {
    let write = || {
        // It is made with mode 0600, and under a name that did not exist.
        let mut temporary = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).rand_bytes(12).tempfile_in(directory)?;
        if let Some(owner) = owner
            && nix::unistd::geteuid().is_root()
        {
            fchown(temporary.as_file(), Some(owner.uid()), Some(owner.gid()))?;
        }
        temporary.write_all(text)?;
        temporary.as_file().sync_all()?;
        Ok(temporary)
    };
    write().map_err(failed("write a new file in", directory))
}

/// How a name came to another file.
#[derive(PartialEq, Eq)]
enum Exchange {
    /// The other name has the old file.
    Swapped,
    /// The old file is gone: this file system knows no better.
    Replaced,
}

fn exchange(new: &Path, old: &Path) -> io::Result<Exchange> {
    match renameat2(AT_FDCWD, new, AT_FDCWD, old, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => Ok(Exchange::Swapped),
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::ENOTSUP) => fs::rename(new, old).map(|()| Exchange::Replaced),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file of this name is the one that was read, unwritten since and
/// with the same content. The content is looked at because clocks are coarse.
fn is_untouched(path: &Path, stamp: Stamp, is_expected: impl Fn(&[u8]) -> bool) -> bool {
    let name = Path::new(path.file_name().unwrap_or_default());
    match Directory::open(parent(path)).and_then(|directory| directory.handle(name)) {
        Ok(Some(mut handle)) if handle.stamp == stamp => handle.read(MAX_SIZE as u64).is_ok_and(|bytes| is_expected(&bytes)),
        Ok(_) | Err(_) => false,
    }
}

/// Without this, a power failure could bring the old name back.
fn finish(directory: &Path, stages: &Stages) -> Result<(), Error> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("write to disk", directory))?;
    crash::point(stages.after_sync);
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}
