//! Somebody else who wants it otherwise: what was corrected again and again,
//! and differs once more.
//!
//! A correction is known by what it is about, a field or a file. It only counts
//! when it succeeded: what cannot be corrected has other limits. From then on
//! that one thing is left alone, until a person releases the object, changes
//! its manifest, or the other one gives in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    Action, EngineAction, ModelAction, Plan, Step, Wait, Why, action::SecretSource, container::is_interim, history::History,
    proxy::ProxyAction, restraint::Restrained,
};

/// Corrections of one thing that are remembered.
const KEPT: usize = 1000;
/// For how long they are.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What is contested about an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contests {
    /// Each thing.
    pub contested: Vec<Contest>,
    /// The time in which corrections were counted.
    pub window: SignedDuration,
    /// What is known of who it may be.
    pub hints: Vec<String>,
}

/// One contested thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// The field or the file.
    pub what: String,
    /// How often it was corrected.
    pub times: u32,
}

impl Contests {
    /// Whether this is contested.
    #[must_use]
    pub fn contains(&self, what: &str) -> bool {
        self.contested.iter().any(|contest| contest.what == what)
    }

    /// What is told of these things, which are left alone.
    #[must_use]
    pub fn wait(&self, what: BTreeSet<String>) -> Wait {
        let times = self.contested.iter().filter(|contest| what.contains(&contest.what)).map(|contest| contest.times).max();
        let fight = Restrained::Fight {
            what: what.into_iter().collect(),
            times: times.unwrap_or_default(),
            window: self.window,
            hints: self.hints.clone(),
        };
        fight.into()
    }
}

/// What is contested now, by what was corrected.
#[must_use]
pub fn contests(history: &History, (corrections, window): (u32, SignedDuration), at: Timestamp) -> Vec<Contest> {
    let recent = |corrected: &Vec<Timestamp>| {
        let counted = corrected.iter().filter(|then| **then <= at && at.duration_since(**then) <= window).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    let found = history.corrections.iter().map(|(what, corrected)| (what, recent(corrected)));
    let found = found.filter(|(_, times)| *times >= corrections);
    let known = history.fights.iter().map(|(what, fight)| (what, fight.times));
    let all: BTreeMap<&String, u32> = found.chain(known).collect();
    all.into_iter().map(|(what, times)| Contest { what: what.clone(), times }).collect()
}

/// Takes what somebody else undoes again and again out of a plan, each step that puts it back.
pub(super) fn leave(mut plan: Plan, contests: &Contests) -> Plan {
    if contests.contested.is_empty() {
        return plan;
    }
    let contested = |step: &Step| about(step).into_iter().filter(|what| contests.contains(what)).collect::<BTreeSet<_>>();
    let what: BTreeSet<String> = plan.steps.iter().flat_map(contested).collect();
    if what.is_empty() {
        return plan;
    }
    // What follows a new version's making is for that version alone.
    let is_replacing = |step: &Step| matches!(&step.why, Why::Outdated { .. });
    let is_left = |step: &Step| !contested(step).is_empty() || is_replacing(step);
    let (withheld, steps) = plan.steps.into_iter().partition::<Vec<_>, _>(is_left);
    plan.steps = steps;
    plan.withheld.extend(withheld);
    plan.also_wait(contests.wait(what));
    plan
}

/// The fields and files that a step puts back to what they were.
///
/// Where somebody may legitimately change what we follow, as addresses and values do, the new value is part of it:
/// following is no fight.
#[must_use]
pub fn about(step: &Step) -> BTreeSet<String> {
    match (&step.action, &step.why) {
        (Action::Engine(EngineAction::CreateContainer(_) | EngineAction::UpdateContainer { .. }), Why::Outdated { fields }) => {
            let wanted = |to: &Option<String>| to.as_ref().map_or_else(|| "removed".to_owned(), |to| format!("= {to}"));
            fields.iter().map(|change| format!("{} {}", change.field, wanted(&change.to))).collect()
        }
        (Action::Engine(EngineAction::ConnectNetwork { .. }), Why::Disconnected { network }) => {
            [format!("network {network}")].into()
        }
        // An interim name was given by us: nobody else wants it so.
        (Action::Engine(EngineAction::RenameContainer { container, to }), Why::Misnamed { .. })
            if !is_interim(&container.name, to) =>
        {
            [format!("name {to}")].into()
        }
        (Action::File(action), Why::FileMissing | Why::ModeTooOpen { .. }) => [file(action.path())].into(),
        (Action::File(action), Why::SecretsMissing { secrets }) => {
            // One that nobody knew was not there before.
            let was_there = |(_, from): &&(String, SecretSource)| !matches!(from, SecretSource::Generated { .. });
            let name = |(variable, _): &(String, SecretSource)| format!("{variable} in {}", file(action.path()));
            secrets.iter().filter(was_there).map(name).collect()
        }
        (Action::Proxy(ProxyAction::SwapSites { .. }), Why::HandEdited { files }) => {
            files.iter().map(|name| site(name)).collect()
        }
        (Action::Proxy(ProxyAction::SwapSites { change }), Why::FileMissing) => {
            change.write.iter().map(|name| site(name)).collect()
        }
        (Action::Model(ModelAction::PullModel { model, .. }), Why::Missing) => [format!("model {model}")].into(),
        _ => BTreeSet::new(),
    }
}

/// A generated file of nginx.
#[must_use]
pub fn site(name: &str) -> String {
    format!("file {name}")
}

fn file(path: &std::path::Path) -> String {
    format!("file {}", path.file_name().unwrap_or_default().to_string_lossy())
}

/// A fight that is on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fight {
    /// How often it was corrected until then.
    pub times: u32,
    /// Since when it is left alone.
    pub since: Timestamp,
}

impl History {
    /// The memory after these steps were taken with success.
    #[must_use]
    pub fn having_corrected<'a>(mut self, steps: impl Iterator<Item = &'a Step>, at: Timestamp) -> Self {
        for what in steps.flat_map(about).collect::<BTreeSet<_>>() {
            let corrected = self.corrections.entry(what).or_default();
            corrected.push(at);
            let surplus = corrected.len().saturating_sub(KEPT);
            corrected.drain(..surplus);
        }
        self.corrections.retain(|_, corrected| {
            corrected.retain(|then| at.duration_since(*then) <= KEPT_FOR);
            !corrected.is_empty()
        });
        self
    }

    /// The memory after a pass that decided on `plan`: what is fought about is remembered until the other one gives in.
    #[must_use]
    pub fn fought(mut self, plan: &Plan, contests: &Contests, at: Timestamp) -> Self {
        let left: &[String] = if let Some(Wait::Restrained(Restrained::Fight { what, .. })) = &plan.wait { what } else { &[] };
        for Contest { what, times } in contests.contested.iter().filter(|contest| left.contains(&contest.what)) {
            self.fights.entry(what.clone()).or_insert(Fight { times: *times, since: at });
        }
        let window = contests.window;
        let is_on = |what: &String, fight: &Fight| left.contains(what) || at.duration_since(fight.since) <= window;
        let over: Vec<String> =
            self.fights.iter().filter(|(what, fight)| !is_on(what, fight)).map(|(what, _)| what.clone()).collect();
        for what in over {
            self.fights.remove(&what);
            self.corrections.remove(&what);
        }
        self
    }
}

#[cfg(test)]
mod tests;
