//! What waits for a person's yes.
//!
//! A confirmation belongs to the session that was asked, to exactly what it was
//! shown, and to the next two minutes. Another question of the same session
//! voids it, and so does a restart of Mooring: none of it is written down.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{manifest::Key, view::Restartable};

/// How long a question stands.
pub const STANDS: Duration = Duration::from_mins(2);

/// What a session may be asked to confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// To restart this container, as it was shown.
    Restart(Key, Restartable),
    /// To try again with what was given up.
    Release(Key),
}

/// The questions that stand, one for each session at most.
#[derive(Debug, Default)]
pub struct Confirmations {
    standing: Mutex<HashMap<String, Standing>>,
}

#[derive(Debug)]
struct Standing {
    id: String,
    question: Question,
    until: Instant,
}

/// An answer to a question that does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "that question does not stand any more: it was answered, cancelled, replaced by another one, or is older than two minutes"
)]
pub struct Void;

impl Confirmations {
    /// Asks a session something, in place of whatever it was asked before. Returns the question's id.
    pub fn ask(&self, session: &str, question: Question) -> String {
        let id = hex::encode(rand::random::<[u8; 16]>());
        let standing = Standing { id: id.clone(), question, until: Instant::now() + STANDS };
        let mut all = self.lock();
        all.retain(|_, standing| standing.until > Instant::now());
        all.insert(session.to_owned(), standing);
        id
    }

    /// The question of this id, which is answered by that: it stands no more.
    pub fn answer(&self, session: &str, id: &str) -> Result<Question, Void> {
        let mut all = self.lock();
        let stands = all.get(session).is_some_and(|standing| standing.id == id && standing.until > Instant::now());
        if !stands {
            return Err(Void);
        }
        all.remove(session).map(|standing| standing.question).ok_or(Void)
    }

    /// The id of the question that a session has been asked, if one stands.
    #[must_use]
    pub fn standing(&self, session: &str) -> Option<String> {
        let all = self.lock();
        all.get(session).filter(|standing| standing.until > Instant::now()).map(|standing| standing.id.clone())
    }

    /// Takes a session's question back. True if one stood.
    pub fn cancel(&self, session: &str) -> bool {
        self.lock().remove(session).is_some_and(|standing| standing.until > Instant::now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Standing>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Kind;

    fn release(name: &str) -> Question {
        Question::Release(Key::new(Kind::Container, name))
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_answered_once_by_whom_it_was_asked_and_in_time() {
        let all = Confirmations::default();
        let id = all.ask("ada", release("web"));
        assert_eq!(all.answer("eve", &id), Err(Void));
        assert_eq!(all.answer("ada", "another"), Err(Void));
        assert_eq!(all.answer("ada", &id), Ok(release("web")));
        assert_eq!(all.answer("ada", &id), Err(Void), "once");

        let id = all.ask("ada", release("web"));
        tokio::time::advance(STANDS).await;
        assert_eq!(all.answer("ada", &id), Err(Void), "in time");
    }

    #[tokio::test(start_paused = true)]
    async fn another_question_or_a_cancel_voids_the_one_before() {
        let all = Confirmations::default();
        let first = all.ask("ada", release("web"));
        let other = all.ask("bob", release("api"));
        let second = all.ask("ada", release("db"));
        assert_eq!(all.answer("ada", &first), Err(Void));
        assert!(all.cancel("ada"));
        assert!(!all.cancel("ada"));
        assert_eq!(all.answer("ada", &second), Err(Void));
        assert_eq!(all.answer("bob", &other), Ok(release("api")), "others are not concerned");
    }
}
