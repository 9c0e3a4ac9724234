//! A plugin that is enabled: its secrets first, then its container; what Compose made is found and kept alive.

use std::fs;

use crate::{
    host::{Host, environment},
    proxy,
};

/// A file with a `Plugin` of this name.
pub fn plugin(name: &str, more: &str) -> (String, String) {
    let text = format!(
        "apiVersion: mooring.dev/v1alpha1\nkind: Plugin\nmetadata: {{name: {name}}}\n\
         spec:\n  directory: plugins/{name}\n  project: '@shop'\n  environment: shop\n{more}"
    );
    (format!("{name}.yaml"), text)
}

fn shop() -> (String, String) {
    environment("shop", "directory: shop\nfiles: [.env, .env.secrets]")
}

/// A host with an environment and the directories of plugins, and nothing that runs.
pub fn host(manifests: &[(&str, &str)]) -> Host {
    let host = Host::new(&[shop()]);
    fs::create_dir(host.path("shop")).unwrap();
    fs::write(host.path("shop/.env"), "DATABASE_URL=postgresql://postgres/shop\n").unwrap();
    for (name, manifest) in manifests {
        fs::create_dir_all(host.path("plugins").join(name)).unwrap();
        fs::write(host.path("plugins").join(name).join("plugin.json"), manifest).unwrap();
    }
    host
}

/// A plugin with a page that says how it is.
pub const CLAW: &str = r#"{
  "name": "claw", "version": "1.0.0", "port": 8080, "health_endpoint": "/",
  "envVars": {"required": ["DATABASE_URL"], "optional": ["LOG_LEVEL"]}
}"#;

#[test]
fn enabling_a_plugin_brings_its_secrets_before_the_first_start_of_its_container() {
    let mut host = host(&[("claw", CLAW)]);
    host.run();
    host.converges();
    assert_eq!(host.read("shop/.env.secrets"), "", "nobody has asked for a secret yet");

    host.put(plugin("claw", "  image: mooring-demo/web:1\n"));
    host.eventually("it runs and is healthy", |host| host.state("shop_claw") == "running healthy");
    host.converges();

    for name in ["PLUGIN_INTERNAL_SECRET", "CLAW_WEB_SECRET"] {
        let written = host.value("shop/.env.secrets", name).unwrap();
        assert!(written.len() == 64 && written.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name} is {written}");
        assert_eq!(host.variable("shop_claw", name), Some(written), "{name} has reached the container");
    }
    assert_eq!(host.variable("shop_claw", "DATABASE_URL").as_deref(), Some("postgresql://postgres/shop"));

    // One container was made, once, and after the secrets were written.
    let steps: Vec<_> = host.audit().into_iter().map(|entry| (entry.operation, entry.object)).collect();
    let at = |operation: &str| {
        let mut found = steps.iter().enumerate().filter(|(_, (known, _))| known == operation).map(|(at, _)| at);
        let first = found.next().unwrap_or_else(|| panic!("no {operation} in {steps:?}"));
        assert_eq!(found.next(), None, "{operation} only once: {steps:?}");
        first
    };
    assert!(at("WriteSecrets") < at("CreateContainer"), "{steps:?}");
    assert!(at("CreateContainer") < at("StartContainer"), "{steps:?}");

    // What was expanded is kept like anything else.
    let secret = host.value("shop/.env.secrets", "CLAW_WEB_SECRET");
    host.docker("rm --force @shop_claw");
    host.delete("shop/.env.secrets");
    host.eventually("both are back", |host| {
        host.state("shop_claw") == "running healthy" && host.value("shop/.env.secrets", "CLAW_WEB_SECRET") == secret
    });

    // Broken, it stays as it was; disabled, its container goes and its secrets stay.
    fs::write(host.path("plugins/claw/plugin.json"), "{\n  \"name\": 7}").unwrap();
    host.eventually("it is told", |host| host.holds("Plugin/claw").contains("Degraded: InvalidManifest"));
    assert!(host.holds("Plugin/claw").contains("plugin.json:2:"), "{}", host.holds("Plugin/claw"));
    host.stays(1, "its container runs", |host| host.state("shop_claw") == "running healthy");
    fs::write(host.path("plugins/claw/plugin.json"), CLAW).unwrap();
    host.eventually("it is well", |host| host.holds("Plugin/claw") == "Ready: AsDeclared (it is as declared)");
    fs::write(host.path("plugins/claw/.disabled"), "").unwrap();
    host.eventually("its container is gone", |host| host.state("shop_claw") == "absent");
    assert_eq!(host.value("shop/.env.secrets", "CLAW_WEB_SECRET"), secret);
}

#[test]
fn what_a_plugin_would_lead_to_is_told_and_not_done() {
    let mut host = host(&[("claw", CLAW)]);
    host.run();
    host.converges();
    let wanted = plugin("claw", "  image: mooring-demo/web:1\n");
    let would = host.would(wanted.clone());
    assert_eq!(
        would,
        [
            "Plugin/claw: waits: WaitingForDependency",
            "Environment/shop: WriteSecrets .env.secrets",
            "Container/claw: waits: MissingVariable"
        ]
    );
    assert_eq!((host.state("shop_claw").as_str(), host.read("shop/.env.secrets").as_str()), ("absent", ""));
    assert!(host.plans("Container/claw").is_empty(), "nobody has declared it");

    host.put(wanted.clone());
    host.eventually("it runs and is healthy", |host| host.state("shop_claw") == "running healthy");
    host.converges();
    assert_eq!(host.would(wanted), ["Plugin/claw: nothing"]);
    let would = host.would(plugin("claw", "  image: mooring-demo/web:2\n"));
    assert!(would.contains(&"Container/claw: CreateContainer @shop_claw.next".to_owned()), "{would:?}");
    let would = host.would(plugin("claw", "  image: mooring-demo/web:1\n  enabled: false\n"));
    assert_eq!(
        would,
        [
            "Plugin/claw: nothing",
            "Environment/shop: nothing",
            "Container/claw: StopContainer @shop_claw",
            "Container/claw: RemoveContainer @shop_claw"
        ]
    );
    host.stays(1, "it runs all the same", |host| host.state("shop_claw") == "running healthy");
    assert_eq!(host.count("Container/claw", "CreateContainer"), 1);
}

#[test]
fn a_plugin_whose_files_are_away_for_a_second_loses_nothing() {
    let mut host = host(&[("claw", CLAW)]);
    host.put(plugin("claw", "  image: mooring-demo/web:1\n"));
    host.run();
    host.eventually("it runs and is healthy", |host| host.state("shop_claw") == "running healthy");
    host.converges();
    let (id, started, steps) = (host.id("shop_claw"), host.started("shop_claw"), host.audit().len());
    let text = host.read("claw.yaml");
    // Its own manifest, as an editor has it that renames the file away; then the plugin's whole directory.
    host.delete("claw.yaml");
    host.stays(1, "what it has expanded into is wanted", |host| !host.plans("Container/claw").is_empty());
    host.write("claw.yaml", &text);
    fs::rename(host.path("plugins/claw"), host.path("plugins/away")).unwrap();
    host.eventually("it is told", |host| host.holds("Plugin/claw").contains("Degraded: InvalidManifest"));
    fs::rename(host.path("plugins/away"), host.path("plugins/claw")).unwrap();
    host.eventually("it is well", |host| host.holds("Plugin/claw") == "Ready: AsDeclared (it is as declared)");
    host.stays(3, "nothing is done", |host| host.audit().len() == steps);
    assert_eq!((host.id("shop_claw"), host.started("shop_claw")), (id, started));
    // Away for good, it goes.
    host.delete("claw.yaml");
    host.eventually("its container is gone", |host| host.state("shop_claw") == "absent");
}

#[test]
fn a_broken_plugin_does_not_vanish_when_mooring_starts() {
    let mut host = host(&[("claw", CLAW)]);
    host.put(plugin("claw", "  image: mooring-demo/web:1\n"));
    host.run();
    host.eventually("it runs and is healthy", |host| host.state("shop_claw") == "running healthy");
    host.converges();
    let id = host.id("shop_claw");
    host.stop();
    fs::write(host.path("plugins/claw/plugin.json"), "{").unwrap();
    host.run();
    host.eventually("it is told", |host| host.holds("Plugin/claw").contains("Degraded: InvalidManifest"));
    host.docker("kill @shop_claw");
    host.eventually("it is healed all the same", |host| host.state("shop_claw") == "running healthy");
    assert_eq!(host.id("shop_claw"), id);
}

#[test]
fn what_compose_made_of_a_plugin_is_found_by_its_labels_and_kept_alive() {
    let manifest = r#"{"name": "audit-log", "port": 3308, "health_endpoint": "/", "envVars": ["PLUGIN_INTERNAL_SECRET"]}"#;
    let mut host = host(&[("audit-log", manifest)]);
    host.put(plugin("audit-log", ""));
    host.run();
    host.eventually("nobody knows its container", |host| host.holds("Plugin/audit-log").contains("Degraded: NoContainer"));

    let labels = "--label com.docker.compose.project=@shop --label com.docker.compose.service=nself-audit-log";
    host.docker(&format!("run --detach --name @shop_audit --env PORT=8080 {labels} --pull never mooring-demo/web:1"));
    host.eventually("it is found", |host| host.holds("Container/audit-log").starts_with("Ready: AsDeclared"));
    let told = host.holds("Plugin/audit-log");
    let told = told.replace('@', "");
    assert!(told.contains("plugin.json says 3308, container shop_audit says 8080; Mooring goes by 8080"), "{told}");
    let id = host.id("shop_audit");
    host.docker("kill @shop_audit");
    host.eventually("it runs again", |host| host.state("shop_audit") == "running healthy");
    assert_eq!(host.id("shop_audit"), id);
}

#[test]
fn a_hold_on_a_plugin_holds_what_it_expands_into() {
    let mut host = host(&[("claw", CLAW)]);
    host.put(plugin("claw", "  image: mooring-demo/web:1\n"));
    host.run();
    host.eventually("it runs and is healthy", |host| host.state("shop_claw") == "running healthy");
    host.converges();
    let until = jiff::Timestamp::now() + std::time::Duration::from_hours(1);
    host.write(
        "hold.yaml",
        &format!(
            "apiVersion: mooring.dev/v1alpha1\nkind: Hold\nmetadata: {{name: claw}}\n\
             spec: {{targets: [plugin/claw], until: '{until}', reason: its schema is being changed}}\n"
        ),
    );
    host.eventually("its container is held", |host| host.holds("Container/claw").contains("Held: Held"));
    host.docker("kill @shop_claw");
    host.stays(2, "it stays down", |host| host.state("shop_claw").starts_with("exited"));
    // Taken away while it is held, its container stays as well.
    host.delete("claw.yaml");
    host.stays(4, "it is not removed", |host| host.state("shop_claw").starts_with("exited"));
    host.delete("hold.yaml");
    host.eventually("its container is gone", |host| host.state("shop_claw") == "absent");
}

/// An nginx with two backends and a `Proxy`, an environment, and these plugins' files; converged.
fn beside_an_nginx(manifests: &[(&str, &str)]) -> Host {
    let mut host = host(manifests);
    for manifest in proxy::stack("resolver", "") {
        host.put(manifest);
    }
    proxy::begin(&mut host);
    host
}

/// Gives a backend a page at this path besides the one at its root.
fn has_page(host: &Host, container: &str, path: &str) {
    host.docker(&format!("exec @{container} mkdir -p /tmp/www{path}"));
    host.docker(&format!("exec @{container} cp /tmp/www/index.html /tmp/www{path}"));
}

#[test]
fn a_plugin_is_reached_through_nginx_as_long_as_it_is_enabled() {
    let hooked = CLAW.replace("\"port\"", "\"webhooks\": {\"endpoint\": \"/webhooks/claw\"}, \"port\"");
    let notes = CLAW.replace("claw", "notes");
    let host = beside_an_nginx(&[("claw", &hooked), ("notes", &notes)]);
    let has_route = |host: &Host| host.read("sites/one.test.conf").contains("location /claw/ {");
    // Whom the plugin's path belongs to without it.
    has_page(&host, "one", "/claw/");
    assert_eq!(proxy::who_at(&host, "one.test", "/claw/"), "one");
    let id = host.id("nginx");

    // One on a path of a host that there is, one on a host of its own.
    let with_route = |name: &str, route: &str| {
        let own = "image: mooring-demo/web:1\n  network: '@net'";
        plugin(name, &format!("  {own}\n  variables: {{GREETING: {name}}}\n  route: {{proxy: edge, {route}}}\n"))
    };
    host.put(with_route("claw", "host: one.test"));
    host.put(with_route("notes", "host: notes.test, path: /"));
    host.eventually("nginx leads there", |host| has_route(host) && proxy::who(host, "notes.test") == "notes");
    host.converges();
    has_page(&host, "shop_claw", "/claw/");
    has_page(&host, "shop_claw", "/webhooks/claw/");
    assert_eq!(proxy::who_at(&host, "one.test", "/claw/"), "claw");
    assert_eq!(proxy::who_at(&host, "one.test", "/webhooks/claw/"), "claw");
    assert_eq!((proxy::who(&host, "one.test").as_str(), proxy::who(&host, "two.test").as_str()), ("one", "two"));

    for name in ["claw", "notes"] {
        fs::write(host.path("plugins").join(name).join(".disabled"), "").unwrap();
    }
    host.eventually("its path is as it was", |host| proxy::who_at(host, "one.test", "/claw/") == "one");
    host.eventually("its host is gone", |host| !host.path("sites/notes.test.conf").exists());
    host.converges();
    assert!(!has_route(&host) && !host.read("sites/one.test.conf").contains("webhooks"));
    assert_ne!(proxy::who(&host, "notes.test"), "notes");
    host.eventually("nothing runs for it", |host| host.state("shop_claw") == "absent" && host.state("shop_notes") == "absent");

    fs::remove_file(host.path("plugins/claw/.disabled")).unwrap();
    host.eventually("it is back", |host| has_route(host) && host.state("shop_claw") == "running healthy");
    host.converges();
    has_page(&host, "shop_claw", "/claw/");
    assert_eq!(proxy::who_at(&host, "one.test", "/claw/"), "claw");
    // A proof may be broken off when its backend comes up meanwhile; nothing was refused or taken back.
    let errors: Vec<_> = host.audit().into_iter().filter_map(|entry| entry.error).collect();
    assert!(errors.iter().all(|error| error.ends_with("broken off: a backend has moved meanwhile")), "{errors:?}");
    assert_eq!(host.id("nginx"), id);
}

/// Every object with all that is wanted of it.
fn wanted(host: &Host) -> Vec<String> {
    let objects = host.context().world.reader.objects();
    objects.iter().map(|(key, object)| format!("{key}: {:?}", object.manifest())).collect()
}

/// No file of the plugin names the container: while it is away only what is remembered tells that there is one, and its port.
#[test]
fn what_was_found_of_composes_containers_is_known_after_a_restart() {
    let manifest = r#"{"name": "audit-log", "port": 3308, "health_endpoint": "/", "envVars": ["PLUGIN_INTERNAL_SECRET"]}"#;
    let mut host = beside_an_nginx(&[("audit-log", manifest)]);
    let compose = |host: &Host| {
        let labels = "--label com.docker.compose.project=@shop --label com.docker.compose.service=nself-audit-log";
        let network = "--network @net --network-alias nself-audit-log";
        let variables = "--env PORT=8080 --env GREETING=audit";
        host.docker(&format!("run --detach --name @shop_audit {network} {variables} {labels} --pull never mooring-demo/web:1"));
    };
    compose(&host);
    host.put(plugin("audit-log", "  route: {proxy: edge, host: audit.test, path: /}\n"));
    host.eventually("it is reached", |host| proxy::who(host, "audit.test") == "audit");
    host.converges();
    let says = "plugin.json says 3308, container shop_audit says 8080; Mooring goes by 8080";
    assert!(host.holds("Plugin/audit-log").replace('@', "").contains(says), "{}", host.holds("Plugin/audit-log"));
    // Without where the backend is, and the file's version, which that is a part of.
    let is_lasting = |line: &&str| !line.starts_with('#') && !line.contains("return 200 ");
    let site = |host: &Host| host.read("sites/audit.test.conf").lines().filter(is_lasting).collect::<String>();
    let (before, served, steps) = (wanted(&host), site(&host), host.audit().len());
    assert!(served.contains("http://nself-audit-log:8080;"), "{served}");

    host.stop();
    host.docker("rm --force @shop_audit");
    host.run();
    host.eventually("it is missed", |host| host.holds("Container/audit-log").contains("NotFound"));
    host.stays(4, "all of it is wanted and served as before", |host| wanted(host) == before && site(host) == served);
    assert!(host.holds("Plugin/audit-log").replace('@', "").contains(says), "{}", host.holds("Plugin/audit-log"));
    // Where it is has been noted; of all else nothing was done, not even for a moment.
    let done = host.audit().split_off(steps);
    assert!(done.iter().all(|step| step.object == "Proxy/edge" && step.why == "audit-log is down"), "{done:?}");
    compose(&host);
    host.eventually("it is reached again", |host| proxy::who(host, "audit.test") == "audit");
    host.converges();
    assert!(wanted(&host) == before && site(&host) == served);
}
