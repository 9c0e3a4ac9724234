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
    Error, clock,
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
pub(super) async fn write(connection: &mut SqliteConnection, writes: &[Write]) -> Result<Vec<Answer>, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let mut answers = Vec::with_capacity(writes.len());
    for write in writes {
        answers.push(write_one(&mut transaction, write).await?);
    }
    transaction.commit().await?;
    Ok(answers)
}

async fn write_one(connection: &mut SqliteConnection, write: &Write) -> Result<Answer, sqlx::Error> {
    match write {
        Write::Intent(row) => insert_intent(connection, row).await,
        Write::Outcomes(outcomes) => {
            let mut answer = Ok(0);
            for (intent, outcome) in outcomes {
                answer = answer.and(insert_outcome(connection, *intent, outcome).await?);
            }
            Ok(answer)
        }
        Write::Note(row, outcome) => match insert_intent(connection, row).await? {
            Ok(intent) => Ok(insert_outcome(connection, intent, outcome).await?.and(Ok(intent))),
            refused => Ok(refused),
        },
        Write::History(key, history) => save_history(connection, key, history.as_deref()).await.map(|()| Ok(0)),
        // The writer has seen to it.
        Write::Pending => Ok(Ok(0)),
    }
}

const INSERT_INTENT: &str = "
    INSERT INTO audit (created_at, actor, phase, pass, step, object, generation, operation, target, why_code, why, details)
    VALUES ($1, $2, 'intent', $3, $4, $5, $6, $7, $8, $9, $10, $11)";

async fn insert_intent(connection: &mut SqliteConnection, row: &Row) -> Result<Answer, sqlx::Error> {
    let Row { actor, pass, step, object, generation, operation, target, why_code, why, details } = row;
    let inserted = sqlx::query(INSERT_INTENT)
        .bind(clock::text(clock::now()))
        .bind(actor)
        .bind(pass)
        .bind(step)
        .bind(object)
        .bind(generation)
        .bind(operation)
        .bind(target)
        .bind(why_code)
        .bind(why)
        .bind(details)
        .execute(connection)
        .await;
    answer(inserted).map(|inserted| inserted.map(|done| done.last_insert_rowid()))
}

/// The outcome's row repeats what the intent's says, so that each can be read, and sent on, alone.
const INSERT_OUTCOME: &str = "
    INSERT INTO audit (created_at, actor, phase, intent, pass, step, object, generation, operation, target,
                       why_code, why, outcome, error, details)
    SELECT $2, actor, 'outcome', id, pass, step, object, generation, operation, target, why_code, why, $3, $4, '{}'
    FROM audit WHERE id = $1 AND phase = 'intent'";

async fn insert_outcome(connection: &mut SqliteConnection, intent: i64, outcome: &Outcome) -> Result<Answer, sqlx::Error> {
    let inserted = sqlx::query(INSERT_OUTCOME)
        .bind(intent)
        .bind(clock::text(clock::now()))
        .bind(outcome.as_str())
        .bind(outcome.error())
        .execute(connection)
        .await;
    Ok(answer(inserted)?.and_then(|done| match done.rows_affected() {
        0 => Err(Error::NoSuchIntent { id: intent }),
        _ => Ok(done.last_insert_rowid()),
    }))
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
    pub(super) statuses: BTreeMap<Key, Status>,
    pub(super) histories: BTreeMap<Key, History>,
}

/// Reads everything that a start needs, so that damage to it shows while the database is being opened.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Loaded, sqlx::Error> {
    sqlx::query(OPEN_INTENTS).fetch_all(&mut *connection).await?;
    let statuses: Vec<(String, String)> = sqlx::query_as("SELECT object, status FROM status").fetch_all(&mut *connection).await?;
    let histories: Vec<(String, String)> = sqlx::query_as("SELECT object, history FROM history").fetch_all(connection).await?;
    Ok(Loaded { statuses: parsed(&statuses), histories: parsed(&histories) })
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
