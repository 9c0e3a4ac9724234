//! The engine itself in trouble, as seen through a proxy in front of its socket.

use std::{path::PathBuf, thread, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{UnixListener, UnixStream},
    runtime::Runtime,
    task::{JoinHandle, JoinSet},
};

use crate::{
    host::{self, Host, container, manifest},
    receiver::{self, Http},
};

/// What the proxy does with a connection.
#[derive(Clone, Copy)]
enum Manner {
    /// Hands it to the engine.
    Faithful,
    /// Answers every request with 500.
    Failing,
    /// Hands it to the engine after a while, as an engine does that is coming up.
    Late(Duration),
}

/// A socket between Mooring and the engine.
struct Proxy {
    runtime: Runtime,
    path: PathBuf,
    listening: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens in a new socket file; what the old one had accepted is broken off.
    fn listens(&mut self, manner: Manner) {
        self.vanishes();
        let listener = self.runtime.block_on(async { UnixListener::bind(&self.path).unwrap() });
        self.listening = Some(self.runtime.spawn(async move {
            // Dropped, and with it all connections, when the listening ends.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, manner));
            }
        }));
    }

    /// Breaks everything off and removes the socket file.
    fn vanishes(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = self.runtime.block_on(listening);
            std::fs::remove_file(&self.path).unwrap();
        }
    }
}

async fn serve(mut client: UnixStream, manner: Manner) {
    match manner {
        Manner::Failing => {
            let mut request = [0; 4096];
            while client.read(&mut request).await.is_ok_and(|read| read > 0) {
                let body = r#"{"message": "it is not my day"}"#;
                let head = format!(
                    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                if client.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                    return;
                }
            }
            return;
        }
        Manner::Late(pause) => tokio::time::sleep(pause).await,
        Manner::Faithful => {}
    }
    let mut engine = UnixStream::connect(host::socket()).await.unwrap();
    // Either side may leave when it likes.
    let _ = copy_bidirectional(&mut client, &mut engine).await;
}

/// A Mooring behind a proxy, and a container that is as declared.
fn behind_a_proxy() -> (Host, Proxy) {
    let mut host = Host::new(&[container("web", "image: web:1")]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut proxy = Proxy { runtime, path: host.path("../engine.sock"), listening: None };
    host.engine = format!("unix://{}", proxy.path.display());
    proxy.listens(Manner::Faithful);
    host.run();
    host.converges();
    (host, proxy)
}

fn is_missed(host: &Host) -> bool {
    host.context().health().not_ready.iter().any(|trouble| trouble.contains("the engine cannot be reached"))
}

#[test]
fn what_dies_while_the_engine_is_out_of_reach_is_healed_when_it_is_back() {
    let (host, mut proxy) = behind_a_proxy();
    proxy.vanishes();
    host.eventually("it is reported", is_missed);
    host.docker("kill @web");
    thread::sleep(Duration::from_secs(10));
    assert!(host.state("web").starts_with("exited"));
    proxy.listens(Manner::Faithful);
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.eventually("all is well again", |host| host.context().health().not_ready.is_empty());
}

#[test]
fn an_engine_that_answers_with_errors_is_waited_for() {
    let (host, mut proxy) = behind_a_proxy();
    proxy.listens(Manner::Failing);
    host.docker("kill @web");
    host.eventually("it is reported", is_missed);
    host.stays(3, "web is down", |host| host.state("web").starts_with("exited"));
    proxy.listens(Manner::Faithful);
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.converges();
}

#[test]
fn an_engine_whose_first_answer_hangs_is_not_given_up() {
    let (host, mut proxy) = behind_a_proxy();
    proxy.listens(Manner::Late(Duration::from_secs(6)));
    host.docker("kill @web");
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.eventually("all is well again", |host| host.context().health().not_ready.is_empty());
}

#[test]
fn an_engine_with_a_new_socket_file_is_found() {
    let (host, mut proxy) = behind_a_proxy();
    for _ in 0..3 {
        proxy.listens(Manner::Faithful);
        host.docker("kill @web");
        host.eventually("web runs again", |host| host.state("web").starts_with("running"));
    }
    assert_eq!(host.names(), ["@web"]);
}

#[test]
fn an_engine_that_is_lost_is_one_alert_however_many_containers_it_has() {
    let ops = Http::new(receiver::Manner::Answers(Vec::new()));
    let (host, mut proxy) = behind_a_proxy();
    host.put(container("api", "image: web:1"));
    let receiver = format!("{{name: ops, webhook: {{url: '{}'}}}}", ops.url("/"));
    host.put(manifest("Host", "default", &format!("alerts: {{delay: 2s, group: 1s, repeat: never, receivers: [{receiver}]}}")));
    host.converges();
    proxy.vanishes();
    host.eventually("it is told", |_| !ops.messages().is_empty());
    host.stays(4, "it is told once", |_| ops.messages() == ["firing Host EngineLost"]);
    proxy.listens(Manner::Faithful);
    host.eventually("its end is told", |_| ops.messages() == ["firing Host EngineLost", "resolved Host EngineLost"]);
    host.converges();
    host.stays(4, "there is no more to tell", |_| ops.messages().len() == 2);
}
