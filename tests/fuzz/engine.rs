//! The loop: corpus, mutations, what is found.
//!
//! The number of texts is bounded, not the time, so that a slow machine tries the same ones. Asked for minutes, it goes on that
//! long. A text that ends the process (a stack that is full) is found in `target/fuzz/TARGET/last`.

use std::{
    env,
    fmt::Write as _,
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use rand::{SeedableRng as _, rngs::StdRng};

use crate::{mutate::Mutator, shrink};

/// The seed that is tried everywhere and always.
const SEED: u64 = 2026;
/// No text is longer.
pub const LONGEST: usize = 64 * 1024;

/// Everything that is tried, by name.
const TARGETS: [&str; 8] = ["dotenv", "manifest", "plugin", "nginx", "sql", "intent", "mask", "http"];

/// Whether this one is wanted: all are, unless one is asked for by its name.
pub fn is_wanted(name: &str) -> bool {
    assert!(TARGETS.contains(&name), "{name} is missing from the list of targets");
    let wanted = env::var("MOORING_FUZZ_TARGET").unwrap_or_default();
    assert!(wanted.is_empty() || TARGETS.contains(&&*wanted), "there is no target {wanted}: {}", TARGETS.join(", "));
    wanted.is_empty() || wanted == name
}

/// The seed that is asked for; a new one, if it is asked for time; else the one that is tried everywhere and always.
pub fn seed() -> u64 {
    let given = env::var("MOORING_FUZZ_SEED").ok().filter(|seed| !seed.is_empty());
    match given {
        Some(given) => given.parse().expect("MOORING_FUZZ_SEED is a number"),
        None if minutes().is_some() => fresh(),
        None => SEED,
    }
}

/// How long it is to be tried, if that is said.
fn minutes() -> Option<f64> {
    let given = env::var("MOORING_FUZZ_MINUTES").ok().filter(|minutes| !minutes.is_empty())?;
    Some(given.parse().expect("MOORING_FUZZ_MINUTES is a number"))
}

/// What is tried.
pub struct Target {
    /// The name of its folder in the corpus.
    pub name: &'static str,
    /// More texts to begin with: those that the repository has anyway.
    pub seeds: Vec<String>,
    /// Words that mean something to it.
    pub words: &'static [&'static str],
    /// So many texts are tried from each seed.
    pub cases: u32,
    /// So long may one text of the greatest length take, unoptimised.
    pub limit: Duration,
    /// What has to be true; otherwise what is wrong, beginning with the name of the law and a colon.
    pub check: Check,
}

/// What has to be true of a text.
pub type Check = fn(&[u8]) -> Result<(), String>;

/// Fails, with the name of a law, unless something is true.
#[macro_export]
macro_rules! law {
    ($holds:expr, $name:literal, $($about:tt)+) => {
        if !$holds {
            return Err(format!("{}: {}", $name, format!($($about)+)));
        }
    };
}

impl Target {
    /// Tries it, as long as is wanted; whether it was.
    pub fn run(self) -> bool {
        if !is_wanted(self.name) {
            return false;
        }
        if let Ok(path) = env::var("MOORING_FUZZ_INPUT") {
            self.again(Path::new(&path));
            return false;
        }
        let corpus = self.corpus();
        for text in &corpus {
            self.try_one(text, "the corpus");
        }
        self.long_ones(&corpus);
        let until = minutes().map(|minutes| (minutes, Instant::now() + Duration::from_secs_f64(minutes * 60.0)));
        let tried = self.with_seed(seed(), &corpus, until.map(|(_, until)| until));
        if let Some((minutes, _)) = until {
            eprintln!("{}: {tried} texts in {minutes} min, nothing found", self.name);
        }
        true
    }

    /// One text that somebody has kept, and what it costs.
    fn again(&self, path: &Path) {
        let (text, begin, busy) = (fs::read(path).unwrap(), Instant::now(), busy());
        let outcome = (self.check)(&text);
        eprintln!("{}: {outcome:?} after {:?}, busy for {:?}", self.name, begin.elapsed(), self::busy().saturating_sub(busy));
        self.try_one(&text, &path.display().to_string());
    }

    fn with_seed(&self, seed: u64, corpus: &[Vec<u8>], until: Option<Instant>) -> u64 {
        eprintln!("{}: MOORING_FUZZ_SEED={seed}", self.name);
        let mut mutator = Mutator { random: StdRng::seed_from_u64(seed), corpus, words: self.words };
        let mut tried = 0;
        while until.map_or(tried < u64::from(self.cases), |until| Instant::now() < until) {
            let text = mutator.text();
            self.try_one(&text, &format!("text {tried} of MOORING_FUZZ_SEED={seed}"));
            tried += 1;
        }
        tried
    }

    /// Whatever is said over and over again, as long as it may be: where time grows with the square of the length, it shows.
    fn long_ones(&self, corpus: &[Vec<u8>]) {
        let lines = corpus.iter().flat_map(|text| text.split(|byte| *byte == b'\n')).filter(|line| !line.is_empty());
        let lines = lines.step_by((corpus.len() / 12).max(1)).take(12).map(<[u8]>::to_vec);
        for piece in self.words.iter().map(|word| word.as_bytes().to_vec()).chain(lines) {
            let text: Vec<u8> = piece.iter().copied().cycle().take(LONGEST / piece.len() * piece.len()).collect();
            self.try_one(&text, &format!("64 kB of {:?}", String::from_utf8_lossy(&piece)));
        }
    }

    /// The texts of its folder, and those that it brings.
    fn corpus(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(self.name);
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let texts = paths.into_iter().map(|path| fs::read(path).unwrap());
        let corpus: Vec<_> = texts.chain(self.seeds.iter().map(|text| text.clone().into_bytes())).collect();
        assert!(corpus.len() >= 3, "{} has no corpus", self.name);
        corpus
    }

    fn try_one(&self, text: &[u8], whence: &str) {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz").join(self.name);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("last"), text).unwrap();
        let Err(what) = self.outcome(text) else { return };
        let law = law_of(&what).to_owned();
        let short = shrink::shortest(text, |text| self.outcome(text).is_err_and(|what| law_of(&what) == law));
        let what = self.outcome(&short).err().unwrap_or(what);
        let name = place.join(format!("{}.txt", law.replace(|c: char| !c.is_alphanumeric(), "-")));
        fs::write(&name, &short).unwrap();
        let mut shown = String::new();
        let _ = write!(shown, "{:?}", String::from_utf8_lossy(&short[..short.len().min(1500)]));
        panic!(
            "{} fails with {whence}\n  {what}\n  made as short as can be ({} of {} bytes): {shown}\n  written to {}; once mended, it goes to tests/fuzz/corpus/{}/",
            self.name,
            short.len(),
            text.len(),
            name.display(),
            self.name
        );
    }

    /// What is wrong, if anything is: a law that is broken, a panic, or that it takes too long.
    fn outcome(&self, text: &[u8]) -> Result<(), String> {
        let mut least = Duration::MAX;
        // A machine has other things to do: what counts is how long we were busy, and whoever is slow twice is slow.
        for _ in 0..2 {
            let (begin, before) = (Instant::now(), busy());
            match panic::catch_unwind(AssertUnwindSafe(|| (self.check)(text))) {
                Ok(outcome) => outcome?,
                Err(panicked) => {
                    let words = panicked.downcast_ref::<String>().cloned();
                    let words = words.or_else(|| panicked.downcast_ref::<&str>().map(|words| (*words).to_owned()));
                    return Err(format!("no panic: {}", words.unwrap_or_default()));
                }
            }
            // What other threads do for it shows in the time that it takes.
            least = least.min(busy().saturating_sub(before).max(begin.elapsed() / 10));
            if least <= self.limit {
                return Ok(());
            }
        }
        Err(format!("in time: it takes {least:?}, and {:?} are allowed", self.limit))
    }
}

/// How long this thread has been on a processor.
fn busy() -> Duration {
    let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
}

fn law_of(what: &str) -> &str {
    what.split(':').next().unwrap_or_default()
}

fn fresh() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) << 16 ^ now.as_secs()
}

/// Whether a place, counted from one, is in a text: at its very end, too. To YAML, a carriage return ends a line as well.
pub fn is_place(text: &str, line: usize, column: usize) -> bool {
    is_in(text, line, column) || is_in(&text.replace("\r\n", "\n").replace('\r', "\n"), line, column)
}

fn is_in(text: &str, line: usize, column: usize) -> bool {
    let Some(found) = text.split('\n').nth(line.wrapping_sub(1)) else { return false };
    (1..=found.chars().count() + 1).contains(&column)
}

/// A text read as UTF-8, whatever it is.
pub fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// A number that is the same for the same text.
pub fn digest(text: &[u8]) -> usize {
    text.iter().fold(7, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
}

/// A file of the repository.
pub fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// All files below a folder of the repository whose names end so.
pub fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.into_iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}
