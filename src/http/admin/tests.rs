//! The backend manager over a real socket, asked with bytes as a browser would, and as somebody would who is none.

mod attacks;
mod insight;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::{
    admin::{access::Gate, chat::Chat, claw::shelf::Shelf},
    http::fake::Fake,
    record::ship::Target,
};

const PASSWORD: &str = "correct horse";
/// What plugins share, as the operator of the tests has it.
const PLUGINS: &str = "the secret of plugins";

fn claw(shelf: Shelf, operator: &Arc<Fake>, desk: Desk) -> Claw {
    let operator: Arc<dyn Operator> = Arc::clone(operator) as _;
    let chat = Chat::new(Arc::clone(&operator), desk.clone());
    Claw::new(shelf, operator, desk, chat)
}

/// A server with a state directory, which can be started again.
pub(in crate::http) struct Place {
    pub(in crate::http) state: tempfile::TempDir,
    address: SocketAddr,
    pub(in crate::http) operator: Arc<Fake>,
    shutdown: CancellationToken,
    /// Where conversations are kept, unless in the state directory.
    database: Option<Target>,
    /// The tokens that were made for machines.
    pub(in crate::http) tokens: std::sync::Mutex<Vec<String>>,
}

impl Place {
    pub(in crate::http) async fn with(operator: Fake) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (address, shutdown) = (([127, 0, 0, 1], 0).into(), CancellationToken::new());
        let tokens = std::sync::Mutex::default();
        let mut place = Self { state, address, operator: Arc::new(operator), shutdown, database: None, tokens };
        place.start().await;
        place
    }

    pub(in crate::http) async fn new() -> Self {
        Self::with(Fake { password: Some(PASSWORD.to_owned()), ..Fake::default() }).await
    }

    /// One whose conversations are kept in a database that nobody answers for.
    pub(in crate::http) async fn with_database_away() -> Self {
        let mut place = Self::new().await;
        place.database = Some("postgresql://app:hunter2@127.0.0.1:1/app".parse().unwrap());
        place.start().await;
        place
    }

    pub(in crate::http) async fn start(&mut self) {
        self.shutdown.cancel();
        self.shutdown = CancellationToken::new();
        let store = Store::open(self.state.path()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.address = listener.local_addr().unwrap();
        let desk = Desk::new(Arc::clone(&self.operator) as _, None);
        let admin = Admin {
            operator: Arc::clone(&self.operator) as _,
            gate: Arc::new(Gate::new(store.clone())),
            desk: desk.clone(),
            claw: claw(self.database.as_ref().map_or_else(|| Shelf::from(&store), Shelf::in_postgres), &self.operator, desk),
            store,
            hosts: ["claw.example.test".to_owned()].into(),
            given: None,
            shutdown: self.shutdown.clone(),
        };
        tokio::spawn(serve(listener, admin));
    }

    /// The whole answer to a request, head and body.
    pub(in crate::http) async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> String {
        let mut io = TcpStream::connect(self.address).await.unwrap();
        let host = if headers.iter().any(|header| header.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
        let headers = headers.iter().flat_map(|header| [header, "\r\n"]).collect::<String>();
        let is_form = !headers.to_ascii_lowercase().contains("content-type:");
        let kind = if is_form { "Content-Type: application/x-www-form-urlencoded\r\n" } else { "" };
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\n{host}{headers}{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        // A server that has read enough answers and closes.
        let _ = io.write_all(format!("{head}{body}").as_bytes()).await;
        let mut answer = String::new();
        // Who sends too much is cut off.
        let read = io.read_to_string(&mut answer).await;
        assert!(read.is_ok() || answer.is_empty() || !status(&answer).starts_with('2'), "{read:?}: {answer}");
        self.has_no_secret(&answer);
        answer
    }

    /// Every answer of these tests goes through here: whatever is asked, no secret's value comes back.
    fn has_no_secret(&self, answer: &str) {
        let variables = self.operator.variables.lock().unwrap().clone();
        let variables = variables.into_values().filter(|value| value != "true");
        let made = self.tokens.lock().unwrap().clone();
        for secret in [PASSWORD, "correct+horse", PLUGINS].map(str::to_owned).into_iter().chain(variables).chain(made) {
            assert!(!answer.contains(&secret), "a secret is in {answer}");
        }
    }

    pub(in crate::http) async fn get(&self, path: &str, cookie: &str) -> String {
        self.ask("GET", path, &[cookie], "").await
    }

    /// A cookie header of a fresh session.
    pub(in crate::http) async fn login(&self) -> String {
        let answer = self.ask("POST", "/admin/login", &[], "password=correct+horse").await;
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        cookie(&answer).unwrap()
    }
}

fn cookie(answer: &str) -> Option<String> {
    let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
    Some(format!("Cookie: {}", set.split(';').next().unwrap()))
}

pub(in crate::http) fn status(answer: &str) -> &str {
    answer.lines().next().unwrap().trim_start_matches("HTTP/1.1 ")
}

/// The token that the forms of a page have.
pub(in crate::http) fn token(page: &str) -> String {
    page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

const INSIDE: [&str; 7] = [
    "/admin/chat",
    "/admin",
    "/admin/parts/overview",
    "/admin/objects/Container/web",
    "/admin/parts/objects/Container/web",
    "/admin/audit",
    "/admin/live",
];

#[tokio::test]
async fn without_a_password_there_is_nothing_here() {
    let place = Place::with(Fake::default()).await;
    for path in INSIDE.into_iter().chain(["/admin/login"]) {
        assert_eq!(status(&place.get(path, "X-A: b").await), "404 Not Found", "{path}");
    }
    assert_eq!(status(&place.ask("POST", "/admin/login", &[], "password=").await), "404 Not Found");
}

#[tokio::test]
async fn nothing_is_shown_without_a_session_or_with_one_that_nobody_opened() {
    let place = Place::new().await;
    for cookie in
        ["X-A: b", "Cookie: mooring-session=AAAAAAAAAAAAAAAAAAAAAA", "Cookie: mooring-session=../../etc", "Cookie: nclaw_auth=ok"]
    {
        for path in INSIDE {
            let answer = place.get(path, cookie).await;
            let refused = if path.contains("/parts/") || path.ends_with("/live") { "401 Unauthorized" } else { "303 See Other" };
            assert_eq!(status(&answer), refused, "{path} with {cookie}");
            assert!(!answer.contains("nginx"), "{answer}");
        }
        assert_eq!(status(&place.ask("POST", "/admin/logout", &[cookie], "token=").await), "303 See Other");
    }
}

#[tokio::test]
async fn who_knows_the_password_gets_a_session_that_a_script_cannot_read() {
    let place = Place::new().await;
    let answer = place.ask("POST", "/admin/login", &[], "password=correct+horse").await;
    let set = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains("Secure"), "{set}");
    let page = place.get("/admin", &cookie(&answer).unwrap()).await;
    assert_eq!(status(&page), "200 OK");
    assert!(page.contains("web") && page.contains("it exited with 137; next try in 4s"), "{page}");
    assert!(!page.contains(PASSWORD));
    let behind_tls = place.ask("POST", "/admin/login", &["X-Forwarded-Proto: https"], "password=correct+horse").await;
    assert!(behind_tls.contains("; Secure"), "{behind_tls}");
    let noted = place.operator.noted.lock().unwrap().clone();
    assert!(noted[0].0.starts_with("session:") && noted[0].1 == "log in from 127.0.0.1" && noted[0].2.is_none(), "{noted:?}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_on_record_and_too_many_are_made_to_wait() {
    let place = Place::new().await;
    for _ in 0..5 {
        let answer = place.ask("POST", "/admin/login", &[], "password=wrong").await;
        assert_eq!(status(&answer), "401 Unauthorized");
        assert!(answer.contains("that is not the password") && cookie(&answer).is_none(), "{answer}");
    }
    let answer = place.ask("POST", "/admin/login", &[], "password=correct+horse").await;
    assert_eq!(status(&answer), "429 Too Many Requests");
    assert!(answer.contains("retry-after: "), "{answer}");
    // A proxy of ours says who it is for; others are not kept out by this one.
    let other = place.ask("POST", "/admin/login", &["X-Forwarded-For: 6.6.6.6, 192.0.2.7"], "password=correct+horse").await;
    assert_eq!(status(&other), "303 See Other");
    let noted = place.operator.noted.lock().unwrap().clone();
    assert_eq!(noted.iter().filter(|(_, _, error)| error.as_deref() == Some("that is not the password")).count(), 5);
}

#[tokio::test]
async fn a_session_outlives_a_restart_and_ends_with_a_logout() {
    let mut place = Place::new().await;
    let session = place.login().await;
    place.start().await;
    let page = place.get("/admin", &session).await;
    assert_eq!(status(&page), "200 OK");
    let forged = place.ask("POST", "/admin/logout", &[&session], "token=0123").await;
    assert_eq!(status(&forged), "403 Forbidden");
    let out = place.ask("POST", "/admin/logout", &[&session], &format!("token={}", token(&page))).await;
    assert_eq!(status(&out), "303 See Other");
    assert_eq!(status(&place.get("/admin", &session).await), "303 See Other");
}

#[tokio::test]
async fn another_password_ends_the_sessions_that_were_opened_with_the_one_before() {
    let mut place = Place::new().await;
    let session = place.login().await;
    place.operator = Arc::new(Fake { password: Some("another one".to_owned()), ..Fake::default() });
    place.start().await;
    assert_eq!(status(&place.get("/admin", &session).await), "303 See Other");
}

#[tokio::test]
async fn a_session_that_was_known_before_the_login_is_not_the_one_after_it() {
    let place = Place::new().await;
    let known = "Cookie: mooring-session=AAAAAAAAAAAAAAAAAAAAAA";
    let answer = place.ask("POST", "/admin/login", &[known], "password=correct+horse").await;
    assert_ne!(cookie(&answer).unwrap(), known);
    assert_eq!(status(&place.get("/admin", known).await), "303 See Other");
    // Nor is one that was real.
    let first = place.login().await;
    let answer = place.ask("POST", "/admin/login", &[&first], "password=correct+horse").await;
    assert_ne!(cookie(&answer).unwrap(), first);
    assert_eq!(status(&place.get("/admin", &first).await), "303 See Other");
}

#[tokio::test]
async fn a_page_from_elsewhere_changes_nothing_in_a_browsers_name() {
    let place = Place::new().await;
    let session = place.login().await;
    let token = token(&place.get("/admin", &session).await);
    let body = format!("token={token}");
    for forged in ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null"] {
        assert_eq!(status(&place.ask("POST", "/admin/logout", &[&session, forged], &body).await), "403 Forbidden", "{forged}");
        let login = place.ask("POST", "/admin/login", &[forged], "password=correct+horse").await;
        assert_eq!(status(&login), "403 Forbidden", "{forged}");
    }
    let ours = ["Sec-Fetch-Site: same-origin", "Origin: http://localhost"];
    assert_eq!(status(&place.ask("POST", "/admin/logout", &[&session, ours[0], ours[1]], &body).await), "303 See Other");
}

#[tokio::test]
async fn only_names_of_ours_are_answered_to() {
    let place = Place::new().await;
    for (host, expected) in [
        ("Host: evil.example", "421 Misdirected Request"),
        ("Host: claw.example.test", "200 OK"),
        ("Host: claw.example.test:443", "200 OK"),
        ("Host: claw.example.test.evil.example", "421 Misdirected Request"),
        ("Host: 127.0.0.1:3710", "200 OK"),
    ] {
        assert_eq!(status(&place.ask("GET", "/admin/login", &[host], "").await), expected, "{host}");
    }
}

#[tokio::test]
async fn every_answer_forbids_what_a_page_of_ours_does_not_need() {
    let place = Place::new().await;
    let session = place.login().await;
    for path in ["/admin/login", "/admin", "/admin/audit", "/admin/nowhere", "/admin/assets/script.js"] {
        let answer = place.get(path, &session).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'",
            "x-frame-options: DENY",
            "x-content-type-options: nosniff",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
        assert!(!head.contains("unsafe-inline"), "{head}");
        for inline in ["<script>", " style=", " onclick=", "javascript:"] {
            assert!(!body.contains(inline), "{path} has {inline}");
        }
    }
}

#[tokio::test]
async fn what_others_wrote_is_text_on_a_page_and_never_a_part_of_it() {
    let evil =
        crate::view::EventView { message: "<script>alert(1)</script>".to_owned(), ..crate::http::fake::event("<b>Bold", 1) };
    let place = Place::with(Fake { password: Some(PASSWORD.to_owned()), past: vec![evil], ..Fake::default() }).await;
    let session = place.login().await;
    for path in ["/admin", "/admin/parts/overview", "/admin/objects/Container/web"] {
        let page = place.get(path, &session).await;
        assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;") && !page.contains("<script>alert"), "{path}: {page}");
        assert!(!page.contains("<b>Bold"));
    }
    let page = place.get("/admin/audit?actor=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", &session).await;
    assert!(!page.contains("<script>alert"), "{page}");
    assert_eq!(status(&place.get("/admin/objects/Container/..%2f..%2fetc", &session).await), "404 Not Found");
    assert_eq!(status(&place.get("/admin/assets/..%2f..%2fCargo.toml", &session).await), "404 Not Found");
}

/// The id of the question on a page.
fn question(page: &str) -> String {
    page.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_restart_is_shown_first_and_done_in_the_sessions_name_once_it_is_confirmed() {
    let place = Place::new().await;
    let session = place.login().await;
    let token = token(&place.get("/admin/objects/Container/web", &session).await);
    let ask = async || place.ask("POST", "/admin/objects/Container/web/restart", &[&session], &format!("token={token}")).await;
    let shown = ask().await;
    assert!(shown.contains("Restart web?") && shown.contains("what depends on it may notice: Environment/shop"), "{shown}");
    assert!(place.operator.restarted.lock().unwrap().is_empty(), "nobody has said yes");
    let confirm = async |id: String| place.ask("POST", "/admin/confirm", &[&session], &format!("token={token}&id={id}")).await;

    let again = ask().await;
    assert_eq!(status(&confirm(question(&shown)).await), "409 Conflict", "another question voids the one before");
    assert_eq!(status(&confirm(question(&again)).await), "303 See Other");
    assert_eq!(status(&confirm(question(&again)).await), "409 Conflict", "once");
    let third = ask().await;
    place.ask("POST", "/admin/cancel", &[&session], &format!("token={token}")).await;
    assert_eq!(status(&confirm(question(&third)).await), "409 Conflict", "it was cancelled");

    // Neither another session nor a page of elsewhere can say yes.
    let fourth = question(&ask().await);
    let other = place.login().await;
    let others = self::token(&place.get("/admin", &other).await);
    let stolen = place.ask("POST", "/admin/confirm", &[&other], &format!("token={others}&id={fourth}")).await;
    assert_eq!(status(&stolen), "409 Conflict");
    let forged = place.ask("POST", "/admin/confirm", &[&session], &format!("token=x&id={fourth}")).await;
    assert_eq!(status(&forged), "403 Forbidden");

    let restarted = place.operator.restarted.lock().unwrap().clone();
    assert!(restarted.len() == 1 && restarted[0].1.starts_with("session:"), "{restarted:?}");
    let noted = place.operator.noted.lock().unwrap().clone();
    assert!(noted.iter().any(|(_, words, _)| words == "confirm the restart of web"), "{noted:?}");
    let none = place.ask("POST", "/admin/objects/Environment/shop/restart", &[&session], &format!("token={token}")).await;
    assert!(status(&none) == "409 Conflict" && none.contains("is no container"), "{none}");
    assert_eq!(
        status(&place.ask("POST", "/admin/objects/Container/nobody/restart", &[&session], &format!("token={token}")).await),
        "404 Not Found"
    );
}

#[tokio::test]
async fn what_may_lose_something_is_off_and_then_asked_for_twice_the_second_time_by_its_name() {
    let place = Place::new().await;
    let session = place.login().await;
    let token = token(&place.get("/admin/objects/Container/web", &session).await);
    let ask = async |place: &Place| {
        place.ask("POST", "/admin/objects/Container/web/stop", &[&session], &format!("token={token}")).await
    };
    let off = ask(&place).await;
    assert!(status(&off) == "409 Conflict" && off.contains("CLAW_ADMIN_ALLOW_DESTRUCTIVE=true"), "{off}");
    assert!(place.operator.noted.lock().unwrap().iter().any(|(_, words, error)| words == "stop of web" && error.is_some()));

    place.operator.variables.lock().unwrap().insert("CLAW_ADMIN_ALLOW_DESTRUCTIVE".to_owned(), "true".to_owned());
    let confirm = async |id: &str, name: &str| {
        place.ask("POST", "/admin/confirm", &[&session], &format!("token={token}&id={id}{name}")).await
    };
    let first = ask(&place).await;
    assert!(first.contains("Stop web?") && !first.contains("Type <strong>"), "{first}");
    let second = confirm(&question(&first), "").await;
    assert!(second.contains("Type <strong>web</strong>"), "{second}");
    assert_eq!(status(&confirm(&question(&first), "").await), "409 Conflict", "the first question is answered");
    assert_eq!(status(&confirm(&question(&second), "").await), "409 Conflict", "a yes is not enough");
    assert_eq!(status(&confirm(&question(&second), "&name=wbe").await), "409 Conflict");
    assert!(place.operator.fulfilled.lock().unwrap().is_empty());
    assert_eq!(status(&confirm(&question(&second), "&name=web").await), "303 See Other");
    assert_eq!(place.operator.fulfilled.lock().unwrap().len(), 1);

    // Taken back between the two, it is off again.
    let third = question(&confirm(&question(&ask(&place).await), "").await);
    place.operator.variables.lock().unwrap().clear();
    assert_eq!(status(&confirm(&third, "&name=web").await), "409 Conflict");
    assert_eq!(place.operator.fulfilled.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_said_in_plain_words_is_answered_and_changes_something_only_after_a_yes() {
    let place = Place::new().await;
    let session = place.login().await;
    let token = token(&place.get("/admin/chat", &session).await);
    let say = async |text: &str| {
        let text = text.replace(' ', "+").replace('?', "%3F");
        let said = place.ask("POST", "/admin/chat", &[&session], &format!("token={token}&text={text}")).await;
        assert_eq!(status(&said), "303 See Other", "{said}");
        let page = place.get("/admin/chat", &session).await;
        page.rsplit("id=\"last\"").next().unwrap().to_owned()
    };
    let health = say("is web running?").await;
    assert!(health.contains("Container/web: Unknown. it exited with 137; next try in 4s"), "{health}");
    assert!(say("show the audit log").await.contains("it exited with 137"));
    assert!(say("why was web restarted?").await.contains("what stands still is started"));
    assert!(say("plan").await.contains("create web from nginx:1.27"));
    assert!(say("what is the meaning of life").await.contains("no model could tell: no ModelProvider is declared"));
    assert!(say("yes").await.contains("Nothing waits for a yes."));

    assert!(say("please restart the web container").await.contains("Restart web?"));
    assert!(say("status").await.contains("as declared"));
    assert!(say("yes").await.contains("Nothing waits for a yes."), "something else was said in between");
    assert!(place.operator.restarted.lock().unwrap().is_empty());
    say("restart web").await;
    assert!(say("yes").await.contains("Confirmed: restart of web."));
    assert_eq!(place.operator.restarted.lock().unwrap().len(), 1);

    assert!(say("stop web").await.contains("CLAW_ADMIN_ALLOW_DESTRUCTIVE=true"));
    for gate in ["CLAW_ADMIN_ALLOW_DESTRUCTIVE to true", "CLAW_WEB_PASSWORD to open", "PLUGIN_INTERNAL_SECRET to mine"] {
        let refused = say(&format!("set {gate}")).await;
        assert!(refused.contains("is not changed from here") && !refused.contains("within two minutes"), "{refused}");
    }
    place.operator.variables.lock().unwrap().insert("CLAW_ADMIN_ALLOW_DESTRUCTIVE".to_owned(), "true".to_owned());
    assert!(say("stop web").await.contains("Stop web?"));
    assert!(say("yes").await.contains("type `web` within two minutes"));
    assert!(say("yes").await.contains("Not done yet: to confirm that, type its name: web."));
    assert!(say("web").await.contains("Confirmed: stop of web."));
    assert_eq!(place.operator.fulfilled.lock().unwrap().len(), 1);
    assert!(say("what is PORT set to?").await.contains("8080"));

    let guessed = say("restart wbe").await;
    assert!(guessed.contains("There is no service `wbe`") && place.operator.restarted.lock().unwrap().len() == 1, "{guessed}");
    assert!(say("SELECT pg_sleep(1)").await.contains("Not asked: "));
    for sql in ["SELECT count(*) FROM users", "SELECT 1 AS one, version()"] {
        assert!(say(sql).await.contains("no database to ask"), "{sql}");
    }
    assert!(say("How many users signed up this week?").await.contains("no database to ask"));
    assert!(say("<script>alert(1)</script>").await.contains("&#60;script&#62;"));
    let forged = place.ask("POST", "/admin/chat", &[&session], "token=x&text=status").await;
    assert_eq!(status(&forged), "403 Forbidden");
    let other = place.login().await;
    assert!(!place.get("/admin/chat", &other).await.contains("restart the web container"), "a conversation is its session's");
}

#[tokio::test]
async fn what_changes_is_told_as_it_changes() {
    let place = Place::new().await;
    let session = place.login().await;
    let mut io = TcpStream::connect(place.address).await.unwrap();
    io.write_all(format!("GET /admin/live HTTP/1.1\r\nHost: localhost\r\n{session}\r\n\r\n").as_bytes()).await.unwrap();
    let mut told = String::new();
    while !told.contains("Container/web") {
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), io.read(&mut bytes)).await.expect("it is told in time").unwrap();
        assert!(read > 0, "{told}");
        told.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    assert!(told.contains("text/event-stream") && told.contains("data: [\"Container/web\"]"), "{told}");
}

#[tokio::test]
async fn a_thousand_logins_at_once_are_held_off_and_the_right_one_still_gets_in() {
    let place = Arc::new(Place::new().await);
    let session = place.login().await;
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..200 {
        let place = Arc::clone(&place);
        let from = format!("X-Forwarded-For: 192.0.2.{}", number % 100);
        guesses.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..5 {
                answers.push(status(&place.ask("POST", "/admin/login", &[&from], "password=guess").await).to_owned());
            }
            answers
        });
    }
    // Whoever is in already does not notice.
    let page = tokio::time::timeout(Duration::from_secs(10), place.get("/admin", &session)).await.expect("nobody is held up");
    assert_eq!(status(&page), "200 OK");
    let answers = guesses.join_all().await.concat();
    assert!(answers.iter().all(|status| ["401", "429", "503"].iter().any(|code| status.starts_with(code))), "{answers:?}");
    let compared = answers.iter().filter(|status| status.starts_with("401")).count();
    assert!(answers.len() == 1000 && compared < 70, "{compared} of a thousand were compared with the password");
    // Who is connected himself is none of those for whom somebody speaks; a stranger among those waits for a moment.
    assert_eq!(status(&place.ask("POST", "/admin/login", &[], "password=correct+horse").await), "303 See Other");
    let begun = std::time::Instant::now();
    loop {
        let other = place.ask("POST", "/admin/login", &["X-Forwarded-For: 198.51.100.1"], "password=correct+horse").await;
        if status(&other) == "303 See Other" {
            break;
        }
        assert!(status(&other).starts_with("429") && begun.elapsed() < Duration::from_secs(15), "{other}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn while_what_is_kept_is_away_the_chat_answers_and_says_that_nothing_is_kept() {
    let place = Place::with_database_away().await;
    let session = place.login().await;
    let page = place.get("/admin/chat", &session).await;
    assert!(status(&page) == "200 OK" && page.contains("nothing of it is kept"), "{page}");
    let body = format!("token={}&thread=new&text=is+web+running%3F", token(&page));
    let answer = place.ask("POST", "/admin/chat", &[&session], &body).await;
    assert!(status(&answer) == "200 OK" && answer.contains("it exited with 137"), "{answer}");
    assert!(answer.contains("nothing of it is kept"), "{answer}");
    let answer = place.ask("POST", "/admin/chat", &[&session, "Accept: text/event-stream"], &body).await;
    assert!(answer.contains("it exited with 137") && answer.contains(r#"{"thread":"","kept":false}"#), "{answer}");

    // What changes something is asked and confirmed as ever.
    let body = format!("token={}&thread=new&text=restart+web", token(&page));
    let asked = place.ask("POST", "/admin/chat", &[&session], &body).await;
    let id = asked.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("token={}&thread=&id={id}&text=yes", token(&page));
    let done = place.ask("POST", "/admin/chat", &[&session], &body).await;
    assert!(status(&done) == "200 OK" && place.operator.restarted.lock().unwrap().len() == 1, "{done}");
    assert_eq!(status(&place.get("/admin", &session).await), "200 OK", "nobody else is concerned");
}

#[tokio::test]
async fn a_persona_is_chosen_on_the_page_where_there_is_one() {
    let place = Place::new().await;
    let session = place.login().await;
    let page = place.get("/admin/chat", &session).await;
    assert!(!page.contains("<select id=\"persona\""), "{page}");
    let headers = [&*session, &format!("X-CSRF-Token: {}", token(&page)), "Content-Type: application/json"];
    let made = place.ask("POST", "/claw/personas", &headers, r#"{"name": "pirate", "prompt": "Arr."}"#).await;
    let id = made.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(place.get("/admin/chat", &session).await.contains(">pirate</option>"));
    let body = format!("token={}&text=plan&persona={id}", token(&page));
    let answer = place.ask("POST", "/admin/chat", &[&session], &body).await;
    let next = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let page_after = place.get(next.split('#').next().unwrap(), &session).await;
    assert!(page_after.contains(&format!("<option value=\"{id}\" selected>")), "{page_after}");
    let body = format!("token={}&text=plan&persona=none", token(&page));
    assert_eq!(status(&place.ask("POST", "/admin/chat", &[&session], &body).await), "404 Not Found");
}
