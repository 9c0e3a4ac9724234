//! The network between Mooring and what it looks after: whoever connects is led to the container that has the address
//! at that moment, over a pipe in memory.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use http_body_util::Empty;
use hyper::{Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use mooring::{
    observe::dial::{Dial, Stream},
    plan::container::State,
};
use tokio::{io::AsyncReadExt as _, time::sleep};

use super::{
    ollama::{ELSEWHERE, Ollama, PORT},
    support::simulated::{Simulated, outside::Thing},
    world::OLLAMA_IMAGE,
};

/// What the kernel takes to find out that an address is nobody's.
const NOBODY: Duration = Duration::from_secs(3);
/// The port that services listen on.
const WEB: u16 = 80;
/// As much is under way at once as a small socket buffer holds.
const BUFFER: usize = 16 << 10;

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Network {
    engine: Simulated,
    ollama: Ollama,
    /// The lives of containers whose processes do nothing any more.
    deaf: Arc<Mutex<BTreeSet<(String, u64)>>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// Between this engine's containers.
    pub fn new(engine: Simulated, ollama: Ollama) -> Self {
        Self { engine, ollama, deaf: Arc::default() }
    }

    /// From here on, what runs in this container answers nobody, until it is started anew.
    pub fn deafen(&self, thing: &Thing) {
        self.deaf.lock().unwrap_or_else(PoisonError::into_inner).insert(life(thing));
    }

    /// Whether what runs in this container answers nobody.
    pub fn is_deaf(&self, thing: &Thing) -> bool {
        self.deaf.lock().unwrap_or_else(PoisonError::into_inner).contains(&life(thing))
    }

    /// The container that has this address.
    fn at(&self, host: &str) -> Option<Thing> {
        let has = |thing: &Thing| thing.listed.networks.values().flatten().any(|address| address == host);
        self.engine.everything().into_iter().find(has)
    }

    /// Leads to the model server with the models of this volume; the connection goes down with the container's life.
    fn serve(&self, volume: String, container: Option<(String, u64)>) -> Box<dyn Stream> {
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let (engine, ollama) = (self.engine.clone(), self.ollama.clone());
        tokio::spawn(async move {
            let ends = async {
                match container {
                    Some((id, life)) => engine.end_of(&id, life).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ollama.serve(volume, theirs) => {}
                () = ends => {}
            }
        });
        Box::new(ours)
    }
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        sleep(Duration::from_millis(1)).await;
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        if host == ELSEWHERE {
            return if self.ollama.refuses() { Err(refused()) } else { Ok(self.serve(ELSEWHERE.to_owned(), None)) };
        }
        let Some(thing) = self.at(host) else {
            sleep(NOBODY).await;
            return Err(io::ErrorKind::HostUnreachable.into());
        };
        if thing.listed.state == State::Paused {
            return Ok(silence());
        }
        let is_deaf = self.is_deaf(&thing);
        let Thing { listed, starts, volumes, .. } = thing;
        match volumes.into_iter().next() {
            Some(volume) if listed.image.starts_with(OLLAMA_IMAGE) && port == PORT && !self.ollama.refuses() => {
                Ok(self.serve(volume, Some((listed.id, starts))))
            }
            _ if is_deaf => Err(refused()),
            _ if port == WEB => Ok(welcome()),
            _ => Err(refused()),
        }
    }
}

/// From one start of a container to its end.
fn life(thing: &Thing) -> (String, u64) {
    (thing.listed.id.clone(), thing.starts)
}

/// Somebody who answers every question with a good word.
fn welcome() -> Box<dyn Stream> {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        let service = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
        // Whoever hangs up in the middle is an error to this side, and no more than that.
        let _ = http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(theirs), service).await;
    });
    Box::new(ours)
}

/// The kernel takes a connection for a process that does nothing.
fn silence() -> Box<dyn Stream> {
    let (ours, mut theirs) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        // Until whoever waits hangs up; what he says is lost.
        while theirs.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
    });
    Box::new(ours)
}
