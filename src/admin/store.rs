//! What the backend manager has to keep: sessions, the password's hash, tokens.
//!
//! A database of its own beside the record: whatever happens to the one costs
//! the other nothing. Sessions and tokens are kept by their digests, so that
//! whoever reads the file cannot use them.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use sha2::{Digest, Sha256};
use sqlx::{
    SqlSafeStr as _, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

/// The database's name in the state directory.
pub const FILE: &str = "admin.db";
/// A row is written in a moment; another process may be at it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

/// The database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its file cannot be made.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has another schema, of a newer version perhaps.
    #[error("the backend manager's database has a schema that this version does not know")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("the backend manager's database cannot be used")]
    Database(#[from] sqlx::Error),
}

impl Store {
    /// Opens it, and makes it where there is none: for its owner alone.
    pub async fn open(state: &Path) -> Result<Self, Error> {
        let path = state.join(FILE);
        let failed = |source| Error::File { path: path.display().to_string(), source };
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let options = SqliteConnectOptions::new().filename(&path).journal_mode(SqliteJournalMode::Wal).busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
        Migrator::with_migrations(migrations()).run(&pool).await?;
        Ok(Self { pool })
    }

    /// For the modules that keep tables of their own in it.
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// What stands under this name, if anything does.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar("SELECT value FROM setting WHERE name = $1").bind(name).fetch_optional(&self.pool).await?)
    }

    /// Puts something under this name; takes it away without a value.
    pub async fn set(&self, name: &str, value: Option<&str>) -> Result<(), Error> {
        let query = match value {
            Some(value) => {
                sqlx::query("INSERT INTO setting VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
                    .bind(name)
                    .bind(value)
            }
            None => sqlx::query("DELETE FROM setting WHERE name = $1").bind(name),
        };
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// Keeps a session; false where there is one of this id already and `is_new` says that there must not be.
    pub async fn keep_session(&self, id: &str, data: &str, expires: i64, is_new: bool) -> Result<bool, Error> {
        const NEW: &str = "INSERT INTO session VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";
        const KNOWN: &str = "INSERT INTO session VALUES ($1, $2, $3) \
                             ON CONFLICT (digest) DO UPDATE SET data = excluded.data, expires = excluded.expires";
        let query = sqlx::query(if is_new { NEW } else { KNOWN });
        let done = query.bind(digest(id)).bind(data).bind(expires).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }

    /// A session that has not expired by `now`, in seconds since 1970.
    pub async fn session(&self, id: &str, now: i64) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar("SELECT data FROM session WHERE digest = $1 AND expires > $2");
        Ok(query.bind(digest(id)).bind(now).fetch_optional(&self.pool).await?)
    }

    /// Ends a session.
    pub async fn end_session(&self, id: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM session WHERE digest = $1").bind(digest(id)).execute(&self.pool).await?;
        Ok(())
    }

    /// Ends all sessions, or those that have expired by `now`. Returns how many.
    pub async fn end_sessions(&self, now: Option<i64>) -> Result<u64, Error> {
        let query = sqlx::query("DELETE FROM session WHERE $1 IS NULL OR expires <= $1").bind(now);
        Ok(query.execute(&self.pool).await?.rows_affected())
    }
}

/// Every change of the schema, oldest first. Append only.
fn migrations() -> Vec<Migration> {
    let access = include_str!("migrations/0001_access.sql").into_sql_str();
    let claw = include_str!("migrations/0002_claw.sql").into_sql_str();
    vec![
        Migration::new(1, "access".into(), MigrationType::Simple, access, false),
        Migration::new(2, "claw".into(), MigrationType::Simple, claw, false),
    ]
}

/// By what it is found, and cannot be guessed from.
pub(super) fn digest(id: &str) -> String {
    hex::encode(Sha256::digest(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_there_after_a_restart_and_nobody_else_can_read_it() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).await.unwrap();
        store.set("password", Some("a hash")).await.unwrap();
        assert!(store.keep_session("secret", "{}", 100, true).await.unwrap());
        assert!(!store.keep_session("secret", "other", 100, true).await.unwrap(), "an id is given once");
        drop(store);
        let store = Store::open(state.path()).await.unwrap();
        assert_eq!(store.setting("password").await.unwrap().as_deref(), Some("a hash"));
        assert_eq!(store.session("secret", 99).await.unwrap().as_deref(), Some("{}"));
        assert_eq!(store.session("secret", 100).await.unwrap(), None, "it has expired");
        assert_eq!(fs::metadata(state.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = fs::read(state.path().join(FILE)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"), "whoever reads the file gets no session from it");
    }

    #[tokio::test]
    async fn what_was_ended_is_over() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).await.unwrap();
        for (id, expires) in [("one", 100), ("two", 200), ("three", 300)] {
            store.keep_session(id, "{}", expires, true).await.unwrap();
        }
        store.end_session("one").await.unwrap();
        assert_eq!(store.end_sessions(Some(200)).await.unwrap(), 1);
        assert_eq!(store.session("three", 0).await.unwrap().as_deref(), Some("{}"));
        assert_eq!(store.end_sessions(None).await.unwrap(), 1);
        assert_eq!(store.session("three", 0).await.unwrap(), None);
        store.set("password", Some("x")).await.unwrap();
        store.set("password", None).await.unwrap();
        assert_eq!(store.setting("password").await.unwrap(), None);
    }
}
