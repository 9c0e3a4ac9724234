//! What the tests of whole Moorings share.

pub mod simulated;
pub mod stage;
