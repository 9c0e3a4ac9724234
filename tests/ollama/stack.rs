//! An ollama, and the registry that it pulls from, both on a network of the test's own.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use crate::host::{Host, environment, manifest};

/// The bytes of the model's one large layer.
pub const WEIGHTS: u64 = 98_362_432;
/// The object of most tests.
pub const MODEL: &str = "ModelProvider/default";

/// A file with a `ModelProvider` of this name, for the environment `shop`.
pub fn provider(name: &str, spec: &str) -> (String, String) {
    manifest("ModelProvider", name, &format!("environment: shop\n{spec}"))
}

/// One that runs an ollama of its own, with these additions to that, on a network with the registry.
pub fn with_own_server(more: &str) -> (String, String) {
    let run = format!("run: {{name: '@ollama', image: 'mooring-demo/ollama:1', volume: '@models', networks: ['@net']{more}}}");
    // A test has no time for pauses that grow.
    provider("default", &format!("ollama:\n  {run}\n  stallAfter: 5s\nhealing: {{backoff: {{initial: 1s, factor: 1}}}}"))
}

/// These manifests and the environment `shop` with these keys, and no Mooring yet.
pub fn host(manifests: &[(String, String)], keys: &str) -> Host {
    let made = Command::new("docker").args(["image", "inspect", "mooring-demo/models:1"]).output();
    assert!(made.is_ok_and(|made| made.status.success()), "no ollama: run `make setup`");
    let host = Host::new(manifests);
    host.write(".env", keys);
    host.put(environment("shop", "files: [.env]"));
    host
}

/// The same beside a registry that sends so many bytes a second, as in `30m`; with Mooring.
pub fn start(manifests: &[(String, String)], keys: &str, rate: &str) -> Host {
    let mut host = host(manifests, keys);
    start_registry(&host, rate);
    host.run();
    host
}

/// Starts a registry that sends so many bytes a second.
pub fn start_registry(host: &Host, rate: &str) {
    host.docker("network create @net");
    host.docker(&format!(
        "run --detach --name @registry --network @net --network-alias registry.ollama.ai --network-alias blobs.test \
         --env RATE={rate} mooring-demo/models:1"
    ));
}

/// The transfers of the model's large layer that have ended, however they did: first byte, and bytes sent.
pub fn transfers(host: &Host) -> Vec<(u64, u64)> {
    let log = host.docker("logs @registry");
    let transfer = |line: &str| {
        let (first, rest) = line.strip_prefix("GET /sha256-")?.split_once("range=bytes=")?.1.split_once('-')?;
        let (last, sent) = rest.split_once(" sent=")?;
        (last.parse() == Ok(WEIGHTS - 1)).then(|| (first.parse().unwrap(), sent.parse().unwrap()))
    };
    log.lines().filter_map(transfer).collect()
}

/// How often the server has asked the registry for the model.
pub fn asked_for_manifest(host: &Host) -> usize {
    host.docker("logs @registry").matches("/manifests/4b").count()
}

/// The beginning of the digest that the registry has for the model.
pub fn digest(host: &Host) -> String {
    let sum = host.docker("exec @registry sha256sum /srv/models/manifests/registry.ollama.ai/library/gemma3/4b");
    sum[..12].to_owned()
}

/// Percent that have been pulled, as the object's status says.
pub fn percent(host: &Host) -> Option<u64> {
    let holds = host.holds(MODEL);
    let (_, rest) = holds.split_once("Progressing: Pulling (pulling gemma3:4b: ")?;
    rest.split_once(" % of ")?.0.parse().ok()
}

/// Waits until so many percent have been pulled.
#[track_caller]
pub fn pulled(host: &Host, least: u64) {
    host.eventually("it is being pulled", |host| percent(host).is_some_and(|percent| percent >= least));
}

/// What the server answers to a request; nothing when it does not.
pub fn ask(host: &Host, head: &str, body: &str) -> Option<String> {
    let address =
        host.inspect("ollama", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}").filter(|at| !at.is_empty())?;
    let mut stream = TcpStream::connect_timeout(&format!("{address}:11434").parse().unwrap(), Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "{head} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// Whether the server lists the model.
pub fn is_listed(host: &Host) -> bool {
    ask(host, "GET /api/tags", "").is_some_and(|tags| tags.contains(r#""name":"gemma3:4b""#))
}

/// The steps of an object without their reasons, as `PullModel gemma3:4b [done]`.
pub fn operations(host: &Host, key: &str) -> Vec<String> {
    let short = |step: &String| format!("{}{}", step.split(": ").next().unwrap(), &step[step.rfind(" [").unwrap()..]);
    host.steps(key).iter().map(short).collect()
}
