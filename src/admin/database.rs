//! Questions to the database of the Environment, in SQL, behind both walls:
//! the one place where they are asked, and put on record.

use super::sql::{
    answer::Answer,
    guard::{self, Checked},
    runner::{Database, Error, Limits},
};
use crate::{operator::Operator, secret::Secret};

/// Where the address of the database stands.
pub const DATABASE_URL: &str = "DATABASE_URL";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The question is none that only reads for sure.
    #[error("it is not asked")]
    Guard(#[from] guard::Refusal),
    /// There is nobody to ask.
    #[error("no Environment has a {DATABASE_URL}, so there is no database to ask")]
    None,
    /// It was asked, and did not answer.
    #[error(transparent)]
    Database(#[from] Error),
}

/// Asks in SQL, if that only reads.
pub async fn ask(operator: &dyn Operator, actor: &str, sql: &str) -> Result<Answer, Refused> {
    let checked = guard::check(sql)?;
    let url = url(operator).ok_or(Refused::None)?;
    Ok(put(operator, actor, &url, &checked).await?)
}

/// The address of the database, if an Environment has one.
#[must_use]
pub fn url(operator: &dyn Operator) -> Option<Secret> {
    operator.variable(DATABASE_URL)
}

/// The database at this address, within the usual limits.
pub fn open(url: &Secret) -> Result<Database, Error> {
    Database::new(url.expose(), Limits::default())
}

/// Asks what the guard has let through. That it was asked is on record, unless nobody waited for the answer.
pub async fn put(operator: &dyn Operator, actor: &str, url: &Secret, checked: &Checked) -> Result<Answer, Error> {
    let answered = match open(url) {
        Ok(database) => database.ask(checked).await,
        Err(error) => Err(error),
    };
    let error = answered.as_ref().err().map(|error| crate::error_chain(error));
    let words = format!("ask the database: {}", checked.sql());
    operator.note(actor, "AskDatabase", &words, error.as_deref()).await;
    answered
}
