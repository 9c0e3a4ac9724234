//! `.env` files: read, and changed one line at a time.

use std::time::Duration;

use mooring::dotenv::{Error, File, Values};

use crate::{
    engine::{self, Target},
    law,
};

/// It has a sign that no name has, so that wherever it is read it is a value or nothing.
const CANARY: &str = "hunter2!";

const WORDS: &[&str] = &[
    "A=",
    "B=",
    "export ",
    "A='",
    "A=\"",
    "${A}",
    "${B:-",
    "${A:?",
    "${A:+x}",
    "$A",
    "$$",
    "hunter2!",
    " #",
    "# c",
    "\\\"",
    "\\n",
    "\\0101",
    "\\$",
    "=",
    ": ",
    "A: ",
    "'",
    "\"",
    "\n",
    "\r\n",
    "A",
    "POSTGRES_PASSWORD=",
    "é=",
    "A.b-c[0]=",
];

/// Values that somebody sets.
const VALUES: &[&str] = &[
    "",
    "x",
    "two words",
    "it's",
    "\"quoted\"",
    "both ' and \"",
    "$HOME",
    "${A:-b}",
    "back\\slash",
    "ends in \\",
    "a#b",
    "a #b",
    "#",
    "line\nline",
    "cr\rlf\r\n",
    "\ttab",
    " blank ",
    "ü🦀",
    "$$",
    "\\n",
    "\\'",
    "=",
    "\u{85}",
    "\u{1}",
    "\u{feff}",
];

#[test]
fn any_file_of_variables_is_kept_to_the_byte_and_changed_in_one_place() {
    let table = engine::file("docs/dotenv.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let seeds = rows.map(|(text, _)| text.replace('⏎', "\n").replace('␍', "\r").replace('⇥', "\t").replace('␠', " "));
    Target { name: "dotenv", seeds: seeds.collect(), words: WORDS, cases: 12_000, limit: Duration::from_secs(1), check }.run();
}

fn check(text: &[u8]) -> Result<(), String> {
    let file = match File::parse(text) {
        Ok(file) => file,
        Err(error) => return refused(text, &error),
    };
    law!(file.expose().as_bytes() == text, "every byte is kept", "{:?}", file.expose());
    let lines = file.expose().split('\n').count();
    let mut last = 0;
    for entry in file.entries() {
        law!((1..=lines).contains(&entry.line) && entry.line > last, "lines are those of the text", "{entry:?}");
        law!(!entry.key.is_empty(), "a variable has a name", "{entry:?}");
        last = entry.line;
    }
    if let Err(error) = file.values(&Values::new()) {
        refused(text, &error)?;
    }
    let value = VALUES[engine::digest(text) % VALUES.len()];
    let keys: Vec<String> = file.entries().map(|entry| entry.key.to_owned()).collect();
    for key in keys.iter().take(3).map(String::as_str).chain(["A_NEW_ONE"]) {
        set(&file, key, value)?;
        removed(&file, key)?;
    }
    Ok(())
}

fn refused(text: &[u8], error: &Error) -> Result<(), String> {
    law!(!error.to_string().contains(CANARY), "an error tells no value", "{error}");
    let text = engine::lossy(text);
    let at = match error {
        Error::NotUtf8 { at }
        | Error::Nul { at }
        | Error::Syntax { at, .. }
        | Error::Required { at, .. }
        | Error::TooLong { at, .. } => at,
        Error::TooLarge { .. } | Error::Name { .. } | Error::NulValue { .. } => return Ok(()),
    };
    law!(engine::is_place(&text, at.line, at.column), "an error has its place in the text", "{error}");
    Ok(())
}

/// What the entries are, as they stand there.
fn entries(file: &File) -> Vec<(String, Option<String>)> {
    file.entries().map(|entry| (entry.key.to_owned(), entry.value.map(|value| value.expose().to_owned()))).collect()
}

fn set(file: &File, key: &str, value: &str) -> Result<(), String> {
    let mut changed = file.clone();
    if let Err(error) = changed.set(key, value) {
        return Err(format!("what a file holds can be set: {key} to {value:?}: {error}"));
    }
    let (old, new) = (file.expose(), changed.expose());
    let of_key = |entry: &mooring::dotenv::Entry<'_>| entry.key == key && entry.value.is_some();
    let counts = file.entries().rfind(of_key).and_then(|entry| entry.value);
    match counts {
        // Where it stands is where the text is: the rest must be the same to the byte.
        Some(raw) => {
            let begin = raw.expose().as_ptr() as usize - old.as_ptr() as usize;
            let end = begin + raw.expose().len();
            law!(new.starts_with(&old[..begin]) && new.ends_with(&old[end..]), "only its own place changes", "{key}: {new:?}");
        }
        None => law!(new.starts_with(old), "a new line comes at the end", "{key}: {new:?}"),
    }
    let at = file.entries().collect::<Vec<_>>().iter().rposition(of_key);
    let (mut before, mut after) = (entries(file), entries(&changed));
    match at {
        Some(at) => drop((before.remove(at), after.remove(at))),
        None => drop(after.pop()),
    }
    law!(before == after, "the other variables stay", "{before:?} {after:?}");
    // Values that need others may have none; then the new one alone has to be right.
    if let Ok(values) = changed.values(&Values::new()) {
        let read = values.get(key).map(mooring::secret::Secret::expose);
        law!(read == Some(value), "what was set is read back", "{key}={value:?} is {read:?} in {new:?}");
    }
    let mut again = changed.clone();
    law!(again.set(key, value).is_ok() && again.expose() == new, "setting it again changes nothing", "{key}");
    Ok(())
}

fn removed(file: &File, key: &str) -> Result<(), String> {
    let mut changed = file.clone();
    let was_there = file.entries().any(|entry| entry.key == key);
    law!(changed.remove(key) == was_there, "what is there can be removed", "{key}");
    let kept: Vec<_> = entries(file).into_iter().filter(|(other, _)| other != key).collect();
    law!(entries(&changed) == kept, "only the variable goes", "{key}: {:?}", changed.expose());
    // What editors put before the first line is no line's.
    let without_mark = |file: &'_ File| file.expose().trim_start_matches('\u{feff}').to_owned();
    let (old, new) = (without_mark(file), without_mark(&changed));
    let mut rest = old.split_inclusive('\n');
    let stays = new.split_inclusive('\n').all(|line| rest.any(|old| old == line));
    law!(stays, "the other lines stay", "{key}: {:?}", changed.expose());
    Ok(())
}
