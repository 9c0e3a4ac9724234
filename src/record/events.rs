//! What people are told, as in Kubernetes: reason, message, object, how often.
//!
//! Events are for reading; nothing decides on them, and losing one loses no
//! fact, because every act is in the journal as well.

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqlitePool, sqlite::SqliteRow};
use tokio::sync::broadcast;

use super::{
    Error, clock,
    database::Readers,
    metrics::Metrics,
    pending::Pending,
    writer::{Submit, Write},
};
use crate::manifest::{InvalidKey, Key};

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub enum Subject {
    /// One object.
    Object(Key),
    /// The host as a whole: its engine, the desired directory, Mooring itself.
    Host,
}

impl From<Key> for Subject {
    fn from(key: Key) -> Self {
        Self::Object(key)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(key) => key.fmt(f),
            Self::Host => f.write_str("Host"),
        }
    }
}

impl FromStr for Subject {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if text.eq_ignore_ascii_case("host") { Ok(Self::Host) } else { text.parse().map(Self::Object) }
    }
}

/// Whether somebody should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody should care.
    Warning,
}

impl EventType {
    /// The type's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened. Two that are equal are one event that happened twice, so a
/// message must not hold a time or a count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EventKey {
    /// To what.
    pub object: Subject,
    /// Whether somebody should care.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// One word in CamelCase.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// What happened, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub key: EventKey,
    /// When it was first seen, RFC 3339.
    pub first_at: String,
    /// When it was last seen, RFC 3339.
    pub last_at: String,
    /// How often.
    pub count: i64,
}

/// Which events are wanted.
#[derive(Clone, Debug)]
pub struct EventFilter {
    /// At most so many, those last seen.
    pub limit: u32,
    /// About this only.
    pub object: Option<Subject>,
    /// Seen since then.
    pub since: Option<Timestamp>,
}

impl Default for EventFilter {
    fn default() -> Self {
        Self { limit: 200, object: None, since: None }
    }
}

/// Tells people what happens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events {
    pending: Arc<Pending>,
    submit: Submit,
    readers: Arc<Readers>,
    written: broadcast::Sender<Event>,
    metrics: Arc<Metrics>,
}

impl Events {
    pub(super) fn new(
        pending: Arc<Pending>,
        submit: Submit,
        readers: Arc<Readers>,
        written: broadcast::Sender<Event>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { pending, submit, readers, written, metrics }
    }

    /// Tells that something is as it should be. Never waits.
    pub fn normal(&self, object: impl Into<Subject>, reason: &str, message: impl Into<String>) {
        let (object, reason, message) = (object.into(), reason.to_owned(), message.into());
        self.record(EventKey { object, kind: EventType::Normal, reason, message });
    }

    /// Tells of something that somebody should care about. Never waits.
    pub fn warning(&self, object: impl Into<Subject>, reason: &str, message: impl Into<String>) {
        let (object, reason, message) = (object.into(), reason.to_owned(), message.into());
        self.record(EventKey { object, kind: EventType::Warning, reason, message });
    }

    /// Tells what happened. Never waits; when too much is waiting to be written, it is dropped and counted.
    pub fn record(&self, event: EventKey) {
        if !self.pending.add_event(event, clock::now()) {
            self.metrics.event_dropped();
        }
    }

    /// The events that pass the filter, the one last seen at the end.
    pub async fn list(&self, filter: &EventFilter) -> Result<Vec<Event>, Error> {
        let mut query = list_query(filter);
        let rows: Vec<SqliteRow> = self.readers.read(async |pool: SqlitePool| query.build().fetch_all(&pool).await).await?;
        Ok(rows.iter().rev().filter_map(event).collect())
    }

    /// Every event from now on, with its count so far, once it is written.
    /// Who falls behind has to list again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.written.subscribe()
    }

    /// Waits until everything told so far can be listed.
    pub async fn flush(&self) -> Result<(), Error> {
        self.submit.write(Write::Pending).await.map(drop)
    }
}

/// What is told when a damaged database was moved aside.
pub(super) fn journal_damaged(aside: &Path) -> EventKey {
    let message = format!("the journal was damaged and a new one was begun; the earlier rows are in {}", aside.display());
    EventKey { object: Subject::Host, kind: EventType::Warning, reason: "JournalDamaged".to_owned(), message }
}

/// What is told when the room that was kept for a full disk has been given up.
pub(super) fn ballast_given_up() -> EventKey {
    let message = "the disk of the state directory is full; what is done is still recorded, in the room that was kept for this, \
                   and that will not last: make room"
        .to_owned();
    EventKey { object: Subject::Host, kind: EventType::Warning, reason: "StateDiskFull".to_owned(), message }
}

fn list_query(filter: &EventFilter) -> QueryBuilder<Sqlite> {
    let EventFilter { limit, object, since } = filter;
    let mut query = QueryBuilder::new("SELECT object, type, reason, message, first_at, last_at, count FROM event WHERE TRUE");
    if let Some(object) = object {
        query.push(" AND object = ").push_bind(object.to_string());
    }
    if let Some(since) = since {
        query.push(" AND last_at >= ").push_bind(clock::text(*since));
    }
    query.push(" ORDER BY last_at DESC, id DESC LIMIT ").push_bind(i64::from(*limit));
    query
}

/// None for an object of a kind that this version does not know.
fn event(row: &SqliteRow) -> Option<Event> {
    let kind = if row.get::<&str, _>("type") == EventType::Warning.as_str() { EventType::Warning } else { EventType::Normal };
    let object = row.get::<&str, _>("object").parse().ok()?;
    let key = EventKey { object, kind, reason: row.get("reason"), message: row.get("message") };
    Some(Event { key, first_at: row.get("first_at"), last_at: row.get("last_at"), count: row.get("count") })
}
