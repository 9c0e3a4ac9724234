//! What Mooring itself needs.

use std::path::Path;

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

/// By writing there: modes, read-only mounts and a full disk are all one question then.
fn state(directory: &Path) -> Result<Option<String>, String> {
    if !directory.exists() {
        return Ok(None);
    }
    let written = tempfile::Builder::new().prefix(".doctor-").tempfile_in(directory);
    let written = written.and_then(|file| file.as_file().set_len(4096).and_then(|()| file.as_file().sync_all()));
    written.map(|()| Some("can be written".to_owned())).map_err(|error| format!("cannot be written: {error}"))
}

fn desired(directory: &Path) -> Result<Option<String>, String> {
    match std::fs::read_dir(directory) {
        Ok(_) => Ok(Some("can be read".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}
