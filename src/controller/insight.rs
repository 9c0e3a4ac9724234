//! What can be looked into while the operator runs.

mod logs;
mod places;
mod secrets;

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::{
    Context,
    operator::list_audit,
    world::{World, lock, out_of_reach},
};
use crate::{
    manifest::{Key, Kind},
    observe::{
        engine::{self, Listed},
        gauges::{EVERY, Measured},
        snapshot::Snapshot,
    },
    operator::insight::Insight,
    plan::{
        Plan,
        container::{Health, State},
    },
    record::journal::Actor,
    secret::mask::Mask,
    view::{
        AuditQuery, AuditView,
        insight::{CorrectionView, LineView, LogQuery, ModelView, PendingView, ProxyView, RunView, SecretView, VerifiedView},
    },
};

/// Corrections that are kept in mind.
const CORRECTIONS: usize = 1000;

#[async_trait]
impl Insight for Context {
    fn mask(&self) -> Mask {
        Mask::new(&self.world.secret_values(None))
    }

    async fn measure(&self) {
        let settings = &self.world.settings;
        let paths = [Some(settings.state.clone()), Some(settings.desired.clone()), self.engine_root()];
        self.world.measure(paths.into_iter().flatten().collect()).await;
    }

    fn gauges(&self) -> Measured {
        self.world.gauges.read()
    }

    async fn runs(&self) -> Result<Vec<RunView>, String> {
        self.world.runs().await.map_err(|error| out_of_reach(&error))
    }

    async fn log(&self, key: &Key, query: &LogQuery) -> Result<BoxStream<'static, Result<LineView, String>>, String> {
        self.world.log(key, query).await
    }

    async fn secrets(&self) -> Vec<SecretView> {
        self.secrets_view().await
    }

    async fn models(&self) -> Vec<ModelView> {
        self.world.models_view().await
    }

    async fn proxies(&self) -> Vec<ProxyView> {
        self.world.proxies_view().await
    }

    fn pending(&self) -> BTreeMap<Key, PendingView> {
        lock(&self.noted.pending).clone()
    }

    fn corrections(&self) -> Vec<CorrectionView> {
        lock(&self.noted.corrections).iter().cloned().collect()
    }

    async fn healed(&self, limit: usize) -> Result<Vec<AuditView>, String> {
        let query = AuditQuery { actor: Some(Actor::Reconciler.to_string()), ..AuditQuery::newest(limit) };
        list_audit(&self.record.journal, &query).await
    }

    async fn verify_audit(&self) -> Result<VerifiedView, String> {
        let verified = self.record.journal.rows().verify(&[], &[], |_| {}).await.map_err(|error| crate::error_chain(&error))?;
        Ok(VerifiedView {
            rows: verified.rows,
            head: verified.head.map(|head| (head.id, head.hash)),
            unsealed: verified.unsealed,
            archive: verified.archive.map(|archive| archive.display().to_string()),
            fault: verified.fault.map(|fault| fault.to_string()),
        })
    }
}

impl Context {
    /// Keeps what is still to be done, for whoever looks.
    pub(super) fn note_pending(&self, key: &Key, plan: &Plan) {
        let words = |steps: &[crate::plan::Step]| steps.iter().map(|step| step.action.to_string()).collect();
        let pending = PendingView {
            steps: words(&plan.steps),
            withheld: words(&plan.withheld),
            wait: plan.wait.as_ref().map(ToString::to_string),
        };
        if pending == PendingView::default() {
            lock(&self.noted.pending).remove(key);
        } else {
            lock(&self.noted.pending).insert(key.clone(), pending);
        }
    }

    /// Keeps that an object is as declared again, for whoever looks.
    pub(super) fn note_correction(&self, key: &Key, took: std::time::Duration) {
        let took_millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut corrections = lock(&self.noted.corrections);
        corrections.push_back(CorrectionView { key: key.clone(), at: self.world.clock.now(), took_millis });
        let surplus = corrections.len().saturating_sub(CORRECTIONS);
        corrections.drain(..surplus);
    }
}

impl World {
    /// Measures once what is used.
    async fn measure(&self, paths: Vec<PathBuf>) {
        // A list of the last resync is as good as one of now.
        let not_before = Instant::now().checked_sub(EVERY).unwrap_or_else(Instant::now);
        let listed = match self.snapshot(not_before).await {
            Ok(snapshot) => Ok(snapshot.containers.values().map(|listed| (listed.clone(), self.owner_of(&listed.id))).collect()),
            Err(error) => Err(out_of_reach(&error)),
        };
        self.gauges.measure(&**self.snapshots.engine(), paths, listed, self.clock.now()).await;
    }

    /// The last list, if it is good enough to be looked at by a person.
    async fn seen(&self) -> Result<std::sync::Arc<Snapshot>, engine::Error> {
        let not_before = Instant::now().checked_sub(self.settings.resync).unwrap_or_else(Instant::now);
        self.snapshot(not_before).await
    }

    async fn runs(&self) -> Result<Vec<RunView>, engine::Error> {
        let snapshot = self.seen().await?;
        let mut runs = Vec::new();
        for key in self.reader.objects().into_keys() {
            if !matches!(key.kind, Kind::Container | Kind::ModelProvider) {
                continue;
            }
            for listed in self.listed_of(&key, &snapshot) {
                runs.push(self.run_view(&key, listed).await?);
            }
        }
        Ok(runs)
    }

    async fn run_view(&self, key: &Key, listed: &Listed) -> Result<RunView, engine::Error> {
        let inspected = self.snapshots.details_of(listed).await?;
        let is_running = listed.state == State::Running;
        Ok(RunView {
            key: key.clone(),
            id: listed.id.clone(),
            name: listed.name.clone(),
            state: word_of(&listed.state),
            is_running,
            health: health_of(listed.health),
            started_at: inspected.as_ref().and_then(|inspected| inspected.started_at).filter(|_| is_running),
            restarts: inspected.map(|inspected| inspected.restarts).unwrap_or_default(),
        })
    }
}

/// What a container does, in a word.
pub(super) fn word_of(state: &State) -> String {
    match state {
        State::Created => "never started".to_owned(),
        State::Running => "running".to_owned(),
        State::Paused => "paused".to_owned(),
        State::Restarting => "restarting".to_owned(),
        State::Removing => "being removed".to_owned(),
        State::Exited { exit_code, .. } => format!("exited with {exit_code}"),
        State::Dead => "half removed".to_owned(),
    }
}

fn health_of(health: Health) -> Option<&'static str> {
    match health {
        Health::None => None,
        Health::Starting => Some("starting"),
        Health::Healthy => Some("healthy"),
        Health::Unhealthy => Some("unhealthy"),
    }
}
