//! Looking without a running operator: what `diff` and `get` show when nobody runs.
//!
//! Nothing is written: neither to the engine nor to the files nor to the state
//! directory, all of which may be read-only. What an operator would remember
//! (tries made, stops by hand) is read from its record if there is one.

use std::sync::Mutex;

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;

use super::{
    context::Engines,
    found,
    operator::{list_audit, list_events, view},
    why::why,
    world::World,
};
use crate::{
    clock::Clock,
    manifest::{Key, Kind, Manifest},
    operator::{Operator, Proposed, VariableView, Wish, insight::Insight},
    record::{self, Record},
    secret::{FingerprintKey, Secret},
    settings::Settings,
    source::{catalogue::Catalogue, directory, plugin::Plugins},
    store,
    view::{AlertView, Answering, AuditQuery, AuditView, EventView, Health, ObjectView, PlanView, SentView, WhyView},
};

/// A look at the world, and at the record of whoever ran last.
pub struct Preview {
    world: World,
    record: Option<Record>,
}

/// There is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The desired state cannot be read.
    #[error("the desired state cannot be read")]
    Desired {
        /// Why.
        source: directory::Error,
    },
    /// Some files are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<crate::source::problem::Problem>),
    /// The record of an earlier run cannot be read.
    #[error("the record in the state directory cannot be read")]
    Record {
        /// Why.
        source: record::Error,
    },
}

impl Preview {
    /// Reads the files, and the record if there is one.
    pub async fn open(settings: Settings, engines: Engines) -> Result<Self, Error> {
        let scan = directory::scan(&settings.desired).map_err(|source| Error::Desired { source })?;
        let mut catalogue = Catalogue::load(&settings.state).unwrap_or_default();
        catalogue.merge(&scan);
        if !catalogue.problems().is_empty() {
            return Err(Error::Refused(catalogue.problems().to_vec()));
        }
        let (reader, mut writer) = store::store();
        let mut plugins = Plugins::load(&settings.state).unwrap_or_default();
        let failed = |source| Error::Record { source };
        let is_there = settings.state.join(record::FILE).exists();
        let record = if is_there { Some(Record::look(&settings.state).await.map_err(failed)?) } else { None };
        // One of this moment is good for this one look: fingerprints are only compared with each other.
        let known = record::known_fingerprint_key(&settings.state).map_err(failed)?;
        let fingerprints = known.unwrap_or_else(|| FingerprintKey::new(rand::random()));
        let world = World {
            histories: Mutex::new(record.as_ref().map(|record| record.history.load_all()).unwrap_or_default()),
            found: Mutex::new(found::load(&settings.state)),
            ..World::new(settings, Clock::system(), reader, (engines.observe, engines.dial), fingerprints)
        };
        writer.replace(world.expanded(catalogue.manifests(), &mut plugins));
        if !plugins.problems().is_empty() {
            return Err(Error::Refused(plugins.problems().to_vec()));
        }
        if world.find_all().await {
            writer.replace(world.expanded(catalogue.manifests(), &mut plugins));
        }
        world.read_holds();
        world.read_policy();
        world.resolve_all();
        Ok(Self { world, record })
    }
}

/// Nothing runs that could be looked into.
impl Insight for Preview {}

#[async_trait]
impl Operator for Preview {
    fn objects(&self, kind: Option<Kind>) -> Vec<ObjectView> {
        let objects = self.world.reader.objects();
        let wanted = objects.into_iter().filter(|(key, _)| kind.is_none_or(|kind| key.kind == kind));
        wanted.filter_map(|(key, _)| self.object(&key)).collect()
    }

    fn object(&self, key: &Key) -> Option<ObjectView> {
        let status = self.record.as_ref().and_then(|record| record.status.get(key));
        self.world.reader.get(key).map(|object| ObjectView { status, ..view(&object) })
    }

    async fn plans(&self, key: Option<&Key>) -> Result<Vec<PlanView>, String> {
        self.world.plans(key).await
    }

    async fn plans_if(&self, manifests: Vec<Manifest>) -> Result<Vec<PlanView>, String> {
        self.world.plans_if(manifests).await
    }

    async fn events(&self, object: Option<&Key>, limit: usize) -> Result<Vec<EventView>, String> {
        match &self.record {
            Some(record) => list_events(&record.events, object, limit).await,
            None => Ok(Vec::new()),
        }
    }

    fn follow_events(&self) -> BoxStream<'static, EventView> {
        stream::empty().boxed()
    }

    fn follow_objects(&self) -> BoxStream<'static, ObjectView> {
        stream::empty().boxed()
    }

    /// Who has the file in his hands reads it without anybody knowing.
    async fn audit(&self, query: &AuditQuery, _: Option<&str>) -> Result<Vec<AuditView>, String> {
        match &self.record {
            Some(record) => list_audit(&record.journal, query).await,
            None => Ok(Vec::new()),
        }
    }

    async fn why(&self, key: &Key, act: Option<i64>) -> Result<Option<WhyView>, String> {
        match &self.record {
            Some(record) => why(record, key, act).await,
            None => Ok(None),
        }
    }

    fn follow_audit(&self, _: &AuditQuery) -> BoxStream<'static, AuditView> {
        stream::empty().boxed()
    }

    fn variable(&self, name: &str) -> Option<Secret> {
        self.world.variable_in_files(name)
    }

    fn model(&self) -> Result<Answering, String> {
        self.world.answering()
    }

    async fn note(&self, _: &str, _: &'static str, _: &str, _: Option<&str>) {}

    async fn intend(&self, _: &str, _: &'static str, _: &str) -> Result<record::journal::IntentId, String> {
        Err("no operator is running, so nothing can be written down".to_owned())
    }

    async fn conclude(&self, _: record::journal::IntentId, _: Option<&str>) {}

    async fn propose(&self, _: &Wish) -> Result<Proposed, String> {
        Err("no operator is running, so nothing can be changed".to_owned())
    }

    async fn fulfil(&self, wish: &Wish, _: &Proposed, _: &str) -> Result<String, String> {
        self.propose(wish).await.map(|_| String::new())
    }

    fn variable_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn variable_views(&self, _: &str) -> Vec<VariableView> {
        Vec::new()
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    async fn release(&self, _: &Key, _: &str) -> Result<(), String> {
        Err("no operator is running, so there is nothing to release".to_owned())
    }

    fn alerts(&self) -> Vec<AlertView> {
        self.world.kept_alerts()
    }

    async fn test_alerts(&self, receiver: Option<&str>) -> Result<Vec<SentView>, String> {
        self.world.test_alerts(receiver).await
    }

    fn health(&self) -> Health {
        Health {
            alive: false,
            not_ready: vec!["no operator is running".to_owned()],
            refused: Vec::new(),
            engine_lost_since: None,
        }
    }

    fn metrics(&self) -> String {
        String::new()
    }
}
