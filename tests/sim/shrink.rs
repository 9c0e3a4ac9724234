//! From a schedule that fails to one that fails with as little as possible.

use super::fleet::{Job, Report, run_all};

/// Leaves out of a failing run what it fails without. Says what is left out, and how the rest fails.
pub fn shrink(failed: Report, job: &Job) -> (Vec<usize>, Report) {
    let all = failed.kinds.len() + job.without.len();
    let (mut without, mut best) = (job.without.clone(), failed);
    loop {
        let tried = (0..all).rev().filter(|number| !without.contains(number));
        let jobs: Vec<Job> = tried.map(|number| Job { without: [&without[..], &[number]].concat(), ..job.clone() }).collect();
        let mut found = None;
        run_all(jobs.clone(), false, |report| {
            if !report.violations.is_empty() && found.is_none() {
                found = jobs.iter().find(|job| job.without == report.without).map(|job| (job.without.clone(), report));
            }
            found.is_none()
        });
        match found {
            Some((fewer, report)) => (without, best) = (fewer, report),
            None => break,
        }
    }
    without.sort_unstable();
    (without, best)
}
