//! The checks of a `Hold`.

use std::collections::BTreeSet;

use super::{Draft, entries, text, wrong};
use crate::manifest::hold::{Target, moment};

pub(super) fn report(draft: &mut Draft<'_>) {
    targets(draft, "/spec/targets");
    // One that is over is no mistake: time has passed.
    if let Some(Err(error)) = draft.value("/spec/until").and_then(text).map(|text| moment(&text)) {
        wrong(draft, "/spec/until", &error.to_string(), None);
    }
}

/// Each has to mean something, and something else than the others.
pub(super) fn targets(draft: &mut Draft<'_>, pointer: &str) {
    let mut seen = BTreeSet::new();
    for (pointer, text) in entries(draft, pointer) {
        match text.parse::<Target>() {
            Err(error) => wrong(draft, &pointer, &error.to_string(), None),
            Ok(target) if !seen.insert(target.clone()) => wrong(draft, &pointer, &format!("{target} is listed twice"), None),
            Ok(_) => {}
        }
    }
}
