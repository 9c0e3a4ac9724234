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
    let Some(address) = draft.value(ADDRESS).and_then(Value::as_str) else { return };
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
