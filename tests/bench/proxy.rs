//! A socket in front of the engine's that notes when each request passes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
    time::Instant,
};

use super::Result;

const METHODS: [&[u8]; 5] = [b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HEAD "];

/// A request as it passed.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// `POST /v1.41/containers/…/start HTTP/1.1`
    pub(crate) line: String,
}

type Requests = Arc<Mutex<Vec<Request>>>;

/// The socket. It is there as long as this value lives.
pub(crate) struct Proxy {
    pub(crate) path: PathBuf,
    requests: Requests,
    _serving: JoinSet<()>,
}

impl Proxy {
    pub(crate) fn open(path: &Path, engine: &'static str) -> Result<Self> {
        let listener = UnixListener::bind(path)?;
        let requests = Requests::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, engine, Arc::clone(&requests)));
        Ok(Self { path: path.to_owned(), requests, _serving: serving })
    }

    /// The requests since the last time.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().expect("nothing panics while holding it"))
    }
}

async fn serve(listener: UnixListener, engine: &'static str, requests: Requests) {
    // Ends its connections when it is dropped itself.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let requests = Arc::clone(&requests);
        connections.spawn(async move {
            let Ok(server) = UnixStream::connect(engine).await else { return };
            let ((from_client, mut to_client), (mut from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::select! {
                () = sniff(from_client, to_server, &requests) => {}
                _ = copy(&mut from_server, &mut to_client) => {}
            }
        });
    }
}

/// Passes on what the client says. It asks one thing at a time, so a request is what begins with a method.
async fn sniff(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, requests: &Requests) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let said = &buffer[..length];
        if METHODS.iter().any(|method| said.starts_with(method)) {
            let line = said.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let request = Request { at: Instant::now(), line: String::from_utf8_lossy(line).into_owned() };
            requests.lock().expect("nothing panics while holding it").push(request);
        }
        if to.write_all(said).await.is_err() {
            return;
        }
    }
}
