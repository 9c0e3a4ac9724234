//! The accounts of this host, for the audit log.

use nix::unistd::{Uid, User};

/// The account of this number, by name, or by its number when it has none. May ask a directory server, which takes its time.
pub(crate) fn name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}
