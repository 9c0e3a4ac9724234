//! New secrets. The only place in [`dotenv`](super) where anything is drawn by chance.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{
    TryCryptoRng,
    rngs::{SysError, SysRng},
};
use uuid::Builder;
use zeroize::Zeroizing;

use crate::{manifest::environment::SecretFormat, secret::Secret};

/// The least a secret may have. The manifest's schema says the same; a mistake here must not make a weak secret.
pub const MIN_LENGTH: u16 = 32;

/// The most a secret may have; longer ones are cut or refused by the programs that read them.
pub const MAX_LENGTH: u16 = 256;

/// 32 bytes in hexadecimal.
const DEFAULT_HEX_LENGTH: u16 = 64;

/// 32 bytes in base 64 without padding; as many alphanumeric characters are worth 256 bits as well.
const DEFAULT_LENGTH: u16 = 43;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("could not draw a secret from the operating system's generator")]
pub struct Error {
    source: SysError,
}

/// Draws a secret from the operating system's generator. The length is in characters of the value as it is written and
/// kept within [`MIN_LENGTH`] and [`MAX_LENGTH`]; a UUID has its own.
pub fn secret(format: SecretFormat, length: Option<u16>) -> Result<Secret, Error> {
    draw(&mut SysRng, format, length).map_err(|source| Error { source })
}

fn draw<R: TryCryptoRng>(rng: &mut R, format: SecretFormat, length: Option<u16>) -> Result<Secret, R::Error> {
    let default = match format {
        SecretFormat::Hex => DEFAULT_HEX_LENGTH,
        SecretFormat::Base64url | SecretFormat::Alphanumeric | SecretFormat::Uuid => DEFAULT_LENGTH,
    };
    let length = usize::from(length.unwrap_or(default).clamp(MIN_LENGTH, MAX_LENGTH));
    let mut value = match format {
        SecretFormat::Hex => hex::encode(&*bytes(rng, length.div_ceil(2))?),
        SecretFormat::Base64url => URL_SAFE_NO_PAD.encode(&*bytes(rng, base64_bytes(length))?),
        SecretFormat::Alphanumeric => return alphanumeric(rng, length),
        SecretFormat::Uuid => return uuid(rng),
    };
    value.truncate(length);
    Ok(Secret::new(value))
}

/// How many bytes encode to `length` characters. Where that is possible, none is cut off, so that a program which
/// decodes the secret can; no number of bytes gives 4n + 1 characters.
fn base64_bytes(length: usize) -> usize {
    length * 3 / 4 + usize::from(length % 4 == 1)
}

fn alphanumeric<R: TryCryptoRng>(rng: &mut R, length: usize) -> Result<Secret, R::Error> {
    // The largest multiple of 62 that fits a byte. Bytes above it are drawn again: taking them modulo 62 would make
    // the first eight characters more likely than the others.
    const FAIR: u8 = 248;
    let mut value = Zeroizing::new(String::with_capacity(length));
    while value.len() < length {
        let bytes = bytes(rng, length - value.len())?;
        value.extend(bytes.iter().filter(|byte| **byte < FAIR).map(|byte| char::from(ALPHANUMERIC[usize::from(byte % 62)])));
    }
    Ok(Secret::new(std::mem::take(&mut *value)))
}

fn uuid<R: TryCryptoRng>(rng: &mut R) -> Result<Secret, R::Error> {
    let mut bytes = Zeroizing::new([0; 16]);
    rng.try_fill_bytes(&mut *bytes)?;
    Ok(Secret::new(Builder::from_random_bytes(*bytes).into_uuid().to_string()))
}

fn bytes<R: TryCryptoRng>(rng: &mut R, count: usize) -> Result<Zeroizing<Vec<u8>>, R::Error> {
    let mut bytes = Zeroizing::new(vec![0; count]);
    rng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::TryRng;

    use super::*;

    const FORMATS: [SecretFormat; 4] =
        [SecretFormat::Hex, SecretFormat::Base64url, SecretFormat::Alphanumeric, SecretFormat::Uuid];

    fn value(format: SecretFormat, length: Option<u16>) -> String {
        secret(format, length).unwrap().expose().to_owned()
    }

    #[test]
    fn the_default_is_worth_256_bits() {
        let lengths = FORMATS.map(|format| value(format, None).len());
        assert_eq!(lengths, [64, 43, 43, 36]);
    }

    #[test]
    fn every_length_is_kept_within_its_limits() {
        for format in [SecretFormat::Hex, SecretFormat::Base64url, SecretFormat::Alphanumeric] {
            for length in 32..=256 {
                assert_eq!(value(format, Some(length)).len(), usize::from(length), "{format:?}");
            }
            assert_eq!(value(format, Some(0)).len(), 32, "{format:?}");
            assert_eq!(value(format, Some(u16::MAX)).len(), 256, "{format:?}");
        }
        assert_eq!(value(SecretFormat::Uuid, Some(99)).len(), 36);
    }

    #[test]
    fn every_format_keeps_to_its_alphabet() {
        let hex = value(SecretFormat::Hex, Some(256));
        assert!(hex.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{hex}");
        let base64 = value(SecretFormat::Base64url, Some(256));
        assert!(base64.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{base64}");
        let alphanumeric = value(SecretFormat::Alphanumeric, Some(256));
        assert!(alphanumeric.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{alphanumeric}");
        let uuid = uuid::Uuid::parse_str(&value(SecretFormat::Uuid, None)).unwrap();
        assert_eq!(uuid.get_version_num(), 4);
    }

    #[test]
    fn base64_can_be_decoded_unless_its_length_forbids_it() {
        for length in (32..=256).filter(|length| length % 4 != 1) {
            assert!(URL_SAFE_NO_PAD.decode(value(SecretFormat::Base64url, Some(length))).is_ok(), "{length}");
        }
    }

    #[test]
    fn no_two_secrets_are_equal() {
        for format in FORMATS {
            assert_ne!(value(format, None), value(format, None), "{format:?}");
        }
    }

    /// Gives every byte equally often.
    struct Counter(u8);

    impl TryRng for Counter {
        type Error = std::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            unreachable!("only bytes are drawn")
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            unreachable!("only bytes are drawn")
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            bytes.fill_with(|| {
                self.0 = self.0.wrapping_add(1);
                self.0
            });
            Ok(())
        }
    }

    impl TryCryptoRng for Counter {}

    #[test]
    fn every_alphanumeric_character_is_equally_likely() {
        let mut counts = BTreeMap::new();
        // 248 characters use up exactly one round of the counter.
        for c in alphanumeric(&mut Counter(0), 248).unwrap().expose().chars() {
            *counts.entry(c).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| *count == 4), "{counts:?}");
    }
}
