//! Who writes which file: the kernel's own word, whatever Mooring says.
//!
//! The directories in which Mooring writes are watched, and what was changed in
//! them is looked at whenever the thread of the run has nothing to do: before
//! anything that follows from it can happen. What people change is taken out at once.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::oracle::Oracle;

/// What the names of files begin with that are still being written.
pub const UNFINISHED: &str = ".mooring-tmp-";

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What is watched in one run.
struct Watch {
    inotify: Inotify,
    /// Where changes are seen.
    places: BTreeMap<WatchDescriptor, PathBuf>,
    oracle: Oracle,
}

/// From here on, changes in what is added are told to this oracle.
pub fn begin(oracle: &Oracle) {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
    WATCH.set(Some(Watch { inotify, places: BTreeMap::new(), oracle: oracle.clone() }));
}

/// Watches this directory, if it is there.
pub fn add(directory: &Path) {
    // Not the end of writing: it comes after the file has its last name, and would be a second change of it.
    let kinds = AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_ONLYDIR;
    WATCH.with_borrow_mut(|watch| {
        let Some(watch) = watch else { return };
        if let Ok(place) = watch.inotify.add_watch(directory, kinds) {
            watch.places.insert(place, directory.to_owned());
        }
    });
}

/// What was changed since the last look was changed by Mooring.
pub fn look() {
    WATCH.with_borrow(|watch| {
        if let Some(watch) = watch {
            let changed = watch.take();
            if !changed.is_empty() {
                watch.oracle.wrote(&changed);
            }
        }
    });
}

/// What was changed since the last look was changed by people.
pub fn forget() {
    WATCH.with_borrow(|watch| {
        if let Some(watch) = watch {
            watch.take();
        }
    });
}

/// Nothing is watched any more.
pub fn end() {
    WATCH.set(None);
}

/// A text without what no seed decides about: a part of temporary names, and when the kernel says that a file was written.
pub fn without_chance(text: &str) -> String {
    let without = |text: &str, before: &str, is_chance: fn(char) -> bool| {
        let mut parts = text.split(before);
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |told, part| told + before + part.trim_start_matches(is_chance))
    };
    let text = without(text, UNFINISHED, |letter| letter.is_ascii_alphanumeric());
    without(&text, "was last written at ", |letter| letter != ',')
}

impl Watch {
    fn take(&self) -> BTreeSet<PathBuf> {
        let mut changed = BTreeSet::new();
        // An error says that there is nothing more.
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                let name = event.name.unwrap_or_default();
                let is_file = !event.mask.contains(AddWatchFlags::IN_ISDIR) && !name.is_empty();
                if is_file && !name.to_string_lossy().starts_with(UNFINISHED) {
                    changed.extend(self.places.get(&event.wd).map(|place| place.join(&name)));
                }
            }
        }
        changed
    }
}
