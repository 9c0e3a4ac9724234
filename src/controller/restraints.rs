//! What the host's policy says about one object, at the one place where plans are made.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::world::{World, lock};
use crate::{
    manifest::{Key, Kind, Manifest, Mode, host},
    plan::{
        self, History, Plan, Situation,
        container::Closed,
        fight::{self, Contests},
        guard,
        host::{Desired, Group, Observed, Policy},
        request::Request,
        restraint::{Budget, Restraints, Stance},
    },
    resolve, settings,
    store::Object,
};

impl World {
    /// Decides about an object: what differs, as far as it is permitted to do something about it, and no hold says to leave it.
    #[must_use]
    pub fn plan(&self, object: &Object, situation: &Situation) -> Plan {
        let standing = self.requests.standing(object.key());
        self.plan_asked(object, situation, standing.as_ref().map(|standing| &standing.request))
    }

    /// The same with this request, whether or not it stands, and with no other.
    #[must_use]
    pub(super) fn plan_asked(&self, object: &Object, situation: &Situation, request: Option<&Request>) -> Plan {
        let (at, key) = (situation.at(), object.key());
        let plan = plan::plan(situation);
        let plan = match request {
            Some(request) => plan::request::with(plan, situation, request),
            None => plan,
        };
        let plan = if plan.steps.is_empty() { plan } else { self.restrained(object, situation, plan) };
        let holds = self.holds();
        if holds.is_empty() {
            return plan;
        }
        plan::hold::withhold(plan, (key, object.expanded_from().as_ref()), &holds, at)
    }

    /// The plan as far as it is permitted. What restrains it takes a look at every object's memory, so nobody asks where
    /// there is nothing to do, as nearly always.
    fn restrained(&self, object: &Object, situation: &Situation, plan: Plan) -> Plan {
        let history = self.history(object.key(), object.generation());
        // Others may have acted since the list was made that this goes by, and that counts.
        let at = situation.at().max(self.clock.now());
        plan::restraint::restrain(plan, &history, &self.restraints(object, situation, &history), at)
    }

    /// The host's policy; the defaults, where nobody has declared one.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&lock(&self.policy))
    }

    /// Counts what is about to be done, until it is remembered: many objects are worked on at once, and the last act that a
    /// budget permits is for one of them. To be called with nothing awaited since the plan was made.
    pub(super) fn count_act(&self, object: &Object, plan: &Plan, at: Timestamp) -> Option<Acting<'_>> {
        let key = object.key();
        if !plan::restraint::is_act(plan, &self.history(key, object.generation())) {
            return None;
        }
        lock(&self.acting).insert(key.clone(), at);
        Some(Acting { world: self, key: key.clone() })
    }

    /// Reads the policy from the store, whenever that has changed. True when it is another one.
    pub fn read_policy(&self) -> bool {
        let object = self.reader.get(&Key::new(Kind::Host, host::NAME));
        let policy = match object.and_then(|object| self.resolve(&object).0) {
            Some(resolve::Desired::Host(desired)) => desired.policy,
            _ => Policy::default(),
        };
        let mut known = lock(&self.policy);
        let is_other = **known != policy;
        if is_other {
            *known = Arc::new(policy);
        }
        is_other
    }

    /// What keeps the steps of an object from being taken.
    fn restraints(&self, object: &Object, situation: &Situation, history: &History) -> Restraints {
        let (key, expanded_from, at) = (object.key(), object.expanded_from(), situation.at());
        let policy = self.policy();
        let groups: Vec<_> = policy.groups.iter().filter(|(_, group)| group.covers(key, expanded_from.as_ref())).collect();
        Restraints {
            observe: self.observes(object, &policy, &groups),
            budgets: self.budgets(&policy, &groups),
            stance: self.stance(key),
            contests: self.contests(key, directory(situation), history, at),
        }
    }

    /// Who says that nothing is to be done to an object.
    fn observes(&self, object: &Object, policy: &Policy, groups: &[(&String, &Group)]) -> Option<String> {
        if self.settings.mode == settings::Mode::Observe {
            return Some("--observe-only".to_owned());
        }
        if policy.mode == Mode::Observe {
            return Some(Key::new(Kind::Host, host::NAME).to_string());
        }
        if let Some((name, _)) = groups.iter().find(|(_, group)| group.mode == Mode::Observe) {
            return Some(format!("group {name}"));
        }
        let observes = |manifest: &Manifest| manifest.mode() == Mode::Observe;
        // As it is now: the policy is, too, and what was forbidden by one of the two all along must not be done between them.
        if self.reader.manifest(object.key()).is_some_and(|manifest| observes(&manifest)) {
            return Some("its manifest".to_owned());
        }
        let parent = object.expanded_from()?;
        self.reader.manifest(&parent).filter(|manifest| observes(manifest)).map(|_| parent.to_string())
    }

    /// Every budget that acts on an object count against.
    fn budgets(&self, policy: &Policy, groups: &[(&String, &Group)]) -> Vec<Budget> {
        let (histories, acting) = (lock(&self.histories), lock(&self.acting));
        let remembered = histories.iter().flat_map(|(key, history)| history.acts.iter().map(move |at| (key, *at)));
        let acts: Vec<(&Key, Timestamp)> = remembered.chain(acting.iter().map(|(key, at)| (key, *at))).collect();
        let all: Vec<Timestamp> = acts.iter().map(|(_, at)| *at).collect();
        let window = SignedDuration::try_from(policy.budget.window.0).unwrap_or(SignedDuration::MAX);
        let host = |attempts, window| Budget { scope: "the host".to_owned(), attempts, window, acts: all.clone() };
        let mut budgets =
            vec![host(policy.budget.attempts, window), host(policy.budget.per_minute, SignedDuration::from_mins(1))];
        for (name, group) in groups {
            let Some((attempts, window)) = group.budget else { continue };
            let of_group = acts.iter().filter(|(key, _)| {
                let expanded_from = self.reader.get(key).and_then(|object| object.expanded_from());
                group.covers(key, expanded_from.as_ref())
            });
            let acts = of_group.map(|(_, at)| *at).collect();
            budgets.push(Budget { scope: format!("group {name}"), attempts, window, acts });
        }
        budgets
    }

    /// What somebody else undoes of what we do to an object.
    ///
    /// `directory` is that of its files, if it has any.
    pub(super) fn contests(&self, key: &Key, directory: Option<&Path>, history: &History, at: Timestamp) -> Contests {
        let fights = self.policy().fights;
        let contested = fight::contests(history, fights, at);
        let hints = if contested.is_empty() { Vec::new() } else { self.hints(key, directory) };
        Contests { contested, window: fights.1, hints }
    }

    /// The maintenance window of an object, while it is closed.
    ///
    /// Its own window stands for all others. Of several groups each has to be open.
    pub(super) fn closed(&self, key: &Key, at: Timestamp) -> Option<Closed> {
        let object = self.reader.get(key);
        let own = match object.as_ref().and_then(|object| object.manifest()).map(AsRef::as_ref) {
            Some(Manifest::Container(container)) => container.spec.window.as_ref().and_then(|window| window.hours().ok()),
            _ => None,
        };
        let policy = self.policy();
        let expanded_from = object.and_then(|object| object.expanded_from());
        let groups = policy.groups.values().filter(|group| group.covers(key, expanded_from.as_ref()));
        let of_groups: Vec<_> = groups.filter_map(|group| group.window.clone()).collect();
        let windows = match (own, of_groups.is_empty()) {
            (Some(own), _) => vec![own],
            (None, false) => of_groups,
            (None, true) => policy.window.iter().cloned().collect(),
        };
        let closed = windows.iter().filter(|hours| !hours.is_open(at));
        let closed =
            closed.map(|hours| Closed { hours: hours.to_string(), until: hours.opens_after(at).unwrap_or(Timestamp::MAX) });
        closed.max_by_key(|closed| closed.until)
    }

    /// Whether it is the host that fails, and whether it is this object's turn then.
    fn stance(&self, key: &Key) -> Stance {
        let guard = lock(&self.guard);
        let is_turn = guard.may_act(key, self.policy().guard.concurrency);
        match guard.state() {
            guard::State::Ordinary => Stance::Ordinary,
            guard::State::Trouble { cause, .. } => Stance::Trouble { cause: cause.clone(), is_turn },
            guard::State::Recovery { .. } => Stance::Recovery { is_turn },
        }
    }

    /// What the host's manifest misses, and how the host is.
    pub(super) fn observe_host(&self, desired: &Desired) -> Observed {
        let unmatched = |(name, group): (&String, &Group)| {
            let members = self.unmatched(&group.members).into_iter();
            members.map(|member| (name.clone(), member)).collect::<Vec<_>>()
        };
        let trouble = match lock(&self.guard).state() {
            guard::State::Trouble { cause, .. } => Some(cause.clone()),
            guard::State::Ordinary | guard::State::Recovery { .. } => None,
        };
        Observed { at: self.clock.now(), unmatched: desired.policy.groups.iter().flat_map(unmatched).collect(), trouble }
    }

    /// What is known of who changed an object's files, or its container.
    fn hints(&self, key: &Key, directory: Option<&Path>) -> Vec<String> {
        if let Some(directory) = directory {
            return super::hints::of_files(directory).into_iter().collect();
        }
        let Some(snapshot) = lock(&self.latest).clone() else { return Vec::new() };
        let listed: Vec<_> = self.containers_of(key, &snapshot).into_iter().map(|(listed, _)| listed).collect();
        let said: BTreeMap<&str, Option<String>> =
            listed.iter().map(|listed| (listed.name.as_str(), lock(&self.evidence).last_said(&listed.id))).collect();
        let engine = said.into_iter().filter_map(|(name, said)| Some(format!("the engine last told of {name}: {}", said?)));
        let mut projects = listed.iter().filter_map(|listed| listed.labels.get("com.docker.compose.project"));
        let compose = projects.next().map(|project| format!("Compose project {project} has it as well"));
        engine.chain(compose).collect()
    }
}

/// An act under way: it is over, and remembered, when this is dropped.
pub(super) struct Acting<'a> {
    world: &'a World,
    key: Key,
}

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        lock(&self.world.acting).remove(&self.key);
    }
}

/// Where the files are that are kept for an object.
pub(super) fn directory(situation: &Situation) -> Option<&Path> {
    match situation {
        Situation::Proxy(desired, _) => Some(&desired.directory),
        Situation::Environment(desired, _) => Some(&desired.directory),
        _ => None,
    }
}
