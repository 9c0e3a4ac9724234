//! What the writer says to SQLite: one function for each transaction.
//!
//! A row that breaks a rule is answered with an error of its own and leaves
//! the others of its transaction alone; any other error fails them all.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use sqlx::{
    Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteQueryResult, SqliteRow},
};

use super::{
    Error,
    chain::{AuditRow, GENESIS, Head, bind_row, row_from},
    clock,
    error::is_refusal,
    events::{Event, EventKey},
    journal::{OPEN_INTENTS, Outcome},
    pending::{Batch, Tally},
    writer::{Answer, Row, Write},
};
use crate::{
    manifest::{Key, status::Status},
    plan::History,
};

/// Takes the lock when it begins: a transaction that reads first and writes
/// later cannot wait for another writer, it can only fail.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Old events that are deleted in one transaction; acts wait for it.
const PRUNED: i64 = 1000;

/// Events that are kept at most, however young: some tens of megabytes.
const EVENTS: i64 = 50_000;

/// Makes these rows durable, all in one transaction.
pub(super) async fn write(connection: &mut SqliteConnection, writes: &[Write]) -> Result<Written, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let mut log = Log::open(&mut transaction).await?;
    let mut answers = Vec::with_capacity(writes.len());
    for write in writes {
        answers.push(log.write(write).await?);
    }
    let Log { head, .. } = log;
    transaction.commit().await?;
    Ok(Written { answers, head })
}

/// What a transaction came to.
pub(super) struct Written {
    /// The rows' numbers, or why they are not there.
    pub(super) answers: Vec<Answer>,
    /// The last row of the audit log now.
    pub(super) head: Head,
}

/// The audit log, in a transaction: nobody else can add a row meanwhile, so that each row knows the one before.
struct Log<'a> {
    connection: &'a mut SqliteConnection,
    head: Head,
    /// The highest number ever given: higher than the head's in a file that was begun anew.
    last_id: i64,
}

const HEAD: &str = "
    SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0), coalesce((SELECT max(id) FROM audit), 0)),
           coalesce((SELECT max(id) FROM audit), 0),
           coalesce((SELECT hash FROM audit ORDER BY id DESC LIMIT 1), $1)";

/// The last row of the audit log, and the highest number ever given.
async fn head(connection: &mut SqliteConnection) -> Result<(i64, Head), sqlx::Error> {
    let (last_id, id, hash) = sqlx::query_as(HEAD).bind(GENESIS).fetch_one(connection).await?;
    Ok((last_id, Head { id, hash }))
}

impl<'a> Log<'a> {
    async fn open(connection: &'a mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let (last_id, head) = head(connection).await?;
        Ok(Self { connection, head, last_id })
    }

    async fn write(&mut self, write: &Write) -> Result<Answer, sqlx::Error> {
        match write {
            Write::Intent(row) => self.intent(row).await,
            Write::Outcomes(outcomes) => {
                let mut answer = Ok(0);
                for (intent, outcome) in outcomes {
                    answer = answer.and(self.outcome(*intent, outcome).await?);
                }
                Ok(answer)
            }
            Write::Note(row, outcome) => match self.intent(row).await? {
                Ok(intent) => Ok(self.outcome(intent, outcome).await?.and(Ok(intent))),
                refused => Ok(refused),
            },
            Write::Discard(last) => discard(self.connection, *last).await,
            Write::Shipped(last) => save_shipped(self.connection, *last).await.map(|()| Ok(0)),
            Write::History(key, history) => save_history(self.connection, key, history.as_deref()).await.map(|()| Ok(0)),
            // The writer has seen to it.
            Write::Pending => Ok(Ok(0)),
        }
    }

    async fn intent(&mut self, row: &Row) -> Result<Answer, sqlx::Error> {
        let Row { actor, pass, step, object, generation, operation, target, why_code, why, details } = row.clone();
        // PostgreSQL takes no text with this in it, and a row that cannot be shipped would keep all after it from being.
        let [operation, target, why] = [operation, target, why].map(|text| text.replace('\0', "\u{fffd}"));
        let row = AuditRow {
            id: 0,
            created_at: clock::text(clock::now()),
            actor,
            phase: "intent".to_owned(),
            intent: None,
            pass,
            step,
            object,
            generation,
            operation,
            target,
            why_code,
            why,
            outcome: None,
            error: None,
            details,
            prev_hash: String::new(),
            hash: String::new(),
        };
        self.append(row).await
    }

    /// The outcome's row repeats what the intent's says, so that each can be read, and sent on, alone.
    async fn outcome(&mut self, intent: i64, outcome: &Outcome) -> Result<Answer, sqlx::Error> {
        let found = sqlx::query(INTENT).bind(intent).fetch_optional(&mut *self.connection).await?;
        let Some(row) = found else { return Ok(Err(Error::NoSuchIntent { id: intent })) };
        let row = AuditRow {
            created_at: clock::text(clock::now()),
            phase: "outcome".to_owned(),
            intent: Some(intent),
            outcome: Some(outcome.as_str().to_owned()),
            error: outcome.error().map(|error| error.replace('\0', "\u{fffd}")),
            details: "{}".to_owned(),
            ..audit_row(&row)
        };
        self.append(row).await
    }

    /// Adds a row after all others. One that breaks a rule is refused, and the next one takes its place.
    async fn append(&mut self, row: AuditRow) -> Result<Answer, sqlx::Error> {
        let row = AuditRow { id: self.last_id + 1, ..row }.sealed(&self.head.hash);
        let inserted = insert(self.connection, &row).await;
        Ok(answer(inserted)?.map(|_| {
            self.last_id = row.id;
            self.head = Head { id: row.id, hash: row.hash };
            row.id
        }))
    }
}

/// As `0001_audit.sql` has it.
const REFUSE_DELETE: &str = "
    CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit
    BEGIN
        SELECT RAISE (ABORT, 'the audit log is append-only');
    END";

/// Rows that are taken out in one transaction; acts wait for it.
const DISCARDED: i64 = 5000;

/// The only place where rows of the audit log are deleted: those that are in an archive, of which a later row tells.
async fn discard(connection: &mut SqliteConnection, last: i64) -> Result<Answer, sqlx::Error> {
    sqlx::query("DROP TRIGGER audit_refuses_delete").execute(&mut *connection).await?;
    let oldest = "DELETE FROM audit WHERE id <= min($1, (SELECT min(id) FROM audit) + $2)";
    let deleted = sqlx::query(oldest).bind(last).bind(DISCARDED).execute(&mut *connection).await;
    sqlx::query(REFUSE_DELETE).execute(connection).await?;
    Ok(answer(deleted)?.map(|done| i64::try_from(done.rows_affected()).unwrap_or(i64::MAX)))
}

async fn save_shipped(connection: &mut SqliteConnection, last: Option<i64>) -> Result<(), sqlx::Error> {
    let query = match last {
        Some(last) => sqlx::query("INSERT OR REPLACE INTO meta (name, value) VALUES ('shipped', $1)").bind(last.to_string()),
        None => sqlx::query("DELETE FROM meta WHERE name = 'shipped'"),
    };
    query.execute(connection).await.map(drop)
}

/// The last row that can be archived: every act up to it has ended before it, none of its outcomes comes after it, and it
/// has been shipped, where the log is shipped.
pub(super) const ARCHIVABLE: &str = "
    WITH RECURSIVE cut (id) AS (
        SELECT min(coalesce((SELECT min(id) - 1 FROM open_intent), last), coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'shipped'), last))
        FROM (SELECT max(id) AS last FROM audit)
        UNION
        SELECT (SELECT min(intent) - 1 FROM audit WHERE phase = 'outcome' AND audit.id > cut.id AND intent <= cut.id)
        FROM cut WHERE cut.id IS NOT NULL
    )
    SELECT coalesce(min(id), 0) FROM cut";

const INTENT: &str = "SELECT * FROM audit WHERE id = $1 AND phase = 'intent'";

const INSERT: &str = "
    INSERT INTO audit (id, created_at, actor, phase, intent, pass, step, object, generation, operation, target,
                       why_code, why, outcome, error, details, prev_hash, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

async fn insert(connection: &mut SqliteConnection, row: &AuditRow) -> Result<SqliteQueryResult, sqlx::Error> {
    bind_row!(sqlx::query(INSERT), row).execute(connection).await
}

/// A row as it is stored.
pub(super) fn audit_row(row: &SqliteRow) -> AuditRow {
    row_from!(row)
}

/// Tells a row that was refused from a database that does not work.
fn answer(result: Result<SqliteQueryResult, sqlx::Error>) -> Result<Result<SqliteQueryResult, Error>, sqlx::Error> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(source) if is_refusal(&source) => Ok(Err(Error::Refused { source: Arc::new(source) })),
        Err(source) => Err(source),
    }
}

async fn save_history(connection: &mut SqliteConnection, key: &Key, history: Option<&str>) -> Result<(), sqlx::Error> {
    let query = match history {
        Some(history) => {
            sqlx::query("INSERT OR REPLACE INTO history (object, history) VALUES ($1, $2)").bind(key.to_string()).bind(history)
        }
        None => sqlx::query("DELETE FROM history WHERE object = $1").bind(key.to_string()),
    };
    query.execute(connection).await.map(drop)
}

/// Writes events and statuses; says how the events stand now.
pub(super) async fn write_pending(connection: &mut SqliteConnection, batch: &Batch) -> Result<Vec<Event>, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let mut events = Vec::with_capacity(batch.events.len());
    // In the order in which they were told: it is how those with the same time are listed.
    let mut told: Vec<_> = batch.events.iter().collect();
    told.sort_by_key(|(_, tally)| tally.place);
    for (event, tally) in told {
        events.push(save_event(&mut transaction, event, *tally).await?);
    }
    for (key, status) in &batch.statuses {
        save_status(&mut transaction, key, status.as_ref()).await?;
    }
    transaction.commit().await?;
    Ok(events)
}

const SAVE_EVENT: &str = "
    INSERT INTO event (object, type, reason, message, first_at, last_at, count) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (object, type, reason, message)
    DO UPDATE SET last_at = max(last_at, excluded.last_at), count = count + excluded.count
    RETURNING first_at, last_at, count";

async fn save_event(connection: &mut SqliteConnection, event: &EventKey, tally: Tally) -> Result<Event, sqlx::Error> {
    let row: SqliteRow = sqlx::query(SAVE_EVENT)
        .bind(event.object.to_string())
        .bind(event.kind.as_str())
        .bind(&event.reason)
        .bind(&event.message)
        .bind(clock::text(tally.first_at))
        .bind(clock::text(tally.last_at))
        .bind(i64::try_from(tally.count).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await?;
    Ok(Event { key: event.clone(), first_at: row.get("first_at"), last_at: row.get("last_at"), count: row.get("count") })
}

async fn save_status(connection: &mut SqliteConnection, key: &Key, status: Option<&Status>) -> Result<(), sqlx::Error> {
    let query = match status {
        Some(status) => sqlx::query("INSERT OR REPLACE INTO status (object, status) VALUES ($1, $2)")
            .bind(key.to_string())
            .bind(serde_json::to_string(status).expect("a status has string keys and no failing serializer")),
        None => sqlx::query("DELETE FROM status WHERE object = $1").bind(key.to_string()),
    };
    query.execute(connection).await.map(drop)
}

/// Deletes some of the events that are too old or too many; true when there may be more of them.
pub(super) async fn prune_events(connection: &mut SqliteConnection, before: Timestamp) -> Result<bool, sqlx::Error> {
    let too_old = sqlx::query("DELETE FROM event WHERE id IN (SELECT id FROM event WHERE last_at < $1 LIMIT $2)")
        .bind(clock::text(before))
        .bind(PRUNED)
        .execute(&mut *connection)
        .await?;
    let too_many = sqlx::query("DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY last_at DESC LIMIT $1 OFFSET $2)")
        .bind(PRUNED)
        .bind(EVENTS)
        .execute(connection)
        .await?;
    Ok(too_old.rows_affected() + too_many.rows_affected() > 0)
}

/// Finds out whether writing works, and keeps the numbers of intents unique
/// when the file is a new one: an outcome must never find a stranger's intent.
pub(super) async fn probe(connection: &mut SqliteConnection, last_id: i64) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    sqlx::query("INSERT OR REPLACE INTO probe (id, at) VALUES (1, $1)")
        .bind(clock::text(clock::now()))
        .execute(&mut *transaction)
        .await?;
    let raised = sqlx::query("UPDATE sqlite_sequence SET seq = max(seq, $1) WHERE name = 'audit'")
        .bind(last_id)
        .execute(&mut *transaction)
        .await?;
    if raised.rows_affected() == 0 {
        sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ('audit', $1)")
            .bind(last_id)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// What was known about the objects when it was last written.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The last row of the audit log.
    pub(super) head: Head,
    pub(super) statuses: BTreeMap<Key, Status>,
    pub(super) histories: BTreeMap<Key, History>,
}

/// Reads everything that a start needs, so that damage to it shows while the database is being opened.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Loaded, sqlx::Error> {
    sqlx::query(OPEN_INTENTS).fetch_all(&mut *connection).await?;
    let statuses: Vec<(String, String)> = sqlx::query_as("SELECT object, status FROM status").fetch_all(&mut *connection).await?;
    let histories: Vec<(String, String)> =
        sqlx::query_as("SELECT object, history FROM history").fetch_all(&mut *connection).await?;
    let (_, head) = head(connection).await?;
    Ok(Loaded { head, statuses: parsed(&statuses), histories: parsed(&histories) })
}

/// Leaves out what cannot be read: an object starts afresh rather than not at all.
fn parsed<T: serde::de::DeserializeOwned>(rows: &[(String, String)]) -> BTreeMap<Key, T> {
    let parsed = rows.iter().filter_map(|(object, json)| {
        let key: Key = object.parse().ok()?;
        match serde_json::from_str(json) {
            Ok(value) => Some((key, value)),
            Err(error) => {
                tracing::error!(%object, %error, "what was remembered about it cannot be read, and is forgotten");
                None
            }
        }
    });
    parsed.collect()
}
