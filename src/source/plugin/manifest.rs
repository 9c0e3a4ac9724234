//! A `plugin.json` → what matters of it.
//!
//! Published manifests agree on little: variables are a list, a mapping or two
//! lists, dependencies name plugins, services or packages, a port may be zero.
//! Every shape that has been seen is read; what nobody here needs is not looked
//! at, and only what would be misunderstood is a flaw.

use serde_json::{Map, Value};

/// What matters of a plugin's manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginManifest {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: Option<String>,
    /// Whether it runs as a service.
    pub service: Service,
    /// The port it listens on. Zero is none.
    pub port: Option<u16>,
    /// The path that answers when it is well.
    pub health: Option<String>,
    /// The image of its container.
    pub image: Option<String>,
    /// The file that Compose makes its container from, where it has another name than usual.
    pub fragment: Option<String>,
    /// The variables it knows.
    pub variables: Vec<Variable>,
    /// The plugins and services it works with.
    pub dependencies: Vec<Dependency>,
    /// The paths at which it is called from outside.
    pub webhooks: Vec<String>,
    /// The paths it serves.
    pub routes: Vec<Route>,
    /// Whether it is not to be used any more.
    pub is_deprecated: bool,
    /// What is to be used instead.
    pub replaced_by: Option<String>,
}

/// Whether a plugin runs as a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// The manifest does not say.
    #[default]
    Unsaid,
    /// It does, as a container.
    Container,
    /// It does not: it is a command, or code for others.
    None,
}

/// A variable that a plugin knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Whether the plugin does not work without it.
    pub is_required: bool,
    /// Whether the manifest says that it is to be made when nobody has set it.
    pub is_generated: bool,
    /// What it is when nobody has set it.
    pub default: Option<String>,
}

/// A plugin or service that a plugin works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Whether the plugin does not work without it.
    pub is_required: bool,
}

/// A path that a plugin serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path.
    pub path: String,
    /// Whether connections are upgraded to websockets.
    pub websocket: bool,
}

/// Something in a manifest that would be misunderstood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The part, as a JSON pointer.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

/// Reads a manifest, or says everything that is wrong with it.
pub fn read(value: &Value) -> Result<PluginManifest, Vec<Flaw>> {
    let Some(fields) = value.as_object() else {
        return Err(vec![Flaw { pointer: String::new(), message: "expected the fields of a plugin's manifest".to_owned() }]);
    };
    let mut reader = Reader { fields, flaws: Vec::new() };
    let manifest = reader.manifest();
    if reader.flaws.is_empty() { Ok(manifest) } else { Err(reader.flaws) }
}

struct Reader<'a> {
    fields: &'a Map<String, Value>,
    flaws: Vec<Flaw>,
}

impl<'a> Reader<'a> {
    fn manifest(&mut self) -> PluginManifest {
        self.manifest_version();
        PluginManifest {
            name: self.name(),
            version: self.text(&["version"]),
            service: self.service(),
            port: self.port(),
            health: self.health(),
            image: self.text(&["image", "docker_image", "dockerImage"]).or_else(|| self.service_text(&["image"])),
            fragment: self.text(&["composeFragment", "compose_fragment"]).or_else(|| self.service_text(&["compose"])),
            variables: self.variables(),
            dependencies: self.dependencies(),
            webhooks: self.any(&["webhooks"]).map(paths).unwrap_or_default(),
            routes: self.any(&["routes"]).map(routes).unwrap_or_default(),
            is_deprecated: self.any(&["deprecated"]).is_some_and(|value| *value != Value::Bool(false)),
            replaced_by: self.text(&["replacedBy", "replaced_by"]),
        }
    }

    fn flaw(&mut self, pointer: &str, message: impl Into<String>) {
        self.flaws.push(Flaw { pointer: pointer.to_owned(), message: message.into() });
    }

    /// The first of these fields that has a value.
    fn any(&self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.fields.get(*name)).filter(|value| !value.is_null())
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        self.any(names)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn service_text(&self, names: &[&str]) -> Option<String> {
        let service = self.any(&["service"])?.as_object()?;
        names.iter().find_map(|name| service.get(*name)?.as_str()).map(str::to_owned)
    }

    fn manifest_version(&mut self) {
        match self.fields.get("manifest_version").or(self.fields.get("manifestVersion")) {
            None | Some(Value::Null) => {}
            Some(version) if matches!(version.as_u64(), Some(1 | 2)) => {}
            Some(version) => {
                self.flaw("/manifest_version", format!("the shapes that are understood are 1 and 2, not {version}"));
            }
        }
    }

    fn name(&mut self) -> String {
        match self.fields.get("name") {
            Some(Value::String(name)) if is_name(name) => return name.clone(),
            Some(Value::String(name)) => {
                self.flaw(
                    "/name",
                    format!("`{name}` is no name of a plugin: lower-case letters, digits and `-`, a letter first"),
                );
            }
            Some(_) => self.flaw("/name", "expected the plugin's name as text"),
            None => self.flaw("/name", "`name` is missing"),
        }
        String::new()
    }

    fn service(&mut self) -> Service {
        let kind = match self.fields.get("service") {
            Some(Value::Object(service)) => service.get("kind").and_then(Value::as_str),
            Some(Value::String(kind)) => Some(kind.as_str()),
            _ => None,
        };
        match kind {
            None => Service::Unsaid,
            Some("compose") => Service::Container,
            Some("cli" | "library") => Service::None,
            Some(other) => {
                self.flaw("/service/kind", format!("expected compose, cli or library, found `{other}`"));
                Service::Unsaid
            }
        }
    }

    fn port(&mut self) -> Option<u16> {
        let nested = || Some(("/service/port", self.any(&["service"])?.get("port")?));
        let (pointer, value) = self.any(&["port"]).map(|value| ("/port", value)).or_else(nested)?;
        let port = match value {
            Value::Number(number) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
            Value::String(text) => text.parse().ok(),
            Value::Null => return None,
            _ => None,
        };
        if port.is_none() {
            self.flaw(pointer, format!("expected a port from 0 to 65535, found {value}"));
        }
        port.filter(|port| *port != 0)
    }

    fn health(&self) -> Option<String> {
        let names = ["health_endpoint", "healthEndpoint", "health_path", "healthPath", "healthcheck", "health"];
        let nested = || names.iter().find_map(|name| self.any(&["service"])?.get(*name));
        let value = self.any(&names).or_else(nested)?;
        // `health` alone means the path, too.
        let bare = value.as_str().filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '/'));
        path_in(value).or_else(|| Some(format!("/{}", bare?)))
    }

    // Variables

    fn variables(&mut self) -> Vec<Variable> {
        let mut variables: Vec<Variable> = Vec::new();
        for field in ["env", "envVars", "env_vars", "environment"] {
            let Some(value) = self.fields.get(field) else { continue };
            for variable in self.variables_in(&format!("/{field}"), value, None) {
                // What is said twice is said more clearly the first time, but needed when either says so.
                match variables.iter_mut().find(|known| known.name == variable.name) {
                    Some(known) => known.is_required |= variable.is_required,
                    None => variables.push(variable),
                }
            }
        }
        variables
    }

    /// A list, two lists, or a mapping by name. `required` is what the list around says.
    fn variables_in(&mut self, pointer: &str, value: &Value, required: Option<bool>) -> Vec<Variable> {
        match value {
            Value::Null => Vec::new(),
            Value::Array(entries) => {
                let entries = entries.iter().enumerate();
                entries.filter_map(|(at, entry)| self.variable(&format!("{pointer}/{at}"), entry, required)).collect()
            }
            Value::Object(fields) if required.is_none() && is_two_lists(fields) => {
                let lists = [("required", true), ("optional", false)];
                let lists = lists.into_iter().filter_map(|(list, required)| Some((list, required, fields.get(list)?)));
                lists
                    .flat_map(|(list, required, value)| self.variables_in(&format!("{pointer}/{list}"), value, Some(required)))
                    .collect()
            }
            Value::Object(fields) => {
                let named = fields.iter().map(|(name, value)| (name, self.named(pointer, name, value, required)));
                named.filter_map(|(_, variable)| variable).collect()
            }
            _ => {
                self.flaw(pointer, "expected variables as a list or a mapping");
                Vec::new()
            }
        }
    }

    /// An entry of a list: a name, or a mapping that has one.
    fn variable(&mut self, pointer: &str, entry: &Value, required: Option<bool>) -> Option<Variable> {
        match entry {
            Value::String(name) => self.named(pointer, name, &Value::Null, required),
            Value::Object(fields) => {
                let name = ["name", "key", "var"].iter().find_map(|key| fields.get(*key)?.as_str());
                if name.is_none() {
                    self.flaw(pointer, "a variable without a `name`");
                }
                self.named(pointer, name?, entry, required)
            }
            _ => {
                self.flaw(pointer, "expected the name of a variable, or a mapping with one");
                None
            }
        }
    }

    /// What is said of a variable: a mapping, a description, or nothing.
    fn named(&mut self, pointer: &str, name: &str, said: &Value, required: Option<bool>) -> Option<Variable> {
        // `NAME=default` and `NAME (what it is)` occur in lists.
        let plain = name.split(['=', ' ']).next().unwrap_or_default();
        if !is_variable(plain) {
            self.flaw(pointer, format!("`{plain}` is not the name of a variable"));
            return None;
        }
        let is = |key: &str| said.get(key).and_then(Value::as_bool);
        let default = said.get("default").and_then(scalar).or_else(|| Some(name.split_once('=')?.1.to_owned()));
        Some(Variable {
            name: plain.to_owned(),
            is_required: is("required").or_else(|| is("optional").map(|optional| !optional)).or(required).unwrap_or(false),
            is_generated: is("generate").or_else(|| is("generated")).or_else(|| is("autoGenerate")).unwrap_or(false),
            default,
        })
    }

    // Dependencies

    fn dependencies(&self) -> Vec<Dependency> {
        let mut dependencies: Vec<Dependency> = Vec::new();
        let mut add = |names: Vec<String>, is_required: bool| {
            for name in names {
                match dependencies.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.is_required |= is_required,
                    None => dependencies.push(Dependency { name, is_required }),
                }
            }
        };
        match self.any(&["dependencies"]) {
            Some(Value::Object(fields)) => {
                for (field, value) in fields {
                    match (field.as_str(), value) {
                        // Packages are the image's own affair.
                        ("npm" | "go" | "pip" | "cargo" | "system" | "packages", _) | (_, Value::Null | Value::Bool(false)) => {}
                        ("required" | "plugins" | "services", value) => add(names(value), true),
                        ("optional", value) => add(names(value), false),
                        // `redis: true` and `ai: ">=1.2"`: a name and what is wanted of it.
                        (name, _) => add(vec![name.to_owned()], true),
                    }
                }
            }
            Some(value) => add(names(value), true),
            None => {}
        }
        if let Some(value) = self.any(&["optionalDependencies", "optional_dependencies"]) {
            add(names(value), false);
        }
        dependencies
    }
}

fn is_two_lists(fields: &Map<String, Value>) -> bool {
    !fields.is_empty() && fields.iter().all(|(name, value)| matches!(name.as_str(), "required" | "optional") && !is_said(value))
}

/// Whether a value speaks of one variable, rather than naming several.
fn is_said(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| fields.contains_key("description") || fields.contains_key("default"))
}

/// The names in a list of texts or of mappings with names, or the keys of a mapping.
fn names(value: &Value) -> Vec<String> {
    let name = |entry: &Value| match entry {
        // A version may stand behind the name: `ai@1.2`, `ai >= 1.2`.
        Value::String(name) => name.split(['@', ' ', '>', '=', '<', '^', '~']).next().map(str::to_owned),
        entry => ["name", "plugin"].iter().find_map(|key| entry.get(*key)?.as_str()).map(str::to_owned),
    };
    match value {
        Value::String(_) => name(value).into_iter().collect(),
        Value::Array(entries) => entries.iter().filter_map(name).filter(|name| !name.is_empty()).collect(),
        Value::Object(fields) => fields.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The paths in webhooks: texts, mappings with a path, or mappings by name.
fn paths(value: &Value) -> Vec<String> {
    match value {
        Value::Array(entries) => entries.iter().filter_map(path_in).collect(),
        Value::Object(_) if path_in(value).is_some() => path_in(value).into_iter().collect(),
        Value::Object(fields) => fields.values().filter_map(path_in).collect(),
        value => path_in(value).into_iter().collect(),
    }
}

fn routes(value: &Value) -> Vec<Route> {
    let route = |entry: &Value| {
        let is = |key: &str| entry.get(key).and_then(Value::as_bool) == Some(true);
        Some(Route { path: path_in(entry)?, websocket: is("websocket") || is("ws") })
    };
    match value {
        Value::Array(entries) => entries.iter().filter_map(route).collect(),
        Value::Object(_) if path_in(value).is_some() => route(value).into_iter().collect(),
        Value::Object(fields) => fields.values().filter_map(route).collect(),
        value => route(value).into_iter().collect(),
    }
}

/// A path: as such, in a URL, or in a mapping.
fn path_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => path_of(text),
        Value::Object(fields) => {
            ["path", "endpoint", "url", "route", "prefix"].iter().find_map(|key| path_of(fields.get(*key)?.as_str()?))
        }
        _ => None,
    }
}

/// The path of a URL or of a path. A word without any slash is no path.
pub(super) fn path_of(text: &str) -> Option<String> {
    let text = text.trim();
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None if text.starts_with('/') => text,
        None => return None,
    };
    let end = path.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '?' | '#' | '|')).unwrap_or(path.len());
    Some(path[..end].to_owned())
}

/// The text of a scalar.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() > 1 && name.len() < 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(rest)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
