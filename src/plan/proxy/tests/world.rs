//! A small nginx with its files: it loads what it is told to, refuses one port, and finds nobody behind another.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::*;
use crate::{
    manifest::{
        Kind,
        proxy::{Listen, Resolver, Upstreams},
    },
    plan::proxy::repair::Around,
    plan::{Action, Step},
    sites::{config::Host, site},
};

/// A port of routes that nginx refuses when it tests, for the sake of a header.
pub(super) const REFUSED: u16 = 666;
/// A port that nobody listens on.
pub(super) const DEAD: u16 = 999;

pub(super) struct World {
    pub(super) desired: Desired,
    pub(super) files: BTreeMap<String, String>,
    pub(super) running: bool,
    pub(super) is_absent: bool,
    /// The engine refuses to ask nginx anything.
    pub(super) is_out_of_reach: bool,
    /// What somebody else undoes again and again.
    pub(super) contests: Contests,
    /// What the network's DNS answers.
    pub(super) dns: BTreeMap<String, dns::Answer>,
    /// What it really knows backends by.
    pub(super) names: BTreeMap<String, String>,
    /// The certificate pairs.
    pub(super) certificates: BTreeMap<String, CertificateState>,
    loaded: BTreeMap<String, String>,
    starts: u32,
    places: BTreeMap<String, BTreeSet<String>>,
    now: Timestamp,
    history: History,
    /// A route to a backend that is down cannot be found wrong before it is up.
    was_down: bool,
    is_unloaded: bool,
    before: BTreeMap<String, String>,
    by_hand: String,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            desired: Desired {
                key: Key::new(Kind::Proxy, "edge"),
                generation: 1,
                config: Config {
                    proxy: "edge".to_owned(),
                    upstreams: Upstreams::Resolver,
                    resolver: Resolver::default(),
                    listen: Listen::default(),
                    hosts: BTreeMap::new(),
                    names: BTreeMap::new(),
                    default_status: None,
                    unavailable_page: None,
                },
                server: Server::Container(Key::new(Kind::Container, "nginx")),
                directory: "/srv/sites".into(),
                mounts: BTreeMap::new(),
                on_hand_edit: OnHandEdit::Restore,
                repair: None,
                healing: Healing::default(),
            },
            files: BTreeMap::from([("hand.conf".to_owned(), "server {}\n".to_owned())]),
            running: true,
            is_absent: false,
            is_out_of_reach: false,
            contests: Contests::default(),
            dns: BTreeMap::new(),
            names: BTreeMap::new(),
            certificates: BTreeMap::new(),
            loaded: BTreeMap::new(),
            starts: 1,
            places: BTreeMap::new(),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            history: History::default(),
            was_down: false,
            is_unloaded: false,
            before: BTreeMap::new(),
            by_hand: "server {}\n".to_owned(),
        };
        world.place("api", &["10.0.0.2"]);
        world.add_route("api.test", "api", 80);
        world
    }

    // What happens outside

    pub(super) fn place(&mut self, backend: &str, at: &[&str]) {
        self.was_down |= at.is_empty();
        self.places.insert(backend.to_owned(), at.iter().map(|address| (*address).to_owned()).collect());
    }

    /// Another manifest, and so another generation.
    pub(super) fn add_route(&mut self, host: &str, backend: &str, port: u16) {
        let header = if port == REFUSED { "$refused" } else { "" };
        let route = json!({
            "host": host, "to": {"container": backend, "port": port}, "responseHeaders": {"X-Test": header},
        });
        let host_ = Host { certificate: None, routes: vec![serde_json::from_value(route).unwrap()] };
        self.desired.config.hosts.insert(host.to_owned(), host_);
        self.another_manifest();
    }

    /// The host of `api` has a certificate.
    pub(super) fn certify(&mut self) {
        let file = |name: &str| Path::new("/srv/certs").join(name);
        let pair = Pair { certificate: file("api.crt"), key: file("api.key"), redirect: true };
        self.desired.config.hosts.get_mut("api.test").unwrap().certificate = Some(pair);
        self.certificates.insert("api.test".to_owned(), CertificateState::Present { digest: "c1".to_owned() });
        self.another_manifest();
    }

    pub(super) fn lose_certificate(&mut self) {
        let reason = "api.key is not there".to_owned();
        self.certificates.insert("api.test".to_owned(), CertificateState::Missing { reason });
    }

    pub(super) fn remove_host(&mut self, host: &str) {
        self.desired.config.hosts.remove(host);
        self.another_manifest();
    }

    fn another_manifest(&mut self) {
        self.desired.generation += 1;
        self.history = std::mem::take(&mut self.history).for_generation(self.desired.generation);
    }

    pub(super) fn edit(&mut self, file: &str) {
        if let Some(text) = self.files.get_mut(file) {
            text.push_str("# by hand\n");
        }
    }

    /// Another tool has written its site, whose backend is fixed; and somebody has written one by hand.
    pub(super) fn generate(&mut self, more: &str) {
        let site = |name: &str, to: &str| {
            format!("server {{\n    server_name {name};\n    location / {{\n        {more}proxy_pass http://{to};\n    }}\n}}\n")
        };
        self.by_hand = site("hand.test", "other:80").replace(more, "");
        self.files.insert("hand.conf".to_owned(), self.by_hand.clone());
        self.files.insert("tool.conf".to_owned(), format!("# Generated by tool\n{}", site("tool.test", "db:80")));
        self.desired.repair =
            Some(repair::Wanted { files: vec!["/srv/sites/*.conf".into()], marker: "# Generated by tool".to_owned() });
    }

    pub(super) fn restart(&mut self) {
        self.starts += 1;
        self.running = true;
        self.loaded = self.files.clone();
    }

    pub(super) fn advance(&mut self, millis: i64) {
        self.now += SignedDuration::from_millis(millis);
    }

    // What Mooring does

    pub(super) fn observed(&self) -> Observed {
        let file = |text: &String| match site::read(text) {
            Some(seal) => FileState::Ours { seal, hash: site::hash(text) },
            None => FileState::Foreign,
        };
        let backend = |name: &String, addresses: &BTreeSet<String>| Backend {
            readiness: if addresses.is_empty() { Readiness::Down } else { Readiness::Healthy },
            addresses: addresses.clone(),
            places: addresses.clone(),
            name: self.names.get(name).cloned(),
            is_apart: false,
        };
        Observed {
            at: self.now,
            nginx: if self.is_absent {
                NginxState::Absent
            } else {
                NginxState::Present {
                    nginx: Nginx::Container(crate::plan::Target::seen("c1", "nginx")),
                    is_running: self.running,
                    instance: self.starts.to_string(),
                    address: Some("10.0.0.1".to_owned()),
                    mounts: vec![("/srv".into(), "/etc/nginx".to_owned())],
                }
            },
            files: Ok(self.files.iter().map(|(name, text)| (name.clone(), file(text))).collect()),
            is_unloaded: self.is_unloaded,
            backends: self.places.iter().map(|(name, addresses)| (name.clone(), backend(name, addresses))).collect(),
            certificates: self.certificates.clone(),
            contests: self.contests.clone(),
            dns: Some(Dns { server: ([127, 0, 0, 11], 53).into(), answers: self.dns.clone() }),
            around: self.desired.repair.as_ref().map(|_| self.around()),
            history: self.history.clone(),
        }
    }

    /// All files, as nginx includes them.
    fn around(&self) -> Around {
        let inside = |name: &String| Path::new("/etc/nginx/sites").join(name);
        let main = PathBuf::from("/etc/nginx/nginx.conf");
        let mut texts: BTreeMap<_, _> = self.files.iter().map(|(name, text)| (inside(name), text.clone())).collect();
        texts.insert(main.clone(), "events {}\nhttp { include sites/*.conf; }\n".to_owned());
        let others = self.files.iter().filter(|(_, text)| site::read(text).is_none());
        let named = others.map(|(name, _)| (inside(name), Path::new("/srv/sites").join(name))).collect();
        let before = self.before.iter().map(|(name, text)| (inside(name), text.clone())).collect();
        Around { texts, main: Some(main), named, before, unread: BTreeMap::new() }
    }

    pub(super) fn pass(&mut self) {
        self.steps(usize::MAX);
    }

    /// So many steps are taken, and the last one is forgotten.
    pub(super) fn die_after(&mut self, steps: usize) {
        self.steps(steps);
    }

    /// A repair is made and loaded, and its proof is never heard of.
    pub(super) fn die_in_the_repair(&mut self) {
        let plan = plan(&self.desired, &self.observed());
        let Action::Proxy(ProxyAction::RepairSites { mending, .. }) = &plan.steps[0].action else { panic!("{plan}") };
        self.before = mending.files.iter().map(|file| (name(file), file.old.clone())).collect();
        self.take(&plan.steps[0]);
        self.is_unloaded = true;
    }

    fn steps(&mut self, limit: usize) {
        for (number, step) in plan(&self.desired, &self.observed()).steps.iter().enumerate() {
            if let Some(action) = self.in_vain(step) {
                self.history = std::mem::take(&mut self.history).unasked(action, self.now);
                return;
            }
            let failure = self.take(step);
            if number >= limit {
                return;
            }
            self.history = std::mem::take(&mut self.history).after(step, failure.as_deref(), self.now);
            if failure.is_some() {
                return;
            }
        }
    }

    /// The step that cannot be taken, as the engine does not ask nginx.
    fn in_vain<'a>(&self, step: &'a Step) -> Option<&'a ProxyAction> {
        let Action::Proxy(action) = &step.action else { return None };
        let asks = match action {
            ProxyAction::TestSites { .. } | ProxyAction::ReloadProxy { .. } | ProxyAction::RepairSites { .. } => true,
            ProxyAction::SwapSites { .. } | ProxyAction::RestoreSites { .. } | ProxyAction::ProveRoutes { .. } => false,
        };
        (self.is_out_of_reach && asks).then_some(action)
    }

    fn take(&mut self, step: &Step) -> Option<String> {
        let Action::Proxy(action) = &step.action else { unreachable!("a Proxy's plan has only steps of its own") };
        match action {
            ProxyAction::TestSites { change, .. } => {
                let refused = change.sites.values().any(|site| site.text.contains("$refused"));
                return refused.then(|| "nginx says no".to_owned());
            }
            ProxyAction::SwapSites { change } => {
                self.is_unloaded = true;
                for name in &change.write {
                    self.files.insert(name.clone(), change.sites[name].text.clone());
                }
                change.remove.iter().for_each(|name| drop(self.files.remove(name)));
            }
            ProxyAction::ReloadProxy { .. } => {
                self.loaded = self.files.clone();
                self.is_unloaded = false;
            }
            ProxyAction::RepairSites { mending, .. } => {
                if mending.files.iter().any(|file| file.new.contains("$refused")) {
                    return Some("nginx says no".to_owned());
                }
                for file in &mending.files {
                    assert_eq!(self.files.insert(name(file), file.new.clone()).as_ref(), Some(&file.old));
                }
                self.loaded = self.files.clone();
                self.is_unloaded = false;
            }
            ProxyAction::RestoreSites { mending } => {
                for file in &mending.files {
                    assert_eq!(self.before.remove(&name(file)).as_ref(), Some(&file.new));
                    assert_eq!(self.files.insert(name(file), file.new.clone()).as_ref(), Some(&file.old));
                }
            }
            ProxyAction::ProveRoutes { proof, .. } => {
                let dead = |route: &action::Asked| {
                    self.loaded[&sites::file_name(&route.host)].contains(&format!(":{DEAD}"))
                        || self.loaded[&sites::file_name(&route.host)].contains(&format!("_{DEAD}"))
                };
                return proof.routes.iter().find(|route| dead(route)).map(|route| format!("{} does not work", route.host));
            }
        }
        None
    }

    /// Passes until nothing is left to do but to try something again later.
    pub(super) fn settle(&mut self) {
        for _ in 0..40 {
            self.advance(600);
            let plan = plan(&self.desired, &self.observed());
            let spaced = matches!(plan.wait, Some(Wait::ReloadsSpaced { .. }));
            if plan.steps.is_empty() && !spaced {
                return;
            }
            self.pass();
        }
        panic!("it never settles: {}", plan(&self.desired, &self.observed()));
    }

    /// Whatever there is about the manifest, good routes are served, from where their backends are.
    pub(super) fn serves_what_it_can(&self) {
        assert!(self.loaded == self.files, "what lies there is what nginx has");
        assert_eq!(self.files["hand.conf"], self.by_hand);
        assert!(!self.files.get("tool.conf").is_some_and(|text| text.contains("proxy_pass http://db:80")), "it is followed");
        let bad = self.desired.config.hosts.get("bad.test").map(|host| host.routes[0].to.port);
        let is_found = bad == Some(REFUSED) || (bad == Some(DEAD) && !self.was_down);
        let in_force = self.loaded.get("bad.test.conf");
        assert!(in_force.is_none_or(|text| !text.contains("$refused")), "what nginx refuses is not in force");
        if is_found && !self.was_down {
            assert_eq!(in_force, None, "what does not work is not in force");
        }
        for host in self.desired.config.hosts.keys().filter(|host| *host != "bad.test") {
            // Declared together with one that does not work, it comes with the next manifest that does.
            let Some(text) = self.loaded.get(&sites::file_name(host)) else {
                assert!(bad.is_some(), "{host} is served");
                continue;
            };
            let seal = site::read(text).unwrap();
            assert!(seal.intact);
            assert_eq!(seal.addresses["api"], self.places["api"], "{host} is served from where it is");
        }
        let plan = plan(&self.desired, &self.observed());
        assert_eq!(plan.steps, [], "there is nothing left to do");
        if is_found || bad.is_none() {
            assert_eq!(plan.is_converged(), bad.is_none(), "{plan}");
        }
    }
}

/// The file's name in the directory.
fn name(file: &action::Mended) -> String {
    file.path.strip_prefix("/srv/sites").unwrap().to_str().unwrap().to_owned()
}
