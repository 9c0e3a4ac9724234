//! Why a command could not do what it was asked, and what to do about it.

use std::{io, path::PathBuf};

use super::client;
use crate::{
    controller::{OpenError, preview},
    execute::repair,
    manifest::Key,
    record::{audit::ReadError, ship::ShipError},
    source::{desired, directory, problem::Problem, schema::UnknownField},
};

/// A command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was asked in a way that makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// How it is right.
        help: String,
    },
    /// The operator could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// An operator in this process could not say.
    #[error("{0}")]
    Operator(String),
    /// There is no such object.
    #[error("there is no {key}")]
    NoObject {
        /// The object.
        key: Key,
        /// One whose name is much like it.
        nearest: Option<Key>,
    },
    /// Manifests are not as they have to be.
    #[error("{} in the manifests", if .0.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", .0.len()) })]
    Refused(Vec<Problem>),
    /// A file is in the way of a change.
    #[error("{message}")]
    InTheWay {
        /// What is where.
        message: String,
        /// How to go on.
        help: String,
    },
    /// Mended sites are not in force.
    #[error(transparent)]
    Repair(#[from] repair::Error),
    /// The desired state cannot be read.
    #[error(transparent)]
    Desired(#[from] directory::Error),
    /// There is no such field.
    #[error(transparent)]
    UnknownField(#[from] UnknownField),
    /// The operating system said no.
    #[error("{what}")]
    Io {
        /// What we could not do.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The answer could not be written.
    #[error("could not write the answer")]
    Output(#[source] io::Error),
    /// The audit log, or a file that goes with it, cannot be read or written.
    #[error(transparent)]
    Audit(#[from] ReadError),
    /// The database that the audit log is shipped to cannot be used.
    #[error(transparent)]
    Shipped(#[from] ShipError),
    /// The operator cannot start.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Without an operator, nothing can be seen either.
    #[error(transparent)]
    Preview(#[from] preview::Error),
}

impl From<desired::Error> for Error {
    fn from(error: desired::Error) -> Self {
        match error {
            desired::Error::Directory(error) => Self::Desired(error),
            desired::Error::Refused(problems) => Self::Refused(problems),
            desired::Error::Io { doing, path, source } => Self::file(doing, path, source),
            desired::Error::Link(_) | desired::Error::Apart(_) => {
                Self::InTheWay { message: error.to_string(), help: error.help().unwrap_or_default().to_owned() }
            }
        }
    }
}

impl Error {
    /// The operating system said no.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// A file could not be read or written.
    pub fn file(verb: &str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::io(format!("could not {verb} {}", path.into().display()), source)
    }

    /// There is no such object, but these there are.
    pub fn no_object<'a>(key: &Key, known: impl IntoIterator<Item = &'a Key>) -> Self {
        Self::NoObject { key: key.clone(), nearest: nearest(key, known) }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Usage { help, .. } | Self::InTheWay { help, .. } => Some(help.clone()),
            Self::Client(error) => error.help(),
            Self::NoObject { nearest: Some(key), .. } => Some(format!("did you mean {key}?")),
            Self::NoObject { nearest: None, .. } => Some("`mooring get all` lists what there is".to_owned()),
            Self::Refused(_) => Some("`mooring explain KIND.field` says what a field expects".to_owned()),
            Self::Desired(_) => {
                Some("name the directory with --desired DIR or MOORING_DESIRED, and make it if it is new".to_owned())
            }
            Self::Repair(_)
            | Self::Operator(_)
            | Self::UnknownField(_)
            | Self::Io { .. }
            | Self::Output(_)
            | Self::Open(_)
            | Self::Audit(_)
            | Self::Shipped(_)
            | Self::Preview(_) => None,
        }
    }

    /// Whether nobody reads the answer any more, as in `mooring get | head -1`. That is no error.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The key that is most like the one that does not exist: of the same name, or of one that a slip of the finger makes of it.
fn nearest<'a>(key: &Key, known: impl IntoIterator<Item = &'a Key>) -> Option<Key> {
    let distance = |other: &Key| (strsim::osa_distance(&other.name, &key.name), other.kind != key.kind);
    let (distance, nearest) = known.into_iter().map(|other| (distance(other), other)).min()?;
    // One slip for every three letters; more makes it another name.
    (distance.0 <= key.name.len().div_ceil(3)).then(|| nearest.clone())
}
