//! The journal, which is also the audit log: a row before every act, a row
//! after it, none ever changed.
//!
//! What is answered `Ok` here survives the power. Nothing here decides whether
//! to act; who gets an error from [`Journal::intend`] must not.

use std::{fmt, path::Path, sync::Arc};

use futures::{Stream, StreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqlitePool, sqlite::SqliteRow};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Error,
    audit::{self, AuditLog, Cleared},
    chain::Head,
    clock,
    database::Readers,
    events::Subject,
    statements::ARCHIVABLE,
    writer::{Row, Submit, Write},
};
use crate::{
    crash,
    manifest::Key,
    plan::{Code, Step},
};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Mooring itself.
    Reconciler,
    /// A person at the command line, by the name of the account.
    Cli(String),
    /// Somebody who has logged in to the backend manager, by the name of the session.
    Session(String),
    /// A program that came by way of the backend manager, or a playbook of it: `token:NAME`, `plugin:internal`, `playbook:NAME`.
    Machine(String),
    /// Somebody who came over TCP, and of whom nothing is known.
    Api,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reconciler => f.write_str("reconciler"),
            Self::Cli(user) => write!(f, "cli:{user}"),
            Self::Session(session) => write!(f, "session:{session}"),
            Self::Machine(name) => f.write_str(name),
            Self::Api => f.write_str("api"),
        }
    }
}

/// One run of reconcile for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PassId(Uuid);

impl PassId {
    /// The id of a pass that begins.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "every one is different")]
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for PassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A step that is about to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// Who takes it.
    pub actor: &'a Actor,
    /// In which pass.
    pub pass: PassId,
    /// Its number in the plan, counted from one.
    pub number: usize,
    /// The object it is for.
    pub object: &'a Key,
    /// The generation of the object's manifest.
    pub generation: i64,
    /// The step.
    pub step: &'a Step,
}

/// What a person's command did: written when it is done, as intent and outcome at once.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// What: `Apply`, `Delete`, `Release`.
    pub operation: &'a str,
    /// What it is about.
    pub object: &'a Subject,
    /// What was acted on, such as the manifest's file.
    pub target: &'a str,
    /// What was asked for, as a sentence.
    pub why: &'a str,
    /// More for programs; no secrets.
    pub details: &'a serde_json::Value,
    /// What came of it.
    pub outcome: &'a Outcome,
}

/// The number of an intent's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct IntentId(pub(crate) i64);

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The world is different now.
    Done,
    /// It was so already.
    AlreadySo,
    /// It was tried and failed.
    Failed {
        /// The error with its causes.
        error: String,
    },
    /// Whether it was done is not known: Mooring died, or the answer was lost.
    Unknown,
}

impl Outcome {
    /// The outcome's word in the log and in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadySo => "already-so",
            Self::Failed { .. } => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Failed { error } => Some(error),
            Self::Done | Self::AlreadySo | Self::Unknown => None,
        }
    }
}

/// An intent that an earlier process left without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    /// Its row.
    pub id: IntentId,
    /// The object to look at again.
    pub object: Key,
    /// What was about to be done.
    pub operation: String,
    /// To what.
    pub target: String,
    /// When.
    pub created_at: String,
}

/// Which entries of the log are wanted.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// At most so many, the newest.
    pub limit: u32,
    /// About this object only.
    pub object: Option<Key>,
    /// By this actor only.
    pub actor: Option<String>,
    /// Of this operation only.
    pub operation: Option<String>,
    /// On this target only.
    pub target: Option<String>,
    /// With this outcome only; `open` for those that are under way.
    pub outcome: Option<String>,
    /// Of this pass only.
    pub pass: Option<String>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Not younger than this.
    pub until: Option<Timestamp>,
    /// Before the entry of this number, to turn the page.
    pub before: Option<i64>,
}

impl Default for AuditFilter {
    fn default() -> Self {
        // A screen or two; more has to be asked for.
        Self {
            limit: 100,
            object: None,
            actor: None,
            operation: None,
            target: None,
            outcome: None,
            pass: None,
            since: None,
            until: None,
            before: None,
        }
    }
}

/// An act: its intent and, as far as it is known, its outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The number of the intent's row.
    pub id: i64,
    /// When it was about to be done, RFC 3339.
    pub created_at: String,
    /// Who.
    pub actor: String,
    /// In which pass; none for a person's command.
    pub pass: Option<String>,
    /// Its number in the plan, counted from one.
    pub step: Option<i64>,
    /// The object.
    pub object: String,
    /// The generation of the object's manifest.
    pub generation: Option<i64>,
    /// What.
    pub operation: String,
    /// To what.
    pub target: String,
    /// Both in words, as in `start redis`.
    pub action: String,
    /// Why, as a word.
    pub why_code: String,
    /// Why, as a sentence.
    pub why: String,
    /// What came of it; none while it is under way.
    pub outcome: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// When it ended.
    pub concluded_at: Option<String>,
    /// The whole step.
    pub details: serde_json::Value,
}

impl AuditEntry {
    /// What it was, and why: as [`Step::code`].
    #[must_use]
    pub fn code(&self) -> Code<'_> {
        (&self.operation, &self.why_code)
    }

    /// When it was about to be done; none for a time that this version cannot read.
    #[must_use]
    pub fn begun(&self) -> Option<Timestamp> {
        self.created_at.parse().ok()
    }

    /// The id of the container that it was about, where there was one.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        self.details["action"]["container"]["id"].as_str()
    }
}

/// The journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    submit: Submit,
    readers: Arc<Readers>,
    writable: watch::Receiver<bool>,
    head: watch::Receiver<Head>,
}

impl Journal {
    pub(super) fn new(
        submit: Submit,
        readers: Arc<Readers>,
        writable: watch::Receiver<bool>,
        head: watch::Receiver<Head>,
    ) -> Self {
        Self { submit, readers, writable, head }
    }

    /// Records that a step is about to be taken. On an error it must not be.
    pub async fn intend(&self, intent: &Intent<'_>) -> Result<IntentId, Error> {
        self.submit.write(Write::Intent(Box::new(row_of_step(intent)))).await.map(IntentId)
    }

    /// Records what came of it.
    ///
    /// When the database cannot be written, that is an error here, and the
    /// writer makes up for it as soon as it can, unless the process ends before.
    pub async fn conclude(&self, intent: IntentId, outcome: Outcome) -> Result<(), Error> {
        self.submit.write(Write::Outcomes(vec![(intent.0, outcome)])).await.map(drop)
    }

    /// Records that a person's command is about to act. On an error it must not. What came of it is still to be
    /// [concluded](Self::conclude); the command's own outcome is not written.
    pub async fn announce(&self, command: &Command<'_>) -> Result<IntentId, Error> {
        self.submit.write(Write::Intent(Box::new(row_of_command(command)))).await.map(IntentId)
    }

    /// Records what a person's command has done.
    pub async fn note(&self, command: &Command<'_>) -> Result<IntentId, Error> {
        let write = Write::Note(Box::new(row_of_command(command)), command.outcome.clone());
        self.submit.write(write).await.map(IntentId)
    }

    /// Closes what an earlier process left open, as `unknown`, and says what it was.
    ///
    /// Only the one operator that runs may ask for it, before its first step.
    pub async fn close_open_intents(&self) -> Result<Vec<OpenIntent>, Error> {
        let rows: Vec<SqliteRow> =
            self.readers.read(async |pool: SqlitePool| sqlx::query(OPEN_INTENTS).fetch_all(&pool).await).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = rows.iter().map(|row| (row.get("id"), Outcome::Unknown)).collect();
        self.submit.write(Write::Outcomes(outcomes)).await?;
        Ok(rows.iter().filter_map(open_intent).collect())
    }

    /// The newest entries that pass the filter, oldest first.
    pub async fn log(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, Error> {
        let mut query = log_query(filter);
        let rows: Vec<SqliteRow> = self.readers.read(async |pool: SqlitePool| query.build().fetch_all(&pool).await).await?;
        Ok(rows.iter().rev().map(entry).collect())
    }

    /// The acts that end from now on, and are known to this process: each once, in the order in which they end.
    pub fn follow(&self) -> impl Stream<Item = AuditEntry> + Send + use<> {
        let (readers, mut head) = (Arc::clone(&self.readers), self.head.clone());
        let told = head.borrow_and_update().id;
        let news = stream::unfold((head, told), move |(mut head, told)| {
            let readers = Arc::clone(&readers);
            async move {
                // The sender is the writer's; when it is gone, nothing comes any more.
                head.changed().await.ok()?;
                let last = head.borrow_and_update().id;
                let read = async |pool: SqlitePool| sqlx::query(ENDED).bind(told).bind(last).fetch_all(&pool).await;
                match readers.read(read).await {
                    Ok(rows) => Some((rows, (head, last))),
                    // Who is behind sees them with the next one.
                    Err(error) => {
                        tracing::warn!(error = crate::error_chain(&error), "the audit log cannot be followed just now");
                        Some((Vec::new(), (head, told)))
                    }
                }
            }
        });
        news.flat_map(|rows: Vec<SqliteRow>| stream::iter(rows.iter().map(entry).collect::<Vec<_>>()))
    }

    /// Archives all rows but those of acts that are under way, and takes them out of the log; none when there are none.
    ///
    /// The archive is durable, and a row of the log says where it is, before anything is taken out.
    pub async fn clear(&self, actor: &Actor, archive: &Path) -> Result<Option<Cleared>, audit::ReadError> {
        let read = async |pool: SqlitePool| sqlx::query_scalar(ARCHIVABLE).fetch_one(&pool).await;
        let last: i64 = self.readers.read(read).await?;
        let Some(cleared) = audit::archive(&self.rows(), archive, last).await? else { return Ok(None) };
        let command = Command {
            actor,
            operation: audit::CLEAR,
            object: &Subject::Host,
            target: &archive.display().to_string(),
            why: "mooring audit log --clear --confirm",
            details: &serde_json::to_value(&cleared).expect("it has string keys and no failing serializer"),
            outcome: &Outcome::Done,
        };
        self.note(&command).await?;
        crash::point("archive-after-row");
        while self.submit.write(Write::Discard(last)).await? > 0 {
            crash::point("archive-after-discard");
        }
        Ok(Some(cleared))
    }

    /// Remembers the last row that is known to be in another database, so that none is archived before; none where the log is
    /// not shipped.
    pub async fn shipped(&self, last: Option<i64>) -> Result<(), Error> {
        self.submit.write(Write::Shipped(last)).await.map(drop)
    }

    /// All rows, one by one.
    #[must_use]
    pub fn rows(&self) -> AuditLog {
        AuditLog::over(Arc::clone(&self.readers))
    }

    /// The last row of the audit log that this process knows of, and news about it.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Whether acts can be recorded, and news about it.
    #[must_use]
    pub fn writable(&self) -> watch::Receiver<bool> {
        self.writable.clone()
    }
}

fn row_of_step(intent: &Intent<'_>) -> Row {
    let Intent { actor, pass, number, object, generation, step } = *intent;
    Row {
        actor: actor.to_string(),
        pass: Some(pass.to_string()),
        step: Some(i64::try_from(number).unwrap_or(i64::MAX)),
        object: object.to_string(),
        generation: Some(generation),
        operation: step.action.operation().to_owned(),
        target: step.action.target(),
        why_code: step.why.code().to_owned(),
        why: step.why.to_string(),
        details: serde_json::to_string(&StepDetails { words: step.action.to_string(), step })
            .expect("a step has string keys and no failing serializer"),
    }
}

/// A step as it is kept. With its words: a later version may know other steps, and shall still be able to say what was done.
#[derive(Serialize)]
struct StepDetails<'a> {
    words: String,
    #[serde(flatten)]
    step: &'a Step,
}

fn row_of_command(command: &Command<'_>) -> Row {
    let Command { actor, operation, object, target, why, details, outcome: _ } = *command;
    Row {
        actor: actor.to_string(),
        pass: None,
        step: None,
        object: object.to_string(),
        generation: None,
        operation: operation.to_owned(),
        target: target.to_owned(),
        why_code: "Asked".to_owned(),
        why: why.to_owned(),
        details: details.to_string(),
    }
}

pub(super) const OPEN_INTENTS: &str = "
    SELECT audit.id, created_at, object, operation, target
    FROM open_intent JOIN audit ON audit.id = open_intent.id
    ORDER BY audit.id";

/// None for an object of a kind that this version does not know: there is nobody to look at it.
fn open_intent(row: &SqliteRow) -> Option<OpenIntent> {
    Some(OpenIntent {
        id: IntentId(row.get("id")),
        object: row.get::<String, _>("object").parse().ok()?,
        operation: row.get("operation"),
        target: row.get("target"),
        created_at: row.get("created_at"),
    })
}

const LOG: &str = "
    SELECT intent.*, outcome.created_at AS concluded_at, outcome.outcome AS result, outcome.error AS failure
    FROM audit AS intent LEFT JOIN audit AS outcome ON outcome.intent = intent.id
    WHERE intent.phase = 'intent'";

const ENDED: &str = "
    SELECT intent.*, outcome.created_at AS concluded_at, outcome.outcome AS result, outcome.error AS failure
    FROM audit AS outcome JOIN audit AS intent ON intent.id = outcome.intent
    WHERE outcome.id > $1 AND outcome.id <= $2 ORDER BY outcome.id";

/// Written out condition by condition: with `$1 IS NULL OR …` SQLite would not use the index.
fn log_query(filter: &AuditFilter) -> QueryBuilder<Sqlite> {
    let AuditFilter { limit, object, actor, operation, target, outcome, pass, since, until, before } = filter;
    let mut query = QueryBuilder::new(LOG);
    let object = object.as_ref().map(ToString::to_string);
    let (since, until) = (since.map(clock::text), until.map(clock::text));
    for (condition, value) in [
        (" AND intent.object = ", &object),
        (" AND intent.actor = ", actor),
        (" AND intent.operation = ", operation),
        (" AND intent.target = ", target),
        (" AND intent.pass = ", pass),
        (" AND intent.created_at >= ", &since),
        (" AND intent.created_at <= ", &until),
    ] {
        if let Some(value) = value {
            query.push(condition).push_bind(value.clone());
        }
    }
    match outcome.as_deref() {
        None => {}
        Some("open") => drop(query.push(" AND outcome.id IS NULL")),
        Some(outcome) => drop(query.push(" AND outcome.outcome = ").push_bind(outcome.to_owned())),
    }
    if let Some(before) = before {
        query.push(" AND intent.id < ").push_bind(*before);
    }
    query.push(" ORDER BY intent.id DESC LIMIT ").push_bind(i64::from(*limit));
    query
}

fn entry(row: &SqliteRow) -> AuditEntry {
    let details: String = row.get("details");
    // Text that is not JSON would be damage; it is shown rather than hidden.
    let details = serde_json::from_str(&details).unwrap_or(serde_json::Value::String(details));
    let (operation, target): (String, String) = (row.get("operation"), row.get("target"));
    // A person's command has no step, and neither have the rows of the first version.
    let words = details.get("words").and_then(serde_json::Value::as_str).map(ToOwned::to_owned);
    AuditEntry {
        id: row.get("id"),
        created_at: row.get("created_at"),
        actor: row.get("actor"),
        pass: row.get("pass"),
        step: row.get("step"),
        object: row.get("object"),
        generation: row.get("generation"),
        action: words.unwrap_or_else(|| format!("{} {target}", spelt_out(&operation))),
        operation,
        target,
        why_code: row.get("why_code"),
        why: row.get("why"),
        outcome: row.get("result"),
        error: row.get("failure"),
        concluded_at: row.get("concluded_at"),
        details,
    }
}

/// `StopContainer` as `stop container`.
fn spelt_out(operation: &str) -> String {
    let mut words = String::with_capacity(operation.len() + 4);
    for letter in operation.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
