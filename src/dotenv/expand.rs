//! References in values: `$NAME`, `${NAME}`, `${NAME:-default}` and their relatives.
//!
//! Follows compose-go's substitution, except that a malformed reference in a default that is not needed is refused too.

use std::mem;

use zeroize::Zeroizing;

use super::{Error, Position, Syntax};
use crate::secret::Secret;

/// Finds the value of a variable.
pub(super) type Lookup<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

/// How deep defaults may be nested. Two is common; the limit keeps a crafted file from exhausting the stack.
pub(super) const MAX_DEPTH: usize = 32;

/// A reference that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The byte at which it starts.
    pub(super) offset: usize,
    pub(super) problem: Syntax,
}

/// Why a well-formed text has no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Malformed(Malformed),
    Required { variable: String },
    TooLong,
}

impl Failure {
    /// The error about `key`, whose value is `at` this place.
    pub(super) fn into_error(self, at: Position, key: &str) -> Error {
        match self {
            Self::Malformed(Malformed { problem, .. }) => Error::Syntax { at, problem },
            Self::Required { variable } => Error::Required { at, key: key.to_owned(), variable },
            Self::TooLong => Error::TooLong { at, key: key.to_owned() },
        }
    }
}

/// Whether every reference in `text` can be read.
pub(super) fn check(text: &str) -> Result<(), Malformed> {
    parse(text, 0, 0).map(drop)
}

/// `text` with every reference replaced, at most `limit` bytes of it.
pub(super) fn expand(text: &str, lookup: &Lookup<'_>, limit: usize) -> Result<Secret, Failure> {
    let parts = parse(text, 0, 0).map_err(Failure::Malformed)?;
    let mut output = Output { text: Zeroizing::new(String::with_capacity(text.len())), limit };
    evaluate(&parts, lookup, &mut output)?;
    Ok(Secret::new(mem::take(&mut *output.text)))
}

enum Part<'a> {
    Text(&'a str),
    Reference { name: &'a str, rule: Rule<'a> },
}

/// What a reference stands for.
enum Rule<'a> {
    /// `${A}`: the value, or nothing.
    Value,
    /// `${A-…}`, `${A:-…}`: the value, or the default.
    Default(When, Vec<Part<'a>>),
    /// `${A?…}`, `${A:?…}`: the value, or an error.
    Required(When),
    /// `${A+…}`, `${A:+…}`: the alternative, or nothing.
    Alternative(When, Vec<Part<'a>>),
}

/// When a variable counts as having a value.
#[derive(Clone, Copy)]
enum When {
    Set,
    NotEmpty,
}

impl When {
    fn pass(self, value: Option<&str>) -> Option<&str> {
        match self {
            Self::Set => value,
            Self::NotEmpty => value.filter(|value| !value.is_empty()),
        }
    }
}

/// The parts of `text`, which is at `base` in the whole value.
fn parse(text: &str, base: usize, depth: usize) -> Result<Vec<Part<'_>>, Malformed> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(dollar) = text[at..].find('$').map(|offset| at + offset) {
        parts.push(Part::Text(&text[at..dollar]));
        let after = &text[dollar + 1..];
        let (part, length) = match after.bytes().next() {
            Some(b'$') => (Part::Text("$"), 1),
            Some(b'{') => braced(after, base + dollar + 1, depth)?,
            _ => match name_length(after) {
                0 => (Part::Text("$"), 0),
                length => (Part::Reference { name: &after[..length], rule: Rule::Value }, length),
            },
        };
        parts.push(part);
        at = dollar + 1 + length;
    }
    parts.push(Part::Text(&text[at..]));
    Ok(parts)
}

/// The reference whose `{` starts `text`, at `base` in the whole value, and its length.
fn braced(text: &str, base: usize, depth: usize) -> Result<(Part<'_>, usize), Malformed> {
    let malformed = |problem| Malformed { offset: base - 1, problem };
    let operator_at = 1 + name_length(&text[1..]);
    let (name, rest) = (&text[1..operator_at], &text[operator_at..]);
    if name.is_empty() {
        return Err(malformed(Syntax::Reference));
    }
    if rest.starts_with('}') {
        return Ok((Part::Reference { name, rule: Rule::Value }, operator_at + 1));
    }
    if depth == MAX_DEPTH {
        return Err(malformed(Syntax::TooDeep));
    }
    let (when, rest) = match rest.strip_prefix(':') {
        Some(rest) => (When::NotEmpty, rest),
        None => (When::Set, rest),
    };
    let close = closing_brace(text).ok_or_else(|| malformed(Syntax::Reference))?;
    let word_at = text.len() - rest.len() + 1;
    let word = || parse(&text[word_at..close], base + word_at, depth + 1);
    let rule = match rest.bytes().next() {
        Some(b'-') => Rule::Default(when, word()?),
        Some(b'+') => Rule::Alternative(when, word()?),
        Some(b'?') => word().map(|_| Rule::Required(when))?,
        _ => return Err(malformed(Syntax::Reference)),
    };
    Ok((Part::Reference { name, rule }, close + 1))
}

/// Where the brace that opens `text` is closed, which has to be on the same line.
///
/// compose-go counts braces but skips the character after each opening one, and takes the line's last closing brace
/// when the count does not come out. `${A:-{}}` works because of both.
fn closing_brace(text: &str) -> Option<usize> {
    // Does not look for the end of the line first: a long line of references would be read once for each of them.
    let mut line = text.bytes().enumerate().take_while(|(_, byte)| *byte != b'\n');
    let mut open = 0_usize;
    while let Some((offset, byte)) = line.next() {
        match byte {
            b'{' => {
                open += 1;
                line.next();
            }
            b'}' if open == 1 => return Some(offset),
            b'}' => open -= 1,
            _ => {}
        }
    }
    text.lines().next().and_then(|line| line.rfind('}'))
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

struct Output {
    text: Zeroizing<String>,
    limit: usize,
}

impl Output {
    fn push(&mut self, text: &str) -> Result<(), Failure> {
        if self.text.len() + text.len() > self.limit {
            return Err(Failure::TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }
}

fn evaluate(parts: &[Part<'_>], lookup: &Lookup<'_>, output: &mut Output) -> Result<(), Failure> {
    parts.iter().try_for_each(|part| match part {
        Part::Text(text) => output.push(text),
        Part::Reference { name, rule } => refer(name, rule, lookup, output),
    })
}

fn refer(name: &str, rule: &Rule<'_>, lookup: &Lookup<'_>, output: &mut Output) -> Result<(), Failure> {
    let value = lookup(name);
    match rule {
        Rule::Value => output.push(value.unwrap_or_default()),
        Rule::Default(when, default) => match when.pass(value) {
            Some(value) => output.push(value),
            None => evaluate(default, lookup, output),
        },
        Rule::Required(when) => match when.pass(value) {
            Some(value) => output.push(value),
            None => Err(Failure::Required { variable: name.to_owned() }),
        },
        Rule::Alternative(when, alternative) => match when.pass(value) {
            Some(_) => evaluate(alternative, lookup, output),
            None => Ok(()),
        },
    }
}
