//! Text → statements.
//!
//! Follows compose-go's parser line by line, so that a value never differs from what Compose reads. It is stricter in
//! what it lets pass: see "Where Mooring is stricter" in `docs/dotenv.md`.

use std::ops::Range;

use super::{Error, Position, Quoting, Statement, Syntax, Value, expand, quote};

/// Some editors on Windows start a file with it. It belongs to no line.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// All statements of `text`, in order.
pub(super) fn statements(text: &str) -> Result<Vec<Statement>, Error> {
    let mut statements = Vec::new();
    let mut line = 1;
    let mut start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    while start < text.len() {
        let content = text[start..].lines().next().unwrap_or_default().trim_start();
        let end = if content.is_empty() || content.starts_with('#') {
            line_end(text, start)
        } else {
            let wrong = |Wrong(offset, problem)| Error::Syntax { at: Position::of(text, offset), problem };
            let statement = statement(text, start, line).map_err(wrong)?;
            let end = statement.lines.end;
            statements.push(statement);
            end
        };
        line += text[start..end].matches('\n').count();
        start = end;
    }
    Ok(statements)
}

/// Whether a variable can have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_name_character)
}

/// A problem at a byte of the text.
struct Wrong(usize, Syntax);

/// The statement on the line that starts at `start`, which is number `number`.
fn statement(text: &str, start: usize, number: usize) -> Result<Statement, Wrong> {
    let line = &text[start..line_end(text, start)];
    let key_start = start + name_offset(line);
    let rest = &text[key_start..start + line.len()];
    let separator = rest.find(['=', ':']);
    let name = rest[..separator.unwrap_or(rest.len())].trim_end();
    if let Some((offset, _)) = name.char_indices().find(|(_, c)| !is_name_character(*c)) {
        return Err(Wrong(key_start + offset, Syntax::NameCharacter));
    }
    if name.is_empty() {
        return Err(Wrong(key_start, Syntax::NameMissing));
    }
    let value = separator.map(|separator| value(text, key_start + separator + 1)).transpose()?;
    let end = value.as_ref().map_or(start, |value| value.span.end);
    Ok(Statement { line: number, lines: start..line_end(text, end), key: key_start..key_start + name.len(), value })
}

/// Where in a line the name starts: after blanks and `export`.
fn name_offset(line: &str) -> usize {
    let content = line.trim_start();
    let exported = content.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t', '\x0c', '\r']));
    let name = exported.map(|rest| rest.trim_start_matches(is_blank)).filter(|rest| !rest.trim_start().is_empty());
    line.len() - name.unwrap_or(content).len()
}

/// The value that starts after the separator, at `start`.
fn value(text: &str, start: usize) -> Result<Value, Wrong> {
    let line = &text[start..line_end(text, start)];
    let content = line.trim_start_matches(is_blank);
    let offset = start + line.len() - content.len();
    let value = match content.bytes().next() {
        Some(b'\'') => Value { span: quoted(text, offset)?, quoting: Quoting::Single },
        Some(b'"') => Value { span: quoted(text, offset)?, quoting: Quoting::Double },
        _ => unquoted(text, start, offset),
    };
    check(text, &value)?;
    Ok(value)
}

/// The range of an unquoted value at `offset`: up to ` #` or the end of the line, without the blanks before it.
fn unquoted(text: &str, after_separator: usize, offset: usize) -> Value {
    let line = &text[offset..line_end(text, offset)];
    let content = line.split(" #").next().unwrap_or_default().trim_end();
    let span = if content.is_empty() {
        // Where a value would be put: after the space that may follow the separator, but before a carriage return,
        // which is part of the line's ending.
        let line = &text[after_separator..line_end(text, after_separator)];
        let start = after_separator + line.len() - line.trim_start_matches([' ', '\t']).len();
        start..start
    } else {
        offset..offset + content.len()
    };
    Value { span, quoting: Quoting::Unquoted }
}

/// The range of a quoted value whose opening quote is at `open`. Only a comment may follow on its last line.
fn quoted(text: &str, open: usize) -> Result<Range<usize>, Wrong> {
    let quote = text.as_bytes()[open];
    let mut escaped = false;
    let close = text.bytes().enumerate().skip(open + 1).find(|&(_, byte)| {
        let closes = byte == quote && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    let Some((close, _)) = close else { return Err(Wrong(open, Syntax::Unterminated)) };
    let rest = &text[close + 1..line_end(text, close)];
    let content = rest.trim_start();
    if content.is_empty() || content.starts_with('#') {
        Ok(open..close + 1)
    } else {
        Err(Wrong(close + 1 + rest.len() - content.len(), Syntax::AfterQuote))
    }
}

/// Finds what is wrong within a value now, not when it is needed.
fn check(text: &str, value: &Value) -> Result<(), Wrong> {
    let raw = &text[value.span.clone()];
    match value.quoting {
        Quoting::Single => Ok(()),
        Quoting::Unquoted => {
            expand::check(raw).map_err(|malformed| Wrong(value.span.start + malformed.offset, malformed.problem))
        }
        Quoting::Double => {
            let decoded = quote::decode_double(&raw[1..raw.len() - 1]);
            if decoded.contains('\0') {
                return Err(Wrong(value.span.start, Syntax::NulEscape));
            }
            expand::check(&decoded).map_err(|malformed| Wrong(value.span.start, malformed.problem))
        }
    }
}

/// The end of the line that `offset` is on, after its newline.
fn line_end(text: &str, offset: usize) -> usize {
    text[offset..].find('\n').map_or(text.len(), |newline| offset + newline + 1)
}

fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']')
}

/// What compose-go skips within a line; fewer characters than Unicode calls white space.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}
