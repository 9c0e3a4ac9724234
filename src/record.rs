//! What happened, kept: journal and audit log, events, status, memory, metrics.
//!
//! Everything durable is in one SQLite file in the state directory, written by
//! one task. A row in the journal comes before the act it speaks of; who gets
//! an error instead does not act. Nothing is decided here.

mod ballast;
mod database;
mod error;
mod key;
mod pending;
mod statements;
mod writer;

pub mod audit;
pub mod chain;
pub mod clock;
pub mod events;
pub mod history;
pub mod journal;
pub mod metrics;
pub mod pass;
pub mod ship;
pub mod status;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use jiff::SignedDuration;
use tokio::{
    sync::{broadcast, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub use database::FILE;
pub use error::Error;
pub use key::{fingerprint_key, known_fingerprint_key};

use database::{Database, Opening, Readers};
use events::Events;
use history::Histories;
use journal::{Journal, OpenIntent};
use metrics::Metrics;
use pending::Pending;
use statements::Loaded;
use status::Statuses;
use writer::{Shared, Submit, Writer};

/// Events that may wait for somebody who watches; who is further behind lists again.
const WATCHED: usize = 1024;

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long events are kept.
    pub event_retention: SignedDuration,
    /// Whether nothing else on the thread goes on while the database is written, for those who hold tokio's clock.
    pub at_once: bool,
}

impl Default for Settings {
    fn default() -> Self {
        // Long enough to look into what happened before a holiday.
        Self { event_retention: SignedDuration::from_hours(4 * 7 * 24), at_once: false }
    }
}

/// The record of one Mooring.
#[derive(Debug)]
pub struct Record {
    /// What was done, and why.
    pub journal: Journal,
    /// What people are told.
    pub events: Events,
    /// How every object is.
    pub status: Statuses,
    /// What has to be remembered about every object.
    pub history: Histories,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    readers: Arc<Readers>,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What was found when the record was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Steps of which an earlier process did not write down what came of them. They are closed as
    /// `unknown` now; their objects have to be looked at.
    pub open_intents: Vec<OpenIntent>,
    /// Where the database is kept that was there and is damaged.
    pub moved_aside: Option<PathBuf>,
}

impl Record {
    /// Opens the record for the one operator that runs on this state directory.
    pub async fn open(state: &Path, settings: Settings) -> Result<(Self, Opened), Error> {
        let (record, moved_aside) = Self::start(state, settings).await?;
        let open_intents = record.journal.close_open_intents().await?;
        if let Some(aside) = &moved_aside {
            record.events.record(events::journal_damaged(aside));
        }
        Ok((record, Opened { open_intents, moved_aside }))
    }

    /// Opens the record beside the operator that may be running, for a person's
    /// command: what is under way is left alone.
    pub async fn join(state: &Path, settings: Settings) -> Result<Self, Error> {
        Self::start(state, settings).await.map(|(record, _)| record)
    }

    /// Reads the record of an operator that does not run, without a trace: not a byte in the directory changes. What is
    /// recorded here is refused.
    pub async fn look(state: &Path) -> Result<Self, Error> {
        let database = Database::without_trace(state);
        let loaded = database.look().await?;
        let (shared, is_writable) = Self::shared(database, loaded, Settings::default());
        // Nobody listens at the other end.
        let (submit, _) = Submit::new();
        Ok(Self::over(&shared, submit, is_writable))
    }

    async fn start(state: &Path, settings: Settings) -> Result<(Self, Option<PathBuf>), Error> {
        let database = Database::in_directory(state).at_once(settings.at_once);
        let Opening { connection, loaded, moved_aside } = database.open_or_start_over().await?;
        let (submit, requests) = Submit::new();
        let (shared, is_writable) = Self::shared(database, loaded, settings);
        let record = Self::over(&shared, submit, is_writable);
        let writer = Writer::new(shared, requests, connection).run(record.stop.clone());
        *record.writer.lock().expect("nobody else has it yet") = Some(tokio::spawn(writer));
        Ok((record, moved_aside))
    }

    fn shared(database: Database, loaded: Loaded, settings: Settings) -> (Shared, watch::Receiver<bool>) {
        let (writable, is_writable) = watch::channel(true);
        let shared = Shared {
            readers: Arc::new(Readers::new(database.clone())),
            database,
            pending: Arc::new(Pending::default()),
            metrics: Arc::new(Metrics::new()),
            writable,
            written: broadcast::Sender::new(WATCHED),
            head: watch::Sender::new(loaded.head),
            statuses: Arc::new(Mutex::new(loaded.statuses)),
            histories: Arc::new(Mutex::new(loaded.histories)),
            retention: settings.event_retention,
        };
        (shared, is_writable)
    }

    fn over(shared: &Shared, submit: Submit, is_writable: watch::Receiver<bool>) -> Self {
        let Shared { pending, readers, metrics, written, statuses, histories, head, .. } = shared;
        Self {
            journal: Journal::new(submit.clone(), Arc::clone(readers), is_writable, head.subscribe()),
            events: Events::new(Arc::clone(pending), submit.clone(), Arc::clone(readers), written.clone(), Arc::clone(metrics)),
            status: Statuses::new(Arc::clone(statuses), Arc::clone(pending)),
            history: Histories::new(Arc::clone(histories), submit),
            metrics: Arc::clone(metrics),
            readers: Arc::clone(readers),
            stop: CancellationToken::new(),
            writer: Mutex::new(None),
        }
    }

    /// The metrics in Prometheus' text format, counted up to now.
    #[must_use]
    pub fn render_metrics(&self) -> String {
        self.metrics.objects(&self.status.count());
        self.metrics.audit_head(&self.journal.head().borrow());
        self.metrics.render()
    }

    /// What ships the audit log there, and news of it.
    #[must_use]
    pub fn shipper(&self, target: ship::Target) -> (ship::Shipper, watch::Receiver<ship::Progress>) {
        let (progress, told) = watch::channel(ship::Progress::default());
        (ship::Shipper { target, log: self.journal.rows(), head: self.journal.head(), progress }, told)
    }

    /// Writes what is waiting and closes the database. What comes later is refused.
    pub async fn shutdown(&self) {
        // Whoever closes it last puts everything into the one file; that has to be the writer.
        self.readers.close().await;
        self.stop.cancel();
        let writer = self.writer.lock().expect("nothing panics while holding it").take();
        if let Some(writer) = writer
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the journal's writer died");
        }
    }
}
