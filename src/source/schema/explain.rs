//! What a field means, for `mooring explain`.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Schema, VALUES, allowed, description, expectation, fields, summary, types};
use crate::{manifest::Kind, source::nearest};

/// What is known about a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The kind that has the field.
    pub kind: Kind,
    /// The field, as in `spec.probe.http`; empty for the document itself.
    pub path: String,
    /// What it expects, in words.
    pub expects: String,
    /// What it means.
    pub description: String,
    /// Whether it has to be given.
    pub required: bool,
    /// What holds when it is not given, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The values that it can have, with their meanings; empty when they cannot be listed.
    pub allowed: Vec<(String, String)>,
    /// The fields below it.
    pub children: Vec<Child>,
}

/// A field below the one that is explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// What it expects, in words.
    pub expects: String,
    /// The first sentence of its description.
    pub summary: String,
    /// Whether it has to be given.
    pub required: bool,
}

/// There is no such field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} has no field `{path}` ({help})")]
pub struct UnknownField {
    /// The kind.
    pub kind: Kind,
    /// The field that was asked for.
    pub path: String,
    /// The nearest name that exists.
    pub nearest: Option<String>,
    /// The question for the nearest name, or the names that exist.
    pub help: String,
}

/// Explains a field of a kind. A path that does not begin with a field of the document is taken to be below `spec`.
pub fn explain(kind: Kind, path: &[&str]) -> Result<Explanation, UnknownField> {
    let document = &Schema::of(Some(kind)).document;
    let is_full = path.first().is_none_or(|first| fields(document).contains(first));
    let full: Vec<&str> = if is_full { path.to_vec() } else { ["spec"].into_iter().chain(path.iter().copied()).collect() };
    let (mut node, mut required) = (document, true);
    for (depth, name) in full.iter().enumerate() {
        required = is_required(node, name);
        node = child(node, name).ok_or_else(|| unknown(kind, node, &full[..=depth]))?;
    }
    Ok(explanation(kind, full.join("."), node, required))
}

fn explanation(kind: Kind, path: String, node: &Value, required: bool) -> Explanation {
    let meanings = node.get(VALUES);
    let meaning = |value: &str| meanings.and_then(|meanings| meanings.get(value)).and_then(Value::as_str).unwrap_or_default();
    let holder = with_fields(node);
    Explanation {
        kind,
        path,
        expects: expectation_with_items(node),
        description: description(node).unwrap_or_default().to_owned(),
        required,
        default: node.get("default").filter(|default| !default.is_null()).map(Value::to_string),
        allowed: allowed(node).into_iter().map(|value| (value.to_owned(), meaning(value).to_owned())).collect(),
        children: fields(holder).into_iter().map(|name| child_of(holder, name)).collect(),
    }
}

fn child_of(holder: &Value, name: &str) -> Child {
    let node = &holder["properties"][name];
    Child {
        name: name.to_owned(),
        expects: expectation_with_items(node),
        summary: summary(node).unwrap_or_default().to_owned(),
        required: is_required(holder, name),
    }
}

/// The node that has the fields below `node`: its own, or those of what it is a list or mapping of.
fn with_fields(node: &Value) -> &Value {
    let below = ["items", "additionalProperties"].into_iter().filter_map(|keyword| node.get(keyword));
    [node].into_iter().chain(below).find(|node| node.get("properties").is_some()).unwrap_or(node)
}

/// One step down. Lists are passed through; the names of a mapping's entries are the user's, so any of them will do.
fn child<'a>(node: &'a Value, name: &str) -> Option<&'a Value> {
    let node = node.get("items").filter(|items| items.is_object()).unwrap_or(node);
    match node.get("properties") {
        Some(properties) => properties.get(name),
        None => node.get("additionalProperties").filter(|entry| entry.is_object()),
    }
}

fn is_required(node: &Value, name: &str) -> bool {
    let required = with_fields(node).get("required").and_then(Value::as_array);
    required.into_iter().flatten().any(|required| required == name)
}

fn expectation_with_items(node: &Value) -> String {
    let of = |keyword: &str| node.get(keyword).filter(|below| below.is_object()).map(expectation);
    match types(node).as_slice() {
        ["array", ..] => of("items").map_or_else(|| "a list".to_owned(), |items| format!("a list, each entry {items}")),
        ["object", ..] => of("additionalProperties")
            .map_or_else(|| "a mapping".to_owned(), |values| format!("a mapping from names, each to {values}")),
        _ => expectation(node),
    }
}

fn unknown(kind: Kind, node: &Value, path: &[&str]) -> UnknownField {
    let known = fields(with_fields(node));
    let (wrong, above) = path.split_last().map_or(("", &[][..]), |(wrong, above)| (*wrong, above));
    let help = if known.is_empty() {
        format!("`{}` has no fields", above.join("."))
    } else {
        nearest::suggestion(wrong, known.iter().copied(), "the fields are")
    };
    let nearest = nearest::nearest(wrong, known).map(str::to_owned);
    UnknownField { kind, path: path.join("."), nearest, help }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.path.is_empty() { "" } else { "." };
        writeln!(f, "{}{dot}{}: {}{}", self.kind, self.path, self.expects, if self.required { ", required" } else { "" })?;
        writeln!(f, "\n  {}", self.description)?;
        if let Some(default) = &self.default {
            writeln!(f, "\nDefault: {default}")?;
        }
        let width =
            self.children.iter().map(|child| child.name.len()).chain(self.allowed.iter().map(|(value, _)| value.len())).max();
        let width = width.unwrap_or_default();
        if !self.allowed.is_empty() {
            writeln!(f, "\nValues:")?;
        }
        for (value, meaning) in &self.allowed {
            writeln!(f, "  {value:width$}  {meaning}")?;
        }
        if !self.children.is_empty() {
            writeln!(f, "\nFields (* required):")?;
        }
        for child in &self.children {
            let mark = if child.required { '*' } else { ' ' };
            writeln!(f, "  {:width$}{mark} {}", child.name, child.summary)?;
        }
        Ok(())
    }
}
