//! Sites that another tool has written: what can be mended in them is, and the rest is told.
//!
//! Nothing is remembered of a repair that worked: a repaired text has nothing
//! left to repair. One whose tool writes it anew is repaired anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use sha2::{Digest as _, Sha256};

use super::{
    Look, NginxState, ProxyAction,
    action::{Mended, Mending, Probe},
};
use crate::{
    nginx::{
        config::{Config, Directive},
        findings::Code,
        repair::{self, Files, Resolver},
    },
    plan::{Note, Plan, Wait, Why},
    sites::server,
};

/// More than these are not told one by one.
const TOLD: usize = 20;
/// More than these are not asked: each costs a request before the change and one after it.
const PROBES: usize = 32;

/// Which files may be repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Their paths on this host, absolute; `*` stands for any part of a name.
    pub files: Vec<PathBuf>,
    /// What the first line of one begins with that may be changed.
    pub marker: String,
}

/// nginx's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// The texts of all that could be read, by the paths that nginx knows them by.
    pub texts: BTreeMap<PathBuf, String>,
    /// nginx's main file, if it is among them.
    pub main: Option<PathBuf>,
    /// Where those that are wanted are on this host, by the paths that nginx knows them by.
    pub named: BTreeMap<PathBuf, PathBuf>,
    /// What is wanted and cannot be looked through or changed, and why.
    pub unread: BTreeMap<PathBuf, String>,
}

/// Decides about the sites of others, once there is nothing to do about our own.
pub(super) fn repair(look: &Look<'_>, plan: &mut Plan) {
    let (desired, observed) = (look.desired, look.observed);
    let (Some(wanted), Some(around)) = (&desired.repair, &observed.around) else { return };
    let only: BTreeSet<PathBuf> = around.named.keys().cloned().collect();
    let resolver = &desired.config.resolver;
    let resolver = Resolver {
        address: resolver.address.clone(),
        valid: server::time(resolver.valid.0),
        timeout: server::time(resolver.timeout.0),
    };
    let (texts, main) = (&around.texts, around.main.as_deref());
    let found = repair::plan(Files { texts, main, marker: &wanted.marker, only: Some(&only), resolver: &resolver });
    tell(plan, around, &found);
    let NginxState::Present { nginx, is_running, address, .. } = &observed.nginx else { return };
    let files: Vec<Mended> = found
        .repaired
        .into_iter()
        .filter_map(|file| {
            let changes = file.changes.iter().map(ToString::to_string).collect();
            let (path, old) = (around.named.get(&file.path)?.clone(), texts.get(&file.path)?.clone());
            Some(Mended { path, seen_as: file.path, changes, old, new: file.text })
        })
        .collect();
    if files.is_empty() || !plan.steps.is_empty() {
        return;
    }
    if !is_running {
        plan.also_wait(desired.not_running());
        return;
    }
    let (memory, digest) = (look.memory(), digest(&files));
    let refused = memory.repair.as_ref().filter(|refused| refused.digest == digest);
    let rejection = refused.map(|refused| {
        let until = refused.retry_at(&desired.healing.backoff);
        (Wait::ChangeRefused { reason: refused.reason.clone(), until }, until)
    });
    let is_too_early = rejection.as_ref().is_some_and(|(_, until)| observed.at < *until);
    if !is_too_early {
        if let Some(until) = memory.next_reload(observed.at) {
            plan.also_wait(Wait::ReloadsSpaced { until });
            return;
        }
        let probes = address.as_ref().map(|address| probes(address, &files)).unwrap_or_default();
        let (proxy, directory, inside) = (desired.config.proxy.clone(), desired.directory.clone(), look.inside.clone());
        let mending = Mending { proxy, directory, inside, files, probes, digest };
        plan.step(ProxyAction::RepairSites { nginx: nginx.clone(), mending }, Why::FixedBackends);
    }
    // Until it has worked it has not.
    if let Some((wait, _)) = rejection {
        plan.also_wait(wait);
    }
}

/// What a person has to change, and what nobody can look at.
fn tell(plan: &mut Plan, around: &Around, found: &repair::Repair) {
    let on_host = |path: &PathBuf| around.named.get(path).unwrap_or(path).display().to_string();
    let unread = around.unread.iter();
    plan.notes.extend(unread.map(|(path, reason)| Note::SiteUnread { file: path.display().to_string(), reason: reason.clone() }));
    // A followed backend that is fixed elsewhere is told wherever it is: it may be one of our own.
    let mut concerned =
        found.findings.iter().filter(|finding| around.named.contains_key(&finding.path) || finding.code == Code::FollowedInVain);
    plan.notes.extend(concerned.by_ref().take(TOLD).map(|finding| Note::SiteFinding {
        place: format!("{}:{}", on_host(&finding.path), finding.line),
        message: finding.message.clone(),
        changes: finding.changes.clone(),
    }));
    let more = concerned.count();
    if more > 0 {
        plan.notes.push(Note::MoreSiteFindings { more });
    }
}

fn digest(files: &[Mended]) -> String {
    let mut hasher = Sha256::new();
    for Mended { path, new, .. } in files {
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update([0]);
        hasher.update(crate::sites::site::hash(new));
    }
    hex::encode(hasher.finalize())
}

/// What is asked before and after: in each server that can be asked without TLS, every place that leads to a backend.
fn probes(address: &str, files: &[Mended]) -> Vec<Probe> {
    let mut probes = Vec::new();
    for config in files.iter().filter_map(|file| Config::parse(&file.new).ok()) {
        for server in servers(&config.directives) {
            let Some(port) = port(server) else { continue };
            let mut paths = Vec::new();
            places(server.children(), &mut paths);
            let name = argument(server, "server_name").filter(|name| !name.contains(['*', '~', '_', '$']) && !name.is_empty());
            let host = name.unwrap_or(address);
            probes.extend(paths.into_iter().map(|path| Probe { to: format!("{address}:{port}"), host: host.to_owned(), path }));
        }
    }
    probes.truncate(PROBES);
    probes
}

fn servers(directives: &[Directive]) -> Vec<&Directive> {
    let is_server = |directive: &&Directive| directive.is("server") && directive.block.is_some();
    let outer = directives.iter().filter(is_server);
    let inner = directives.iter().filter(|directive| directive.is("http")).flat_map(Directive::children).filter(is_server);
    outer.chain(inner).collect()
}

fn argument<'a>(server: &'a Directive, name: &str) -> Option<&'a str> {
    server.children().iter().find(|directive| directive.is(name))?.argument(0)
}

/// A port on which it speaks plain HTTP to everybody.
fn port(server: &Directive) -> Option<u16> {
    let mut listens = server.children().iter().filter(|directive| directive.is("listen")).peekable();
    if listens.peek().is_none() {
        return Some(80);
    }
    listens.find_map(|listen| {
        if listen.arguments.iter().any(|word| ["ssl", "quic", "proxy_protocol"].contains(&word.value.as_str())) {
            return None;
        }
        let at = listen.argument(0)?;
        let (address, port) = at.rsplit_once(':').unwrap_or(("*", at));
        if ["*", "0.0.0.0", "[::]"].contains(&address) { port.parse().ok() } else { None }
    })
}

/// The beginnings of paths that lead to backends.
fn places(directives: &[Directive], paths: &mut Vec<String>) {
    for directive in directives.iter().filter(|directive| directive.is("location")) {
        let path = match directive.arguments.as_slice() {
            [path] => Some(&path.value),
            [how, path] if how.value == "=" || how.value == "^~" => Some(&path.value),
            _ => None,
        };
        let leads_on = directive.children().iter().any(|inner| inner.is("proxy_pass"));
        paths.extend(path.filter(|path| leads_on && is_request_path(path)).cloned());
        places(directive.children(), paths);
    }
}

fn is_request_path(path: &str) -> bool {
    path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic())
}
