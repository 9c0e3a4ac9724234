//! Holds as files: each target has one of its own, so that each can be released by itself.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{DesiredDirectory, Error};
use crate::{
    manifest::{API_VERSION, Key, Kind, Manifest, hold::Target},
    source::parse::Located,
};

/// The longest name of an object.
const MAX_NAME: usize = 63;

/// The same target is held by the same file, so that holding again moves the end.
#[must_use]
pub fn hold_name(target: &Target) -> String {
    let name = match target {
        Target::All => "all".to_owned(),
        Target::Kind(kind) => kind.plural().to_owned(),
        Target::Object(key) => format!("{}-{}", key.kind.as_str().to_ascii_lowercase(), key.name),
    };
    if name.len() <= MAX_NAME {
        return name;
    }
    // What is cut off still tells two apart.
    let digest = hex::encode(Sha256::digest(&name));
    format!("{}-{}", &name[..MAX_NAME - 9], &digest[..8])
}

/// The file of a hold, and what stands in it.
#[must_use]
pub fn file(target: &Target, until: Timestamp, reason: &str, by: Option<&str>) -> (PathBuf, String) {
    let name = hold_name(target);
    (PathBuf::from(format!("hold-{name}.yaml")), document(&name, target, until, reason, by))
}

fn document(name: &str, target: &Target, until: Timestamp, reason: &str, by: Option<&str>) -> String {
    let mut spec = json!({"targets": [target.to_string()], "until": until.to_string(), "reason": reason});
    if let Some(by) = by {
        spec["by"] = json!(by);
    }
    let manifest = json!({"apiVersion": API_VERSION, "kind": Kind::Hold, "metadata": {"name": name}, "spec": spec});
    serde_yaml::to_string(&manifest).expect("a hold has string keys and no failing serializer")
}

/// The holds on an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Those that are on nothing else; a hold itself counts as one.
    pub alone: Vec<Key>,
    /// Those that are on more.
    pub shared: Vec<Key>,
}

impl Holds {
    /// Those on an object, or on the plugin that it comes from.
    #[must_use]
    pub fn on(key: &Key, parent: Option<&Key>, directory: &DesiredDirectory) -> Self {
        let mut holds = Self::default();
        for Located { manifest, .. } in directory.manifests() {
            let Manifest::Hold(hold) = manifest else { continue };
            let targets: Vec<Target> = hold.spec.targets.iter().filter_map(|target| target.parse().ok()).collect();
            if manifest.key() == *key || targets == [Target::Object(key.clone())] {
                holds.alone.push(manifest.key());
            } else if targets.iter().any(|target| target.covers(key) || parent.is_some_and(|parent| target.covers(parent))) {
                holds.shared.push(manifest.key());
            }
        }
        holds
    }
}

/// Takes the holds out of the directory, one after the other: each changes what the next one is cut out of.
pub fn end(holds: &[Key], root: &Path) -> Result<(), Error> {
    for hold in holds {
        let directory = DesiredDirectory::read(root)?;
        if let Some(located) = directory.declarations(hold).first() {
            directory.without(located)?.make(&directory)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use super::*;
    use crate::source::{
        directory::{FileReading, Scan},
        parse::parse_located,
    };

    #[test]
    fn what_is_on_this_object_alone_ends_and_what_is_on_more_is_named() {
        let hold = |name: &str, targets: &str| {
            let text = format!(
                "apiVersion: mooring.dev/v1alpha1\nkind: Hold\nmetadata: {{name: {name}}}\nspec: {{targets: [{targets}], \
                 until: '2026-11-21T14:00:00Z', reason: a}}\n"
            );
            let file = std::path::PathBuf::from(format!("{name}.yaml"));
            let located = parse_located(&file, text.as_bytes()).unwrap();
            (file, Arc::new(FileReading::Parsed(located)))
        };
        let files = [
            hold("web", "ctr/web"),
            hold("two", "container/web, container/api"),
            hold("every", "all"),
            hold("api", "ctr/api"),
            hold("plugin", "plugin/claw"),
        ];
        let directory = DesiredDirectory::of(Scan { files: files.into() });
        let key = |name| Key::new(Kind::Hold, name);
        let on = |object: &str| Holds::on(&object.parse().unwrap(), None, &directory);
        assert_eq!(on("container/web"), Holds { alone: vec![key("web")], shared: vec![key("every"), key("two")] });
        assert_eq!(on("hold/every"), Holds { alone: vec![key("every")], shared: Vec::new() });
        let (made, plugin) = ("container/made".parse().unwrap(), "plugin/claw".parse().unwrap());
        let of_plugin = Holds::on(&made, Some(&plugin), &directory);
        assert_eq!(
            of_plugin,
            Holds { alone: Vec::new(), shared: vec![key("every"), key("plugin")] },
            "it holds all of the plugin"
        );
        assert_eq!(on("env/shop"), Holds { alone: Vec::new(), shared: vec![key("every")] });
    }

    #[test]
    fn two_long_names_that_begin_alike_are_held_by_two_files() {
        let long = |end: &str| hold_name(&Target::Object(Key::new(Kind::Container, format!("{}{end}", "a".repeat(60)))));
        assert_eq!((long("b").len(), long("b") == long("b"), long("b") == long("c")), (63, true, false));
    }

    #[test]
    fn a_hold_is_a_document_that_is_accepted() {
        let target: Target = "ctr/web".parse().unwrap();
        let text =
            document(&hold_name(&target), &target, "2026-11-21T12:00:00.5Z".parse().unwrap(), "a new disk: \"sdb\"", Some("ada"));
        expect![[r#"
            apiVersion: mooring.dev/v1alpha1
            kind: Hold
            metadata:
              name: container-web
            spec:
              targets:
              - Container/web
              until: "2026-11-21T12:00:00.5Z"
              reason: "a new disk: \"sdb\""
              by: ada
        "#]]
        .assert_eq(&text);
        let manifests = crate::source::parse::parse_located(std::path::Path::new("hold.yaml"), text.as_bytes()).unwrap();
        assert_eq!(manifests.len(), 1);
    }
}
