//! What a running Mooring tells the command line about its backend manager: where it answers, and by which password.
//!
//! It stands beside the password's hash, since whoever sets that wants to know whether it counts.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::store::{self, Store};

/// Under this name it is kept.
const SERVES: &str = "serves";

/// Where the password in force comes from. Each counts before the ones behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The environment of the process.
    Process,
    /// The variable files of an `Environment`.
    Files,
    /// The hash that was set at the command line, if one was.
    Stored,
}

/// Where it answers while it is on, and by which password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serves {
    /// Where.
    pub address: SocketAddr,
    /// By which password.
    pub by: Source,
}

impl Serves {
    /// What the Mooring that runs, or ran last, has told.
    pub async fn told(store: &Store) -> Result<Option<Self>, store::Error> {
        Ok(store.setting(SERVES).await?.and_then(|told| serde_json::from_str(&told).ok()))
    }

    /// Tells it.
    pub async fn tell(self, store: &Store) -> Result<(), store::Error> {
        let told = serde_json::to_string(&self).expect("an address and a word are JSON");
        store.set(SERVES, Some(&told)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_told_is_known_and_what_another_version_told_is_not() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).await.unwrap();
        assert_eq!(Serves::told(&store).await.unwrap(), None);
        let serves = Serves { address: ([10, 0, 0, 1], 4711).into(), by: Source::Files };
        serves.tell(&store).await.unwrap();
        assert_eq!(Serves::told(&store).await.unwrap(), Some(serves));
        store.set(SERVES, Some("{\"by\": \"magic\"}")).await.unwrap();
        assert_eq!(Serves::told(&store).await.unwrap(), None);
    }
}
