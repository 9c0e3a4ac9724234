//! Sentences, and the intents that they mean.

use std::time::Duration;

use jiff::Timestamp;
use mooring::{
    admin::{
        intent::{Service, Understood, Vocabulary, parse},
        model::{
            Models,
            background::Known,
            proposal::{self, Proposal},
        },
    },
    manifest::model_provider::Provider,
    secret::Secret,
    view::Answering,
};

use crate::{Question, questions, recorded};

pub const MODEL: &str = include_str!("model.txt");

/// A Saturday.
pub fn now() -> Timestamp {
    "2026-11-21T14:30:00Z".parse().unwrap()
}

/// The stack of builtin.txt.
pub fn vocabulary() -> Vocabulary {
    let services = [
        ("postgres", "postgres:16-alpine"),
        ("hasura", "hasura/graphql-engine:v2.44.0"),
        ("auth", "nhost/hasura-auth:0.36.0"),
        ("redis", "redis:7"),
        ("nginx", "nginx:alpine"),
        ("minio", "minio/minio:latest"),
        ("mailpit", "axllent/mailpit"),
        ("ollama", "ollama/ollama"),
        ("claw", "nself/claw:1"),
        ("worker-mail", "worker:dev"),
        ("worker-video", "worker:dev"),
        ("postgres-exporter", "prometheuscommunity/postgres-exporter"),
    ];
    let service =
        |(name, image): (&str, &str)| Service { name: name.to_owned(), image: Some(image.to_owned()), ..Service::default() };
    Vocabulary::new(services.map(service), ["LOG_LEVEL".to_owned(), "DEBUG".to_owned()], [])
}

/// This provider at this address.
pub fn answering(provider: Provider, url: &str) -> Answering {
    let (model, key) = match provider {
        Provider::Openai => ("gpt-4o-mini", Some("sk-test-0123456789")),
        Provider::Anthropic => ("claude-3-5-haiku", Some("sk-ant-0123456789")),
        Provider::Ollama => ("gemma3:4b", None),
    };
    Answering {
        provider,
        model: model.to_owned(),
        reason: "a test says so".to_owned(),
        url: Some(Secret::new(url.to_owned())),
        key: key.map(|key| Secret::new(key.to_owned())),
    }
}

/// What becomes of a sentence by way of this model.
pub async fn meant(models: &Models, answering: &Answering, said: &str) -> String {
    let vocabulary = vocabulary();
    let request = proposal::request(said, &Known::default(), &vocabulary, now());
    let reply = match models.ask("session:test", answering, &request).await {
        Ok(reply) => reply,
        Err(error) => return format!("none: {error}"),
    };
    match proposal::read(&reply.text, &vocabulary, now()) {
        Ok(Proposal::Meant(Understood::Intent(intent))) => intent.to_string(),
        Ok(Proposal::Meant(Understood::Ambiguous { .. })) => "asks".to_owned(),
        Ok(Proposal::Meant(other)) => other.to_string(),
        Ok(Proposal::Talk(text)) => format!("says: {text}"),
        Err(error) => format!("none: {error}"),
    }
}

#[test]
fn the_grammar_leaves_every_sentence_to_a_model_and_each_provider_makes_the_same_of_it() {
    let sentences = questions(MODEL);
    assert!(sentences.len() >= 100, "only {} sentences", sentences.len());
    let known: Vec<String> = sentences
        .iter()
        .map(|Question { asked, .. }| (asked, parse(asked, &vocabulary(), now())))
        .filter(|(_, understood)| *understood != Understood::Unknown)
        .map(|(asked, understood)| format!("{asked} => {understood}"))
        .collect();
    let fake = recorded();
    let models = Models::default().with_patience(Duration::from_secs(20));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut wrong = Vec::new();
    for provider in [Provider::Openai, Provider::Anthropic, Provider::Ollama] {
        let answering = answering(provider, &fake.url);
        for Question { asked, right, .. } in &sentences {
            let meant = runtime.block_on(meant(&models, &answering, asked));
            if meant != *right {
                wrong.push(format!("{provider:?}: {asked}\n  right: {right}\n  meant: {meant}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(known.is_empty(), "these need no model:\n{}", known.join("\n"));
}
