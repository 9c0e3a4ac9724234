//! Pulling a model: one order to the server, and its answer for as long as it takes.
//!
//! The server answers 200 and then tells, line by line, how it fares; errors
//! come the same way. So only a line that says `success` is one. The server
//! itself hangs on to a dead line for a minute and more, which is why we have a
//! rule of our own for that. Breaking the answer off ends the pull; what has
//! come stays, and the next pull goes on there.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

use http_body_util::BodyExt as _;
use serde::Deserialize;
use tokio::{sync::watch, time::Instant};

use super::Effect;
use crate::{
    observe::{
        dial::Dial,
        ollama::{
            client::{self, Client, shown},
            free, look, made_from,
            pulls::{Begun, Pulls},
        },
    },
    plan::{
        ModelAction,
        model_provider::{Answer, Desired, Model, same, size},
    },
};

/// A large model over a slow line does take this long.
const PULL: Duration = Duration::from_hours(12);
/// Reading many gigabytes once more from a slow disk is not being stuck.
const VERIFY: Duration = Duration::from_mins(15);
/// The longest line that a server has any reason to write.
const LONGEST_LINE: usize = 64 << 10;
/// How often progress is logged.
const TELL: Duration = Duration::from_secs(10);

/// A model was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server did not take the order, or stopped answering.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The server said what went wrong, on the way.
    #[error("{message}")]
    Told {
        /// The server's words.
        message: String,
    },
    /// The answer ended without a word about success.
    #[error("the answer broke off after {after:?}")]
    BrokenOff {
        /// What was told last.
        after: String,
    },
    /// A line of the answer makes no sense.
    #[error("the server wrote what cannot be read: {line:?}")]
    Unreadable {
        /// Its beginning.
        line: String,
    },
    /// Nothing has moved for too long.
    #[error("no progress for {seconds} s, {told}")]
    Stalled {
        /// For how long.
        seconds: u64,
        /// How far it was.
        told: String,
    },
    /// The model would not fit.
    #[error("{} of free space are needed for what is left of it, and there are {}", size(*needed), size(*free))]
    DiskTooSmall {
        /// Bytes that have to be free.
        needed: u64,
        /// Bytes that are.
        free: u64,
    },
    /// The server says that it has the model, and does not list it, or not what was pulled.
    #[error("it was pulled, but {reason}")]
    NotThere {
        /// What is wrong.
        reason: String,
    },
    /// Somebody else has the same model pulled.
    #[error("it is being pulled already")]
    UnderWay,
    /// We are to stop. What has come stays.
    #[error("broken off because Mooring stops; the next pull goes on where it was")]
    Stopping,
    /// The manifest or the choice has changed meanwhile.
    #[error("broken off because it is not wanted any more")]
    NotWanted,
}

impl Error {
    /// Whether we ended it ourselves, so that it says nothing about the model or the server.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::UnderWay | Self::Stopping | Self::NotWanted)
    }
}

/// One line of the answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    status: String,
    digest: String,
    total: u64,
    completed: u64,
    error: Option<String>,
}

/// Gives a model server its orders.
pub struct Ollama {
    pulls: Pulls,
    dial: Arc<dyn Dial>,
    stopping: watch::Receiver<bool>,
}

impl Ollama {
    /// Connects through `dial`, tells `pulls` what it does, and ends when `stopping` says so.
    #[must_use]
    pub fn new(pulls: Pulls, dial: Arc<dyn Dial>, stopping: watch::Receiver<bool>) -> Self {
        Self { pulls, dial, stopping }
    }

    /// Performs one action. A model that is there is one that was pulled.
    pub async fn perform(&self, action: &ModelAction, desired: &Desired) -> Result<Effect, Error> {
        let ModelAction::PullModel { url, model, stall_after_seconds, directory } = action;
        if let Answer::Models { models, .. } = look(url, &self.dial).await
            && models.iter().any(|there| same(&there.name, model))
        {
            return Ok(Effect::AlreadySo);
        }
        let begun = self.pulls.begin(desired, url, model).ok_or(Error::UnderWay)?;
        tracing::info!(model, url, "pulling");
        let mut pull = Pull {
            dial: &self.dial,
            url,
            model,
            directory: directory.as_deref(),
            stall_after: Duration::from_secs(*stall_after_seconds),
            layers: Layers::default(),
            moved: Instant::now(),
            logged: Instant::now(),
        };
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            // What we are told outweighs what the server says in the same moment.
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => Err(Error::Stopping),
            () = begun.cancel.cancelled() => Err(Error::NotWanted),
            ended = tokio::time::timeout(PULL, pull.run(&begun)) => ended.unwrap_or_else(|_| Err(pull.stalled(PULL))),
        };
        if let Err(Error::DiskTooSmall { needed, .. }) = ended {
            self.pulls.needs(url, model, needed);
        }
        ended?;
        pull.verify().await?;
        Ok(Effect::Done)
    }
}

/// A pull under way.
struct Pull<'a> {
    dial: &'a Arc<dyn Dial>,
    url: &'a str,
    model: &'a str,
    directory: Option<&'a Path>,
    stall_after: Duration,
    layers: Layers,
    /// When something last moved.
    moved: Instant,
    logged: Instant,
}

/// What the server has told of each layer: bytes that it has, and that there are.
#[derive(Default)]
struct Layers {
    by_digest: BTreeMap<String, (u64, u64)>,
    status: String,
}

impl Layers {
    fn completed(&self) -> u64 {
        self.by_digest.values().map(|(completed, _)| completed).sum()
    }

    fn total(&self) -> u64 {
        self.by_digest.values().map(|(_, total)| total).sum()
    }
}

impl Pull<'_> {
    /// Follows the answer to its end.
    async fn run(&mut self, begun: &Begun) -> Result<(), Error> {
        // Both spellings: the first is what servers read today, the second what they read first.
        let order = serde_json::json!({ "model": self.model, "name": self.model, "stream": true });
        let client = Client::new(self.url, self.dial)?;
        let ordered = tokio::time::timeout(self.stall_after, client.begin("/api/pull", &order));
        let mut answer = ordered.await.map_err(|_| self.stalled(self.stall_after))??;
        let mut lines = Lines::default();
        loop {
            let patience = if self.layers.status.starts_with("verifying") { VERIFY } else { self.stall_after };
            let left = (self.moved + patience).saturating_duration_since(Instant::now());
            let Ok(frame) = tokio::time::timeout(left, answer.body.frame()).await else {
                return Err(self.stalled(patience));
            };
            match frame {
                Some(Ok(frame)) => lines.push(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(error)) => {
                    let reason = format!("{} after {:?}", crate::error_chain(&error), self.layers.status);
                    return Err(client::Error::Silent { reason }.into());
                }
                None if lines.rest.trim_ascii().is_empty() => return Err(self.broken_off()),
                None => return Err(Error::Unreadable { line: shown(&lines.rest) }),
            }
            while let Some(line) = lines.next()? {
                if self.take(line)? {
                    return Ok(());
                }
                begun.told(&self.layers.status, self.layers.completed(), self.layers.total(), Instant::now());
            }
        }
    }

    /// Takes one line in; true when it says that all is done.
    fn take(&mut self, line: Line) -> Result<bool, Error> {
        let Line { status, digest, total, completed, error } = line;
        if let Some(message) = error {
            return Err(Error::Told { message });
        }
        // What is told a second time is not progress, and neither is falling back; coming on again after that is.
        let mut moved = status != self.layers.status;
        if !digest.is_empty() {
            let known = self.layers.by_digest.insert(digest, (completed, total));
            moved = known.is_none_or(|(before, _)| completed > before);
            if known.is_none_or(|(_, before)| before != total) {
                self.fits()?;
            }
        }
        self.layers.status = status;
        let now = Instant::now();
        if moved {
            self.moved = now;
        }
        if now.duration_since(self.logged) >= TELL {
            self.logged = now;
            tracing::info!(model = self.model, progress = self.told(), "pulling");
        }
        Ok(self.layers.status == "success")
    }

    /// Whether there is room for what is still to come, and a fifth more for whoever else writes to the disk.
    fn fits(&self) -> Result<(), Error> {
        let left = self.layers.total().saturating_sub(self.layers.completed());
        let needed = left.saturating_add(left / 5);
        match self.directory.and_then(free) {
            Some(free) if free < needed => Err(Error::DiskTooSmall { needed, free }),
            // That it cannot be seen has been noted in the plan; the server may well have room.
            Some(_) | None => Ok(()),
        }
    }

    /// The server has to have what it says it has, made from what it said it pulled.
    async fn verify(&self) -> Result<(), Error> {
        let missing = |reason: String| Error::NotThere { reason };
        let models = match look(self.url, self.dial).await {
            Answer::Models { models, .. } => models,
            Answer::Silent { reason } | Answer::Wrong { reason } => return Err(missing(reason)),
        };
        let listed = models.into_iter().find(|there| same(&there.name, self.model));
        let Model { digest, size, .. } = listed.ok_or_else(|| missing("the server does not list it".to_owned()))?;
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            return Err(missing(format!("the server lists it with the digest {digest:?}")));
        }
        let pulled: Vec<&str> = self.layers.by_digest.keys().filter_map(|digest| digest.strip_prefix("sha256:")).collect();
        let made_from = made_from(self.url, self.model, self.dial).await?;
        if let Some(stranger) = made_from.iter().find(|layer| !pulled.contains(&layer.as_str()))
            && !pulled.is_empty()
        {
            return Err(missing(format!("the server made it from {stranger}, which is not what it pulled")));
        }
        tracing::info!(model = self.model, digest, size, "pulled");
        Ok(())
    }

    fn told(&self) -> String {
        let (completed, total) = (self.layers.completed(), self.layers.total());
        format!("{} of {}, at {:?}", size(completed), size(total), self.layers.status)
    }

    fn stalled(&self, patience: Duration) -> Error {
        Error::Stalled { seconds: patience.as_secs(), told: self.told() }
    }

    fn broken_off(&self) -> Error {
        Error::BrokenOff { after: self.layers.status.clone() }
    }
}

/// Bytes → lines.
#[derive(Default)]
struct Lines {
    whole: VecDeque<Vec<u8>>,
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, data: &[u8]) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.whole.push_back(std::mem::take(&mut self.rest));
            }
        }
    }

    fn next(&mut self) -> Result<Option<Line>, Error> {
        if self.rest.len() > LONGEST_LINE {
            return Err(Error::Unreadable { line: shown(&self.rest) });
        }
        while let Some(line) = self.whole.pop_front() {
            if !line.trim_ascii().is_empty() {
                return serde_json::from_slice(&line).map(Some).map_err(|_| Error::Unreadable { line: shown(&line) });
            }
        }
        Ok(None)
    }
}
