//! What happened: events for people, the audit log for the record.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};

use super::{
    connection::Peer,
    objects::{account, items},
    params::{AuditParams, EventsQuery, Params},
    refusal::Refusal,
    routes::Context,
};
use crate::view::{AuditQuery, EventView};

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

/// The last entries of the audit log, once; or those and then every act when it has ended. Who reads it is on record.
pub(super) async fn audit(
    State(ctx): State<Context>,
    Extension(peer): Extension<Peer>,
    Params(params): Params<AuditParams>,
) -> Result<Response, Refusal> {
    let follow = params.follow;
    let query = AuditQuery::from(params);
    let following = follow.then(|| ctx.operator.follow_audit(&query));
    let reader = account(peer).await;
    let past = ctx.operator.audit(&query, reader.as_deref()).await.map_err(Refusal::unavailable)?;
    match following {
        None => Ok(Json(items(&past)).into_response()),
        Some(following) => {
            let told: Vec<i64> = past.iter().map(|entry| entry.id).collect();
            let following = following.filter(move |entry| std::future::ready(!told.contains(&entry.id)));
            ctx.streams.respond(stream::iter(past).chain(following))
        }
    }
}
