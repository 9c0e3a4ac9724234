//! Manifests as strangers may see them.
//!
//! Every user of the host can reach a TCP address on loopback, but not every
//! one may read the manifests, in which people do write passwords. On the
//! control socket they are shown as they are: who can open it owns them.

use serde_json::{Map, Value};

use crate::{source::parse::may_be_secret, view::ObjectView};

/// The object without any value that may be secret.
pub(super) fn masked(object: ObjectView) -> ObjectView {
    ObjectView { manifest: object.manifest.map(|manifest| without_secrets("", manifest)), ..object }
}

fn without_secrets(pointer: &str, value: Value) -> Value {
    let below = |name: &str, value| without_secrets(&format!("{pointer}/{name}"), value);
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = below(&name, value);
                (name, value)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().enumerate().map(|(index, item)| below(&index.to_string(), item)).collect())
        }
        _ if may_be_secret(pointer) => Value::String("(not shown)".to_owned()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_stay_and_values_that_may_be_secret_go() {
        let manifest = json!({"metadata": {"name": "web"}, "spec": {
            "image": "a", "environment": {"PASSWORD": "x", "PORT": 1}, "command": ["serve", "--token=x"], "ports": [80],
        }});
        let expected = json!({"metadata": {"name": "web"}, "spec": {
            "image": "a", "environment": {"PASSWORD": "(not shown)", "PORT": "(not shown)"},
            "command": ["(not shown)", "(not shown)"], "ports": [80],
        }});
        assert_eq!(without_secrets("", manifest), expected);
    }
}
