//! Where it is kept: in the backend manager's own database, or in a PostgreSQL.
//!
//! Both take the same statements. The file is there whenever we are. The
//! PostgreSQL may be away: then whoever asks is told so at once, and somebody
//! who has nothing else to do looks for it until it is back. Nobody waits.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, SqlSafeStr as _, Sqlite, SqlitePool, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    postgres::PgPoolOptions,
};
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::{
    admin::store::{self, Store},
    record::ship::Target,
};

/// Everything of ours is in this schema, and nothing else is touched.
const SCHEMA: &str = "np_claw";
/// A database that takes longer for a statement is one that is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// A new connection is made in a moment, or not.
const CONNECT: Duration = Duration::from_secs(2);
/// As many statements at the same time as a handful of people and programs need.
const CONNECTIONS: u32 = 4;
/// How often one that is away is looked for.
const LOOK: Duration = Duration::from_secs(2);
/// For the lock of those who write something that depends on what is there: any number will do, if it is always the same.
const LOCK: i64 = 0x6d6f_6f72_696e_6701;
/// What every connection begins with: names are ours, and what hangs on the other side ends there as well.
const BEGIN: &str = "SET search_path TO np_claw; SET statement_timeout TO '5s'; SET idle_in_transaction_session_timeout TO '10s'";

/// Where threads, memories, personas, the budget and playbooks are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shelf(pub(super) Place);

/// The database.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The backend manager's own.
    File(SqlitePool),
    /// One that may be away.
    Postgres(Arc<Remote>),
}

/// A database that may be away.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) pool: PgPool,
    target: Target,
    standing: Mutex<Standing>,
}

/// What is known of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Nobody has looked yet, or since it was lost.
    Unknown,
    /// It answers, and has our tables.
    Here,
    /// It does not, for this reason.
    Away(String),
}

/// Works in the database, whichever it is: `on!(shelf, pool => …)`, where `…` is made for either kind of pool.
macro_rules! on {
    ($shelf:expr, $pool:ident => $work:expr) => {
        match &$shelf.0 {
            $crate::admin::claw::shelf::Place::File($pool) => $crate::admin::claw::shelf::here(async { $work }).await,
            $crate::admin::claw::shelf::Place::Postgres(remote) => {
                let $pool = &remote.pool;
                remote.within(async { $work }).await
            }
        }
    };
}
pub(super) use on;

/// Works in a database that is always there.
pub(super) async fn here<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    work.await
}

/// A transaction in which what is read stays as it is until something is written.
pub(super) trait Alone {
    /// Its kind of database.
    type Database: sqlx::Database;

    /// Begins one, once no other such one is at work.
    async fn alone(&self) -> Result<Transaction<'static, Self::Database>, sqlx::Error>;
}

impl Alone for SqlitePool {
    type Database = Sqlite;

    async fn alone(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.begin_with("BEGIN IMMEDIATE").await
    }
}

impl Alone for PgPool {
    type Database = Postgres;

    async fn alone(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut work = self.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *work).await?;
        Ok(work)
    }
}

impl From<&Store> for Shelf {
    /// The backend manager's own database.
    fn from(store: &Store) -> Self {
        Self(Place::File(store.pool().clone()))
    }
}

impl Shelf {
    /// A PostgreSQL. It is taken to be away until somebody has looked.
    #[must_use]
    pub fn in_postgres(target: &Target) -> Self {
        let options = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT)
            .after_connect(|connection, _| Box::pin(begin(connection)));
        let pool = options.connect_lazy_with(target.options().clone());
        Self(Place::Postgres(Arc::new(Remote { pool, target: target.clone(), standing: Mutex::new(Standing::Unknown) })))
    }

    /// Looks whether it is there, and brings its tables up to date. True if it can be used.
    pub async fn look(&self) -> bool {
        match &self.0 {
            Place::File(_) => true,
            Place::Postgres(remote) => remote.look().await,
        }
    }

    /// Looks for it whenever it is away, until the shutdown.
    pub async fn tend(self, shutdown: CancellationToken) {
        let Place::Postgres(remote) = self.0 else { return };
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            if !remote.is_here() && shutdown.run_until_cancelled(remote.look()).await.is_none() {
                break;
            }
        }
    }

    /// Parts from it in order, once nobody needs it any more.
    pub async fn close(&self) {
        if let Place::Postgres(remote) = &self.0 {
            // One that does not answer is left all the same.
            let _ = timeout(CONNECT, remote.pool.close()).await;
        }
    }
}

impl Remote {
    /// Works there, unless it is away.
    pub(super) async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        if !self.is_here() {
            return Err(Error::Away);
        }
        let done = timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()));
        match done {
            Err(Error::Store(store::Error::Database(error))) if is_away(&error) => {
                tracing::debug!(error = crate::error_chain(&error), "the database that keeps conversations is lost");
                // Why, says whoever looks for it: a pool does not know.
                self.now(Standing::Unknown);
                Err(Error::Away)
            }
            Err(Error::Store(store::Error::Database(error))) if code(&error).as_deref() == Some("22021") => {
                Err(Error::Invalid("there is a character in it that the database cannot keep".to_owned()))
            }
            done => done,
        }
    }

    fn is_here(&self) -> bool {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) == Standing::Here
    }

    async fn look(&self) -> bool {
        let looked = timeout(PATIENCE, self.migrate()).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()));
        let is_here = looked.is_ok();
        self.now(match looked {
            Ok(()) => Standing::Here,
            Err(error) => Standing::Away(crate::error_chain(&error)),
        });
        is_here
    }

    async fn migrate(&self) -> Result<(), store::Error> {
        // Not one of the pool, which does not say why it has none. And who gives up on migrations keeps their lock until the
        // connection ends: back in the pool, it would have the next look wait for it in vain.
        let mut connection = PgConnection::connect_with(self.target.options()).await?;
        begin(&mut connection).await?;
        let migrated = migrate(&mut connection).await;
        let closed = connection.close().await;
        migrated?;
        Ok(closed?)
    }

    /// Takes down how it stands now, and says it where that is new.
    fn now(&self, standing: Standing) {
        let mut known = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let was_here = *known == Standing::Here;
        let database = &self.target;
        match &standing {
            Standing::Here if !was_here => tracing::info!(%database, "what the claw API keeps is in the database"),
            Standing::Away(why) if *known != standing => {
                tracing::warn!(%database, why, "what the claw API keeps cannot be reached; it is looked for until it can");
            }
            Standing::Unknown | Standing::Here | Standing::Away(_) => {}
        }
        *known = standing;
    }
}

/// What every connection begins with.
async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(BEGIN).execute(connection).await.map(drop)
}

/// Makes the schema and its tables what they should be.
async fn migrate(connection: &mut PgConnection) -> Result<(), store::Error> {
    // It may have been made for us, by somebody who may make one.
    let is_there: bool =
        sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL").bind(SCHEMA).fetch_one(&mut *connection).await?;
    if !is_there {
        sqlx::query("CREATE SCHEMA IF NOT EXISTS np_claw").execute(&mut *connection).await?;
    }
    // As in `record::database`: `run` cannot be called from a spawned task.
    Ok(Migrator::with_migrations(migrations()).run_direct(None, connection, false).await?)
}

/// Every change of the schema, oldest first. Append only.
fn migrations() -> Vec<Migration> {
    let claw = include_str!("../migrations/postgres_0001_claw.sql").into_sql_str();
    vec![Migration::new(1, "claw".into(), MigrationType::Simple, claw, false)]
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Whether the database is to blame, and not what it was asked.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        // No way in; too many others; it goes down, or comes up.
        sqlx::Error::Database(_) => {
            code(error).is_some_and(|code| ["08", "28", "3D", "53", "57P"].iter().any(|class| code.starts_with(class)))
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
