//! What the claw API is about, and keeps: tokens and modes in the backend
//! manager's own database; threads, memories, personas, the budget and
//! playbooks on a shelf, which is there too, or in a PostgreSQL.
//!
//! Whatever comes in is checked here, so that the API, the chat and the command
//! line cannot differ; every list has an end and is read page by page.

pub mod budget;
pub mod host;
pub mod memories;
pub mod model;
pub mod modes;
pub mod personas;
pub mod playbooks;
pub mod runner;
pub mod shelf;
pub mod talk;
pub mod threads;
pub mod tokens;
pub mod tools;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store;

/// Something that is not blank, without what terminals obey: what `text` lets through, for schemas.
pub const WRITTEN: &str = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f]\
                       [^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$";

/// Items on a page, unless others are asked for.
const PAGE: u32 = 50;
/// More are never on one.
pub const MOST: u32 = 200;

/// It was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of this id, or it is somebody else's.
    #[error("there is no such {0}")]
    NoSuch(&'static str),
    /// Something else is in the way.
    #[error("{0}")]
    Conflict(String),
    /// What was said cannot be.
    #[error("{0}")]
    Invalid(String),
    /// Too much is worked on already.
    #[error("too much is worked on already; try again in a moment")]
    Busy,
    /// What is kept is in a database that does not answer.
    #[error("what is kept cannot be reached just now; try again in a moment")]
    Away,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// What to ask the next page with, if there is one.
    pub next_cursor: Option<String>,
}

/// Which part of a list is meant.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// How many items, at most.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[schemars(length(max = 20), regex(pattern = "^[0-9]{1,18}$"))]
    pub cursor: Option<String>,
}

impl Span {
    /// Before which number, and how many: one more than the page has, which says whether there is another one.
    fn bounds(&self) -> Result<(i64, i64), Error> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=MOST).contains(&limit) {
            return Err(Error::Invalid(format!("the limit has to be from 1 to {MOST}")));
        }
        let is_plain = |text: &&String| (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let before = match &self.cursor {
            None => i64::MAX,
            Some(text) => Some(text).filter(is_plain).and_then(|text| text.parse().ok()).ok_or_else(|| {
                Error::Invalid("the cursor is not one of ours; take `next_cursor` of the page before".to_owned())
            })?,
        };
        Ok((before, i64::from(limit) + 1))
    }

    /// Before which number, and how many, where so many are meant by default.
    pub fn checked(&self, default: u32) -> Result<(Option<i64>, usize), Error> {
        let span = Self { limit: self.limit.or(Some(default)), cursor: self.cursor.clone() };
        let (before, limit) = span.bounds()?;
        let before = self.cursor.as_ref().map(|_| before);
        Ok((before, usize::try_from(limit - 1).unwrap_or(usize::MAX)))
    }

    /// The page that these rows make, each with its number.
    fn page<T>(&self, mut rows: Vec<(i64, T)>) -> Page<T> {
        let limit = usize::try_from(self.limit.unwrap_or(PAGE)).unwrap_or(usize::MAX);
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| is_more).map(|(number, _)| number.to_string());
        Page { items: rows.into_iter().map(|(_, item)| item).collect(), next_cursor }
    }
}

/// A new id.
fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Something that somebody wrote: without the space around it, neither empty nor too long, and without what terminals obey.
fn text(what: &str, text: &str, longest: usize) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::Invalid(format!("the {what} is empty")));
    }
    let length = text.chars().count();
    if length > longest {
        return Err(Error::Invalid(format!("the {what} has {length} characters; {longest} are allowed")));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        return Err(Error::Invalid(format!("the {what} has control characters in it")));
    }
    Ok(text.to_owned())
}

/// Whether a statement failed because there is one of the name already.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What was kept as JSON.
fn kept<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
}

/// As it is kept.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own types have string keys and no failing serializer")
}

#[cfg(test)]
mod tests;
