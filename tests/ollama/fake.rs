//! What a real ollama cannot be made to do at will: errors, answers that break off, silence, models that fit nowhere.
//!
//! The server here is a fake of ours. It speaks HTTP as ollama does, chunk by chunk, and says what a test tells it to.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::{
    host::Host,
    stack::{MODEL, host, provider},
};

/// What it does in the course of an answer.
#[derive(Clone)]
enum Act {
    /// Writes this.
    Say(String),
    /// Says nothing for so long, unless the other side hangs up.
    Pause(Duration),
    /// Ends the connection in the middle of the answer.
    Cut,
}

/// How it answers.
#[derive(Clone, Default)]
struct Script {
    /// To everything else but pulls, instead of an answer: the status and the body.
    instead: Option<(u16, &'static str)>,
    /// To a pull, instead of an answer.
    refusal: Option<(u16, &'static str)>,
    /// To a pull.
    pull: Vec<Act>,
    /// Whether the model is there once it has said `success`.
    keeps: bool,
}

#[derive(Default)]
struct State {
    script: Script,
    /// Whether it lists the model.
    has_model: bool,
    /// Pulls that were asked for.
    pulls: usize,
    /// Pulls in which the other side hung up.
    hung_up: usize,
}

/// A server that says what it is told to.
struct Fake {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    fn new(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let shared = Arc::clone(&state);
        // It ends with the process: nobody but this test knows its port.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                // One who hangs up is noticed where it matters.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &state)));
            }
        });
        Self { url, state }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap())
    }

    fn pulls(&self) -> usize {
        self.with(|state| state.pulls)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink())?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (script, has_model) = {
        let mut state = state.lock().unwrap();
        state.pulls += usize::from(path == "/api/pull");
        (state.script.clone(), state.has_model)
    };
    let listed = format!(r#"{{"name": "gemma3:4b", "digest": "{}", "size": 100}}"#, "a1".repeat(32));
    match path {
        "/api/pull" => match script.refusal {
            Some((status, body)) => answer(&mut stream, status, body),
            None => pull(stream, state, &script),
        },
        _ if script.instead.is_some() => {
            let (status, body) = script.instead.unwrap();
            answer(&mut stream, status, body)
        }
        "/api/version" => answer(&mut stream, 200, r#"{"version": "0.0.0-fake"}"#),
        "/api/tags" => answer(&mut stream, 200, &format!(r#"{{"models": [{}]}}"#, if has_model { &listed } else { "" })),
        "/api/show" => answer(&mut stream, 200, r#"{"modelfile": ""}"#),
        _ => answer(&mut stream, 404, "404 page not found"),
    }
}

fn answer(stream: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn pull(mut stream: TcpStream, state: &Mutex<State>, script: &Script) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    for act in &script.pull {
        match act {
            Act::Say(text) => {
                if text.contains("success") && script.keeps {
                    state.lock().unwrap().has_model = true;
                }
                write!(stream, "{:x}\r\n{text}\r\n", text.len())?;
            }
            Act::Pause(time) => {
                stream.set_read_timeout(Some(*time))?;
                if matches!(stream.read(&mut [0]), Ok(0)) {
                    state.lock().unwrap().hung_up += 1;
                    return Ok(());
                }
            }
            Act::Cut => return Ok(()),
        }
    }
    stream.write_all(b"0\r\n\r\n")
}

fn say(line: &str) -> Act {
    Act::Say(format!("{line}\n"))
}

fn progress(completed: u64, total: u64) -> Act {
    say(&format!(r#"{{"status": "pulling aa", "digest": "sha256:aa", "total": {total}, "completed": {completed}}}"#))
}

fn success() -> Vec<Act> {
    vec![say(r#"{"status": "pulling manifest"}"#), progress(100, 100), say(r#"{"status": "success"}"#)]
}

/// A Mooring for this server.
fn mooring(fake: &Fake, more: &str) -> Host {
    let spec = format!("ollama: {{url: '{}', stallAfter: 5s{more}}}\nhealing: {{backoff: {{initial: 1s, factor: 1}}}}", fake.url);
    let mut host = host(&[provider("default", &spec)], "");
    host.run();
    host
}

#[track_caller]
fn is_told(host: &Host, what: &str) {
    host.eventually(what, |host| host.holds(MODEL).contains(what));
}

/// A pull that goes like this fails like that, is tried again, and succeeds as soon as the server is well.
#[track_caller]
fn fails(script: Script, what: &str) -> Fake {
    let fake = Fake::new(script);
    let host = mooring(&fake, "");
    is_told(&host, &format!("Degraded: PullFailed (model gemma3:4b cannot be pulled: {what}"));
    assert!(!host.holds(MODEL).contains("Ready"), "{}", host.holds(MODEL));
    fake.with(|state| state.script = Script { pull: success(), keeps: true, ..Script::default() });
    host.converges();
    assert!(fake.pulls() >= 2);
    fake
}

#[test]
fn a_server_that_answers_with_errors_is_reported_until_it_is_well() {
    let fake = Fake::new(Script { instead: Some((500, r#"{"error": "out of luck"}"#)), ..Script::default() });
    let host = mooring(&fake, "");
    is_told(&host, &format!("Degraded: ServerFailing (the model server at {} is not well: out of luck (status 500))", fake.url));
    assert_eq!(fake.pulls(), 0);
    fake.with(|state| state.script = Script { pull: success(), keeps: true, ..Script::default() });
    host.converges();
    assert_eq!(fake.pulls(), 1);
}

#[test]
fn something_that_is_no_model_server_is_recognised() {
    let fake = Fake::new(Script { instead: Some((200, "<html>It works!</html>")), ..Script::default() });
    let host = mooring(&fake, "");
    is_told(&host, "is not well: the answer to /api/version is not a model server's: ");
    host.stays(3, "nothing is pulled from it", |_| fake.pulls() == 0);
}

#[test]
fn a_pull_that_is_refused_is_tried_again() {
    fails(
        Script { refusal: Some((500, r#"{"error": "no space left on device"}"#)), ..Script::default() },
        "no space left on device (status 500)",
    );
}

#[test]
fn an_error_in_an_answer_that_began_well_is_an_error() {
    let pull =
        vec![say(r#"{"status": "pulling manifest"}"#), progress(10, 100), say(r#"{"error": "max retries exceeded: EOF"}"#)];
    fails(Script { pull, ..Script::default() }, "max retries exceeded: EOF)");
}

#[test]
fn an_answer_that_ends_without_success_is_none() {
    let pull =
        vec![say(r#"{"status": "pulling manifest"}"#), progress(100, 100), say(r#"{"status": "verifying sha256 digest"}"#)];
    fails(Script { pull, ..Script::default() }, r#"the answer broke off after "verifying sha256 digest")"#);
}

#[test]
fn half_a_line_is_not_taken_for_a_whole_one() {
    let half = Act::Say(r#"{"status": "succ"#.to_owned());
    fails(Script { pull: vec![progress(10, 100), half.clone()], ..Script::default() }, "the server wrote what cannot be read: ");
    fails(Script { pull: vec![progress(10, 100), half, Act::Cut], ..Script::default() }, "");
}

#[test]
fn a_server_that_says_it_has_the_model_and_does_not_list_it_is_not_believed() {
    fails(Script { pull: success(), ..Script::default() }, "it was pulled, but the server does not list it");
}

#[test]
fn silence_is_broken_off_by_hanging_up() {
    let pull = vec![progress(10, 100), Act::Pause(Duration::from_mins(2))];
    let fake = fails(Script { pull, ..Script::default() }, r#"no progress for 5 s, 10 B of 100 B, at "pulling aa""#);
    assert_eq!(fake.with(|state| state.hung_up), 1);
}

#[test]
fn saying_the_same_again_and_again_is_no_progress() {
    let same = [progress(10, 100), Act::Pause(Duration::from_millis(60))];
    let pull = same.into_iter().cycle().take(400).collect();
    fails(Script { pull, ..Script::default() }, "no progress for 5 s, 10 B of 100 B");
}

#[test]
fn a_slow_pull_that_falls_back_now_and_then_is_not_broken_off() {
    let pause = || Act::Pause(Duration::from_millis(1500));
    let mut pull: Vec<Act> = [10, 40, 15, 16, 17, 50, 80].into_iter().flat_map(|part| [progress(part, 100), pause()]).collect();
    pull.extend(success());
    let fake = Fake::new(Script { pull, keeps: true, ..Script::default() });
    let host = mooring(&fake, "");
    host.converges();
    assert_eq!((fake.pulls(), host.count(MODEL, "PullModel")), (1, 1));
}

#[test]
fn a_model_that_does_not_fit_is_not_pulled() {
    let pull = vec![say(r#"{"status": "pulling manifest"}"#), progress(0, 1 << 60), Act::Pause(Duration::from_mins(2))];
    let fake = Fake::new(Script { pull, ..Script::default() });
    let host = mooring(&fake, ", directory: .");
    let told = "Degraded: DiskTooSmall (model gemma3:4b needs 1383505805.5 GB of free space in ";
    is_told(&host, told);
    host.stays(4, "it is not even tried", |host| fake.pulls() == 1 && host.holds(MODEL).contains(told));
    assert_eq!(fake.with(|state| state.hung_up), 1, "the server would fill the disk");
}

#[test]
fn that_the_disk_of_the_models_is_not_seen_is_told_once() {
    let fake = Fake::new(Script { refusal: Some((500, r#"{"error": "no space left on device"}"#)), ..Script::default() });
    let host = mooring(&fake, ", directory: ./nowhere");
    host.eventually("it is tried again and again", |_| fake.pulls() >= 3);
    let told =
        |host: &Host| host.events(MODEL).into_iter().filter(|(reason, _)| reason == "FreeSpaceUnknown").collect::<Vec<_>>();
    assert_eq!(told(&host), [("FreeSpaceUnknown".to_owned(), 1)]);
    let is_noted = |host: &Host| host.plans(MODEL).iter().any(|plan| !plan.notes.is_empty());
    assert!(is_noted(&host));
    host.put(provider("default", &format!("ollama: {{url: '{}', directory: .}}", fake.url)));
    host.eventually("it is seen now", |host| !is_noted(host));
}

#[test]
fn a_pull_ends_with_its_manifest() {
    let pull = vec![progress(10, 100), Act::Pause(Duration::from_mins(2))];
    let fake = Fake::new(Script { pull, ..Script::default() });
    let host = mooring(&fake, "");
    is_told(&host, "Progressing: Pulling (pulling gemma3:4b: 10 % of 100 B");
    host.delete("default.yaml");
    host.eventually("it is broken off", |_| fake.with(|state| state.hung_up) == 1);
    host.stays(3, "it is not begun again", |_| fake.pulls() == 1);
    assert!(host.context().world.reader.get(&MODEL.parse().unwrap()).is_none());
}
