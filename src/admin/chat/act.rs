//! Sentences that change something: shown, asked about, and done at the desk once they are confirmed.

use super::{Part, Talk, key};
use crate::{
    admin::{
        confirm::AnsweredBy,
        desk::{Confirmed, HoldEnd, NotDone, Proposal, Wish},
        intent::{End, Held, Value},
    },
    manifest::hold::Target,
    secret::Secret,
};

/// What stands in a hold whose reason nobody has given.
const NO_REASON: &str = "asked for in the chat";

impl Talk<'_> {
    /// One wish for one of these services.
    pub(super) async fn propose_one(&self, verb: &str, services: &[String], wish: impl Fn(crate::manifest::Key) -> Wish) {
        match services {
            [service] => self.propose(wish(key(service))).await,
            several => {
                self.answer.text("One at a time, each with a yes of its own.");
                self.answer.instead(several.iter().map(|service| format!("{verb} {service}")));
            }
        }
    }

    pub(super) async fn hold(&self, what: Held, end: End, reason: Option<String>) {
        let targets = match what {
            Held::All => vec![Target::All],
            Held::Services(services) => services.iter().map(|service| Target::Object(key(service))).collect(),
        };
        let end = match end {
            End::For(duration) => match jiff::SignedDuration::try_from(duration.0) {
                Ok(duration) => HoldEnd::After(duration),
                Err(error) => return self.answer.text(error.to_string()),
            },
            End::Until(at) => HoldEnd::At(at),
        };
        let reason = reason.filter(|reason| !reason.trim().is_empty()).unwrap_or_else(|| NO_REASON.to_owned());
        self.propose(Wish::Hold { targets, end, reason }).await;
    }

    pub(super) async fn release(&self, what: Held) {
        match what {
            Held::Services(services) => self.propose_one("release", &services, Wish::Release).await,
            Held::All => {
                self.answer
                    .text("One at a time: `release redis`. `mooring release hold/all` on the host ends a hold on everything.");
            }
        }
    }

    pub(super) fn show_variable(&self, name: &str) {
        let views = self.operator.variable_views(name);
        let rows = views.into_iter().map(|view| {
            let users: Vec<String> = view.users.iter().map(|user| user.name.clone()).collect();
            vec![view.environment, view.file.unwrap_or_else(|| "(computed)".to_owned()), view.shown, users.join(", ")]
        });
        let empty = format!("No Environment has {name}.");
        self.answer.table(&empty, &["Environment", "File", "Value, or its fingerprint", "Taken by"], rows.collect());
    }

    pub(super) async fn set_variable(&self, name: String, value: Option<&Value>, file: Option<String>) {
        // What stands in the place of a secret is none: a model was told no more, and a line on a page says no more.
        if value.is_some_and(|value| ["***", "(not shown)"].contains(&value.expose())) {
            self.answer.text(format!("I am told no secrets by others: say it yourself, as in `set {name} to …`."));
            return;
        }
        let value = value.map(|value| Secret::new(value.expose().to_owned()));
        self.propose(Wish::Variable { name, value, file }).await;
    }

    pub(super) async fn propose(&self, wish: Wish) {
        match self.desk.propose(self.speaker, wish).await {
            Ok(proposal) => self.show(proposal),
            Err(error) => self.answer.text(format!("Not done: {error}.")),
        }
    }

    /// Something that changes rows of the database.
    pub(super) async fn propose_rows(&self, sql: &str) {
        match self.desk.propose_rows(self.speaker, sql, &self.answer.1).await {
            Ok(proposal) => self.show(proposal),
            Err(error) => {
                self.answer.code("sql", sql);
                self.answer.text(format!("Not done: {error}."));
            }
        }
    }

    /// Shows what would be done, and asks.
    fn show(&self, proposal: Proposal) {
        if let Some(sql) = proposal.sql {
            self.answer.code("sql", sql);
        }
        if let Some(diff) = proposal.diff {
            self.answer.code("diff", diff);
        }
        if !proposal.sample.rows.is_empty() {
            self.answer.text("Some of the rows that it concerns, as they are:");
            let head: Vec<&str> = proposal.sample.columns.iter().map(String::as_str).collect();
            self.answer.table("", &head, proposal.sample.rows);
        }
        let how = match &proposal.name {
            Some(name) => {
                format!("This may lose something. To confirm it a second time, type `{name}` within two minutes, or `cancel`.")
            }
            None => "Say `yes` within two minutes, or `cancel`.".to_owned(),
        };
        self.answer.text(proposal.what);
        proposal.details.into_iter().for_each(|line| self.answer.text(line));
        self.answer.text(how);
        self.answer.part(Part::Question { id: proposal.id, name: proposal.name });
    }

    /// A yes, or the name that is asked for; to the question that stands.
    pub(super) async fn confirm(&self, typed: Option<&str>) {
        match self.desk.standing(self.speaker) {
            Some((id, _)) => self.confirm_one(&id, typed).await,
            None => self.answer.text("Nothing waits for a yes."),
        }
    }

    /// The same to the question of this id.
    pub(super) async fn confirm_one(&self, id: &str, typed: Option<&str>) {
        match self.desk.confirm(self.speaker, id, typed).await {
            Ok(Confirmed::Done(done)) => {
                self.answer.text(format!("Confirmed: {}. Outcome: {}. It stands in the audit log.", done.words, done.outcome));
            }
            Ok(Confirmed::Again(proposal)) => self.show(*proposal),
            Err(NotDone { why, stands: true, .. }) => {
                self.answer.text(format!("Not done yet: {why}."));
                if let Some((id, AnsweredBy::Name(name))) = self.desk.standing(self.speaker) {
                    self.answer.part(Part::Question { id, name: Some(name) });
                }
            }
            Err(error) => self.answer.text(format!("Not done: {error}.")),
        }
    }

    pub(super) async fn cancel(&self) {
        let was_going = self.going.stop(&self.speaker.session);
        let stood = self.desk.cancel(self.speaker).await;
        self.answer.text(match (stood, was_going) {
            (true, _) => "Cancelled: nothing is done.",
            (false, true) => "What was going on is stopped.",
            (false, false) => "Nothing waits for an answer.",
        });
    }
}
