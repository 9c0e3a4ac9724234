//! The key under which this host's fingerprints are made.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
};

use rand::{TryRng as _, rngs::SysRng};
use zeroize::Zeroizing;

use super::{Error, database::prepare_directory};
use crate::{crash, paths::TEMPORARY_PREFIX, secret::FingerprintKey};

/// The key's name in the state directory.
const FILE: &str = "fingerprint.key";

/// The key of this host; made, from the system's generator, when there is none.
///
/// A file that holds anything else is an error and stays as it is: with another
/// key every secret would have another name in the log.
pub fn fingerprint_key(state: &Path) -> Result<FingerprintKey, Error> {
    prepare_directory(state)?;
    let path = state.join(FILE);
    let failed = |source| Error::State { path: path.clone(), source: Arc::new(source) };
    if !path.try_exists().map_err(failed)? {
        create(state, &path).map_err(failed)?;
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    read(&path)
}

/// The key of this host, if it has one. Nothing is made or mended.
pub fn known_fingerprint_key(state: &Path) -> Result<Option<FingerprintKey>, Error> {
    let path = state.join(FILE);
    if path.exists() { read(&path).map(Some) } else { Ok(None) }
}

fn read(path: &Path) -> Result<FingerprintKey, Error> {
    let failed = |source| Error::State { path: path.to_owned(), source: Arc::new(source) };
    let bytes = Zeroizing::new(fs::read(path).map_err(failed)?);
    let key = <[u8; FingerprintKey::LENGTH]>::try_from(bytes.as_slice())
        .map_err(|_| Error::NotAKey { path: path.to_owned(), expected: FingerprintKey::LENGTH })?;
    Ok(FingerprintKey::new(key))
}

/// Writes a new key beside its place and moves it there, whole or not at all.
/// Whoever was first wins: fingerprints made under a key must stay comparable.
fn create(state: &Path, path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; FingerprintKey::LENGTH]);
    SysRng.try_fill_bytes(&mut *key).map_err(io::Error::other)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(state)?;
    file.write_all(&*key)?;
    file.as_file().sync_all()?;
    crash::point("key-after-temp");
    match file.persist_noclobber(path) {
        Ok(_) => {}
        // One that came first may also have swept up what lay beside it.
        Err(_) if path.try_exists()? => {}
        Err(error) => return Err(error.error),
    }
    crash::point("key-after-name");
    fs::File::open(state)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_us_alone_and_then_kept() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let first = fingerprint_key(&state).unwrap().fingerprint("value");
        assert_eq!(fingerprint_key(&state).unwrap().fingerprint("value"), first);
        assert_eq!(fs::metadata(state.join(FILE)).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "short").unwrap();
        assert!(matches!(fingerprint_key(directory.path()), Err(Error::NotAKey { .. })));
        assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), b"short");
    }

    #[test]
    fn two_who_make_a_key_at_once_get_the_same_one() {
        let directory = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| fingerprint_key(directory.path()).unwrap())).collect();
            makers.into_iter().map(|maker| maker.join().unwrap().fingerprint("value")).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
