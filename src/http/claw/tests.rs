//! The claw API over a real socket, with everybody's credentials and nobody's.

use serde_json::{Value, json};

use super::{
    super::{
        admin::tests::{Place, status, token},
        fake::Fake,
    },
    *,
};
use crate::admin::{claw::tokens, store::Store};

const JSON: &str = "Content-Type: application/json";
/// The moment that the operator of the tests takes for now.
const NOW: &str = "2026-01-02T03:04:05Z";

impl Place {
    /// A header with a token of this name.
    pub(in crate::http) async fn machine(&self, name: &str) -> String {
        let store = Store::open(self.state.path()).await.unwrap();
        let token = tokens::create(&store, name, NOW.parse().unwrap(), None).await.unwrap();
        self.tokens.lock().unwrap().push(token.expose().to_owned());
        format!("Authorization: Bearer {}", token.expose())
    }

    /// The status and the JSON that a request is answered with.
    async fn call(&self, method: &str, path: &str, who: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(method, path, &[who, JSON], &body).await;
        let code = status(&answer).split(' ').next().unwrap().parse().unwrap();
        (code, json_of(&answer))
    }

    async fn read(&self, path: &str, who: &str) -> Value {
        let (code, answer) = self.call("GET", path, who, &Value::Null).await;
        assert_eq!(code, 200, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, who: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, who, &body).await
    }
}

/// The body of an answer, which may come in chunks.
fn json_of(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or(Value::Null)
}

/// Every route that is described, with the names in its path filled in.
pub(in crate::http) fn described() -> Vec<(String, String)> {
    let document = api().finish().2;
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, methods)| {
        let path = path.replace("{id}", "0").replace("{name}", "nobody");
        methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    routes.collect()
}

fn is_open(path: &str) -> bool {
    path == "/api/openapi.json"
}

#[tokio::test]
async fn every_route_refuses_whoever_is_not_known_in_the_same_words() {
    let place = Place::new().await;
    let routes = described();
    assert!(routes.len() >= 35, "{routes:?}");
    let credentials = [
        "X-A: b",
        "Authorization: Basic Zm9vOmJhcg==",
        "Authorization: Bearer mct_0000000000000000000000000000000000000000000000000000000000000000",
        "X-Internal-Token: wrong",
        "Cookie: mooring-session=AAAAAAAAAAAAAAAAAAAAAA",
    ];
    let place = &place;
    let asked = routes.iter().filter(|(_, path)| !is_open(path)).enumerate().flat_map(|(number, (method, path))| {
        credentials.iter().map(move |who| async move {
            let from = format!("X-Forwarded-For: 192.0.2.{number}");
            (method, path, who, place.ask(method, path, &[who, &from, JSON], "{}").await)
        })
    });
    for (method, path, who, answer) in futures::future::join_all(asked).await {
        assert_eq!(status(&answer), "401 Unauthorized", "{method} {path} with {who}");
        assert_eq!(json_of(&answer)["error"]["code"], "unauthorized", "{answer}");
        assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
    }
    let noted = place.operator.noted.lock().unwrap().clone();
    assert!(noted.iter().all(|(actor, _, error)| actor == "token:none" && error.is_some()), "{noted:?}");
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked_or_expires_and_another_one_of_its_name_is_another_one() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    assert_eq!(place.read("/claw/threads", &who).await["items"], json!([]));
    let noted = place.operator.noted.lock().unwrap().last().cloned().unwrap();
    assert_eq!(noted, ("token:ci".to_owned(), "GET /claw/threads".to_owned(), None));

    let store = Store::open(place.state.path()).await.unwrap();
    assert_eq!(tokens::list(&store).await.unwrap()[0].last_used_at.as_deref(), Some(NOW));
    let (before, soon) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap());
    let expired = tokens::create(&store, "old", before, Some(soon)).await.unwrap();
    let expired = format!("Authorization: Bearer {}", expired.expose());
    assert_eq!(place.call("GET", "/claw/threads", &expired, &Value::Null).await.0, 401);
    assert!(tokens::revoke(&store, "ci").await.unwrap());
    assert_eq!(place.call("GET", "/claw/threads", &who, &Value::Null).await.0, 401);
    let other = place.machine("ci").await;
    assert_eq!(place.call("GET", "/claw/threads", &other, &Value::Null).await.0, 200);
    assert_eq!(place.call("GET", "/claw/threads", &who, &Value::Null).await.0, 401);
    assert!(!std::fs::read_dir(place.state.path()).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        String::from_utf8_lossy(&bytes).contains(other.rsplit(' ').next().unwrap())
    }));
}

#[tokio::test]
async fn whoever_guesses_has_to_wait_and_keeps_nobody_else_out() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let secret = "X-Internal-Token: the secret of plugins";
    assert_eq!(place.call("GET", "/claw/tools", secret, &Value::Null).await.0, 200);
    for _ in 0..5 {
        assert_eq!(place.call("GET", "/claw/tools", "X-Internal-Token: guess", &Value::Null).await.0, 401);
    }
    let answer = place.ask("GET", "/claw/tools", &[secret], "").await;
    assert!(
        status(&answer).starts_with("429") && answer.contains("retry-after: "),
        "a secret that can be guessed waits: {answer}"
    );
    assert_eq!(place.call("GET", "/claw/tools", &who, &Value::Null).await.0, 200, "a token cannot be guessed");
    let elsewhere = place.ask("GET", "/claw/tools", &[secret, "X-Forwarded-For: 192.0.2.9"], "").await;
    assert!(status(&elsewhere).starts_with("200"), "{elsewhere}");
    place.login().await;
    let noted = place.operator.noted.lock().unwrap().clone();
    assert_eq!(noted.iter().filter(|(actor, ..)| actor == "token:none").count(), 5);
    assert!(noted.iter().any(|(actor, words, _)| actor == "plugin:internal" && words == "GET /claw/tools"), "{noted:?}");
}

#[tokio::test]
async fn a_session_counts_and_changes_something_only_with_its_own_token_and_from_a_page_of_ours() {
    let place = Place::new().await;
    let session = place.login().await;
    let csrf = format!("X-CSRF-Token: {}", token(&place.get("/admin/chat", &session).await));
    assert_eq!(place.read("/claw/memories", &session).await["items"], json!([]));
    let body = json!({"content": "the disk is slow"}).to_string();
    let post = async |headers: &[&str]| status(&place.ask("POST", "/claw/memories", headers, &body).await)[..3].to_owned();
    assert_eq!(post(&[&session, JSON]).await, "403");
    assert_eq!(post(&[&session, JSON, "X-CSRF-Token: guess"]).await, "403");
    let other = place.login().await;
    assert_eq!(post(&[&other, JSON, &csrf]).await, "403", "another session's token");
    for forged in ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example"] {
        assert_eq!(post(&[&session, JSON, &csrf, forged]).await, "403", "{forged}");
    }
    assert_eq!(post(&[&session, JSON, &csrf]).await, "201");
    let wrong = place.ask("GET", "/claw/memories", &[&session, "Authorization: Bearer nobody"], "").await;
    assert!(status(&wrong).starts_with("401"), "a wrong token is not mended by a cookie");
}

#[tokio::test]
async fn by_another_name_nobody_is_answered_token_or_not() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    for path in ["/claw/threads", "/api/openapi.json"] {
        let answer = place.ask("GET", path, &[&who, "Host: evil.example"], "").await;
        assert!(status(&answer).starts_with("421"), "{answer}");
        assert_eq!(json_of(&answer)["error"]["code"], "misdirected", "{answer}");
    }
}

#[tokio::test]
async fn what_is_described_is_what_is_there() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let routes = described();
    for (_, path) in &routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let (code, answer) = place.call(method, path, &who, &json!({})).await;
            let reason = &answer["error"]["code"];
            if routes.contains(&(method.to_owned(), path.clone())) {
                assert!(code != 405 && reason != "no_route", "{method} {path}: {code} {answer}");
            } else {
                assert_eq!((code, reason), (405, &json!("no_method")), "{method} {path}");
            }
        }
    }
    for path in ["/claw/nothing", "/claw/threads/a/b", "/claw/admin/nothing"] {
        let (code, answer) = place.call("GET", path, &who, &Value::Null).await;
        assert_eq!((code, &answer["error"]["code"]), (404, &json!("no_route")), "{path}");
    }
}

#[tokio::test]
async fn the_description_is_for_everybody_and_refers_to_nothing_that_is_not_in_it() {
    let place = Place::new().await;
    let document = place.read("/api/openapi.json", "X-A: b").await;
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    assert!(text.contains("#/components/schemas/") && !text.contains("#/$defs/"), "{text}");
    let ids = document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let mut ids: Vec<&str> = ids.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "every operation has an id of its own");
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        jsonschema::draft202012::meta::validate(schema).unwrap();
    }
}

#[tokio::test]
async fn what_is_said_is_answered_kept_and_its_owners_alone() {
    let mut place = Place::new().await;
    let (who, other) = (place.machine("ci").await, place.machine("cd").await);
    let (code, answer) = place.post("/claw/message", &who, json!({"message": "is web running?"})).await;
    assert_eq!(code, 200, "{answer}");
    assert!(answer["text"].as_str().unwrap().contains("it exited with 137"), "{answer}");
    let id = answer["thread_id"].as_str().unwrap().to_owned();
    let (_, again) = place.post("/claw/message", &who, json!({"message": "plan", "thread_id": id})).await;
    assert_eq!(again["thread_id"], json!(id));
    place.start().await;
    let thread = place.read(&format!("/claw/threads/{id}"), &who).await;
    let said: Vec<&str> =
        thread["messages"]["items"].as_array().unwrap().iter().map(|said| said["text"].as_str().unwrap()).collect();
    assert_eq!((said, &thread["thread"]["title"]), (vec!["plan", "is web running?"], &json!("is web running?")));

    assert_eq!(place.read("/claw/threads", &other).await["items"], json!([]));
    for (method, body) in [("GET", Value::Null), ("DELETE", Value::Null)] {
        assert_eq!(place.call(method, &format!("/claw/threads/{id}"), &other, &body).await.0, 404, "{method}");
    }
    assert_eq!(place.call("GET", "/claw/threads/a%00b", &who, &Value::Null).await.0, 404, "no database keeps that");
    let stolen = place.post("/claw/message", &other, json!({"message": "plan", "thread_id": id})).await;
    assert_eq!(stolen.0, 404);
    assert_eq!(place.call("DELETE", &format!("/claw/threads/{id}"), &who, &Value::Null).await.0, 204);
    assert_eq!(place.call("GET", &format!("/claw/threads/{id}"), &who, &Value::Null).await.0, 404);
    for (wrong, expected) in [
        (json!({"message": " "}), 422),
        (json!({"message": "x".repeat(4001)}), 422),
        (json!({"message": "a\u{7}b"}), 422),
        (json!({"text": "status"}), 422),
        (json!(["status"]), 422),
        (json!({"message": "x".repeat(70_000)}), 413),
    ] {
        assert_eq!(place.post("/claw/message", &who, wrong).await.0, expected);
    }
    let malformed = place.ask("POST", "/claw/message", &[&who, JSON], "{").await;
    assert!(status(&malformed).starts_with("400"), "{malformed}");
    let form = place.ask("POST", "/claw/message", &[&who], "message=status").await;
    assert!(status(&form).starts_with("415"), "{form}");
}

#[tokio::test]
async fn a_value_that_is_to_be_set_is_not_kept_in_the_thread() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let (_, answer) = place.post("/claw/message", &who, json!({"message": "set the variable API_KEY to hunter2hunter2"})).await;
    let thread = place.read(&format!("/claw/threads/{}", answer["thread_id"].as_str().unwrap()), &who).await;
    assert!(!thread.to_string().contains("hunter2") && thread.to_string().contains("API_KEY"), "{thread}");
    let noted = format!("{:?}", place.operator.noted.lock().unwrap());
    assert!(!noted.contains("hunter2") && noted.contains("say: set the variable API_KEY"), "{noted}");
}

#[tokio::test]
async fn an_answer_comes_part_by_part_to_whoever_wants_it_so() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let body = json!({"message": "plan"}).to_string();
    let answer = place.ask("POST", "/claw/message", &[&who, JSON, "Accept: text/event-stream"], &body).await;
    assert!(answer.contains("content-type: text/event-stream"), "{answer}");
    let parts = answer.find("event: part").unwrap();
    let done = answer.find("event: done").unwrap();
    assert!(parts < done && answer.contains("create web from nginx:1.27") && answer.contains("\"thread_id\""), "{answer}");
}

#[tokio::test]
async fn a_restart_waits_for_the_yes_of_who_asked_for_it_and_a_restart_of_mooring_voids_it() {
    let mut place = Place::new().await;
    let (who, other) = (place.machine("ci").await, place.machine("cd").await);
    assert_eq!(place.post("/claw/admin/services/nobody/restart", &who, Value::Null).await.0, 404);
    let (code, waits) = place.post("/claw/admin/services/web/restart", &who, Value::Null).await;
    assert_eq!((code, &waits["what"], &waits["expires_in_seconds"]), (202, &json!("Restart web?"), &json!(120)), "{waits}");
    assert!(place.operator.restarted.lock().unwrap().is_empty());
    let yes = json!({"id": waits["id"]});
    assert_eq!(place.post("/claw/admin/confirm", &other, yes.clone()).await.0, 409);
    let (code, done) = place.post("/claw/admin/confirm", &who, yes.clone()).await;
    assert_eq!((code, &done["object"]), (200, &json!("Container/web")), "{done}");
    assert_eq!(place.post("/claw/admin/confirm", &who, yes).await.0, 409, "once");
    let restarted = place.operator.restarted.lock().unwrap().clone();
    assert!(restarted.len() == 1 && restarted[0].1 == "token:ci", "{restarted:?}");

    let (_, waits) = place.post("/claw/admin/services/web/restart", &who, Value::Null).await;
    assert_eq!(place.post("/claw/admin/cancel", &who, Value::Null).await.1, json!({"cancelled": true}));
    assert_eq!(place.post("/claw/admin/cancel", &who, Value::Null).await.1, json!({"cancelled": false}));
    assert_eq!(place.post("/claw/admin/confirm", &who, json!({"id": waits["id"]})).await.0, 409);

    let (_, answer) = place.post("/claw/message", &who, json!({"message": "restart web"})).await;
    let question = answer["parts"].as_array().unwrap().iter().find(|part| part["type"] == "question").unwrap().clone();
    let path = format!("/claw/threads/{}", answer["thread_id"].as_str().unwrap());
    assert!(place.read(&path, &who).await.to_string().contains(question["id"].as_str().unwrap()));
    place.start().await;
    let thread = place.read(&path, &who).await.to_string();
    assert!(thread.contains("does not stand any more") && !thread.contains(question["id"].as_str().unwrap()), "{thread}");
    assert_eq!(place.post("/claw/admin/confirm", &who, json!({"id": question["id"]})).await.0, 409);
}

#[tokio::test]
async fn old_clients_find_the_shapes_that_they_know() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let fields = |value: &Value| {
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names.join(" ")
    };
    let status = place.read("/claw/admin/status", &who).await;
    let expected = "captured_at cpu_cores disk_total_gb disk_used_gb ram_total_gb ram_used_gb services table_count";
    assert_eq!(fields(&status), expected);
    assert_eq!(status["services"], json!([{"name": "web", "running": true}]));
    assert_eq!(place.post("/claw/admin/refresh", &who, Value::Null).await.0, 200);
    let services = place.read("/claw/admin/services", &who).await;
    let service = json!({
        "name": "web", "display_name": "web", "status": "running", "uptime_seconds": 7260, "container_id": "c1"
    });
    assert_eq!(services["services"], json!([service]));
    assert_eq!(fields(&place.read("/claw/admin/metrics", &who).await), "cpu_percent disk_percent ram_percent");
    let log = place.read("/claw/admin/audit-log?limit=1", &who).await;
    assert_eq!(fields(&log["entries"][0]), "actor created_at details id operation");
    assert_eq!(log["next_cursor"], "7");
    let query = async |sql: &str| place.post("/claw/admin/db-query", &who, json!({"query": sql})).await;
    let (code, refused) = query("SELECT pg_sleep(1)").await;
    assert_eq!((code, &refused["error"]["code"]), (422, &json!("refused")), "{refused}");
    assert_eq!(query("DROP TABLE users").await.0, 422);
    let (code, refused) = query("SELECT 1").await;
    assert_eq!((code, &refused["error"]["code"]), (409, &json!("no_database")), "{refused}");

    let context = "/claw/admin/context?session_id=s-1";
    assert_eq!(place.read(context, &who).await["enabled"], json!(false));
    place.post("/claw/memories", &who, json!({"content": "the disk is slow"})).await;
    let (code, _) = place.post("/claw/admin/mode", &who, json!({"session_id": "s-1", "enabled": true})).await;
    assert_eq!(code, 200);
    let told = place.read(context, &who).await;
    assert_eq!((&told["enabled"], &told["facts"]), (&json!(true), &json!(["the disk is slow"])), "{told}");
    assert!(told["status"]["captured_at"].is_string());
    place.post("/claw/admin/mode", &who, json!({"session_id": "s-1", "enabled": false})).await;
    assert_eq!(place.read(context, &who).await["enabled"], json!(false));
    assert_eq!(place.call("GET", "/claw/admin/context", &who, &Value::Null).await.0, 422);
    assert_eq!(place.post("/claw/admin/mode", &who, json!({"session_id": "../x", "enabled": true})).await.0, 422);
}

#[tokio::test]
async fn memories_are_paged_found_brought_in_once_and_forgotten() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    for number in 0..5 {
        let body = json!({"content": format!("Fact {number}"), "tags": ["disk"]});
        assert_eq!(place.post("/claw/memories", &who, body).await.0, 201);
    }
    assert_eq!(place.post("/claw/memories", &who, json!({"content": "Fact 1"})).await.0, 409);
    let (mut path, mut seen) = ("/claw/memories?limit=2".to_owned(), Vec::new());
    loop {
        let page = place.read(&path, &who).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|memory| memory["content"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/claw/memories?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["Fact 4", "Fact 3", "Fact 2", "Fact 1", "Fact 0"]);
    for wrong in ["limit=0", "limit=201", "cursor=x", "cursor=-1", "cursor=", "lmit=2", "limit=a"] {
        assert_eq!(place.call("GET", &format!("/claw/memories?{wrong}"), &who, &Value::Null).await.0, 422, "{wrong}");
    }
    let (_, found) = place.post("/claw/memories/search", &who, json!({"query": "DISK fact 3"})).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    let export = place.read("/claw/memories/export", &who).await;
    let (code, imported) = place.post("/claw/memories/import", &who, export.clone()).await;
    assert_eq!((code, imported), (200, json!({"imported": 0, "skipped": 5})));
    let large: Vec<Value> = (0..100).map(|number| json!({"content": format!("{number} {}", "x".repeat(2000))})).collect();
    assert_eq!(place.post("/claw/memories/import", &who, json!({"memories": large})).await.1["imported"], json!(100));
    let half = json!({"memories": [{"content": "good"}, {"content": ""}]});
    assert_eq!(place.post("/claw/memories/import", &who, half).await.0, 422);
    let (_, found) = place.post("/claw/memories/search", &who, json!({"query": "good"})).await;
    assert_eq!(found["items"], json!([]), "none of it was brought in");
    let ids: Vec<&Value> = export["memories"].as_array().unwrap().iter().map(|memory| &memory["id"]).collect();
    let (_, deleted) = place.post("/claw/memories/bulk-delete", &who, json!({"ids": ids})).await;
    assert_eq!(deleted, json!({"deleted": 5}));
    assert_eq!(place.call("DELETE", &format!("/claw/memories/{}", ids[0].as_str().unwrap()), &who, &Value::Null).await.0, 404);
}

#[tokio::test]
async fn of_personas_one_at_most_is_taken_by_default_and_no_two_have_a_name() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let persona = |name: &str| json!({"name": name, "prompt": "Be short.", "is_default": true});
    let (code, first) = place.post("/claw/personas", &who, persona("short")).await;
    assert_eq!(code, 201, "{first}");
    let (_, second) = place.post("/claw/personas", &who, persona("long")).await;
    assert_eq!(place.post("/claw/personas", &who, persona("long")).await.0, 409);
    let listed = place.read("/claw/personas", &who).await;
    let defaults: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|persona| &persona["is_default"]).collect();
    assert_eq!(defaults, [&json!(true), &json!(false)]);
    let path = format!("/claw/personas/{}", second["id"].as_str().unwrap());
    assert_eq!(place.call("PUT", &path, &who, &persona("short")).await.0, 409);
    let (code, changed) = place.call("PUT", &path, &who, &json!({"name": "longer", "prompt": "Be long."})).await;
    assert_eq!((code, &changed["is_default"]), (200, &json!(false)), "{changed}");
    assert_eq!(place.call("PUT", "/claw/personas/none", &who, &persona("x")).await.0, 404);
    assert_eq!(place.call("DELETE", &path, &who, &Value::Null).await.0, 204);
    assert_eq!(place.call("DELETE", &path, &who, &Value::Null).await.0, 404);
    for wrong in [json!({"name": "", "prompt": "x"}), json!({"name": "x"}), json!({"name": "x", "prompt": "y", "more": 1})] {
        assert_eq!(place.post("/claw/personas", &who, wrong).await.0, 422);
    }
}

#[tokio::test]
async fn the_budget_is_set_as_a_whole_and_tools_say_what_they_can_do() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let budget = json!({
        "daily_micros": 1_000_000, "monthly_micros": null, "daily_tokens": null, "monthly_tokens": 5,
        "prices": [{"provider": "openai", "model": "gpt-*", "input_micros_per_million": 1, "output_micros_per_million": 2}],
    });
    assert_eq!(place.call("PUT", "/claw/budget", &who, &budget).await, (200, budget.clone()));
    assert_eq!(place.read("/claw/budget", &who).await, budget);
    let whole = json!({"daily_micros": 5.0});
    assert_eq!(place.call("PUT", "/claw/budget", &who, &whole).await.1["daily_micros"], json!(5));
    for wrong in [
        json!([null, null]),
        json!({"daily_micros": 5.5}),
        json!({"daily_micros": -1}),
        json!({"daily": 1}),
        json!({"daily_tokens": u64::MAX}),
    ] {
        assert_eq!(place.call("PUT", "/claw/budget", &who, &wrong).await.0, 422, "{wrong}");
    }
    let usage = place.read("/claw/budget/usage", &who).await;
    assert_eq!((&usage["today"]["micros"], &usage["days"]), (&json!(0), &json!([])));
    assert_eq!(place.call("GET", "/claw/budget/usage?days=0", &who, &Value::Null).await.0, 422);
    let tools = place.read("/claw/tools", &who).await;
    let restart = tools["items"].as_array().unwrap().iter().find(|tool| tool["name"] == "restart").unwrap();
    assert_eq!((&restart["tier"], &restart["parameters"]["required"]), (&json!("write"), &json!(["services"])));
}

#[tokio::test]
async fn a_playbook_is_rehearsed_without_a_trace_and_otherwise_only_proposes() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let book = json!({
        "name": "mend", "pattern": {"reason": "Start*", "object": "Container/*"},
        "steps": ["is {service} running?", {"intent": "restart", "services": ["{service}"]}, "plan"],
    });
    let (code, made) = place.post("/claw/playbooks", &who, book.clone()).await;
    assert_eq!((code, &made["requires_confirmation"], &made["enabled"]), (201, &json!(true), &json!(false)), "{made}");
    assert_eq!(place.post("/claw/playbooks", &who, book.clone()).await.0, 409);
    let id = made["id"].as_str().unwrap();
    let (code, dry) = place.post(&format!("/claw/playbooks/{id}/test?dry_run=true"), &who, Value::Null).await;
    assert_eq!(code, 200, "{dry}");
    assert_eq!((dry["matches"].as_array().unwrap().len(), &dry["matches"][0]["reason"]), (1, &json!("Started")));
    let steps: Vec<&Value> = dry["steps"].as_array().unwrap().iter().map(|step| &step["tier"]).collect();
    assert_eq!(steps, [&json!("read"), &json!("write"), &json!("read")]);
    assert!(dry.to_string().contains("Restart web?") && !dry.to_string().contains("\"question\""), "{dry}");
    assert_eq!(place.post("/claw/admin/cancel", &who, Value::Null).await.1, json!({"cancelled": false}), "nothing waits");

    let (_, real) = place.post(&format!("/claw/playbooks/{id}/test"), &who, Value::Null).await;
    assert!(real.to_string().contains("\"question\"") && real.to_string().contains("It comes after"), "{real}");
    assert!(place.operator.restarted.lock().unwrap().is_empty());
    assert_eq!(place.post("/claw/admin/cancel", &who, Value::Null).await.1, json!({"cancelled": true}), "the restart waited");

    let path = format!("/claw/playbooks/{id}");
    assert_eq!(place.call("PATCH", &path, &who, &json!({"enabled": true})).await.1["enabled"], json!(true));
    assert_eq!(place.call("PATCH", "/claw/playbooks/none", &who, &json!({"enabled": true})).await.0, 404);
    let with = |field: &str, value: Value| {
        let mut book = book.clone();
        book["name"] = json!("other");
        book[field] = value;
        book
    };
    for wrong in [
        with("steps", json!([])),
        with("steps", json!(["yes"])),
        with("steps", json!(["what is the meaning of life"])),
        with("steps", json!(["restart nobody-of-that-name"])),
        with("steps", json!(["set the variable A to b"])),
        with("pattern", json!({})),
        with("pattern", json!({"reason": "*"})),
        with("name", json!("a\nb")),
    ] {
        let (code, answer) = place.post("/claw/playbooks", &who, wrong.clone()).await;
        assert_eq!(code, 422, "{wrong}: {answer}");
    }
    let mut destructive = with("steps", json!(["stop web"]));
    assert_eq!(place.post("/claw/playbooks", &who, destructive.clone()).await.0, 201, "it is only ever proposed");
    destructive["name"] = json!("third");
    destructive["requires_confirmation"] = json!(false);
    assert_eq!(place.post("/claw/playbooks", &who, destructive).await.0, 403, "a program permits nothing in a person's place");
    let mut acts = with("requires_confirmation", json!(false));
    acts["name"] = json!("fourth");
    assert_eq!(place.post("/claw/playbooks", &who, acts).await.0, 403);
    assert_eq!(place.call("PATCH", &path, &who, &json!({"requires_confirmation": false})).await.0, 403);
}

#[tokio::test]
async fn the_page_of_the_chat_streams_its_parts_and_keeps_its_threads() {
    let mut place = Place::with(Fake { password: Some("correct horse".to_owned()), ..Fake::default() }).await;
    let session = place.login().await;
    let csrf = token(&place.get("/admin/chat", &session).await);
    let body = format!("token={csrf}&thread=new&text=restart+web");
    let answer = place.ask("POST", "/admin/chat", &[&session, "Accept: text/event-stream"], &body).await;
    assert!(answer.contains("event: part") && answer.contains("Restart web?") && answer.contains("event: done"), "{answer}");
    let id = answer.split("\\\"thread\\\" value=\\\"").nth(1).unwrap().split('\\').next().unwrap().to_owned();
    let page = place.get(&format!("/admin/chat?thread={id}"), &session).await;
    assert!(page.contains("value=\"yes\"") && page.contains(">restart web</a>"), "{page}");
    place.start().await;
    let page = place.get("/admin/chat", &session).await;
    assert!(page.contains("does not stand any more") && !page.contains("value=\"yes\""), "{page}");
    let other = place.login().await;
    assert!(status(&place.get(&format!("/admin/chat?thread={id}"), &other).await).starts_with("404"));
    let forged = place.ask("POST", "/admin/chat/delete", &[&session], &format!("token=x&thread={id}")).await;
    assert!(status(&forged).starts_with("403"));
    let gone = place.ask("POST", "/admin/chat/delete", &[&session], &format!("token={csrf}&thread={id}")).await;
    assert!(status(&gone).starts_with("303"));
    assert!(!place.get("/admin/chat", &session).await.contains("restart web</a>"));
}

#[tokio::test]
async fn while_what_is_kept_is_away_whoever_needs_it_is_told_at_once_in_the_usual_shape() {
    let place = Place::with_database_away().await;
    let who = place.machine("ci").await;
    let begun = std::time::Instant::now();
    for (method, path, body) in [
        ("GET", "/claw/threads", Value::Null),
        ("GET", "/claw/memories", Value::Null),
        ("GET", "/claw/personas", Value::Null),
        ("GET", "/claw/budget", Value::Null),
        ("GET", "/claw/playbooks", Value::Null),
        ("POST", "/claw/message", json!({"message": "plan"})),
        ("POST", "/claw/memories", json!({"content": "the disk is slow"})),
        ("DELETE", "/claw/threads/any", Value::Null),
    ] {
        let (code, answer) = place.call(method, path, &who, &body).await;
        assert_eq!((code, &answer["error"]["code"]), (503, &json!("unavailable")), "{method} {path}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("cannot be reached just now"), "{answer}");
    }
    // Of those that wait for the database, any two would take longer together, on any machine.
    assert!(begun.elapsed() < std::time::Duration::from_secs(9), "{:?}", begun.elapsed());
    place.read("/claw/tools", &who).await;
    place.read("/claw/admin/services", &who).await;
}

#[tokio::test]
async fn a_message_is_to_the_persona_that_it_names() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    let (_, made) = place.post("/claw/personas", &who, json!({"name": "pirate", "prompt": "Arr."})).await;
    let said = json!({"message": "plan", "persona_id": made["id"]});
    assert_eq!(place.post("/claw/message", &who, said).await.0, 200);
    let (code, answer) = place.post("/claw/message", &who, json!({"message": "plan", "persona_id": "none"})).await;
    assert_eq!((code, &answer["error"]["message"]), (404, &json!("there is no such persona")));
    assert_eq!(place.read("/claw/threads", &who).await["items"].as_array().unwrap().len(), 1, "nothing was begun");
}

#[tokio::test]
async fn what_is_read_again_and_again_is_on_record_once_and_whatever_is_written_or_refused_each_time() {
    let place = Place::new().await;
    let who = place.machine("ci").await;
    for _ in 0..3 {
        place.read("/claw/threads", &who).await;
        place.read("/claw/threads?limit=1", &who).await;
        assert_eq!(place.call("GET", "/claw/threads/none", &who, &Value::Null).await.0, 404);
        assert_eq!(place.post("/claw/admin/cancel", &who, Value::Null).await.0, 200);
    }
    let noted = place.operator.noted.lock().unwrap().clone();
    let count = |words: &str| noted.iter().filter(|(actor, said, _)| actor == "token:ci" && said == words).count();
    assert_eq!(count("GET /claw/threads"), 2, "two questions, once each: {noted:?}");
    assert_eq!(count("GET /claw/threads/none"), 3, "{noted:?}");
    assert_eq!(count("POST /claw/admin/cancel"), 3, "{noted:?}");
}
