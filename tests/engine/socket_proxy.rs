//! Mooring on a socket that can do only what Mooring does, and others who would like to do more.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    host::{Host, container, environment},
    proxy::{edge, make_directories, nginx, stack, web, who},
};

/// The real program, between a Mooring and the engine.
struct Offered {
    directory: tempfile::TempDir,
    words: Vec<String>,
    process: Option<Child>,
}

impl Offered {
    /// For the Mooring of this host, which is told to use it; `@` is the host's prefix, `^` its desired directory.
    fn to(host: &mut Host, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let more = more.iter().map(|word| {
            word.replace('@', &format!("{}-", host.name)).replace('^', host.path("").to_str().unwrap().trim_end_matches('/'))
        });
        std::os::unix::fs::symlink(crate::host::socket(), directory.path().join("docker.sock")).unwrap();
        let mut offered = Self { words: [host.name.clone()].into_iter().chain(more).collect(), directory, process: None };
        offered.start();
        host.engine = format!("unix://{}", offered.path().display());
        offered
    }

    /// Where it finds the engine.
    fn engine(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
        let engine = format!("unix://{}", self.engine().display());
        command.args(["socket-proxy", "--log-format", "text", "--engine", &engine, "--listen"]).arg(self.path());
        command.arg("--owner").args(&self.words).stdin(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while UnixStream::connect(self.path()).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not listen: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Without any warning.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// What was refused, as it was logged.
    fn refused(&self) -> Vec<String> {
        self.log().lines().filter(|line| line.contains("refused")).map(str::to_owned).collect()
    }

    /// Sends these bytes and gives everything that comes back; the other end closes.
    fn send(&self, bytes: &str) -> String {
        let mut stream = UnixStream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // Who does not want to hear it all breaks off, and that is an answer too.
        let _ = stream.write_all(bytes.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request as a client makes it: the status, and what is said.
    fn ask(&self, asked: &str, body: &str) -> (u16, String) {
        let head = "Host: docker\r\nConnection: close\r\nContent-Type: application/json";
        let answer = self.send(&format!("{asked} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{asked}: {answer}")), body.to_owned())
    }

    /// Why a request is refused.
    #[track_caller]
    fn refusal(&self, asked: &str, body: &str) -> String {
        let (status, said) = self.ask(asked, body);
        assert_eq!(status, 403, "{asked}: {said}");
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let message = said["message"].as_str().unwrap();
        message.split_once(": ").unwrap().1.to_owned()
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        self.kill();
    }
}

const WEB: &str = "image: web:1\nnetworks: ['@net']\nvolumes: ['@data:/data']\nmemLimit: 64m\nallowRecreate: true\n\
                   envFrom: [{environment: shop}]\nprobe: {exec: {command: [test, -e, /]}, interval: 500ms}";

/// A Mooring that has no other way to the engine than this.
fn offered(more: &[&str]) -> (Host, Offered) {
    let mut host = Host::new(&[
        environment("shop", "secrets: {generate: [{name: PLUGIN_INTERNAL_SECRET}]}"),
        container("web", WEB),
        container("other", "image: web:1\nnetworks: ['@net']\ndependsOn: [{container: web, condition: healthy}]"),
    ]);
    let offered = Offered::to(&mut host, more);
    host.run();
    host.converges();
    (host, offered)
}

#[test]
fn a_mooring_heals_all_that_it_is_to_heal_and_nothing_is_refused_to_it() {
    let (host, offered) = offered(&[]);
    host.docker("kill @web");
    host.eventually("it runs again", |host| host.state("web") == "running healthy");
    host.docker("rm --force @web");
    host.eventually("it is there again", |host| host.state("web") == "running healthy");
    host.docker("network disconnect @net @web");
    host.eventually("it is connected", |host| {
        host.inspect("web", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}")
            == Some(format!("{}-net", host.name))
    });
    host.docker("update --memory 128m --memory-swap 256m @web");
    host.eventually("its limit is back", |host| host.inspect("web", "{{.HostConfig.Memory}}").as_deref() == Some("67108864"));
    let secret = host.variable("web", "PLUGIN_INTERNAL_SECRET").unwrap();
    host.delete(".env.secrets");
    host.eventually("the secret is back", |host| host.value(".env.secrets", "PLUGIN_INTERNAL_SECRET").as_ref() == Some(&secret));

    let id = host.id("web");
    host.put(container("web", &WEB.replace("web:1", "web:2")));
    host.eventually("it is another one", |host| host.id("web") != id && host.image("web") == "web:2");
    host.converges();
    host.delete("other.yaml");
    host.eventually("it is removed", |host| host.state("other") == "absent");
    assert_eq!(offered.refused(), Vec::<String>::new());
    assert_eq!(fs::metadata(offered.path()).unwrap().permissions().mode() & 0o777, 0o660);
}

#[test]
fn nginx_is_tested_reloaded_and_proven_through_it() {
    let mut host = Host::new(&stack("address", ""));
    make_directories(&host);
    let offered = Offered::to(&mut host, &["--allow-bind", "^/sites,^/certs"]);
    host.run();
    host.converges();
    assert_eq!(who(&host, "one.test"), "one");
    host.docker("rm --force @one");
    host.eventually("it is followed", |host| who(host, "one.test") == "one");
    assert_eq!(offered.refused(), Vec::<String>::new());
}

#[test]
fn an_nginx_of_somebody_else_is_led_and_not_owned() {
    let healed = container("nginx", "management: heal\nselector: {name: '@nginx'}");
    let route = "{host: one.test, to: {container: one, port: 8080}}";
    let mut host = Host::new(&[healed, web("one"), web("two"), edge("address", "", route)]);
    fs::create_dir_all(host.path("sites")).unwrap();
    host.docker("network create @net");
    let sites = host.path("sites").display().to_string();
    host.docker(&format!("run --detach --name @nginx --network @net --volume {sites}:/etc/nginx/sites mooring-demo/nginx:1"));
    let offered = Offered::to(&mut host, &["--allow-heal-name", "@nginx", "--allow-nginx", "@nginx"]);
    host.run();
    host.converges();
    assert_eq!(who(&host, "one.test"), "one");
    let id = host.id("nginx");
    host.docker("kill @nginx");
    host.eventually("it answers again", |host| who(host, "one.test") == "one");
    assert_eq!((host.id("nginx"), offered.refused()), (id.clone(), Vec::new()));
    let shell = offered.refusal(&format!("POST /containers/{id}/exec"), r#"{"Cmd": ["sh", "-c", "nginx -T"]}"#);
    assert!(shell.contains("does not belong to"), "{shell}");
}

#[test]
fn a_mount_that_nobody_allowed_is_refused_and_the_step_says_why() {
    let mut host = Host::new(&[nginx()]);
    let offered = Offered::to(&mut host, &["--allow-bind", "^/sites"]);
    host.run();
    let why = format!("{}/certs may not be mounted (--allow-bind)", host.path("").display().to_string().trim_end_matches('/'));
    host.eventually("the step failed", |host| host.holds("Container/nginx").contains(&why));
    assert_eq!(host.state("nginx"), "absent");
    host.eventually("it is logged", |_| !offered.refused().is_empty());
    host.stays(3, "the same is logged once, and then the tenth time", |_| offered.refused().len() <= 2);
}

#[test]
fn somebody_elses_container_cannot_be_touched() {
    let mut host = Host::new(&[]);
    host.docker("run --detach --name @theirs --label app=@app --env PASSWORD=hunter2 --pull never mooring-demo/web:1");
    host.docker("volume create @data");
    let offered = Offered::to(&mut host, &[]);
    let (name, id) = (format!("{}-theirs", host.name), host.id("theirs"));
    let not_ours = |how: &str| format!("container {name} does not belong to `{}`{how}", host.name);
    for reference in [&name, &id, &id[..12].to_owned()] {
        for (asked, how) in [
            (format!("POST /v1.41/containers/{reference}/stop"), ""),
            (format!("POST /v1.41/containers/{reference}/rename?name=mine"), ""),
            (format!("DELETE /v1.41/containers/{reference}"), ""),
            (format!("POST /v1.41/containers/{reference}/start"), " (--allow-heal)"),
            (format!("POST /containers/{reference}/restart"), " (--allow-heal)"),
            (format!("GET /containers/{reference}/archive?path=%2Fetc"), " (--allow-nginx)"),
        ] {
            assert_eq!(offered.refusal(&asked, ""), not_ours(how), "{asked}");
        }
        let exec = offered.refusal(&format!("POST /containers/{reference}/exec"), r#"{"Cmd": ["id"]}"#);
        assert_eq!(exec, not_ours(" (--allow-exec, --allow-nginx)"));
        assert_eq!(offered.refusal(&format!("POST /containers/{reference}/update"), r#"{"Memory": 9}"#), not_ours(""));
    }
    for asked in ["kill", "pause", "attach", "resize", "wait"] {
        offered.refusal(&format!("POST /containers/{name}/{asked}"), "");
    }
    assert!(host.state("theirs").starts_with("running"));
    let (status, details) = offered.ask(&format!("GET /containers/{name}/json"), "");
    assert!(status == 200 && details.contains(&id) && !details.contains("hunter2"), "{details}");
    assert_eq!(offered.ask(&format!("POST /containers/{}-nobody/stop", host.name), "").0, 404, "as the engine says it");

    let volume = offered.refusal(&format!("DELETE /volumes/{}-data", host.name), "");
    assert!(volume.ends_with("is no marker of ours, and what may hold data stays"), "{volume}");
    let label = format!(r#""Image": "mooring-demo/web:1", "Labels": {{"dev.mooring.owner": "{}"}}"#, host.name);
    let made = |host_config: &str| {
        offered.refusal(&format!("POST /containers/create?name={}-mine", host.name), &format!(r#"{{{label}, {host_config}}}"#))
    };
    let theirs = made(&format!(r#""HostConfig": {{"Binds": ["{}-data:/data"]}}"#, host.name));
    assert_eq!(theirs, format!("volume {}-data is not ours (--allow-volume)", host.name));
    // The host's network has an id as well as a name.
    let network = host.docker("network inspect host --format {{.Id}}");
    let reached = made(&format!(r#""HostConfig": {{"NetworkMode": "{network}"}}"#));
    assert_eq!(reached, "the host's network is not for containers (--allow-host-network)");
    assert_eq!(host.names(), Vec::<String>::new());
}

#[test]
fn a_healed_container_is_kept_alive_and_no_more() {
    let mut host = Host::new(&[container("app", "management: heal\nselector: {labels: {app: '@app'}}")]);
    host.docker("run --detach --name @app --label app=@app --pull never mooring-demo/web:1");
    let offered = Offered::to(&mut host, &["--allow-heal", "app=@app"]);
    host.run();
    host.converges();
    host.docker("kill @app");
    host.eventually("it runs again", |host| host.state("app") == "running healthy");
    assert_eq!(offered.refused(), Vec::<String>::new());
    for asked in ["POST /containers/@app/stop", "DELETE /containers/@app", "POST /containers/@app/rename?name=x"] {
        let refusal = offered.refusal(&asked.replace('@', &format!("{}-", host.name)), "");
        assert!(refusal.contains("does not belong to"), "{refusal}");
    }
}

#[test]
fn commands_run_in_our_own_containers_and_only_those_that_were_made_here_are_started() {
    let (host, offered) = offered(&[]);
    let start = |id: &str| {
        let body = r#"{"Detach": false, "Tty": false}"#;
        let head = "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json";
        let length = body.len();
        offered.send(&format!("POST /v1.41/exec/{id}/start HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}"))
    };
    let body =
        r#"{"Cmd": ["sh", "-c", "echo out; echo err >&2; sleep 1; echo late"], "AttachStdout": true, "AttachStderr": true}"#;
    let (status, made) = offered.ask(&format!("POST /v1.41/containers/{}/exec", host.id("web")), body);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let id = made["Id"].as_str().unwrap();
    assert_eq!(status, 201);
    let answer = start(id);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(["out\n", "err\n", "late\n"].iter().all(|said| answer.contains(said)), "{answer}");
    for id in [id, &made_outside(&host.id("web"))] {
        let refusal = offered.refusal(&format!("POST /exec/{id}/start"), r#"{"Detach": false}"#);
        assert_eq!(refusal, "this command was not made here, or is started already");
    }
}

/// A command that somebody else has made, with more power than any of ours.
fn made_outside(container: &str) -> String {
    let body = r#"{"Cmd": ["id"], "Privileged": true, "AttachStdout": true}"#;
    let mut socket = UnixStream::connect(crate::host::socket()).unwrap();
    let head = format!("Host: docker\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    write!(socket, "POST /containers/{container}/exec HTTP/1.0\r\n{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split_once(r#""Id":""#).unwrap().1.split('"').next().unwrap().to_owned()
}

#[test]
fn a_request_that_can_be_read_in_two_ways_is_not_passed_on() {
    let mut host = Host::new(&[]);
    host.docker("run --detach --name @theirs --pull never mooring-demo/web:1");
    let offered = Offered::to(&mut host, &[]);
    let kill = format!("POST /containers/{}-theirs/kill HTTP/1.1\r\nHost: x\r\n\r\n", host.name);
    let smuggled = |headers: &str, body: &str| {
        offered.send(&format!("GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n\r\n{body}"))
    };
    for (headers, body) in [
        (format!("Content-Length: {}\r\nTransfer-Encoding: chunked", kill.len() + 5), format!("0\r\n\r\n{kill}")),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {}", kill.len() + 5), format!("0\r\n\r\n{kill}")),
        ("Content-Length: 0\r\nContent-Length: 5".to_owned(), kill.clone()),
        (format!("Content-Length: {}", kill.len()), kill.clone()),
        ("Transfer-Encoding: identity, chunked".to_owned(), format!("0\r\n\r\n{kill}")),
        ("Transfer-Encoding: xchunked".to_owned(), format!("0\r\n\r\n{kill}")),
        ("Upgrade: h2c".to_owned(), kill.clone()),
        ("X: y\r\n Content-Length: 5".to_owned(), kill.clone()),
    ] {
        let answer = smuggled(&headers, &body);
        let statuses: Vec<&str> = answer.split("HTTP/1.").skip(1).filter_map(|answer| answer.get(2..5)).collect();
        // What looks like a request behind the end of the first one is looked at like any other, or thrown away.
        assert!(statuses.iter().all(|status| ["400", "403"].contains(status)), "{headers}: {answer}");
    }
    for line in [
        "GET http://docker/info HTTP/1.1",
        "GET /info HTTP/1.0",
        "GET /v1.41//info HTTP/1.1",
        "GET /containers/../info HTTP/1.1",
        "GET /%69nfo HTTP/1.1",
        "CONNECT docker:80 HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        let answer = offered.send(&format!("{line}\r\nHost: docker\r\nConnection: close\r\n\r\n"));
        assert!(answer.is_empty() || answer[9..].starts_with("403") || answer[9..].starts_with("400"), "{line}: {answer}");
    }
    // Two in one breath are two: the second is looked at like any other.
    let both = offered
        .send(&format!("GET /version HTTP/1.1\r\nHost: x\r\n\r\n{}", kill.replace("Host: x", "Connection: close\r\nHost: x")));
    assert!(both.contains("HTTP/1.1 200 ") && both.contains("HTTP/1.1 403 "), "{both}");
    let large = format!(
        "POST /containers/create?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
        5 << 20,
        "x".repeat(5 << 20)
    );
    let answer = offered.send(&large);
    assert!(answer.is_empty() || answer.contains("too large"), "{answer}");
    assert!(host.state("theirs").starts_with("running"));
}

#[test]
fn events_come_as_they_happen() {
    let mut host = Host::new(&[]);
    let offered = Offered::to(&mut host, &[]);
    let mut stream = UnixStream::connect(offered.path()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let filters = "%7B%22type%22%3A%5B%22volume%22%5D%7D";
    write!(stream, "GET /v1.41/events?filters={filters} HTTP/1.1\r\nHost: docker\r\n\r\n").unwrap();
    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut chunk = [0; 4096];
        while !heard.contains(what) {
            let read = stream.read(&mut chunk).unwrap();
            assert!(read > 0, "it ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
    };
    hear("200 OK");
    for name in ["first", "second"] {
        host.docker(&format!("volume create @{name}"));
        hear(&format!("{}-{name}", host.name));
    }
}

#[test]
fn one_that_is_killed_and_comes_back_is_an_engine_that_was_away() {
    let (host, mut offered) = offered(&[]);
    offered.kill();
    host.docker("kill @web");
    host.eventually("it is missed", |host| host.context().health().engine_lost_since.is_some());
    assert!(host.state("web").starts_with("exited"), "nobody else starts it");
    offered.start();
    host.eventually("it runs again", |host| host.state("web") == "running healthy");
    host.converges();
    assert_eq!(offered.refused(), Vec::<String>::new());
}

#[test]
fn an_engine_that_is_away_behind_it_is_away_and_refuses_nothing() {
    let (host, offered) = offered(&[]);
    fs::remove_file(offered.engine()).unwrap();
    assert_eq!(offered.send("GET /version HTTP/1.1\r\nHost: docker\r\n\r\n"), "", "the connection ends without an answer");
    host.docker("kill @web");
    host.stays(4, "it is missed", |host| host.state("web").starts_with("exited"));
    assert!(host.holds("Container/web").contains("EngineUnreachable"), "{}", host.holds("Container/web"));
    std::os::unix::fs::symlink(crate::host::socket(), offered.engine()).unwrap();
    host.eventually("it runs again", |host| host.state("web") == "running healthy");
    host.converges();
    assert_eq!(offered.refused(), Vec::<String>::new());
}
