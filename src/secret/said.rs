//! Finds what may be a secret in a sentence that somebody said.
//!
//! Goes in: a sentence, before anybody has understood it. Comes out: the places of what had better be neither kept nor
//! told. It goes by what stands around a value (`DB_PASSWORD=…`, `the password of db to …`), by the forms that tokens are
//! given, and by how random a word looks. A word too many costs a word; one too few stands in a log for good.

mod form;
mod statement;

use std::ops::Range;

use self::form::shaped;
use super::{
    Secret,
    mask::{MASKED, may_be_secret},
};

/// The sentence without what may be a secret.
#[must_use]
pub fn concealed(said: &str) -> String {
    let mut text = String::with_capacity(said.len());
    let mut at = 0;
    for place in places(said) {
        text.push_str(&said[at..place.start]);
        text.push_str(MASKED);
        at = place.end;
    }
    text.push_str(&said[at..]);
    text
}

/// What may be a secret in it.
#[must_use]
pub fn secrets(said: &str) -> Vec<Secret> {
    places(said).into_iter().map(|place| Secret::new(said[place].to_owned())).collect()
}

/// Where it stands: in order, and nothing twice.
fn places(said: &str) -> Vec<Range<usize>> {
    let mut places = pems(said);
    let (text, sql) = said.split_at(statement::begin(said).unwrap_or(said.len()));
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        places.extend(in_line(line, true).into_iter().map(|place| start + place.start..start + place.end));
        start += line.len();
    }
    let mut at = start;
    for line in sql.split_inclusive('\n') {
        // Found by fuzzing: behind a statement, or what looks like one, somebody may go on with something else.
        if at > start && is_apart(line) {
            places.extend(in_line(line, true).into_iter().map(|place| at + place.start..at + place.end));
        }
        at += line.len();
    }
    places.extend(statement::places(sql).into_iter().map(|place| start + place.start..start + place.end));
    places.retain(|place| !place.is_empty() && ![MASKED, "(not shown)"].contains(&&said[place.clone()]));
    places.sort_by_key(|place| (place.start, usize::MAX - place.end));
    let mut apart: Vec<Range<usize>> = Vec::new();
    for place in places {
        match apart.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => apart.push(place),
        }
    }
    apart
}

/// Whether a line among those of a statement is none of it: it sets a variable, or is an address.
fn is_apart(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    while words.next_if(|word| ["export", "set", "setx"].contains(&&*word.to_lowercase())).is_some() {}
    let Some(first) = words.next() else { return false };
    let (name, value) = first.split_once('=').map_or((first, None), |(name, value)| (name, Some(value)));
    let is_variable = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    first.contains("://")
        || is_variable && (value.is_some() || words.next().is_some_and(|word| ["to", "="].contains(&&*word.to_lowercase())))
}

/// What is found in a line, and in what is quoted there.
fn in_line(line: &str, with_quoted: bool) -> Vec<Range<usize>> {
    let words = words(line);
    let mut found = Vec::new();
    let mut until = 0;
    for word in &words {
        // What lies in a place whole adds nothing. Found by fuzzing: each looked at again, a line of tokens without a space between
        // them took as long as it is long, squared.
        if word.place.end > until
            && let Some(place) = shaped(line, word)
        {
            until = until.max(place.end);
            found.push(place);
        }
    }
    let first = |list: &[&str]| words.iter().position(|word| list.contains(&&*word.low)).unwrap_or(words.len());
    let (gives, uses) = (first(GIVES), first(USES));
    let mut looked_at = 0;
    for at in 0..words.len() {
        // What is a value already gives none to anything.
        if words[at].place.start < looked_at {
            continue;
        }
        if let Some(place) = after_a_name(line, &words, at, gives < at) {
            looked_at = place.end;
            found.push(place);
        }
        found.extend(before_a_name(&words, at, uses));
    }
    let logs_in =
        words.windows(2).any(|pair| ["log", "sign"].contains(&&*pair[0].low) && ["in", "into", "on"].contains(&&*pair[1].low));
    if logs_in || words.iter().any(|word| LOGINS.contains(&&*word.low)) {
        found.extend(words.iter().filter_map(pair));
        let named = words.windows(2).filter(|pair| pair[0].sign == ":" && is_odd(&pair[1]));
        found.extend(named.map(|pair| pair[1].place.clone()));
    }
    for word in words.iter().filter(|word| with_quoted && word.is_quoted && word.text.contains([' ', '=', ':'])) {
        let inner = in_line(word.text, false).into_iter();
        found.extend(inner.map(|place| word.place.start + place.start..word.place.start + place.end));
    }
    found
}

/// Where one of these is said, a pair of words is a name and a password.
const LOGINS: &[&str] = &["login", "logon", "signin", "credential", "credentials", "creds", "user", "username"];

/// The second half of `admin/hunter2`.
fn pair(word: &Said<'_>) -> Option<Range<usize>> {
    let (name, password) = word.text.split_once('/').filter(|(name, password)| !name.is_empty() && !password.contains('/'))?;
    let begin = word.place.start + name.len() + 1;
    let said = Said { text: password, low: String::new(), place: begin..word.place.end, is_quoted: false, sign: "" };
    is_odd(&said).then_some(said.place)
}

/// Keys in their armour, also where the end of it is missing.
fn pems(said: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(begin) = said[at..].find("-----BEGIN").map(|begin| at + begin) {
        let end = said[begin..].find("-----END").map(|end| begin + end + "-----END".len());
        at = end.map_or(said.len(), |end| said[end..].find("-----").map_or(said.len(), |dashes| end + dashes + 5));
        places.push(begin..at);
    }
    places
}

/// A word of a line, or what stands there in quotation marks.
#[derive(Debug)]
struct Said<'a> {
    /// Without the signs around it.
    text: &'a str,
    low: String,
    place: Range<usize>,
    is_quoted: bool,
    /// What stands between it and the next word, without spaces: `=`, `:`, `,`.
    sign: &'a str,
}

/// What may stand around a word and is none of it. Behind it stands also what may well be the end of a password: that is masked by
/// the place of the word, where it matters.
const AROUND: &[char] = &['"', '\'', '`', '“', '”', '‘', '’', '(', ')', '[', ']', '{', '}', '<', '>', ',', ';', '?', '.'];

fn words(line: &str) -> Vec<Said<'_>> {
    let mut places: Vec<(Range<usize>, bool)> = Vec::new();
    // Marks that nothing closes from some place on, and so from no later one: looked for again at each, a line would take as long as
    // it is long, squared.
    let mut unclosed: Vec<char> = Vec::new();
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        if c.is_whitespace() || matches!(c, '=' | ':') {
            at += c.len_utf8();
        } else if let Some(length) = Some(c).filter(|c| !unclosed.contains(c)).and_then(|_| quoted(rest)) {
            places.push((at + c.len_utf8()..at + length - rest[..length].chars().next_back().map_or(1, char::len_utf8), true));
            at += length;
        } else {
            if ['"', '\'', '`', '“', '„', '‘'].contains(&c) && !unclosed.contains(&c) {
                unclosed.push(c);
            }
            // A name ends where its value begins, and a value may be quoted.
            let name = rest.find(|c: char| !is_of_a_name(c)).unwrap_or(rest.len());
            let assigns = name > 0 && rest[name..].starts_with(['=', ':']) && !rest[name..].starts_with("://");
            let begins = rest[name..].chars().nth(1).is_some_and(|c| c != '=' && c != ':');
            let length = if assigns && (begins || rest[name + 1..].is_empty()) {
                name
            } else {
                rest.find(char::is_whitespace).unwrap_or(rest.len())
            };
            let chunk = &rest[..length];
            let opened = chunk.trim_start_matches(|c| AROUND.contains(&c) || matches!(c, '=' | ':'));
            let text = opened.trim_end_matches(|c| AROUND.contains(&c) || matches!(c, '!' | ':'));
            let begin = at + chunk.len() - opened.len();
            if !text.is_empty() {
                places.push((begin..begin + text.len(), false));
            }
            at += length.max(c.len_utf8());
        }
    }
    let begins = |at: usize| places.get(at + 1).map_or(line.len(), |(place, _)| place.start);
    let word = |(at, (place, is_quoted)): (usize, &(Range<usize>, bool))| {
        let sign =
            line[place.end..begins(at)].trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '“' | '”'));
        let text = &line[place.clone()];
        Said { text, low: text.to_lowercase(), place: place.clone(), is_quoted: *is_quoted, sign }
    };
    places.iter().enumerate().map(word).collect()
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// How long what is quoted here is, with its marks.
fn quoted(text: &str) -> Option<usize> {
    let open = text.chars().next()?;
    let close = match open {
        '"' | '\'' | '`' => open,
        '“' | '„' => '”',
        '‘' => '’',
        _ => return None,
    };
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        let ends = text[at + c.len_utf8()..].chars().next().is_none_or(|c| !c.is_alphanumeric());
        match c {
            _ if escaped => escaped = false,
            '\\' if open == '"' => escaped = true,
            _ if c == close && ends => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

/// Words for a secret that everybody uses, also where no secret is near.
const SPOKEN: &[&str] = &[
    "password",
    "passwort",
    "passwd",
    "passphrase",
    "pwd",
    "pw",
    "pass",
    "token",
    "secret",
    "apikey",
    "api-key",
    "credential",
    "credentials",
    "passcode",
];

/// How a word names a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    /// As a variable: nobody says `DB_PASSWORD` otherwise.
    Exact,
    /// In passing.
    Spoken,
    /// Only where a value is given to it: `auth` and `key` are names of many things.
    Weak,
}

fn naming(words: &[Said<'_>], at: usize) -> Option<Naming> {
    let word = &words[at];
    let name = word.text.trim_start_matches('-');
    let is_name = !name.is_empty() && name.chars().all(is_of_a_name);
    if !is_name {
        return None;
    }
    let is_exact = name.contains('_')
        || name.len() > 2 && name.chars().any(char::is_alphabetic) && !name.chars().any(char::is_lowercase)
        || word.text.starts_with("--");
    let is_api_key =
        word.low == "key" && at > 0 && ["api", "access", "private", "secret", "signing"].contains(&&*words[at - 1].low);
    match () {
        () if is_exact && may_be_secret(name, "") => Some(Naming::Exact),
        () if SPOKEN.contains(&&*word.low) || is_api_key || word.low == "bearer" => Some(Naming::Spoken),
        () if may_be_secret(name, "") || word.low == "authorization" => Some(Naming::Weak),
        () => None,
    }
}

/// Words that give a value to something.
const GIVES: &[&str] = &[
    "set",
    "change",
    "update",
    "use",
    "make",
    "put",
    "export",
    "add",
    "reset",
    "rotate",
    "switch",
    "define",
    "assign",
    "configure",
    "replace",
    "store",
    "save",
    "write",
    "enter",
];
/// Words that use a value as something.
const USES: &[&str] = &["use", "put", "store", "save", "write", "enter", "take"];
/// Words between a name and its value.
const BETWEEN: &[&str] = &[
    "to", "is", "be", "as", "with", "equals", "equal", "=", ":", ":=", "=>", "now", "was", "into", "becomes", "become", "should",
];
/// What is no value where it stands behind a name and nothing between says that it is one.
const NO_VALUE: &[&str] = &[
    "a", "an", "the", "in", "of", "for", "on", "by", "and", "or", "set", "used", "from", "please", "pls", "thanks", "now", "not",
    "my", "our", "it", "this", "that", "there", "what", "which", "who", "how", "is", "to", "at", "if", "when", "so", "be",
    "variable", "value", "file", "changed", "rotated", "missing", "wrong", "old", "log", "logs", "service", "again", "as",
    "with",
];

/// The value behind the name that stands here.
fn after_a_name(line: &str, words: &[Said<'_>], at: usize, gives: bool) -> Option<Range<usize>> {
    let naming = naming(words, at)?;
    let name = &words[at];
    // `NAME=VALUE`, `"password": "…"`, `Authorization: Bearer …`.
    if let Some(value) = words.get(at + 1)
        && name.sign.starts_with(['=', ':'])
        // `hasura-auth:2` is an image.
        && (naming != Naming::Weak || name.sign != ":" || name.place.end + 1 < value.place.start)
    {
        let is_last = at + 2 == words.len();
        // `auth: it hangs` is about a service.
        if name.low.ends_with("auth") && name.sign == ":" && !is_last && !value.is_quoted && !is_odd(value) {
            return None;
        }
        let whole = value.is_quoted || name.sign.starts_with('=');
        let begin = value.place.start;
        return Some(begin..if whole { value_end(line, value) } else { said_end(line, &words[at + 1..]) });
    }
    // "From hunter to hunter2": what it was is one as well.
    if gives
        && naming != Naming::Weak
        && let Some(from) = words[at + 1..].iter().take(6).position(|word| word.low == "from")
    {
        let old = at + 2 + from;
        if words.get(old..).is_some_and(|rest| rest.iter().any(|word| word.low == "to")) {
            return Some(words[old].place.start..said_end(line, &words[old..]));
        }
    }
    match naming {
        Naming::Weak => None,
        Naming::Exact => {
            let between = words[at + 1..].iter().take_while(|word| !word.is_quoted && BETWEEN.contains(&&*word.low)).count();
            let value = words.get(at + 1 + between)?;
            let is_none = !value.is_quoted && NO_VALUE.contains(&&*value.low);
            match between {
                0 if is_none || !gives && !is_odd(value) && !value.is_quoted => None,
                0 if !gives => Some(value.place.start..value_end(line, value)),
                _ if !gives && is_none => None,
                _ => Some(value.place.start..said_end(line, &words[at + 1 + between..])),
            }
        }
        Naming::Spoken => {
            // "The password of db to …": what it is of stands between.
            let far = words[at + 1..].iter().take(6).position(|word| !word.is_quoted && BETWEEN.contains(&&*word.low));
            let begin = far.map_or(at + 1, |far| {
                let first = at + 1 + far;
                first + words[first..].iter().take_while(|word| !word.is_quoted && BETWEEN.contains(&&*word.low)).count()
            });
            let value = words.get(begin)?;
            let is_none = !value.is_quoted && NO_VALUE.contains(&&*value.low);
            match far {
                Some(_) if !is_none && (gives || is_odd(value)) => Some(value.place.start..said_end(line, &words[begin..])),
                Some(_) => None,
                None => (is_odd(value) || value.is_quoted).then(|| value.place.start..value_end(line, value)),
            }
        }
    }
}

/// The value before the name that stands here: `use … as OPENAI_API_KEY`, `… is the password`.
fn before_a_name(words: &[Said<'_>], at: usize, uses: usize) -> Option<Range<usize>> {
    let naming = naming(words, at).filter(|naming| *naming != Naming::Weak)?;
    let is_between = |word: &Said<'_>| {
        ["as", "is"].contains(&&*word.low) || naming == Naming::Exact && ["into", "for", "in", "to"].contains(&&*word.low)
    };
    let from = at.saturating_sub(5);
    let between = from + words[from..at].iter().rposition(is_between)?;
    let value = words.get(between.checked_sub(1)?)?;
    let is_said = NO_VALUE.contains(&&*value.low) || GIVES.contains(&&*value.low);
    let is_used = uses < between;
    (value.is_quoted || !is_said && (is_used && words[between].low != "is" || is_odd(value))).then(|| value.place.clone())
}

/// Whether a word is none that is said: with digits, signs or capitals in it.
fn is_odd(word: &Said<'_>) -> bool {
    let has = |of: fn(char) -> bool| word.text.chars().any(of);
    let is_mixed = word.text.chars().skip(1).any(char::is_uppercase) && has(char::is_lowercase);
    let is_name = word.text.split('_').count() > 1 && !has(|c| c.is_ascii_digit()) && !is_mixed;
    !is_name
        && word.text.chars().count() >= 4
        && (is_mixed || has(|c| c.is_ascii_digit()) && has(char::is_alphabetic) || has(|c| "!$%^&*#@~+\\".contains(c)))
}

/// Where one value ends: behind its quotation mark, or with the word.
fn value_end(line: &str, value: &Said<'_>) -> usize {
    if value.is_quoted {
        return value.place.end;
    }
    let rest = &line[value.place.start..];
    value.place.start + rest.find(char::is_whitespace).unwrap_or(rest.len())
}

/// Where a value ends that may be of several words: behind its quotation mark, or where a file is named, or with the line.
fn said_end(line: &str, words: &[Said<'_>]) -> usize {
    let Some(value) = words.first() else { return line.len() };
    if value.is_quoted {
        return value.place.end;
    }
    let in_file = words.windows(2).position(|pair| {
        ["in", "into"].contains(&&*pair[0].low) && (pair[1].low.contains("env") || ["the", "file"].contains(&&*pair[1].low))
    });
    match in_file.filter(|at| *at > 0) {
        Some(at) => value_end(line, &words[at - 1]),
        None => line.trim_end().len().max(value.place.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_to_a_telling_name_is_concealed_in_whichever_words() {
        for (said, expected) in [
            ("set NEW_TOKEN tokX", "set NEW_TOKEN ***"),
            ("NEW_TOKEN=tokX", "NEW_TOKEN=***"),
            ("NEW_TOKEN = tokX", "NEW_TOKEN = ***"),
            ("set NEW_TOKEN=tok!X. please", "set NEW_TOKEN=*** please"),
            ("change the password of db to hunter2", "change the password of db to ***"),
            ("export API_KEY=\"a b c\" and go", "export API_KEY=\"***\" and go"),
            ("export API_KEY='abc'", "export API_KEY='***'"),
            ("set DB_PASSWORD to correct horse battery in .env.local", "set DB_PASSWORD to *** in .env.local"),
            ("the new password is hunter2", "the new password is ***"),
            ("my password is hunter2, ok?", "my password is ***"),
            ("db_password: hunter", "db_password: ***"),
            ("{\"password\": \"hunter\"}", "{\"password\": \"***\"}"),
            ("curl -H 'Authorization: Bearer abc' x", "curl -H 'Authorization: ***' x"),
            ("Authorization: Bearer abcdef", "Authorization: ***"),
            ("psql --password hunter2 now", "psql --password *** now"),
            ("use hunter as the database password", "use *** as the database password"),
            ("please use s3cr as OPENAI_API_KEY", "please use *** as OPENAI_API_KEY"),
            ("put \"two words\" into SMTP_PASS", "put \"***\" into SMTP_PASS"),
            ("hunter2 is the password", "*** is the password"),
            ("hold redis for 2h because the password is hunter2", "hold redis for 2h because the password is ***"),
            ("one\nset A_SECRET to two\nthree", "one\nset A_SECRET to ***\nthree"),
            ("set the api key to abcdef", "set the api key to ***"),
            ("my pw: hunter", "my pw: ***"),
            ("login with admin/hunter2", "login with admin/***"),
            ("log in as admin:hunter2 please", "log in as admin:*** please"),
            ("change DB_PASSWORD from oldpass to newpass", "change DB_PASSWORD from ***"),
            ("change the password of db from oldpass to newpass", "change the password of db from ***"),
            ("my API_KEY 'abc' is new", "my API_KEY '***' is new"),
            ("https://x.test/cb?a=1&access_token=abcdef&b=2", "https://x.test/cb?a=1&access_token=***&b=2"),
        ] {
            assert_eq!(concealed(said), expected, "{said}");
        }
    }

    #[test]
    fn what_is_a_secret_by_its_form_is_concealed_wherever_it_stands() {
        for (said, expected) in [
            ("what is sk-proj-abc123 for", "what is *** for"),
            ("I found ghp_abcd1234 in a log", "I found *** in a log"),
            ("AKIAIOSFODNN7EXAMPLE leaked!", "*** leaked!"),
            ("(xoxb-1234-abcd)", "(***)"),
            ("<b>sk-abcd-1234</b>", "<b>***</b>"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def", "***"),
            ("postgres://app:s3cr/et@db:5432/shop is it up", "postgres://app:***@db:5432/shop is it up"),
            ("redis://:s3cret@cache", "redis://:***@cache"),
            ("-----BEGIN KEY-----\nMIIB\n-----END KEY----- and more", "*** and more"),
            ("-----BEGIN KEY-----\nMIIB", "***"),
            ("look at Zk3nQ8vR2xLp9TbY please", "look at *** please"),
            ("f3a91c07be5d42288a6e0b1c9d7f3e21 what is it", "*** what is it"),
        ] {
            assert_eq!(concealed(said), expected, "{said}");
        }
    }

    #[test]
    fn what_people_say_otherwise_stays_as_it_is() {
        for said in [
            "how old are the secrets?",
            "restart the auth service",
            "is hasura-auth:0.36.0 new?",
            "is the auth container up since 2026-11-21T14:30:00Z?",
            "what is POSTGRES_PASSWORD set to?",
            "show me POSTGRES_PASSWORD",
            "who changed DB_PASSWORD in .env.local?",
            "set LOG_LEVEL to debug",
            "set API_URL to https://api.example.test/v1?a=b&c=d.",
            "SELECT count(*) FROM users WHERE id = 5",
            "show the logs of worker-video-2 from the last 24 hours",
            "audit log of thread 0f8fad5b-d9cb-469f-a165-70867728950e",
            "the value is sha256:0a1b2c3d4e5f",
            "postgres:16-alpine and registry.test:5000/nself/claw:1.2.3",
            "RestartContainer by session:5 with outcome already-so",
            "how many tokens are left",
            "unset OPENAI_API_KEY",
            "use redis as a cache",
            "redis@sha256:4f53227f4f272720d5b1a75598a4ab096af27191435d3a9c5ac89f21fdc22d38",
            "is sha256:4f53227f4f272720d5b1a75598a4ab096af27191435d3a9c5ac89f21fdc22d38 running?",
            "show the audit log for mooring-demo/postgres:15 today",
            "why was project-1a2b3c-web-7f9c8d6b5-x2k4z restarted?",
            "why does auth: it hangs",
            "hello *** there",
            "",
        ] {
            assert_eq!(concealed(said), said);
        }
    }

    #[test]
    fn behind_a_statement_a_line_that_sets_a_variable_is_looked_at_as_such() {
        for line in ["export API_TOKEN=\"correct-horse\"", "set POSTGRES_PASSWORD to correct-horse", "DB_PASSWORD=correct-horse"]
        {
            let hidden = concealed(&format!("DELETE FROM WHERE\n{line}\nDELETE FROM WHERE"));
            assert!(!hidden.contains("correct-horse"), "{hidden}");
        }
    }

    #[test]
    fn in_a_statement_the_values_of_telling_columns_are_concealed_and_nothing_else() {
        for (said, expected) in [
            (
                "INSERT INTO users (id, password, name) VALUES (20, 'it''s', 'bob'), (21, crypt('abc', 'x'), 'eve')",
                "INSERT INTO users (id, password, name) VALUES (20, '***', 'bob'), (21, crypt('***', '***'), 'eve')",
            ),
            (
                "change of the database: INSERT INTO users(id, email, password_hash) VALUES (20, 'x@y', 'hunter')",
                "change of the database: INSERT INTO users(id, email, password_hash) VALUES (20, 'x@y', '***')",
            ),
            ("ALTER ROLE app PASSWORD 'hunter'", "ALTER ROLE app PASSWORD '***'"),
            ("UPDATE t SET pin = 1234, n = 5678 WHERE a = 'b'", "UPDATE t SET pin = ***, n = 5678 WHERE a = 'b'"),
            ("UPDATE t\nSET token = $$ab c$$,\n n = 'x'", "UPDATE t\nSET token = $$***$$,\n n = 'x'"),
            (
                "SELECT 1 FROM t WHERE lower(token) IN ('a', 'b') AND c = 'd'",
                "SELECT 1 FROM t WHERE lower(token) IN ('***', '***') AND c = 'd'",
            ),
            ("SELECT 1 FROM t WHERE 'abc' = token", "SELECT 1 FROM t WHERE '***' = token"),
            ("SELECT * FROM t WHERE note = 'sk-live-abc123'", "SELECT * FROM t WHERE note = '***'"),
            ("SELECT * FROM t WHERE note = 'my password is hunter2'", "SELECT * FROM t WHERE note = 'my password is ***'"),
            ("select the password hunter2 from the list", "select the password *** from the list"),
            ("update the shop set DB_PASSWORD=hunt!er_x now", "update the shop set DB_PASSWORD=*** now"),
            ("update shop set db_password = hunter where a = b", "update shop set db_password = *** where a = b"),
        ] {
            assert_eq!(concealed(said), expected, "{said}");
        }
        for said in [
            "SELECT a.id FROM api_keys a JOIN users u ON a.api_key = u.api_key WHERE a.key_id = 100234",
            "select password_hash is null, count(*) from users group by 1",
            "UPDATE users SET token = DEFAULT, updated_at = now() WHERE primary_key = 10025",
            "SELECT \"customerOrderLineItem2ArchiveV3\" FROM customerOrderLineItem2ArchiveV3",
            "try and take back a change of 1 rows: DELETE FROM settings WHERE key = 'shop_name'",
            "SELECT name, token FROM t ORDER BY token LIMIT 50000",
            "UPDATE t SET password = crypt(other, gen_salt(kind)), token = NULL WHERE secret = $1 AND token = old_token",
        ] {
            assert_eq!(concealed(said), said);
        }
    }

    #[test]
    fn a_hundred_kilobytes_are_looked_through_in_no_time() {
        for text in [
            "\"".repeat(100_000),
            "a'".repeat(50_000),
            "password ".repeat(11_000),
            "=".repeat(100_000),
            "://@:".repeat(20_000),
            format!("values ({}", "token = 'a' ".repeat(9_000)),
            format!("values ({}", "token (into (".repeat(8_000)),
            format!("select * from {}", "'".repeat(100_000)),
        ] {
            let begun = std::time::Instant::now();
            let _ = concealed(&text);
            // Squared it would be hours.
            assert!(begun.elapsed().as_secs() < 20, "{:?} for {}…", begun.elapsed(), &text[..5]);
        }
    }
}
