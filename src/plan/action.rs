//! What can be done: one action is one outside effect.
//!
//! Actions hold names, references and fingerprints, never the value of a
//! secret, because they are printed, stored and sent.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::Serialize;

use super::{
    model_provider::ModelAction,
    proxy::ProxyAction,
    shape::{Limits, Network, Shape},
};
use crate::manifest::{Key, environment::SecretFormat};

/// As many characters of an id as the engine itself shows.
const SHORT_ID: usize = 12;

/// One outside effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Action {
    /// A call to the engine.
    Engine(EngineAction),
    /// A replacement of one file.
    File(FileAction),
    /// A step of a change of an nginx.
    Proxy(ProxyAction),
    /// An order to a model server.
    Model(ModelAction),
}

impl Action {
    /// The operation's name in the audit log and in metrics.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Engine(action) => action.operation(),
            Self::File(action) => action.operation(),
            Self::Proxy(action) => action.operation(),
            Self::Model(action) => action.operation(),
        }
    }

    /// The container that is acted on, if it is one that exists.
    #[must_use]
    pub fn container(&self) -> Option<&Target> {
        match self {
            Self::Engine(action) => action.container(),
            Self::File(_) | Self::Proxy(_) | Self::Model(_) => None,
        }
    }

    /// What is acted on: a container's, network's, volume's, image's, file's or model's name.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::Engine(action) => action.target().to_owned(),
            Self::File(action) => action.path().display().to_string(),
            Self::Proxy(action) => action.target(),
            Self::Model(action) => action.model().to_owned(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(action) => action.fmt(f),
            Self::File(action) => action.fmt(f),
            Self::Proxy(action) => action.fmt(f),
            Self::Model(action) => action.fmt(f),
        }
    }
}

impl From<EngineAction> for Action {
    fn from(action: EngineAction) -> Self {
        Self::Engine(action)
    }
}

impl From<FileAction> for Action {
    fn from(action: FileAction) -> Self {
        Self::File(action)
    }
}

impl From<ProxyAction> for Action {
    fn from(action: ProxyAction) -> Self {
        Self::Proxy(action)
    }
}

impl From<ModelAction> for Action {
    fn from(action: ModelAction) -> Self {
        Self::Model(action)
    }
}

/// A container to act on.
///
/// What exists is named by the id that was seen, so that something made behind
/// our back under the same name is never touched. What an earlier step of the
/// same plan makes can only be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The id that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name, for people, and for the engine while there is no id.
    pub name: String,
}

impl Target {
    /// A container that was seen.
    #[must_use]
    pub fn seen(id: &str, name: &str) -> Self {
        Self { id: Some(id.to_owned()), name: name.to_owned() }
    }

    /// A container that an earlier step makes.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { id: None, name: name.to_owned() }
    }

    /// How the engine is to find it.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One call to the engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "operation")]
pub enum EngineAction {
    /// Makes a network.
    CreateNetwork {
        /// Its name.
        name: String,
    },
    /// Removes a network on which nobody is, and of whose name there is another one.
    RemoveNetwork {
        /// Its id: the name would not tell it from the other one.
        id: String,
        /// Its name, for people.
        name: String,
    },
    /// Makes a volume.
    CreateVolume {
        /// Its name.
        name: String,
    },
    /// Pulls an image.
    PullImage {
        /// Its reference.
        image: String,
    },
    /// Makes a container; it does not run yet.
    CreateContainer(Box<NewContainer>),
    /// Starts a container.
    StartContainer {
        /// Which.
        container: Target,
    },
    /// Stops a container if it runs, and starts it.
    RestartContainer {
        /// Which.
        container: Target,
    },
    /// Stops a container.
    StopContainer {
        /// Which.
        container: Target,
    },
    /// Gives a container another name.
    RenameContainer {
        /// Which, with the name it has.
        container: Target,
        /// The name it gets.
        to: String,
    },
    /// Removes a stopped container, never a volume.
    RemoveContainer {
        /// Which.
        container: Target,
    },
    /// Attaches a container to a network.
    ConnectNetwork {
        /// Which.
        container: Target,
        /// The network, with aliases and addresses.
        network: Network,
    },
    /// Changes limits and restart policy of a living container.
    UpdateContainer {
        /// Which.
        container: Target,
        /// What they shall be.
        limits: Limits,
    },
}

/// A container to be made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewContainer {
    /// Its name.
    pub name: String,
    /// The object it belongs to, for its label.
    pub object: Key,
    /// What is fixed when it is made.
    pub shape: Shape,
    /// Its environment variables, by where their values come from.
    pub variables: BTreeMap<String, VariableSource>,
    /// Whether it may be removed although it has data, when its manifest goes.
    pub allow_remove: bool,
}

/// Where the value of a container's variable comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableSource {
    /// The manifest says it. Not serialised: people do write passwords there.
    Literal(#[serde(skip)] crate::secret::Secret),
    /// The `Environment` of this name has it.
    Environment(String),
}

impl EngineAction {
    /// The operation's name in the audit log and in metrics.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateNetwork { .. } => "CreateNetwork",
            Self::RemoveNetwork { .. } => "RemoveNetwork",
            Self::CreateVolume { .. } => "CreateVolume",
            Self::PullImage { .. } => "PullImage",
            Self::CreateContainer(_) => "CreateContainer",
            Self::StartContainer { .. } => "StartContainer",
            Self::RestartContainer { .. } => "RestartContainer",
            Self::StopContainer { .. } => "StopContainer",
            Self::RenameContainer { .. } => "RenameContainer",
            Self::RemoveContainer { .. } => "RemoveContainer",
            Self::ConnectNetwork { .. } => "ConnectNetwork",
            Self::UpdateContainer { .. } => "UpdateContainer",
        }
    }

    /// The name of what is acted on.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::CreateNetwork { name } | Self::RemoveNetwork { name, .. } | Self::CreateVolume { name } => name,
            Self::PullImage { image } => image,
            Self::CreateContainer(new) => &new.name,
            Self::StartContainer { container }
            | Self::RestartContainer { container }
            | Self::StopContainer { container }
            | Self::RenameContainer { container, .. }
            | Self::RemoveContainer { container }
            | Self::ConnectNetwork { container, .. }
            | Self::UpdateContainer { container, .. } => &container.name,
        }
    }

    /// The container that is acted on, if it is one that exists.
    #[must_use]
    pub fn container(&self) -> Option<&Target> {
        match self {
            Self::CreateNetwork { .. }
            | Self::RemoveNetwork { .. }
            | Self::CreateVolume { .. }
            | Self::PullImage { .. }
            | Self::CreateContainer(_) => None,
            Self::StartContainer { container }
            | Self::RestartContainer { container }
            | Self::StopContainer { container }
            | Self::RenameContainer { container, .. }
            | Self::RemoveContainer { container }
            | Self::ConnectNetwork { container, .. }
            | Self::UpdateContainer { container, .. } => Some(container),
        }
    }
}

impl fmt::Display for EngineAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNetwork { name } => write!(f, "create network {name}"),
            Self::RemoveNetwork { id, name } => write!(f, "remove network {name} ({})", id.get(..SHORT_ID).unwrap_or(id)),
            Self::CreateVolume { name } => write!(f, "create volume {name}"),
            Self::PullImage { image } => write!(f, "pull {image}"),
            Self::CreateContainer(new) => write!(f, "create {} from {}", new.name, new.shape.image),
            Self::StartContainer { container } => write!(f, "start {container}"),
            Self::RestartContainer { container } => write!(f, "restart {container}"),
            Self::StopContainer { container } => write!(f, "stop {container}"),
            Self::RenameContainer { container, to } => write!(f, "rename {container} to {to}"),
            Self::RemoveContainer { container } => write!(f, "remove {container}"),
            Self::ConnectNetwork { container, network } => write!(f, "connect {container} to {}", network.name),
            Self::UpdateContainer { container, .. } => write!(f, "update {container}"),
        }
    }
}

/// One atomic change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "operation")]
pub enum FileAction {
    /// Writes missing secrets into a file and leaves every other byte as it is.
    WriteSecrets {
        /// The `Environment` it belongs to.
        environment: String,
        /// The file.
        path: PathBuf,
        /// Digest of the content that the decision was made on; a file that has changed since is looked at again. None: there was no file.
        expected: Option<String>,
        /// What to write.
        secrets: Vec<SecretWrite>,
    },
    /// Puts a lost file back from the last good copy, byte for byte but for `secrets`.
    RestoreFile {
        /// The `Environment` it belongs to.
        environment: String,
        /// The file.
        path: PathBuf,
        /// Secrets that the copy lacks, or has with another value than what runs.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        secrets: Vec<SecretWrite>,
    },
    /// Keeps a copy of a good file in the state directory.
    KeepLastGood {
        /// The `Environment` it belongs to.
        environment: String,
        /// The file.
        path: PathBuf,
        /// Digest of the content that is good.
        expected: String,
    },
    /// Writes the computed values.
    WriteComputed {
        /// The `Environment` it belongs to.
        environment: String,
        /// The file.
        path: PathBuf,
        /// The variables that differ.
        changed: Vec<String>,
    },
    /// Gives a variable of a file another value, or takes it out; every other byte stays.
    ChangeVariable {
        /// The `Environment` it belongs to.
        environment: String,
        /// The file.
        path: PathBuf,
        /// Digest of the content that was shown to whoever asked. None: there was no file.
        expected: Option<String>,
        /// The variable.
        variable: String,
        /// Its new value; none takes it out. Not serialised: it may well be a secret.
        #[serde(skip)]
        value: Option<crate::secret::Secret>,
    },
    /// Takes other users' access to a file away.
    SetMode {
        /// The file.
        path: PathBuf,
        /// The permission bits it gets.
        mode: u32,
    },
}

/// One secret to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretWrite {
    /// The variable.
    pub variable: String,
    /// Where its value comes from.
    pub from: SecretSource,
}

/// Where a lost secret comes back from, in the order in which sources are asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretSource {
    /// A running container has it.
    Container {
        /// The container's id.
        id: String,
        /// The container's name.
        name: String,
    },
    /// The copy in the state directory has it.
    LastGood,
    /// The computed file has it.
    Computed,
    /// Nobody knows it: a new one is made.
    Generated {
        /// How it is written.
        format: SecretFormat,
        /// Its length in characters.
        length: Option<u16>,
    },
}

impl FileAction {
    /// The operation's name in the audit log and in metrics.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::WriteSecrets { .. } => "WriteSecrets",
            Self::RestoreFile { .. } => "RestoreFile",
            Self::KeepLastGood { .. } => "KeepLastGood",
            Self::WriteComputed { .. } => "WriteComputed",
            Self::ChangeVariable { .. } => "ChangeVariable",
            Self::SetMode { .. } => "SetMode",
        }
    }

    /// The file that is changed, or copied.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::WriteSecrets { path, .. }
            | Self::RestoreFile { path, .. }
            | Self::KeepLastGood { path, .. }
            | Self::WriteComputed { path, .. }
            | Self::ChangeVariable { path, .. }
            | Self::SetMode { path, .. } => path,
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container { name, .. } => write!(f, "from container {name}"),
            Self::LastGood => f.write_str("from the last good copy"),
            Self::Computed => f.write_str("from the computed file"),
            Self::Generated { .. } => f.write_str("newly made"),
        }
    }
}

impl fmt::Display for SecretWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.from)
    }
}

impl fmt::Display for FileAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path().file_name().unwrap_or_default().to_string_lossy();
        match self {
            Self::WriteSecrets { secrets, .. } => write!(f, "write {} to {name}", list(secrets)),
            Self::RestoreFile { secrets, .. } if secrets.is_empty() => write!(f, "put {name} back from the last good copy"),
            Self::RestoreFile { secrets, .. } => {
                write!(f, "put {name} back from the last good copy, with {}", list(secrets))
            }
            Self::KeepLastGood { .. } => write!(f, "keep a copy of {name}"),
            Self::WriteComputed { changed, .. } => write!(f, "write {} to {name}", changed.join(", ")),
            Self::ChangeVariable { variable, value: Some(_), .. } => write!(f, "set {variable} in {name}"),
            Self::ChangeVariable { variable, value: None, .. } => write!(f, "take {variable} out of {name}"),
            Self::SetMode { mode, .. } => write!(f, "set the mode of {name} to {mode:04o}"),
        }
    }
}

fn list(secrets: &[SecretWrite]) -> String {
    secrets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
