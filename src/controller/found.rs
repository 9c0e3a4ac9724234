//! The containers that were found of plugins, over a restart: until Compose's
//! containers have been looked for again, what is made of a plugin must be the
//! same as before.

use std::{collections::BTreeMap, path::Path};

use crate::{error_chain, expand::Found, manifest::Key, source::state_file::StateFile};

const FILE: StateFile = StateFile { name: "found.json", what: "what was found of plugins" };

/// What was found, by plugin.
pub(super) type FoundOf = BTreeMap<Key, Vec<Found>>;

/// What was last saved; nothing when there is none. They will be found again, so that losing it is worth a line in the log.
pub(super) fn load(state: &Path) -> FoundOf {
    let stored: Option<Vec<(Key, Vec<Found>)>> = FILE.load(state).unwrap_or_else(|error| {
        tracing::warn!(error = error_chain(&error), "they are looked for anew");
        None
    });
    stored.unwrap_or_default().into_iter().collect()
}

/// Saves what is known now.
pub(super) fn save(state: &Path, found: &FoundOf) {
    let stored: Vec<_> = found.iter().collect();
    if let Err(error) = FILE.save(state, &stored) {
        tracing::warn!(error = error_chain(&error), "they will be looked for anew");
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
        std::fs::write(state.path().join(FILE.name), "[{").unwrap();
        assert_eq!(load(state.path()), FoundOf::new());
    }
}
