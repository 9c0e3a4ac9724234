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
//! | a fitting one under the right name beside `NAME.previous` | begun; the fitting one decides how it goes on |
//! | a fitting one under another name beside an outdated one | the same, and it still has to take the name |
//! | a fitting one under the right name beside anything else | done, or called off: what is beside it is left over |

use jiff::{SignedDuration, Timestamp};

use super::{Closed, Container, Desired, Health, Observed, ProbeState, State, create, differences, recover, remove};
use crate::plan::{
    Note, Plan, Wait, Why,
    action::{EngineAction, Target},
    restraint::Restrained,
    shape::FieldChange,
};

/// A container that nobody checks counts as well after it has run this long:
/// most programs that cannot start are gone within a fraction of it.
pub(super) const SETTLED: SignedDuration = SignedDuration::from_millis(1500);

/// The outdated container that is in use, or was until a replacement began: the way back.
///
/// A fitting container under the right name has no way back but the one that
/// stepped aside for it; everything else beside it is left over.
pub(super) fn way_back<'a>(
    desired: &Desired,
    observed: &Observed,
    fitting: Option<&Container>,
    outdated: &[&'a Container],
) -> Option<&'a Container> {
    let is_previous = |container: &Container| container.name == desired.previous_name();
    let has_name = |container: &Container| container.name == desired.name;
    let has_run = |container: &Container| container.state != State::Created;
    // What has never run is none either, once there is something that fits.
    let mut candidates = outdated.iter().copied().filter(|container| fitting.is_none() || has_run(container));
    if fitting.is_some_and(has_name) {
        return candidates.find(|container| is_previous(container));
    }
    let rank = |container: &Container| {
        let serves = has_name(container) && (container.state == State::Paused || has_come_up(observed, container));
        (serves, has_run(container), is_previous(container), has_name(container), container.state == State::Running)
    };
    candidates.max_by_key(|container| rank(container))
}

/// Only outdated containers are there: replace the one in use, if nothing stands in the way; keep it alive otherwise.
pub(super) fn begin(desired: &Desired, observed: &Observed, old: &Container, others: &[&Container]) -> Plan {
    let fields = differences(desired, observed, old);
    if let Some(wait) = forbidden(desired, observed, (old, others), &fields) {
        return keep(desired, observed, (old, others), wait);
    }
    let mut plan = Plan::starting();
    // What an interrupted replacement by yet another version left behind.
    clear(&mut plan, desired, others);
    let why = Why::Outdated { fields };
    if old.state == State::Created {
        // It has never run: there is nothing to come back to and nothing to lose.
        create::anew(&mut plan, desired, observed, (old, &why));
        return plan;
    }
    let exclusive = is_exclusive(desired, old);
    let in_the_way = if exclusive { old.name == desired.next_name() } else { old.name != desired.name };
    let old = if in_the_way { take_name(&mut plan, desired, old) } else { old.clone() };
    create::prepare(&mut plan, desired, observed);
    create::make(&mut plan, desired, observed, &desired.next_name(), &why);
    let next = Target::named(&desired.next_name());
    if exclusive {
        step_aside(&mut plan, desired, &old, &why);
        plan.step(EngineAction::RenameContainer { container: next, to: desired.name.clone() }, why.clone());
        plan.step(EngineAction::StartContainer { container: Target::named(&desired.name) }, why);
    } else {
        plan.step(EngineAction::StartContainer { container: next }, why);
    }
    plan
}

/// A fitting container is there beside the one that it replaces: see whether it made it.
pub(super) fn go_on(desired: &Desired, observed: &Observed, (new, old): (&Container, &Container), others: &[&Container]) -> Plan {
    if let Some(wait) = interrupted(desired, observed, (new, old), others) {
        return Plan::waiting(wait);
    }
    let fields = differences(desired, observed, old);
    let mut plan = Plan { is_finishing: true, ..Plan::starting() };
    clear(&mut plan, desired, others);
    match progress(desired, observed, (new, old)) {
        Progress::Waiting(wait) => return Plan::waiting(wait),
        Progress::NotStarted(why) => {
            let (new, old) = &usual_names(&mut plan, desired, (new, old));
            recover::reconnect(&mut plan, &desired.shape.networks, observed, new);
            start(&mut plan, desired, (new, old), (&why, &Why::Outdated { fields }));
        }
        Progress::Ready => {
            plan.wait = None;
            let (new, old) = usual_names(&mut plan, desired, (new, old));
            let holds_name = old.name == desired.name;
            let old = if holds_name { rename(&mut plan, &old, &desired.previous_name(), &Why::Replaced) } else { old };
            take_name(&mut plan, desired, &new);
            remove(&mut plan, &old, &Why::Replaced);
        }
        Progress::Failed(reason) => {
            let why = Why::ReplacementFailed { reason, fields };
            remove(&mut plan, new, &why);
            let old = if old.name == desired.name { old.clone() } else { rename(&mut plan, old, &desired.name, &why) };
            if !matches!(old.state, State::Running | State::Restarting) {
                plan.step(EngineAction::StartContainer { container: old.target() }, why);
            }
        }
    }
    plan
}

/// Removes what is left over, and tells of what a person has to remove.
pub(super) fn clear(plan: &mut Plan, desired: &Desired, leftovers: &[&Container]) {
    for container in leftovers {
        // Under these names there are only containers that a replacement left behind.
        let by_us = desired.names().contains(&container.name);
        if by_us || desired.policy.allow_recreate || !container.may_have_data() {
            remove(plan, container, &Why::LeftOver);
        } else {
            plan.notes.push(Note::Leftover { container: container.name.clone() });
        }
    }
}

/// Starts the new container, where they cannot both run after the old one has stepped aside.
fn start(plan: &mut Plan, desired: &Desired, (new, old): (&Container, &Container), (why, outdated): (&Why, &Why)) {
    let step = |container: &Container| EngineAction::StartContainer { container: container.target() };
    if !is_exclusive(desired, old) {
        plan.step(step(new), why.clone());
        return;
    }
    step_aside(plan, desired, old, outdated);
    if new.state == State::Created {
        let new = take_name(plan, desired, new);
        plan.step(step(&new), why.clone());
    } else {
        // Stopped and under the right name it would look like one that has failed.
        plan.step(step(new), why.clone());
        take_name(plan, desired, new);
    }
}

/// The replacement may not take place now: the one in use stays in use, and whatever else it lacks is mended.
fn keep(desired: &Desired, observed: &Observed, (old, others): (&Container, &[&Container]), wait: Wait) -> Plan {
    // What has never run has no use to keep up.
    if old.state == State::Created || matches!(wait, Wait::Paused | Wait::StoppedByHand { .. } | Wait::StopUnderWay { .. }) {
        return Plan::waiting(wait);
    }
    let mut plan = Plan::default();
    clear(&mut plan, desired, others);
    let old = if observed.taken_names.contains(&desired.name) { old.clone() } else { take_name(&mut plan, desired, old) };
    let networks = old.made_with.as_ref().map_or(&[][..], |made_with| &made_with.shape.networks);
    let mended = recover::gently(&desired.policy, &desired.depends_on, networks, observed, &old);
    plan.steps.extend(mended.steps);
    // What ails the one in use comes first, unless it is on its way.
    plan.wait = Some(mended.wait.filter(|ailing| *ailing != Wait::Starting).unwrap_or(wait));
    plan
}

/// Whether old and new would claim the same thing.
fn is_exclusive(desired: &Desired, old: &Container) -> bool {
    desired.shape.is_exclusive() || old.made_with.as_ref().is_none_or(|made_with| made_with.shape.is_exclusive())
}

/// Why an outdated container may not be replaced now.
fn forbidden(
    desired: &Desired,
    observed: &Observed,
    (old, others): (&Container, &[&Container]),
    changes: &[FieldChange],
) -> Option<Wait> {
    if let Some(wait) = paused(&[&[old], others].concat()).or_else(|| stopped_by_hand(desired, observed, old)) {
        return Some(wait);
    }
    not_permitted(desired, old, changes)
        .or_else(|| outside_window(observed, old, changes))
        .or_else(|| name_taken(observed, &desired.names()))
        .or_else(|| failed_before(desired, observed, changes))
        .or_else(|| create::obstacle(desired, observed))
}

/// What works is only disturbed when that is permitted. What does not is made anew at any time.
fn outside_window(observed: &Observed, old: &Container, changes: &[FieldChange]) -> Option<Wait> {
    let Closed { hours, until } = observed.closed.as_ref().filter(|_| old.state == State::Running)?;
    let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let what = format!("it would be replaced, because it differs in {}", changes.join("; "));
    Some(Restrained::OutsideWindow { hours: hours.clone(), until: *until, what }.into())
}

fn not_permitted(desired: &Desired, old: &Container, changes: &[FieldChange]) -> Option<Wait> {
    // What has never run has written nothing.
    let has_data = old.state != State::Created && (desired.shape.is_stateful() || old.may_have_data());
    (has_data && !desired.policy.allow_recreate).then(|| Wait::RecreateForbidden { fields: changes.to_vec() })
}

/// What keeps a replacement that has begun from going on.
fn interrupted(
    desired: &Desired,
    observed: &Observed,
    (new, old): (&Container, &Container),
    others: &[&Container],
) -> Option<Wait> {
    // Under such a name no replacement has made it: the other one just has its place.
    if !desired.names().contains(&new.name)
        && let Some(wait) = not_permitted(desired, old, &differences(desired, observed, old))
    {
        return Some(wait);
    }
    let mut needed = Vec::new();
    if new.name != desired.name {
        needed.push(desired.name.clone());
    }
    if new.name == desired.previous_name() {
        needed.push(desired.next_name());
    }
    if old.name != desired.previous_name() {
        needed.push(desired.previous_name());
    }
    let stopped = || stopped_by_hand(desired, observed, new).or_else(|| stopped_by_hand(desired, observed, old));
    paused(&[&[new, old], others].concat()).or_else(stopped).or_else(|| name_taken(observed, &needed))
}

/// Somebody has frozen one of them and must not lose it.
fn paused(containers: &[&Container]) -> Option<Wait> {
    containers.iter().any(|container| container.state == State::Paused).then_some(Wait::Paused)
}

fn stopped_by_hand(desired: &Desired, observed: &Observed, container: &Container) -> Option<Wait> {
    let stopped = matches!(container.state, State::Exited { .. });
    // The one that stepped aside was stopped by us.
    let by_us = container.name == desired.previous_name();
    if stopped && !by_us { recover::meant(&desired.policy, observed, container) } else { None }
}

fn name_taken(observed: &Observed, needed: &[String]) -> Option<Wait> {
    let vanishing = |container: &Container| container.state == State::Removing && needed.contains(&container.name);
    if observed.containers.iter().any(vanishing) {
        return Some(Wait::EngineBusy { doing: "removing".to_owned() });
    }
    let name = needed.iter().find(|name| observed.taken_names.contains(*name))?;
    Some(Wait::NameTaken { name: name.clone() })
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
    NotStarted(Why),
    Waiting(Wait),
    Ready,
    Failed(String),
}

fn progress(desired: &Desired, observed: &Observed, (new, old): (&Container, &Container)) -> Progress {
    match &new.state {
        State::Created | State::Exited { .. } if let Some(error) = recover::failed_start(observed, new) => {
            Progress::Failed(format!("it could not be started: {error}"))
        }
        State::Created => Progress::NotStarted(Why::NeverStarted),
        // What cannot run beside the other is never started under these names: it had stepped
        // aside, and has become the wanted one again.
        State::Exited { .. } if new.name != desired.name && is_exclusive(desired, old) => Progress::NotStarted(Why::WantedAgain),
        State::Exited { exit_code, .. } => Progress::Failed(format!("it exited with {exit_code}")),
        State::Restarting => Progress::Failed("it exits again and again".to_owned()),
        State::Paused => Progress::Waiting(Wait::Paused),
        State::Removing => Progress::Waiting(Wait::EngineBusy { doing: "removing".to_owned() }),
        State::Dead => Progress::Failed("the engine has half removed it".to_owned()),
        State::Running => match (&new.probe, new.health) {
            (Some(ProbeState::Failing { error }), _) => Progress::Failed(format!("its probe fails: {error}")),
            (None | Some(ProbeState::Pending), Health::Unhealthy) => match &new.starved {
                Some(host) => Progress::Waiting(Wait::HealthUntrusted { reason: recover::late(host) }),
                None => Progress::Failed("it became unhealthy".to_owned()),
            },
            (Some(ProbeState::Pending), _) | (_, Health::Starting) => Progress::Waiting(Wait::Starting),
            (None, Health::None | Health::Healthy) | (Some(ProbeState::Passing), _) => match settles_at(new) {
                Some(until) if observed.at < until => Progress::Waiting(Wait::Settling { until }),
                _ => Progress::Ready,
            },
        },
    }
}

/// Whether a container runs, is well, and has proven it.
fn has_come_up(observed: &Observed, container: &Container) -> bool {
    container.readiness() == super::Readiness::Healthy && settles_at(container).is_none_or(|until| until <= observed.at)
}

/// When a container that nobody checks on will have run for long enough.
fn settles_at(container: &Container) -> Option<Timestamp> {
    if container.is_checked() {
        return None;
    }
    container.started_at?.checked_add(SETTLED).ok()
}

/// The old container stops and frees its name, but stays.
///
/// It keeps the name until it has stopped: one that cannot be stopped goes on serving.
fn step_aside(plan: &mut Plan, desired: &Desired, old: &Container, why: &Why) {
    if matches!(old.state, State::Running | State::Restarting) {
        plan.step(EngineAction::StopContainer { container: old.target() }, why.clone());
    }
    if old.name != desired.previous_name() {
        rename(plan, old, &desired.previous_name(), why);
    }
}

/// Gives a container the right name, and says what it then is.
fn take_name(plan: &mut Plan, desired: &Desired, container: &Container) -> Container {
    if container.name == desired.name {
        return container.clone();
    }
    rename(plan, container, &desired.name, &Why::Misnamed { name: container.name.clone() })
}

/// Gives both the names that they have when a replacement goes its usual way.
///
/// When the manifest has gone back to the version that had stepped aside, that is
/// the new one now: one may have a name that the other needs.
fn usual_names(plan: &mut Plan, desired: &Desired, (new, old): (&Container, &Container)) -> (Container, Container) {
    let old = if old.name == desired.next_name() { take_name(plan, desired, old) } else { old.clone() };
    let in_the_way = new.name == desired.previous_name();
    let new = if in_the_way { rename(plan, new, &desired.next_name(), &Why::WantedAgain) } else { new.clone() };
    (new, old)
}

fn rename(plan: &mut Plan, container: &Container, to: &str, why: &Why) -> Container {
    plan.step(EngineAction::RenameContainer { container: container.target(), to: to.to_owned() }, why.clone());
    Container { name: to.to_owned(), ..container.clone() }
}
