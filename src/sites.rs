//! The files that we write for nginx.
//!
//! Pure. The files are a function of the routes and of what was seen of their
//! backends, so that the planner can tell by comparing texts whether there is
//! anything to do.

pub mod config;
mod render;
pub mod server;
pub mod site;

pub use config::Config;
pub use render::{CertificateState, Surroundings, file_name, render};
pub use server::literal;
pub use site::{Site, Sites};
