//! Facts about the host, which a model is told.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Error, Page, Span, WRITTEN, id, json, kept,
    shelf::{Alone as _, Shelf, on},
    text,
};

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
pub async fn list(shelf: &Shelf, words: &str, span: &Span) -> Result<Page<Memory>, Error> {
    let (before, limit) = span.bounds()?;
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let rows: Vec<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT seq, id, content, tags, author, created_at FROM memory WHERE seq < $1 AND NOT EXISTS \
             (SELECT 1 FROM json_each($2) AS word WHERE instr(lower(content || ' ' || tags), word.value) = 0) \
             ORDER BY seq DESC LIMIT $3",
        );
        Ok(query.bind(before).bind(json(&words)).bind(limit).fetch_all(pool).await?)
    })?;
    Ok(span.page(rows.into_iter().map(memory).collect::<Result<_, _>>()?))
}

/// Every one, oldest first.
pub async fn all(shelf: &Shelf) -> Result<Vec<Memory>, Error> {
    let rows: Vec<Row> = on!(shelf, pool => {
        Ok(sqlx::query_as("SELECT seq, id, content, tags, author, created_at FROM memory ORDER BY seq").fetch_all(pool).await?)
    })?;
    rows.into_iter().map(|row| memory(row).map(|(_, memory)| memory)).collect()
}

/// The newest facts for a model, in at most so many bytes.
pub async fn told(shelf: &Shelf, most: usize) -> Result<Vec<String>, Error> {
    let page = list(shelf, "", &Span { limit: Some(super::MOST), cursor: None }).await?;
    let mut left = most;
    let fits = |memory: &super::memories::Memory| {
        let fits = memory.content.len() <= left;
        left = left.saturating_sub(memory.content.len());
        fits
    };
    Ok(page.items.into_iter().take_while(fits).map(|memory| memory.content).collect())
}

/// Remembers a fact.
pub async fn add(shelf: &Shelf, new: &NewMemory, author: &str, now: Timestamp) -> Result<Memory, Error> {
    let (content, tags) = new.checked()?;
    refuse_too_many(shelf, 1).await?;
    let memory = Memory { id: id(), content, tags, author: author.to_owned(), created_at: now.to_string() };
    if insert(shelf, std::slice::from_ref(&memory)).await? == 0 {
        return Err(Error::Conflict("that is remembered already".to_owned()));
    }
    Ok(memory)
}

/// Remembers many facts, or none of them. What is remembered already is passed over.
pub async fn import(shelf: &Shelf, new: &[NewMemory], author: &str, now: Timestamp) -> Result<Imported, Error> {
    if new.len() > AT_ONCE {
        return Err(Error::Invalid(format!("{} memories are too many at once; {AT_ONCE} are allowed", new.len())));
    }
    let checked = new.iter().map(NewMemory::checked).collect::<Result<Vec<_>, _>>()?;
    refuse_too_many(shelf, checked.len()).await?;
    let memory = |(content, tags)| Memory { id: id(), content, tags, author: author.to_owned(), created_at: now.to_string() };
    let memories: Vec<Memory> = checked.into_iter().map(memory).collect();
    let imported = insert(shelf, &memories).await?;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Imported { imported: count(imported), skipped: count(memories.len() - imported) })
}

async fn refuse_too_many(shelf: &Shelf, more: usize) -> Result<(), Error> {
    let count: i64 = on!(shelf, pool => Ok(sqlx::query_scalar("SELECT count(*) FROM memory").fetch_one(pool).await?))?;
    if count.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) > MOST {
        return Err(Error::Conflict(format!("{count} memories are there, and {MOST} is the most; forget some first")));
    }
    Ok(())
}

/// Puts in all of them, or none, but for those that are there already. Returns how many.
async fn insert(shelf: &Shelf, memories: &[Memory]) -> Result<usize, Error> {
    on!(shelf, pool => {
        let mut work = pool.alone().await?;
        let mut count = 0;
        for Memory { id, content, tags, author, created_at } in memories {
            let query = sqlx::query(
                "INSERT INTO memory (id, content, tags, author, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            );
            let query = query.bind(id).bind(content).bind(json(tags)).bind(author).bind(created_at);
            count += usize::from(query.execute(&mut *work).await?.rows_affected() > 0);
        }
        work.commit().await?;
        Ok(count)
    })
}

/// Forgets a fact.
pub async fn delete(shelf: &Shelf, id: &str) -> Result<(), Error> {
    match delete_all(shelf, &[id.to_owned()]).await? {
        0 => Err(Error::NoSuch("memory")),
        _ => Ok(()),
    }
}

/// Forgets those of these ids that there are. Returns how many.
pub async fn delete_all(shelf: &Shelf, ids: &[String]) -> Result<u64, Error> {
    if ids.len() > AT_ONCE {
        return Err(Error::Invalid(format!("{} ids are too many at once; {AT_ONCE} are allowed", ids.len())));
    }
    on!(shelf, pool => {
        let query = sqlx::query("DELETE FROM memory WHERE id IN (SELECT value FROM json_each($1))").bind(json(&ids));
        Ok(query.execute(pool).await?.rows_affected())
    })
}
