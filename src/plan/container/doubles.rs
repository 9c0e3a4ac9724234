//! Several networks with the same name: the only case in which a network is removed.
//!
//! Somebody who dies while the engine works on the request for a network leaves
//! one that nobody sees yet: the next Mooring finds none and makes another.
//! Engines before API 1.44 keep both, and then start nothing that names either.

use super::{Double, Observed};
use crate::plan::{Action, EngineAction, Plan, Step, Why};

/// Lets a plan that needs its networks begin by removing the empty ones of our own making that only stand in the way.
pub(super) fn clear(plan: &mut Plan, observed: &Observed) {
    if !plan.steps.iter().any(|step| needs_networks(&step.action)) {
        return;
    }
    let removals = observed.doubles.iter().flat_map(|(name, doubles)| {
        surplus(doubles).map(|double| {
            let action = EngineAction::RemoveNetwork { id: double.id.clone(), name: name.clone() };
            Step { action: action.into(), why: Why::Doubled }
        })
    });
    plan.steps.splice(..0, removals.collect::<Vec<_>>());
}

/// Whether the engine looks a network up by its name for it.
fn needs_networks(action: &Action) -> bool {
    let Action::Engine(action) = action else { return false };
    match action {
        EngineAction::CreateContainer(_)
        | EngineAction::StartContainer { .. }
        | EngineAction::RestartContainer { .. }
        | EngineAction::ConnectNetwork { .. } => true,
        EngineAction::CreateNetwork { .. }
        | EngineAction::RemoveNetwork { .. }
        | EngineAction::CreateVolume { .. }
        | EngineAction::PullImage { .. }
        | EngineAction::StopContainer { .. }
        | EngineAction::RenameContainer { .. }
        | EngineAction::RemoveContainer { .. }
        | EngineAction::UpdateContainer { .. } => false,
    }
}

/// Those that may go: ours and empty, while one stays that is in use, or else the oldest.
fn surplus(doubles: &[Double]) -> impl Iterator<Item = &Double> {
    let kept = doubles.iter().min_by_key(|double| (!double.in_use, double.created_at, &double.id));
    doubles.iter().filter(move |double| double.ours && !double.in_use && kept != Some(*double))
}
