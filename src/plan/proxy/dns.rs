//! What the DNS that nginx asks answers, against what the engine knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use super::{Backend, Look};
use crate::{manifest::proxy::Upstreams, plan::Note};

/// The answers of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The server.
    pub server: SocketAddr,
    /// Its answers by name. A name that could not be asked for has none.
    pub answers: BTreeMap<String, Answer>,
}

/// What it says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// That it is there.
    At(BTreeSet<String>),
    /// That it is not, or that it cannot say, in its own words.
    Nowhere(String),
}

impl Answer {
    /// Whether requests by this name end up at the containers that run at these addresses, and nowhere else.
    #[must_use]
    pub fn leads_to(&self, places: &BTreeSet<String>) -> bool {
        matches!(self, Self::At(at) if !at.is_empty() && at.is_subset(places))
    }
}

impl Look<'_> {
    /// Names that lead elsewhere than to their backends. Of one that is down it is known already.
    pub(super) fn misled(&self) -> Vec<Note> {
        let config = &self.desired.config;
        let Some(dns) = self.observed.dns.as_ref().filter(|_| config.upstreams == Upstreams::Resolver) else {
            return Vec::new();
        };
        let judge = |(backend, Backend { places, addresses, .. }): (&String, &Backend)| {
            let name = self.names.get(backend).or(config.names.get(backend))?;
            let answer = dns.answers.get(name).filter(|answer| !addresses.is_empty() && !answer.leads_to(places))?;
            let mut hosts: Vec<String> =
                config.routes().filter(|(_, route)| route.to.container == *backend).map(|(host, _)| host.to_owned()).collect();
            hosts.dedup();
            let (hosts, backend, name) = (hosts.join(", "), backend.clone(), name.clone());
            let (server, known) = (dns.server.to_string(), listed(places));
            (!hosts.is_empty()).then(|| match answer {
                Answer::Nowhere(said) => Note::NameNotFound { hosts, backend, name, server, said: said.clone(), known },
                Answer::At(at) => {
                    let strange = listed(&at.difference(places).cloned().collect());
                    Note::NameElsewhere { hosts, backend, name, server, strange, known }
                }
            })
        };
        self.observed.backends.iter().filter_map(judge).collect()
    }
}

fn listed(places: &BTreeSet<String>) -> String {
    places.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
