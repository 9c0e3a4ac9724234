//! Models, on the real engine of this host: a real ollama pulls a real model
//! from a registry of our own, and everything that may go wrong with that is
//! brought about.
//!
//! What a real server cannot be made to do is done by one of ours, which says
//! so: [`fake`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

#[expect(dead_code, reason = "it is made for more than is needed here")]
#[path = "../engine/between.rs"]
mod between;
mod chat;
mod choice;
mod fake;
#[expect(dead_code, reason = "it is made for more than is needed here")]
#[path = "../engine/host.rs"]
mod host;
mod hostile;
mod interrupted;
mod missing;
mod program;
mod server;
mod stack;
