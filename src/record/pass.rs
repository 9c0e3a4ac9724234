//! How a pass over one object ended, whichever way it ends.

use std::{sync::Arc, time::Instant};

use super::metrics::Metrics;
use crate::manifest::Kind;

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassOutcome {
    /// The object was as declared.
    Converged,
    /// Steps were taken.
    Acted,
    /// Nothing was to be done yet.
    Waiting,
    /// A step failed, or the object could not be looked at.
    Failed,
    /// It never came to an end: a panic, or Mooring was stopped.
    Abandoned,
}

impl PassOutcome {
    /// All outcomes.
    pub const ALL: [Self; 5] = [Self::Converged, Self::Acted, Self::Waiting, Self::Failed, Self::Abandoned];

    /// The outcome's word in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Acted => "acted",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Times a pass and counts how it ended.
#[derive(Debug)]
pub struct PassGuard {
    metrics: Arc<Metrics>,
    kind: Kind,
    began: Instant,
    outcome: PassOutcome,
}

impl PassGuard {
    pub(super) fn new(metrics: Arc<Metrics>, kind: Kind) -> Self {
        Self { metrics, kind, began: Instant::now(), outcome: PassOutcome::Abandoned }
    }

    /// Says how the pass ended.
    pub fn conclude(mut self, outcome: PassOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for PassGuard {
    fn drop(&mut self) {
        self.metrics.pass_ended(self.kind, self.outcome, self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_counted_once_and_as_abandoned_when_nobody_concludes_it() {
        let metrics = Arc::new(Metrics::new());
        metrics.pass(Kind::Container).conclude(PassOutcome::Waiting);
        drop(metrics.pass(Kind::Container));
        let text = metrics.render();
        for line in [
            r#"mooring_passes_total{kind="Container",outcome="waiting"} 1"#,
            r#"mooring_passes_total{kind="Container",outcome="abandoned"} 1"#,
            r#"mooring_pass_duration_seconds_count{kind="Container"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
