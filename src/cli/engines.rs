//! The engine that a command works with, and the count of what it is asked.

use std::sync::{Arc, OnceLock};

use super::Error;
use crate::{
    controller::Engines,
    execute,
    observe::docker::{Connection, Docker, OnCall},
    record::metrics::Metrics,
    settings::Settings,
};

/// Both sides of the engine that the settings name. Nothing is connected yet.
pub(super) fn engines(settings: &Settings, on_call: OnCall) -> Result<Engines, Error> {
    let connection = Connection::new(&settings.engine, on_call).map_err(|error| Error::Usage {
        message: error.to_string(),
        help: format!("name the engine with --engine or DOCKER_HOST, as in {}", Settings::ENGINE),
    })?;
    Ok(Engines {
        observe: Arc::new(Docker::new(connection.clone())),
        execute: Arc::new(execute::docker::Docker::new(connection, settings.owner.clone())),
    })
}

/// Counts requests to the engine, as soon as there is something to count them in: the record opens after the engine.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<OnceLock<Arc<Metrics>>>);

impl Calls {
    /// What the connection is to call.
    pub(super) fn counter(&self) -> OnCall {
        let metrics = Arc::clone(&self.0);
        Arc::new(move |call| {
            if let Some(metrics) = metrics.get() {
                metrics.engine_call(call);
            }
        })
    }

    /// Where to count from now on.
    pub(super) fn count_in(&self, metrics: &Arc<Metrics>) {
        // Set once, right after the record was opened.
        let _ = self.0.set(Arc::clone(metrics));
    }
}
