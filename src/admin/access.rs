//! Who gets in: the password, and how often it may be tried.
//!
//! The backend manager is off until there is a password: in the environment of
//! the process, in an `Environment`, or set at the command line, which keeps
//! nothing but its argon2id hash. Whatever the source, it is compared by that
//! hash, which takes the same time for every guess.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{
    store::{self, Store},
    tries::{Origin, Tries},
};
use crate::secret::Secret;

/// The variable that turns the backend manager on.
pub const PASSWORD_VARIABLE: &str = "CLAW_WEB_PASSWORD";
/// Where the hash of the password stands that was set at the command line.
const STORED: &str = "password";
/// A shorter one can be tried out.
pub const SHORTEST: usize = 8;

/// Who waits longer than this for a comparison is sent away.
const QUEUE: Duration = Duration::from_secs(3);

/// The password that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// As it was given.
    Plain(Secret),
    /// The hash of it.
    Hash(String),
}

impl Password {
    /// By what a session says which password it was opened with: with another one in force it is over.
    #[must_use]
    pub fn stamp(&self) -> String {
        let (kind, text) = match self {
            Self::Plain(secret) => ("plain", secret.expose()),
            Self::Hash(hash) => ("hash", hash.as_str()),
        };
        hex::encode(Sha256::digest(format!("mooring-admin-stamp\n{kind}\n{text}")))
    }
}

/// Lets in who knows the password.
#[derive(Debug)]
pub struct Gate {
    store: Store,
    /// The hash of the password that was given in plain, made once for each.
    hashed: Mutex<Option<(Secret, String)>>,
    /// One comparison takes a good part of a core and 19 MiB for some tens of milliseconds: never many at a time.
    comparing: Semaphore,
    guesses: Tries,
    /// Of those who name themselves by a token: who has forgotten the password is not kept out of the API by it.
    pub machines: Tries,
}

/// Why somebody does not get in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no password, so nobody gets in.
    #[error("the backend manager is off")]
    Off,
    /// It is another one.
    #[error("that is not the password")]
    Wrong,
    /// There were too many wrong ones.
    #[error("too many wrong passwords; try again in {} s", .0.as_secs() + 1)]
    Paused(Duration),
    /// Too many are trying.
    #[error("too many are trying at once; try again in a moment")]
    Busy,
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Gate {
    /// With what was kept in this database.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            hashed: Mutex::default(),
            comparing: Semaphore::new(1),
            guesses: Tries::of_people(),
            machines: Tries::of_machines(),
        }
    }

    /// The password in force: the one that was given, or else the one that was set. None: the backend manager is off.
    pub async fn password(&self, given: Option<Secret>) -> Result<Option<Password>, store::Error> {
        match given.filter(|given| !given.expose().is_empty()) {
            Some(given) => Ok(Some(Password::Plain(given))),
            None => Ok(self.store.setting(STORED).await?.map(Password::Hash)),
        }
    }

    /// Whether this guess from there is the password in force.
    pub async fn admit(&self, password: Option<&Password>, guess: &Secret, from: Origin) -> Result<(), Refused> {
        let Some(password) = password else { return Err(Refused::Off) };
        if let Some(left) = self.guesses.pause(from) {
            return Err(Refused::Paused(left));
        }
        let permit = tokio::time::timeout(QUEUE, self.comparing.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(Refused::Busy) };
        // Others from there may have been wrong meanwhile.
        if let Some(left) = self.guesses.pause(from) {
            return Err(Refused::Paused(left));
        }
        let (known, hash, guess) = (self.known(password), password.clone(), guess.clone());
        let compared = tokio::task::spawn_blocking(move || {
            let hash = match (known, hash) {
                (Some(hash), _) | (None, Password::Hash(hash)) => hash,
                (None, Password::Plain(plain)) => hashed(&plain),
            };
            (is_it(&hash, &guess), hash)
        });
        let Ok((is_right, hash)) = compared.await else { return Err(Refused::Busy) };
        if let Password::Plain(plain) = password {
            *lock(&self.hashed) = Some((plain.clone(), hash));
        }
        if is_right {
            self.guesses.right(from);
            Ok(())
        } else {
            self.guesses.wrong(from);
            Err(Refused::Wrong)
        }
    }

    fn known(&self, password: &Password) -> Option<String> {
        let Password::Plain(plain) = password else { return None };
        lock(&self.hashed).as_ref().filter(|(known, _)| known == plain).map(|(_, hash)| hash.clone())
    }
}

/// Turns the backend manager on, with this password, or sets another one. Sessions of another password are over with it.
pub async fn set_password(store: &Store, password: &Secret) -> Result<(), store::Error> {
    let password = password.clone();
    let hash = tokio::task::spawn_blocking(move || hashed(&password)).await;
    let hash = hash.unwrap_or_else(|lost| std::panic::resume_unwind(lost.into_panic()));
    store.set(STORED, Some(&hash)).await?;
    store.end_sessions(None).await.map(drop)
}

/// Turns the backend manager off, as far as it was turned on here; ends all sessions. True if it was on.
pub async fn disable(store: &Store) -> Result<bool, store::Error> {
    let was_on = store.setting(STORED).await?.is_some();
    store.set(STORED, None).await?;
    store.end_sessions(None).await?;
    Ok(was_on)
}

/// The argon2id hash, with the parameters that OWASP recommends (19 MiB, two passes) and a salt from the operating system.
fn hashed(password: &Secret) -> String {
    let hash = Argon2::default().hash_password(password.expose().as_bytes());
    hash.expect("any bytes can be hashed with the default parameters").to_string()
}

fn is_it(hash: &str, guess: &Secret) -> bool {
    let parsed = PasswordHash::new(hash);
    parsed.is_ok_and(|hash| Argon2::default().verify_password(guess.expose().as_bytes(), &hash).is_ok())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tries::{FIRST_PAUSE, FREE};

    const PEER: Origin = Origin { client: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), through: None };

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    async fn gate() -> (tempfile::TempDir, Store, Gate) {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).await.unwrap();
        (state, store.clone(), Gate::new(store))
    }

    #[tokio::test]
    async fn without_a_password_it_is_off_and_an_empty_one_is_none() {
        let (_state, _, gate) = gate().await;
        assert_eq!(gate.password(None).await.unwrap(), None);
        assert_eq!(gate.password(Some(secret(""))).await.unwrap(), None);
        assert!(matches!(gate.admit(None, &secret(""), PEER).await, Err(Refused::Off)));
    }

    #[tokio::test]
    async fn who_knows_it_gets_in_whichever_way_it_was_set() {
        let (_state, store, gate) = gate().await;
        let given = gate.password(Some(secret("correct horse"))).await.unwrap();
        assert!(gate.admit(given.as_ref(), &secret("correct horse"), PEER).await.is_ok());
        assert!(matches!(gate.admit(given.as_ref(), &secret("wrong"), PEER).await, Err(Refused::Wrong)));

        set_password(&store, &secret("battery staple")).await.unwrap();
        let stored = gate.password(None).await.unwrap();
        let Some(Password::Hash(hash)) = &stored else { panic!("{stored:?}") };
        assert!(hash.starts_with("$argon2id$") && !hash.contains("battery"), "{hash}");
        assert!(gate.admit(stored.as_ref(), &secret("battery staple"), PEER).await.is_ok());
        assert!(matches!(gate.admit(stored.as_ref(), &secret("correct horse"), PEER).await, Err(Refused::Wrong)));
        assert_eq!(gate.password(Some(secret("x"))).await.unwrap(), Some(Password::Plain(secret("x"))), "the given one counts");

        assert!(disable(&store).await.unwrap());
        assert!(!disable(&store).await.unwrap());
        assert_eq!(gate.password(None).await.unwrap(), None);
    }

    #[tokio::test]
    async fn another_password_ends_the_sessions_of_the_one_before() {
        let (_state, store, gate) = gate().await;
        set_password(&store, &secret("one password")).await.unwrap();
        let before = gate.password(None).await.unwrap().unwrap().stamp();
        store.keep_session("id", "{}", i64::MAX, true).await.unwrap();
        set_password(&store, &secret("one password")).await.unwrap();
        assert_eq!(store.session("id", 0).await.unwrap(), None);
        assert_ne!(gate.password(None).await.unwrap().unwrap().stamp(), before);
    }

    #[tokio::test]
    async fn who_guesses_too_often_has_to_wait_longer_and_longer_and_nobody_else_does() {
        let (_state, _, gate) = gate().await;
        tokio::time::pause();
        let password = Password::Plain(secret("correct horse"));
        for _ in 0..FREE {
            assert!(matches!(gate.admit(Some(&password), &secret("guess"), PEER).await, Err(Refused::Wrong)));
        }
        let paused = async |guess: &str| match gate.admit(Some(&password), &secret(guess), PEER).await {
            Err(Refused::Paused(left)) => Some(left),
            _ => None,
        };
        assert!(paused("correct horse").await.is_some_and(|left| left <= FIRST_PAUSE), "not even who knows it then");
        let other = Origin::from(std::net::IpAddr::from([10, 0, 0, 1]));
        assert!(gate.admit(Some(&password), &secret("correct horse"), other).await.is_ok());
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(matches!(gate.admit(Some(&password), &secret("guess"), PEER).await, Err(Refused::Wrong)));
        assert!(paused("guess").await.is_some_and(|left| left > FIRST_PAUSE));
        tokio::time::advance(FIRST_PAUSE * 2).await;
        assert!(gate.admit(Some(&password), &secret("correct horse"), PEER).await.is_ok());
        assert!(matches!(gate.admit(Some(&password), &secret("guess"), PEER).await, Err(Refused::Wrong)), "all is forgotten");
    }
}
