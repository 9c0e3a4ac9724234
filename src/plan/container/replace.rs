//! Replacing a container by one that is as declared, without losing the one that works.
//!
//! Where both can run side by side, the new one is made beside the old one, has
//! to become healthy, and only then takes over name and place. Where they would
//! claim the same port, address, alias or data, the old one steps aside, stopped
//! and renamed, and comes back if the new one does not make it.
//!
//! Each pass reads off the containers themselves how far an earlier one got:
//!
//! | what is there | what it means |
//! | --- | --- |
//! | only outdated ones | not begun |
//! | a fitting one beside outdated ones | begun; the fitting one decides how it goes on |
//! | `NAME.previous` | the one to come back to |

use jiff::SignedDuration;

use super::{Container, Desired, Health, Observed, ProbeState, Readiness, State, create, differences, recover, remove};
use crate::plan::{
    Plan, Wait, Why,
    action::{EngineAction, Target},
    shape::FieldChange,
};

/// A container that nobody checks counts as well after it has run this long:
/// most programs that cannot start are gone within a fraction of it.
pub(super) const SETTLED: SignedDuration = SignedDuration::from_millis(1500);

/// Only outdated containers are there: replace them, if nothing stands in the way; keep the one in use alive otherwise.
pub(super) fn begin(desired: &Desired, observed: &Observed, outdated: &[&Container]) -> Plan {
    let fallback = fallback(desired, observed, outdated);
    let changes = differences(desired, observed, fallback);
    if let Some(wait) = forbidden(desired, observed, fallback, &changes) {
        let mut plan = recover::gently(&desired.policy, &desired.depends_on, observed, fallback);
        // What a person has to know outlasts what comes by itself.
        plan.wait = match plan.wait.take() {
            Some(ailing) if !ailing.ends_by_itself() || !plan.steps.is_empty() => Some(ailing),
            _ => Some(wait),
        };
        return plan;
    }
    let mut plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
    let why = Why::Outdated { fields: changes };
    // What an interrupted replacement by yet another version left behind.
    outdated
        .iter()
        .filter(|container| container.id != fallback.id)
        .for_each(|container| remove(&mut plan, container, &Why::Replaced));
    // It may have the very name that the new one needs, when it became outdated before it had taken over.
    let mut old = fallback.clone();
    if old.name == desired.next_name() {
        rename(&mut plan, &old, &desired.name, &why);
        old.name.clone_from(&desired.name);
    }
    create::make(&mut plan, desired, observed, &desired.next_name(), &why);
    let next = Target::named(&desired.next_name());
    if is_exclusive(desired, &old) {
        step_aside(&mut plan, desired, &old, &why);
        plan.step(EngineAction::RenameContainer { container: next, to: desired.name.clone() }, why.clone());
        plan.step(EngineAction::StartContainer { container: Target::named(&desired.name) }, why);
    } else {
        plan.step(EngineAction::StartContainer { container: next }, why);
    }
    plan
}

/// A fitting container is there beside outdated ones: see whether it made it.
pub(super) fn go_on(desired: &Desired, observed: &Observed, new: &Container, outdated: &[&Container]) -> Plan {
    let old = fallback(desired, observed, outdated);
    let others = outdated.iter().copied().filter(|container| container.id != old.id);
    match progress(observed, new) {
        Progress::Waiting(wait) => Plan::waiting(wait),
        Progress::NotStarted => {
            let mut plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
            others.for_each(|other| remove(&mut plan, other, &Why::Replaced));
            if is_exclusive(desired, old) {
                step_aside(&mut plan, desired, old, &Why::NeverStarted);
                take_name(&mut plan, desired, new);
            }
            plan.step(EngineAction::StartContainer { container: new.target() }, Why::NeverStarted);
            plan
        }
        Progress::Ready => {
            let mut plan = Plan::default();
            others.for_each(|other| remove(&mut plan, other, &Why::Replaced));
            if old.name == desired.name {
                rename(&mut plan, old, &desired.previous_name(), &Why::Replaced);
            }
            take_name(&mut plan, desired, new);
            remove(&mut plan, old, &Why::Replaced);
            plan
        }
        Progress::Failed(reason) => {
            let why = Why::ReplacementFailed { reason, fields: differences(desired, observed, old) };
            let mut plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
            // Only this one has failed: `History::after` counts the removals that say so.
            remove(&mut plan, new, &why);
            return_to(plan, desired, old, (others, &why))
        }
    }
}

/// The one that had stepped aside is what is wanted again: it comes back, and what was to follow it goes.
pub(super) fn come_back(desired: &Desired, old: &Container, others: &[&Container]) -> Plan {
    let plan = Plan { wait: Some(Wait::Starting), ..Plan::default() };
    return_to(plan, desired, old, (others.iter().copied(), &Why::Replaced))
}

fn return_to<'a>(
    mut plan: Plan,
    desired: &Desired,
    old: &Container,
    (others, why): (impl Iterator<Item = &'a Container>, &Why),
) -> Plan {
    for other in others {
        remove(&mut plan, other, &Why::Replaced);
    }
    if old.name != desired.name {
        rename(&mut plan, old, &desired.name, why);
    }
    if !matches!(old.state, State::Running | State::Paused | State::Restarting) {
        plan.step(EngineAction::StartContainer { container: old.target() }, why.clone());
    }
    plan
}

/// The outdated container that is in use, or was until the replacement began.
///
/// One that is well is the one in use, whatever it is called; otherwise the one that stepped aside.
fn fallback<'a>(desired: &Desired, observed: &Observed, outdated: &[&'a Container]) -> &'a Container {
    let rank = |container: &Container| {
        let is_well = container.readiness() == Readiness::Healthy && container.has_settled(observed.at);
        (is_well, container.name == desired.previous_name(), container.name == desired.name, container.state == State::Running)
    };
    outdated.iter().copied().max_by_key(|container| rank(container)).expect("the caller has at least one outdated container")
}

/// Whether old and new would claim the same thing.
fn is_exclusive(desired: &Desired, old: &Container) -> bool {
    desired.shape.is_exclusive() || old.made_with.as_ref().is_none_or(|made_with| made_with.shape.is_exclusive())
}

/// Why an outdated container may not be replaced now.
fn forbidden(desired: &Desired, observed: &Observed, old: &Container, changes: &[FieldChange]) -> Option<Wait> {
    match old.state {
        State::Paused => return Some(Wait::Paused),
        State::Removing => return Some(Wait::EngineBusy { doing: "removing".to_owned() }),
        State::Exited { .. } => {
            if let Some(wait) = recover::meant(&desired.policy, observed, old) {
                return Some(wait);
            }
        }
        State::Created | State::Running | State::Restarting | State::Dead => {}
    }
    let has_data = desired.shape.is_stateful() || old.made_with.as_ref().is_none_or(|made_with| made_with.shape.is_stateful());
    if has_data && !desired.policy.allow_recreate {
        return Some(Wait::RecreateForbidden { fields: changes.to_vec() });
    }
    if observed.name_taken {
        return Some(Wait::NameTaken { name: desired.name.clone() });
    }
    failed_before(desired, observed, changes).or_else(|| create::obstacle(desired, observed))
}

fn failed_before(desired: &Desired, observed: &Observed, changes: &[FieldChange]) -> Option<Wait> {
    // Another change, say of a variable's value, is another version and gets its own tries.
    let failed = observed.history.failed_replacement.as_ref().filter(|failed| failed.fields == changes)?;
    let healing = &desired.policy.healing;
    let reason = failed.reason.clone();
    if failed.count >= healing.budget.attempts {
        return Some(Wait::ReplacementFailed { reason, until: None });
    }
    let until = healing.backoff.due(failed.at, failed.count);
    (observed.at < until).then_some(Wait::ReplacementFailed { reason, until: Some(until) })
}

/// How far the new container has come.
enum Progress {
    NotStarted,
    Waiting(Wait),
    Ready,
    Failed(String),
}

fn progress(observed: &Observed, new: &Container) -> Progress {
    match &new.state {
        State::Created => Progress::NotStarted,
        State::Paused => Progress::Waiting(Wait::Paused),
        State::Removing => Progress::Waiting(Wait::EngineBusy { doing: "removing".to_owned() }),
        State::Exited { exit_code, .. } => Progress::Failed(format!("it exited with {exit_code}")),
        State::Restarting => Progress::Failed("it exits again and again".to_owned()),
        State::Dead => Progress::Failed("the engine could not start it".to_owned()),
        State::Running => match (&new.probe, new.health) {
            (Some(ProbeState::Failing { error }), _) => Progress::Failed(format!("its probe fails: {error}")),
            (_, Health::Unhealthy) => Progress::Failed("it became unhealthy".to_owned()),
            (Some(ProbeState::Pending), _) | (_, Health::Starting) => Progress::Waiting(Wait::Starting),
            _ if new.has_settled(observed.at) => Progress::Ready,
            _ => Progress::Waiting(Wait::Starting),
        },
    }
}

/// The old container stops and frees its name, but stays.
fn step_aside(plan: &mut Plan, desired: &Desired, old: &Container, why: &Why) {
    if matches!(old.state, State::Running | State::Restarting) {
        plan.step(EngineAction::StopContainer { container: old.target() }, why.clone());
    }
    if old.name == desired.name {
        rename(plan, old, &desired.previous_name(), why);
    }
}

fn take_name(plan: &mut Plan, desired: &Desired, new: &Container) {
    if new.name != desired.name {
        rename(plan, new, &desired.name, &Why::Misnamed { name: new.name.clone() });
    }
}

fn rename(plan: &mut Plan, container: &Container, to: &str, why: &Why) {
    plan.step(EngineAction::RenameContainer { container: container.target(), to: to.to_owned() }, why.clone());
}
