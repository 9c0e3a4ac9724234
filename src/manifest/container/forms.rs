//! The parts of a `Container` that can be written in a short form and in a long one.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::manifest::quantity::IntOrString;

/// A command: a list of words, or one line that is split as a shell would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Command {
    /// One line.
    Line(String),
    /// The words.
    Words(Vec<String>),
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Command;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E: de::Error>(self, line: &str) -> Result<Command, E> {
                Ok(Command::Line(line.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Command, A::Error> {
                let mut words = Vec::new();
                while let Some(IntOrString(word)) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Command::Words(words))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Command {
    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-preserve-unknown-fields": true,
            "x-mooring-schema": {"type": ["string", "array"], "items": {"type": ["string", "integer"]}},
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// A network to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkAttachment {
    /// The network's name on the engine.
    pub name: String,
    /// Names by which other containers on it find this one, besides its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// A fixed IPv4 address; the network needs a subnet of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<String>,
}

impl<'de> Deserialize<'de> for NetworkAttachment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Full {
            name: String,
            #[serde(default)]
            aliases: Vec<String>,
            ipv4_address: Option<String>,
            ipv6_address: Option<String>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = NetworkAttachment;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a network's name, or its name, aliases and addresses")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<NetworkAttachment, E> {
                Ok(NetworkAttachment { name: name.to_owned(), aliases: Vec::new(), ipv4_address: None, ipv6_address: None })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<NetworkAttachment, A::Error> {
                let Full { name, aliases, ipv4_address, ipv6_address } =
                    Full::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(NetworkAttachment { name, aliases, ipv4_address, ipv6_address })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for NetworkAttachment {
    fn schema_name() -> Cow<'static, str> {
        "NetworkAttachment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-preserve-unknown-fields": true,
            "x-mooring-schema": {
                "type": ["string", "object"],
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "The network's name on the engine."},
                    "aliases": {"type": "array", "items": {"type": "string"}, "description": "Names by which other containers on it find this one, besides its own."},
                    "ipv4Address": {"type": "string", "format": "ipv4", "description": "A fixed IPv4 address; the network needs a subnet of its own."},
                    "ipv6Address": {"type": "string", "format": "ipv6", "description": "A fixed IPv6 address."},
                },
            },
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// A resource limit: one number for both, or `soft` and `hard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ulimit {
    /// The limit in force.
    pub soft: i64,
    /// The most that the process may raise it to.
    pub hard: i64,
}

impl<'de> Deserialize<'de> for Ulimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Both {
            soft: i64,
            hard: i64,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Ulimit;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or soft and hard")
            }
            fn visit_i64<E: de::Error>(self, both: i64) -> Result<Ulimit, E> {
                Ok(Ulimit { soft: both, hard: both })
            }
            fn visit_u64<E: de::Error>(self, both: u64) -> Result<Ulimit, E> {
                i64::try_from(both).map_err(E::custom).and_then(|both| self.visit_i64(both))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Ulimit, A::Error> {
                let Both { soft, hard } = Both::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Ulimit { soft, hard })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Ulimit {
    fn schema_name() -> Cow<'static, str> {
        "Ulimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-preserve-unknown-fields": true,
            "x-mooring-schema": {
                "type": ["integer", "object"],
                "additionalProperties": false,
                "required": ["soft", "hard"],
                "properties": {
                    "soft": {"type": "integer", "description": "The limit in force."},
                    "hard": {"type": "integer", "description": "The most that the process may raise it to."},
                },
            },
        })
    }

    fn inline_schema() -> bool {
        true
    }
}
