//! What plugins last said, on disk: `plugins.json` in the state directory.

use std::{path::Path, sync::Arc};

use super::{Key, Known, Plugins, Texts};
use crate::source::state_file::{Error, StateFile};

const FILE: StateFile = StateFile { name: "plugins.json", what: "what plugins last said" };

impl Plugins {
    /// What was last saved in the state directory; nothing when there is none.
    pub fn load(state: &Path) -> Result<Self, Error> {
        let stored: Vec<(Key, Texts)> = FILE.load(state)?.unwrap_or_default();
        // They are understood when it is known what the names in them stand for.
        let known = |texts| Known { wanted: None, texts: Arc::new(texts), reading: Arc::default() };
        Ok(Self { known: stored.into_iter().map(|(key, texts)| (key, known(texts))).collect(), ..Self::default() })
    }

    /// Saves what plugins last said in the state directory, unless that is what is there.
    pub fn save(&mut self, state: &Path) -> Result<(), Error> {
        if !self.is_changed {
            return Ok(());
        }
        let stored: Vec<_> = self.known.iter().map(|(key, known)| (key, &*known.texts)).collect();
        FILE.save(state, &stored)?;
        self.is_changed = false;
        Ok(())
    }
}
