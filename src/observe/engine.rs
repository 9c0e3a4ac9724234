//! What can be asked of a container engine, whichever it is.
//!
//! The real one is [`super::docker`]; tests have a simulated one. Answers are
//! plain values: nobody beyond this module sees the engine's own types.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;

use crate::{
    plan::{
        container::{Health, State},
        shape::Limits,
    },
    secret::Secret,
};

/// Label that says which Mooring a container belongs to.
pub const OWNER_LABEL: &str = "dev.mooring.owner";
/// Label that says which object a container belongs to, as `Container/redis`.
pub const OBJECT_LABEL: &str = "dev.mooring.object";
/// Label that holds the shape a container was made with, as JSON.
pub const SHAPE_LABEL: &str = "dev.mooring.shape";
/// Label that lists the variables a container was given, as a JSON list of names.
pub const VARIABLES_LABEL: &str = "dev.mooring.variables";
/// Label that says that a container may be removed although it has data.
pub const ALLOW_REMOVE_LABEL: &str = "dev.mooring.allow-remove";
/// Label of a marker's text, on an empty volume.
pub const MARKER_LABEL: &str = "dev.mooring.marker";

/// What can be asked of an engine. No call here changes anything.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Who it is and what it can do. The first request to an engine that is
    /// coming up may take seconds; that is not a failure.
    async fn describe(&self) -> Result<Description, Error>;

    /// All containers, running or not: one request.
    async fn list(&self) -> Result<Vec<Listed>, Error>;

    /// The details of one container; none when it is gone.
    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, Error>;

    /// Whether the engine has this image.
    async fn has_image(&self, reference: &str) -> Result<bool, Error>;

    /// All networks. Names need not be unique.
    async fn networks(&self) -> Result<Vec<ListedNetwork>, Error>;

    /// The names of all volumes.
    async fn volumes(&self) -> Result<BTreeSet<String>, Error>;

    /// What happens from now on. The stream ends, or fails, when the engine
    /// goes away. It is only ever a hint to look again, except for [`EventAction::Stopped`].
    async fn events(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error>;

    /// Runs a command inside a container; none when the engine could not start it.
    async fn exec(&self, id: &str, command: &[String]) -> Result<ExecResult, Error>;

    /// What takes room on the engine's disk, if it can tell. A lot of work for it: not to be asked often.
    async fn disk_usage(&self) -> Result<Option<DiskUsage>, Error> {
        Ok(None)
    }

    /// What a running container uses, at once; none when it is gone, or if the engine cannot tell.
    async fn usage(&self, _id: &str) -> Result<Option<Usage>, Error> {
        Ok(None)
    }

    /// What a container has written, oldest first, and, if that is asked for, what it writes from now on.
    async fn log(&self, _id: &str, _asked: &LogAsked) -> Result<BoxStream<'static, Result<LogLine, Error>>, Error> {
        Ok(futures::stream::empty().boxed())
    }

    /// The files below a directory of a container, running or not; none if there is no such directory, or if the engine
    /// does not show them.
    async fn files_in(&self, _id: &str, _directory: &Path) -> Result<Option<super::docker::Inside>, Error> {
        Ok(None)
    }
}

/// What a container uses, as counters. What the engine does not say is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// When the engine looked.
    pub at: Option<Timestamp>,
    /// Time that processors have worked for it, in nanoseconds.
    pub nanos: Option<u64>,
    /// Memory in bytes, without caches.
    pub memory: Option<u64>,
    /// The memory that it may use.
    pub limit: Option<u64>,
    /// Bytes received.
    pub received: Option<u64>,
    /// Bytes sent.
    pub sent: Option<u64>,
}

/// Which lines of a container's log are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogAsked {
    /// So many of the last lines.
    pub tail: usize,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Whether those that are still to come are wanted as well.
    pub follow: bool,
}

/// A line that a container has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When, as the engine says.
    pub at: Option<Timestamp>,
    /// The text, without what would move a terminal's cursor.
    pub text: String,
}

/// What takes room on the engine's disk and could be given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// How many images no container uses.
    pub unused_images: usize,
    /// How much they have in bytes. Layers that they share with others are counted as well, so it is the most there is to gain.
    pub bytes: u64,
}

impl DiskUsage {
    /// What a person could do. Volumes are told of, and nobody is told to prune them: one may be the only copy of something.
    #[must_use]
    pub fn advice(&self) -> Vec<String> {
        let Self { unused_images, bytes } = self;
        let images = (*unused_images > 0).then(|| {
            format!("`docker image prune --all` gives back up to {} MiB of {unused_images} images that nobody uses", bytes >> 20)
        });
        let others = "`docker builder prune` empties the build cache, and `docker system df` shows what else there is; \
                      volumes are never pruned unseen";
        images.into_iter().chain([others.to_owned()]).collect()
    }
}

/// Who the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its lasting id.
    pub id: String,
    /// Its version, as in `20.10.24`.
    pub version: String,
    /// The API version in use, as in `1.41`.
    pub api_version: String,
    /// Where it keeps images, containers and volumes, as its own host sees it.
    pub root: Option<PathBuf>,
}

/// One line of the list of containers.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The id.
    pub id: String,
    /// The name, without the leading slash.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// What it is doing. The list does not know exit codes for sure: `inspect` does.
    pub state: State,
    /// What the health check says.
    pub health: Health,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The networks it is attached to, with its address there when it runs.
    pub networks: BTreeMap<String, Option<String>>,
    /// The ids of these networks by their names, as far as it has ever been started on them. It can be started again
    /// on these only, even when others have the names now.
    pub network_ids: BTreeMap<String, String>,
}

/// One line of the list of networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedNetwork {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The details of one container.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// What it is doing.
    pub state: State,
    /// What the health check says.
    pub health: Health,
    /// Why the health check cannot be run, so that it says nothing.
    pub broken_check: Option<String>,
    /// Whether all that is wrong is that no health check has come to a verdict in time, and not for ever so many times: a host that
    /// has no processor time to give looks like that as well.
    pub check_is_late: bool,
    /// What came in the way of its last start, when that was tried and failed.
    pub start_error: Option<String>,
    /// When its main process was last started.
    pub started_at: Option<Timestamp>,
    /// How often the engine has restarted it by its own policy since somebody last started it.
    pub restarts: u32,
    /// When its main process last ended.
    pub finished_at: Option<Timestamp>,
    /// Its environment.
    pub variables: BTreeMap<String, Secret>,
    /// Its limits and restart policy as they are now.
    pub limits: Limits,
    /// The signal that asks it to stop.
    pub stop_signal: Option<String>,
    /// What it sees of this host: paths there, and inside.
    pub mounts: Vec<(String, String)>,
    /// Its main process, as the engine's host numbers it, while it runs.
    pub pid: Option<i32>,
    /// What it was asked to be called, besides its own name, by network.
    pub aliases: BTreeMap<String, BTreeSet<String>>,
}

/// Something that happened on the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The container it is about, when it is about one.
    pub container: Option<String>,
    /// The object that the container's label names, if it names one. A hint: labels can lie.
    pub object: Option<String>,
    /// The Mooring whose object that is, by the container's label.
    pub owner: Option<String>,
    /// What happened.
    pub action: EventAction,
    /// When the engine says it happened.
    pub at: Timestamp,
    /// The engine's own word for it, as in `update`.
    pub said: String,
}

/// What happened, as far as anybody here cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventAction {
    /// A signal was sent to it.
    Signalled {
        /// Whether it was one that cannot be refused (SIGKILL). Only a hint: the number can be faked by a label.
        kill: bool,
    },
    /// Its main process ended.
    Died,
    /// It was stopped by a call to the engine's stop function: by a person, by us, or by the engine going down.
    Stopped,
    /// It was started.
    Started,
    /// Its health changed.
    HealthChanged,
    /// It was made, removed, renamed, updated, paused, or attached to or taken off a network.
    Changed,
    /// Something that is not about a container.
    Other,
}

/// How a command inside a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecResult {
    /// Its exit code.
    pub exit_code: i64,
    /// The end of what it printed, at most a few hundred characters.
    pub output: String,
}

/// Asking the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no answer: no socket, refused, broken off, timed out.
    #[error("the engine cannot be reached at {address}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is an answer, and it is an error.
    #[error("the engine refused to {operation}: {status} {message}")]
    Refused {
        /// What was asked.
        operation: String,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// There is an answer that makes no sense.
    #[error("the engine's answer to {operation} cannot be read")]
    Unreadable {
        /// What was asked.
        operation: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
