//! The real engine, as it is asked: Docker, over its unix socket.

pub(crate) mod connection;
mod read;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    exec::{CreateExecOptions, StartExecResults},
    query_parameters::{EventsOptions, InspectContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions},
};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

pub use connection::{Connection, InvalidAddress, OnCall};

use super::engine::{Description, Engine, Error, Event, ExecResult, Inspected, Listed};

/// The events that matter. Probes alone make thirty `exec_*` events a second with fifty containers;
/// asking for these only keeps them off the wire.
const ACTIONS: &[&str] = &[
    "create",
    "start",
    "restart",
    "die",
    "stop",
    "kill",
    "oom",
    "destroy",
    "rename",
    "update",
    "pause",
    "unpause",
    "health_status",
    "connect",
    "disconnect",
];
/// Of the types that those belong to.
const TYPES: &[&str] = &["container", "network"];

/// An engine that is coming up accepts connections and lets the first request hang for seconds: not a death.
const COMING_UP: Duration = Duration::from_secs(30);

/// As much of a command's output as helps a person; a probe that prints a page is cut.
const OUTPUT_KEPT: usize = 400;

/// Docker, as it is asked.
#[derive(Clone)]
pub struct Docker {
    connection: Connection,
}

impl Docker {
    /// Asks over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl Engine for Docker {
    async fn describe(&self) -> Result<Description, Error> {
        let client = self.connection.client("version")?.with_timeout(COMING_UP);
        // It only ever goes down, to what the engine speaks.
        let client = self.connection.asked("negotiate the version", client.negotiate_version().await)?;
        let version = self.connection.asked("tell its version", client.version().await)?;
        let info = self.connection.asked("tell who it is", client.info().await)?;
        Ok(Description {
            id: info.id.unwrap_or_default(),
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
        })
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        let options = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let listed = self.connection.client("list")?.list_containers(Some(options)).await;
        Ok(self.connection.asked("list containers", listed)?.into_iter().filter_map(read::listed).collect())
    }

    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, Error> {
        let inspected = self.connection.client("inspect")?.inspect_container(id, None::<InspectContainerOptions>).await;
        let found = self.connection.found("inspect a container", inspected)?;
        Ok(found.map(read::inspected))
    }

    async fn has_image(&self, reference: &str) -> Result<bool, Error> {
        let inspected = self.connection.client("inspect-image")?.inspect_image(reference).await;
        Ok(self.connection.found("inspect an image", inspected)?.is_some())
    }

    async fn networks(&self) -> Result<BTreeSet<String>, Error> {
        let networks = self.connection.client("list-networks")?.list_networks(None::<ListNetworksOptions>).await;
        Ok(self.connection.asked("list networks", networks)?.into_iter().filter_map(|network| network.name).collect())
    }

    async fn volumes(&self) -> Result<BTreeSet<String>, Error> {
        let volumes = self.connection.client("list-volumes")?.list_volumes(None::<ListVolumesOptions>).await;
        let volumes = self.connection.asked("list volumes", volumes)?.volumes.unwrap_or_default();
        Ok(volumes.into_iter().map(|volume| volume.name).collect())
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let filters = HashMap::from([("event".to_owned(), list(ACTIONS)), ("type".to_owned(), list(TYPES))]);
        let options = EventsOptions { filters: Some(filters), ..EventsOptions::default() };
        let connection = self.connection.clone();
        let events = self.connection.client("events")?.events(Some(options));
        Ok(events.map(move |event| connection.asked("send events", event).map(|event| read::event(&event))).boxed())
    }

    async fn exec(&self, id: &str, command: &[String]) -> Result<ExecResult, Error> {
        let client = self.connection.client("exec")?;
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let exec = self.connection.asked("prepare a command", client.create_exec(id, options).await)?;
        let mut kept = String::new();
        let started = self.connection.asked("run a command", client.start_exec(&exec.id, None).await)?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(chunk) = self.connection.asked("read a command's output", output.try_next().await)? {
                if kept.len() < OUTPUT_KEPT {
                    kept.push_str(&chunk.to_string());
                }
            }
        }
        kept.truncate(kept.floor_char_boundary(OUTPUT_KEPT));
        let ended = self.connection.asked("see how a command ended", client.inspect_exec(&exec.id).await)?;
        Ok(ExecResult { exit_code: ended.exit_code.unwrap_or(-1), output: kept })
    }
}
