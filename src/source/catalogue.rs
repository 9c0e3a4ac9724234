//! All files → what is in force.
//!
//! The catalogue holds the last good state of every file. A file that is broken
//! or unreadable keeps what it last said in force; only a file that is gone takes
//! its manifests with it. It outlives a restart, so that a file which is broken
//! at the start is not taken for one that never was.

mod merge;
mod stored;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

pub use super::state_file::Error;
pub use merge::merge;

use super::{directory::Scan, parse::Located, problem::Problem};
use crate::manifest::{Key, Manifest};

/// What is in force, and what is wrong with the files.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    in_force: BTreeMap<Key, Located>,
    /// Good manifests whose name another file has, and had first.
    shadowed: Vec<Located>,
    problems: Vec<Problem>,
    /// Files whose last good version stays in force, and why.
    retained: BTreeMap<PathBuf, String>,
    has_files: bool,
    /// Whether what is kept on disk is older than this.
    is_changed: bool,
}

impl Catalogue {
    /// Takes in what the files say now. A scan without any file changes nothing but [`Catalogue::has_files`].
    pub fn merge(&mut self, scan: &Scan) {
        *self = merge(std::mem::take(self), scan);
    }

    /// The manifests in force.
    #[must_use]
    pub fn manifests(&self) -> BTreeMap<Key, Manifest> {
        self.in_force.iter().map(|(key, located)| (key.clone(), located.manifest.clone())).collect()
    }

    /// The manifests in force, with the places where they stand.
    #[must_use]
    pub fn located(&self) -> &BTreeMap<Key, Located> {
        &self.in_force
    }

    /// Everything that is wrong with any file now.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The objects that stay as they are although some file says something else now, and why: the file is broken, or
    /// not the only one that declares them.
    #[must_use]
    pub fn retained(&self) -> BTreeMap<Key, String> {
        let reason = |located: &Located| self.retained.get(&located.file).cloned();
        let mut retained: BTreeMap<Key, String> =
            self.in_force.iter().filter_map(|(key, located)| Some((key.clone(), reason(located)?))).collect();
        for other in &self.shadowed {
            let key = other.manifest.key();
            if let Some(chosen) = self.in_force.get(&key) {
                let (file, line, ours) = (other.file.display(), other.line, chosen.file.display());
                let message =
                    format!("{file}:{line} declares it too, which has no effect: {ours}:{} stays in force", chosen.line);
                retained.entry(key).or_insert(message);
            }
        }
        retained
    }

    /// The files whose last good version stays in force.
    #[must_use]
    pub fn retained_files(&self) -> BTreeSet<&Path> {
        self.retained.keys().map(PathBuf::as_path).collect()
    }

    /// Whether nothing is in force.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_force.is_empty()
    }

    /// Whether the last scan found any file. An emptied directory looks like a missing mount, so what was in force
    /// stays in force; it is for the caller to hold, and to report.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.has_files
    }

    /// Everything good that is known of every file.
    fn last_good(&self) -> impl Iterator<Item = &Located> {
        self.in_force.values().chain(&self.shadowed)
    }
}
