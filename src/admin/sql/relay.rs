//! What comes between us and the database, to count what it sends.
//!
//! A single value may be a gigabyte, and is in memory as a whole before anybody
//! can say that it is too big. So the bytes go through here, by a socket that
//! only this user can reach, and end where there are too many of them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
};

/// A connection through here. It ends with this value.
pub(super) struct Relay {
    directory: tempfile::TempDir,
    is_full: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Waits for one connection, and lets at most so many bytes come back through it.
    pub(super) fn new(target: &PgConnectOptions, limit: u64) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("mooring-").tempdir()?;
        let listener = UnixListener::bind(directory.path().join(format!(".s.PGSQL.{}", target.get_port())))?;
        let is_full = Arc::new(AtomicBool::new(false));
        let (target, full) = (target.clone(), Arc::clone(&is_full));
        let task = tokio::spawn(async move {
            // Whoever connects sees the end of the connection, and that is what it says.
            if let Ok((near, _)) = listener.accept().await {
                let _ = pass(near, &target, (limit, &full)).await;
            }
        });
        Ok(Self { directory, is_full, task })
    }

    /// The same database, by way of here.
    pub(super) fn options(&self, target: PgConnectOptions) -> PgConnectOptions {
        target.socket(self.directory.path())
    }

    /// Whether there was more than was let through.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }
}

async fn pass(near: UnixStream, target: &PgConnectOptions, limit: (u64, &AtomicBool)) -> io::Result<()> {
    let (host, port) = (target.get_host(), target.get_port());
    let socket = target.get_socket().map(|directory| directory.display().to_string());
    let socket = socket.or_else(|| host.starts_with('/').then(|| host.to_owned()));
    if let Some(directory) = socket {
        let far = UnixStream::connect(format!("{directory}/.s.PGSQL.{port}")).await?;
        let (read, write) = far.into_split();
        return both(near, read, write, limit).await;
    }
    let far = TcpStream::connect((host, port)).await?;
    far.set_nodelay(true)?;
    let (read, write) = far.into_split();
    both(near, read, write, limit).await
}

/// Says when there was more than that, before whoever reads can see the end.
async fn both(
    near: UnixStream,
    far_read: impl AsyncRead + Unpin,
    mut far_write: impl AsyncWrite + Unpin,
    (limit, is_full): (u64, &AtomicBool),
) -> io::Result<()> {
    let (mut near_read, mut near_write) = near.into_split();
    let up = async {
        tokio::io::copy(&mut near_read, &mut far_write).await?;
        far_write.shutdown().await
    };
    let mut limited = far_read.take(limit);
    let down = async {
        tokio::io::copy(&mut limited, &mut near_write).await?;
        is_full.store(limited.limit() == 0, Ordering::Release);
        near_write.shutdown().await
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}
