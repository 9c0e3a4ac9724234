//! An operator that knows one container, and has secrets that nobody may hear of.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use mooring::{
    manifest::{Key, Kind, Manifest},
    operator::{Operator, Proposed, VariableView, Wish, insight::Insight},
    record::journal::IntentId,
    secret::{Secret, mask::Mask},
    view::{AlertView, Answering, AuditQuery, AuditView, EventView, Health, ObjectView, PlanView, SentView, WhyView},
};
use serde_json::json;

/// The password of the backend manager, what plugins share, and a variable.
pub const SECRETS: [&str; 3] = ["correct horse", "the secret of plugins", "hunter2-of-the-database"];

/// Does nothing, and counts how often it was to.
#[derive(Default)]
pub struct Quiet {
    pub fulfilled: AtomicUsize,
}

fn web() -> ObjectView {
    let manifest = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": "Container", "metadata": {"name": "web"},
        "spec": {"image": "nginx:1.27", "environment": {"DB_PASSWORD": SECRETS[2]}},
    });
    ObjectView {
        key: Key::new(Kind::Container, "web"),
        generation: 1,
        source: Some("web.yaml:1".to_owned()),
        status: None,
        summary: "nginx:1.27".to_owned(),
        manifest: Some(manifest),
    }
}

impl Insight for Quiet {
    fn mask(&self) -> Mask {
        Mask::new(&SECRETS.map(|secret| Secret::new(secret.to_owned())))
    }
}

#[async_trait]
impl Operator for Quiet {
    fn objects(&self, kind: Option<Kind>) -> Vec<ObjectView> {
        [web()].into_iter().filter(|object| kind.is_none_or(|kind| object.key.kind == kind)).collect()
    }

    fn object(&self, key: &Key) -> Option<ObjectView> {
        self.objects(None).into_iter().find(|object| object.key == *key)
    }

    async fn plans(&self, _: Option<&Key>) -> Result<Vec<PlanView>, String> {
        Ok(Vec::new())
    }

    async fn plans_if(&self, _: Vec<Manifest>) -> Result<Vec<PlanView>, String> {
        Ok(Vec::new())
    }

    async fn events(&self, _: Option<&Key>, _: usize) -> Result<Vec<EventView>, String> {
        Ok(Vec::new())
    }

    fn follow_events(&self) -> BoxStream<'static, EventView> {
        stream::pending().boxed()
    }

    fn follow_objects(&self) -> BoxStream<'static, ObjectView> {
        stream::iter([web()]).chain(stream::pending()).boxed()
    }

    async fn audit(&self, _: &AuditQuery, _: Option<&str>) -> Result<Vec<AuditView>, String> {
        Ok(Vec::new())
    }

    async fn why(&self, _: &Key, _: Option<i64>) -> Result<Option<WhyView>, String> {
        Ok(None)
    }

    fn follow_audit(&self, _: &AuditQuery) -> BoxStream<'static, AuditView> {
        stream::pending().boxed()
    }

    async fn release(&self, _: &Key, _: &str) -> Result<(), String> {
        self.fulfilled.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn variable(&self, name: &str) -> Option<Secret> {
        let value = match name {
            "CLAW_WEB_PASSWORD" => SECRETS[0],
            "PLUGIN_INTERNAL_SECRET" => SECRETS[1],
            "POSTGRES_PASSWORD" => SECRETS[2],
            _ => return None,
        };
        Some(Secret::new(value.to_owned()))
    }

    fn model(&self) -> Result<Answering, String> {
        Err("no ModelProvider is declared".to_owned())
    }

    async fn note(&self, _: &str, _: &'static str, _: &str, _: Option<&str>) {}

    async fn intend(&self, _: &str, _: &'static str, _: &str) -> Result<IntentId, String> {
        Err("the journal is away".to_owned())
    }

    async fn conclude(&self, _: IntentId, _: Option<&str>) {}

    async fn propose(&self, wish: &Wish) -> Result<Proposed, String> {
        let (Wish::Restart(key) | Wish::Start(key) | Wish::Stop(key) | Wish::Release(key)) = wish else {
            return Err("not here".to_owned());
        };
        Ok(Proposed {
            what: format!("Restart {}?", key.name),
            words: format!("restart of {}", key.name),
            object: Some(key.clone()),
            name: key.name.clone(),
            details: Vec::new(),
            diff: None,
            digest: "c1".to_owned(),
        })
    }

    async fn fulfil(&self, _: &Wish, _: &Proposed, _: &str) -> Result<String, String> {
        self.fulfilled.fetch_add(1, Ordering::SeqCst);
        Ok("done".to_owned())
    }

    fn variable_names(&self) -> Vec<String> {
        vec!["PORT".to_owned(), "POSTGRES_PASSWORD".to_owned()]
    }

    fn variable_views(&self, _: &str) -> Vec<VariableView> {
        Vec::new()
    }

    fn now(&self) -> Timestamp {
        super::now()
    }

    fn alerts(&self) -> Vec<AlertView> {
        Vec::new()
    }

    async fn test_alerts(&self, _: Option<&str>) -> Result<Vec<SentView>, String> {
        Ok(Vec::new())
    }

    fn health(&self) -> Health {
        Health { alive: true, not_ready: Vec::new(), refused: Vec::new(), engine_lost_since: None }
    }

    fn metrics(&self) -> String {
        String::new()
    }
}
