//! Routes and their description, which cannot come apart: a route is added with
//! its description or not at all, and `/api/openapi.json` is made of what was added.
//!
//! Schemas are those of `schemars`, which the resource types and the intents have
//! anyway; `OpenAPI` 3.1 takes JSON schemas as they are.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, on},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{super::admin::Admin, refusal};

/// Routes, as they are added.
pub(super) struct Api {
    router: Router<Admin>,
    open: Router<Admin>,
    paths: Map<String, Value>,
    schemas: SchemaGenerator,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// A route that was added, to be described.
pub(super) struct Described<'a> {
    schemas: &'a mut SchemaGenerator,
    operation: &'a mut Value,
}

/// What every route may answer that asks who it is.
const GUARDED: [(u16, &str); 6] = [
    (401, "nobody is named, or nobody that may ask"),
    (403, "a browser's request without the session's token, or from another page"),
    (421, "it is asked by a name that is not ours"),
    (429, "too many wrong tokens; `Retry-After` says how long to wait"),
    (503, "the backend manager cannot do it at the moment"),
    (504, "there is no answer in time"),
];

/// What a route with a body may answer besides.
const BODIED: [(u16, &str); 5] = [
    (400, "the body is not JSON"),
    (408, "the body came too slowly"),
    (413, "the body is too large"),
    (415, "the body does not say that it is JSON"),
    (422, "the body is not as it should be"),
];

impl Api {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self { router: Router::new(), open: Router::new(), paths: Map::new(), schemas: settings.into_generator() }
    }

    /// Adds a route.
    pub(super) fn add<H, T>(&mut self, method: Method, path: &str, summary: &str, handler: H) -> Described<'_>
    where
        H: Handler<T, Admin>,
        T: 'static,
    {
        self.router = std::mem::take(&mut self.router).route(path, on(method.filter(), handler));
        self.describe(method, path, summary).errors(&GUARDED)
    }

    /// Adds a route that answers whoever asks.
    pub(super) fn add_open<H, T>(&mut self, method: Method, path: &str, summary: &str, handler: H) -> Described<'_>
    where
        H: Handler<T, Admin>,
        T: 'static,
    {
        self.open = std::mem::take(&mut self.open).route(path, on(method.filter(), handler));
        let described = self.describe(method, path, summary);
        described.operation["security"] = json!([]);
        described
    }

    fn describe(&mut self, method: Method, path: &str, summary: &str) -> Described<'_> {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<Value> = names
            .map(|name| {
                let schema = json!({"type": "string", "minLength": 1, "maxLength": 253});
                json!({"name": name, "in": "path", "required": true, "schema": schema})
            })
            .collect();
        let id: String = path.split(['/', '-']).filter(|part| !part.is_empty()).map(|part| part.trim_matches(['{', '}'])).fold(
            method.word().to_owned(),
            |id, part| {
                let (first, rest) = part.split_at(1);
                id + &first.to_uppercase() + rest
            },
        );
        let operation = json!({"operationId": id, "summary": summary, "parameters": parameters, "responses": {}});
        let described = self.paths.entry(path).or_insert_with(|| json!({}));
        described[method.word()] = operation;
        let operation = &mut described[method.word()];
        Described { schemas: &mut self.schemas, operation }
    }

    /// The routes for everybody, the others, and what describes all of them.
    pub(super) fn finish(mut self) -> (Router<Admin>, Router<Admin>, Value) {
        let error = self.schemas.subschema_for::<refusal::Body>();
        let mut schemas = self.schemas.take_definitions(true);
        schemas.sort_keys();
        let refused = json!({"description": "Why it is not answered.", "content": {"application/json": {"schema": error}}});
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Mooring's backend manager",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "What can be asked of a running Mooring, and be proposed to it. Whatever changes the host is answered \
                                with what would be done, and done when `POST /claw/admin/confirm` says yes within two minutes.",
                "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"token": []}, {"internal": []}, {"session": [], "csrf": []}],
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": {"Refused": refused},
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "description": "Made by `mooring claw token create`."},
                    "internal": {
                        "type": "apiKey", "in": "header", "name": "X-Internal-Token",
                        "description": "`PLUGIN_INTERNAL_SECRET` of the Environment."
                    },
                    "session": {"type": "apiKey", "in": "cookie", "name": "mooring-session", "description": "Opened at /admin/login."},
                    "csrf": {
                        "type": "apiKey", "in": "header", "name": "X-CSRF-Token",
                        "description": "The session's own token, with whatever is not GET."
                    },
                },
            },
        });
        (self.open, self.router, document)
    }
}

impl Described<'_> {
    /// What may stand in the query.
    pub(super) fn query<T: JsonSchema>(self) -> Self {
        let schema = T::json_schema(self.schemas);
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let parameters: Vec<Value> = properties
            .map(|(name, schema)| {
                let mut schema = schema.clone();
                // A parameter that is not given is not there; there is no `null` in a query.
                if let Some(types) = schema.get_mut("type")
                    && let Some(first) = types.as_array().and_then(|types| types.first()).cloned()
                {
                    *types = first;
                }
                json!({"name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema})
            })
            .collect();
        if let Some(known) = self.operation["parameters"].as_array_mut() {
            known.extend(parameters);
        }
        self.errors(&[(422, "a parameter is not as it should be")])
    }

    /// What the body is.
    pub(super) fn body<T: JsonSchema>(self) -> Self {
        let schema = self.schemas.subschema_for::<T>();
        self.operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
        self.errors(&BODIED)
    }

    /// What it answers with when all is well.
    pub(super) fn answers<T: JsonSchema>(self, status: u16, what: &str) -> Self {
        let schema = self.schemas.subschema_for::<T>();
        let content = json!({"application/json": {"schema": schema}});
        self.operation["responses"][status.to_string()] = json!({"description": what, "content": content});
        self
    }

    /// As well as a stream of events.
    pub(super) fn streams(self, what: &str) -> Self {
        let schema = json!({"type": "string", "description": what});
        self.operation["responses"]["200"]["content"]["text/event-stream"] = json!({"schema": schema});
        self
    }

    /// It answers without a body when all is well.
    pub(super) fn empty(self, what: &str) -> Self {
        self.operation["responses"]["204"] = json!({"description": what});
        self
    }

    /// Why it may refuse.
    pub(super) fn errors(self, errors: &[(u16, &str)]) -> Self {
        for (status, why) in errors {
            let mut refused = json!({"$ref": "#/components/responses/Refused"});
            refused["description"] = json!(why);
            self.operation["responses"][status.to_string()] = refused;
        }
        self
    }
}
