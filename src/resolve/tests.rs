use std::{collections::BTreeMap, path::Path, sync::Arc};

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::plan::{container::Variables, shape::MountSource};

/// Other resources, by key.
struct Others(BTreeMap<Key, Arc<Manifest>>);

impl Lookup for Others {
    fn manifest(&self, key: &Key) -> Option<Arc<Manifest>> {
        self.0.get(key).cloned()
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        self.0.keys().filter(|key| key.kind == kind).map(|key| key.name.clone()).collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "specs are written where they are passed")]
fn manifest(kind: Kind, name: &str, spec: serde_json::Value) -> Manifest {
    let annotations = json!({SOURCE_ANNOTATION: "stacks/shop.yaml:3"});
    let value = json!({
        "apiVersion": "mooring.dev/v1alpha1", "kind": kind.as_str(),
        "metadata": {"name": name, "generation": 7, "annotations": annotations}, "spec": spec,
    });
    Manifest::from_json(kind, value).unwrap()
}

/// Resolves the first of these manifests beside the others.
fn resolve_first(manifests: Vec<Manifest>) -> Result<Desired, Error> {
    let first = Object::wanted(manifests[0].clone());
    let others = manifests.into_iter().map(|manifest| (manifest.key(), Arc::new(manifest))).collect();
    resolve(&first, &Others(others), Path::new("/etc/mooring/desired"))
}

fn container(name: &str, spec: serde_json::Value) -> Manifest {
    manifest(Kind::Container, name, spec)
}

#[track_caller]
fn refused(manifests: Vec<Manifest>, expected: &Expect) {
    expected.assert_eq(&resolve_first(manifests).unwrap_err().to_string());
}

#[test]
fn a_reference_to_nothing_is_refused_with_the_nearest_name() {
    let web = container(
        "web",
        json!({"image": "web:1", "dependsOn": [{"container": "postgras"}], "envFrom": [{"environment": "shop"}]}),
    );
    refused(
        vec![web, container("postgres", json!({"image": "postgres:15"}))],
        &expect![
            "spec.dependsOn.0.container: there is no Container named `postgras` (did you mean `postgres`?); spec.envFrom.0.environment: there is no Environment named `shop`"
        ],
    );
}

#[test]
fn dependencies_that_go_round_in_a_circle_are_refused_and_shown() {
    let one = |name: &str, needs: &str| container(name, json!({"image": "web:1", "dependsOn": [{"container": needs}]}));
    refused(
        vec![one("web", "api"), one("api", "db"), one("db", "web")],
        &expect!["spec.dependsOn: the dependencies go round in a circle: web → api → db → web"],
    );
}

#[test]
fn a_circle_that_does_not_lead_back_here_is_somebody_elses_fault() {
    let one = |name: &str, needs: &str| container(name, json!({"image": "web:1", "dependsOn": [{"container": needs}]}));
    assert!(resolve_first(vec![one("web", "api"), one("api", "db"), one("db", "api")]).is_ok());
}

#[test]
fn paths_are_relative_to_the_manifests_own_file() {
    let spec = json!({"image": "web:1", "volumes": ["./conf:/etc/app:ro", "../data:/data", "/srv:/srv", "named:/named"]});
    let Ok(Desired::Container(desired)) = resolve_first(vec![container("web", spec)]) else { panic!("it is resolved") };
    let sources: Vec<_> = desired.shape.volumes.into_iter().map(|mount| mount.source).collect();
    let bind = |path: &str| MountSource::Bind(path.to_owned());
    assert_eq!(
        sources,
        [
            bind("/etc/mooring/desired/stacks/conf"),
            bind("/etc/mooring/desired/data"),
            bind("/srv"),
            MountSource::Volume("named".to_owned())
        ]
    );
}

#[test]
fn an_environments_directory_is_relative_to_its_own_file_too() {
    let environment = manifest(Kind::Environment, "shop", json!({"directory": "../env"}));
    let Ok(Desired::Environment(desired)) = resolve_first(vec![environment]) else { panic!("it is resolved") };
    assert_eq!(desired.directory, Path::new("/etc/mooring/desired/env"));
    assert_eq!(desired.generation, 7);
}

#[test]
fn a_template_that_cannot_be_read_is_refused_with_its_field() {
    let environment =
        manifest(Kind::Environment, "shop", json!({"computed": {"values": {"URL": "http://${HOST", "OK": "${HOST}"}}}));
    let refusal = resolve_first(vec![environment]).unwrap_err();
    assert_eq!(refusal.0.len(), 1);
    assert_eq!(refusal.0[0].path, "spec.computed.values.URL");
}

#[test]
fn what_is_written_out_wins_over_what_is_taken_from_environments() {
    let web = container("web", json!({"image": "web:1", "environment": {"TZ": "UTC"}, "envFrom": [{"environment": "shop"}]}));
    let Ok(Desired::Container(desired)) = resolve_first(vec![web, manifest(Kind::Environment, "shop", json!({}))]) else {
        panic!("it is resolved")
    };
    assert!(matches!(desired.variables.as_slice(), [Variables::Environment { .. }, Variables::Literal(_)]));
}

#[test]
fn what_is_not_said_is_the_engines_default_and_never_restarts_by_itself() {
    let Ok(Desired::Container(desired)) = resolve_first(vec![container("web", json!({"image": "web:1"}))]) else {
        panic!("it is resolved")
    };
    assert_eq!(desired.name, "web");
    expect![[r#"{"image":"web:1","restart":"no"}"#]].assert_eq(&serde_json::to_string(&desired.shape).unwrap());
}

#[test]
fn a_tombstone_is_resolved_to_nothing() {
    let key = Key::new(Kind::Container, "web");
    let tombstone = Object::tombstone(key.clone(), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(resolve(&tombstone, &Others(BTreeMap::new()), Path::new("/")), Ok(Desired::Absent(key)));
}

fn proxy(name: &str, spec: serde_json::Value) -> Manifest {
    manifest(Kind::Proxy, name, spec)
}

/// nginx and one backend, beside which proxies are resolved.
fn beside_nginx(proxies: Vec<Manifest>) -> Vec<Manifest> {
    let others = [container("nginx", json!({"image": "nginx:1"})), container("api", json!({"image": "api:1"}))];
    proxies.into_iter().chain(others).collect()
}

#[test]
fn a_proxy_knows_its_backends_by_the_names_that_dns_knows() {
    let healed = json!({"management": "heal", "selector": {"labels": {"com.docker.compose.service": "hasura"}}});
    let edge = proxy(
        "edge",
        json!({
            "container": "nginx", "directory": "./sites", "mounts": {"sites": "/etc/nginx/sites"},
            "tls": {"A.test": {"certificate": "../a.pem", "key": "/keys/a.key"}},
            "routes": [
                {"host": "a.test", "to": {"container": "api", "port": 80}},
                {"host": "A.test", "path": "/own/", "to": {"container": "own", "port": 80}},
                {"host": "a.test", "path": "/graphql/v1", "to": {"container": "healed", "port": 8080}},
            ],
        }),
    );
    let mut manifests = beside_nginx(vec![edge]);
    manifests.push(container("own", json!({"image": "own:1", "containerName": "shop-own"})));
    manifests.push(container("healed", healed));
    let Desired::Proxy(desired) = resolve_first(manifests).unwrap() else { panic!("it is a Proxy") };
    assert_eq!(
        desired.config.names,
        [("api", "api"), ("healed", "hasura"), ("own", "shop-own")].map(|(one, other)| (one.to_owned(), other.to_owned())).into()
    );
    assert_eq!(desired.directory, Path::new("/etc/mooring/desired/stacks/sites"));
    assert_eq!(desired.mounts, [("/etc/mooring/desired/stacks/sites".into(), "/etc/nginx/sites".to_owned())].into());
    let host = &desired.config.hosts["a.test"];
    let paths: Vec<&str> = host.routes.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(paths, ["/graphql/v1", "/own/", "/"]);
    assert_eq!(host.certificate.as_ref().unwrap().certificate, Path::new("/etc/mooring/desired/a.pem"));
    assert_eq!(host.certificate.as_ref().unwrap().key, Path::new("/keys/a.key"));
}

#[test]
fn what_another_proxy_of_the_same_nginx_serves_is_refused_with_both_names() {
    let serving = |host: &str, path: &str| {
        json!({
            "container": "nginx", "directory": "sites", "defaultServer": {"status": 404},
            "routes": [{"host": host, "path": path, "to": {"container": "api", "port": 80}}],
        })
    };
    let first = || proxy("edge", serving("a.test", "/"));
    refused(
        beside_nginx(vec![proxy("other", serving("A.test", "/")), first()]),
        &expect![
            "spec.routes.0: A.test/ is a route of Proxy/edge already, and Proxy/other would serve it with the same nginx; spec.defaultServer: Proxy/edge has a default server already, and an nginx can have only one: Proxy/other would be the second"
        ],
    );
    refused(
        beside_nginx(vec![proxy("other", serving("a.test", "/x/")), first()]),
        &expect![
            "spec.routes.0: a.test belongs to Proxy/edge, with the same nginx; a host cannot be shared, so add the route of Proxy/other there; spec.defaultServer: Proxy/edge has a default server already, and an nginx can have only one: Proxy/other would be the second"
        ],
    );
    // The first one keeps what it has.
    assert!(resolve_first(beside_nginx(vec![first(), proxy("other", serving("a.test", "/"))])).is_ok());
}

#[test]
fn a_route_to_nothing_is_refused_with_the_nearest_name() {
    let spec =
        json!({"container": "ngnx", "directory": "sites", "routes": [{"host": "a.test", "to": {"container": "ap", "port": 80}}]});
    refused(
        beside_nginx(vec![proxy("edge", spec)]),
        &expect![
            "spec.container: there is no Container named `ngnx` (did you mean `nginx`?); spec.routes.0.to.container: there is no Container named `ap` (did you mean `api`?)"
        ],
    );
}
