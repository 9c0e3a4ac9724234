//! What is remembered of an nginx: what it has loaded, what worked last, what did not.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::ProxyAction;
use crate::{manifest::container::HealingBackoff, sites::Config};

/// Between two reloads.
const GAP: SignedDuration = SignedDuration::from_millis(500);
/// The span in which reloads are counted.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// Reloads in [`WINDOW`] after which they are spaced out: each one leaves old workers behind for as long as their connections live.
const BURST: usize = 10;
/// Between two reloads in a storm: about thirty a minute.
const SPACED: SignedDuration = SignedDuration::from_millis(1500);

/// The memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// What nginx has loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded: Option<Loaded>,
    /// The digest of the files that were last proven to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven: Option<String>,
    /// The configuration that was last proven to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<Config>,
    /// The one that did not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// The repair of other tools' sites that did not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairRefused>,
    /// When nginx was last reloaded, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reloads: Vec<Timestamp>,
}

/// What nginx has loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The digest of the files.
    pub digest: String,
    /// Which nginx, and since when it runs.
    pub instance: String,
    /// The digest of the configuration that they were made from. Empty where an earlier version has remembered it.
    #[serde(default)]
    pub config: String,
}

/// A configuration that did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its digest.
    pub config: String,
    /// The digest of the files that were made from it.
    pub digest: String,
    /// How far it came.
    pub stage: Stage,
    /// What went wrong.
    pub reason: String,
    /// How often.
    pub count: u32,
    /// When, last.
    pub at: Timestamp,
    /// Whether the one that worked before does not work any more either.
    #[serde(default)]
    pub is_no_way_back: bool,
}

/// A repair that did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairRefused {
    /// The digest of the repaired files.
    pub digest: String,
    /// What went wrong.
    pub reason: String,
    /// How often.
    pub count: u32,
    /// When, last.
    pub at: Timestamp,
}

/// How far a configuration came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// nginx refused it when it was tested; it was never in force.
    Test,
    /// It could not be written, or nginx did not load it.
    Reload,
    /// It was loaded, and a route did not work.
    Proof,
}

impl Memory {
    /// The memory with which another manifest begins: what is true of nginx stays, a refusal does not.
    #[must_use]
    pub fn without_refusal(self) -> Self {
        Self { rejected: None, repair: None, ..self }
    }

    /// Every time that pauses are counted from.
    pub(in crate::plan) fn times(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        let rejected = self.rejected.iter_mut().map(|rejected| &mut rejected.at);
        let repair = self.repair.iter_mut().map(|refused| &mut refused.at);
        rejected.chain(repair).chain(&mut self.reloads)
    }

    /// The memory after a step.
    #[must_use]
    pub fn after(mut self, action: &ProxyAction, failure: Option<&str>, at: Timestamp) -> Self {
        match action {
            ProxyAction::RepairSites { mending, .. } => {
                // It ends with a reload, as far as it comes.
                self.reloaded(at);
                self.repair = failure.map(|reason| self.refusal(&mending.digest, reason, at));
                return self;
            }
            ProxyAction::RestoreSites { mending } => {
                let refusal = failure.map(|reason| self.refusal(&mending.digest, reason, at));
                self.repair = refusal.or(self.repair);
                return self;
            }
            _ => {}
        }
        if let ProxyAction::ReloadProxy { digest, instance, config, .. } = action {
            self.reloaded(at);
            let loaded = || Loaded { digest: digest.clone(), instance: instance.clone(), config: config.clone() };
            // Whether one that failed has loaded anything is not known.
            self.loaded = failure.is_none().then(loaded).or(self.loaded);
        }
        match (action, failure) {
            (ProxyAction::ProveRoutes { proof, .. }, None) => {
                let config = proof.config.digest();
                self.rejected = self.rejected.filter(|rejected| rejected.config != config);
                self.proven = Some(proof.digest.clone());
                self.good = Some(proof.config.clone());
            }
            (_, None) => {}
            (_, Some(reason)) => self.reject(action, reason, at),
        }
        self
    }

    /// The memory after nginx could not be asked: it has refused nothing, and may have been reloaded although nobody heard of it.
    #[must_use]
    pub fn unasked(mut self, action: &ProxyAction, at: Timestamp) -> Self {
        if matches!(action, ProxyAction::ReloadProxy { .. } | ProxyAction::RepairSites { .. }) {
            self.reloaded(at);
        }
        self
    }

    fn reloaded(&mut self, at: Timestamp) {
        self.reloads.retain(|reload| at.duration_since(*reload) < WINDOW);
        self.reloads.push(at);
    }

    fn refusal(&self, digest: &str, reason: &str, at: Timestamp) -> RepairRefused {
        let earlier = self.repair.as_ref().filter(|earlier| earlier.digest == digest).map_or(0, |earlier| earlier.count);
        RepairRefused { digest: digest.to_owned(), reason: reason.to_owned(), count: earlier + 1, at }
    }

    fn reject(&mut self, action: &ProxyAction, reason: &str, at: Timestamp) {
        let stage = match action {
            ProxyAction::TestSites { .. } => Stage::Test,
            ProxyAction::SwapSites { .. } | ProxyAction::ReloadProxy { .. } => Stage::Reload,
            ProxyAction::ProveRoutes { .. } | ProxyAction::RepairSites { .. } | ProxyAction::RestoreSites { .. } => Stage::Proof,
        };
        let config = action.config();
        let is_good = self.good.as_ref().is_some_and(|good| good.digest() == config);
        match &mut self.rejected {
            // On the way back from a worse one: that is what has to be remembered.
            Some(rejected) if is_good && rejected.config != config => rejected.is_no_way_back = true,
            rejected => {
                let earlier = rejected.as_ref().filter(|earlier| earlier.config == config).map_or(0, |earlier| earlier.count);
                let (digest, reason) = (action.digest().to_owned(), reason.to_owned());
                *rejected = Some(Rejected { config, digest, stage, reason, count: earlier + 1, at, is_no_way_back: false });
            }
        }
    }

    /// When the next reload may be, if not now.
    #[must_use]
    pub fn next_reload(&self, at: Timestamp) -> Option<Timestamp> {
        let last = *self.reloads.last()?;
        // A clock that was set back must not keep us from it.
        let recent = self.reloads.iter().filter(|reload| **reload <= at && at.duration_since(**reload) < WINDOW).count();
        let gap = if recent < BURST { GAP } else { SPACED };
        let next = last.checked_add(gap).ok()?;
        (last <= at && next > at).then_some(next)
    }
}

impl Rejected {
    /// When it is tried again.
    #[must_use]
    pub fn retry_at(&self, backoff: &HealingBackoff) -> Timestamp {
        retry_at(self.at, self.count, backoff)
    }
}

impl RepairRefused {
    /// When it is tried again.
    #[must_use]
    pub fn retry_at(&self, backoff: &HealingBackoff) -> Timestamp {
        retry_at(self.at, self.count, backoff)
    }
}

fn retry_at(at: Timestamp, count: u32, backoff: &HealingBackoff) -> Timestamp {
    let doublings = i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX);
    let pause = (backoff.initial.0.as_secs_f64() * backoff.factor.powi(doublings)).min(backoff.cap.0.as_secs_f64());
    let pause = SignedDuration::try_from_secs_f64(pause).unwrap_or(SignedDuration::from_mins(5));
    at.checked_add(pause).unwrap_or(Timestamp::MAX)
}
