//! Changes: shown first, done once they are confirmed, and only if everything is
//! still as it was shown.
//!
//! Buttons, the chat and the API all come here. Nothing is changed from here
//! either: what was confirmed is handed to the operator, whose loop acts.

use std::sync::Arc;

use crate::{
    admin::confirm::{Confirmations, Question},
    manifest::Key,
    operator::Operator,
    view::Restartable,
};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The name of the session, which opens nothing. Questions belong to it.
    pub session: String,
    /// As it stands in the audit log.
    pub actor: String,
}

/// What somebody wants to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To restart the container of this object.
    Restart(Key),
    /// To try again with what was given up, left stopped or left to somebody else.
    Release(Key),
}

/// What would be done, and the id of the question whether it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What to answer with.
    pub id: String,
    /// What would be done, as a question.
    pub what: String,
    /// What is to be known before.
    pub details: Vec<String>,
}

/// What was done, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// To what.
    pub key: Key,
    /// What.
    pub words: String,
}

/// It was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotDone {
    /// To what, if that is known.
    pub key: Option<Key>,
    /// Why not, in words.
    pub why: String,
}

/// Where changes are asked for.
#[derive(Clone)]
pub struct Desk {
    operator: Arc<dyn Operator>,
    confirmations: Arc<Confirmations>,
}

impl Desk {
    /// A desk without any question.
    pub fn new(operator: Arc<dyn Operator>) -> Self {
        Self { operator, confirmations: Arc::default() }
    }

    /// Finds out what would be done, and asks whether it should be, in place of whatever was asked before. An `Err` says why
    /// it cannot be done.
    pub async fn propose(&self, speaker: &Speaker, wish: Wish) -> Result<Proposal, String> {
        // Whatever comes of this: what waited for a yes does not any more.
        self.confirmations.cancel(&speaker.session);
        let (what, details, question) = match wish {
            Wish::Restart(key) => {
                let shown = self.operator.restartable(&key).await?;
                (format!("Restart {}?", shown.name), about(&shown), Question::Restart(key, shown))
            }
            Wish::Release(key) => {
                self.operator.object(&key).ok_or_else(|| format!("there is no {key}"))?;
                let details = "what was given up, left stopped or left to somebody else is taken in hand again";
                (format!("Release {key}?"), vec![details.to_owned()], Question::Release(key))
            }
        };
        Ok(Proposal { id: self.confirmations.ask(&speaker.session, question), what, details })
    }

    /// Does what the question of this id was about, if it still stands.
    pub async fn confirm(&self, speaker: &Speaker, id: &str) -> Result<Done, NotDone> {
        let void = |void: super::confirm::Void| NotDone { key: None, why: void.to_string() };
        let question = self.confirmations.answer(&speaker.session, id).map_err(void)?;
        let actor = &speaker.actor;
        let (key, words, outcome) = match question {
            Question::Restart(key, shown) => {
                let outcome = self.operator.restart(&key, &shown, actor).await;
                (key, format!("confirm the restart of {}", shown.name), outcome)
            }
            Question::Release(key) => {
                let outcome = self.operator.release(&key, actor).await;
                let words = format!("confirm the release of {key}");
                (key, words, outcome)
            }
        };
        self.operator.note(actor, "Confirm", &words, outcome.as_ref().err().map(String::as_str)).await;
        match outcome {
            Ok(()) => Ok(Done { key, words }),
            Err(why) => Err(NotDone { key: Some(key), why }),
        }
    }

    /// The id of the question that waits for this session's answer.
    #[must_use]
    pub fn standing(&self, speaker: &Speaker) -> Option<String> {
        self.confirmations.standing(&speaker.session)
    }

    /// Takes the question back. True if one stood.
    pub async fn cancel(&self, speaker: &Speaker) -> bool {
        let stood = self.confirmations.cancel(&speaker.session);
        if stood {
            self.operator.note(&speaker.actor, "Cancel", "cancel what was asked for", None).await;
        }
        stood
    }
}

/// What is to be known before a container is restarted.
fn about(shown: &Restartable) -> Vec<String> {
    let since = shown.started_at.map_or_else(|| "it runs".to_owned(), |at| format!("it runs since {at:.0}"));
    let id = shown.id.get(..12).unwrap_or(&shown.id);
    let users: Vec<String> = shown.users.iter().map(ToString::to_string).collect();
    let users = (!users.is_empty()).then(|| format!("what depends on it may notice: {}", users.join(", ")));
    let what =
        [format!("container {} ({id}): {since}", shown.name), "it is stopped and started again; its data stays".to_owned()];
    what.into_iter().chain(users).collect()
}
