//! The real engine, as it acts: Docker, over its unix socket.

mod body;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    Docker as Client,
    errors::Error as Failure,
    models::{ContainerUpdateBody, NetworkConnectRequest, NetworkCreateRequest, VolumeCreateRequest},
    query_parameters::{
        CreateContainerOptions, CreateImageOptions, InspectContainerOptions, ListNetworksOptions, RemoveContainerOptions,
        RemoveVolumeOptions, RenameContainerOptions, RestartContainerOptions, StartContainerOptions, StopContainerOptions,
    },
};
use futures::TryStreamExt;
use tokio::sync::Mutex;

use super::engine::{Effect, Engine, Error};
use crate::{
    observe::{
        self,
        docker::Connection,
        engine::{OBJECT_LABEL, OWNER_LABEL, SHAPE_LABEL},
    },
    plan::{
        EngineAction, Target,
        action::NewContainer,
        shape::{Limits, Network},
    },
    secret::Secret,
};

/// A start pulls up mounts, networks and the first process; a loaded engine took 1.6 s.
const ACT: Duration = Duration::from_mins(1);
/// What stopping takes beyond the container's own grace period.
const BEYOND_GRACE: Duration = Duration::from_secs(30);
/// The longest grace period that is waited for.
const LONGEST_GRACE: Duration = Duration::from_mins(10);
/// Docker's own grace period.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Large images over slow lines do take this long.
const PULL: Duration = Duration::from_hours(1);

/// Docker, as it acts.
#[derive(Clone)]
pub struct Docker {
    connection: Connection,
    owner: String,
    /// Held while a network is made. Names of networks are not unique on engines before API 1.44: two
    /// containers that need the same one at the same time would get two, and neither would start.
    making_network: Arc<Mutex<()>>,
}

impl Docker {
    /// Acts over this connection; what it makes is labelled with `owner`.
    #[must_use]
    pub fn new(connection: Connection, owner: String) -> Self {
        Self { connection, owner, making_network: Arc::default() }
    }

    fn client(&self, call: &'static str) -> Result<Client, Error> {
        self.connection.client(call).map(|client| client.with_timeout(ACT)).map_err(translate)
    }

    /// Whether it was done; what the engine says when it was so already is told by `already`.
    fn done<T>(&self, answer: Result<T, Failure>, already: impl Fn(u16, &str) -> bool) -> Result<Effect, Error> {
        match self.connection.asked("act", answer) {
            Ok(_) => Ok(Effect::Done),
            Err(observe::engine::Error::Refused { status, message, .. }) if already(status, &message) => Ok(Effect::AlreadySo),
            Err(error) => Err(translate(error)),
        }
    }

    async fn create(&self, new: &NewContainer, variables: &BTreeMap<String, Secret>) -> Result<Effect, Error> {
        let body = body::container(new, variables, &self.owner);
        let options = CreateContainerOptions { name: Some(new.name.clone()), ..CreateContainerOptions::default() };
        let created = self.client("create")?.create_container(Some(options), body).await;
        match self.done(created, |_, _| false) {
            Err(Error::Refused { status: 409, .. }) if self.is_same(new).await? => Ok(Effect::AlreadySo),
            other => other,
        }
    }

    /// Whether the container that has the name is the very one we were to make: an earlier call may have been answered by nobody.
    async fn is_same(&self, new: &NewContainer) -> Result<bool, Error> {
        let inspected = self.client("inspect")?.inspect_container(&new.name, None::<InspectContainerOptions>).await;
        let found = self.connection.found("inspect a container", inspected).map_err(translate)?;
        let labels = found.and_then(|found| found.config).and_then(|config| config.labels).unwrap_or_default();
        let shape = body::shape_label(&new.shape);
        let is = |label: &str, value: &str| labels.get(label).is_some_and(|known| known == value);
        Ok(is(OWNER_LABEL, &self.owner) && is(OBJECT_LABEL, &new.object.to_string()) && is(SHAPE_LABEL, &shape))
    }

    /// A client that waits as long as this container may take to stop.
    async fn patient(&self, call: &'static str, container: &Target) -> Result<Client, Error> {
        let inspected = self.client("inspect")?.inspect_container(container.reference(), None::<InspectContainerOptions>).await;
        let found = self.connection.found("inspect a container", inspected).map_err(translate)?;
        let seconds = found.and_then(|found| found.config).and_then(|config| config.stop_timeout);
        let grace = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DEFAULT_GRACE, Duration::from_secs);
        Ok(self.client(call)?.with_timeout(grace.min(LONGEST_GRACE) + BEYOND_GRACE))
    }

    async fn pull(&self, image: &str) -> Result<Effect, Error> {
        // Without a tag the engine would pull all of them.
        let name = image.rsplit('/').next().unwrap_or(image);
        let reference = if name.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") };
        let options = CreateImageOptions { from_image: Some(reference), ..CreateImageOptions::default() };
        let mut progress = self.client("pull")?.with_timeout(PULL).create_image(Some(options), None, None);
        let failed = |message: String| Error::Pull { image: image.to_owned(), message };
        let pulling = async {
            // Errors in the middle come inside the stream, with a status of 200; the client turns them into errors.
            while let Some(info) = progress.try_next().await.map_err(|error| failed(error.to_string()))? {
                if let Some(error) = info.error_detail.and_then(|detail| detail.message) {
                    return Err(failed(error));
                }
                tracing::debug!(image, status = info.status, "pulling");
            }
            Ok(Effect::Done)
        };
        tokio::time::timeout(PULL, pulling).await.unwrap_or(Err(Error::TimedOut { seconds: PULL.as_secs() }))
    }

    async fn create_network(&self, name: &str) -> Result<Effect, Error> {
        let _making = self.making_network.lock().await;
        let networks = self.client("list-networks")?.list_networks(None::<ListNetworksOptions>).await;
        let networks = self.connection.asked("list networks", networks).map_err(translate)?;
        if networks.iter().any(|network| network.name.as_deref() == Some(name)) {
            return Ok(Effect::AlreadySo);
        }
        let request = NetworkCreateRequest { name: name.to_owned(), driver: Some("bridge".into()), ..Default::default() };
        self.done(self.client("create-network")?.create_network(request).await, |status, _| status == 409)
    }

    async fn connect(&self, container: &Target, network: &Network) -> Result<Effect, Error> {
        let request =
            NetworkConnectRequest { container: container.reference().to_owned(), endpoint_config: Some(body::endpoint(network)) };
        let connected = self.client("connect")?.connect_network(&network.name, request).await;
        self.done(connected, |_, message| message.contains("already exists in network"))
    }

    async fn update(&self, container: &Target, limits: &Limits) -> Result<Effect, Error> {
        let update = ContainerUpdateBody {
            memory: limits.mem_limit,
            // The engine refuses a memory limit above the limit of memory and swap, which it made twice the former one.
            memory_swap: limits.mem_limit.map(|memory| memory.saturating_mul(2)),
            nano_cpus: limits.nano_cpus,
            pids_limit: limits.pids_limit,
            restart_policy: limits.restart.map(body::restart_policy),
            ..ContainerUpdateBody::default()
        };
        let updated = self.client("update")?.update_container(container.reference(), update).await;
        self.done(updated, |_, _| false)
    }
}

#[async_trait]
impl Engine for Docker {
    async fn perform(&self, action: &EngineAction, variables: &BTreeMap<String, Secret>) -> Result<Effect, Error> {
        let never = |_: u16, _: &str| false;
        // 304: it is so already.
        let not_modified = |status: u16, _: &str| status == 304;
        match action {
            EngineAction::CreateNetwork { name } => self.create_network(name).await,
            EngineAction::CreateVolume { name } => {
                // Making one that exists returns it as it is.
                let request = VolumeCreateRequest { name: Some(name.clone()), ..Default::default() };
                self.done(self.client("create-volume")?.create_volume(request).await, never)
            }
            EngineAction::PullImage { image } => self.pull(image).await,
            EngineAction::CreateContainer(new) => self.create(new, variables).await,
            EngineAction::StartContainer { container } => {
                let started = self.client("start")?.start_container(container.reference(), None::<StartContainerOptions>).await;
                self.done(started, not_modified)
            }
            EngineAction::RestartContainer { container } => {
                let client = self.patient("restart", container).await?;
                self.done(client.restart_container(container.reference(), None::<RestartContainerOptions>).await, never)
            }
            EngineAction::StopContainer { container } => {
                let client = self.patient("stop", container).await?;
                let stopped = client.stop_container(container.reference(), None::<StopContainerOptions>).await;
                self.done(stopped, |status, _| status == 304 || status == 404)
            }
            EngineAction::RenameContainer { container, to } => {
                let options = RenameContainerOptions { name: to.clone() };
                let renamed = self.client("rename")?.rename_container(container.reference(), options).await;
                self.done(renamed, |_, message| message.contains("same name as its current name"))
            }
            EngineAction::RemoveContainer { container } => {
                // Neither by force nor with volumes: what runs is not removed, and data never.
                let options = RemoveContainerOptions { v: false, force: false, link: false };
                let removed = self.client("remove")?.remove_container(container.reference(), Some(options)).await;
                self.done(removed, |status, message| status == 404 || (status == 409 && message.contains("already in progress")))
            }
            EngineAction::ConnectNetwork { container, network } => self.connect(container, network).await,
            EngineAction::UpdateContainer { container, limits } => self.update(container, limits).await,
        }
    }

    async fn mark(&self, name: &str, text: &str) -> Result<String, Error> {
        self.make_marker(name, text).await
    }

    async fn unmark(&self, name: &str) -> Result<(), Error> {
        let removed = self.client("unmark")?.remove_volume(name, None::<RemoveVolumeOptions>).await;
        self.connection.found("take a marker away", removed).map(drop).map_err(translate)
    }
}

/// Label of a marker's text.
const MARKER_LABEL: &str = "dev.mooring.marker";

impl Docker {
    async fn make_marker(&self, name: &str, text: &str) -> Result<String, Error> {
        let labels = HashMap::from([(MARKER_LABEL.to_owned(), text.to_owned())]);
        let request = VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(labels), ..Default::default() };
        // Making a volume that exists gives back the one that is there, labels included.
        let made = self.client("mark")?.create_volume(request).await;
        let mut labels = self.connection.asked("leave a marker", made).map_err(translate)?.labels;
        Ok(labels.remove(MARKER_LABEL).unwrap_or_default())
    }
}

/// The failures of asking and of acting are the same ones.
fn translate(error: observe::engine::Error) -> Error {
    match error {
        observe::engine::Error::Unreachable { address, source } => Error::Unreachable { address, source },
        observe::engine::Error::Refused { status, message, .. } => Error::Refused { status, message },
        observe::engine::Error::Unreadable { operation, source } => {
            Error::Refused { status: 200, message: format!("its answer to {operation} cannot be read: {source}") }
        }
    }
}
