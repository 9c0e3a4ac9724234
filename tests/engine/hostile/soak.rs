//! A fault each second for as long as one likes: `make soak MINUTES=30`.
//!
//! Fifty containers on the real engine, the [stack](super::stack) among them. Whatever is broken comes back, and meanwhile a client asks
//! nginx for a site whose backend nobody touches. It is answered all the time but for when nginx itself was killed: what fails besides is
//! the doing of Mooring, which writes the sites next to it and loads them again.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use mooring::record::journal::AuditEntry;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::stack::{FAULTS, PATIENT, Stack};
use crate::host::{Host, container};

/// Containers besides the stack's six.
const MORE: usize = 44;
/// Where nginx listens, so that its address need not be looked for.
const PORT: u16 = 18_089;
/// Between one request and the next.
const ASKED: Duration = Duration::from_millis(100);

/// What Mooring may grow by, in KiB, however long it lasts: the caches of its databases, and what its threads keep for the next time.
const GROWTH: u64 = 16 * 1024;

/// What the client has met.
#[derive(Default)]
struct Client {
    /// Nginx was killed, and has not answered since.
    is_excused: AtomicBool,
    is_over: AtomicBool,
    good: AtomicU64,
    excused: AtomicU64,
    failed: AtomicU64,
}

impl Client {
    /// Asks until it is over, and says what failed without an excuse.
    fn run(&self) -> Vec<String> {
        let mut failures = Vec::new();
        while !self.is_over.load(Ordering::SeqCst) {
            let was_excused = self.is_excused.load(Ordering::SeqCst);
            match ask() {
                Ok(()) => {
                    self.good.fetch_add(1, Ordering::SeqCst);
                }
                // Whoever is killed in the middle of an answer was so after the request began.
                Err(_) if was_excused || self.is_excused.load(Ordering::SeqCst) => {
                    self.excused.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    self.failed.fetch_add(1, Ordering::SeqCst);
                    failures.push(format!("{} {error}", Timestamp::now()));
                }
            }
            thread::sleep(ASKED);
        }
        failures
    }
}

fn ask() -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).map_err(told)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(told)?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: steady.test\r\n\r\n").map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(told)?;
    let is_right = answer.starts_with("HTTP/1.1 200 ") && answer.contains("greeting steady");
    if is_right { Ok(()) } else { Err(answer.lines().next().unwrap_or("nothing").to_owned()) }
}

/// Resident memory in KiB and open files of this process, in which Mooring runs.
fn taken() -> (u64, usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (line.trim().trim_end_matches(" kB").parse().unwrap(), fs::read_dir("/proc/self/fd").unwrap().count())
}

/// A fault each second; how many there were.
fn breaks(stack: &mut Stack, client: &Client, dice: &mut StdRng, time: Duration) -> usize {
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let second = Instant::now();
        if dice.random_range(0..2) == 0 {
            let (name, fault) = FAULTS[dice.random_range(0..FAULTS.len())];
            let hits_nginx = name.contains("nginx") || name.contains("everything");
            if hits_nginx {
                client.is_excused.store(true, Ordering::SeqCst);
            }
            fault(stack);
            if hits_nginx {
                // It answers again when it has come back, and what is asked from then on has no excuse.
                let killed = Instant::now();
                while killed.elapsed() < Duration::from_secs(30) && ask().is_err() {
                    thread::sleep(ASKED);
                }
                client.is_excused.store(false, Ordering::SeqCst);
            }
        } else {
            let number = dice.random_range(0..MORE);
            let verb = ["kill", "rm --force"][dice.random_range(0..2)];
            // What is gone already cannot be broken once more.
            let _ = stack.host.try_docker(&format!("{verb} @more{number}"));
        }
        count += 1;
        thread::sleep(Duration::from_secs(1).saturating_sub(second.elapsed()));
    }
    count
}

/// Those of the containers besides the stack's that are not as declared, by the word of the engine, and what is there besides.
fn not_as_declared(host: &Host) -> Vec<String> {
    let template = "{{.State.Running}} {{.Config.Image}} {{json .Config.Cmd}}";
    let wanted = r#"true mooring-demo/busybox:1 ["sleep","1000000"]"#;
    let names = (0..MORE).map(|number| format!("more{number}"));
    let seen = names.map(|name| (host.inspect(&name, template).unwrap_or_else(|| "absent".to_owned()), name));
    seen.filter(|(seen, _)| seen != wanted).map(|(seen, name)| format!("{name}: {seen}")).collect()
}

#[test]
#[ignore = "it takes as long as one likes: make soak MINUTES=30"]
fn a_fault_each_second_leaves_nothing_behind() {
    let minutes: f64 = env::var("MINUTES").map_or(1.0, |minutes| minutes.parse().expect("MINUTES=30"));
    let given = env::var("SEED").ok().filter(|seed| !seed.is_empty());
    let seed: u64 = given.map_or_else(rand::random, |seed| seed.parse().expect("SEED=1"));
    eprintln!("seed {seed}");
    let sleeper = format!("image: busybox:1\ninit: true\ncommand: [sleep, '1000000']\nstopGracePeriod: 1s\n{PATIENT}");
    let more: Vec<_> = (0..MORE).map(|number| container(&format!("more{number}"), &sleeper)).collect();
    let mut stack = Stack::beside(&more, &format!("ports: ['127.0.0.1:{PORT}:80']"));
    let client = Client::default();
    let before = taken();
    let time = Duration::from_secs_f64(minutes * 60.0);
    let (faults, failures) = thread::scope(|scope| {
        let asking = scope.spawn(|| client.run());
        let faults = breaks(&mut stack, &client, &mut StdRng::seed_from_u64(seed), time);
        stack.holds_in_the_end("all of it");
        client.is_over.store(true, Ordering::SeqCst);
        (faults, asking.join().unwrap())
    });
    thread::sleep(Duration::from_secs(5));
    let after = taken();
    let acts = stack.acts();
    let failed = acts.iter().filter(|act| act.outcome.as_deref() == Some("failed")).count();
    let missed = not_as_declared(&stack.host);
    eprintln!("faults {faults}, acts {} ({failed} failed), not as declared at the end {}", acts.len(), missed.len());
    eprintln!("resident {} -> {} KiB, open files {} -> {}", before.0, after.0, before.1, after.1);
    let [good, excused, bad] = [&client.good, &client.excused, &client.failed].map(|count| count.load(Ordering::SeqCst));
    eprintln!("requests answered {good}, failed while nginx was down {excused}, failed otherwise {bad}: {failures:?}");
    assert_eq!(missed, [""; 0]);
    if !failures.is_empty() {
        let about = |act: &&AuditEntry| act.object.contains("steady") || act.object.contains("edge");
        let told = |act: &AuditEntry| format!("{} {}, because {}: {:?}", act.created_at, act.action, act.why, act.error);
        panic!("{}\n{}", failures.join("\n"), acts.iter().filter(about).map(told).collect::<Vec<_>>().join("\n"));
    }
    assert!(after.0 <= before.0 + GROWTH, "it grows: {before:?} {after:?}");
    assert!(after.1 <= before.1 + 20, "files are left open: {before:?} {after:?}");
    // The audit log is verified when the host goes.
}
