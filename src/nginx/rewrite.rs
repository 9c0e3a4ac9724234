//! One fixed backend → the edits that make nginx follow it.
//!
//! `proxy_pass http://name:port;` becomes `proxy_pass $mooring_upstream_1;`,
//! with `set` and, if none is in scope, `resolver` at the top of the server.
//! What else the fixed form does is kept: the path that it puts in the place of
//! the location's, and the redirects of the backend that nginx corrects. Where
//! that cannot be shown to stay the same, there is a reason instead of edits.

use std::{ops::Range, path::Path};

use super::{
    config::{Config, Directive},
    repair::Resolver,
    site::{Node, Place, Site},
    target::Target,
};

/// The beginning of the names of our variables.
const VARIABLE: &str = "$mooring_upstream_";

/// A range of a file's text that is replaced; an empty one is an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// Rewrites the places of one file, in their order.
pub(super) struct Rewriter<'c, 's, 'a> {
    site: &'s Site<'a>,
    config: &'c Config,
    path: &'c Path,
    resolver: &'c Resolver,
    /// The variables that were made so far: by the block that sets them, what they stand for.
    made: Vec<(Home, String, String)>,
    taken: usize,
}

/// Where `set` and `resolver` go: the beginning of a block, or a place of its own.
type Home = usize;

impl<'c, 's, 'a> Rewriter<'c, 's, 'a> {
    pub(super) fn new(site: &'s Site<'a>, (path, config): (&'c Path, &'c Config), resolver: &'c Resolver) -> Self {
        Self { site, config, path, resolver, made: Vec::new(), taken: 0 }
    }

    /// The edits for this place, or why it has to be left to a person. Edits that several places share are in each.
    pub(super) fn rewrite(&mut self, place: &Place<'s, 'a>, target: &Target) -> Result<Vec<Edit>, String> {
        let directive = place.node.directive;
        if !matches!(target.scheme.as_deref(), Some("http" | "https")) {
            return Err("it is not HTTP; only proxy_pass is rewritten".to_owned());
        }
        let location = self.location(place);
        let path_rewrite = if target.uri.is_empty() { None } else { Some(path_rewrite(place, location, &target.uri)?) };
        let redirects = self.redirects(place, location, target)?;
        let mut edits = self.resolver(place);
        let variable = self.variable(place, target, &mut edits);
        edits.extend(redirects);
        edits.extend(path_rewrite.map(|rewrite| self.before(directive, &rewrite)));
        let argument = directive.arguments.first().expect("it has a target, so it has an argument");
        edits.push(Edit { range: argument.range.clone(), text: variable });
        Ok(edits)
    }

    /// The innermost location around a place, if it is in this file.
    fn location(&self, place: &Place<'s, 'a>) -> Option<&'s Node<'a>> {
        place.around.iter().rev().find(|block| block.is("location")).copied().filter(|block| block.path == self.path)
    }

    /// The block at whose top things are set: the server, so that nothing in a location can stop it. In a file
    /// that is included in a server, it is the location: others may include it in servers that we do not see.
    fn home(&self, place: &Place<'s, 'a>) -> Option<&'s Node<'a>> {
        place.server().filter(|server| server.path == self.path).or_else(|| self.location(place))
    }

    /// Before everything in the block, or before the directive itself where there is no block.
    fn at_home(&self, place: &Place<'s, 'a>, text: &str) -> Edit {
        let first = self.home(place).and_then(|home| home.directive.children().first());
        self.before(first.unwrap_or(place.node.directive), text)
    }

    /// A new directive before another, on a line of its own if that one has.
    fn before(&self, directive: &Directive, new: &str) -> Edit {
        let text = self.config.text();
        let at = directive.range.start;
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let indent = &text[line..at];
        if indent.chars().all(|c| c == ' ' || c == '\t') {
            let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
            Edit { range: line..line, text: format!("{indent}{new}{end}") }
        } else {
            Edit { range: at..at, text: format!("{new} ") }
        }
    }

    /// A resolver that forgets, unless one is in scope.
    pub(super) fn resolver(&self, place: &Place<'s, 'a>) -> Vec<Edit> {
        let in_scope = self.site.in_scope(place, "resolver");
        if in_scope.iter().any(|node| forgets(node.directive)) {
            return Vec::new();
        }
        let home = self.home(place);
        let own = in_scope.first().filter(|node| {
            home.is_some_and(|home| home.children.iter().any(|child| std::ptr::eq(child.directive, node.directive)))
        });
        match own {
            Some(own) if own.path == self.path => vec![forget(own.directive, self.resolver)],
            // A second one in the same block would be an error; whoever reads the other file is told about it there.
            Some(_) => Vec::new(),
            None => {
                let mut edits = vec![self.at_home(place, &self.resolver.to_string())];
                if self.site.in_scope(place, "resolver_timeout").is_empty() {
                    edits.push(self.at_home(place, &format!("resolver_timeout {};", self.resolver.timeout)));
                }
                edits
            }
        }
    }

    /// The variable for this target in this block; a new one comes with its `set`.
    fn variable(&mut self, place: &Place<'s, 'a>, target: &Target, edits: &mut Vec<Edit>) -> String {
        let origin = target.origin();
        let home = self.home(place);
        let there = home.map_or(&[][..], |home| home.directive.children()).iter().find(|set| {
            set.is("set") && set.argument(1) == Some(&*origin) && set.argument(0).is_some_and(|name| name.starts_with(VARIABLE))
        });
        if let Some(name) = there.and_then(|set| set.argument(0)) {
            return name.to_owned();
        }
        let at = home.unwrap_or(place.node).directive.range.start;
        let known = self.made.iter().find(|(home, made, _)| *home == at && *made == origin).map(|(.., name)| name.clone());
        let name = known.unwrap_or_else(|| {
            let name = self.unused();
            self.made.push((at, origin.clone(), name.clone()));
            name
        });
        edits.push(self.at_home(place, &format!("set {name} {origin};")));
        name
    }

    fn unused(&mut self) -> String {
        loop {
            self.taken += 1;
            let name = format!("{VARIABLE}{}", self.taken);
            if !self.config.text().contains(&name) {
                return name;
            }
        }
    }

    /// nginx corrects redirects to the fixed backend by itself. With a variable it does not, unless it is told.
    fn redirects(&self, place: &Place<'s, 'a>, location: Option<&Node<'a>>, target: &Target) -> Result<Vec<Edit>, String> {
        let (from, to) = match (target.uri.as_str(), location) {
            ("", _) => (format!("{}/", target.origin()), "/"),
            (uri, Some(location)) => (format!("{}{uri}", target.origin()), prefix(location.directive)?.1),
            (_, None) => return Err(NO_LOCATION.to_owned()),
        };
        let explicit = format!("{from} {to}");
        let here = place.parent().map_or(&[][..], |parent| &parent.children).iter().filter(|node| node.is("proxy_redirect"));
        let mut here = here.peekable();
        if here.peek().is_some() {
            let usual = here.filter(|node| node.path == self.path && node.directive.argument(0) == Some("default"));
            return Ok(usual.map(|node| Edit { range: arguments(node.directive), text: explicit.clone() }).collect());
        }
        let fixed = |node: &Node<'_>| node.is("proxy_pass") && node.directive.argument(0).is_some_and(|to| !to.contains('$'));
        let outer = place.around.iter().rev().skip(1);
        let inherited = outer.clone().any(|block| block.children.iter().any(|child| child.is("proxy_redirect") || fixed(child)))
            || !self.site.in_scope(place, "proxy_redirect").is_empty();
        if inherited {
            return Ok(Vec::new());
        }
        // It is not allowed in an `if`, which inherits it from the location.
        let not_here = place.around.iter().find(|block| block.is("if") || block.is("limit_except"));
        Ok(vec![self.before(not_here.unwrap_or(&place.node).directive, &format!("proxy_redirect {explicit};"))])
    }
}

const NO_LOCATION: &str = "it has a path, and the location that it takes the place of is in another file";

/// Whether a resolver is told for how long to believe an answer.
pub(super) fn forgets(resolver: &Directive) -> bool {
    resolver.arguments.iter().any(|word| word.value.starts_with("valid=") || word.value == "off")
}

/// Tells it.
pub(super) fn forget(directive: &Directive, resolver: &Resolver) -> Edit {
    let end = directive.arguments.last().map_or(directive.name.range.end, |word| word.range.end);
    Edit { range: end..end, text: format!(" valid={}", resolver.valid) }
}

fn arguments(directive: &Directive) -> Range<usize> {
    match directive.arguments.as_slice() {
        [first, .., last] => first.range.start..last.range.end,
        [only] => only.range.clone(),
        [] => directive.name.range.end..directive.name.range.end,
    }
}

/// How a location compares paths, and the path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    Prefix,
    Exact,
}

/// The path of a location that has one; a regular expression or a name has none.
fn prefix(location: &Directive) -> Result<(Compared, &str), String> {
    let (compared, path) = match (location.argument(0), location.argument(1)) {
        (Some("="), Some(path)) => (Compared::Exact, path),
        (Some("^~"), Some(path)) => (Compared::Prefix, path),
        (Some(glued), None) => match (glued.strip_prefix('='), glued.strip_prefix("^~")) {
            (Some(path), _) => (Compared::Exact, path),
            (_, Some(path)) => (Compared::Prefix, path),
            _ => (Compared::Prefix, glued),
        },
        _ => return Err("the location is not one of a fixed path".to_owned()),
    };
    if path.starts_with('/') && path.chars().all(is_plain) {
        Ok((compared, path))
    } else {
        Err(format!("the location's path {path} has characters that a rewrite would read differently"))
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "/_.~-".contains(character)
}

/// A fixed backend with a path puts that in the place of the location's. With a variable, a rewrite has to.
fn path_rewrite(place: &Place<'_, '_>, location: Option<&Node<'_>>, uri: &str) -> Result<String, String> {
    let location = location.ok_or(NO_LOCATION)?;
    if !place.parent().is_some_and(|parent| std::ptr::eq(parent, location)) {
        return Err("it has a path, and is not directly in its location".to_owned());
    }
    if !uri.chars().all(is_plain) {
        return Err(format!("its path {uri} has characters that a rewrite would read differently"));
    }
    let (compared, path) = prefix(location.directive)?;
    undisturbed(place, location)?;
    Ok(match compared {
        Compared::Exact => format!("rewrite ^ {uri} break;"),
        // A decoded path can have line ends in it.
        Compared::Prefix => format!(r#"rewrite "(?s)^{}(.*)$" {uri}$1 break;"#, path.replace('.', r"\.")),
    })
}

/// Whether nothing in the location comes between a rewrite at this place and the backend, or sees the difference.
fn undisturbed(place: &Place<'_, '_>, location: &Node<'_>) -> Result<(), String> {
    let disturbing = ["rewrite", "return", "if", "break", "try_files", "auth_request", "error_page", "limit_except"];
    if let Some(other) = location.children.iter().find(|child| disturbing.contains(&child.directive.name.value.as_str())) {
        return Err(format!("it has a path, and the location's {} would not go with a rewrite", other.directive.name.value));
    }
    let mut behind = location.children.iter().skip_while(|child| !std::ptr::eq(*child, place.node));
    if behind.any(|child| child.is("set")) {
        return Err("it has a path, and a rewrite would keep the location's later set from being done".to_owned());
    }
    let sees_the_path = |node: &&Node<'_>| {
        let variable =
            |value: &str| ["$uri", "${uri}", "$document_uri", "$request_filename"].iter().any(|name| value.contains(name));
        node.directive.block.is_none() && node.directive.arguments.iter().any(|word| variable(&word.value))
    };
    let inherited = place.around.iter().flat_map(|block| &block.children);
    match inherited
        .filter(|node| !["log_format", "try_files", "set", "rewrite", "return"].contains(&&*node.directive.name.value))
        .find(sees_the_path)
    {
        Some(node) => Err(format!("it has a path, and {} uses the path of the request", node.directive.name.value)),
        None => Ok(()),
    }
}
