//! Texts that nobody would write, given to everything that reads texts of others.
//!
//! Each target says what has to be true of any text at all. What it is tried with are the texts of its corpus, changed at random:
//! from a seed that is always the same, and on demand from one that is new each time and printed. What fails is made as short as it can be
//! and written down. `make fuzz MINUTES=10 TARGET=dotenv` does the same for longer; `docs/reliability.md` says more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]
#![expect(clippy::print_stderr, reason = "seeds are printed, so that a failure can be had again")]

mod dotenv;
mod engine;
mod http;
mod intent;
mod manifest;
mod mask;
mod mutate;
mod nginx;
mod plugin;
mod shrink;
mod sql;
