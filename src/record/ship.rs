//! The audit log in PostgreSQL as well: row by row, in order, each exactly once.
//!
//! The file in the state directory comes first and is enough. What is in it is
//! sent when the database answers, from the row after the last one that is
//! there, so that neither side has to remember anything: a batch that was cut
//! off, by a restart of either, is sent again, and a row that is there already
//! stays. Nobody waits for any of this.

use std::{str::FromStr, time::Duration};

use backoff::{BackoffBuilder, ExponentialBuilder};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{sync::watch, time::timeout};

use super::{
    Error,
    audit::{AuditLog, Look, Verified},
    chain::{AuditRow, Head, bind_row, row_from},
};
use crate::secret::Secret;

/// Rows in one transaction.
const BATCH: u32 = 500;
/// A database that takes longer for a batch is one that is away.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after the first failure, and the longest one: a database that is back is found within this time.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Rows that another process has written are noticed within this time.
const LOOK: Duration = Duration::from_secs(10);
/// Every change of the schema, oldest first. Append only.
const SCHEMA: &[&str] = &[include_str!("ship/0001_log.sql")];
/// For the lock under which the schema is changed: any number will do, if it is always the same.
const LOCK: i64 = 0x6d6f_6f72_696e_6700;

/// A PostgreSQL, with its password, which is never shown.
#[derive(Clone)]
pub struct Target {
    options: PgConnectOptions,
    url: Secret,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.options.get_host(), self.options.get_port(), self.options.get_database().unwrap_or_default())
    }
}

/// It is no address of a PostgreSQL. What was given is not repeated: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct InvalidUrl;

impl FromStr for Target {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let has_scheme = url.starts_with("postgresql://") || url.starts_with("postgres://");
        let options = url.parse().map_err(|_| InvalidUrl)?;
        if has_scheme { Ok(Self { options, url: Secret::new(url.to_owned()) }) } else { Err(InvalidUrl) }
    }
}

/// The database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The log itself cannot be read.
    #[error(transparent)]
    Log(#[from] Error),
    /// The database says no, or nothing.
    #[error("{target} cannot be used")]
    Database {
        /// Which one.
        target: String,
        /// Why.
        source: sqlx::Error,
    },
    /// It takes too long.
    #[error("{target} has not answered for {} s", PATIENCE.as_secs())]
    Slow {
        /// Which one.
        target: String,
    },
    /// Its tables are not ones that this version knows.
    #[error("the audit log in {target} is of a newer version of Mooring")]
    Newer {
        /// Which one.
        target: String,
    },
}

/// What is known of the shipping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last row that is known to be there.
    pub shipped: i64,
    /// Why no more are, if that is so.
    pub trouble: Option<String>,
}

/// Sends rows for as long as it is wanted.
pub struct Shipper {
    /// Where to.
    pub target: Target,
    /// The rows.
    pub log: AuditLog,
    /// How far they go.
    pub head: watch::Receiver<Head>,
    /// Told of every change.
    pub progress: watch::Sender<Progress>,
}

impl Shipper {
    /// Sends what there is, and what comes.
    pub async fn run(mut self) {
        let pauses = || {
            ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST).with_factor(2.0).without_max_times().build()
        };
        let mut pause = pauses();
        loop {
            let before = self.progress.borrow().shipped;
            let Err(error) = self.ship().await;
            if self.progress.borrow().shipped > before {
                pause = pauses();
            }
            let trouble = crate::error_chain(&error);
            self.progress.send_modify(|progress| progress.trouble = Some(trouble));
            tokio::time::sleep(pause.next().unwrap_or(LONGEST)).await;
        }
    }

    /// Sends until something goes wrong.
    async fn ship(&mut self) -> Result<std::convert::Infallible, ShipError> {
        let journal = self.log.journal().await?;
        let mut connection = self.target.connect().await?;
        let last = "SELECT coalesce(max(id), 0) FROM claw_audit_log WHERE journal = $1";
        let mut last: i64 = self.target.within(sqlx::query_scalar(last).bind(&journal).fetch_one(&mut connection)).await?;
        loop {
            let rows = self.log.rows(last, BATCH).await?;
            let Some(end) = rows.last() else {
                self.progress.send_if_modified(|progress| {
                    let now = Progress { shipped: last, trouble: None };
                    std::mem::replace(progress, now.clone()) != now
                });
                // Whoever waits for nothing keeps a connection that may be dead; the next row finds that out.
                let _ = timeout(LOOK, self.head.changed()).await;
                continue;
            };
            let end = end.id;
            self.target.within(insert(&mut connection, &journal, &rows)).await?;
            last = end;
            self.progress.send_modify(|progress| *progress = Progress { shipped: last, trouble: None });
        }
    }
}

impl Target {
    /// For those who keep something else there.
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Connects, and brings the schema up to date.
    async fn connect(&self) -> Result<PgConnection, ShipError> {
        let mut connection = self.within(PgConnection::connect_with(&self.options)).await?;
        if self.within(migrate(&mut connection)).await? {
            Ok(connection)
        } else {
            Err(ShipError::Newer { target: self.to_string() })
        }
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ShipError> {
        let target = || self.to_string();
        match timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(|source| ShipError::Database { target: target(), source }),
            Err(_) => Err(ShipError::Slow { target: target() }),
        }
    }

    /// Verifies every log that is kept there, by its journal.
    pub async fn verify(&self) -> Result<Vec<(String, Verified)>, ShipError> {
        let mut connection = self.connect().await?;
        let journals = "SELECT DISTINCT journal FROM claw_audit_log ORDER BY journal";
        let journals: Vec<String> = self.within(sqlx::query_scalar(journals).fetch_all(&mut connection)).await?;
        let mut verified = Vec::with_capacity(journals.len());
        for journal in journals {
            let (mut look, mut after) = (Look::new(&[]), 0);
            loop {
                let rows = self.within(page(&mut connection, &journal, after)).await?;
                let Some(last) = rows.last() else { break };
                after = last.id;
                if !rows.iter().all(|row| look.at(&row.into(), &row.operation, &row.details)) {
                    break;
                }
            }
            verified.push((journal, look.ended()));
        }
        Ok(verified)
    }
}

/// False where the schema is one of a later version.
async fn migrate(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Several Moorings may share a database, and begin at the same time.
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    let versions =
        "CREATE TABLE IF NOT EXISTS claw_audit_schema (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";
    sqlx::query(versions).execute(&mut *transaction).await?;
    let version: i32 =
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM claw_audit_schema").fetch_one(&mut *transaction).await?;
    let done = usize::try_from(version).unwrap_or(0);
    if done > SCHEMA.len() {
        return Ok(false);
    }
    for (number, change) in SCHEMA.iter().enumerate().skip(done) {
        sqlx::raw_sql(AssertSqlSafe(*change)).execute(&mut *transaction).await?;
        let version = i32::try_from(number + 1).unwrap_or(i32::MAX);
        sqlx::query("INSERT INTO claw_audit_schema (version) VALUES ($1)").bind(version).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

const INSERT: &str = "
    INSERT INTO claw_audit_log (journal, id, created_at, actor, phase, intent, pass, step, object, generation, operation,
                                target, why_code, why, outcome, error, details, prev_hash, hash)
    VALUES ($1, $2, $3::timestamptz, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17::json, $18, $19)
    ON CONFLICT (journal, id) DO NOTHING";

async fn insert(connection: &mut PgConnection, journal: &str, rows: &[AuditRow]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for row in rows {
        bind_row!(sqlx::query(INSERT).bind(journal), row).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

const PAGE: &str = "
    SELECT id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS created_at, actor, phase, intent, pass,
           step, object, generation, operation, target, why_code, why, outcome, error, details::text AS details, prev_hash, hash
    FROM claw_audit_log WHERE journal = $1 AND id > $2 ORDER BY id LIMIT $3";

async fn page(connection: &mut PgConnection, journal: &str, after: i64) -> Result<Vec<AuditRow>, sqlx::Error> {
    let rows = sqlx::query(PAGE).bind(journal).bind(after).bind(i64::from(BATCH)).fetch_all(connection).await?;
    Ok(rows.iter().map(|row: &PgRow| row_from!(row)).collect())
}
