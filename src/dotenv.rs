//! `.env` files: read as Compose reads them, changed one line at a time.
//!
//! Goes in: the bytes of files. Comes out: values as [`Secret`]s, and text in which nothing but the value that was set
//! has changed. What never happens here: reading or writing a file, looking at the environment of this process (the same
//! files must mean the same on every host), and a value in an error, a [`Problem`] or any `Debug` output.
//!
//! The rules are those of Compose v2; `docs/dotenv.md` states them in a table which the tests read. Where Compose quietly
//! guesses (text after a closing quote, a line without a name), we refuse: a file that does not parse is an error and
//! never an empty file.

mod cascade;
mod edit;
mod error;
mod expand;
pub mod generate;
mod parse;
mod placeholder;
mod quote;
pub mod template;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, ops::Range};

use zeroize::Zeroizing;

pub use self::{
    cascade::{Cascade, CascadeError, Effective, Problem, ProblemKind},
    error::{Error, Position, Syntax},
    placeholder::is_placeholder,
};
use crate::secret::Secret;

/// Nobody writes this much by hand; it keeps a mistaken path from being read into memory.
pub const MAX_SIZE: usize = 1024 * 1024;

/// How large the values of one file may become together. Each line can double what the one before it holds, so that
/// without a limit a short file could fill the memory.
pub const MAX_EXPANDED: usize = 4 * MAX_SIZE;

/// Values by variable name.
pub type Values = BTreeMap<String, Secret>;

/// The text of one file, and where in it the variables are.
#[derive(Clone, Default)]
pub struct File {
    text: Zeroizing<String>,
    statements: Vec<Statement>,
}

/// Where one variable is written. All ranges are in bytes of the file's text.
#[derive(Clone)]
struct Statement {
    line: usize,
    /// Every line the statement is on, with their line endings; more than one if a quoted value spans several.
    lines: Range<usize>,
    key: Range<usize>,
    value: Option<Value>,
}

#[derive(Clone)]
struct Value {
    /// With the quotes, without what surrounds them. Where an empty value would go, if there is none.
    span: Range<usize>,
    quoting: Quoting,
}

/// How a value is written in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// As it is, up to the end of the line or ` #`; variables are expanded.
    Unquoted,
    /// `'…'`: literally, except that `\'` is a quote.
    Single,
    /// `"…"`: escapes are replaced and variables expanded.
    Double,
}

/// One line of a file that names a variable.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The variable's name.
    pub key: &'a str,
    /// The line of the name, from 1.
    pub line: usize,
    /// What is assigned. `None` for a name alone, which in Compose takes the value from the process environment and
    /// here says nothing.
    pub value: Option<RawValue<'a>>,
}

/// A value as it stands in the file, before anything is replaced in it.
#[derive(Clone, Copy)]
pub struct RawValue<'a> {
    text: &'a str,
    quoting: Quoting,
}

impl<'a> RawValue<'a> {
    /// The text with its quotes. As secret as the value is.
    #[must_use]
    pub fn expose(self) -> &'a str {
        self.text
    }

    /// How it is written.
    #[must_use]
    pub fn quoting(self) -> Quoting {
        self.quoting
    }

    /// Whether nothing is written, be it within quotes. A reference to a variable is something, even one to nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.inner().is_empty()
    }

    /// The text without its quotes.
    fn inner(self) -> &'a str {
        match self.quoting {
            Quoting::Unquoted => self.text,
            Quoting::Single | Quoting::Double => &self.text[1..self.text.len() - 1],
        }
    }
}

impl fmt::Debug for RawValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawValue(…, {:?})", self.quoting)
    }
}

/// A variable that is assigned more than once in one file; the last one wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The variable's name.
    pub key: String,
    /// Every line that assigns it, in order.
    pub lines: Vec<usize>,
}

impl File {
    /// Reads a file's bytes. Every one of them is kept.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_SIZE {
            return Err(Error::TooLarge { size: bytes.len() });
        }
        let text = error::utf8(bytes)?;
        let statements = parse::statements(text)?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), statements })
    }

    /// The whole text, byte for byte. As secret as the values in it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The lines that name a variable, in order.
    #[must_use]
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.statements.iter().map(|statement| self.entry(statement))
    }

    /// The variables that are assigned more than once, by name.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Duplicate> {
        let mut lines = BTreeMap::<&str, Vec<usize>>::new();
        for entry in self.entries().filter(|entry| entry.value.is_some()) {
            lines.entry(entry.key).or_default().push(entry.line);
        }
        let repeated = lines.into_iter().filter(|(_, lines)| lines.len() > 1);
        repeated.map(|(key, lines)| Duplicate { key: key.to_owned(), lines }).collect()
    }

    /// The values this file gives, expanded. A reference finds what an earlier line of this file assigned, else what is
    /// in `earlier`, the values of the files below this one; never a later line, never the process environment.
    pub fn values(&self, earlier: &Values) -> Result<Values, Error> {
        let mut values = Values::new();
        let mut budget = MAX_EXPANDED;
        for statement in &self.statements {
            let Some(value) = &statement.value else { continue };
            let lookup = |name: &str| values.get(name).or_else(|| earlier.get(name)).map(Secret::expose);
            let expanded = self
                .expand(value, &lookup, budget)
                .map_err(|failure| failure.into_error(Position::of(&self.text, value.span.start), self.key(statement)))?;
            budget = budget.saturating_sub(expanded.expose().len());
            values.insert(self.key(statement).to_owned(), expanded);
        }
        Ok(values)
    }

    /// The value this file gives to one variable; see [`File::values`].
    pub fn value(&self, key: &str, earlier: &Values) -> Result<Option<Secret>, Error> {
        Ok(self.values(earlier)?.remove(key))
    }

    fn expand(&self, value: &Value, lookup: &expand::Lookup<'_>, budget: usize) -> Result<Secret, expand::Failure> {
        let raw = self.raw(value);
        match raw.quoting {
            Quoting::Unquoted => expand::expand(raw.inner(), lookup, budget),
            Quoting::Single => Ok(Secret::new(quote::decode_single(raw.inner()))),
            Quoting::Double => expand::expand(&quote::decode_double(raw.inner()), lookup, budget),
        }
    }

    fn entry(&self, statement: &Statement) -> Entry<'_> {
        Entry { key: self.key(statement), line: statement.line, value: statement.value.as_ref().map(|value| self.raw(value)) }
    }

    fn key(&self, statement: &Statement) -> &str {
        &self.text[statement.key.clone()]
    }

    fn raw(&self, value: &Value) -> RawValue<'_> {
        RawValue { text: &self.text[value.span.clone()], quoting: value.quoting }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({} entries)", self.statements.len())
    }
}
