//! Anthropic's messages.

use serde_json::{Value, json};

use super::{Error, Read, Request, Tokens, number};

/// The version of the API that is spoken here. It takes no sampling parameters, not even their defaults.
pub(super) const VERSION: &str = "2026-10-21";

pub(super) fn body(model: &str, request: &Request, by_tool: bool) -> Value {
    let mut body = json!({
        "model": model,
        "max_tokens": request.max_tokens,
        "system": request.system,
        "messages": request.said().collect::<Vec<_>>(),
    });
    if by_tool {
        let tool = json!({"name": request.name, "description": "Takes the answer.", "input_schema": request.schema});
        body["tools"] = json!([tool]);
        body["tool_choice"] = json!({"type": "tool", "name": request.name});
    } else {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": request.schema}});
    }
    body
}

pub(super) fn read(envelope: &Value) -> Read {
    let tokens = Tokens { input: number(envelope, "/usage/input_tokens"), output: number(envelope, "/usage/output_tokens") };
    // Blocks of other types, such as what it thought, are none of our business, and new ones come up.
    let text = |block: &Value| match block["type"].as_str() {
        Some("text") => block["text"].as_str().map(str::to_owned),
        Some("tool_use") => block["input"].is_object().then(|| block["input"].to_string()),
        Some(_) | None => None,
    };
    let answer = match (envelope["stop_reason"].as_str(), envelope["content"].as_array()) {
        (Some("refusal"), _) => Err(Error::Declined),
        (Some("max_tokens" | "model_context_window_exceeded" | "pause_turn"), _) => Err(Error::CutOff),
        (_, Some(blocks)) => Ok(blocks.iter().filter_map(text).collect()),
        (_, None) => Err(Error::Unreadable("there is no content in it".to_owned())),
    };
    (tokens, answer)
}
