//! The text of one server.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _, time::Duration};

use super::{Config, config::Host, site::Addresses};
use crate::manifest::proxy::{Listen, Route, Upstreams};

/// What nginx is asked to find out which version of a file it has.
pub const VERSION_PATH: &str = "/.well-known/mooring";

/// The header by which the page of a backend that is down is told from the backend's own answers.
pub const DOWN_HEADER: &str = "X-Mooring-Backend";

/// How long nginx tries to connect to a backend: it is next door.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a websocket may be silent.
const WEBSOCKET: Duration = Duration::from_hours(24);

const PAGE: &str =
    "<!doctype html><title>Not available</title><h1>Not available just now</h1><p>Please try again in a moment.</p>";

/// Where nginx finds certificate and key.
pub(super) struct Tls {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) redirect: bool,
}

/// Writes the servers of one host.
pub(super) struct Writer<'a> {
    pub(super) config: &'a Config,
    pub(super) name: &'a str,
    pub(super) host: &'a Host,
    /// Names that are not as in the configuration.
    pub(super) names: &'a BTreeMap<String, String>,
    pub(super) addresses: &'a Addresses,
    pub(super) tls: Option<&'a Tls>,
    /// Without the values of headers.
    pub(super) is_public: bool,
}

impl Writer<'_> {
    /// The text; `token` is the version that it answers with.
    pub(super) fn write(&self, token: &str) -> String {
        let mut text = String::new();
        let listen = &self.config.listen;
        let redirected = self.tls.is_some_and(|tls| tls.redirect);
        self.open(&mut text, &format!("{}", listen.http));
        version(&mut text, token);
        if redirected {
            let port = if listen.https == 443 { String::new() } else { format!(":{}", listen.https) };
            let _ = writeln!(text, "\n    location / {{\n        return 301 https://$host{port}$request_uri;\n    }}\n}}");
        } else {
            self.content(&mut text);
        }
        if let Some(tls) = self.tls {
            text.push('\n');
            self.open(&mut text, &format!("{} ssl", listen.https));
            let _ = writeln!(text, "    ssl_certificate {};", quoted(&tls.certificate));
            let _ = writeln!(text, "    ssl_certificate_key {};", quoted(&tls.key));
            version(&mut text, token);
            self.content(&mut text);
        }
        text
    }

    fn open(&self, text: &mut String, listen: &str) {
        let _ = writeln!(text, "server {{\n    listen {listen};\n    server_name {};", self.name);
        if self.config.upstreams == Upstreams::Resolver {
            let resolver = &self.config.resolver;
            let _ = writeln!(text, "    resolver {} valid={};", resolver.address, time(resolver.valid.0));
            let _ = writeln!(text, "    resolver_timeout {};", time(resolver.timeout.0));
        }
    }

    /// Everything that leads to backends, to the end of the server.
    fn content(&self, text: &mut String) {
        if self.host.routes.iter().any(|route| route.websocket) {
            // Connections that are not to be upgraded are kept open.
            text.push_str("\n    set $mooring_connection \"\";\n    if ($http_upgrade) {\n        set $mooring_connection upgrade;\n    }\n");
        }
        for route in &self.host.routes {
            self.location(text, route);
        }
        let page = self.config.unavailable_page.as_deref().unwrap_or(PAGE);
        let _ = writeln!(
            text,
            "\n    location @mooring_down {{\n        internal;\n        default_type \"text/html; charset=utf-8\";\n        \
             add_header {DOWN_HEADER} down always;\n        add_header Retry-After 5 always;\n        return 503 {};\n    }}\n}}",
            quoted_always(page),
        );
    }

    fn location(&self, text: &mut String, route: &Route) {
        let _ = writeln!(text, "\n    location {} {{", quoted(&route.path));
        let line = |text: &mut String, line: &str| {
            let _ = writeln!(text, "        {line}");
        };
        self.backend(text, route);
        if route.strip_path && route.path != "/" {
            // Behind `set` and `return`: after `break` nginx would come to neither.
            let prefix = escaped(route.path.trim_end_matches('/'));
            line(text, &format!("rewrite {} /$1 break;", quoted_always(&format!("^{prefix}/?(.*)$"))));
        }
        line(text, "proxy_http_version 1.1;");
        self.request_headers(text, route);
        if let Some(size) = route.client_max_body_size {
            line(text, &format!("client_max_body_size {};", size.0));
        }
        let timeouts = &route.timeouts;
        let read = timeouts.read.map(|read| read.0).or_else(|| route.websocket.then_some(WEBSOCKET));
        line(text, &format!("proxy_connect_timeout {};", time(timeouts.connect.map_or(CONNECT, |connect| connect.0))));
        if let Some(read) = read {
            line(text, &format!("proxy_read_timeout {};", time(read)));
        }
        if let Some(send) = timeouts.send.map(|send| send.0).or(read.filter(|_| route.websocket)) {
            line(text, &format!("proxy_send_timeout {};", time(send)));
        }
        for (name, value) in &route.response_headers {
            line(text, &format!("add_header {name} {} always;", self.value(value)));
        }
        line(text, "error_page 502 504 =503 @mooring_down;");
        text.push_str("    }\n");
    }

    fn backend(&self, text: &mut String, route: &Route) {
        let scheme = if route.to.tls { "https" } else { "http" };
        let (backend, port) = (route.to.container.as_str(), route.to.port);
        let name = self.names.get(backend).or(self.config.names.get(backend)).map_or(backend, String::as_str);
        match self.config.upstreams {
            Upstreams::Resolver => {
                let _ = writeln!(text, "        set $upstream {scheme}://{name}:{port};\n        proxy_pass $upstream;");
            }
            Upstreams::Address if self.addresses.get(backend).is_some_and(|at| !at.is_empty()) => {
                let _ = writeln!(text, "        proxy_pass {scheme}://{};", group(&self.config.proxy, backend, port));
            }
            Upstreams::Address => {
                text.push_str("        error_page 503 @mooring_down;\n        return 503;\n");
            }
        }
        if route.to.tls {
            let _ = writeln!(text, "        proxy_ssl_server_name on;\n        proxy_ssl_name {name};");
        }
    }

    fn request_headers(&self, text: &mut String, route: &Route) {
        let upgrade = [("Upgrade", "$http_upgrade"), ("Connection", "$mooring_connection")];
        let connection = if route.websocket { &upgrade[..] } else { &[("Connection", "\"\"")] };
        let usual = [
            ("Host", "$host"),
            ("X-Real-IP", "$remote_addr"),
            ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
            ("X-Forwarded-Proto", "$scheme"),
            ("X-Forwarded-Host", "$host"),
        ];
        let given = |name: &str| route.request_headers.keys().any(|given| given.eq_ignore_ascii_case(name));
        for (name, value) in usual.iter().chain(connection).filter(|(name, _)| !given(name)) {
            let _ = writeln!(text, "        proxy_set_header {name} {value};");
        }
        for (name, value) in &route.request_headers {
            let _ = writeln!(text, "        proxy_set_header {name} {};", self.value(value));
        }
    }

    fn value(&self, value: &str) -> String {
        if self.is_public { String::new() } else { quoted_always(value) }
    }
}

/// The server of hosts without a route.
pub(super) fn default_server(listen: &Listen, status: u16, has_tls: bool) -> String {
    let mut text =
        format!("server {{\n    listen {} default_server;\n    server_name _;\n    return {status};\n}}\n", listen.http);
    if has_tls {
        let _ = write!(
            text,
            "\nserver {{\n    listen {} ssl default_server;\n    server_name _;\n    ssl_reject_handshake on;\n}}\n",
            listen.https
        );
    }
    text
}

fn version(text: &mut String, token: &str) {
    let _ = writeln!(
        text,
        "\n    location = {VERSION_PATH} {{\n        access_log off;\n        default_type text/plain;\n        return 200 \"{token}\";\n    }}"
    );
}

/// The name of a group of addresses. It contains no dot and no colon: a group that is called like a backend would
/// be found by every `proxy_pass` with a variable, in place of the resolver.
pub(super) fn group(proxy: &str, backend: &str, port: u16) -> String {
    format!("mooring_{proxy}_{backend}_{port}").replace('.', "_")
}

/// An address with a port, as nginx writes it.
#[must_use]
pub fn literal(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// A time as nginx writes it.
pub(crate) fn time(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

/// As one word, in quotes only where nginx needs them.
fn quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-~:@%+,=*".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { Cow::Borrowed(text) } else { quoted_always(text).into() }
}

fn quoted_always(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// For a regular expression.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r".*+?()[]{}|^$\".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
