//! How often an address may be wrong before it is made to wait.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Wrong guesses that cost nothing but a moment.
pub(super) const FREE: u32 = 5;
/// The pause after the first guess that is one too many; it doubles with each one more.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// After so long without a wrong guess all is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(30);
/// Peers that are remembered.
const PEERS: usize = 4096;

/// The wrong guesses of every peer.
#[derive(Debug, Default)]
pub struct Tries(Mutex<HashMap<IpAddr, Guesses>>);

/// What a peer has tried.
#[derive(Clone, Copy, Debug)]
struct Guesses {
    wrong: u32,
    last: Instant,
}

impl Tries {
    /// How long a peer has to wait until it may guess again.
    pub fn pause(&self, peer: IpAddr) -> Option<Duration> {
        let guesses = *self.lock().get(&peer)?;
        let doublings = guesses.wrong.checked_sub(FREE)?.min(16);
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
        pause.checked_sub(guesses.last.elapsed()).filter(|left| !left.is_zero())
    }

    /// It was right: what it tried before counts no more.
    pub fn right(&self, peer: IpAddr) {
        self.lock().remove(&peer);
    }

    /// It was wrong, once more.
    pub fn wrong(&self, peer: IpAddr) {
        let mut guesses = self.lock();
        guesses.retain(|_, guesses| guesses.last.elapsed() < FORGOTTEN);
        if guesses.len() >= PEERS {
            let oldest = guesses.iter().min_by_key(|(_, guesses)| guesses.last).map(|(peer, _)| *peer);
            oldest.and_then(|oldest| guesses.remove(&oldest));
        }
        let known = guesses.entry(peer).or_insert(Guesses { wrong: 0, last: Instant::now() });
        *known = Guesses { wrong: known.wrong.saturating_add(1), last: Instant::now() };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Guesses>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
