//! The checks of a `Proxy`.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::Value;

use super::{super::draft::below, Draft, has, keys, misplaced, missing, wrong};

/// nginx takes no longer word.
const PAGE_LIMIT: usize = 4000;

/// What may stand in the name of a header, besides letters and digits.
const HEADER_SIGNS: &str = "!#&'*+-.^_`|~";

pub(super) fn report(draft: &mut Draft<'_>) {
    server(draft);
    resolver(draft);
    routes(draft);
    tls(draft);
    page(draft);
    mounts(draft);
}

/// Which nginx.
fn server(draft: &mut Draft<'_>) {
    match (has(draft, "/spec/container"), has(draft, "/spec/host")) {
        (false, false) => {
            missing(draft, "/spec/container", "say which Container nginx runs in, or `host: {}` for one on the host");
        }
        (true, true) => misplaced(draft, "/spec/host", "and `spec.container` exclude each other", Some("one Proxy is one nginx")),
        (true, false) | (false, true) => {}
    }
}

fn resolver(draft: &mut Draft<'_>) {
    const ADDRESS: &str = "/spec/resolver/address";
    let given = draft.value(ADDRESS).and_then(Value::as_str);
    let is_by_name = draft.value("/spec/upstreams").and_then(Value::as_str) != Some("address");
    let is_on_host = has(draft, "/spec/host") && !has(draft, "/spec/container");
    if is_on_host && is_by_name && given.is_none_or(|address| address.starts_with("127.0.0.11")) {
        let help = "write `upstreams: address`, or a `resolver.address` that knows the containers";
        wrong(draft, "/spec/host", "an nginx on the host cannot ask Docker's resolver, 127.0.0.11, for containers", Some(help));
    }
    let Some(address) = given else { return };
    let is_socket = address.parse::<std::net::SocketAddr>().is_ok();
    if !is_socket && address.parse::<IpAddr>().is_err() {
        wrong(
            draft,
            ADDRESS,
            &format!("`{address}` is not an IP address, with or without a port"),
            Some("Docker's own is 127.0.0.11"),
        );
    }
}

fn routes(draft: &mut Draft<'_>) {
    let routes = draft.value("/spec/routes").and_then(Value::as_array).map_or(0, Vec::len);
    let mut seen = BTreeMap::new();
    for at in 0..routes {
        let pointer = format!("/spec/routes/{at}");
        let field = |name: &str| draft.value(&format!("{pointer}/{name}")).and_then(Value::as_str);
        let (host, path) = (field("host"), field("path").unwrap_or("/"));
        let probe = field("probe");
        if let Some(host) = host
            && let Some(first) = seen.insert((host.to_lowercase(), path), at)
        {
            wrong(draft, &pointer, &format!("{host}{path} has a route already: `spec.routes.{first}`"), None);
        }
        if probe.is_some_and(|probe| !is_request_path(probe)) {
            let help = Some("as it stands in a request: it begins with / and has no spaces");
            wrong(draft, &format!("{pointer}/probe"), "expected a path", help);
        }
        for headers in ["requestHeaders", "responseHeaders"] {
            self::headers(draft, &format!("{pointer}/{headers}"));
        }
    }
}

fn is_request_path(path: &str) -> bool {
    path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic())
}

fn headers(draft: &mut Draft<'_>, pointer: &str) {
    for name in keys(draft, pointer) {
        let header = below(pointer, name);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || HEADER_SIGNS.contains(c)) {
            misplaced(draft, &header, "is not the name of a header", Some("letters, digits and `-`"));
        }
        // The value is not repeated: it may be a password.
        if draft.value(&header).and_then(Value::as_str).is_some_and(|value| value.contains(|c: char| c.is_control())) {
            wrong(draft, &header, "the value of a header is one line", None);
        }
    }
}

fn tls(draft: &mut Draft<'_>) {
    let routes = draft.value("/spec/routes").and_then(Value::as_array).into_iter().flatten();
    let hosts: Vec<&str> = routes.filter_map(|route| route.get("host")?.as_str()).collect();
    for host in keys(draft, "/spec/tls") {
        if !hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            let pointer = below("/spec/tls", host);
            misplaced(draft, &pointer, "is not the host of any route", Some("a certificate belongs to a host under `routes`"));
        }
    }
}

fn page(draft: &mut Draft<'_>) {
    const PAGE: &str = "/spec/unavailablePage";
    let Some(page) = draft.value(PAGE).and_then(Value::as_str) else { return };
    // Quotes and backslashes are written as two bytes each.
    let length = page.len() + page.matches(['"', '\\']).count();
    if length > PAGE_LIMIT {
        wrong(draft, PAGE, &format!("the page has {length} bytes, and nginx takes at most {PAGE_LIMIT}"), None);
    } else if page.contains('$') {
        wrong(draft, PAGE, "nginx would take `$` for the beginning of a variable", Some("write `&#36;`"));
    }
}

fn mounts(draft: &mut Draft<'_>) {
    for outside in keys(draft, "/spec/mounts") {
        let pointer = below("/spec/mounts", outside);
        if draft.value(&pointer).and_then(Value::as_str).is_some_and(|inside| !inside.starts_with('/')) {
            wrong(draft, &pointer, "expected the path that nginx sees, beginning with /", None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use expect_test::{Expect, expect};

    use crate::source::parse::parse_located;

    fn check(spec: &str, expected: &Expect) {
        let spec: String = spec.trim_matches('\n').lines().map(|line| "  ".to_owned() + line + "\n").collect();
        let text = format!("apiVersion: mooring.dev/v1alpha1\nkind: Proxy\nmetadata: {{name: edge}}\nspec:\n{spec}");
        let told = match parse_located(Path::new("edge.yaml"), text.as_bytes()) {
            Ok(_) => String::new(),
            Err(problems) => problems.iter().map(|problem| problem.to_string() + "\n").collect(),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn the_proxy_of_the_design_is_accepted() {
        check(
            r"
container: nginx
directory: ./nginx/sites
upstreams: resolver
resolver: {address: 127.0.0.11, valid: 30s}
routes:
  - {host: api.example.test, path: /, to: {container: hasura, port: 8080}}
  - {host: api.example.test, path: /claw/, to: {container: claw, port: 3710}, websocket: true}
",
            &expect![""],
        );
    }

    #[test]
    fn all_that_is_wrong_with_a_proxy_is_told_at_once() {
        check(
            r#"
directory: sites
mounts: {sites: etc/nginx}
resolver: {address: dns.local}
tls: {other.test: {certificate: a.pem, key: a.key}}
unavailablePage: "costs $5"
routes:
  - {host: "a b.test", to: {container: api, port: 80}}
  - {host: a.test, to: {container: api, port: 0}}
  - {host: A.test, path: "/", to: {container: api, port: 80}, probe: "x"}
  - {host: b.test, path: "/a b", to: {container: api, port: 80}, requestHeaders: {"X Y": z, X-Key: "hunter2\n"}}
"#,
            &expect![[r#"
                edge.yaml:4:1: `spec.container` is missing (say which Container nginx runs in, or `host: {}` for one on the host)
                edge.yaml:6:19: `spec.mounts.sites`: expected the path that nginx sees, beginning with /
                edge.yaml:7:23: `spec.resolver.address`: `dns.local` is not an IP address, with or without a port (Docker's own is 127.0.0.11)
                edge.yaml:8:9: `spec.tls.other.test` is not the host of any route (a certificate belongs to a host under `routes`)
                edge.yaml:9:20: `spec.unavailablePage`: nginx would take `$` for the beginning of a variable (write `&#36;`)
                edge.yaml:11:14: `spec.routes.0.host`: expected a host name such as api.example.com or *.example.com, found "a b.test" (The host name.)
                edge.yaml:12:49: `spec.routes.1.to.port`: expected a whole number from 1 to 65535, found 0 (The port inside the container.)
                edge.yaml:13:7: `spec.routes.2`: A.test/ has a route already: `spec.routes.1`
                edge.yaml:13:72: `spec.routes.2.probe`: expected a path (as it stands in a request: it begins with / and has no spaces)
                edge.yaml:14:28: `spec.routes.3.path`: expected a path that begins with / and has no spaces, quotes, braces or semicolons, found "/a b" (The beginning of the path.)
                edge.yaml:14:85: `spec.routes.3.requestHeaders.X Y` is not the name of a header (letters, digits and `-`)
                edge.yaml:14:102: `spec.routes.3.requestHeaders.X-Key`: the value of a header is one line
            "#]],
        );
    }

    #[test]
    fn one_proxy_is_one_nginx() {
        check(
            "container: nginx\nhost: {}\ndirectory: sites",
            &expect![[r#"
            edge.yaml:6:3: `spec.host` and `spec.container` exclude each other (one Proxy is one nginx)
        "#]],
        );
    }

    #[test]
    fn an_nginx_on_the_host_needs_another_way_to_containers_than_dockers_resolver() {
        check(
            "host: {}\ndirectory: sites",
            &expect![[r#"
            edge.yaml:5:9: `spec.host`: an nginx on the host cannot ask Docker's resolver, 127.0.0.11, for containers (write `upstreams: address`, or a `resolver.address` that knows the containers)
        "#]],
        );
        check("host: {}\ndirectory: sites\nupstreams: address", &expect![[""]]);
        check("host: {}\ndirectory: sites\nresolver: {address: 10.0.0.53}", &expect![[""]]);
    }
}
