//! `OpenAI`'s chat completions, which many others speak as well.

use serde_json::{Value, json};

use super::{Error, Read, Request, Tokens, number};

/// No sampling parameters: models that reason refuse them.
pub(super) fn body(model: &str, request: &Request) -> Value {
    json!({
        "model": model,
        "messages": request.said_with_system(),
        "max_completion_tokens": request.max_tokens,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": request.name, "strict": true, "schema": request.schema},
        },
    })
}

pub(super) fn read(envelope: &Value) -> Read {
    let tokens = Tokens { input: number(envelope, "/usage/prompt_tokens"), output: number(envelope, "/usage/completion_tokens") };
    let text = |pointer: &str| envelope.pointer(pointer).and_then(Value::as_str);
    let refuses = text("/choices/0/message/refusal").is_some_and(|refusal| !refusal.is_empty());
    let answer = match (text("/choices/0/finish_reason"), text("/choices/0/message/content")) {
        _ if refuses => Err(Error::Declined),
        (Some("content_filter"), _) => Err(Error::Declined),
        (Some("length"), _) => Err(Error::CutOff),
        (_, Some(content)) => Ok(content.to_owned()),
        (_, None) => Err(Error::Unreadable("there is no text in it".to_owned())),
    };
    (tokens, answer)
}
