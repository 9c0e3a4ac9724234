//! What nginx answers before and after a change, and how to tell that its new workers are there.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::plan::proxy::action::Probe;

/// An answer that was sent whole is followed by nothing for this long.
const QUIET: Duration = Duration::from_millis(200);

/// A reload is done by then, if it cannot be told otherwise.
const SETTLE: Duration = Duration::from_secs(3);

/// The last old worker goes so long after the first one at most: all of them are told at once, and a busy machine lets some
/// of them wait.
const TOGETHER: Duration = Duration::from_millis(300);

/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What nginx has to go on answering.
#[derive(Debug)]
pub struct Answers {
    /// What was answered before: a status, or none if there was no answer.
    before: BTreeMap<Probe, Option<u16>>,
    loaded: Mutex<Loaded>,
}

/// How to tell that the new workers are there: a reload returns before it is done, and until then the old ones answer.
#[derive(Debug)]
struct Loaded {
    /// Idle connections to the old workers, by where they lead, which close them when they go. They go when the new ones
    /// have come, and stay if the master refuses the configuration after all.
    held: BTreeMap<String, TcpStream>,
    /// Where nginx keeps no idle connection open, time has to do.
    by_time: bool,
    /// When nginx was told to reload.
    reloaded: Option<Instant>,
    /// Since when none of the old workers is known to be there.
    gone: Option<Instant>,
}

impl Answers {
    /// Remembers what is answered now.
    pub async fn new(probes: &[Probe]) -> Self {
        let mut before = BTreeMap::new();
        let mut held = BTreeMap::new();
        for probe in probes {
            before.insert(probe.clone(), status(probe).await.ok());
            // One for each nginx will do.
            if !held.contains_key(&probe.to) {
                held.insert(probe.to.clone(), hold(probe).await);
            }
        }
        let by_time = held.values().any(Option::is_none);
        let held = held.into_iter().filter_map(|(to, stream)| Some((to, stream?))).collect();
        Self { before, loaded: Mutex::new(Loaded { held, by_time, reloaded: None, gone: None }) }
    }

    /// nginx is about to be told to read its files. A connection that has been closed by now was one to a worker that an
    /// earlier reload had sent away, and would say nothing about this one.
    pub async fn before_reload(&self) {
        let closed: BTreeMap<&String, &Probe> = {
            let mut loaded = self.lock();
            if loaded.reloaded.is_some() {
                // It goes back to the old files, and nothing is worth waiting for.
                return;
            }
            loaded.held.retain(|_, stream| is_open(stream));
            self.before.keys().filter(|probe| !loaded.held.contains_key(&probe.to)).map(|probe| (&probe.to, probe)).collect()
        };
        for (to, probe) in closed {
            let held = hold(probe).await;
            let mut loaded = self.lock();
            match held {
                Some(stream) => drop(loaded.held.insert(to.clone(), stream)),
                None => loaded.by_time = true,
            }
        }
    }

    /// nginx has been told to read its files.
    pub fn reloaded(&self) {
        let mut loaded = self.lock();
        (loaded.reloaded, loaded.gone) = (Some(Instant::now()), None);
    }

    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the old workers have gone.
    fn loaded(&self) -> Result<(), String> {
        let mut loaded = self.lock();
        loaded.held.retain(|_, stream| is_open(stream));
        let waited = !loaded.by_time || loaded.reloaded.is_some_and(|told| told.elapsed() >= SETTLE);
        let is_gone = loaded.held.is_empty() && waited && loaded.gone.get_or_insert_with(Instant::now).elapsed() >= TOGETHER;
        if is_gone { Ok(()) } else { Err("its old workers still answer".to_owned()) }
    }

    /// Whether all that was answered before is answered now; if not, what is.
    pub async fn are_as_before(&self) -> Result<(), String> {
        if !self.before.is_empty() {
            self.loaded()?;
        }
        for (probe, before) in &self.before {
            let now = match (status(probe).await, before) {
                (Ok(now), _) => now,
                // It was not answered before either.
                (Err(_), None) => continue,
                (Err(error), Some(_)) => return Err(error),
            };
            // Worse than before is what must not be: a backend that was down may be down.
            if now >= 500 && before.is_none_or(|before| before < 500) {
                return Err(format!("{probe} is answered with {now}"));
            }
        }
        Ok(())
    }
}

/// Whether an idle connection has not been closed by the other end.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// The status of an answer.
async fn status(probe: &Probe) -> Result<u16, String> {
    let Probe { to, host, path } = probe;
    let failed = |error: std::io::Error| format!("{probe} is not answered: {error}");
    let ask = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut line = Vec::new();
        // The status is in the first dozen bytes.
        stream.take(64).read_to_end(&mut line).await?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    };
    let line: String = timeout(ANSWER, ask).await.map_err(|_| format!("{probe} is not answered"))?.map_err(failed)?;
    let status = line.split(' ').nth(1).and_then(|status| status.get(..3)?.parse().ok());
    status.ok_or_else(|| format!("{probe} is not answered with HTTP"))
}

/// A connection that has been answered and is kept open; none if it is closed behind the answer.
async fn hold(Probe { to, host, path }: &Probe) -> Option<TcpStream> {
    let mut stream = timeout(ANSWER, TcpStream::connect(to)).await.ok()?.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = vec![0; 8192];
    let first = timeout(ANSWER, stream.read(&mut answer)).await.ok()?.ok()?;
    let mut open = first > 0;
    while open && let Ok(read) = timeout(QUIET, stream.read(&mut answer)).await {
        open = read.is_ok_and(|read| read > 0);
    }
    open.then_some(stream)
}
