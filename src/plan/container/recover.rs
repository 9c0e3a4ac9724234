//! Bringing a container back that is what it should be, and does not do what it should.
//!
//! The ladder: start or restart it; make it anew; make it anew with the last
//! image that worked; stop trying and tell. Each try waits longer than the one
//! before, and all together have a budget.

use jiff::{SignedDuration, Timestamp};

use super::{Container, Dependency, Desired, Health, Observed, Policy, ProbeState, State, create, remove, unmet_dependency};
use crate::{
    manifest::container::{Healing, HealingBackoff, OnManualStop},
    plan::{
        Plan, Wait, Why,
        action::{EngineAction, Target},
        shape::Network,
    },
};

/// What to do about a container that needs no replacement.
pub(super) fn own(desired: &Desired, observed: &Observed, container: &Container) -> Plan {
    match ailment(&desired.policy, observed, container) {
        Ailment::None => in_place(desired, observed, container),
        Ailment::Wait(wait) => Plan::waiting(wait),
        Ailment::HalfRemoved => {
            let mut plan = Plan::default();
            remove(&mut plan, container, &Why::NotRunning { exit_code: 0, out_of_memory: false });
            plan
        }
        Ailment::Needs(Cure::Start, why) if why == Why::NeverStarted => start(&desired.depends_on, observed, container, why),
        Ailment::Needs(cure, why) => climb(desired, observed, container, (cure, why)),
    }
}

/// What to do about a container that may only be started and restarted, never made anew.
pub(super) fn gently(policy: &Policy, depends_on: &[Dependency], observed: &Observed, container: &Container) -> Plan {
    match ailment(policy, observed, container) {
        Ailment::None => Plan::default(),
        Ailment::Wait(wait) => Plan::waiting(wait),
        Ailment::HalfRemoved => Plan::waiting(Wait::EngineBusy { doing: "removing".to_owned() }),
        Ailment::Needs(cure, why) => {
            if let Some(wait) = unmet_dependency(depends_on, observed) {
                return Plan::waiting(wait);
            }
            if let Some(wait) = out_of_tries(&policy.healing, observed, &why.to_string()) {
                return Plan::waiting(wait);
            }
            let mut plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
            plan.step(cure.action(container), why);
            plan
        }
    }
}

/// What is wrong with a container.
enum Ailment {
    /// Nothing.
    None,
    /// Something that is not ours to correct now.
    Wait(Wait),
    /// The engine could not remove it entirely.
    HalfRemoved,
    /// It has to be started or restarted.
    Needs(Cure, Why),
}

/// The first rung of the ladder.
#[derive(Clone, Copy)]
enum Cure {
    Start,
    Restart,
}

impl Cure {
    fn action(self, container: &Container) -> EngineAction {
        let container = container.target();
        match self {
            Self::Start => EngineAction::StartContainer { container },
            Self::Restart => EngineAction::RestartContainer { container },
        }
    }
}

fn ailment(policy: &Policy, observed: &Observed, container: &Container) -> Ailment {
    match &container.state {
        State::Paused => Ailment::Wait(Wait::Paused),
        State::Restarting => Ailment::Wait(Wait::EngineBusy { doing: "restarting".to_owned() }),
        State::Removing => Ailment::Wait(Wait::EngineBusy { doing: "removing".to_owned() }),
        State::Dead => Ailment::HalfRemoved,
        State::Created => Ailment::Needs(Cure::Start, Why::NeverStarted),
        State::Exited { exit_code, out_of_memory } => match meant(policy, observed, container) {
            Some(wait) => Ailment::Wait(wait),
            None => Ailment::Needs(Cure::Start, Why::NotRunning { exit_code: *exit_code, out_of_memory: *out_of_memory }),
        },
        State::Running => match (&container.probe, container.health) {
            (Some(ProbeState::Failing { error }), _) => Ailment::Needs(Cure::Restart, Why::ProbeFailing { error: error.clone() }),
            (_, Health::Unhealthy) => Ailment::Needs(Cure::Restart, Why::Unhealthy),
            (Some(ProbeState::Pending), _) | (_, Health::Starting) => Ailment::Wait(Wait::Starting),
            (None | Some(ProbeState::Passing), Health::None | Health::Healthy) => Ailment::None,
        },
    }
}

/// Whether somebody wants the container to be stopped.
pub(super) fn meant(policy: &Policy, observed: &Observed, container: &Container) -> Option<Wait> {
    match policy.on_manual_stop {
        OnManualStop::Heal => None,
        OnManualStop::Respect => {
            let by_hand = observed.history.manual_stop.as_ref().filter(|stop| stop.container == container.id);
            let suspected = observed.stop_suspected_until.filter(|until| observed.at < *until);
            by_hand
                .map(|stop| Wait::StoppedByHand { at: stop.at })
                .or_else(|| suspected.map(|until| Wait::StopUnderWay { until }))
        }
    }
}

fn start(depends_on: &[Dependency], observed: &Observed, container: &Container, why: Why) -> Plan {
    if let Some(wait) = unmet_dependency(depends_on, observed) {
        return Plan::waiting(wait);
    }
    let mut plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
    plan.step(EngineAction::StartContainer { container: container.target() }, why);
    plan
}

/// Takes the rung of the ladder that is due.
fn climb(desired: &Desired, observed: &Observed, container: &Container, (cure, why): (Cure, Why)) -> Plan {
    let healing = &desired.policy.healing;
    if let Some(wait) = unmet_dependency(&desired.depends_on, observed) {
        return Plan::waiting(wait);
    }
    if let Some(wait) = out_of_tries(healing, observed, &why.to_string()) {
        return Plan::waiting(wait);
    }
    let mut plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
    // A try that helped is a reason to begin with the mildest cure again, though not to forget the budget.
    let recent = u32::try_from(recent_attempts(healing, observed).count()).unwrap_or(u32::MAX);
    let attempts = observed.history.failures.min(recent);
    let may_remake = !desired.shape.is_stateful() || desired.policy.allow_recreate;
    if attempts == 0 || !may_remake || create::obstacle(desired, observed).is_some() {
        plan.step(cure.action(container), why);
        return plan;
    }
    let mut remade = desired.clone();
    let why = match &observed.history.good_image {
        Some(good) if attempts > 1 && *good != desired.shape.image => {
            remade.shape.image.clone_from(good);
            Why::ImageSuspect { image: desired.shape.image.clone(), attempts }
        }
        _ => Why::RestartDidNotHelp { attempts },
    };
    remove(&mut plan, container, &why);
    create::make(&mut plan, &remade, observed, &desired.name, &why);
    plan.step(EngineAction::StartContainer { container: Target::named(&desired.name) }, why);
    plan
}

/// The reason for which no further try is made now.
pub(super) fn out_of_tries(healing: &Healing, observed: &Observed, reason: &str) -> Option<Wait> {
    let recent: Vec<Timestamp> = recent_attempts(healing, observed).collect();
    let attempts = u32::try_from(recent.len()).unwrap_or(u32::MAX);
    if observed.history.crash_loop.is_some() || attempts >= healing.budget.attempts {
        return Some(Wait::CrashLoop { attempts: attempts.max(healing.budget.attempts), reason: reason.to_owned() });
    }
    let until = healing.backoff.due(*recent.last()?, attempts);
    (observed.at < until).then_some(Wait::BackingOff { until, attempts })
}

/// The tries that count: those of the window, and none from before a long time of quiet.
fn recent_attempts<'a>(healing: &'a Healing, observed: &'a Observed) -> impl Iterator<Item = Timestamp> + 'a {
    let window = signed(healing.budget.window.0);
    let reset = signed(healing.backoff.reset_after.0);
    let quiet = observed.history.attempts.last().is_some_and(|last| observed.at.duration_since(*last) >= reset);
    observed.history.attempts.iter().copied().filter(move |at| !quiet && observed.at.duration_since(*at) < window)
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl HealingBackoff {
    /// When the try after `attempts` earlier ones is due, the last of which was at `last`.
    #[must_use]
    pub(super) fn due(&self, last: Timestamp, attempts: u32) -> Timestamp {
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = (self.initial.0.as_secs_f64() * self.factor.powi(exponent)).min(self.cap.0.as_secs_f64());
        let pause = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
        last.checked_add(pause).unwrap_or(Timestamp::MAX)
    }
}

/// Corrects what the engine can change on a living container.
fn in_place(desired: &Desired, observed: &Observed, container: &Container) -> Plan {
    let mut plan = Plan::default();
    if container.name != desired.name {
        if observed.name_taken {
            return Plan::waiting(Wait::NameTaken { name: desired.name.clone() });
        }
        let to = desired.name.clone();
        plan.step(
            EngineAction::RenameContainer { container: container.target(), to },
            Why::Misnamed { name: container.name.clone() },
        );
    }
    reconnect(&mut plan, &desired.shape.networks, observed, container);
    let changes = limit_changes(desired, container);
    if !changes.is_empty() {
        let limits = desired.shape.limits.clone();
        plan.step(EngineAction::UpdateContainer { container: container.target(), limits }, Why::Outdated { fields: changes });
    }
    plan
}

/// Puts a container back on the networks that it has left.
pub(super) fn reconnect(plan: &mut Plan, networks: &[Network], observed: &Observed, container: &Container) {
    for network in networks.iter().filter(|network| !container.networks.contains(&network.name)) {
        let why = Why::Disconnected { network: network.name.clone() };
        if observed.missing_networks.contains(&network.name) {
            plan.step(EngineAction::CreateNetwork { name: network.name.clone() }, why.clone());
        }
        plan.step(EngineAction::ConnectNetwork { container: container.target(), network: network.clone() }, why);
    }
}

/// The limits that are declared and that the living container does not have.
fn limit_changes(desired: &Desired, container: &Container) -> Vec<crate::plan::shape::FieldChange> {
    let wanted = crate::plan::shape::Shape { limits: desired.shape.limits.clone(), ..Default::default() };
    let actual = crate::plan::shape::Shape { limits: container.limits.clone(), ..Default::default() };
    let mut changes = wanted.changes_from(&actual);
    changes.retain(|change| change.to.is_some());
    changes
}
