//! Engines that are not there, hang, or talk nonsense. They need no real one, and where nothing happens time passes at once.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use mooring::{
    execute::{self, engine::Engine as _},
    observe::{
        docker::{Connection, Docker},
        engine::{Engine as _, Error},
    },
    plan::{EngineAction, Target},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::Instant,
};

const VERSION: &str = r#"{"Version": "20.10.24", "ApiVersion": "1.41"}"#;

/// How a request is answered.
#[derive(Clone, Copy)]
enum Answer {
    Whole(u16, &'static str),
    /// Half of it, and then nothing.
    Half,
    Nothing,
}

/// An engine that gives its version, and this answer to everything else.
fn engine(path: &Path, answer: Answer) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = request(&mut stream).await;
            let answer = if request.contains("/version") { Answer::Whole(200, VERSION) } else { answer };
            let text = match answer {
                Answer::Whole(status, body) => {
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                }
                Answer::Half => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[".to_owned(),
                Answer::Nothing => String::new(),
            };
            stream.write_all(text.as_bytes()).await.unwrap();
            open.push(stream);
        }
    })
}

async fn request(stream: &mut UnixStream) -> String {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap();
    String::from_utf8_lossy(&request[..length]).into_owned()
}

struct Fake {
    directory: tempfile::TempDir,
    connection: Connection,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Fake {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let calls: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        let counted = Arc::clone(&calls);
        let address = format!("unix://{}", directory.path().join("docker.sock").display());
        let connection = Connection::new(&address, Arc::new(move |call| counted.lock().unwrap().push(call))).unwrap();
        Self { directory, connection, calls }
    }

    fn serve(&self, answer: Answer) -> JoinHandle<()> {
        let path = self.directory.path().join("docker.sock");
        let _ = std::fs::remove_file(&path);
        engine(&path, answer)
    }

    fn eyes(&self) -> Docker {
        Docker::new(self.connection.clone())
    }

    /// How listing fails, in the words that a person reads.
    async fn failure(&self) -> String {
        let error = self.eyes().list().await.unwrap_err();
        mooring::error_chain(&error).replace(&self.directory.path().display().to_string(), "…")
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_socket_an_engine_is_unreachable_at_once() {
    let fake = Fake::new();
    let begun = Instant::now();
    let error = fake.eyes().describe().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(fake.failure().await, "the engine cannot be reached at unix://…/docker.sock: Socket not found: …/docker.sock");
    assert_eq!(begun.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_nobody_listens_on_is_unreachable_at_once() {
    let fake = Fake::new();
    let gone = fake.serve(Answer::Nothing);
    gone.abort();
    let _ = gone.await;
    let failure = fake.failure().await;
    assert!(failure.ends_with("Connection refused (os error 111)"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_is_given_up() {
    let fake = Fake::new();
    let _engine = fake.serve(Answer::Nothing);
    let begun = Instant::now();
    assert_eq!(fake.failure().await, "the engine cannot be reached at unix://…/docker.sock: no answer within 10 s");
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stops_in_the_middle_is_given_up() {
    let fake = Fake::new();
    let _engine = fake.serve(Answer::Half);
    assert_eq!(fake.failure().await, "the engine cannot be reached at unix://…/docker.sock: no answer within 10 s");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_coming_up_has_more_time_for_the_first_answer() {
    let fake = Fake::new();
    let _listener = UnixListener::bind(fake.directory.path().join("docker.sock")).unwrap();
    assert_eq!(fake.failure().await, "the engine cannot be reached at unix://…/docker.sock: no answer within 30 s");
}

#[tokio::test(start_paused = true)]
async fn an_action_without_an_answer_has_timed_out() {
    let fake = Fake::new();
    let _engine = fake.serve(Answer::Nothing);
    let hands = execute::docker::Docker::new(fake.connection.clone(), "owner".to_owned());
    let remove = EngineAction::RemoveContainer { container: Target::named("web") };
    let error = hands.perform(&remove, &std::collections::BTreeMap::new()).await.unwrap_err();
    assert_eq!(mooring::error_chain(&error), "the engine did not answer within 60 s");
}

#[tokio::test]
async fn an_engine_in_trouble_is_quoted() {
    let fake = Fake::new();
    let _engine = fake.serve(Answer::Whole(500, r#"{"message": "out of disk\n"}"#));
    assert_eq!(fake.failure().await, "the engine refused to list containers: 500 out of disk");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_unreadable() {
    let fake = Fake::new();
    let _engine = fake.serve(Answer::Whole(200, "<html>\"secret\"</html>"));
    let failure = fake.failure().await;
    assert!(failure.starts_with("the engine's answer to list containers cannot be read: "), "{failure}");
    assert!(!failure.contains("secret"), "{failure}");
}

/// As the engine makes it: a header, what is in the file, and two blocks of zeros for the end.
fn archive(name: &str, content: &str) -> (String, String) {
    let mut header = format!("{name:\0<100}{:\0<24}{:011o}\0{:\0<20}0{:\0<355}", "", content.len(), "", "");
    header.truncate(512);
    (format!("{header}{content:\0<512}"), "\0".repeat(1024))
}

/// An engine that fails in the middle ends its answer in good order, and a site that is not in it is not one that was lost.
#[tokio::test]
async fn an_archive_without_its_end_is_no_directory() {
    let fake = Fake::new();
    let (file, end) = archive("sites/a.conf", "server {}");
    let directory = Path::new("/sites");
    for (text, is_whole) in
        [(format!("{file}{end}"), true), (file.clone(), false), (file[..300].to_owned(), false), (String::new(), false)]
    {
        let _engine = fake.serve(Answer::Whole(200, text.leak()));
        match fake.eyes().inside("web", directory).await {
            Ok(inside) => assert!(is_whole && format!("{inside:?}").contains("/sites/a.conf"), "{inside:?}"),
            Err(error) => {
                let told = mooring::error_chain(&error);
                assert!(
                    !is_whole && told == "the engine's answer to archive container cannot be read: it is not whole",
                    "{told}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_new_engine_behind_the_same_path_is_found_and_asked_its_version() {
    let fake = Fake::new();
    let first = fake.serve(Answer::Whole(200, "[]"));
    assert!(fake.eyes().list().await.unwrap().is_empty());
    first.abort();
    let _ = first.await;
    assert!(fake.eyes().list().await.is_err());

    let _second = fake.serve(Answer::Whole(200, "[]"));
    assert!(fake.eyes().list().await.unwrap().is_empty());
    let calls = fake.calls.lock().unwrap();
    let expected = ["negotiate-version", "list-containers", "list-containers", "negotiate-version", "list-containers"];
    assert_eq!(*calls, expected);
}
