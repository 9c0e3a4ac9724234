//! What can be looked into while a Mooring runs.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

use crate::{
    manifest::Key,
    observe::gauges::Measured,
    secret::mask::Mask,
    view::{
        AuditView,
        insight::{CorrectionView, LineView, LogQuery, ModelView, PendingView, ProxyView, RunView, SecretView, VerifiedView},
    },
};

/// What was said when nothing runs that could be looked into.
const NOBODY: &str = "no operator is running";

/// What can be looked into. Where no operator runs, there is nothing.
#[async_trait]
pub trait Insight: Send + Sync {
    /// What takes the secrets that are known out of a text.
    fn mask(&self) -> Mask {
        Mask::default()
    }

    /// Measures once what is used of the host, for [`Insight::gauges`].
    async fn measure(&self) {}

    /// What was used of the host and by each container in the last hour.
    fn gauges(&self) -> Measured {
        Measured::default()
    }

    /// The containers of all objects.
    async fn runs(&self) -> Result<Vec<RunView>, String> {
        Err(NOBODY.to_owned())
    }

    /// What the container of an object has written, oldest first, without the secrets that are known.
    async fn log(&self, _key: &Key, _query: &LogQuery) -> Result<BoxStream<'static, Result<LineView, String>>, String> {
        Ok(stream::empty().boxed())
    }

    /// The secrets of all `Environment`s, without their values.
    async fn secrets(&self) -> Vec<SecretView> {
        Vec::new()
    }

    /// Which models answer.
    async fn models(&self) -> Vec<ModelView> {
        Vec::new()
    }

    /// The proxies and where their routes lead.
    async fn proxies(&self) -> Vec<ProxyView> {
        Vec::new()
    }

    /// What is still to be done with each object, as its last pass has found. Objects with which there is nothing are left out.
    fn pending(&self) -> BTreeMap<Key, PendingView> {
        BTreeMap::new()
    }

    /// The objects that were put right since the start, oldest first.
    fn corrections(&self) -> Vec<CorrectionView> {
        Vec::new()
    }

    /// The last steps that were taken without anybody having asked for them, oldest first: so many at most.
    async fn healed(&self, _limit: usize) -> Result<Vec<AuditView>, String> {
        Ok(Vec::new())
    }

    /// Whether the audit log is what was written. It may take seconds.
    async fn verify_audit(&self) -> Result<VerifiedView, String> {
        Err(NOBODY.to_owned())
    }
}
