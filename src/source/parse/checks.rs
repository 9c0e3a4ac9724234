//! What can be known from one document alone, and a schema cannot say.
//!
//! The checks look at the untyped document, so that they find what they can
//! also in one that the schema refuses; what the schema has reported they leave
//! alone.

mod alerts;
mod container;
mod environment;
mod hold;
mod host;
mod model_provider;
mod plugin;
mod proxy;

use std::{fmt::Display, str::FromStr};

use serde_json::Value;

use super::{
    Code,
    draft::{Draft, dotted, may_be_secret},
};
use crate::manifest::Kind;

/// Reports everything that the checks of the kind find.
pub(super) fn report(draft: &mut Draft<'_>, kind: Kind) {
    if draft.value("/spec").is_none_or(|spec| !spec.is_object()) {
        return;
    }
    match kind {
        Kind::Environment => environment::report(draft),
        Kind::Container => container::report(draft),
        Kind::Proxy => proxy::report(draft),
        Kind::ModelProvider => model_provider::report(draft),
        Kind::Plugin => plugin::report(draft),
        Kind::Hold => hold::report(draft),
        Kind::Host => host::report(draft),
    }
}

/// Whether a field is given. One without a value counts as not given, as it does for the types.
fn has(draft: &Draft<'_>, pointer: &str) -> bool {
    draft.value(pointer).is_some_and(|value| !value.is_null())
}

/// The text of a scalar; numbers are text where the types take them for it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The entries of a list that are text, with their pointers.
fn entries(draft: &Draft<'_>, pointer: &str) -> Vec<(String, String)> {
    let list = draft.value(pointer).and_then(Value::as_array).into_iter().flatten();
    list.enumerate().filter_map(|(at, entry)| Some((format!("{pointer}/{at}"), text(entry)?))).collect()
}

/// The keys of a mapping.
fn keys<'a>(draft: &Draft<'a>, pointer: &str) -> Vec<&'a str> {
    let mapping = draft.value(pointer).and_then(Value::as_object);
    mapping.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

/// Reports the entries of a list that cannot be read as `T`.
fn each<T: FromStr<Err: Display>>(draft: &mut Draft<'_>, pointer: &str) {
    for (pointer, text) in entries(draft, pointer) {
        readable(draft, &pointer, text.parse::<T>());
    }
}

/// Reports a text that could not be read, unless something is known to be wrong with it.
fn readable<T, E: Display>(draft: &mut Draft<'_>, pointer: &str, result: Result<T, E>) {
    if let Err(refusal) = result {
        let refusal = if may_be_secret(pointer) { "the value is not valid".to_owned() } else { refusal.to_string() };
        wrong(draft, pointer, &refusal, None);
    }
}

/// Reports a wrong value, unless something is known to be wrong with it.
fn wrong(draft: &mut Draft<'_>, pointer: &str, message: &str, help: Option<&str>) {
    if !draft.has_problem_at(pointer) {
        let message = format!("`{}`: {message}", dotted(pointer));
        draft.at_value(pointer, Code::WrongValue, message, help.map(str::to_owned));
    }
}

/// Reports a field that should not be there.
fn misplaced(draft: &mut Draft<'_>, pointer: &str, message: &str, help: Option<&str>) {
    if !draft.has_problem_at(pointer) {
        let message = format!("`{}` {message}", dotted(pointer));
        draft.at_key(pointer, Code::WrongValue, message, help.map(str::to_owned));
    }
}

/// Reports a field that should be there.
fn missing(draft: &mut Draft<'_>, pointer: &str, help: &str) {
    if !draft.has_problem_at(pointer) {
        let message = format!("`{}` is missing", dotted(pointer));
        draft.at_key(pointer, Code::MissingField, message, Some(help.to_owned()));
    }
}

/// Whether a text can be the name of a variable in an `.env` file.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
