//! A plugin: what it needs is kept by the objects that it expands into.
//!
//! So nothing is ever done for the plugin itself. It is as declared when its
//! files are understood and everything that it has expanded into is up.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Note, Plan, Wait};
use crate::{
    expand::{Finding, Found},
    manifest::{Key, PluginSpec},
};

/// What the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The object.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// The manifest itself.
    pub spec: PluginSpec,
}

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// Why its files have never been understood, if that is so.
    pub unreadable: Option<String>,
    /// What its files, and what runs, say differently, and what else is worth knowing.
    pub findings: BTreeSet<Finding>,
    /// The containers that it has expanded into and that are not up.
    pub down: Vec<Key>,
    /// The containers that Compose has made for it.
    pub found: Vec<Found>,
}

/// What it expands into does the work.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    if let Some(reason) = &observed.unreadable {
        let file = desired.spec.directory.clone().unwrap_or_else(|| "its manifest".to_owned());
        return Plan::waiting(Wait::UnreadableFile { file, reason: reason.clone() });
    }
    let notes = observed.findings.iter().cloned().map(Note::Plugin).collect();
    let wait = observed.down.first().map(|down| Wait::Dependency { object: down.clone(), condition: "healthy".to_owned() });
    Plan { wait, notes, ..Plan::default() }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::manifest::Kind;

    fn check(observed: &Observed, expected: &Expect) {
        let spec = serde_json::from_value(serde_json::json!({"directory": "claw", "project": "shop", "environment": "shop"}));
        let desired = Desired { key: Key::new(Kind::Plugin, "claw"), generation: 1, spec: spec.unwrap() };
        expected.assert_eq(&plan(&desired, observed).to_string());
    }

    fn observed() -> Observed {
        let at = "2026-11-21T12:00:00Z".parse().unwrap();
        Observed { at, unreadable: None, findings: BTreeSet::new(), down: Vec::new(), found: Vec::new() }
    }

    #[test]
    fn a_plugin_whose_containers_are_up_is_as_declared() {
        check(&observed(), &expect![""]);
    }

    #[test]
    fn a_plugin_waits_for_its_containers_and_tells_what_is_wrong_with_its_files() {
        let down = vec![Key::new(Kind::Container, "claw")];
        let findings = [Finding::NoContainer, Finding::OverlookedFragment { file: "compose_fragment.yml".to_owned() }].into();
        check(
            &Observed { findings, down, ..observed() },
            &expect![[r#"
                wait: Container/claw is not healthy
                note: nself overlooks compose_fragment.yml, so nobody makes its container; rename it to docker-compose.plugin.yml
                note: nobody knows its image, it has no Compose file, and no container of its was found; set `image`
            "#]],
        );
    }

    #[test]
    fn a_plugin_that_was_never_understood_says_why() {
        let unreadable = Some("plugin.json:3:1: the JSON cannot be used: trailing comma".to_owned());
        check(
            &Observed { unreadable, ..observed() },
            &expect![[r#"
                wait: claw cannot be used: plugin.json:3:1: the JSON cannot be used: trailing comma
            "#]],
        );
    }
}
