//! What was in force × what the files say now → what is in force.
//!
//! Pure: no I/O, no clock.

use std::{collections::BTreeMap, path::Path};

use super::Catalogue;
use crate::{
    manifest::Key,
    source::{
        directory::{FileReading, Scan},
        parse::Located,
        problem::{Code, Place, Problem},
    },
};

/// Takes in what the files say now.
#[must_use]
pub fn merge(previous: Catalogue, scan: &Scan) -> Catalogue {
    if scan.is_empty() {
        return emptied(previous);
    }
    let mut catalogue = Catalogue { has_files: true, ..Catalogue::default() };
    let mut namesakes: BTreeMap<Key, Vec<Located>> = BTreeMap::new();
    for located in good(&previous, scan, &mut catalogue) {
        namesakes.entry(located.manifest.key()).or_default().push(located);
    }
    for (key, candidates) in namesakes {
        choose(&mut catalogue, previous.in_force.get(&key), key, candidates);
    }
    catalogue.problems.sort();
    catalogue.is_changed =
        previous.is_changed || catalogue.in_force != previous.in_force || catalogue.shadowed != previous.shadowed;
    catalogue
}

/// An emptied directory is taken for a missing mount.
fn emptied(previous: Catalogue) -> Catalogue {
    let reason = "the desired-state directory is empty, which looks like a missing mount";
    let retained = previous.last_good().map(|located| (located.file.clone(), reason.to_owned())).collect();
    Catalogue { has_files: false, problems: Vec::new(), retained, ..previous }
}

/// The newest good manifests of every file that is there. What is wrong with the others goes to the catalogue.
fn good(previous: &Catalogue, scan: &Scan, catalogue: &mut Catalogue) -> Vec<Located> {
    let mut last_good: BTreeMap<&Path, Vec<&Located>> = BTreeMap::new();
    for located in previous.last_good() {
        last_good.entry(&located.file).or_default().push(located);
    }
    let mut good = Vec::new();
    for (path, reading) in &scan.files {
        let problems = match &**reading {
            FileReading::Parsed(manifests) => {
                good.extend(manifests.iter().cloned());
                continue;
            }
            FileReading::Refused(problems) => problems.clone(),
            FileReading::Unreadable(reason) => vec![unreadable(path, reason)],
        };
        // What cannot be read may be a directory, and the files below it follow it in the order of paths.
        for (file, manifests) in last_good.range(path.as_path()..).take_while(|(file, _)| file.starts_with(path)) {
            catalogue.retained.insert((*file).to_owned(), retained(&problems));
            good.extend(manifests.iter().copied().cloned());
        }
        catalogue.problems.extend(problems);
    }
    good.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    good
}

fn unreadable(path: &Path, reason: &str) -> Problem {
    let message = format!("cannot be read: {reason}");
    problem(path, Place::START.line, Code::Unreadable, message, None)
}

fn retained(problems: &[Problem]) -> String {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    let more = match problems.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    format!("the last good version stays in force: {first}{more}")
}

/// Puts one of the manifests of this name in force: the one that was, or else the first by path.
fn choose(catalogue: &mut Catalogue, before: Option<&Located>, key: Key, mut candidates: Vec<Located>) {
    let first = before.and_then(|before| candidates.iter().position(|candidate| candidate.file == before.file)).unwrap_or(0);
    let mut chosen = candidates.remove(first);
    number(&mut chosen, before);
    for other in candidates {
        let (file, line) = (chosen.file.display(), chosen.line);
        let message = format!("{key} is already declared at {file}:{line}, which stays in force");
        let help = "rename one of the two, or remove it";
        catalogue.problems.push(problem(&other.file, other.line, Code::DuplicateName, message, Some(help)));
        let message = format!("{key} is declared again at {}:{}, which has no effect", other.file.display(), other.line);
        catalogue.problems.push(problem(&chosen.file, chosen.line, Code::DuplicateName, message, Some(help)));
        catalogue.shadowed.push(other);
    }
    catalogue.in_force.insert(key, chosen);
}

/// The generation counts the changes of `spec`, whatever file they came from.
fn number(located: &mut Located, before: Option<&Located>) {
    let last = before.and_then(|before| before.manifest.meta().generation).unwrap_or(0);
    let is_same = before.is_some_and(|before| before.manifest.has_spec_of(&located.manifest));
    located.manifest.meta_mut().generation = Some(if is_same { last.max(1) } else { last + 1 });
}

fn problem(file: &Path, line: usize, code: Code, message: String, help: Option<&str>) -> Problem {
    let help = help.map(str::to_owned);
    Problem { file: file.to_owned(), line, column: Place::START.column, path: String::new(), code, message, help }
}
