//! Only one Mooring for the containers of one owner on one engine.
//!
//! A lock in the state directory does not help against a second Mooring with
//! another state directory, so there is a marker on the engine too: an empty
//! volume whose label says who holds it. Making a volume that exists gives back
//! the one that is there, so of two who ask at once only one finds itself on it.
//!
//! Whoever is killed leaves the marker behind. It is stale when its holder can
//! be seen to be gone: the machine has been started anew, the process, or the
//! container that it ran in, is not there any more.

use std::{fmt, fs};

use serde::{Deserialize, Serialize};

use crate::{
    crash, execute,
    observe::engine,
    plan::container::State,
    settings::{Mode, Settings},
};

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host's name; in a container, the container's id cut short.
    host: String,
    /// The id of the machine's last start.
    boot: String,
    /// The process.
    pid: u32,
    /// When the process was started, in the kernel's ticks; process ids are used again.
    started: String,
    /// The namespace in which the process has that id.
    namespace: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} on {}", self.pid, self.host)
    }
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            host: nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            boot: read("/proc/sys/kernel/random/boot_id"),
            pid,
            started: started(pid).unwrap_or_default(),
            namespace: namespace("self"),
        }
    }

    /// Whether it can be seen that the holder is gone. Not seeing it is no evidence.
    async fn is_gone(&self, observer: &dyn engine::Engine) -> bool {
        let here = Self::this_process();
        if self.boot != here.boot {
            return true;
        }
        if self.namespace == here.namespace {
            return started(self.pid).as_ref() != Some(&self.started);
        }
        // In a container the host's name is the container's id, unless somebody gave it another one.
        match observer.inspect(&self.host).await {
            Ok(Some(container)) => container.state != State::Running,
            Ok(None) | Err(_) => false,
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn namespace(pid: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/pid")).map(|link| link.to_string_lossy().into_owned()).unwrap_or_default()
}

/// When a process was started: the 22nd field of its stat, which stands behind a name that may hold anything.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// The lease cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another Mooring has it.
    #[error(
        "another mooring holds the containers of owner `{owner}` on this engine ({holder}); stop it, use another --owner, or, if it is gone for good, remove the volume {marker}"
    )]
    Held {
        /// The owner.
        owner: String,
        /// Who has it.
        holder: String,
        /// The marker's name.
        marker: String,
    },
    /// The engine does not say.
    #[error("the engine cannot be asked for the lease")]
    Engine {
        /// Why.
        source: execute::engine::Error,
    },
}

impl Error {
    /// Whether somebody else has it, as opposed to nobody having been asked.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}

/// How often a stale marker is taken away before somebody else is believed to be at it as well.
const TRIES: usize = 3;

/// Takes the lease of an owner, from a holder that is gone too. Who only observes needs none, and leaves nothing on the engine.
pub async fn take(settings: &Settings, actor: &dyn execute::engine::Engine, observer: &dyn engine::Engine) -> Result<(), Error> {
    if settings.mode == Mode::Observe {
        return Ok(());
    }
    let owner = settings.owner.as_str();
    let (marker, me) = (marker(owner), Holder::this_process());
    let text = serde_json::to_string(&me).expect("a holder is made of strings and numbers");
    let failed = |source| Error::Engine { source };
    let mut found = String::new();
    for _ in 0..TRIES {
        found = actor.mark(&marker, &text).await.map_err(failed)?;
        crash::point("lease-after-mark");
        let holder: Option<Holder> = serde_json::from_str(&found).ok();
        match holder {
            Some(holder) if holder == me => return Ok(()),
            Some(holder) if holder.is_gone(observer).await => {
                actor.unmark(&marker).await.map_err(failed)?;
                crash::point("lease-after-unmark");
            }
            Some(_) | None => break,
        }
    }
    let holder = serde_json::from_str::<Holder>(&found)
        .map_or_else(|_| "it did not say who it is".to_owned(), |holder| holder.to_string());
    Err(Error::Held { owner: owner.to_owned(), holder, marker })
}

/// Gives the lease back.
pub async fn give_back(settings: &Settings, actor: &dyn execute::engine::Engine) {
    if settings.mode == Mode::Act
        && let Err(error) = actor.unmark(&marker(&settings.owner)).await
    {
        // It will be found stale.
        tracing::debug!(error = crate::error_chain(&error), "the lease could not be given back");
    }
    crash::point("lease-after-return");
}

fn marker(owner: &str) -> String {
    format!("mooring-lease-{owner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_told_from_one_that_had_its_id_before() {
        let me = Holder::this_process();
        assert!(!me.started.is_empty() && !me.boot.is_empty() && !me.namespace.is_empty());
        assert_eq!(started(me.pid), Some(me.started));
    }
}
