//! Who may have changed a file: what its directory tells.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::SystemTime};

use jiff::Timestamp;
use nix::unistd::{Uid, User};

/// The file that was changed last by anybody but us, as far as its owner tells, with when and by whom.
///
/// The kernel does not keep who wrote; a file that an editor or a tool has replaced belongs to whoever ran it.
pub(super) fn of_files(directory: &Path) -> Option<String> {
    let entries = fs::read_dir(directory).ok()?.filter_map(Result::ok);
    let files = entries.filter_map(|entry| Some((entry.file_name(), entry.metadata().ok().filter(fs::Metadata::is_file)?)));
    let (name, metadata) = files.max_by_key(|(_, metadata)| metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH))?;
    let at = Timestamp::try_from(metadata.modified().ok()?).ok()?;
    Some(format!("{} was last written at {at:.0}, and belongs to {}", name.to_string_lossy(), name_of(metadata.uid())))
}

/// An account as people know it.
fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("user {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_was_written_last_is_named_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(of_files(directory.path()), None);
        for (name, at) in [("b.conf", 2_000_000_000), ("a.conf", 1_000_000_000)] {
            let file = fs::File::create(directory.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at)).unwrap();
        }
        let owner = name_of(nix::unistd::geteuid().as_raw());
        let expected = format!("b.conf was last written at 2033-05-18T03:33:20Z, and belongs to {owner}");
        assert_eq!(of_files(directory.path()), Some(expected));
    }
}
