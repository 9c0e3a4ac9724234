//! What is wrong, who was told, and whether they can be told.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
};
use serde_json::Value;

use super::{
    objects::{items, refuse_strangers},
    params::{Params, TestParams},
    refusal::Refusal,
    routes::Context,
};
use crate::operator::Operator;

/// What is wrong, and who was told.
pub(super) async fn list(State(operator): State<Arc<dyn Operator>>) -> Json<Value> {
    Json(items(&operator.alerts()))
}

/// Sends a test to one receiver, or to all.
///
/// The body is read, and thereby bounded, although nothing is expected in it.
pub(super) async fn test(
    State(ctx): State<Context>,
    Params(TestParams { receiver }): Params<TestParams>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    refuse_strangers(&ctx)?;
    body.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    let unknown = |error| Refusal::new(StatusCode::NOT_FOUND, error);
    ctx.operator.test_alerts(receiver.as_deref()).await.map(|sent| Json(items(&sent))).map_err(unknown)
}
