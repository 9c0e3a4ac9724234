//! How a model is told to speak: its system prompts.
//!
//! A prompt changes words, never rights: whatever a model proposes passes the
//! same gates.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Error, Page, Span, WRITTEN, id, is_taken,
    shelf::{Alone as _, Shelf, on},
    text,
};

/// More nobody tells apart.
const MOST: i64 = 100;

/// A way to speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Persona {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What a model is told.
    pub prompt: String,
    /// Whether it is the one that is taken where none is asked for.
    pub is_default: bool,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
}

/// A persona as it should be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPersona {
    /// What it is called; no other one is called that.
    #[schemars(length(min = 1, max = 60), regex(pattern = WRITTEN))]
    pub name: String,
    /// What a model is told.
    #[schemars(length(min = 1, max = 8000), regex(pattern = WRITTEN))]
    pub prompt: String,
    /// Whether it is to be taken where none is asked for; the one that was, is not any more.
    #[serde(default)]
    pub is_default: bool,
}

type Row = (i64, String, String, String, bool, String, String);

fn persona((seq, id, name, prompt, is_default, created_at, updated_at): Row) -> (i64, Persona) {
    (seq, Persona { id, name, prompt, is_default, created_at, updated_at })
}

/// All of them.
pub async fn list(shelf: &Shelf, span: &Span) -> Result<Page<Persona>, Error> {
    let (before, limit) = span.bounds()?;
    let rows: Vec<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT seq, id, name, prompt, is_default, created_at, updated_at FROM persona \
             WHERE seq < $1 ORDER BY seq DESC LIMIT $2",
        );
        Ok(query.bind(before).bind(limit).fetch_all(pool).await?)
    })?;
    Ok(span.page(rows.into_iter().map(persona).collect()))
}

/// The one of this id, or else the one that is taken where none is asked for, if there is one.
pub async fn chosen(shelf: &Shelf, id: Option<&str>) -> Result<Option<Persona>, Error> {
    let row: Option<Row> = on!(shelf, pool => {
        let query = sqlx::query_as(
            "SELECT seq, id, name, prompt, is_default, created_at, updated_at FROM persona \
             WHERE CASE WHEN $1 IS NULL THEN is_default ELSE id = $1 END",
        );
        Ok(query.bind(id).fetch_optional(pool).await?)
    })?;
    match (row, id) {
        (Some(row), _) => Ok(Some(persona(row).1)),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::NoSuch("persona")),
    }
}

/// Makes one.
pub async fn add(shelf: &Shelf, new: &NewPersona, now: Timestamp) -> Result<Persona, Error> {
    let count: i64 = on!(shelf, pool => Ok(sqlx::query_scalar("SELECT count(*) FROM persona").fetch_one(pool).await?))?;
    if count >= MOST {
        return Err(Error::Conflict(format!("there are {MOST} personas already")));
    }
    let now = now.to_string();
    let (name, prompt) = checked(new)?;
    let persona = Persona { id: id(), name, prompt, is_default: new.is_default, created_at: now.clone(), updated_at: now };
    let Persona { id, name, prompt, created_at, .. } = &persona;
    on!(shelf, pool => {
        let mut work = pool.alone().await?;
        if persona.is_default {
            sqlx::query("UPDATE persona SET is_default = FALSE").execute(&mut *work).await?;
        }
        let query = sqlx::query(
            "INSERT INTO persona (id, name, prompt, is_default, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)",
        );
        let made = query.bind(id).bind(name).bind(prompt).bind(new.is_default).bind(created_at).execute(&mut *work).await;
        made.map_err(|error| taken(error, name))?;
        Ok(work.commit().await?)
    })?;
    Ok(persona)
}

/// Makes the one of this id as it should be.
pub async fn replace(shelf: &Shelf, id: &str, new: &NewPersona, now: Timestamp) -> Result<Persona, Error> {
    let (name, prompt) = checked(new)?;
    on!(shelf, pool => {
        let mut work = pool.alone().await?;
        if new.is_default {
            sqlx::query("UPDATE persona SET is_default = FALSE").execute(&mut *work).await?;
        }
        let query = sqlx::query_as(
            "UPDATE persona SET name = $1, prompt = $2, is_default = $3, updated_at = $4 WHERE id = $5 \
             RETURNING seq, id, name, prompt, is_default, created_at, updated_at",
        );
        let query = query.bind(&name).bind(&prompt).bind(new.is_default).bind(now.to_string()).bind(id);
        let row: Option<Row> = query.fetch_optional(&mut *work).await.map_err(|error| taken(error, &name))?;
        let row = row.ok_or(Error::NoSuch("persona"))?;
        work.commit().await?;
        Ok(persona(row).1)
    })
}

/// Forgets one.
pub async fn delete(shelf: &Shelf, id: &str) -> Result<(), Error> {
    let deleted = on!(shelf, pool => {
        Ok(sqlx::query("DELETE FROM persona WHERE id = $1").bind(id).execute(pool).await?.rows_affected())
    })?;
    if deleted == 0 { Err(Error::NoSuch("persona")) } else { Ok(()) }
}

fn checked(new: &NewPersona) -> Result<(String, String), Error> {
    Ok((text("name", &new.name, 60)?, text("prompt", &new.prompt, 8000)?))
}

fn taken(error: sqlx::Error, name: &str) -> Error {
    if is_taken(&error) { Error::Conflict(format!("there is a persona `{name}` already")) } else { error.into() }
}
