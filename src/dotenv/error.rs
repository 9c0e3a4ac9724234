//! What can be wrong with a file, and where. Names places and variables, never a value.

use std::{fmt, str};

use super::{MAX_EXPANDED, MAX_SIZE, expand, parse};

/// Why a file cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is larger than any file of variables, or would become so.
    #[error("the file has {size} bytes, more than the {MAX_SIZE} that are read")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not a text file.
    #[error("{at}: the text is not UTF-8")]
    NotUtf8 {
        /// The first byte that is not.
        at: Position,
    },
    /// No environment can hold a NUL byte.
    #[error("{at}: the text has a NUL byte")]
    Nul {
        /// Where it is.
        at: Position,
    },
    /// A line that is not understood.
    #[error("{at}: {problem}")]
    Syntax {
        /// Where it starts to be wrong. Within quotes, where the value starts.
        at: Position,
        /// What is wrong.
        problem: Syntax,
    },
    /// `${VARIABLE:?…}` and the variable has no value. The message is left out: it may contain values.
    #[error("{at}: `{key}` requires `{variable}`, which has no value")]
    Required {
        /// Where the value starts.
        at: Position,
        /// The variable whose value it is.
        key: String,
        /// The variable that is required.
        variable: String,
    },
    /// References to references let the values grow without end.
    #[error("{at}: with `{key}` the values exceed {MAX_EXPANDED} bytes")]
    TooLong {
        /// Where the value starts.
        at: Position,
        /// The variable whose value it is.
        key: String,
    },
    /// A variable was to be set whose name cannot be written.
    #[error("`{name}` cannot be the name of a variable")]
    Name {
        /// The name.
        name: String,
    },
    /// A variable was to be set to a value that no environment can hold.
    #[error("the value for `{key}` has a NUL byte")]
    NulValue {
        /// The variable's name.
        key: String,
    },
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Syntax {
    /// Something other than letters, digits, `_`, `.`, `-`, `[` and `]` in a name; often the rest of a value that was
    /// meant to span several lines.
    #[error("this character cannot be part of a variable's name; a value of several lines needs quotes")]
    NameCharacter,
    /// `=value`.
    #[error("there is no name before the separator")]
    NameMissing,
    /// A quote that is opened and never closed.
    #[error("this quote is never closed")]
    Unterminated,
    /// `"value" and more`. Compose reads the rest as the next line, a shell as part of the value.
    #[error("only a comment may follow the closing quote")]
    AfterQuote,
    /// `${` without a name, an operator it does not know or without `}`.
    #[error("`${{` has to start a reference such as `${{NAME}}` or `${{NAME:-default}}` (write `$$` for a dollar sign)")]
    Reference,
    /// Defaults within defaults.
    #[error("references are nested more than {} deep", expand::MAX_DEPTH)]
    TooDeep,
    /// `"\0000"`.
    #[error("this escape stands for a NUL byte")]
    NulEscape,
}

/// A place in a file. Both numbers start at 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The place of the byte at `offset`, which has to be the start of a character.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text[..offset].trim_start_matches(parse::BYTE_ORDER_MARK);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The bytes as text without NUL.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let (valid, _) = bytes.split_at(error.valid_up_to());
        let valid = str::from_utf8(valid).expect("the part up to the first error is valid");
        Error::NotUtf8 { at: Position::of(valid, valid.len()) }
    })?;
    match text.find('\0') {
        Some(offset) => Err(Error::Nul { at: Position::of(text, offset) }),
        None => Ok(text),
    }
}
