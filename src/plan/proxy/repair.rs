//! Sites that another tool has written: what can be mended in them is, and the rest is told.
//!
//! Nothing is remembered of a repair that worked: a repaired text has nothing
//! left to repair. One whose tool writes it anew is repaired anew. One that was
//! broken off by our death, with nginx perhaps serving by what nobody has
//! proven, is taken back first.

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
    /// What those were before a repair that was broken off, by the paths that nginx knows them by. Empty where nginx has been told
    /// of all its files.
    pub before: BTreeMap<PathBuf, String>,
    /// What is wanted and cannot be looked through or changed, and why.
    pub unread: BTreeMap<PathBuf, String>,
}

/// Decides about the sites of others, once there is nothing to do about our own.
pub(super) fn repair(look: &Look<'_>, plan: &mut Plan) {
    let (desired, observed) = (look.desired, look.observed);
    let (Some(wanted), Some(around)) = (&desired.repair, &observed.around) else { return };
    let only: BTreeSet<PathBuf> = around.named.keys().cloned().collect();
    let found = mended(look, (wanted, around), &around.texts, &only);
    tell(plan, around, &found);
    let NginxState::Present { nginx, is_running, address, .. } = &observed.nginx else { return };
    let files: Vec<Mended> = found
        .repaired
        .into_iter()
        .filter_map(|file| {
            let old = around.texts.get(&file.path)?.clone();
            change(around, &file, (old, file.text.clone()))
        })
        .collect();
    if files.is_empty() || !plan.steps.is_empty() {
        return;
    }
    if !is_running {
        plan.also_wait(desired.not_running());
        return;
    }
    let digest = digest(&files);
    let (rejection, is_too_early) = rejection(look, &digest);
    if !is_too_early {
        if let Some(until) = look.memory().next_reload(observed.at) {
            plan.also_wait(Wait::ReloadsSpaced { until });
            return;
        }
        let probes = address.as_ref().map(|address| probes(address, &files)).unwrap_or_default();
        plan.step(
            ProxyAction::RepairSites { nginx: nginx.clone(), mending: mending(look, files, probes, digest) },
            Why::FixedBackends,
        );
    }
    // Until it has worked it has not.
    if let Some(wait) = rejection {
        plan.also_wait(wait);
    }
}

/// Takes back what was mended by whoever died before it was proven: nginx has not been told, or not proven what it was told.
/// What somebody has written since is left alone.
pub(super) fn take_back(look: &Look<'_>, plan: &mut Plan) {
    let (desired, observed) = (look.desired, look.observed);
    let (Some(wanted), Some(around)) = (&desired.repair, &observed.around) else { return };
    if !observed.is_unloaded || around.before.is_empty() {
        return;
    }
    let mut texts = around.texts.clone();
    texts.extend(around.before.clone());
    let found = mended(look, (wanted, around), &texts, &around.before.keys().cloned().collect());
    let is_in_place = |file: &repair::Repaired| around.texts.get(&file.path) == Some(&file.text);
    let files = found.repaired.into_iter().filter(is_in_place).filter_map(|file| {
        let before = around.before.get(&file.path)?.clone();
        change(around, &file, (file.text.clone(), before))
    });
    let files: Vec<Mended> = files.collect();
    if files.is_empty() {
        return;
    }
    let digest = digest(&files);
    let (rejection, is_too_early) = rejection(look, &digest);
    if !is_too_early {
        plan.step(ProxyAction::RestoreSites { mending: mending(look, files, Vec::new(), digest) }, Why::RepairUnproven);
    }
    if let Some(wait) = rejection {
        plan.also_wait(wait);
    }
}

/// What can be mended of these among all of nginx's files.
fn mended(
    look: &Look<'_>,
    (wanted, around): (&Wanted, &Around),
    texts: &BTreeMap<PathBuf, String>,
    only: &BTreeSet<PathBuf>,
) -> repair::Repair {
    let resolver = &look.desired.config.resolver;
    let resolver = Resolver {
        address: resolver.address.clone(),
        valid: server::time(resolver.valid.0),
        timeout: server::time(resolver.timeout.0),
    };
    let main = around.main.as_deref();
    repair::plan(Files { texts, main, marker: &wanted.marker, only: Some(only), resolver: &resolver })
}

/// A repaired file that goes from one text to the other, if it is known where it is.
fn change(around: &Around, file: &repair::Repaired, (old, new): (String, String)) -> Option<Mended> {
    let changes = file.changes.iter().map(ToString::to_string).collect();
    Some(Mended { path: around.named.get(&file.path)?.clone(), seen_as: file.path.clone(), changes, old, new })
}

/// What is said of a change of these files that has failed before, and whether it is too early to try it again.
fn rejection(look: &Look<'_>, digest: &str) -> (Option<Wait>, bool) {
    let Some(refused) = look.memory().repair.as_ref().filter(|refused| refused.digest == digest) else { return (None, false) };
    let until = refused.retry_at(&look.desired.healing.backoff);
    (Some(Wait::ChangeRefused { reason: refused.reason.clone(), until }), look.observed.at < until)
}

fn mending(look: &Look<'_>, files: Vec<Mended>, probes: Vec<Probe>, digest: String) -> Mending {
    let desired = look.desired;
    let (proxy, directory, inside) = (desired.config.proxy.clone(), desired.directory.clone(), look.inside.clone());
    Mending { proxy, directory, inside, files, probes, digest }
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
