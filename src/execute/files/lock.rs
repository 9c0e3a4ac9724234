//! Advisory locks: nself's own, and one on the file that is to be replaced.

use std::{
    fs::TryLockError,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::Error;
use crate::observe::file::{Directory, Handle};

/// The lock that nself's programs hold while they change a project.
const PROJECT_LOCK: &str = ".nself/op.lock";

/// Longer than an editor or a script takes to save a file, and short enough for a reconcile pass to wait for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a lock is tried. There is no way to wait for one that ends by itself.
const INTERVAL: Duration = Duration::from_millis(20);

/// What nself writes about the holder of its lock; that is a few hundred bytes.
const HOLDER_LIMIT: u64 = 4096;

/// Held locks. They end with the files being closed.
pub(super) struct Locks {
    _project: Option<Handle>,
    _file: Option<Handle>,
}

/// Locks the project if nself manages it, and the file if it is there.
pub(super) fn take(directory: &Directory, name: &str) -> Result<Locks, Error> {
    let deadline = Instant::now() + PATIENCE;
    let project = lock(directory, Path::new(PROJECT_LOCK), deadline)?;
    let file = lock(directory, Path::new(name), deadline)?;
    Ok(Locks { _project: project, _file: file })
}

fn lock(directory: &Directory, name: &Path, deadline: Instant) -> Result<Option<Handle>, Error> {
    loop {
        let opened = directory.handle(name);
        let Some(mut handle) = opened.map_err(|source| Error::Refused { path: directory.path().join(name), source })? else {
            return Ok(None);
        };
        match handle.file.try_lock() {
            // Whoever held it before may have put another file in its place.
            Ok(()) if is_current(&handle, directory, name) => return Ok(Some(handle)),
            Ok(()) | Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Error::Locked { holder: holder(&mut handle), path: handle.path });
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => thread::sleep(INTERVAL),
            Err(TryLockError::Error(source)) => return Err(Error::Io { doing: "lock", path: handle.path, source }),
        }
    }
}

fn is_current(locked: &Handle, directory: &Directory, name: &Path) -> bool {
    matches!(directory.handle(name), Ok(Some(named)) if named.stamp.is_same_file(&locked.stamp))
}

/// What nself says about itself in its lock file. There is a token in it as well, which is nobody's business.
#[derive(Deserialize)]
struct Holder {
    pid: u32,
    command: String,
}

fn holder(handle: &mut Handle) -> String {
    let text = handle.read(HOLDER_LIMIT).ok();
    match text.and_then(|text| serde_json::from_slice(&text).ok()) {
        Some(Holder { pid, command }) => format!("{command} (process {pid})"),
        None => "another program".to_owned(),
    }
}
