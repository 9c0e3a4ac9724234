//! Files of one directory, and nothing outside it.
//!
//! A link is followed only as far as it stays inside; whatever is not a regular
//! file is refused before it is opened, so that a pipe cannot make us wait and a
//! device cannot notice us. *Not there* is an answer, everything else that is in
//! the way is a [`Refusal`].

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o7777;

/// Why a file is not touched.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The directory itself is not there or cannot be entered. That is not an empty directory.
    #[error("its directory cannot be used: {source}")]
    Directory {
        /// What went wrong.
        source: io::Error,
    },
    /// A link, or a name with `..` in it, leads somewhere else.
    #[error("it is a link out of its directory")]
    Outside,
    /// A link whose target does not exist.
    #[error("it is a link to nothing")]
    Dangling,
    /// Something else has the name.
    #[error("it is {kind}, not a file")]
    NotAFile {
        /// What it is.
        kind: &'static str,
    },
    /// Nobody writes that much by hand.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// How large it may be.
        limit: u64,
    },
    /// The system says no.
    #[error("it cannot be read: {source}")]
    Io {
        /// What went wrong.
        source: io::Error,
    },
}

impl From<io::Error> for Refusal {
    fn from(source: io::Error) -> Self {
        Self::Io { source }
    }
}

/// A directory that is there, by its real path.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

/// An open regular file inside a directory.
#[derive(Debug)]
pub struct Handle {
    /// The file.
    pub file: File,
    /// Its real path: where a replacement has to go, when its name is a link.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Which file it was, and when it was last written, when it was opened.
    pub stamp: Stamp,
}

/// Which file has a name, and when it was last written. Tells a file that was
/// emptied, filled and emptied again from one that nobody has touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    written: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        let written = (metadata.mtime(), metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), written }
    }

    /// Whether it is the same file, be it written since.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl Directory {
    /// Finds the directory.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        let root = fs::canonicalize(path).map_err(|source| Refusal::Directory { source })?;
        match fs::metadata(&root) {
            Ok(metadata) if metadata.is_dir() => Ok(Self { root }),
            Ok(_) => Err(Refusal::Directory { source: io::ErrorKind::NotADirectory.into() }),
            Err(source) => Err(Refusal::Directory { source }),
        }
    }

    /// Its real path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The real path that `name` has, or would have if the file were made.
    pub fn locate(&self, name: &Path) -> Result<PathBuf, Refusal> {
        let named = self.root.join(name);
        match fs::canonicalize(&named) {
            Ok(path) => self.inside(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(&named) {
                Ok(_) => Err(Refusal::Dangling),
                Err(_) => self.locate_absent(&named),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the file for reading, without ever waiting. None when there is none.
    pub fn handle(&self, name: &Path) -> Result<Option<Handle>, Refusal> {
        let path = self.locate(name)?;
        match fs::symlink_metadata(&path) {
            Ok(metadata) => refuse_special(&metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        refuse_special(&metadata)?;
        // Between looking and opening, a directory on the way may have become a
        // link. The kernel knows which file this really is.
        self.inside(fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?)?;
        let (mode, stamp) = (metadata.mode() & PERMISSIONS, Stamp::of(&metadata));
        Ok(Some(Handle { file, path, mode, stamp }))
    }

    fn locate_absent(&self, named: &Path) -> Result<PathBuf, Refusal> {
        let name = named.file_name().ok_or(Refusal::Outside)?;
        let parent = named.parent().unwrap_or(&self.root);
        match fs::canonicalize(parent) {
            Ok(parent) => self.inside(parent.join(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(named.to_owned()),
            Err(error) => Err(error.into()),
        }
    }

    fn inside(&self, path: PathBuf) -> Result<PathBuf, Refusal> {
        if path.starts_with(&self.root) { Ok(path) } else { Err(Refusal::Outside) }
    }
}

impl Handle {
    /// Everything that is in it, from the start, if it is not more than `limit` bytes.
    pub fn read(&mut self, limit: u64) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        use io::Seek as _;
        self.file.rewind()?;
        let mut bytes = Zeroizing::new(Vec::new());
        (&self.file).take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(Refusal::TooLarge { limit }) } else { Ok(bytes) }
    }
}

fn refuse_special(metadata: &fs::Metadata) -> Result<(), Refusal> {
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_symlink() => "a link",
        () => "a device",
    };
    Err(Refusal::NotAFile { kind })
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use expect_test::expect;
    use tempfile::TempDir;

    use super::*;

    /// What opening a file comes to, in a directory that lies beside another one.
    fn open(prepare: impl FnOnce(&Path)) -> String {
        let outer = TempDir::new().unwrap();
        let directory = outer.path().join("inside");
        fs::create_dir(&directory).unwrap();
        fs::create_dir(outer.path().join("outside")).unwrap();
        fs::write(outer.path().join("outside/file"), "outside").unwrap();
        prepare(&directory);
        match Directory::open(&directory).and_then(|directory| directory.handle(Path::new("file"))) {
            Ok(Some(mut handle)) => handle.read(100).map_or_else(
                |refusal| refusal.to_string(),
                |bytes| format!("{:04o} {}", handle.mode, String::from_utf8_lossy(&bytes)),
            ),
            Ok(None) => "absent".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn a_file_is_read() {
        expect!["0644 content"].assert_eq(&open(|inside| fs::write(inside.join("file"), "content").unwrap()));
    }

    #[test]
    fn what_is_not_there_is_absent_but_a_directory_that_is_not_there_is_not_empty() {
        expect!["absent"].assert_eq(&open(|_| {}));
        expect!["its directory cannot be used: No such file or directory (os error 2)"]
            .assert_eq(&open(|inside| fs::remove_dir(inside).unwrap()));
    }

    #[test]
    fn a_link_is_followed_inside_the_directory() {
        let found = open(|inside| {
            fs::create_dir(inside.join("sub")).unwrap();
            fs::write(inside.join("sub/target"), "content").unwrap();
            symlink("sub/target", inside.join("file")).unwrap();
        });
        expect!["0644 content"].assert_eq(&found);
    }

    #[test]
    fn a_link_out_of_the_directory_is_refused() {
        expect!["it is a link out of its directory"]
            .assert_eq(&open(|inside| symlink("../outside/file", inside.join("file")).unwrap()));
        expect!["it is a link out of its directory"]
            .assert_eq(&open(|inside| symlink("/etc/hostname", inside.join("file")).unwrap()));
    }

    #[test]
    fn a_link_to_nothing_is_not_an_absent_file() {
        expect!["it is a link to nothing"].assert_eq(&open(|inside| symlink("gone", inside.join("file")).unwrap()));
    }

    #[test]
    fn a_link_to_itself_is_refused() {
        expect!["it cannot be read: Too many levels of symbolic links (os error 40)"]
            .assert_eq(&open(|inside| symlink("file", inside.join("file")).unwrap()));
    }

    #[test]
    fn what_is_not_a_file_is_refused_at_once() {
        expect!["it is a directory, not a file"].assert_eq(&open(|inside| fs::create_dir(inside.join("file")).unwrap()));
        expect!["it is a pipe, not a file"].assert_eq(&open(|inside| {
            nix::unistd::mkfifo(&inside.join("file"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }));
        expect!["it is a socket, not a file"].assert_eq(&open(|inside| drop(UnixListener::bind(inside.join("file")).unwrap())));
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        expect!["it is larger than 100 bytes"].assert_eq(&open(|inside| fs::write(inside.join("file"), [b'a'; 101]).unwrap()));
    }

    #[test]
    fn a_name_cannot_climb_out_of_the_directory() {
        let outer = TempDir::new().unwrap();
        fs::create_dir(outer.path().join("inside")).unwrap();
        fs::write(outer.path().join("file"), "").unwrap();
        let directory = Directory::open(&outer.path().join("inside")).unwrap();
        for name in ["../file", "../absent", "..", "/etc/hostname", "/absent"] {
            assert!(matches!(directory.locate(Path::new(name)), Err(Refusal::Outside)), "{name}");
        }
    }
}
