//! The containers that were found of plugins, over a restart: until Compose's
//! containers have been looked for again, what is made of a plugin must be the
//! same as before.

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::{error_chain, expand::Found, manifest::Key, source::catalogue::replace};

/// The file's name in the state directory.
const FILE: &str = "found.json";

/// What was found, by plugin.
pub(super) type FoundOf = BTreeMap<Key, Vec<Found>>;

/// What was last saved; nothing when there is none. They will be found again, so that losing it is worth a line in the log.
pub(super) fn load(state: &Path) -> FoundOf {
    let path = state.join(FILE);
    let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice::<Vec<(Key, Vec<Found>)>>(&bytes)?));
    match read {
        Ok(stored) => stored.into_iter().collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => FoundOf::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), error = error_chain(&error), "what was found of plugins is lost");
            FoundOf::new()
        }
    }
}

/// Saves what is known now.
pub(super) fn save(state: &Path, found: &FoundOf) {
    let stored: Vec<_> = found.iter().collect();
    if let Err(error) = replace(state, FILE, &stored) {
        tracing::warn!(error = error_chain(&error), "what was found of plugins could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Kind;

    #[test]
    fn what_was_found_is_known_after_a_restart_and_a_damaged_file_is_no_reason_to_stop() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(load(state.path()), FoundOf::new());
        let note = Found { service: "note".to_owned(), container: "shop_note".to_owned(), port: Some(8080) };
        let found = FoundOf::from([(Key::new(Kind::Plugin, "note"), vec![note])]);
        save(state.path(), &found);
        assert_eq!(load(state.path()), found);
        fs::write(state.path().join(FILE), "[{").unwrap();
        assert_eq!(load(state.path()), FoundOf::new());
    }
}
