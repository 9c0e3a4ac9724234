//! nginx, as it is asked and told: inside its container, or by a command of this host.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{execute::repair::Nginx, observe};

/// A test looks up every fixed name, and each may take nginx's resolver half a minute.
const COMMAND: Duration = Duration::from_mins(2);

/// An answer that was sent whole is followed by nothing for this long.
const QUIET: Duration = Duration::from_millis(200);

/// A reload is done by then, if it cannot be told otherwise.
const SETTLE: Duration = Duration::from_secs(3);

/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Who runs nginx.
pub(super) enum Way {
    /// The engine, in this container.
    Container(Arc<dyn observe::engine::Engine>, String, Vec<String>),
    /// This host.
    Host(Vec<String>),
}

/// nginx, and what it has to go on answering.
pub(super) struct Asked {
    way: Way,
    /// What was answered before, by address: a status, or none if there was no answer.
    before: BTreeMap<String, Option<u16>>,
    loaded: Mutex<Loaded>,
}

/// How to tell that the new workers are there: a reload returns before it is done, and until then the old ones answer.
struct Loaded {
    /// Idle connections to the old workers, which close them when they go. They go when the new ones have come, and
    /// stay if the master refuses the configuration after all.
    held: Vec<TcpStream>,
    /// Where nginx keeps no idle connection open, time has to do.
    by_time: bool,
    reloaded: Instant,
}

impl Asked {
    /// Remembers what is answered now.
    pub(super) async fn new(way: Way, probes: &[String]) -> Self {
        let mut before = BTreeMap::new();
        let mut held = Vec::new();
        for probe in probes {
            before.insert(probe.clone(), status(probe).await.ok());
            held.push(hold(probe).await);
        }
        let by_time = held.iter().any(Option::is_none);
        let held = held.into_iter().flatten().collect();
        Self { way, before, loaded: Mutex::new(Loaded { held, by_time, reloaded: Instant::now() }) }
    }

    /// Whether the old workers have gone.
    fn loaded(&self) -> Result<(), String> {
        let mut loaded = self.loaded.lock().expect("nothing panics while holding it");
        loaded.held.retain(|stream| matches!(stream.try_read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock));
        let waited = !loaded.by_time || loaded.reloaded.elapsed() >= SETTLE;
        if loaded.held.is_empty() && waited { Ok(()) } else { Err("its old workers still answer".to_owned()) }
    }

    async fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let with = |command: &[String]| -> Vec<String> {
            command.iter().cloned().chain(arguments.iter().map(|argument| (*argument).to_owned())).collect()
        };
        match &self.way {
            Way::Container(engine, id, command) => {
                let ended = timeout(COMMAND, engine.exec(id, &with(command))).await.map_err(|_| TOO_LONG.to_owned())?;
                let ended = ended.map_err(|error| crate::error_chain(&error))?;
                if ended.exit_code == 0 { Ok(()) } else { Err(ended.output.trim().to_owned()) }
            }
            Way::Host(command) => host(&with(command)).await,
        }
    }
}

const TOO_LONG: &str = "nginx took too long to say";

async fn host(command: &[String]) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("there is no command to run nginx with")?;
    let mut child = tokio::process::Command::new(program);
    child.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(COMMAND, child.output()).await.map_err(|_| TOO_LONG.to_owned())?;
    let ended = ended.map_err(|error| format!("could not run {program}: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    Err(if said.is_empty() { ended.status.to_string() } else { said })
}

#[async_trait]
impl Nginx for Asked {
    async fn test(&self, main: Option<&Path>) -> Result<(), String> {
        match main {
            None => self.run(&["-t", "-q"]).await,
            // nginx goes by the last `-c`.
            Some(main) => self.run(&["-t", "-q", "-c", &main.to_string_lossy()]).await,
        }
    }

    async fn reload(&self) -> Result<(), String> {
        self.run(&["-s", "reload"]).await?;
        self.loaded.lock().expect("nothing panics while holding it").reloaded = Instant::now();
        Ok(())
    }

    async fn answers(&self) -> Result<(), String> {
        if !self.before.is_empty() {
            self.loaded()?;
        }
        for (probe, before) in &self.before {
            let now = status(probe).await?;
            // Worse than before is what must not be: a backend that was down may be down.
            if now >= 500 && before.is_none_or(|before| before < 500) {
                return Err(format!("{probe} is answered with {now}"));
            }
        }
        Ok(())
    }
}

/// Where an address leads: to which socket, as which host, and the path.
fn parts(address: &str) -> Result<(String, &str, &str), String> {
    let rest = address.strip_prefix("http://").ok_or_else(|| format!("{address} does not begin with http://"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let to = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    Ok((to, authority, if path.is_empty() { "/" } else { path }))
}

/// The status of the answer at an address, `http://host[:port]/path`.
async fn status(address: &str) -> Result<u16, String> {
    let failed = |error: io::Error| format!("{address} is not answered: {error}");
    let (to, host, path) = parts(address)?;
    let ask = async {
        let mut stream = TcpStream::connect(&to).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut line = Vec::new();
        // The status is in the first dozen bytes.
        stream.take(64).read_to_end(&mut line).await?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    };
    let line: String = timeout(ANSWER, ask).await.map_err(|_| format!("{address} is not answered"))?.map_err(failed)?;
    let status = line.split(' ').nth(1).and_then(|status| status.get(..3)?.parse().ok());
    status.ok_or_else(|| format!("{address} is not answered with HTTP"))
}

/// A connection that has been answered and is kept open; none if it is closed behind the answer.
async fn hold(address: &str) -> Option<TcpStream> {
    let (to, host, path) = parts(address).ok()?;
    let mut stream = timeout(ANSWER, TcpStream::connect(&to)).await.ok()?.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = vec![0; 8192];
    let first = timeout(ANSWER, stream.read(&mut answer)).await.ok()?.ok()?;
    let mut open = first > 0;
    while open && let Ok(read) = timeout(QUIET, stream.read(&mut answer)).await {
        open = read.is_ok_and(|read| read > 0);
    }
    open.then_some(stream)
}
