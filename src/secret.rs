//! Values that must never be printed, and the marks by which we talk about them.
//!
//! A [`Secret`] has no way to be displayed; what plans, events, audit rows and
//! replies show instead is its [`Fingerprint`]: a keyed digest, cut short, so
//! that equal values can be recognised and none can be guessed offline.

pub mod mask;
pub mod said;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A value that must not be printed, wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value out of circulation.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one place that has to write or send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to protect.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a secret is called in public: `sha256:` and twelve hex digits.
///
/// Forty-eight bits tell the values of one host apart; the key keeps a reader
/// of the log from trying passwords against it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key under which this host's fingerprints are made; it lives in the state directory.
#[derive(Clone)]
pub struct FingerprintKey(Zeroizing<[u8; 32]>);

impl FingerprintKey {
    /// Length of the key in bytes.
    pub const LENGTH: usize = 32;

    /// A key from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The public name of `value`.
    #[must_use]
    pub fn fingerprint(&self, value: &str) -> Fingerprint {
        Fingerprint(format!("sha256:{}", hex::encode(&self.mac(value.as_bytes())[..6])))
    }

    /// The whole keyed digest of a file's bytes, in hex: two files with the same digest are the same.
    #[must_use]
    pub fn digest(&self, bytes: &[u8]) -> String {
        hex::encode(self.mac(bytes))
    }

    fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes a key of any length");
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed_by_debug() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(…)");
    }

    #[test]
    fn a_fingerprint_depends_on_value_and_key() {
        let (one, other) = (FingerprintKey::new([1; 32]), FingerprintKey::new([2; 32]));
        assert_eq!(one.fingerprint("a"), one.fingerprint("a"));
        assert_ne!(one.fingerprint("a"), one.fingerprint("b"));
        assert_ne!(one.fingerprint("a"), other.fingerprint("a"));
        assert_eq!(one.fingerprint("a").to_string().len(), "sha256:".len() + 12);
    }
}
