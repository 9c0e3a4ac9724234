//! Bringing a container back that is what it should be, and does not do what it should.
//!
//! The ladder: start or restart it; make it anew; make it anew with the last
//! image that worked; stop trying and tell. Each try waits longer than the one
//! before, and all together have a budget.

use jiff::{SignedDuration, Timestamp};

use super::{
    Container, Dependency, Desired, Health, Observed, Policy, ProbeState, State, create, differences::settable_limits, remove,
    unmet_dependency,
};
use crate::{
    manifest::container::{Healing, HealingBackoff, OnManualStop},
    plan::{Plan, Wait, Why, action::EngineAction, history::is_about_doubles, restraint::spent_until, shape::Network},
};

/// How often the engine may restart a container by its own policy before that counts as *did not help*.
///
/// Its pauses double from 100 ms on, so this many take about three seconds:
/// more than a hiccup, and soon enough that nobody waits for the engine's
/// later pauses of up to a minute.
const ENGINE_RESTARTS: u32 = 5;

/// Why a check is not believed that our own probe contradicts.
const CONTRADICTED: &str = "it fails while the probe of the manifest succeeds";

/// What to do about a container that needs no replacement.
pub(super) fn own(desired: &Desired, observed: &Observed, container: &Container) -> Plan {
    // Well or not, under another name nobody finds it.
    if container.name != desired.name && container.state != State::Paused && !observed.taken_names.contains(&desired.name) {
        let mut plan = Plan::default();
        // One that has run would have had a say in this as the way back.
        if let Some(holder) = observed.containers.iter().find(|other| other.name == desired.name) {
            remove(&mut plan, holder, &Why::LeftOver);
        }
        let why = Why::Misnamed { name: container.name.clone() };
        plan.step(EngineAction::RenameContainer { container: container.target(), to: desired.name.clone() }, why);
        return plan;
    }
    match ailment(&desired.policy, observed, container) {
        Ailment::None => in_place(desired, observed, container),
        Ailment::Untrusted(reason) => {
            let mut plan = in_place(desired, observed, container);
            plan.also_wait(Wait::HealthUntrusted { reason });
            plan
        }
        Ailment::Wait(wait) => Plan::waiting(wait),
        Ailment::HalfRemoved => {
            let mut plan = Plan::default();
            remove(&mut plan, container, &Why::HalfRemoved);
            plan
        }
        Ailment::Needs(cure, why) => {
            if let Some(wait) = unmet_dependency(&desired.depends_on, observed) {
                return Plan::waiting(wait);
            }
            // The first start is no correction: neither pause nor budget apply.
            if why == Why::NeverStarted {
                let mut plan = Plan::starting();
                first_rung(&mut plan, &desired.shape.networks, observed, container, (cure, why));
                return plan;
            }
            climb(desired, observed, container, (cure, why))
        }
    }
}

/// What to do about a container that may only be started, restarted and reconnected, never made anew.
pub(super) fn gently(
    policy: &Policy,
    depends_on: &[Dependency],
    networks: &[Network],
    observed: &Observed,
    container: &Container,
) -> Plan {
    let mut plan = Plan::default();
    match ailment(policy, observed, container) {
        Ailment::None => reconnect(&mut plan, networks, observed, container),
        Ailment::Untrusted(reason) => {
            reconnect(&mut plan, networks, observed, container);
            plan.also_wait(Wait::HealthUntrusted { reason });
        }
        Ailment::Wait(wait) => plan.wait = Some(wait),
        Ailment::HalfRemoved => plan.wait = Some(Wait::HalfRemoved),
        Ailment::Needs(cure, why) => {
            plan.wait = unmet_dependency(depends_on, observed).or_else(|| out_of_tries(&policy.healing, observed, &why));
            if plan.wait.is_none() {
                plan = Plan::starting();
                first_rung(&mut plan, networks, observed, container, (cure, why));
            }
        }
    }
    plan
}

/// Why a health check that takes too long is not believed: to be restarted takes processor time as well, and whoever is restarted
/// for that does not answer at all.
pub(super) fn late(host: &str) -> String {
    format!("it took too long each time, and {host}")
}

/// What is wrong with a container.
enum Ailment {
    /// Nothing.
    None,
    /// Nothing that is known: its health check says something that is not to be believed, for this reason.
    Untrusted(String),
    /// Something that is not ours to correct now.
    Wait(Wait),
    /// The engine could not remove it entirely.
    HalfRemoved,
    /// It has to be started or restarted.
    Needs(Cure, Why),
}

/// What the first rung of the ladder does.
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
        State::Removing => Ailment::Wait(Wait::EngineBusy { doing: "removing".to_owned() }),
        State::Dead => Ailment::HalfRemoved,
        State::Created => match failed_start(observed, container) {
            Some(error) => Ailment::Needs(Cure::Start, Why::StartFailed { error: error.to_owned() }),
            None => Ailment::Needs(Cure::Start, Why::NeverStarted),
        },
        State::Restarting if container.restarts < ENGINE_RESTARTS => {
            Ailment::Wait(Wait::EngineBusy { doing: "restarting".to_owned() })
        }
        State::Restarting => Ailment::Needs(Cure::Restart, Why::Restarting { restarts: container.restarts }),
        State::Exited { exit_code, out_of_memory } => match meant(policy, observed, container) {
            Some(wait) => Ailment::Wait(wait),
            None => Ailment::Needs(Cure::Start, Why::NotRunning { exit_code: *exit_code, out_of_memory: *out_of_memory }),
        },
        State::Running => match (&container.probe, container.health) {
            (Some(ProbeState::Failing { error }), _) => Ailment::Needs(Cure::Restart, Why::ProbeFailing { error: error.clone() }),
            (Some(ProbeState::Passing), Health::Unhealthy) => Ailment::Untrusted(CONTRADICTED.to_owned()),
            (_, Health::Unhealthy) => match &container.starved {
                Some(host) => Ailment::Untrusted(late(host)),
                None => Ailment::Needs(Cure::Restart, Why::Unhealthy),
            },
            (Some(ProbeState::Pending), _) | (_, Health::Starting) => Ailment::Wait(Wait::Starting),
            (None | Some(ProbeState::Passing), Health::None | Health::Healthy) => {
                container.broken_check.clone().map_or(Ailment::None, Ailment::Untrusted)
            }
        },
    }
}

/// Whether somebody wants the container to be stopped.
pub(super) fn meant(policy: &Policy, observed: &Observed, container: &Container) -> Option<Wait> {
    let stop = observed.history.manual_stop.as_ref().filter(|stop| stop.explains(container));
    match policy.on_manual_stop {
        OnManualStop::Heal => stop.filter(|stop| stop.asked).map(|stop| Wait::StoppedByHand { at: stop.at }),
        OnManualStop::Respect => {
            let suspected = observed.stop_suspected_until.filter(|until| observed.at < *until);
            stop.map(|stop| Wait::StoppedByHand { at: stop.at }).or_else(|| suspected.map(|until| Wait::StopUnderWay { until }))
        }
    }
}

/// What the engine said when it could not start a container that has never run since.
pub(super) fn failed_start<'a>(observed: &'a Observed, container: &Container) -> Option<&'a str> {
    let failed = observed.history.failed_start.as_ref()?;
    (failed.container == container.id || failed.container == container.name).then_some(failed.reason.as_str())
}

/// Takes the rung of the ladder that is due.
fn climb(desired: &Desired, observed: &Observed, container: &Container, (cure, why): (Cure, Why)) -> Plan {
    if let Some(wait) = out_of_tries(&desired.policy.healing, observed, &why) {
        return Plan::waiting(wait);
    }
    let mut plan = Plan::starting();
    // A try that helped is a reason to begin with the mildest cure again, though not to forget the budget.
    let attempts = observed.history.failures.min(tries(observed)) + engine_tries(&why) + u32::from(cannot_start(container));
    let may_remake = !desired.shape.is_stateful() || desired.policy.allow_recreate;
    let good = observed.history.good_image.as_ref().filter(|good| attempts > 1 && **good != desired.shape.image);
    let with_good = good.map(|good| desired.with_image(good)).filter(|desired| create::obstacle(desired, observed).is_none());
    match with_good {
        Some(with_good) if may_remake => {
            let why = Why::ImageSuspect { image: desired.shape.image.clone(), attempts };
            create::anew(&mut plan, &with_good, observed, (container, &why));
        }
        _ if may_remake && attempts > 0 && create::obstacle(desired, observed).is_none() => {
            create::anew(&mut plan, desired, observed, (container, &Why::RestartDidNotHelp { attempts }));
        }
        _ => first_rung(&mut plan, &desired.shape.networks, observed, container, (cure, why)),
    }
    plan
}

/// Starts or restarts a container, on all its networks.
///
/// One that runs and has left a network gets that back and nothing else: it may
/// be all that it lacks, and costs it nothing.
fn first_rung(plan: &mut Plan, networks: &[Network], observed: &Observed, container: &Container, (cure, why): (Cure, Why)) {
    reconnect(plan, networks, observed, container);
    if plan.steps.is_empty() || container.state != State::Running {
        plan.step(cure.action(container), why);
    }
}

/// The reason for which no further try is made now.
pub(super) fn out_of_tries(healing: &Healing, observed: &Observed, why: &Why) -> Option<Wait> {
    let (history, attempts) = (&observed.history, tries(observed));
    let budget = (healing.budget.attempts, signed(healing.budget.window.0));
    let spent = spent_until(history.attempts.iter().copied(), budget, observed.at);
    if history.crash_loop.is_none() && spent.is_none() {
        // The budget has its window; the pause grows until the container has stayed up for long.
        let until = healing.backoff.due(*history.attempts.last()?, attempts);
        return (observed.at < until).then_some(Wait::BackingOff { until, attempts });
    }
    let reason = why.to_string();
    // No container is given up for an engine that could not do anything for a while.
    let is_refused = history.crash_loop.is_none() && history.is_refused && !observed.containers.iter().any(cannot_start);
    Some(match spent.filter(|_| is_refused) {
        Some(until) => Wait::EngineRefuses { until, attempts, reason },
        None => Wait::CrashLoop { attempts, reason },
    })
}

/// Tries made since the container last stayed up for long.
fn tries(observed: &Observed) -> u32 {
    count(observed.history.attempts.len())
}

/// Whether the engine has tried to start it and could not, so that starting it once more would not help either.
fn cannot_start(container: &Container) -> bool {
    container.start_error.as_deref().is_some_and(|error| !is_about_doubles(error))
}

/// Tries that the engine has made in our stead.
fn engine_tries(why: &Why) -> u32 {
    if let Why::Restarting { restarts } = why { *restarts } else { 0 }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl HealingBackoff {
    /// When the try after `attempts` earlier ones is due, the last of which was at `last`.
    #[must_use]
    pub(in crate::plan) fn due(&self, last: Timestamp, attempts: u32) -> Timestamp {
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
        plan.wait = Some(Wait::NameTaken { name: desired.name.clone() });
    }
    reconnect(&mut plan, &desired.shape.networks, observed, container);
    let fields = settable_limits(desired, container);
    if !fields.is_empty() {
        let limits = desired.shape.limits.explicit();
        plan.step(EngineAction::UpdateContainer { container: container.target(), limits }, Why::Outdated { fields });
    }
    plan
}

/// Puts a container back on the networks that it has left. One that never ran names its networks, whether they are there or not: it is
/// on each as soon as that is.
pub(super) fn reconnect(plan: &mut Plan, networks: &[Network], observed: &Observed, container: &Container) {
    for network in networks {
        let is_gone = observed.missing_networks.contains(&network.name);
        let is_named = container.networks.contains(&network.name);
        let why = || Why::Disconnected { network: network.name.clone() };
        if is_gone && (!is_named || container.state == State::Created) {
            plan.step(EngineAction::CreateNetwork { name: network.name.clone() }, why());
        }
        if !is_named {
            plan.step(EngineAction::ConnectNetwork { container: container.target(), network: network.clone() }, why());
        }
    }
}
