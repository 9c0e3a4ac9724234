//! The audit log as a whole: read row by row, verified, archived.

use std::{
    fs,
    io::{self, BufRead as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, LazyLock},
};

use futures::{Stream, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, SqlitePool, sqlite::SqliteRow};

use super::{
    Error,
    chain::{AuditRow, Fault, Head, Link, Walk, canonical_in_sql},
    database::{Database, Readers},
    statements,
};
use crate::crash;

/// The operation of the row that says where the rows before it are.
pub const CLEAR: &str = "ClearAuditLog";
/// Rows that are read at once.
const PAGE: u32 = 5000;

/// The audit log, to be read: beside the operator that writes it, or without one.
#[derive(Clone, Debug)]
pub struct AuditLog {
    readers: Arc<Readers>,
}

/// A row that was known to somebody outside of the log, as one line of an anchor file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// When, RFC 3339.
    pub at: String,
    /// Its number.
    pub id: i64,
    /// Its digest.
    pub hash: String,
}

/// What a row of [`CLEAR`] says of the rows that it took away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cleared {
    /// The file that they are in now.
    pub archive: PathBuf,
    /// How many there are.
    pub rows: u64,
    /// The first of them.
    pub first_id: i64,
    /// The last of them.
    pub last_id: i64,
    /// The digest of the last one, which the first row that was left carries as that of the row before it.
    pub last_hash: String,
}

/// What a look at the whole log came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The good rows, until the first bad one.
    pub rows: u64,
    /// The rows of an earlier version in front, for which nobody can vouch.
    pub unsealed: u64,
    /// The last good row.
    pub head: Option<Head>,
    /// The archive that the log goes on from, unless it was given.
    pub archive: Option<PathBuf>,
    /// The anchors that were found to be right.
    pub anchors: usize,
    /// What is wrong first.
    pub fault: Option<Fault>,
}

/// A log, an archive or an anchor file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log.
    #[error(transparent)]
    Log(#[from] Error),
    /// A file.
    #[error("cannot {doing} {path}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of a file is not what it should be.
    #[error("{path}:{line}: this is no {wanted}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What it should be.
        wanted: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl AuditLog {
    /// The log in this state directory; none where there never was one. Changes nothing, and needs no operator, but a Tokio
    /// runtime.
    #[must_use]
    pub fn of(state: &Path) -> Option<Self> {
        let database = Database::in_directory(state);
        database.path().exists().then(|| Self::over(Arc::new(Readers::new(database))))
    }

    pub(super) fn over(readers: Arc<Readers>) -> Self {
        Self { readers }
    }

    /// So many rows at most after the one of this number, oldest first.
    pub async fn rows(&self, after: i64, limit: u32) -> Result<Vec<AuditRow>, Error> {
        const ROWS: &str = "SELECT * FROM audit WHERE id > $1 ORDER BY id LIMIT $2";
        let read = async |pool: SqlitePool| sqlx::query(ROWS).bind(after).bind(i64::from(limit)).fetch_all(&pool).await;
        let rows: Vec<SqliteRow> = self.readers.read(read).await?;
        Ok(rows.iter().map(statements::audit_row).collect())
    }

    /// A page of what has to be known of rows to verify them, after the one of this number: with their operations, and the
    /// details of those that clear the log.
    async fn links(&self, after: i64) -> Result<Vec<(Link, String, String)>, Error> {
        static ROWS: LazyLock<String> = LazyLock::new(|| {
            let canonical = canonical_in_sql();
            format!(
                "SELECT id, coalesce (prev_hash, ''), coalesce (hash, ''), {canonical}, operation, \
                 CASE operation WHEN '{CLEAR}' THEN details ELSE '' END FROM audit WHERE id > $1 ORDER BY id LIMIT {PAGE}"
            )
        });
        let read = async |pool: SqlitePool| {
            let rows = sqlx::query_as(AssertSqlSafe(ROWS.as_str())).bind(after).fetch_all(&pool).await?;
            Ok(rows)
        };
        let rows: Vec<(i64, String, String, String, String, String)> = self.readers.read(read).await?;
        let link =
            |(id, prev_hash, hash, canonical, operation, details)| (Link { id, prev_hash, hash, canonical }, operation, details);
        Ok(rows.into_iter().map(link).collect())
    }

    /// The name by which these rows are told from those of another file.
    pub async fn journal(&self) -> Result<String, Error> {
        let read =
            async |pool: SqlitePool| sqlx::query_scalar("SELECT value FROM meta WHERE name = 'journal'").fetch_one(&pool).await;
        self.readers.read(read).await
    }

    /// All rows after the one of this number, oldest first, page by page: each in bounded time, and none of them long in
    /// memory.
    pub fn pages(&self, after: i64) -> impl Stream<Item = Result<Vec<AuditRow>, Error>> + Send {
        stream::try_unfold(after, move |after| async move {
            let rows = self.rows(after, PAGE).await?;
            Ok(rows.last().map(|row| row.id).map(|last| (rows, last)))
        })
    }

    /// Goes through the archives and then the log, from the first row to the first bad one, and compares with the anchors.
    /// `progress` is told the number of the row that has been reached.
    pub async fn verify(
        &self,
        archives: &[PathBuf],
        anchors: &[Anchor],
        mut progress: impl FnMut(i64),
    ) -> Result<Verified, ReadError> {
        let mut look = Look::new(anchors);
        for archive in archives {
            for row in read_lines::<AuditRow>(archive, "row of an audit log")? {
                let row = row?;
                if !look.at(&Link::from(&row), &row.operation, &row.details) {
                    return Ok(look.ended());
                }
            }
        }
        let mut page = self.links(0).await?;
        while let Some(reached) = page.last().map(|(link, ..)| link.id) {
            // Digests take about as long as reading: the next page comes meanwhile.
            let looked = tokio::task::spawn_blocking(move || {
                let goes_on = page.iter().all(|(link, operation, details)| look.at(link, operation, details));
                (look, goes_on)
            });
            let (looked, next) = tokio::join!(looked, self.links(reached));
            let (now, goes_on) = looked.unwrap_or_else(|lost| std::panic::resume_unwind(lost.into_panic()));
            look = now;
            if !goes_on {
                break;
            }
            page = next?;
            progress(reached);
        }
        Ok(look.ended())
    }
}

/// A walk, and what is to be compared on the way.
pub(super) struct Look {
    walk: Walk,
    anchors: Vec<Anchor>,
    cleared: Vec<Cleared>,
    first: Option<i64>,
    fault: Option<Fault>,
    right: usize,
}

impl Look {
    pub(super) fn new(anchors: &[Anchor]) -> Self {
        let mut anchors = anchors.to_vec();
        // The next one to come is the last of the list.
        anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.id));
        Self { walk: Walk::default(), anchors, cleared: Vec::new(), first: None, fault: None, right: 0 }
    }

    /// Whether everything is right so far.
    ///
    /// Of its content, only that of a row that clears the log is of interest.
    pub(super) fn at(&mut self, row: &Link, operation: &str, details: &str) -> bool {
        self.fault = self.walk.step(row).err();
        if self.fault.is_some() {
            return false;
        }
        self.first.get_or_insert(row.id);
        if operation == CLEAR
            && let Ok(cleared) = serde_json::from_str(details)
        {
            self.cleared.push(cleared);
        }
        while let Some(anchor) = self.anchors.pop_if(|anchor| anchor.id <= row.id) {
            if anchor.id == row.id && anchor.hash != row.hash || anchor.id < row.id && self.first.is_some_and(|id| anchor.id > id)
            {
                self.fault = Some(Fault::Rewritten { id: anchor.id, when: anchor.at });
                return false;
            }
            // One of a row in an archive that was not given says nothing here.
            self.right += usize::from(anchor.id == row.id);
        }
        true
    }

    /// The end: whether it began where it should, and goes as far as it should.
    pub(super) fn ended(self) -> Verified {
        let Self { walk, anchors, cleared, fault, right, .. } = self;
        let before = walk.follows.as_ref();
        // Whoever died while rows were taken out has left some that are in the archive as well.
        let is_before = |cleared: &&Cleared, (id, hash): &(i64, String)| {
            cleared.last_hash == *hash || (cleared.first_id..=cleared.last_id).contains(id)
        };
        let archive = before.and_then(|first| cleared.iter().find(|cleared| is_before(cleared, first)));
        let headless = before.filter(|_| archive.is_none()).map(|(id, _)| Fault::Headless { id: *id });
        let end = walk.head().map_or(0, |head| head.id);
        let cut = anchors.into_iter().next_back().map(|anchor| Fault::Cut { id: anchor.id, end, when: anchor.at });
        Verified {
            rows: walk.rows,
            unsealed: walk.unsealed,
            head: walk.head().cloned(),
            archive: archive.map(|cleared| cleared.archive.clone()),
            anchors: right,
            fault: fault.or(headless).or(cut),
        }
    }
}

/// What is in an anchor file.
#[derive(Debug, Default)]
pub struct Noted {
    /// The anchors.
    pub anchors: Vec<Anchor>,
    /// The lines that are none: a full disk or a power failure has broken one off, or somebody was at it.
    pub broken: Vec<ReadError>,
}

/// The anchors in a file, one JSON object a line. A line that is none takes no other one away.
pub fn read_anchors(path: &Path) -> Result<Noted, ReadError> {
    let mut noted = Noted::default();
    for line in read_lines(path, "anchor")? {
        match line {
            Ok(anchor) => noted.anchors.push(anchor),
            Err(broken @ ReadError::Line { .. }) => noted.broken.push(broken),
            Err(error) => return Err(error),
        }
    }
    Ok(noted)
}

fn read_lines<T: serde::de::DeserializeOwned>(
    path: &Path,
    wanted: &'static str,
) -> Result<impl Iterator<Item = Result<T, ReadError>>, ReadError> {
    let failed = |source| ReadError::File { doing: "read", path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    // Bytes, because what was broken off may end within a letter.
    let lines = io::BufReader::new(file).split(b'\n').enumerate();
    let is_empty = |line: &io::Result<Vec<u8>>| line.as_ref().is_ok_and(Vec::is_empty);
    Ok(lines.filter(move |(_, line)| !is_empty(line)).map(move |(number, line)| {
        let line = line.map_err(|source| ReadError::File { doing: "read", path: path.to_owned(), source })?;
        let failed = |source| ReadError::Line { path: path.to_owned(), line: number + 1, wanted, source };
        serde_json::from_slice(&line).map_err(failed)
    }))
}

/// Writes rows as JSON lines into a file of its own, which is durable when this returns. Never over one that is there, and
/// none at all where there are no rows.
pub(super) async fn archive(log: &AuditLog, path: &Path, last: i64) -> Result<Option<Cleared>, ReadError> {
    let Some(first) = log.rows(0, 1).await?.into_iter().next().filter(|row| row.id <= last) else { return Ok(None) };
    let failed = |doing| move |source| ReadError::File { doing, path: path.to_owned(), source };
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed("make"))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed("make"))?;
    let mut writer = io::BufWriter::new(file);
    let mut cleared = Cleared { archive: path.to_owned(), rows: 0, first_id: first.id, last_id: 0, last_hash: String::new() };
    let mut pages = pin!(log.pages(0));
    while let Some(rows) = pages.try_next().await? {
        let is_over = rows.last().is_none_or(|row| row.id >= last);
        for row in rows.into_iter().take_while(|row| row.id <= last) {
            write_row(&mut writer, &row).map_err(failed("write"))?;
            cleared = Cleared { rows: cleared.rows + 1, last_id: row.id, last_hash: row.hash, ..cleared };
        }
        if is_over {
            break;
        }
    }
    let file = writer.into_inner().map_err(|error| failed("write")(error.into_error()))?;
    file.sync_all().map_err(failed("write"))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("write"))?;
    crash::point("archive-after-file");
    Ok(Some(cleared))
}

/// A row as one line of an export or an archive.
pub fn write_row(writer: &mut impl io::Write, row: &AuditRow) -> io::Result<()> {
    serde_json::to_writer(&mut *writer, row)?;
    writer.write_all(b"\n")
}
