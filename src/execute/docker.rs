//! The real engine, as it acts: Docker, over its unix socket.
//!
//! Each action is one call that changes something. Where the engine's answer
//! does not tell whether it was so already, that is looked up before. Volumes
//! are never removed, but for the empty ones that [`Engine::mark`] leaves;
//! networks neither, but for an empty one of ours whose name another one has.

mod body;
mod exec;
mod make;
mod pull;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::{
    Docker as Client,
    errors::Error as ClientError,
    models::{ContainerInspectResponse, NetworkConnectRequest},
    query_parameters::{
        InspectContainerOptions, RemoveContainerOptions, RemoveVolumeOptions, RenameContainerOptions, RestartContainerOptions,
        StartContainerOptions, StopContainerOptions,
    },
};
use tokio::sync::Mutex;

use super::engine::{Effect, Engine, Error, Ran};
use crate::{
    observe::{
        docker::{
            Connection,
            failure::{Failure, found, in_path},
        },
        engine::OWNER_LABEL,
    },
    plan::{
        EngineAction, Target,
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

/// Docker, as it acts.
#[derive(Clone)]
pub struct Docker {
    connection: Connection,
    owner: Arc<str>,
    /// Held while a network is made. Names of networks are not unique on engines before API 1.44: two
    /// containers that need the same one at the same time would get two, and neither would start.
    making_network: Arc<Mutex<()>>,
}

#[async_trait]
impl Engine for Docker {
    async fn perform(&self, action: &EngineAction, variables: &BTreeMap<String, Secret>) -> Result<Effect, Error> {
        match action {
            EngineAction::CreateNetwork { name } => self.create_network(name).await,
            EngineAction::RemoveNetwork { id, .. } => self.remove_network(id).await,
            EngineAction::CreateVolume { name } => self.create_volume(name).await,
            EngineAction::PullImage { image } => self.pull(image).await,
            EngineAction::CreateContainer(new) => self.create(new, variables).await,
            EngineAction::StartContainer { container } => self.start(container).await,
            EngineAction::RestartContainer { container } => self.restart(container).await,
            EngineAction::StopContainer { container } => self.stop(container).await,
            EngineAction::RenameContainer { container, to } => self.rename(container, to).await,
            EngineAction::RemoveContainer { container } => self.remove(container).await,
            EngineAction::ConnectNetwork { container, network } => self.connect(container, network).await,
            EngineAction::UpdateContainer { container, limits } => self.update(container, limits).await,
        }
    }

    async fn mark(&self, name: &str, text: &str) -> Result<String, Error> {
        self.make_marker(name, text).await
    }

    async fn exec(&self, id: &str, command: &[String], limit: Duration) -> Result<Ran, Error> {
        const CALL: &str = "exec";
        let id = in_path(CALL, id)?;
        Ok(self.connection.ask_within(limit, CALL, async |client| exec::run(&client, id, command).await).await?)
    }

    async fn unmark(&self, name: &str) -> Result<(), Error> {
        const CALL: &str = "remove-volume";
        let name = in_path(CALL, name)?;
        let removed = self.act(CALL, async |client| client.remove_volume(name, None::<RemoveVolumeOptions>).await).await;
        Ok(found(removed).map(drop)?)
    }
}

impl Docker {
    /// Acts over this connection; what it makes is labelled with `owner`.
    #[must_use]
    pub fn new(connection: Connection, owner: String) -> Self {
        Self { connection, owner: owner.into(), making_network: Arc::default() }
    }

    async fn start(&self, container: &Target) -> Result<Effect, Error> {
        const CALL: &str = "start-container";
        // The engine would say 304, which the client does not tell from done. It says so of one between
        // two restarts as well, but a paused one it refuses.
        let found = self.meant(container).await?;
        let id = found.as_ref().and_then(|found| found.id.as_deref());
        let reference = in_path(CALL, id.unwrap_or(container.reference()))?;
        if found.as_ref().is_some_and(|found| is_running(found) && !is_paused(found)) {
            return Ok(Effect::AlreadySo);
        }
        let started = self.act(CALL, async |client| client.start_container(reference, None::<StartContainerOptions>).await);
        done(started.await)
    }

    async fn restart(&self, container: &Target) -> Result<Effect, Error> {
        const CALL: &str = "restart-container";
        let reference = in_path(CALL, container.reference())?;
        let limit = patience(self.inspect(reference).await?.as_ref());
        // Without a time in the options the container's own grace period counts; here and for stopping.
        let question = async |client: Client| client.restart_container(reference, None::<RestartContainerOptions>).await;
        done(self.connection.ask_within(limit, CALL, question).await)
    }

    async fn stop(&self, container: &Target) -> Result<Effect, Error> {
        const CALL: &str = "stop-container";
        let reference = in_path(CALL, container.reference())?;
        let Some(found) = self.inspect(reference).await?.filter(is_running) else {
            return Ok(Effect::AlreadySo);
        };
        let question = async |client: Client| client.stop_container(reference, None::<StopContainerOptions>).await;
        let stopped = self.connection.ask_within(patience(Some(&found)), CALL, question).await;
        done_unless(stopped, |status, _| status == 404)
    }

    async fn rename(&self, container: &Target, to: &str) -> Result<Effect, Error> {
        const CALL: &str = "rename-container";
        let reference = in_path(CALL, container.reference())?;
        let options = RenameContainerOptions { name: to.to_owned() };
        let renamed = self.act(CALL, async |client| client.rename_container(reference, options).await).await;
        done_unless(renamed, |_, message| message.contains("same name as its current name"))
    }

    async fn remove(&self, container: &Target) -> Result<Effect, Error> {
        const CALL: &str = "remove-container";
        let reference = in_path(CALL, container.reference())?;
        // Neither by force nor with volumes: what runs is not removed, and data never.
        let options = RemoveContainerOptions { v: false, force: false, link: false };
        let removed = self.act(CALL, async |client| client.remove_container(reference, Some(options)).await).await;
        done_unless(removed, |status, message| match status {
            404 => true,
            409 => message.contains("already in progress"),
            _ => false,
        })
    }

    async fn connect(&self, container: &Target, network: &Network) -> Result<Effect, Error> {
        const CALL: &str = "connect-network";
        let name = in_path(CALL, &network.name)?;
        // Of one that does not run the engine takes it as often as it is asked. It changes nothing then, but for one that
        // was on a network that is gone: that one is started on the one that has the name now.
        let found = self.meant(container).await?;
        let id = found.as_ref().and_then(|found| found.id.clone());
        if let Some(id) = found.and_then(|found| attached(found, name))
            && (id.is_empty() || self.has_network(&id).await?)
        {
            return Ok(Effect::AlreadySo);
        }
        let endpoint_config = Some(body::endpoint(network));
        let request =
            NetworkConnectRequest { container: id.unwrap_or_else(|| container.reference().to_owned()), endpoint_config };
        let connected = self.act(CALL, async |client| client.connect_network(name, request).await).await;
        done_unless(connected, |_, message| message.contains("already exists in network"))
    }

    async fn update(&self, container: &Target, limits: &Limits) -> Result<Effect, Error> {
        const CALL: &str = "update-container";
        let reference = in_path(CALL, container.reference())?;
        let update = body::update(limits);
        done(self.act(CALL, async |client| client.update_container(reference, update).await).await)
    }

    /// The container that is meant, if it is there. What is known by its name only was made by an earlier step of the same
    /// plan, and by now somebody else may have removed it and taken the name.
    async fn meant(&self, container: &Target) -> Result<Option<ContainerInspectResponse>, Error> {
        let found = self.inspect(container.reference()).await?;
        let is_ours = |found: &ContainerInspectResponse| {
            let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
            labels.is_some_and(|labels| labels.get(OWNER_LABEL).is_some_and(|owner| **owner == *self.owner))
        };
        match &found {
            Some(found) if container.id.is_none() && !is_ours(found) => {
                Err(Error::Refused { status: 409, message: format!("the name {container} is somebody else's by now") })
            }
            _ => Ok(found),
        }
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ContainerInspectResponse>, Failure> {
        const CALL: &str = "inspect-container";
        let reference = in_path(CALL, reference)?;
        let question = async |client: Client| client.inspect_container(reference, None::<InspectContainerOptions>).await;
        found(self.connection.ask(CALL, question).await)
    }

    async fn act<T>(&self, call: &'static str, action: impl AsyncFnOnce(Client) -> Result<T, ClientError>) -> Result<T, Failure> {
        self.connection.ask_within(ACT, call, action).await
    }
}

/// What the engine itself goes by when it is asked to start or stop; also set while paused and between two restarts.
fn is_running(container: &ContainerInspectResponse) -> bool {
    container.state.as_ref().and_then(|state| state.running).unwrap_or_default()
}

fn is_paused(container: &ContainerInspectResponse) -> bool {
    container.state.as_ref().and_then(|state| state.paused).unwrap_or_default()
}

/// The id of the network that a container knows by this name; empty when it has never been started on it.
fn attached(container: ContainerInspectResponse, network: &str) -> Option<String> {
    let endpoint = container.network_settings?.networks?.remove(network)?;
    Some(endpoint.network_id.unwrap_or_default())
}

/// How long a call that stops this container may take: a database may need its minutes.
fn patience(container: Option<&ContainerInspectResponse>) -> Duration {
    let config = container.and_then(|container| container.config.as_ref());
    let grace = match config.and_then(|config| config.stop_timeout) {
        None => DEFAULT_GRACE,
        // Less than zero means that the engine waits for ever.
        Some(seconds) => u64::try_from(seconds).map_or(LONGEST_GRACE, Duration::from_secs),
    };
    grace.min(LONGEST_GRACE) + BEYOND_GRACE
}

fn done<T>(answer: Result<T, Failure>) -> Result<Effect, Error> {
    done_unless(answer, |_, _| false)
}

/// Done, unless the engine's status and words say that it was so already.
fn done_unless<T>(answer: Result<T, Failure>, already: impl Fn(u16, &str) -> bool) -> Result<Effect, Error> {
    match answer {
        Ok(_) => Ok(Effect::Done),
        Err(Failure::Refused { status, message, .. }) if already(status, &message) => Ok(Effect::AlreadySo),
        Err(failure) => Err(failure.into()),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable { address, source } => Self::Unreachable { address, source },
            Failure::TimedOut { limit, .. } => Self::TimedOut { seconds: limit.as_secs() },
            Failure::Refused { status, message, .. } => Self::Refused { status, message },
            // It was done: the engine only says 2xx then.
            Failure::Unreadable { operation, source } => {
                Self::Refused { status: 200, message: format!("its answer to {operation} cannot be read: {source}") }
            }
        }
    }
}
