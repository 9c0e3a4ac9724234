//! Routes and what was seen of their backends → the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use super::{
    Config, Site, Sites,
    config::Host,
    server::{self, Writer},
    site::{self, Addresses},
};
use crate::manifest::proxy::Upstreams;

/// What changes by itself.
pub struct Surroundings<'a> {
    /// Where the backends are, by their objects' names.
    pub addresses: &'a Addresses,
    /// What the network's DNS really knows backends by, where that is not what the configuration says.
    pub names: &'a BTreeMap<String, String>,
    /// The certificate pairs, by host.
    pub certificates: &'a BTreeMap<String, CertificateState>,
    /// Where nginx sees a file of this host; none when it does not.
    pub seen: &'a dyn Fn(&Path) -> Option<String>,
}

/// A certificate pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateState {
    /// Both files are there.
    Present {
        /// Their common digest, keyed.
        digest: String,
    },
    /// One of them cannot be read.
    Missing {
        /// Which, and why.
        reason: String,
    },
}

/// The files of a `Proxy`, by name. The same input gives the same bytes.
#[must_use]
pub fn render(config: &Config, world: &Surroundings<'_>) -> Sites {
    let mut sites: Sites = config.hosts.iter().map(|(name, host)| (file_name(name), site(config, name, host, world))).collect();
    if let Some(status) = config.default_status {
        let has_tls = config.hosts.iter().any(|(name, host)| certificate(name, host, world).is_some());
        let body = server::default_server(&config.listen, status, has_tls);
        sites.insert(format!("mooring-{}-default.conf", config.proxy), plain(config, Addresses::new(), &body));
    }
    if config.upstreams == Upstreams::Address && !config.hosts.is_empty() {
        let used: BTreeSet<&str> = config.routes().map(|(_, route)| route.to.container.as_str()).collect();
        let addresses = addresses_of(&used, world.addresses);
        let body = upstreams(config, &addresses);
        sites.insert(format!("mooring-{}-upstreams.conf", config.proxy), plain(config, addresses, &body));
    }
    sites
}

/// `*` has no place in a file name that a pattern has to find.
#[must_use]
pub fn file_name(host: &str) -> String {
    format!("{}.conf", host.replace('*', "_wildcard").to_lowercase())
}

fn certificate<'a>(name: &str, host: &Host, world: &'a Surroundings<'_>) -> Option<&'a str> {
    host.certificate.as_ref()?;
    match world.certificates.get(name) {
        Some(CertificateState::Present { digest }) => Some(digest),
        Some(CertificateState::Missing { .. }) | None => None,
    }
}

fn addresses_of(backends: &BTreeSet<&str>, known: &Addresses) -> Addresses {
    backends.iter().map(|backend| ((*backend).to_owned(), known.get(*backend).cloned().unwrap_or_default())).collect()
}

fn site(config: &Config, name: &str, host: &Host, world: &Surroundings<'_>) -> Site {
    let used: BTreeSet<&str> = host.routes.iter().map(|route| route.to.container.as_str()).collect();
    let addresses = addresses_of(&used, world.addresses);
    let digest = certificate(name, host, world);
    let pair = host.certificate.as_ref().filter(|_| digest.is_some()).and_then(|pair| {
        Some(server::Tls {
            certificate: (world.seen)(&pair.certificate)?,
            key: (world.seen)(&pair.key)?,
            redirect: pair.redirect,
        })
    });
    let nowhere = Addresses::new();
    let names = world.names;
    let writer = |addresses, is_public| Writer { config, name, host, names, addresses, tls: pair.as_ref(), is_public };
    let form = site::hash(&writer(&nowhere, false).write(""));
    // What anybody can ask for must not depend on a header that may hold a password.
    let version = format!("{addresses:?} {digest:?} {}", writer(&addresses, true).write(""));
    let token = site::short(&site::hash(&version)).to_owned();
    let body = writer(&addresses, false).write(&token);
    let form = site::short(&form).to_owned();
    let text = site::seal(&config.proxy, &form, &addresses, digest, &body);
    Site { text, token: Some(token), form, addresses, certificate: digest.map(str::to_owned) }
}

/// A file without a host of its own.
fn plain(config: &Config, addresses: Addresses, body: &str) -> Site {
    let form = if addresses.is_empty() { site::short(&site::hash(body)).to_owned() } else { "upstreams".to_owned() };
    let text = site::seal(&config.proxy, &form, &addresses, None, body);
    Site { text, token: None, form, addresses, certificate: None }
}

/// Groups of addresses. A backend that is down has none, and its routes do not name it.
fn upstreams(config: &Config, addresses: &Addresses) -> String {
    let backends: BTreeSet<(&str, u16)> =
        config.routes().map(|(_, route)| (route.to.container.as_str(), route.to.port)).collect();
    let mut text = String::new();
    for (backend, port) in backends {
        let at = addresses.get(backend).into_iter().flatten();
        let servers: Vec<String> = at.map(|address| server::literal(address, port)).collect();
        if servers.is_empty() {
            continue;
        }
        let _ = writeln!(text, "upstream {} {{", server::group(&config.proxy, backend, port));
        for server in servers {
            let _ = writeln!(text, "    server {server};");
        }
        text.push_str("    keepalive 32;\n}\n");
    }
    text
}

#[cfg(test)]
mod tests;
