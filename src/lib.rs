//! Mooring keeps a Docker host where its owner declared it should be.

pub mod dotenv;
pub mod manifest;
pub mod plan;
pub mod secret;

pub mod observe;

pub mod execute;

pub mod crash;
