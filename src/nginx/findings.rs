//! What is wrong in a configuration that nginx itself takes for right.
//!
//! A finding names file and line, says in one sentence what it means, and has
//! the lines to change. nginx is silent about all of them, or only warns.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    config::{Config, Directive},
    repair::{self, Files},
    rewrite::{self, Edit, Rewriter},
    site::{Node, Place, Site},
    target::{Endpoint, Target},
};

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Code {
    /// The file does not have the form of an nginx configuration.
    Unreadable,
    /// A backend's name is looked up when nginx starts, and never again.
    FixedBackend,
    /// The same, in an upstream group.
    FixedGroup,
    /// A backend that would be followed is fixed elsewhere, and the fixed one is found first.
    FollowedInVain,
    /// A resolver believes its answers for as long as the DNS server likes, with Docker ten minutes.
    LongMemory,
    /// A backend is to be looked up, and there is nobody to ask.
    NoResolver,
    /// Two servers of one name and port: nginx ignores the second.
    DuplicateServer,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A word, the same in tables and in JSON.
        fmt::Debug::fmt(self, f)
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from one.
    pub line: usize,
    /// What kind of thing it is.
    pub code: Code,
    /// What it means, in a sentence.
    pub message: String,
    /// The lines to change; none where it depends on what is meant.
    pub changes: Vec<Change>,
    /// Whether the file may be changed, and the change can be shown to keep everything else.
    pub repairable: bool,
}

/// A line to change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Its number; what is new comes before it.
    pub line: usize,
    /// What is there, unless it is an insertion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What should be.
    pub new: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, old, new } = self;
        match old {
            Some(old) => write!(f, "{line}: - {old}\n{line}: + {new}"),
            None => write!(f, "{line}: + {new}"),
        }
    }
}

/// What was found, with what mending it takes.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) found: Vec<Found>,
    /// The endpoints that are fixed, and where.
    pub(super) fixed: BTreeMap<Endpoint, (PathBuf, usize)>,
}

/// A finding and its edits.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) finding: Finding,
    pub(super) edits: Vec<Edit>,
    endpoint: Option<Endpoint>,
}

impl Examined {
    /// The findings, by file and line.
    pub(super) fn findings(self) -> Vec<Finding> {
        let findings: BTreeSet<Finding> = self.found.into_iter().map(|found| found.finding).collect();
        findings.into_iter().collect()
    }

    /// The endpoints that a file's repair makes followed.
    pub(super) fn followed(&self, path: &Path) -> impl Iterator<Item = &Endpoint> {
        let repaired = self.found.iter().filter(move |found| found.finding.repairable && found.finding.path == path);
        repaired.filter_map(|found| found.endpoint.as_ref())
    }
}

/// Looks through the files.
#[must_use]
pub fn find(files: Files<'_>) -> Vec<Finding> {
    examine(files).findings()
}

/// Nobody has so many. Each is compared with the others of its block, so that ten times as many would take a hundred times as long.
const MOST: usize = 1000;

/// Directives that name a backend. They share one list of names inside nginx.
const PASSES: [&str; 6] = ["proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"];

pub(super) fn examine(files: Files<'_>) -> Examined {
    let mut found = Vec::new();
    let mut configs = BTreeMap::new();
    for (path, text) in files.texts {
        match Config::parse(text) {
            Ok(config) => {
                configs.insert(path.clone(), config);
            }
            Err(error) => {
                found.push(Found::new(path, error.line, Code::Unreadable, format!("nginx cannot read it: {}", error.message)));
            }
        }
    }
    let site = Site::assemble(&configs, files.main);
    let look = Look { files, configs: &configs, site: &site, groups: site.groups() };
    let passes = look.passes();
    let resolvers = site.find(&["resolver"]);
    if let Some(place) = passes.iter().chain(&resolvers).nth(MOST) {
        let message =
            format!("there are more than {MOST} backends and resolvers from here on, so that none of them is looked at");
        found.push(Found::at(place.node, Code::Unreadable, message));
        return Examined { found, fixed: BTreeMap::new() };
    }
    let fixed = passes.iter().filter_map(|place| {
        // Also names that stay where they are: nginx does not tell them apart.
        let target = place.target().filter(|target| target.is_name() && !look.groups.contains_key(&target.host))?;
        Some((target.endpoint(), (place.node.path.to_owned(), place.node.directive.line)))
    });
    // The first is named; the others have findings of their own.
    let fixed: BTreeMap<_, _> = fixed.rev().collect();
    found.extend(look.backends(&passes));
    found.extend(look.fixed_groups());
    found.extend(look.resolvers());
    for place in &passes {
        found.extend(look.in_vain(place, &fixed));
        found.extend(look.without_resolver(place));
    }
    found.extend(look.duplicates());
    Examined { found, fixed }
}

impl Found {
    fn new(path: &Path, line: usize, code: Code, message: String) -> Self {
        let finding = Finding { path: path.to_owned(), line, code, message, changes: Vec::new(), repairable: false };
        Self { finding, edits: Vec::new(), endpoint: None }
    }

    fn at(node: &Node<'_>, code: Code, message: String) -> Self {
        Self::new(node.path, node.directive.line, code, message)
    }
}

struct Look<'c, 's, 'a> {
    files: Files<'c>,
    configs: &'c BTreeMap<PathBuf, Config>,
    site: &'s Site<'a>,
    groups: BTreeMap<String, &'s Node<'a>>,
}

impl<'s, 'a> Look<'_, 's, 'a> {
    /// Every place that names a backend, once, however often its file is included.
    fn passes(&self) -> Vec<Place<'s, 'a>> {
        let mut seen = BTreeSet::new();
        let places = self.site.find(&PASSES).into_iter();
        places.filter(|place| seen.insert((place.node.path, place.node.directive.range.start))).collect()
    }

    /// The backend of a place, if nginx looks it up at its start only.
    fn fixed(&self, place: &Place<'_, '_>) -> Option<Target> {
        place.target().filter(|target| target.can_move() && !self.groups.contains_key(&target.host))
    }

    /// Adds edits to a finding, and says whether they may be made.
    fn mended(&self, mut found: Found, edits: Vec<Edit>) -> Found {
        let text = &self.files.texts[&found.finding.path];
        found.finding.changes = changes(text, &edits);
        found.finding.repairable = self.files.may_change(&found.finding.path, text);
        found.edits = edits;
        found
    }

    fn backends(&self, passes: &[Place<'s, 'a>]) -> Vec<Found> {
        let mut found = Vec::new();
        for (path, config) in self.configs {
            let mut rewriter = Rewriter::new(self.site, (path, config), self.files.resolver);
            for place in passes.iter().filter(|place| place.node.path == path) {
                let Some(target) = self.fixed(place) else { continue };
                let name = target.authority();
                let meaning = format!(
                    "{name} is looked up once, when nginx starts: it does not start without it, and does not find it again at another address"
                );
                let at =
                    |message| Found { endpoint: Some(target.endpoint()), ..Found::at(place.node, Code::FixedBackend, message) };
                found.push(match rewriter.rewrite(place, &target) {
                    Ok(edits) => self.mended(at(meaning), edits),
                    Err(reason) => at(format!("{meaning}; it has to be changed by hand, because {reason}")),
                });
            }
        }
        found
    }

    fn fixed_groups(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for (name, group) in &self.groups {
            let is_fixed = |server: &&Node<'_>| {
                let directive = server.directive;
                let resolved = directive.arguments.iter().any(|word| word.value == "resolve");
                let target = directive.argument(0).and_then(Target::parse);
                server.is("server") && !resolved && target.is_some_and(|target| target.can_move())
            };
            let fixed: Vec<&Node<'_>> = group.children.iter().filter(is_fixed).collect();
            let Some(first) = fixed.first() else { continue };
            let names: BTreeSet<&str> = fixed.iter().filter_map(|server| server.directive.argument(0)).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            let message = format!(
                "group {name} looks up {names} once, when nginx starts; from nginx 1.27.3 on it can be told to do so again, with a resolver in http"
            );
            let mut found_group = Found::at(first, Code::FixedGroup, message);
            // One file at a time: the lines are those of the file that is named.
            let here = fixed.iter().filter(|server| server.path == first.path);
            let mut edits: Vec<Edit> = here.filter_map(|server| resolve(server.directive)).collect();
            if !group.children.iter().any(|child| child.is("zone")) {
                let at = first.directive.range.start;
                edits.insert(0, Edit { range: at..at, text: format!("zone {name} 64k; ") });
            }
            found_group.finding.changes = changes(&self.files.texts[first.path], &edits);
            found.push(found_group);
        }
        found
    }

    fn resolvers(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let message = "this resolver believes an answer for as long as the DNS server says, with Docker's 600 seconds: a moved container is not found until then";
        for place in self.site.find(&["resolver"]) {
            if !rewrite::forgets(place.node.directive) {
                let edits = vec![rewrite::forget(place.node.directive, self.files.resolver)];
                found.push(self.mended(Found::at(place.node, Code::LongMemory, message.to_owned()), edits));
            }
        }
        found
    }

    /// Whom a place looks up while nginx runs; none if it does not.
    fn followed(&self, place: &Place<'s, 'a>) -> Option<Followed> {
        let argument = place.node.directive.argument(0).filter(|argument| argument.contains('$'))?;
        // The path may come from the request; only whom it names has to be known.
        let origin = argument.find("://").map_or(0, |at| at + 3);
        let end = argument[origin..].find(['/', '?']).map_or(argument.len(), |at| origin + at);
        let known = self.site.values(place, &argument[..end]);
        let known = known.map(|values| values.iter().filter_map(|value| Target::parse(value)).collect());
        let known = known.or_else(|| literal(&argument[..end]).map(|target| vec![target]));
        Some(known.map_or(Followed::Unknown, Followed::Known))
    }

    fn in_vain(&self, place: &Place<'s, 'a>, fixed: &BTreeMap<Endpoint, (PathBuf, usize)>) -> Vec<Found> {
        let Some(Followed::Known(targets)) = self.followed(place) else { return Vec::new() };
        let endpoints: BTreeSet<Endpoint> = targets.iter().map(Target::endpoint).collect();
        let in_vain = endpoints.into_iter().filter_map(|endpoint| {
            let (path, line) = fixed.get(&endpoint)?;
            let (host, port) = &endpoint;
            let message = format!(
                "{host}:{port} is not looked up here although it should be: {}:{line} fixes the same name and port, and nginx finds that first; change that one",
                path.display()
            );
            Some(Found::at(place.node, Code::FollowedInVain, message))
        });
        in_vain.collect()
    }

    fn without_resolver(&self, place: &Place<'s, 'a>) -> Option<Found> {
        // A resolver may stand around what we see, if we do not see the whole.
        let whole = self.site.top.iter().any(|node| node.is("http"));
        let followed = self.followed(place).filter(|_| whole && self.site.in_scope(place, "resolver").is_empty())?;
        let needs_one = |target: &Target| target.can_move() && !self.groups.contains_key(&target.host);
        let needed = match followed {
            Followed::Known(targets) => targets.iter().any(needs_one),
            // Whoever lets the request say where it goes means a name.
            Followed::Unknown => true,
        };
        if !needed {
            return None;
        }
        let message = "the backend is to be looked up for each request, and no resolver is in scope: nginx answers 502";
        let config = &self.configs[place.node.path];
        let edits = Rewriter::new(self.site, (place.node.path, config), self.files.resolver).resolver(place);
        Some(self.mended(Found::at(place.node, Code::NoResolver, message.to_owned()), edits))
    }

    fn duplicates(&self) -> Vec<Found> {
        let mut first: BTreeMap<(String, String), &Node<'_>> = BTreeMap::new();
        let mut found = Vec::new();
        for server in self.site.find(&["server"]).iter().map(|place| place.node).filter(|node| node.directive.block.is_some()) {
            for listen in listens(server) {
                for name in names(server) {
                    let earlier = *first.entry((listen.clone(), name.clone())).or_insert(server);
                    if std::ptr::eq(earlier, server) {
                        continue;
                    }
                    let (path, line) = (earlier.path.display(), earlier.directive.line);
                    let name = if name.is_empty() { "without a name".to_owned() } else { name };
                    let message = format!(
                        "a server {name} listens on {listen} in {path}:{line} already; nginx ignores this one there, with a warning"
                    );
                    found.push(Found::at(server, Code::DuplicateServer, message));
                }
            }
        }
        found
    }
}

/// Whom a place looks up while nginx runs.
enum Followed {
    /// One of these.
    Known(Vec<Target>),
    /// Whom the request, or something else that is not in the files, says.
    Unknown,
}

/// `http://name:8080$request_uri`: the path begins with the variable.
fn literal(argument: &str) -> Option<Target> {
    let (name, _) = argument.split_once('$')?;
    Target::parse(name).filter(|target| target.port.is_some())
}

/// Tells a group's server to look its name up again.
fn resolve(server: &Directive) -> Option<Edit> {
    let end = server.arguments.last()?.range.end;
    Some(Edit { range: end..end, text: " resolve".to_owned() })
}

/// The addresses that a server listens on, in one form.
fn listens(server: &Node<'_>) -> BTreeSet<String> {
    let listens = server.children.iter().filter(|child| child.is("listen"));
    let mut addresses: BTreeSet<String> = listens.filter_map(|listen| listen.directive.argument(0)).map(address).collect();
    if addresses.is_empty() {
        addresses.insert(address("80"));
    }
    addresses
}

fn address(listen: &str) -> String {
    let every = |port: &str| format!("*:{port}");
    if listen.starts_with("unix:") {
        return listen.to_owned();
    }
    match listen.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') && (host == "*" || host == "0.0.0.0") => every(port),
        Some((_, port)) if !port.contains(']') => listen.to_ascii_lowercase(),
        _ if listen.bytes().all(|byte| byte.is_ascii_digit()) => every(listen),
        _ if listen == "*" || listen == "0.0.0.0" => every("80"),
        _ => format!("{}:80", listen.to_ascii_lowercase()),
    }
}

/// The names of a server; one without a name has the empty one.
fn names(server: &Node<'_>) -> BTreeSet<String> {
    let named = server.children.iter().filter(|child| child.is("server_name"));
    let all: BTreeSet<String> =
        named.flat_map(|named| &named.directive.arguments).map(|word| word.value.to_ascii_lowercase()).collect();
    if all.is_empty() { BTreeSet::from([String::new()]) } else { all }
}

/// The edits as lines.
pub(super) fn changes(text: &str, edits: &[Edit]) -> Vec<Change> {
    let begin = |offset: usize| text[..offset].rfind('\n').map_or(0, |end| end + 1);
    let number = |offset: usize| text[..offset].matches('\n').count() + 1;
    let mut changes = Vec::new();
    // What happens within a line, by where the line begins.
    let mut within: BTreeMap<usize, Vec<Edit>> = BTreeMap::new();
    for edit in edits {
        let line = begin(edit.range.start);
        if edit.range == (line..line) && edit.text.ends_with('\n') {
            changes.push(Change { line: number(line), old: None, new: edit.text.trim().to_owned() });
        } else {
            within.entry(line).or_default().push(edit.clone());
        }
    }
    for (line, edits) in within {
        let last = edits.iter().map(|edit| edit.range.end).max().unwrap_or(line);
        let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
        let moved = edits.into_iter().map(|Edit { range, text }| Edit { range: range.start - line..range.end - line, text });
        let old = &text[line..end];
        let new = repair::apply(old, &moved.collect::<Vec<_>>());
        changes.push(Change { line: number(line), old: Some(old.trim().to_owned()), new: new.trim().to_owned() });
    }
    changes.sort_by_key(|change| (change.line, change.old.is_some()));
    changes
}
