//! What went wrong in many runs, how often, and how soon all was well again.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::fleet::Report;

/// What came of runs none of which failed.
#[derive(Default)]
pub struct Tally {
    /// How long it took from the last fault until nothing was wrong any more, in simulated time.
    calm: Vec<Duration>,
    /// In how many runs Mooring had to leave something to a person, and said so with a reason that is true.
    explained: usize,
    /// The same by the faults that were among those of a run.
    by_fault: BTreeMap<String, Met>,
}

#[derive(Default)]
struct Met {
    times: usize,
    calm: Vec<Duration>,
}

impl Tally {
    /// Takes a run in.
    pub fn add(&mut self, report: &Report) {
        self.calm.push(report.healed_in);
        self.explained += usize::from(report.explained > 0);
        let mut times = BTreeMap::<&str, usize>::new();
        for fault in &report.kinds {
            *times.entry(fault).or_default() += 1;
        }
        for (fault, times) in times {
            let met = self.by_fault.entry(fault.to_owned()).or_default();
            met.times += times;
            met.calm.push(report.healed_in);
        }
    }

    /// In one line.
    pub fn summary(&self) -> String {
        let (half, most, longest) = spread(&self.calm);
        format!(
            "calm after the last fault of a run: p50 {half}, p99 {most}, longest {longest} (simulated); in {} of {} runs something \
             was left to a person, and said",
            self.explained,
            self.calm.len()
        )
    }
}

/// By fault, as a table.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24}{:>7}{:>7}{:>11}{:>11}{:>11}", "fault", "times", "runs", "calm p50", "p99", "longest")?;
        for (fault, Met { times, calm }) in &self.by_fault {
            let (half, most, longest) = spread(calm);
            writeln!(f, "{fault:24}{times:>7}{:>7}{half:>11}{most:>11}{longest:>11}", calm.len())?;
        }
        Ok(())
    }
}

/// The median, what ninety-nine of a hundred do not exceed, and the longest.
fn spread(times: &[Duration]) -> (String, String, String) {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = |hundredths: usize| {
        let place = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
        sorted.get(place).map_or_else(|| "-".to_owned(), |time| format!("{:.0} s", time.as_secs_f64()))
    };
    (at(50), at(99), at(100))
}

#[test]
fn what_is_counted_is_told() {
    let report = |kinds: &[&str], seconds, explained| Report {
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        healed_in: Duration::from_secs(seconds),
        explained,
        ..Report::default()
    };
    let mut tally = Tally::default();
    tally.add(&report(&["Kill", "Kill", "Crash"], 3, 0));
    tally.add(&report(&["Kill"], 90, 2));
    assert_eq!(
        tally.to_string(),
        "fault                     times   runs   calm p50        p99    longest\n\
         Crash                         1      1        3 s        3 s        3 s\n\
         Kill                          3      2        3 s       90 s       90 s\n"
    );
    let summary = "calm after the last fault of a run: p50 3 s, p99 90 s, longest 90 s (simulated); in 1 of 2 runs something was \
                   left to a person, and said";
    assert_eq!(tally.summary(), summary);
}
