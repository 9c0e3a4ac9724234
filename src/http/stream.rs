//! Answers without an end: one JSON value on each line.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;

/// Half of the connections: whoever follows must not keep out whoever asks.
const MAX_STREAMS: usize = 32;
/// An empty line this often tells both sides that the other one is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Room for answers without an end.
#[derive(Clone)]
pub(super) struct Streams {
    room: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Streams {
    /// Streams that end at `shutdown`.
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self { room: Arc::new(Semaphore::new(MAX_STREAMS)), shutdown }
    }

    /// Answers with these values as they come.
    pub(super) fn respond<T>(&self, values: impl Stream<Item = T> + Send + 'static) -> Result<Response, Refusal>
    where
        T: Serialize + Send + 'static,
    {
        let full = |_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, format!("{MAX_STREAMS} clients follow already"));
        let permit = Arc::clone(&self.room).try_acquire_owned().map_err(full)?;
        let lines = lines(values, permit).take_until(self.shutdown.clone().cancelled_owned());
        Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
    }
}

/// The permit is held as long as the lines are.
fn lines<T: Serialize>(
    values: impl Stream<Item = T> + Send + 'static,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold((Box::pin(values), permit), |(mut values, permit)| async move {
        let line = match tokio::time::timeout(HEARTBEAT, values.next()).await {
            Ok(value) => line(&value?),
            Err(_) => Bytes::from_static(b"\n"),
        };
        Some((Ok(line), (values, permit)))
    })
}

fn line(value: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(value).expect("views have string keys and no failing serializer");
    line.push(b'\n');
    line.into()
}
