//! What keeps steps from being taken although they would be right: nobody
//! permits them, too many were taken already, or it is the host that fails.
//!
//! [`restrain`] takes steps out of a plan wherever plans are made, as
//! [`super::hold::withhold`] does, so that no kind has to know of any of this.
//! What has been begun is finished, whatever it is: a replacement in the middle
//! of which nothing more is done would be the outage itself.

mod wait;

use jiff::{SignedDuration, Timestamp};

use super::{
    Action, Code, EngineAction, Plan, Step,
    fight::{self, Contests},
    history::{History, is_corrective},
};

pub use wait::Restrained;

/// What keeps the steps of one object from being taken just now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restraints {
    /// Who says that nothing is to be done, if anybody does.
    pub observe: Option<String>,
    /// Every budget that an act on the object counts against.
    pub budgets: Vec<Budget>,
    /// Whether it is the host that fails.
    pub stance: Stance,
    /// What somebody else undoes again and again.
    pub contests: Contests,
}

/// How many acts are permitted on all that belongs to something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What that is, as in `the host` or `group shop`.
    pub scope: String,
    /// How many.
    pub attempts: u32,
    /// In which time.
    pub window: SignedDuration,
    /// When there were acts, in any order.
    pub acts: Vec<Timestamp>,
}

impl Budget {
    /// Until when nothing more is permitted; none while something is.
    #[must_use]
    pub fn spent_until(&self, at: Timestamp) -> Option<Timestamp> {
        // One from the future is of before the clock was set back, and must not count for ever.
        spent_until(self.acts.iter().copied().filter(|act| *act <= at), (self.attempts, self.window), at)
    }
}

/// Until when so many of these acts lie within such a window that nothing more is permitted; none while something is.
pub(super) fn spent_until(
    acts: impl Iterator<Item = Timestamp>,
    (attempts, window): (u32, SignedDuration),
    at: Timestamp,
) -> Option<Timestamp> {
    let mut acts: Vec<_> = acts.collect();
    acts.sort_unstable();
    let oldest = acts.len().checked_sub(usize::try_from(attempts).unwrap_or(usize::MAX))?;
    let until = acts.get(oldest)?.checked_add(window).unwrap_or(Timestamp::MAX);
    (at < until).then_some(until)
}

/// Whether it is the host that fails, and not its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stance {
    /// It is not.
    #[default]
    Ordinary,
    /// It is: what runs is not touched, and what is down comes back a few at a time.
    Trouble {
        /// What is wrong with it.
        cause: String,
        /// Whether it is this object's turn.
        is_turn: bool,
    },
    /// It was: everything comes back a few at a time.
    Recovery {
        /// Whether it is this object's turn.
        is_turn: bool,
    },
}

/// The plan as far as it may be carried out now. `history` is the object's.
#[must_use]
pub fn restrain(plan: Plan, history: &History, restraints: &Restraints, at: Timestamp) -> Plan {
    let plan = fight::leave(plan, &restraints.contests);
    if plan.steps.is_empty() {
        return plan;
    }
    if let Some(by) = &restraints.observe {
        return plan.withheld_for(Restrained::ObserveOnly { by: by.clone() });
    }
    // Whoever has been shown what is about to happen, and has confirmed it, knows better than any budget.
    if plan.is_finishing || plan.steps.iter().all(Step::is_asked) {
        return plan;
    }
    match &restraints.stance {
        Stance::Trouble { cause, .. } if plan.steps.iter().any(|step| is_disruptive(step.code())) => {
            return plan.withheld_for(Restrained::HostInTrouble { cause: cause.clone() });
        }
        Stance::Trouble { is_turn: false, .. } | Stance::Recovery { is_turn: false }
            if plan.steps.iter().any(acts_on_container) =>
        {
            return plan.withheld_for(Restrained::NotItsTurn);
        }
        Stance::Ordinary | Stance::Trouble { .. } | Stance::Recovery { .. } => {}
    }
    if !is_act(&plan, history) {
        return plan;
    }
    let spent = restraints.budgets.iter().filter_map(|budget| Some((budget.spent_until(at)?, budget)));
    match spent.max_by_key(|(until, _)| *until) {
        Some((until, Budget { scope, attempts, window, .. })) => {
            plan.withheld_for(Restrained::BudgetSpent { scope: scope.clone(), attempts: *attempts, window: *window, until })
        }
        None => plan,
    }
}

/// Whether a step takes down something that runs.
fn is_disruptive(code: Code<'_>) -> bool {
    matches!(code, ("RestartContainer" | "StopContainer", _) | ("CreateContainer", "Outdated"))
}

pub(super) fn acts_on_container(step: &Step) -> bool {
    use EngineAction as Do;

    matches!(
        &step.action,
        Action::Engine(
            Do::CreateContainer(_) | Do::StartContainer { .. } | Do::RestartContainer { .. } | Do::StopContainer { .. }
        )
    )
}

/// Whether a plan counts against budgets. `history` is the object's.
#[must_use]
pub fn is_act(plan: &Plan, history: &History) -> bool {
    plan.steps.iter().any(|step| is_charged(step.code(), history.seen_ready))
}

/// Whether a step counts against budgets: it corrects something, or takes something down. Making things for the first
/// time does not, however many they are.
pub(super) fn is_charged(code: Code<'_>, seen_ready: bool) -> bool {
    is_corrective(code, seen_ready) || is_disruptive(code)
}

#[cfg(test)]
mod tests;
