//! What Mooring itself needs.

use std::path::Path;

use nix::{
    errno::Errno,
    sys::statvfs::statvfs,
    unistd::{AccessFlags, access},
};

use super::{super::engine::engines, Checked, Verdict};
use crate::settings::Settings;

/// Looks at the engine and at both directories.
pub(super) async fn check(settings: &Settings) -> Vec<Checked> {
    let engine = engine(settings).await;
    let state = checked(format!("state {}", settings.state.display()), state(&settings.state));
    let desired = checked(format!("desired {}", settings.desired.display()), desired(&settings.desired));
    vec![checked(format!("engine {}", settings.engine), engine.map(Some)), state, desired]
}

/// A sentence about what is good, nothing where there is nothing to say, or what is wrong.
fn checked(check: String, result: Result<Option<String>, String>) -> Checked {
    let (verdict, message) = match result {
        Ok(Some(message)) => (Verdict::Good, message),
        Ok(None) => (Verdict::Skipped, "there is none".to_owned()),
        Err(message) => (Verdict::Wrong, message),
    };
    Checked { check, verdict, message }
}

async fn engine(settings: &Settings) -> Result<String, String> {
    let (engines, _) = engines(settings).map_err(|error| crate::error_chain(&error))?;
    let description = engines.observe.describe().await.map_err(|error| crate::error_chain(&error))?;
    Ok(format!("version {}, API {}", description.version, description.api_version))
}

/// Asks for modes, a read-only mount and a full disk, and does not try: who looks for what is wrong changes nothing.
fn state(directory: &Path) -> Result<Option<String>, String> {
    if !directory.exists() {
        return Ok(None);
    }
    let cannot = |why: Errno| format!("cannot be written: {}", std::io::Error::from(why));
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK).map_err(cannot)?;
    let disk = statvfs(directory).map_err(cannot)?;
    // Where files are not counted there are none in all.
    if disk.blocks_available() == 0 || (disk.files() > 0 && disk.files_available() == 0) {
        return Err(cannot(Errno::ENOSPC));
    }
    Ok(Some("can be written".to_owned()))
}

fn desired(directory: &Path) -> Result<Option<String>, String> {
    match std::fs::read_dir(directory) {
        Ok(_) => Ok(Some("can be read".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}
