//! A socket in front of the engine that passes everything on, and keeps what was asked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

/// The socket, and what came by.
pub struct Recorder {
    directory: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// Listens; the engine is the real one of this host.
    pub fn new() -> Self {
        let recorder = Self { directory: tempfile::tempdir().unwrap(), asked: Arc::default() };
        let listener = UnixListener::bind(recorder.path()).unwrap();
        let asked = Arc::clone(&recorder.asked);
        // Ends with the process: a socket that nobody can find any more is asked nothing.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, asked) = (client.unwrap(), Arc::clone(&asked));
                thread::spawn(move || pass_on(&client, &asked));
            }
        });
        recorder
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    /// Where Mooring finds it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.path().display())
    }

    /// What was asked since the last time, each as `GET /v1.41/info`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// Whether it can change nothing.
pub fn only_looks(asked: &str) -> bool {
    asked.starts_with("GET ") || asked.starts_with("HEAD ")
}

fn pass_on(client: &UnixStream, asked: &Mutex<Vec<String>>) {
    let engine = UnixStream::connect(crate::host::socket()).unwrap();
    let (mut answers, mut back) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
    let answering = thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    // Either side may leave when it likes.
    let _ = requests(client, &engine, asked);
    let _ = engine.shutdown(Shutdown::Both);
    answering.join().unwrap();
}

/// Passes on one request after the other. Mooring says of each how long it is.
fn requests(client: &UnixStream, mut engine: &UnixStream, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    loop {
        let (mut head, mut length, mut takes_over) = (String::new(), 0, false);
        loop {
            let begun = head.len();
            if client.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let line = head[begun..].trim_end().to_ascii_lowercase();
            assert!(!line.starts_with("transfer-encoding"), "how long this is nobody says: {head}");
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            takes_over |= line.starts_with("upgrade:");
            if line.is_empty() {
                break;
            }
        }
        let line: Vec<&str> = head.lines().next().unwrap_or_default().split(' ').collect();
        asked.lock().unwrap().push(line[..line.len() - 1].join(" "));
        let mut body = vec![0; length];
        client.read_exact(&mut body)?;
        engine.write_all(head.as_bytes())?;
        engine.write_all(&body)?;
        if takes_over {
            io::copy(&mut client, &mut engine)?;
            return Ok(());
        }
    }
}
