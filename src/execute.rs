//! Carrying a plan out: one step at a time, each on record before it is taken.
//!
//! There is one loop, [`execute`], and no decision in it. Steps are idempotent:
//! one that finds its work done already is a success. The first failure ends
//! the plan; the next pass looks again. There is no undo.

pub mod docker;
pub mod engine;
pub mod files;
pub mod ollama;
pub mod proxy;
pub mod repair;

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::watch, time::Instant};

use crate::{
    crash,
    dotenv::Values,
    manifest::Key,
    observe,
    plan::{Action, EngineAction, Plan, Step, action::VariableSource},
    record::{
        self,
        journal::{Actor, Intent, IntentId, Journal, Outcome, PassId},
    },
    resolve::Desired,
    secret::Secret,
};

pub use engine::Effect;

/// Everything by which the world can be changed.
pub struct Hands {
    /// Where every step is written down, before and after.
    pub journal: Journal,
    /// The engine.
    pub engine: Arc<dyn engine::Engine>,
    /// The files.
    pub files: files::Files,
    /// The model servers.
    pub ollama: ollama::Ollama,
    /// The way to an nginx whose routes are to be proven.
    pub dial: Arc<dyn observe::dial::Dial>,
    /// Who is asked for a value that only a running container remembers.
    pub containers: Arc<dyn observe::engine::Engine>,
    /// Turns true when we are to stop: the current step is finished, the next one is not begun.
    pub stopping: watch::Receiver<bool>,
    /// Told of each container that is about to be stopped by us.
    pub before_stop: Box<dyn Fn(&str) + Send + Sync>,
    /// Told when such a call has failed, which the engine may carry out all the same.
    pub stop_failed: Box<dyn Fn(&str) + Send + Sync>,
}

/// In whose name, in which pass and for what a plan is carried out.
pub struct Pass<'a> {
    /// Who acts.
    pub actor: Actor,
    /// The pass's own id.
    pub id: PassId,
    /// The object.
    pub object: &'a Key,
    /// The manifest's generation.
    pub generation: i64,
    /// What the plan was made for.
    pub desired: &'a Desired,
    /// The values for a new container.
    pub environments: &'a Environments,
    /// Whether what the plan goes by has moved since it was looked at.
    pub is_outdated: &'a (dyn Fn() -> bool + Send + Sync),
}

/// The values of environments by name, or why there are none.
pub type Environments = BTreeMap<String, Result<Values, String>>;

/// What carrying out a plan came to.
#[derive(Debug, Default)]
pub struct Report {
    /// The steps that were taken. Only the last can have failed.
    pub taken: Vec<Taken>,
    /// When the first effect was requested.
    pub first_effect: Option<Instant>,
    /// Why the plan was not carried out to its end.
    pub failure: Option<Error>,
}

/// A step that was taken.
#[derive(Debug)]
pub struct Taken {
    /// Its number in the audit log.
    pub intent: IntentId,
    /// The step.
    pub step: Step,
    /// What it came to.
    pub outcome: Outcome,
    /// When that was known. Those after it may take long.
    pub at: Instant,
}

/// A plan was not carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step was not taken because it could not be written down.
    #[error("the journal cannot be written, so nothing was done")]
    Record {
        /// What the journal said.
        source: record::Error,
    },
    /// The engine did not do it.
    #[error("could not {step}")]
    Engine {
        /// The step.
        step: String,
        /// What the engine said.
        source: engine::Error,
    },
    /// A file was not changed.
    #[error("could not {step}")]
    File {
        /// The step.
        step: String,
        /// What stood in the way.
        source: files::Error,
    },
    /// An nginx was not changed.
    #[error("could not {step}")]
    Proxy {
        /// The step.
        step: String,
        /// What stood in the way.
        source: proxy::Error,
    },
    /// A model server did not do it.
    #[error("could not {step}")]
    Model {
        /// The step.
        step: String,
        /// What went wrong.
        source: ollama::Error,
    },
    /// A value that a new container needs has gone since the decision.
    #[error("could not {step}: {variable} has no value any more")]
    ValueGone {
        /// The step.
        step: String,
        /// The variable.
        variable: String,
    },
    /// We are shutting down.
    #[error("shutting down")]
    Stopping,
}

/// Takes the plan's steps in order: intent, effect, outcome.
pub async fn execute(hands: &Hands, pass: &Pass<'_>, plan: &Plan) -> Report {
    let mut report = Report::default();
    for (number, step) in plan.steps.iter().enumerate() {
        if *hands.stopping.borrow() {
            report.failure = Some(Error::Stopping);
            return report;
        }
        crash::point("execute-before-intent");
        let Pass { actor, id, object, generation, .. } = pass;
        let intent = Intent { actor, pass: *id, number: number + 1, object, generation: *generation, step };
        let intent = match hands.journal.intend(&intent).await {
            Ok(intent) => intent,
            Err(source) => {
                report.failure = Some(Error::Record { source });
                return report;
            }
        };
        crash::point("execute-after-intent");
        report.first_effect.get_or_insert_with(Instant::now);
        let result = perform(hands, pass, step).await;
        let at = Instant::now();
        crash::point("execute-after-effect");
        let outcome = match &result {
            Ok(Effect::Done) => Outcome::Done,
            Ok(Effect::AlreadySo) => Outcome::AlreadySo,
            Err(error) => Outcome::Failed { error: crate::error_chain(error) },
        };
        // If this cannot be written the intent stays open, which is the truth; the journal has said so itself.
        if let Err(error) = hands.journal.conclude(intent, outcome.clone()).await {
            tracing::error!(error = crate::error_chain(&error), step = %step.action, "an outcome could not be written down");
        }
        crash::point("execute-after-outcome");
        report.taken.push(Taken { intent, step: step.clone(), outcome, at });
        if let Err(error) = result {
            report.failure = Some(error);
            return report;
        }
    }
    report
}

async fn perform(hands: &Hands, pass: &Pass<'_>, step: &Step) -> Result<Effect, Error> {
    match &step.action {
        Action::Engine(action) => {
            let variables = variables(action, pass.environments)
                .map_err(|variable| Error::ValueGone { step: action.to_string(), variable })?;
            let stopped = match action {
                EngineAction::StopContainer { container } | EngineAction::RestartContainer { container } => Some(container),
                _ => None,
            };
            if let Some(container) = stopped {
                (hands.before_stop)(container.reference());
            }
            let performed = hands.engine.perform(action, &variables).await;
            if let (Some(container), Err(_)) = (stopped, &performed) {
                (hands.stop_failed)(container.reference());
            }
            performed.map_err(|source| Error::Engine { step: action.to_string(), source })
        }
        Action::File(action) => {
            let Desired::Environment(desired) = pass.desired else {
                unreachable!("only an environment's planner plans changes of files");
            };
            let performed = hands.files.perform(action, desired, &Asked(&*hands.containers)).await;
            performed.map_err(|source| Error::File { step: action.to_string(), source })
        }
        Action::Proxy(action) => {
            let performed = proxy::perform(action, (&*hands.engine, &hands.dial), pass.is_outdated).await;
            performed.map_err(|source| Error::Proxy { step: action.to_string(), source })
        }
        Action::Model(action) => {
            let Desired::ModelProvider(desired) = pass.desired else {
                unreachable!("only a model provider's planner plans orders to a model server");
            };
            let performed = hands.ollama.perform(action, desired).await;
            performed.map_err(|source| Error::Model { step: action.to_string(), source })
        }
    }
}

/// The values for a new container; the name of the first that is gone otherwise.
fn variables(action: &EngineAction, environments: &Environments) -> Result<BTreeMap<String, Secret>, String> {
    let EngineAction::CreateContainer(new) = action else {
        return Ok(BTreeMap::new());
    };
    new.variables
        .iter()
        .map(|(name, source)| {
            let value = match source {
                VariableSource::Literal(value) => Some(value),
                VariableSource::Environment(environment) => {
                    environments.get(environment).and_then(|values| values.as_ref().ok()?.get(name))
                }
            };
            value.map(|value| (name.clone(), value.clone())).ok_or_else(|| name.clone())
        })
        .collect()
}

/// Asks the engine for the value of a container's variable.
struct Asked<'a>(&'a dyn observe::engine::Engine);

#[async_trait::async_trait]
impl files::ContainerVariables for Asked<'_> {
    async fn container_variable(&self, id: &str, variable: &str) -> Option<Secret> {
        match self.0.inspect(id).await {
            Ok(inspected) => inspected?.variables.remove(variable),
            Err(error) => {
                tracing::warn!(container = id, error = crate::error_chain(&error), "a container could not be asked for a value");
                None
            }
        }
    }
}
