//! The world as it is: the engine, `.env` files, probes.
//!
//! Every pass plans on an observation that is younger than the trigger that
//! asked for it. What the observation says, it says as one value with one
//! instant; nothing is looked up while planning.

pub mod container;
pub mod dial;
pub mod dns;
pub mod docker;
pub mod engine;
pub mod environment;
pub mod evidence;
pub mod file;
pub mod gauges;
pub mod host;
pub mod log;
pub mod nginx_files;
pub mod ollama;
pub mod probe;
pub mod proxy;
pub mod snapshot;
