//! Servers on this machine that take alerts: one of HTTP, one of SMTP. They remember what they were told.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// What a server does with those who come.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Answers with these, one after the other, and with 200 when there are no more.
    Answers(Vec<u16>),
    /// Accepts, reads, and never says anything.
    Hangs,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first line and the headers.
    pub head: String,
    pub body: serde_json::Value,
}

/// What a server has heard so far.
type Heard<T> = Arc<Mutex<Vec<T>>>;

/// A server that goes away with this.
pub struct Server {
    pub port: u16,
    is_over: Arc<AtomicBool>,
}

impl Server {
    fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, is_over) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let (over, serve) = (Arc::clone(&is_over), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream.unwrap()));
            }
        });
        Self { port, is_over }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Whoever waits for the next one gets it.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// A port at which nobody listens.
pub fn nobody() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server of HTTP.
pub struct Http {
    pub server: Server,
    heard: Heard<Request>,
}

impl Http {
    pub fn new(manner: Manner) -> Self {
        let heard: Heard<Request> = Arc::default();
        let (requests, manner) = (Arc::clone(&heard), Mutex::new(manner));
        let server = Server::new(move |stream| {
            let Some(request) = read(&stream) else { return };
            let echoed = request.head.lines().next().unwrap_or_default().to_owned();
            requests.lock().unwrap().push(request);
            let status = match &mut *manner.lock().unwrap() {
                Manner::Answers(answers) if answers.is_empty() => Some(200),
                Manner::Answers(answers) => Some(answers.remove(0)),
                Manner::Hangs => None,
            };
            match status {
                Some(status) => {
                    let length = echoed.len();
                    let _ =
                        write!(&stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{echoed}");
                }
                // Until whoever asked has had enough.
                None => drop((&stream).read(&mut [0; 1])),
            }
        });
        Self { server, heard }
    }

    /// Where it listens.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }

    pub fn heard(&self) -> Vec<Request> {
        self.heard.lock().unwrap().clone()
    }

    /// The messages of webhooks, as `firing Container/web CrashLoop`.
    pub fn messages(&self) -> Vec<String> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let of_request = |request: &Request| {
            let status = text(&request.body["status"]);
            let alerts = request.body["alerts"].as_array().cloned().unwrap_or_default();
            alerts
                .iter()
                .map(|alert| format!("{status} {} {}", text(&alert["subject"]), text(&alert["reason"])))
                .collect::<Vec<_>>()
        };
        self.heard().iter().flat_map(of_request).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request { head, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// A server of SMTP that speaks in the clear.
pub struct Smtp {
    pub server: Server,
    said: Heard<String>,
    mails: Heard<String>,
}

impl Smtp {
    pub fn new() -> Self {
        let (said, mails): (Heard<String>, Heard<String>) = Default::default();
        let (commands, letters) = (Arc::clone(&said), Arc::clone(&mails));
        let server = Server::new(move |stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let say = |text: &str| write!(&stream, "{text}\r\n").is_ok();
            say("220 mail.test ESMTP");
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                let command = std::mem::take(&mut line).trim_end().to_owned();
                commands.lock().unwrap().push(command.clone());
                let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
                match verb.as_str() {
                    "EHLO" => say("250-mail.test\r\n250 8BITMIME"),
                    "DATA" => {
                        say("354 go on");
                        let mut letter = String::new();
                        while !letter.ends_with("\r\n.\r\n") && reader.read_line(&mut letter).is_ok_and(|read| read > 0) {}
                        letters.lock().unwrap().push(letter);
                        say("250 taken")
                    }
                    "QUIT" => {
                        say("221 bye");
                        return;
                    }
                    "RCPT" if command.contains("nobody@") => say("550 there is nobody of that name"),
                    _ => say("250 ok"),
                };
            }
        });
        Self { server, said, mails }
    }

    /// The commands that were given.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}
