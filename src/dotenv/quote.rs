//! Values ↔ how they are written.

use zeroize::Zeroizing;

use super::Quoting;

/// What stands between single quotes, decoded: only the quote itself can be escaped.
pub(super) fn decode_single(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(backslash) = rest.find('\\') {
        out.push_str(&rest[..backslash]);
        // The pair is taken as a whole: in `\\'` the second backslash does not escape the quote.
        let pair = rest[backslash..].chars().nth(1);
        match pair {
            Some('\'') => out.push('\''),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
        rest = &rest[backslash + 1 + pair.map_or(0, char::len_utf8)..];
    }
    out.push_str(rest);
    out
}

/// What stands between double quotes, with its escapes replaced and its references still to be expanded: an escaped
/// dollar sign comes out as `$$`.
pub(super) fn decode_double(inner: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(inner.len() + inner.len() / 2));
    let mut rest = inner;
    while let Some(backslash) = rest.find('\\') {
        out.push_str(&rest[..backslash]);
        rest = &rest[backslash + 1..];
        let Some(c) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        rest = &rest[c.len_utf8()..];
        match c {
            '"' | '\\' => out.push(c),
            '$' => out.push_str("$$"),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            '0' => rest = decode_octal(rest, &mut out),
            c => out.extend(['\\', c]),
        }
    }
    out.push_str(rest);
    out
}

/// Decodes the digits after `\0` and gives what is left. Three octal digits are a character; anything else loses its
/// zero, which is what compose-go does.
fn decode_octal<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let count = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(count);
    match u8::from_str_radix(digits, 8) {
        Ok(code) if count == 3 => out.push(char::from(code)),
        _ => {
            out.push('\\');
            out.push_str(digits);
        }
    }
    rest
}

/// `value` as it has to be written so that it is read back the same.
///
/// Quotes that are there are kept where they can hold the value, so that a line changes no more than it must. (It is
/// also needed: a comment may follow a quote directly, but not an unquoted value.)
pub(super) fn encode(value: &str, was: Quoting) -> Zeroizing<String> {
    match was {
        Quoting::Unquoted if is_plain(value) => Zeroizing::new(value.to_owned()),
        Quoting::Unquoted | Quoting::Single if is_literal(value) => Zeroizing::new(format!("'{value}'")),
        Quoting::Unquoted | Quoting::Single | Quoting::Double => encode_double(value),
    }
}

/// Whether no reader, Compose or a shell, would find anything in `value` to interpret.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte))
}

/// Whether `value` can stand between single quotes on one line, for Compose and for a shell: a backslash at its end
/// would escape the quote.
fn is_literal(value: &str) -> bool {
    !value.contains(|c: char| c == '\'' || c.is_control()) && !value.ends_with('\\')
}

fn encode_double(value: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(2 * value.len() + 2));
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' | '$' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
