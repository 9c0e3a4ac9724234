//! What was refused, told without a flood.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::rules::Refusal;

/// Kinds of refusals that are counted apart; there are about twenty calls, and each has a handful of reasons.
const MAX_KINDS: usize = 256;

/// Refusals by kind.
#[derive(Default)]
pub(super) struct Refusals {
    counts: Mutex<BTreeMap<(&'static str, String), u64>>,
}

impl Refusals {
    /// Counts one, and tells of the first of its kind, the tenth, the hundredth, and so on.
    pub(super) fn count(&self, refusal: &Refusal, asked: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (refusal.call, refusal.reason.clone());
        // Reasons have names in them: somebody who makes them up is one kind in the end.
        let kind = if counts.len() < MAX_KINDS || counts.contains_key(&kind) { kind } else { ("others", String::new()) };
        let count = counts.entry(kind).or_default();
        *count += 1;
        if is_told(*count) {
            tracing::warn!(call = refusal.call, asked, reason = refusal.reason, count = *count, "refused");
        }
    }

    /// Tells how often each kind was refused.
    pub(super) fn sum_up(&self) {
        for ((call, reason), count) in &*self.counts.lock().unwrap_or_else(PoisonError::into_inner) {
            tracing::info!(call, reason, count, "was refused");
        }
    }
}

/// Whether it is a power of ten.
fn is_told(count: u64) -> bool {
    10_u64.pow(count.checked_ilog10().unwrap_or_default()) == count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_kind_is_told_and_then_ever_fewer() {
        let told: Vec<u64> = (1..=2000).filter(|count| is_told(*count)).collect();
        assert_eq!(told, [1, 10, 100, 1000]);
    }

    #[test]
    fn whoever_makes_up_reasons_does_not_fill_the_memory() {
        let refusals = Refusals::default();
        for number in 0..10_000 {
            refusals.count(&Refusal { call: "unknown", reason: number.to_string() }, "");
        }
        let counts = refusals.counts.lock().unwrap();
        assert_eq!(counts.len(), MAX_KINDS + 1);
        assert_eq!(counts.values().sum::<u64>(), 10_000);
    }
}
