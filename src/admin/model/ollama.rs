//! Ollama's chat.

use serde_json::{Value, json};

use super::{Error, Read, Request, Tokens, number};

/// Our instructions, the names of a large schema and the answer fit in; a small model has no room for more.
const CONTEXT: u32 = 8192;
/// A small model that has not come to an end by now does not.
const LONGEST: u32 = 1024;

pub(super) fn body(model: &str, request: &Request) -> Value {
    json!({
        "model": model,
        "messages": request.said_with_system(),
        "stream": false,
        "format": request.schema,
        "options": {"temperature": 0, "seed": 1, "num_ctx": CONTEXT, "num_predict": request.max_tokens.min(LONGEST)},
    })
}

pub(super) fn read(envelope: &Value) -> Read {
    let tokens = Tokens { input: number(envelope, "/prompt_eval_count"), output: number(envelope, "/eval_count") };
    let answer = match (envelope["message"]["content"].as_str(), envelope["done"].as_bool(), envelope["done_reason"].as_str()) {
        // Some models stop in the middle without an end when they begin to repeat themselves.
        (_, _, Some("length")) | (Some(_), Some(false), _) => Err(Error::CutOff),
        (Some(content), ..) => Ok(content.to_owned()),
        (None, ..) => Err(Error::Unreadable("there is no message in it".to_owned())),
    };
    (tokens, answer)
}
