use std::{fmt::Write as _, path::Path, time::Instant};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;
use crate::{
    manifest::proxy,
    source::plugin::{Place, Plugins, Wanted},
};

fn manifest(kind: Kind, name: &str, spec: &Value) -> (Key, Manifest) {
    let value = json!({"apiVersion": "mooring.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let manifest = Manifest::from_json(kind, value).unwrap();
    (manifest.key(), manifest)
}

/// An environment, a proxy, and plugins of these names with these fields besides.
fn stack(plugins: &[(&str, Value)]) -> BTreeMap<Key, Manifest> {
    let mut stack: BTreeMap<_, _> = [
        manifest(
            Kind::Environment,
            "shop",
            &json!({"files": [".env", ".env.secrets"], "secrets": {"generate": [{"name": "POSTGRES_PASSWORD"}]}}),
        ),
        manifest(
            Kind::Proxy,
            "edge",
            &json!({"container": "nginx", "directory": "sites", "routes": [
                {"host": "api.example.test", "path": "/jobs/", "to": {"container": "web", "port": 80}},
            ]}),
        ),
    ]
    .into();
    for (name, more) in plugins {
        let mut spec = json!({"directory": name, "project": "shop", "environment": "shop"});
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        stack.extend([manifest(Kind::Plugin, name, &spec)]);
    }
    stack
}

/// What the plugins of a stack say: fixtures, or what Mooring brings.
fn readings(stack: &BTreeMap<Key, Manifest>) -> BTreeMap<Key, Arc<Reading>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = stack.iter().filter_map(|(key, manifest)| {
        let Manifest::Plugin(plugin) = manifest else { return None };
        let names = [("COMPOSE_PROJECT_NAME", "shop"), ("DOCKER_NETWORK", "shop_network")];
        let fixture = root.join("tests/fixtures/plugins").join(&key.name);
        let directory = if fixture.exists() { fixture } else { root.join("manifests/plugins").join(&key.name) };
        let place = plugin.spec.manifest.clone().map_or(Place::Directory(directory), |manifest| Place::Inline(manifest.into()));
        Some((key.clone(), Wanted { place, names: names.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }))
    });
    let mut plugins = Plugins::default();
    plugins.read(wanted.collect(), Instant::now());
    assert_eq!(plugins.problems(), []);
    plugins.readings()
}

fn expanded(stack: &BTreeMap<Key, Manifest>) -> Expansion {
    expand(stack.clone(), &readings(stack), &BTreeMap::new())
}

fn found(plugin: &str, service: &str, port: Option<u16>) -> BTreeMap<Key, Vec<Found>> {
    let found = Found { service: service.to_owned(), container: format!("shop_{plugin}"), port };
    [(Key::new(Kind::Plugin, plugin), vec![found])].into()
}

/// The objects that are new, as specs, what is added to others, and everything that is worth knowing.
fn story(before: &BTreeMap<Key, Manifest>, after: &Expansion) -> String {
    let mut out = String::new();
    for (key, manifest) in &after.manifests {
        match (before.get(key), manifest) {
            (Some(old), _) if old.has_spec_of(manifest) => {}
            (Some(_), Manifest::Environment(_)) => writeln!(out, "{key} makes {}", made(after).join(", ")).unwrap(),
            (Some(_), Manifest::Proxy(proxy)) => {
                for proxy::Route { host, path, to, websocket, .. } in &proxy.spec.routes {
                    let websocket = if *websocket { " (websocket)" } else { "" };
                    writeln!(out, "{key} leads from {host}{path} to {}:{}{websocket}", to.container, to.port).unwrap();
                }
            }
            _ => writeln!(out, "{key}\n{}", serde_yaml::to_string(&manifest.spec_json()).unwrap().trim_end()).unwrap(),
        }
    }
    for (plugin, report) in &after.reports {
        for finding in &report.findings {
            writeln!(out, "! {plugin}: {finding}").unwrap();
        }
    }
    out
}

/// The secrets that the environment has made.
fn made(expansion: &Expansion) -> Vec<&str> {
    let Manifest::Environment(environment) = &expansion.manifests[&Key::new(Kind::Environment, "shop")] else { panic!() };
    environment.spec.secrets.iter().flat_map(|secrets| &secrets.generate).map(|secret| secret.name.as_str()).collect()
}

#[track_caller]
fn check(plugins: &[(&str, Value)], expected: &Expect) {
    let stack = stack(plugins);
    expected.assert_eq(&story(&stack, &expanded(&stack)));
}

fn findings(expansion: &Expansion, plugin: &str) -> String {
    let report = &expansion.reports[&Key::new(Kind::Plugin, plugin)];
    report.findings.iter().fold(String::new(), |told, finding| told + &finding.to_string() + "\n")
}

#[test]
fn a_port_that_the_plugin_is_told_is_the_one_that_is_probed() {
    let stack = stack(&[("claw", json!({"image": "claw:1", "variables": {"PORT": 8080}}))]);
    let expansion = expanded(&stack);
    let Manifest::Container(claw) = &expansion.manifests[&Key::new(Kind::Container, "claw")] else { panic!() };
    assert_eq!(claw.spec.probe.as_ref().unwrap().http.as_ref().unwrap().port, 8080);
    assert_eq!(claw.spec.environment["SERVICE_PORT"].0, "8080");
}

#[test]
fn a_plugin_with_an_image_becomes_a_container_of_our_own() {
    let route = json!({"proxy": "edge", "host": "api.example.test"});
    let stack = stack(&[
        ("claw", json!({"image": "claw:1", "route": route, "variables": {"LOG_LEVEL": "debug"}})),
        ("ai", json!({"image": "ai:1"})),
    ]);
    let mut expansion = expanded(&stack);
    expansion.manifests.retain(|key, _| key.name != "ai");
    expect![[r#"
        Environment/shop makes POSTGRES_PASSWORD, PLUGIN_INTERNAL_SECRET, CLAW_WEB_SECRET
        Container/claw
        containerName: shop_claw
        image: claw:1
        environment:
          AI_PLUGIN_URL: http://ai:3709
          COMPOSE_PROJECT_NAME: shop
          DOCKER_NETWORK: shop_network
          LOG_LEVEL: debug
          PLUGIN_AI_INTERNAL_URL: http://ai:3709
          PORT: "3710"
          PROJECT_NAME: shop
          SERVICE_NAME: claw
          SERVICE_PORT: "3710"
        envFrom:
        - environment: shop
          keys:
          - PLUGIN_INTERNAL_SECRET
          - CLAW_WEB_SECRET
          - DATABASE_URL
          optionalKeys:
          - MUX_CLAW_SHARED_SECRET
          - CLAW_WEB_PASSWORD
          - ENV
          - BASE_DOMAIN
        networks:
        - name: shop_network
          aliases:
          - claw
          - plugin-claw
        dependsOn:
        - container: ai
          condition: healthy
        restart: unless-stopped
        probe:
          http:
            port: 3710
            path: /health
          interval: 10s
          timeout: 5s
          retries: 3
          startPeriod: 1m30s
        Proxy/edge leads from api.example.test/jobs/ to web:80
        Proxy/edge leads from api.example.test/claw/ to claw:3710 (websocket)
    "#]]
    .assert_eq(&story(&stack, &expansion));
}

#[test]
fn the_plugin_ai_brings_a_model() {
    let stack = stack(&[("ai", json!({"image": "ai:1"})), ("ollama", json!({}))]);
    let mut expansion = expanded(&stack);
    expansion.manifests.retain(|key, _| key.kind == Kind::ModelProvider);
    expect![[r#"
        ModelProvider/ai
        environment: shop
        order:
        - openai
        - anthropic
        - ollama
        openaiModel: gpt-4o-mini
        anthropicModel: claude-3-5-haiku
        ollama:
          container: ollama
          model: gemma3:4b
          pull: ifMissing
          stallAfter: 1m
        ! Plugin/ollama: nself overlooks compose_fragment.yml, so nobody makes its container; rename it to docker-compose.plugin.yml
        ! Plugin/ollama: service ollama names no network, so the rest of the stack does not find it
    "#]].assert_eq(&story(&stack, &expansion));
}

#[test]
fn a_plugin_that_compose_makes_becomes_a_container_to_be_healed() {
    check(
        &[("notify", json!({"route": {"proxy": "edge", "host": "notify.example.test", "path": "/"}}))],
        &expect![[r#"
            Environment/shop makes POSTGRES_PASSWORD, PLUGIN_INTERNAL_SECRET
            Container/notify
            management: heal
            selector:
              labels:
                com.docker.compose.project: shop
                com.docker.compose.service: notify
            Proxy/edge leads from api.example.test/jobs/ to web:80
            Proxy/edge leads from notify.example.test/ to notify:3052
        "#]],
    );
}

#[test]
fn a_compose_file_with_several_services_becomes_several_containers() {
    check(
        &[("monitoring", json!({}))],
        &expect![[r#"
            Environment/shop makes POSTGRES_PASSWORD, PLUGIN_INTERNAL_SECRET
            Container/monitoring-grafana
            management: heal
            selector:
              labels:
                com.docker.compose.project: shop
                com.docker.compose.service: grafana
            Container/monitoring-prometheus
            management: heal
            selector:
              labels:
                com.docker.compose.project: shop
                com.docker.compose.service: prometheus
        "#]],
    );
}

#[test]
fn contradictions_and_collisions_are_told() {
    let stack = stack(&[
        ("github-runner", json!({})),
        ("push", json!({})),
        ("cron", json!({})),
        ("jobs", json!({"route": {"proxy": "edge", "host": "api.example.test"}})),
        ("ollama", json!({})),
        ("e2ee", json!({})),
        ("audit-log", json!({"route": {"proxy": "edge", "host": "api.example.test"}})),
        ("vault", json!({"image": "vault:1"})),
    ]);
    let expansion = expanded(&stack);
    let told = expansion.reports.keys().map(|key| format!("{key}\n{}", findings(&expansion, &key.name)));
    expect![[r#"
        Plugin/audit-log
        nobody knows its image, it has no Compose file, and no container of its was found; set `image`
        api.example.test cannot lead to it: it has no container, or nobody knows its port
        Plugin/cron
        nginx/cron.conf leads to 127.0.0.1, which inside of nginx's container is nginx itself; give the plugin a `route`
        nginx/cron.conf has a location outside of any server, which nginx refuses
        Plugin/e2ee
        its health path is told in different ways: plugin.json says /healthz, docker-compose.plugin.yml says /health; Mooring goes by /health
        container nself-e2ee is not named after the stack, so two stacks on one host would want the same
        it is not to be used any more; vault takes its place
        Plugin/github-runner
        its port is told in different ways: plugin.json says 3054, docker-compose.plugin.yml says 3053, github-runner.conf says 3054; Mooring goes by 3053
        its service's name is told in different ways: docker-compose.plugin.yml says plugin-github-runner, github-runner.conf says github-runner; Mooring goes by plugin-github-runner
        port 3053 of the host is wanted by Plugin/push as well, so only one of them starts
        Plugin/jobs
        api.example.test/jobs/ is declared and leads to web
        Plugin/ollama
        nself overlooks compose_fragment.yml, so nobody makes its container; rename it to docker-compose.plugin.yml
        service ollama names no network, so the rest of the stack does not find it
        Plugin/push
        port 3053 of the host is wanted by Plugin/github-runner as well, so only one of them starts
        it needs notify, which is neither a Plugin nor a Container here
        Plugin/vault
        it needs notify, which is neither a Plugin nor a Container here
    "#]].assert_eq(&told.collect::<String>());
}

#[test]
fn what_runs_counts_more_than_what_is_written() {
    let stack = stack(&[("audit-log", json!({"route": {"proxy": "edge", "host": "api.example.test"}}))]);
    let expansion = expand(stack.clone(), &readings(&stack), &found("audit-log", "plugin-audit-log", Some(3309)));
    expect![[r#"
        Environment/shop makes POSTGRES_PASSWORD, PLUGIN_INTERNAL_SECRET
        Container/audit-log
        management: heal
        selector:
          labels:
            com.docker.compose.project: shop
            com.docker.compose.service: plugin-audit-log
        probe:
          http:
            port: 3309
            path: /health
          interval: 10s
          timeout: 5s
          retries: 3
          startPeriod: 1m30s
        Proxy/edge leads from api.example.test/jobs/ to web:80
        Proxy/edge leads from api.example.test/audit-log/ to audit-log:3309
        ! Plugin/audit-log: its port is told in different ways: plugin.json says 3308, container shop_audit-log says 3309; Mooring goes by 3309
    "#]].assert_eq(&story(&stack, &expansion));
}

#[test]
fn a_container_is_known_as_a_plugins_by_composes_labels() {
    let stack = stack(&[("audit-log", json!({}))]);
    let readings = readings(&stack);
    let Manifest::Plugin(plugin) = &stack[&Key::new(Kind::Plugin, "audit-log")] else { panic!() };
    let of = |project: &str, service: &str| {
        let labels = [("com.docker.compose.project", project), ("com.docker.compose.service", service)];
        let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into();
        service_on(&labels, &plugin.spec, &readings[&Key::new(Kind::Plugin, "audit-log")]).map(str::to_owned)
    };
    assert_eq!(of("shop", "nself-audit-log").as_deref(), Some("nself-audit-log"));
    assert_eq!(of("shop", "audit-log").as_deref(), Some("audit-log"));
    assert_eq!(of("other", "audit-log"), None);
    assert_eq!(of("shop", "audit"), None);
}

#[test]
fn what_is_declared_stays_as_it_is() {
    let mut stack = stack(&[("claw", json!({"image": "claw:1"}))]);
    stack.extend([manifest(Kind::Container, "claw", &json!({"image": "mine"}))]);
    stack.extend([manifest(Kind::ModelProvider, "mine", &json!({"environment": "shop"}))]);
    let expansion = expanded(&stack);
    assert_eq!(expansion.manifests[&Key::new(Kind::Container, "claw")], stack[&Key::new(Kind::Container, "claw")]);
    expect![[r#"
        it needs ai, which is neither a Plugin nor a Container here
        Container/claw is declared, and what is declared counts
    "#]]
    .assert_eq(&findings(&expansion, "claw"));
}

#[test]
fn what_is_off_or_not_understood_expands_into_nothing() {
    let stack = stack(&[("off", json!({})), ("notify", json!({"enabled": false})), ("migrate", json!({}))]);
    let mut readings = readings(&stack);
    let expansion = expand(stack.clone(), &readings, &BTreeMap::new());
    assert_eq!(expansion.manifests, stack);
    readings.clear();
    assert_eq!(expand(stack.clone(), &readings, &BTreeMap::new()).reports, BTreeMap::new());
}

#[test]
fn a_plugin_written_out_in_place_is_one_like_any_other() {
    let inline = json!({"name": "claw", "port": 3710, "envVars": {"required": ["DATABASE_URL"]}});
    let spec = json!({"directory": null, "manifest": inline, "image": "claw:1"});
    let stack = stack(&[("claw", spec)]);
    let expansion = expanded(&stack);
    let objects: Vec<String> = expansion.reports.values().flat_map(|report| &report.objects).map(ToString::to_string).collect();
    assert_eq!(objects, ["Container/claw"]);
    assert_eq!(made(&expansion), ["POSTGRES_PASSWORD", "PLUGIN_INTERNAL_SECRET", "CLAW_WEB_SECRET"]);
}

#[test]
fn secrets_of_others_are_never_made_up() {
    let stack = stack(&[("github-runner", json!({})), ("push", json!({})), ("notify", json!({}))]);
    let expansion = expanded(&stack);
    assert_eq!(made(&expansion), ["POSTGRES_PASSWORD", "PLUGIN_INTERNAL_SECRET", "RUNNER_SESSION_SECRET", "PUSH_INTERNAL_TOKEN"]);
}

#[test]
fn an_environment_without_secrets_gets_a_file_for_them_and_one_without_such_a_file_is_told() {
    let mut stack = stack(&[("notify", json!({}))]);
    stack.extend([manifest(Kind::Environment, "shop", &json!({"files": [".env"]}))]);
    expect![[r#"
        Environment/shop lists no file for secrets; set `secrets.file` there, or add `.env.secrets` to its files
    "#]]
    .assert_eq(&findings(&expanded(&stack), "notify"));
    stack.extend([manifest(Kind::Environment, "shop", &json!({"files": [".env", ".env.secrets.prod"]}))]);
    let Manifest::Environment(environment) = &expanded(&stack).manifests[&Key::new(Kind::Environment, "shop")] else { panic!() };
    assert_eq!(environment.spec.secrets.as_ref().unwrap().file, ".env.secrets.prod");
}

#[test]
fn a_generation_changes_with_the_spec_and_with_nothing_else() {
    let generation = |more: Value| {
        let stack = stack(&[("claw", more)]);
        expanded(&stack).manifests[&Key::new(Kind::Container, "claw")].meta().generation.unwrap()
    };
    let first = generation(json!({"image": "claw:1"}));
    assert_eq!(generation(json!({"image": "claw:1"})), first);
    assert_ne!(generation(json!({"image": "claw:2"})), first);
}

#[test]
fn expanding_what_is_expanded_changes_nothing() {
    let stack = stack(&[("notify", json!({})), ("push", json!({})), ("claw", json!({"image": "claw:1"}))]);
    let readings = readings(&stack);
    let once = expand(stack, &readings, &BTreeMap::new()).manifests;
    let again = expand(once.clone(), &readings, &BTreeMap::new()).manifests;
    for (key, manifest) in &once {
        assert!(manifest.has_spec_of(&again[key]), "{key}");
    }
}
