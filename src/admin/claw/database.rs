//! Questions to the database of the Environment, in SQL, behind both walls.

use crate::{
    admin::sql::{
        answer::Answer,
        guard,
        runner::{self, Database, Limits},
    },
    operator::Operator,
};

/// Where the URL of the database is.
const DATABASE_URL: &str = "DATABASE_URL";

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
    Database(#[from] runner::Error),
}

/// Asks. That it was asked is on record.
pub async fn ask(operator: &dyn Operator, actor: &str, sql: &str) -> Result<Answer, Refused> {
    let checked = guard::check(sql)?;
    let url = operator.variable(DATABASE_URL).ok_or(Refused::None)?;
    let answered = match Database::new(url.expose(), Limits::default()) {
        Ok(database) => database.ask(&checked).await,
        Err(error) => Err(error),
    };
    let error = answered.as_ref().err().map(|error| crate::error_chain(error));
    let words = format!("ask the database: {}", checked.sql());
    operator.note(actor, "AskDatabase", &words, error.as_deref()).await;
    Ok(answered?)
}
