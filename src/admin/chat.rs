//! The conversation: what is said is understood by the grammar, answered from
//! the same views as everything else, and changes something only after a yes.

mod act;
mod database;
mod going;
mod inside;
mod look;
mod model;
#[cfg(test)]
mod tests;
mod uses;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use self::going::Going;
use super::{
    confirm::AnsweredBy,
    desk::{Desk, Speaker, Wish},
    intent::{Intent, Service, Understood, Vocabulary, parse},
    model::{
        By, Message, Models,
        background::{Background, Recent},
    },
    sql::schema::Schemas,
};
use crate::{
    manifest::{Key, Kind},
    operator::Operator,
    secret::{mask::Mask, said},
    view::ObjectView,
};

/// More is not said in a line.
pub const LONGEST: usize = 4000;

/// A part of an answer. They come in the order in which they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Part {
    /// What is going on meanwhile; of no interest afterwards.
    Progress {
        /// In words.
        text: String,
    },
    /// A sentence.
    Text {
        /// As it is said.
        text: String,
    },
    /// Something that is shown as it is: a statement, the lines of a log.
    Code {
        /// `sql`, `log`, `diff`.
        language: String,
        /// As it is.
        text: String,
    },
    /// A table.
    Table {
        /// The names of the columns.
        head: Vec<String>,
        /// The rows, each as long as the head.
        rows: Vec<Vec<String>>,
    },
    /// Sentences that can be said instead.
    Instead {
        /// Each as it would be said.
        sentences: Vec<String>,
    },
    /// Something waits for a yes, or for a name.
    Question {
        /// What to confirm it by.
        id: String,
        /// The name that has to be typed, where a yes is not enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

/// Takes the parts of an answer, without the secrets that were known when it began. Where nobody listens any more, they are lost.
#[derive(Clone, Debug)]
pub struct Answer(mpsc::UnboundedSender<Part>, Mask);

impl Answer {
    fn part(&self, part: Part) {
        let masked = |text: String| self.1.apply(text);
        // Rows and messages of others may hold what nobody should read over a shoulder.
        let part = match part {
            Part::Text { text } => Part::Text { text: masked(text) },
            Part::Code { language, text } => Part::Code { language, text: masked(text) },
            Part::Table { head, rows } => {
                let rows = rows.into_iter().map(|row| row.into_iter().map(&masked).collect()).collect();
                Part::Table { head, rows }
            }
            other => other,
        };
        // Whoever has left needs no answer; what was done is on record.
        let _ = self.0.send(part);
    }

    fn text(&self, text: impl Into<String>) {
        self.part(Part::Text { text: text.into() });
    }

    fn code(&self, language: &str, text: impl Into<String>) {
        self.part(Part::Code { language: language.to_owned(), text: text.into() });
    }

    /// A table, or what to say where it would be empty.
    fn table(&self, empty: &str, head: &[&str], rows: Vec<Vec<String>>) {
        if rows.is_empty() {
            self.text(empty);
        } else {
            self.part(Part::Table { head: head.iter().map(|&title| title.to_owned()).collect(), rows });
        }
    }

    fn instead(&self, sentences: impl IntoIterator<Item = String>) {
        let sentences: Vec<String> = sentences.into_iter().collect();
        if !sentences.is_empty() {
            self.part(Part::Instead { sentences });
        }
    }
}

/// What a person has said.
enum Said {
    /// In words.
    Line(String),
    /// By a button beside a question.
    Answer {
        /// The question's.
        id: String,
        /// The name that it asks for.
        typed: Option<String>,
    },
}

/// Whoever answers.
#[derive(Clone)]
pub struct Chat {
    operator: Arc<dyn Operator>,
    desk: Desk,
    models: Models,
    background: Arc<dyn Background>,
    schemas: Arc<Schemas>,
    going: Going,
}

/// One line and who said it: what answering it needs.
struct Talk<'a> {
    operator: &'a dyn Operator,
    desk: &'a Desk,
    speaker: &'a Speaker,
    persona: Option<&'a str>,
    models: &'a Models,
    background: &'a dyn Background,
    schemas: &'a Schemas,
    going: &'a Going,
    answer: Answer,
}

impl Chat {
    /// One that answers from this operator, and asks for changes at this desk.
    pub fn new(operator: Arc<dyn Operator>, desk: Desk) -> Self {
        Self {
            operator,
            desk,
            models: Models::default(),
            background: Arc::new(Recent::default()),
            schemas: Arc::default(),
            going: Going::default(),
        }
    }

    /// With other limits for asking models.
    #[must_use]
    pub fn with_models(self, models: Models) -> Self {
        Self { models, ..self }
    }

    /// With another memory of what models are told besides the question.
    #[must_use]
    pub fn with_background(self, background: Arc<dyn Background>) -> Self {
        Self { background, ..self }
    }

    /// What the grammar makes of a line. Nothing comes of it.
    #[must_use]
    pub fn understand(&self, text: &str) -> Understood {
        parse(&visible(text), &vocabulary(&*self.operator), self.operator.now())
    }

    /// A line as it may be kept: without the value that a variable is to be set to, and without what else may be a secret.
    #[must_use]
    pub fn recorded(&self, text: &str) -> String {
        recorded(&visible(text), &self.understand(text), &self.operator.mask())
    }

    /// Understands a line, and answers it. The answer begins at once, and is worked on even if nobody takes its parts.
    #[must_use]
    pub fn say(&self, speaker: &Speaker, text: &str) -> mpsc::UnboundedReceiver<Part> {
        self.say_to(speaker, None, text)
    }

    /// The same, to the persona of this id where a model answers.
    #[must_use]
    pub fn say_to(&self, speaker: &Speaker, persona: Option<&str>, text: &str) -> mpsc::UnboundedReceiver<Part> {
        let text: String = visible(text).trim().chars().take(LONGEST).collect();
        self.talk(speaker, persona, Said::Line(text))
    }

    /// Answers the question of this id with a yes, or with the name that it asks for.
    #[must_use]
    pub fn confirm(&self, speaker: &Speaker, id: &str, typed: Option<&str>) -> mpsc::UnboundedReceiver<Part> {
        self.talk(speaker, None, Said::Answer { id: id.to_owned(), typed: typed.map(str::to_owned) })
    }

    /// Stops answers that are worked on for a session, and what is done for them: a question to the database ends there as well.
    /// What was confirmed is not stopped half-way. False if there was nothing.
    #[must_use]
    pub fn stop(&self, speaker: &Speaker) -> bool {
        self.going.stop(&speaker.session)
    }

    fn talk(&self, speaker: &Speaker, persona: Option<&str>, said: Said) -> mpsc::UnboundedReceiver<Part> {
        let (sender, parts) = mpsc::unbounded_channel();
        let (chat, speaker, persona) = (self.clone(), speaker.clone(), persona.map(str::to_owned));
        tokio::spawn(async move {
            // What was said is not repeated either, in whichever part of an answer.
            let told = match &said {
                Said::Line(text) => said::secrets(text),
                Said::Answer { .. } => Vec::new(),
            };
            let talk = Talk {
                operator: &*chat.operator,
                desk: &chat.desk,
                speaker: &speaker,
                persona: persona.as_deref(),
                models: &chat.models,
                background: &*chat.background,
                schemas: &chat.schemas,
                going: &chat.going,
                answer: Answer(sender, chat.operator.mask().with(&told)),
            };
            match said {
                Said::Line(text) => talk.answer(&text).await,
                Said::Answer { id, typed } => talk.confirm_one(&id, typed.as_deref()).await,
            }
        });
        parts
    }

    /// The whole answer to a line, without what was going on meanwhile.
    pub async fn answer(&self, speaker: &Speaker, text: &str) -> Vec<Part> {
        whole(self.say(speaker, text)).await
    }
}

/// All parts of an answer, without what was going on meanwhile.
pub async fn whole(mut parts: mpsc::UnboundedReceiver<Part>) -> Vec<Part> {
    let mut answer = Vec::new();
    while let Some(part) = parts.recv().await {
        if !matches!(part, Part::Progress { .. }) {
            answer.push(part);
        }
    }
    answer
}

impl Talk<'_> {
    async fn answer(&self, text: &str) {
        let vocabulary = vocabulary(self.operator);
        if let Some((_, AnsweredBy::Name(name))) = self.desk.standing(self.speaker)
            && text == name
        {
            return self.confirm(Some(text)).await;
        }
        match parse(text, &vocabulary, self.operator.now()) {
            Understood::Intent(Intent::Confirm) => self.confirm(None).await,
            Understood::Intent(Intent::Cancel) => self.cancel().await,
            understood => {
                // Whatever else is said, what waited for a yes does not any more.
                self.desk.cancel(self.speaker).await;
                let going = self.going.begin(&self.speaker.session);
                tokio::select! {
                    () = self.make_out(text, understood, &vocabulary) => {}
                    () = going.stopped() => self.answer.text("Stopped."),
                }
            }
        }
    }

    /// Answers what is no answer to a question of ours.
    async fn make_out(&self, text: &str, understood: Understood, vocabulary: &Vocabulary) {
        let understood = match understood {
            Understood::Unknown if database::is_question(text) => {
                Some(Understood::Intent(Intent::Database { question: text.to_owned() }))
            }
            Understood::Unknown if self.is_about_a_table(text).await => {
                Some(Understood::Intent(Intent::Database { question: text.to_owned() }))
            }
            Understood::Unknown => self.ask_model(text, vocabulary).await,
            understood => {
                self.remember(By::Person, recorded(text, &understood, &self.answer.1)).await;
                Some(understood)
            }
        };
        if let Some(understood) = understood {
            self.understood(understood).await;
        }
    }

    /// Keeps a line for whoever is asked what the next one means.
    async fn remember(&self, by: By, text: String) {
        self.background.said(self.speaker, Message { by, text }).await;
    }

    async fn understood(&self, understood: Understood) {
        match understood {
            Understood::Intent(intent) => self.carry_out(intent).await,
            Understood::Ambiguous { question, candidates } => {
                self.answer.text(question);
                let sets = |intent: &Intent| matches!(intent, Intent::EnvSet { .. });
                // A value is not repeated, so that there is nothing to press that would set it.
                for key in
                    candidates.iter().filter_map(|intent| if let Intent::EnvSet { key, .. } = intent { Some(key) } else { None })
                {
                    self.answer.text(format!("Say it again with the value in quotation marks: `set {key} to \"…\"`."));
                }
                self.answer.instead(candidates.into_iter().filter(|intent| !sets(intent)).map(|candidate| candidate.to_string()));
            }
            Understood::UnknownService { said, nearest } => {
                let nearest = if nearest.is_empty() { String::new() } else { format!(" The nearest: {}.", nearest.join(", ")) };
                self.answer.text(format!("There is no service `{said}`.{nearest}"));
            }
            Understood::Unknown => {
                self.answer.text("I do not know what that means; `help` says what I understand.");
            }
        }
    }

    async fn carry_out(&self, intent: Intent) {
        match intent {
            Intent::Help => self.help(),
            Intent::Cancel | Intent::Confirm => self.answer.text("Nothing waits for an answer any more."),
            Intent::Status => self.status(None, &[]),
            Intent::Services => self.status(Some(Kind::Container), &[]),
            Intent::Health { services } => self.health(&services).await,
            Intent::Model => self.model().await,
            Intent::Routes => self.routes().await,
            Intent::Audit(which) => self.audit(which).await,
            Intent::Events { service, since, until, limit } => self.events(service.as_deref(), (since, until), limit).await,
            Intent::Why { service } => self.why(&service).await,
            Intent::Plan { service } => self.plan(service.as_deref()).await,
            Intent::Restart { services } => self.propose_one("restart", &services, Wish::Restart).await,
            Intent::Start { services } => self.propose_one("start", &services, Wish::Start).await,
            Intent::Stop { service } => self.propose(Wish::Stop(key(&service))).await,
            Intent::Hold { what, end, reason } => self.hold(what, end, reason).await,
            Intent::Release { what } => self.release(what).await,
            Intent::EnvShow { key } => self.show_variable(&key),
            Intent::EnvSet { key, value, file } => self.set_variable(key, Some(&value), file).await,
            Intent::EnvUnset { key } => self.set_variable(key, None, None).await,
            Intent::DatabaseChange { request } => self.change(&request).await,
            Intent::Metrics { which, service } => self.metrics(which, service.as_deref()),
            Intent::Logs { service, lines, contains, since } => self.log(&service, lines, contains, since).await,
            Intent::Secrets => self.secrets().await,
            Intent::Database { question } => self.database(&question).await,
        }
    }
}

fn vocabulary(operator: &dyn Operator) -> Vocabulary {
    Vocabulary::new(services(operator.objects(Some(Kind::Container))), operator.variable_names(), [])
}

/// A line without what nobody sees: signs that control a terminal, turn the direction of what follows, or have no width. They
/// come along where something is pasted, and would let a line say something else than it shows.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let shown = |c: char| match c {
        '\n' | '\t' => Some(c),
        // Two words may have been held apart by it.
        '\u{200b}' => Some(' '),
        _ if is_hidden(c) => None,
        _ if c.is_control() => Some(' '),
        _ => Some(c),
    };
    text.chars().filter_map(shown).collect()
}

/// What was said, as it may be kept and told: without the value that a variable is to be set to, known secrets, and what looks like one.
fn recorded(text: &str, understood: &Understood, mask: &Mask) -> String {
    let sets = |intent: &&Intent| matches!(intent, Intent::EnvSet { .. });
    let intent = match understood {
        Understood::Intent(intent) => Some(intent).filter(sets),
        Understood::Ambiguous { candidates, .. } => candidates.iter().find(sets),
        Understood::UnknownService { .. } | Understood::Unknown => None,
    };
    mask.said(&intent.map_or_else(|| text.to_owned(), |intent| intent.clone().masked().to_string()))
}

/// What things are called: by their objects, their containers, their images, and Compose.
fn services(objects: Vec<ObjectView>) -> Vec<Service> {
    let service = |object: ObjectView| {
        let text = |pointer: &str| object.manifest.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned);
        Service {
            container: text("/spec/containerName").or_else(|| text("/spec/selector/name")),
            image: text("/spec/image"),
            compose: text("/spec/selector/labels/com.docker.compose.service"),
            project: text("/spec/selector/labels/com.docker.compose.project"),
            display_name: None,
            name: object.key.name,
        }
    };
    objects.into_iter().map(service).collect()
}

fn key(service: &str) -> Key {
    Key::new(Kind::Container, service)
}
