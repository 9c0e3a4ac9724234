//! The same in a statement of SQL, where words are names, and what is a secret stands in quotation marks.

use std::ops::Range;

use super::{Said, form::token, in_line, is_odd, may_be_secret};

/// Names that hold a secret by their last word, and of which even digits are one.
const PASSWORDS: &[&str] = &["pass", "pwd", "passwd", "password", "passphrase", "passcode", "pin", "otp"];
/// Names that sound like a secret and are none.
const NONE: &[&str] = &["key", "auth", "primary_key", "foreign_key", "public_key", "sort_key", "partition_key"];
/// Where what is said about a column ends.
const ENDS: &[&str] = &[
    "and",
    "or",
    "where",
    "returning",
    "from",
    "then",
    "when",
    "else",
    "end",
    "group",
    "order",
    "limit",
    "on",
    "set",
    "union",
    "join",
    "as",
    "having",
];
/// How far a value may be from its name.
const FAR: usize = 24;

/// Where a statement begins: at the very beginning, or behind what announces it.
pub(super) fn begin(said: &str) -> Option<usize> {
    let words: Vec<(usize, &str)> =
        said.split_whitespace().map(|word| (word.as_ptr() as usize - said.as_ptr() as usize, word)).collect();
    let is_begin = |at: usize| at == 0 || words[at - 1].1.ends_with([':', ';']);
    (0..words.len()).find(|at| is_begin(*at) && begins(&words[*at..])).map(|at| words[at].0)
}

/// Whether these words are a statement, and no sentence that only begins like one.
fn begins(words: &[(usize, &str)]) -> bool {
    let low = |at: usize| words.get(at).map(|(_, word)| word.to_lowercase()).unwrap_or_default();
    let has = |of: &str| words.iter().any(|(_, word)| word.eq_ignore_ascii_case(of));
    let has_sign = |sign: char| words.iter().any(|(_, word)| word.contains(sign));
    match &*low(0) {
        "select" => has("from") || low(1).contains(['*', '(', ',', '\'']),
        "with" => has("as") && has_sign('(') && has("select"),
        "explain" => has("select") || has("update") || has("delete") || has("insert"),
        "values" => low(1).starts_with('('),
        "insert" => low(1) == "into" && (has("select") || words.iter().any(|(_, word)| word.to_lowercase().contains("values"))),
        "delete" => low(1) == "from" && (words.len() < 4 || has("where") || has("using") || has("returning")),
        "update" => (2..6).any(|at| low(at) == "set") && has_sign('='),
        "alter" | "create" => ["user", "role"].contains(&&*low(1)),
        _ => false,
    }
}

/// A part of a statement.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// What stands in quotation marks, without them.
    Literal,
    /// A name, a number, a word of SQL.
    Word,
    /// One sign.
    Sign(char),
}

/// What may be a secret in a statement.
pub(super) fn places(sql: &str) -> Vec<Range<usize>> {
    let parts = parts(sql);
    let low = |at: usize| parts.get(at).map(|(_, place)| sql[place.clone()].to_lowercase()).unwrap_or_default();
    let mut found = inserted(sql, &parts);
    for (at, (part, place)) in parts.iter().enumerate() {
        let text = &sql[place.clone()];
        match part {
            Part::Literal => {
                found.extend(in_line(text, true).into_iter().map(|inner| place.start + inner.start..place.start + inner.end));
                let is_compared = parts.get(at + 1).is_some_and(|(part, _)| *part == Part::Sign('='));
                if is_compared && parts.get(at + 2).is_some_and(|(part, _)| *part == Part::Word) && sounds(&low(at + 2)) {
                    found.push(place.clone());
                }
            }
            // A name may look as random as it likes.
            Part::Word => {
                found.extend(token(sql, &said(sql, place)));
                if sounds(&low(at)) {
                    found.extend(given(sql, &parts, at));
                }
            }
            Part::Sign(_) => {}
        }
    }
    found
}

fn said<'a>(sql: &'a str, place: &Range<usize>) -> Said<'a> {
    Said { text: &sql[place.clone()], low: String::new(), place: place.clone(), is_quoted: false, sign: "" }
}

/// Whether a column of this name holds a secret.
fn sounds(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or_default();
    !NONE.contains(&name) && !name.ends_with("_id") && (may_be_secret(name, "") || is_password(name))
}

fn is_password(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or_default();
    name.split('_').any(|part| PASSWORDS.contains(&part))
}

/// Whether what stands here may be the value of a column of this name.
fn is_value(sql: &str, (part, place): &(Part, Range<usize>), name: &str) -> bool {
    let text = &sql[place.clone()];
    match part {
        Part::Literal => true,
        Part::Word if text.chars().all(|c| c.is_ascii_digit()) => is_password(name),
        Part::Word => !text.contains(['.', '_']) && is_odd(&said(sql, place)),
        Part::Sign(_) => false,
    }
}

/// What a column is set to, or compared with: up to where something else is said.
fn given(sql: &str, parts: &[(Part, Range<usize>)], at: usize) -> Vec<Range<usize>> {
    let name = sql[parts[at].1.clone()].to_lowercase();
    let mut from = at + 1;
    while parts.get(from).is_some_and(|(part, _)| *part == Part::Sign(')')) {
        from += 1;
    }
    let compares = |(part, place): &(Part, Range<usize>)| match part {
        Part::Sign(sign) => "=<>!~".contains(*sign),
        Part::Word => ["is", "in", "like", "ilike", "between", "not"].contains(&&*sql[place.clone()].to_lowercase()),
        Part::Literal => false,
    };
    // The end of a list of columns, and a function.
    let is_other = from > at + 1 && !parts.get(from).is_some_and(compares);
    if is_other || parts.get(from).is_some_and(|(part, _)| *part == Part::Sign('(')) {
        return Vec::new();
    }
    let mut found = bare(sql, parts, at).into_iter().collect::<Vec<_>>();
    let mut depth = 0_usize;
    for part in parts.iter().skip(from).take(FAR) {
        let ends = match part.0 {
            Part::Sign(sign) => matches!(sign, ')' | ',' | ';'),
            Part::Word => ENDS.iter().any(|word| sql[part.1.clone()].eq_ignore_ascii_case(word)),
            Part::Literal => false,
        };
        if ends && depth == 0 {
            break;
        }
        match part.0 {
            Part::Sign('(') => depth += 1,
            Part::Sign(')') => depth -= 1,
            _ => {}
        }
        if is_value(sql, part, &name) {
            found.push(part.1.clone());
        }
    }
    found
}

/// A value without quotation marks, as sentences that look like SQL have it: `update the shop set DB_PASSWORD=hunter`.
fn bare(sql: &str, parts: &[(Part, Range<usize>)], at: usize) -> Option<Range<usize>> {
    const NO_VALUE: &[&str] =
        &["null", "default", "true", "false", "any", "all", "some", "case", "array", "row", "not", "current_user", "select"];
    let name = &sql[parts[at].1.clone()];
    let is_shouted = !name.contains('.') && !name.contains(char::is_lowercase);
    let (_, value) = parts.get(at + 1).filter(|(part, _)| *part == Part::Sign('=')).and_then(|_| parts.get(at + 2))?;
    let text = sql[value.clone()].to_lowercase();
    let is_call = parts.get(at + 3).is_some_and(|(part, _)| *part == Part::Sign('('));
    let is_number = text.chars().all(|c| c.is_ascii_digit());
    let is_name = !is_shouted && (text.contains(['.', '_']) || is_number && !is_password(&name.to_lowercase()));
    let is_other = is_call || is_name || NO_VALUE.contains(&&*text) || text.starts_with(['$', '(', ':', '?']);
    let is_quoted = sql[..value.start].ends_with(['\'', '"', '$']);
    let end = sql[value.start..].find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')')).map(|end| value.start + end);
    (!is_other && !is_quoted).then(|| value.start..end.unwrap_or(sql.len()))
}

/// The values of such columns in `INTO table (columns) VALUES (…), (…)`.
fn inserted(sql: &str, parts: &[(Part, Range<usize>)]) -> Vec<Range<usize>> {
    let text = |at: usize| parts.get(at).map(|(_, place)| sql[place.clone()].to_lowercase()).unwrap_or_default();
    let Some(into) = (0..parts.len()).find(|at| text(*at) == "into") else { return Vec::new() };
    let Some(open) = (into..parts.len()).find(|at| parts[*at].0 == Part::Sign('(')) else { return Vec::new() };
    let Some(close) = (open..parts.len()).find(|at| parts[*at].0 == Part::Sign(')')) else { return Vec::new() };
    let columns: Vec<String> = (open + 1..close).filter(|at| parts[*at].0 != Part::Sign(',')).map(text).collect();
    let Some(values) = (close..parts.len()).find(|at| text(*at) == "values") else { return Vec::new() };
    let (mut depth, mut column) = (0_usize, 0);
    let mut found = Vec::new();
    for part in &parts[values + 1..] {
        match part.0 {
            Part::Sign('(') => {
                depth += 1;
                column = if depth == 1 { 0 } else { column };
            }
            Part::Sign(')') => depth = depth.saturating_sub(1),
            Part::Sign(',') if depth == 1 => column += 1,
            _ => {}
        }
        let name = columns.get(column).filter(|name| depth > 0 && sounds(name));
        if name.is_some_and(|name| is_value(sql, part, name)) {
            found.push(part.1.clone());
        }
    }
    found
}

fn parts(sql: &str) -> Vec<(Part, Range<usize>)> {
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '-');
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(c) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let length = match c {
            '\'' => {
                let end = end_of_text(rest);
                parts.push((Part::Literal, at + 1..at + end));
                end + 1
            }
            // A name.
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
                parts.push((Part::Word, at + 1..at + end));
                end + 1
            }
            '$' if tag(rest).is_some() => {
                let tag = tag(rest).unwrap_or_default();
                let end = rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + tag.len());
                parts.push((Part::Literal, at + tag.len()..at + end));
                end + tag.len()
            }
            _ if is_of_word(c) && c != '-' => {
                let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                parts.push((Part::Word, at..at + end));
                end
            }
            _ if c.is_whitespace() => c.len_utf8(),
            _ => {
                parts.push((Part::Sign(c), at..at + c.len_utf8()));
                c.len_utf8()
            }
        };
        at = (at + length).min(sql.len());
    }
    parts
}

/// Where the text ends that begins with this mark: a doubled one is a part of it.
fn end_of_text(rest: &str) -> usize {
    let mut end = 1;
    while let Some(mark) = rest[end..].find('\'').map(|mark| end + mark) {
        if !rest[mark + 1..].starts_with('\'') {
            return mark;
        }
        end = mark + 2;
    }
    rest.len()
}

/// `$$` or `$tag$`.
fn tag(rest: &str) -> Option<&str> {
    let end = rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_')? + 1;
    rest[end..].starts_with('$').then(|| &rest[..=end])
}
