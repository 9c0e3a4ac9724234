//! What a running Mooring answers: health, metrics and the API, over TCP for
//! everyone on the host, and over the control socket for its owner.
//!
//! Questions go in, views come out; the [`Operator`] behind it decides what is
//! true. Nothing here touches the engine, the files or the journal, and the web
//! framework is known nowhere else.

pub mod admin;
mod alerts;
mod claw;
mod connection;
mod events;
#[cfg(test)]
pub(crate) mod fake;
mod guard;
mod objects;
mod params;
mod refusal;
mod routes;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use socket::ControlSocket;

use crate::operator::Operator;

/// What may be asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Questions only.
    ReadOnly,
    /// Questions, and requests that make Mooring do something.
    Full,
}

/// Answers on a TCP address until `shutdown`, then finishes the requests it has begun.
pub async fn serve(listener: TcpListener, operator: Arc<dyn Operator>, access: Access, shutdown: CancellationToken) {
    let router = guard::for_browsers(routes::router(operator, access, shutdown.clone()));
    connection::accept(listener, router, shutdown, connection::MAX_CONNECTIONS).await;
}

/// Answers on the control socket until `shutdown`, then finishes the requests it has begun and removes the socket.
pub async fn serve_unix(socket: ControlSocket, operator: Arc<dyn Operator>, access: Access, shutdown: CancellationToken) {
    let router = routes::router(operator, access, shutdown.clone());
    let (listener, _removed_at_the_end) = socket.into_parts();
    connection::accept(listener, router, shutdown, connection::MAX_CONNECTIONS).await;
}
