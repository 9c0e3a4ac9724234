//! How many of the questions each provider gets right.

use std::{env, time::Instant};

use mooring::{admin::model::Models, manifest::model_provider::Provider, secret::Secret, view::Answering};

use crate::{
    Question,
    database::{LARGER, Place, SHOP, is_right},
    questions, recorded,
    sentences::{MODEL, answering, meant},
};

/// A model to be measured: its name in the table, and how it is reached.
struct Measured {
    title: String,
    answering: Answering,
}

/// The recorded replies in the three envelopes, and what the environment has keys or addresses for.
fn measured(fake: &str) -> Vec<Measured> {
    let all = [Provider::Openai, Provider::Anthropic, Provider::Ollama];
    let mut measured: Vec<Measured> = all
        .map(|provider| Measured { title: format!("recorded, as {}", provider.as_str()), answering: answering(provider, fake) })
        .into();
    for (provider, key, url, model) in [
        (Provider::Openai, "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"),
        (Provider::Anthropic, "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"),
        (Provider::Ollama, "OLLAMA_URL", "OLLAMA_URL", "OLLAMA_MODEL"),
    ] {
        let Ok(value) = env::var(key) else { continue };
        let mut answering = answering(provider, "");
        answering.url = env::var(url).ok().map(Secret::new);
        answering.key = (provider != Provider::Ollama).then(|| Secret::new(value));
        answering.model = env::var(model).unwrap_or(answering.model);
        measured.push(Measured { title: format!("{}/{}, live", provider.as_str(), answering.model), answering });
    }
    measured
}

#[test]
#[ignore = "`make bench-questions` runs it, and shows what it prints"]
fn how_many_questions_each_provider_gets_right() {
    let fake = recorded();
    let place = Place::open();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let most = env::var("MOORING_QUESTIONS").ok().and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
    println!("{:<40} {:>12} {:>12} {:>10}", "", "intents", "rows", "time");
    for Measured { title, answering } in measured(&fake.url) {
        let begun = Instant::now();
        let models = Models::default();
        let sentences: Vec<Question> = questions(MODEL).into_iter().take(most).collect();
        let intents = sentences.iter().filter(|question| {
            let meant = runtime.block_on(meant(&models, &answering, question.asked));
            // Talk is right in whichever words, and so is the question that is handed on.
            let same = |begin: &str| question.right.starts_with(begin) && meant.starts_with(begin);
            meant == question.right || same("says: ") || same("ask the database: ") || same("change the database: ")
        });
        let intents = intents.count();
        let url = answering.url.as_ref().map_or("", Secret::expose).to_owned();
        let key = answering.key.as_ref().map_or("", Secret::expose).to_owned();
        let model = answering.model.as_str();
        place.provide(&url, model, model, model);
        let (mut right, mut all) = (0, 0);
        for (database, text) in [("shop", SHOP), ("larger", LARGER)] {
            let more = match answering.provider {
                Provider::Openai => format!("OPENAI_API_KEY={key}\nOPENAI_BASE_URL={url}\n"),
                Provider::Anthropic => format!("ANTHROPIC_API_KEY={key}\nANTHROPIC_BASE_URL={url}\n"),
                Provider::Ollama => String::new(),
            };
            place.configure(database, &more);
            place.answers(answering.provider, if answering.provider == Provider::Ollama { &url } else { "" });
            let chat = place.chat();
            for question in questions(text).into_iter().take(most) {
                all += 1;
                let parts = place.say(&chat, &format!("ask the database: {}", question.asked));
                right += usize::from(is_right(&parts, &question.right));
            }
        }
        let score = |right: usize, all: usize| format!("{right} of {all}");
        let time = format!("{:.1} s", begun.elapsed().as_secs_f32());
        println!("{title:<40} {:>12} {:>12} {time:>10}", score(intents, sentences.len()), score(right, all));
    }
}
