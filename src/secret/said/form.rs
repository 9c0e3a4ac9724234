//! What is a secret by its form, wherever it stands: tokens, passwords in addresses, words that are random.

use std::ops::Range;

use super::{AROUND, Said, may_be_secret};

/// How tokens begin, and how much has to follow.
const TOKENS: &[(&str, usize)] = &[
    ("sk-", 4),
    ("sk_", 8),
    ("pk_live_", 8),
    ("rk_live_", 8),
    ("whsec_", 8),
    ("ghp_", 4),
    ("gho_", 4),
    ("ghu_", 4),
    ("ghs_", 4),
    ("ghr_", 4),
    ("github_pat_", 4),
    ("glpat-", 4),
    ("AKIA", 8),
    ("ASIA", 8),
    ("xoxb-", 4),
    ("xoxp-", 4),
    ("xoxa-", 4),
    ("xoxr-", 4),
    ("xoxs-", 4),
    ("xapp-", 4),
    ("eyJ", 12),
    ("AIza", 12),
    ("hf_", 8),
    ("npm_", 8),
    ("pypi-", 8),
    ("mct_", 8),
    ("SG.", 12),
    ("dop_v1_", 8),
    ("AGE-SECRET-KEY-", 4),
    ("$argon2", 8),
    ("$2a$", 8),
    ("$2b$", 8),
    ("$2y$", 8),
];

/// What is a secret by its form: a token, the password in an address, a word that nobody would say.
pub(super) fn shaped(line: &str, word: &Said<'_>) -> Option<Range<usize>> {
    let Said { text, place, .. } = word;
    let is_plain = !text.contains("://") && !text.contains(char::is_whitespace) && !is_digest(line, word);
    token(line, word).or_else(|| (is_plain && looks_random(text)).then(|| place.start..end_of_word(line, place.end)))
}

/// What was made to be one, by its form.
pub(super) fn token(line: &str, word: &Said<'_>) -> Option<Range<usize>> {
    let Said { text, place, .. } = word;
    if let Some(password) = password(text).or_else(|| parameter(text)) {
        return Some(place.start + password.start..place.start + password.end);
    }
    if text.contains("://") || text.contains(char::is_whitespace) {
        return None;
    }
    let begins = |(prefix, more): &(&str, usize)| {
        text.match_indices(prefix).map(|(at, _)| at).find(|at| {
            let is_begin = text[..*at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
            // It is counted no further than needed: a word may be as long as a file, and begin like this all over.
            let following = || text[at + prefix.len()..].chars().take_while(|c| !c.is_whitespace()).take(*more).count();
            is_begin && following() >= *more
        })
    };
    TOKENS.iter().filter_map(begins).min().map(|at| place.start + at..end_of_word(line, place.start + at))
}

/// Where the word around this place ends, with all signs that are perhaps its own.
fn end_of_word(line: &str, from: usize) -> usize {
    let rest = &line[from..];
    let end = rest.find(|c: char| c.is_whitespace() || c != '.' && AROUND.contains(&c)).unwrap_or(rest.len());
    from + rest[..end].trim_end_matches('.').len()
}

/// The password in an address: also one that is not written as it should be.
fn password(text: &str) -> Option<Range<usize>> {
    let begin = text.find("://")? + 3;
    let rest = &text[begin..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let colon = authority.find(':')?;
    let is_port = authority[colon + 1..].chars().all(|c| c.is_ascii_digit());
    let host = match authority.rfind('@') {
        Some(at) if at > colon => at,
        None if !is_port => rest.rfind('@').filter(|at| *at > colon)?,
        Some(_) | None => return None,
    };
    Some(begin + colon + 1..begin + host).filter(|place| !place.is_empty())
}

/// What a parameter of an address says that sounds like a secret.
fn parameter(text: &str) -> Option<Range<usize>> {
    let query = text.find("://").and_then(|begin| Some(begin + text[begin..].find('?')? + 1))?;
    let mut at = query;
    text[query..].split_inclusive(['&', ';', '#']).find_map(|pair| {
        let begin = at;
        at += pair.len();
        let (name, value) = pair.split_once('=').filter(|(name, _)| may_be_secret(name, ""))?;
        let value = value.trim_end_matches(['&', ';', '#']);
        let begin = begin + name.len() + 1;
        (!value.is_empty()).then(|| begin..begin + value.len())
    })
}

/// Whether nobody would say such a word: long, of letters and digits that change places all the time.
fn looks_random(text: &str) -> bool {
    /// Of three kinds of signs, and of two; hexadecimal digits with few changes are still none that are said.
    const LEAST: (usize, usize) = (12, 20);
    if is_uuid(text) || is_spelt(text) || text.contains(['/', '(', ')', '@']) && text.contains('.') {
        return false;
    }
    let class = |c: char| match c {
        _ if c.is_ascii_digit() => 0,
        _ if c.is_lowercase() => 1,
        _ if c.is_uppercase() => 2,
        _ => 3,
    };
    let plain: Vec<usize> = text.chars().map(class).filter(|class| *class < 3).collect();
    let changes = plain.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let kinds = (0..3).filter(|kind| plain.contains(kind)).count();
    let has_digits = plain.contains(&0);
    match kinds {
        3 => plain.len() >= LEAST.0 && changes * 3 >= plain.len(),
        2 if has_digits => plain.len() >= LEAST.1 && changes * 4 >= plain.len(),
        2 => plain.len() >= LEAST.1 && changes * 3 >= plain.len(),
        _ => false,
    }
}

/// Whether it is what an image or a line of the audit log is known by, which everybody may see.
fn is_digest(line: &str, word: &Said<'_>) -> bool {
    let digest = word.text.split_once("sha256:").map(|(_, digest)| digest);
    let digest = digest.or_else(|| line[..word.place.start].ends_with("sha256:").then_some(word.text));
    digest.is_some_and(|digest| digest.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Whether it is put together of words, as names of containers are: `shop-web-7f9c8d6b5-x2k4z`.
fn is_spelt(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '_', '.']).collect();
    let is_word = |part: &&&str| part.len() >= 3 && part.chars().all(|c| c.is_ascii_lowercase());
    parts.iter().filter(is_word).count() >= 2 && parts.iter().all(|part| part.len() <= 12) && !text.contains(char::is_uppercase)
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}
