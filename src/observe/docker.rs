//! The real engine, as it is asked: Docker, over its unix socket.
//!
//! Nothing here changes anything on the engine; a command that is run inside a
//! container by [`Engine::exec`] may do what it likes there.

pub(crate) mod connection;
pub(crate) mod failure;
mod inside;
mod read;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    Docker as Client,
    container::LogOutput,
    errors::Error as ClientError,
    exec::{StartExecOptions, StartExecResults},
    models::{ExecConfig, SystemInfo},
    query_parameters::{
        EventsOptions, InspectContainerOptions, ListContainersOptions, ListImagesOptions, ListNetworksOptions,
        ListVolumesOptions, LogsOptions, StatsOptions,
    },
};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use jiff::Timestamp;

pub use connection::{Connection, InvalidAddress, OnCall};
use failure::{found, image_in_path, in_path};
pub use inside::{Bind, Inside};
pub(super) use read::wants_password;

use super::{
    engine::{
        Description, DiskUsage, Engine, Error, Event, ExecResult, Inspected, Listed, ListedNetwork, LogAsked, LogLine, Usage,
    },
    log,
};

/// The events that matter. Probes alone make thirty `exec_*` events a second with fifty containers;
/// asking for these only keeps them off the wire.
const ACTIONS: [&str; 15] = [
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
/// What they are about.
const TYPES: [&str; 3] = ["container", "network", "volume"];

/// No probe has any business taking longer; whoever wants an answer sooner stops waiting for it.
const COMMAND: Duration = Duration::from_mins(5);

/// As much of a command's output as helps a person, in bytes; a probe that prints a page is cut.
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

    async fn info(&self) -> Result<SystemInfo, Error> {
        Ok(self.connection.ask("info", async |client| client.info().await).await?)
    }
}

#[async_trait]
impl Engine for Docker {
    async fn describe(&self) -> Result<Description, Error> {
        self.connection.renew().await?;
        let version = self.connection.ask("version", async |client| client.version().await).await?;
        let info = self.info().await?;
        Ok(Description {
            id: info.id.unwrap_or_default(),
            root: info.docker_root_dir.map(PathBuf::from),
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
        })
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        let options = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let listed = self.connection.ask("list-containers", async |client| client.list_containers(Some(options)).await).await?;
        Ok(listed.into_iter().filter_map(read::listed).collect())
    }

    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, Error> {
        const CALL: &str = "inspect-container";
        let id = in_path(CALL, id)?;
        let question = async |client: Client| client.inspect_container(id, None::<InspectContainerOptions>).await;
        Ok(found(self.connection.ask(CALL, question).await)?.map(read::inspected))
    }

    async fn files_in(&self, id: &str, directory: &Path) -> Result<Option<Inside>, Error> {
        self.inside(id, directory).await
    }

    async fn has_image(&self, reference: &str) -> Result<bool, Error> {
        const CALL: &str = "inspect-image";
        let reference = image_in_path(CALL, reference)?;
        let answer = self.connection.ask(CALL, async |client| client.inspect_image(reference).await).await;
        Ok(found(answer)?.is_some())
    }

    async fn networks(&self) -> Result<Vec<ListedNetwork>, Error> {
        let question = async |client: Client| client.list_networks(None::<ListNetworksOptions>).await;
        let networks = self.connection.ask("list-networks", question).await?;
        Ok(networks.into_iter().filter_map(read::listed_network).collect())
    }

    async fn volumes(&self) -> Result<BTreeSet<String>, Error> {
        let question = async |client: Client| client.list_volumes(None::<ListVolumesOptions>).await;
        let volumes = self.connection.ask("list-volumes", question).await?.volumes.unwrap_or_default();
        Ok(volumes.into_iter().map(|volume| volume.name).collect())
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        const CALL: &str = "events";
        // The client sends the request when the stream is first polled, and by then the caller may
        // have listed. Asking from the engine's own present on leaves no gap between the two.
        let present = self.info().await?.system_time.and_then(|time| time.parse::<Timestamp>().ok());
        let options = EventsOptions { since: present.map(nanoseconds), filters: Some(filters()), ..EventsOptions::default() };
        let events = self.connection.endless(CALL).await?.events(Some(options));
        let connection = self.connection.clone();
        Ok(events.map(move |event| Ok(read::event(connection.answer(CALL, event)?))).boxed())
    }

    async fn disk_usage(&self) -> Result<Option<DiskUsage>, Error> {
        let all = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let containers = self.connection.ask("list-containers", async |client| client.list_containers(Some(all)).await).await?;
        let used: BTreeSet<String> = containers.into_iter().filter_map(|container| container.image_id).collect();
        let images =
            self.connection.ask("list-images", async |client| client.list_images(None::<ListImagesOptions>).await).await?;
        let unused = images.into_iter().filter(|image| !used.contains(&image.id));
        Ok(Some(unused.fold(DiskUsage::default(), |usage, image| DiskUsage {
            unused_images: usage.unused_images + 1,
            bytes: usage.bytes.saturating_add(u64::try_from(image.size).unwrap_or_default()),
        })))
    }

    async fn usage(&self, id: &str) -> Result<Option<Usage>, Error> {
        const CALL: &str = "container-stats";
        let id = in_path(CALL, id)?;
        // Without `one_shot` the engine takes two seconds, to work out a rate that we work out ourselves.
        let options = StatsOptions { stream: false, one_shot: true };
        let question = async |client: Client| client.stats(id, Some(options)).try_next().await;
        Ok(found(self.connection.ask(CALL, question).await)?.flatten().map(|stats| read::usage(&stats)))
    }

    async fn log(&self, id: &str, asked: &LogAsked) -> Result<BoxStream<'static, Result<LogLine, Error>>, Error> {
        const CALL: &str = "container-log";
        let id = in_path(CALL, id)?;
        let options = LogsOptions {
            follow: asked.follow,
            stdout: true,
            stderr: true,
            // In seconds only: the rest is left out by whoever reads.
            since: asked.since.and_then(|since| i32::try_from(since.as_second()).ok()).unwrap_or_default(),
            // They also keep what a terminal shows apart from the marks in front of other lines.
            timestamps: true,
            tail: asked.tail.to_string(),
            ..LogsOptions::default()
        };
        let client = self.connection.endless(CALL).await?;
        let (connection, since) = (self.connection.clone(), asked.since);
        let lines = client.logs(id, Some(options)).map(move |line| Ok(log::line(connection.answer(CALL, line)?.as_ref())));
        let is_meant = move |line: &Result<LogLine, Error>| {
            line.as_ref().map_or(true, |line| line.at.is_none_or(|at| since.is_none_or(|since| at >= since)))
        };
        Ok(lines.filter(move |line| std::future::ready(is_meant(line))).boxed())
    }

    async fn exec(&self, id: &str, command: &[String]) -> Result<ExecResult, Error> {
        const CALL: &str = "exec";
        let id = in_path(CALL, id)?;
        Ok(self.connection.ask_within(COMMAND, CALL, async |client| exec(&client, id, command).await).await?)
    }
}

fn filters() -> HashMap<String, Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    HashMap::from([("event".to_owned(), words(&ACTIONS)), ("type".to_owned(), words(&TYPES))])
}

/// An instant as the engine takes it, to the nanosecond.
fn nanoseconds(at: Timestamp) -> String {
    format!("{}.{:09}", at.as_second(), at.subsec_nanosecond())
}

/// Runs a command to its end. When we stop waiting the command goes on: the engine cannot be asked to end one.
async fn exec(client: &Client, id: &str, command: &[String]) -> Result<ExecResult, ClientError> {
    let config =
        ExecConfig { cmd: Some(command.to_vec()), attach_stdout: Some(true), attach_stderr: Some(true), ..ExecConfig::default() };
    let exec = client.create_exec(id, config).await?;
    let mut tail = Vec::new();
    if let StartExecResults::Attached { mut output, .. } = client.start_exec(&exec.id, None::<StartExecOptions>).await? {
        while let Some(chunk) = output.try_next().await? {
            keep_end(&mut tail, &chunk);
        }
    }
    let ended = client.inspect_exec(&exec.id).await?;
    let output = String::from_utf8_lossy(&tail);
    // The first character may have been cut through.
    let output = output.trim_start_matches(char::REPLACEMENT_CHARACTER).to_owned();
    // A program that does not exist is no failure of the call: the code is 126 or 127 then.
    Ok(ExecResult { exit_code: ended.exit_code.unwrap_or(-1), output })
}

/// Programs say at the end what went wrong.
fn keep_end(tail: &mut Vec<u8>, chunk: &LogOutput) {
    tail.extend_from_slice(chunk.as_ref());
    tail.drain(..tail.len().saturating_sub(OUTPUT_KEPT));
}
