//! Asks the model that answers: one question, one answer, the same for every provider.
//!
//! Goes in: what is to be said, the shape that the answer must have, and how the model
//! is reached. Comes out: the answer's text, or a sentence that says why there is none.
//! What never happens here: anything that a model says is done, and nothing of a key is
//! ever repeated, whatever a server says about it.

mod anthropic;
pub mod background;
mod ollama;
mod openai;
pub mod proposal;
pub mod spend;
#[cfg(test)]
pub(crate) mod tests;
mod words;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    alerts::address::HttpAddress,
    deliver::{
        self,
        http::{Said, Target, ask},
    },
    manifest::model_provider::Provider,
    secret::Secret,
    view::Answering,
};
use spend::{DailyTokens, Spend};

/// A model of somebody else's thinks quickly, or not at all.
const REMOTE: Duration = Duration::from_mins(1);
/// One on this machine may have to be loaded from its disk first.
const LOCAL: Duration = Duration::from_mins(3);
/// How often a question is put again.
const RETRIES: u32 = 2;
/// The pause before it is, unless the server wants another one. It doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// A server that wants to be left alone for longer than this is not waited for by somebody who sits before a page.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The answer is a sentence or a statement, not a book.
const LONGEST_ANSWER: usize = 1 << 20;
/// Tokens of an answer. Some models think aloud before they begin, and that counts.
pub const MAX_TOKENS: u32 = 4096;

/// What a model is asked, whichever it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What it is there for.
    pub system: String,
    /// What was said, oldest first. The last one is a person's.
    pub messages: Vec<Message>,
    /// The name of the answer's shape: letters, digits, `_`.
    pub name: &'static str,
    /// The JSON schema of the answer: an object, all of whose properties are required.
    pub schema: Value,
    /// The longest answer.
    pub max_tokens: u32,
}

impl Request {
    /// What was said, as every provider has it.
    fn said(&self) -> impl Iterator<Item = Value> {
        self.messages.iter().map(|message| {
            let role = match message.by {
                By::Person => "user",
                By::Model => "assistant",
            };
            json!({"role": role, "content": message.text})
        })
    }

    /// The same after our instructions, where these are a message as well.
    fn said_with_system(&self) -> Vec<Value> {
        std::iter::once(json!({"role": "system", "content": self.system})).chain(self.said()).collect()
    }
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// By whom.
    pub by: By,
    /// What.
    pub text: String,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The person.
    Person,
    /// The model.
    Model,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the question.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// JSON, if the model did what it was asked to.
    pub text: String,
    /// What it took.
    pub tokens: Tokens,
}

/// Why there is no answer, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not clear whom to ask.
    #[error("{0}")]
    Unready(String),
    /// It may not be asked.
    #[error("{0}")]
    Spent(String),
    /// Nobody answers there.
    #[error("it cannot be reached: {0}")]
    Silent(String),
    /// It takes too long.
    #[error("it has not answered for {} s", .0.as_secs_f32().ceil())]
    Late(Duration),
    /// The server says no.
    #[error("its server says no ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's words, without what looks like a key.
        message: String,
    },
    /// The account is empty.
    #[error("the account at the provider has nothing left: {0}")]
    Quota(String),
    /// The server has too much to do.
    #[error("its server has too much to do ({status}), and wants to be asked again in {} s", after.as_secs())]
    Busy {
        /// The HTTP status.
        status: u16,
        /// When to ask again.
        after: Duration,
    },
    /// The model says no.
    #[error("it does not want to answer that")]
    Declined,
    /// The answer has no end.
    #[error("its answer was cut off")]
    CutOff,
    /// The answer is none.
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

/// Those who ask models, within what may be spent.
#[derive(Clone)]
pub struct Models {
    spend: Arc<dyn Spend>,
    patience: Option<Duration>,
}

impl Default for Models {
    fn default() -> Self {
        Self::new(Arc::new(DailyTokens::default()))
    }
}

/// What came back for one try: what it took, and the text or why there is none.
type Read = (Tokens, Result<String, Error>);

impl Models {
    /// Within this limit.
    pub fn new(spend: Arc<dyn Spend>) -> Self {
        Self { spend, patience: None }
    }

    /// With another limit of time than the usual one.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Asks, and asks again where that helps. Whoever drops this hangs up.
    pub async fn ask(&self, actor: &str, answering: &Answering, request: &Request) -> Result<Reply, Error> {
        self.spend.may(actor, answering).await.map_err(Error::Spent)?;
        let patience = self.patience.unwrap_or(if answering.provider == Provider::Ollama { LOCAL } else { REMOTE });
        let asked = tokio::time::timeout(patience, converse(answering, request)).await;
        let (tokens, answer) = asked.unwrap_or((Tokens::default(), Err(Error::Late(patience))));
        if tokens != Tokens::default() {
            self.spend.spent(actor, answering, tokens).await;
        }
        answer.map(|text| Reply { text, tokens })
    }
}

/// One question, with the tries that it takes.
async fn converse(answering: &Answering, request: &Request) -> Read {
    let mut way = Way::Format;
    let mut tries = 0;
    loop {
        let (target, body) = match question(answering, request, way) {
            Ok(question) => question,
            Err(error) => return (Tokens::default(), Err(error)),
        };
        let (why, pause) = match ask(&target, &body, LONGEST_ANSWER).await {
            Ok(said) if (200..300).contains(&said.status) => return read(answering.provider, &said.body),
            Ok(said) if way == Way::Format && is_about_the_format(answering.provider, &said) => {
                way = Way::Tool;
                continue;
            }
            Ok(said) => {
                let error = refusal(answering, &said);
                let may_help = matches!(said.status, 408 | 409 | 429 | 500..) && !matches!(error, Error::Quota(_));
                (error, may_help.then_some(said.retry_after))
            }
            Err(error @ (deliver::Error::Silent { .. } | deliver::Error::Late)) => {
                (Error::Silent(words::clean(&error.to_string(), answering.key.as_ref())), Some(None))
            }
            Err(error) => return (Tokens::default(), Err(Error::Unreadable(error.to_string()))),
        };
        let Some(wanted) = pause.filter(|_| tries < RETRIES) else { return (Tokens::default(), Err(why)) };
        let pause = wanted.unwrap_or(PAUSE * 2_u32.pow(tries));
        if let (true, Error::Refused { status, .. }) = (pause > LONGEST_PAUSE, &why) {
            return (Tokens::default(), Err(Error::Busy { status: *status, after: pause }));
        }
        tries += 1;
        tokio::time::sleep(pause).await;
    }
}

/// How the shape of the answer is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As the provider has it now.
    Format,
    /// As the answer of a tool that must be called: older models of Anthropic know no other way.
    Tool,
}

/// Whether a server refuses only the way in which the answer's shape was asked for.
fn is_about_the_format(provider: Provider, said: &Said) -> bool {
    provider == Provider::Anthropic && said.status == 400 && {
        let text = String::from_utf8_lossy(&said.body).to_lowercase();
        ["output_config", "output_format", "output format", "structured output"].iter().any(|word| text.contains(word))
    }
}

/// Where to ask, and what.
fn question(answering: &Answering, request: &Request, way: Way) -> Result<(Target, Value), Error> {
    let Answering { provider, model, reason: _, url, key } = answering;
    let (usual, end, body) = match provider {
        Provider::Openai => ("https://api.openai.com/v1", "/chat/completions", openai::body(model, request)),
        Provider::Anthropic => ("https://api.anthropic.com", "/v1/messages", anthropic::body(model, request, way == Way::Tool)),
        Provider::Ollama => ("http://localhost:11434", "/api/chat", ollama::body(model, request)),
    };
    let url = url.as_ref().map_or(usual, Secret::expose);
    let address: Result<HttpAddress, _> = url.parse();
    let mut address = address.map_err(|_| Error::Unready(format!("the URL of {} cannot be used", provider.as_str())))?;
    let base = address.path.trim_end_matches('/');
    // Some write the version into the address of Anthropic, and some do not.
    let base = if *provider == Provider::Anthropic { base.trim_end_matches("/v1") } else { base };
    address.path = format!("{base}{end}");
    let mut headers = Vec::new();
    match (provider, key) {
        (Provider::Ollama, _) => {}
        (_, None) => return Err(Error::Unready(format!("{} is not set", provider.variable()))),
        (Provider::Openai, Some(key)) => {
            headers.push(("authorization".to_owned(), Secret::new(format!("Bearer {}", key.expose()))));
        }
        (Provider::Anthropic, Some(key)) => {
            headers.push(("x-api-key".to_owned(), key.clone()));
            headers.push(("anthropic-version".to_owned(), Secret::new(anthropic::VERSION.to_owned())));
        }
    }
    Ok((Target { address, headers }, body))
}

fn read(provider: Provider, body: &[u8]) -> Read {
    let envelope: Value = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(_) => return (Tokens::default(), Err(Error::Unreadable(format!("it is not one of {}", provider.as_str())))),
    };
    let (tokens, answer) = match provider {
        Provider::Openai => openai::read(&envelope),
        Provider::Anthropic => anthropic::read(&envelope),
        Provider::Ollama => ollama::read(&envelope),
    };
    (
        tokens,
        answer.and_then(|text| if text.trim().is_empty() { Err(Error::Unreadable("it is empty".to_owned())) } else { Ok(text) }),
    )
}

/// What a refusal says.
fn refusal(answering: &Answering, said: &Said) -> Error {
    let envelope: Option<Value> = serde_json::from_slice(&said.body).ok();
    let text = |pointer: &str| envelope.as_ref().and_then(|envelope| envelope.pointer(pointer)).and_then(Value::as_str);
    let words = text("/error/message").or_else(|| text("/error")).unwrap_or("it gives no reason");
    let message = words::clean(words, answering.key.as_ref());
    let is = |code: &str| text("/error/code") == Some(code) || text("/error/type") == Some(code);
    if is("insufficient_quota") || is("billing_error") || said.status == 402 {
        return Error::Quota(message);
    }
    Error::Refused { status: said.status, message }
}

/// The JSON object that an answer should be. Only a fence around it is forgiven.
pub fn object(text: &str) -> Result<Value, Error> {
    let text = text.trim();
    let inside = text.strip_prefix("```json").or_else(|| text.strip_prefix("```")).and_then(|text| text.strip_suffix("```"));
    let text = inside.unwrap_or(text).trim();
    let prose = || Error::Unreadable("it should be JSON and is not".to_owned());
    let value: Value = serde_json::from_str(text).map_err(|_| prose())?;
    if value.is_object() { Ok(value) } else { Err(prose()) }
}

/// The number at a place of an envelope, zero where there is none.
fn number(envelope: &Value, pointer: &str) -> u64 {
    envelope.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
