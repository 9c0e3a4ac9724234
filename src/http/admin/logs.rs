//! The log of a container: its last lines on the page of its object, and those
//! that come as they come.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Extension, Path, Query, State},
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Admin, login::Opened};
use crate::{
    manifest::Key,
    view::insight::{LineView, LogQuery},
};

/// Lines on a page.
const LINES: usize = 200;
/// An engine that does not send a log in this time shows what it has sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines that come together are told together.
const TOGETHER: Duration = Duration::from_millis(200);
/// So many lines at most.
const AT_ONCE: usize = 100;
/// Tells both sides that the other one is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Each keeps a connection to the engine open.
static FOLLOWERS: Semaphore = Semaphore::const_new(32);
/// Whoever still wants to watch asks again, and has to have a session then.
const LONGEST: Duration = Duration::from_mins(10);

/// The last lines.
pub(super) struct Log {
    pub(super) contains: String,
    pub(super) tail: usize,
    pub(super) lines: Result<Vec<LineView>, String>,
}

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    log: String,
    /// What came until then is known already.
    since: Option<Timestamp>,
}

impl Search {
    fn contains(&self) -> Option<String> {
        Some(self.log.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

/// Reads the last lines of an object's container.
pub(super) async fn last(admin: &Admin, opened: &Opened, key: &Key, search: &Search) -> Log {
    let contains = search.contains();
    let query = LogQuery { tail: LINES, contains: contains.clone(), ..LogQuery::default() };
    let lines = read(admin, opened, key, &query).await;
    Log { contains: contains.unwrap_or_default(), tail: LINES, lines }
}

async fn read(admin: &Admin, opened: &Opened, key: &Key, query: &LogQuery) -> Result<Vec<LineView>, String> {
    let mut lines = Vec::new();
    let reading = async {
        let mut log = admin.operator.log(key, query).await?;
        while let Some(line) = log.next().await {
            lines.push(line?);
        }
        Ok(())
    };
    let read = tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Ok(()));
    admin
        .operator
        .note(&opened.actor(), "ReadLog", &format!("read the log of {key}"), read.as_ref().err().map(String::as_str))
        .await;
    read.map(|()| lines)
}

/// Lines from now on, as they come.
pub(super) async fn follow(
    State(admin): State<Admin>,
    Extension(opened): Extension<Opened>,
    Path((kind, name)): Path<(String, String)>,
    Query(search): Query<Search>,
) -> Response {
    let key = kind.parse().ok().map(|kind| Key::new(kind, &name)).filter(|key| admin.operator.object(key).is_some());
    let Some(key) = key else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(place) = FOLLOWERS.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many logs are followed already").into_response();
    };
    let since = search.since.unwrap_or_else(|| admin.operator.now());
    let query = LogQuery { tail: AT_ONCE, since: Some(since), contains: search.contains(), follow: true };
    let followed = admin.operator.log(&key, &query).await;
    let words = format!("follow the log of {key}");
    admin.operator.note(&opened.actor(), "ReadLog", &words, followed.as_ref().err().map(String::as_str)).await;
    let lines = match followed {
        Ok(lines) => lines,
        Err(error) => stream::iter([Err(error)]).boxed(),
    };
    let is_new = move |line: &Result<LineView, String>| {
        line.as_ref().map_or(true, |line| line.at.parse::<Timestamp>().map_or(true, |at| at > since))
    };
    let lines = lines.filter(move |line| {
        // Held for as long as lines are waited for.
        let _ = &place;
        std::future::ready(is_new(line))
    });
    let lines = lines.take_until(admin.shutdown.clone().cancelled_owned()).take_until(tokio::time::sleep(LONGEST));
    let told = tokio_stream::StreamExt::chunks_timeout(lines, AT_ONCE, TOGETHER).flat_map(|lines| {
        let (lines, trouble): (Vec<_>, Vec<_>) = lines.into_iter().partition(Result::is_ok);
        let lines: Vec<LineView> = lines.into_iter().flatten().collect();
        let told = (!lines.is_empty()).then(|| Event::default().event("lines").data(json!(lines).to_string()));
        let trouble = trouble.into_iter().find_map(Result::err);
        let trouble = trouble.map(|error| Event::default().event("trouble").data(json!(error).to_string()));
        stream::iter(told.into_iter().chain(trouble).map(Ok::<_, Infallible>))
    });
    // At once, so that it is seen to be on.
    let hello = stream::iter([Ok(Event::default().event("lines").data("[]"))]);
    Sse::new(hello.chain(told)).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}
