//! Everything that goes wrong on a host, while the engine itself is not to be trusted.
//!
//! Between Mooring and the real engine is [a socket](between) that refuses, lies, breaks off, hangs, and twists the events. Meanwhile the
//! [stack](stack) is broken in every way that this suite knows. When the engine behaves again, all has to be as declared, the log
//! complete, what is not ours untouched, and nothing may be done any more.
//!
//! A seed says which faults come, in which order, and what the engine does to the requests. What runs beside it, and so which request is
//! the first of its kind, is the machine's; a seed that failed is run again by
//!
//! ```text
//! MOORING_SEEDS=17 cargo test --all-features --test engine hostile
//! ```

mod between;
mod soak;
mod stack;

use std::{env, thread, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use stack::{FAULTS, Fault, Stack};

/// Faults in one story.
const FAULTS_EACH: usize = 7;

/// Those to run: of the environment, or these.
fn seeds(usual: &[u64]) -> Vec<u64> {
    match env::var("MOORING_SEEDS") {
        Ok(seeds) => seeds.split([',', ' ']).map(|seed| seed.parse().expect("MOORING_SEEDS=17,18")).collect(),
        Err(_) => usual.to_vec(),
    }
}

/// The faults of a seed, each with the time until the next one.
fn schedule(seed: u64) -> Vec<(Fault, Duration)> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut faults = FAULTS;
    faults.shuffle(&mut dice);
    faults.into_iter().take(FAULTS_EACH).map(|fault| (fault, Duration::from_millis(dice.random_range(100..2_500)))).collect()
}

#[expect(clippy::print_stderr, reason = "it is shown when the test has failed")]
fn survives(seed: u64) {
    let mut stack = Stack::new();
    let schedule = schedule(seed);
    let names: Vec<&str> = schedule.iter().map(|((name, _), _)| *name).collect();
    let story = format!("seed {seed}: {}", names.join(", "));
    eprintln!("{story}");
    let between = stack.between.take().expect("it is there until now");
    between.turns(seed);
    for ((_, fault), pause) in schedule {
        fault(&mut stack);
        thread::sleep(pause);
    }
    thread::sleep(Duration::from_secs(3));
    between.turns(0);
    let deeds = between.deeds();
    eprintln!("seed {seed}: {} deeds of the engine's: {}", deeds.len(), deeds.join("; "));
    assert!(deeds.len() > 5, "the engine was not hostile at all: {deeds:?}");
    stack.holds_in_the_end(&story);
    let acts = stack.acts().len();
    stack.host.stays(4, "nothing is done any more", |_| stack.acts().len() == acts);
    assert_eq!(stack.complaints(), [""; 0]);
    stack.host.stop();
    between.ends();
}

#[test]
fn what_breaks_while_the_engine_is_hostile_is_as_declared_once_it_is_not() {
    for seed in seeds(&[1, 2]) {
        survives(seed);
    }
}

#[test]
fn and_so_is_what_breaks_in_another_order() {
    for seed in seeds(&[3, 4]) {
        survives(seed);
    }
}
