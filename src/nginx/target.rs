//! Whom a `proxy_pass` leads to, read off its argument.

use std::net::IpAddr;

/// A backend that is written out: `http://name:port/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `http`, `https`, or nothing for the protocols that go without.
    pub(super) scheme: Option<String>,
    /// The name, in small letters as nginx compares it.
    pub(super) host: String,
    /// The port, if one is written.
    pub(super) port: Option<u16>,
    /// What is behind name and port; empty when there is nothing.
    pub(super) uri: String,
}

/// A name and the port that it is asked on: what nginx keeps its groups by.
pub(super) type Endpoint = (String, u16);

impl Target {
    /// Reads an argument without variables. None for sockets and for what nginx would refuse.
    pub(super) fn parse(argument: &str) -> Option<Self> {
        let (scheme, rest) = match argument.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, argument),
        };
        if rest.starts_with("unix:") {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, uri) = rest.split_at(end);
        // An address of version 6 has colons of its own.
        let split = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match split {
            Some(at) => (&authority[..at], Some(authority[at + 1..].parse().ok()?)),
            None => (authority, None),
        };
        let plain = |character: char| character.is_ascii_alphanumeric() || "-._[]:".contains(character);
        let named = !host.is_empty() && host.chars().all(plain);
        named.then(|| Self { scheme, host: host.to_ascii_lowercase(), port, uri: uri.to_owned() })
    }

    /// Whether it is a name whose address can change while nginx runs.
    ///
    /// Not so are addresses, and names that come from the hosts file of the
    /// machine or container: a DNS server does not know those, so that they
    /// must stay as they are.
    pub(super) fn can_move(&self) -> bool {
        let hosts_file = self.host == "localhost" || self.host.ends_with(".docker.internal");
        self.is_name() && !hosts_file
    }

    /// Whether it is not an address.
    pub(super) fn is_name(&self) -> bool {
        self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_err()
    }

    /// Name and port, as nginx compares them.
    pub(super) fn endpoint(&self) -> Endpoint {
        let usual = match self.scheme.as_deref() {
            Some("http") => 80,
            Some("https" | "grpcs") => 443,
            _ => 0,
        };
        (self.host.clone(), self.port.unwrap_or(usual))
    }

    /// Without what is behind name and port.
    pub(super) fn origin(&self) -> String {
        let scheme = self.scheme.as_ref().map_or(String::new(), |scheme| format!("{scheme}://"));
        format!("{scheme}{}", self.authority())
    }

    /// Name and port as they are written.
    pub(super) fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }
}
