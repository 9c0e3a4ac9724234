//! A plugin's Compose file → what it says of the containers that Compose makes of it.
//!
//! Only what others have to know is read: names, ports, the health check, the
//! variables. `${NAME}` is what it is in the stack; where nobody knows that,
//! it stays as it is written.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::manifest::{path_of, scalar};

/// A Compose file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// The file's name.
    pub file: String,
    /// Its services, sorted by name.
    pub services: Vec<FragmentService>,
}

/// One service of a Compose file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FragmentService {
    /// Its name, which Compose puts onto a label.
    pub name: String,
    /// The name of its container, when it has one of its own.
    pub container_name: Option<String>,
    /// Its image.
    pub image: Option<String>,
    /// The ports it listens on, as far as the file tells.
    pub ports: BTreeSet<u16>,
    /// The ports that it has on the host.
    pub host_ports: BTreeSet<u16>,
    /// What its health check asks for.
    pub health: Option<Health>,
    /// Its variables, with their values where they are written there.
    pub variables: Vec<(String, Option<String>)>,
    /// Whether it is on any network that is named.
    pub has_networks: bool,
}

/// What a health check asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The port.
    pub port: Option<u16>,
    /// The path.
    pub path: String,
}

impl FragmentService {
    /// The port that it serves: the one that its health check, its variables or its published ports tell.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let checked = self.health.as_ref().and_then(|health| health.port);
        let said = || {
            let value = |name: &str| self.variables.iter().find(|(known, _)| known == name)?.1.as_ref()?.parse().ok();
            value("PORT").or_else(|| value("SERVICE_PORT"))
        };
        let only = || self.ports.iter().next().copied().filter(|_| self.ports.len() == 1);
        only().or_else(said).or(checked)
    }
}

/// Reads the services of a Compose file. None when it is no such file.
pub(super) fn read(file: &str, value: &Value, names: &dyn Fn(&str) -> Option<String>) -> Option<Fragment> {
    let services = value.get("services")?.as_object()?;
    let services: Vec<_> =
        services.iter().map(|(name, value)| service(&interpolate(name, names), &merged(value), names)).collect();
    services.iter().all(|service| is_name(&service.name)).then(|| Fragment { file: file.to_owned(), services })
}

/// Whether Compose takes this for the name of a service. What is made of it is the name of an object.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// A mapping with what it takes over from others by `<<`.
fn merged(value: &Value) -> Map<String, Value> {
    let mut fields = value.as_object().cloned().unwrap_or_default();
    let taken = match fields.remove("<<") {
        Some(Value::Array(others)) => others,
        Some(other) => vec![other],
        None => return fields,
    };
    for (name, value) in taken.iter().flat_map(merged) {
        fields.entry(name).or_insert(value);
    }
    fields
}

fn service(name: &str, fields: &Map<String, Value>, names: &dyn Fn(&str) -> Option<String>) -> FragmentService {
    let text = |field: &str| fields.get(field).and_then(Value::as_str).map(|text| interpolate(text, names));
    let ports: Vec<_> = list(fields.get("ports")).iter().map(|port| port_of(port, names)).collect();
    let exposed = list(fields.get("expose")).into_iter().filter_map(|port| last_port(&interpolate(&scalar(&port)?, names)));
    FragmentService {
        name: name.to_owned(),
        container_name: text("container_name"),
        image: text("image"),
        ports: ports.iter().filter_map(|(_, inside)| *inside).chain(exposed).collect(),
        host_ports: ports.iter().filter_map(|(outside, _)| *outside).collect(),
        health: fields.get("healthcheck").and_then(|check| health(check, names)),
        variables: variables(fields.get("environment"), names),
        has_networks: fields.get("networks").is_some() || fields.get("network_mode").is_some(),
    }
}

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The port on the host and the one inside: `127.0.0.1:3710:3710/tcp`, `3710`, `{published, target}`.
fn port_of(value: &Value, names: &dyn Fn(&str) -> Option<String>) -> (Option<u16>, Option<u16>) {
    if let Some(fields) = value.as_object() {
        let port = |field: &str| interpolate(&fields.get(field).and_then(scalar)?, names).parse().ok();
        return (port("published"), port("target"));
    }
    let text = interpolate(&scalar(value).unwrap_or_default(), names);
    let text = text.split('/').next().unwrap_or_default();
    match text.rsplit_once(':') {
        Some((before, inside)) => (last_port(before), inside.parse().ok()),
        None => (None, text.parse().ok()),
    }
}

fn last_port(text: &str) -> Option<u16> {
    text.rsplit(':').next()?.split('/').next()?.parse().ok()
}

/// The URL in the command of a health check.
fn health(check: &Value, names: &dyn Fn(&str) -> Option<String>) -> Option<Health> {
    let command = match check.get("test")? {
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        test => test.as_str()?.to_owned(),
    };
    let command = interpolate(&command, names);
    let url = &command[command.find("http://").or_else(|| command.find("https://"))?..];
    let host = url.split_once("://")?.1;
    let host = &host[..host.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(host.len())];
    Some(Health { port: host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()), path: path_of(url)? })
}

/// Variables as a list of `NAME=value` or as a mapping.
fn variables(value: Option<&Value>, names: &dyn Fn(&str) -> Option<String>) -> Vec<(String, Option<String>)> {
    match value {
        Some(Value::Array(entries)) => {
            let entry = |entry: &str| match entry.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(interpolate(value, names))),
                None => (entry.to_owned(), None),
            };
            entries.iter().filter_map(Value::as_str).map(entry).collect()
        }
        Some(value @ Value::Object(_)) => {
            let fields = merged(value).into_iter();
            fields.map(|(name, value)| (name, scalar(&value).map(|value| interpolate(&value, names)))).collect()
        }
        _ => Vec::new(),
    }
}

/// `${NAME}`, `$NAME`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?error}` and `$$`, as Compose has them.
pub(super) fn interpolate(text: &str, names: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (taken, replacement) = match after.chars().next() {
            Some('$') => (1, Some("$".to_owned())),
            Some('{') => match closing(after) {
                Some(end) => (end + 1, braced(&after[1..end], names)),
                None => (0, None),
            },
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (end, names(&after[..end]))
            }
            Some(_) | None => (0, None),
        };
        match replacement {
            Some(replacement) => out.push_str(&replacement),
            None => out.push_str(&rest[at..=at + taken]),
        }
        rest = &after[taken..];
    }
    out.push_str(rest);
    out
}

/// Where the brace that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What stands between braces; none when nobody knows.
fn braced(text: &str, names: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let known = names(name);
    match rest.strip_prefix(':').unwrap_or(rest).split_at_checked(1) {
        Some(("-", default)) => Some(known.unwrap_or_else(|| interpolate(default, names))),
        Some(("+", other)) => Some(known.map(|_| interpolate(other, names)).unwrap_or_default()),
        Some(_) | None => known,
    }
}
