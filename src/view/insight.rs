//! What people are shown of what happens inside: containers as they run, secrets
//! without their values, models, routes, corrections.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::Key;

/// A container of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// The object that it belongs to.
    pub key: Key,
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it does, in a word: `running`, `exited with 137`.
    pub state: String,
    /// Whether it runs.
    pub is_running: bool,
    /// What its health check says, if it has one.
    pub health: Option<&'static str>,
    /// Since when it runs.
    pub started_at: Option<Timestamp>,
    /// How often the engine has restarted it by itself since somebody started it.
    pub restarts: u32,
}

/// Which lines of a log are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// So many of the last lines; those that do not have the text in them count.
    pub tail: usize,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Only lines with this text in them, in capitals or not.
    pub contains: Option<String>,
    /// Whether those that are still to come are wanted as well.
    pub follow: bool,
}

/// A line of a log, without any secret that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    /// When it was written; RFC 3339.
    pub at: String,
    /// What.
    pub text: String,
}

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretView {
    /// The `Environment` that has it.
    pub environment: String,
    /// The variable.
    pub name: String,
    /// The file that has the value in force; none when there is no value.
    pub file: Option<String>,
    /// The public name of the value.
    pub fingerprint: Option<String>,
    /// Whether it looks like one that was never filled in.
    pub is_placeholder: bool,
    /// Whether Mooring sees to it that there is one.
    pub is_kept: bool,
    /// When Mooring made it, or brought it back, and from where; none if that is not on record.
    pub written: Option<WrittenView>,
    /// The objects that are given it.
    pub users: Vec<Key>,
}

/// How a secret came into its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenView {
    /// When; RFC 3339.
    pub at: String,
    /// As in `made by Mooring`.
    pub how: String,
}

/// Which model answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelView {
    /// The `ModelProvider`.
    pub key: Key,
    /// As in `ollama/llama3.2`; or why that is not known.
    pub choice: Result<String, String>,
    /// Why it is this one.
    pub reason: String,
    /// Where the local server is, while it is the choice and could be asked.
    pub server: Option<String>,
    /// What the local server says of itself: its version, or why it does not answer.
    pub says: Option<String>,
    /// The models that it has, and their bytes.
    pub models: Vec<(String, u64)>,
    /// The pull that is under way.
    pub pull: Option<PullView>,
}

/// A pull that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PullView {
    /// The model.
    pub model: String,
    /// What the server says it does.
    pub status: String,
    /// Bytes that it has.
    pub completed: u64,
    /// Bytes that there are, as far as it has told.
    pub total: u64,
    /// How far it is, in words.
    pub words: String,
}

/// An nginx and its routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyView {
    /// The `Proxy`.
    pub key: Key,
    /// What is so of it, as a sentence.
    pub nginx: String,
    /// When it was last reloaded, as far as that was within the last minutes; RFC 3339.
    pub reloaded: Option<String>,
    /// Whether the files in force were proven by real requests.
    pub is_proven: bool,
    /// What it did not take, and why.
    pub rejected: Option<String>,
    /// The routes, as they are wanted.
    pub routes: Vec<RouteView>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteView {
    /// The host.
    pub host: String,
    /// The path.
    pub path: String,
    /// The container's object and the port.
    pub to: String,
    /// Where that is now; nothing when it is down.
    pub addresses: Vec<String>,
    /// How the backend fares: `healthy`, `starting`, `down`, or `elsewhere`.
    pub backend: &'static str,
}

/// An object that was put right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectionView {
    /// The object.
    pub key: Key,
    /// When it was as declared again.
    pub at: Timestamp,
    /// How long that took since the fault was seen, in milliseconds.
    pub took_millis: u64,
}

/// What is still to be done with an object, as its last pass has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PendingView {
    /// Steps that are about to be taken.
    pub steps: Vec<String>,
    /// Steps that are held back.
    pub withheld: Vec<String>,
    /// What stands in the way.
    pub wait: Option<String>,
}

/// What a look at the whole audit log came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedView {
    /// The good rows.
    pub rows: u64,
    /// The last good row, and the digest that it carries.
    pub head: Option<(i64, String)>,
    /// Rows of an earlier version, for which nobody can vouch.
    pub unsealed: u64,
    /// The archive that the log goes on from.
    pub archive: Option<String>,
    /// What is wrong first.
    pub fault: Option<String>,
}
