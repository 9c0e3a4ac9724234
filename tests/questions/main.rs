//! Two hundred questions in words, by the whole path that they take: the grammar that does not know them, the prompt, the wire
//! format of each provider, the reading of the reply, the lookup of names; or the tables of a real PostgreSQL, the guard, the
//! runner, and the rows.
//!
//! The replies are ours, written down beside the questions, and a fake sends them in the envelopes of the three providers.
//! What this measures is the path, not a model. `make bench-questions` does the same, and asks the real models besides whose keys it
//! finds in its environment.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

mod database;
#[expect(dead_code, reason = "it is made for more than is needed here")]
#[path = "../engine/host.rs"]
mod host;
#[expect(dead_code, reason = "it is made for more than is needed here")]
#[path = "../support/provider.rs"]
mod provider;
mod report;
mod sentences;

use serde_json::Value;

/// A question, what a model says to it in our words, and what is right.
struct Question {
    /// As somebody asks.
    asked: &'static str,
    /// What a model says.
    reply: &'static str,
    /// What is to become of it.
    right: String,
}

/// The questions of a file: three lines each, and an empty one between them.
fn questions(text: &'static str) -> Vec<Question> {
    let lines = text.split("\n\n").map(|block| block.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>());
    let question = |lines: Vec<&'static str>| match lines.as_slice() {
        [] => None,
        [asked, reply, right] => Some(Question { asked, reply, right: right.replace("\\n", "\n") }),
        other => panic!("a question has three lines: {other:?}"),
    };
    lines.filter_map(question).collect()
}

/// Says what is written down as a model's reply to the sentence or question that somebody asks about.
fn recorded() -> provider::Provider {
    let sentences = questions(sentences::MODEL);
    let databases = [questions(database::SHOP), questions(database::LARGER)].into_iter().flatten().collect::<Vec<_>>();
    provider::Provider::new(move |asked| {
        let message = asked.message();
        let find = |questions: &[Question], key: &str| {
            let text = message[key].as_str()?;
            questions.iter().find(|question| question.asked == text).map(|question| question.reply)
        };
        let sql = |sql: &str| serde_json::json!({"sql": sql, "explanation": "It is what was asked for."}).to_string();
        let text = find(&sentences, "said").map(str::to_owned).or_else(|| find(&databases, "question").map(sql));
        let text = text.unwrap_or_else(|| Value::Null.to_string());
        provider::Act::ok(&provider::envelope(asked, &text))
    })
}
