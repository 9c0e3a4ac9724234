//! The program itself: what a person sees of a pull, and what a death in the middle of one leaves.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    host::Host,
    stack::{WEIGHTS, host, start_registry, transfers, with_own_server},
};

/// A mooring in a process of its own, which does not outlive the test.
struct Program {
    child: Child,
    port: u16,
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mooring(host: &Host, command: &[&str]) -> Command {
    let mut mooring = Command::new(env!("CARGO_BIN_EXE_mooring"));
    mooring.args(command).arg("--state").arg(host.path("").with_file_name("state")).stdin(Stdio::null());
    mooring
}

fn run(host: &Host) -> Program {
    // Free a moment ago, which is as much as can be had.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = mooring(host, &["run", "--owner", &host.name, "--http", &format!("127.0.0.1:{port}")]);
    let child = command.arg("--desired").arg(host.path("")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let program = Program { child, port };
    host.eventually("it answers", |host| mooring(host, &["health"]).output().unwrap().status.success());
    program
}

/// What a question of the command line is answered.
fn answer(host: &Host, command: &[&str]) -> String {
    let output = mooring(host, command).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// The value of a metric; nothing when it is not told.
fn metric(program: &Program, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", program.port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The percent that are told of a pull.
fn percent(told: &str) -> Option<u64> {
    told.split_once("pulling gemma3:4b: ")?.1.split_once(" % of 98.3 MB")?.0.parse().ok()
}

/// Follows `get -w` for a while, and gives what it printed until a line has this in it.
fn lines_until(output: &mut BufReader<ChildStdout>, end: &str) -> Vec<String> {
    let begun = Instant::now();
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| line.contains(end)) {
        assert!(begun.elapsed() < Duration::from_mins(1), "no line with {end:?}: {lines:#?}");
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended: {lines:#?}");
        lines.push(line);
    }
    lines
}

#[test]
fn a_pull_can_be_watched() {
    let host = host(&[with_own_server("")], "");
    start_registry(&host, "12m");
    let program = run(&host);
    host.eventually("it is listed", |host| answer(host, &["get", "modelprovider"]).contains("default"));
    let mut watch = mooring(&host, &["get", "modelprovider/default", "-w"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(watch.stdout.take().unwrap());
    lines_until(&mut output, "pulling gemma3:4b: ");
    host.eventually("it is counted", |_| metric(&program, "mooring_model_pulls").is_some_and(|pulls| (pulls - 1.0).abs() < 0.1));
    host.eventually("bytes are counted", |_| {
        metric(&program, r#"mooring_model_pull_bytes{state="completed"}"#).is_some_and(|bytes| bytes > 1e6)
    });
    assert_eq!(metric(&program, r#"mooring_model_pull_bytes{state="total"}"#), Some(98_362_432.0));
    let lines = lines_until(&mut output, "True");
    watch.kill().unwrap();
    watch.wait().unwrap();

    assert!(lines.last().unwrap().contains("ollama/gemma3:4b answers (98.3 MB, "), "{lines:#?}");
    let seen: Vec<u64> = lines.iter().filter_map(|line| percent(line)).collect();
    assert!(seen.len() >= 4 && seen.is_sorted(), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(" MB/s, ") && line.contains("s left")), "{lines:#?}");
    let events = answer(&host, &["events", "--for", "modelprovider/default"]);
    assert_eq!(events.matches("Pulling").count(), 1, "however long it takes, it is one event: {events}");
    host.eventually("it is over", |_| metric(&program, "mooring_model_pulls") == Some(0.0));
}

#[test]
fn a_pull_in_which_mooring_was_killed_goes_on_where_it_was() {
    let host = host(&[with_own_server("")], "");
    start_registry(&host, "8m");
    let first = run(&host);
    let status = |host: &Host| answer(host, &["get", "modelprovider/default"]);
    host.eventually("a good part has come", |host| percent(&status(host)).is_some_and(|percent| percent >= 15));
    drop(first);
    host.eventually("the server stops as well", |host| transfers(host).len() == 1);
    let _second = run(&host);
    host.eventually("it is there", |host| status(host).contains("True"));
    let all = transfers(&host);
    let [_, (begun, sent)] = all[..] else { panic!("{all:?}") };
    assert!(begun > WEIGHTS / 20 && begun + sent == WEIGHTS, "{all:?}");
    let log = answer(&host, &["audit", "log", "--for", "modelprovider/default"]);
    assert_eq!(log.lines().filter(|line| line.contains("pull model")).count(), 2, "{log}");
    assert!(log.lines().any(|line| line.contains("pull model") && line.contains("unknown")), "{log}");
}
