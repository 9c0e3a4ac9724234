//! What is different between two versions of a manifest. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::{
    manifest::{Key, Manifest},
    source::parse::may_be_secret,
    view::Change,
};

/// What would become of an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Changed {
    /// Which.
    pub(super) object: Key,
    /// What sort of change it is.
    pub(super) change: Kind,
    /// The fields that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<Change>,
}

/// The sorts of change, in kubectl's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// It was not declared.
    Created,
    /// It was declared otherwise.
    Configured,
    /// It was declared just so.
    Unchanged,
}

impl Kind {
    /// The word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Changed {
    /// Whether there is anything new about it.
    pub(super) fn is_change(&self) -> bool {
        self.change != Kind::Unchanged
    }
}

/// Compares two versions of a manifest.
pub(super) fn compare(old: Option<&Manifest>, new: &Manifest) -> Changed {
    let object = new.key();
    let Some(old) = old else { return Changed { object, change: Kind::Created, fields: Vec::new() } };
    let mut fields = Vec::new();
    differences("/spec", Some(&old.spec_json()), Some(&new.spec_json()), &mut fields);
    let change = if fields.is_empty() { Kind::Unchanged } else { Kind::Configured };
    Changed { object, change, fields }
}

/// Goes down as long as both are mappings; lists are told as a whole, because their order has a meaning.
fn differences(pointer: &str, old: Option<&Value>, new: Option<&Value>, fields: &mut Vec<Change>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                differences(&format!("{pointer}/{name}"), old.get(name), new.get(name), fields);
            }
        }
        (old, new) => {
            let shown = |value: &Value| shown(pointer, value);
            let field = pointer.trim_start_matches("/spec/").replace('/', ".");
            fields.push(Change { field, from: old.map(shown), to: new.map(shown) });
        }
    }
}

/// A value, unless it is one in which people write passwords.
fn shown(pointer: &str, value: &Value) -> String {
    match value {
        _ if may_be_secret(pointer) => "(not shown)".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn manifest(spec: &Value) -> Manifest {
        let resource = json!({
            "apiVersion": "mooring.dev/v1alpha1", "kind": "Container", "metadata": {"name": "web"}, "spec": spec,
        });
        Manifest::from_json(crate::manifest::Kind::Container, resource).unwrap()
    }

    #[test]
    fn every_field_that_differs_is_told_without_what_may_be_secret() {
        let old = manifest(&json!({"image": "a", "environment": {"PASSWORD": "x"}, "ports": ["80"], "init": true}));
        let new = manifest(&json!({"image": "b", "environment": {"PASSWORD": "y", "TZ": "UTC"}, "ports": ["80", "81"]}));
        let Changed { change, fields, .. } = compare(Some(&old), &new);
        assert_eq!(change, Kind::Configured);
        let fields: Vec<_> = fields.iter().map(|change| format!("{} {:?} {:?}", change.field, change.from, change.to)).collect();
        expect![[r#"
            environment.PASSWORD Some("(not shown)") Some("(not shown)")
            environment.TZ None Some("(not shown)")
            image Some("a") Some("b")
            init Some("true") None
            ports Some("[\"80\"]") Some("[\"80\",\"81\"]")"#]]
        .assert_eq(&fields.join("\n"));
    }

    #[test]
    fn another_way_to_write_the_same_is_no_change() {
        assert_eq!(
            compare(Some(&manifest(&json!({"ports": [80]}))), &manifest(&json!({"ports": ["80"]}))).change,
            Kind::Unchanged
        );
        assert_eq!(compare(None, &manifest(&json!({"image": "a"}))).change, Kind::Created);
    }
}
