//! Which files below a directory are meant for us.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, DirEntry},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{Error, MAX_FILES};

/// How deep directories may lie in each other; beyond it there is a mistake.
const MAX_DEPTH: usize = 32;
/// The file that makes a directory a plugin's.
const PLUGIN: &str = "plugin.json";

/// What was found, by paths relative to the directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The files to read, in order.
    pub(super) files: BTreeSet<PathBuf>,
    /// Directories that could not be listed and names that cannot be used, with the reason.
    pub(super) unreadable: Vec<(PathBuf, String)>,
}

/// Lists the YAML files below a directory.
pub(super) fn list(root: &Path) -> Result<Listing, Error> {
    let mut walk = Walk { root, listing: Listing::default(), pending: vec![PathBuf::new()], visited: BTreeSet::new() };
    while let Some(directory) = walk.pending.pop() {
        match walk.directory(&directory) {
            Ok(()) => {}
            Err(source) if directory.as_os_str().is_empty() => return Err(Error::Unreadable { path: root.to_owned(), source }),
            // It has gone since its parent was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => walk.listing.unreadable.push((directory, error.to_string())),
        }
        if walk.listing.files.len() > MAX_FILES {
            return Err(Error::TooManyFiles { path: root.to_owned() });
        }
    }
    Ok(walk.listing)
}

struct Walk<'a> {
    root: &'a Path,
    listing: Listing,
    pending: Vec<PathBuf>,
    /// The directories by device and inode: links to directories are followed, and may lead round in a circle.
    visited: BTreeSet<(u64, u64)>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Path) -> io::Result<()> {
        let path = self.root.join(directory);
        let metadata = fs::metadata(&path)?;
        if !self.visited.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        if directory.components().count() > MAX_DEPTH {
            return Err(io::Error::other(format!("it lies more than {MAX_DEPTH} directories deep")));
        }
        // What is in a plugin's directory is the plugin's: its Compose file is no manifest.
        if !directory.as_os_str().is_empty() && path.join(PLUGIN).is_file() {
            return Ok(());
        }
        for entry in fs::read_dir(&path)? {
            self.entry(directory, &entry?);
            if self.listing.files.len() > MAX_FILES {
                break;
            }
        }
        Ok(())
    }

    fn entry(&mut self, directory: &Path, entry: &DirEntry) {
        let name = entry.file_name();
        if is_leftover(&name) {
            return;
        }
        let path = directory.join(&name);
        if is_yaml(&path) {
            if name.to_str().is_some() {
                self.listing.files.insert(path);
            } else {
                // Problems, annotations and the catalogue name the file, and all of them are text.
                let shown = path.to_string_lossy().into_owned();
                self.listing.unreadable.push((shown.into(), "its name is not UTF-8".to_owned()));
            }
        } else if entry.path().is_dir() {
            self.pending.push(path);
        }
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Whether an editor, or a volume that swaps its content, has its reasons for a name: `.web.yaml.swp`, `web.yaml~`, `#web.yaml#`, `..data`.
fn is_leftover(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.ends_with(b"~") || (name.starts_with(b"#") && name.ends_with(b"#"))
}
