//! What happened in a run, line by line.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// The lines, with the time of each. Clones write to the same.
#[derive(Clone)]
pub struct Trace {
    began: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self { began: Instant::now(), lines: Arc::default() }
    }

    /// How long ago that was.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Adds a line.
    pub fn note(&self, line: impl AsRef<str>) {
        let line = format!("{:>10.4}  {}", self.began.elapsed().as_secs_f64(), line.as_ref());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A digest of them: two runs with the same one were the same.
    pub fn digest(&self) -> String {
        hex::encode(&Sha256::digest(self.lines().join("\n"))[..8])
    }
}
