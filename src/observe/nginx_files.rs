//! nginx's configuration files, as they lie on this host or in a container.
//!
//! Only looks. A container is looked into through the engine, so that the files
//! of one that does not run can be read as well: that is when it matters most.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    nginx::{config::Config, include},
    paths::copy_before,
    plan::proxy::{repair::Around, seen},
    sites::site,
};

/// A file of this size is no configuration.
pub const MAX_SIZE: u64 = 1024 * 1024;

/// Nobody has more; a pattern that says `/**` by mistake does.
const MAX_FILES: usize = 5000;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NginxFiles {
    /// The texts, by the paths that nginx knows them by.
    pub texts: BTreeMap<PathBuf, String>,
    /// nginx's main file, if it is among them.
    pub main: Option<PathBuf>,
    /// What could not be read, and why. Its content is missing from the picture.
    pub unread: BTreeMap<PathBuf, String>,
}

/// Where files are.
pub trait Tree {
    /// The text of a file; none if there is no such file.
    fn read(&self, path: &Path) -> Option<Result<String, String>>;

    /// The names in a directory; none if there is no such directory.
    fn list(&self, directory: &Path) -> Vec<String>;
}

/// The files of this host.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Tree for Disk {
    fn read(&self, path: &Path) -> Option<Result<String, String>> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Err(error.to_string())),
            // A pipe or a device would be waited for.
            Ok(metadata) if !metadata.is_file() => return None,
            Ok(metadata) if metadata.len() > MAX_SIZE => return Some(Err("it is larger than any configuration".to_owned())),
            Ok(_) => {}
        }
        Some(fs::read(path).map_err(|error| error.to_string()).and_then(text))
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

/// A directory of this host as somebody else sees it: mounted elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Mounted<'a> {
    /// The directory on this host.
    pub source: &'a Path,
    /// Where the other one has it.
    pub destination: &'a Path,
}

impl Mounted<'_> {
    fn on_host(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(self.destination).ok().map(|rest| self.source.join(rest))
    }
}

impl Tree for Mounted<'_> {
    fn read(&self, path: &Path) -> Option<Result<String, String>> {
        self.on_host(path).and_then(|path| Disk.read(&path))
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        match self.on_host(directory) {
            Some(on_host) => Disk.list(&on_host),
            // On the way to it there is nothing else.
            None => self
                .destination
                .strip_prefix(directory)
                .ok()
                .and_then(|rest| rest.iter().next())
                .map_or_else(Vec::new, |name| vec![name.to_string_lossy().into_owned()]),
        }
    }
}

/// Bytes as the text that they have to be.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

impl NginxFiles {
    /// Reads nginx's main file, and what it includes.
    #[must_use]
    pub fn follow(tree: &impl Tree, main: &Path) -> Self {
        let mut files = Self::default();
        let directory = main.parent().unwrap_or(Path::new("/"));
        let mut open = vec![main.to_owned()];
        while let Some(path) = open.pop() {
            if files.texts.contains_key(&path) || files.texts.len() >= MAX_FILES || !files.take(tree, &path) {
                continue;
            }
            // One that has not the form of a configuration is told of by whoever looks through the texts.
            if let Ok(config) = Config::parse(&files.texts[&path]) {
                let patterns = include::patterns(&config).into_iter();
                open.extend(patterns.flat_map(|(_, pattern)| expand(tree, &include::absolute(directory, &pattern))));
            }
        }
        files.main = Some(main.to_owned()).filter(|main| files.texts.contains_key(main));
        files
    }

    /// Reads these files, and the configuration files directly in these directories or below, without following anything.
    #[must_use]
    pub fn collect(tree: &impl Tree, paths: &[PathBuf]) -> Self {
        let mut files = Self::default();
        let mut open: Vec<(PathBuf, bool)> = paths.iter().map(|path| (path.clone(), true)).collect();
        while let Some((path, named)) = open.pop() {
            let names = tree.list(&path);
            let is_site = path.extension().is_some_and(|extension| extension == "conf");
            let taken = (named || is_site) && names.is_empty() && files.take(tree, &path);
            if named && names.is_empty() && !taken {
                files.unread.entry(path.clone()).or_insert_with(|| "there is no such file".to_owned());
            }
            if files.texts.len() < MAX_FILES {
                let visible = names.iter().filter(|name| !name.starts_with('.'));
                open.extend(visible.map(|name| (path.join(name), false)));
            }
        }
        files
    }

    /// The directories outside of this one that files are included from.
    #[must_use]
    pub fn elsewhere(&self, directory: &Path) -> Vec<PathBuf> {
        let configs = self.texts.values().filter_map(|text| Config::parse(text).ok());
        let patterns = configs.flat_map(|config| include::patterns(&config));
        let fixed = patterns.map(|(_, pattern)| {
            let path = include::absolute(directory, &pattern);
            let parents = path.ancestors().skip(1).map(Path::to_owned);
            parents.into_iter().find(|parent| !parent.to_string_lossy().contains(['*', '?', '['])).unwrap_or_default()
        });
        // The whole of a container is not a directory of configurations.
        let mut other: Vec<PathBuf> =
            fixed.filter(|parent| !parent.starts_with(directory) && parent.parent().is_some()).collect();
        other.sort();
        other.dedup();
        other
    }

    /// Whether the file could be read.
    fn take(&mut self, tree: &impl Tree, path: &Path) -> bool {
        match tree.read(path) {
            Some(Ok(text)) => {
                self.texts.insert(path.to_owned(), text);
                return true;
            }
            Some(Err(reason)) => drop(self.unread.insert(path.to_owned(), reason)),
            None => {}
        }
        false
    }
}

/// The files that a pattern stands for.
fn expand(tree: &impl Tree, pattern: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::from([PathBuf::from("/")]);
    for component in pattern.components().skip(1) {
        let name = component.as_os_str().to_string_lossy();
        found = if name.contains(['*', '?', '[']) {
            let inside = |directory: &PathBuf| {
                let names = tree.list(directory).into_iter().filter(|entry| include::name_matches(&name, entry));
                names.map(|entry| directory.join(entry)).collect::<Vec<_>>()
            };
            found.iter().flat_map(inside).take(MAX_FILES).collect()
        } else {
            found.iter().map(|directory| directory.join(&*name)).collect()
        };
    }
    found
}

/// Finds the files that are wanted, by their paths on this host, in what nginx has.
#[must_use]
pub fn around(read: NginxFiles, wanted: &[PathBuf], mounts: &[(PathBuf, String)]) -> Around {
    let NginxFiles { texts, main, unread: _ } = read;
    let mut around = Around { texts, main, ..Around::default() };
    for path in wanted.iter().flat_map(|pattern| expand(&Disk, pattern)) {
        match place(&mut around, &path, mounts) {
            Ok(None) => {}
            Ok(Some((seen_as, on_host))) => drop(around.named.insert(seen_as, on_host)),
            Err(reason) => drop(around.unread.insert(path, reason)),
        }
    }
    around
}

/// What these files, by the paths that nginx knows them by, were before a repair that was broken off.
#[must_use]
pub fn before(named: &BTreeMap<PathBuf, PathBuf>) -> BTreeMap<PathBuf, String> {
    let before = |on_host: &PathBuf| Disk.read(&copy_before(on_host))?.ok();
    named.iter().filter_map(|(seen_as, on_host)| Some((seen_as.clone(), before(on_host)?))).collect()
}

/// Where nginx has a file, and where it can be changed; none for what is not a site of another tool.
fn place(around: &mut Around, path: &Path, mounts: &[(PathBuf, String)]) -> Result<Option<(PathBuf, PathBuf)>, String> {
    let text = match Disk.read(path) {
        // A pattern may stand for a directory; that a file is not there yet is not a fault of it.
        None => return Ok(None),
        Some(text) => text?,
    };
    if site::read(&text).is_some() {
        return Ok(None);
    }
    let real = path.canonicalize().map_err(|error| error.to_string())?;
    if mounts.iter().any(|(outside, _)| outside == path || *outside == real) {
        return Err("it is mounted by itself, not with its directory, and nginx would go on seeing the old one".to_owned());
    }
    let seen_as = seen(mounts, path).or_else(|| seen(mounts, &real)).ok_or("nginx does not see it")?;
    let seen_as = PathBuf::from(seen_as);
    if around.main.is_none() {
        // By itself, for there is nothing around it.
        around.texts.insert(seen_as.clone(), text);
    } else if !around.texts.contains_key(&seen_as) {
        return Err("nginx does not include it".to_owned());
    }
    Ok(Some((seen_as, real)))
}
