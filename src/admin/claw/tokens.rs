//! Tokens of machines: shown once, kept by their digests.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Error, is_taken};
use crate::{
    admin::store::{Store, digest},
    secret::Secret,
};

/// By what a leaked one is recognised as ours.
const PREFIX: &str = "mct_";
/// More machines than one host talks with.
const MOST: i64 = 200;
/// That a token is used is written down this often.
const NOTED: SignedDuration = SignedDuration::from_mins(1);

/// A token, without what it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Who has it.
    pub name: String,
    /// When it was made.
    pub created_at: String,
    /// Until when it is good; for ever, without.
    pub expires_at: Option<String>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<String>,
}

/// Makes a token for a machine of this name. It is nowhere else but in what is returned.
pub async fn create(store: &Store, name: &str, now: Timestamp, expires: Option<Timestamp>) -> Result<Secret, Error> {
    let is_good =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte));
    if !(1..=63).contains(&name.len()) || !is_good(name) {
        let message = "the name of a token has 1 to 63 small letters, digits, hyphens, underscores and dots";
        return Err(Error::Invalid(message.to_owned()));
    }
    if expires.is_some_and(|expires| expires <= now) {
        return Err(Error::Invalid("the token would have expired already".to_owned()));
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM token").fetch_one(store.pool()).await?;
    if count >= MOST {
        return Err(Error::Conflict(format!("there are {MOST} tokens already; revoke one")));
    }
    let token = format!("{PREFIX}{}", hex::encode(rand::random::<[u8; 32]>()));
    let query = sqlx::query("INSERT INTO token VALUES ($1, $2, $3, $4, NULL)").bind(name).bind(digest(&token));
    let made = query.bind(now.to_string()).bind(expires.map(|expires| expires.to_string())).execute(store.pool()).await;
    match made {
        Ok(_) => Ok(Secret::new(token)),
        Err(error) if is_taken(&error) => Err(Error::Conflict(format!("there is a token `{name}` already; revoke it first"))),
        Err(error) => Err(error.into()),
    }
}

/// All of them, by name.
pub async fn list(store: &Store) -> Result<Vec<TokenView>, Error> {
    let query = sqlx::query_as("SELECT name, created_at, expires_at, last_used_at FROM token ORDER BY name");
    let rows: Vec<(String, String, Option<String>, Option<String>)> = query.fetch_all(store.pool()).await?;
    let view = |(name, created_at, expires_at, last_used_at)| TokenView { name, created_at, expires_at, last_used_at };
    Ok(rows.into_iter().map(view).collect())
}

/// From now on it opens nothing. True if there was one.
pub async fn revoke(store: &Store, name: &str) -> Result<bool, Error> {
    let done = sqlx::query("DELETE FROM token WHERE name = $1").bind(name).execute(store.pool()).await?;
    Ok(done.rows_affected() > 0)
}

/// The name of whoever has this token, if it is good. It is looked up by its digest, whose parts say nothing about its own.
pub async fn owner(store: &Store, token: &str, now: Timestamp) -> Result<Option<String>, Error> {
    if !token.starts_with(PREFIX) || token.len() > 128 {
        return Ok(None);
    }
    let query = sqlx::query_as("SELECT name, expires_at, last_used_at FROM token WHERE digest = $1").bind(digest(token));
    let found: Option<(String, Option<String>, Option<String>)> = query.fetch_optional(store.pool()).await?;
    let Some((name, expires, used)) = found else { return Ok(None) };
    let moment = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    // One whose end cannot be read has none to be trusted.
    if expires.is_some() && moment(expires).is_none_or(|expires| expires <= now) {
        return Ok(None);
    }
    if moment(used).is_none_or(|used| now.duration_since(used) >= NOTED) {
        let note = sqlx::query("UPDATE token SET last_used_at = $1 WHERE name = $2").bind(now.to_string()).bind(&name);
        // Who may come in does not depend on whether it can be written down when he came.
        if let Err(error) = note.execute(store.pool()).await {
            tracing::warn!(token = name, error = crate::error_chain(&error), "when a token was used last cannot be written down");
        }
    }
    Ok(Some(name))
}
