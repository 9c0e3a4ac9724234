//! What the grammar does not know, a model is asked about. What it proposes goes the way of a person's words.

use super::Talk;
use crate::{
    admin::{
        intent::{Understood, Vocabulary},
        model::{
            By, Error, Message, Reply, Request,
            background::Known,
            proposal::{self, Proposal},
        },
    },
    view::Answering,
};

/// What can be done without a model.
const WITHOUT: &str = "`help` says what I understand without one.";

impl Talk<'_> {
    /// Asks the model what this means. None when there is nothing to be done: then it has been said why.
    pub(super) async fn ask_model(&self, text: &str, vocabulary: &Vocabulary) -> Option<Understood> {
        let known = self.background.of(self.speaker, self.persona).await;
        let told = self.answer.1.said(text);
        self.remember(By::Person, told.clone()).await;
        let request = proposal::request(&told, &self.without_secrets(known), vocabulary, self.operator.now());
        let proposed = self.put(&request, "what that means").await?.and_then(|(model, reply)| {
            let proposal = proposal::read(&reply.text, vocabulary, self.operator.now());
            proposal.map(|proposal| (model, proposal))
        });
        match proposed {
            Ok((_, Proposal::Talk(text))) => {
                self.remember(By::Model, text.clone()).await;
                self.answer.text(text);
                None
            }
            Ok((model, Proposal::Meant(Understood::Unknown))) => {
                self.answer
                    .text(format!("I do not know what that means, and what {model} makes of it cannot be done. {WITHOUT}"));
                None
            }
            Ok((_, Proposal::Meant(understood))) => {
                if let Understood::Intent(intent) = &understood {
                    let sentence = intent.clone().masked().to_string();
                    self.answer.text(format!("I take that as: `{sentence}`"));
                    self.remember(By::Model, format!("I take that as: {sentence}")).await;
                }
                Some(understood)
            }
            Err(error) => {
                self.answer.text(format!("I do not know what that means, and no model could tell: {error}. {WITHOUT}"));
                None
            }
        }
    }

    /// What is known, as far as a model may know it.
    fn without_secrets(&self, known: Known) -> Known {
        let Known { persona, facts, said } = known;
        let told = |text: String| self.answer.1.said(&text);
        let said = said.into_iter().map(|Message { by, text }| Message { by, text: told(text) }).collect();
        Known { persona: persona.map(told), facts: facts.into_iter().map(told).collect(), said }
    }

    /// Whether a model can be told all of this; otherwise it is said why not.
    pub(super) fn may_be_told(&self, text: &str) -> bool {
        let may = self.answer.1.said(text) == text;
        if !may {
            self.answer.text(
                "Something in that may be a secret, and no model is told one. In SQL I take it as it stands, and ask nobody else.",
            );
        }
        may
    }

    /// Puts a question to the model that answers, and writes down that it was put. None when nobody waits any more.
    pub(super) async fn put(&self, request: &Request, about: &str) -> Option<Result<(String, Reply), Error>> {
        let answering = match self.operator.model() {
            Ok(answering) => answering,
            Err(why) => return Some(Err(Error::Unready(why))),
        };
        let Answering { provider, model, .. } = &answering;
        self.answer.part(super::Part::Progress { text: format!("asking {model} …") });
        let asked = tokio::select! {
            asked = self.models.ask(&self.speaker.actor, &answering, request) => asked,
            () = self.answer.0.closed() => return None,
        };
        let (took, error) = match &asked {
            Ok(Reply { tokens, .. }) => (format!(" ({} + {} tokens)", tokens.input, tokens.output), None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        let words = format!("ask {}/{model} {about}{took}", provider.as_str());
        self.operator.note(&self.speaker.actor, "AskModel", &words, error.as_deref()).await;
        Some(asked.map(|reply| (model.clone(), reply)).map_err(|error| match error {
            Error::Unready(why) | Error::Spent(why) => Error::Unready(why),
            other => Error::Unready(format!("{model}: {other}")),
        }))
    }
}
