//! What a running Mooring answers, and what it can be asked to do: the one door
//! between those who talk with people and programs and the loop that acts.

pub mod insight;
mod wish;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::{
    manifest::{Key, Kind, Manifest},
    record::journal::IntentId,
    secret::Secret,
    view::{AlertView, Answering, AuditQuery, AuditView, EventView, Health, ObjectView, PlanView, SentView, WhyView},
};
pub use wish::{HoldEnd, Proposed, VariableView, Wish};

/// What is asked of a running Mooring. Answers are taken from memory or from the journal, never from hope: an `Err` says why there
/// is none, in words for a person.
#[async_trait]
pub trait Operator: insight::Insight + Send + Sync + 'static {
    /// All objects, or those of one kind, sorted by key.
    fn objects(&self, kind: Option<Kind>) -> Vec<ObjectView>;

    /// One object, when there is one.
    fn object(&self, key: &Key) -> Option<ObjectView>;

    /// What would be done now, for one object or for all: a fresh look, and not a single write.
    async fn plans(&self, key: Option<&Key>) -> Result<Vec<PlanView>, String>;

    /// What would be done with the objects of these manifests, if they were declared. Nothing is kept of them.
    async fn plans_if(&self, manifests: Vec<Manifest>) -> Result<Vec<PlanView>, String>;

    /// The last `limit` events, oldest first.
    async fn events(&self, object: Option<&Key>, limit: usize) -> Result<Vec<EventView>, String>;

    /// Events from now on, as they happen.
    fn follow_events(&self) -> BoxStream<'static, EventView>;

    /// Objects from now on, each as it is after a change.
    fn follow_objects(&self) -> BoxStream<'static, ObjectView>;

    /// The newest entries of the audit log that are meant, newest last. That it was read is an entry as well: by the
    /// account of this name, if it is known.
    async fn audit(&self, query: &AuditQuery, reader: Option<&str>) -> Result<Vec<AuditView>, String>;

    /// Why something was done for an object: the last time, or in the act of this number. None if there was nothing.
    async fn why(&self, key: &Key, act: Option<i64>) -> Result<Option<WhyView>, String>;

    /// The acts that are meant and end from now on.
    fn follow_audit(&self, query: &AuditQuery) -> BoxStream<'static, AuditView>;

    /// Lets Mooring try again with an object that it had given up or was told to leave alone. `actor` is the account of
    /// the person who asks, by name or, without one, by number.
    async fn release(&self, key: &Key, actor: &str) -> Result<(), String>;

    /// The value of a variable in the first `Environment` that has one.
    fn variable(&self, name: &str) -> Option<Secret>;

    /// Which model answers, and how it is reached: as the first `ModelProvider` chooses. An `Err` says why there is none.
    fn model(&self) -> Result<Answering, String>;

    /// Writes down what somebody has done by way of the backend manager. `actor` is the session as it stands in the log,
    /// `words` what was done; `error`, why it did not come about.
    async fn note(&self, actor: &str, operation: &'static str, words: &str, error: Option<&str>);

    /// Writes down what somebody is about to do by way of the backend manager, before he does it, and returns its number. An
    /// `Err` says why it is not on record: then it must not be done.
    async fn intend(&self, actor: &str, operation: &'static str, words: &str) -> Result<IntentId, String>;

    /// Writes down what came of it.
    async fn conclude(&self, intent: IntentId, error: Option<&str>);

    /// What a wish would come to, as things are now. Changes nothing; an `Err` says why it cannot be.
    async fn propose(&self, wish: &Wish) -> Result<Proposed, String>;

    /// Has it done, in the name of `actor`, if it would still come to what was shown; and says what came of it.
    async fn fulfil(&self, wish: &Wish, shown: &Proposed, actor: &str) -> Result<String, String>;

    /// The names of all variables of all `Environment`s, sorted.
    fn variable_names(&self) -> Vec<String>;

    /// A variable in every `Environment` that has it, as far as it may be shown.
    fn variable_views(&self, name: &str) -> Vec<VariableView>;

    /// The time of day.
    fn now(&self) -> Timestamp;

    /// What is wrong, and who was told.
    fn alerts(&self) -> Vec<AlertView>;

    /// Sends a test to the receiver of this name, or to all, and tells what came of it.
    async fn test_alerts(&self, receiver: Option<&str>) -> Result<Vec<SentView>, String>;

    /// Whether it lives and is of use.
    fn health(&self) -> Health;

    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;
}
