//! Chance that follows from a seed.

use std::time::Duration;

/// A sequence of numbers that look random.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of a seed, for one purpose: what is decided for one purpose does not shift what is for another.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut state = seed;
        for byte in purpose.bytes() {
            state = state.rotate_left(7) ^ u64::from(byte);
            chance::next(&mut state);
        }
        Self(state)
    }

    /// A number below this one.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap();
        usize::try_from(chance::next(&mut self.0) % limit).unwrap()
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A time in this range, in milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + u64::try_from(self.below(usize::try_from(to - from).unwrap())).unwrap())
    }
}
