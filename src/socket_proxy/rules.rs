//! What may be asked of the engine: a request → the call that it becomes, or a refusal.
//!
//! Pure. Only what is listed here is passed on, in our own words: a call that nobody listed, a field that nobody listed,
//! and a value of a kind that nobody expected are refused alike. What cannot be known from the request alone (whose
//! container it is) comes out as a [`Check`], and [`Rules::allow`] answers it when the engine has told.

mod body;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::target::{self, Target};
use crate::observe::engine::{MARKER_LABEL, OWNER_LABEL};

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The Mooring that is served, by the name on its labels.
    pub owner: String,
    /// The engine's own socket, which nobody may mount.
    pub engine: String,
    /// Paths of the host that may be mounted.
    pub binds: Vec<Bind>,
    /// Volumes that may be mounted although they are somebody else's.
    pub volumes: BTreeSet<String>,
    /// Somebody else's containers that may be kept alive.
    pub heal: Vec<Selector>,
    /// Somebody else's containers in which any command may be run, by name.
    pub exec: BTreeSet<String>,
    /// Somebody else's containers in which nginx may be tested and reloaded, by name.
    pub nginx: BTreeSet<String>,
    /// Capabilities that containers may be given.
    pub capabilities: BTreeSet<String>,
    /// Devices of the host that containers may be given.
    pub devices: BTreeSet<String>,
    /// Whether containers may be given GPUs.
    pub gpus: bool,
    /// Whether containers may be on the host's own network.
    pub host_network: bool,
    /// Whether images may be pulled.
    pub pull: bool,
}

/// A path of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The path.
    pub path: String,
    /// Whether what is below it may be mounted as well. Who can write there can put a link there that leads anywhere.
    pub and_below: bool,
}

/// Which containers are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Those with a label, of this value if one is given.
    Label(String, Option<String>),
    /// The one of this name.
    Name(String),
}

/// A request that is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked, by the word under which it is counted.
    pub call: &'static str,
    /// Why not. Never a variable's value.
    pub reason: String,
}

/// A request as it may be passed on, if every check is good.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The word under which it is counted.
    pub name: &'static str,
    /// What has to be so.
    pub checks: Vec<Check>,
    /// The body in our words, if it has one.
    pub body: Option<Value>,
    /// What becomes of the answer.
    pub answer: Answer,
    target: Target,
}

/// Variables of anybody's container that are no secrets, and that Mooring goes by.
const SHOWN: [&str; 2] = ["PORT", "SERVICE_PORT"];

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is passed back.
    Plain,
    /// It is passed back without what [`Rules::hide`] takes out of it.
    Details,
    /// It is passed back, and the command that it names may be started.
    NewExec,
    /// The connection becomes the command's output.
    Hijacked,
}

/// Something that only the engine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Whose container this is.
    Container {
        /// A name or an id.
        reference: String,
        /// What is to be done with it.
        need: Need,
    },
    /// What network this is.
    Network {
        /// A name or an id.
        reference: String,
        /// Whether it is to go; a container is put on it otherwise.
        goes: bool,
    },
    /// Whose volume this is.
    Volume {
        /// Its name.
        name: String,
        /// Whether it is to go; it is mounted otherwise.
        goes: bool,
    },
    /// Whether this command was made here.
    Exec {
        /// Its id.
        id: String,
    },
}

/// What is to be done with a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// What only its owner does.
    Own,
    /// What keeps it alive.
    Heal,
    /// A command in it.
    Exec(Vec<String>),
    /// A look at its files.
    Files,
}

/// What the engine says of the thing that a check is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its lasting id; a volume has none.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// A network's driver.
    pub driver: String,
}

impl Call {
    /// What the engine is asked for.
    #[must_use]
    pub fn uri(&self) -> String {
        let parts = self.target.version.iter().chain(&self.target.path);
        let path = parts.fold(String::new(), |path, part| path + "/" + part);
        let query = target::encode(&self.target.query);
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    /// Where the engine is asked about something, in the version that the request speaks.
    #[must_use]
    pub fn about(&self, check: &Check) -> Option<String> {
        let version = self.target.version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
        match check {
            Check::Container { reference, .. } => Some(format!("{version}/containers/{reference}/json")),
            Check::Network { reference, .. } => Some(format!("{version}/networks/{reference}")),
            Check::Volume { name, .. } => Some(format!("{version}/volumes/{name}")),
            Check::Exec { .. } => None,
        }
    }

    /// Puts the lasting id in the place of the name that was checked, so that nobody else can have the name by the time
    /// that the call arrives.
    pub fn settle(&mut self, check: &Check, id: &str) {
        match check {
            Check::Container { .. } if self.name == "connect-network" => {
                if let Some(container) = self.body.as_mut().and_then(|body| body.get_mut("Container")) {
                    *container = id.into();
                }
            }
            Check::Container { .. } | Check::Network { .. } => {
                if let Some(part) = self.target.path.get_mut(1).filter(|_| self.name != "create-container") {
                    id.clone_into(part);
                }
            }
            Check::Volume { .. } | Check::Exec { .. } => {}
        }
    }
}

/// Decides what a request comes to. `body` is empty when there is none.
pub fn decide(rules: &Rules, method: &str, path: &str, query: Option<&str>, body: &[u8]) -> Result<Call, Refusal> {
    let target = target::parse(path, query).map_err(|reason| refusal("malformed", reason))?;
    let parts: Vec<&str> = target.path.iter().map(String::as_str).collect();
    let asked = Asked { rules, target: &target, body };
    match (method, parts.as_slice()) {
        ("GET", ["version"]) => asked.look("version", &[]),
        ("GET", ["info"]) => asked.look("info", &[]),
        ("GET", ["events"]) => asked.look("events", &["since", "filters"]),
        ("GET", ["containers", "json"]) => asked.look("list-containers", &["all", "size"]),
        ("GET", ["containers", name, "json"]) if is_name(name) => asked.details(),
        ("GET", ["containers", name, "archive"]) if is_name(name) => asked.files(name),
        ("GET", ["containers", name, "stats"]) if is_name(name) => asked.look("container-stats", &["stream", "one-shot"]),
        ("GET", ["containers", name, "logs"]) if is_name(name) => asked.log(name),
        ("GET", ["images", "json"]) => asked.look("list-images", &[]),
        ("GET", ["images", name @ .., "json"]) if !name.is_empty() => asked.look("inspect-image", &[]),
        ("GET", ["networks"]) => asked.look("list-networks", &[]),
        ("GET", ["networks", name]) if is_name(name) => asked.look("inspect-network", &[]),
        ("GET", ["volumes"]) => asked.look("list-volumes", &[]),
        ("GET", ["volumes", name]) if is_name(name) => asked.look("inspect-volume", &[]),
        ("GET", ["exec", id, "json"]) if is_id(id) => asked.look("inspect-exec", &[]),
        ("POST", ["containers", "create"]) => asked.create_container(),
        ("POST", ["containers", name, "start"]) if is_name(name) => asked.act("start-container", name, Need::Heal),
        ("POST", ["containers", name, "restart"]) if is_name(name) => asked.act("restart-container", name, Need::Heal),
        ("POST", ["containers", name, "stop"]) if is_name(name) => asked.act("stop-container", name, Need::Own),
        ("POST", ["containers", name, "rename"]) if is_name(name) => asked.rename(name),
        ("POST", ["containers", name, "update"]) if is_name(name) => asked.update(name),
        ("DELETE", ["containers", name]) if is_name(name) => asked.remove_container(name),
        ("POST", ["containers", name, "exec"]) if is_name(name) => asked.create_exec(name),
        ("POST", ["exec", id, "start"]) if is_id(id) => asked.start_exec(id),
        ("POST", ["networks", "create"]) => asked.create_network(),
        ("POST", ["networks", name, "connect"]) if is_name(name) => asked.connect(name),
        ("DELETE", ["networks", name]) if is_name(name) => asked.remove_network(name),
        ("POST", ["volumes", "create"]) => asked.create_volume(),
        ("DELETE", ["volumes", name]) if is_name(name) => asked.remove_volume(name),
        ("POST", ["images", "create"]) => asked.pull(),
        _ => Err(refusal("unknown", "Mooring never asks for that")),
    }
}

fn refusal(call: &'static str, reason: impl Into<String>) -> Refusal {
    Refusal { call, reason: reason.into() }
}

/// What a container, a network or a volume can be called; also the beginning of an id.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether the engine made this id.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

/// A request, taken apart.
struct Asked<'a> {
    rules: &'a Rules,
    target: &'a Target,
    body: &'a [u8],
}

type Decided = Result<Call, Refusal>;

impl Asked<'_> {
    /// Something that changes nothing, with these fields in its query at most.
    fn look(&self, name: &'static str, fields: &[&str]) -> Decided {
        self.without_body(name)?;
        self.query(name, fields)?;
        // Sizes are worked out over all files, which keeps the engine busy for minutes.
        if self.target.query.get("size").is_none_or(|size| size == "false") {
            Ok(self.call(name, Vec::new(), None))
        } else {
            Err(refusal(name, "`size` is never asked for"))
        }
    }

    fn details(&self) -> Decided {
        let call = self.look("inspect-container", &["size"])?;
        Ok(Call { answer: Answer::Details, ..call })
    }

    fn files(&self, container: &str) -> Decided {
        let Call { name, .. } = self.look("archive-container", &["path"])?;
        Ok(self.call(name, vec![of_container(container, Need::Files)], None))
    }

    /// Programs write into their logs what nobody else should read: only those of its own, and of what it keeps alive.
    fn log(&self, container: &str) -> Decided {
        let fields = ["follow", "stdout", "stderr", "since", "until", "timestamps", "tail"];
        let Call { name, .. } = self.look("container-log", &fields)?;
        Ok(self.call(name, vec![of_container(container, Need::Heal)], None))
    }

    /// Something that is done to a container, without anything more to say about it.
    fn act(&self, name: &'static str, container: &str, need: Need) -> Decided {
        self.without_body(name)?;
        self.query(name, &[])?;
        Ok(self.call(name, vec![of_container(container, need)], None))
    }

    fn rename(&self, container: &str) -> Decided {
        let name = "rename-container";
        self.without_body(name)?;
        self.query(name, &["name"])?;
        self.new_name(name)?;
        Ok(self.call(name, vec![of_container(container, Need::Own)], None))
    }

    fn remove_container(&self, container: &str) -> Decided {
        let name = "remove-container";
        self.without_body(name)?;
        self.query(name, &["v", "force", "link"])?;
        if self.target.query.values().any(|value| value != "false") {
            return Err(refusal(name, "Mooring removes nothing by force, and no volumes"));
        }
        Ok(self.call(name, vec![of_container(container, Need::Own)], None))
    }

    fn update(&self, container: &str) -> Decided {
        let name = "update-container";
        self.query(name, &[])?;
        let body = self.json(name, body::update)?;
        Ok(self.call(name, vec![of_container(container, Need::Own)], Some(body)))
    }

    fn create_container(&self) -> Decided {
        let name = "create-container";
        self.query(name, &["name", "platform"])?;
        self.new_name(name)?;
        self.no_platform(name)?;
        let body = self.json(name, |body| body::container(body, self.rules))?;
        let checks = body::mounts_and_networks(&body);
        Ok(self.call(name, checks, Some(body)))
    }

    fn create_exec(&self, container: &str) -> Decided {
        let name = "create-exec";
        self.query(name, &[])?;
        let body = self.json(name, body::exec)?;
        let words = body["Cmd"].as_array().into_iter().flatten();
        let command = words.filter_map(Value::as_str).map(str::to_owned).collect();
        let call = self.call(name, vec![of_container(container, Need::Exec(command))], Some(body));
        Ok(Call { answer: Answer::NewExec, ..call })
    }

    fn start_exec(&self, id: &str) -> Decided {
        let name = "start-exec";
        self.query(name, &[])?;
        let body = self.json(name, body::start)?;
        let call = self.call(name, vec![Check::Exec { id: id.to_owned() }], Some(body));
        Ok(Call { answer: Answer::Hijacked, ..call })
    }

    fn create_network(&self) -> Decided {
        let name = "create-network";
        self.query(name, &[])?;
        let body = self.json(name, |body| body::network(body, &self.rules.owner))?;
        Ok(self.call(name, Vec::new(), Some(body)))
    }

    fn connect(&self, network: &str) -> Decided {
        let name = "connect-network";
        self.query(name, &[])?;
        let body = self.json(name, body::connect)?;
        let container = body["Container"].as_str().filter(|container| is_name(container));
        let container = container.ok_or_else(|| refusal(name, "it names no container"))?.to_owned();
        let joined = Check::Network { reference: network.to_owned(), goes: false };
        Ok(self.call(name, vec![joined, of_container(&container, Need::Heal)], Some(body)))
    }

    fn remove_network(&self, network: &str) -> Decided {
        let name = "remove-network";
        self.without_body(name)?;
        self.query(name, &[])?;
        Ok(self.call(name, vec![Check::Network { reference: network.to_owned(), goes: true }], None))
    }

    fn create_volume(&self) -> Decided {
        let name = "create-volume";
        self.query(name, &[])?;
        let body = self.json(name, |body| body::volume(body, &self.rules.owner))?;
        Ok(self.call(name, Vec::new(), Some(body)))
    }

    fn remove_volume(&self, volume: &str) -> Decided {
        let name = "remove-volume";
        self.without_body(name)?;
        self.query(name, &["force"])?;
        if self.target.query.values().any(|value| value != "false") {
            return Err(refusal(name, "Mooring removes nothing by force"));
        }
        Ok(self.call(name, vec![Check::Volume { name: volume.to_owned(), goes: true }], None))
    }

    fn pull(&self) -> Decided {
        let name = "pull-image";
        self.without_body(name)?;
        self.query(name, &["fromImage", "platform"])?;
        self.no_platform(name)?;
        if !self.target.query.contains_key("fromImage") {
            return Err(refusal(name, "it names no image"));
        }
        if !self.rules.pull {
            return Err(refusal(name, "no image may be pulled (--allow-pull)"));
        }
        Ok(self.call(name, Vec::new(), None))
    }

    fn call(&self, name: &'static str, checks: Vec<Check>, body: Option<Value>) -> Call {
        Call { name, checks, body, answer: Answer::Plain, target: self.target.clone() }
    }

    fn without_body(&self, name: &'static str) -> Result<(), Refusal> {
        if self.body.is_empty() { Ok(()) } else { Err(refusal(name, "it has a body, and Mooring sends none")) }
    }

    fn json(&self, name: &'static str, read: impl FnOnce(Value) -> Result<Value, String>) -> Result<Value, Refusal> {
        // Nothing of the text is told: variables stand in it.
        let body = serde_json::from_slice(self.body).map_err(|_| refusal(name, "its body is not JSON"))?;
        read(body).map_err(|reason| refusal(name, reason))
    }

    /// No other fields than these.
    fn query(&self, name: &'static str, fields: &[&str]) -> Result<(), Refusal> {
        match self.target.query.keys().find(|field| !fields.contains(&field.as_str())) {
            Some(field) => Err(refusal(name, format!("`{field}` in the query is never asked for"))),
            None => Ok(()),
        }
    }

    fn new_name(&self, name: &'static str) -> Result<(), Refusal> {
        if self.target.query.get("name").is_some_and(|name| is_name(name)) {
            Ok(())
        } else {
            Err(refusal(name, "it gives no name, or none that the engine takes"))
        }
    }

    /// The client sends the field without a value.
    fn no_platform(&self, name: &'static str) -> Result<(), Refusal> {
        if self.target.query.get("platform").is_none_or(String::is_empty) {
            Ok(())
        } else {
            Err(refusal(name, "`platform` is never asked for"))
        }
    }
}

fn of_container(reference: &str, need: Need) -> Check {
    Check::Container { reference: reference.to_owned(), need }
}

impl Rules {
    /// Whether what the engine has told of the thing that a check is about allows the call. The error is the reason.
    pub fn allow(&self, check: &Check, found: &Found) -> Result<(), String> {
        let is_ours = found.labels.get(OWNER_LABEL) == Some(&self.owner);
        match check {
            Check::Container { need, .. } => self.allow_container(need, found, is_ours),
            Check::Network { goes: true, .. } if !is_ours => Err(format!("network {} is not ours", found.name)),
            Check::Network { goes: false, .. } if found.driver == "host" && !self.host_network => {
                Err("the host's network is not for containers (--allow-host-network)".to_owned())
            }
            Check::Volume { goes: true, .. } if !is_ours || !found.labels.contains_key(MARKER_LABEL) => {
                Err(format!("volume {} is no marker of ours, and what may hold data stays", found.name))
            }
            Check::Volume { goes: false, .. } if !is_ours && !self.volumes.contains(&found.name) => {
                Err(format!("volume {} is not ours (--allow-volume)", found.name))
            }
            Check::Network { .. } | Check::Volume { .. } | Check::Exec { .. } => Ok(()),
        }
    }

    /// Takes the variables out of the engine's description of a container, unless it is one that Mooring keeps: secrets stand
    /// in them. Those stay that say where a plugin's container listens.
    pub fn hide(&self, found: &Found, container: &mut Value) {
        let is_ours = found.labels.get(OWNER_LABEL) == Some(&self.owner);
        if is_ours || self.exec.contains(&found.name) || self.heal.iter().any(|selector| selector.means(found)) {
            return;
        }
        let is_shown = |line: &str| line.split_once('=').is_some_and(|(name, _)| SHOWN.contains(&name));
        if let Some(variables) = container.pointer_mut("/Config/Env").and_then(Value::as_array_mut) {
            variables.retain(|line| line.as_str().is_some_and(is_shown));
        }
    }

    fn allow_container(&self, need: &Need, found: &Found, is_ours: bool) -> Result<(), String> {
        let Found { name, .. } = found;
        let is_healed = || self.heal.iter().any(|selector| selector.means(found));
        let runs_any = || self.exec.contains(name);
        let runs_nginx = || self.nginx.contains(name);
        let may = is_ours
            || match need {
                Need::Own => false,
                Need::Heal => is_healed(),
                Need::Exec(command) => runs_any() || (runs_nginx() && is_nginx(command)),
                Need::Files => is_healed() || runs_any() || runs_nginx(),
            };
        let how = match need {
            Need::Own => String::new(),
            Need::Heal => " (--allow-heal)".to_owned(),
            Need::Exec(_) => " (--allow-exec, --allow-nginx)".to_owned(),
            Need::Files => " (--allow-nginx)".to_owned(),
        };
        if may { Ok(()) } else { Err(format!("container {name} does not belong to `{}`{how}", self.owner)) }
    }
}

impl Selector {
    fn means(&self, found: &Found) -> bool {
        match self {
            Self::Label(label, value) => {
                found.labels.get(label).is_some_and(|found| value.as_ref().is_none_or(|value| found == value))
            }
            Self::Name(name) => found.name == *name,
        }
    }
}

/// Whether it is one of the commands by which nginx is tested, shown and reloaded.
fn is_nginx(command: &[String]) -> bool {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["nginx", "-T" | "-t"] | ["nginx", "-t", "-q"] | ["nginx", "-s", "reload"] => true,
        ["nginx", "-t", "-q", "-c", path] => path.starts_with('/'),
        _ => false,
    }
}
