//! The three wire formats, against a fake that says what real providers say, and what they do not.

use std::time::Instant;

use serde_json::json;

use super::*;

#[expect(unreachable_pub, reason = "test targets share it, and see it as theirs")]
#[path = "../../../tests/support/provider.rs"]
pub(crate) mod provider;

use provider::{Act, Provider as Fake};

const KEY: &str = "sk-test-0123456789abcdef";
const ALL: [Provider; 3] = [Provider::Openai, Provider::Anthropic, Provider::Ollama];

pub(crate) fn answering(provider: Provider, url: &str) -> Answering {
    Answering {
        provider,
        model: "some-model".to_owned(),
        reason: "a test says so".to_owned(),
        url: Some(Secret::new(url.to_owned())),
        key: (provider != Provider::Ollama).then(|| Secret::new(KEY.to_owned())),
    }
}

fn request() -> Request {
    let message = |by, text: &str| Message { by, text: text.to_owned() };
    Request {
        system: "be brief".to_owned(),
        messages: vec![message(By::Person, "hi"), message(By::Model, "hello"), message(By::Person, "what?")],
        name: "shape",
        schema: json!({"type": "object"}),
        max_tokens: 100,
    }
}

async fn ask(provider: Provider, fake: &Fake) -> Result<Reply, Error> {
    let models = Models::default().with_patience(Duration::from_secs(8));
    models.ask("session:x", &answering(provider, &fake.url), &request()).await
}

fn refusal(status: u16, body: &Value) -> Act {
    Act::Say(status, &[], body.to_string())
}

#[tokio::test]
async fn each_provider_is_asked_in_its_own_way_and_says_the_same() {
    for provider in ALL {
        let fake = Fake::new(|asked| Act::ok(&provider::envelope(asked, "{\"a\":1}")));
        let reply = ask(provider, &fake).await.unwrap();
        assert_eq!(reply, Reply { text: "{\"a\":1}".to_owned(), tokens: Tokens { input: 812, output: 20 } });
        let asked = fake.asked().remove(0);
        let (head, body) = (asked.head.to_lowercase(), asked.body);
        let said = json!([
            {"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"}, {"role": "user", "content": "what?"},
        ]);
        match provider {
            Provider::Openai => {
                assert!(
                    head.starts_with("post /chat/completions ") && head.contains(&format!("authorization: bearer {KEY}\r\n"))
                );
                let format = json!({"type": "json_schema", "json_schema": {"name": "shape", "strict": true, "schema": {"type": "object"}}});
                let expected =
                    json!({"model": "some-model", "messages": said, "max_completion_tokens": 100, "response_format": format});
                assert_eq!(body, expected);
            }
            Provider::Anthropic => {
                assert!(head.starts_with("post /v1/messages ") && head.contains(&format!("x-api-key: {KEY}\r\n")));
                assert!(head.contains("anthropic-version: 2026-10-21\r\n") && !head.contains("authorization"));
                let expected = json!({
                    "model": "some-model", "max_tokens": 100, "system": "be brief", "messages": said.as_array().unwrap()[1..],
                    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
                });
                assert_eq!(body, expected, "nothing of sampling in it");
            }
            Provider::Ollama => {
                assert!(head.starts_with("post /api/chat ") && !head.contains("sk-test"));
                assert_eq!(
                    (&body["messages"], &body["format"], &body["stream"]),
                    (&said, &json!({"type": "object"}), &json!(false))
                );
            }
        }
    }
}

#[tokio::test]
async fn an_address_may_have_a_path_and_the_version_or_not() {
    let fake = Fake::new(|asked| Act::ok(&provider::envelope(asked, "{}")));
    let paths = [
        (Provider::Openai, "/v1", "/v1/chat/completions"),
        (Provider::Openai, "/proxy/v1/", "/proxy/v1/chat/completions"),
        (Provider::Anthropic, "", "/v1/messages"),
        (Provider::Anthropic, "/v1/", "/v1/messages"),
        (Provider::Ollama, "/", "/api/chat"),
    ];
    for (provider, base, path) in paths {
        let models = Models::default();
        models.ask("x", &answering(provider, &format!("{}{base}", fake.url)), &request()).await.unwrap();
        assert_eq!(fake.asked().last().unwrap().head.split_whitespace().nth(1), Some(path));
    }
    let error = Models::default().ask("x", &answering(Provider::Openai, "https://user:pass@host"), &request()).await.unwrap_err();
    assert_eq!(error.to_string(), "the URL of openai cannot be used");
    let keyless = Answering { key: None, ..answering(Provider::Anthropic, &fake.url) };
    let error = Models::default().ask("x", &keyless, &request()).await.unwrap_err();
    assert_eq!(error.to_string(), "ANTHROPIC_API_KEY is not set");
}

#[tokio::test]
async fn an_answer_that_is_none_is_said_to_be_none() {
    let without = |pointer: &str, mut body: Value, value: Value| {
        *body.pointer_mut(pointer).unwrap() = value;
        Act::ok(&body)
    };
    let (declined, cut) = ("it does not want to answer that", "its answer was cut off");
    let none = "its answer cannot be read:";
    let odd = [
        (
            Provider::Openai,
            without("/choices/0/message/refusal", provider::openai("{}"), json!("I can't help with that.")),
            declined,
        ),
        (Provider::Openai, without("/choices/0/finish_reason", provider::openai("{}"), json!("content_filter")), declined),
        (Provider::Openai, without("/choices/0/finish_reason", provider::openai("{\"a"), json!("length")), cut),
        (Provider::Openai, without("/choices/0/message/content", provider::openai(""), Value::Null), none),
        (Provider::Openai, without("/choices", provider::openai(""), json!([])), none),
        (Provider::Anthropic, without("/stop_reason", provider::anthropic(""), json!("refusal")), declined),
        (Provider::Anthropic, without("/stop_reason", provider::anthropic("{"), json!("max_tokens")), cut),
        (Provider::Anthropic, without("/stop_reason", provider::anthropic("{"), json!("model_context_window_exceeded")), cut),
        (Provider::Anthropic, without("/content", provider::anthropic(""), json!([])), none),
        (Provider::Anthropic, without("/content", provider::anthropic(""), json!("text")), none),
        (Provider::Ollama, without("/done_reason", provider::ollama("{"), json!("length")), cut),
        (Provider::Ollama, without("/done", provider::ollama("{"), json!(false)), cut),
        (Provider::Ollama, Act::ok(&json!({"error": "invalid format"})), none),
        (Provider::Ollama, Act::Say(200, &[], "<html>".to_owned()), none),
        (Provider::Openai, Act::Say(200, &[], format!("\"{}\"", "x".repeat(LONGEST_ANSWER))), none),
    ];
    for (provider, act, expected) in odd {
        let fake = Fake::of(vec![act.clone()]);
        let error = ask(provider, &fake).await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{act:?}: {error}");
        assert_eq!(fake.asked().len(), 1, "the same again would be the same: {act:?}");
    }
}

#[tokio::test]
async fn a_server_that_has_too_much_to_do_is_asked_again_when_it_wants_to_be() {
    let busy = |status: u16| Act::Say(status, &[("retry-after", "1")], json!({"error": {"message": "slow down"}}).to_string());
    for (provider, status) in [(Provider::Openai, 429), (Provider::Anthropic, 529), (Provider::Ollama, 503)] {
        let fake = Fake::new({
            let count = std::sync::atomic::AtomicUsize::new(0);
            move |asked| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => busy(status),
                _ => Act::ok(&provider::envelope(asked, "{}")),
            }
        });
        let begun = Instant::now();
        ask(provider, &fake).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1) && fake.asked().len() == 2);
    }
    let millis = Act::Say(408, &[("retry-after-ms", "10"), ("retry-after", "60")], "{}".to_owned());
    let fake = Fake::of(vec![millis]);
    let error = ask(Provider::Openai, &fake).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), fake.asked().len()), ("its server says no (408): it gives no reason", 3));
    let long = Act::Say(429, &[("retry-after", "600")], "{}".to_owned());
    let fake = Fake::of(vec![long]);
    let error = ask(Provider::Anthropic, &fake).await.unwrap_err();
    let expected = "its server has too much to do (429), and wants to be asked again in 600 s";
    assert_eq!((error.to_string().as_str(), fake.asked().len()), (expected, 1));
}

#[tokio::test]
async fn what_would_be_refused_again_is_not_asked_again_and_no_key_is_repeated() {
    let quota = json!({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}});
    let key = json!({"type": "error", "error": {"type": "authentication_error", "message": format!("invalid x-api-key {KEY}")}, "request_id": "r"});
    let credit = json!({"type": "error", "error": {"type": "billing_error", "message": "Your credit balance is too low"}});
    let refusals = [
        (Provider::Openai, refusal(429, &quota), "the account at the provider has nothing left: You exceeded your current quota"),
        (
            Provider::Anthropic,
            refusal(402, &credit),
            "the account at the provider has nothing left: Your credit balance is too low",
        ),
        (Provider::Anthropic, refusal(401, &key), "its server says no (401): invalid x-api-key (…)"),
        (
            Provider::Ollama,
            refusal(404, &json!({"error": "model 'some-model' not found"})),
            "its server says no (404): model 'some-model' not found",
        ),
    ];
    for (provider, act, expected) in refusals {
        let fake = Fake::of(vec![act]);
        let error = ask(provider, &fake).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), fake.asked().len()), (expected, 1));
    }
}

#[tokio::test]
async fn an_older_model_of_anthropic_answers_by_a_tool() {
    let old = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "output_config: Extra inputs are not permitted"}});
    let mut answer = provider::anthropic("");
    answer["content"] =
        json!([{"type": "text", "text": ""}, {"type": "tool_use", "id": "t", "name": "shape", "input": {"a": 1}}]);
    answer["stop_reason"] = json!("tool_use");
    let fake = Fake::of(vec![refusal(400, &old), Act::ok(&answer)]);
    assert_eq!(ask(Provider::Anthropic, &fake).await.unwrap().text, "{\"a\":1}");
    let second = fake.asked().remove(1).body;
    assert_eq!(second["tool_choice"], json!({"type": "tool", "name": "shape"}));
    assert_eq!(second["tools"][0]["input_schema"], json!({"type": "object"}));
    assert!(second.get("output_config").is_none());
}

#[tokio::test]
async fn silence_garbage_and_half_an_answer_end_in_a_sentence_and_in_time() {
    for act in [Act::Garbage, Act::CutOff(provider::ollama("{}").to_string())] {
        let fake = Fake::of(vec![act.clone()]);
        let error = ask(Provider::Ollama, &fake).await.unwrap_err();
        assert!(matches!(&error, Error::Silent(_)) && fake.asked().len() == 3, "{act:?}: {error}");
    }
    let fake = Fake::of(vec![Act::Hang]);
    let models = Models::default().with_patience(Duration::from_millis(300));
    let error = models.ask("x", &answering(Provider::Openai, &fake.url), &request()).await.unwrap_err();
    assert_eq!(error.to_string(), "it has not answered for 1 s");
    let begun = Instant::now();
    while fake.hung_up() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the connection is still open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let nobody = answering(Provider::Ollama, "http://127.0.0.1:1");
    let error = Models::default().ask("x", &nobody, &request()).await.unwrap_err();
    assert!(error.to_string().starts_with("it cannot be reached: "), "{error}");
}

#[tokio::test]
async fn a_model_that_costs_money_is_asked_until_the_limit_and_ones_own_beyond_it() {
    let fake = Fake::new(|asked| Act::ok(&provider::envelope(asked, "{}")));
    let models = Models::new(Arc::new(DailyTokens::new(1000)));
    let ask = async |provider| models.ask("x", &answering(provider, &fake.url), &request()).await.map(|reply| reply.tokens.input);
    assert_eq!(ask(Provider::Openai).await, Ok(812));
    assert_eq!(ask(Provider::Anthropic).await, Ok(812), "the limit is seen once it is passed");
    let spent = "1664 tokens were used within a day, and that is the limit";
    assert_eq!(ask(Provider::Openai).await.unwrap_err().to_string(), spent);
    assert_eq!(ask(Provider::Ollama).await, Ok(812));
    assert_eq!(fake.asked().len(), 3);
}
