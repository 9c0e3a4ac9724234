//! Playbooks: written, turned on and off, rehearsed.

use axum::{
    Json,
    extract::{Extension, State},
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    super::admin::Admin,
    caller::Caller,
    openapi::{Api, Method},
    read::{Asked, Body, Named},
    refusal::Refused,
};
use crate::{
    admin::{
        claw::{
            Page, Span,
            playbooks::{self, NewPlaybook, Patch, Playbook},
            runner::{self, Rehearsal},
        },
        desk::Speaker,
    },
    manifest::Kind,
};

/// How it is rehearsed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Test {
    /// Whether nothing at all is to be done.
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn routes(api: &mut Api) {
    api.add(Method::Get, "/claw/playbooks", "The playbooks", list)
        .query::<Span>()
        .answers::<Page<Playbook>>(200, "A page of them.");
    api.add(Method::Post, "/claw/playbooks", "Write a playbook", add)
        .body::<NewPlaybook>()
        .answers::<Playbook>(201, "It is written.")
        .errors(&[
            (403, "a program may not write one that acts without a yes"),
            (409, "there is one of the name, or there are too many"),
        ]);
    api.add(Method::Patch, "/claw/playbooks/{id}", "Change a playbook", patch)
        .body::<Patch>()
        .answers::<Playbook>(200, "It is changed.")
        .errors(&[
            (403, "a program may not change one that acts without a yes"),
            (404, "there is no such playbook"),
            (409, "there is another one of the name"),
        ]);
    let what = "Which events of the past fit, and what each step would do. Without `dry_run`, what only reads is asked, and the \
                first step that changes something is proposed to the caller";
    api.add(Method::Post, "/claw/playbooks/{id}/test", what, test)
        .query::<Test>()
        .answers::<Rehearsal>(200, "What would happen.")
        .errors(&[(404, "there is no such playbook"), (409, "the events cannot be read")]);
}

/// An object that an event may be about: with it, a sentence about `{service}` can be tried.
fn example(admin: &Admin) -> Option<String> {
    admin.operator.objects(Some(Kind::Container)).first().map(|object| object.key.to_string())
}

async fn list(State(admin): State<Admin>, Asked(span): Asked<Span>) -> Result<Json<Page<Playbook>>, Refused> {
    Ok(Json(playbooks::list(&admin.claw.shelf, &span).await?))
}

/// That something is changed without anybody's yes later on is for a person to permit, in a session.
fn permit(speaker: &Speaker, requires_confirmation: bool) -> Result<(), Refused> {
    if requires_confirmation || speaker.actor.starts_with("session:") {
        return Ok(());
    }
    let message = "a playbook that acts without a yes is written by a person who has logged in, not by a program";
    Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", message))
}

async fn add(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Body(new): Body<NewPlaybook>,
) -> Result<(StatusCode, Json<Playbook>), Refused> {
    permit(&speaker, new.requires_confirmation)?;
    let (example, now) = (example(&admin), admin.operator.now());
    let playbook = playbooks::add(&admin.claw.shelf, &admin.claw.chat, &new, example.as_deref(), now).await?;
    Ok((StatusCode::CREATED, Json(playbook)))
}

async fn patch(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Named(id): Named,
    Body(patch): Body<Patch>,
) -> Result<Json<Playbook>, Refused> {
    let before = playbooks::one(&admin.claw.shelf, &id).await?.requires_confirmation;
    permit(&speaker, patch.requires_confirmation.unwrap_or(before))?;
    let (example, now) = (example(&admin), admin.operator.now());
    Ok(Json(playbooks::patch(&admin.claw.shelf, &admin.claw.chat, &id, patch, (example.as_deref(), now)).await?))
}

async fn test(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Named(id): Named,
    Asked(Test { dry_run }): Asked<Test>,
) -> Result<Json<Rehearsal>, Refused> {
    let playbook = playbooks::one(&admin.claw.shelf, &id).await?;
    Ok(Json(runner::rehearse(&admin.claw, &speaker, &playbook, dry_run).await?))
}
