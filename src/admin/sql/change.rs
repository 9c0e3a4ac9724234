//! A change of rows: tried first in a transaction that is rolled back, and made
//! only if it comes to the same number of rows.
//!
//! Unlike a question it has the rights of whoever the address names: that is
//! what a person confirms twice. It still goes by the extended protocol, which
//! takes one statement at a time, and within limits of time. What a trial leaves
//! behind is what PostgreSQL never takes back: numbers drawn from sequences.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::timeout;

use super::{
    guard::Change,
    runner::{Database, Error, widen},
};

/// How long it may take altogether, beyond what the statement itself may.
const GRACE: Duration = Duration::from_secs(5);

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
    /// The connection was lost while it was made final.
    #[error("the connection was lost while the change was made final; look whether it is there")]
    Unknown(#[source] sqlx::Error),
}

impl Database {
    /// How many rows a change would concern. It is made and taken back.
    pub async fn try_change(&self, change: &Change) -> Result<u64, NotMade> {
        self.in_time(async {
            let (mut connection, rows) = self.begin_change(change).await?;
            connection.execute("ROLLBACK").await.map_err(Error::Database)?;
            // What is left of the connection is the database's to clean up.
            let _ = connection.close().await;
            Ok(rows)
        })
        .await
    }

    /// Makes it, if it concerns as many rows as were shown.
    pub async fn change(&self, change: &Change, shown: u64) -> Result<u64, NotMade> {
        self.in_time(async {
            let (mut connection, now) = self.begin_change(change).await?;
            if now != shown {
                connection.execute("ROLLBACK").await.map_err(Error::Database)?;
                return Err(NotMade::OtherRows { now, shown });
            }
            connection.execute("COMMIT").await.map_err(|error| match error {
                // A deferred constraint says no at the very end.
                sqlx::Error::Database(_) => NotMade::Database(Error::Database(error)),
                lost => NotMade::Unknown(lost),
            })?;
            let _ = connection.close().await;
            Ok(now)
        })
        .await
    }

    async fn begin_change(&self, change: &Change) -> Result<(PgConnection, u64), NotMade> {
        let options = self.for_changes();
        let mut connection = PgConnection::connect_with(&options).await.map_err(Error::Unreachable)?;
        connection.execute("BEGIN").await.map_err(Error::Database)?;
        widen(&mut connection, &self.limits().search_path).await?;
        let done = sqlx::query(AssertSqlSafe(change.sql().to_owned())).persistent(false).execute(&mut connection).await;
        let done = done.map_err(|error| match &error {
            sqlx::Error::Database(told) => Error::Statement(told.message().to_owned()),
            _ => Error::Database(error),
        })?;
        Ok((connection, done.rows_affected()))
    }

    /// Ends what takes too long; a connection that is dropped takes its transaction back with it.
    async fn in_time(&self, change: impl Future<Output = Result<u64, NotMade>>) -> Result<u64, NotMade> {
        let time = self.limits().time;
        timeout(time + GRACE, change).await.unwrap_or(Err(NotMade::Database(Error::Slow(time))))
    }
}
