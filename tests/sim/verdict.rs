//! How things stand in the end: whether each service is as people have declared
//! it, and what Mooring says where it is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use mooring::{
    manifest::{
        Key, Kind,
        status::{Condition, ConditionStatus, ConditionType, Status},
    },
    observe::engine::{OBJECT_LABEL, OWNER_LABEL},
    plan::container::{Health, State},
};

use super::{
    edge::{self, EDGE},
    model,
    network::Network,
    nginx::Nginx,
    ollama::Ollama,
    oracle::{Oracle, service_of},
    support::simulated::outside::Thing,
    world::{NETWORK, SECRETS, Service, World, behaviour},
};

/// How one object stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As declared, and Mooring says so.
    Well,
    /// Not as declared, and Mooring says why, with a reason that does not go away by itself and that is true.
    Explained(String),
    /// Anything else: what is wrong.
    Wrong(String),
}

/// What people did, for the reasons that are only true if they did.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    /// Services that somebody has stopped, and neither started nor removed since.
    pub stopped: BTreeSet<String>,
    /// Services of which somebody wanted something else.
    pub changed: BTreeSet<String>,
    /// Services whose name was somebody else's for a while, or that had another one.
    pub named: BTreeSet<String>,
    /// Services that somebody has removed.
    pub removed: BTreeSet<String>,
    /// How often somebody has undone what Mooring had written for nginx.
    pub sites_undone: usize,
    /// How often secrets were taken out of their file, or with it.
    pub secrets_lost: usize,
}

/// Everything there is to judge by.
pub struct Case<'a> {
    /// What is declared.
    pub world: &'a World,
    /// What there is.
    pub things: &'a [Thing],
    /// What Mooring says.
    pub statuses: &'a BTreeMap<Key, Status>,
    /// What people did.
    pub deeds: &'a Deeds,
    /// What was seen meanwhile.
    pub oracle: &'a Oracle,
    /// The files of the environment, by their names.
    pub files: &'a BTreeMap<String, String>,
    /// The nginx in front, and where the desired state is.
    pub nginx: (&'a Nginx, &'a Path),
    /// The model servers, and the way to all that runs.
    pub servers: (&'a Ollama, &'a Network),
}

impl Case<'_> {
    /// How each service stands, and the environment.
    pub fn verdicts(&self) -> BTreeMap<String, Verdict> {
        let mut verdicts: BTreeMap<_, _> =
            self.world.services.iter().map(|(name, service)| (name.clone(), self.verdict(name, service))).collect();
        verdicts.insert("Environment/shop".to_owned(), self.environment());
        if let Some(edge) = &self.world.edge {
            let case = edge::Case {
                things: self.things,
                deeds: self.deeds,
                nginx: self.nginx.0,
                desired: self.nginx.1,
                status: self.statuses.get(&Key::new(Kind::Proxy, EDGE)),
            };
            verdicts.insert("Proxy/edge".to_owned(), case.verdict(edge, &verdicts));
        }
        if let Some(model) = self.world.model.as_ref() {
            let case = model::Case {
                things: self.things,
                ollama: self.servers.0,
                oracle: self.oracle,
                computed: self.files.get(".env.computed").map_or("", String::as_str),
                statuses: self.statuses,
            };
            verdicts.insert("ModelProvider/default".to_owned(), case.verdict(model, &verdicts));
        }
        verdicts
    }

    fn verdict(&self, name: &str, service: &Service) -> Verdict {
        let differs = self.differs(name, service);
        let status = self.statuses.get(&Key::new(Kind::Container, name));
        let Some(ready) = status.and_then(|status| status.condition(ConditionType::Ready)) else {
            return Verdict::Wrong("Mooring says nothing about it".to_owned());
        };
        match (differs, ready.status == ConditionStatus::True) {
            (None, true) => Verdict::Well,
            (Some(difference), true) => match status.and_then(|status| self.reason(name, status)) {
                // One of them is as declared, and a person has to say what becomes of the other one's data.
                Some(reason) if reason == "Leftover" => Verdict::Explained(reason),
                _ => Verdict::Wrong(format!("Mooring calls it ready, and {difference}")),
            },
            (difference, false) => {
                let difference = difference.unwrap_or_else(|| "it is as declared".to_owned());
                let reason = status.and_then(|status| self.reason(name, status));
                match reason {
                    Some(reason) => Verdict::Explained(reason),
                    None => Verdict::Wrong(format!("{difference}, and Mooring says {}", told(status))),
                }
            }
        }
    }

    /// In what a service is not as declared.
    fn differs(&self, name: &str, service: &Service) -> Option<String> {
        let is_meant = |thing: &&Thing| {
            let labels = &thing.listed.labels;
            if service.is_theirs {
                return service_of(thing).as_deref() == Some(name) && !labels.contains_key(OWNER_LABEL);
            }
            labels.contains_key(OWNER_LABEL) && labels.get(OBJECT_LABEL) == Some(&format!("Container/{name}"))
        };
        let found: Vec<&Thing> = self.things.iter().filter(is_meant).collect();
        let [thing] = found[..] else { return Some(format!("there are {} containers of {name}", found.len())) };
        if thing.listed.state != State::Running {
            return Some(format!("{name} is {:?}", thing.listed.state));
        }
        if !matches!(thing.listed.health, Health::None | Health::Healthy) {
            return Some(format!("{name} is {:?}", thing.listed.health));
        }
        if service.probe.is_some() && self.servers.1.is_deaf(thing) {
            return Some(format!("{name} answers nobody"));
        }
        if service.is_theirs {
            return None;
        }
        if thing.listed.name != self.world.container(name) {
            return Some(format!("{name} is called {}", thing.listed.name));
        }
        if thing.listed.image != service.reference() {
            return Some(format!("{name} is of image {}", thing.listed.image));
        }
        if !thing.listed.networks.contains_key(NETWORK) {
            return Some(format!("{name} is not on {NETWORK}"));
        }
        let secret = |variable: &&str| self.oracle.secret(variable).unwrap_or_default();
        let wanted = service.variables.iter().map(|variable| match *variable {
            "LEVEL" => (*variable, self.world.setting.to_string()),
            _ => (*variable, secret(variable)),
        });
        let mut wanted = wanted.chain([("VALUE", service.value.to_string())]);
        let other = wanted.find(|(variable, value)| thing.variables.get(*variable) != Some(value));
        other.map(|(variable, value)| format!("{variable} is not {value} in {name}"))
    }

    /// The reason that Mooring gives, if it is one that may last, and if it is true.
    fn reason(&self, name: &str, status: &Status) -> Option<String> {
        let service = &self.world.services[name];
        let is_bad = behaviour(service.image, service.version).exits_after.is_some()
            || behaviour(service.image, service.version).unhealthy_after.is_some();
        let tries = self.oracle.tries(name);
        let given = status.conditions.iter().filter(|condition| condition.status == ConditionStatus::True);
        let is_true = |reason: &str| match reason {
            "StoppedByHand" => self.deeds.stopped.contains(name) && !service.heals_stops && self.is_down(name),
            "CrashLoop" => tries >= usize::try_from(service.attempts).unwrap(),
            "RecreateForbidden" => service.is_stateful && !service.may_recreate,
            // Two checks that contradict each other: nobody is restarted while one of them succeeds.
            "HealthUntrusted" => service.probe.is_some(),
            "Leftover" => service.is_stateful && !service.may_recreate && self.deeds.named.contains(name),
            "NameTaken" => self.deeds.named.contains(name),
            "NotFound" => service.is_theirs && self.deeds.removed.contains(name),
            "ReplacementFailed" | "OnLastGoodImage" => is_bad || self.deeds.changed.contains(name),
            "Fight" => self.deeds.changed.contains(name) || !self.deeds.named.is_empty(),
            "MissingVariable" => matches!(self.environment(), Verdict::Explained(_)),
            "WaitingForDependency" => service.depends_on.iter().any(|(dependency, _)| {
                matches!(self.verdict(dependency, &self.world.services[*dependency]), Verdict::Explained(_))
            }),
            _ => false,
        };
        given.map(|condition| condition.reason.clone()).find(|reason| is_true(reason))
    }

    /// Whether one of its containers is: there are two while one replaces the other.
    fn is_down(&self, name: &str) -> bool {
        self.things.iter().any(|thing| service_of(thing).as_deref() == Some(name) && thing.listed.state != State::Running)
    }

    fn environment(&self) -> Verdict {
        let status = self.statuses.get(&Key::new(Kind::Environment, "shop"));
        let given = status.into_iter().flat_map(|status| &status.conditions);
        let is_fight = |condition: &Condition| condition.reason == "Fight" && condition.status == ConditionStatus::True;
        // What is undone again and again is left alone after three times, with the values kept.
        if self.deeds.secrets_lost > 3 && given.into_iter().any(is_fight) {
            return Verdict::Explained("Fight".to_owned());
        }
        let text = |name: &str| self.files.get(name).cloned().unwrap_or_default();
        for name in SECRETS {
            let Some(value) = self.oracle.secret(name) else { return Verdict::Wrong(format!("{name} was never made")) };
            if !text(".env.secrets").lines().any(|line| line == format!("{name}={value}")) {
                return Verdict::Wrong(format!("{name} is not in its file"));
            }
        }
        let url = format!("db://{}@db", self.oracle.secret(SECRETS[0]).unwrap_or_default());
        if !text(".env.computed").contains(&url) {
            return Verdict::Wrong("what is computed is not up to date".to_owned());
        }
        let is_ready = status
            .and_then(|status| status.condition(ConditionType::Ready))
            .is_some_and(|ready| ready.status == ConditionStatus::True);
        if is_ready { Verdict::Well } else { Verdict::Wrong(format!("it is as declared, and Mooring says {}", told(status))) }
    }
}

/// What Mooring says of an object, in one line.
pub fn told(status: Option<&Status>) -> String {
    let Some(status) = status else { return "nothing".to_owned() };
    let told = super::support::stage::told(status);
    if told.is_empty() { "that nothing holds".to_owned() } else { told.join("; ") }
}
