//! The one place from which connections are opened to what is looked after: model servers, containers that are
//! probed, an nginx whose routes are proven.
//!
//! A trait, so that a simulated world can answer in a time of its own.

use std::{fmt, io};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// Opens connections.
#[async_trait]
pub trait Dial: fmt::Debug + Send + Sync {
    /// Connects to a port of a host, which is a name or an address (one of IPv6 without brackets).
    ///
    /// It fails as the kernel says: whether nobody listens there ([`io::ErrorKind::ConnectionRefused`]) or nobody is there
    /// makes a difference. It may take as long as the kernel does, so whoever has less patience has to end it.
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>>;
}

/// What goes back and forth on a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connections of the host's own network.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

#[async_trait]
impl Dial for Tcp {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(TcpStream::connect((host, port)).await?))
    }
}
