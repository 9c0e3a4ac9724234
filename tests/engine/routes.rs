//! What a route can say, and which nginx can be told: by requests through a real one.

use crate::{
    host::{self, Host, container, manifest},
    proxy::{self, address, begin, nginx, start, web, who},
};

/// A backend that answers with the headers that it got.
const ECHO: &str = r#"printf '#!/bin/sh\necho\nenv | sort\n' >/www/cgi-bin/echo"#;

fn echo() -> (String, String) {
    let script = format!("mkdir -p /www/cgi-bin; {ECHO}; chmod +x /www/cgi-bin/echo; exec httpd -f -p 8080 -h /www");
    container(
        "echo",
        &format!(
            "image: busybox:1\ncommand: [sh, -c, {}]\nnetworks: ['@net']\nstopGracePeriod: 1s",
            serde_json::to_string(&script).unwrap()
        ),
    )
}

/// What the server at this address answers, or why it does not.
fn request(at: &str, head: &str) -> String {
    proxy::request(at, head).unwrap_or_else(|error| error.to_string())
}

fn get(at: &str, name: &str, path: &str) -> String {
    request(at, &format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close"))
}

#[test]
fn a_route_does_everything_that_it_says() {
    let routes = "\
unavailablePage: 'back soon'
defaultServer: {status: 410}
routes:
  - host: a.test
    to: {container: echo, port: 8080}
    websocket: true
    clientMaxBodySize: 1k
    timeouts: {connect: 2s, read: 5s, send: 5s}
    requestHeaders: {X-Tenant: shop}
    responseHeaders: {X-Served-By: 'mooring \"1\"'}
  - {host: '*.wild.test', to: {container: echo, port: 8080}}
  - {host: down.test, to: {container: web, port: 8080}}";
    let edge = host::proxy("edge", &format!("container: nginx\ndirectory: ./sites\n{routes}"));
    let host = start(&[nginx(), echo(), web("web"), edge]);

    let at = format!("{}:80", address(&host, "nginx"));
    let plain = get(&at, "a.test", "/cgi-bin/echo");
    assert!(plain.contains("\nHTTP_X_TENANT=shop\n"), "{plain}");
    assert!(plain.contains("\r\nX-Served-By: mooring \"1\"\r\n"), "{plain}");
    assert!(!plain.contains("HTTP_UPGRADE"), "{plain}");
    assert!(plain.contains("\nHTTP_X_FORWARDED_FOR="), "{plain}");
    let upgrade = request(
        &at,
        "GET /cgi-bin/echo HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13",
    );
    assert!(upgrade.contains("\nHTTP_UPGRADE=websocket\n") && upgrade.contains("\nHTTP_CONNECTION=upgrade\n"), "{upgrade}");

    let body =
        |length| request(&at, &format!("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: {length}"));
    assert!(body(2000).starts_with("HTTP/1.1 413 "), "{}", body(2000));

    assert!(get(&at, "x.wild.test", "/cgi-bin/echo").starts_with("HTTP/1.1 200 "));
    assert!(get(&at, "nobody.test", "/").starts_with("HTTP/1.1 410 "));
    host.docker("stop --time 1 @web");
    host.eventually("its page is shown", |_| {
        let page = get(&at, "down.test", "/");
        page.starts_with("HTTP/1.1 503 ") && page.contains("back soon")
    });
}

#[test]
fn two_proxies_share_an_nginx_and_replicas_share_the_requests() {
    let replica = |name: &str| {
        format!(
            "run --detach --name @{name} --label app=@pair --network @net --env GREETING={name} --pull never mooring-demo/web:1"
        )
    };
    let pair = manifest("Container", "pair", "management: heal\nselector: {labels: {app: '@pair'}}");
    let of = |name: &str, host: &str, to: &str| {
        let route = format!("routes: [{{host: {host}, to: {{container: {to}, port: 8080}}}}]");
        host::proxy(name, &format!("container: nginx\ndirectory: ./sites\nupstreams: address\n{route}"))
    };
    let mut host = Host::new(&[nginx(), web("one"), pair, of("first", "one.test", "one"), of("second", "pair.test", "pair")]);
    host.docker("network create @net");
    host.docker(&replica("left"));
    host.docker(&replica("right"));
    begin(&mut host);
    // That a worker has read the files is proven, not that the last one which has not is gone: on a busy machine it takes a moment.
    host.eventually("the first is served", |host| who(host, "one.test") == "one");
    let mut greetings: Vec<String> = (0..8).map(|_| who(&host, "pair.test")).collect();
    greetings.sort();
    greetings.dedup();
    assert_eq!(greetings, ["left", "right"]);

    host.put(of("third", "pair.test", "one"));
    host.eventually("both are named", |host| {
        let said = host.holds("Proxy/third");
        said.contains("pair.test") && said.contains("second")
    });
    assert!(["left", "right"].contains(&who(&host, "pair.test").as_str()));
}

#[test]
fn an_nginx_starts_while_a_backend_does_not_exist() {
    let route = |name: &str| format!("  - {{host: {name}.test, to: {{container: {name}, port: 8080}}}}\n");
    let edge = host::proxy("edge", &format!("container: nginx\ndirectory: ./sites\nroutes:\n{}{}", route("one"), route("two")));
    let mut host = start(&[nginx(), web("one"), web("two"), edge]);
    assert_eq!(who(&host, "one.test"), "one");
    host.stop();
    host.docker("rm --force @one");
    host.docker("restart --time 1 @nginx");
    host.eventually("it serves the other", |host| who(host, "two.test") == "two");
    assert_eq!(who(&host, "one.test"), "503");
    host.run();
    host.eventually("it is back", |host| who(host, "one.test") == "one");
}

#[test]
fn the_nginx_of_the_host_is_told_by_its_own_command() {
    let mut host = Host::new(&[web("one")]);
    let (sites, prefix) = (host.path("sites"), host.path("nginx"));
    std::fs::create_dir_all(&sites).unwrap();
    std::fs::create_dir_all(&prefix).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let main = prefix.join("nginx.conf");
    let text = format!(
        "daemon on;\npid {0}/pid;\nerror_log {0}/error.log;\nevents {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path {0}/b; \
         proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n  include {1}/*.conf;\n}}\n",
        prefix.display(),
        sites.display()
    );
    std::fs::write(&main, text).unwrap();
    let nginx = |more: &[&str]| {
        let ran = std::process::Command::new("/usr/sbin/nginx").arg("-c").arg(&main).args(more).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    nginx(&[]);
    let ended = at_the_end(|| nginx(&["-s", "stop"]));
    let spec = format!(
        "host: {{command: [/usr/sbin/nginx, -c, {}]}}\ndirectory: ./sites\nupstreams: address\nlisten: {{http: {port}}}\n\
         routes: [{{host: one.test, to: {{container: one, port: 8080}}}}]",
        main.display()
    );
    host.put(host::proxy("edge", &spec));
    host.run();
    let at = format!("127.0.0.1:{port}");
    let asked = || get(&at, "one.test", "/");
    host.eventually("it is served", |_| asked().contains("greeting one"));
    host.converges();
    let before = address(&host, "one");
    proxy::move_backend(&host, "one");
    assert_ne!(address(&host, "one"), before);
    host.eventually("it is followed", |_| asked().contains("greeting one"));
    host.converges();
    drop(ended);
}

/// Does something at the end, whatever becomes of the test.
fn at_the_end(end: impl Fn()) -> impl Drop {
    struct Guard<F: Fn()>(F);
    impl<F: Fn()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Guard(end)
}
