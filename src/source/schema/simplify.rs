//! The schema that `schemars` makes of a type → one without references, alternatives and foreign formats.
//!
//! Afterwards every node says what it is on the spot: errors point into it, and
//! names for suggestions can be read off it.

use serde_json::{Map, Value, json};

use super::VALUES;

/// The key whose schema stands in for a node that Kubernetes could not express.
const OURS: &str = "x-mooring-schema";

/// What a reference may say besides; it describes the field, where the definition describes the type.
const ABOUT_THE_FIELD: [&str; 3] = ["description", "default", super::WORDS];

/// Simplifies a whole schema.
pub(super) fn simplify(mut schema: Value) -> Value {
    let definitions = schema.as_object_mut().and_then(|schema| schema.remove("$defs")).unwrap_or_default();
    node(schema, &definitions)
}

/// Simplifies one node and what is below it. The types have no cycles, so this ends.
fn node(schema: Value, definitions: &Value) -> Value {
    let Value::Object(mut schema) = schema else {
        return schema;
    };
    schema.retain(|keyword, _| !matches!(keyword.as_str(), "$schema" | "title"));
    if let Some(ours) = schema.remove(OURS) {
        return node(described(ours, schema), definitions);
    }
    if let Some(reference) = schema.remove("$ref") {
        return node(described(definition(&reference, definitions), schema), definitions);
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(alternatives)) = schema.remove(keyword) {
            return node(described(merged(alternatives, definitions), schema), definitions);
        }
    }
    plain(schema, definitions)
}

fn definition(reference: &Value, definitions: &Value) -> Value {
    let name = reference.as_str().and_then(|reference| reference.strip_prefix("#/$defs/")).unwrap_or_default();
    definitions.get(name).cloned().expect("a reference made by the generator leads to a definition")
}

/// What stands in a node's place, with what the node said about the field.
fn described(mut schema: Value, mut outer: Map<String, Value>) -> Value {
    if let Value::Object(inner) = &mut schema {
        let about = ABOUT_THE_FIELD.into_iter().filter_map(|keyword| outer.remove_entry(keyword));
        inner.extend(about.collect::<Vec<_>>());
    }
    schema
}

/// One schema for several: an optional one, or an enumeration whose values are described one by one.
fn merged(alternatives: Vec<Value>, definitions: &Value) -> Value {
    let null = json!({"type": "null"});
    let optional = alternatives.contains(&null);
    let mut rest: Vec<Value> = alternatives.into_iter().filter(|alternative| *alternative != null).collect();
    let schema = match rest.len() {
        1 => node(rest.remove(0), definitions),
        _ => enumeration(&rest),
    };
    if optional { nullable(schema) } else { schema }
}

fn enumeration(alternatives: &[Value]) -> Value {
    let mut values = Vec::new();
    let mut descriptions = Map::new();
    for alternative in alternatives {
        let listed = alternative.get("enum").and_then(Value::as_array).into_iter().flatten();
        for value in listed.chain(alternative.get("const")) {
            let (name, description) = (value.as_str().unwrap_or_default(), super::description(alternative).unwrap_or_default());
            descriptions.insert(name.to_owned(), description.into());
            values.push(value.clone());
        }
    }
    assert!(!values.is_empty(), "alternatives that are neither optional nor enumerations need a schema of ours");
    json!({"type": "string", "enum": values, VALUES: descriptions})
}

/// Permits null as well, as an `Option` does.
fn nullable(mut schema: Value) -> Value {
    let types = super::types(&schema).into_iter().chain(["null"]).map(Value::from).collect::<Vec<_>>();
    if types.len() > 1 {
        schema["type"] = types.into();
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    schema
}

/// A node without alternatives: its format in plain keywords, and whatever is below it simplified.
fn plain(mut schema: Map<String, Value>, definitions: &Value) -> Value {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (_, property) in properties.iter_mut() {
            *property = node(property.take(), definitions);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(below) = schema.get_mut(keyword) {
            *below = node(below.take(), definitions);
        }
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str).map(str::to_owned) {
        number_format(&mut schema, &format);
    }
    let schema_is_nullable = schema.remove("nullable") == Some(Value::Bool(true));
    if schema_is_nullable { nullable(Value::Object(schema)) } else { Value::Object(schema) }
}

/// OpenAPI's formats of numbers mean nothing to JSON Schema; their ranges do.
fn number_format(schema: &mut Map<String, Value>, format: &str) {
    let (least, most) = match format {
        "uint8" => (Some(0), Some(i64::from(u8::MAX))),
        "uint16" => (Some(0), Some(i64::from(u16::MAX))),
        "uint32" => (Some(0), Some(i64::from(u32::MAX))),
        "uint64" | "uint" => (Some(0), None),
        "int32" => (Some(i64::from(i32::MIN)), Some(i64::from(i32::MAX))),
        "int64" | "int" | "float" | "double" => (None, None),
        _ => return,
    };
    schema.remove("format");
    for (keyword, bound) in [("minimum", least), ("maximum", most)] {
        if let Some(bound) = bound {
            schema.entry(keyword).or_insert_with(|| bound.into());
        }
    }
}
