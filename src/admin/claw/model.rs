//! What is kept, as models come by it: the persona in force and the facts about the host before a question, and the budget
//! that it is taken from.

use std::sync::Arc;

use async_trait::async_trait;

use super::{budget, talk};
use crate::{
    admin::{
        desk::Speaker,
        model::{
            Message, Tokens,
            background::{Background, Known, Recent},
            spend::Spend,
        },
        store::Store,
    },
    manifest::model_provider::Provider,
    operator::Operator,
    view::Answering,
};

/// What is kept in the backend manager's database, and the last lines of each conversation.
pub struct Kept {
    store: Store,
    operator: Arc<dyn Operator>,
    recent: Recent,
}

impl Kept {
    /// In this database.
    #[must_use]
    pub fn new(store: Store, operator: Arc<dyn Operator>) -> Self {
        Self { store, operator, recent: Recent::default() }
    }
}

#[async_trait]
impl Background for Kept {
    async fn of(&self, speaker: &Speaker) -> Known {
        let known = self.recent.of(speaker).await;
        match talk::told(&self.store).await {
            Ok(told) => Known { persona: told.persona, facts: told.facts, ..known },
            Err(error) => {
                // A question can be asked without them.
                tracing::warn!(error = crate::error_chain(&error), "persona and facts could not be read");
                known
            }
        }
    }

    async fn said(&self, speaker: &Speaker, message: Message) {
        self.recent.said(speaker, message).await;
    }
}

#[async_trait]
impl Spend for Kept {
    async fn may(&self, _: &str, answering: &Answering) -> Result<(), String> {
        // A model of one's own costs nothing.
        if answering.provider == Provider::Ollama {
            return Ok(());
        }
        let may = budget::may_spend(&self.store, answering.provider.as_str(), &answering.model, self.operator.now()).await;
        may.map_err(|refused| crate::error_chain(&refused))
    }

    async fn spent(&self, _: &str, answering: &Answering, tokens: Tokens) {
        let model = (answering.provider.as_str(), answering.model.as_str());
        let spent = budget::spent(&self.store, model, (tokens.input, tokens.output), self.operator.now()).await;
        if let Err(error) = spent {
            tracing::error!(error = crate::error_chain(&error), "what a question took could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::claw::budget::{Budget, set},
        http::fake::Fake,
    };

    fn answering(provider: Provider) -> Answering {
        let (model, reason) = ("small".to_owned(), String::new());
        Answering { provider, model, reason, url: None, key: None }
    }

    #[tokio::test]
    async fn what_is_used_up_is_not_asked_any_more_and_a_model_of_ones_own_is() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open(state.path()).await.unwrap();
        let kept = Kept::new(store.clone(), Arc::new(Fake::default()));
        set(&store, &Budget { daily_tokens: Some(100), ..Budget::default() }).await.unwrap();
        let cloud = answering(Provider::Openai);
        assert_eq!(kept.may("ada", &cloud).await, Ok(()));
        kept.spent("ada", &cloud, Tokens { input: 90, output: 20 }).await;
        let refused = kept.may("ada", &cloud).await.unwrap_err();
        assert!(refused.contains("tokens for today is used up"), "{refused}");
        assert_eq!(kept.may("ada", &answering(Provider::Ollama)).await, Ok(()));
    }
}
