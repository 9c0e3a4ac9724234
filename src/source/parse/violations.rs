//! Where a document differs from its schema, in words.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use super::{
    Code, Schema,
    draft::{Draft, below, dotted, found, found_type, may_be_secret},
    nearest,
};
use crate::{
    manifest::Kind,
    source::schema::{allowed, expectation, fields, summary, types},
};

/// Reports everything in which a document differs from the schema of its kind.
pub(super) fn report(draft: &mut Draft<'_>, kind: Kind) {
    report_by(draft, Schema::of(Some(kind)));
}

/// Reports what is wrong with the parts that documents of every kind have.
pub(super) fn report_unknown_kind(draft: &mut Draft<'_>) {
    report_by(draft, Schema::of(None));
}

fn report_by(draft: &mut Draft<'_>, schema: &Schema) {
    for error in schema.errors(draft.root()) {
        let node = schema.node_of_keyword(error.schema_path().as_str());
        violation(draft, node, &error);
    }
}

/// A value that is not what its schema node expects.
struct Mismatch<'a> {
    node: &'a Value,
    pointer: &'a str,
    instance: &'a Value,
}

impl Mismatch<'_> {
    fn report(&self, draft: &mut Draft<'_>, code: Code, help: Option<String>) {
        let Self { node, pointer, instance } = self;
        let found = if may_be_secret(pointer) { found_type(instance).into() } else { found(instance) };
        let message = format!("`{}`: expected {}, found {found}", dotted(pointer), expectation(node));
        draft.at_value(pointer, code, message, help);
    }

    /// One of several words was expected. A value that is no word is reported for its type.
    fn report_choice(&self, draft: &mut Draft<'_>) {
        if let Some(word) = self.instance.as_str() {
            let help = nearest::nearest(word, allowed(self.node)).map(|name| format!("did you mean `{name}`?"));
            self.report(draft, Code::WrongValue, help);
        }
    }
}

fn violation(draft: &mut Draft<'_>, node: &Value, error: &ValidationError<'_>) {
    let pointer = error.instance_path().as_str();
    let mismatch = Mismatch { node, pointer, instance: error.instance() };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for name in unexpected {
                unknown_field(draft, node, pointer, name);
            }
        }
        ValidationErrorKind::Required { property } => {
            missing_field(draft, node, pointer, property.as_str().unwrap_or_default());
        }
        ValidationErrorKind::Enum { .. } => mismatch.report_choice(draft),
        ValidationErrorKind::Type { .. } => mismatch.report(draft, Code::WrongType, type_help(node, mismatch.instance)),
        ValidationErrorKind::MinItems { .. } | ValidationErrorKind::MinLength { .. } => {
            draft.at_value(pointer, Code::WrongValue, format!("`{}` must not be empty", dotted(pointer)), None);
        }
        ValidationErrorKind::Pattern { .. }
        | ValidationErrorKind::Format { .. }
        | ValidationErrorKind::Minimum { .. }
        | ValidationErrorKind::Maximum { .. } => {
            mismatch.report(draft, Code::WrongValue, summary(node).map(str::to_owned));
        }
        _ => {
            // The crate has keywords that our types do not use. Its own text is masked, since it would show the value.
            let message = format!("`{}`: {}", dotted(pointer), error.masked());
            draft.at_value(pointer, Code::WrongValue, message, None);
        }
    }
}

fn unknown_field(draft: &mut Draft<'_>, node: &Value, pointer: &str, name: &str) {
    let field = below(pointer, name);
    let known = fields(node);
    let holder = if pointer.is_empty() { "a manifest".to_owned() } else { format!("`{}`", dotted(pointer)) };
    let help = nearest::suggestion(name, known, &format!("the fields of {holder} are"));
    draft.at_key(&field, Code::UnknownField, format!("unknown field `{}`", dotted(&field)), Some(help));
}

fn missing_field(draft: &mut Draft<'_>, node: &Value, pointer: &str, name: &str) {
    let field = below(pointer, name);
    // The envelope has told of its own fields already.
    if draft.has_problem_at(&field) {
        return;
    }
    let help = node.get("properties").and_then(|properties| properties.get(name)).and_then(summary).map(str::to_owned);
    draft.at_key(&field, Code::MissingField, format!("`{}` is missing", dotted(&field)), help);
}

/// What to do about a value of the wrong type.
fn type_help(node: &Value, instance: &Value) -> Option<String> {
    let types = types(node);
    let expects = |name: &str| types.contains(&name);
    let help = match instance {
        Value::Bool(_) | Value::Number(_) if expects("string") && fits(node, &instance.to_string().into()) => "put it in quotes",
        Value::String(text) if expects("boolean") && is_old_boolean(text) => "YAML's booleans are `true` and `false`",
        Value::String(text) if expects("integer") && text.parse::<i64>().is_ok() => "write it without quotes",
        Value::Null if expects("array") => "remove the line, or write `[]`",
        Value::Null if expects("object") => "remove the line, or write `{}`",
        Value::Null if expects("string") => "write `\"\"` for an empty text",
        Value::String(_) if expects("array") => "put `- ` before it, on a line of its own",
        Value::Array(_) if expects("object") => "write `name: value` without the `- ` before it",
        _ => return summary(node).map(str::to_owned),
    };
    Some(help.to_owned())
}

/// Whether a node would accept a value.
fn fits(node: &Value, value: &Value) -> bool {
    jsonschema::is_valid(node, value)
}

fn is_old_boolean(text: &str) -> bool {
    ["yes", "no", "on", "off", "true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word))
}
