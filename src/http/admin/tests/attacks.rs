//! What somebody tries who means no good, on every route that there is.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::http::claw::tests::described;

/// Who opened these with which credentials is nobody's business; they are open to all.
const OPEN: [&str; 3] = ["/", "/admin/login", "/admin/assets/{name}"];
const JSON: &str = "Content-Type: application/json";
/// Every way of writing a path that leads elsewhere, and a line that ends too early.
const CROOKED: [&str; 9] = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%5c%2e%2e",
    "....//....//etc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "style.css%00.svg",
    "x%0d%0aX-Evil:%201%0d%0a%0d%0a%3cscript%3e",
];

/// The pages as the router has them: read from where they are written, so that a new one cannot be forgotten.
fn pages() -> Vec<(&'static str, String)> {
    let text = include_str!("../../admin.rs");
    let routes = text.split(".route(\"").skip(1).flat_map(|rest| {
        let (path, rest) = rest.split_once('"').unwrap();
        let handlers = rest.split_once('\n').unwrap().0;
        let methods = [("GET", "get("), ("POST", "post(")].into_iter().filter(|(_, word)| handlers.contains(word));
        methods.map(move |(method, _)| (method, path))
    });
    let named = |path: &str| path.replace("{kind}", "Container").replace("{name}", "web").replace("{verb}", "restart");
    routes.filter(|(_, path)| !OPEN.contains(path)).map(|(method, path)| (method, named(path))).collect()
}

/// Every route, of pages and of the API, that is not for everybody.
fn everything() -> Vec<(String, String)> {
    let pages = pages().into_iter().map(|(method, path)| (method.to_owned(), path));
    let api = described().into_iter().filter(|(_, path)| path != "/api/openapi.json");
    let all: BTreeSet<_> = pages.chain(api).collect();
    assert!(all.len() >= 55, "{all:?}");
    all.into_iter().collect()
}

/// What a route needs besides somebody's name.
fn body_of(path: &str, token: &str) -> (&'static str, String) {
    if path.starts_with("/admin") {
        let thread = if path == "/admin/chat/delete" { "&thread=0" } else { "" };
        return ("Content-Type: application/x-www-form-urlencoded", format!("token={token}&id=0&text=restart+web{thread}"));
    }
    (JSON, json!({"content": "x", "message": "restart web"}).to_string())
}

impl Place {
    /// Nobody was let do anything.
    fn nothing_was_done(&self) {
        let restarted = self.operator.restarted.lock().unwrap().clone();
        assert!(restarted.is_empty() && self.operator.fulfilled.lock().unwrap().is_empty(), "{restarted:?}");
        assert!(self.operator.released.lock().unwrap().is_empty());
    }
}

fn is_refused(answer: &str) -> bool {
    status(answer).starts_with("401") || (status(answer).starts_with("303") && answer.contains("location: /admin/login\r\n"))
}

#[tokio::test]
async fn a_session_that_is_over_or_cut_or_twisted_opens_none_of_the_routes() {
    let mut place = Place::new().await;
    let over = place.login().await;
    let token = token(&place.get("/admin", &over).await);
    place.ask("POST", "/admin/logout", &[&over], &format!("token={token}")).await;
    let good = place.login().await;
    let cut = good[..good.len() - 1].to_owned();
    let other = if good.ends_with('A') { "Q" } else { "A" };
    let twisted = format!("{cut}{other}");
    // Neither does one of another password, which everybody had until just now.
    let before = place.login().await;
    place.operator = Arc::new(Fake { password: Some("another one".to_owned()), ..Fake::default() });
    place.start().await;
    for (number, (method, path)) in everything().into_iter().enumerate() {
        let (kind, body) = body_of(&path, &token);
        let from = format!("X-Forwarded-For: 192.0.2.{number}");
        for session in ["X-A: b", &over, &cut, &twisted, &before] {
            let answer = place.ask(&method, &path, &[session, kind, &from], &body).await;
            assert!(is_refused(&answer), "{method} {path} with {session}: {answer}");
            assert!(!answer.contains("it exited with 137"), "{answer}");
        }
    }
    place.nothing_was_done();
}

#[tokio::test]
async fn no_route_changes_anything_for_a_page_of_elsewhere_or_with_another_sessions_token() {
    let place = Place::new().await;
    let (session, other) = (place.login().await, place.login().await);
    let (ours, theirs) = (token(&place.get("/admin", &session).await), token(&place.get("/admin", &other).await));
    for (method, path) in everything().into_iter().filter(|(method, _)| method != "GET") {
        for (told, forged) in [
            ("", "X-A: b"),
            ("guess", "X-A: b"),
            (&theirs, "X-A: b"),
            (&ours, "Sec-Fetch-Site: cross-site"),
            (&ours, "Sec-Fetch-Site: same-site"),
            (&ours, "Origin: http://evil.example"),
            (&ours, "Origin: null"),
        ] {
            let ((kind, body), csrf) = (body_of(&path, told), format!("X-CSRF-Token: {told}"));
            let answer = place.ask(&method, &path, &[&session, kind, forged, &csrf], &body).await;
            assert!(status(&answer).starts_with("403"), "{method} {path} with {told} and {forged}: {answer}");
        }
    }
    place.nothing_was_done();
}

#[tokio::test]
async fn a_crooked_name_leads_nowhere_and_ends_no_header() {
    let place = Place::new().await;
    let session = place.login().await;
    let token = token(&place.get("/admin", &session).await);
    for crooked in CROOKED {
        for path in [
            format!("/admin/assets/{crooked}"),
            format!("/admin/objects/Container/{crooked}"),
            format!("/admin/objects/{crooked}/web"),
            format!("/admin/live/logs/Container/{crooked}"),
            format!("/admin/chat?thread={crooked}"),
            format!("/{crooked}"),
        ] {
            let answer = place.get(&path, &session).await;
            assert!(status(&answer).starts_with("404"), "{path}: {answer}");
            assert!(!answer.contains("root:x:0:0"), "{answer}");
            assert!(!answer.to_lowercase().contains("\nx-evil") && !answer.contains("<script>"), "{path}: {answer}");
        }
        for body in [
            format!("token={token}&text=status&thread={crooked}"),
            format!("token={token}&text={crooked}&thread=new"),
            format!("token={token}&text=yes&id={crooked}"),
        ] {
            let answer = place.ask("POST", "/admin/chat", &[&session], &body).await;
            let (head, _) = answer.split_once("\r\n\r\n").unwrap();
            assert!(!head.to_lowercase().contains("\nx-evil"), "{body}: {head}");
            assert!(["303", "404", "422"].iter().any(|code| head.contains(code)), "{body}: {head}");
        }
    }
    for header in ["X-Forwarded-For: 1.2.3.4%0d%0aX-Evil: 1", "Cookie: mooring-session=%0d%0aX-Evil:1", "Origin: %0d%0aX-Evil:1"]
    {
        let answer = place.ask("POST", "/admin/login", &[header], "password=wrong").await;
        assert!(!answer.to_lowercase().contains("x-evil"), "{header}: {answer}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_the_next_one_is_answered() {
    let place = Place::new().await;
    let session = place.login().await;
    let token = token(&place.get("/admin", &session).await);
    let large = "x".repeat(20_000);
    let said = place.ask("POST", "/admin/chat", &[&session], &format!("token={token}&text={large}")).await;
    assert!(status(&said).starts_with("413"), "{said}");
    let guess = place.ask("POST", "/admin/login", &[], &format!("password={large}")).await;
    assert!(["413", "422"].iter().any(|code| status(&guess).starts_with(code)), "{guess}");
    let header = place.ask("GET", "/admin", &[&session, &format!("X-Large: {large}")], "").await;
    assert!(header.is_empty() || status(&header).starts_with("431"), "{header}");
    let path = place.ask("GET", &format!("/admin/objects/Container/{large}"), &[&session], "").await;
    assert!(path.is_empty() || ["404", "414", "431"].iter().any(|code| status(&path).starts_with(code)), "{path}");
    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = place.ask("GET", "/admin/login", &many, "").await;
    assert!(answer.is_empty() || status(&answer).starts_with("431"), "{answer}");
    assert!(status(&place.get("/admin", &session).await).starts_with("200"));
}

/// Everything that is read until the other side ends it.
async fn rest(mut io: TcpStream) -> String {
    let mut bytes = Vec::new();
    // One that is reset is ended as well.
    let _ = io.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_head_and_a_body_that_dribble_are_ended_in_time_and_hold_nobody_up() {
    let place = Place::new().await;
    let session = place.login().await;
    let head = "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let begun = [
        "P".to_owned(),
        "GET /admin HTTP/1.1\r\nHost: localhost\r\nX-A".to_owned(),
        format!("{head}Content-Length: 40\r\n\r\npassword="),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\npass"),
        format!("POST /admin/chat HTTP/1.1\r\nHost: localhost\r\n{session}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\nt"),
        "POST /claw/message HTTP/1.1\r\nHost: localhost\r\nX-Internal-Token: the secret of plugins\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{".to_owned(),
    ];
    let mut slow = Vec::new();
    for _ in 0..20 {
        for text in &begun {
            let mut io = TcpStream::connect(place.address).await.unwrap();
            io.write_all(text.as_bytes()).await.unwrap();
            slow.push(io);
        }
    }
    let quick = tokio::time::timeout(Duration::from_secs(10), place.get("/admin", &session)).await.expect("nobody is held up");
    assert_eq!(status(&quick), "200 OK");
    // Nobody waits for the time that goes by from here on.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let ends = futures::future::join_all(slow.into_iter().map(rest)).await;
    assert!(begun.elapsed() < Duration::from_secs(65), "{:?}", begun.elapsed());
    assert!(begun.elapsed() > Duration::from_secs(5), "they were given some time: {:?}", begun.elapsed());
    let allowed = |end: &String| end.is_empty() || status(end).starts_with("408") || status(end).starts_with("504");
    assert!(ends.iter().all(allowed), "{ends:?}");
}

#[tokio::test]
async fn what_others_called_something_is_text_in_the_chat_too() {
    let place = Place::new().await;
    let session = place.login().await;
    let machine = place.machine("ci").await;
    let evil = "<img src=x onerror=alert(1)>";
    let token = token(&place.get("/admin/chat", &session).await);
    for text in [
        evil.to_owned(),
        format!("hold web for 2h because of {evil}"),
        format!("restart {evil}"),
        format!("set {evil} to 1"),
        format!("set PORT to {evil}"),
        format!("show the logs of web with {evil}"),
        format!("what is {evil} set to?"),
        format!("SELECT '{evil}'"),
        format!("UPDATE users SET name = '{evil}'"),
    ] {
        let line = hex::encode(&text).as_bytes().chunks(2).flat_map(|byte| [b"%", byte].concat()).collect();
        let line = String::from_utf8(line).unwrap();
        let stream = ["Accept: text/event-stream", &session];
        let answer = place.ask("POST", "/admin/chat", &stream, &format!("token={token}&thread=new&text={line}")).await;
        assert!(status(&answer).starts_with("200") && !answer.contains("<img"), "{text}: {answer}");
        let page = place.get("/admin/chat", &session).await;
        assert!(page.contains("&#60;img src=x") && !page.contains("<img src=x"), "{text}: as a title and as a line: {page}");
    }
    // A playbook cannot be called that at all; what a refusal repeats is no page.
    let book = json!({"name": evil, "pattern": {"reason": "Start*"}, "steps": ["plan"]}).to_string();
    let refused = place.ask("POST", "/claw/playbooks", &[&machine, JSON], &book).await;
    assert!(status(&refused).starts_with("422"), "{refused}");
    assert!(
        refused.contains("content-type: application/json") && refused.contains("x-content-type-options: nosniff"),
        "{refused}"
    );
    // What machines keep may be called anything.
    let persona = json!({"name": "evil", "prompt": evil}).to_string();
    place.ask("POST", "/claw/personas", &[&machine, JSON], &persona).await;
    for path in ["/admin/chat", "/admin", "/admin/audit"] {
        let page = place.get(path, &session).await;
        assert!(!page.contains("<img src=x"), "{path}: {page}");
    }
}
