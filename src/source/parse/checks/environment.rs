//! The checks of an `Environment`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{super::draft::below, Draft, entries, is_variable, keys, misplaced, wrong};
use crate::manifest::environment::{computed_file, default_files, secrets_file};

/// The cascade's files: where they are listed, and their names.
const FILES: &str = "/spec/files";

pub(super) fn report(draft: &mut Draft<'_>) {
    let files = files(draft);
    secrets(draft, &files);
    computed(draft, &files);
}

/// The names of the cascade's files, each checked.
fn files(draft: &mut Draft<'_>) -> BTreeSet<String> {
    if draft.value(FILES).is_none() {
        return default_files().into_iter().collect();
    }
    let mut files = BTreeSet::new();
    for (pointer, name) in entries(draft, FILES) {
        plain_name(draft, &pointer, &name);
        if !files.insert(name) {
            wrong(draft, &pointer, "the file is listed twice", None);
        }
    }
    files
}

/// Nothing outside the directory is read or written, so a file is named, not pathed.
fn plain_name(draft: &mut Draft<'_>, pointer: &str, name: &str) {
    if name.is_empty() || name.contains(['/', '\\', '\0']) || matches!(name, "." | "..") {
        wrong(draft, pointer, "expected the plain name of a file in `spec.directory`", Some("no `/` and no `..`"));
    }
}

/// The file that a part of the spec writes to, and where to report problems with it.
fn file_of(draft: &mut Draft<'_>, part: &str, default: fn() -> String) -> Option<(String, String)> {
    draft.value(part).filter(|value| value.is_object())?;
    let pointer = format!("{part}/file");
    match draft.value(&pointer) {
        None => Some((pointer, default())),
        Some(Value::String(name)) => {
            plain_name(draft, &pointer, name);
            Some((pointer, name.clone()))
        }
        Some(_) => None,
    }
}

fn secrets(draft: &mut Draft<'_>, files: &BTreeSet<String>) {
    if let Some((pointer, file)) = file_of(draft, "/spec/secrets", secrets_file)
        && !files.contains(&file)
    {
        let message = format!("`{file}` is not one of `spec.files`, so what is written there would never be read");
        wrong(draft, &pointer, &message, Some("add it to `spec.files`"));
    }
    let mut names = BTreeSet::new();
    let generated = draft.value("/spec/secrets/generate").and_then(Value::as_array).into_iter().flatten();
    for (at, secret) in generated.enumerate() {
        let pointer = format!("/spec/secrets/generate/{at}");
        if let Some(name) = secret.get("name").and_then(Value::as_str)
            && !names.insert(name)
        {
            wrong(draft, &format!("{pointer}/name"), &format!("`{name}` is generated twice"), None);
        }
        if secret.get("format").and_then(Value::as_str) == Some("uuid")
            && secret.get("length").is_some_and(|length| !length.is_null())
        {
            misplaced(draft, &format!("{pointer}/length"), "has no meaning for a `uuid`, which has a length of its own", None);
        }
    }
}

fn computed(draft: &mut Draft<'_>, files: &BTreeSet<String>) {
    if let Some((pointer, file)) = file_of(draft, "/spec/computed", computed_file)
        && files.contains(&file)
    {
        let message = format!("`{file}` is one of `spec.files`, and would be computed from itself");
        wrong(draft, &pointer, &message, Some("it has to be a file of its own"));
    }
    let generated = draft.value("/spec/secrets/generate").and_then(Value::as_array).into_iter().flatten();
    let generated: BTreeSet<&str> = generated.filter_map(|secret| secret.get("name")?.as_str()).collect();
    for name in keys(draft, "/spec/computed/values") {
        let pointer = below("/spec/computed/values", name);
        if !is_variable(name) {
            let help = Some("letters, digits and `_`, not beginning with a digit");
            misplaced(draft, &pointer, "is not the name of a variable", help);
        } else if generated.contains(name) {
            misplaced(draft, &pointer, "is generated as a secret already", None);
        }
    }
}
