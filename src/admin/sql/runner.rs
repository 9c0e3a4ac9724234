//! Asks a question so that the database itself refuses anything else.
//!
//! Every question has a connection of its own, which ends with it. Its
//! transaction is read-only, has looked at something already, so that nobody
//! can make it another one, and is rolled back whatever happens. The statement
//! goes by the extended protocol, which takes one at a time, and its rows come
//! from a cursor, which PostgreSQL opens for nothing but SELECT and VALUES.
//! Time, cost, rows and bytes are limited.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, Statement as _,
    ValueRef as _,
    postgres::{PgColumn, PgConnectOptions, PgRow, PgSslMode, types::Oid},
};
use tokio::time::timeout;

use super::{
    answer::{self, Answer, Column},
    guard::{Checked, Shape},
    relay::Relay,
};

/// A database that takes longer to let us in is one that is away.
const CONNECT: Duration = Duration::from_secs(10);
/// What the database may need beyond its own limit to say that it was reached.
const GRACE: Duration = Duration::from_secs(3);
/// Rows that are fetched at a time.
const BATCH: usize = 100;
/// With this the database is asked to end what nobody waits for any more.
const CANCEL: Duration = Duration::from_secs(5);
/// The wire's own words about rows, and its greeting, beyond the bytes of the values.
const OVERHEAD: u64 = 256 * 1024;
/// A role of PostgreSQL 14 and later that may read everything and write nothing.
const READER: &str = "pg_read_all_data";

/// How far a question may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Rows that are shown.
    pub rows: usize,
    /// Bytes of one value.
    pub cell: usize,
    /// Bytes of all values together.
    pub bytes: u64,
    /// How long it may take.
    pub time: Duration,
    /// How long it may wait for a lock.
    pub lock: Duration,
    /// The highest cost that PostgreSQL may expect, in its own unit: about a page read.
    pub cost: f64,
    /// Schemas whose tables need no schema before their names, as long as nothing of somebody's own in them could stand for a
    /// function or an operator of the system.
    pub search_path: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 200,
            cell: 4096,
            bytes: 4 * 1024 * 1024,
            time: Duration::from_secs(5),
            lock: Duration::from_secs(1),
            cost: 10_000_000.0,
            search_path: vec!["public".to_owned()],
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no address of a PostgreSQL. What was given is not repeated: there may be a password in it.
    #[error("expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url,
    /// The address asks for TLS.
    #[error("the address asks for TLS, which is not spoken here")]
    Tls,
    /// There is no way to the database.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// There is no way to anything.
    #[error("no connection can be made")]
    Io(#[from] std::io::Error),
    /// It does not answer.
    #[error("the database has not answered for {} s", .0.as_secs())]
    Away(Duration),
    /// It took too long.
    #[error("the question took longer than {} s and was stopped", .0.as_secs())]
    Slow(Duration),
    /// It would take too long.
    #[error("PostgreSQL expects a cost of {cost:.0}, and {limit:.0} is the most that a question may cost")]
    Costly {
        /// What it expects.
        cost: f64,
        /// What may be.
        limit: f64,
    },
    /// The answer is too big.
    #[error("the answer is bigger than {0} bytes")]
    Big(u64),
    /// It would have changed something.
    #[error("PostgreSQL refuses to change anything for a question: {0}")]
    Writes(String),
    /// The role may not read that.
    #[error("the role {role} may not: {message}")]
    Forbidden {
        /// Who asked.
        role: String,
        /// What PostgreSQL says.
        message: String,
    },
    /// The session is not as it was asked for.
    #[error("the session is not read-only, so nothing was asked")]
    NotReadOnly,
    /// PostgreSQL says no.
    #[error("PostgreSQL says: {0}")]
    Statement(String),
    /// Something went wrong on the way.
    #[error("the database cannot be asked")]
    Database(#[source] sqlx::Error),
}

/// A PostgreSQL that questions are put to. Its password is never shown.
#[derive(Clone)]
pub struct Database {
    options: PgConnectOptions,
    limits: Limits,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = &self.options;
        write!(f, "{}:{}/{}", options.get_host(), options.get_port(), options.get_database().unwrap_or_default())
    }
}

impl Database {
    /// By its address.
    pub fn new(url: &str, limits: Limits) -> Result<Self, Error> {
        if !(url.starts_with("postgresql://") || url.starts_with("postgres://")) {
            return Err(Error::Url);
        }
        let options: PgConnectOptions = url.parse().map_err(|_| Error::Url)?;
        // Without TLS in the program, "if possible" is no, and "always" is not to be had.
        if matches!(options.get_ssl_mode(), PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull) {
            return Err(Error::Tls);
        }
        // SQLx writes slow statements into our log; what is in one is not for whoever reads that.
        let options = options.disable_statement_logging();
        let options = options.options(settings(&limits)).application_name("mooring question").statement_cache_capacity(8);
        Ok(Self { options, limits })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How to connect for a change.
    pub(super) fn for_changes(&self) -> PgConnectOptions {
        let settings = settings(&self.limits).into_iter().filter(|(name, _)| *name != "default_transaction_read_only");
        self.options
            .clone()
            .options(settings)
            .options([("default_transaction_read_only", "off")])
            .application_name("mooring change")
    }

    /// Puts a question. When nobody waits for the answer any more, the database stops looking for it.
    pub async fn ask(&self, question: &Checked) -> Result<Answer, Error> {
        let begun = Instant::now();
        let relay = Relay::new(&self.options, self.limits.bytes + OVERHEAD)?;
        let mut session = self.open(&relay).await?;
        let asked = timeout(self.limits.time + GRACE, session.ask(question, &self.limits)).await;
        let role = session.role.clone();
        let found = match asked {
            Ok(Ok(found)) => {
                session.end().await;
                found
            }
            Ok(Err(_)) if relay.is_full() => return Err(Error::Big(self.limits.bytes)),
            Ok(Err(error)) => {
                let told = matches!(error, Error::Database(sqlx::Error::Database(_)) | Error::Costly { .. });
                if told {
                    session.end().await;
                }
                return Err(self.in_words(error, &role));
            }
            Err(_) => return Err(Error::Slow(self.limits.time)),
        };
        let Found { columns, rows, truncated, cut, cost } = found;
        Ok(Answer { sql: question.sql().to_owned(), role, columns, rows, truncated, cut, cost, took: begun.elapsed() })
    }

    /// Connects, and begins what cannot write.
    async fn open(&self, relay: &Relay) -> Result<Session, Error> {
        let options = relay.options(self.options.clone());
        let connect = timeout(CONNECT, PgConnection::connect_with(&options)).await;
        let mut connection = connect.map_err(|_| Error::Away(CONNECT))?.map_err(Error::Unreachable)?;
        let begun = async {
            let begun = begin(&mut connection).await?;
            widen(&mut connection, &self.limits.search_path).await?;
            Ok::<_, Error>(begun)
        };
        let (role, pid) = timeout(CONNECT, begun).await.map_err(|_| Error::Away(CONNECT))??;
        Ok(Session { connection: Some(connection), stop: Some(Stop { options: self.options.clone(), pid }), role })
    }

    /// What PostgreSQL's codes mean here.
    fn in_words(&self, error: Error, role: &str) -> Error {
        let Error::Database(sqlx::Error::Database(told)) = &error else { return error };
        let message = told.message().to_owned();
        match told.code().as_deref() {
            // The limit of time, ours or that of somebody who ended it.
            Some("57014" | "57P01") => Error::Slow(self.limits.time),
            Some("55P03") => Error::Statement("somebody else holds a lock on what was asked for".to_owned()),
            Some("25006") => Error::Writes(message),
            Some("42501") => Error::Forbidden { role: role.to_owned(), message },
            _ => Error::Statement(message),
        }
    }
}

/// What holds from the first moment of a connection on, whatever the role or the database have been set to.
fn settings(limits: &Limits) -> Vec<(&'static str, String)> {
    vec![
        ("default_transaction_read_only", "on".to_owned()),
        ("statement_timeout", limits.time.as_millis().to_string()),
        ("lock_timeout", limits.lock.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", (limits.time + GRACE).as_millis().to_string()),
        // Somebody's temporary tables come last, and not first as they would unnamed. More is added once it is known to be safe.
        ("search_path", "pg_temp".to_owned()),
        ("standard_conforming_strings", "on".to_owned()),
        ("row_security", "on".to_owned()),
        ("jit", "off".to_owned()),
        // A question does not need more than its share of the machine.
        ("max_parallel_workers_per_gather", "0".to_owned()),
        ("datestyle", "ISO".to_owned()),
        ("bytea_output", "hex".to_owned()),
    ]
}

/// Begins a transaction that cannot be made one that writes, and says who is in it.
async fn begin(connection: &mut PgConnection) -> Result<(String, i32), Error> {
    // Without it a statement goes on after we are gone; versions before 14 do not know it.
    let _ = connection.execute("SET client_connection_check_interval = '1s'").await;
    connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await.map_err(Error::Database)?;
    // After the first question a transaction cannot become one that writes.
    let look = "SELECT pg_catalog.current_setting('transaction_read_only') = 'on', \
                pg_catalog.current_setting('is_superuser') = 'on' AND EXISTS ( \
                  SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pg_read_all_data'), \
                current_user::text, pg_catalog.pg_backend_pid()";
    let (is_read_only, is_mighty, role, pid): (bool, bool, String, i32) =
        sqlx::query_as(look).fetch_one(&mut *connection).await.map_err(Error::Database)?;
    if !is_read_only {
        return Err(Error::NotReadOnly);
    }
    if is_mighty {
        // For a superuser no grant counts, so the question is not asked as one.
        connection.execute("SET LOCAL ROLE pg_read_all_data").await.map_err(Error::Database)?;
        return Ok((READER.to_owned(), pid));
    }
    Ok((role, pid))
}

/// Lets the tables of these schemas go without the schema's name, until the end of the transaction. A schema is left out if it
/// holds a function or an operator of a name that the system uses as well: by its types it might be preferred. What an
/// extension has brought was put there by somebody mighty.
pub(super) async fn widen(connection: &mut PgConnection, schemas: &[String]) -> Result<(), Error> {
    let safe = "SELECT coalesce(string_agg(quote_ident(s.name) || ',', '' ORDER BY s.place), '') || 'pg_temp' \
                FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS s(name, place) \
                JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.name \
                WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS own \
                    JOIN pg_catalog.pg_proc AS systems ON systems.proname = own.proname AND systems.pronamespace = 11 \
                    WHERE own.pronamespace = n.oid AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend \
                        WHERE classid = 1255 AND objid = own.oid AND deptype = 'e')) \
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator AS own \
                    JOIN pg_catalog.pg_operator AS systems ON systems.oprname = own.oprname AND systems.oprnamespace = 11 \
                    WHERE own.oprnamespace = n.oid AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend \
                        WHERE classid = 2617 AND objid = own.oid AND deptype = 'e'))";
    let path: String = sqlx::query_scalar(safe).bind(schemas).fetch_one(&mut *connection).await.map_err(Error::Database)?;
    let set = "SELECT pg_catalog.set_config('search_path', $1, true)";
    sqlx::query(set).bind(path).execute(&mut *connection).await.map(drop).map_err(Error::Database)
}

/// A connection for one question.
struct Session {
    connection: Option<PgConnection>,
    /// Taken away when there is nothing to stop any more.
    stop: Option<Stop>,
    role: String,
}

/// Ends what the database still does for us.
struct Stop {
    options: PgConnectOptions,
    pid: i32,
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.connection.take());
        let (Some(stop), Ok(runtime)) = (self.stop.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(timeout(CANCEL, async move {
            let mut connection = PgConnection::connect_with(&stop.options).await?;
            // A connection of our own; its process can be nobody else's before it has ended, nor ours after.
            let end = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
                       WHERE pid = $1 AND usename = session_user AND application_name = 'mooring question'";
            sqlx::query(end).bind(stop.pid).execute(&mut connection).await?;
            connection.close().await
        }));
    }
}

/// What came back.
#[derive(Default)]
struct Found {
    columns: Vec<Column>,
    rows: Vec<Vec<serde_json::Value>>,
    truncated: bool,
    cut: usize,
    cost: Option<f64>,
}

impl Session {
    /// Rolls back and leaves.
    async fn end(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let left = timeout(GRACE, async {
            connection.execute("ROLLBACK").await?;
            connection.close().await
        });
        // Otherwise what is left of it is stopped from outside.
        if matches!(left.await, Ok(Ok(()))) {
            self.stop = None;
        }
    }

    async fn ask(&mut self, question: &Checked, limits: &Limits) -> Result<Found, Error> {
        let Some(connection) = self.connection.as_mut() else { return Err(Error::NotReadOnly) };
        let mut found = Found::default();
        let sql = question.sql().to_owned();
        if question.shape() != Shape::Rows {
            let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(&mut *connection);
            while let Some(row) = rows.try_next().await.map_err(Error::Database)? {
                if found.columns.is_empty() {
                    // What EXPLAIN and SHOW answer is text, whatever its type is called.
                    let column = |column: &_| Column { name: name(column), type_name: "text".to_owned() };
                    found.columns = row.columns().iter().map(column).collect();
                }
                if !found.take(&row, limits) {
                    break;
                }
            }
            return Ok(found);
        }
        let cost = cost(connection, &sql).await?;
        found.cost = Some(cost);
        if cost > limits.cost {
            return Err(Error::Costly { cost, limit: limits.cost });
        }
        let declare = format!("DECLARE mooring_question NO SCROLL CURSOR WITHOUT HOLD FOR {sql}");
        sqlx::query(AssertSqlSafe(declare)).persistent(false).execute(&mut *connection).await.map_err(Error::Database)?;
        loop {
            // One more than is shown, to know whether there are more.
            let batch = BATCH.min(limits.rows + 1 - found.rows.len());
            let fetch = format!("FETCH FORWARD {batch} FROM mooring_question");
            // By the simple protocol values come as text; the statement is ours.
            let rows = sqlx::raw_sql(AssertSqlSafe(fetch)).fetch_all(&mut *connection).await.map_err(Error::Database)?;
            if let Some(first) = rows.first().filter(|_| found.columns.is_empty()) {
                found.columns = columns(connection, first.columns()).await?;
            }
            if !rows.iter().all(|row| found.take(row, limits)) || rows.len() < batch {
                break;
            }
        }
        if found.rows.is_empty() {
            // Without a row only this names the columns. It fails for types that it does not know, and nothing is lost but names.
            let statement = connection.prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(sql))).await;
            if let Ok(statement) = statement {
                found.columns = columns(connection, statement.columns()).await?;
            }
        }
        Ok(found)
    }
}

impl Found {
    /// Takes a row in. False when there is no room for it.
    fn take(&mut self, row: &PgRow, limits: &Limits) -> bool {
        if self.rows.len() >= limits.rows {
            self.truncated = true;
            return false;
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            let Ok(raw) = row.try_get_raw(at) else { return false };
            if raw.is_null() {
                values.push(serde_json::Value::Null);
                continue;
            }
            let text = String::from_utf8_lossy(raw.as_bytes().unwrap_or_default());
            let (text, is_cut) = answer::shorten(&text, limits.cell);
            self.cut += usize::from(is_cut);
            values.push(answer::value(&text, &column.type_name));
        }
        self.rows.push(values);
        true
    }
}

fn name(column: &PgColumn) -> String {
    column.name().to_owned()
}

/// The columns of the answer, with the names that PostgreSQL has for their types.
async fn columns(connection: &mut PgConnection, columns: &[PgColumn]) -> Result<Vec<Column>, Error> {
    let oids: Vec<Option<Oid>> = columns.iter().map(|column| column.type_info().oid()).collect();
    let names: Vec<String> = columns.iter().map(name).collect();
    let types = "SELECT pg_catalog.format_type(o.oid, NULL) FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS o(oid, place) ORDER BY place";
    let types: Vec<Option<String>> =
        sqlx::query_scalar(types).bind(oids).fetch_all(&mut *connection).await.map_err(Error::Database)?;
    let columns = names.into_iter().zip(types);
    Ok(columns.map(|(name, type_name)| Column { name, type_name: type_name.unwrap_or_else(|| "unknown".to_owned()) }).collect())
}

/// What PostgreSQL expects a question to cost.
async fn cost(connection: &mut PgConnection, sql: &str) -> Result<f64, Error> {
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {sql}"));
    let row = sqlx::query(explain).persistent(false).fetch_one(&mut *connection).await.map_err(Error::Database)?;
    let raw = row.try_get_raw(0).map_err(Error::Database)?;
    let plan: Option<serde_json::Value> = raw.as_bytes().ok().and_then(|bytes| serde_json::from_slice(bytes).ok());
    let cost = plan.as_ref().and_then(|plan| plan.pointer("/0/Plan/Total Cost")).and_then(serde_json::Value::as_f64);
    // A plan without a cost is one that nobody can tell anything about.
    Ok(cost.unwrap_or(f64::INFINITY))
}
