//! nginx, as it is asked and told: inside its container, or by a command of this host.

use std::{path::Path, process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use crate::{
    execute::repair::{Nginx, answers::Answers},
    observe,
    plan::proxy::action::Probe,
};

/// A test looks up every fixed name, and each may take nginx's resolver half a minute.
const COMMAND: Duration = Duration::from_mins(2);

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
    answers: Answers,
}

impl Asked {
    /// Remembers what is answered now.
    pub(super) async fn new(way: Way, probes: &[Probe]) -> Self {
        Self { way, answers: Answers::new(probes).await }
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
        self.answers.before_reload().await;
        self.run(&["-s", "reload"]).await?;
        self.answers.reloaded();
        Ok(())
    }

    async fn answers(&self) -> Result<(), String> {
        self.answers.are_as_before().await
    }
}

/// Reads an address, `http://host[:port]/path`.
pub(super) fn probe(address: &str) -> Result<Probe, String> {
    let rest = address.strip_prefix("http://").ok_or_else(|| format!("{address} does not begin with http://"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let to = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    Ok(Probe { to, host: host.to_owned(), path: if path.is_empty() { "/" } else { path }.to_owned() })
}
