//! Simulation.

#![expect(clippy::unwrap_used, reason = "a run that cannot be made is a failed test")]
#![allow(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

mod deeds;
mod dice;
mod fleet;
mod hostile;
mod oracle;
mod records;
mod run;
mod sabotage;
mod schedule;
#[path = "../support/mod.rs"]
mod support;
mod trace;
mod verdict;
mod world;

use sabotage::Sabotage;

/// Whether the oracle sees this, in runs in which nothing else is wrong.
fn sees(sabotage: Sabotage, violation: &str) {
    let mut seen = Vec::new();
    let job = |seed| fleet::Job { sabotage: Some(sabotage), without: (0..20).collect(), ..fleet::Job::new(seed) };
    fleet::run_all((0..3).map(job), false, |report| {
        seen.push(report.violations);
        true
    });
    assert_eq!(seen.len(), 3);
    for violations in seen {
        assert!(violations.iter().any(|seen| seen.contains(violation)), "{sabotage:?}: {violations:?}");
    }
}

#[test]
fn the_oracle_sees_an_act_without_a_record() {
    sees(Sabotage::ActsWithoutRecord, "an act without a record: restart api");
}

#[test]
fn the_oracle_sees_a_budget_that_is_not_kept() {
    sees(Sabotage::KeepsNoBudget, "api was brought back");
}

#[test]
fn the_oracle_sees_a_hand_on_somebody_elses_container() {
    sees(Sabotage::TouchesStrangers, "somebody else's container: stop stranger-0");
}

#[test]
fn the_oracle_sees_a_secret_with_another_value() {
    sees(Sabotage::ChangesSecret, "the secret DB_PASSWORD has another value");
}

#[test]
fn the_oracle_sees_that_a_volume_is_gone() {
    sees(Sabotage::RemovesVolume, "the volume of db");
}

#[test]
fn the_oracle_sees_a_row_missing_from_the_log() {
    sees(Sabotage::LosesRow, "the audit log");
}

#[test]
fn the_oracle_sees_an_operator_that_does_nothing_any_more() {
    sees(Sabotage::FallsAsleep, "api: Wrong");
}

#[test]
fn the_oracle_sees_an_act_where_there_is_nothing_to_do() {
    sees(Sabotage::ActsInCalm, "1 acts although nothing was to be done");
}

#[test]
fn the_oracle_sees_a_write_where_there_is_nothing_to_do() {
    sees(Sabotage::WritesInCalm, ".env.computed was written although nothing was to be done");
}

#[test]
fn a_seed() {
    let from: u64 = std::env::var("FROM").ok().and_then(|from| from.parse().ok()).unwrap_or(0);
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|from| from.parse().ok()).unwrap_or(1);
    let all = std::env::var("SHOW").is_ok();
    let began = std::time::Instant::now();
    fleet::run_all((from..from + seeds).map(fleet::Job::new), all, |report| {
        if !report.violations.is_empty() || all || std::env::var("DIGEST").is_ok() {
            eprintln!(
                "{} {:?} explained {} {} {:?}",
                report.seed, report.healed_in, report.explained, report.digest, report.violations
            );
        }
        if all {
            eprintln!("{}\n{}", report.schedule, report.trace.join("\n"));
        }
        true
    });
    eprintln!("{seeds} in {:?}", began.elapsed());
}
