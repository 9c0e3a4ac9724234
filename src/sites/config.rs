//! What one `Proxy` wants nginx to serve, with every name resolved.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::manifest::proxy::{Listen, Resolver, Route, Upstreams};

/// Everything that the files are made from, but for what changes by itself.
///
/// It is remembered as it last worked, so that a change that does not work can
/// be taken back and the addresses are followed all the same.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The `Proxy`'s name.
    pub proxy: String,
    /// How backends are named.
    pub upstreams: Upstreams,
    /// Who resolves their names.
    pub resolver: Resolver,
    /// The ports.
    pub listen: Listen,
    /// The hosts, by name.
    pub hosts: BTreeMap<String, Host>,
    /// The names that the network's DNS knows the backends by, by their objects' names.
    pub names: BTreeMap<String, String>,
    /// The status for hosts without a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_status: Option<u16>,
    /// The page of a backend that is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_page: Option<String>,
}

/// One server name.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Pair>,
    /// Its routes, longest path first: the order in which nginx decides.
    pub routes: Vec<Route>,
}

/// A certificate and its key, on this host, absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// Whether plain HTTP is redirected.
    pub redirect: bool,
}

impl Config {
    /// By this two of them are told apart.
    #[must_use]
    pub fn digest(&self) -> String {
        let text = serde_json::to_vec(self).expect("a configuration is plain data");
        hex::encode(Sha256::digest(text))
    }

    /// All routes with their hosts.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.hosts.iter().flat_map(|(name, host)| host.routes.iter().map(move |route| (name.as_str(), route)))
    }
}

/// Without the routes: a header may hold a password.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("proxy", &self.proxy).field("hosts", &self.hosts.keys()).finish_non_exhaustive()
    }
}
