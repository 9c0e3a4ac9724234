//! A model server as it is: what it has, what it is pulling for us, the disk below it.
//!
//! The server is asked over HTTP, which needs no engine. What it says is taken
//! with care: a port that answers is not yet a model server, and an answer may
//! break off anywhere.

pub mod client;
pub mod pulls;

use std::{path::Path, sync::Arc, time::Duration};

use serde::Deserialize;

use self::client::{Client, Error};
use super::dial::Dial;
use crate::plan::model_provider::{Answer, Model};

/// A server that is loading a model still answers these within a second.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Tags {
    /// An empty server of some versions says null.
    models: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    size: u64,
}

/// What the server at this address says of itself.
pub async fn look(url: &str, dial: &Arc<dyn Dial>) -> Answer {
    match tokio::time::timeout(LOOK, ask(url, dial)).await {
        Ok(Ok((version, models))) => Answer::Models { version, models },
        Ok(Err(error @ Error::Silent { .. })) => Answer::Silent { reason: error.to_string() },
        Ok(Err(error)) => Answer::Wrong { reason: error.to_string() },
        Err(_) => Answer::Silent { reason: format!("no answer within {} s", LOOK.as_secs()) },
    }
}

async fn ask(url: &str, dial: &Arc<dyn Dial>) -> Result<(String, Vec<Model>), Error> {
    let client = Client::new(url, dial)?;
    let Version { version } = client.get("/api/version").await?;
    let Tags { models } = client.get("/api/tags").await?;
    let models = models.into_iter().flatten().map(|Tag { name, digest, size }| Model { name, digest, size });
    Ok((version, models.collect()))
}

/// The digests of the layers that a model's description says it is made from, hexadecimal.
pub(crate) async fn made_from(url: &str, model: &str, dial: &Arc<dyn Dial>) -> Result<Vec<String>, Error> {
    #[derive(Deserialize)]
    struct Shown {
        #[serde(default)]
        modelfile: String,
    }

    let question = serde_json::json!({ "model": model, "name": model });
    let client = Client::new(url, dial)?;
    let asked = tokio::time::timeout(LOOK, client.post("/api/show", &question));
    let Shown { modelfile } =
        asked.await.unwrap_or_else(|_| Err(Error::Silent { reason: "no answer to /api/show".to_owned() }))?;
    let lines = modelfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    Ok(lines.filter_map(|from| from.rsplit_once("sha256-")).map(|(_, digest)| digest.trim().to_owned()).collect())
}

/// Bytes that are free for us on the disk of a directory; none when that cannot be seen from here.
#[must_use]
pub fn free(directory: &Path) -> Option<u64> {
    // From inside a container of our own a path of the host leads nowhere: then nobody knows, and the plan says so.
    let disk = nix::sys::statvfs::statvfs(directory).ok()?;
    Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// The directory that a server of this host has its models in, when nobody says where it is.
#[must_use]
pub fn usual_directory() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".ollama"));
    // Its installer makes the second one, for a user of its own.
    home.into_iter().chain(["/usr/share/ollama/.ollama".into()]).find(|directory| directory.is_dir())
}
