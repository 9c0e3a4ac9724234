//! The conversation: what is said is understood by the grammar, answered from
//! the same views as everything else, and changes something only after a yes.

mod database;
mod look;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{
    desk::{Desk, Speaker, Wish},
    intent::{Held, Intent, Service, Understood, Vocabulary, parse},
};
use crate::{
    manifest::{Key, Kind},
    operator::Operator,
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
    /// Something waits for a yes.
    Question {
        /// What to confirm it by.
        id: String,
    },
}

/// Takes the parts of an answer. Where nobody listens any more, they are lost.
#[derive(Clone, Debug)]
pub struct Answer(mpsc::UnboundedSender<Part>);

impl Answer {
    fn part(&self, part: Part) {
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

/// Whoever answers.
#[derive(Clone)]
pub struct Chat {
    operator: Arc<dyn Operator>,
    desk: Desk,
}

/// One line and who said it: what answering it needs.
struct Talk<'a> {
    operator: &'a dyn Operator,
    desk: &'a Desk,
    speaker: &'a Speaker,
    answer: Answer,
}

impl Chat {
    /// One that answers from this operator, and asks for changes at this desk.
    pub fn new(operator: Arc<dyn Operator>, desk: Desk) -> Self {
        Self { operator, desk }
    }

    /// What the grammar makes of a line. Nothing comes of it.
    #[must_use]
    pub fn understand(&self, text: &str) -> Understood {
        let services = services(self.operator.objects(Some(Kind::Container)));
        parse(text, &Vocabulary::new(services, [], []), self.operator.now())
    }

    /// Understands a line, and answers it. The answer begins at once, and is worked on even if nobody takes its parts.
    #[must_use]
    pub fn say(&self, speaker: &Speaker, text: &str) -> mpsc::UnboundedReceiver<Part> {
        let (sender, parts) = mpsc::unbounded_channel();
        let (chat, speaker) = (self.clone(), speaker.clone());
        let text: String = text.trim().chars().take(LONGEST).collect();
        tokio::spawn(async move {
            let talk = Talk { operator: &*chat.operator, desk: &chat.desk, speaker: &speaker, answer: Answer(sender) };
            talk.answer(&text).await;
        });
        parts
    }

    /// The whole answer to a line, without what was going on meanwhile.
    pub async fn answer(&self, speaker: &Speaker, text: &str) -> Vec<Part> {
        let mut parts = self.say(speaker, text);
        let mut answer = Vec::new();
        while let Some(part) = parts.recv().await {
            if !matches!(part, Part::Progress { .. }) {
                answer.push(part);
            }
        }
        answer
    }
}

impl Talk<'_> {
    async fn answer(&self, text: &str) {
        let services = services(self.operator.objects(Some(Kind::Container)));
        let vocabulary = Vocabulary::new(services, [], []);
        match parse(text, &vocabulary, self.operator.now()) {
            Understood::Intent(Intent::Confirm) => self.confirm().await,
            Understood::Intent(Intent::Cancel) => self.cancel().await,
            understood => {
                // Whatever else is said, what waited for a yes does not any more.
                self.desk.cancel(self.speaker).await;
                self.understood(understood).await;
            }
        }
    }

    async fn understood(&self, understood: Understood) {
        match understood {
            Understood::Intent(intent) => self.carry_out(intent).await,
            Understood::Ambiguous { question, candidates } => {
                self.answer.text(question);
                self.answer.instead(candidates.into_iter().map(|candidate| candidate.masked().to_string()));
            }
            Understood::UnknownService { said, nearest } => {
                let nearest = if nearest.is_empty() { String::new() } else { format!(" The nearest: {}.", nearest.join(", ")) };
                self.answer.text(format!("There is no service `{said}`.{nearest}"));
            }
            Understood::Unknown => {
                self.answer.text("I do not know what that means; `help` says what I understand. A model is not asked yet.");
            }
        }
    }

    async fn carry_out(&self, intent: Intent) {
        let command = intent.clone().masked().to_string();
        match intent {
            Intent::Help => self.help(),
            Intent::Cancel | Intent::Confirm => self.answer.text("Nothing waits for an answer any more."),
            Intent::Status => self.status(None, &[]),
            Intent::Services => self.status(Some(Kind::Container), &[]),
            Intent::Health { services } => self.status(Some(Kind::Container), &services),
            Intent::Model => self.status(Some(Kind::ModelProvider), &[]),
            Intent::Routes => self.routes(),
            Intent::Audit(which) => self.audit(which).await,
            Intent::Events { service, since, until, limit } => self.events(service.as_deref(), (since, until), limit).await,
            Intent::Why { service } => self.why(&service).await,
            Intent::Plan { service } => self.plan(service.as_deref()).await,
            Intent::Restart { services } => match services.as_slice() {
                [service] => self.propose(Wish::Restart(key(service))).await,
                several => {
                    self.answer.text("One at a time, each with a yes of its own.");
                    self.answer.instead(several.iter().map(|service| format!("restart {service}")));
                }
            },
            Intent::Release { what: Held::Services(services) } if services.len() == 1 => {
                self.propose(Wish::Release(key(&services[0]))).await;
            }
            Intent::Release { .. } => self.answer.text("One at a time: `release redis`."),
            Intent::Hold { .. } => self.not_here("mooring hold container/NAME --for 2h --reason '…'"),
            Intent::Metrics { .. } => self.not_here("docker stats"),
            Intent::Logs { service, lines, .. } => self.not_here(&format!("docker logs --tail {lines} {service}")),
            Intent::Secrets => self.not_here("mooring describe environment/NAME"),
            Intent::EnvShow { .. } | Intent::EnvSet { .. } | Intent::EnvUnset { .. } => {
                self.not_here("an editor, on the file of the cascade");
            }
            Intent::Start { services } => {
                let name = services.first().map_or("NAME", String::as_str);
                self.not_here(&format!("mooring release container/{name}"));
            }
            Intent::Stop { .. } | Intent::DatabaseChange { .. } => {
                self.answer.text(format!("`{command}` may lose something, and that cannot be done from here."));
            }
            Intent::Database { question } => self.database(&question).await,
        }
    }

    /// Understood, and not possible from here.
    fn not_here(&self, instead: &str) {
        self.answer.text(format!("I understand that, and cannot do it from here yet. On the host: {instead}"));
    }

    async fn propose(&self, wish: Wish) {
        match self.desk.propose(self.speaker, wish).await {
            Ok(proposal) => {
                self.answer.text(proposal.what);
                for line in proposal.details {
                    self.answer.text(line);
                }
                self.answer.text("Say `yes` within two minutes, or `cancel`.");
                self.answer.part(Part::Question { id: proposal.id });
            }
            Err(error) => self.answer.text(error),
        }
    }

    async fn confirm(&self) {
        let Some(id) = self.desk.standing(self.speaker) else {
            self.answer.text("Nothing waits for a yes.");
            return;
        };
        match self.desk.confirm(self.speaker, &id).await {
            Ok(done) => {
                self.answer.text(format!("Done: {}. It is taken up at once, and stands in the audit log.", done.words));
            }
            Err(error) => self.answer.text(format!("Not done: {error}")),
        }
    }

    async fn cancel(&self) {
        let stood = self.desk.cancel(self.speaker).await;
        self.answer.text(if stood { "Cancelled: nothing is done." } else { "Nothing waits for an answer." });
    }
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
