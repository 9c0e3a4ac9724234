//! Several files → the one configuration that nginx makes of them.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    config::{Config, Directive},
    include,
    target::Target,
};

/// A directive where nginx sees it: in the block that includes its file.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// The file that it is written in.
    pub(super) path: &'a Path,
    /// The directive.
    pub(super) directive: &'a Directive,
    /// What is in its block, includes resolved.
    pub(super) children: Vec<Node<'a>>,
}

impl Node<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.directive.is(name)
    }
}

/// The whole configuration.
#[derive(Debug)]
pub(super) struct Site<'a> {
    /// What is at the top: of the main file, or of every file that no other includes.
    pub(super) top: Vec<Node<'a>>,
}

/// A directive with the blocks around it, the outermost first.
#[derive(Clone, Debug)]
pub(super) struct Place<'s, 'a> {
    pub(super) node: &'s Node<'a>,
    pub(super) around: Vec<&'s Node<'a>>,
}

/// nginx gives up here as well, for want of descriptors; without a limit, two files that include each other never end.
const MAX_DEPTH: usize = 32;

/// More words than any host has in its files. The depth alone bounds nothing: of a file that includes itself twice there would be 2³² in it.
const MAX_INCLUDED: usize = 500_000;

/// The blocks in which requests are answered.
const HTTP: [&str; 5] = ["http", "server", "location", "if", "limit_except"];

impl<'a> Site<'a> {
    /// Puts the files together. Without a main file, each file that no other includes stands at the top.
    pub(super) fn assemble(files: &'a BTreeMap<PathBuf, Config>, main: Option<&Path>) -> Self {
        let roots: Vec<&Path> = match main.filter(|main| files.contains_key(*main)) {
            Some(main) => vec![main],
            None => roots(files),
        };
        let mut top = Vec::new();
        for root in roots {
            let directory = main.unwrap_or(root).parent().unwrap_or(Path::new("/"));
            if let Some((path, config)) = files.get_key_value(root) {
                top.extend(nodes(path, &config.directives, &Includes { files, directory, left: Cell::new(MAX_INCLUDED) }, 0));
            }
        }
        Self { top }
    }

    /// All directives that are in the blocks in which requests are answered, and of these names.
    pub(super) fn find(&self, names: &[&str]) -> Vec<Place<'_, 'a>> {
        let mut found = Vec::new();
        collect(&self.top, &mut Vec::new(), &mut |node, around| {
            if names.contains(&node.directive.name.value.as_str()) {
                found.push(Place { node, around: around.to_vec() });
            }
        });
        found
    }

    /// The upstream groups by name.
    pub(super) fn groups(&self) -> BTreeMap<String, &Node<'a>> {
        let places = self.find(&["upstream"]).into_iter();
        places.filter_map(|place| Some((place.node.directive.argument(0)?.to_ascii_lowercase(), place.node))).collect()
    }

    /// The directives of this name that hold at a place: those of the innermost block that has any.
    pub(super) fn in_scope<'s>(&'s self, place: &Place<'s, 'a>, name: &str) -> Vec<&'s Node<'a>> {
        let outward = place.around.iter().rev().map(|block| &block.children).chain([&self.top]);
        let mut found = outward.map(|children| children.iter().filter(|node| node.is(name)).collect::<Vec<_>>());
        found.find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// What an argument with variables can come to, as far as `set` and `map` say; none if somebody else decides.
    pub(super) fn values(&self, place: &Place<'_, 'a>, argument: &str) -> Option<BTreeSet<String>> {
        let mut done = BTreeSet::new();
        let mut open = vec![argument.to_owned()];
        // Each turn replaces one variable; more than this is a web of maps that nobody can follow by eye either.
        for _ in 0..256 {
            let Some(value) = open.pop() else { return Some(done) };
            let Some((range, name)) = variable(&value) else {
                done.insert(value);
                continue;
            };
            let given = self.given(place, &name);
            if given.is_empty() {
                return None;
            }
            open.extend(given.iter().map(|given| format!("{}{given}{}", &value[..range.start], &value[range.end..])));
        }
        None
    }

    /// What a variable is set to in the server of this place, or by a map.
    fn given(&self, place: &Place<'_, 'a>, name: &str) -> Vec<&'a str> {
        let server = place.server();
        let is_it = |argument: Option<&str>| argument.and_then(|word| word.strip_prefix('$')) == Some(name);
        let mut given = Vec::new();
        for set in self.find(&["set"]) {
            if is_it(set.node.directive.argument(0)) && same(set.server(), server) {
                given.extend(set.node.directive.argument(1));
            }
        }
        for map in self.find(&["map"]) {
            if is_it(map.node.directive.argument(1)) {
                let entries = map.node.children.iter().map(|entry| entry.directive);
                given.extend(entries.filter_map(|entry| entry.argument(0)));
            }
        }
        given
    }
}

impl<'s, 'a> Place<'s, 'a> {
    /// The server around it.
    pub(super) fn server(&self) -> Option<&'s Node<'a>> {
        self.around.iter().rev().find(|block| block.is("server")).copied()
    }

    /// The block that it stands in.
    pub(super) fn parent(&self) -> Option<&'s Node<'a>> {
        self.around.last().copied()
    }

    /// The argument that says where to, and whom it names if it has no variables.
    pub(super) fn target(&self) -> Option<Target> {
        let argument = self.node.directive.argument(0)?;
        if argument.contains('$') { None } else { Target::parse(argument) }
    }
}

fn same(one: Option<&Node<'_>>, other: Option<&Node<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => std::ptr::eq(one.directive, other.directive),
        (None, None) => true,
        _ => false,
    }
}

/// The first variable of a value: where it is, and its name.
fn variable(value: &str) -> Option<(std::ops::Range<usize>, String)> {
    let start = value.find('$')?;
    let rest = &value[start + 1..];
    if let Some(braced) = rest.strip_prefix('{') {
        let length = braced.find('}')?;
        return Some((start..start + length + 3, braced[..length].to_owned()));
    }
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some((start..start + 1 + length, rest[..length].to_owned()))
}

/// The files and where relative patterns begin.
struct Includes<'a, 'd> {
    files: &'a BTreeMap<PathBuf, Config>,
    directory: &'d Path,
    /// How many more words of files may be included.
    left: Cell<usize>,
}

fn nodes<'a>(path: &'a Path, directives: &'a [Directive], files: &Includes<'a, '_>, depth: usize) -> Vec<Node<'a>> {
    let mut found = Vec::new();
    for directive in directives {
        match directive.argument(0) {
            Some(pattern) if directive.is("include") && depth < MAX_DEPTH && files.left.get() > 0 => {
                let pattern = include::absolute(files.directory, pattern);
                for (path, config) in
                    files.files.iter().filter(|(path, _)| files.left.get() > 0 && include::matches(&pattern, path))
                {
                    files.left.set(files.left.get().saturating_sub(config.tokens().len().max(1)));
                    found.extend(nodes(path, &config.directives, files, depth + 1));
                }
            }
            _ => {
                let children = nodes(path, directive.children(), files, depth);
                found.push(Node { path, directive, children });
            }
        }
    }
    found
}

/// The files that no other one includes.
fn roots(files: &BTreeMap<PathBuf, Config>) -> Vec<&Path> {
    let mut included = BTreeSet::new();
    for (path, config) in files {
        let directory = path.parent().unwrap_or(Path::new("/"));
        for (_, pattern) in include::patterns(config) {
            let pattern = include::absolute(directory, &pattern);
            included.extend(files.keys().filter(|other| *other != path && include::matches(&pattern, other)));
        }
    }
    let roots: Vec<&Path> = files.keys().filter(|path| !included.contains(path)).map(PathBuf::as_path).collect();
    // Files that include each other in a ring have no beginning; every one is as good.
    if roots.is_empty() { files.keys().map(PathBuf::as_path).collect() } else { roots }
}

fn collect<'s, 'a>(nodes: &'s [Node<'a>], around: &mut Vec<&'s Node<'a>>, found: &mut impl FnMut(&'s Node<'a>, &[&'s Node<'a>])) {
    for node in nodes {
        found(node, around);
        if HTTP.contains(&node.directive.name.value.as_str()) {
            around.push(node);
            collect(&node.children, around, found);
            around.pop();
        }
    }
}
