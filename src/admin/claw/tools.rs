//! What can be asked for, for programs: every intent with its tier and its schema.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::admin::intent::{Intent, Tier};

/// Something that can be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// The intent's name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// How much can go wrong.
    pub tier: Tier,
    /// What it needs to know, as a JSON schema.
    pub parameters: Value,
}

/// By the names of the intents: their tiers. A test holds it against [`Intent::tier`].
const TIERS: [(&str, Tier); 23] = [
    ("help", Tier::Read),
    ("status", Tier::Read),
    ("services", Tier::Read),
    ("health", Tier::Read),
    ("metrics", Tier::Read),
    ("logs", Tier::Read),
    ("audit", Tier::Read),
    ("events", Tier::Read),
    ("why", Tier::Read),
    ("plan", Tier::Read),
    ("secrets", Tier::Read),
    ("model", Tier::Read),
    ("routes", Tier::Read),
    ("envShow", Tier::Read),
    ("database", Tier::Read),
    ("restart", Tier::Write),
    ("start", Tier::Write),
    ("hold", Tier::Write),
    ("release", Tier::Write),
    ("envSet", Tier::Write),
    ("envUnset", Tier::Write),
    ("stop", Tier::Destructive),
    ("databaseChange", Tier::Destructive),
];

/// All of them. A yes and a no are none: only a person says them.
#[must_use]
pub fn tools() -> Vec<Tool> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let schema = settings.into_generator().into_root_schema_for::<Intent>();
    let variants = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    variants.into_iter().filter_map(tool).collect()
}

fn tool(mut variant: Value) -> Option<Tool> {
    let properties = variant.get_mut("properties")?.as_object_mut()?;
    let name = properties.shift_remove("intent")?.get("const")?.as_str()?.to_owned();
    if name == "confirm" || name == "cancel" {
        return None;
    }
    let properties = Value::Object(properties.clone());
    let mut required = variant.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    required.retain(|field| field != "intent");
    let description = variant.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    // What is not known here may lose something, for all we know.
    let tier = TIERS.iter().find(|(known, _)| *known == name).map_or(Tier::Destructive, |(_, tier)| *tier);
    let parameters = json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    Some(Tool { name, description, tier, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value for a schema, such as it is.
    fn example(schema: &Value) -> Value {
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
            return first.clone();
        }
        if let Some(first) = schema.get("oneOf").or(schema.get("anyOf")).and_then(|variants| variants.get(0)) {
            return example(first);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("array") => json!([example(&schema["items"])]),
            Some("integer") => json!(1),
            Some("object") => {
                let fields = schema["required"].as_array().cloned().unwrap_or_default();
                let fields = fields
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|field| (field.to_owned(), example(&schema["properties"][field])));
                Value::Object(fields.collect())
            }
            _ if schema.get("format").is_some() => json!("2026-01-02T03:04:05Z"),
            _ => json!("5m"),
        }
    }

    #[test]
    fn every_intent_is_a_tool_of_its_own_tier_and_reads_what_its_schema_describes() {
        let tools = tools();
        for tool in &tools {
            let mut value = example(&tool.parameters);
            value["intent"] = json!(tool.name);
            let intent: Intent = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!(intent.tier(), tool.tier, "{}", tool.name);
            assert!(!tool.description.is_empty(), "{}", tool.name);
        }
        let known = TIERS.iter().map(|(name, _)| *name);
        let mut named: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        let mut known: Vec<&str> = known.collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
    }
}
