//! The files that we write for nginx, and the configuration around them, for a test.
//!
//! Pure. The files are a function of the routes and of what was seen of their
//! backends, so that the planner can tell by comparing texts whether there is
//! anything to do.

pub mod config;
pub mod flatten;
mod render;
pub mod server;
pub mod site;

pub use config::Config;
pub use render::{CertificateState, Surroundings, file_name, render};
pub use site::{Site, Sites};
