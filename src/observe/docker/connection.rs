//! The way to the engine: made when it is needed, and anew after it was lost.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error as Failure};

use crate::observe::engine::Error;

/// A call that takes longer is lost: the slowest answer of a loaded engine with hundreds of containers took two seconds.
const CALL: Duration = Duration::from_secs(10);

/// Told of each request, by a word of its own.
pub type OnCall = Arc<dyn Fn(&'static str) + Send + Sync>;

/// The way to the engine. Clones share it.
#[derive(Clone)]
pub struct Connection {
    path: String,
    client: Arc<Mutex<Option<Docker>>>,
    on_call: OnCall,
}

/// An address that is not one of an engine on this host.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the address of an engine on this host; it has to be unix:///path/to/docker.sock")]
pub struct InvalidAddress(String);

impl Connection {
    /// To the engine at `unix:///path`. Nothing is connected yet.
    pub fn new(address: &str, on_call: OnCall) -> Result<Self, InvalidAddress> {
        match address.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self { path: path.to_owned(), client: Arc::default(), on_call }),
            _ => Err(InvalidAddress(address.to_owned())),
        }
    }

    /// A client, for a request of this kind.
    pub(crate) fn client(&self, call: &'static str) -> Result<Docker, Error> {
        (self.on_call)(call);
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        // Fails at once when there is no socket, so it cannot be made once and for all.
        let made = Docker::connect_with_unix(&self.path, CALL.as_secs(), API_DEFAULT_VERSION)
            .map_err(|source| self.unreachable(source))?;
        *client = Some(made.clone());
        Ok(made)
    }

    /// An answer, with what went wrong in our words.
    pub(crate) fn asked<T>(&self, operation: &str, answer: Result<T, Failure>) -> Result<T, Error> {
        answer.map_err(|failure| match failure {
            Failure::DockerResponseServerError { status_code, message } => {
                Error::Refused { operation: operation.to_owned(), status: status_code, message }
            }
            Failure::JsonDataError { .. } | Failure::JsonSerdeError { .. } => {
                Error::Unreadable { operation: operation.to_owned(), source: failure.into() }
            }
            lost => {
                // The socket may be another one by now.
                *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.unreachable(lost)
            }
        })
    }

    /// An answer about something that may not be there.
    pub(crate) fn found<T>(&self, operation: &str, answer: Result<T, Failure>) -> Result<Option<T>, Error> {
        match answer {
            Err(Failure::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            other => self.asked(operation, other).map(Some),
        }
    }

    fn unreachable(&self, source: Failure) -> Error {
        Error::Unreachable { address: format!("unix://{}", self.path), source: source.into() }
    }
}
