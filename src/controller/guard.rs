//! The whole-host guard at work: what it is shown, whose turn it is, who is told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    Context,
    world::{World, lock},
};
use crate::{
    manifest::{Key, Kind},
    observe::{host, snapshot::Snapshot},
    plan::{
        Plan,
        container::{Health, State as ContainerState},
        guard::{Census, Settings, Sign, State},
        history::ManualStop,
    },
    record::events::Subject,
};

/// How long somebody whose turn it is may take to come up until others go on.
const TURN: SignedDuration = SignedDuration::from_secs(60);
/// A time of day that is so far from what has passed was set.
const JUMP: SignedDuration = SignedDuration::from_secs(30);

/// How long looking at disks may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// What the guard remembers.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    state: State,
    /// Since when each object fails.
    failing: BTreeMap<Key, Timestamp>,
    /// Whose turn it is, and since when.
    turns: BTreeMap<Key, Timestamp>,
    /// What is known of the host besides.
    signs: Vec<Sign>,
    /// The time of day and the time that passes, when they were last compared.
    clocks: Option<(Timestamp, Instant)>,
    has_network: bool,
    /// The last list that was looked at.
    seen: Option<Timestamp>,
}

impl Guard {
    /// How the host is.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether it is this object's turn, or one is free.
    #[must_use]
    pub fn may_act(&self, key: &Key, concurrency: u32) -> bool {
        self.turns.contains_key(key) || self.turns.len() < usize::try_from(concurrency).unwrap_or(usize::MAX)
    }

    /// Takes a turn, where turns are taken; false when none is free.
    fn take_turn(&mut self, key: &Key, concurrency: u32, at: Timestamp) -> bool {
        if self.state == State::Ordinary {
            return true;
        }
        let may = self.may_act(key, concurrency);
        if may {
            self.turns.entry(key.clone()).or_insert(at);
        }
        may
    }

    /// Notes what was seen of the host; returns how it was, if that has changed.
    fn look(&mut self, at: Timestamp, count: Count, settings: &Settings) -> Option<State> {
        let Count { total, failing, starting } = count;
        self.failing.retain(|key, _| failing.contains(key));
        for key in failing {
            self.failing.entry(key).or_insert(at);
        }
        let is_busy = |key: &Key| self.failing.contains_key(key) || starting.contains(key);
        self.turns.retain(|key, since| is_busy(key) && at.duration_since(*since) < TURN);
        let census = Census { at, total, failing: self.failing.clone(), signs: self.signs.clone() };
        let next = self.state.next(&census, settings);
        let is_same = std::mem::discriminant(&next) == std::mem::discriminant(&self.state);
        let before = std::mem::replace(&mut self.state, next);
        if self.state == State::Ordinary {
            self.turns.clear();
        }
        (!is_same).then_some(before)
    }

    /// The engine is back.
    pub(super) fn engine_back(&mut self, at: Timestamp) {
        self.signs.retain(|sign| !matches!(sign, Sign::EngineRestarted { .. }));
        self.signs.push(Sign::EngineRestarted { at });
    }

    /// What was found out about the host by itself; by how much its clock was set since the last look.
    fn signs_are(&mut self, standing: Vec<Sign>, has_network: bool, (at, now): (Timestamp, Instant)) -> Option<SignedDuration> {
        self.signs.retain(|sign| matches!(sign, Sign::EngineRestarted { .. } | Sign::ClockJumped { .. }));
        self.signs.extend(standing);
        if self.has_network && !has_network {
            self.signs.push(Sign::NetworkGone);
        } else {
            self.has_network = has_network;
        }
        let (then, passed) = self.clocks.replace((at, now))?;
        let elapsed = SignedDuration::try_from(now.duration_since(passed)).unwrap_or_default();
        let by = at.duration_since(then) - elapsed;
        if by.abs() <= JUMP {
            return None;
        }
        self.signs.retain(|sign| !matches!(sign, Sign::ClockJumped { .. }));
        self.signs.push(Sign::ClockJumped { by, at });
        Some(by)
    }
}

impl World {
    /// Counts the objects whose containers were well at some time.
    fn census(&self, snapshot: &Snapshot) -> Count {
        let mut known: BTreeMap<Key, Option<ManualStop>> = {
            let histories = lock(&self.histories);
            let known = histories.iter().filter(|(key, history)| key.kind == Kind::Container && history.seen_ready);
            known.map(|(key, history)| (key.clone(), history.manual_stop.clone())).collect()
        };
        known.retain(|key, _| self.reader.manifest(key).is_some());
        let (total, mut starting) = (known.len(), BTreeSet::new());
        // Whoever has made them may have taken them away, as `docker compose down` does.
        let mut away: BTreeSet<Key> = known.keys().filter(|key| self.is_healed(key)).cloned().collect();
        for listed in snapshot.containers.values() {
            let Some(key) = self.owner_of(&listed.id) else { continue };
            away.remove(&key);
            let Some(stop) = known.get(&key) else { continue };
            let is_meant = stop.as_ref().is_some_and(|stop| stop.container == listed.id)
                || self.stop_suspected_until(&listed.id, snapshot.at).is_some();
            if is_meant || is_well(&listed.state, listed.health) {
                known.remove(&key);
            }
            if listed.health == Health::Starting {
                starting.insert(key);
            }
        }
        known.retain(|key, _| !away.contains(key));
        Count { total, failing: known.into_keys().collect(), starting }
    }
}

/// The objects whose containers were well at some time.
struct Count {
    /// How many there are.
    total: usize,
    /// Those of which no container is well, and no person has wanted that.
    failing: BTreeSet<Key>,
    /// Those that have just been started.
    starting: BTreeSet<Key>,
}

fn is_well(state: &ContainerState, health: Health) -> bool {
    match state {
        ContainerState::Running => health != Health::Unhealthy,
        ContainerState::Paused | ContainerState::Created => true,
        ContainerState::Restarting | ContainerState::Removing | ContainerState::Exited { .. } | ContainerState::Dead => false,
    }
}

impl Context {
    /// Shows the guard the last list of containers, and tells when that changes how the host is.
    pub(super) fn guard(&self) {
        let Some(snapshot) = lock(&self.world.latest).clone() else { return };
        // Many passes see the same list.
        if lock(&self.world.guard).seen.replace(snapshot.at) == Some(snapshot.at) {
            return;
        }
        let (policy, census) = (self.world.policy(), self.world.census(&snapshot));
        let (before, state) = {
            let mut guard = lock(&self.world.guard);
            (guard.look(snapshot.at, census, &policy.guard), guard.state().clone())
        };
        let Some(before) = before else { return };
        match (&before, &state) {
            (_, State::Trouble { cause, .. }) => {
                tracing::error!(cause, "the host is in trouble; what runs is not touched");
                let message = format!("{cause}; what runs is not touched, and what is down comes back a few at a time");
                self.raise("HostInTrouble", &message);
            }
            (State::Trouble { .. }, State::Recovery { .. }) => {
                self.record.events.normal(Subject::Host, "HostRecovering", "containers come back a few at a time");
            }
            (_, State::Ordinary | State::Recovery { .. }) => {
                self.settle_trouble("HostInTrouble", "HostRecovered", "every container is judged by itself again");
            }
        }
        self.look_at_everything(Instant::now());
    }

    /// Looks at the host itself: its disks, its memory, its way out, its clock.
    pub(super) async fn look_at_host(&self) {
        let disk_free = self.world.policy().guard.disk_free;
        let mut paths = vec![self.world.settings.state.clone()];
        paths.extend(self.engine_root());
        let seen = if self.world.clock.is_anchored() {
            // Whoever holds the clock has a world of his own: how the real host is, is none of its business.
            host::Seen { signs: Vec::new(), has_network: true }
        } else {
            // A disk on a network may never answer.
            let look = tokio::task::spawn_blocking(move || host::look(&paths, disk_free));
            let Ok(Ok(seen)) = tokio::time::timeout(PATIENCE, look).await else { return };
            seen
        };
        let host::Seen { mut signs, has_network } = seen;
        for sign in &mut signs {
            if let Sign::DiskFull { advice, .. } = sign {
                *advice = self.advice().await;
            }
        }
        let now = (self.world.clock.now(), Instant::now());
        let set = lock(&self.world.guard).signs_are(signs, has_network, now);
        if let Some(by) = set {
            tracing::warn!(by = format!("{by:#}"), "the clock was set; what is remembered of tries goes with it");
            self.move_histories(by, now.0).await;
        }
    }

    /// What would make room on a full disk. Asked for once while it is full: it is a lot of work for an engine.
    async fn advice(&self) -> Vec<String> {
        let known = lock(&self.world.guard).signs.iter().find_map(|sign| match sign {
            Sign::DiskFull { advice, .. } => Some(advice.clone()),
            _ => None,
        });
        match known {
            Some(known) => known,
            None => match self.world.snapshots.engine().disk_usage().await {
                Ok(usage) => usage.map(|usage| usage.advice()).unwrap_or_default(),
                Err(error) => {
                    tracing::warn!(error = crate::error_chain(&error), "the engine does not say what could be pruned");
                    Vec::new()
                }
            },
        }
    }

    /// Whether a plan may be carried out now, as far as that takes a turn.
    pub(super) fn takes_turn(&self, key: &Key, plan: &Plan) -> bool {
        let concurrency = self.world.policy().guard.concurrency;
        plan.is_finishing
            || !plan.acts_on_containers()
            || lock(&self.world.guard).take_turn(key, concurrency, self.world.clock.now())
    }
}
