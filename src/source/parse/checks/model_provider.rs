//! The checks of a `ModelProvider`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Draft, each, entries, has, misplaced, wrong};
use crate::manifest::{model_provider::Variables, quantity::Duration, short::PortBinding};

/// A busy server is silent for a few seconds now and then, without anything being wrong.
const SHORTEST_STALL: Duration = Duration::seconds(5);

pub(super) fn report(draft: &mut Draft<'_>) {
    order(draft);
    variables(draft);
    place(draft);
    stall(draft);
    each::<PortBinding>(draft, "/spec/ollama/run/ports");
    for pointer in ["/spec/openaiModel", "/spec/anthropicModel"] {
        let is_blank = |model: &str| model.is_empty() || model.contains(char::is_whitespace);
        if draft.value(pointer).and_then(Value::as_str).is_some_and(is_blank) {
            wrong(draft, pointer, "expected the name of a model, without spaces", None);
        }
    }
}

fn order(draft: &mut Draft<'_>) {
    let mut seen = Vec::new();
    for (pointer, provider) in entries(draft, "/spec/order") {
        if seen.contains(&provider) {
            wrong(draft, &pointer, &format!("`{provider}` is listed twice"), None);
        }
        seen.push(provider);
    }
}

/// One variable cannot hold two things.
fn variables(draft: &mut Draft<'_>) {
    let Variables { provider, model, reason } = Variables::default();
    let mut seen = BTreeMap::new();
    for (field, default) in [("provider", provider), ("model", model), ("reason", reason)] {
        let pointer = format!("/spec/variables/{field}");
        let name = draft.value(&pointer).and_then(Value::as_str).map_or(default, str::to_owned);
        if let Some(other) = seen.insert(name.clone(), field) {
            let message = format!("`{name}` is what the {other} is written to");
            let pointer = if has(draft, &pointer) { pointer } else { format!("/spec/variables/{other}") };
            wrong(draft, &pointer, &message, Some("each needs a variable of its own"));
        }
    }
}

/// Where the server runs is said once.
fn place(draft: &mut Draft<'_>) {
    if has(draft, "/spec/ollama/container") && has(draft, "/spec/ollama/run") {
        let help = "`container` names one that is declared elsewhere, `run` makes one; remove one of the two";
        misplaced(draft, "/spec/ollama/run", "and `spec.ollama.container` exclude each other", Some(help));
    }
    if let Some(volume) = draft.value("/spec/ollama/run/volume").and_then(Value::as_str)
        && (volume.is_empty() || volume.contains(['/', ':']))
    {
        wrong(draft, "/spec/ollama/run/volume", "expected the name of a volume", Some("no path, and no `:`"));
    }
}

fn stall(draft: &mut Draft<'_>) {
    let pointer = "/spec/ollama/stallAfter";
    let after = draft.value(pointer).and_then(Value::as_str).and_then(|text| text.parse::<Duration>().ok());
    if after.is_some_and(|after| after < SHORTEST_STALL) {
        let message = format!("a pull is silent for a moment now and then; expected at least {SHORTEST_STALL}");
        wrong(draft, pointer, &message, None);
    }
}
