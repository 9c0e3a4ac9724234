//! For which of its own sessions a client has turned the backend manager on.

use super::{Error, text};
use crate::admin::store::Store;

/// More sessions of one client are not kept; the oldest goes for a new one.
const MOST: i64 = 500;
/// The longest name of a session.
const LONGEST: usize = 64;

/// A session's name: an id of any kind.
fn session(name: &str) -> Result<String, Error> {
    let name = text("session_id", name, LONGEST)?;
    let is_good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    if is_good { Ok(name) } else { Err(Error::Invalid("a session_id has letters, digits, `-`, `_`, `.` and `:`".to_owned())) }
}

/// Turns it on or off.
pub async fn set(store: &Store, owner: &str, name: &str, enabled: bool) -> Result<(), Error> {
    let name = session(name)?;
    if !enabled {
        sqlx::query("DELETE FROM mode WHERE owner = $1 AND session_id = $2").bind(owner).bind(name).execute(store.pool()).await?;
        return Ok(());
    }
    let query = sqlx::query("INSERT INTO mode (owner, session_id) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    query.bind(owner).bind(name).execute(store.pool()).await?;
    let surplus = sqlx::query(
        "DELETE FROM mode WHERE owner = $1 AND rowid NOT IN (SELECT rowid FROM mode WHERE owner = $1 ORDER BY rowid DESC LIMIT $2)",
    );
    surplus.bind(owner).bind(MOST).execute(store.pool()).await?;
    Ok(())
}

/// Whether it is on.
pub async fn is_on(store: &Store, owner: &str, name: &str) -> Result<bool, Error> {
    let query = sqlx::query_scalar("SELECT count(*) FROM mode WHERE owner = $1 AND session_id = $2");
    let count: i64 = query.bind(owner).bind(session(name)?).fetch_one(store.pool()).await?;
    Ok(count > 0)
}
