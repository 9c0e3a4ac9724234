//! Both sides of the engine as Mooring knows them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use mooring::{
    execute::{
        self,
        engine::{Effect, Ran},
    },
    observe::engine::{Description, Engine, Error, Event, ExecResult, Inspected, Listed, ListedNetwork},
    plan::EngineAction,
    secret::Secret,
};

use super::{Moment, Simulated, refused};

#[async_trait]
impl Engine for Simulated {
    async fn describe(&self) -> Result<Description, Error> {
        self.reachable()?;
        Ok(Description { id: "simulated".into(), version: "0".into(), api_version: "1.41".into(), root: None })
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.take_time().await;
        self.reachable()?;
        self.world().lists += 1;
        Ok(self.world().containers.values().map(|container| container.listed.clone()).collect())
    }

    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, Error> {
        self.reachable()?;
        Ok(self.world().containers.get(id).map(|container| Inspected {
            state: container.listed.state.clone(),
            health: container.listed.health,
            broken_check: None,
            start_error: None,
            check_is_late: false,
            started_at: container.started_at,
            restarts: 0,
            finished_at: None,
            variables: container.variables.clone(),
            limits: container.limits.clone(),
            stop_signal: None,
            mounts: Vec::new(),
            pid: None,
            aliases: BTreeMap::new(),
        }))
    }

    async fn has_image(&self, reference: &str) -> Result<bool, Error> {
        self.reachable()?;
        Ok(self.world().images.contains_key(reference))
    }

    async fn networks(&self) -> Result<Vec<ListedNetwork>, Error> {
        self.reachable()?;
        Ok(self.world().networks.clone())
    }

    async fn volumes(&self) -> Result<BTreeSet<String>, Error> {
        self.reachable()?;
        Ok(self.world().volumes.clone())
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        self.reachable()?;
        let engine = self.clone();
        let events = tokio_stream::wrappers::BroadcastStream::new(self.events.subscribe());
        let live = events.take_while(move |_| futures::future::ready(!engine.world().away));
        // A reader that falls behind is not told what it missed, as with the real one.
        Ok(live.filter_map(|event| futures::future::ready(event.ok().map(Ok))).boxed())
    }

    async fn exec(&self, _: &str, _: &[String]) -> Result<ExecResult, Error> {
        Ok(ExecResult { exit_code: 0, output: String::new() })
    }
}

impl Simulated {
    /// Never returns when this call is to be left hanging.
    async fn hang_if_wanted(&self, moment: Moment, action: &EngineAction) {
        let wanted = (moment, action.to_string());
        let hangs = self.world().hanging.take_if(|hanging| *hanging == wanted).is_some();
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    fn act(&self, action: &EngineAction, variables: &BTreeMap<String, Secret>) -> Result<Effect, execute::engine::Error> {
        match action {
            EngineAction::CreateNetwork { name } if self.has_network(name) => Ok(Effect::AlreadySo),
            EngineAction::CreateNetwork { name } => {
                self.network(name, Some(&self.owner));
                Ok(Effect::Done)
            }
            EngineAction::RemoveNetwork { id, .. } => self.remove_network(id),
            EngineAction::CreateVolume { name } => Ok(inserted(self.world().volumes.insert(name.clone()))),
            EngineAction::PullImage { image } => {
                let message = "there is no registry in a simulation".to_owned();
                Err(execute::engine::Error::Pull { image: image.clone(), message })
            }
            EngineAction::CreateContainer(new) => self.create(new, variables),
            other => {
                let reference = other.container().map(mooring::plan::Target::reference).unwrap_or_default();
                if other.container().is_some_and(|target| target.id.is_none()) && self.is_somebody_elses(reference) {
                    return Err(refused(409, &format!("the name {reference} is somebody else's by now")));
                }
                match (self.find(reference), other) {
                    (Some(id), _) => self.change(other, &id),
                    (None, EngineAction::RemoveContainer { .. }) => Ok(Effect::AlreadySo),
                    (None, _) => Err(refused(404, &format!("No such container: {reference}"))),
                }
            }
        }
    }
}

#[async_trait]
impl execute::engine::Engine for Simulated {
    async fn perform(
        &self,
        action: &EngineAction,
        variables: &BTreeMap<String, Secret>,
    ) -> Result<Effect, execute::engine::Error> {
        self.reachable().map_err(unreachable)?;
        self.take_time().await;
        self.hang_if_wanted(Moment::Before, action).await;
        self.world().calls.push(action.to_string());
        let effect = self.act(action, variables);
        self.hang_if_wanted(Moment::After, action).await;
        effect
    }

    async fn mark(&self, name: &str, text: &str) -> Result<String, execute::engine::Error> {
        self.reachable().map_err(unreachable)?;
        Ok(self.world().markers.entry(name.to_owned()).or_insert_with(|| text.to_owned()).clone())
    }

    async fn exec(&self, _: &str, _: &[String], _: std::time::Duration) -> Result<Ran, execute::engine::Error> {
        self.reachable().map_err(unreachable)?;
        Ok(Ran { exit_code: 0, stdout: String::new(), stderr: String::new() })
    }

    async fn unmark(&self, name: &str) -> Result<(), execute::engine::Error> {
        self.reachable().map_err(unreachable)?;
        self.world().markers.remove(name);
        Ok(())
    }
}

fn unreachable(error: Error) -> execute::engine::Error {
    execute::engine::Error::Unreachable { address: "simulated".into(), source: error.into() }
}

fn inserted(new: bool) -> Effect {
    if new { Effect::Done } else { Effect::AlreadySo }
}
