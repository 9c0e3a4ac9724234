//! Files of the desired state: what is wrong is told with its place, what is right says the same when it is written again.

use std::{collections::BTreeMap, path::Path, time::Duration};

use mooring::{
    expand,
    manifest::Manifest,
    source::{desired::documents, parse},
};

use crate::{
    engine::{self, Target},
    law,
};

const WORDS: &[&str] = &[
    "apiVersion: mooring.dev/v1alpha1\n",
    "kind: Container\n",
    "kind: Environment\n",
    "kind: Proxy\n",
    "kind: Plugin\n",
    "kind: Hold\n",
    "kind: Host\n",
    "kind: ModelProvider\n",
    "metadata: {name: web}\n",
    "spec:\n",
    "  image: nginx:1.27\n",
    "---\n",
    "...\n",
    "- ",
    "? ",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "!x ",
    "|\n",
    ">-\n",
    "  ports: [80]\n",
    "  volumes: [\"a:/b\"]\n",
    "  environment: {A: b}\n",
    "\"127.0.0.1:6379:6379\"",
    "5s",
    "1h30m",
    "512m",
    "{}",
    "[]",
    "null",
    "\t",
    "  dependsOn: [{container: a, condition: healthy}]\n",
    "until: 2026-11-21T14:30:00Z",
    "%YAML 1.2\n",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "0o17",
    ".inf",
];

#[test]
fn any_manifest_is_refused_with_its_place_or_says_the_same_when_it_is_written_again() {
    let mut seeds = engine::files("examples", ".yaml");
    seeds.extend(engine::files("manifests", ".yaml"));
    Target { name: "manifest", seeds, words: WORDS, cases: 1_500, limit: Duration::from_secs(3), check }.run();
}

/// YAML counts a carriage return alone as the end of a line, and what looked for bytes that are no text did not.
#[test]
fn a_place_is_counted_the_same_by_all_who_look_at_a_text() {
    for text in ["\r\0", "a: b\r\n\0", "a\n\r\n\r\0", "\ra"] {
        assert_eq!(check(text.as_bytes()), Ok(()), "{text:?}");
    }
}

fn check(text: &[u8]) -> Result<(), String> {
    let path = Path::new("a.yaml");
    let located = match parse::parse_located(path, text) {
        Ok(located) => located,
        Err(problems) => {
            law!(!problems.is_empty(), "a refusal has a reason", "none");
            law!(problems.is_sorted(), "problems are in the order of the text", "{problems:?}");
            // To YAML, though to few others, a carriage return alone ends a line.
            let text = engine::lossy(text).replace("\r\n", "\n").replace('\r', "\n");
            for problem in problems {
                law!(engine::is_place(&text, problem.line, problem.column), "a problem has its place in the text", "{problem}");
                law!(!problem.message.is_empty(), "a problem has words", "{problem:?}");
            }
            return Ok(());
        }
    };
    let text = std::str::from_utf8(text).map_err(|error| format!("what is read is text: {error}"))?;
    let mut declared = BTreeMap::new();
    for found in located {
        written_again(&found.manifest)?;
        let (own, rest) = (documents::document(text, found.line), documents::without(text, found.line));
        law!(own.len() + rest.len() == text.len(), "a document can be taken out", "line {}", found.line);
        declared.insert(found.manifest.key(), found.manifest);
    }
    let count = declared.len();
    let expanded = expand::expand(declared, &BTreeMap::new(), &BTreeMap::new());
    law!(expanded.manifests.len() >= count, "expanding loses nothing", "{count}");
    Ok(())
}

/// A manifest written as JSON, which is YAML, is the same manifest.
pub fn written_again(manifest: &Manifest) -> Result<(), String> {
    let json = manifest.to_json().to_string();
    let again = parse::parse_file(Path::new("b.yaml"), json.as_bytes());
    let again = again.map_err(|problems| format!("what is written is read: {}", problems[0]))?;
    let [again] = again.as_slice() else { return Err(format!("what is written is one manifest: {json}")) };
    law!(again.key() == manifest.key() && again.has_spec_of(manifest), "what is written says the same", "{json}");
    law!(again.meta().labels == manifest.meta().labels, "labels stay", "{json}");
    Ok(())
}
