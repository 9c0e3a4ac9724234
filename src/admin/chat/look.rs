//! Answers that change nothing.

use jiff::Timestamp;

use super::{Talk, key};
use crate::{
    admin::{intent::AuditOf, standing::Standing},
    manifest::Kind,
    view::AuditQuery,
};

/// Rows of a table, unless more were asked for.
const ROWS: usize = 20;
/// More rows are never shown in a conversation.
const MOST_ROWS: usize = 500;

/// What can be said, with an example of each.
const HELP: [(&str, &str); 19] = [
    ("how everything is", "status"),
    ("whether something runs", "is redis running?"),
    ("what is used of the host", "how much memory is free?"),
    ("what it has written", "show the logs of redis"),
    ("which secrets there are", "secrets"),
    ("what happened", "events of redis since yesterday"),
    ("what was done", "show the audit log from today"),
    ("why", "why was redis restarted?"),
    ("what would be done now", "plan"),
    ("where routes lead", "routes"),
    ("which model answers", "which model is used?"),
    ("what a variable is set to", "what is LOG_LEVEL set to?"),
    ("what is in the database", "SELECT count(*) FROM shop.orders"),
    ("the same in words", "how many rows are in shop.orders?"),
    ("restart something", "restart redis"),
    ("leave something alone for a while", "hold redis for 2h because of a new disk"),
    ("change a variable", "set LOG_LEVEL to debug"),
    ("stop something", "stop redis"),
    ("try again with what was given up", "release redis"),
];

impl Talk<'_> {
    pub(super) fn help(&self) {
        self.answer.text("What changes something is shown first, and done when you say `yes`.");
        let rows = HELP.iter().map(|(what, example)| vec![(*what).to_owned(), (*example).to_owned()]).collect();
        self.answer.table("", &["What", "As in"], rows);
    }

    /// How objects are: all, those of a kind, or those with these names.
    pub(super) fn status(&self, kind: Option<Kind>, names: &[String]) {
        let objects = self.operator.objects(kind).into_iter();
        let meant = objects.filter(|object| names.is_empty() || names.contains(&object.key.name));
        let rows: Vec<Vec<String>> = meant
            .map(|object| {
                let (standing, message, since) = Standing::of(object.status.as_ref());
                vec![object.key.to_string(), standing.word().to_owned(), message, since]
            })
            .collect();
        let ready = rows.iter().filter(|row| row[1] == Standing::Ready.word()).count();
        self.answer.text(match (rows.as_slice(), ready) {
            ([], _) => "There is nothing of the kind.".to_owned(),
            ([row], _) => format!("{}: {}. {}", row[0], row[1], row[2]),
            (all, ready) if all.len() == ready => format!("All {ready} are as declared."),
            (all, ready) => format!("{ready} of {} are as declared.", all.len()),
        });
        if !rows.is_empty() {
            self.answer.table("", &["Object", "State", "What is so", "Since"], rows);
        }
    }

    pub(super) async fn audit(&self, which: AuditOf) {
        let AuditOf { since, until, actor, operation, target, outcome, limit } = which;
        // A service is an object here, whatever its container is called.
        let object = target.as_deref().map(key).filter(|key| self.operator.object(key).is_some());
        let target = target.filter(|_| object.is_none());
        let query = AuditQuery { object, actor, operation, target, outcome, since, until, ..AuditQuery::newest(rows(limit)) };
        match self.operator.audit(&query, Some(&self.speaker.actor)).await {
            Ok(entries) => {
                let rows = entries
                    .into_iter()
                    .rev()
                    .map(|entry| vec![entry.created_at, entry.actor, entry.action, entry.because, entry.outcome]);
                self.answer.table("No entry is meant.", &["When", "Who", "What", "Why", "Outcome"], rows.collect());
            }
            Err(error) => self.answer.text(error),
        }
    }

    pub(super) async fn events(
        &self,
        service: Option<&str>,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        limit: Option<u32>,
    ) {
        let key = service.map(key);
        match self.operator.events(key.as_ref(), MOST_ROWS).await {
            Ok(events) => {
                let is_meant = |at: &str| {
                    let at: Option<Timestamp> = at.parse().ok();
                    at.is_none_or(|at| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until))
                };
                let meant = events.into_iter().rev().filter(|event| is_meant(&event.last_at)).take(rows(limit));
                let rows =
                    meant.map(|event| vec![event.last_at, event.object, event.reason, event.count.to_string(), event.message]);
                self.answer.table("Nothing happened.", &["When", "Object", "Reason", "Times", "What"], rows.collect());
            }
            Err(error) => self.answer.text(error),
        }
    }

    pub(super) async fn why(&self, service: &str) {
        match self.operator.why(&key(service), None).await {
            Ok(Some(why)) => {
                self.answer.text(format!("{} at {}, by {}.", why.object, why.at, why.actor));
                self.answer.text(format!("Seen: {}.", why.seen));
                if let Some(rule) = why.rule_says {
                    self.answer.text(format!("The rule: {rule}."));
                }
                self.answer.text(format!("Outcome: {}.", why.outcome));
                for proof in why.proof {
                    self.answer.text(format!("Proof: {proof}."));
                }
                let rows = why.steps.into_iter().map(|step| vec![step.action, step.because, step.outcome]).collect();
                self.answer.table("There were no steps.", &["Step", "Because", "Outcome"], rows);
            }
            Ok(None) => {
                self.answer.text(format!("Nothing was ever done to {service}."));
                self.status(Some(Kind::Container), &[service.to_owned()]);
            }
            Err(error) => self.answer.text(error),
        }
    }

    pub(super) async fn plan(&self, service: Option<&str>) {
        let key = service.map(key);
        match self.operator.plans(key.as_ref()).await {
            Ok(plans) => {
                let rows = plans.into_iter().flat_map(|plan| {
                    let object = plan.key.to_string();
                    let steps = plan.steps.into_iter().map(|step| ("", step));
                    let withheld = plan.withheld.into_iter().map(|step| ("held back: ", step));
                    steps
                        .chain(withheld)
                        .map(|(held, step)| vec![object.clone(), format!("{held}{}", step.action), step.because])
                        .collect::<Vec<_>>()
                });
                self.answer.table("There is nothing to do.", &["Object", "Step", "Because"], rows.collect());
            }
            Err(error) => self.answer.text(error),
        }
    }
}

/// How many rows, where so many were asked for.
fn rows(limit: Option<u32>) -> usize {
    limit.map_or(ROWS, |limit| usize::try_from(limit).unwrap_or(ROWS)).min(MOST_ROWS)
}
