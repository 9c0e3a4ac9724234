//! Every fault, on the real engine of this host: it is brought about with the
//! means that a person or a program would have, and Mooring corrects it.
//!
//! Nothing is simulated and nothing is shared: each test has a desired state, an
//! owner and names of its own, and removes what it made, also when it fails.
//! Times are deadlines only; how fast it is, is measured by `make bench`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

mod alerts;
mod between;
mod changes;
mod crashes;
mod deaths;
mod desired;
mod drift;
mod dry;
mod files;
mod holds;
mod host;
mod hostile;
mod insight;
mod journal;
mod kept;
mod limits;
mod manager;
mod networks;
mod others;
mod outages;
mod people;
mod plugins;
mod proxy;
mod questions;
#[expect(dead_code, reason = "it is made for more than is needed here")]
#[path = "../support/receiver.rs"]
mod receiver;
mod repair;
mod replacements;
mod restarts;
mod restraints;
mod routes;
mod shipping;
mod socket_proxy;
mod wishes;
