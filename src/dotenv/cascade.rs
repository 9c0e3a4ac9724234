//! Several files, one above the other.

use std::{collections::BTreeMap, fmt};

use super::{Duplicate, Error, File, Quoting, RawValue, Values, is_placeholder};
use crate::secret::Secret;

/// Files from the lowest to the highest precedence, and the values they give together.
///
/// The rules are Compose's for several `--env-file`s, except that the process environment has no say: a file beats the
/// files before it, variable by variable; an empty value beats a value (see [`Cascade::is_missing`] for the one question
/// that is answered differently); a reference sees the files before its own and the lines before its own.
#[derive(Clone, Debug, Default)]
pub struct Cascade {
    layers: Vec<Layer>,
    values: Values,
    /// The line that counts, by variable.
    sources: BTreeMap<String, Source>,
    /// The highest layer in which a value is written that is not empty, by variable.
    written: BTreeMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Layer {
    name: String,
    file: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    layer: usize,
    line: usize,
}

/// The value a variable has, and who says so.
#[derive(Clone, Copy, Debug)]
pub struct Effective<'a> {
    /// The value; may be empty.
    pub value: &'a Secret,
    /// The name of the file that assigns it.
    pub file: &'a str,
    /// The line that assigns it.
    pub line: usize,
}

/// A file of a cascade whose values cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("could not expand the values of {file}")]
pub struct CascadeError {
    /// The file's name.
    pub file: String,
    /// What is wrong with it.
    pub source: Error,
}

impl Cascade {
    /// Puts named files on top of each other, the lowest precedence first, and expands their values.
    pub fn new(files: impl IntoIterator<Item = (String, File)>) -> Result<Self, CascadeError> {
        let mut cascade = Self::default();
        for (name, file) in files {
            match file.values(&cascade.values) {
                Ok(values) => cascade.push(name, file, values),
                Err(source) => return Err(CascadeError { file: name, source }),
            }
        }
        Ok(cascade)
    }

    fn push(&mut self, name: String, file: File, mut values: Values) {
        let layer = self.layers.len();
        for entry in file.entries() {
            let Some(value) = entry.value else { continue };
            self.sources.insert(entry.key.to_owned(), Source { layer, line: entry.line });
            if !value.is_empty() {
                self.written.insert(entry.key.to_owned(), layer);
            }
        }
        self.values.append(&mut values);
        self.layers.push(Layer { name, file });
    }

    /// The file of that name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&File> {
        self.layers.iter().find(|layer| layer.name == name).map(|layer| &layer.file)
    }

    /// The effective value of every variable that is assigned somewhere.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The value that Compose would use: that of the highest file which assigns the variable, even if it is empty.
    #[must_use]
    pub fn effective(&self, key: &str) -> Option<Effective<'_>> {
        let (value, source) = (self.values.get(key)?, self.sources.get(key)?);
        Some(Effective { value, file: &self.layers[source.layer].name, line: source.line })
    }

    /// Whether nobody has written a value for the variable: no line of any file assigns it, or all that do are empty.
    ///
    /// This is when a secret may be made up. It is not the same as having an effective value which is empty: a value
    /// hidden by an empty one further up, or a reference to something that is not set, was written by someone and has to
    /// be reported ([`Cascade::problems`]), not overruled.
    #[must_use]
    pub fn is_missing(&self, key: &str) -> bool {
        !self.written.contains_key(key)
    }

    /// What someone should look at, in the order of the files and of the lines in them. Only lines that count are
    /// examined: a placeholder that another file overrides harms nobody.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        (0..self.layers.len()).flat_map(|layer| self.problems_of(layer)).collect()
    }

    fn problems_of(&self, layer: usize) -> Vec<Problem> {
        let Layer { name, file } = &self.layers[layer];
        let problem = |line, key: &str, kind| Problem { file: name.clone(), line, key: key.to_owned(), kind };
        let mut problems = Vec::new();
        for Duplicate { key, lines } in file.duplicates() {
            let last = lines.last().copied().unwrap_or_default();
            problems.push(problem(last, &key, ProblemKind::Duplicate { lines }));
        }
        for entry in file.entries() {
            if self.sources.get(entry.key) == Some(&Source { layer, line: entry.line }) {
                let kind = entry.value.and_then(|raw| self.problem_with(entry.key, raw));
                problems.extend(kind.map(|kind| problem(entry.line, entry.key, kind)));
            }
        }
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    /// What is wrong with `raw`, which gives `key` its effective value.
    fn problem_with(&self, key: &str, raw: RawValue<'_>) -> Option<ProblemKind> {
        let value = self.values.get(key)?;
        if raw.is_empty() {
            let hidden = self.written.get(key)?;
            Some(ProblemKind::EmptyHidesValue { file: self.layers[*hidden].name.clone() })
        } else if value.is_empty() {
            Some(ProblemKind::ExpandsToNothing)
        } else if raw.quoting() == Quoting::Unquoted && raw.expose().starts_with('#') {
            Some(ProblemKind::CommentAsValue)
        } else if is_placeholder(value.expose()) {
            Some(ProblemKind::Placeholder)
        } else {
            None
        }
    }
}

/// Something in a file that works, but probably not as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name.
    pub file: String,
    /// The line that counts.
    pub line: usize,
    /// The variable's name.
    pub key: String,
    /// What it is.
    pub kind: ProblemKind,
}

/// What may not be as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The variable is assigned on each of these lines of the file; the last one counts.
    Duplicate {
        /// The lines, in order.
        lines: Vec<usize>,
    },
    /// The value looks like one that someone was to replace.
    Placeholder,
    /// The value is empty and hides one.
    EmptyHidesValue {
        /// The file with the value that is hidden.
        file: String,
    },
    /// Everything the value refers to is unset or empty.
    ExpandsToNothing,
    /// `KEY= # comment`: Compose reads the comment as the value.
    CommentAsValue,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, kind } = self;
        write!(f, "{file}, line {line}: `{key}` ")?;
        match kind {
            ProblemKind::Duplicate { lines } => {
                let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
                write!(f, "is assigned on lines {}; the last one counts", lines.join(", "))
            }
            ProblemKind::Placeholder => f.write_str("has a placeholder for a value"),
            ProblemKind::EmptyHidesValue { file: hidden } if hidden == file => {
                f.write_str("is empty and hides the value on an earlier line")
            }
            ProblemKind::EmptyHidesValue { file } => write!(f, "is empty and hides the value in {file}"),
            ProblemKind::ExpandsToNothing => f.write_str("refers only to variables without a value"),
            ProblemKind::CommentAsValue => f.write_str("has a comment for a value; an empty one is written as `''`"),
        }
    }
}
