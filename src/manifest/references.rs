//! Which other objects a manifest names, and where.

use super::{Key, Kind, Manifest};

/// One object that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The field, as in `spec.envFrom.0.environment`.
    pub path: String,
    /// The object.
    pub key: Key,
}

impl Reference {
    fn new(path: impl Into<String>, kind: Kind, name: &str) -> Self {
        Self { path: path.into(), key: Key::new(kind, name) }
    }
}

impl Manifest {
    /// The objects that have to exist for this one to mean anything, in the order of its fields.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        match self {
            // A hold may name what is not there yet, or any more.
            Self::Environment(_) | Self::Hold(_) => Vec::new(),
            Self::Host(host) => {
                let database = host
                    .spec
                    .database
                    .iter()
                    .map(|database| Reference::new("spec.database.environment", Kind::Environment, &database.environment));
                let receivers = host.spec.alerts.receivers.iter().enumerate().flat_map(|(at, receiver)| {
                    receiver.variables().into_iter().map(move |(field, variable)| {
                        let path = format!("spec.alerts.receivers.{at}.{field}.environment");
                        Reference::new(path, Kind::Environment, &variable.environment)
                    })
                });
                database.chain(receivers).collect()
            }
            Self::Container(container) => {
                let spec = &container.spec;
                let dependencies = spec.depends_on.iter().enumerate().map(|(at, dependency)| {
                    Reference::new(format!("spec.dependsOn.{at}.container"), Kind::Container, &dependency.container)
                });
                let environments = spec.env_from.iter().enumerate().map(|(at, from)| {
                    Reference::new(format!("spec.envFrom.{at}.environment"), Kind::Environment, &from.environment)
                });
                dependencies.chain(environments).collect()
            }
            Self::Proxy(proxy) => {
                let spec = &proxy.spec;
                let own = spec.container.iter().map(|name| Reference::new("spec.container", Kind::Container, name));
                let backends = spec.routes.iter().enumerate().map(|(at, route)| {
                    Reference::new(format!("spec.routes.{at}.to.container"), Kind::Container, &route.to.container)
                });
                own.chain(backends).collect()
            }
            Self::ModelProvider(provider) => {
                let spec = &provider.spec;
                let environment = Reference::new("spec.environment", Kind::Environment, &spec.environment);
                let container =
                    spec.ollama.container.iter().map(|name| Reference::new("spec.ollama.container", Kind::Container, name));
                [environment].into_iter().chain(container).collect()
            }
            Self::Plugin(plugin) => {
                let spec = &plugin.spec;
                let environment = Reference::new("spec.environment", Kind::Environment, &spec.environment);
                let proxy = spec.route.iter().map(|route| Reference::new("spec.route.proxy", Kind::Proxy, &route.proxy));
                [environment].into_iter().chain(proxy).collect()
            }
        }
    }

    /// Whether it names this object.
    #[must_use]
    pub fn refers_to(&self, key: &Key) -> bool {
        self.references().iter().any(|reference| reference.key == *key)
    }
}
