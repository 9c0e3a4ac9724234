//! The SQLite file: made with the right modes, opened with the right settings,
//! brought to the newest schema, moved aside when it is damaged.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use sqlx::{
    ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Error, clock,
    statements::{self, Loaded},
};
use crate::crash;

/// The database's name in the state directory.
pub const FILE: &str = "mooring.db";

/// What is added to its name for the one of its write-ahead log.
const LOG: &str = "-wal";

/// How long to wait for another process that is writing, `mooring apply` for
/// example. Its transactions take milliseconds; who holds the lock longer is in
/// the way, and acts must learn so in bounded time.
const BUSY: Duration = Duration::from_secs(2);

/// How long the disk may take for one transaction, reading or opening, the wait
/// above included.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut to this size after a burst; SQLite would keep it at its largest.
const WAL_BYTES: &str = "16777216";

/// A whole check at start reads every page: up to this size it is not felt.
/// Damage in a larger file shows when the damaged page is used.
const CHECKED_BYTES: u64 = 8 << 20;

/// Two people looking at once; each reader is a thread of its own.
const READERS: u32 = 2;

/// Readers are rare, and each one costs memory.
const READER_IDLE: Duration = Duration::from_secs(30);

/// The one connection that writes, and what there was to read.
pub(super) struct Opening {
    pub(super) connection: SqliteConnection,
    pub(super) loaded: Loaded,
    /// Where a database is kept that was in the way because it is damaged.
    pub(super) moved_aside: Option<PathBuf>,
}

/// Where the database is.
#[derive(Clone, Debug)]
pub(super) struct Database {
    state: PathBuf,
    path: PathBuf,
    manner: Manner,
    /// Whether nothing else is done meanwhile: see [`clock::at_once`].
    at_once: bool,
}

/// How the database is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As one's own, or beside the one whose it is.
    Shared,
    /// Without a trace, while nobody else uses it.
    Traceless,
}

impl Database {
    pub(super) fn in_directory(state: &Path) -> Self {
        Self { state: state.to_owned(), path: state.join(FILE), manner: Manner::Shared, at_once: false }
    }

    /// The same database, used in the one or the other way.
    pub(super) fn at_once(self, at_once: bool) -> Self {
        Self { at_once, ..self }
    }

    /// Gives work on its one writing connection so much real time as a transaction may take; none when it is not done by then.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.at_once { Some(clock::at_once(work)) } else { clock::within(LIMIT, work).await }
    }

    /// To be read only, and so that not a byte in the directory changes.
    pub(super) fn without_trace(state: &Path) -> Self {
        Self { manner: Manner::Traceless, ..Self::in_directory(state) }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.state
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the database, bringing the schema up to date.
    pub(super) async fn open(&self) -> Result<Opening, Error> {
        self.within(self.open_unlimited()).await.unwrap_or_else(|| Err(self.timed_out()))
    }

    async fn open_unlimited(&self) -> Result<Opening, Error> {
        prepare_directory(&self.state)?;
        let moved_aside = self.finish_moving_aside()?;
        let size = self.create()?;
        let mut connection = self.options().connect().await.map_err(|source| self.cannot_open(source))?;
        match self.prepare(&mut connection, size).await {
            Ok(loaded) => Ok(Opening { connection, loaded, moved_aside }),
            Err(error) => {
                // It would be closed some time later otherwise, and take the log of the file that has its name by then.
                let _ = connection.close().await;
                Err(error)
            }
        }
    }

    /// Checks what was opened, brings it up to date and reads it.
    async fn prepare(&self, connection: &mut SqliteConnection, size: u64) -> Result<Loaded, Error> {
        if size <= CHECKED_BYTES {
            self.check(connection).await?;
        }
        // `migrate!` would bring a procedural macro for three files. `run` cannot be
        // called from a spawned task ("`Send` is not general enough"); this is SQLx's own way around it.
        Migrator::with_migrations(migrations())
            .run_direct(None, connection, false)
            .await
            .map_err(|source| Error::Schema { path: self.path.clone(), source: Arc::new(source) })?;
        statements::load(connection).await.map_err(|source| self.cannot_open(source))
    }

    /// Reads what there is to read. Nothing is made, mended or brought up to date.
    pub(super) async fn look(&self) -> Result<Loaded, Error> {
        let look = async {
            let mut connection = self.reader_options().connect().await?;
            statements::load(&mut connection).await
        };
        match clock::within(LIMIT, look).await {
            Some(loaded) => loaded.map_err(|source| self.cannot_open(source)),
            None => Err(self.timed_out()),
        }
    }

    /// Like [`Self::open`], but a damaged file is moved aside and a fresh one made.
    pub(super) async fn open_or_start_over(&self) -> Result<Opening, Error> {
        match self.open().await {
            Err(error) if error.is_damage() => self.start_over(&error).await,
            other => other,
        }
    }

    /// Moves the damaged file aside, never deletes it, and makes a fresh one.
    ///
    /// Mending it in place could lose rows that a person can still rescue, and
    /// doing nothing until somebody comes would leave the host alone for want of a log.
    pub(super) async fn start_over(&self, damage: &Error) -> Result<Opening, Error> {
        let aside = self.move_aside(clock::now())?;
        tracing::error!(
            error = damage as &dyn std::error::Error,
            kept = %aside.display(),
            "the journal is damaged: it is kept aside, and a new one is begun"
        );
        Ok(Opening { moved_aside: Some(aside), ..self.open().await? })
    }

    /// Makes the file before SQLite does, which would make it readable for all.
    /// The files beside it get the mode of this one.
    fn create(&self) -> Result<u64, Error> {
        let open = || -> io::Result<u64> {
            let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            Ok(file.metadata()?.len())
        };
        open().map_err(|source| Error::State { path: self.path.clone(), source: Arc::new(source) })
    }

    async fn check(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let finding: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await.map_err(|source| self.cannot_open(source))?;
        if finding == "ok" { Ok(()) } else { Err(Error::Damaged { path: self.path.clone(), finding }) }
    }

    /// Gives the database and its log other names, so that whoever wants to rescue rows has all there is.
    ///
    /// The log has both names until the database has the new one: without its log it would be an older database, perhaps a sound
    /// one, and its last rows would be gone without a word.
    fn move_aside(&self, at: Timestamp) -> Result<PathBuf, Error> {
        let aside = match self.log_is_kept_for() {
            Some(aside) => aside,
            None => suffixed(&self.path, &format!(".corrupt-{}", at.strftime("%Y%m%dT%H%M%S%3fZ"))),
        };
        let moved = || -> io::Result<()> {
            keep(&suffixed(&self.path, LOG), &suffixed(&aside, LOG))?;
            fs::File::open(&self.state)?.sync_all()?;
            crash::point("journal-aside-before-rename");
            or_gone(fs::rename(&self.path, &aside))?;
            crash::point("journal-aside-after-rename");
            self.forget_log()
        };
        moved().map_err(|source| Error::State { path: self.path.clone(), source: Arc::new(source) })?;
        Ok(aside)
    }

    /// What somebody who died while moving the database aside has not come to. Where it is then.
    fn finish_moving_aside(&self) -> Result<Option<PathBuf>, Error> {
        if self.path.exists() {
            return Ok(None);
        }
        let Some(aside) = self.log_is_kept_for() else { return Ok(None) };
        self.forget_log().map_err(|source| Error::State { path: self.path.clone(), source: Arc::new(source) })?;
        tracing::error!(kept = %aside.display(), "the journal was damaged: it is kept aside, and a new one is begun");
        Ok(Some(aside))
    }

    /// The name under which a database is kept, or will be, whose log is ours by another name.
    fn log_is_kept_for(&self) -> Option<PathBuf> {
        let ours = fs::metadata(suffixed(&self.path, LOG)).ok()?;
        let is_ours = |file: &fs::Metadata| (file.dev(), file.ino()) == (ours.dev(), ours.ino());
        let mut entries = fs::read_dir(&self.state).ok()?.flatten();
        let kept = entries.find(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(format!("{FILE}.corrupt-").as_bytes())
                && entry.metadata().is_ok_and(|file| is_ours(&file))
        })?;
        let name = kept.file_name();
        Some(self.state.join(name.to_str()?.strip_suffix(LOG)?))
    }

    /// Takes away the log, and the index that SQLite makes of it, of a database that is kept elsewhere with all that belongs to it.
    fn forget_log(&self) -> io::Result<()> {
        // The log last: by it one sees that this was not finished.
        or_gone(fs::remove_file(suffixed(&self.path, "-shm")))?;
        crash::point("journal-aside-between-logs");
        or_gone(fs::remove_file(suffixed(&self.path, LOG)))?;
        fs::File::open(&self.state)?.sync_all()
    }

    /// Which file stands at the path now; none when there is none.
    ///
    /// SQLite goes on writing to a file that somebody has deleted, and reports success.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        fs::metadata(&self.path).ok().map(|file| (file.dev(), file.ino()))
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL mode, anything less may lose committed rows with the power.
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", WAL_BYTES)
    }

    fn reader_options(&self) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new().create_if_missing(false).read_only(true).busy_timeout(BUSY);
        match self.manner {
            Manner::Shared => options.filename(&self.path),
            // Whoever closed it in order has left one file with everything in it. SQLite would make others beside it, even
            // to read.
            Manner::Traceless if !suffixed(&self.path, LOG).exists() => options.filename(&self.path).immutable(true),
            // Whoever was killed has left its log. That is read as well, but the index of it is not brought up to date.
            Manner::Traceless => options.filename(format!("file:{}?readonly_shm=1", in_uri(&self.path))),
        }
    }

    fn cannot_open(&self, source: sqlx::Error) -> Error {
        Error::Open { path: self.path.clone(), source: Arc::new(source) }
    }

    pub(super) fn timed_out(&self) -> Error {
        Error::TimedOut { path: self.path.clone(), seconds: LIMIT.as_secs() }
    }
}

/// Every change of the schema, oldest first. Append only: the migrator refuses a database whose migrations have been edited.
fn migrations() -> Vec<Migration> {
    let migration = |version, description: &'static str, sql: &'static str| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    vec![
        migration(1, "audit", include_str!("migrations/0001_audit.sql")),
        migration(2, "event", include_str!("migrations/0002_event.sql")),
        migration(3, "object", include_str!("migrations/0003_object.sql")),
        migration(4, "chain", include_str!("migrations/0004_chain.sql")),
        migration(5, "meta", include_str!("migrations/0005_meta.sql")),
    ]
}

/// A path as SQLite reads it in a URI.
fn in_uri(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// Gives a file another name beside the one that it has; a copy where a file can only have one.
fn keep(file: &Path, kept: &Path) -> io::Result<()> {
    match fs::hard_link(file, kept) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => Ok(()),
        Err(_) => fs::copy(file, kept).and_then(|_| fs::File::open(kept)?.sync_all()),
    }
}

/// What is gone already need not be moved.
fn or_gone(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The connections that read; they cannot write.
#[derive(Debug)]
pub(super) struct Readers {
    database: Database,
    pool: RwLock<SqlitePool>,
}

impl Readers {
    pub(super) fn new(database: Database) -> Self {
        let pool = RwLock::new(pool(&database));
        Self { database, pool }
    }

    /// Lets go of the connections: they would go on reading a file that has been replaced.
    pub(super) fn renew(&self) {
        *self.pool.write().expect("nothing panics while holding it") = pool(&self.database);
    }

    /// Lets go of the connections for good.
    pub(super) async fn close(&self) {
        let pool = self.pool.read().expect("nothing panics while holding it").clone();
        // One that hangs is not waited for: it costs a tidy directory, no more.
        let _ = clock::within(LIMIT, pool.close()).await;
    }

    /// Reads, in bounded time.
    pub(super) async fn read<T, F>(&self, query: impl FnOnce(SqlitePool) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        let pool = self.pool.read().expect("nothing panics while holding it").clone();
        match clock::within(LIMIT, query(pool)).await {
            Some(Ok(value)) => Ok(value),
            Some(Err(source)) => Err(Error::Read { path: self.database.path.clone(), source: Arc::new(source) }),
            None => Err(self.database.timed_out()),
        }
    }
}

fn pool(database: &Database) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(LIMIT)
        .idle_timeout(READER_IDLE)
        .max_lifetime(None)
        .connect_lazy_with(database.reader_options())
}

/// Makes the state directory for us alone.
///
/// One that was there before is only closed to others when it is empty or holds
/// our database: `--state /tmp` must not change `/tmp`.
pub(super) fn prepare_directory(state: &Path) -> Result<(), Error> {
    let prepare = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(state)?;
        let is_ours = state.join(FILE).exists() || fs::read_dir(state)?.next().is_none();
        if is_ours && fs::metadata(state)?.mode() & 0o077 != 0 {
            fs::set_permissions(state, fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    };
    prepare().map_err(|source| Error::State { path: state.to_owned(), source: Arc::new(source) })
}
