use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;
use crate::manifest::Kind;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins").join(name)
}

fn key(name: &str) -> Key {
    Key::new(Kind::Plugin, name)
}

fn wanted(directory: PathBuf) -> Wanted {
    let names = [("COMPOSE_PROJECT_NAME", "shop"), ("DOCKER_NETWORK", "shop_network")];
    Wanted { place: Place::Directory(directory), names: names.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }
}

/// What is understood of a fixture, or what is wrong with it.
fn story(name: &str) -> String {
    let mut plugins = Plugins::default();
    plugins.read([(key(name), wanted(fixture(name)))].into(), Instant::now());
    let Some(reading) = plugins.readings().remove(&key(name)) else {
        let root = format!("{}/", fixture("").display()).replace("//", "/");
        return plugins.problems().iter().map(|problem| format!("{problem}\n").replace(&root, "")).collect();
    };
    let Reading { manifest, fragment, snippets, is_disabled } = &*reading;
    let mut out = String::new();
    let PluginManifest { name, service, port, health, .. } = manifest;
    writeln!(out, "{name}: {service:?}, port {port:?}, health {health:?}{}", if *is_disabled { ", off" } else { "" }).unwrap();
    for Variable { name, is_required, is_generated, default } in &manifest.variables {
        let words = [(*is_required, "required"), (*is_generated, "made")];
        let words: Vec<_> = words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect();
        writeln!(out, "  variable {name} {}{}", words.join(" "), default.as_ref().map(|d| format!("={d}")).unwrap_or_default())
            .unwrap();
    }
    for Dependency { name, is_required } in &manifest.dependencies {
        writeln!(out, "  {} {name}", if *is_required { "needs" } else { "uses" }).unwrap();
    }
    for path in &manifest.webhooks {
        writeln!(out, "  webhook {path}").unwrap();
    }
    for Route { path, websocket } in &manifest.routes {
        writeln!(out, "  route {path}{}", if *websocket { " (websocket)" } else { "" }).unwrap();
    }
    for service in fragment.iter().flat_map(|fragment| &fragment.services) {
        let FragmentService { name, container_name, image, ports, host_ports, health, variables, has_networks } = service;
        let health = health.as_ref().map(|health| format!("{:?} {}", health.port, health.path));
        writeln!(out, "  service {name}: container {container_name:?}, image {image:?}, port {:?}", service.port()).unwrap();
        writeln!(out, "    ports {ports:?}, on the host {host_ports:?}, health {health:?}, networks {has_networks}").unwrap();
        for (name, value) in variables {
            writeln!(out, "    {name} = {value:?}").unwrap();
        }
    }
    for Snippet { file, backends, locations, has_server, has_websockets } in snippets {
        writeln!(out, "  {file}: {locations:?} to {backends:?}, server {has_server}, websockets {has_websockets}").unwrap();
    }
    out
}

#[track_caller]
fn check(name: &str, expected: &Expect) {
    let lines: Vec<String> = story(name).lines().map(|line| line.trim_end().to_owned()).collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn variables_in_two_lists_with_a_compose_file_and_a_file_for_nginx_are_read() {
    check(
        "notify",
        &expect![[r#"
        notify: Unsaid, port Some(3052), health Some("/health")
          variable DATABASE_URL required
          variable PLUGIN_INTERNAL_SECRET
          variable SMTP_HOST
          variable WEBHOOK_HMAC_SECRET
          needs postgres
          service notify: container Some("shop_notify"), image Some("nself/notify:1.0.0"), port Some(3052)
            ports {3052}, on the host {3052}, health Some("Some(3052) /health"), networks true
            DATABASE_URL = Some("${DATABASE_URL}")
            PLUGIN_INTERNAL_SECRET = Some("${PLUGIN_INTERNAL_SECRET:?needed}")
            PORT = Some("3052")
          nginx/notify.conf: ["/"] to {("notify", Some(3052))}, server true, websockets false
    "#]],
    );
}

#[test]
fn variables_in_a_list_of_mappings_and_an_environment_that_is_a_list_are_read() {
    check(
        "github-runner",
        &expect![[r#"
        github-runner: Unsaid, port Some(3054), health None
          variable GITHUB_TOKEN required
          variable RUNNER_LABELS =self-hosted
          variable RUNNER_SESSION_SECRET required
          webhook /webhooks/github
          service plugin-github-runner: container Some("shop_github_runner"), image None, port Some(3053)
            ports {3053}, on the host {3053}, health None, networks true
            GITHUB_TOKEN = None
            RUNNER_SESSION_SECRET = Some("${RUNNER_SESSION_SECRET}")
            SERVICE_PORT = Some("3053")
          github-runner.conf: ["/webhooks/github"] to {("github-runner", Some(3054))}, server true, websockets false
    "#]],
    );
}

#[test]
fn variables_by_name_merged_mappings_and_a_port_that_is_text_are_read() {
    check(
        "push",
        &expect![[r#"
        push: Unsaid, port Some(3053), health None
          variable PUSH_VAPID_KEY required
          variable PUSH_TTL
          variable PUSH_INTERNAL_TOKEN required
          needs notify
          uses jobs
          webhook /webhooks/push
          webhook /webhooks/receipt
          service plugin-push: container None, image Some("nself/push"), port Some(3053)
            ports {3053}, on the host {3053}, health None, networks true
            PUSH_INTERNAL_TOKEN = None
    "#]],
    );
}

#[test]
fn a_location_by_itself_and_a_service_that_is_needed_as_a_flag_are_read() {
    check(
        "cron",
        &expect![[r#"
        cron: Unsaid, port Some(3051), health None
          variable CRON_INTERNAL_SECRET
          needs redis
          service plugin-cron: container Some("shop_plugin_cron"), image Some("nself/cron"), port Some(3051)
            ports {3051}, on the host {}, health None, networks true
          nginx/cron.conf: ["/cron/"] to {("127.0.0.1", Some(3051))}, server false, websockets false
    "#]],
    );
}

#[test]
fn a_variable_as_the_name_of_a_network_and_dependencies_in_a_list_are_read() {
    check(
        "jobs",
        &expect![[r#"
        jobs: Unsaid, port Some(3105), health None
          variable DATABASE_URL required
          variable JOBS_CONCURRENCY
          needs postgres
          needs redis
          service nself-jobs: container Some("shop_plugin_jobs"), image Some("nself/jobs"), port Some(3105)
            ports {}, on the host {}, health None, networks true
            PORT = Some("3105")
    "#]],
    );
}

#[test]
fn port_zero_is_none_and_a_compose_file_may_have_several_services() {
    check(
        "monitoring",
        &expect![[r#"
        monitoring: Unsaid, port None, health None
          variable GRAFANA_ADMIN_PASSWORD required
          service prometheus: container None, image Some("prom/prometheus"), port Some(9090)
            ports {9090}, on the host {9090}, health None, networks true
          service grafana: container None, image Some("grafana/grafana"), port Some(3000)
            ports {3000}, on the host {3000}, health None, networks true
    "#]],
    );
}

#[test]
fn a_compose_file_under_another_name_is_found() {
    check(
        "ollama",
        &expect![[r#"
        ollama: Unsaid, port Some(11434), health None
          variable NSELF_OLLAMA_HOST
          variable NSELF_OLLAMA_DEFAULT_MODEL
          service ollama: container Some("shop-ollama"), image Some("ollama/ollama:latest"), port Some(11434)
            ports {}, on the host {}, health Some("Some(11434) /api/version"), networks false
    "#]],
    );
}

#[test]
fn a_deprecated_plugin_is_read() {
    check(
        "e2ee",
        &expect![[r#"
        e2ee: Unsaid, port Some(3201), health Some("/healthz")
          variable E2EE_ENCRYPTION_KEY required
          service nself-e2ee: container Some("nself-e2ee"), image Some("nself/e2ee"), port Some(3201)
            ports {3201}, on the host {}, health Some("Some(3201) /health"), networks true
            E2EE_ENCRYPTION_KEY = Some("${E2EE_ENCRYPTION_KEY}")
    "#]],
    );
}

#[test]
fn a_plugin_without_a_compose_file_and_with_words_behind_its_variables_is_read() {
    check(
        "audit-log",
        &expect![[r#"
            audit-log: Unsaid, port Some(3308), health Some("/health")
              variable PLUGIN_INTERNAL_SECRET
              variable AUDIT_RETENTION =90
        "#]],
    );
}

#[test]
fn the_second_shape_is_read() {
    check(
        "vault",
        &expect![[r#"
        vault: Container, port Some(3300), health Some("/ready")
          variable VAULT_INTERNAL_SECRET required
          variable VAULT_REGION =eu
          needs notify
          uses push
          route /vault/
          route /vault/live (websocket)
    "#]],
    );
    check(
        "migrate",
        &expect![[r#"
        migrate: None, port None, health None
          variable DATABASE_URL required
    "#]],
    );
}

#[test]
fn a_plugin_that_is_switched_off_says_so() {
    check(
        "off",
        &expect![[r#"
        off: Unsaid, port Some(3999), health None, off
          variable OFF_INTERNAL_SECRET required
    "#]],
    );
}

#[test]
fn what_cannot_be_understood_is_told_with_its_place() {
    check(
        "broken",
        &expect![[r#"
        broken/plugin.json:3:16: the JSON cannot be used: key must be a string
    "#]],
    );
    check(
        "wrong",
        &expect![[r#"
        wrong/plugin.json:2:23: the shapes that are understood are 1 and 2, not 3
        wrong/plugin.json:3:11: `Wrong Name` is no name of a plugin: lower-case letters, digits and `-`, a letter first
        wrong/plugin.json:4:11: expected a port from 0 to 65535, found 70000
        wrong/plugin.json:5:23: expected compose, cli or library, found `daemon`
        wrong/plugin.json:7:48: `1ST` is not the name of a variable
        wrong/plugin.json:8:18: a variable without a `name`
        wrong/plugin.json:8:45: expected the name of a variable, or a mapping with one
    "#]],
    );
    check(
        "wrong-fragment",
        &expect![[r#"
        wrong-fragment/docker-compose.plugin.yml:3:1: there is a tab, and YAML is indented with spaces only (replace each tab by two spaces)
    "#]],
    );
    check(
        "nowhere",
        &expect![[r#"
        nowhere:1:1: cannot be read: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn the_manifests_that_mooring_brings_are_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/plugins");
    let names = ["ai", "claw", "mux", "notify"];
    let mut plugins = Plugins::default();
    plugins.read(names.map(|name| (key(name), wanted(root.join(name)))).into(), Instant::now());
    assert_eq!(plugins.problems(), []);
    let ports: Vec<_> = plugins.readings().values().map(|reading| reading.manifest.port).collect();
    assert_eq!(ports, [Some(3709), Some(3710), Some(3711), Some(3052)]);
}

/// A copy of a fixture that can be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["plugin.json", FRAGMENT] {
        let _ = fs::copy(fixture(name).join(file), directory.path().join(file));
    }
    directory
}

#[test]
fn a_broken_file_keeps_what_was_said_before_over_a_restart_as_well() {
    let (directory, state) = (copy("notify"), tempfile::tempdir().unwrap());
    let read =
        |plugins: &mut Plugins| plugins.read([(key("notify"), wanted(directory.path().to_owned()))].into(), Instant::now());
    let port = |plugins: &Plugins| plugins.readings().get(&key("notify")).and_then(|reading| reading.manifest.port);
    let mut plugins = Plugins::load(state.path()).unwrap();
    read(&mut plugins);
    plugins.save(state.path()).unwrap();

    fs::write(directory.path().join(MANIFEST), "{").unwrap();
    read(&mut plugins);
    assert_eq!((port(&plugins), plugins.broken().len(), plugins.has_unknown()), (Some(3052), 1, false));
    plugins.save(state.path()).unwrap();
    let mut plugins = Plugins::load(state.path()).unwrap();
    read(&mut plugins);
    assert_eq!((port(&plugins), plugins.broken().len(), plugins.has_unknown()), (Some(3052), 1, false));
    let reading = Arc::clone(&plugins.readings()[&key("notify")]);
    assert_eq!(reading.fragment.as_ref().unwrap().services[0].container_name.as_deref(), Some("shop_notify"));

    // A directory that is gone is a missing mount until its Plugin goes, too.
    drop(directory);
    let gone = wanted(PathBuf::from("/nonexistent/notify"));
    plugins.read([(key("notify"), gone)].into(), Instant::now());
    assert_eq!((port(&plugins), plugins.broken().len()), (Some(3052), 1));
    plugins.read(BTreeMap::new(), Instant::now());
    assert_eq!((port(&plugins), plugins.broken().len()), (None, 0));
}

#[test]
fn a_plugin_that_was_never_understood_is_known_to_be_unknown() {
    let mut plugins = Plugins::default();
    plugins.read([(key("broken"), wanted(fixture("broken")))].into(), Instant::now());
    assert!(plugins.has_unknown());
}

#[test]
fn a_compose_file_that_vanishes_is_given_up_when_it_has_been_away_for_two_seconds() {
    let directory = copy("notify");
    let (file, aside) = (directory.path().join(FRAGMENT), directory.path().join("aside"));
    let (mut plugins, begun) = (Plugins::default(), Instant::now());
    let mut has_it_after = |millis: u64| {
        let now = begun + Duration::from_millis(millis);
        plugins.read([(key("notify"), wanted(directory.path().to_owned()))].into(), now);
        (plugins.readings()[&key("notify")].fragment.is_some(), plugins.has_absent())
    };
    assert_eq!(has_it_after(0), (true, false));
    fs::rename(&file, &aside).unwrap();
    assert_eq!(has_it_after(100), (true, true));
    fs::rename(&aside, &file).unwrap();
    assert_eq!(has_it_after(600), (true, false), "it is back");
    fs::remove_file(&file).unwrap();
    assert_eq!([1000, 2900].map(&mut has_it_after), [(true, true); 2]);
    assert_eq!([3000, 3100].map(&mut has_it_after), [(false, false); 2]);
}

#[test]
fn a_mended_file_counts_at_once() {
    let directory = copy("notify");
    let mut plugins = Plugins::default();
    for (text, port) in
        [("{", None), (r#"{"name": "notify", "port": 1}"#, Some(1)), (r#"{"name": "notify", "port": 2}"#, Some(2))]
    {
        fs::write(directory.path().join(MANIFEST), text).unwrap();
        plugins.read([(key("notify"), wanted(directory.path().to_owned()))].into(), Instant::now());
        let now = plugins.readings().get(&key("notify")).and_then(|reading| reading.manifest.port);
        assert_eq!(now, port);
    }
    assert!(plugins.broken().is_empty());
}

#[test]
fn interpolation_is_composes() {
    let names = |name: &str| (name == "A").then(|| "a".to_owned());
    let check = |text: &str, expected: &str| assert_eq!(fragment::interpolate(text, &names), expected, "{text}");
    check("$A ${A} $$A ${A:-b} ${B:-b} ${B-${A}} ${A:+c} ${B:+c}", "a a $A a b a c ");
    check("${B} $B ${B:?no} ${A:?no} 5$ ${A", "${B} $B ${B:?no} a 5$ ${A");
}

proptest::proptest! {
    #[test]
    fn no_manifest_and_no_file_for_nginx_breaks_the_reader(text in "[ -~\n]{0,80}", more in "\\PC{0,40}") {
        let _ = snippet::read("a.conf", &format!("server {{ {text} }} {more}"));
        let _ = fragment::interpolate(&format!("${{{text}{more}"), &|_| None);
        let _ = read_manifest(&serde_json::json!({"name": text, "envVars": {"required": [more]}, "port": text, "webhooks": [more]}));
    }
}

/// Its parser counts bytes.
#[test]
fn the_place_of_an_error_is_counted_in_letters() {
    let problems = manifest(Path::new("plugin.json"), "{\"n\u{e4}me\": \"\u{1f433}\",\n \"gr\u{f6}\u{df}e\" 1}").unwrap_err();
    assert_eq!(problems[0].to_string(), "plugin.json:2:10: the JSON cannot be used: expected `:`");
}
