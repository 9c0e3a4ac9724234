//! Directories → a reason to look again, whenever something in them has changed.
//!
//! What changed is not told: the caller reads everything again, and cheaply. A
//! burst of changes is one reason. A directory that goes away and comes back is
//! found again, also when something else is mounted over it.

#[cfg(test)]
mod tests;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{Stream, stream};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// How often it is checked that the directories are still those that are watched: the kernel does not tell of a mount
/// over one of them, and nobody tells of one that comes back. It costs a `stat` each.
const CHECK: Duration = Duration::from_secs(1);

/// Fires when something in or below the directories has changed: `settle` after the last change, but at most `cap`
/// after the first, since a file that is written all the time would put it off for ever.
///
/// Fires once at the start, because something may have changed before. A directory need not exist.
pub fn watch(
    hearing: &Hearing,
    directories: Vec<PathBuf>,
    settle: Duration,
    cap: Duration,
) -> impl Stream<Item = ()> + Send + use<> {
    triggers(Watch::new(hearing, directories, RecursiveMode::Recursive, settle, cap))
}

/// Like [`watch`], without the directories below: for `.env` files, whose directory may hold a whole project.
pub fn watch_flat(
    hearing: &Hearing,
    directories: Vec<PathBuf>,
    settle: Duration,
    cap: Duration,
) -> impl Stream<Item = ()> + Send + use<> {
    triggers(Watch::new(hearing, directories, RecursiveMode::NonRecursive, settle, cap))
}

/// Who tells that something in a directory has changed.
#[derive(Clone, Debug, Default)]
pub enum Hearing {
    /// The kernel.
    #[default]
    Kernel,
    /// Somebody who says so: for tests that hold tokio's clock, which the kernel does not know of.
    Told(Arc<tokio::sync::watch::Sender<()>>),
}

fn triggers(watch: Watch) -> impl Stream<Item = ()> + Send {
    stream::unfold(watch, |mut watch| async move {
        watch.changed().await;
        Some(((), watch))
    })
}

/// What is watched, and what has been heard of it.
struct Watch {
    roots: Arc<[PathBuf]>,
    mode: RecursiveMode,
    settle: Duration,
    cap: Duration,
    armed: Option<Armed>,
    told: Option<tokio::sync::watch::Receiver<()>>,
    signal: Arc<Signal>,
    burst: Option<Burst>,
    /// None where there is nothing to check.
    next_check: Option<Instant>,
    /// Whether it has been said that the directories are polled; once is enough.
    is_polling: bool,
}

/// A watcher at work, and the directories that it watches.
struct Armed {
    _watcher: Option<RecommendedWatcher>,
    identities: Vec<Option<Identity>>,
}

/// Device and inode: another directory under the same name has another one.
type Identity = (u64, u64);

/// What the watcher's thread has to say. It says it without waiting, and any number of times is once.
#[derive(Default)]
struct Signal {
    changed: Notify,
    /// A directory itself was removed, and its watch with it. The next one of that name may even get its inode.
    lost: AtomicBool,
}

/// Changes that have not been told.
#[derive(Clone, Copy)]
struct Burst {
    first: Instant,
    last: Instant,
}

impl Watch {
    fn new(hearing: &Hearing, roots: Vec<PathBuf>, mode: RecursiveMode, settle: Duration, cap: Duration) -> Self {
        let signal = Arc::new(Signal::default());
        let told = match hearing {
            Hearing::Kernel => None,
            Hearing::Told(teller) => Some(teller.subscribe()),
        };
        Self {
            roots: roots.into(),
            mode,
            settle,
            cap,
            armed: None,
            told,
            signal,
            burst: None,
            next_check: Some(Instant::now()),
            is_polling: false,
        }
    }

    /// Waits for the next reason to look again. May be dropped and called again at any time without losing one.
    async fn changed(&mut self) {
        loop {
            let now = Instant::now();
            if self.next_check.is_some_and(|at| now >= at) || self.signal.lost.load(Ordering::Relaxed) {
                self.check();
                // Whoever has no directories would be woken up each second for nothing.
                self.next_check = (!self.roots.is_empty()).then_some(now + CHECK);
            }
            let due = self.burst.map(|burst| (burst.last + self.settle).min(burst.first + self.cap));
            if due.is_some_and(|due| now >= due) {
                self.burst = None;
                return;
            }
            let wake = due.into_iter().chain(self.next_check).min();
            tokio::select! {
                biased;
                () = self.signal.changed.notified() => self.heard(),
                () = told(&mut self.told) => self.heard(),
                () = until(wake) => {}
            }
        }
    }

    fn heard(&mut self) {
        let now = Instant::now();
        self.burst = Some(Burst { first: self.burst.map_or(now, |burst| burst.first), last: now });
    }

    /// Watches anew when the directories are not those that are watched.
    ///
    /// One that is there but cannot be watched never counts as watched, so that the check becomes a poll.
    fn check(&mut self) {
        let identities: Vec<_> = self.roots.iter().map(|root| identity(root)).collect();
        let is_lost = self.signal.lost.swap(false, Ordering::Relaxed);
        if is_lost || self.armed.as_ref().is_none_or(|armed| armed.identities != identities) {
            // The old watcher goes first: the kernel limits how many there are.
            self.armed = None;
            self.armed = Some(self.arm(identities));
            self.heard();
        }
    }

    fn arm(&mut self, mut identities: Vec<Option<Identity>>) -> Armed {
        if self.told.is_some() || self.roots.is_empty() {
            return Armed { _watcher: None, identities };
        }
        let (mut watcher, mut trouble) = match self.watcher() {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error)),
        };
        for (root, identity) in self.roots.iter().zip(&mut identities).filter(|(_, identity)| identity.is_some()) {
            match watcher.as_mut().map(|watcher| watcher.watch(root, self.mode)) {
                Some(Ok(())) => {}
                Some(Err(error)) => (*identity, trouble) = (None, Some(error)),
                None => *identity = None,
            }
        }
        if let Some(error) = &trouble
            && !self.is_polling
        {
            tracing::warn!(%error, "file changes cannot be watched for; they are looked for every second");
        }
        self.is_polling = trouble.is_some();
        Armed { _watcher: watcher, identities }
    }

    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let (signal, roots) = (Arc::clone(&self.signal), Arc::clone(&self.roots));
        notify::recommended_watcher(move |event| hear(&signal, &roots, &event))
    }
}

/// Ends at that time, if there is one.
async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Ends when somebody tells of a change, if there is anybody who does.
async fn told(told: &mut Option<tokio::sync::watch::Receiver<()>>) {
    let is_told = match told {
        Some(told) => told.changed().await.is_ok(),
        None => false,
    };
    if !is_told {
        std::future::pending::<()>().await;
    }
}

/// Runs on the watcher's thread. Reading a file is an event, too, and must not make us read it again.
fn hear(signal: &Signal, roots: &[PathBuf], event: &notify::Result<notify::Event>) {
    if let Ok(event) = event {
        if event.kind.is_access() {
            return;
        }
        if matches!(event.kind, EventKind::Remove(_)) && event.paths.iter().any(|path| roots.contains(path)) {
            signal.lost.store(true, Ordering::Relaxed);
        }
    }
    // An error may stand for any number of lost events, as an overflow does.
    signal.changed.notify_one();
}

fn identity(directory: &Path) -> Option<Identity> {
    let metadata = fs::metadata(directory).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}
