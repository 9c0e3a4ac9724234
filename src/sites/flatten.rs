//! The configuration that nginx has, as one file in which the sites come from somewhere else.
//!
//! nginx can test a configuration only as a whole, beginning with its main file,
//! and takes relative paths to be relative to that file. So what `nginx -T` prints
//! is put together into one file, paths are made absolute, and the `include` of
//! the sites' directory is replaced.

use std::{collections::BTreeMap, fmt::Write as _};

/// The files of `nginx -T`, by their paths, and the main one.
#[derive(Debug, PartialEq, Eq)]
pub struct Dump {
    main: String,
    files: BTreeMap<String, String>,
}

/// A configuration cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// nginx printed something else.
    #[error("what `nginx -T` printed is not a configuration")]
    Unreadable,
    /// The sites would never be read.
    #[error("nginx does not include {directory}/*.conf anywhere in {main}, so what is written there would never be served")]
    NotIncluded {
        /// The directory, as nginx sees it.
        directory: String,
        /// The main file.
        main: String,
    },
}

/// What each file in the dump begins with.
const HEADER: &str = "# configuration file ";
/// Includes go no deeper than this; nginx itself would run out of file handles in a circle.
const DEEPEST: usize = 16;
/// Directives other than `include` whose first argument is a path relative to the main file's directory.
const PATHS: [&str; 13] = [
    "auth_basic_user_file",
    "grpc_ssl_certificate",
    "grpc_ssl_certificate_key",
    "grpc_ssl_trusted_certificate",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "proxy_ssl_trusted_certificate",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_trusted_certificate",
];

impl Dump {
    /// Reads what `nginx -T` prints to its standard output.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (mut main, mut files) = (None, BTreeMap::<String, String>::new());
        let mut current: Option<String> = None;
        for line in text.split_inclusive('\n') {
            let header = line.trim_end().strip_prefix(HEADER).and_then(|path| path.strip_suffix(':'));
            match header.filter(|path| path.starts_with('/')) {
                Some(path) => {
                    main.get_or_insert_with(|| path.to_owned());
                    current = Some(path.to_owned());
                    files.entry(path.to_owned()).or_default();
                }
                None => {
                    if let Some(path) = &current {
                        files.entry(path.clone()).or_default().push_str(line);
                    }
                }
            }
        }
        main.map(|main| Self { main, files }).ok_or(Error::Unreadable)
    }

    /// One file that means the same, with `sites` in the place of what `directory` holds.
    pub fn with_sites(&self, directory: &str, sites: &[String]) -> Result<String, Error> {
        let mut flattener = Flattener { dump: self, directory: normal(directory), sites, found: false };
        let text = flattener.file(&self.main, 0);
        if flattener.found {
            Ok(text)
        } else {
            Err(Error::NotIncluded { directory: directory.to_owned(), main: self.main.clone() })
        }
    }

    /// One file that means the same, with these texts in the place of those that the files of these paths have.
    #[must_use]
    pub fn with_texts<'a>(mut self, texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        for (path, text) in texts {
            if let Some(file) = self.files.get_mut(path) {
                text.clone_into(file);
            }
        }
        // No directory has this path.
        let mut flattener = Flattener { dump: &self, directory: String::new(), sites: &[], found: false };
        flattener.file(&self.main, 0)
    }

    fn base(&self) -> &str {
        self.main.rsplit_once('/').map_or("", |(base, _)| base)
    }
}

struct Flattener<'a> {
    dump: &'a Dump,
    directory: String,
    sites: &'a [String],
    found: bool,
}

impl Flattener<'_> {
    fn file(&mut self, path: &str, depth: usize) -> String {
        let text = self.dump.files.get(path).map_or("", String::as_str);
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for directive in directives(text) {
            let Directive { start, end, words } = &directive;
            let replacement = match words.as_slice() {
                [name, path] if name == "include" => self.include(&self.absolute(path), depth),
                [name, path] if PATHS.contains(&name.as_str()) && is_relative(path) => {
                    format!("{name} \"{}\";", self.absolute(path))
                }
                _ => continue,
            };
            out.push_str(&text[copied..*start]);
            out.push_str(&replacement);
            copied = *end;
        }
        out.push_str(&text[copied..]);
        out
    }

    fn include(&mut self, pattern: &str, depth: usize) -> String {
        let (directory, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        if normal(directory) == self.directory && is_match(name, "a.conf") {
            self.found = true;
            return self.sites.iter().fold(String::new(), |mut text, site| {
                let _ = writeln!(text, "include \"{site}\";");
                text
            });
        }
        if depth >= DEEPEST {
            return String::new();
        }
        // Named without a pattern, one of the sites may be included on its own.
        let included: Vec<String> = self.dump.files.keys().filter(|path| is_path_match(pattern, path)).cloned().collect();
        included.iter().fold(String::new(), |text, path| text + &self.file(path, depth + 1) + "\n")
    }

    fn absolute(&self, path: &str) -> String {
        if is_relative(path) { format!("{}/{path}", self.dump.base()) } else { path.to_owned() }
    }
}

/// Neither absolute nor something that is no path at all.
fn is_relative(path: &str) -> bool {
    !path.starts_with(['/', '$']) && !path.starts_with("data:") && !path.starts_with("engine:") && path != "off"
}

/// Without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn is_path_match(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (normal(pattern), normal(path));
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| is_match(pattern, part))
}

/// The patterns of `glob`: `*`, `?` and sets. A leading dot has to be asked for.
fn is_match(pattern: &str, name: &str) -> bool {
    fn rest(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', pattern @ ..], _) => (0..=name.len()).any(|skip| rest(pattern, &name[skip..])),
            (['?', pattern @ ..], [_, name @ ..]) => rest(pattern, name),
            (['[', set @ ..], [first, name @ ..]) => match set.iter().skip(1).position(|c| *c == ']') {
                Some(end) => is_in_set(&set[..=end], *first) && rest(&set[end + 2..], name),
                None => false,
            },
            ([wanted, pattern @ ..], [first, name @ ..]) => wanted == first && rest(pattern, name),
            _ => false,
        }
    }
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    rest(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

fn is_in_set(set: &[char], c: char) -> bool {
    let (negated, set) = match set {
        ['!' | '^', set @ ..] => (true, set),
        set => (false, set),
    };
    let mut at = 0;
    let mut found = false;
    while at < set.len() {
        if let [from, '-', to, ..] = &set[at..] {
            found |= (*from..=*to).contains(&c);
            at += 3;
        } else {
            found |= set[at] == c;
            at += 1;
        }
    }
    found != negated
}

/// A directive without a block, from its first letter to its semicolon.
struct Directive {
    start: usize,
    end: usize,
    words: Vec<String>,
}

/// All directives without blocks, as nginx splits them: by blanks, but for quotes and comments.
fn directives(text: &str) -> Vec<Directive> {
    let mut directives = Vec::new();
    let (mut words, mut start) = (Vec::new(), 0);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '#' => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            ';' => directives.push(Directive { start, end: at + 1, words: std::mem::take(&mut words) }),
            '{' | '}' => words.clear(),
            c => {
                if words.is_empty() {
                    start = at;
                }
                words.push(word(c, &mut chars));
            }
        }
    }
    directives
}

/// One word, which may be in quotes; a backslash takes the meaning of what follows it.
fn word(first: char, chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> String {
    let mut word = String::new();
    if first == '"' || first == '\'' {
        while let Some((_, c)) = chars.next() {
            match c {
                '\\' => word.extend(chars.next().map(|(_, c)| c)),
                c if c == first => break,
                c => word.push(c),
            }
        }
        return word;
    }
    let mut last = first;
    word.push(first);
    // `${name}` is a part of the word, and no block.
    let goes_on = |last: char, c: char| !c.is_whitespace() && c != ';' && (c != '{' || last == '$');
    while let Some((_, c)) = chars.next_if(|(_, c)| last == '\\' || goes_on(last, *c)) {
        word.push(c);
        last = c;
    }
    word
}

#[cfg(test)]
mod tests;
