//! The way to the engine: a connection for each request, so that none can see anything of another.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::UnixStream, time::timeout};

use super::rules::Found;

/// What the engine says of one thing; a container's answer has its variables and its labels in it.
const MAX_ANSWER: usize = 16 << 20;
/// An engine that is coming up lets the first request hang for seconds.
const LOOK: Duration = Duration::from_secs(30);

/// The engine.
pub(super) struct Engine {
    path: PathBuf,
}

/// The engine did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the engine cannot be reached at {path}")]
    Unreachable { path: PathBuf, source: io::Error },
    #[error("the engine broke off")]
    BrokenOff(#[from] hyper::Error),
    #[error("the engine's answer makes no sense")]
    Nonsense,
    #[error("the engine did not answer within {} s", LOOK.as_secs())]
    TimedOut,
}

/// What the engine says of a thing.
pub(super) enum Answered {
    Found(Found),
    /// Another status, with its text.
    Not(StatusCode, Bytes),
}

impl Engine {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Asks, and gives the beginning of the answer. However long it takes: a stop may take minutes, and who asks knows.
    pub(super) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let unreachable = |source| Error::Unreachable { path: self.path.clone(), source };
        let stream = UnixStream::connect(&self.path).await.map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer, or with whoever reads that.
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(request).await?)
    }

    /// What there is at a path.
    pub(super) async fn find(&self, uri: &str) -> Result<Answered, Error> {
        let request = Request::get(uri).header(header::HOST, "docker").body(Full::default()).map_err(|_| Error::Nonsense)?;
        let answer = async {
            let answer = self.ask(request).await?;
            Ok::<_, Error>((answer.status(), whole(answer).await?))
        };
        let (status, body) = timeout(LOOK, answer).await.map_err(|_| Error::TimedOut)??;
        if status != StatusCode::OK {
            return Ok(Answered::Not(status, body));
        }
        serde_json::from_slice(&body).ok().as_ref().and_then(found).map(Answered::Found).ok_or(Error::Nonsense)
    }
}

/// An answer to its end.
pub(super) async fn whole(answer: Response<Incoming>) -> Result<Bytes, Error> {
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|_| Error::Nonsense)?;
    Ok(body.to_bytes())
}

/// A container has its labels in its configuration, a network and a volume have them at the top; a volume has no id.
pub(super) fn found(thing: &Value) -> Option<Found> {
    let text = |name: &str| thing[name].as_str().unwrap_or_default().to_owned();
    let labels = thing.get("Config").map_or(&thing["Labels"], |config| &config["Labels"]);
    let labels: BTreeMap<String, String> = match labels {
        Value::Null => BTreeMap::new(),
        labels => serde_json::from_value(labels.clone()).ok()?,
    };
    let name = text("Name");
    Some(Found { id: text("Id"), name: name.strip_prefix('/').unwrap_or(&name).to_owned(), labels, driver: text("Driver") })
}
