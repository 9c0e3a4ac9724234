//! What the command line and the environment come to, resolved once.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use crate::manifest::host::Mode;
use crate::{record::ship::Target, source::watch::Hearing};

/// How this Mooring runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the desired state.
    pub desired: PathBuf,
    /// The directory of what has to be remembered.
    pub state: PathBuf,
    /// The name of this Mooring on the labels of its containers.
    pub owner: String,
    /// Where the engine listens, as `unix:///var/run/docker.sock`.
    pub engine: String,
    /// Where to serve health, metrics and the read-only API; nowhere, without an address.
    pub http: Option<SocketAddr>,
    /// How often everything is looked at although nothing said so.
    pub resync: Duration,
    /// How many objects are worked on at a time.
    pub concurrency: u16,
    /// Whether to plan and report only.
    pub mode: Mode,
    /// The file that is told how far the audit log has come, best on another machine.
    pub audit_anchor: Option<PathBuf>,
    /// The database that the audit log is shipped to.
    pub database: Option<Target>,
    /// Who tells of changes of files.
    pub hearing: Hearing,
}

impl Settings {
    /// The name of the control socket in the state directory.
    pub const SOCKET: &str = "mooring.sock";
    /// Lost events are found within this time.
    pub const RESYNC: Duration = Duration::from_secs(10);
    /// A machine with two cores and one engine gains nothing from more.
    pub const CONCURRENCY: u16 = 8;
    /// The owner's name unless another is given.
    pub const OWNER: &str = "mooring";
    /// Where Docker listens unless told otherwise.
    pub const ENGINE: &str = "unix:///var/run/docker.sock";

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.state.join(Self::SOCKET)
    }
}
