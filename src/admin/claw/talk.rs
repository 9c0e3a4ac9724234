//! Conversations that are kept: what is said to the chat, and what it answers,
//! stand in a thread.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use super::{
    Error, Page, Span,
    host::Last,
    memories, personas,
    shelf::Shelf,
    threads::{self, Message, Thread},
};
use crate::{
    admin::{
        chat::{self, Chat, Part},
        desk::{Desk, Speaker},
    },
    operator::Operator,
};

/// Answers that are worked on at the same time, whoever asked.
const AT_ONCE: usize = 32;
/// What the audit log takes of what is said; the thread has all of it.
const NOTED: usize = 500;
/// What a model is told of the host, in bytes.
const FACTS: usize = 16 * 1024;

/// What keeps conversations, and what they are made of.
#[derive(Clone)]
pub struct Claw {
    /// What is kept.
    pub shelf: Shelf,
    /// Who is asked.
    pub operator: Arc<dyn Operator>,
    /// Where changes are asked for.
    pub desk: Desk,
    /// Who answers to plain words.
    pub chat: Chat,
    room: Arc<Semaphore>,
    pub(super) last: Arc<Last>,
}

/// An answer on its way.
#[derive(Debug)]
pub struct Talking {
    /// Where it stands; nowhere, where nothing can be kept.
    pub thread: Option<Thread>,
    /// What was said, as it is kept.
    pub said: String,
    /// Its parts, as they come.
    pub parts: mpsc::UnboundedReceiver<Part>,
    /// The id of the message, once all of it is kept.
    pub kept: JoinHandle<Result<String, Error>>,
}

/// What is said.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// In which thread; in a new one, without.
    pub thread: Option<&'a str>,
    /// To which persona; to the one that is taken where none is asked for, without.
    pub persona: Option<&'a str>,
    /// In words.
    pub text: &'a str,
}

/// What becomes of a line when what is kept is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unkept {
    /// Who said it relies on its being kept.
    Refuse,
    /// Whoever sits there needs an answer all the same.
    Answer,
}

/// What a model is told before a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How to speak.
    pub persona: Option<String>,
    /// What is known of the host, newest first.
    pub facts: Vec<String>,
}

impl Claw {
    /// One that keeps what is said here.
    pub fn new(shelf: Shelf, operator: Arc<dyn Operator>, desk: Desk, chat: Chat) -> Self {
        Self { shelf, operator, desk, chat, room: Arc::new(Semaphore::new(AT_ONCE)), last: Arc::default() }
    }

    fn now(&self) -> Timestamp {
        self.operator.now()
    }

    /// Says something in a thread of the speaker's, or in a new one. The answer is worked on, and kept, even if nobody waits for it.
    pub async fn say(&self, speaker: &Speaker, line: Line<'_>) -> Result<Talking, Error> {
        self.line(speaker, line, Unkept::Refuse).await
    }

    /// The same for a person, who is answered even where nothing can be kept.
    pub async fn say_anyway(&self, speaker: &Speaker, line: Line<'_>) -> Result<Talking, Error> {
        self.line(speaker, line, Unkept::Answer).await
    }

    async fn line(&self, speaker: &Speaker, line: Line<'_>, unkept: Unkept) -> Result<Talking, Error> {
        let Line { thread, persona, text } = line;
        let text = super::text("message", text, chat::LONGEST)?;
        if let Some(id) = persona {
            match personas::chosen(&self.shelf, Some(id)).await {
                Err(Error::Away) if unkept == Unkept::Answer => {}
                chosen => drop(chosen?),
            }
        }
        let recorded = self.chat.recorded(&text);
        self.talk(speaker, (thread, unkept), recorded, || self.chat.say_to(speaker, persona, &text)).await
    }

    /// Answers a question by its id, with a yes or with the name that it asks for. It is a person's, who is answered anyway.
    pub async fn confirm(&self, speaker: &Speaker, thread: Option<&str>, (id, typed): (&str, &str)) -> Result<Talking, Error> {
        let typed = super::text("message", typed, chat::LONGEST)?;
        let recorded = self.operator.mask().said(&typed);
        self.talk(speaker, (thread, Unkept::Answer), recorded, || self.chat.confirm(speaker, id, Some(&typed))).await
    }

    async fn talk(
        &self,
        speaker: &Speaker,
        (thread, unkept): (Option<&str>, Unkept),
        recorded: String,
        answer: impl FnOnce() -> mpsc::UnboundedReceiver<Part>,
    ) -> Result<Talking, Error> {
        let permit = Arc::clone(&self.room).try_acquire_owned().map_err(|_| Error::Busy)?;
        let found = match thread {
            Some(id) => threads::one(&self.shelf, &speaker.actor, id).await,
            None => threads::begin(&self.shelf, &speaker.actor, &recorded, self.now()).await,
        };
        let thread = match found {
            Err(Error::Away) if unkept == Unkept::Answer => None,
            found => Some(found?),
        };
        let words = format!("say: {}", recorded.chars().take(NOTED).collect::<String>());
        self.operator.note(&speaker.actor, "Say", &words, None).await;
        let mut answer = answer();
        let (sender, parts) = mpsc::unbounded_channel();
        let (claw, id) = (self.clone(), thread.as_ref().map(|thread| thread.id.clone()));
        let said = recorded.clone();
        let kept = tokio::spawn(async move {
            let mut parts = Vec::new();
            while let Some(part) = answer.recv().await {
                if !matches!(part, Part::Progress { .. }) {
                    parts.push(part.clone());
                }
                // Whoever has left finds it in the thread.
                let _ = sender.send(part);
            }
            drop(permit);
            let id = id.ok_or(Error::Away)?;
            threads::add(&claw.shelf, &id, &recorded, &parts, claw.now()).await
        });
        Ok(Talking { thread, said, parts, kept })
    }

    /// The messages of a thread, oldest first, with what was asked and cannot be answered any more told as such.
    pub async fn messages(&self, speaker: &Speaker, id: &str, span: &Span) -> Result<(Thread, Page<Message>), Error> {
        let mut page = threads::read(&self.shelf, &speaker.actor, id, span).await?;
        self.void(speaker, &mut page.messages.items);
        Ok((page.thread, page.messages))
    }

    /// Takes out the questions that stand no more. A restart of Mooring has voided all of them.
    pub fn void(&self, speaker: &Speaker, messages: &mut [Message]) {
        let standing = self.desk.standing(speaker).map(|(id, _)| id);
        for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
            if let Part::Question { id, .. } = part
                && standing.as_ref() != Some(id)
            {
                *part = Part::Text { text: "(This question does not stand any more.)".to_owned() };
            }
        }
    }

    /// What a model is told before a question.
    pub async fn told(&self) -> Result<Told, Error> {
        told(&self.shelf, None).await
    }
}

/// What a model is told before a question to a persona, or to the one that is taken otherwise: how to speak, and the facts that are
/// remembered, as many as it can take.
pub async fn told(shelf: &Shelf, persona: Option<&str>) -> Result<Told, Error> {
    let persona = personas::chosen(shelf, persona).await?.map(|persona| persona.prompt);
    Ok(Told { persona, facts: memories::told(shelf, FACTS).await? })
}
