//! What asks Docker and what acts on it, against a real engine: that of `DOCKER_HOST`, or the one of this host.
//!
//! Every test has an owner of its own, by whose label everything that it made
//! is removed in the end, also when it fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

mod acting;
mod asking;
mod events;
mod faults;
mod making;
mod world;
