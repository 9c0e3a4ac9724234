//! What is wrong with a file, and where: one type for the command line, the API, events and the dashboard.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// One thing that is wrong with a file of the desired state.
///
/// The order is that of the places, so that a sorted list reads like the file.
/// No text in it repeats a value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file, relative to the desired-state directory.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The field, as in `spec.ports.0`; empty when the problem is not one of a field.
    pub path: String,
    /// What sort of problem it is, for programs.
    pub code: Code,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// The sorts of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The file could not be read.
    Unreadable,
    /// The file is larger than any manifest.
    TooLarge,
    /// The file is not UTF-8 text.
    Encoding,
    /// The file is not YAML.
    Syntax,
    /// A mapping has a key twice.
    DuplicateKey,
    /// The document is not one of ours: `apiVersion` is missing or another one.
    ApiVersion,
    /// There is no such kind.
    UnknownKind,
    /// There is no such field.
    UnknownField,
    /// A field that has to be there is not.
    MissingField,
    /// A field has a value of another type than it should.
    WrongType,
    /// A field has a value that it cannot have.
    WrongValue,
    /// Another document declares an object of the same kind and name.
    DuplicateName,
    /// The document refers to something that is not there, or in a way that cannot work.
    Reference,
    /// What was kept of the last good version cannot be used any more.
    LastGood,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The line, from 1.
    pub(super) line: usize,
    /// The column in characters, from 1.
    pub(super) column: usize,
}

impl Place {
    /// Where a file begins: for problems of the file as a whole.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// The place of a byte; `text` is what stands before it.
    pub(super) fn after(text: &str) -> Self {
        // To YAML a carriage return alone ends a line, too.
        let lines = text.matches(['\n', '\r']).count() - text.matches("\r\n").count();
        let last = text.rfind(['\n', '\r']).map_or(text, |newline| &text[newline + 1..]);
        Self { line: lines + 1, column: last.chars().count() + 1 }
    }
}
