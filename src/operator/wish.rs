//! What somebody may want to be changed, and what that would come to.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    manifest::{Key, hold::Target},
    secret::Secret,
};

/// What somebody wants to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To restart the container of this object.
    Restart(Key),
    /// To start it.
    Start(Key),
    /// To stop it, and leave it stopped until somebody starts it.
    Stop(Key),
    /// To try again with what was given up, left stopped or left to somebody else, and to end the hold on it.
    Release(Key),
    /// To leave these alone for a while.
    Hold {
        /// What.
        targets: Vec<Target>,
        /// Until when.
        end: HoldEnd,
        /// Why, for whoever wonders.
        reason: String,
    },
    /// To give a variable another value, or to take it out.
    Variable {
        /// Its name.
        name: String,
        /// Its value; none takes it out.
        value: Option<Secret>,
        /// In which file of the cascade; where it stands, if none is given.
        file: Option<String>,
    },
}

/// When a hold ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEnd {
    /// So long after it was confirmed.
    After(SignedDuration),
    /// At this moment.
    At(Timestamp),
}

/// What a wish would come to, as things are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The question whether it shall be.
    pub what: String,
    /// What would be done, in words for the record: `restart of web`.
    pub words: String,
    /// What it is done to, where that is one object.
    pub object: Option<Key>,
    /// The name to type where one yes is not enough.
    pub name: String,
    /// What is to be known before.
    pub details: Vec<String>,
    /// The lines of a file that change.
    pub diff: Option<String>,
    /// Digest of everything that this rests on: another one is another proposal.
    pub digest: String,
}

/// A variable as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VariableView {
    /// The `Environment`.
    pub environment: String,
    /// The file that counts; none, if Mooring computes it.
    pub file: Option<String>,
    /// Its value, or its fingerprint where it may be a secret.
    pub shown: String,
    /// The containers that take it.
    pub users: Vec<Key>,
}
