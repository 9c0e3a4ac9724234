//! Everything that goes wrong on a host, while the engine itself is not to be trusted.
//!
//! Between Mooring and the real engine is [a socket](crate::between) that refuses, lies, breaks off, hangs, halves answers, and twists the
//! events. Meanwhile the [stack](stack) is broken in every way that this suite knows, and other chapters are [told once more](stories). When
//! the engine behaves again, all has to be as declared, the log complete, what is not ours untouched, and nothing may be done any more.
//!
//! A seed says which faults come, in which order, and what the engine does to the requests. What runs beside it, and so which request is
//! the first of its kind, is the machine's; a seed that failed is run again, and the stories with it, by
//!
//! ```text
//! MOORING_SEEDS=17 cargo test --all-features --test engine hostile
//! ```

mod soak;
mod stack;
mod stories;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use stack::{FAULTS, Fault, Stack};

use crate::between::{Between, Deed, still_to_do};

/// Faults in one story.
const FAULTS_EACH: usize = 7;
/// How long the engine may take until it has done everything that it can do.
const LONGEST: Duration = Duration::from_mins(5);

/// Those to run: of the environment, or four.
fn seeds() -> Vec<u64> {
    match env::var("MOORING_SEEDS") {
        Ok(seeds) => seeds.split([',', ' ']).map(|seed| seed.parse().expect("MOORING_SEEDS=17,18")).collect(),
        Err(_) => vec![1, 2, 3, 4],
    }
}

/// The faults of a seed, each with the time until the next one.
fn schedule(seed: u64) -> Vec<(Fault, Duration)> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut faults = FAULTS;
    faults.shuffle(&mut dice);
    faults.into_iter().take(FAULTS_EACH).map(|fault| (fault, Duration::from_millis(dice.random_range(100..2_500)))).collect()
}

/// What the engines have done to all stacks, and how many of them are still at it.
struct Hostility {
    deeds: Mutex<Vec<Deed>>,
    left: AtomicUsize,
}

impl Hostility {
    /// Breaks a stack in all ways of this seed, and has it replace a container, as nothing else stops and renames one. Whoever is the last
    /// goes on until the engine has done all that it can do; then it behaves.
    fn breaks(&self, stack: &mut Stack, between: &Between, seed: u64) -> String {
        let (begun, mut story) = (Instant::now(), format!("seed {seed}"));
        between.turns(seed);
        for ((name, fault), pause) in schedule(seed) {
            write!(story, ", {name}").expect("a text takes it");
            fault(stack);
            thread::sleep(pause);
        }
        while {
            story.push_str(", another image");
            stack.is_replaced();
            let all = [&self.deeds.lock().unwrap()[..], &between.deeds()].concat();
            let still = still_to_do(&all);
            assert!(begun.elapsed() < LONGEST, "after {story}: the engine was not hostile enough: {still:?}\n{all:?}");
            self.left.load(Ordering::SeqCst) == 1 && !still.is_empty()
        } {}
        between.turns(0);
        self.deeds.lock().unwrap().extend(between.deeds());
        self.left.fetch_sub(1, Ordering::SeqCst);
        story
    }

    #[expect(clippy::print_stderr, reason = "it is shown when the test has failed, and how hostile it was is to be known")]
    fn is_survived(&self, seed: u64) {
        let mut stack = Stack::new();
        let between = stack.between.take().expect("it is there until now");
        let begun = Instant::now();
        let story = self.breaks(&mut stack, &between, seed);
        let hostile = begun.elapsed();
        stack.holds_in_the_end(&story);
        let healed = begun.elapsed().saturating_sub(hostile);
        stack.host.comes_to_rest(4, &story, |_| stack.complaints().is_empty());
        let acts = stack.acts().len();
        let deeds = between.deeds().len();
        eprintln!("{story}: {deeds} deeds of the engine's in {hostile:.1?}, as declared {healed:.1?} later, {acts} acts");
        stack.host.stop();
        stack.host.record_is_whole();
        between.ends();
    }
}

#[test]
fn what_breaks_while_the_engine_is_hostile_is_as_declared_once_it_is_not() {
    let seeds = seeds();
    let hostility = Hostility { deeds: Mutex::default(), left: AtomicUsize::new(seeds.len()) };
    at_once(&seeds, |seed| hostility.is_survived(*seed));
    let deeds = hostility.deeds.into_inner().unwrap();
    assert_eq!(still_to_do(&deeds), [""; 0]);
    let mut counts = BTreeMap::<_, usize>::new();
    for deed in &deeds {
        *counts.entry(deed).or_default() += 1;
    }
    eprintln!("{} deeds: {counts:#?}", deeds.len());
}

/// Those who wait for the most part do so at the same time; whoever fails is waited for with the others.
fn at_once<T: Sync>(all: &[T], run: impl Fn(&T) + Sync) {
    let failed = thread::scope(|scope| {
        let running: Vec<_> = all.iter().map(|one| scope.spawn(|| run(one))).collect();
        running.into_iter().filter_map(|one| one.join().err()).collect::<Vec<_>>()
    });
    if let Some(panic) = failed.into_iter().next() {
        std::panic::resume_unwind(panic);
    }
}
