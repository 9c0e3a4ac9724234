//! Many runs, as many at a time as there are processors.
//!
//! Each run has a process of its own, a copy of one that has run once: what is
//! made once for a whole program (patterns, caches) is made by then, and what a
//! run does to it is not seen by the next one.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::Once,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    run::{self, run},
    sabotage::Sabotage,
    schedule::Fault,
    world::Breadth,
};

/// Lines of a trace that are shown of a run that failed.
const TAIL: usize = 60;
/// How long a run may take in real time.
const LIMIT: Duration = Duration::from_mins(2);
/// How often it is seen who has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The seed.
    pub seed: u64,
    /// Faults of its schedule that are left out, by their numbers.
    pub without: Vec<usize>,
    /// What is broken on purpose.
    pub sabotage: Option<Sabotage>,
    /// What may be in its stack.
    pub breadth: Breadth,
    /// What goes wrong, if not what the seed says.
    pub faults: Option<Vec<(Duration, Fault)>>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The faults that were left out.
    pub without: Vec<usize>,
    /// What Mooring did wrong.
    pub violations: Vec<String>,
    /// A digest of all that happened.
    pub digest: String,
    /// The faults that there were, each by its kind.
    pub kinds: Vec<String>,
    /// How long it took until all was well, in simulated time.
    pub healed_in: Duration,
    /// How many objects were explained in the end, and not as declared.
    pub explained: usize,
    /// What went wrong around Mooring, as text.
    pub schedule: String,
    /// What happened, if it was wrong: the end of it, or all.
    pub trace: Vec<String>,
}

impl Job {
    /// The run of a seed as it is.
    pub fn new(seed: u64) -> Self {
        Self { seed, without: Vec::new(), sabotage: None, breadth: Breadth::All, faults: None }
    }

    fn perform(&self, shows_all: bool) -> Report {
        let outcome = run(self);
        let lines = outcome.trace.lines();
        let shown = match (shows_all, outcome.violations.is_empty()) {
            (true, _) => lines.len(),
            (false, true) => 0,
            (false, false) => TAIL,
        };
        Report {
            seed: self.seed,
            without: self.without.clone(),
            digest: outcome.trace.digest(),
            kinds: outcome.schedule.faults.iter().map(|(_, fault)| fault.kind()).collect(),
            healed_in: outcome.healed_in,
            explained: outcome.explained,
            schedule: outcome.schedule.to_string(),
            trace: lines[lines.len() - shown.min(lines.len())..].to_vec(),
            violations: outcome.violations,
        }
    }
}

impl Report {
    fn lost(job: &Job, what: &str) -> Self {
        Self { seed: job.seed, without: job.without.clone(), violations: vec![what.to_owned()], ..Self::default() }
    }
}

/// A run that goes on.
struct Running {
    job: Job,
    child: chance::Child,
    began: Instant,
    report: PathBuf,
    /// Whether the first one broke off without a word.
    is_second: bool,
}

/// Runs them all, and shows each report as it comes; ends early when that says so.
pub fn run_all(jobs: impl IntoIterator<Item = Job>, shows_all: bool, mut show: impl FnMut(Report) -> bool) {
    static WARM: Once = Once::new();
    WARM.call_once(|| {
        run::warm_up();
        // Its threads end a moment later, and nobody is to be copied in the middle of that.
        std::thread::sleep(Duration::from_millis(200));
    });
    let at_once = std::thread::available_parallelism().map_or(1, usize::from) + 1;
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (mut jobs, mut running, mut goes_on) = (jobs.into_iter().enumerate(), Vec::<Running>::new(), true);
    loop {
        while goes_on && running.len() < at_once {
            let Some((number, job)) = jobs.next() else { break };
            let report = directory.path().join(number.to_string());
            running.push(Running::start(job, report, shows_all, false));
        }
        if running.is_empty() {
            return;
        }
        let ended: BTreeSet<usize> = (0..running.len()).rev().filter(|place| running[*place].has_ended()).collect();
        for place in ended.iter().rev() {
            let ended = running.swap_remove(*place);
            if !ended.report.exists() && !ended.is_second {
                // A copy that was made at a bad moment; a run that really breaks off does so again.
                running.push(Running::start(ended.job, ended.report, shows_all, true));
                continue;
            }
            goes_on &= show(ended.report());
        }
        if ended.is_empty() {
            std::thread::sleep(LOOK);
        }
    }
}

impl Running {
    fn start(job: Job, report: PathBuf, shows_all: bool, is_second: bool) -> Self {
        let child = chance::in_a_child(|| {
            let told = serde_json::to_vec(&job.perform(shows_all)).unwrap();
            fs::write(&report, told).unwrap();
        });
        Self { child: child.unwrap(), job, began: Instant::now(), report, is_second }
    }

    fn has_ended(&self) -> bool {
        if self.began.elapsed() > LIMIT {
            self.child.kill();
        }
        self.child.has_ended().is_some()
    }

    fn report(self) -> Report {
        let told = fs::read(&self.report).ok().and_then(|told| serde_json::from_slice(&told).ok());
        // It may be told again in the same place.
        let _ = fs::remove_file(&self.report);
        told.unwrap_or_else(|| Report::lost(&self.job, "the run broke off, or did not end"))
    }
}
