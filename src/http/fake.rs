//! An operator for tests: it has two objects, and tells what it was asked to do.

mod insight;

use std::{collections::HashMap, sync::Mutex};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use jiff::Timestamp;

use crate::{
    manifest::{
        Key, Kind, Manifest,
        status::{Condition, ConditionStatus, ConditionType, Status},
    },
    operator::{Operator, Proposed, VariableView, Wish},
    record::journal::IntentId,
    secret::Secret,
    view::{
        AlertView, Answering, AuditQuery, AuditView, Change, EventView, Health, ObjectView, PlanView, SentView, StepView,
        ToldView, WaitView, WhyStep, WhyView,
    },
};

/// An operator that answers from this value.
pub(crate) struct Fake {
    pub(crate) health: Health,
    pub(crate) released: Mutex<Vec<(Key, String)>>,
    pub(crate) restarted: Mutex<Vec<(Key, String)>>,
    /// What else was done, in words, and for whom.
    pub(crate) fulfilled: Mutex<Vec<(String, String)>>,
    /// The id of the container that runs.
    pub(crate) container: Mutex<String>,
    /// The events that there were.
    pub(crate) past: Vec<EventView>,
    /// The password of the backend manager.
    pub(crate) password: Option<String>,
    /// What variables are set to besides.
    pub(crate) variables: Mutex<HashMap<String, String>>,
    /// Actor, words and error of what was noted.
    pub(crate) noted: Mutex<Vec<(String, String, Option<String>)>>,
    /// The model that answers.
    pub(crate) model: Result<Answering, String>,
    /// What is wrong with its audit log.
    pub(crate) fault: Option<String>,
    /// What `follow_events` and `follow_objects` tell before they go silent.
    pub(crate) news: (Vec<EventView>, Vec<ObjectView>),
}

impl Default for Fake {
    fn default() -> Self {
        let health = Health { alive: true, not_ready: Vec::new(), refused: Vec::new(), engine_lost_since: None };
        let news = (vec![event("Started", 1)], vec![web(ConditionStatus::True)]);
        Self {
            health,
            released: Mutex::default(),
            restarted: Mutex::default(),
            fulfilled: Mutex::default(),
            container: Mutex::new("c1".to_owned()),
            past: vec![event("Created", 1), event("Started", 1)],
            password: None,
            variables: Mutex::default(),
            noted: Mutex::default(),
            model: Err("no ModelProvider is declared".to_owned()),
            fault: None,
            news,
        }
    }
}

/// An object that is ready or not.
pub(crate) fn web(ready: ConditionStatus) -> ObjectView {
    let reason = if ready == ConditionStatus::True { "Converged" } else { "BackingOff" };
    let condition = Condition {
        kind: ConditionType::Ready,
        status: ready,
        reason: reason.to_owned(),
        message: "it exited with 137; next try in 4s".to_owned(),
        last_transition_time: "2026-01-02T03:04:05Z".to_owned(),
    };
    ObjectView {
        key: Key::new(Kind::Container, "web"),
        generation: 2,
        source: Some("web.yaml:1".to_owned()),
        status: Some(Status { observed_generation: Some(2), conditions: vec![condition] }),
        summary: "nginx:1.27".to_owned(),
        manifest: Some(serde_json::json!({
            "apiVersion": "mooring.dev/v1alpha1",
            "kind": "Container",
            "metadata": {"name": "web"},
            "spec": {"image": "nginx:1.27"},
        })),
    }
}

/// An object before its first pass.
pub(crate) fn shop() -> ObjectView {
    ObjectView {
        key: Key::new(Kind::Environment, "shop"),
        generation: 1,
        source: Some("shop.yaml:1".to_owned()),
        status: None,
        summary: ".".to_owned(),
        manifest: None,
    }
}

/// An event about `web`.
pub(crate) fn event(reason: &str, count: i64) -> EventView {
    EventView {
        object: "Container/web".to_owned(),
        severity: "Normal".to_owned(),
        reason: reason.to_owned(),
        message: "start web, because it exited with 137".to_owned(),
        first_at: "2026-01-02T03:04:05Z".to_owned(),
        last_at: "2026-01-02T03:05:05Z".to_owned(),
        count,
    }
}

/// What would be done to `web`.
pub(crate) fn plan() -> PlanView {
    PlanView {
        key: Key::new(Kind::Container, "web"),
        steps: vec![StepView {
            operation: "CreateContainer".to_owned(),
            target: "web".to_owned(),
            action: "create web from nginx:1.27".to_owned(),
            why: "Outdated".to_owned(),
            because: "it differs in image".to_owned(),
            changes: vec![Change {
                field: "image".to_owned(),
                from: Some("nginx:1.26".to_owned()),
                to: Some("nginx:1.27".to_owned()),
            }],
        }],
        withheld: Vec::new(),
        wait: Some(WaitView { code: "BackingOff".to_owned(), message: "4s until the next try".to_owned(), is_in_the_way: true }),
        notes: Vec::new(),
        refused: None,
    }
}

/// One entry of the audit log.
pub(crate) fn entry() -> AuditView {
    AuditView {
        id: 7,
        created_at: "2026-01-02T03:04:05Z".to_owned(),
        actor: "reconciler".to_owned(),
        pass: "p1".to_owned(),
        object: "Container/web".to_owned(),
        operation: "StartContainer".to_owned(),
        target: "web".to_owned(),
        action: "start web".to_owned(),
        why: "NotRunning".to_owned(),
        because: "it exited with 137".to_owned(),
        outcome: "done".to_owned(),
        error: None,
    }
}

/// Something that is wrong with `web`.
pub(crate) fn alert() -> AlertView {
    let told = |receiver: &str, state: &str| ToldView {
        receiver: receiver.to_owned(),
        at: "2026-01-02T03:04:35Z".to_owned(),
        state: state.to_owned(),
    };
    AlertView {
        subject: "Container/web".to_owned(),
        reason: "CrashLoop".to_owned(),
        about: String::new(),
        severity: "critical".to_owned(),
        message: "given up after 3 tries".to_owned(),
        since: "2026-01-02T03:04:05Z".to_owned(),
        over: None,
        is_muted: false,
        told: vec![told("ops", "told"), told("mail", "waiting")],
    }
}

/// Why something was done.
pub(crate) fn why() -> WhyView {
    WhyView {
        object: "Container/web".to_owned(),
        at: "2026-01-02T03:04:05.100Z".to_owned(),
        actor: "reconciler".to_owned(),
        pass: Some("p1".to_owned()),
        seen: "it exited with 137".to_owned(),
        fields: Vec::new(),
        generation: Some(3),
        rule: "NotRunning".to_owned(),
        rule_says: Some("what stands still is started".to_owned()),
        steps: vec![WhyStep {
            id: 7,
            action: "start web".to_owned(),
            because: "it exited with 137".to_owned(),
            outcome: "done".to_owned(),
            error: None,
            took_millis: Some(212),
        }],
        outcome: "every step was done".to_owned(),
        proof: vec!["Ready since 2026-01-02T03:04:05.600Z: it is as declared".to_owned()],
        lately: 3,
    }
}

#[async_trait]
impl Operator for Fake {
    fn objects(&self, kind: Option<Kind>) -> Vec<ObjectView> {
        let all = [shop(), web(ConditionStatus::False)];
        all.into_iter().filter(|object| kind.is_none_or(|kind| object.key.kind == kind)).collect()
    }

    fn object(&self, key: &Key) -> Option<ObjectView> {
        self.objects(None).into_iter().find(|object| object.key == *key)
    }

    async fn plans(&self, _: Option<&Key>) -> Result<Vec<PlanView>, String> {
        Ok(vec![plan()])
    }

    async fn plans_if(&self, manifests: Vec<Manifest>) -> Result<Vec<PlanView>, String> {
        Ok(manifests.iter().map(|manifest| PlanView { key: manifest.key(), ..plan() }).collect())
    }

    async fn events(&self, _: Option<&Key>, limit: usize) -> Result<Vec<EventView>, String> {
        Ok(self.past.iter().take(limit).cloned().collect())
    }

    fn follow_events(&self) -> BoxStream<'static, EventView> {
        stream::iter(self.news.0.clone()).chain(stream::pending()).boxed()
    }

    fn follow_objects(&self) -> BoxStream<'static, ObjectView> {
        stream::iter(self.news.1.clone()).chain(stream::pending()).boxed()
    }

    async fn audit(&self, query: &AuditQuery, _: Option<&str>) -> Result<Vec<AuditView>, String> {
        match &query.object {
            Some(_) => Err("the journal cannot be read".to_owned()),
            None => Ok(vec![entry()]),
        }
    }

    async fn why(&self, key: &Key, act: Option<i64>) -> Result<Option<WhyView>, String> {
        Ok((*key == web(ConditionStatus::True).key && act.is_none()).then(why))
    }

    fn follow_audit(&self, _: &AuditQuery) -> BoxStream<'static, AuditView> {
        stream::iter([entry(), AuditView { id: 8, ..entry() }]).chain(stream::pending()).boxed()
    }

    async fn release(&self, key: &Key, actor: &str) -> Result<(), String> {
        self.released.lock().unwrap().push((key.clone(), actor.to_owned()));
        Ok(())
    }

    fn variable(&self, name: &str) -> Option<Secret> {
        let value = match name {
            "CLAW_WEB_PASSWORD" => self.password.clone(),
            "PLUGIN_INTERNAL_SECRET" => self.password.as_ref().map(|_| "the secret of plugins".to_owned()),
            other => self.variables.lock().unwrap().get(other).cloned(),
        };
        value.map(Secret::new)
    }

    fn model(&self) -> Result<Answering, String> {
        self.model.clone()
    }

    async fn note(&self, actor: &str, _: &'static str, words: &str, error: Option<&str>) {
        self.noted.lock().unwrap().push((actor.to_owned(), words.to_owned(), error.map(str::to_owned)));
    }

    async fn intend(&self, actor: &str, _: &'static str, words: &str) -> Result<IntentId, String> {
        self.noted.lock().unwrap().push((actor.to_owned(), format!("about to {words}"), None));
        Ok(IntentId(1))
    }

    async fn conclude(&self, _: IntentId, error: Option<&str>) {
        self.noted.lock().unwrap().push((String::new(), "concluded".to_owned(), error.map(str::to_owned)));
    }

    async fn propose(&self, wish: &Wish) -> Result<Proposed, String> {
        let (verb, key) = match wish {
            Wish::Restart(key) => ("restart", key),
            Wish::Start(key) => ("start", key),
            Wish::Stop(key) => ("stop", key),
            Wish::Release(key) => ("release", key),
            other => return Err(format!("not here: {other:?}")),
        };
        if key.kind != Kind::Container {
            return Err(format!("{key} is no container, so there is nothing to {verb}"));
        }
        Ok(Proposed {
            what: format!("{}{} {}?", verb[..1].to_uppercase(), &verb[1..], key.name),
            words: format!("{verb} of {}", key.name),
            object: Some(key.clone()),
            name: key.name.clone(),
            details: vec!["what depends on it may notice: Environment/shop".to_owned()],
            diff: None,
            digest: self.container.lock().unwrap().clone(),
        })
    }

    async fn fulfil(&self, wish: &Wish, shown: &Proposed, actor: &str) -> Result<String, String> {
        if self.propose(wish).await? != *shown {
            return Err("it is not as it was shown; look again".to_owned());
        }
        let done = (shown.object.clone().unwrap(), actor.to_owned());
        match wish {
            Wish::Release(_) => self.released.lock().unwrap().push(done),
            Wish::Restart(_) => self.restarted.lock().unwrap().push(done),
            _ => self.fulfilled.lock().unwrap().push((shown.words.clone(), actor.to_owned())),
        }
        Ok("done".to_owned())
    }

    fn variable_names(&self) -> Vec<String> {
        vec!["PORT".to_owned()]
    }

    fn variable_views(&self, name: &str) -> Vec<VariableView> {
        let view = VariableView {
            environment: "shop".to_owned(),
            file: Some(".env".to_owned()),
            shown: "8080".to_owned(),
            users: vec![web(ConditionStatus::True).key],
        };
        if name == "PORT" { vec![view] } else { Vec::new() }
    }

    fn now(&self) -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn alerts(&self) -> Vec<AlertView> {
        vec![alert()]
    }

    async fn test_alerts(&self, receiver: Option<&str>) -> Result<Vec<SentView>, String> {
        let sent =
            |receiver: &str, error: Option<&str>| SentView { receiver: receiver.to_owned(), error: error.map(str::to_owned) };
        match receiver {
            None => Ok(vec![sent("ops", None), sent("mail", Some("connection refused"))]),
            Some("ops") => Ok(vec![sent("ops", None)]),
            Some(other) => Err(format!("there is no receiver named `{other}`")),
        }
    }

    fn health(&self) -> Health {
        self.health.clone()
    }

    fn metrics(&self) -> String {
        "mooring_passes_total 1\n".to_owned()
    }
}
