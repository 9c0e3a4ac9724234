//! What can be done to an nginx and its files.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::super::Target;
use crate::sites::{Config, Sites};

/// One step of a change of an nginx's configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "operation")]
pub enum ProxyAction {
    /// Writes the files beside the ones in force, and has nginx itself test them.
    TestSites {
        /// What is tested.
        change: Change,
        /// The nginx.
        nginx: Nginx,
    },
    /// Puts the files in force, each atomically.
    SwapSites {
        /// What is put in force.
        change: Change,
    },
    /// Has nginx read its files.
    ReloadProxy {
        /// The nginx.
        nginx: Nginx,
        /// The `Proxy`'s name.
        proxy: String,
        /// The directory of the files.
        directory: PathBuf,
        /// The digest of the files that it gets. Not serialised, as no digest here is: one of a text with a weak password
        /// in it could be guessed.
        #[serde(skip)]
        digest: String,
        /// When that nginx was started: another one has read other files.
        instance: String,
        /// The digest of the configuration that they are made from.
        #[serde(skip)]
        config: String,
    },
    /// Asks nginx until it answers by the new files, and then for every changed route.
    ProveRoutes {
        /// The nginx.
        nginx: Nginx,
        /// What is asked.
        proof: Box<Proof>,
    },
    /// Mends sites that another tool has written: tested aside, put in place, loaded and asked for, or all as it was.
    RepairSites {
        /// The nginx.
        nginx: Nginx,
        /// What is mended.
        mending: Mending,
    },
    /// Takes back a repair that was broken off before nginx had proven it. That nginx has not been told stays marked.
    RestoreSites {
        /// What is taken back: `old` is what was mended.
        mending: Mending,
    },
}

/// Files of another tool that change together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mending {
    /// The `Proxy`'s name.
    pub proxy: String,
    /// The directory of its own files, where a test can be made.
    pub directory: PathBuf,
    /// The same, as nginx sees it.
    pub inside: String,
    /// The files.
    pub files: Vec<Mended>,
    /// What has to be answered no worse after it than before.
    pub probes: Vec<Probe>,
    /// The digest of the files.
    #[serde(skip)]
    pub digest: String,
}

/// A file of another tool, and what it shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// Where it is on this host.
    pub path: PathBuf,
    /// Where nginx has it.
    pub seen_as: PathBuf,
    /// The lines that change.
    pub changes: Vec<String>,
    /// What it holds.
    #[serde(skip)]
    pub old: String,
    /// What it shall hold.
    #[serde(skip)]
    pub new: String,
}

/// A question to nginx over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Probe {
    /// Where it is asked: address and port.
    pub to: String,
    /// As which host.
    pub host: String,
    /// For which path.
    pub path: String,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.host, self.path)
    }
}

/// Files to change together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The `Proxy`'s name.
    pub proxy: String,
    /// Their directory.
    pub directory: PathBuf,
    /// The same, as nginx sees it.
    pub inside: String,
    /// The names of the files that are written.
    pub write: Vec<String>,
    /// The names of the files that go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// All files as they shall be. Not serialised: they are long, and a header may hold a password.
    #[serde(skip)]
    pub sites: Sites,
    /// The digest of the files.
    #[serde(skip)]
    pub digest: String,
    /// The digest of the configuration that they are made from.
    #[serde(skip)]
    pub config: String,
}

/// The nginx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Nginx {
    /// In a container.
    Container(Target),
    /// On the host.
    Host {
        /// The command that runs it.
        command: Vec<String>,
        /// The command that reloads it.
        reload: Vec<String>,
    },
}

impl Nginx {
    /// The command that runs it, to which what it is to do is added.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        match self {
            Self::Container(_) => vec!["nginx".to_owned()],
            Self::Host { command, .. } => command.clone(),
        }
    }

    /// The command that has it read its files.
    #[must_use]
    pub fn reload(&self) -> Vec<String> {
        match self {
            Self::Container(_) => ["nginx", "-s", "reload"].map(str::to_owned).into(),
            Self::Host { reload, .. } => reload.clone(),
        }
    }
}

/// How it is proven that nginx does what its files say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proof {
    /// Where nginx answers.
    pub address: String,
    /// The port for HTTP.
    pub port: u16,
    /// The hosts, with the version of their files.
    pub versions: Vec<(String, String)>,
    /// The routes that have changed.
    pub routes: Vec<Asked>,
    /// The routes that have changed and can only be asked for over TLS.
    pub behind: Vec<Behind>,
    /// The digest of the files.
    #[serde(skip)]
    pub digest: String,
    /// The configuration that they are made from, to come back to if a later one does not work.
    #[serde(skip)]
    pub config: Config,
}

/// A route that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The host.
    pub host: String,
    /// The path.
    pub path: String,
    /// Where it leads.
    pub backend: String,
}

/// A route that cannot be asked for. Whether anybody listens where it leads can be seen all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// The host.
    pub host: String,
    /// The path.
    pub path: String,
    /// Where it leads, as `172.18.0.2:8080`.
    pub places: Vec<String>,
}

impl ProxyAction {
    /// The operation's name in the audit log and in metrics.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::TestSites { .. } => "TestSites",
            Self::SwapSites { .. } => "SwapSites",
            Self::ReloadProxy { .. } => "ReloadProxy",
            Self::ProveRoutes { .. } => "ProveRoutes",
            Self::RepairSites { .. } => "RepairSites",
            Self::RestoreSites { .. } => "RestoreSites",
        }
    }

    /// What is acted on.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::TestSites { change, .. } | Self::SwapSites { change } => change.directory.display().to_string(),
            Self::ReloadProxy { nginx, .. } | Self::ProveRoutes { nginx, .. } => nginx.to_string(),
            Self::RepairSites { mending, .. } | Self::RestoreSites { mending } => mending.paths(),
        }
    }

    /// The digest of the configuration that it is about.
    #[must_use]
    pub fn config(&self) -> String {
        match self {
            Self::TestSites { change, .. } | Self::SwapSites { change } => change.config.clone(),
            Self::ReloadProxy { config, .. } => config.clone(),
            Self::ProveRoutes { proof, .. } => proof.config.digest(),
            // It is not made from one.
            Self::RepairSites { .. } | Self::RestoreSites { .. } => String::new(),
        }
    }

    /// The digest of the files that it is about.
    #[must_use]
    pub fn digest(&self) -> &str {
        match self {
            Self::TestSites { change, .. } | Self::SwapSites { change } => &change.digest,
            Self::ReloadProxy { digest, .. } => digest,
            Self::ProveRoutes { proof, .. } => &proof.digest,
            Self::RepairSites { mending, .. } | Self::RestoreSites { mending } => &mending.digest,
        }
    }
}

impl Mending {
    /// The files on this host.
    fn paths(&self) -> String {
        let paths: Vec<String> = self.files.iter().map(|file| file.path.display().to_string()).collect();
        match paths.as_slice() {
            [first, second, third, rest @ ..] if !rest.is_empty() => {
                format!("{first}, {second}, {third} and {} more", rest.len())
            }
            few => few.join(", "),
        }
    }
}

impl fmt::Display for Nginx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(target) => target.fmt(f),
            Self::Host { .. } => f.write_str("nginx on the host"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("write", &self.write), ("remove", &self.remove)];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, files)| !files.is_empty())
            .map(|(verb, files)| match files.as_slice() {
                [first, second, third, rest @ ..] if !rest.is_empty() => {
                    format!("{verb} {first}, {second}, {third} and {} more", rest.len())
                }
                few => format!("{verb} {}", few.join(", ")),
            })
            .collect();
        f.write_str(&parts.join("; "))
    }
}

impl fmt::Display for ProxyAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TestSites { nginx, .. } => write!(f, "have {nginx} test the new files"),
            Self::SwapSites { change } => change.fmt(f),
            Self::ReloadProxy { nginx, .. } => write!(f, "reload {nginx}"),
            Self::RepairSites { mending, .. } => write!(f, "repair {}", mending.paths()),
            Self::RestoreSites { mending } => write!(f, "take back the repair of {}", mending.paths()),
            Self::ProveRoutes { nginx, proof } if proof.routes.is_empty() => {
                write!(f, "ask {nginx} whether it has the new files")
            }
            Self::ProveRoutes { nginx, proof } => {
                let routes = proof.routes.len();
                write!(f, "ask {nginx} for {routes} {}", if routes == 1 { "route" } else { "routes" })
            }
        }
    }
}
