//! The last hour of one number, and what it says of itself. Pure.

use std::collections::VecDeque;

/// Points that are kept: an hour, one every ten seconds.
pub const POINTS: usize = 360;

/// The last hour of one number, one point for each round; a round without an answer is a gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ring(VecDeque<Option<f32>>);

impl Ring {
    /// Takes the point of this round, and forgets the one of an hour ago.
    pub fn push(&mut self, point: Option<f32>) {
        // What is no number can be neither drawn nor compared.
        self.0.push_back(point.filter(|point| point.is_finite()));
        self.0.drain(..self.0.len().saturating_sub(POINTS));
    }

    /// The rounds that were left out.
    pub fn skip(&mut self, rounds: usize) {
        for _ in 0..rounds.min(POINTS) {
            self.push(None);
        }
    }

    /// The last point, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<f32> {
        self.0.back().copied().flatten()
    }

    /// All points, oldest first, the last one of this round.
    #[must_use]
    pub fn points(&self) -> Vec<Option<f32>> {
        self.0.iter().copied().collect()
    }

    /// So many points at most: each is the highest of those that it stands for, so that no peak is lost.
    #[must_use]
    pub fn rolled_up(&self, points: usize) -> Vec<Option<f32>> {
        let each = POINTS.div_ceil(points.max(1));
        // From the end, so that the last one is complete.
        let mut rolled: Vec<Option<f32>> = Vec::with_capacity(points);
        let all = self.points();
        for chunk in all.rchunks(each) {
            rolled.push(chunk.iter().flatten().copied().reduce(f32::max));
        }
        rolled.reverse();
        rolled
    }

    /// Whether nothing was ever measured in the last hour.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// A number that only grows, and what it grows by in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter(Option<u64>);

impl Counter {
    /// Takes what it shows now. None the first time, without an answer, and after it began anew.
    pub fn rate(&mut self, now: Option<u64>, seconds: f64) -> Option<f32> {
        let before = std::mem::replace(&mut self.0, now);
        let grown = now?.checked_sub(before?)?;
        (seconds > 0.0).then(|| narrow(wide(grown) / seconds))
    }
}

/// As good as what is drawn of it.
#[expect(clippy::cast_precision_loss, reason = "bytes and nanoseconds are drawn, not added up")]
#[must_use]
pub fn wide(number: u64) -> f64 {
    number as f64
}

/// As good as what is drawn of it.
#[expect(clippy::cast_possible_truncation, reason = "a point of a line is no better than its pixel")]
#[must_use]
pub fn narrow(number: f64) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut ring = Ring::default();
        for number in 0..1000_u16 {
            ring.push(Some(f32::from(number)));
        }
        let points = ring.points();
        assert_eq!((points.len(), points[0], ring.last()), (POINTS, Some(640.0), Some(999.0)));
        ring.skip(100_000);
        assert!(ring.is_empty() && ring.points().len() == POINTS);
    }

    #[test]
    fn without_an_answer_there_is_a_gap_and_no_zero() {
        let mut ring = Ring::default();
        for point in [Some(1.0), None, Some(f32::NAN), Some(3.0)] {
            ring.push(point);
        }
        assert_eq!(ring.points(), [Some(1.0), None, None, Some(3.0)]);
    }

    #[test]
    fn fewer_points_still_show_every_peak() {
        let mut ring = Ring::default();
        for number in 0..POINTS {
            ring.push(Some(if number == 100 { 90.0 } else { 1.0 }));
        }
        let rolled = ring.rolled_up(60);
        assert_eq!(rolled.len(), 60);
        assert_eq!(rolled.iter().filter(|point| **point == Some(90.0)).count(), 1);
        let mut short = Ring::default();
        short.push(Some(2.0));
        assert_eq!(short.rolled_up(60), [Some(2.0)]);
        assert_eq!(Ring::default().rolled_up(60), []);
    }

    #[test]
    fn a_counter_that_began_anew_says_nothing_for_once() {
        let mut counter = Counter::default();
        let seen = [Some(1000), Some(3000), None, Some(9000), Some(50), Some(150)].map(|now| counter.rate(now, 10.0));
        assert_eq!(seen, [None, Some(200.0), None, None, None, Some(10.0)]);
    }
}
