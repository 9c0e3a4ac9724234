//! Mooring keeps a Docker host where its owner declared it should be.

pub mod manifest;
pub mod plan;
pub mod secret;
pub mod settings;

pub mod observe;
pub mod store;

pub mod http;
pub mod view;
