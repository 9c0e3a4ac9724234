//! What has to be remembered about an object to decide well: tries made, a
//! stop by hand, a version that did not come up.
//!
//! The memory is part of the observation. It is changed by what was done
//! ([`History::after`]) and by what was decided ([`History::settled`]), both
//! pure; `record` keeps it durably.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Code, EngineAction, ModelAction, Plan, Step, Wait, Why,
    action::Action,
    container::{Container, Readiness, State},
    fight::Fight,
    proxy::{Memory, ProxyAction},
    restraint,
    shape::FieldChange,
};

/// Tries that are remembered at most; more than any budget asks for would be spent anyway.
const ATTEMPTS_KEPT: usize = 32;

/// For how long acts are remembered: no budget has a longer window.
const ACTS_KEPT: SignedDuration = SignedDuration::from_hours(1);

/// A stop that somebody asked for.
pub const STOP_ASKED: Code<'static> = ("StopContainer", "Asked");

/// The memory of one object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// The generation of the manifest that it belongs to. A new generation starts with a clean slate.
    pub generation: i64,
    /// When corrective tries were made since the container last stayed up for long, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Timestamp>,
    /// How many of them the engine carried out in a row without the object having been as declared in between: the rung of the
    /// ladder. What it refused says nothing about whether it would have helped.
    pub failures: u32,
    /// Whether the engine refused the last of them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_refused: bool,
    /// Since when the budget is spent. It stays so until it is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_loop: Option<Timestamp>,
    /// A stop by a person that was seen with our own eyes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_stop: Option<ManualStop>,
    /// The version that did not come up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_replacement: Option<FailedReplacement>,
    /// A container that the engine could not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_start: Option<FailedStart>,
    /// An image that could not be pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_pull: Option<FailedPull>,
    /// A model that could not be pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_model: Option<FailedModel>,
    /// Which model answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// Whether the object has ever been as declared; making it the first time is no correction.
    pub seen_ready: bool,
    /// The image with which the container was last up for long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good_image: Option<String>,
    /// The last good image stands in for the wanted one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// What is known of an nginx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Box<Memory>>,
    /// When there were acts on its containers that count against budgets, in the last hour.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Timestamp>,
    /// When each field or file was put back to what it was, in the last hour.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub corrections: BTreeMap<String, Vec<Timestamp>>,
    /// What is left alone because somebody else undoes it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fights: BTreeMap<String, Fight>,
    /// The number in the audit log of the last step that this goes by: what came after it, nobody lived to remember.
    pub goes_by: i64,
}

/// A step that is on record, and that whoever took it did not live to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutShort<'a> {
    /// What it was, and why.
    pub code: Code<'a>,
    /// The id of the container that it was about, where there was one.
    pub container: Option<&'a str>,
    /// What came of it.
    pub end: End,
    /// When it was begun.
    pub at: Timestamp,
}

/// What came of a step that is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was done, or was so already.
    Done,
    /// It was refused.
    Failed,
    /// Nobody lived to see it.
    Unknown,
}

/// The last good image stands in for the wanted one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The image that kept failing.
    pub bad: String,
    /// The image that is used.
    pub good: String,
}

/// A stop by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualStop {
    /// The container's id.
    pub container: String,
    /// When.
    pub at: Timestamp,
    /// Whether it was asked of us: then it is meant, whatever the manifest says about stops by hand.
    #[serde(default)]
    pub asked: bool,
}

impl ManualStop {
    /// Whether it is the reason for which a container does not run: it has not been started since.
    #[must_use]
    pub fn explains(&self, container: &Container) -> bool {
        self.container == container.id && container.started_at.is_none_or(|started| started <= self.at)
    }
}

/// A version that did not come up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedReplacement {
    /// What it would have changed: by this it is recognised.
    pub fields: Vec<FieldChange>,
    /// How often it was tried.
    pub count: u32,
    /// When it last failed.
    pub at: Timestamp,
    /// What it did.
    pub reason: String,
}

/// A container that the engine could not start. It stays as it was, *created* mostly, which by itself
/// says nothing about why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStart {
    /// Its id, or its name if it was made by the same plan.
    pub container: String,
    /// What the engine said.
    pub reason: String,
}

/// An image that could not be pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPull {
    /// The image.
    pub image: String,
    /// How often it was tried.
    pub count: u32,
    /// When it last failed.
    pub at: Timestamp,
    /// What the engine said.
    pub reason: String,
}

/// A model that could not be pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedModel {
    /// The model.
    pub model: String,
    /// How often it was tried.
    pub count: u32,
    /// When it last failed.
    pub at: Timestamp,
    /// What the server said.
    pub reason: String,
}

impl History {
    /// The memory as a manifest of this generation finds it: empty, if it is another manifest than before.
    ///
    /// Only what was learnt about the world stays, what was learnt about the manifest goes.
    /// A stop by a person is about the world: editing a manifest does not say *start it*.
    #[must_use]
    pub fn for_generation(self, generation: i64) -> Self {
        if self.generation == generation {
            return self;
        }
        let Self { manual_stop, seen_ready, good_image, choice, proxy, acts, goes_by, .. } = self;
        let proxy = proxy.map(|memory| Box::new(memory.without_refusal()));
        Self { generation, manual_stop, choice, seen_ready, good_image, proxy, acts, goes_by, ..Self::default() }
    }

    /// What is left of the memory when the manifest is gone: what was done on the host was done, and counts against its budgets.
    /// None when nothing counts any more.
    #[must_use]
    pub fn left_behind(self, at: Timestamp) -> Option<Self> {
        let Self { acts, goes_by, .. } = self.having_acted(None, at);
        (!acts.is_empty()).then(|| Self { acts, goes_by, ..Self::default() })
    }

    /// Whether it is all that is left of an object: those that exist have a generation.
    #[must_use]
    pub fn is_left_behind(&self) -> bool {
        self.generation == 0
    }

    /// The memory after the clock was set by so much, some time before `at`: what was a minute ago still is.
    ///
    /// Without this a clock that is set back would put off every next try by as much, and one that is set forward would end
    /// every pause and every budget's window. What was remembered since then goes by the clock as it is now, and what is
    /// compared with times of the engine's own stays as well.
    #[must_use]
    pub fn moved(mut self, by: SignedDuration, at: Timestamp) -> Self {
        let before = at.saturating_sub(by).unwrap_or(at);
        let is_before = |time: Timestamp| if by.is_negative() { time > at } else { time <= before };
        for time in self.times().filter(|time| is_before(**time)) {
            *time = time.saturating_add(by).unwrap_or(*time);
        }
        self
    }

    /// The memory as somebody finds it at `at`: nothing was after that, whatever the clock was then.
    #[must_use]
    pub fn no_later_than(mut self, at: Timestamp) -> Self {
        self.times().for_each(|time| *time = (*time).min(at));
        self
    }

    /// Every time that pauses and budgets are counted from.
    fn times(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        let acts = self.attempts.iter_mut().chain(&mut self.acts).chain(self.corrections.values_mut().flatten());
        let replacements = self.failed_replacement.iter_mut().map(|failed| &mut failed.at);
        let pulls = self.failed_pull.iter_mut().map(|failed| &mut failed.at);
        let proxy = self.proxy.iter_mut().flat_map(|memory| memory.times());
        acts.chain(replacements).chain(pulls).chain(self.failed_model.iter_mut().map(|failed| &mut failed.at)).chain(proxy)
    }

    /// The memory after a person said: try again.
    ///
    /// The budgets of groups and of the host go on, as with [`Self::with_a_clean_slate`].
    #[must_use]
    pub fn released(self) -> Self {
        let Self { generation, choice, seen_ready, good_image, proxy, acts, goes_by, .. } = self;
        let proxy = proxy.map(|memory| Box::new(memory.without_refusal()));
        Self { generation, choice, seen_ready, good_image, proxy, acts, goes_by, ..Self::default() }
    }

    /// The memory without the tries that were made: it has lasted, or they could not help, for what made it fail was put right
    /// only after them.
    ///
    /// The budgets of groups and of the host go on, for what was done on the host was done.
    #[must_use]
    pub fn with_a_clean_slate(self) -> Self {
        Self { attempts: Vec::new(), failures: 0, is_refused: false, crash_loop: None, ..self }
    }

    /// The memory after a pass that took these steps, some of them with success.
    #[must_use]
    pub fn acted<'a>(self, taken: &[&'a Step], done: &[&'a Step], at: Timestamp) -> Self {
        let is_charged = taken.iter().any(|step| restraint::is_charged(step.code(), self.seen_ready));
        self.having_acted(is_charged.then_some(at), at).having_corrected(done.iter().copied(), at)
    }

    /// The memory after an act that counts against budgets, if there was one: a pass is one at most.
    fn having_acted(mut self, act: Option<Timestamp>, now: Timestamp) -> Self {
        self.acts.extend(act);
        self.acts.retain(|act| now.duration_since(*act) <= ACTS_KEPT);
        self
    }

    /// The memory after a step for which the one that it was meant for could not even be asked: nothing was refused by it.
    ///
    /// The pause after a failed pass is enough. See docs/decisions/0012.
    #[must_use]
    pub fn unasked(mut self, action: &ProxyAction, at: Timestamp) -> Self {
        let memory = self.proxy.take().unwrap_or_default();
        self.proxy = Some(Box::new(memory.unasked(action, at)));
        self
    }

    /// The memory after a step was taken, successfully or not.
    #[must_use]
    pub fn after(mut self, step: &Step, failure: Option<&str>, at: Timestamp) -> Self {
        let action = match &step.action {
            Action::Engine(action) => action,
            Action::File(_) => return self,
            Action::Proxy(action) => {
                let memory = self.proxy.take().unwrap_or_default();
                self.proxy = Some(Box::new(memory.after(action, failure, at)));
                return self;
            }
            Action::Model(ModelAction::PullModel { model, .. }) => {
                // Which step it was is known here, and its error begins with that.
                let reason = failure.map(|reason| reason.strip_prefix(&format!("could not {}: ", step.action)).unwrap_or(reason));
                self.failed_model = reason.map(|reason| self.model_failed(model, reason, at));
                return self;
            }
        };
        // What the engine did not even begin for such a reason says nothing about the container: neither is it a
        // try that did not help nor a version that cannot be started. The pause after a failed pass is enough.
        if failure.is_some_and(is_about_doubles) {
            return self;
        }
        if is_corrective(step.code(), self.seen_ready) {
            self = self.tried(failure.is_some(), at);
        }
        match (action, &step.why) {
            (EngineAction::PullImage { image }, _) => {
                self.failed_pull = failure.map(|reason| self.pull_failed(image, reason, at));
            }
            (EngineAction::StopContainer { container }, Why::Asked { .. }) if failure.is_none() => {
                self.manual_stop = Some(ManualStop { container: container.reference().to_owned(), at, asked: true });
            }
            (EngineAction::StartContainer { container }, _) => {
                let failed =
                    |reason: &str| FailedStart { container: container.reference().to_owned(), reason: reason.to_owned() };
                self.failed_start = failure.map(failed);
            }
            (EngineAction::RemoveContainer { .. }, Why::ReplacementFailed { reason, fields }) if failure.is_none() => {
                self.failed_replacement = Some(self.replacement_failed(fields, reason, at));
            }
            (EngineAction::CreateContainer(new), why) if failure.is_none() => {
                self.failed_start = None;
                if let Why::ImageSuspect { image, .. } = why {
                    self.fallback = Some(Fallback { bad: image.clone(), good: new.shape.image.clone() });
                }
            }
            _ => {}
        }
        self
    }

    fn tried(mut self, is_refused: bool, at: Timestamp) -> Self {
        self.failures = self.failures.saturating_add(u32::from(!is_refused));
        self.attempts.push(at);
        self.is_refused = is_refused;
        let surplus = self.attempts.len().saturating_sub(ATTEMPTS_KEPT);
        self.attempts.drain(..surplus);
        self
    }

    /// The memory of somebody who died in a pass, after these steps or in the middle of the last.
    ///
    /// What nobody lived to see may have been done, and no more is done than is permitted; that it did not help is not known.
    /// A stop that somebody asked for is meant: who does not run is not started again for that.
    #[must_use]
    pub fn cut_short(mut self, steps: &[CutShort<'_>], now: Timestamp) -> Self {
        for step in steps {
            if is_corrective(step.code, self.seen_ready) {
                self = self.tried(step.end != End::Done, step.at);
            }
            if let (STOP_ASKED, Some(id), End::Done | End::Unknown) = (step.code, step.container, step.end) {
                self.manual_stop = Some(ManualStop { container: id.to_owned(), at: step.at, asked: true });
            }
        }
        let charged = steps.iter().find(|step| restraint::is_charged(step.code, self.seen_ready));
        self.having_acted(charged.map(|step| step.at), now)
    }

    /// The memory once it goes by the steps up to this one, by its number in the audit log.
    #[must_use]
    pub fn going_by(self, step: i64) -> Self {
        Self { goes_by: step, ..self }
    }

    /// The memory after a pass that decided on `plan`, seeing `containers`.
    #[must_use]
    pub fn settled(mut self, plan: &Plan, containers: &[Container], at: Timestamp, reset_after: SignedDuration) -> Self {
        // Who was released while that was decided has no tries any more, and nobody gives up without one.
        if matches!(plan.wait, Some(Wait::CrashLoop { .. })) && !self.attempts.is_empty() {
            self.crash_loop.get_or_insert(at);
        }
        if let Some(stop) = &self.manual_stop
            // What was seen before the stop does not speak against it.
            && stop.at <= at
            && !containers.iter().any(|container| container.state != State::Running && stop.explains(container))
        {
            // Somebody started it again, or removed it: the stop is history.
            self.manual_stop = None;
        }
        if !plan.steps.is_empty() {
            return self;
        }
        let is_well = |container: &&Container| container.readiness() == Readiness::Healthy;
        if plan.is_converged() && containers.iter().any(|container| is_well(&container)) {
            self.seen_ready = true;
            // One that nobody checks is as declared whenever it runs: that it stays up has to show first.
            if containers.iter().filter(is_well).any(|container| container.has_settled(at)) {
                self.failures = 0;
            }
            self.failed_replacement = None;
        }
        // An outdated one that must not be replaced, or one with the last good image, deserves a clean slate as well.
        let has_lasted =
            |container: &&Container| container.started_at.is_some_and(|started| at.duration_since(started) >= reset_after);
        if !containers.is_empty() && containers.iter().all(|container| is_well(&container) && has_lasted(&container)) {
            self = self.with_a_clean_slate();
            let image = containers.iter().find_map(|container| Some(container.made_with.as_ref()?.shape.image.clone()));
            self.good_image = image.or(self.good_image);
        }
        self
    }

    fn pull_failed(&self, image: &str, reason: &str, at: Timestamp) -> FailedPull {
        let earlier = self.failed_pull.as_ref().filter(|failed| failed.image == image).map_or(0, |failed| failed.count);
        FailedPull { image: image.to_owned(), count: earlier + 1, at, reason: reason.to_owned() }
    }

    fn model_failed(&self, model: &str, reason: &str, at: Timestamp) -> FailedModel {
        let earlier = self.failed_model.as_ref().filter(|failed| failed.model == model).map_or(0, |failed| failed.count);
        FailedModel { model: model.to_owned(), count: earlier + 1, at, reason: reason.to_owned() }
    }

    fn replacement_failed(&self, fields: &[FieldChange], reason: &str, at: Timestamp) -> FailedReplacement {
        let earlier = self.failed_replacement.as_ref().filter(|failed| failed.fields == fields).map_or(0, |failed| failed.count);
        FailedReplacement { fields: fields.to_vec(), count: earlier + 1, at, reason: reason.to_owned() }
    }
}

/// Whether the engine refused because several networks have the name that it was to look up.
///
/// Its words are all there is: the status is that of any bad request.
pub(super) fn is_about_doubles(reason: &str) -> bool {
    reason.contains("network ") && reason.contains(" is ambiguous (")
}

/// Whether a step is a try at bringing something back, as opposed to making it the first time.
pub(super) fn is_corrective(code: Code<'_>, seen_ready: bool) -> bool {
    match code {
        (_, "Asked") => false,
        ("RestartContainer", _)
        | ("StartContainer", "NotRunning" | "StartFailed")
        | ("CreateContainer", "RestartDidNotHelp" | "ImageSuspect") => true,
        ("CreateContainer", "Missing") => seen_ready,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
