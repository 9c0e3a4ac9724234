//! Requests to the backend manager and the claw API, as bytes: heads, cookies, forms, JSON.
//!
//! A text of the corpus is a request with lines that end in `\n`. In it `{cookie}`, `{token}` and `{bearer}` stand for credentials that
//! are good, `{id}` for a question that waits for a yes, and `{length}` for the length of the body: most of what is tried gets past
//! the door.

mod operator;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    panic,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use jiff::Timestamp;
use mooring::{
    admin::{
        access::Gate,
        chat::Chat,
        claw::{shelf::Shelf, talk::Claw, tokens},
        desk::Desk,
        store::Store,
    },
    http::admin::{self, Admin},
    operator::Operator,
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{self, Target},
    law,
};
use operator::{Quiet, SECRETS};

const WORDS: &[&str] = &[
    "{cookie}",
    "{token}",
    "{bearer}",
    "{length}",
    "token={token}&text=",
    "&thread=new",
    "&id={id}",
    "GET /admin/confirm?id={id} HTTP/1.1\n",
    "POST /admin/confirm HTTP/1.1\n",
    "%0d%0ax-evil: 1",
    "%00",
    "%ff",
    "%",
    "%2e%2e/",
    "<script>alert(1)</script>",
    "\"><img src=x>",
    "{\"message\": \"status\"}",
    "\"thread_id\": \"0\",",
    "\\u0000",
    "\\ud800",
    "[[[[[[",
    "{\"a\":",
    "1e309",
    "-1",
    "null",
    "true",
    "Transfer-Encoding: chunked\n",
    "Content-Length: 0\n",
    "Content-Length: 5\n",
    "Content-Type: application/json\n",
    "Content-Type: multipart/form-data; boundary=x\n",
    "Accept: text/event-stream\n",
    "X-Forwarded-For: 192.0.2.1\n",
    "X-Forwarded-Proto: https\n",
    "Host: localhost\n",
    "Host: evil.example\n",
    "Origin: null\n",
    "Cookie: a=b; ",
    "Expect: 100-continue\n",
    "Upgrade: websocket\n",
    "restart web",
    "show the log of web",
    "set PORT to 1",
    "?limit=",
    "&cursor=",
    "&since=",
    "HEAD ",
    "PUT ",
    "DELETE ",
    "OPTIONS ",
    "HTTP/1.0",
    "HTTP/2.0",
    "\n\n",
];
/// Nobody waits longer for a request that is all there; the server is not optimised, and compares passwords on purpose slowly.
const PATIENCE: Duration = Duration::from_secs(8);
/// So long without a word, and it waits for more, or streams.
const SILENCE: Duration = Duration::from_millis(250);

/// So often somebody was let down by the server's code.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn any_request_is_answered_or_refused_and_tells_no_secret() {
    let target = Target { name: "http", seeds: Vec::new(), words: WORDS, cases: 250, limit: Duration::from_secs(10), check };
    if target.run() {
        // Else nothing was tried that could have acted.
        assert!(PLACE.operator.fulfilled.load(Ordering::SeqCst) > 0, "nobody's yes was heard");
    }
}

/// A backend manager, and what opens it.
struct Place {
    address: SocketAddr,
    operator: Arc<Quiet>,
    cookie: String,
    token: String,
    bearer: String,
    _runtime: Runtime,
    _state: tempfile::TempDir,
}

static PLACE: LazyLock<Place> = LazyLock::new(Place::open);

impl Place {
    fn open() -> Self {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            if thread::current().name() == Some("fuzz-http") {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(what);
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("fuzz-http").enable_all().build();
        let runtime = runtime.unwrap();
        let state = tempfile::tempdir().unwrap();
        let operator = Arc::new(Quiet::default());
        let (address, bearer) = runtime.block_on(async {
            let store = Store::open(state.path()).await.unwrap();
            let token = tokens::create(&store, "fuzz", operator.now(), None).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let desk = Desk::new(Arc::clone(&operator) as _, None);
            let chat = Chat::new(Arc::clone(&operator) as _, desk.clone());
            let admin = Admin {
                operator: Arc::clone(&operator) as _,
                gate: Arc::new(Gate::new(store.clone())),
                claw: Claw::new(Shelf::from(&store), Arc::clone(&operator) as _, desk.clone(), chat),
                desk,
                store,
                hosts: ["claw.example.test".to_owned()].into(),
                given: None,
                shutdown: CancellationToken::new(),
            };
            tokio::spawn(admin::serve(listener, admin));
            (address, token.expose().to_owned())
        });
        let mut place =
            Self { address, operator, cookie: String::new(), token: String::new(), bearer, _runtime: runtime, _state: state };
        let login = "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 22\r\n\r\npassword=correct+horse";
        let answer = place.ask(login.as_bytes(), PATIENCE).unwrap();
        let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap_or_else(|| panic!("{answer}"));
        set.split(';').next().unwrap().clone_into(&mut place.cookie);
        let page =
            format!("GET /admin/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\n\r\n", place.cookie);
        let page = place.ask(page.as_bytes(), PATIENCE).unwrap();
        let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next();
        token.unwrap().clone_into(&mut place.token);
        place
    }

    /// What is answered, as far as it goes: a stream has no end, and who is still waiting is told that nothing more comes.
    fn ask(&self, request: &[u8], silence: Duration) -> Result<String, String> {
        let mut io = TcpStream::connect(self.address).unwrap();
        // A server that has read enough answers and closes.
        let _ = io.write_all(request);
        io.set_read_timeout(Some(silence)).unwrap();
        let (mut answer, mut piece, mut is_told) = (Vec::new(), [0; 16 * 1024], false);
        loop {
            match io.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => answer.extend(&piece[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    // What has begun to stream is good enough.
                    if is_told || !answer.is_empty() {
                        law!(!answer.is_empty(), "an end is reached", "nothing for {PATIENCE:?}");
                        break;
                    }
                    is_told = true;
                    let _ = io.shutdown(std::net::Shutdown::Write);
                    io.set_read_timeout(Some(PATIENCE)).unwrap();
                }
                Err(_) => break,
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// A restart that waits for a yes.
    fn question(&self) -> String {
        let body = format!("token={}", self.token);
        let request = format!(
            "POST /admin/objects/Container/web/restart HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.cookie,
            body.len(),
        );
        let page = self.ask(request.as_bytes(), PATIENCE).unwrap();
        let id = page.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        id.unwrap_or_else(|| panic!("no question: {page}")).to_owned()
    }

    fn request(&self, text: &[u8]) -> Vec<u8> {
        let mut text = engine::lossy(text);
        if text.contains("{id}") {
            text = text.replace("{id}", &self.question());
        }
        let text = text.replace("{cookie}", &self.cookie).replace("{token}", &self.token).replace("{bearer}", &self.bearer);
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let head = head.replace("{length}", &body.len().to_string());
        let mut lines = head.split('\n').map(|line| line.trim_end_matches('\r'));
        let first = lines.next().unwrap_or_default();
        let rest: String = lines.flat_map(|line| [line, "\r\n"]).collect();
        format!("{first}\r\nConnection: close\r\n{rest}\r\n{body}").into_bytes()
    }
}

fn check(text: &[u8]) -> Result<(), String> {
    let place = &*PLACE;
    let request = place.request(text);
    let (panics, acted) = (PANICS.load(Ordering::SeqCst), place.operator.fulfilled.load(Ordering::SeqCst));
    let answer = place.ask(&request, SILENCE)?;
    law!(PANICS.load(Ordering::SeqCst) == panics, "the server does not panic", "{answer:.300}");
    let acts = place.operator.fulfilled.load(Ordering::SeqCst) > acted;
    law!(!acts || request.starts_with(b"POST ") || request.starts_with(b"\r\nPOST "), "only a POST acts", "{answer:.300}");
    let holds = |credential: &str| request.windows(credential.len()).any(|window| window == credential.as_bytes());
    law!(!acts || holds(&place.cookie) || holds(&place.bearer), "nobody acts without credentials", "{answer:.300}");
    for secret in SECRETS.iter().copied().chain([place.bearer.as_str()]) {
        law!(!answer.contains(secret), "no secret is told", "{secret} in {answer:.2000}");
    }
    if answer.is_empty() {
        return Ok(());
    }
    law!(answer.starts_with("HTTP/1."), "an answer is HTTP", "{answer:.300}");
    let status = answer.split(' ').nth(1).unwrap_or_default();
    law!(status != "500", "nothing goes wrong inside", "{answer:.1000}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let low = head.to_lowercase();
    law!(!low.contains("\nx-evil"), "a header cannot be put in", "{head}");
    if low.contains("content-type: text/html") {
        law!(!body.contains("<script>alert") && !body.contains("<img src=x"), "what was said is escaped", "{body:.2000}");
    }
    let is_whole = low.contains("content-length: ") && !request.starts_with(b"HEAD");
    if is_whole && low.contains("content-type: application/json") {
        law!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "JSON is JSON", "{body:.1000}");
    }
    Ok(())
}

/// Always the same, so that sessions do not end.
fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}
