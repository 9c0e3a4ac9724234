//! A change of rows: tried first in a transaction that is rolled back, and made
//! only if it comes to the same.
//!
//! The same is: the same rows, each as it was; the same values for them; and
//! the same number of rows that go along in each table. Rows that are changed or
//! deleted are known by where they lie and by the transaction that wrote them
//! last (`tableoid`, `ctid`, `xmin`), which is another one as soon as anybody
//! has written the row; rows of a view by all that is in them. They are looked
//! for by the change's own conditions in the snapshot that the change itself has:
//! it is made at REPEATABLE READ, where whoever comes in between ends it.
//! What is another value each time, as `now()` is, is not compared.
//!
//! Unlike a question it has the rights of whoever the address names: that is
//! what a person confirms twice. It still goes by the extended protocol, which
//! takes one statement at a time, and within limits of time. What a trial leaves
//! behind is what PostgreSQL never takes back: numbers drawn from sequences.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, postgres::types::Oid};
use tokio::time::timeout;

use super::{
    answer,
    effects::{self, Effects},
    guard::Change,
    reach::Reach,
    runner::{Database, Error, widen},
    schema::sounds_secret,
};
use crate::crash;

/// How long it may take altogether, beyond what the statements themselves may: there are a few of them.
const GRACE: Duration = Duration::from_secs(10);
/// Rows that are shown of those that it concerns.
const SHOWN: usize = 5;
/// Bytes of a value that is shown.
const CELL: usize = 120;

/// It was not made, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] Error),
    /// Something has changed since it was shown.
    #[error("it would change {now} rows, and {shown} were shown; nothing was changed")]
    OtherRows {
        /// How many rows it would be now.
        now: u64,
        /// How many there were.
        shown: u64,
    },
    /// As many rows, and not the same.
    #[error("it would change other rows than were shown, or rows that somebody has written since; nothing was changed")]
    NotThose,
    /// The rows are the same, and what goes along is not.
    #[error("something else would go along than was shown; nothing was changed")]
    OtherEffects,
    /// Somebody else was there at the same moment.
    #[error("somebody else was writing the same rows; nothing was changed")]
    Overtaken,
    /// The connection was lost while it was made final.
    #[error("the connection was lost while the change was made final; look whether it is there")]
    Unknown(#[source] sqlx::Error),
}

/// What a change comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Rows that it changes, as PostgreSQL counts them.
    pub rows: u64,
    /// Which rows are found by its conditions, and what they are given.
    pub found: Found,
    /// What it does besides.
    pub effects: Effects,
    /// Some of the rows, as they are.
    pub sample: Sample,
}

/// The rows that the conditions of a change find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many; none where the rows are all in the statement, or are others each time.
    pub rows: Option<i64>,
    /// The same only if each row is.
    pub digest: String,
}

/// Some rows, for people. Values of columns that sound like a secret are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// A value for each of them.
    pub rows: Vec<Vec<String>>,
}

impl Trial {
    /// Whether that is the same, for all that a person was shown.
    fn is_as(&self, shown: &Self) -> Result<(), NotMade> {
        if self.rows != shown.rows {
            return Err(NotMade::OtherRows { now: self.rows, shown: shown.rows });
        }
        if self.found != shown.found {
            return Err(NotMade::NotThose);
        }
        if self.effects == shown.effects { Ok(()) } else { Err(NotMade::OtherEffects) }
    }

    /// What is to be known before a yes.
    #[must_use]
    pub fn details(&self, change: &Change) -> Vec<String> {
        let mut lines = Vec::new();
        if change.is_whole {
            lines.push(format!("it has no condition: every row of {} is concerned", change.table));
        }
        lines.extend(self.effects.details(change.verb, self.rows));
        let counted = if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", self.rows) };
        if let Some(found) = self.found.rows.filter(|found| u64::try_from(*found) != Ok(self.rows)) {
            lines.push(format!("its conditions find {found} rows; triggers, rules or policies of the table make that {counted}"));
        }
        let only = match (change.verb, self.found.rows) {
            (_, Some(_)) => "if anybody has written one of them since, it is not made",
            ("INSERT", None) if change.reach.meets => {
                "which rows are there already is not compared, only how many; with other numbers it is not made"
            }
            _ => "with another number it is not made",
        };
        lines.push(format!("tried and taken back just now: {counted}; {only}"));
        lines
    }
}

impl Database {
    /// What a change would come to. It is made and taken back.
    pub async fn try_change(&self, change: &Change) -> Result<Trial, NotMade> {
        self.in_time(async {
            let (mut connection, trial) = self.begin_change(change, true).await?;
            connection.execute("ROLLBACK").await.map_err(Error::Database)?;
            // What is left of the connection is the database's to clean up.
            let _ = connection.close().await;
            Ok(trial)
        })
        .await
    }

    /// Makes it, if it comes to what was shown. Returns the number of rows.
    pub async fn change(&self, change: &Change, shown: &Trial) -> Result<u64, NotMade> {
        let begun = async {
            let (mut connection, now) = self.begin_change(change, false).await?;
            if let Err(other) = now.is_as(shown) {
                connection.execute("ROLLBACK").await.map_err(Error::Database)?;
                return Err(other);
            }
            Ok((connection, now.rows))
        };
        let (mut connection, rows) = self.in_time(begun).await?;
        crash::point("change-before-commit");
        // Who does not hear the answer to this does not know.
        match timeout(GRACE, connection.execute("COMMIT")).await {
            Ok(Ok(_)) => {}
            Ok(Err(error @ sqlx::Error::Database(_))) => return Err(told(error)),
            Ok(Err(error)) => return Err(NotMade::Unknown(error)),
            Err(_) => return Err(NotMade::Unknown(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
        }
        crash::point("change-after-commit");
        let _ = connection.close().await;
        Ok(rows)
    }

    /// Makes a change in a transaction, and says what it came to. With `sample`, some of its rows are looked at before.
    async fn begin_change(&self, change: &Change, sample: bool) -> Result<(PgConnection, Trial), NotMade> {
        let options = self.for_changes();
        let mut connection = PgConnection::connect_with(&options).await.map_err(Error::Unreachable)?;
        connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE").await.map_err(Error::Database)?;
        widen(&mut connection, &self.limits().search_path).await?;
        let (target, id, is_stored) = target(&mut connection, change).await?;
        let mut trial = Trial::default();
        // Whatever looking calls, by types and views of somebody's own, is taken back in any case.
        connection.execute("SAVEPOINT mooring_look").await.map_err(told)?;
        trial.found = found(&mut connection, &change.reach, is_stored).await?;
        if sample {
            trial.sample = self::sample(&mut connection, &change.reach, is_stored).await?;
        }
        connection.execute("ROLLBACK TO SAVEPOINT mooring_look").await.map_err(told)?;
        connection.execute("RELEASE SAVEPOINT mooring_look").await.map_err(told)?;
        let before = effects::counts(&mut connection).await?;
        let done = sqlx::query(AssertSqlSafe(change.sql().to_owned())).persistent(false).execute(&mut connection).await;
        trial.rows = done.map_err(told)?.rows_affected();
        // What would wait for the very end has its say now, and is counted.
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(told)?;
        trial.effects = Effects::look(&mut connection, &before, change, &target, id).await?;
        Ok((connection, trial))
    }

    /// Ends what takes too long; a connection that is dropped takes its transaction back with it.
    async fn in_time<T>(&self, change: impl Future<Output = Result<T, NotMade>>) -> Result<T, NotMade> {
        let time = self.limits().time;
        timeout(time + GRACE, change).await.unwrap_or(Err(NotMade::Database(Error::Slow(time))))
    }
}

/// What PostgreSQL's words mean here.
fn told(error: sqlx::Error) -> NotMade {
    match &error {
        sqlx::Error::Database(told) if matches!(told.code().as_deref(), Some("40001" | "40P01")) => NotMade::Overtaken,
        sqlx::Error::Database(told) => NotMade::Database(Error::Statement(told.message().to_owned())),
        _ => NotMade::Database(Error::Database(error)),
    }
}

/// The table of a change as PostgreSQL knows it, its id, and whether its rows lie in it: those of a view do not.
async fn target(connection: &mut PgConnection, change: &Change) -> Result<(String, Oid, bool), NotMade> {
    let look = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid, c.relkind IN ('r', 'p') \
                FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                WHERE c.oid = pg_catalog.to_regclass($1)";
    let found = sqlx::query_as(look).bind(&change.table).fetch_optional(&mut *connection).await.map_err(told)?;
    let missing = || NotMade::Database(Error::Statement(format!("relation {} does not exist", change.table)));
    found.ok_or_else(missing)
}

/// What tells one row from all others, and from itself after somebody has written it.
fn key(target: Option<&str>, is_stored: bool) -> String {
    match target {
        Some(target) if is_stored => format!("ROW({target}.tableoid, {target}.ctid, {target}.xmin)"),
        Some(target) => format!("({target}.*)"),
        None => "(mooring_source.*)".to_owned(),
    }
}

/// Looks for the rows that the change itself is about to find.
async fn found(connection: &mut PgConnection, reach: &Reach, is_stored: bool) -> Result<Found, NotMade> {
    let Some(from) = &reach.from else { return Ok(Found::default()) };
    let key = key(reach.target.as_deref(), is_stored);
    let values = reach.values.join(", ");
    let look = format!(
        "SELECT pg_catalog.count(DISTINCT mooring_key), coalesce(pg_catalog.md5(pg_catalog.string_agg(mooring_row, '' ORDER BY mooring_row)), '') \
         FROM (SELECT {key}::text AS mooring_key, pg_catalog.md5(ROW({key}, ROW({values}))::text) AS mooring_row {from}) AS mooring_rows"
    );
    let look = sqlx::query_as::<_, (i64, String)>(AssertSqlSafe(look)).persistent(false);
    let (rows, digest) = look.fetch_one(&mut *connection).await.map_err(told)?;
    // Rows that are added may be alike.
    Ok(Found { rows: reach.target.is_some().then_some(rows), digest })
}

/// Some of the rows.
async fn sample(connection: &mut PgConnection, reach: &Reach, is_stored: bool) -> Result<Sample, NotMade> {
    let Some(from) = &reach.from else { return Ok(Sample::default()) };
    let rows = match &reach.target {
        // Beside other tables a row may be there several times.
        Some(target) if is_stored && reach.is_joined => {
            format!("SELECT DISTINCT ON ({target}.tableoid, {target}.ctid) {target}.* {from}")
        }
        Some(target) => format!("SELECT {target}.* {from}"),
        None => format!("SELECT mooring_source.* {from}"),
    };
    let look = format!(
        "SELECT (SELECT pg_catalog.array_agg(e.key ORDER BY e.place) FROM pg_catalog.json_each_text(pg_catalog.row_to_json(r)) \
         WITH ORDINALITY AS e(key, value, place)), (SELECT pg_catalog.array_agg(pg_catalog.left(e.value, 1000) ORDER BY e.place) \
         FROM pg_catalog.json_each_text(pg_catalog.row_to_json(r)) WITH ORDINALITY AS e(key, value, place)) \
         FROM ({rows} LIMIT {SHOWN}) AS r"
    );
    let look = sqlx::query_as::<_, (Option<Vec<String>>, Option<Vec<Option<String>>>)>(AssertSqlSafe(look)).persistent(false);
    let found = look.fetch_all(&mut *connection).await.map_err(told)?;
    let mut sample = Sample::default();
    for (columns, values) in found {
        let (columns, values) = (columns.unwrap_or_default(), values.unwrap_or_default());
        let shown = columns.iter().zip(values).map(|(column, value)| shown(column, value.as_deref()));
        sample.rows.push(shown.collect());
        sample.columns = columns;
    }
    Ok(sample)
}

/// A value as people see it who did not ask for it.
fn shown(column: &str, value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(_) if sounds_secret(column) => "***".to_owned(),
        Some(value) => answer::shorten(value, CELL).0,
    }
}
