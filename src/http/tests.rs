//! Both servers over real sockets, asked with bytes.

use std::{
    fmt::Write,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use expect_test::expect;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
};

use super::{fake::Fake, *};
use crate::{
    manifest::{Key, Kind},
    view::{EventView, Health},
};

struct Server<A> {
    address: A,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl<A> Server<A> {
    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.expect("it stops in time").unwrap();
    }
}

async fn over_tcp(operator: Fake) -> Server<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, Arc::new(operator), Access::ReadOnly, shutdown.clone()));
    Server { address, shutdown, task }
}

fn over_unix(path: &Path, operator: Arc<Fake>) -> Server<()> {
    let socket = ControlSocket::bind(path).unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve_unix(socket, operator, Access::Full, shutdown.clone()));
    Server { address: (), shutdown, task }
}

async fn ask(mut io: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    io.write_all(format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(server: &Server<SocketAddr>, path: &str) -> String {
    let io = TcpStream::connect(server.address).await.unwrap();
    let answer = ask(io, &format!("GET {path} HTTP/1.1\r\nHost: localhost")).await;
    brief(&answer)
}

/// Status, kind of content, content.
fn brief(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap().trim_start_matches("HTTP/1.1 ");
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or("-");
    format!("{status} | {kind} | {}", body.trim_end())
}

#[tokio::test]
async fn health_is_told_to_programs_and_to_people() {
    let server = over_tcp(Fake::default()).await;
    expect![[r#"200 OK | application/json | {"alive":true,"notReady":[]}"#]].assert_eq(&get(&server, "/healthz").await);
    expect![[r#"200 OK | text/plain; charset=utf-8 | ready"#]]
        .assert_eq(&get(&server, "/readyz HTTP/1.1\r\nAccept: text/plain\r\nX:").await);
    server.stop().await;
}

#[tokio::test]
async fn an_operator_that_lives_but_is_of_no_use_is_alive_and_not_ready() {
    let health = Health {
        alive: true,
        not_ready: vec!["the engine does not answer".to_owned()],
        refused: Vec::new(),
        engine_lost_since: None,
    };
    let server = over_tcp(Fake { health, ..Fake::default() }).await;
    assert!(get(&server, "/healthz").await.starts_with("200 "));
    expect![[r#"503 Service Unavailable | application/json | {"alive":true,"notReady":["the engine does not answer"]}"#]]
        .assert_eq(&get(&server, "/readyz").await);
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_a_sentence() {
    let server = over_tcp(Fake::default()).await;
    let mut refusals = String::new();
    for path in [
        "/api/v1/objects/pod/web",
        "/api/v1/objects/container/api",
        "/api/v1/objects?kinds=container",
        "/api/v1/plans?object=web",
        "/api/v1/plans?object=ctr/api",
        "/api/v1/events?limit=0",
        "/api/v1/audit?object=ctr/web",
        "/api/v1/objects/container/%FF",
    ] {
        writeln!(refusals, "{path}\n  {}", get(&server, path).await).unwrap();
    }
    expect![[r#"
        /api/v1/objects/pod/web
          404 Not Found | application/json | {"error":"`pod` is not a kind; the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host"}
        /api/v1/objects/container/api
          404 Not Found | application/json | {"error":"there is no Container/api"}
        /api/v1/objects?kinds=container
          400 Bad Request | application/json | {"error":"Failed to deserialize query string: kinds: unknown field `kinds`, expected `kind` or `watch`"}
        /api/v1/plans?object=web
          400 Bad Request | application/json | {"error":"Failed to deserialize query string: object: `web` is not KIND/NAME, as in container/redis"}
        /api/v1/plans?object=ctr/api
          404 Not Found | application/json | {"error":"there is no Container/api"}
        /api/v1/events?limit=0
          400 Bad Request | application/json | {"error":"Failed to deserialize query string: limit: the limit has to be from 1 to 10000"}
        /api/v1/audit?object=ctr/web
          503 Service Unavailable | application/json | {"error":"the journal cannot be read"}
        /api/v1/objects/container/%FF
          400 Bad Request | application/json | {"error":"Invalid URL: Invalid UTF-8 in `name`"}
    "#]]
    .assert_eq(&refusals);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_the_known_ones() {
    let server = over_tcp(Fake::default()).await;
    let answer = get(&server, "/api/v2").await;
    assert!(
        answer
            .starts_with(r#"404 Not Found | application/json | {"error":"there is nothing at /api/v2","paths":["GET /healthz","#)
    );
    server.stop().await;
}

#[tokio::test]
async fn objects_are_listed_by_kind() {
    let server = over_tcp(Fake::default()).await;
    expect![[r#"200 OK | application/json | {"items":[{"key":"Environment/shop","generation":1,"source":"shop.yaml:1","summary":"."}]}"#]]
        .assert_eq(&get(&server, "/api/v1/objects?kind=env").await);
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_in_the_text_format() {
    let server = over_tcp(Fake::default()).await;
    expect!["200 OK | text/plain; version=0.0.4; charset=utf-8 | mooring_passes_total 1"]
        .assert_eq(&get(&server, "/metrics").await);
    server.stop().await;
}

#[tokio::test]
async fn answers_may_be_neither_framed_nor_sniffed_nor_kept() {
    let server = over_tcp(Fake::default()).await;
    for host in ["localhost", "evil.example"] {
        let io = TcpStream::connect(server.address).await.unwrap();
        let answer = ask(io, &format!("GET /healthz HTTP/1.1\r\nHost: {host}")).await;
        for header in ["x-content-type-options: nosniff", "cache-control: no-store", "x-frame-options: DENY"] {
            assert!(answer.contains(header), "{header} in {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_pretends_to_be_this_host_is_refused() {
    let server = over_tcp(Fake::default()).await;
    let io = TcpStream::connect(server.address).await.unwrap();
    let answer = ask(io, "GET /api/v1/objects HTTP/1.1\r\nHost: evil.example:3700").await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    // The host in the request line counts before the header.
    let io = TcpStream::connect(server.address).await.unwrap();
    let answer = ask(io, "GET http://evil.example/api/v1/objects HTTP/1.1\r\nHost: localhost").await;
    assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn nothing_can_be_changed_over_tcp() {
    let server = over_tcp(Fake::default()).await;
    let io = TcpStream::connect(server.address).await.unwrap();
    let answer = ask(io, "POST /api/v1/objects/container/web/release HTTP/1.1\r\nHost: localhost").await;
    expect![[
        r#"403 Forbidden | application/json | {"error":"this address only answers questions; requests are taken on the control socket in the state directory"}"#
    ]]
    .assert_eq(&brief(&answer));
    server.stop().await;
}

#[tokio::test]
async fn too_much_is_refused() {
    let server = over_tcp(Fake::default()).await;
    let io = TcpStream::connect(server.address).await.unwrap();
    let answer = ask(io, &format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(20_000))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.sock");
    let control = over_unix(&path, Arc::default());
    let io = UnixStream::connect(&path).await.unwrap();
    let head = "POST /api/v1/objects/container/web/release HTTP/1.1\r\nHost: m\r\nContent-Length: 17000\r\nConnection: close";
    let answer = ask(io, &format!("{head}\r\n\r\n{}", "x".repeat(17_000))).await;
    expect![[
        r#"413 Payload Too Large | application/json | {"error":"Failed to buffer the request body: length limit exceeded"}"#
    ]]
    .assert_eq(&brief(&answer));
    control.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn manifests_that_might_be_declared_are_planned_for_whoever_could_declare_them() {
    let manifest = "{apiVersion: mooring.dev/v1alpha1, kind: Container, metadata: {name: NAME}, spec: {image: a}}";
    let request = |name: &str| {
        let body = manifest.replace("NAME", name);
        format!(
            "POST /api/v1/plans HTTP/1.1\r\nHost: mooring\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mooring.sock");
    let server = over_unix(&path, Arc::new(Fake::default()));
    let answer = ask(UnixStream::connect(&path).await.unwrap(), &request("new")).await;
    assert!(brief(&answer).starts_with(r#"200 OK | application/json | {"items":[{"key":"Container/new","#), "{answer}");
    let answer = ask(UnixStream::connect(&path).await.unwrap(), &request("N")).await;
    assert!(brief(&answer).starts_with("400 ") && answer.contains("manifests:1:"), "{answer}");
    server.stop().await;
    let server = over_tcp(Fake::default()).await;
    let answer = ask(TcpStream::connect(server.address).await.unwrap(), &request("new")).await;
    assert!(brief(&answer).starts_with("403 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn everybody_sees_what_is_wrong_and_who_has_the_socket_may_test_who_is_told() {
    let server = over_tcp(Fake::default()).await;
    let alerts = get(&server, "/api/v1/alerts").await;
    assert!(alerts.contains(r#""subject":"Container/web","reason":"CrashLoop""#), "{alerts}");
    let request = "POST /api/v1/alerts/test HTTP/1.1\r\nHost: localhost\r\nConnection: close";
    let answer = ask(TcpStream::connect(server.address).await.unwrap(), request).await;
    assert!(brief(&answer).starts_with("403 "), "{answer}");
    server.stop().await;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.sock");
    let server = over_unix(&path, Arc::default());
    let answer = ask(UnixStream::connect(&path).await.unwrap(), request).await;
    let expected =
        r#"200 OK | application/json | {"items":[{"receiver":"ops"},{"receiver":"mail","error":"connection refused"}]}"#;
    assert_eq!(brief(&answer), expected);
    let answer = ask(UnixStream::connect(&path).await.unwrap(), &request.replace("test ", "test?receiver=opps ")).await;
    assert!(brief(&answer).starts_with("404 ") && answer.contains("there is no receiver named `opps`"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_release_on_the_control_socket_is_recorded_under_the_users_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.sock");
    let operator = Arc::new(Fake::default());
    let server = over_unix(&path, Arc::clone(&operator));
    let io = UnixStream::connect(&path).await.unwrap();
    let answer = ask(io, "POST /api/v1/objects/ctr/web/release HTTP/1.1\r\nHost: mooring").await;
    expect![[r#"200 OK | application/json | {"released":"Container/web"}"#]].assert_eq(&brief(&answer));
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    assert_eq!(*operator.released.lock().unwrap(), [(Key::new(Kind::Container, "web"), user)]);
    server.stop().await;
}

#[tokio::test]
async fn the_control_socket_is_ours_alone_replaces_a_stale_one_and_goes_with_us() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.sock");
    drop(UnixListener::bind(&path).unwrap());
    let server = over_unix(&path, Arc::default());
    let metadata = std::fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    server.stop().await;
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_follower_gets_what_was_and_what_comes_and_nothing_twice() {
    let news = (vec![fake::event("Started", 1), fake::event("Started", 2)], Vec::new());
    let server = over_tcp(Fake { news, ..Fake::default() }).await;
    let mut io = TcpStream::connect(server.address).await.unwrap();
    io.write_all(b"GET /api/v1/events?follow=true HTTP/1.0\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut lines = BufReader::new(io).lines();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Ok(event) = serde_json::from_str::<EventView>(&line) {
            seen.push((event.reason, event.count));
        }
    }
    let expected = [("Created", 1), ("Started", 1), ("Started", 2)];
    assert_eq!(seen, expected.map(|(reason, count)| (reason.to_owned(), count)));
    // The stream has no end of its own, and must not keep us from stopping.
    server.stop().await;
}

#[tokio::test]
async fn who_asks_is_answered_however_many_follow() {
    let server = over_tcp(Fake::default()).await;
    let mut followers = Vec::new();
    loop {
        let mut io = TcpStream::connect(server.address).await.unwrap();
        io.write_all(b"GET /api/v1/objects?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        io.read_exact(&mut status).await.unwrap();
        if &status != b"HTTP/1.1 200" {
            assert_eq!(&status, b"HTTP/1.1 503");
            break;
        }
        followers.push(io);
    }
    assert_eq!(followers.len(), 32);
    assert!(get(&server, "/healthz").await.starts_with("200 "));
    server.stop().await;
}
