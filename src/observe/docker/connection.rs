//! The way to the engine: made when it is needed, and anew after it was lost.
//!
//! Every request goes through here. So every one is counted, every one has a
//! time limit, and whatever goes wrong comes out as a [`Failure`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bollard::{API_DEFAULT_VERSION, Docker as Client, errors::Error as ClientError};

use super::failure::Failure;

/// A call that takes longer is lost: the slowest answer of a loaded engine with hundreds of containers took two seconds.
pub(crate) const CALL: Duration = Duration::from_secs(10);

/// An engine that is coming up accepts connections and lets the first request hang for seconds: not a death.
const COMING_UP: Duration = Duration::from_secs(30);

/// The client's own limit ends before an answer's body begins, so ours go around it, and this one must not come first.
const NEVER_FIRST: Duration = Duration::from_hours(24);

// The client writes whole requests and answers to the debug log, and so the
// variables of every container. `log` is in `Cargo.toml` only to take that away
// when it is compiled; no setting can bring it back.
const _: () = assert!(log::STATIC_MAX_LEVEL as usize <= log::LevelFilter::Info as usize);

/// Told of each request, by a word of its own, as in `list-containers`.
pub type OnCall = Arc<dyn Fn(&'static str) + Send + Sync>;

/// The way to the engine. Clones share it.
#[derive(Clone)]
pub struct Connection {
    path: Arc<str>,
    client: Arc<Mutex<Option<Client>>>,
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
            Some(path) if path.starts_with('/') => Ok(Self { path: path.into(), client: Arc::default(), on_call }),
            _ => Err(InvalidAddress(address.to_owned())),
        }
    }

    /// Asks something that the engine answers at once.
    pub(crate) async fn ask<T>(
        &self,
        call: &'static str,
        question: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        self.ask_within(CALL, call, question).await
    }

    /// Asks something that may take this long, to the last byte of the answer.
    pub(crate) async fn ask_within<T>(
        &self,
        limit: Duration,
        call: &'static str,
        question: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let client = self.client().await?;
        (self.on_call)(call);
        self.within(limit, call, question(client)).await
    }

    /// A client for an answer without end. The beginning of that answer has a limit all the same.
    pub(crate) async fn endless(&self, call: &'static str) -> Result<Client, Failure> {
        let client = self.client().await?;
        (self.on_call)(call);
        Ok(client.with_timeout(CALL))
    }

    /// Begins anew, as after a loss: the engine may be another one by now.
    pub(crate) async fn renew(&self) -> Result<(), Failure> {
        self.forget();
        self.client().await.map(drop)
    }

    /// An answer, or part of one, with what went wrong in our words.
    pub(crate) fn answer<T>(&self, call: &str, answer: Result<T, ClientError>) -> Result<T, Failure> {
        answer.map_err(|error| {
            let failure = Failure::new(call, &self.address(), error);
            if matches!(failure, Failure::Unreachable { .. }) {
                self.forget();
            }
            failure
        })
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: &str,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Failure> {
        if let Ok(answer) = tokio::time::timeout(limit, answer).await {
            return self.answer(call, answer);
        }
        self.forget();
        Err(Failure::TimedOut { address: self.address(), limit })
    }

    async fn client(&self) -> Result<Client, Failure> {
        let known = self.known().clone();
        match known {
            Some(client) => Ok(client),
            None => self.connect().await,
        }
    }

    /// Makes a client, and lets the first request be one that may take its time. Two may do so at once; the later one stays.
    async fn connect(&self) -> Result<Client, Failure> {
        const CALL: &str = "negotiate-version";
        // Fails at once when there is no socket, which is why a client cannot be made once and for all.
        let fresh = Client::connect_with_unix(&self.path, NEVER_FIRST.as_secs(), API_DEFAULT_VERSION);
        let fresh = self.answer(CALL, fresh)?;
        (self.on_call)(CALL);
        // The version only ever goes down, to what the engine speaks.
        let client = self.within(COMING_UP, CALL, fresh.negotiate_version()).await?;
        *self.known() = Some(client.clone());
        Ok(client)
    }

    fn forget(&self) {
        *self.known() = None;
    }

    fn known(&self) -> MutexGuard<'_, Option<Client>> {
        // It is replaced as a whole, so a panic elsewhere cannot leave half of one.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self) -> String {
        format!("unix://{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_engine_on_this_host_has_an_address() {
        let refusal = |address| Connection::new(address, Arc::new(|_| {})).err().map(|error| error.to_string());
        assert_eq!(refusal("unix:///var/run/docker.sock"), None);
        for address in ["", "tcp://127.0.0.1:2375", "ssh://host", "/var/run/docker.sock", "unix://docker.sock"] {
            let expected =
                format!("`{address}` is not the address of an engine on this host; it has to be unix:///path/to/docker.sock");
            assert_eq!(refusal(address), Some(expected));
        }
    }
}
