//! Facts about the host, which a model is told.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Error, Page, Span, WRITTEN, id, is_taken, json, kept, text};
use crate::admin::store::Store;

/// More a model cannot be told at once anyway.
const MOST: i64 = 2000;
/// As many are brought in, or forgotten, at once.
pub const AT_ONCE: usize = 500;
/// The longest fact.
const LONGEST: usize = 4000;

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Its id.
    pub id: String,
    /// The fact.
    pub content: String,
    /// What it is found by.
    pub tags: Vec<String>,
    /// Who said it, as in the audit log.
    pub author: String,
    /// When.
    pub created_at: String,
}

/// A fact to be remembered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMemory {
    /// The fact.
    #[schemars(length(min = 1, max = 4000), regex(pattern = WRITTEN))]
    pub content: String,
    /// What it is to be found by.
    #[serde(default)]
    #[schemars(length(max = 10), inner(length(min = 1, max = 60), regex(pattern = WRITTEN)))]
    pub tags: Vec<String>,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Facts that are remembered now.
    pub imported: u32,
    /// Facts that were remembered already.
    pub skipped: u32,
}

impl NewMemory {
    fn checked(&self) -> Result<(String, Vec<String>), Error> {
        if self.tags.len() > 10 {
            return Err(Error::Invalid("a memory has 10 tags at most".to_owned()));
        }
        let tags = self.tags.iter().map(|tag| text("tag", tag, 60)).collect::<Result<_, _>>()?;
        Ok((text("content", &self.content, LONGEST)?, tags))
    }
}

type Row = (i64, String, String, String, String, String);

fn memory((seq, id, content, tags, author, created_at): Row) -> Result<(i64, Memory), Error> {
    Ok((seq, Memory { id, content, tags: kept(&tags)?, author, created_at }))
}

/// All of them, or those with all of these words in them, in capitals or not.
pub async fn list(store: &Store, words: &str, span: &Span) -> Result<Page<Memory>, Error> {
    let (before, limit) = span.bounds()?;
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let query = sqlx::query_as(
        "SELECT seq, id, content, tags, author, created_at FROM memory WHERE seq < $1 AND NOT EXISTS \
         (SELECT 1 FROM json_each($2) word WHERE instr(lower(content || ' ' || tags), word.value) = 0) \
         ORDER BY seq DESC LIMIT $3",
    );
    let rows: Vec<Row> = query.bind(before).bind(json(&words)).bind(limit).fetch_all(store.pool()).await?;
    Ok(span.page(rows.into_iter().map(memory).collect::<Result<_, _>>()?))
}

/// Every one, oldest first.
pub async fn all(store: &Store) -> Result<Vec<Memory>, Error> {
    let query = sqlx::query_as("SELECT seq, id, content, tags, author, created_at FROM memory ORDER BY seq");
    let rows: Vec<Row> = query.fetch_all(store.pool()).await?;
    rows.into_iter().map(|row| memory(row).map(|(_, memory)| memory)).collect()
}

/// The newest facts for a model, in at most so many bytes.
pub async fn told(store: &Store, most: usize) -> Result<Vec<String>, Error> {
    let page = list(store, "", &Span { limit: Some(super::MOST), cursor: None }).await?;
    let mut left = most;
    let fits = |memory: &super::memories::Memory| {
        let fits = memory.content.len() <= left;
        left = left.saturating_sub(memory.content.len());
        fits
    };
    Ok(page.items.into_iter().take_while(fits).map(|memory| memory.content).collect())
}

/// Remembers a fact.
pub async fn add(store: &Store, new: &NewMemory, author: &str, now: Timestamp) -> Result<Memory, Error> {
    let (content, tags) = new.checked()?;
    refuse_too_many(store, 1).await?;
    let memory = Memory { id: id(), content, tags, author: author.to_owned(), created_at: now.to_string() };
    match insert(store.pool(), &memory).await {
        Ok(_) => Ok(memory),
        Err(error) if is_taken(&error) => Err(Error::Conflict("that is remembered already".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Remembers many facts, or none of them. What is remembered already is passed over.
pub async fn import(store: &Store, new: &[NewMemory], author: &str, now: Timestamp) -> Result<Imported, Error> {
    if new.len() > AT_ONCE {
        return Err(Error::Invalid(format!("{} memories are too many at once; {AT_ONCE} are allowed", new.len())));
    }
    let checked = new.iter().map(NewMemory::checked).collect::<Result<Vec<_>, _>>()?;
    refuse_too_many(store, checked.len()).await?;
    let mut done = Imported { imported: 0, skipped: 0 };
    let mut work = store.pool().begin_with("BEGIN IMMEDIATE").await?;
    for (content, tags) in checked {
        let memory = Memory { id: id(), content, tags, author: author.to_owned(), created_at: now.to_string() };
        match insert(&mut *work, &memory).await {
            Ok(_) => done.imported += 1,
            Err(error) if is_taken(&error) => done.skipped += 1,
            Err(error) => return Err(error.into()),
        }
    }
    work.commit().await?;
    Ok(done)
}

async fn refuse_too_many(store: &Store, more: usize) -> Result<(), Error> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM memory").fetch_one(store.pool()).await?;
    if count.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) > MOST {
        return Err(Error::Conflict(format!("{count} memories are there, and {MOST} is the most; forget some first")));
    }
    Ok(())
}

async fn insert(
    database: impl sqlx::SqliteExecutor<'_>,
    memory: &Memory,
) -> Result<sqlx::sqlite::SqliteQueryResult, sqlx::Error> {
    let query = sqlx::query("INSERT INTO memory (id, content, tags, author, created_at) VALUES ($1, $2, $3, $4, $5)");
    let Memory { id, content, tags, author, created_at } = memory;
    query.bind(id).bind(content).bind(json(tags)).bind(author).bind(created_at).execute(database).await
}

/// Forgets a fact.
pub async fn delete(store: &Store, id: &str) -> Result<(), Error> {
    match delete_all(store, &[id.to_owned()]).await? {
        0 => Err(Error::NoSuch("memory")),
        _ => Ok(()),
    }
}

/// Forgets those of these ids that there are. Returns how many.
pub async fn delete_all(store: &Store, ids: &[String]) -> Result<u64, Error> {
    if ids.len() > AT_ONCE {
        return Err(Error::Invalid(format!("{} ids are too many at once; {AT_ONCE} are allowed", ids.len())));
    }
    let query = sqlx::query("DELETE FROM memory WHERE id IN (SELECT value FROM json_each($1))").bind(json(&ids));
    Ok(query.execute(store.pool()).await?.rows_affected())
}
