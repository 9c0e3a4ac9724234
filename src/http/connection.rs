//! Connections: accepting them, bounding them, and letting them end well.

use std::{net::IpAddr, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::Request, serve::Listener};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// More than a person, a dashboard and a Prometheus need; a flood waits in the kernel's backlog and costs us nothing.
/// One connection carries one request at a time, so this bounds the requests as well.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// Our requests have a handful of headers; a browser's cookies for `localhost` come to a few thousand bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// As many as a browser sends, twice.
const MAX_HEADERS: usize = 64;
/// A client on the same host has sent its headers in milliseconds; an idle connection is closed after this time too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// What a request that has begun gets when we stop; the whole of Mooring is to stop in seconds.
const GRACE: Duration = Duration::from_secs(2);

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// Somebody of whom nothing is known.
    Unknown,
    /// Somebody who reached our TCP address from this one.
    Address(IpAddr),
    /// A process of this user, as the kernel says.
    User(u32),
}

/// A connection that knows who is at the other end.
pub(super) trait Connection {
    /// The other end.
    fn peer(&self) -> Peer;
}

impl Connection for TcpStream {
    fn peer(&self) -> Peer {
        self.peer_addr().map_or(Peer::Unknown, |address| Peer::Address(address.ip().to_canonical()))
    }
}

impl Connection for UnixStream {
    fn peer(&self) -> Peer {
        // The kernel has noted the user when the connection was made; it fails only on a socket that is no more.
        self.peer_cred().map_or(Peer::Unknown, |credentials| Peer::User(credentials.uid()))
    }
}

/// Serves every connection, so many at a time, until `shutdown`, then lets the open ones finish.
pub(super) async fn accept<L>(mut listener: L, router: Router, shutdown: CancellationToken, most: usize)
where
    L: Listener<Io: Connection>,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            // A connection that panicked or broke has been its own problem.
            Some(_) = connections.join_next() => {}
            (io, _) = listener.accept(), if connections.len() < most => {
                connections.spawn(serve(io, router.clone(), shutdown.clone()));
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve<I>(io: I, router: Router, shutdown: CancellationToken)
where
    I: Connection + tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let peer = io.peer();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEADER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // Clients go away whenever they like; it says nothing about us.
        tracing::debug!(error = %error, "a connection broke");
    }
}
