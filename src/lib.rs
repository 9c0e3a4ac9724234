//! Mooring keeps a Docker host where its owner declared it should be.

pub mod manifest;

pub mod source;

pub mod secret;
