//! The engine that the command line names, from both sides.

use std::sync::{Arc, OnceLock};

use super::Error;
use crate::{controller::Engines, execute, observe, record::metrics::Metrics, settings::Settings};

/// Where calls to the engine are counted, from when there is something to count with.
pub(super) type Counter = Arc<OnceLock<Arc<Metrics>>>;

/// Both sides of the engine. Nothing is connected yet.
pub(super) fn engines(settings: &Settings) -> Result<(Engines, Counter), Error> {
    let counter = Counter::default();
    let count = {
        let counter = Arc::clone(&counter);
        Arc::new(move |call: &'static str| {
            if let Some(metrics) = counter.get() {
                metrics.engine_call(call);
            }
        })
    };
    let connection = observe::docker::Connection::new(&settings.engine, count)
        .map_err(|error| Error::Usage { message: error.to_string(), help: "name it with --engine or DOCKER_HOST".to_owned() })?;
    let engines = Engines {
        observe: Arc::new(observe::docker::Docker::new(connection.clone())),
        execute: Arc::new(execute::docker::Docker::new(connection, settings.owner.clone())),
        dial: Arc::new(observe::dial::Tcp),
    };
    Ok((engines, counter))
}
