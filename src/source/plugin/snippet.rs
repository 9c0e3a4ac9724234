//! A plugin's nginx file → where it leads.

use std::collections::{BTreeMap, BTreeSet};

/// An nginx file that a plugin brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snippet {
    /// The file's name, relative to the plugin's directory.
    pub file: String,
    /// The hosts and ports that requests are passed on to.
    pub backends: BTreeSet<(String, Option<u16>)>,
    /// The paths of its locations, in their order.
    pub locations: Vec<String>,
    /// Whether it has a server around them; a location by itself is refused by nginx where sites are included.
    pub has_server: bool,
    /// Whether connections are upgraded to websockets.
    pub has_websockets: bool,
}

/// Reads a file. Whatever it is, there is no way to misread it badly: it is only compared with what others say.
#[must_use]
pub(super) fn read(file: &str, text: &str) -> Snippet {
    let mut snippet = Snippet { file: file.to_owned(), ..Snippet::default() };
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    for words in directives(text) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["server"] => snippet.has_server = true,
            ["location", path] | ["location", "=" | "^~", path] => snippet.locations.push((*path).to_owned()),
            ["set", name, value] => drop(variables.insert((*name).to_owned(), (*value).to_owned())),
            ["proxy_pass", target, ..] => {
                let name = target.find('/').filter(|_| target.starts_with('$')).map_or(*target, |at| &target[..at]);
                let target = variables.get(name).map_or(*target, String::as_str);
                snippet.backends.extend(backend(target));
            }
            ["proxy_set_header", header, ..] if header.eq_ignore_ascii_case("upgrade") => snippet.has_websockets = true,
            _ => {}
        }
    }
    snippet
}

/// The words of each directive, whether it ends in `;` or opens a block.
fn directives(text: &str) -> Vec<Vec<String>> {
    let (mut directives, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') if word.is_empty() => quote = Some(c),
            (None, '#') if word.is_empty() => drop(characters.by_ref().find(|c| *c == '\n')),
            (None, c) if c.is_whitespace() || matches!(c, ';' | '{' | '}') => {
                // `${name}` is a word.
                if c == '{' && word.ends_with('$') || c == '}' && word.contains("${") {
                    word.push(c);
                    continue;
                }
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                if !c.is_whitespace() && !words.is_empty() {
                    directives.push(std::mem::take(&mut words));
                }
            }
            (Some(_) | None, c) => word.push(c),
        }
    }
    directives
}

/// Host and port of `http://host:port/…`.
fn backend(target: &str) -> Option<(String, Option<u16>)> {
    let host = target.split_once("://")?.1.split('/').next()?;
    match host.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok())),
        None => Some((host.to_owned(), None)),
    }
}
