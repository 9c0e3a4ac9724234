//! Paths as they are written, without asking the file system.

use std::path::{Component, Path, PathBuf};

/// What the name of every unfinished file begins with: hidden, and no manifest's, `.env`'s or site's.
pub(crate) const TEMPORARY_PREFIX: &str = ".mooring-tmp-";

/// Where the old text of a repaired file is kept, until it is known not to be needed. No pattern that nginx uses names hidden files.
pub(crate) fn copy_before(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".mooring-before-{name}"))
}

/// Takes `.` and `..` out of a path without asking the file system.
pub(crate) fn normalize(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => normal.push(component),
        }
        normal
    })
}
