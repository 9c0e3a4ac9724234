//! Objects, what would be done to them, and letting them go.

use std::{path::Path, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Extension, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use nix::unistd::Uid;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Access,
    connection::Peer,
    params::{ObjectPath, ObjectsQuery, Params, PlansQuery, WhyParams},
    refusal::Refusal,
    routes::Context,
};
use crate::{account, operator::Operator, source::parse::parse_file, view::ObjectView};

/// All objects, once; or as they are and then each again whenever it changes.
pub(super) async fn list(State(ctx): State<Context>, Params(query): Params<ObjectsQuery>) -> Result<Response, Refusal> {
    if !query.watch {
        let objects: Vec<_> = ctx.operator.objects(query.kind).into_iter().map(|object| ctx.shown(object)).collect();
        return Ok(Json(items(&objects)).into_response());
    }
    // Follow first, list afterwards: a change in between is told twice rather than never.
    let changes = ctx.operator.follow_objects();
    let now = ctx.operator.objects(query.kind);
    let wanted = move |object: &ObjectView| query.kind.is_none_or(|kind| object.key.kind == kind);
    let changes = changes.filter(move |object| std::future::ready(wanted(object)));
    let objects = stream::iter(now).chain(changes);
    ctx.streams.respond(objects.map({
        let ctx = ctx.clone();
        move |object| ctx.shown(object)
    }))
}

/// One object.
pub(super) async fn one(State(ctx): State<Context>, ObjectPath(key): ObjectPath) -> Result<Json<ObjectView>, Refusal> {
    ctx.operator.object(&key).map(|object| Json(ctx.shown(object))).ok_or_else(|| Refusal::no_object(&key))
}

/// What would be done now, to one object or to all.
pub(super) async fn plans(
    State(operator): State<Arc<dyn Operator>>,
    Params(query): Params<PlansQuery>,
) -> Result<Json<Value>, Refusal> {
    if let Some(key) = &query.object
        && operator.object(key).is_none()
    {
        return Err(Refusal::no_object(key));
    }
    operator.plans(query.object.as_ref()).await.map(|plans| Json(items(&plans))).map_err(Refusal::unavailable)
}

/// What would be done now, if the manifests in the body were declared.
///
/// It changes nothing, but a manifest may hold passwords, and whoever sends one makes us look at files that it names:
/// so it is for those who could declare it.
pub(super) async fn plans_if(State(ctx): State<Context>, body: Result<Bytes, BytesRejection>) -> Result<Json<Value>, Refusal> {
    refuse_strangers(&ctx)?;
    let body = body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let manifests = parse_file(Path::new("manifests"), &body)
        .map_err(|problems| Refusal::bad_request(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    ctx.operator.plans_if(manifests).await.map(|plans| Json(items(&plans))).map_err(Refusal::unavailable)
}

/// Lets only those go on who have the control socket.
pub(super) fn refuse_strangers(ctx: &Context) -> Result<(), Refusal> {
    match ctx.access {
        Access::Full => Ok(()),
        Access::ReadOnly => {
            let error = "this address only answers questions; requests are taken on the control socket in the state directory";
            Err(Refusal::new(StatusCode::FORBIDDEN, error))
        }
    }
}

/// Lets Mooring try again with an object that it had given up.
///
/// The body is read, and thereby bounded, although nothing is expected in it.
pub(super) async fn release(
    State(ctx): State<Context>,
    Extension(peer): Extension<Peer>,
    ObjectPath(key): ObjectPath,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    refuse_strangers(&ctx)?;
    body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    if ctx.operator.object(&key).is_none() {
        return Err(Refusal::no_object(&key));
    }
    let refused = |error| Refusal::new(StatusCode::CONFLICT, error);
    ctx.operator.release(&key, account(peer).await.as_deref().unwrap_or("unknown")).await.map_err(refused)?;
    Ok(Json(json!({"released": key})))
}

/// Why something was done for an object.
pub(super) async fn why(
    State(operator): State<Arc<dyn Operator>>,
    ObjectPath(key): ObjectPath,
    Params(WhyParams { act }): Params<WhyParams>,
) -> Result<Json<Value>, Refusal> {
    let why = operator.why(&key, act).await.map_err(Refusal::unavailable)?;
    let nothing = || match act {
        Some(act) => Refusal::new(StatusCode::NOT_FOUND, format!("act {act} is not one for {key}")),
        None => Refusal::new(StatusCode::NOT_FOUND, format!("nothing is on record for {key}")),
    };
    why.map(|why| Json(json!(why))).ok_or_else(nothing)
}

/// Who asks, for the audit log: the user by name, or by number when it has none. Nobody knows who comes over TCP.
pub(super) async fn account(peer: Peer) -> Option<String> {
    let Peer::User(uid) = peer else { return None };
    let named = tokio::task::spawn_blocking(move || account::name(Uid::from_raw(uid))).await;
    Some(named.unwrap_or_else(|_| uid.to_string()))
}

/// A list has a name, so that something can be said beside it one day.
pub(super) fn items(items: &[impl Serialize]) -> Value {
    json!({"items": items})
}
