//! A document on its way to being a manifest, and what has been found wrong with it so far.

use std::{borrow::Cow, path::Path};

use serde_json::Value;
use serde_path_to_error::Segment;

use super::{Code, Place, Problem, yaml::Document};

/// A document and its problems.
pub(super) struct Draft<'a> {
    pub(super) file: &'a Path,
    pub(super) problems: Vec<Problem>,
    document: &'a Document,
}

impl<'a> Draft<'a> {
    /// A document, with what YAML itself would have passed over already reported.
    pub(super) fn new(file: &'a Path, document: &'a Document) -> Self {
        let mut draft = Self { file, problems: Vec::new(), document };
        for (pointer, first, second) in &document.spans.duplicates {
            let message = format!("`{}` is given twice, first at line {}", dotted(pointer), first.line);
            draft.problems.push(draft.problem(*second, pointer, Code::DuplicateKey, message));
        }
        for pointer in &document.spans.odd_numbers {
            if let Some(number) = draft.value(pointer).filter(|value| value.is_i64() || value.is_u64()) {
                draft.odd_number(pointer, number);
            }
        }
        draft
    }

    /// A password of `0x1F` must not become `31`.
    fn odd_number(&mut self, pointer: &str, number: &Value) {
        let number = if may_be_secret(pointer) { "another number".to_owned() } else { number.to_string() };
        let message = format!("`{}`: YAML takes what is written here for {number}", dotted(pointer));
        self.at_value(
            pointer,
            Code::WrongValue,
            message,
            Some("put it in quotes, or write that number in plain digits".to_owned()),
        );
    }

    /// The whole document.
    pub(super) fn root(&self) -> &'a Value {
        &self.document.value
    }

    /// A part of the document.
    pub(super) fn value(&self, pointer: &str) -> Option<&'a Value> {
        self.document.value.pointer(pointer)
    }

    /// The line at which the document begins.
    pub(super) fn line(&self) -> usize {
        self.place("", |pointer| self.document.spans.value(pointer)).line
    }

    /// Reports a problem with a value.
    pub(super) fn at_value(&mut self, pointer: &str, code: Code, message: impl Into<String>, help: Option<String>) {
        let place = self.place(pointer, |pointer| self.document.spans.value(pointer));
        self.problems.push(Problem { help, ..self.problem(place, pointer, code, message.into()) });
    }

    /// Reports a problem with a field: that it is there, or what is missing in it.
    pub(super) fn at_key(&mut self, pointer: &str, code: Code, message: impl Into<String>, help: Option<String>) {
        let place = self.place(pointer, |pointer| self.document.spans.key(pointer));
        self.problems.push(Problem { help, ..self.problem(place, pointer, code, message.into()) });
    }

    /// Whether something is known to be wrong with this very part.
    pub(super) fn has_problem_at(&self, pointer: &str) -> bool {
        let path = dotted(pointer);
        self.problems.iter().any(|problem| problem.path == path)
    }

    /// The place of a part, or of the nearest one around it: parts that come from aliases have none of their own,
    /// and those that are missing have none at all.
    fn place(&self, pointer: &str, find: impl Fn(&str) -> Option<Place>) -> Place {
        if let Some(place) = find(pointer) {
            return place;
        }
        let mut around = std::iter::successors(parent(pointer), |pointer| parent(pointer));
        around.find_map(|pointer| self.document.spans.key(pointer)).unwrap_or(Place::START)
    }

    fn problem(&self, place: Place, pointer: &str, code: Code, message: String) -> Problem {
        let Place { line, column } = place;
        Problem { file: self.file.to_owned(), line, column, path: dotted(pointer), code, message, help: None }
    }
}

fn parent(pointer: &str) -> Option<&str> {
    pointer.rsplit_once('/').map(|(parent, _)| parent)
}

/// A JSON pointer as people write paths: `spec.ports.0`.
///
/// What follows a `=` in the name of a variable is a value that got into the name, and may be secret.
pub(in crate::source) fn dotted(pointer: &str) -> String {
    let shown = match pointer.split_once('=') {
        Some((name, _)) if may_be_secret(pointer) => name,
        Some(_) | None => pointer,
    };
    shown.strip_prefix('/').unwrap_or(shown).replace('/', ".").replace("~1", "/").replace("~0", "~")
}

/// The pointer to a field of a part.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The pointer to where a typed reading failed.
pub(super) fn pointer_of(path: &serde_path_to_error::Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => below(&pointer, key),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// The parts whose values are not repeated, because a password may stand in them.
const SECRETIVE: [&str; 10] = [
    "/metadata/annotations",
    "/spec/command",
    "/spec/computed/values",
    "/spec/entrypoint",
    "/spec/environment",
    "/spec/healthcheck/test",
    "/spec/labels",
    "/spec/logging/options",
    "/spec/probe/exec/command",
    "/spec/variables",
];

/// Whether the value of a part may be secret.
pub(crate) fn may_be_secret(pointer: &str) -> bool {
    let is_below = |secretive: &str| pointer.strip_prefix(secretive).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    SECRETIVE.iter().any(|secretive| is_below(secretive)) || is_of_receiver(pointer)
}

/// Whether a part of whoever is alerted may be secret: who knows the URL of a webhook may write into a chat.
fn is_of_receiver(pointer: &str) -> bool {
    let Some((_, field)) = pointer.strip_prefix("/spec/alerts/receivers/").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    // Where a mapping is expected, somebody may have written the URL itself.
    matches!(field, "webhook" | "slack" | "alertmanager") || field.ends_with("/url") || field.contains("/headers")
}

/// Long enough for what people mistype, short enough for one line.
const SHOWN_CHARACTERS: usize = 40;

/// What was found in a place, for a message: the value itself when it is short and not a collection.
pub(super) fn found(value: &Value) -> Cow<'static, str> {
    match value {
        Value::Null => "nothing".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
        Value::String(text) if text.chars().count() > SHOWN_CHARACTERS => {
            let start: String = text.chars().take(SHOWN_CHARACTERS).collect();
            format!("{}…", Value::String(start)).into()
        }
        Value::String(_) | Value::Bool(_) | Value::Number(_) => value.to_string().into(),
    }
}

/// What was found, by its type alone.
pub(super) fn found_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
        Value::String(_) => "text",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
    }
}
