//! What the tests of whole Moorings share.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part of this")]

pub mod simulated;
pub mod stage;
