//! The schema of whole documents, made from the types in `manifest`.
//!
//! What validation, `mooring explain` and `crds/` say all comes from here, and
//! so from the types. Reads no files.

mod explain;
mod simplify;

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::Validator;
use serde_json::{Value, json};

pub use explain::{Child, Explanation, UnknownField, explain};

use crate::manifest::Kind;

/// The key under which a schema node says in words what its pattern says in signs.
pub(super) const WORDS: &str = "x-mooring-words";

/// The key under which an enumeration describes each of its values.
const VALUES: &str = "x-mooring-values";

/// A document's schema in its simplest form, and what validates by it.
pub(super) struct Schema {
    document: Value,
    validator: Validator,
}

impl Schema {
    /// The schema of documents of this kind; without one, that of the parts that all documents have.
    pub(super) fn of(kind: Option<Kind>) -> &'static Self {
        static SCHEMAS: LazyLock<BTreeMap<Option<Kind>, Schema>> =
            LazyLock::new(|| Kind::ALL.into_iter().map(Some).chain([None]).map(|kind| (kind, Schema::new(kind))).collect());
        &SCHEMAS[&kind]
    }

    fn new(kind: Option<Kind>) -> Self {
        let spec = kind.map_or(Value::Bool(true), |kind| simplify::simplify(kind.spec_schema().to_value()));
        let document = document(kind, &spec);
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&document)
            .expect("the schema made from our own types is valid");
        Self { document, validator }
    }

    /// Everything in which a document differs from the schema.
    pub(super) fn errors<'a>(&'a self, document: &'a Value) -> impl Iterator<Item = jsonschema::ValidationError<'a>> {
        self.validator.iter_errors(document)
    }

    /// The node that holds the keyword at this pointer into the schema.
    pub(super) fn node_of_keyword(&self, keyword: &str) -> &Value {
        let node = keyword.rsplit_once('/').map_or("", |(node, _)| node);
        self.document.pointer(node).unwrap_or(&Value::Null)
    }
}

/// The schema of a whole document around that of its `spec`.
fn document(kind: Option<Kind>, spec: &Value) -> Value {
    let description = kind.map_or_else(String::new, |kind| description(spec).unwrap_or(kind.as_str()).to_owned());
    json!({
        "type": "object",
        "description": description,
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            // What they say is checked before the schema can be chosen.
            "apiVersion": {"description": "Always `mooring.dev/v1alpha1`."},
            "kind": {"description": "The kind of object."},
            "metadata": metadata(),
            "spec": spec,
            "status": {"description": "What Mooring reports about the object. Ignored in a manifest."},
        },
    })
}

fn metadata() -> Value {
    json!({
        "type": "object",
        "description": "What the object is called.",
        "additionalProperties": false,
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string",
                "description": "The object's name, unique among those of its kind.",
                // What the engine accepts for containers, in lower case so that it can be a host name, too.
                "pattern": "^[a-z0-9][a-z0-9_.-]{1,62}$",
                WORDS: "2 to 63 lower-case letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
            },
            "labels": {
                "type": "object",
                "description": "Labels of the object, for selecting it.",
                "additionalProperties": {"type": "string"},
            },
            "annotations": {
                "type": "object",
                "description": "Notes on the object.",
                "additionalProperties": {"type": "string"},
            },
            "generation": {"description": "How often `spec` has changed. Kept by Mooring, ignored in a manifest."},
        },
    })
}

/// The description of a schema node.
pub(super) fn description(node: &Value) -> Option<&str> {
    node.get("description")?.as_str()
}

/// The first sentence of a schema node's description.
pub(super) fn summary(node: &Value) -> Option<&str> {
    let text = description(node)?;
    Some(text.find(". ").map_or(text, |end| &text[..=end]))
}

/// The names of the fields that an object's schema node has.
pub(super) fn fields(node: &Value) -> Vec<&str> {
    let properties = node.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// The values that an enumeration permits.
pub(super) fn allowed(node: &Value) -> Vec<&str> {
    let values = node.get("enum").and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What a schema node expects, in words: `a whole number`, `a duration such as 5s`.
pub(super) fn expectation(node: &Value) -> String {
    if let Some(words) = node.get(WORDS).and_then(Value::as_str) {
        return words.to_owned();
    }
    let allowed = allowed(node);
    if !allowed.is_empty() {
        return format!("one of {}", allowed.join(", "));
    }
    match node.get("format").and_then(Value::as_str) {
        Some("ipv4") => return "an IPv4 address".to_owned(),
        Some("ipv6") => return "an IPv6 address".to_owned(),
        Some(_) | None => {}
    }
    let types: Vec<_> = types(node).into_iter().filter(|name| *name != "null").map(type_in_words).collect();
    match (types.as_slice(), range(node)) {
        ([], _) => "a value".to_owned(),
        ([number @ ("a whole number" | "a number")], Some(range)) => format!("{number} {range}"),
        (types, _) => types.join(" or "),
    }
}

/// The names of the types that a schema node permits.
pub(super) fn types(node: &Value) -> Vec<&str> {
    match node.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    }
}

fn type_in_words(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

/// The range of a number, in words.
fn range(node: &Value) -> Option<String> {
    let bound = |keyword: &str| node.get(keyword).and_then(Value::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => Some(format!("from {least} to {most}")),
        (Some(least), None) => Some(format!("of at least {least}")),
        (None, Some(most)) => Some(format!("of at most {most}")),
        (None, None) => None,
    }
}

/// The definition of a kind for a Kubernetes API server, as the file in `crds/` has it.
#[must_use]
pub fn crd_yaml(kind: Kind) -> String {
    serde_yaml::to_string(&kind.crd()).expect("a definition has string keys and no failing serializer")
}

#[cfg(test)]
mod tests;
