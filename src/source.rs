//! Files → manifests, or problems with their place.
//!
//! [`directory`] reads what is there, [`parse`] turns one file into manifests or
//! says everything that is wrong with it, [`catalogue`] merges all files into
//! what is in force, [`plugin`] reads what plugins bring along, and [`watch`] says when to look again. A file that cannot be
//! read or parsed is never taken for a file that is gone, and a directory that
//! cannot be read never for an empty one.

pub mod catalogue;
pub mod desired;
pub mod directory;
pub mod parse;
pub mod plugin;
pub mod problem;
pub mod schema;
pub mod state_file;
pub mod watch;

mod nearest;
