//! What was put right, and how long that took: entries of the audit log and
//! measured corrections, put together. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::view::{AuditView, insight::CorrectionView};

/// Steps and their correction are written down by different hands.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// An object that was not as declared, and what was done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The object.
    pub object: String,
    /// When the first step was begun; RFC 3339.
    pub begun: String,
    /// Why: the reason of the first step.
    pub because: String,
    /// What was done, in order.
    pub steps: Vec<AuditView>,
    /// From the fault being seen to its being corrected, in milliseconds; none if it was not, or before the last start.
    pub took_millis: Option<u64>,
}

impl Episode {
    /// Whether a step of it went wrong.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.steps.iter().any(|step| step.outcome == "failed")
    }
}

/// Which entries belong together: those of one correction, or else those of one pass.
#[derive(PartialEq, Eq)]
enum Bond<'a> {
    Correction(usize),
    Pass(&'a str, &'a str),
}

/// The episodes that entries, oldest first, tell of; newest first.
#[must_use]
pub fn episodes(entries: &[AuditView], corrections: &[CorrectionView]) -> Vec<Episode> {
    let mut found: Vec<(Bond<'_>, Episode)> = Vec::new();
    for entry in entries {
        let bond = match covering(entry, corrections) {
            Some(number) => Bond::Correction(number),
            None => Bond::Pass(&entry.object, &entry.pass),
        };
        if let Some((_, episode)) = found.iter_mut().rev().find(|(known, _)| *known == bond) {
            episode.steps.push(entry.clone());
            continue;
        }
        let took_millis = match bond {
            Bond::Correction(number) => Some(corrections[number].took_millis),
            Bond::Pass(..) => None,
        };
        let episode = Episode {
            object: entry.object.clone(),
            begun: entry.created_at.clone(),
            because: entry.because.clone(),
            steps: vec![entry.clone()],
            took_millis,
        };
        found.push((bond, episode));
    }
    found.into_iter().rev().map(|(_, episode)| episode).collect()
}

/// The correction that a step was a part of.
fn covering(entry: &AuditView, corrections: &[CorrectionView]) -> Option<usize> {
    let at: Timestamp = entry.created_at.parse().ok()?;
    corrections.iter().position(|correction| {
        let took = SignedDuration::from_millis(i64::try_from(correction.took_millis).unwrap_or(i64::MAX));
        let begun = correction.at.saturating_sub(took.saturating_add(SLACK)).unwrap_or(Timestamp::MIN);
        correction.key.to_string() == entry.object && at >= begun && at <= correction.at
    })
}

/// How long corrections took: how many there were, the middle one and the slowest, in milliseconds.
#[must_use]
pub fn summary(corrections: &[CorrectionView]) -> Option<(usize, u64, u64)> {
    let mut took: Vec<u64> = corrections.iter().map(|correction| correction.took_millis).collect();
    took.sort_unstable();
    Some((took.len(), *took.get(took.len().saturating_sub(1) / 2)?, *took.last()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: &str, object: &str, pass: &str, action: &str) -> AuditView {
        AuditView {
            id: 1,
            created_at: format!("2026-01-02T03:{at}Z"),
            actor: "reconciler".to_owned(),
            pass: pass.to_owned(),
            object: object.to_owned(),
            operation: String::new(),
            target: String::new(),
            action: action.to_owned(),
            why: "NotRunning".to_owned(),
            because: "it exited with 137".to_owned(),
            outcome: "done".to_owned(),
            error: None,
        }
    }

    fn correction(at: &str, object: &str, took_millis: u64) -> CorrectionView {
        CorrectionView { key: object.parse().unwrap(), at: format!("2026-01-02T03:{at}Z").parse().unwrap(), took_millis }
    }

    fn told(entries: &[AuditView], corrections: &[CorrectionView]) -> Vec<String> {
        let tell = |episode: Episode| {
            let steps: Vec<_> = episode.steps.into_iter().map(|step| step.action).collect();
            format!("{}: {} {:?}", episode.object, steps.join(", "), episode.took_millis)
        };
        episodes(entries, corrections).into_iter().map(tell).collect()
    }

    #[test]
    fn the_steps_of_one_correction_are_one_episode_over_several_passes() {
        let entries = [
            entry("04:05.100", "Container/web", "p1", "stop web"),
            entry("04:06.000", "Container/db", "p2", "start db"),
            entry("04:07.000", "Container/web", "p3", "start web"),
            entry("09:00.000", "Container/web", "p4", "start web again"),
        ];
        let corrections = [correction("04:09.000", "Container/web", 4000), correction("04:06.300", "Container/db", 350)];
        assert_eq!(
            told(&entries, &corrections),
            [
                "Container/web: start web again None",
                "Container/db: start db Some(350)",
                "Container/web: stop web, start web Some(4000)"
            ]
        );
    }

    #[test]
    fn without_a_measured_time_a_pass_is_an_episode() {
        let entries = [entry("04:05.100", "Container/web", "p1", "a"), entry("04:05.200", "Container/web", "p1", "b")];
        assert_eq!(told(&entries, &[]), ["Container/web: a, b None"]);
        // What was corrected long before says nothing of it.
        assert_eq!(told(&entries, &[correction("01:00.000", "Container/web", 10)]), ["Container/web: a, b None"]);
    }

    #[test]
    fn the_summary_names_the_middle_and_the_slowest() {
        let corrections: Vec<_> = [300, 100, 90_000].map(|took| correction("04:05", "Container/web", took)).into();
        assert_eq!(summary(&corrections), Some((3, 300, 90_000)));
        assert_eq!(summary(&corrections[..2]), Some((2, 100, 300)), "half of them took no longer");
        assert_eq!(summary(&[]), None);
    }
}
