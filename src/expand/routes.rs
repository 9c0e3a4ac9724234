//! The routes of a plugin, in the `Proxy` that leads to it.

use super::{Expander, Finding, Plugin, containers::Main};
use crate::manifest::{
    Key, Kind, Manifest,
    proxy::{Backend, Route},
};

impl Expander {
    /// Adds the plugin's routes to its `Proxy`. A route that is there already stays.
    pub(super) fn routes(&mut self, plugin: &Plugin<'_>, main: Option<&Main>) {
        let Some(wanted) = &plugin.spec.route else { return };
        let Some(Main { object, port: Some(port), .. }) = main else {
            self.finding(plugin, Finding::NoRoute { host: wanted.host.clone() });
            return;
        };
        let key = Key::new(Kind::Proxy, &wanted.proxy);
        for (path, websocket) in paths(plugin) {
            if !is_usable(&path) {
                self.finding(plugin, Finding::UnusablePath { path });
                continue;
            }
            let Some(Manifest::Proxy(proxy)) = self.out.manifests.get_mut(&key) else { return };
            let present = proxy.spec.routes.iter().find(|route| route.host == wanted.host && route.path == path);
            if let Some(present) = present {
                if present.to.container != *object {
                    let to = present.to.container.clone();
                    self.finding(plugin, Finding::RouteTaken { host: wanted.host.clone(), path, to });
                }
                continue;
            }
            let to = Backend { container: object.clone(), port: *port, tls: false };
            proxy.spec.routes.push(route(&wanted.host, path, to, websocket));
            self.extended(plugin, &key);
        }
    }
}

fn route(host: &str, path: String, to: Backend, websocket: bool) -> Route {
    Route {
        host: host.to_owned(),
        path,
        to,
        strip_path: false,
        websocket,
        client_max_body_size: None,
        timeouts: crate::manifest::proxy::Timeouts::default(),
        request_headers: std::collections::BTreeMap::new(),
        response_headers: std::collections::BTreeMap::new(),
        probe: None,
    }
}

/// The paths at which a plugin is reached, and whether connections are upgraded there.
fn paths(plugin: &Plugin<'_>) -> Vec<(String, bool)> {
    let manifest = &plugin.reading.manifest;
    let has_websockets = plugin.reading.snippets.iter().any(|snippet| snippet.has_websockets);
    let said = plugin.spec.route.as_ref().and_then(|route| route.path.clone());
    let mut paths: Vec<(String, bool)> = match said {
        Some(path) => vec![(path, has_websockets || manifest.routes.iter().any(|route| route.websocket))],
        None if manifest.routes.is_empty() => vec![(format!("/{}/", manifest.name), has_websockets)],
        None => manifest.routes.iter().map(|route| (route.path.clone(), route.websocket || has_websockets)).collect(),
    };
    for webhook in &manifest.webhooks {
        if !paths.iter().any(|(path, _)| webhook.starts_with(path.as_str())) {
            paths.push((webhook.clone(), false));
        }
    }
    paths
}

/// Whether a path may stand in an nginx file as it is: it comes from somebody else's.
fn is_usable(path: &str) -> bool {
    path.starts_with('/') && path.chars().all(|c| c.is_ascii_alphanumeric() || "._~%!&'()*+,=:@/-".contains(c))
}
