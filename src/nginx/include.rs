//! `include`: which files a pattern stands for.

use std::path::{Path, PathBuf};

use super::config::{Config, Directive};
use crate::paths::normalize;

/// The patterns of all `include` directives of a file, in their order, with their lines.
#[must_use]
pub fn patterns(config: &Config) -> Vec<(usize, String)> {
    fn collect(directives: &[Directive], found: &mut Vec<(usize, String)>) {
        for directive in directives {
            if directive.is("include") {
                found.extend(directive.argument(0).map(|pattern| (directive.line, pattern.to_owned())));
            }
            collect(directive.children(), found);
        }
    }
    let mut found = Vec::new();
    collect(&config.directives, &mut found);
    found
}

/// Where a pattern begins when it is relative: at the directory of the main file, whichever file it stands in.
#[must_use]
pub fn absolute(directory: &Path, pattern: &str) -> PathBuf {
    normalize(&directory.join(pattern))
}

/// Whether a path is one that a pattern stands for: `*` and `?` for parts of one name, `[abc]` for one character.
#[must_use]
pub fn matches(pattern: &Path, path: &Path) -> bool {
    pattern.components().count() == path.components().count()
        && pattern
            .components()
            .zip(path.components())
            .all(|(pattern, name)| name_matches(&pattern.as_os_str().to_string_lossy(), &name.as_os_str().to_string_lossy()))
}

/// Whether a single name matches a pattern. As in a shell, a hidden file has to be asked for by its dot.
#[must_use]
pub fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // The last star, and how far the name was when it took nothing; it takes one more at each dead end.
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < name.len() {
        let step = pattern.get(at).and_then(|_| one(&pattern[at..], name[read]));
        match (pattern.get(at), step) {
            (Some('*'), _) => {
                star = Some((at + 1, read));
                at += 1;
            }
            (_, Some(length)) => {
                at += length;
                read += 1;
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                (at, read) = (after, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// How much of the pattern stands for this character; none if it does not.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern[0] {
        '?' => Some(1),
        '[' => {
            let end = pattern.iter().skip(2).position(|c| *c == ']')? + 2;
            let (negated, set) = match &pattern[1..end] {
                ['!' | '^', rest @ ..] => (true, rest),
                set => (false, set),
            };
            (in_set(set, character) != negated).then_some(end + 1)
        }
        literal => (literal == character).then_some(1),
    }
}

fn in_set(set: &[char], character: char) -> bool {
    let ranges = set.windows(3).filter(|range| range[1] == '-');
    set.contains(&character) || ranges.into_iter().any(|range| (range[0]..=range[2]).contains(&character))
}

/// Whether a text is that of a main file: one with the block for requests.
#[must_use]
pub fn has_http(text: &str) -> bool {
    Config::parse(text).is_ok_and(|config| config.directives.iter().any(|directive| directive.is("http")))
}
