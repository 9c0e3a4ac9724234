//! Whole runs from a seed: the real controller, planner, executor and record,
//! with real files in memory, against a simulated engine, while everything
//! around them goes wrong. Time is held and jumps from one moment at which
//! something is due to the next, so minutes take a fraction of a second, and what
//! happens in which order follows from the seed alone.
//!
//! An oracle that knows nothing of how Mooring decides looks at the engine, the
//! files and the journal: see `oracle` for what is never permitted, `verdict` for
//! what has to be so in the end, `schedule` for what goes wrong.
//!
//! `make sim SEEDS=1000` runs so many, `make sim FROM=17 SEEDS=1 SHOW=1` shows one.

#![expect(clippy::unwrap_used, reason = "a run that cannot be made is a failed test")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

mod deeds;
mod dice;
mod disk;
mod edge;
mod fleet;
mod hostile;
mod late;
mod ledger;
mod model;
mod network;
mod nginx;
mod ollama;
mod oracle;
mod records;
mod run;
mod sabotage;
mod schedule;
mod seeds;
mod shrink;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod trace;
mod verdict;
mod world;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use fleet::{Job, Report};
use sabotage::Sabotage;
use tally::Tally;

/// Whether the oracle sees this, in runs in which nothing else is wrong.
fn sees(sabotage: Sabotage, violation: &str) {
    let mut seen = Vec::new();
    let job = |seed| Job { sabotage: Some(sabotage), without: (0..40).collect(), ..Job::new(seed) };
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
    sees(Sabotage::ActsWithoutRecord, "an act without a record: RestartContainer api");
}

#[test]
fn the_oracle_sees_that_what_was_refused_is_called_done() {
    sees(Sabotage::CallsRefusedDone, "RestartContainer of nobody is on record as done, and was done 0 times");
}

#[test]
fn the_oracle_sees_that_what_was_done_is_called_already_so() {
    sees(Sabotage::CallsDoneAlreadySo, "RestartContainer of api is on record as already-so, and was done 1 times");
}

#[test]
fn the_oracle_sees_an_act_that_is_done_twice() {
    sees(Sabotage::ActsTwice, "RestartContainer of api is asked for once more by the same record");
    sees(Sabotage::ActsTwice, "RestartContainer of api was done 2 times, and by the log 1 to 1 times");
}

#[test]
fn the_oracle_sees_a_file_that_is_written_without_a_record() {
    sees(Sabotage::WritesWithoutRecord, ".env.secrets was changed without a record");
}

#[test]
fn the_oracle_sees_a_file_that_nobody_wanted() {
    sees(Sabotage::WritesElsewhere, "notes was written, and is none of Mooring's");
}

#[test]
fn the_oracle_sees_what_is_left_half_written() {
    sees(Sabotage::LeavesHalf, ".mooring-tmp-half was left behind");
}

#[test]
fn the_oracle_sees_a_hand_on_the_users_own_site() {
    sees(Sabotage::TouchesOwnSite, "own.conf was written, and is none of Mooring's");
}

#[test]
fn the_oracle_sees_a_route_that_leads_to_somebody_else() {
    sees(Sabotage::LosesWay, "Proxy/edge: Wrong");
}

#[test]
fn the_oracle_sees_a_reload_of_what_nobody_has_tested() {
    sees(Sabotage::ReloadsUntested, "shop.test.conf, which nobody has tested");
}

#[test]
fn the_oracle_sees_two_reloads_at_once() {
    sees(Sabotage::ReloadsTwice, "nginx is reloaded after");
}

#[test]
fn the_oracle_sees_a_reload_without_a_record() {
    sees(Sabotage::ReloadsWithoutRecord, "an act without a record: ReloadProxy edge");
}

#[test]
fn the_oracle_sees_a_container_that_answers_nobody() {
    sees(Sabotage::NeverProbes, "api: Wrong");
}

#[test]
fn the_oracle_sees_a_model_that_is_never_pulled() {
    sees(Sabotage::NeverPulls, "ModelProvider/default: Wrong");
}

#[test]
fn the_oracle_sees_a_pull_without_a_record() {
    sees(Sabotage::PullsWithoutRecord, "an act without a record: PullModel gemma3:27b");
}

#[test]
fn the_oracle_sees_two_pulls_of_a_model_at_once() {
    sees(Sabotage::PullsTwice, "the model gemma3:27b is pulled twice at once");
}

#[test]
fn the_oracle_sees_that_somebody_elses_model_is_deleted() {
    sees(Sabotage::DeletesModel, "the model llama3.2:1b is deleted");
}

#[test]
fn the_oracle_sees_that_no_room_is_kept() {
    sees(Sabotage::KeepsNoRoom, "no room is kept for a full disk");
}

#[test]
fn the_oracle_sees_a_budget_that_is_not_kept() {
    sees(Sabotage::KeepsNoBudget, "api was brought back");
}

#[test]
fn the_oracle_sees_a_budget_that_was_not_kept_before_the_clock_was_set() {
    sees(Sabotage::KeptNoBudget, "api was brought back");
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
fn the_same_seed_is_the_same_run() {
    let digests = |seeds: Vec<u64>| {
        let mut digests = BTreeMap::new();
        fleet::run_all(seeds.into_iter().map(Job::new), false, |report| {
            digests.insert(report.seed, report.digest);
            true
        });
        digests
    };
    let (forwards, backwards) = (digests((0..20).collect()), digests((0..20).rev().collect()));
    let different: Vec<u64> = (0..20).filter(|seed| forwards[seed] != backwards[seed]).collect();
    // One run of nine hundred is seen to take another course, for work on another thread that came late, and more of them on a machine
    // that has other things to do. Most times a seed is the same run: else it could not be looked at again.
    assert!(different.len() < 10, "the same seeds are other runs: {different:?}");
    for seed in different {
        say(&format!("seed {seed} was two runs\n"));
        let again = (0..5).map(|_| digests(vec![seed])[&seed].clone());
        let mut runs = BTreeMap::<String, usize>::new();
        again.chain([forwards[&seed].clone(), backwards[&seed].clone()]).for_each(|run| *runs.entry(run).or_default() += 1);
        assert!(runs.values().any(|times| *times >= 4), "seed {seed} is another run each time: {runs:?}");
    }
    let different: BTreeSet<&String> = forwards.values().collect();
    assert_eq!(different.len(), 20, "the seeds make no difference");
}

#[test]
fn what_once_failed_does_not_any_more() {
    let mut failed = Vec::new();
    let jobs =
        seeds::KNOWN.iter().map(|known| Job { faults: Some(known.schedule()), breadth: known.breadth, ..Job::new(known.seed) });
    fleet::run_all(jobs, false, |report| {
        let story = seeds::KNOWN.iter().find(|known| known.seed == report.seed).map(|known| known.story);
        if !report.violations.is_empty() {
            failed.push(format!("{}\n{}\n{}", story.unwrap(), report.schedule, report.violations.join("\n")));
        }
        true
    });
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn as_many_seeds_as_there_is_time_for() {
    let asked = Asked::of_the_environment();
    let began = Instant::now();
    let jobs = (asked.from..).map(|seed| Job { without: asked.without.clone(), ..Job::new(seed) });
    let jobs = jobs.take_while(|job| match asked.seeds {
        Some(seeds) => job.seed < asked.from + seeds,
        None => job.seed < MOST && began.elapsed() < TIME,
    });
    let (mut done, mut failed, mut tally) = (0, None, Tally::default());
    fleet::run_all(jobs, asked.shows_all, |report| {
        done += 1;
        show_progress(done, asked.seeds, began);
        if asked.shows_all {
            say(&format!("\n{}\n{}", report.schedule, report.trace.join("\n")));
        }
        if report.violations.is_empty() {
            tally.add(&report);
        } else {
            say(&format!("\rseed {} fails: {}\n", report.seed, report.violations.join("; ")));
            failed.get_or_insert(report);
        }
        failed.is_none() || asked.goes_on
    });
    if !disk::are_possible() {
        say("\rsimulation: no disks of its own are permitted here, so none has failed\n");
    }
    let rate = f64::from(u32::try_from(done).unwrap()) / began.elapsed().as_secs_f64();
    say(&format!("\rsimulation: {done} seeds from {}, {rate:.1} a second; {}\n", asked.from, tally.summary()));
    if asked.seeds.is_some() {
        say(&tally.to_string());
    }
    // Fewer prove little, whatever the machine has to do besides.
    assert!(failed.is_some() || asked.seeds.is_some() || done >= LEAST, "only {done} seeds in {TIME:?}");
    if let Some(report) = failed {
        panic!("{}", explain(report, &asked));
    }
}

/// A test of a change shall not fail for what was so before it: more seeds than these are looked at on demand.
const MOST: u64 = 10_000;
/// As few as a machine may manage that is ten times slower than it should be.
const LEAST: usize = 200;
/// How long the simulation runs when nobody says how many seeds.
const TIME: Duration = Duration::from_mins(2);

/// What is asked for by variables: `FROM`, `SEEDS`, `WITHOUT=1,2` for faults to be left out, `SHOW=1` for whole traces,
/// `GO_ON=1` not to end with the first seed that fails.
struct Asked {
    from: u64,
    seeds: Option<u64>,
    without: Vec<usize>,
    shows_all: bool,
    goes_on: bool,
}

impl Asked {
    fn of_the_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str| variable(name).map(|value| value.parse().unwrap());
        let without = variable("WITHOUT").map(|list| list.split(',').map(|number| number.parse().unwrap()).collect());
        Self {
            from: number("FROM").unwrap_or(0),
            seeds: number("SEEDS"),
            without: without.unwrap_or_default(),
            shows_all: variable("SHOW").is_some(),
            goes_on: variable("GO_ON").is_some(),
        }
    }
}

/// Everything that there is to say of a run that failed, and the fewest faults with which it does.
fn explain(report: Report, asked: &Asked) -> String {
    let seed = report.seed;
    let all = format!("{}\n{}", report.schedule, report.violations.join("\n"));
    let (without, least) = shrink::shrink(report, &Job { without: asked.without.clone(), ..Job::new(seed) });
    let numbers = without.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!(
        "seed {seed} fails:\n{all}\n\nthe fewest faults with which it does:\n{}\n{}\n\nthe end of what happened then:\n{}\n\n\
         once more, with all that happened:\n  make sim FROM={seed} SEEDS=1 WITHOUT={numbers} SHOW=1\n",
        least.schedule,
        least.violations.join("\n"),
        least.trace.join("\n"),
    )
}

/// How far it is, on a terminal.
fn show_progress(done: usize, of: Option<u64>, began: Instant) {
    if std::io::stderr().is_terminal() && done.is_multiple_of(10) {
        let of = of.map_or_else(String::new, |of| format!(" of {of}"));
        say(&format!("\r{done}{of} seeds, {:.0} s ", began.elapsed().as_secs_f64()));
    }
}

/// Says something that is seen also when the test succeeds.
fn say(text: &str) {
    // Who has closed his terminal is not told.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
