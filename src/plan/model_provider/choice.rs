//! Which model answers: the first provider that has its key.

use std::fmt;

use serde::Serialize;

use crate::{
    dotenv::{Values, is_placeholder},
    manifest::model_provider::{Provider, Variables},
    secret::Secret,
};

/// How the choice is made, from one manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chooser {
    /// The providers, the most wanted one first.
    pub order: Vec<Provider>,
    /// The model to ask `OpenAI` for.
    pub openai_model: String,
    /// The model to ask Anthropic for.
    pub anthropic_model: String,
    /// The local model, unless `OLLAMA_MODEL` names another.
    pub ollama_model: String,
    /// What the choice is written to.
    pub variables: Variables,
}

/// Which model answers, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Who answers.
    pub provider: Provider,
    /// With which model.
    pub model: String,
    /// The variable that decided it; none when no key is set.
    pub variable: Option<&'static str>,
}

impl Chooser {
    /// The choice that the values of a cascade lead to.
    ///
    /// A key that is empty is none; one that was never filled in would only lead to a provider that refuses us.
    #[must_use]
    pub fn choose(&self, values: &Values) -> Choice {
        let value = |provider: Provider| values.get(provider.variable()).map(|value| value.expose().trim());
        let is_set = |provider: &Provider| value(*provider).is_some_and(|value| !value.is_empty() && !is_placeholder(value));
        let chosen = self.order.iter().copied().find(is_set);
        let provider = chosen.unwrap_or(Provider::Ollama);
        let model = match (provider, chosen) {
            (Provider::Openai, _) => self.openai_model.clone(),
            (Provider::Anthropic, _) => self.anthropic_model.clone(),
            (Provider::Ollama, Some(_)) => value(provider).unwrap_or(&self.ollama_model).to_owned(),
            (Provider::Ollama, None) => self.ollama_model.clone(),
        };
        Choice { provider, model, variable: chosen.map(Provider::variable) }
    }

    /// What goes into the computed file of the environment.
    pub fn assignments(&self, values: &Values) -> impl Iterator<Item = (String, Secret)> + use<> {
        let choice = self.choose(values);
        let Variables { provider, model, reason } = self.variables.clone();
        [(provider, choice.provider.as_str().to_owned()), (model, choice.to_string()), (reason, choice.reason())]
            .into_iter()
            .map(|(variable, value)| (variable, Secret::new(value)))
    }
}

impl Choice {
    /// Why it is this one, as in `OPENAI_API_KEY is set`.
    #[must_use]
    pub fn reason(&self) -> String {
        self.variable.map_or_else(|| "no key is set".to_owned(), |variable| format!("{variable} is set"))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider.as_str(), self.model)
    }
}
