//! Only one Mooring on a state directory.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::fcntl::{Flock, FlockArg};

use crate::crash;

/// A lock on the state directory, held as long as this value lives. The kernel releases it when we die.
#[derive(Debug)]
pub struct Instance(#[expect(dead_code, reason = "holding it is its purpose")] Flock<File>);

/// The state directory cannot be ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("another mooring holds {directory} ({holder}); stop it, or use another --state")]
    Held {
        /// The state directory.
        directory: String,
        /// What the holder wrote about itself.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("the lock in {directory} cannot be used")]
    Io {
        /// The state directory.
        directory: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Takes the state directory for ourselves, or says who has it.
pub fn take(state: &Path) -> Result<Instance, Error> {
    let directory = state.display().to_string();
    let failed = |source| Error::Io { directory: directory.clone(), source };
    let path = state.join("mooring.lock");
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0).and_then(|()| lock.rewind()).map_err(failed)?;
            crash::point("lock-before-name");
            let host = nix::unistd::gethostname().unwrap_or_default();
            writeln!(lock, "pid {} on {}", std::process::id(), host.to_string_lossy()).map_err(failed)?;
            Ok(Instance(lock))
        }
        Err((mut file, _)) => {
            let mut holder = String::new();
            // Whoever holds it may be writing its name right now; without a name it is held all the same.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "it did not say who it is" } else { holder }.to_owned();
            Err(Error::Held { directory, holder })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_told_who_holds_the_directory() {
        let state = tempfile::tempdir().unwrap();
        let first = take(state.path()).unwrap();
        let refusal = take(state.path()).unwrap_err().to_string();
        assert!(refusal.contains(&format!("pid {}", std::process::id())), "{refusal}");
        drop(first);
        take(state.path()).unwrap();
    }
}
