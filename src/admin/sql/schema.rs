//! What is in a database, as a model is told: tables, columns, types, keys, comments, and the values of columns
//! that have only a few.
//!
//! It is read like any question, behind both walls. Never from a column that sounds like a secret or like a
//! person is a value taken; comments and values are what others wrote, and no more than data.

mod read;
mod render;

pub(super) use render::stem;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::runner::Error;
use crate::secret::Secret;

/// Tables change seldom, and a statement that fails makes us look again.
const FRESH: Duration = Duration::from_mins(5);

/// The tables of a database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// By schema and name.
    pub tables: Vec<Table>,
}

/// A table, or something that is asked like one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The schema that it is in.
    pub schema: String,
    /// Its name in there.
    pub name: String,
    /// `table`, `view`.
    pub kind: &'static str,
    /// What somebody wrote about it.
    pub comment: String,
    /// About so many rows; none when nobody has counted.
    pub rows: Option<i64>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its keys, as PostgreSQL writes them.
    pub keys: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as PostgreSQL calls it.
    pub type_name: String,
    /// Whether it always has a value.
    pub is_required: bool,
    /// What somebody wrote about it.
    pub comment: String,
    /// Its values, where there are only a few.
    pub values: Vec<String>,
}

impl Table {
    /// Schema and name as SQL takes them.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }
}

/// A name as SQL takes it, in quotes where it needs them.
#[must_use]
pub fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether what is in a column of this name is nothing to be shown unasked, nor told to anybody.
#[must_use]
pub fn sounds_secret(column: &str) -> bool {
    let low: String = column.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let parts =
        ["passw", "pwd", "secret", "token", "hash", "salt", "credential", "otp", "apikey", "privatekey", "cookie", "ticket"];
    parts.iter().any(|part| low.contains(part))
}

/// Words of SQL that tables and columns are sometimes called by.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_date",
    "current_role",
    "current_time",
    "current_user",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "in",
    "inner",
    "into",
    "is",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// What was read lately, of the database that was asked last.
#[derive(Debug, Default)]
pub struct Schemas(Mutex<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    url: Secret,
    at: Instant,
    schema: Arc<Schema>,
}

impl Schemas {
    /// The tables of the database at this address.
    pub async fn of(&self, url: &Secret) -> Result<Arc<Schema>, Error> {
        if let Some(kept) = self.lock().as_ref().filter(|kept| kept.url == *url && kept.at.elapsed() < FRESH) {
            return Ok(Arc::clone(&kept.schema));
        }
        let schema = Arc::new(read::read(url).await?);
        *self.lock() = Some(Kept { url: url.clone(), at: Instant::now(), schema: Arc::clone(&schema) });
        Ok(schema)
    }

    /// Forgets it: something was not as it said.
    pub fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
