//! The checks of a `Plugin`.

use super::{super::draft::below, Draft, has, is_variable, keys, misplaced, missing, wrong};
use crate::source::plugin::{Flaw, read_manifest};

pub(super) fn report(draft: &mut Draft<'_>) {
    match (has(draft, "/spec/directory"), has(draft, "/spec/manifest")) {
        (false, false) => missing(draft, "/spec/directory", "the plugin's directory, unless `manifest` is written out here"),
        (true, true) => misplaced(draft, "/spec/manifest", "cannot be given together with `directory`", Some("keep one of them")),
        (true, false) | (false, true) => {}
    }
    if draft.value("/spec/directory").and_then(serde_json::Value::as_str).is_some_and(|text| text.trim().is_empty()) {
        wrong(draft, "/spec/directory", "expected the path of a directory", None);
    }
    if let Some(manifest) = draft.value("/spec/manifest").filter(|value| value.is_object()) {
        for Flaw { pointer, message } in read_manifest(manifest).err().into_iter().flatten() {
            wrong(draft, &format!("/spec/manifest{pointer}"), &message, None);
        }
    }
    for name in keys(draft, "/spec/variables") {
        if !is_variable(name) {
            let help = Some("letters, digits and `_`, not beginning with a digit");
            misplaced(draft, &below("/spec/variables", name), "is not the name of a variable", help);
        }
    }
}
