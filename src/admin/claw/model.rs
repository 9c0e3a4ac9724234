//! What is kept, as models come by it: the persona in force and the facts about the host before a question, and the budget
//! that it is taken from.

use std::sync::Arc;

use async_trait::async_trait;

use super::{budget, shelf::Shelf, talk};
use crate::{
    admin::{
        desk::Speaker,
        model::{
            Message, Tokens,
            background::{Background, Known, Recent},
            spend::Spend,
        },
    },
    manifest::model_provider::Provider,
    operator::Operator,
    view::Answering,
};

/// What is kept on a shelf, and the last lines of each conversation.
pub struct Kept {
    shelf: Shelf,
    operator: Arc<dyn Operator>,
    recent: Recent,
}

impl Kept {
    /// On this shelf.
    #[must_use]
    pub fn new(shelf: Shelf, operator: Arc<dyn Operator>) -> Self {
        Self { shelf, operator, recent: Recent::default() }
    }
}

#[async_trait]
impl Background for Kept {
    async fn of(&self, speaker: &Speaker, persona: Option<&str>) -> Known {
        let known = self.recent.of(speaker, persona).await;
        match talk::told(&self.shelf, persona).await {
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
        let may = budget::may_spend(&self.shelf, answering.provider.as_str(), &answering.model, self.operator.now()).await;
        may.map_err(|refused| crate::error_chain(&refused))
    }

    async fn spent(&self, _: &str, answering: &Answering, tokens: Tokens) {
        let model = (answering.provider.as_str(), answering.model.as_str());
        let spent = budget::spent(&self.shelf, model, (tokens.input, tokens.output), self.operator.now()).await;
        if let Err(error) = spent {
            tracing::error!(error = crate::error_chain(&error), "what a question took could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::claw::{
            budget::{Budget, set},
            personas::{self, NewPersona},
        },
        admin::store::Store,
        http::fake::Fake,
    };

    fn answering(provider: Provider) -> Answering {
        let (model, reason) = ("small".to_owned(), String::new());
        Answering { provider, model, reason, url: None, key: None }
    }

    #[tokio::test]
    async fn what_is_used_up_is_not_asked_any_more_and_a_model_of_ones_own_is() {
        let state = tempfile::tempdir().unwrap();
        let shelf = Shelf::from(&Store::open(state.path()).await.unwrap());
        let kept = Kept::new(shelf.clone(), Arc::new(Fake::default()));
        set(&shelf, &Budget { daily_tokens: Some(100), ..Budget::default() }).await.unwrap();
        let cloud = answering(Provider::Openai);
        assert_eq!(kept.may("ada", &cloud).await, Ok(()));
        kept.spent("ada", &cloud, Tokens { input: 90, output: 20 }).await;
        let refused = kept.may("ada", &cloud).await.unwrap_err();
        assert!(refused.contains("tokens for today is used up"), "{refused}");
        assert_eq!(kept.may("ada", &answering(Provider::Ollama)).await, Ok(()));
    }

    #[tokio::test]
    async fn a_model_speaks_as_the_persona_that_is_asked_for_and_else_as_the_usual_one() {
        let state = tempfile::tempdir().unwrap();
        let shelf = Shelf::from(&Store::open(state.path()).await.unwrap());
        let kept = Kept::new(shelf.clone(), Arc::new(Fake::default()));
        let ada = Speaker { session: "ada".to_owned(), actor: "session:ada".to_owned() };
        let known = async |id: Option<&str>| kept.of(&ada, id).await.persona;
        assert_eq!(known(None).await, None);
        let new = |name: &str, is_default| NewPersona { name: name.to_owned(), prompt: format!("Be {name}."), is_default };
        let now = kept.operator.now();
        let pirate = personas::add(&shelf, &new("a pirate", false), now).await.unwrap();
        personas::add(&shelf, &new("short", true), now).await.unwrap();
        assert_eq!(known(Some(&pirate.id)).await.as_deref(), Some("Be a pirate."));
        assert_eq!(known(None).await.as_deref(), Some("Be short."), "as for the steps of playbooks");
    }
}
