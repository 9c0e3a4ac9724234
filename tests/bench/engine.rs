//! The bare engine: breaking things, and mending them by hand.

use std::{collections::HashMap, time::Duration};

use bollard::{
    Docker,
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::{ContainerCreateBody, ContainerInspectResponse, EventMessage},
    query_parameters::{
        CreateContainerOptions, EventsOptions, InspectContainerOptions, KillContainerOptions, ListContainersOptions,
        RemoveContainerOptions, RestartContainerOptions, StartContainerOptions,
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use mooring::observe::engine::{OBJECT_LABEL, OWNER_LABEL};
use tokio::{
    sync::broadcast::{self, Receiver, Sender},
    time::{Instant, timeout},
};

use super::{OWNER, Result, backends::NETWORK};

/// Where the engine listens.
pub(crate) const SOCKET: &str = "/var/run/docker.sock";
/// On the containers that are mended by hand.
pub(crate) const BY_HAND: &str = "dev.mooring.bench";
/// What takes longer is lost.
const LOST: Duration = Duration::from_mins(1);

/// The engine and its events.
pub(crate) struct Engine {
    pub(crate) client: Docker,
    heard: Sender<Heard>,
}

/// An event as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    /// The engine's own time.
    pub(crate) nanos: i64,
    pub(crate) action: String,
    pub(crate) id: String,
    name: String,
    object: Option<String>,
}

impl Heard {
    pub(crate) fn is(&self, action: &str, container: &str) -> bool {
        self.action == action && (self.name == container || self.id == container)
    }

    pub(crate) fn is_of(&self, action: &str, object: &str) -> bool {
        self.action == action && self.object.as_deref() == Some(object)
    }
}

/// Somebody who listens, from the moment it was made.
pub(crate) struct Ears(Receiver<Heard>);

impl Ears {
    pub(crate) async fn hear(&mut self, what: impl Fn(&Heard) -> bool) -> Result<Heard> {
        let heard = async {
            loop {
                let heard = self.0.recv().await?;
                if what(&heard) {
                    return Ok(heard);
                }
            }
        };
        timeout(LOST, heard).await.unwrap_or_else(|_| Err("an event that was waited for never came".into()))
    }
}

impl Engine {
    pub(crate) async fn connect() -> Result<Self> {
        let client = Docker::connect_with_unix(SOCKET, LOST.as_secs(), bollard::API_DEFAULT_VERSION)?.negotiate_version().await?;
        let heard = Sender::new(4096);
        let filters = HashMap::from([("type".to_owned(), vec!["container".to_owned()])]);
        let mut events = client.events(Some(EventsOptions { filters: Some(filters), ..EventsOptions::default() }));
        let tell = heard.clone();
        tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                let _ = tell.send(note(event));
            }
        });
        Ok(Self { client, heard })
    }

    pub(crate) fn listen(&self) -> Ears {
        Ears(broadcast::Sender::subscribe(&self.heard))
    }

    pub(crate) async fn kill(&self, name: &str) -> Result<()> {
        Ok(self.client.kill_container(name, None::<KillContainerOptions>).await?)
    }

    pub(crate) async fn start(&self, name: &str) -> Result<()> {
        Ok(self.client.start_container(name, None::<StartContainerOptions>).await?)
    }

    pub(crate) async fn restart(&self, name: &str) -> Result<()> {
        Ok(self.client.restart_container(name, None::<RestartContainerOptions>).await?)
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        let options = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
        Ok(self.client.remove_container(name, Some(options)).await?)
    }

    pub(crate) async fn create(&self, name: &str, body: ContainerCreateBody) -> Result<()> {
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..CreateContainerOptions::default() };
        self.client.create_container(Some(options), body).await?;
        Ok(())
    }

    pub(crate) async fn exec(&self, name: &str, command: &[&str]) -> Result<()> {
        let command = Some(command.iter().map(|word| (*word).to_owned()).collect());
        let exec = self.client.create_exec(name, CreateExecOptions { cmd: command, ..CreateExecOptions::default() }).await?;
        self.client.start_exec(&exec.id, Some(StartExecOptions { detach: true, ..StartExecOptions::default() })).await?;
        Ok(())
    }

    /// Runs a command in a container, and fails when the command does.
    pub(crate) async fn run(&self, name: &str, command: &[&str]) -> Result<()> {
        let options = CreateExecOptions {
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let exec = self.client.create_exec(name, options).await?;
        let StartExecResults::Attached { output, .. } = self.client.start_exec(&exec.id, None).await? else {
            return Err("a command that was to be waited for was not".into());
        };
        let said: Vec<LogOutput> = output.try_collect().await?;
        match self.client.inspect_exec(&exec.id).await?.exit_code {
            Some(0) => Ok(()),
            code => {
                let said: String = said.iter().map(ToString::to_string).collect();
                Err(format!("{} ended with {code:?}: {said}", command.join(" ")).into())
            }
        }
    }

    pub(crate) async fn inspect(&self, name: &str) -> Result<ContainerInspectResponse> {
        Ok(self.client.inspect_container(name, None::<InspectContainerOptions>).await?)
    }

    /// What has to be sent to make a container like this one, which is not Mooring's then.
    pub(crate) async fn body_like(&self, name: &str) -> Result<ContainerCreateBody> {
        let inspected = self.inspect(name).await?;
        let config = inspected.config.ok_or("a container without a configuration")?;
        Ok(ContainerCreateBody {
            image: config.image,
            cmd: config.cmd,
            env: config.env,
            healthcheck: config.healthcheck,
            stop_signal: config.stop_signal,
            stop_timeout: config.stop_timeout,
            labels: Some(HashMap::from([(BY_HAND.to_owned(), "by-hand".to_owned())])),
            host_config: inspected.host_config,
            ..ContainerCreateBody::default()
        })
    }

    /// All that has to be asked to know how Mooring's containers are: the list, and the details of each.
    pub(crate) async fn look(&self) -> Result<usize> {
        let listed = self.labelled(&format!("{OWNER_LABEL}={OWNER}")).await?;
        for id in &listed {
            self.inspect(id).await?;
        }
        Ok(listed.len())
    }

    /// Removes everything that a run makes.
    pub(crate) async fn clean(&self) -> Result<()> {
        let mut ids = self.labelled(&format!("{OWNER_LABEL}={OWNER}")).await?;
        ids.extend(self.labelled(BY_HAND).await?);
        let removals = stream::iter(ids).map(|id| async move {
            // One that is gone meanwhile is what we want.
            let _ = self.remove(&id).await;
        });
        removals.buffer_unordered(8).collect::<()>().await;
        let _ = self.client.remove_network(NETWORK).await;
        Ok(())
    }

    async fn labelled(&self, label: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let listed = self.client.list_containers(Some(options)).await?;
        Ok(listed.into_iter().filter_map(|container| container.id).collect())
    }
}

fn note(event: EventMessage) -> Heard {
    let at = Instant::now();
    let actor = event.actor.unwrap_or_default();
    let attributes = actor.attributes.unwrap_or_default();
    Heard {
        at,
        nanos: event.time_nano.unwrap_or_default(),
        action: event.action.unwrap_or_default(),
        id: actor.id.unwrap_or_default(),
        name: attributes.get("name").cloned().unwrap_or_default(),
        object: attributes.get(OBJECT_LABEL).cloned(),
    }
}
