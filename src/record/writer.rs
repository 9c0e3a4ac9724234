//! The one task that writes to the database.
//!
//! Everything that has queued up while the disk was busy goes into the next
//! transaction (group commit): one fsync for all of it, and nobody is answered
//! before it. Only this task inserts into the audit log, so what the rows have
//! to have in common, their order for one, is looked after in one place.
//!
//! When the database cannot be written, everybody is told at once, and the
//! task tries again until it can. When that is for want of room, the
//! [ballast](super::ballast) goes first, and nobody notices.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection as _, SqliteConnection};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    ballast::{self, Ballast},
    chain::Head,
    clock,
    database::{Database, Readers},
    events::{self, Event},
    journal::Outcome,
    metrics::Metrics,
    pending::Pending,
    statements::{self, Written},
};
use crate::{
    manifest::{Key, status::Status},
    plan::History,
};

/// Rows that may wait for the writer; who comes later waits before that.
const QUEUE: usize = 1024;

/// Rows in one transaction. Larger ones would save little more of the fsync and keep the first in them waiting.
const BATCH: usize = 256;

/// How often to try whether writing works again; each try is one small transaction.
const PROBE: Duration = Duration::from_millis(500);

/// How often events are pruned, and how soon again when there were many.
const PRUNE: Duration = Duration::from_hours(24);
const PRUNE_MORE: Duration = Duration::from_secs(1);

/// Outcomes to make up for when writing works again. Acts stop when intents
/// cannot be written, so only those under way at that moment can come here.
const PARKED: usize = 1024;

/// What a row came to: its number, or why it is not there.
pub(super) type Answer = Result<i64, Error>;

/// What is known about every object, kept in memory.
pub(super) type Known<T> = Arc<Mutex<BTreeMap<Key, T>>>;

/// Something to make durable.
#[derive(Debug)]
pub(super) enum Write {
    /// A step is about to be taken.
    Intent(Box<Row>),
    /// What came of intents, by their numbers.
    Outcomes(Vec<(i64, Outcome)>),
    /// Something was done: intent and outcome.
    Note(Box<Row>, Outcome),
    /// Takes the oldest rows out of the audit log, up to this number, as many as fit into one transaction. The answer is how
    /// many that were.
    Discard(i64),
    /// The last row that was shipped, where the log is shipped.
    Shipped(Option<i64>),
    /// What is remembered about an object, as JSON; none to forget it.
    History(Key, Option<String>),
    /// Everything that is waiting in [`Pending`].
    Pending,
}

/// The columns of an intent.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) actor: String,
    pub(super) pass: Option<String>,
    pub(super) step: Option<i64>,
    pub(super) object: String,
    pub(super) generation: Option<i64>,
    pub(super) operation: String,
    pub(super) target: String,
    pub(super) why_code: String,
    pub(super) why: String,
    pub(super) details: String,
}

/// Something to make durable, and who wants to know when it is.
#[derive(Debug)]
pub(super) struct Request {
    write: Write,
    reply: oneshot::Sender<Answer>,
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub(super) struct Submit(mpsc::Sender<Request>);

impl Submit {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Returns when it is durable, or will not be.
    pub(super) async fn write(&self, write: Write) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.0.send(Request { write, reply }).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

/// What the writer has in common with everybody else.
pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) pending: Arc<Pending>,
    pub(super) readers: Arc<Readers>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) writable: watch::Sender<bool>,
    pub(super) written: broadcast::Sender<Event>,
    /// The last row of the audit log.
    pub(super) head: watch::Sender<Head>,
    pub(super) statuses: Known<Status>,
    pub(super) histories: Known<History>,
    /// How long events are kept.
    pub(super) retention: SignedDuration,
}

pub(super) struct Writer {
    shared: Shared,
    requests: mpsc::Receiver<Request>,
    /// The connection, or why there is none.
    connection: Result<SqliteConnection, Error>,
    /// The file that it writes to.
    file: Option<(u64, u64)>,
    /// Whether that file is a new one, which nobody could write yet what the old one had.
    lacks_what_was_known: bool,
    /// The highest number given to an intent.
    last_id: i64,
    parked: Vec<(i64, Outcome)>,
    ballast: Ballast,
}

impl Writer {
    pub(super) fn new(shared: Shared, requests: mpsc::Receiver<Request>, connection: SqliteConnection) -> Self {
        let file = shared.database.identity();
        let ballast = Ballast::in_directory(shared.database.directory());
        let (last_id, parked) = (0, Vec::new());
        Self { shared, requests, connection: Ok(connection), file, lacks_what_was_known: false, last_id, parked, ballast }
    }

    /// Writes until it is stopped, or nobody is left who could want anything; then writes the rest.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut prune_at = Instant::now();
        let mut probe_at = Instant::now();
        let mut ballast_at = Instant::now();
        let pending = Arc::clone(&self.shared.pending);
        loop {
            let is_writable = self.connection.is_ok();
            tokio::select! {
                // What comes all the time stands after what comes now and then, so that nobody is kept waiting for ever.
                biased;
                () = stop.cancelled(), if !self.requests.is_closed() => self.requests.close(),
                () = pending.ripe(), if is_writable => self.write_pending().await,
                () = tokio::time::sleep_until(probe_at), if !is_writable => {
                    self.reopen().await;
                    probe_at = Instant::now() + PROBE;
                }
                () = tokio::time::sleep_until(ballast_at), if is_writable => {
                    self.lay_ballast();
                    ballast_at = Instant::now() + ballast::AGAIN;
                }
                () = tokio::time::sleep_until(prune_at), if is_writable => {
                    let may_be_more = self.prune().await;
                    prune_at = Instant::now() + if may_be_more { PRUNE_MORE } else { PRUNE };
                }
                received = self.requests.recv_many(&mut batch, BATCH) => match received {
                    0 => break,
                    _ => self.serve(mem::take(&mut batch)).await,
                },
            }
        }
        self.write_all_pending().await;
        if let Ok(connection) = self.connection {
            // Moves the write-ahead log into the file, when no reader is left.
            let _ = self.shared.database.within(connection.close()).await;
        }
    }

    /// Makes the requests durable and answers them.
    async fn serve(&mut self, requests: Vec<Request>) {
        let (writes, replies): (Vec<_>, Vec<_>) = requests.into_iter().map(|request| (request.write, request.reply)).unzip();
        if writes.iter().any(|write| matches!(write, Write::Pending)) {
            self.write_all_pending().await;
        }
        let mut written = self.write(&writes).await;
        if let Err(error) = &written
            && (matches!(error, Error::Replaced { .. }) || self.makes_room(error))
        {
            // What was written went nowhere; a new file, or room for it, is one probe away.
            self.reopen().await;
            written = self.write(&writes).await;
        }
        let answers = written.unwrap_or_else(|error| {
            let refused = vec![Err(error); replies.len()];
            self.park(writes);
            refused
        });
        self.last_id = answers.iter().flatten().copied().fold(self.last_id, i64::max);
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Who has stopped waiting has no use for the answer.
            let _ = reply.send(answer);
        }
    }

    async fn write(&mut self, writes: &[Write]) -> Result<Vec<Answer>, Error> {
        let connection = self.connection.as_mut().map_err(|error| error.clone())?;
        let started = std::time::Instant::now();
        let done = self.shared.database.within(statements::write(connection, writes)).await;
        self.shared.metrics.journal_write(started.elapsed());
        let Written { answers, head } = self.settle(done)?;
        self.shared.head.send_if_modified(|known| {
            let is_news = *known != head;
            *known = head;
            is_news
        });
        Ok(answers)
    }

    /// Remembers the outcomes among what could not be written: what was done, was done.
    fn park(&mut self, writes: Vec<Write>) {
        for write in writes {
            if let Write::Outcomes(outcomes) = write {
                let room = PARKED.saturating_sub(self.parked.len());
                self.parked.extend(outcomes.into_iter().take(room));
            }
        }
    }

    /// Writes one transaction of what is waiting.
    async fn write_pending(&mut self) {
        let batch = self.shared.pending.take();
        let done = match &mut self.connection {
            Ok(connection) => self.shared.database.within(statements::write_pending(connection, &batch)).await,
            Err(_) => return self.shared.pending.put_back(batch),
        };
        match self.settle(done) {
            Ok(events) => {
                for event in events {
                    // An error says that nobody listens.
                    let _ = self.shared.written.send(event);
                }
            }
            Err(_) => self.shared.pending.put_back(batch),
        }
    }

    async fn write_all_pending(&mut self) {
        while self.connection.is_ok() && !self.shared.pending.is_empty() {
            self.write_pending().await;
        }
    }

    async fn prune(&mut self) -> bool {
        let Ok(connection) = &mut self.connection else { return true };
        let before = clock::now().checked_sub(self.shared.retention).unwrap_or(Timestamp::MIN);
        let done = self.shared.database.within(statements::prune_events(connection, before)).await;
        self.settle(done).unwrap_or(true)
    }

    /// Takes in how a transaction ended: after an error that is not about one
    /// row, nothing is written until a probe has succeeded.
    fn settle<T>(&mut self, done: Option<Result<T, sqlx::Error>>) -> Result<T, Error> {
        let database = &self.shared.database;
        let path = database.path().to_owned();
        let result = match done {
            Some(Ok(value)) if database.identity() == self.file => return Ok(value),
            Some(Ok(_)) => Error::Replaced { path },
            Some(Err(source)) => Error::Write { path, source: Arc::new(source) },
            None => database.timed_out(),
        };
        tracing::error!(error = &result as &dyn std::error::Error, "the journal cannot be written: nothing is done until it can");
        self.connection = Err(result.clone());
        self.announce(false);
        Err(result)
    }

    /// Gives up the ballast, if that may help; false if it does not, or is gone already.
    fn makes_room(&self, trouble: &Error) -> bool {
        let is_made = trouble.wants_room(|| self.ballast.is_scarce()) && self.ballast.give_up();
        if is_made {
            tracing::warn!("the disk of the state directory is full: the ballast is given up, make room");
            self.shared.pending.add_event(events::ballast_given_up(), clock::now());
        }
        is_made
    }

    fn lay_ballast(&self) {
        if let Err(error) = self.ballast.lay() {
            tracing::warn!(%error, "no room can be kept for a full disk");
        }
    }

    /// Tries to get going again.
    async fn reopen(&mut self) {
        let Err(trouble) = &self.connection else { return };
        self.makes_room(trouble);
        match self.opened(trouble).await {
            Ok(connection) => {
                self.connection = Ok(connection);
                self.restore().await;
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the journal still cannot be written");
                self.connection = Err(error);
            }
        }
    }

    async fn opened(&self, trouble: &Error) -> Result<SqliteConnection, Error> {
        let database = &self.shared.database;
        let opening = match trouble {
            // Opening may not touch the damaged page; SQLite has met it.
            damage if damage.is_damage() => database.start_over(damage).await?,
            _ => database.open_or_start_over().await?,
        };
        if let Some(aside) = &opening.moved_aside {
            self.shared.pending.add_event(events::journal_damaged(aside), clock::now());
        }
        let mut connection = opening.connection;
        match database.within(statements::probe(&mut connection, self.last_id)).await {
            Some(Ok(())) => Ok(connection),
            Some(Err(source)) => Err(Error::Write { path: database.path().to_owned(), source: Arc::new(source) }),
            None => Err(database.timed_out()),
        }
    }

    /// Brings the database up to what is known in memory, and says that it works.
    async fn restore(&mut self) {
        let file = self.shared.database.identity();
        let is_new = mem::replace(&mut self.file, file) != file;
        let mut writes = Vec::new();
        if is_new {
            self.shared.readers.renew();
        }
        // The disk that damaged the old one may still be full.
        self.lacks_what_was_known |= is_new;
        if self.lacks_what_was_known {
            self.remember(&mut writes);
        }
        // Those that are there already are refused one by one.
        writes.extend(mem::take(&mut self.parked).into_iter().map(|outcome| Write::Outcomes(vec![outcome])));
        if self.write(&writes).await.is_ok() {
            self.lacks_what_was_known = false;
            tracing::info!(is_new, "the journal can be written");
            self.announce(true);
        } else {
            self.park(writes);
        }
    }

    /// Everything that a new file has to have of what the old one had.
    fn remember(&self, writes: &mut Vec<Write>) {
        for (key, status) in &*self.shared.statuses.lock().expect("nothing panics while holding it") {
            self.shared.pending.add_status(key.clone(), Some(status.clone()));
        }
        for (key, history) in &*self.shared.histories.lock().expect("nothing panics while holding it") {
            writes.push(Write::History(key.clone(), Some(super::history::json(history))));
        }
    }

    fn announce(&self, is_writable: bool) {
        self.shared.metrics.journal_writable(is_writable);
        self.shared.writable.send_if_modified(|known| mem::replace(known, is_writable) != is_writable);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Record, Settings},
        *,
    };
    use crate::manifest::Kind;

    /// A stop by a person was forgotten, and undone after the next restart.
    #[tokio::test]
    async fn what_the_old_file_had_comes_into_the_new_one_however_often_that_fails_at_first() {
        let state = tempfile::tempdir().unwrap();
        let database = Database::in_directory(state.path());
        let opening = database.open_or_start_over().await.unwrap();
        let (shared, _) = Record::shared(database, opening.loaded, Settings::default());
        let redis = Key { kind: Kind::Container, name: "redis".to_owned() };
        shared.histories.lock().unwrap().insert(redis.clone(), History { failures: 3, ..History::default() });
        let mut writer = Writer::new(shared, Submit::new().1, opening.connection);

        // As if the file had just been begun, on a disk that is full.
        writer.file = None;
        let full = sqlx::query("PRAGMA query_only = ON");
        full.execute(writer.connection.as_mut().unwrap()).await.unwrap();
        writer.restore().await;
        assert!(writer.connection.is_err());

        writer.reopen().await;
        assert!(writer.connection.is_ok());
        let kept = Database::in_directory(state.path()).look().await.unwrap().histories;
        assert_eq!(kept[&redis].failures, 3);
    }
}
