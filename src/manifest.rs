//! What a user writes: the resource types, one file per kind.
//!
//! Every kind is a real [`kube::CustomResource`], so that `crds/` is generated
//! from these types and the watch of an API server can become a second source.
//! Nothing here reads files or checks references; `source` and `resolve` do.

pub mod alerts;
pub mod container;
pub mod environment;
pub mod hold;
pub mod host;
pub mod model_provider;
pub mod plugin;
pub mod proxy;
pub mod quantity;
pub mod references;
pub mod short;
pub mod status;
pub mod window;

use std::{fmt, str::FromStr};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt as _, Resource as _, core::ObjectMeta};
use serde::{Deserialize, Serialize};

pub use container::{Container, ContainerSpec};
pub use environment::{Environment, EnvironmentSpec};
pub use hold::{Hold, HoldSpec};
pub use host::{Host, HostSpec, Mode};
pub use model_provider::{ModelProvider, ModelProviderSpec};
pub use plugin::{Plugin, PluginSpec};
pub use proxy::{Proxy, ProxySpec};

/// The API group and version that every manifest names.
pub const API_VERSION: &str = "mooring.dev/v1alpha1";

/// The annotation of what somebody else's manifest has expanded into: `Plugin/claw`.
pub const EXPANDED_FROM_ANNOTATION: &str = "mooring.dev/expanded-from";

/// Says all there is to say about the kinds in one place each.
///
/// A new kind is a line here, a file in `manifest`, `resolve` and `plan`, and
/// whatever it needs of `observe` and `execute`.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident($spec:ty), $plural:literal, [$($short:literal),*];)+) => {
        /// The kinds of resource.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// All kinds, in the order in which listings show them.
            pub const ALL: [Self; [$(Self::$kind),+].len()] = [$(Self::$kind),+];

            /// The kind's name as manifests write it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)+
                }
            }

            /// The lower-case plural, as in `kubectl get containers`.
            #[must_use]
            pub fn plural(self) -> &'static str {
                match self {
                    $(Self::$kind => $plural,)+
                }
            }

            /// The short names that the command line accepts besides singular and plural.
            #[must_use]
            pub fn short_names(self) -> &'static [&'static str] {
                match self {
                    $(Self::$kind => &[$($short),*],)+
                }
            }

            /// The kind's definition for a Kubernetes API server.
            #[must_use]
            pub fn crd(self) -> CustomResourceDefinition {
                match self {
                    $(Self::$kind => $kind::crd(),)+
                }
            }

            /// The schema of the kind's `spec`, as its type has it.
            #[must_use]
            pub fn spec_schema(self) -> schemars::Schema {
                match self {
                    $(Self::$kind => schemars::schema_for!($spec),)+
                }
            }
        }

        /// One resource of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Manifest {
            $($(#[doc = $doc])+ $kind(Box<$kind>),)+
        }

        impl Manifest {
            /// The manifest's kind.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)+
                }
            }

            /// The metadata as the user wrote it.
            #[must_use]
            pub fn meta(&self) -> &ObjectMeta {
                match self {
                    $(Self::$kind(resource) => resource.meta(),)+
                }
            }

            /// The metadata, to be completed by `source` and `store`.
            pub fn meta_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Self::$kind(resource) => resource.meta_mut(),)+
                }
            }

            /// The resource that the JSON of one says. The inverse of [`Manifest::to_json`].
            ///
            /// An error carries the path of the field that was refused.
            pub fn from_json(
                kind: Kind,
                resource: serde_json::Value,
            ) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
                Ok(match kind {
                    $(Kind::$kind => Self::$kind(Box::new(serde_path_to_error::deserialize(resource)?)),)+
                })
            }

            /// Whether both declare the same, whatever their metadata and status say.
            #[must_use]
            pub fn has_spec_of(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$kind(one), Self::$kind(other)) => one.spec == other.spec,)+
                    _ => false,
                }
            }

            /// The whole resource as JSON, in the order in which a manifest is written.
            #[must_use]
            pub fn to_json(&self) -> serde_json::Value {
                let value = match self {
                    $(Self::$kind(resource) => serde_json::to_value(resource),)+
                };
                value.expect("resources have string keys and no failing serializer")
            }
        }
    };
}

kinds! {
    /// An `.env` cascade with generated secrets.
    Environment(EnvironmentSpec), "environments", ["env"];
    /// A container that must exist, run and be healthy.
    Container(ContainerSpec), "containers", ["ctr"];
    /// An nginx that follows its containers.
    Proxy(ProxySpec), "proxies", ["px"];
    /// Which model answers, and that it is there.
    ModelProvider(ModelProviderSpec), "modelproviders", ["model", "mp"];
    /// A plugin's manifest, which stands for objects of the other kinds.
    Plugin(PluginSpec), "plugins", ["plug"];
    /// Objects to be left alone until a moment.
    Hold(HoldSpec), "holds", [];
    /// What is permitted on the host as a whole.
    Host(HostSpec), "hosts", [];
}

impl Kind {
    /// Whether containers are made for objects of this kind, which have to go before the object does.
    #[must_use]
    pub fn has_containers(self) -> bool {
        matches!(self, Self::Container | Self::ModelProvider)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    /// Accepts what kubectl would: any case, singular, plural, short names.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let lower = text.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| {
                kind.as_str().eq_ignore_ascii_case(&lower)
                    || kind.plural() == lower
                    || kind.short_names().contains(&lower.as_str())
            })
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// A word that names no kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a kind; the kinds are {kinds}", kinds = Kind::ALL.map(Kind::as_str).join(", "))]
pub struct UnknownKind(pub String);

/// The name of one object: `Container/redis`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Key {
    /// The object's kind.
    pub kind: Kind,
    /// The object's `metadata.name`.
    pub name: String,
}

impl Key {
    /// The key of the object of this kind and name.
    #[must_use]
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let (kind, name) = text.split_once('/').ok_or_else(|| InvalidKey::Form(text.to_owned()))?;
        if name.is_empty() {
            return Err(InvalidKey::Form(text.to_owned()));
        }
        Ok(Self::new(kind.parse::<Kind>()?, name))
    }
}

/// Text that is not the name of an object.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidKey {
    /// Not two words with a slash between them.
    #[error("`{0}` is not KIND/NAME, as in container/redis")]
    Form(String),
    /// The first word is no kind.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
}

impl Manifest {
    /// Kind and name. `source` lets no manifest through that has no name.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new(self.kind(), self.meta().name.clone().unwrap_or_default())
    }

    /// Whether what would be done is done.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::Environment(environment) => environment.spec.mode,
            Self::Container(container) => container.spec.mode,
            Self::Proxy(proxy) => proxy.spec.mode,
            Self::ModelProvider(provider) => provider.spec.mode,
            Self::Plugin(plugin) => plugin.spec.mode,
            Self::Host(host) => host.spec.mode,
            Self::Hold(_) => Mode::Act,
        }
    }

    /// The `spec` alone, as JSON: what a generation counts changes of.
    #[must_use]
    pub fn spec_json(&self) -> serde_json::Value {
        self.to_json().get("spec").cloned().unwrap_or_default()
    }
}
