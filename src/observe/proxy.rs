//! An nginx, its files, its certificates, and where its backends are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    engine::{Inspected, Listed},
    file::Directory,
};
use crate::{
    manifest::proxy::Resolver,
    plan::{
        Target,
        container::{Readiness, State},
        proxy::{Backend, FileState, Nginx, NginxState, Server},
    },
    secret::FingerprintKey,
    sites::{
        CertificateState,
        config::{Host, Pair},
        site,
    },
};

/// No generated file comes near it, and nobody writes that much by hand.
const LARGEST_SITE: u64 = 1 << 20;
/// A chain of certificates has some kilobytes.
const LARGEST_CERTIFICATE: u64 = 1 << 18;

/// What the names of the files that nginx includes end with.
pub const SITE_SUFFIX: &str = ".conf";

/// The directory, beside the files in force, of everything that nginx is not to include.
pub const HIDDEN: &str = ".mooring";

/// The mark that files were changed and nginx has not been told yet.
#[must_use]
pub fn unloaded_mark(directory: &Path, proxy: &str) -> PathBuf {
    directory.join(HIDDEN).join(format!("{proxy}.unloaded"))
}

/// The files in a directory that nginx may include, by name.
pub fn files(directory: &Path) -> Result<BTreeMap<String, FileState>, String> {
    let directory = Directory::open(directory).map_err(|refusal| refusal.to_string())?;
    let entries = fs::read_dir(directory.path()).map_err(|error| format!("it cannot be read: {error}"))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("it cannot be read: {error}"))?;
        if let Ok(name) = entry.file_name().into_string()
            && name.ends_with(SITE_SUFFIX)
            && !name.starts_with('.')
        {
            let state = file(&directory, &name);
            files.insert(name, state);
        }
    }
    Ok(files)
}

/// One of them. What cannot be read, or is no file, is certainly none of ours.
#[must_use]
pub fn file(directory: &Directory, name: &str) -> FileState {
    let bytes = match directory.handle(Path::new(name)) {
        Ok(Some(mut handle)) => handle.read(LARGEST_SITE).ok(),
        Ok(None) | Err(_) => None,
    };
    let text = bytes.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.and_then(|text| Some((site::read(text)?, site::hash(text)))) {
        Some((seal, hash)) => FileState::Ours { seal, hash },
        None => FileState::Foreign,
    }
}

/// The certificate pairs by host.
#[must_use]
pub fn certificates(hosts: &BTreeMap<String, Host>, key: &FingerprintKey) -> BTreeMap<String, CertificateState> {
    let pairs = hosts.iter().filter_map(|(name, host)| Some((name, host.certificate.as_ref()?)));
    pairs.map(|(name, pair)| (name.clone(), certificate(pair, key))).collect()
}

fn certificate(Pair { certificate, key: private, .. }: &Pair, key: &FingerprintKey) -> CertificateState {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    for path in [certificate, private] {
        match read(path) {
            Ok(content) => bytes.extend_from_slice(&content),
            Err(reason) => return CertificateState::Missing { reason: format!("{}: {reason}", path.display()) },
        }
        bytes.push(0);
    }
    CertificateState::Present { digest: key.digest(&bytes)[..16].to_owned() }
}

/// Tools that renew certificates put links to them, out of their directory.
fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let real = fs::canonicalize(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => error.to_string(),
    })?;
    let (parent, name) = (real.parent().unwrap_or(Path::new("/")), real.file_name().unwrap_or_default());
    let directory = Directory::open(parent).map_err(|refusal| refusal.to_string())?;
    let handle = directory.handle(Path::new(name)).map_err(|refusal| refusal.to_string())?;
    let mut handle = handle.ok_or_else(|| "it is not there".to_owned())?;
    handle.read(LARGEST_CERTIFICATE).map_err(|refusal| refusal.to_string())
}

/// The nginx on the host. Whether it runs shows when it is told something.
#[must_use]
pub fn on_host(server: &Server) -> NginxState {
    let Server::Host { command, reload, address } = server else { return NginxState::Absent };
    NginxState::Present {
        nginx: Nginx::Host { command: command.clone(), reload: reload.clone() },
        is_running: true,
        instance: "host".to_owned(),
        address: Some(address.clone()),
        mounts: vec![(PathBuf::from("/"), "/".to_owned())],
    }
}

/// The nginx of a container.
#[must_use]
pub fn in_container(listed: &Listed, inspected: &Inspected) -> NginxState {
    let started = inspected.started_at.map(|at| at.to_string()).unwrap_or_default();
    let address = listed.networks.values().flatten().next().cloned();
    NginxState::Present {
        nginx: Nginx::Container(Target::seen(&listed.id, &listed.name)),
        is_running: listed.state == State::Running,
        instance: format!("{} {started}", &listed.id[..listed.id.len().min(12)]),
        // On the host's own network it has none, and is where we are, or where the host is.
        address: address.or_else(|| listed.networks.contains_key("host").then(|| "127.0.0.1".to_owned())),
        mounts: inspected.mounts.iter().map(|(outside, inside)| (PathBuf::from(outside), inside.clone())).collect(),
    }
}

/// The networks on which nginx reaches backends: none in particular, when it is on the host.
#[must_use]
pub fn networks(nginx: Option<&Listed>) -> Option<BTreeSet<String>> {
    let networks: BTreeSet<String> = nginx?.networks.keys().cloned().collect();
    (!networks.contains("host")).then_some(networks)
}

/// Where the containers of a backend are. One that is not healthy gets requests only when there is no better one.
#[must_use]
pub fn backend(containers: &[(&Listed, Readiness)], networks: Option<&BTreeSet<String>>) -> Backend {
    let readiness = containers.iter().map(|(_, readiness)| *readiness).max().unwrap_or(Readiness::Down);
    let running: Vec<_> = containers.iter().filter(|(listed, _)| listed.state == State::Running).collect();
    let is_healthy = running.iter().any(|(_, readiness)| *readiness == Readiness::Healthy);
    let chosen = running.iter().filter(|(_, readiness)| !is_healthy || *readiness == Readiness::Healthy);
    let address = |listed: &Listed| {
        let shared = |network: &String| networks.is_none_or(|networks| networks.contains(network));
        listed.networks.iter().filter(|(network, _)| shared(network)).find_map(|(_, address)| address.clone())
    };
    let addresses: BTreeSet<String> = chosen.filter_map(|(listed, _)| address(listed)).collect();
    // The network's DNS knows every one that has an address, a paused one as well.
    let shared = |network: &String| networks.is_none_or(|networks| networks.contains(network));
    let attached = containers.iter().flat_map(|(listed, _)| &listed.networks).filter(|(network, _)| shared(network));
    let places = attached.filter_map(|(_, address)| address.clone()).collect();
    Backend { is_apart: addresses.is_empty() && !running.is_empty(), addresses, places, name: None, readiness }
}

/// The server that nginx asks for names, if it is given as an address.
#[must_use]
pub fn server(resolver: &Resolver) -> Option<SocketAddr> {
    let address = resolver.address.parse().ok();
    let plain = || resolver.address.trim_matches(['[', ']']).parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 53));
    address.or_else(plain)
}

/// The engine's own server, which knows containers.
pub const ENGINES_OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

/// The name by which the engine's DNS leads to these containers, if it is another one than `supposed`: one that all of
/// them have, or else that of the first.
#[must_use]
pub fn name(
    supposed: &str,
    object: &str,
    containers: &[(&Listed, Arc<Inspected>)],
    networks: &BTreeSet<String>,
) -> Option<String> {
    let of = |(listed, inspected): &(&Listed, Arc<Inspected>)| -> BTreeSet<String> {
        let aliases = inspected.aliases.iter().filter(|(network, _)| networks.contains(*network)).flat_map(|(_, names)| names);
        // Part of the id is a name as well, and goes with the container.
        let lasting = aliases.filter(|alias| !listed.id.starts_with(alias.as_str()));
        lasting.chain([&listed.name]).cloned().collect()
    };
    let (first, rest) = containers.split_first()?;
    let common = rest.iter().fold(of(first), |common, container| common.intersection(&of(container)).cloned().collect());
    let preferred = [supposed, object, &first.0.name];
    let chosen = preferred.into_iter().find(|name| common.contains(*name)).map(str::to_owned);
    let chosen = chosen.or_else(|| common.first().cloned()).unwrap_or_else(|| first.0.name.clone());
    (chosen != supposed).then_some(chosen)
}
