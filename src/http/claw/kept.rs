//! What is kept for conversations: memories, personas, and the budget; and the tools that there are.

use axum::{
    Json,
    extract::{DefaultBodyLimit, Extension, State},
    handler::Handler as _,
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::admin::Admin,
    Items, MAX_IMPORT_BYTES,
    caller::Caller,
    openapi::{Api, Method},
    read::{Asked, Body, Named},
    refusal::Refused,
};
use crate::admin::claw::{
    Page, Span, WRITTEN,
    budget::{self, Budget, Usage},
    memories::{self, Imported, Memory, NewMemory},
    personas::{self, NewPersona, Persona},
    tools::{self, Tool},
};

/// What is to be forgotten.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ids {
    /// The ids.
    #[schemars(length(max = 500))]
    ids: Vec<String>,
}

/// What was forgotten.
#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// How many of them there were.
    deleted: u64,
}

/// What is to be remembered. What `export` tells is taken as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// The facts.
    #[schemars(length(max = 500))]
    memories: Vec<Exported>,
}

/// A fact as `export` tells it; who said it, and when, is written anew.
#[derive(Debug, Deserialize, JsonSchema)]
struct Exported {
    /// The fact.
    #[schemars(length(min = 1, max = 4000), regex(pattern = WRITTEN))]
    content: String,
    /// What it is found by.
    #[serde(default)]
    #[schemars(length(max = 10), inner(length(min = 1, max = 60), regex(pattern = WRITTEN)))]
    tags: Vec<String>,
}

/// All memories.
#[derive(Debug, Serialize, JsonSchema)]
struct Export {
    /// Oldest first.
    memories: Vec<Memory>,
}

/// What is looked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Words that all have to be in it, in capitals or not.
    #[schemars(length(min = 1, max = 400), regex(pattern = WRITTEN))]
    query: String,
    /// How many, at most.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(regex(pattern = "^[0-9]{1,18}$"))]
    cursor: Option<String>,
}

/// How far back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Days {
    /// In days, today among them; 31, unless given.
    #[schemars(range(min = 1, max = 366))]
    days: Option<u32>,
}

pub(super) fn routes(api: &mut Api) {
    memory_routes(api);
    persona_routes(api);
    api.add(Method::Get, "/claw/tools", "What can be asked for, each with its tier and its schema", list_tools)
        .answers::<Items<Tool>>(200, "All of them.");
    api.add(Method::Get, "/claw/budget", "What models may cost", read_budget).answers::<Budget>(200, "The budget in force.");
    api.add(Method::Put, "/claw/budget", "Set another budget", set_budget)
        .body::<Budget>()
        .answers::<Budget>(200, "The budget in force.");
    api.add(Method::Get, "/claw/budget/usage", "What models have cost", usage)
        .query::<Days>()
        .answers::<Usage>(200, "Today, this month, and by day and model.");
}

fn memory_routes(api: &mut Api) {
    api.add(Method::Get, "/claw/memories", "The facts that are remembered", memories_page)
        .query::<Span>()
        .answers::<Page<Memory>>(200, "A page of them.");
    api.add(Method::Post, "/claw/memories", "Remember a fact", remember)
        .body::<NewMemory>()
        .answers::<Memory>(201, "It is remembered.")
        .errors(&[(409, "it is remembered already, or there are too many")]);
    api.add(Method::Delete, "/claw/memories/{id}", "Forget a fact", forget)
        .empty("It is forgotten.")
        .errors(&[(404, "there is no such memory")]);
    api.add(Method::Post, "/claw/memories/bulk-delete", "Forget facts", forget_all)
        .body::<Ids>()
        .answers::<Deleted>(200, "Those that there were are forgotten.");
    let import = import.layer(DefaultBodyLimit::max(MAX_IMPORT_BYTES));
    api.add(Method::Post, "/claw/memories/import", "Remember many facts, or none", import)
        .body::<Import>()
        .answers::<Imported>(200, "They are remembered.")
        .errors(&[(409, "there are too many")]);
    api.add(Method::Post, "/claw/memories/search", "Find facts by words", search)
        .body::<Search>()
        .answers::<Page<Memory>>(200, "A page of them.");
    api.add(Method::Get, "/claw/memories/export", "All facts", export).answers::<Export>(200, "All of them, oldest first.");
}

fn persona_routes(api: &mut Api) {
    api.add(Method::Get, "/claw/personas", "How a model may be told to speak", personas_page)
        .query::<Span>()
        .answers::<Page<Persona>>(200, "A page of them.");
    api.add(Method::Post, "/claw/personas", "Make a persona", make_persona)
        .body::<NewPersona>()
        .answers::<Persona>(201, "It is made.")
        .errors(&[(409, "there is one of the name, or there are too many")]);
    api.add(Method::Put, "/claw/personas/{id}", "Make a persona another one", replace_persona)
        .body::<NewPersona>()
        .answers::<Persona>(200, "It is as it should be.")
        .errors(&[(404, "there is no such persona"), (409, "there is another one of the name")]);
    api.add(Method::Delete, "/claw/personas/{id}", "Forget a persona", delete_persona)
        .empty("It is forgotten.")
        .errors(&[(404, "there is no such persona")]);
}

async fn memories_page(State(admin): State<Admin>, Asked(span): Asked<Span>) -> Result<Json<Page<Memory>>, Refused> {
    Ok(Json(memories::list(&admin.claw.shelf, "", &span).await?))
}

async fn remember(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Body(new): Body<NewMemory>,
) -> Result<(StatusCode, Json<Memory>), Refused> {
    let memory = memories::add(&admin.claw.shelf, &new, &speaker.actor, admin.operator.now()).await?;
    Ok((StatusCode::CREATED, Json(memory)))
}

async fn forget(State(admin): State<Admin>, Named(id): Named) -> Result<StatusCode, Refused> {
    memories::delete(&admin.claw.shelf, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn forget_all(State(admin): State<Admin>, Body(Ids { ids }): Body<Ids>) -> Result<Json<Deleted>, Refused> {
    Ok(Json(Deleted { deleted: memories::delete_all(&admin.claw.shelf, &ids).await? }))
}

async fn import(
    State(admin): State<Admin>,
    Extension(Caller(speaker)): Extension<Caller>,
    Body(Import { memories }): Body<Import>,
) -> Result<Json<Imported>, Refused> {
    let new: Vec<NewMemory> = memories.into_iter().map(|Exported { content, tags }| NewMemory { content, tags }).collect();
    Ok(Json(memories::import(&admin.claw.shelf, &new, &speaker.actor, admin.operator.now()).await?))
}

async fn search(
    State(admin): State<Admin>,
    Body(Search { query, limit, cursor }): Body<Search>,
) -> Result<Json<Page<Memory>>, Refused> {
    Ok(Json(memories::list(&admin.claw.shelf, &query, &Span { limit, cursor }).await?))
}

async fn export(State(admin): State<Admin>) -> Result<Json<Export>, Refused> {
    Ok(Json(Export { memories: memories::all(&admin.claw.shelf).await? }))
}

async fn personas_page(State(admin): State<Admin>, Asked(span): Asked<Span>) -> Result<Json<Page<Persona>>, Refused> {
    Ok(Json(personas::list(&admin.claw.shelf, &span).await?))
}

async fn make_persona(State(admin): State<Admin>, Body(new): Body<NewPersona>) -> Result<(StatusCode, Json<Persona>), Refused> {
    Ok((StatusCode::CREATED, Json(personas::add(&admin.claw.shelf, &new, admin.operator.now()).await?)))
}

async fn replace_persona(
    State(admin): State<Admin>,
    Named(id): Named,
    Body(new): Body<NewPersona>,
) -> Result<Json<Persona>, Refused> {
    Ok(Json(personas::replace(&admin.claw.shelf, &id, &new, admin.operator.now()).await?))
}

async fn delete_persona(State(admin): State<Admin>, Named(id): Named) -> Result<StatusCode, Refused> {
    personas::delete(&admin.claw.shelf, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_tools() -> Json<Items<Tool>> {
    Json(Items { items: tools::tools() })
}

async fn read_budget(State(admin): State<Admin>) -> Result<Json<Budget>, Refused> {
    Ok(Json(budget::read(&admin.claw.shelf).await?))
}

async fn set_budget(State(admin): State<Admin>, Body(budget): Body<Budget>) -> Result<Json<Budget>, Refused> {
    budget::set(&admin.claw.shelf, &budget).await?;
    Ok(Json(budget))
}

async fn usage(State(admin): State<Admin>, Asked(Days { days }): Asked<Days>) -> Result<Json<Usage>, Refused> {
    Ok(Json(budget::usage(&admin.claw.shelf, admin.operator.now(), days.unwrap_or(31)).await?))
}
