//! Changes: shown first, done once they are confirmed, and only if everything is
//! still as it was shown.
//!
//! Buttons, the chat and the API all come here. Nothing is changed from here
//! either: what was confirmed is handed to the operator, whose loop acts. Rows of
//! a database are the one thing that is changed by nobody else, and they have
//! their entry in the audit log before they are.

use std::sync::Arc;

use super::{
    confirm::{AnsweredBy, Confirmations, Question, Unanswered},
    database,
    intent::Tier,
    sql::{
        change::{Sample, Trial},
        guard::{self, Change},
        runner::Database,
    },
};
pub use crate::operator::{HoldEnd, Wish};
use crate::{
    crash,
    manifest::Key,
    operator::{Operator, Proposed},
    secret::mask::Mask,
};

/// With `true` in it, what may lose something can be done from here.
pub const DESTRUCTIVE_VARIABLE: &str = "CLAW_ADMIN_ALLOW_DESTRUCTIVE";
/// Variables that open the backend manager itself, or say what can be done from there. Whoever may change them has the files.
const GATES: [&str; 3] = [DESTRUCTIVE_VARIABLE, super::access::PASSWORD_VARIABLE, "PLUGIN_INTERNAL_SECRET"];

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The name of the session, which opens nothing. Questions belong to it.
    pub session: String,
    /// As it stands in the audit log.
    pub actor: String,
}

/// What would be done, and the id of the question whether it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What to answer with.
    pub id: String,
    /// How much can go wrong.
    pub tier: Tier,
    /// What would be done, as a question.
    pub what: String,
    /// What is to be known before.
    pub details: Vec<String>,
    /// The lines of a file that change.
    pub diff: Option<String>,
    /// The statement, in full but for secrets that were said in it.
    pub sql: Option<String>,
    /// Some of the rows that it concerns, as they are.
    pub sample: Sample,
    /// The name that has to be typed; a yes is enough without one.
    pub name: Option<String>,
}

/// What an answer has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// It was done.
    Done(Done),
    /// It has to be confirmed a second time.
    Again(Box<Proposal>),
}

/// What was done, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// To what, where that is one object.
    pub key: Option<Key>,
    /// What.
    pub words: String,
    /// What came of it.
    pub outcome: String,
}

/// It was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotDone {
    /// To what, if that is known.
    pub key: Option<Key>,
    /// Why not, in words.
    pub why: String,
    /// Whether the question still stands.
    pub stands: bool,
}

impl NotDone {
    fn of(question: &Question, why: String) -> Self {
        Self { key: question.object(), why, stands: false }
    }
}

/// Where changes are asked for.
#[derive(Clone)]
pub struct Desk {
    operator: Arc<dyn Operator>,
    confirmations: Arc<Confirmations>,
    /// What the process was told about what may lose something; it counts before what an `Environment` says.
    allow_destructive: Option<bool>,
}

impl Question {
    fn tier(&self) -> Tier {
        match self {
            Self::Wish(Wish::Stop(_), _) | Self::Rows(..) => Tier::Destructive,
            Self::Wish(..) => Tier::Write,
        }
    }

    fn object(&self) -> Option<Key> {
        match self {
            Self::Wish(_, shown) => shown.object.clone(),
            Self::Rows(..) => None,
        }
    }

    /// What is typed where a yes is not enough.
    fn name(&self) -> &str {
        match self {
            Self::Wish(_, shown) => &shown.name,
            Self::Rows(change, ..) => &change.table,
        }
    }

    /// In words, for the record.
    fn words(&self) -> String {
        match self {
            Self::Wish(_, shown) => shown.words.clone(),
            Self::Rows(change, _, mask) => format!("change of the database: {}", mask.apply(change.sql().to_owned())),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Wish(_, shown) => shown.what.clone(),
            Self::Rows(change, trial, _) if trial.rows == 1 => format!("{} 1 row of {}?", sentence(change.verb), change.table),
            Self::Rows(change, trial, _) => format!("{} {} rows of {}?", sentence(change.verb), trial.rows, change.table),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            Self::Wish(_, shown) => shown.details.clone(),
            Self::Rows(change, trial, _) => trial.details(change),
        }
    }
}

/// `INSERT` as a word at the beginning of a sentence.
fn sentence(verb: &str) -> String {
    let mut letters = verb.chars();
    letters.next().into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}

impl Desk {
    /// A desk without any question. `allow_destructive` is what the process was told; otherwise an `Environment` may permit it.
    pub fn new(operator: Arc<dyn Operator>, allow_destructive: Option<bool>) -> Self {
        Self { operator, confirmations: Arc::default(), allow_destructive }
    }

    /// Finds out what would be done, and asks whether it should be, in place of whatever was asked before. An `Err` says why
    /// it cannot be done.
    pub async fn propose(&self, speaker: &Speaker, wish: Wish) -> Result<Proposal, String> {
        // Whatever comes of this: what waited for a yes does not any more.
        self.confirmations.cancel(&speaker.session);
        if let Wish::Variable { name, .. } = &wish
            && GATES.contains(&name.as_str())
        {
            let error = format!("{name} says who may do what here, and is not changed from here; change it in its file");
            self.operator.note(&speaker.actor, "Refuse", &format!("change of {name}"), Some(&error)).await;
            return Err(error);
        }
        if let Wish::Stop(key) = &wish {
            self.permit(speaker, &format!("stop of {}", key.name)).await?;
        }
        let shown = self.operator.propose(&wish).await?;
        Ok(self.ask(speaker, Question::Wish(wish, shown), AnsweredBy::Yes))
    }

    /// The same for a change of rows of the database: what it would come to is tried out and taken back. As long as the question
    /// stands, what the mask has of the statement is not shown: somebody has said it, and nobody says it back to him.
    pub async fn propose_rows(&self, speaker: &Speaker, sql: &str, mask: &Mask) -> Result<Proposal, String> {
        self.confirmations.cancel(&speaker.session);
        self.permit(speaker, &format!("change of the database: {sql}")).await?;
        let change = guard::check_change(sql).map_err(|refusal| refusal.to_string())?;
        let trial = self.database()?.try_change(&change).await.map_err(|error| crate::error_chain(&error))?;
        let words = format!("try and take back a change of {} rows: {}", trial.rows, change.sql());
        self.operator.note(&speaker.actor, "TryChange", &words, None).await;
        Ok(self.ask(speaker, Question::Rows(change, Box::new(trial), mask.clone()), AnsweredBy::Yes))
    }

    /// Answers the question of this id, if it still stands: with a yes, or with the name that it asks for.
    pub async fn confirm(&self, speaker: &Speaker, id: &str, typed: Option<&str>) -> Result<Confirmed, NotDone> {
        let unanswered = |unanswered: Unanswered| NotDone {
            key: None,
            stands: matches!(unanswered, Unanswered::Name(_)),
            why: unanswered.to_string(),
        };
        let (question, answered_by) = self.confirmations.answer(&speaker.session, id, typed).map_err(unanswered)?;
        if question.tier() == Tier::Destructive {
            self.permit(speaker, &question.words()).await.map_err(|why| NotDone::of(&question, why))?;
            if answered_by == AnsweredBy::Yes {
                self.operator.note(&speaker.actor, "Confirm", &format!("confirm once the {}", question.words()), None).await;
                let name = AnsweredBy::Name(question.name().to_owned());
                return Ok(Confirmed::Again(Box::new(self.ask(speaker, question, name))));
            }
        }
        // Whoever has said yes may leave: what has been begun is finished, and on record.
        let (desk, speaker) = (self.clone(), speaker.clone());
        tokio::spawn(async move { desk.carry_out(&speaker, &question).await }).await.unwrap_or_else(|lost| {
            tracing::error!(error = &lost as &dyn std::error::Error, "what was confirmed was cut short");
            let why = "it was cut short; the audit log says how far it came".to_owned();
            Err(NotDone { key: None, why, stands: false })
        })
    }

    /// Does what was confirmed, and writes that down.
    async fn carry_out(&self, speaker: &Speaker, question: &Question) -> Result<Confirmed, NotDone> {
        let words = question.words();
        let outcome = match question {
            Question::Wish(wish, shown) => self.operator.fulfil(wish, shown, &speaker.actor).await,
            Question::Rows(change, trial, _) => self.change_rows(speaker, change, trial).await,
        };
        let error = outcome.as_ref().err().map(String::as_str);
        self.operator.note(&speaker.actor, "Confirm", &format!("confirm the {words}"), error).await;
        match outcome {
            Ok(outcome) => Ok(Confirmed::Done(Done { key: question.object(), words, outcome })),
            Err(why) => Err(NotDone::of(question, why)),
        }
    }

    /// The question that waits for this session's answer, and what answers it.
    #[must_use]
    pub fn standing(&self, speaker: &Speaker) -> Option<(String, AnsweredBy)> {
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

    fn ask(&self, speaker: &Speaker, question: Question, answered_by: AnsweredBy) -> Proposal {
        let diff = match &question {
            Question::Wish(_, Proposed { diff, .. }) => diff.clone(),
            Question::Rows(..) => None,
        };
        let (sql, sample) = match &question {
            Question::Rows(change, trial, mask) => (Some(mask.apply(change.sql().to_owned())), trial.sample.clone()),
            Question::Wish(..) => (None, Sample::default()),
        };
        let name = match &answered_by {
            AnsweredBy::Yes => None,
            AnsweredBy::Name(name) => Some(name.clone()),
        };
        let (tier, what, details) = (question.tier(), question.what(), question.details());
        let id = self.confirmations.ask(&speaker.session, question, answered_by);
        Proposal { id, tier, what, details, diff, sql, sample, name }
    }

    /// Whether what may lose something can be done from here at all.
    #[must_use]
    pub fn allows_destructive(&self) -> bool {
        let says_yes = |value: crate::secret::Secret| value.expose().trim().eq_ignore_ascii_case("true");
        self.allow_destructive.unwrap_or_else(|| self.operator.variable(DESTRUCTIVE_VARIABLE).is_some_and(says_yes))
    }

    async fn permit(&self, speaker: &Speaker, words: &str) -> Result<(), String> {
        if self.allows_destructive() {
            return Ok(());
        }
        let error = format!("that may lose something, and is off until {DESTRUCTIVE_VARIABLE}=true is set");
        self.operator.note(&speaker.actor, "Refuse", words, Some(&error)).await;
        Err(error)
    }

    fn database(&self) -> Result<Database, String> {
        let url = database::url(&*self.operator).ok_or_else(|| database::Refused::None.to_string())?;
        database::open(&url).map_err(|error| crate::error_chain(&error))
    }

    /// No record, no act: the statement stands in the log before it is run.
    async fn change_rows(&self, speaker: &Speaker, change: &Change, trial: &Trial) -> Result<String, String> {
        let database = self.database()?;
        let words = format!("change {} rows of {}: {}", trial.rows, change.table, change.sql());
        let intent = self.operator.intend(&speaker.actor, "ChangeDatabase", &words).await?;
        crash::point("change-after-intent");
        let made = database.change(change, trial).await.map_err(|error| crate::error_chain(&error));
        self.operator.conclude(intent, made.as_ref().err().map(String::as_str)).await;
        made.map(|rows| if rows == 1 { "1 row changed".to_owned() } else { format!("{rows} rows changed") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::fake::Fake,
        secret::{mask::Mask, said},
    };

    #[tokio::test]
    async fn a_secret_in_a_statement_is_not_repeated_when_it_is_shown_a_second_time() {
        let desk = Desk::new(Arc::new(Fake::default()), Some(true));
        let ada = Speaker { session: "ada".to_owned(), actor: "session:ada".to_owned() };
        let sql = "UPDATE users SET password = 'hunter' WHERE id = 5";
        let mask = Mask::default().with(&said::secrets(sql));
        let change = guard::check_change(sql).unwrap();
        let question = Question::Rows(change, Box::default(), mask);
        assert!(question.words().contains("SET password = '***' WHERE id = 5"), "{}", question.words());
        let first = desk.ask(&ada, question, AnsweredBy::Yes);
        let Confirmed::Again(second) = desk.confirm(&ada, &first.id, None).await.unwrap() else { panic!("it asks twice") };
        assert_eq!(second.sql.as_deref(), Some("UPDATE users SET password = '***' WHERE id = 5"));
        assert_eq!(second.sql, first.sql);
    }
}
