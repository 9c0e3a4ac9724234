//! Carrying a plan out: one step at a time, each on record before it is taken.
//!
//! There is one loop, [`execute`], and no decision in it. Steps are idempotent:
//! one that finds its work done already is a success.

pub mod engine;
pub mod files;
