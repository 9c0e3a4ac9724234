//! The laws of the planner, over random worlds: ollama being the choice, the
//! model gets there whatever was there before; otherwise nothing local runs;
//! and then nothing is done any more.
//!
//! The goal is stated on plain values and knows nothing of how plans are made.

use proptest::prelude::*;

use super::*;
use crate::plan::Step;

/// A container has to be made, started, and a model pulled; one pass for each, and one that is stopped or damaged first.
const PASSES: usize = 6;

/// A host, as plain values.
#[derive(Clone, Debug)]
struct World {
    at: Timestamp,
    keys: Vec<(&'static str, &'static str)>,
    has_run: bool,
    /// The container that is there, and whether it runs.
    container: Option<bool>,
    models: Vec<String>,
    history: History,
}

impl World {
    fn desired(&self) -> Desired {
        Desired { ollama: Ollama { run: self.has_run.then(run), ..desired().ollama }, ..desired() }
    }

    fn choice(&self) -> Choice {
        chooser().choose(&values(&self.keys))
    }

    fn observe(&self) -> Observed {
        let seen = self.container.map(|runs| {
            let state = if runs { State::Running } else { State::Exited { exit_code: 1, out_of_memory: false } };
            ollama_in(state)
        });
        let answers = !self.has_run || self.container == Some(true);
        let models: Vec<&str> = self.models.iter().map(String::as_str).collect();
        let mut run = containers(seen.into_iter().collect());
        run.at = self.at;
        let is_seen = self.has_run || self.container.is_some();
        Observed {
            at: self.at,
            choice: Ok(self.choice()),
            run: is_seen.then_some(run),
            container: None,
            started_at: None,
            server: (answers && self.choice().provider == Provider::Ollama)
                .then(|| served(super::models(&models)).server)
                .flatten(),
            history: self.history.clone(),
        }
    }

    /// What a step makes of it.
    fn apply(&mut self, step: &Step) {
        match &step.action {
            Action::Engine(EngineAction::StartContainer { .. } | EngineAction::RestartContainer { .. }) => {
                assert!(self.container.is_some(), "there is nothing to start");
                self.container = Some(true);
            }
            Action::Engine(EngineAction::CreateContainer(_) | EngineAction::StopContainer { .. }) => self.container = Some(false),
            Action::Engine(EngineAction::RemoveContainer { .. }) => {
                assert_eq!(self.container, Some(false), "what runs is not removed");
                self.container = None;
            }
            Action::Model(ModelAction::PullModel { model, .. }) => {
                assert!(!self.models.contains(model), "it is there already");
                self.models.push(model.clone());
            }
            other => panic!("nobody would do this: {other}"),
        }
        self.history = self.history.clone().after(step, None, self.at);
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let key =
        |name: &'static str| prop::option::of(prop_oneof![Just((name, "")), Just((name, "changeme")), Just((name, "a-key"))]);
    let keys = (key("OPENAI_API_KEY"), key("ANTHROPIC_API_KEY"), prop::option::of(Just(("OLLAMA_MODEL", "qwen3:4b"))));
    let models = prop::sample::subsequence(vec!["gemma3:4b".to_owned(), "qwen3:4b".to_owned(), "phi4:14b".to_owned()], 0..=3);
    let failed = prop::option::of((0..400_i64, 1..9_u32));
    (keys, any::<bool>(), prop::option::of(any::<bool>()), models, failed).prop_map(
        |(keys, has_run, container, models, failed)| {
            let history = failed.map(|(seconds, count)| super::failed(seconds, count, "gemma3:4b", "no such host"));
            World {
                at: now(),
                keys: [keys.0, keys.1, keys.2].into_iter().flatten().collect(),
                has_run,
                container,
                models,
                history: history.unwrap_or_default(),
            }
        },
    )
}

/// The goal, without the planner's words.
fn reached_the_goal(world: &World, before: &World) -> Result<(), TestCaseError> {
    let is_set = |name| world.keys.iter().any(|(key, value)| *key == name && *value == "a-key");
    let is_cloud = is_set("OPENAI_API_KEY") || is_set("ANTHROPIC_API_KEY");
    if is_cloud {
        prop_assert_eq!(world.container, None, "something local is left");
        prop_assert_eq!(&world.models, &before.models, "a model was pulled for nobody");
        return Ok(());
    }
    let wanted = if world.keys.iter().any(|(key, _)| *key == "OLLAMA_MODEL") { "qwen3:4b" } else { "gemma3:4b" };
    prop_assert!(world.models.iter().any(|model| model == wanted), "{} is not there", wanted);
    prop_assert_eq!(world.container, world.has_run.then_some(true));
    prop_assert!(before.models.iter().all(|model| world.models.contains(model)), "a model is gone");
    Ok(())
}

proptest! {
    #[test]
    fn the_model_gets_there_or_nothing_local_is_left_and_then_nothing_is_done(before in any_world()) {
        let mut world = before.clone();
        for pass in 0.. {
            prop_assert!(pass < PASSES, "still something to do: {:?}", world);
            let decided = plan(&world.desired(), &world.observe());
            if decided.steps.is_empty() {
                // Time brings what was waited for.
                let Some(until) = decided.wait.as_ref().and_then(Wait::until) else { break };
                world.at = until;
                continue;
            }
            for step in &decided.steps {
                world.apply(step);
            }
        }
        reached_the_goal(&world, &before)?;
        let again = plan(&world.desired(), &world.observe());
        prop_assert!(again.is_converged() && again.state.is_some(), "{}", again);
    }
}
