//! What happened: events for people, the audit log for the record.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use serde_json::Value;

use super::{
    Operator,
    objects::items,
    params::{AuditQuery, EventsQuery, Params},
    refusal::Refusal,
    routes::Context,
};
use crate::view::EventView;

/// The last events, once; or those and then every new one.
pub(super) async fn events(State(ctx): State<Context>, Params(query): Params<EventsQuery>) -> Result<Response, Refusal> {
    // Follow first, list afterwards: what happens in between comes twice and is told once.
    let following = query.follow.then(|| ctx.operator.follow_events());
    let past = ctx.operator.events(query.object.as_ref(), query.limit.0).await.map_err(Refusal::unavailable)?;
    let Some(following) = following else {
        return Ok(Json(items(&past)).into_response());
    };
    let told = past.clone();
    let object = query.object.map(|key| key.to_string());
    let wanted = move |event: &EventView| object.as_ref().is_none_or(|object| event.object == *object) && !told.contains(event);
    let following = following.filter(move |event| std::future::ready(wanted(event)));
    ctx.streams.respond(stream::iter(past).chain(following))
}

/// The last entries of the audit log.
pub(super) async fn audit(
    State(operator): State<Arc<dyn Operator>>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Value>, Refusal> {
    let entries = operator.audit(query.object.as_ref(), query.limit.0).await.map_err(Refusal::unavailable)?;
    Ok(Json(items(&entries)))
}
