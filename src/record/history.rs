//! What is remembered about each object, kept durably.
//!
//! What it means and how it changes is [`crate::plan::History`]'s business.

use std::collections::BTreeMap;

use super::{
    Error,
    writer::{Known, Submit, Write},
};
use crate::{manifest::Key, plan::History};

/// The memory of all objects. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Histories {
    known: Known<History>,
    submit: Submit,
}

impl Histories {
    pub(super) fn new(known: Known<History>, submit: Submit) -> Self {
        Self { known, submit }
    }

    /// What is remembered about every object.
    #[must_use]
    pub fn load_all(&self) -> BTreeMap<Key, History> {
        self.known.lock().expect("nothing panics while holding it").clone()
    }

    /// What is remembered about one object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<History> {
        self.known.lock().expect("nothing panics while holding it").get(key).cloned()
    }

    /// Remembers; durable when it returns. What is known already costs nothing.
    pub async fn save(&self, key: &Key, history: &History) -> Result<(), Error> {
        if self.get(key).as_ref() == Some(history) {
            return Ok(());
        }
        self.submit.write(Write::History(key.clone(), Some(json(history)))).await?;
        self.known.lock().expect("nothing panics while holding it").insert(key.clone(), history.clone());
        Ok(())
    }

    /// Forgets an object that is gone.
    pub async fn forget(&self, key: &Key) -> Result<(), Error> {
        if self.get(key).is_none() {
            return Ok(());
        }
        self.submit.write(Write::History(key.clone(), None)).await?;
        self.known.lock().expect("nothing panics while holding it").remove(key);
        Ok(())
    }
}

pub(super) fn json(history: &History) -> String {
    serde_json::to_string(history).expect("a history has string keys and no failing serializer")
}
