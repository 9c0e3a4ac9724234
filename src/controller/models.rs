//! Model providers: looking at one, remembering its choice, and telling how a pull fares.
//!
//! A pull keeps its pass busy for minutes. Meanwhile [`tell`] speaks for it,
//! and ends it when it is not wanted any more.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::SignedDuration;
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    Context, pass,
    world::{World, lock},
};
use crate::{
    execute::Environments,
    manifest::{
        Key, Kind, Manifest,
        model_provider::{ModelPull, Provider},
    },
    observe::{
        engine::{self, Listed},
        ollama::{self, pulls::Pull},
        snapshot::Snapshot,
    },
    plan::{
        self, Plan,
        container::Readiness,
        history::History,
        model_provider::{Answer, Choice, Desired, Disk, Observed, Server, same},
    },
    record::status,
    resolve::{self, MODELS, PORT},
    secret::Secret,
    store::Object,
    view::Answering,
};

/// How often a pull is spoken of: often enough to watch, and one small row each time.
const TELL: Duration = Duration::from_secs(1);
/// How often an event says that it goes on. They fold into one.
const EVENT: Duration = Duration::from_secs(30);
/// Where ollama has its models, if this is set.
const MODELS_VARIABLE: &str = "OLLAMA_MODELS";

impl World {
    /// Who answers; or why that cannot be told.
    fn choice(&self, desired: &Desired) -> Result<Choice, String> {
        let cascade = self.files.cascade(&self.environment(&desired.environment)?);
        match cascade.unusable() {
            Some((file, reason)) => Err(format!("{file} cannot be used: {reason}")),
            None => Ok(desired.chooser.choose(cascade.values())),
        }
    }

    /// Looks at the choice, and, while that is ollama, at the server and whatever it runs in.
    pub(super) async fn observe_model(&self, desired: &Desired, not_before: Instant) -> Result<Observed, engine::Error> {
        let mut observed = Observed {
            at: self.clock.now(),
            choice: self.choice(desired),
            run: None,
            container: None,
            started_at: None,
            server: None,
            history: self.history(&desired.key, desired.generation),
        };
        let local = observed.choice.clone().ok().filter(|choice| choice.provider == Provider::Ollama);
        let snapshot = self.snapshot_for(desired, local.is_some(), not_before).await?;
        let mut containers = Vec::new();
        if let Some(snapshot) = &snapshot {
            observed.at = snapshot.at;
            observed.run = self.observe_run(desired, local.is_some(), snapshot, &observed.history).await?.map(Box::new);
            observed.container = desired.ollama.container.as_ref().map(|key| self.readiness_of(key, snapshot));
            containers = self.servers_of(desired, snapshot);
        }
        let is_up = match (&desired.ollama.run, &observed.run) {
            (Some(_), Some(run)) => run.containers.iter().any(|container| container.readiness() == Readiness::Healthy),
            _ => desired.ollama.container.is_none() || observed.container == Some(Readiness::Healthy),
        };
        if let (Some(choice), true) = (local, is_up) {
            let container = containers.iter().copied().find(|listed| listed.state == plan::container::State::Running);
            let server = self.server(desired, &choice, container).await?;
            if let (Answer::Silent { .. }, Some(container)) = (&server.answer, container) {
                observed.started_at = self.snapshots.details_of(container).await?.and_then(|details| details.started_at);
            }
            observed.server = Some(server);
        }
        Ok(observed)
    }

    /// A list of containers where there is anything to look for in it: a server elsewhere can be looked after
    /// without an engine.
    async fn snapshot_for(
        &self,
        desired: &Desired,
        is_local: bool,
        not_before: Instant,
    ) -> Result<Option<Arc<Snapshot>>, engine::Error> {
        let has_left = |snapshot: &Arc<Snapshot>| !snapshot.of_object(&self.settings.owner, &desired.key).is_empty();
        let left = lock(&self.latest).as_ref().is_some_and(has_left);
        if desired.ollama.run.is_some() || left || (is_local && desired.ollama.container.is_some()) {
            return self.snapshot(not_before).await.map(Some);
        }
        Ok(None)
    }

    /// The world of the container that is made for it; of what is left of one, if there is to be none.
    async fn observe_run(
        &self,
        desired: &Desired,
        is_local: bool,
        snapshot: &Snapshot,
        history: &History,
    ) -> Result<Option<plan::container::Observed>, engine::Error> {
        let key = &desired.key;
        let environments = Environments::new();
        let probe = desired.ollama.run.as_ref().and_then(|run| run.probe.as_ref());
        let probes = |listed: &Listed| self.probe_state(key, probe, listed);
        let suspected = |id: &str| self.stop_suspected_until(id, snapshot.at);
        let lens = self.lens(snapshot, &environments, (&probes, &suspected), (BTreeMap::new(), history.clone()));
        Ok(match &desired.ollama.run {
            Some(run) if is_local => Some(lens.own(run).await?),
            _ if snapshot.of_object(&self.settings.owner, key).is_empty() => None,
            _ => Some(lens.absent(key).await?),
        })
    }

    /// The containers that the server may be in.
    fn servers_of<'a>(&self, desired: &Desired, snapshot: &'a Snapshot) -> Vec<&'a Listed> {
        self.listed_of(desired.ollama.container.as_ref().unwrap_or(&desired.key), snapshot)
    }

    /// The model that answers, by the first provider whose choice is known. Looks at what is known already, and asks nobody.
    pub(super) fn answering(&self) -> Result<Answering, String> {
        let mut why = "no ModelProvider is declared".to_owned();
        for (key, object) in self.reader.objects() {
            if key.kind != Kind::ModelProvider {
                continue;
            }
            let answering = match resolve::resolve(&object, &self.reader, &self.settings.desired) {
                Ok(resolve::Desired::ModelProvider(desired)) => self.answering_of(&desired),
                Ok(_) => continue,
                Err(error) => Err(crate::error_chain(&error)),
            };
            match answering {
                Ok(answering) => return Ok(answering),
                Err(error) => why = format!("{key}: {error}"),
            }
        }
        Err(why)
    }

    fn answering_of(&self, desired: &Desired) -> Result<Answering, String> {
        let choice = self.choice(desired)?;
        let reason = choice.reason();
        let Choice { provider, model, .. } = choice;
        let values = self.values(&desired.environment)?;
        let value = |name: &str| {
            let value = values.get(name).map(|value| value.expose().trim()).filter(|value| !value.is_empty());
            value.map(|value| Secret::new(value.to_owned()))
        };
        let key = (provider != Provider::Ollama).then(|| value(provider.variable())).flatten();
        let url = match provider {
            Provider::Openai => value("OPENAI_BASE_URL"),
            Provider::Anthropic => value("ANTHROPIC_BASE_URL"),
            Provider::Ollama => {
                let latest = lock(&self.latest).clone();
                let containers = latest.as_deref().map(|snapshot| self.servers_of(desired, snapshot)).unwrap_or_default();
                let running = containers.into_iter().find(|listed| listed.state == plan::container::State::Running);
                Some(Secret::new(url(desired, running)))
            }
        };
        Ok(Answering { provider, model, reason, url, key })
    }

    /// Asks the server.
    async fn server(&self, desired: &Desired, choice: &Choice, container: Option<&Listed>) -> Result<Server, engine::Error> {
        let url = url(desired, container);
        let answer = ollama::look(&url, &self.dial).await;
        let lacks =
            matches!(&answer, Answer::Models { models, .. } if !models.iter().any(|model| same(&model.name, &choice.model)));
        let disk = match self.directory(desired, &url, container).await? {
            Some(directory) if lacks => ollama::free(&directory).map(|free| {
                let needed = self.pulls.needed(&url, &choice.model);
                Disk { directory, free, needed }
            }),
            Some(_) | None => None,
        };
        let pulls_for = self.pulls.same_for_another(&desired.key, &url, &choice.model);
        Ok(Server { url, answer, pulls_for, disk })
    }

    /// The directory of the host that the server has its models in.
    async fn directory(
        &self,
        desired: &Desired,
        url: &str,
        container: Option<&Listed>,
    ) -> Result<Option<PathBuf>, engine::Error> {
        if let Some(directory) = &desired.ollama.directory {
            return Ok(Some(directory.clone()));
        }
        let Some(container) = container else {
            let is_here = ["http://localhost", "http://127.", "http://[::1]"].iter().any(|here| url.starts_with(here));
            return Ok(is_here.then(ollama::usual_directory).flatten());
        };
        let Some(details) = self.snapshots.details_of(container).await? else { return Ok(None) };
        let inside = details.variables.get(MODELS_VARIABLE).map_or(MODELS, |models| models.expose());
        let mount =
            Path::new(inside).ancestors().find_map(|path| details.mounts.iter().find(|(_, mounted)| Path::new(mounted) == path));
        Ok(mount.map(|(outside, _)| PathBuf::from(outside)))
    }

    /// Whether a pull is still what its manifest and the keys ask for. What cannot be told counts as yes.
    fn is_wanted(&self, key: &Key, pull: &Pull) -> bool {
        let Some(object) = self.reader.get(key) else { return false };
        let desired = match resolve::resolve(&object, &self.reader, &self.settings.desired) {
            Ok(resolve::Desired::ModelProvider(desired)) => desired,
            Ok(_) => return false,
            Err(_) => return true,
        };
        let same_place = desired.ollama
            == plan::model_provider::Ollama {
                // These are of another generation, which does not matter.
                run: desired.ollama.run.clone().filter(|_| pull.desired.ollama.run.is_some()),
                ..pull.desired.ollama.clone()
            };
        let same_model = match self.choice(&desired) {
            Ok(choice) => choice.provider == Provider::Ollama && same(&choice.model, &pull.model),
            Err(_) => true,
        };
        same_place && same_model && desired.ollama.pull == ModelPull::IfMissing
    }
}

/// Where the server is: as it is written down, or in its container, or here.
fn url(desired: &Desired, container: Option<&Listed>) -> String {
    let address = container.and_then(|container| container.networks.values().flatten().next());
    let found = || match address {
        Some(address) if address.contains(':') => format!("http://[{address}]:{PORT}"),
        Some(address) => format!("http://{address}:{PORT}"),
        None => format!("http://localhost:{PORT}"),
    };
    desired.ollama.url.clone().unwrap_or_else(found)
}

impl Context {
    /// Keeps what was learnt about a model provider and its container, and tells of a new choice.
    pub(super) async fn settle_model(
        &self,
        object: &Object,
        desired: &Desired,
        observed: &Observed,
        plan: &Plan,
    ) -> Result<(), pass::Error> {
        let key = object.key();
        let known = self.world.history(key, object.generation());
        let choice = observed.choice.as_ref().ok().map(|choice| format!("{choice} answers, because {}", choice.reason()));
        if let Some(choice) = choice.as_ref().filter(|choice| known.choice.as_ref() != Some(choice)) {
            tracing::info!(object = %key, choice, "chosen");
            self.record.events.normal(key.clone(), "ModelChosen", choice.clone());
        }
        let settled = |mut history: History| {
            if let (Some(run), Some(seen)) = (&desired.ollama.run, &observed.run) {
                let reset_after =
                    SignedDuration::try_from(run.policy.healing.backoff.reset_after.0).unwrap_or(SignedDuration::MAX);
                history = history.settled(plan, &seen.containers, seen.at, reset_after);
            }
            history.choice = choice.or(history.choice);
            history
        };
        self.remember((key, object.generation()), settled).await
    }

    /// The choice of a model provider is written by its environment's pass.
    pub(super) fn look_at_environments(&self, key: &Key) {
        if key.kind != Kind::ModelProvider {
            return;
        }
        for (other, object) in self.world.reader.objects() {
            if matches!(object.manifest().map(AsRef::as_ref), Some(Manifest::Environment(_))) {
                self.triggers.trigger(&other);
            }
        }
    }

    /// Says how the pulls fare, and ends those that are not wanted any more.
    fn tell_of(&self, pulls: &BTreeMap<Key, Pull>, events: &mut BTreeMap<Key, Instant>) {
        let sum = |part: fn(&Pull) -> u64| pulls.values().map(part).sum();
        self.record.metrics.pulls(pulls.len(), sum(|pull| pull.progress.completed), sum(|pull| pull.progress.total));
        events.retain(|key, _| pulls.contains_key(key));
        for (key, pull) in pulls {
            if !self.world.is_wanted(key, pull) {
                pull.cancel.cancel();
                continue;
            }
            let message = format!("pulling {}: {}", pull.model, pull.progress.describe());
            let previous = self.record.status.get(key).unwrap_or_default();
            self.record.status.set(key, status::pulling(&previous, &message, self.world.clock.now()));
            let now = Instant::now();
            if events.get(key).is_none_or(|last| now.duration_since(*last) >= EVENT) {
                events.insert(key.clone(), now);
                self.record.events.normal(key.clone(), "Pulling", format!("{} pulls model {}", pull.url, pull.model));
            }
        }
        // One that ended meanwhile has had its say already, and ours was the later one.
        let under_way = self.world.pulls.all();
        pulls.keys().filter(|key| !under_way.contains_key(*key)).for_each(|key| self.triggers.trigger(key));
    }
}

/// Speaks for the passes that are busy with a pull.
pub(super) async fn tell(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(TELL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut events = BTreeMap::new();
    loop {
        ticks.tick().await;
        ctx.tell_of(&ctx.world.pulls.all(), &mut events);
    }
}
