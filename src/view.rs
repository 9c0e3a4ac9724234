//! What people and programs are shown of an object: one value, printed as a
//! table, as JSON, over HTTP and on the dashboard.

pub mod insight;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    manifest::{Key, model_provider::Provider, status::Status},
    secret::Secret,
    source::parse::may_be_secret,
};

/// One object in a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// `Container/redis`.
    pub key: Key,
    /// The manifest's generation; zero for an object whose manifest is gone.
    pub generation: i64,
    /// The manifest's file and line, relative to the desired-state directory; none when the manifest is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Conditions. None before the first pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// For a container, its image; for an environment, its directory.
    pub summary: String,
    /// The whole manifest, as it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Value>,
}

impl ObjectView {
    /// The object as whoever does not own its manifest may see it: people do write passwords there.
    #[must_use]
    pub fn masked(self) -> Self {
        Self { manifest: self.manifest.map(|manifest| without_secrets("", manifest)), ..self }
    }
}

/// The manifest, or the part of it at this pointer, with all names and without any value that may be secret.
fn without_secrets(pointer: &str, value: Value) -> Value {
    let below = |name: &str, value| without_secrets(&format!("{pointer}/{name}"), value);
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = below(&name, value);
                (name, value)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().enumerate().map(|(index, item)| below(&index.to_string(), item)).collect())
        }
        _ if may_be_secret(pointer) => Value::String("(not shown)".to_owned()),
        value => value,
    }
}

/// What would be done to one object now, for `diff`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// The object.
    pub key: Key,
    /// The steps in order.
    pub steps: Vec<StepView>,
    /// The steps that would be taken if it were not held.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub withheld: Vec<StepView>,
    /// What stands in the way of more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitView>,
    /// What a person should know.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// What is wrong with the manifest's references, if that is why nothing can be planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// One step, in words and for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// As in `StopContainer`.
    pub operation: String,
    /// The name of what is acted on.
    pub target: String,
    /// As in `stop web`.
    pub action: String,
    /// As in `NotRunning`.
    pub why: String,
    /// As in `it exited with 137`.
    pub because: String,
    /// The fields that differ, where that is the reason.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<Change>,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// As in `image` or `environment.TZ`.
    pub field: String,
    /// What it is; secret values as fingerprints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitView {
    /// As in `BackingOff`.
    pub code: String,
    /// In words.
    pub message: String,
    /// Whether it keeps the object from being as declared.
    #[serde(default = "yes")]
    pub is_in_the_way: bool,
}

fn yes() -> bool {
    true
}

impl PlanView {
    /// Whether the object is not as declared.
    #[must_use]
    pub fn differs(&self) -> bool {
        let is_waiting = self.wait.as_ref().is_some_and(|wait| wait.is_in_the_way);
        !self.steps.is_empty() || !self.withheld.is_empty() || is_waiting || self.refused.is_some()
    }

    /// Whether there is anything to tell of it.
    #[must_use]
    pub fn is_worth_telling(&self) -> bool {
        self.differs() || self.wait.is_some() || !self.notes.is_empty()
    }
}

impl WaitView {
    fn new(wait: &crate::plan::Wait) -> Self {
        Self { code: wait.code().to_owned(), message: wait.to_string(), is_in_the_way: wait.is_in_the_way() }
    }
}

impl PlanView {
    /// A plan as it is shown.
    #[must_use]
    pub fn new(key: Key, plan: &crate::plan::Plan, refused: Option<String>) -> Self {
        Self {
            key,
            steps: plan.steps.iter().map(StepView::new).collect(),
            withheld: plan.withheld.iter().map(StepView::new).collect(),
            wait: plan.wait.as_ref().map(WaitView::new),
            notes: plan.notes.iter().map(ToString::to_string).collect(),
            refused,
        }
    }
}

impl StepView {
    fn new(step: &crate::plan::Step) -> Self {
        use crate::plan::Why;

        let changes = match &step.why {
            Why::Outdated { fields } => fields
                .iter()
                .map(|change| Change { field: change.field.clone(), from: change.from.clone(), to: change.to.clone() })
                .collect(),
            _ => Vec::new(),
        };
        Self {
            operation: step.action.operation().to_owned(),
            target: step.action.target(),
            action: step.action.to_string(),
            why: step.why.code().to_owned(),
            because: step.why.to_string(),
            changes,
        }
    }
}

/// Which entries of the audit log are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditQuery {
    /// About this object only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Key>,
    /// By this actor only: `reconciler`, `cli:root`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of this operation only: `StartContainer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// On this target only: `redis`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// With this outcome only: `done`, `already-so`, `failed`, `unknown`, or `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Not older than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Not younger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Before the entry of this number, to turn the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// At most so many, the newest.
    pub limit: usize,
}

impl AuditQuery {
    /// The newest entries, so many at most.
    #[must_use]
    pub fn newest(limit: usize) -> Self {
        Self {
            object: None,
            actor: None,
            operation: None,
            target: None,
            outcome: None,
            since: None,
            until: None,
            before: None,
            limit,
        }
    }
}

impl AuditQuery {
    /// Whether an entry is one of these, whenever it was.
    #[must_use]
    pub fn means(&self, entry: &AuditView) -> bool {
        let is = |wanted: &Option<String>, value: &String| wanted.as_ref().is_none_or(|wanted| wanted == value);
        self.object.as_ref().is_none_or(|object| object.to_string() == entry.object)
            && is(&self.actor, &entry.actor)
            && is(&self.operation, &entry.operation)
            && is(&self.target, &entry.target)
            && is(&self.outcome, &entry.outcome)
    }
}

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// The intent's number.
    pub id: i64,
    /// When it was written down, before the act; RFC 3339.
    pub created_at: String,
    /// Who acted.
    pub actor: String,
    /// The pass it belonged to.
    pub pass: String,
    /// `Container/redis`.
    pub object: String,
    /// As in `StopContainer`.
    pub operation: String,
    /// The name of what was acted on.
    pub target: String,
    /// The step in words.
    pub action: String,
    /// As in `NotRunning`.
    pub why: String,
    /// In words.
    pub because: String,
    /// `done`, `already-so`, `failed`, `unknown`, or `open` while it has none.
    pub outcome: String,
    /// What went wrong, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why something was done, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyView {
    /// `Container/redis`.
    pub object: String,
    /// When it began, RFC 3339.
    pub at: String,
    /// Who acted.
    pub actor: String,
    /// The pass; none for a person's command.
    pub pass: Option<String>,
    /// What was seen, as a sentence.
    pub seen: String,
    /// What differed, field by field, if that was it.
    pub fields: Vec<String>,
    /// Of which generation of the manifest what was wanted is.
    pub generation: Option<i64>,
    /// The rule's code, as in `NotRunning`.
    pub rule: String,
    /// What the rule says.
    pub rule_says: Option<String>,
    /// The steps, in their order.
    pub steps: Vec<WhyStep>,
    /// What they came to, as a sentence.
    pub outcome: String,
    /// What shows it.
    pub proof: Vec<String>,
    /// How often the same was the reason within the hour before, this time included.
    pub lately: usize,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyStep {
    /// The number of its entry in the audit log.
    pub id: i64,
    /// In words.
    pub action: String,
    /// Why.
    pub because: String,
    /// `done`, `already-so`, `failed`, `unknown`, or `open`.
    pub outcome: String,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_millis: Option<u64>,
}

/// The model that answers, and how it is reached. Not for people: there is a key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answering {
    /// Who answers.
    pub provider: Provider,
    /// With which model.
    pub model: String,
    /// Why it is this one.
    pub reason: String,
    /// Where it is, if that is written down anywhere.
    pub url: Option<Secret>,
    /// What opens it, if it needs one.
    pub key: Option<Secret>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// `Container/redis`.
    pub object: String,
    /// `Normal` or `Warning`.
    pub severity: String,
    /// One word in CamelCase.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// When it first happened; RFC 3339.
    pub first_at: String,
    /// When it last happened; RFC 3339.
    pub last_at: String,
    /// How often.
    pub count: i64,
}

/// Something that is wrong, and who was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// `Container/web`, or `Host`.
    pub subject: String,
    /// One word in CamelCase.
    pub reason: String,
    /// What of the host it is about, where there may be several.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub about: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// In words.
    pub message: String,
    /// Since when; RFC 3339.
    pub since: String,
    /// When it ended, if somebody has still to be told that; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub over: Option<String>,
    /// Whether it is not told to anybody just now.
    pub is_muted: bool,
    /// Who was told.
    pub told: Vec<ToldView>,
}

/// A receiver that was told of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldView {
    /// Its name.
    pub receiver: String,
    /// When that was decided last; RFC 3339.
    pub at: String,
    /// `told`, `waiting` while it cannot be reached, or `not delivered`.
    pub state: String,
}

/// What came of a message to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentView {
    /// Its name.
    pub receiver: String,
    /// What went wrong, if it was not taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// Whether the operator lives and is of use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The loop turned lately.
    pub alive: bool,
    /// Why it is of no use right now; nothing when it is.
    pub not_ready: Vec<String>,
    /// What is wrong with files of the desired state, each with its place. The last good versions stay in force.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub refused: Vec<String>,
    /// Since when the engine has been away, RFC 3339: what is known of containers is from then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub engine_lost_since: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_stay_and_values_that_may_be_secret_go() {
        let manifest = json!({"metadata": {"name": "web"}, "spec": {
            "image": "a", "environment": {"PASSWORD": "x", "PORT": 1}, "command": ["serve", "--token=x"], "ports": [80],
        }});
        let expected = json!({"metadata": {"name": "web"}, "spec": {
            "image": "a", "environment": {"PASSWORD": "(not shown)", "PORT": "(not shown)"},
            "command": ["(not shown)", "(not shown)"], "ports": [80],
        }});
        assert_eq!(without_secrets("", manifest), expected);
    }

    #[test]
    fn who_is_alerted_is_shown_without_urls_and_headers() {
        let manifest = json!({"spec": {"alerts": {"receivers": [
            {"name": "ops", "webhook": {"url": "https://a/T0K3N", "headers": {"X-Key": "T0K3N"}}},
            {"name": "chat", "slack": {"urlFrom": {"environment": "alerts", "variable": "CHAT_URL"}}},
        ]}}});
        let expected = json!({"spec": {"alerts": {"receivers": [
            {"name": "ops", "webhook": {"url": "(not shown)", "headers": {"X-Key": "(not shown)"}}},
            {"name": "chat", "slack": {"urlFrom": {"environment": "alerts", "variable": "CHAT_URL"}}},
        ]}}});
        assert_eq!(without_secrets("", manifest), expected);
    }
}
