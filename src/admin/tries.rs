//! How often an address may be wrong before it is made to wait.
//!
//! Who speaks for others may say any address, so guesses are counted three times: for the address that is said, for
//! whoever says it, and for everybody together. The first may be made to wait for long. The others never for more than
//! moments: what keeps everybody from guessing keeps nobody out for good, whoever makes a noise.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Wrong guesses of an address that cost nothing but a moment.
pub(super) const FREE: u32 = 5;
/// The pause after the first guess that is one too many; it doubles with each one more.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause of an address.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// The longest pause of all for whom one peer speaks: some thousand guesses a day, of which no password dies.
pub(super) const THROUGH_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause of everybody.
const ALL_PAUSE: Duration = Duration::from_secs(5);
/// After so long without a wrong guess all is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(30);
/// Addresses that are remembered.
const PEERS: usize = 4096;
/// Whoever was right so lately is not made to wait for what others do.
const KNOWN: Duration = Duration::from_hours(24 * 30);
/// Addresses of which that is remembered.
const KNOWN_PEERS: usize = 1024;

/// Where a guess comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address that it is counted for.
    pub client: IpAddr,
    /// Whoever says that it is this address; nobody, where it is connected itself.
    pub through: Option<IpAddr>,
}

impl From<IpAddr> for Origin {
    fn from(client: IpAddr) -> Self {
        Self { client, through: None }
    }
}

impl fmt::Display for Origin {
    /// As it stands in the audit log: an address that somebody only says, with who says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.through {
            Some(through) => write!(f, "{} by way of {through}", self.client),
            None => self.client.fmt(f),
        }
    }
}

/// Whose guesses are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Client(IpAddr),
    Through(IpAddr),
    All,
}

/// The wrong guesses of everybody.
#[derive(Debug)]
pub struct Tries {
    counted: Mutex<Counted>,
    /// So many wrong guesses by way of one peer cost nothing, and four times as many of everybody.
    free: u32,
}

#[derive(Debug, Default)]
struct Counted {
    wrong: HashMap<Whose, Guesses>,
    right: HashMap<IpAddr, Instant>,
}

/// What somebody has tried.
#[derive(Clone, Copy, Debug)]
struct Guesses {
    wrong: u32,
    last: Instant,
}

impl Tries {
    /// Of people: a house full of them mistypes less often.
    pub(super) fn of_people() -> Self {
        Self { counted: Mutex::default(), free: 50 }
    }

    /// Of machines, which ask all day.
    pub(super) fn of_machines() -> Self {
        Self { counted: Mutex::default(), free: 500 }
    }

    /// How long somebody has to wait until he may guess again.
    pub fn pause(&self, from: Origin) -> Option<Duration> {
        let counted = self.lock();
        let is_known = counted.right.get(&from.client).is_some_and(|at| at.elapsed() < KNOWN);
        let own = self.left(&counted, Whose::Client(from.client));
        let shared = [from.through.map(Whose::Through), Some(Whose::All)].into_iter().flatten();
        let shared = shared.filter(|_| !is_known).filter_map(|whose| self.left(&counted, whose));
        own.into_iter().chain(shared).max()
    }

    fn left(&self, counted: &Counted, whose: Whose) -> Option<Duration> {
        let guesses = counted.wrong.get(&whose).filter(|guesses| guesses.last.elapsed() < FORGOTTEN)?;
        let (free, longest) = match whose {
            Whose::Client(_) => (FREE, LONGEST_PAUSE),
            Whose::Through(_) => (self.free, THROUGH_PAUSE),
            Whose::All => (self.free * 4, ALL_PAUSE),
        };
        let doublings = guesses.wrong.checked_sub(free)?.min(16);
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(longest);
        pause.checked_sub(guesses.last.elapsed()).filter(|left| !left.is_zero())
    }

    /// It was right: what was tried from there before counts no more.
    pub fn right(&self, from: Origin) {
        let mut counted = self.lock();
        counted.wrong.remove(&Whose::Client(from.client));
        counted.right.retain(|_, at| at.elapsed() < KNOWN);
        if counted.right.len() >= KNOWN_PEERS {
            let oldest = counted.right.iter().min_by_key(|(_, at)| **at).map(|(client, _)| *client);
            oldest.and_then(|oldest| counted.right.remove(&oldest));
        }
        counted.right.insert(from.client, Instant::now());
    }

    /// It was wrong, once more.
    pub fn wrong(&self, from: Origin) {
        let mut counted = self.lock();
        counted.wrong.retain(|_, guesses| guesses.last.elapsed() < FORGOTTEN);
        if counted.wrong.len() >= PEERS {
            // Those who speak for others are few, and what they are counted by must not be pushed out by what they say.
            let addresses = counted.wrong.iter().filter(|(whose, _)| matches!(whose, Whose::Client(_)));
            let oldest = addresses.min_by_key(|(_, guesses)| guesses.last).map(|(whose, _)| *whose);
            oldest.and_then(|oldest| counted.wrong.remove(&oldest));
        }
        for whose in [Some(Whose::Client(from.client)), from.through.map(Whose::Through), Some(Whose::All)].into_iter().flatten()
        {
            let known = counted.wrong.entry(whose).or_insert(Guesses { wrong: 0, last: Instant::now() });
            *known = Guesses { wrong: known.wrong.saturating_add(1), last: Instant::now() };
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn said(number: u16) -> Origin {
        let [high, low] = number.to_be_bytes();
        Origin { client: IpAddr::from([198, 51, high, low]), through: Some(PROXY) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_invented_addresses_guess_no_more_than_one_and_keep_nobody_out_for_long() {
        let tries = Tries::of_people();
        let known = said(60_000);
        tries.right(known);
        let mut guessed = 0;
        for number in 0..1_000 {
            if tries.pause(said(number)).is_none() {
                tries.wrong(said(number));
                guessed += 1;
            }
        }
        assert_eq!(guessed, 50, "what is free");
        assert_eq!(tries.pause(known), None, "who was right before notices nothing");
        let stranger = said(60_001);
        assert!(tries.pause(stranger).is_some_and(|left| left <= THROUGH_PAUSE));
        assert_eq!(tries.pause(Origin::from(PROXY)), None, "nor does who is connected himself");

        // An hour of it, without end: a moment comes again and again, for everybody.
        let mut in_an_hour = 0;
        for second in 0..3_600_u16 {
            tokio::time::advance(Duration::from_secs(1)).await;
            if tries.pause(said(second)).is_none() {
                tries.wrong(said(second));
                in_an_hour += 1;
            }
        }
        assert!((300..=400).contains(&in_an_hour), "{in_an_hour}");
        tokio::time::advance(THROUGH_PAUSE).await;
        assert_eq!(tries.pause(stranger), None);
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_from_everywhere_are_slowed_down_and_no_address_pushes_the_count_out() {
        let tries = Tries::of_people();
        let mut guessed = 0;
        for number in 0..10_000_u16 {
            let from = Origin::from(said(number).client);
            if tries.pause(from).is_none() {
                tries.wrong(from);
                guessed += 1;
            }
        }
        assert_eq!(guessed, 200);
        assert!(tries.pause(Origin::from(PROXY)).is_some_and(|left| left <= ALL_PAUSE));
        tokio::time::advance(ALL_PAUSE).await;
        assert_eq!(tries.pause(Origin::from(PROXY)), None);
    }
}
