//! Plugins' directories → what they say, or what is wrong with them.
//!
//! A plugin brings a `plugin.json`, and maybe a Compose file and files for
//! nginx. All are other people's: they are read as they are, and never written.
//! A file that is broken or cannot be read keeps what it last said in force,
//! over a restart as well: a plugin must not vanish because somebody is editing.

mod fragment;
mod manifest;
mod snippet;
mod stored;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::state_file::Error;
pub use fragment::{Fragment, FragmentService, Health};
pub use manifest::{Dependency, Flaw, PluginManifest, Route, Service, Variable, read as read_manifest};
pub use snippet::Snippet;

use super::{
    parse::{self, MAX_BYTES},
    problem::{Code, Problem},
};
use crate::manifest::Key;

/// The plugin's own manifest.
const MANIFEST: &str = "plugin.json";
/// The Compose file that nself takes up.
pub const FRAGMENT: &str = "docker-compose.plugin.yml";
/// Names under which a Compose file is found as well, though not by nself.
const OTHER_FRAGMENTS: [&str; 4] =
    ["docker-compose.plugin.yaml", "compose_fragment.yml", "compose_fragment.yaml", "compose.plugin.yml"];
/// The file that switches a plugin off.
const DISABLED: &str = ".disabled";
/// How long a file has to be away until that is believed.
const GRACE: Duration = Duration::from_secs(2);
/// Where files for nginx are.
const SNIPPETS: [&str; 2] = ["", "nginx"];

/// Where a plugin's manifest is, and what the names in its files stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Where it is.
    pub place: Place,
    /// The values of `${NAME}` in its Compose file.
    pub names: BTreeMap<String, String>,
}

/// Where a plugin's manifest is.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In this directory.
    Directory(PathBuf),
    /// In the `Plugin` itself.
    Inline(Value),
}

/// What a plugin says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its manifest.
    pub manifest: PluginManifest,
    /// Its Compose file.
    pub fragment: Option<Fragment>,
    /// Its files for nginx.
    pub snippets: Vec<Snippet>,
    /// Whether it is switched off.
    pub is_disabled: bool,
}

/// The files of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Texts {
    files: BTreeMap<String, String>,
    is_disabled: bool,
}

/// All plugins, and what is wrong with them.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    known: BTreeMap<Key, Known>,
    problems: Vec<Problem>,
    broken: BTreeMap<Key, String>,
    /// Since when which files are away.
    away: BTreeMap<(Key, String), Instant>,
    /// Whether what is kept on disk is older than this.
    is_changed: bool,
}

/// What a plugin last said that could be understood.
#[derive(Clone, Debug)]
struct Known {
    wanted: Option<Wanted>,
    texts: Arc<Texts>,
    reading: Arc<Reading>,
}

impl Plugins {
    /// Reads these plugins as they are now, and forgets all others.
    pub fn read(&mut self, wanted: BTreeMap<Key, Wanted>, now: Instant) {
        self.problems.clear();
        self.broken.clear();
        let before = std::mem::take(&mut self.known);
        self.away.retain(|(key, _), _| wanted.contains_key(key));
        self.is_changed |= before.keys().any(|key| !wanted.contains_key(key));
        for (key, wanted) in wanted {
            let known = before.get(&key);
            let bridge = |texts: &mut Texts| {
                if let Some(known) = known {
                    bridge(&mut self.away, &key, (texts, &known.texts), now);
                }
            };
            match look(&wanted, known, bridge) {
                Ok(now) => {
                    self.is_changed |= known.is_none_or(|known| known.texts != now.texts);
                    self.known.insert(key, now);
                }
                Err(problems) => {
                    let first = problems.first().map(ToString::to_string).unwrap_or_default();
                    self.broken.insert(key.clone(), first);
                    self.problems.extend(problems);
                    // The texts are the same, but the names in them may stand for something else by now.
                    if let Some(known) = known {
                        let again = understood(Arc::clone(&known.texts), &wanted, Path::new(""));
                        let last = again.ok().or_else(|| known.wanted.is_some().then(|| known.clone()));
                        self.known.extend(last.map(|last| (key, last)));
                    }
                }
            }
        }
        self.problems.sort();
    }

    /// What every plugin says that could ever be understood.
    #[must_use]
    pub fn readings(&self) -> BTreeMap<Key, Arc<Reading>> {
        self.known.iter().map(|(key, known)| (key.clone(), Arc::clone(&known.reading))).collect()
    }

    /// What this plugin says, if it could ever be understood.
    #[must_use]
    pub fn reading(&self, key: &Key) -> Option<&Arc<Reading>> {
        self.known.get(key).map(|known| &known.reading)
    }

    /// Everything that is wrong with any file now.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether a file has vanished so lately that it still counts.
    #[must_use]
    pub fn has_absent(&self) -> bool {
        !self.away.is_empty()
    }

    /// Whether there is a plugin that could never be understood: nobody knows what would be missed without it.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.broken.keys().any(|key| !self.is_known(key))
    }

    /// Whether it is known what this plugin says, or last said.
    #[must_use]
    pub fn is_known(&self, key: &Key) -> bool {
        self.known.contains_key(key)
    }

    /// The plugins that cannot be understood now, and why. What is known of them from before stays in force.
    #[must_use]
    pub fn broken(&self) -> &BTreeMap<Key, String> {
        &self.broken
    }
}

/// What a plugin says now.
fn look(wanted: &Wanted, known: Option<&Known>, bridge: impl FnOnce(&mut Texts)) -> Result<Known, Vec<Problem>> {
    let directory = match &wanted.place {
        Place::Directory(directory) => directory,
        Place::Inline(value) => {
            let text = value.to_string();
            let texts = Texts { files: [(MANIFEST.to_owned(), text)].into(), is_disabled: false };
            return understood(Arc::new(texts), wanted, Path::new(""));
        }
    };
    let mut texts = texts(directory)?;
    bridge(&mut texts);
    match known {
        Some(known) if *known.texts == texts && known.wanted.as_ref() == Some(wanted) => Ok(known.clone()),
        _ => understood(Arc::new(texts), wanted, directory),
    }
}

/// Puts back the files that have only just vanished: editors save by renaming away and writing anew, and without its
/// Compose file a plugin would be another one.
fn bridge(away: &mut BTreeMap<(Key, String), Instant>, key: &Key, (texts, before): (&mut Texts, &Texts), now: Instant) {
    away.retain(|(of, name), _| of != key || !texts.files.contains_key(name));
    for (name, text) in &before.files {
        let is_away = !texts.files.contains_key(name);
        if is_away && now < *away.entry((key.clone(), name.clone())).or_insert(now) + GRACE {
            texts.files.insert(name.clone(), text.clone());
        }
    }
    away.retain(|(of, name), _| of != key || texts.files.contains_key(name));
}

/// The texts of a plugin's files.
fn texts(directory: &Path) -> Result<Texts, Vec<Problem>> {
    let failed =
        |path: PathBuf, error: &io::Error| vec![problem(path, (1, 1), Code::Unreadable, format!("cannot be read: {error}"))];
    fs::read_dir(directory).map_err(|error| failed(directory.to_owned(), &error))?;
    let mut names: BTreeSet<String> = [MANIFEST, FRAGMENT].into_iter().chain(OTHER_FRAGMENTS).map(str::to_owned).collect();
    names.extend(SNIPPETS.iter().flat_map(|below| nginx_files(directory, below)));
    let mut files = BTreeMap::new();
    for name in names {
        let path = directory.join(&name);
        match read_text(&path) {
            Ok(text) => drop(files.insert(name, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && name != MANIFEST => {}
            Err(error) => return Err(failed(path, &error)),
        }
    }
    // A manifest may name its Compose file itself.
    let manifest = files.get(MANIFEST).and_then(|text| serde_json::from_str(text).ok());
    let fragment = manifest.and_then(|value: Value| read_manifest(&value).ok()?.fragment);
    if let Some(name) = fragment.filter(|name| is_plain(name) && !files.contains_key(name))
        && let Ok(text) = read_text(&directory.join(&name))
    {
        files.insert(name, text);
    }
    Ok(Texts { files, is_disabled: directory.join(DISABLED).exists() })
}

/// Whether a name leads to nothing outside the directory.
fn is_plain(name: &str) -> bool {
    !name.starts_with('/') && name.split('/').all(|part| !part.is_empty() && part != "..")
}

fn nginx_files(directory: &Path, below: &str) -> Vec<String> {
    let entries = fs::read_dir(directory.join(below)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names = names.filter(|name| is_for_nginx(name) && !name.starts_with('.'));
    names.map(|name| if below.is_empty() { name } else { format!("{below}/{name}") }).collect()
}

fn is_for_nginx(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "conf")
}

fn read_text(path: &Path) -> io::Result<String> {
    let (bytes, limit) = (super::directory::read_bytes(path)?, MAX_BYTES);
    if bytes.len() > limit {
        return Err(io::Error::other(format!("it is larger than {} MiB", limit >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// What a plugin's texts say, or everything that is wrong with them.
fn understood(texts: Arc<Texts>, wanted: &Wanted, directory: &Path) -> Result<Known, Vec<Problem>> {
    let names = |name: &str| wanted.names.get(name).cloned();
    let text = texts.files.get(MANIFEST).map(String::as_str).unwrap_or_default();
    let manifest = manifest(&directory.join(MANIFEST), text);
    let file = fragment_file(&texts, manifest.as_ref().ok());
    let fragment = file.map(|file| fragment(directory, file, &texts.files[file], &names)).transpose();
    match (manifest, fragment) {
        (Ok(manifest), Ok(fragment)) => {
            let snippets = texts.files.iter().filter(|(name, _)| is_for_nginx(name));
            let snippets = snippets.map(|(name, text)| snippet::read(name, text)).collect();
            let reading = Reading { manifest, fragment, snippets, is_disabled: texts.is_disabled };
            Ok(Known { wanted: Some(wanted.clone()), texts, reading: Arc::new(reading) })
        }
        (manifest, fragment) => {
            Err(manifest.err().into_iter().flatten().chain(fragment.err().into_iter().map(|problem| *problem)).collect())
        }
    }
}

/// The Compose file among the texts: the one that the manifest names, else the usual one, else another one.
fn fragment_file<'a>(texts: &'a Texts, manifest: Option<&PluginManifest>) -> Option<&'a str> {
    let named = manifest.and_then(|manifest| manifest.fragment.as_deref());
    let usual = [FRAGMENT].into_iter().chain(OTHER_FRAGMENTS);
    named.into_iter().chain(usual).find_map(|name| texts.files.get_key_value(name)).map(|(name, _)| name.as_str())
}

fn manifest(file: &Path, text: &str) -> Result<PluginManifest, Vec<Problem>> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        vec![problem(file.to_owned(), place(text, &error), Code::Syntax, format!("the JSON cannot be used: {what}"))]
    })?;
    read_manifest(&value).map_err(|flaws| {
        let places = parse::places(text);
        let problem = |Flaw { pointer, message }: Flaw| Problem {
            path: parse::draft::dotted(&pointer),
            ..problem(file.to_owned(), places(&pointer), Code::WrongValue, message)
        };
        flaws.into_iter().map(problem).collect()
    })
}

/// Line and column of an error, as people count them: the parser counts bytes, and one is often no letter.
fn place(text: &str, error: &serde_json::Error) -> (usize, usize) {
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let letters = line.char_indices().take_while(|(at, _)| *at < error.column()).count();
    (error.line(), letters)
}

fn fragment(directory: &Path, file: &str, text: &str, names: &dyn Fn(&str) -> Option<String>) -> Result<Fragment, Box<Problem>> {
    let path = directory.join(file);
    let value = parse::value(&path, text)?;
    let expected = "expected a Compose file with `services`, whose names are of letters, digits, `_`, `.` and `-`";
    fragment::read(file, &value, names).ok_or_else(|| Box::new(problem(path, (1, 1), Code::WrongValue, expected.to_owned())))
}

fn problem(file: PathBuf, (line, column): (usize, usize), code: Code, message: String) -> Problem {
    Problem { file, line: line.max(1), column: column.max(1), path: String::new(), code, message, help: None }
}
