//! What models may cost.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::Tokens;
use crate::{manifest::model_provider::Provider, view::Answering};

/// Whoever knows what may be spent.
#[async_trait]
pub trait Spend: Send + Sync + 'static {
    /// Whether this model may be asked by this actor now. An `Err` says why not, in words for a person.
    async fn may(&self, actor: &str, answering: &Answering) -> Result<(), String>;

    /// An answer took so many tokens.
    async fn spent(&self, actor: &str, answering: &Answering, tokens: Tokens);
}

/// So much is a few hundred questions, which nobody asks by hand.
const A_DAY: u64 = 500_000;
const DAY: Duration = Duration::from_hours(24);

/// So many tokens of models that cost money in a day. It is not written down: a restart begins a new day.
#[derive(Debug)]
pub struct DailyTokens {
    limit: u64,
    today: Mutex<Option<(Instant, u64)>>,
}

impl Default for DailyTokens {
    fn default() -> Self {
        Self::new(A_DAY)
    }
}

impl DailyTokens {
    /// So many in a day.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, today: Mutex::default() }
    }

    fn used(&self) -> u64 {
        let today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        today.filter(|(since, _)| since.elapsed() < DAY).map_or(0, |(_, used)| used)
    }
}

#[async_trait]
impl Spend for DailyTokens {
    async fn may(&self, _: &str, answering: &Answering) -> Result<(), String> {
        // A model of one's own costs nothing.
        if answering.provider == Provider::Ollama || self.used() < self.limit {
            return Ok(());
        }
        Err(format!("{} tokens were used within a day, and that is the limit", self.used()))
    }

    async fn spent(&self, _: &str, answering: &Answering, tokens: Tokens) {
        if answering.provider == Provider::Ollama {
            return;
        }
        let used = self.used() + tokens.input + tokens.output;
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let since = today.map(|(since, _)| since).filter(|since| since.elapsed() < DAY);
        *today = Some((since.unwrap_or_else(Instant::now), used));
    }
}
