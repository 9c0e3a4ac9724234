//! The model that is to be there: what is declared of it, what goes wrong with its server, and how it has to
//! stand in the end.

use std::{collections::BTreeMap, time::Duration};

use mooring::{
    manifest::{
        Key, Kind,
        status::{ConditionStatus, ConditionType, Status},
    },
    observe::engine::OBJECT_LABEL,
    plan::container::State,
};

use super::{
    dice::Dice,
    ollama::{ELSEWHERE, FOREIGN, Ollama, PORT, Trouble},
    oracle::Oracle,
    run::Stage,
    support::simulated::outside::Thing,
    verdict::{Verdict, told},
    world::{NETWORK, OLLAMA_IMAGE, Service, World, head},
};

/// The name of its container, and of the object that declares it.
pub const OLLAMA: &str = "ollama";
/// The object that wants the model.
pub const PROVIDER: &str = "default";
/// The volume of the models.
const VOLUME: &str = "ollama_data";
/// Models that may be wanted.
const MODELS: [&str; 3] = ["gemma3:4b", "qwen3:4b", "gemma3:1b"];
/// Tries to bring the container back in ten minutes.
const ATTEMPTS: usize = 5;

/// Where the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a container that the provider has made.
    Own,
    /// In a container of its own manifest.
    Declared,
    /// On a host of somebody else's.
    Elsewhere,
}

/// What is declared of the model.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where its server runs.
    pub place: Place,
    /// Its name.
    pub name: &'static str,
    /// Whether somebody in the cloud answers just now, who has a key.
    pub is_in_cloud: bool,
    /// After how many seconds without progress a pull is given up.
    pub stall_after: u64,
}

/// What goes wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The server, or the registry, is not well.
    Server(Trouble, Duration),
    /// `docker kill`.
    Killed,
    /// `docker rm -f`.
    Removed,
    /// `docker pause`, and `docker unpause` after a while.
    Paused(Duration),
    /// `ollama rm`.
    Lost,
    /// Another model is wanted.
    Choose(usize),
    /// The key of a provider in the cloud is there, for a while.
    Cloud(Duration),
}

impl Fault {
    /// How long it goes on by itself.
    pub fn lasts(&self) -> Duration {
        match self {
            Self::Server(_, span) | Self::Paused(span) | Self::Cloud(span) => *span,
            Self::Killed | Self::Removed | Self::Lost | Self::Choose(_) => Duration::ZERO,
        }
    }
}

impl Model {
    /// One of any kind.
    pub fn new(dice: &mut Dice) -> Self {
        Self {
            place: *dice.pick(&[Place::Own, Place::Declared, Place::Declared, Place::Elsewhere]),
            name: MODELS[dice.below(MODELS.len())],
            is_in_cloud: false,
            stall_after: *dice.pick(&[10, 60]),
        }
    }

    /// The container that it is in, where that has a manifest.
    pub fn service(&self) -> Option<Service> {
        let probe = format!("{{http: {{port: {PORT}, path: /api/version}}, interval: 5s, retries: 3}}");
        let service = Service { is_stateful: true, may_recreate: true, probe: Some(probe), ..Service::of(OLLAMA_IMAGE) };
        (self.place == Place::Declared).then_some(service)
    }

    /// Its manifest.
    pub fn manifest(&self) -> String {
        let server = match self.place {
            Place::Own => {
                format!(
                    "run: {{name: {OLLAMA}, image: \"{OLLAMA_IMAGE}:1\", volume: {VOLUME}, networks: [{NETWORK}], onManualStop: heal}}"
                )
            }
            Place::Declared => format!("container: {OLLAMA}"),
            Place::Elsewhere => format!("url: \"http://{ELSEWHERE}:{PORT}\""),
        };
        format!(
            "{}spec:\n  environment: shop\n  ollama:\n    {server}\n    model: \"{}\"\n    stallAfter: {}s\n  \
             healing: {{budget: {{attempts: {ATTEMPTS}, window: 10m}}}}\n",
            head("ModelProvider", PROVIDER),
            self.name,
            self.stall_after,
        )
    }

    /// Where its server has its models.
    pub fn volume(&self) -> &'static str {
        if self.place == Place::Elsewhere { ELSEWHERE } else { VOLUME }
    }
}

/// What goes wrong with it in the run of a seed.
pub fn faults(dice: &mut Dice, world: &World, span: u64) -> Vec<(Duration, Fault)> {
    if world.model.is_none() {
        return Vec::new();
    }
    let fault = |dice: &mut Dice| {
        let lasts = dice.millis(200, 40_000);
        let trouble = *dice.pick(&[
            Trouble::Refuses,
            Trouble::Hangs,
            Trouble::Fails(500),
            Trouble::Fails(503),
            Trouble::Garbles,
            Trouble::Cuts,
            Trouble::Cuts,
            Trouble::Stalls,
            Trouble::Offline,
            Trouble::Full,
            Trouble::Forgets,
        ]);
        match dice.below(20) {
            0..=11 => Fault::Server(trouble, lasts),
            12 | 13 => Fault::Killed,
            14 => Fault::Removed,
            15 => Fault::Paused(lasts),
            16 | 17 => Fault::Lost,
            18 => Fault::Choose(dice.below(MODELS.len())),
            _ => Fault::Cloud(lasts),
        }
    };
    (0..=dice.below(6)).map(|_| (dice.millis(0, span), fault(dice))).collect()
}

impl Stage {
    /// Something goes wrong with the model or its server.
    pub fn begin_at_model(&mut self, fault: &Fault) {
        let Some(model) = &mut self.world.model else { return };
        match fault {
            Fault::Server(trouble, span) => self.ollama.suffer(*trouble, *span),
            Fault::Lost => {
                if self.ollama.remove(model.volume(), model.name) {
                    self.trace.note(format!("{} is removed by hand", model.name));
                }
            }
            Fault::Choose(number) => {
                model.name = MODELS[*number];
                let text = model.manifest();
                self.oracle.declared(&self.world, "");
                self.write("model.yaml", &text);
            }
            Fault::Cloud(_) => self.set_cloud(true),
            Fault::Killed if self.runs(OLLAMA) => self.engine.kill(OLLAMA),
            Fault::Removed if !self.is_away && self.engine.has(OLLAMA) => {
                self.deeds.removed.insert(OLLAMA.to_owned());
                self.engine.remove(OLLAMA);
            }
            Fault::Paused(_) if self.runs(OLLAMA) => self.engine.set_paused(OLLAMA, true),
            Fault::Killed | Fault::Removed | Fault::Paused(_) => {}
        }
    }

    /// It does not go wrong any more.
    pub fn end_at_model(&mut self, fault: &Fault) {
        match fault {
            Fault::Cloud(_) => self.set_cloud(false),
            Fault::Paused(_) => {
                let is_paused = |thing: &Thing| thing.listed.name == OLLAMA && thing.listed.state == State::Paused;
                if self.engine.everything().iter().any(is_paused) {
                    self.engine.set_paused(OLLAMA, false);
                }
            }
            _ => {}
        }
    }

    fn set_cloud(&mut self, is_in_cloud: bool) {
        if let Some(model) = &mut self.world.model {
            model.is_in_cloud = is_in_cloud;
        }
        self.oracle.declared(&self.world, "");
        self.write(".env", &self.world.settings());
    }

    /// What people have pulled themselves is theirs.
    pub fn judge_models(&self) {
        let Some(model) = &self.world.model else { return };
        if !self.ollama.has(model.volume(), FOREIGN) {
            self.oracle.accuse(format!("{FOREIGN}, which people have pulled, is gone"));
        }
        if model.place != Place::Elsewhere && !self.engine.volume_names().contains(VOLUME) {
            self.oracle.accuse(format!("the volume {VOLUME} is not there"));
        }
    }
}

/// How the model stands.
pub struct Case<'a> {
    /// What there is.
    pub things: &'a [Thing],
    /// The servers.
    pub ollama: &'a Ollama,
    /// What was seen meanwhile.
    pub oracle: &'a Oracle,
    /// What is computed for the environment.
    pub computed: &'a str,
    /// What Mooring says.
    pub statuses: &'a BTreeMap<Key, Status>,
}

impl Case<'_> {
    /// Whether the model is there, and is said to be.
    pub fn verdict(&self, model: &Model, others: &BTreeMap<String, Verdict>) -> Verdict {
        let status = self.statuses.get(&Key::new(Kind::ModelProvider, PROVIDER));
        let ready = status.and_then(|status| status.condition(ConditionType::Ready));
        let Some(ready) = ready else { return Verdict::Wrong("Mooring says nothing of it".to_owned()) };
        let wrong = self.differs(model);
        match (wrong, ready.status == ConditionStatus::True) {
            (None, true) => Verdict::Well,
            (Some(wrong), true) => Verdict::Wrong(format!("Mooring calls it ready, and {wrong}")),
            (wrong, false) => {
                let wrong = wrong.unwrap_or_else(|| "it is as declared".to_owned());
                match self.reason(model, others, status) {
                    Some(reason) => Verdict::Explained(reason),
                    None => Verdict::Wrong(format!("{wrong}, and Mooring says {}", told(status))),
                }
            }
        }
    }

    fn differs(&self, model: &Model) -> Option<String> {
        if !self.computed.contains(&format!("ollama/{}", model.name)) {
            return Some(format!("{} is not what is written to be asked", model.name));
        }
        if model.place == Place::Own {
            let object = format!("ModelProvider/{PROVIDER}");
            let own = self.things.iter().filter(|thing| thing.listed.labels.get(OBJECT_LABEL) == Some(&object));
            let up = own.filter(|thing| thing.listed.state == State::Running).count();
            if up != 1 {
                return Some(format!("{up} containers of it run"));
            }
        }
        (!self.ollama.has(model.volume(), model.name)).then(|| format!("the model {} is not there", model.name))
    }

    /// The reason that Mooring gives, if it is one that may last, and if it is true.
    fn reason(&self, model: &Model, others: &BTreeMap<String, Verdict>, status: Option<&Status>) -> Option<String> {
        let given = status.into_iter().flat_map(|status| &status.conditions);
        let given = given.filter(|condition| condition.status == ConditionStatus::True).map(|condition| &condition.reason);
        let is_true = |reason: &&String| match reason.as_str() {
            "CrashLoop" => model.place == Place::Own && self.oracle.tries(OLLAMA) >= ATTEMPTS,
            "WaitingForDependency" => model.place == Place::Declared && matches!(others.get(OLLAMA), Some(Verdict::Explained(_))),
            _ => false,
        };
        given.into_iter().find(is_true).cloned()
    }
}
