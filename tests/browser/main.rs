//! The backend manager in a browser: Chromium without a window, the program itself, and a small stack on the real engine.
//!
//! `manifests/dev/browser.sh` installs what this needs and runs it. Pictures of all pages are in `target/screenshots` afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "somebody wants to know what Mooring said before a test failed")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

mod changes;
mod driver;
#[expect(dead_code, reason = "it is made for more than is needed here")]
#[path = "../engine/host.rs"]
mod host;
mod live;
mod looks;
mod network;
mod people;
mod world;
