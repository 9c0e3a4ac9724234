//! The backend manager: what is asked of it in plain words.
//!
//! Pure so far: text comes in, a typed [`Intent`] or a question comes out. Nothing here can act, ask Docker or read a
//! file; whoever carries an intent out does that through the same stages as everybody else.

pub mod intent;

pub use intent::{Intent, Tier, Understood, Vocabulary, parse};
