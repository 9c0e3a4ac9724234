//! Conversations, each its owner's: a session, a token, a plugin or a playbook.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Error, Page, Span, id, json, kept,
    shelf::{Alone as _, Shelf, on},
};
use crate::admin::chat::Part;

/// Threads that one owner has; the one that was silent for the longest goes for a new one.
const THREADS: i64 = 100;
/// Threads that there are, whoever has them.
const ALL: i64 = 2000;
/// What is kept of a thread; what was said before is dropped.
const MESSAGES: i64 = 500;
/// What a title takes of the first thing that was said.
const TITLE: usize = 80;
/// A longer answer is kept by its beginning.
const LONGEST: usize = 256 * 1024;

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Thread")]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// How it began.
    pub title: String,
    /// When it began.
    pub created_at: String,
    /// When something was said last.
    pub updated_at: String,
}

/// Something that was said, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// What was said.
    pub text: String,
    /// The answer, in the order in which its parts came.
    pub parts: Vec<Part>,
    /// When.
    pub created_at: String,
}

/// A thread with a page of its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadPage {
    /// The thread.
    pub thread: Thread,
    /// Its messages, newest first.
    pub messages: Page<Message>,
}

type Row = (i64, String, String, String, String);

fn thread((touched, id, title, created_at, updated_at): Row) -> (i64, Thread) {
    (touched, Thread { id, title, created_at, updated_at })
}

/// An owner's threads, the one in which something was said last first.
pub async fn list(shelf: &Shelf, owner: &str, span: &Span) -> Result<Page<Thread>, Error> {
    let (before, limit) = span.bounds()?;
    let rows: Vec<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT touched, id, title, created_at, updated_at FROM thread WHERE owner = $1 AND touched < $2 \
             ORDER BY touched DESC LIMIT $3",
        );
        Ok(query.bind(owner).bind(before).bind(limit).fetch_all(pool).await?)
    })?;
    Ok(span.page(rows.into_iter().map(thread).collect()))
}

/// A thread of this owner. Somebody else's is none.
pub async fn one(shelf: &Shelf, owner: &str, id: &str) -> Result<Thread, Error> {
    let row: Option<Row> = on!(shelf, pool => {
        let query =
            sqlx::query_as("SELECT touched, id, title, created_at, updated_at FROM thread WHERE owner = $1 AND id = $2");
        Ok(query.bind(owner).bind(id).fetch_optional(pool).await?)
    })?;
    row.map(|row| thread(row).1).ok_or(Error::NoSuch("thread"))
}

/// What was said in a thread of this owner.
pub async fn read(shelf: &Shelf, owner: &str, id: &str, span: &Span) -> Result<ThreadPage, Error> {
    let thread = one(shelf, owner, id).await?;
    let (before, limit) = span.bounds()?;
    let rows: Vec<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT seq, id, text, parts, created_at FROM message WHERE thread = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
        );
        Ok(query.bind(id).bind(before).bind(limit).fetch_all(pool).await?)
    })?;
    let message = |(seq, id, text, parts, created_at): Row| Ok((seq, Message { id, text, parts: kept(&parts)?, created_at }));
    let messages = rows.into_iter().map(message).collect::<Result<Vec<_>, Error>>()?;
    Ok(ThreadPage { thread, messages: span.page(messages) })
}

/// Begins a thread. Where an owner, or all of them, have too many, the one that was silent for the longest goes.
pub async fn begin(shelf: &Shelf, owner: &str, title: &str, now: Timestamp) -> Result<Thread, Error> {
    let title: String = title.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TITLE).collect();
    let now = now.to_string();
    let thread = Thread { id: id(), title, created_at: now.clone(), updated_at: now };
    on!(shelf, pool => {
        let mut work = pool.alone().await?;
        let make = sqlx::query(
            "INSERT INTO thread (id, owner, title, created_at, updated_at, touched) \
             VALUES ($1, $2, $3, $4, $4, (SELECT coalesce(max(touched), 0) + 1 FROM thread))",
        );
        make.bind(&thread.id).bind(owner).bind(&thread.title).bind(&thread.created_at).execute(&mut *work).await?;
        let surplus = sqlx::query(
            "DELETE FROM thread WHERE owner = $1 AND id NOT IN \
             (SELECT id FROM thread WHERE owner = $1 ORDER BY touched DESC LIMIT $2)",
        );
        surplus.bind(owner).bind(THREADS).execute(&mut *work).await?;
        let surplus = sqlx::query("DELETE FROM thread WHERE id NOT IN (SELECT id FROM thread ORDER BY touched DESC LIMIT $1)");
        surplus.bind(ALL).execute(&mut *work).await?;
        Ok(work.commit().await?)
    })?;
    Ok(thread)
}

/// The thread of this owner with this title; a new one, where there is none.
pub(super) async fn named(shelf: &Shelf, owner: &str, title: &str, now: Timestamp) -> Result<Thread, Error> {
    let row: Option<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT touched, id, title, created_at, updated_at FROM thread WHERE owner = $1 AND title = $2 ORDER BY seq LIMIT 1",
        );
        Ok(query.bind(owner).bind(title).fetch_optional(pool).await?)
    })?;
    match row {
        Some(row) => Ok(thread(row).1),
        None => begin(shelf, owner, title, now).await,
    }
}

/// Adds what was said and answered to a thread that is there. Returns the message's id.
pub async fn add(shelf: &Shelf, thread: &str, text: &str, parts: &[Part], now: Timestamp) -> Result<String, Error> {
    let mut parts = json(&parts);
    if parts.len() > LONGEST {
        let text = "The answer was too long to be kept.".to_owned();
        parts = json(&[Part::Text { text }]);
    }
    let (id, now) = (id(), now.to_string());
    on!(shelf, pool => {
        let mut work = pool.alone().await?;
        let touch = sqlx::query(
            "UPDATE thread SET updated_at = $1, touched = (SELECT coalesce(max(touched), 0) + 1 FROM thread) WHERE id = $2",
        );
        if touch.bind(&now).bind(thread).execute(&mut *work).await?.rows_affected() == 0 {
            return Err(Error::NoSuch("thread"));
        }
        let add = sqlx::query("INSERT INTO message (id, thread, text, parts, created_at) VALUES ($1, $2, $3, $4, $5)");
        add.bind(&id).bind(thread).bind(text).bind(&parts).bind(&now).execute(&mut *work).await?;
        let surplus = sqlx::query(
            "DELETE FROM message WHERE thread = $1 AND seq NOT IN \
             (SELECT seq FROM message WHERE thread = $1 ORDER BY seq DESC LIMIT $2)",
        );
        surplus.bind(thread).bind(MESSAGES).execute(&mut *work).await?;
        Ok(work.commit().await?)
    })?;
    Ok(id)
}

/// Forgets a thread of this owner and what was said in it.
pub async fn delete(shelf: &Shelf, owner: &str, id: &str) -> Result<(), Error> {
    let deleted = on!(shelf, pool => {
        let query = sqlx::query("DELETE FROM thread WHERE owner = $1 AND id = $2");
        Ok(query.bind(owner).bind(id).execute(pool).await?.rows_affected())
    })?;
    if deleted == 0 { Err(Error::NoSuch("thread")) } else { Ok(()) }
}
