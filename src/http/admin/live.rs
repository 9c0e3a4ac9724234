//! What changes, as it changes: the page asks again for the part that it shows.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt, stream};
use serde_json::json;

use super::Admin;

/// Changes that come together are told together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Tells both sides that the other one is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// As many changes are named at most; more are told as one.
const NAMED: usize = 64;

/// The names of objects whose status has changed, and whether there was an event.
pub(super) async fn changes(State(admin): State<Admin>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let objects = admin.operator.follow_objects().map(|object| object.key.to_string());
    let events = admin.operator.follow_events().map(|event| event.object);
    let changes = stream::select(objects, events).take_until(admin.shutdown.clone().cancelled_owned());
    let told = tokio_stream::StreamExt::chunks_timeout(changes, NAMED, TOGETHER).map(|mut names| {
        names.sort_unstable();
        names.dedup();
        Ok(Event::default().event("changed").data(json!(names).to_string()))
    });
    // At once, so that a page that was away for a while asks what it has missed.
    let hello = stream::iter([Ok(Event::default().event("changed").data("[]"))]);
    Sse::new(hello.chain(told)).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}
