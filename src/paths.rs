//! Paths as they are written, without asking the file system.

use std::path::{Component, Path, PathBuf};

/// What the name of every unfinished file begins with: hidden, and no manifest's, `.env`'s or site's.
pub(crate) const TEMPORARY_PREFIX: &str = ".mooring-tmp-";

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
