//! The text of one file → its manifests, or everything that is wrong with it.
//!
//! Four passes, each of which reports all it finds: YAML with the places of all
//! its parts (`yaml`), the envelope that says what a document is, the kind's
//! schema (`violations`), and what a schema cannot say (`checks`). Only a
//! document without a problem becomes a manifest. References to other documents
//! are not looked at; `resolve` does that. Reads no files.

mod checks;
pub(super) mod draft;
mod violations;
mod yaml;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    nearest,
    problem::{Code, Place, Problem},
    schema::Schema,
};
use crate::manifest::{API_VERSION, Key, Kind, Manifest};
use draft::Draft;

pub(crate) use draft::may_be_secret;

/// The annotation that says where a manifest stands: `apps/web.yaml:1`.
pub const SOURCE_ANNOTATION: &str = "mooring.dev/source";

/// The largest file that is read. A container takes about a kilobyte, so this is a thousand of them.
pub const MAX_BYTES: usize = 1 << 20;

/// A manifest and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// The manifest.
    pub manifest: Manifest,
    /// The file, relative to the desired-state directory.
    pub file: PathBuf,
    /// The line at which the document begins.
    pub line: usize,
}

/// Reads all documents of a file. All or nothing: one bad document refuses the file.
pub fn parse_file(file_name: &Path, text: &[u8]) -> Result<Vec<Manifest>, Vec<Problem>> {
    let located = parse_located(file_name, text)?;
    Ok(located.into_iter().map(|located| located.manifest).collect())
}

/// Reads all documents of a file, with the places where they begin.
pub fn parse_located(file: &Path, text: &[u8]) -> Result<Vec<Located>, Vec<Problem>> {
    let documents = readable(text).and_then(yaml::documents).map_err(|fault| vec![fault.into_problem(file)])?;
    let mut problems = Vec::new();
    let mut located = Vec::new();
    let mut drafts: Vec<Draft<'_>> = documents.iter().map(|document| Draft::new(file, document)).collect();
    duplicate_names(&mut drafts);
    for mut draft in drafts {
        let manifest = manifest(&mut draft);
        problems.append(&mut draft.problems);
        located.extend(manifest);
    }
    if problems.is_empty() {
        return Ok(located);
    }
    problems.sort();
    Err(problems)
}

/// The value of a file of another program that is one YAML document.
pub(super) fn value(file: &Path, text: &str) -> Result<Value, Box<Problem>> {
    let documents = yaml::documents(text).map_err(|fault| Box::new(fault.into_problem(file)))?;
    Ok(documents.into_iter().next().map(|document| document.value).unwrap_or_default())
}

/// The lines and columns of the parts of a JSON text, by JSON pointer, as far as they can be told: JSON is YAML.
pub(super) fn places(text: &str) -> impl Fn(&str) -> (usize, usize) + use<> {
    let document = yaml::documents(text).ok().and_then(|documents| documents.into_iter().next());
    move |pointer| {
        let around = std::iter::successors(Some(pointer), |pointer| pointer.rsplit_once('/').map(|(parent, _)| parent));
        let mut places = around.filter_map(|pointer| document.as_ref()?.spans.value(pointer));
        places.next().map_or((1, 1), |Place { line, column }| (line, column))
    }
}

/// What keeps a whole file from being read.
struct Fault {
    place: Place,
    code: Code,
    message: String,
    help: Option<String>,
}

impl Fault {
    fn new(place: Place, code: Code, message: impl Into<String>) -> Self {
        Self { place, code, message: message.into(), help: None }
    }

    fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn into_problem(self, file: &Path) -> Problem {
        let Self { place: Place { line, column }, code, message, help } = self;
        Problem { file: file.to_owned(), line, column, path: String::new(), code, message, help }
    }
}

fn readable(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_BYTES >> 20);
        return Err(Fault::new(Place::START, Code::TooLarge, message).with_help("split it into several files"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        Fault::new(Place::after(valid), Code::Encoding, "the file is not UTF-8 text")
            .with_help("save it in the encoding UTF-8; this byte belongs to another one")
    })?;
    match text.find('\0') {
        Some(at) => Err(Fault::new(Place::after(&text[..at]), Code::Encoding, "the file contains a NUL byte, as no text does")),
        None => Ok(text),
    }
}

/// Reports documents that have the name of an earlier one of the same file.
fn duplicate_names(drafts: &mut [Draft<'_>]) {
    let mut first: BTreeMap<Key, usize> = BTreeMap::new();
    for draft in drafts {
        let kind = draft.value("/kind").and_then(Value::as_str).and_then(|kind| exact_kind(kind).ok());
        let name = draft.value("/metadata/name").and_then(Value::as_str);
        let Some(key) = kind.zip(name).map(|(kind, name)| Key::new(kind, name)) else {
            continue;
        };
        match first.get(&key) {
            Some(line) => {
                let message = format!("{key} is declared twice in this file, first at line {line}");
                draft.at_value("/metadata/name", Code::DuplicateName, message, None);
            }
            None => drop(first.insert(key, draft.line())),
        }
    }
}

/// The manifest that a document is, or `None` and problems in the draft.
fn manifest(draft: &mut Draft<'_>) -> Option<Located> {
    let kind = envelope(draft)?;
    violations::report(draft, kind);
    checks::report(draft, kind);
    if !draft.problems.is_empty() {
        return None;
    }
    typed(draft, kind)
}

/// Reads what a document says it is.
fn envelope(draft: &mut Draft<'_>) -> Option<Kind> {
    if !draft.root().is_object() {
        let found = draft::found_type(draft.root());
        let message = format!("expected a manifest with `apiVersion`, `kind`, `metadata` and `spec`, found {found}");
        draft.at_value("", Code::WrongType, message, None);
        return None;
    }
    let is_ours = api_version(draft);
    let kind = kind(draft);
    if kind.is_none() && is_ours {
        violations::report_unknown_kind(draft);
    }
    kind
}

/// Whether the document claims to be one of ours.
fn api_version(draft: &mut Draft<'_>) -> bool {
    let version = match draft.value("/apiVersion") {
        Some(Value::String(version)) if version == API_VERSION => return true,
        Some(version) => draft::found(version),
        None => {
            let message = format!("`apiVersion` is missing: expected `apiVersion: {API_VERSION}`");
            draft.at_key("/apiVersion", Code::ApiVersion, message, None);
            return false;
        }
    };
    let message = format!("`apiVersion`: expected {API_VERSION}, found {version}");
    draft.at_value("/apiVersion", Code::ApiVersion, message, None);
    false
}

fn kind(draft: &mut Draft<'_>) -> Option<Kind> {
    let names = Kind::ALL.map(Kind::as_str);
    match draft.value("/kind") {
        Some(Value::String(name)) => match exact_kind(name) {
            Ok(kind) => return Some(kind),
            Err(name) => {
                let help = nearest::suggestion(name, names, "the kinds are");
                draft.at_value("/kind", Code::UnknownKind, format!("unknown kind `{name}`"), Some(help));
            }
        },
        Some(other) => {
            let message = format!("`kind`: expected one of {}, found {}", names.join(", "), draft::found(other));
            draft.at_value("/kind", Code::UnknownKind, message, None);
        }
        None => {
            let message = format!("`kind` is missing: expected one of {}", names.join(", "));
            draft.at_key("/kind", Code::UnknownKind, message, None);
        }
    }
    None
}

/// The kind of exactly this name: unlike a command line, a file has to be right.
fn exact_kind(name: &str) -> Result<Kind, &str> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(name)
}

/// Makes the manifest of a document that the schema accepts.
fn typed(draft: &mut Draft<'_>, kind: Kind) -> Option<Located> {
    let (line, file) = (draft.line(), draft.file.to_owned());
    match Manifest::from_json(kind, resource(draft.root())) {
        Ok(mut manifest) => {
            let source = format!("{}:{line}", file.display());
            manifest.meta_mut().annotations.get_or_insert_default().insert(SOURCE_ANNOTATION.to_owned(), source);
            Some(Located { manifest, file, line })
        }
        Err(error) => {
            let pointer = draft::pointer_of(error.path());
            let reason =
                if draft::may_be_secret(&pointer) { "the value is not valid".to_owned() } else { error.inner().to_string() };
            let message = format!("`{}`: {reason}", draft::dotted(&pointer));
            draft.at_value(&pointer, Code::WrongValue, message, None);
            None
        }
    }
}

/// A document without what is Mooring's to write.
fn resource(document: &Value) -> Value {
    let mut resource = document.clone();
    if let Value::Object(fields) = &mut resource {
        fields.remove("status");
    }
    if let Some(Value::Object(metadata)) = resource.get_mut("metadata") {
        metadata.remove("generation");
    }
    resource
}
