//! What plugins bring along: other people's files, read as they are; what comes of them is as good as what a person declares.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use mooring::{
    expand,
    manifest::{Key, Kind, Manifest},
    source::{
        parse,
        plugin::{FRAGMENT, Place, Plugins, Wanted, read_manifest},
    },
};
use serde_json::Value;

use crate::{
    engine::{self, Target},
    law, manifest,
};

const WORDS: &[&str] = &[
    "\"name\": \"ai\",",
    "\"port\": 3710,",
    "\"port\": \"3710\",",
    "\"service\": true,",
    "\"image\": \"ai:1\",",
    "\"env\": {\"A_SECRET\": {\"generate\": true}},",
    "\"envVars\": [\"A\"],",
    "\"dependencies\": [\"postgres\"],",
    "\"routes\": [{\"path\": \"/ai/\"}],",
    "\"webhooks\": [\"/hook\"],",
    "\"healthCheck\": \"/health\",",
    "\"manifestVersion\": 2,",
    "\"required\": true",
    "{}",
    "[]",
    "null",
    "\"\"",
    "1e309",
    "\"\\u0000\"",
    "\"\\ud83e\\udd80\"",
    "services:\n",
    "  ai:\n",
    "    image: ai:1\n",
    "    ports: [\"3710:3710\"]\n",
    "    environment: [A=b]\n",
    "${A:-b}",
    "${A",
    "    healthcheck: {test: [CMD, curl, \"http://localhost:1/x\"]}\n",
    "location /ai/ {\n",
    "proxy_pass http://ai:3710;",
    "server {\n",
    "}\n",
    "/../",
    " ",
    "%2e",
    ";",
    "\n",
];

#[test]
fn whatever_a_plugin_says_is_refused_or_comes_to_manifests_that_are_valid() {
    let mut seeds = engine::files("tests/fixtures/plugins", "plugin.json");
    seeds.extend(engine::files("examples/plugins", "plugin.json"));
    seeds.extend(engine::files("tests/fixtures/plugins", ".yml"));
    seeds.extend(engine::files("tests/fixtures/plugins", ".conf"));
    Target { name: "plugin", seeds, words: WORDS, cases: 1_200, limit: Duration::from_secs(3), check }.run();
}

/// Each of them became the name of an object, or of a secret, that no file could declare, and which nothing could be done to.
#[test]
fn a_name_that_only_a_compose_file_can_have_becomes_no_object_and_no_secret() {
    for text in [
        "services:\n  a:\n  a>:".to_owned(),
        "services:\n a:\n  environment:\n   ._INTERNAL_SECRET:".to_owned(),
        format!("services:\n  a:\n  {}:", "b".repeat(64)),
    ] {
        assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
    }
}

/// The file that a text looks like, in the directory of a plugin whose other files are good.
fn check(text: &[u8]) -> Result<(), String> {
    let said = engine::lossy(text);
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &[u8]| fs::write(directory.path().join(name), text).unwrap();
    let is_manifest = !said.contains("services") && !said.contains("proxy_pass");
    put("plugin.json", if is_manifest { text } else { br#"{"name": "ai", "version": "1.0.0", "port": 3710}"# });
    if said.contains("services") {
        put(FRAGMENT, text);
    }
    if said.contains("proxy_pass") {
        put("ai.conf", text);
    }
    if let (true, Ok(value)) = (is_manifest, serde_json::from_str::<Value>(&said)) {
        flaws(&value)?;
    }
    let key = Key::new(Kind::Plugin, "ai");
    let names = BTreeMap::from([("A".to_owned(), "b".to_owned())]);
    let wanted = Wanted { place: Place::Directory(directory.path().to_owned()), names };
    let mut plugins = Plugins::default();
    plugins.read(BTreeMap::from([(key.clone(), wanted)]), Instant::now());
    for problem in plugins.problems() {
        law!(engine::is_place(&said, problem.line, problem.column), "a problem has its place in the text", "{problem}");
    }
    let reading = plugins.reading(&key).cloned();
    law!(reading.is_some() != plugins.broken().contains_key(&key), "a plugin is understood or broken", "{:?}", plugins.broken());
    let Some(reading) = reading else { return Ok(()) };
    let declared = declared();
    let readings = BTreeMap::from([(key.clone(), Arc::clone(&reading))]);
    let expanded = expand::expand(declared.clone(), &readings, &BTreeMap::new());
    law!(expanded.manifests == expand::expand(declared, &readings, &BTreeMap::new()).manifests, "the same twice", "{reading:?}");
    expanded.manifests.values().try_for_each(manifest::written_again)
}

fn flaws(value: &Value) -> Result<(), String> {
    for flaw in read_manifest(value).err().unwrap_or_default() {
        let around = flaw.pointer.rsplit_once('/').map_or("", |(around, _)| around);
        let is_there = value.pointer(&flaw.pointer).or_else(|| value.pointer(around)).is_some();
        law!(is_there && !flaw.message.is_empty(), "a flaw has its place in the value", "{} {}", flaw.pointer, flaw.message);
    }
    Ok(())
}

/// The plugin, and the stack that it belongs to.
fn declared() -> BTreeMap<Key, Manifest> {
    let text = "
apiVersion: mooring.dev/v1alpha1
kind: Plugin
metadata: {name: ai}
spec: {directory: plugins/ai, project: shop, environment: shop, route: {proxy: edge, host: api.example.test}}
---
apiVersion: mooring.dev/v1alpha1
kind: Environment
metadata: {name: shop}
spec: {files: [.env, .env.secrets], secrets: {file: .env.secrets, generate: []}}
---
apiVersion: mooring.dev/v1alpha1
kind: Proxy
metadata: {name: edge}
spec: {container: nginx, directory: sites, routes: [{host: api.example.test, path: /, to: {container: hasura, port: 8080}}]}
";
    let manifests = parse::parse_file(Path::new("shop.yaml"), text.as_bytes()).unwrap();
    manifests.into_iter().map(|manifest| (manifest.key(), manifest)).collect()
}
