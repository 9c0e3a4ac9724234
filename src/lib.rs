//! Mooring keeps a Docker host where its owner declared it should be.
//!
//! The modules stand in the order in which data flows; `ARCHITECTURE.md` is the map.

pub mod manifest;

pub mod dotenv;
pub mod secret;

pub mod nginx;
pub mod sites;

pub mod source;

pub mod expand;

pub mod store;

pub mod resolve;

pub mod observe;

pub mod plan;

pub mod execute;

pub mod record;

pub mod alerts;
pub mod deliver;

pub mod operator;

pub mod controller;

pub mod admin;

pub mod http;

pub mod socket_proxy;

pub mod cli;

pub mod view;

mod account;
pub mod clock;
pub mod crash;
mod paths;
pub mod settings;

/// How we introduce ourselves to whoever we ask.
pub const USER_AGENT: &str = concat!("mooring/", env!("CARGO_PKG_VERSION"));

/// An error and its causes in one line, as it is printed wherever an error leaves the program.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |chain, cause| format!("{chain}: {cause}"))
}
