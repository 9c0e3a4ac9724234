//! What a model is told besides the question: how to speak, what to know, and what was said before.
//!
//! Only what people said or wrote down, and what was made of it. Nothing that was read
//! on their behalf is in it: no line of a log, no row, no event. What somebody else wrote
//! there would otherwise speak to the model in a person's place.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;

use super::{By, Message};
use crate::admin::desk::Speaker;

/// What somebody is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// How to speak to him.
    pub persona: Option<String>,
    /// What he wants to be known about the host.
    pub facts: Vec<String>,
    /// The last lines, oldest first.
    pub said: Vec<Message>,
}

/// Whoever knows that.
#[async_trait]
pub trait Background: Send + Sync + 'static {
    /// What is known of a speaker, who wants to be spoken to by the persona of this id, or by the one that is taken otherwise.
    async fn of(&self, speaker: &Speaker, persona: Option<&str>) -> Known;

    /// Something was said: by him, or in answer, but never what was read on his behalf.
    async fn said(&self, speaker: &Speaker, message: Message);
}

/// Lines that are remembered of a conversation.
const LINES: usize = 8;
/// What is remembered of a line.
const LONGEST: usize = 500;
/// Conversations that are remembered.
const SESSIONS: usize = 256;

/// The last lines of each conversation, until the next start.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<String, VecDeque<Message>>>);

#[async_trait]
impl Background for Recent {
    async fn of(&self, speaker: &Speaker, _: Option<&str>) -> Known {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = all.get(&speaker.session).map(|lines| lines.iter().cloned().collect()).unwrap_or_default();
        Known { said, ..Known::default() }
    }

    async fn said(&self, speaker: &Speaker, message: Message) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SESSIONS && !all.contains_key(&speaker.session) {
            let any = all.keys().next().cloned();
            any.and_then(|any| all.remove(&any));
        }
        let lines = all.entry(speaker.session.clone()).or_default();
        lines.push_back(Message { text: message.text.chars().take(LONGEST).collect(), by: message.by });
        while lines.len() > LINES {
            lines.pop_front();
        }
    }
}

/// Says whether it was the person, for whoever writes it down.
impl By {
    /// `person` or `you`: the model.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Model => "you",
        }
    }
}
