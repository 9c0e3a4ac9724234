//! What somebody wants, as a value, and the grammar that reads it off plain words.
//!
//! Goes in: what was said, what things are called here, and what time it is. Comes out: an [`Intent`], a question, or
//! that we do not know; then a model may be asked, whose answer is read into the same type and has to pass [`vet`].
//! What never happens here: anything at all. No I/O, no clock, and an `Intent` does nothing by itself.
//!
//! The grammar is lenient with what only looks and strict with what acts. A question is recognised by what it speaks
//! of. A command is one sentence in which *every* word is accounted for, beginning with the word that acts: a negation,
//! a condition, something quoted or pasted is therefore none. A misspelt name is good enough to look at something; before
//! acting on it we ask.

mod act;
mod hold;
mod lexicon;
mod objects;
mod phrases;
mod print;
mod read;
#[cfg(test)]
mod tests;
mod time;
mod topics;
mod used;
mod variable;
mod vet;
mod vocabulary;
mod words;

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::{
    vet::vet,
    vocabulary::{Service, Vocabulary},
};
use crate::{manifest::quantity::Duration, secret::Secret};

/// So many lines of a log make a page.
pub const DEFAULT_LINES: u32 = 100;
/// More lines than anybody reads in a chat.
pub const MAX_LINES: u32 = 5_000;

/// How much can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Nothing changes: done at once.
    Read,
    /// Something changes and can be changed back: done when confirmed.
    Write,
    /// Something may be lost or gone: off unless permitted, and then confirmed twice.
    Destructive,
}

/// What somebody wants.
///
/// Prints as a sentence that is read as the same intent; that of an [`Intent::EnvSet`] holds the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "intent", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Intent {
    /// What can be asked.
    Help,
    /// Nothing of what was about to be done.
    Cancel,
    /// Yes. Only a person says that: it cannot be read from what a model proposes.
    #[serde(skip_deserializing)]
    Confirm,
    /// How everything is.
    Status,
    /// Which services there are.
    Services,
    /// How these services are: whether they run, since when, how often they were restarted.
    Health {
        /// The names of the services.
        services: Vec<String>,
    },
    /// What is used of the machine, by one service or by all.
    Metrics {
        /// Of what.
        #[serde(default)]
        which: Gauge,
        /// By which service; by the whole host, if none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// The last lines that a service wrote.
    Logs {
        /// The service's name.
        service: String,
        /// At most so many lines.
        #[serde(default = "default_lines")]
        #[schemars(range(min = 1, max = 5000))]
        lines: u32,
        /// Only lines with this text in them, in capitals or not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contains: Option<String>,
        /// Not older than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        since: Option<Timestamp>,
    },
    /// What was done, from the audit log.
    Audit(AuditOf),
    /// What happened, from the events.
    Events {
        /// To this service only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// Not older than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        since: Option<Timestamp>,
        /// Not younger than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        until: Option<Timestamp>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// Why something was done to a service, or why it is as it is.
    Why {
        /// The service's name.
        service: String,
    },
    /// What would be done now.
    Plan {
        /// To this service only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// Which secrets there are and how old they are. Never their values.
    Secrets,
    /// Which model answers.
    Model,
    /// Which addresses lead where.
    Routes,
    /// Restart these services.
    Restart {
        /// The names of the services.
        services: Vec<String>,
    },
    /// Leave something alone for a while.
    Hold {
        /// What.
        what: Held,
        /// For how long.
        end: End,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Do not leave it alone any longer.
    Release {
        /// What.
        what: Held,
    },
    /// What a variable is set to, as far as that may be shown.
    EnvShow {
        /// The variable's name.
        key: String,
    },
    /// Set a variable.
    EnvSet {
        /// The variable's name.
        key: String,
        /// To what.
        value: Value,
        /// In which file; where it stands already, if none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// Remove a variable.
    EnvUnset {
        /// The variable's name.
        key: String,
    },
    /// Start these services.
    Start {
        /// The names of the services.
        services: Vec<String>,
    },
    /// Stop a service and leave it stopped.
    Stop {
        /// The service's name.
        service: String,
    },
    /// A question for the database, in words or SQL. Whatever becomes of it, it is only ever run read-only.
    Database {
        /// As it was asked.
        question: String,
    },
    /// Something that changes what is in the database, in words or SQL.
    DatabaseChange {
        /// As it was said.
        request: String,
    },
}

/// Which entries of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditOf {
    /// Not older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// Not younger than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
    /// By this actor: `reconciler`, `cli:root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of this operation: `RestartContainer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// On this service, or whatever else was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// With this outcome: `done`, `already-so`, `failed`, `unknown` or `open`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// At most so many, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What of the machine is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gauge {
    /// Everything that is measured.
    #[default]
    All,
    /// Its processors.
    Cpu,
    /// Its memory.
    Memory,
    /// Its disks.
    Disk,
}

/// What is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// Everything.
    All,
    /// These services.
    Services(Vec<String>),
}

/// For how long. A duration begins when it is confirmed, not when it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// For so long.
    For(Duration),
    /// Until then.
    Until(#[schemars(with = "String", extend("format" = "date-time"))] Timestamp),
}

/// What a variable is to be set to. It may be a secret, so that `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct Value(Secret);

impl Value {
    /// Takes over the value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Secret::new(value))
    }

    /// The value, for whoever writes it to its file or shows it to whoever said it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Value {}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for Value {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

fn default_lines() -> u32 {
    DEFAULT_LINES
}

impl Intent {
    /// How much can go wrong when it is carried out.
    #[must_use]
    pub fn tier(&self) -> Tier {
        match self {
            Self::Help
            | Self::Cancel
            | Self::Confirm
            | Self::Status
            | Self::Services
            | Self::Health { .. }
            | Self::Metrics { .. }
            | Self::Logs { .. }
            | Self::Audit(_)
            | Self::Events { .. }
            | Self::Why { .. }
            | Self::Plan { .. }
            | Self::Secrets
            | Self::Model
            | Self::Routes
            | Self::EnvShow { .. }
            | Self::Database { .. } => Tier::Read,
            Self::Restart { .. }
            | Self::Start { .. }
            | Self::Hold { .. }
            | Self::Release { .. }
            | Self::EnvSet { .. }
            | Self::EnvUnset { .. } => Tier::Write,
            Self::Stop { .. } | Self::DatabaseChange { .. } => Tier::Destructive,
        }
    }

    /// The intent as it may be recorded: without the value that a variable is set to.
    #[must_use]
    pub fn masked(self) -> Self {
        match self {
            Self::EnvSet { key, value: _, file } => Self::EnvSet { key, value: Value::new("(not shown)".to_owned()), file },
            other => other,
        }
    }
}

/// What was made of what somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Understood {
    /// This is wanted.
    Intent(Intent),
    /// It can mean several things, or lacks something, or would act on a name that we only guess.
    Ambiguous {
        /// What to ask.
        question: String,
        /// What may be meant, each of which prints as a sentence that can be said instead.
        candidates: Vec<Intent>,
    },
    /// It is about a service that there is not.
    UnknownService {
        /// What it was called.
        said: String,
        /// The services with the most similar names.
        nearest: Vec<String>,
    },
    /// The grammar does not know it.
    Unknown,
}

impl From<Intent> for Understood {
    fn from(intent: Intent) -> Self {
        Self::Intent(intent)
    }
}

impl fmt::Display for Understood {
    /// In one line, for tests and logs. A value that is to be set is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intent(intent) => intent.clone().masked().fmt(f),
            Self::Ambiguous { question, candidates } => {
                f.write_str(question)?;
                candidates.iter().try_for_each(|candidate| write!(f, " | {}", candidate.clone().masked()))
            }
            Self::UnknownService { said, nearest } if nearest.is_empty() => write!(f, "there is no service {said}"),
            Self::UnknownService { said, nearest } => {
                write!(f, "there is no service {said}; the nearest: {}", nearest.join(", "))
            }
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// How a question begins that is for the database whatever it is.
const ASK: &str = "ask the database:";
/// How a change begins that is for the database whatever it is.
const CHANGE: &str = "change the database:";

/// Understands what was said. Total, and the same for the same arguments.
#[must_use]
pub fn parse(text: &str, vocabulary: &Vocabulary, now: Timestamp) -> Understood {
    let text = text.trim();
    if let Some(intent) = verbatim(text) {
        return intent.into();
    }
    let Some(mut sentences) = words::sentences(text) else { return Understood::Unknown };
    for sentence in &mut sentences {
        lexicon::mend(sentence, vocabulary);
    }
    let ctx = Context { text, vocabulary, now };
    let said = |sentence: &Vec<words::Word>| !phrases::is_politeness(sentence);
    let substance: Vec<_> = sentences.iter().filter(|sentence| said(sentence)).collect();
    match substance.as_slice() {
        [] => Understood::Unknown,
        [sentence] => ctx.sentence(sentence),
        several => ctx.several(several),
    }
}

/// What is taken as it stands: SQL, and what says itself that it is for the database.
fn verbatim(text: &str) -> Option<Intent> {
    let after = |prefix: &str| {
        let rest =
            text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| text[prefix.len()..].trim());
        rest.filter(|rest| !rest.is_empty()).map(str::to_owned)
    };
    if let Some(question) = after(ASK) {
        return Some(Intent::Database { question });
    }
    if let Some(request) = after(CHANGE) {
        return Some(Intent::DatabaseChange { request });
    }
    let mut words = text.split_whitespace().map(str::to_lowercase);
    let (first, second) = (words.next()?, words.next()?);
    let (third, fourth) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_object = |word: &str| {
        ["table", "schema", "database", "index", "view", "role", "user", "function", "type", "sequence", "extension", "trigger"]
            .contains(&word)
    };
    let question = || Some(Intent::Database { question: text.to_owned() });
    let request = || Some(Intent::DatabaseChange { request: text.to_owned() });
    match first.as_str() {
        "select"
            if third == "from" || second.contains(['*', '(', ',', '\'']) || text.contains(" from ") || text.contains("FROM ") =>
        {
            question()
        }
        "with" if third == "as" || second == "recursive" => question(),
        "explain" if second == "select" || second == "analyze" => question(),
        // As `psql` asks what there is.
        "\\d" | "\\d+" | "\\dt" => question(),
        "insert" if second == "into" => request(),
        "delete" if second == "from" => request(),
        "update" if is_update(text) => request(),
        "truncate" => request(),
        "drop" | "alter" | "create" if is_object(&second) && !third.is_empty() => request(),
        "grant" | "revoke" if [&third, &fourth].iter().any(|word| *word == "on" || *word == "to") => request(),
        _ => None,
    }
}

/// Whether it is `UPDATE ONLY orders AS o SET … = …`, or a part of that.
pub(super) fn is_update(text: &str) -> bool {
    let low = text.to_lowercase();
    let mut words = low.split_whitespace().skip(1).skip_while(|word| *word == "only").skip(1);
    let is_set = match words.next() {
        Some("as") => words.nth(1) == Some("set"),
        Some("set") => true,
        // No alias is called so.
        Some("and" | "to" | "in" | "for" | "then") | None => false,
        Some(_) => words.next() == Some("set"),
    };
    is_set && low.contains('=')
}

/// What a sentence is understood by.
struct Context<'a> {
    text: &'a str,
    vocabulary: &'a Vocabulary,
    now: Timestamp,
}

impl Context<'_> {
    fn sentence(&self, words: &[words::Word]) -> Understood {
        self.act(words).unwrap_or_else(|| self.read(words))
    }

    /// Several sentences are a story, in which nothing is a command. Asked may be in it: once, or the same again.
    fn several(&self, sentences: &[&Vec<words::Word>]) -> Understood {
        let mut understood = Vec::new();
        for sentence in sentences {
            match self.sentence(sentence) {
                Understood::Intent(intent) if intent.tier() > Tier::Read => return Understood::Unknown,
                Understood::Intent(intent) if !understood.contains(&intent) => understood.push(intent),
                Understood::Intent(_) => {}
                // What a sentence more says may be what the answer depends on.
                Understood::Ambiguous { .. } | Understood::UnknownService { .. } | Understood::Unknown => {
                    return Understood::Unknown;
                }
            }
        }
        match (understood.pop(), understood.pop()) {
            // "Restart it. Yes." answers nothing that was asked.
            (Some(Intent::Confirm), None) if sentences.iter().any(|words| self.act(words).is_none()) => Understood::Unknown,
            (Some(intent), None) => intent.into(),
            _ => Understood::Unknown,
        }
    }
}
