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

use crate::{
    admin::sql::{change::Trial, guard::Change},
    operator::{Proposed, Wish},
    secret::mask::Mask,
};

/// How long a question stands.
pub const STANDS: Duration = Duration::from_mins(2);

/// What a session may be asked to confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// This wish, which comes to what was shown.
    Wish(Wish, Proposed),
    /// This change of rows, which comes to what was shown, and what of the statement is not.
    Rows(Change, Box<Trial>, Mask),
}

/// What a question is answered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// A yes.
    Yes,
    /// The name of what it is about, typed.
    Name(String),
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
    answered_by: AnsweredBy,
    until: Instant,
}

/// An answer that does nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The question does not stand.
    #[error(
        "that question does not stand any more: it was answered, cancelled, replaced by another one, or is older than two minutes"
    )]
    Void,
    /// The question stands, and waits for something else.
    #[error("to confirm that, type its name: {0}")]
    Name(String),
}

impl Confirmations {
    /// Asks a session something, in place of whatever it was asked before. Returns the question's id.
    pub fn ask(&self, session: &str, question: Question, answered_by: AnsweredBy) -> String {
        let id = hex::encode(rand::random::<[u8; 16]>());
        let standing = Standing { id: id.clone(), question, answered_by, until: Instant::now() + STANDS };
        let mut all = self.lock();
        all.retain(|_, standing| standing.until > Instant::now());
        all.insert(session.to_owned(), standing);
        id
    }

    /// The question of this id and what it was answered by; it stands no more. With another name than the one it asks for,
    /// it goes on standing.
    pub fn answer(&self, session: &str, id: &str, typed: Option<&str>) -> Result<(Question, AnsweredBy), Unanswered> {
        let mut all = self.lock();
        let standing = all.get(session).filter(|standing| standing.id == id && standing.until > Instant::now());
        let standing = standing.ok_or(Unanswered::Void)?;
        if let AnsweredBy::Name(name) = &standing.answered_by
            && typed.map(str::trim) != Some(name)
        {
            return Err(Unanswered::Name(name.clone()));
        }
        all.remove(session).map(|standing| (standing.question, standing.answered_by)).ok_or(Unanswered::Void)
    }

    /// The id of the question that a session has been asked, if one stands, and what answers it.
    #[must_use]
    pub fn standing(&self, session: &str) -> Option<(String, AnsweredBy)> {
        let all = self.lock();
        let standing = all.get(session).filter(|standing| standing.until > Instant::now())?;
        Some((standing.id.clone(), standing.answered_by.clone()))
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
    use crate::manifest::{Key, Kind};

    fn release(name: &str) -> Question {
        let key = Key::new(Kind::Container, name);
        let shown = Proposed {
            what: format!("Release {key}?"),
            words: format!("release of {key}"),
            object: Some(key.clone()),
            name: name.to_owned(),
            details: Vec::new(),
            diff: None,
            digest: String::new(),
        };
        Question::Wish(Wish::Release(key), shown)
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_answered_once_by_whom_it_was_asked_and_in_time() {
        let all = Confirmations::default();
        let id = all.ask("ada", release("web"), AnsweredBy::Yes);
        assert_eq!(all.answer("eve", &id, None), Err(Unanswered::Void));
        assert_eq!(all.answer("ada", "another", None), Err(Unanswered::Void));
        assert_eq!(all.answer("ada", &id, None), Ok((release("web"), AnsweredBy::Yes)));
        assert_eq!(all.answer("ada", &id, None), Err(Unanswered::Void), "once");

        let id = all.ask("ada", release("web"), AnsweredBy::Yes);
        tokio::time::advance(STANDS).await;
        assert_eq!(all.answer("ada", &id, None), Err(Unanswered::Void), "in time");
    }

    #[tokio::test(start_paused = true)]
    async fn another_question_or_a_cancel_voids_the_one_before() {
        let all = Confirmations::default();
        let first = all.ask("ada", release("web"), AnsweredBy::Yes);
        let other = all.ask("bob", release("api"), AnsweredBy::Yes);
        let second = all.ask("ada", release("db"), AnsweredBy::Yes);
        assert_eq!(all.answer("ada", &first, None), Err(Unanswered::Void));
        assert!(all.cancel("ada"));
        assert!(!all.cancel("ada"));
        assert_eq!(all.answer("ada", &second, None), Err(Unanswered::Void));
        assert_eq!(all.answer("bob", &other, None), Ok((release("api"), AnsweredBy::Yes)), "others are not concerned");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_wants_a_name_takes_no_yes_and_no_other_name() {
        let all = Confirmations::default();
        let name = AnsweredBy::Name("redis".to_owned());
        let id = all.ask("ada", release("redis"), name.clone());
        for wrong in [None, Some("yes"), Some("Redis"), Some("redis2"), Some("")] {
            assert_eq!(all.answer("ada", &id, wrong), Err(Unanswered::Name("redis".to_owned())), "{wrong:?}");
        }
        assert_eq!(all.answer("ada", &id, Some(" redis ")), Ok((release("redis"), name)));
    }
}
