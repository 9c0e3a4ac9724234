//! Waits until the running operator has read what was written, so that a
//! `mooring wait` that follows waits for the new and not for the old.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::changes::{Changed, Kind};
use crate::{
    cli::{Error, backend::Backend, output},
    manifest::Key,
    settings::Settings,
    view::PlanView,
};

/// The operator is told of a changed file within milliseconds; where that does not work, it looks every ten seconds.
const PATIENCE: Duration = Duration::from_secs(12);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The operator as it was before anything was written.
pub(super) struct Uptake {
    running: Option<(Backend, BTreeMap<Key, i64>)>,
}

impl Uptake {
    /// Nobody reads what is written.
    pub(super) fn nobody() -> Self {
        Self { running: None }
    }

    /// The operator, if one runs, and what it knows now.
    pub(super) async fn prepare(settings: &Settings) -> Self {
        let Ok(backend) = Backend::running(settings).await else {
            output::note("no mooring runs here; what is written counts from when it does");
            return Self::nobody();
        };
        match backend.objects(None).await {
            Ok(objects) => {
                let generations = objects.into_iter().map(|object| (object.key, object.generation)).collect();
                Self { running: Some((backend, generations)) }
            }
            // The files are written all the same: they are the truth, and the operator only reads them.
            Err(_) => Self::nobody(),
        }
    }

    /// What the operator is about to do with these objects, once it has read them.
    pub(super) async fn plans<'a>(self, changed: impl Iterator<Item = &'a Changed>) -> Result<Option<Vec<PlanView>>, Error> {
        let Some((backend, before)) = self.running else { return Ok(None) };
        let changed: Vec<&Key> =
            changed.filter(|changed| changed.change != Kind::Unchanged).map(|changed| &changed.object).collect();
        if changed.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if !output::patiently("waiting for mooring to read it", taken_up(&backend, &before, &changed)).await? {
            output::note("mooring has not taken it up yet: does it run with this desired-state directory?");
            return Ok(None);
        }
        match output::patiently("looking at what is planned", plans(&backend, &changed)).await {
            Ok(plans) => Ok(Some(plans)),
            // It is written and read; what was asked for is done.
            Err(error) => {
                output::note(&format!("what mooring plans cannot be said: {}", output::printable(&crate::error_chain(&error))));
                Ok(None)
            }
        }
    }
}

/// A look at a few objects is quicker than one at all of them, and the other way round.
const FEW: usize = 20;

async fn plans(backend: &Backend, changed: &[&Key]) -> Result<Vec<PlanView>, Error> {
    if changed.len() > FEW {
        let plans = backend.plans(None).await?;
        return Ok(plans.into_iter().filter(|plan| changed.contains(&&plan.key)).collect());
    }
    let mut plans = Vec::with_capacity(changed.len());
    for key in changed {
        plans.append(&mut backend.plans(Some(key)).await?);
    }
    Ok(plans)
}

async fn taken_up(backend: &Backend, before: &BTreeMap<Key, i64>, changed: &[&Key]) -> Result<bool, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut left = changed.to_vec();
    while Instant::now() < deadline {
        // One after the other: among thousands of objects, a list of all would take longer than what is waited for.
        while let Some(key) = left.last() {
            let object = backend.find(key).await?;
            if !object.is_some_and(|object| object.source.is_some() && before.get(key) != Some(&object.generation)) {
                break;
            }
            left.pop();
        }
        if left.is_empty() {
            return Ok(true);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(false)
}
