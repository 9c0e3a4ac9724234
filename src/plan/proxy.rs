//! Decides what to do about one nginx.
//!
//! The files are made anew from routes and addresses at every look, and
//! compared with those that are there; how far a change got is read off the
//! files, off what nginx was last told to load, and off what was last proven. A
//! configuration that did not work is taken back by making the files from the
//! last one that did, with the addresses as they are *now*: old files would lead
//! to where the backends were.

pub mod action;
mod changes;
pub mod dns;
pub mod memory;
pub mod repair;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{Action, History, Note, Plan, Step, Wait, Why, container::Readiness, fight::Contests};
use crate::{
    manifest::{Key, container::Healing, proxy::OnHandEdit},
    sites::{self, CertificateState, Config, Sites, Surroundings, config::Pair, site::Addresses},
};
use action::{Asked, Behind, Change, Proof};
pub use action::{Nginx, ProxyAction};
use changes::{Changes, changes};
pub use dns::Dns;
pub use memory::Memory;
use memory::{Rejected, Stage};

/// What the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// What is to be served.
    pub config: Config,
    /// The nginx that serves it.
    pub server: Server,
    /// The directory of the files, absolute.
    pub directory: PathBuf,
    /// Where nginx sees directories of this host, as the manifest says.
    pub mounts: BTreeMap<PathBuf, String>,
    /// What happens to a file that somebody has edited.
    pub on_hand_edit: OnHandEdit,
    /// The sites of others that are repaired.
    pub repair: Option<repair::Wanted>,
    /// Backoff.
    pub healing: Healing,
}

/// Which nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// That of a `Container`.
    Container(Key),
    /// One on the host.
    Host {
        /// The command that runs it.
        command: Vec<String>,
        /// The command that reloads it.
        reload: Vec<String>,
        /// Where it answers.
        address: String,
    },
}

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// The nginx.
    pub nginx: NginxState,
    /// The files in the directory by name, or why it cannot be read.
    pub files: Result<BTreeMap<String, FileState>, String>,
    /// Whether files were changed and nginx has not been told yet: a mark beside them, for what we remember may be
    /// older than what we did.
    pub is_unloaded: bool,
    /// The backends by their objects' names.
    pub backends: BTreeMap<String, Backend>,
    /// The certificate pairs by host.
    pub certificates: BTreeMap<String, CertificateState>,
    /// What the server that nginx asks for names answers, if it could be asked.
    pub dns: Option<Dns>,
    /// nginx's files, if sites of others are to be repaired.
    pub around: Option<repair::Around>,
    /// What is remembered.
    pub history: History,
    /// What somebody else undoes again and again.
    pub contests: Contests,
}

/// The nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NginxState {
    /// There is none.
    Absent,
    /// There is one.
    Present {
        /// How to reach it.
        nginx: Nginx,
        /// Whether it runs.
        is_running: bool,
        /// Which one, and since when it runs.
        instance: String,
        /// Where it answers, if it has an address.
        address: Option<String>,
        /// What it sees of this host: directories there, and inside.
        mounts: Vec<(PathBuf, String)>,
    },
}

/// A file in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Somebody else's.
    Foreign,
    /// A generated one.
    Ours {
        /// What it says of itself.
        seal: sites::site::Seal,
        /// The digest of all of it.
        hash: String,
    },
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Where nginx reaches it: nowhere, when it is down.
    pub addresses: BTreeSet<String>,
    /// Where its running containers are on the networks that nginx is on, those that are not healthy as well.
    pub places: BTreeSet<String>,
    /// What the network's DNS really knows it by, when that is another name than the manifest lets one think.
    pub name: Option<String>,
    /// How it fares.
    pub readiness: Readiness,
    /// Whether it runs, but on no network that nginx is on.
    pub is_apart: bool,
}

/// Compares what should be with what is, and says how to close the gap.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let look = match Look::new(desired, observed) {
        Ok(look) => look.holding_on_to_certificates(),
        Err(wait) => return Plan::waiting(wait),
    };
    let mut plan = Plan { notes: look.notes(), ..Plan::default() };
    repair::take_back(&look, &mut plan);
    if !plan.steps.is_empty() {
        return plan;
    }
    let memory = look.memory();
    let wanted = look.render(&desired.config);
    let standing = Standing::of(&look, memory, &wanted);
    match standing {
        Standing::Good(earlier) => {
            look.bring_about(&mut plan, &desired.config, &wanted, Manner { may_prove: true, is_urgent: false });
            // Until it has worked it has not.
            if let Some(rejected) = earlier.filter(|_| !plan.steps.is_empty()) {
                plan.also_wait(desired.rejection(rejected));
            }
        }
        // The same content as before would fail as before; but what is in force is kept in order.
        Standing::Refused(rejected) => {
            let is_urgent = look.has_to_go_back(memory, rejected);
            match &memory.good {
                Some(good) if good.digest() != rejected.config => {
                    let manner = Manner { may_prove: !rejected.is_no_way_back, is_urgent };
                    look.bring_about(&mut plan, good, &look.render(good), manner);
                }
                _ if rejected.stage == Stage::Proof => {
                    let manner = Manner { may_prove: false, is_urgent };
                    look.bring_about(&mut plan, &desired.config, &wanted, manner);
                }
                _ => {}
            }
            plan.also_wait(desired.rejection(rejected));
        }
    }
    repair::repair(&look, &mut plan);
    plan
}

/// The container whose nginx may have died of its files, which are right now: they were put so by what was done, and nginx could
/// not be told.
#[must_use]
pub fn put_right<'a>(desired: &'a Desired, done: &[&Step]) -> Option<&'a Key> {
    let Server::Container(key) = &desired.server else { return None };
    let has = |is_meant: fn(&ProxyAction) -> bool| {
        done.iter().any(|step| matches!(&step.action, Action::Proxy(action) if is_meant(action)))
    };
    let is_written = has(|action| matches!(action, ProxyAction::SwapSites { .. }));
    let is_told = has(|action| matches!(action, ProxyAction::ReloadProxy { .. }));
    (is_written && !is_told).then_some(key)
}

/// Whether the wanted configuration may be tried.
enum Standing<'a> {
    /// It may, although it may have failed before.
    Good(Option<&'a Rejected>),
    /// It has failed, and not long ago.
    Refused(&'a Rejected),
}

/// How files are brought into force.
#[derive(Clone, Copy)]
struct Manner {
    /// Whether requests are made to see that they work.
    may_prove: bool,
    /// Whether what is in force harms, so that nothing is worth waiting for.
    is_urgent: bool,
}

impl<'a> Standing<'a> {
    fn of(look: &Look<'_>, memory: &'a Memory, wanted: &Sites) -> Self {
        let (desired, at) = (look.desired, look.observed.at);
        let Some(rejected) = memory.rejected.as_ref().filter(|rejected| rejected.config == desired.config.digest()) else {
            return Self::Good(None);
        };
        // A test costs nothing and is repeated as soon as the files are others, by a new certificate perhaps. A proof is
        // made on living traffic: it is repeated only after a pause.
        let is_other = rejected.stage != Stage::Proof && rejected.digest != sites::site::digest(wanted);
        if look.has_to_go_back(memory, rejected) {
            return Self::Refused(rejected);
        }
        if is_other || at >= rejected.retry_at(&desired.healing.backoff) {
            Self::Good(Some(rejected))
        } else {
            Self::Refused(rejected)
        }
    }
}

/// Both sides, and what follows from them at once.
struct Look<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    files: &'a BTreeMap<String, FileState>,
    mounts: Vec<(PathBuf, String)>,
    addresses: Addresses,
    names: BTreeMap<String, String>,
    certificates: BTreeMap<String, CertificateState>,
    inside: String,
}

impl<'a> Look<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed) -> Result<Self, Wait> {
        let unreadable =
            |reason: &String| Wait::UnreadableFile { file: desired.directory.display().to_string(), reason: reason.clone() };
        let files = observed.files.as_ref().map_err(unreadable)?;
        let NginxState::Present { mounts, .. } = &observed.nginx else {
            return Err(desired.absent());
        };
        let given = desired.mounts.iter().map(|(outside, inside)| (outside.clone(), inside.clone()));
        let mounts: Vec<_> = given.chain(mounts.iter().cloned()).collect();
        let inside = seen(&mounts, &desired.directory);
        let inside = inside.ok_or_else(|| Wait::OutOfSight { path: desired.directory.display().to_string() })?;
        let addresses = observed.backends.iter().map(|(name, backend)| (name.clone(), backend.addresses.clone())).collect();
        let known = |(backend, seen): (&String, &Backend)| Some((backend.clone(), seen.name.clone()?));
        let names = observed.backends.iter().filter_map(known).collect();
        let certificates = observed.certificates.clone();
        Ok(Self { desired, observed, files, mounts, addresses, names, certificates, inside })
    }

    /// A certificate that is away is one that nginx still serves by, until it has to read its files again. So where nothing
    /// else is to change, nothing is taken from those who come over TLS: a renewal may be under way.
    fn holding_on_to_certificates(mut self) -> Self {
        let NginxState::Present { is_running, instance, .. } = &self.observed.nginx else { return self };
        let is_loaded = self.memory().loaded.as_ref().is_some_and(|loaded| loaded.instance == *instance);
        if !is_running || !is_loaded || self.observed.is_unloaded {
            return self;
        }
        let lost: Vec<_> = self.lost_certificates().collect();
        if lost.is_empty() {
            return self;
        }
        let mut held = self.certificates.clone();
        held.extend(lost.into_iter().map(|(host, digest)| (host.clone(), CertificateState::Present { digest })));
        let without = std::mem::replace(&mut self.certificates, held);
        if !changes((self.desired, &self.observed.contests), self.files, &self.render(&self.desired.config), self.memory())
            .is_empty()
        {
            self.certificates = without;
        }
        self
    }

    /// The digest of the pair that a host's file was made for.
    fn certificate_in_force(&self, host: &str) -> Option<String> {
        match self.files.get(&sites::file_name(host))? {
            FileState::Ours { seal, .. } if seal.proxy == self.desired.config.proxy => seal.certificate.clone(),
            FileState::Ours { .. } | FileState::Foreign => None,
        }
    }

    /// The hosts whose files ask for a pair that is not there, with the digest of the one that they ask for: no nginx can
    /// start with these files.
    fn lost_certificates(&self) -> impl Iterator<Item = (&'a String, String)> {
        let is_missing = |state: &CertificateState| matches!(state, CertificateState::Missing { .. });
        let missing = self.observed.certificates.iter().filter(move |(_, state)| is_missing(state));
        missing.filter_map(|(host, _)| Some((host, self.certificate_in_force(host)?)))
    }

    fn memory(&self) -> &'a Memory {
        static NOTHING: Memory =
            Memory { loaded: None, proven: None, good: None, rejected: None, repair: None, reloads: Vec::new() };
        self.observed.history.proxy.as_deref().unwrap_or(&NOTHING)
    }

    fn render(&self, config: &Config) -> Sites {
        let seen = |path: &Path| seen(&self.mounts, path);
        sites::render(
            config,
            &Surroundings { addresses: &self.addresses, names: &self.names, certificates: &self.certificates, seen: &seen },
        )
    }

    /// Whether nginx serves by files that do not work while others are known that did.
    fn has_to_go_back(&self, memory: &Memory, rejected: &Rejected) -> bool {
        let is_in_force = memory.loaded.as_ref().is_some_and(|loaded| loaded.digest == rejected.digest);
        let may_help = |good: &Config| sites::site::digest(&self.render(good)) != rejected.digest;
        rejected.stage == Stage::Proof && !rejected.is_no_way_back && is_in_force && memory.good.as_ref().is_some_and(may_help)
    }

    /// Makes these files the ones that nginx serves by.
    fn bring_about(&self, plan: &mut Plan, config: &Config, sites: &Sites, manner: Manner) {
        let (desired, observed) = (self.desired, self.observed);
        let changes = changes((desired, &observed.contests), self.files, sites, self.memory());
        if let Some(file) = &changes.taken {
            plan.also_wait(Wait::FileTaken { file: desired.directory.join(file).display().to_string() });
            return;
        }
        if changes.left.is_empty() {
            plan.notes.extend(changes.kept.iter().map(|file| Note::HandEditKept { file: file.clone() }));
        } else {
            plan.also_wait(observed.contests.wait(changes.left.clone()));
        }
        let NginxState::Present { nginx, is_running, instance, address, .. } = &observed.nginx else { return };
        let digest = sites::site::digest(sites);
        let change = self.change(config, sites, &digest, &changes);
        if !is_running {
            // It may be down because of what somebody did to the files. What it has loaded, or is known to work, can be put back
            // untested, also with other addresses in it, and so can anything where what is there is known not to work.
            let memory = self.memory();
            let is_loaded = memory.loaded.as_ref().is_some_and(|loaded| loaded.config == config.digest());
            let is_known = is_loaded || memory.proven.as_ref() == Some(&digest) || memory.good.as_ref() == Some(config);
            let may_be_put = is_known || self.lost_certificates().next().is_some();
            if !changes.is_empty() && may_be_put {
                plan.step(ProxyAction::SwapSites { change }, changes.why.clone());
            }
            plan.also_wait(desired.not_running());
            return;
        }
        let memory = self.memory();
        let is_known = memory.loaded.as_ref().is_some_and(|loaded| loaded.digest == digest && loaded.instance == *instance);
        let is_loaded = is_known && !observed.is_unloaded;
        let is_proven = memory.proven.as_ref() == Some(&digest);
        if changes.is_empty() && is_loaded && (is_proven || !manner.may_prove) {
            return;
        }
        let why = self.why(&changes, is_loaded, instance);
        if !changes.is_empty() || !is_loaded {
            if let Some(until) = memory.next_reload(observed.at).filter(|_| !manner.is_urgent) {
                plan.also_wait(Wait::ReloadsSpaced { until });
                return;
            }
            // With nothing but other addresses in them they are as good as those before, and nginx tests them once more
            // when it is told to reload. A wrong backend is worse than a test that is made a moment later.
            if !changes.is_empty() && !changes.only_addresses {
                plan.step(ProxyAction::TestSites { change: change.clone(), nginx: nginx.clone() }, why.clone());
            }
            if !changes.is_empty() {
                plan.step(ProxyAction::SwapSites { change }, why.clone());
            }
            let reload = ProxyAction::ReloadProxy {
                nginx: nginx.clone(),
                proxy: config.proxy.clone(),
                directory: desired.directory.clone(),
                digest: digest.clone(),
                instance: instance.clone(),
                config: config.digest(),
            };
            plan.step(reload, why.clone());
        }
        if let Some(address) = address {
            let proof = Box::new(self.proof(config, sites, &changes, (digest, address.clone())));
            plan.step(ProxyAction::ProveRoutes { nginx: nginx.clone(), proof }, why);
        }
    }

    fn why(&self, changes: &Changes, is_loaded: bool, instance: &str) -> Why {
        let memory = self.memory();
        let refused = memory.rejected.as_ref().filter(|rejected| rejected.config == self.desired.config.digest());
        if !changes.is_empty() {
            return changes.why.clone();
        }
        match &memory.loaded {
            Some(loaded) if loaded.instance != instance => Why::NginxRestarted,
            _ if !is_loaded => Why::NotLoaded,
            _ => match refused {
                Some(rejected) => Why::NotProven { reason: Some(rejected.reason.clone()) },
                None => Why::NotProven { reason: None },
            },
        }
    }

    fn change(&self, config: &Config, sites: &Sites, digest: &str, changes: &Changes) -> Change {
        Change {
            proxy: config.proxy.clone(),
            directory: self.desired.directory.clone(),
            inside: self.inside.clone(),
            write: changes.write.clone(),
            remove: changes.remove.clone(),
            sites: sites
                .iter()
                .filter(|(name, _)| !changes.kept.contains(name))
                .map(|(name, site)| (name.clone(), site.clone()))
                .collect(),
            digest: digest.to_owned(),
            config: config.digest(),
        }
    }

    /// What to ask: what changes now, and what has changed since everything last worked. Without either it is not known
    /// any more what has changed, and everything is asked.
    fn proof(&self, config: &Config, sites: &Sites, changes: &Changes, (digest, address): (String, String)) -> Proof {
        let good = self.memory().good.as_ref();
        let is_new = |host: &str| good.is_none_or(|good| good.hosts.get(host) != config.hosts.get(host));
        let concerned = |host: &str| {
            let file = sites::file_name(host);
            let is_asked = changes.is_empty() || changes.write.contains(&file) || is_new(host);
            is_asked && !changes.kept.contains(&file)
        };
        let version =
            |host: &String| sites.get(&sites::file_name(host)).and_then(|site| Some((host.clone(), site.token.clone()?)));
        let is_up = |backend: &str| {
            self.observed
                .backends
                .get(backend)
                .is_some_and(|backend| backend.readiness == Readiness::Healthy && !backend.addresses.is_empty())
        };
        // What is redirected can only be asked for over TLS: that nginx redirects it proves that it has the file.
        let is_plain = |host: &str| {
            let tls = config.hosts.get(host).and_then(|host| host.certificate.as_ref()).is_some_and(|pair| pair.redirect);
            !tls || !matches!(self.observed.certificates.get(host), Some(CertificateState::Present { .. }))
        };
        let (routes, hidden): (Vec<_>, Vec<_>) = config
            .routes()
            .filter(|(host, route)| concerned(host) && is_up(&route.to.container))
            .partition(|(host, _)| is_plain(host));
        let behind = hidden.into_iter().map(|(host, route)| Behind {
            host: host.to_owned(),
            path: route.path.clone(),
            places: self
                .addresses
                .get(&route.to.container)
                .into_iter()
                .flatten()
                .map(|address| sites::literal(address, route.to.port))
                .collect(),
        });
        Proof {
            address,
            port: config.listen.http,
            versions: config.hosts.keys().filter(|host| concerned(host)).filter_map(version).collect(),
            behind: behind.collect(),
            routes: routes
                .into_iter()
                .map(|(host, route)| Asked {
                    host: host.to_owned(),
                    path: route.probe.clone().unwrap_or_else(|| route.path.clone()),
                    backend: route.to.container.clone(),
                })
                .collect(),
            digest,
            config: config.clone(),
        }
    }

    fn notes(&self) -> Vec<Note> {
        let apart = self.observed.backends.iter().filter(|(_, backend)| backend.is_apart);
        let apart = apart.map(|(name, _)| Note::NoSharedNetwork { container: name.clone() });
        let pair = |host: &str| self.desired.config.hosts.get(host).and_then(|host| host.certificate.as_ref());
        let certificates = self.observed.certificates.iter().filter_map(|(host, state)| match state {
            CertificateState::Missing { reason } => {
                let (host, reason) = (host.clone(), reason.clone());
                let is_held = matches!(self.certificates.get(&host), Some(CertificateState::Present { .. }));
                Some(if is_held { Note::CertificateAway { host, reason } } else { Note::NoCertificate { host, reason } })
            }
            CertificateState::Present { .. } => {
                let Pair { certificate, key, .. } = pair(host)?;
                let hidden = [certificate, key].into_iter().find(|path| seen(&self.mounts, path).is_none())?;
                let reason = format!("nginx does not see {}", hidden.display());
                Some(Note::NoCertificate { host: host.clone(), reason })
            }
        });
        apart.chain(certificates).chain(self.misled()).collect()
    }
}

impl Desired {
    fn rejection(&self, rejected: &Rejected) -> Wait {
        let (reason, until) = (rejected.reason.clone(), rejected.retry_at(&self.healing.backoff));
        match rejected.stage {
            Stage::Test | Stage::Reload => Wait::ChangeRefused { reason, until },
            Stage::Proof => Wait::RouteFails { reason, until },
        }
    }

    fn not_running(&self) -> Wait {
        Wait::Dependency { object: self.container().unwrap_or(&self.key).clone(), condition: "running".to_owned() }
    }

    fn absent(&self) -> Wait {
        Wait::NoContainer { object: self.container().unwrap_or(&self.key).clone() }
    }

    /// nginx's main file.
    #[must_use]
    pub fn main(&self) -> &str {
        let command: &[String] = match &self.server {
            Server::Container(_) => &[],
            Server::Host { command, .. } => command,
        };
        let named = command.windows(2).rfind(|words| words[0] == "-c").map(|words| words[1].as_str());
        named.unwrap_or("/etc/nginx/nginx.conf")
    }

    /// Whether this is the nginx on the host, or that of a container.
    #[must_use]
    pub fn container(&self) -> Option<&Key> {
        match &self.server {
            Server::Container(key) => Some(key),
            Server::Host { .. } => None,
        }
    }

    /// The directories in which a change by somebody else matters: that of the files, those of certificates, and those of
    /// sites that are repaired.
    #[must_use]
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let pairs = self.config.hosts.values().filter_map(|host| host.certificate.as_ref());
        let certificates = pairs.flat_map(|pair| [&pair.certificate, &pair.key]).filter_map(|path| path.parent());
        let repaired = self.repair.iter().flat_map(|wanted| &wanted.files).filter_map(|path| path.parent());
        // With a pattern in a directory's name, the next look finds what is new.
        let repaired = repaired.filter(|path| !path.to_string_lossy().contains(['*', '?', '[']));
        certificates.chain(repaired).map(Path::to_owned).chain([self.directory.clone()]).collect()
    }
}

/// Where nginx sees a path of this host: by the longest directory around it.
#[must_use]
pub fn seen(mounts: &[(PathBuf, String)], path: &Path) -> Option<String> {
    let around = mounts.iter().filter_map(|(outside, inside)| Some((outside, inside, path.strip_prefix(outside).ok()?)));
    let (_, inside, rest) = around.max_by_key(|(outside, ..)| outside.components().count())?;
    let inside = inside.trim_end_matches('/');
    Some(if rest.as_os_str().is_empty() { inside.to_owned() } else { format!("{inside}/{}", rest.display()) })
}
