//! What people and programs ask of a running Mooring.

use std::future::ready;

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_stream::wrappers::BroadcastStream;

use super::{Context, why::why};
use crate::{
    manifest::{HoldSpec, Key, Kind, Manifest, Mode},
    operator::{Operator, Proposed, VariableView, Wish, insight::Insight as _},
    record::{
        events::{self, EventFilter, Subject},
        journal::{self, Actor, AuditFilter, Command, IntentId, Outcome},
    },
    resolve::SOURCE_ANNOTATION,
    secret::Secret,
    store::Object,
    view::{AlertView, Answering, AuditQuery, AuditView, EventView, Health, ObjectView, PlanView, SentView, WhyView},
};

#[async_trait]
impl Operator for Context {
    fn objects(&self, kind: Option<Kind>) -> Vec<ObjectView> {
        let objects = self.world.reader.objects().into_iter();
        objects.filter(|(key, _)| kind.is_none_or(|kind| key.kind == kind)).map(|(_, object)| self.view(&object)).collect()
    }

    fn object(&self, key: &Key) -> Option<ObjectView> {
        self.world.reader.get(key).map(|object| self.view(&object))
    }

    async fn plans(&self, key: Option<&Key>) -> Result<Vec<PlanView>, String> {
        self.world.plans(key).await
    }

    async fn plans_if(&self, manifests: Vec<Manifest>) -> Result<Vec<PlanView>, String> {
        self.world.plans_if(manifests).await
    }

    async fn events(&self, object: Option<&Key>, limit: usize) -> Result<Vec<EventView>, String> {
        list_events(&self.record.events, object, limit).await
    }

    fn follow_events(&self) -> BoxStream<'static, EventView> {
        let events = BroadcastStream::new(self.record.events.subscribe());
        // Who falls behind misses some; the listing has them.
        events.filter_map(|event| async move { event.ok().map(|event| event_view(&event)) }).boxed()
    }

    fn follow_objects(&self) -> BoxStream<'static, ObjectView> {
        let reader = self.world.reader.clone();
        let changes = BroadcastStream::new(self.record.status.subscribe());
        let views = changes.filter_map(move |change| {
            let view = change.ok().and_then(|change| {
                let object = reader.get(&change.key)?;
                Some(ObjectView { status: change.status, ..view(&object) })
            });
            async move { view }
        });
        views.boxed()
    }

    async fn audit(&self, query: &AuditQuery, reader: Option<&str>) -> Result<Vec<AuditView>, String> {
        let entries = list_audit(&self.record.journal, query).await?;
        let command = Command {
            actor: &reader.map_or(Actor::Api, actor),
            operation: "ReadAuditLog",
            object: &query.object.clone().map_or(Subject::Host, Subject::from),
            target: "audit log",
            why: "somebody asked for it",
            details: &serde_json::json!({"words": "read the audit log", "query": query, "entries": entries.len()}),
            outcome: &Outcome::Done,
        };
        // On a full disk nothing can be written, and then the log is what people need.
        if let Err(error) = self.record.journal.note(&command).await {
            tracing::warn!(error = crate::error_chain(&error), "that the audit log was read could not be written down");
        }
        Ok(entries)
    }

    fn variable(&self, name: &str) -> Option<Secret> {
        self.world.variable_in_files(name)
    }

    fn model(&self) -> Result<Answering, String> {
        self.world.answering()
    }

    async fn note(&self, who: &str, operation: &'static str, words: &str, error: Option<&str>) {
        let mask = self.mask();
        let outcome = error.map_or(Outcome::Done, |error| Outcome::Failed { error: mask.said(error) });
        let command = Command {
            actor: &actor(who),
            operation,
            object: &Subject::Host,
            target: "admin",
            why: "somebody asked for it",
            details: &serde_json::json!({"words": mask.said(words)}),
            outcome: &outcome,
        };
        if let Err(error) = self.record.journal.note(&command).await {
            tracing::warn!(error = crate::error_chain(&error), operation, "what was done could not be written down");
        }
    }

    async fn intend(&self, who: &str, operation: &'static str, words: &str) -> Result<IntentId, String> {
        self.announce(who, operation, (&Subject::Host, "admin"), words).await
    }

    async fn conclude(&self, intent: IntentId, error: Option<&str>) {
        let outcome = error.map_or(Outcome::Done, |error| Outcome::Failed { error: self.mask().said(error) });
        if let Err(error) = self.record.journal.conclude(intent, outcome).await {
            tracing::error!(error = crate::error_chain(&error), %intent, "what came of it could not be written down");
        }
    }

    async fn propose(&self, wish: &Wish) -> Result<Proposed, String> {
        self.proposed(wish).await.map(|(proposed, _)| proposed)
    }

    async fn fulfil(&self, wish: &Wish, shown: &Proposed, actor: &str) -> Result<String, String> {
        self.fulfil(wish, shown, actor).await
    }

    fn variable_names(&self) -> Vec<String> {
        self.variable_names()
    }

    fn variable_views(&self, name: &str) -> Vec<VariableView> {
        self.variable_views(name)
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    async fn why(&self, key: &Key, act: Option<i64>) -> Result<Option<WhyView>, String> {
        why(&self.record, key, act).await
    }

    fn follow_audit(&self, query: &AuditQuery) -> BoxStream<'static, AuditView> {
        let query = query.clone();
        self.record.journal.follow().map(audit_view).filter(move |entry| ready(query.means(entry))).boxed()
    }

    async fn release(&self, key: &Key, actor: &str) -> Result<(), String> {
        let words = format!("release of {key}");
        self.on_record(actor, ("Release", &key.clone().into()), &words, self.try_again(key)).await
    }

    fn alerts(&self) -> Vec<AlertView> {
        self.alerts_view()
    }

    async fn test_alerts(&self, receiver: Option<&str>) -> Result<Vec<SentView>, String> {
        self.world.test_alerts(receiver).await
    }

    fn health(&self) -> Health {
        self.health()
    }

    fn metrics(&self) -> String {
        self.record.metrics.queue_depth(self.triggers.depth());
        self.record.render_metrics()
    }
}

impl Context {
    fn view(&self, object: &Object) -> ObjectView {
        ObjectView { status: self.record.status.get(object.key()), ..view(object) }
    }
}

impl super::world::World {
    /// What would be done now. Looks, and changes nothing.
    pub async fn plans(&self, key: Option<&Key>) -> Result<Vec<PlanView>, String> {
        let mut objects = self.reader.objects();
        if let Some(key) = key {
            objects.retain(|known, _| known == key);
            if objects.is_empty() {
                return Err(format!("there is no {key}"));
            }
        }
        let now = Instant::now();
        let mut plans = Vec::with_capacity(objects.len());
        for (key, object) in objects {
            let (desired, refusal) = self.resolve(&object);
            let refused = refusal.map(|refusal| refusal.to_string());
            let Some(desired) = desired else {
                plans.push(PlanView::new(key, &crate::plan::Plan::default(), refused));
                continue;
            };
            let seen = self.observe(&desired, now).await.map_err(|error| crate::error_chain(&error))?;
            plans.push(PlanView::new(key, &self.plan(&object, &seen.situation), refused));
        }
        // What is to be removed comes first: it is what nobody wants to overlook.
        plans.sort_by_key(|plan| !plan.steps.iter().any(|step| step.why == "NoLongerWanted"));
        Ok(plans)
    }
}

/// Whoever asks: a session of the backend manager, a program that came by way of it, or an account of this host. No account
/// has a colon in its name.
pub(super) fn actor(name: &str) -> Actor {
    match name.split_once(':') {
        Some(("session", session)) => Actor::Session(session.to_owned()),
        Some(("token" | "plugin" | "playbook", _)) => Actor::Machine(name.to_owned()),
        _ => Actor::Cli(name.to_owned()),
    }
}

/// An object as it is shown, without its status.
#[must_use]
pub fn view(object: &Object) -> ObjectView {
    let manifest = object.manifest();
    let source = manifest.and_then(|manifest| manifest.meta().annotations.as_ref()?.get(SOURCE_ANNOTATION).cloned());
    let summary = match manifest.map(AsRef::as_ref) {
        Some(Manifest::Environment(environment)) => environment.spec.directory.clone(),
        Some(Manifest::Container(container)) => container.spec.image.clone().unwrap_or_else(|| "(somebody else's)".to_owned()),
        Some(Manifest::Proxy(proxy)) => proxy.spec.directory.clone(),
        Some(Manifest::ModelProvider(provider)) => provider.spec.ollama.model.clone(),
        Some(Manifest::Plugin(plugin)) => plugin.spec.directory.clone().unwrap_or_else(|| "(written out)".to_owned()),
        Some(Manifest::Hold(hold)) => {
            let HoldSpec { targets, until, reason, .. } = &hold.spec;
            format!("{} until {until}: {reason}", targets.join(", "))
        }
        Some(Manifest::Host(host)) => match host.spec.mode {
            Mode::Act => "acts".to_owned(),
            Mode::Observe => "observes only".to_owned(),
        },
        None => "(its manifest is gone)".to_owned(),
    };
    ObjectView {
        key: object.key().clone(),
        generation: object.generation(),
        source,
        status: None,
        summary,
        manifest: manifest.map(|manifest| manifest.to_json()),
    }
}

/// Events as they are shown, oldest first.
pub async fn list_events(events: &events::Events, object: Option<&Key>, limit: usize) -> Result<Vec<EventView>, String> {
    let filter = EventFilter {
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        object: object.map(|key| Subject::from(key.clone())),
        ..EventFilter::default()
    };
    let events = events.list(&filter).await.map_err(|error| crate::error_chain(&error))?;
    Ok(events.iter().map(event_view).collect())
}

/// The audit log as it is shown, oldest first.
pub async fn list_audit(journal: &journal::Journal, query: &AuditQuery) -> Result<Vec<AuditView>, String> {
    let AuditQuery { object, actor, operation, target, outcome, since, until, before, limit } = query.clone();
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let filter = AuditFilter { limit, object, actor, operation, target, outcome, pass: None, since, until, before };
    let entries = journal.log(&filter).await.map_err(|error| crate::error_chain(&error))?;
    Ok(entries.into_iter().map(audit_view).collect())
}

fn event_view(event: &events::Event) -> EventView {
    EventView {
        object: event.key.object.to_string(),
        severity: event.key.kind.as_str().to_owned(),
        reason: event.key.reason.clone(),
        message: event.key.message.clone(),
        first_at: event.first_at.clone(),
        last_at: event.last_at.clone(),
        count: event.count,
    }
}

fn audit_view(entry: journal::AuditEntry) -> AuditView {
    AuditView {
        id: entry.id,
        created_at: entry.created_at,
        actor: entry.actor,
        pass: entry.pass.unwrap_or_default(),
        object: entry.object,
        action: entry.action,
        operation: entry.operation,
        target: entry.target,
        why: entry.why_code,
        because: entry.why,
        outcome: entry.outcome.unwrap_or_else(|| "open".to_owned()),
        error: entry.error,
    }
}
