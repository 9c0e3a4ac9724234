//! A fake of the three providers of models, for tests: no model is in it. It listens on this machine, hears what it is asked, and
//! says what a test tells it to, or something that no real one can be made to say at will.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// What it does with a question.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers, with these headers besides the usual ones.
    Say(u16, &'static [(&'static str, &'static str)], String),
    /// Never says anything.
    Hang,
    /// Promises the whole body, sends half of it, and hangs up.
    CutOff(String),
    /// Sends what no HTTP server would.
    Garbage,
}

impl Act {
    pub fn ok(body: &Value) -> Self {
        Self::Say(200, &[], body.to_string())
    }
}

/// A question.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The first line and the headers.
    pub head: String,
    pub body: Value,
}

impl Asked {
    /// The JSON object in the last thing that was said.
    pub fn message(&self) -> Value {
        let messages = self.body["messages"].as_array().cloned().unwrap_or_default();
        let text = messages.last().and_then(|message| message["content"].as_str()).unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// A provider that goes away with this.
pub struct Provider {
    pub url: String,
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    hung_up: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Provider {
    /// One that does this with each question.
    pub fn new(act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, hung_up, is_over): (Arc<Mutex<Vec<Asked>>>, Arc<AtomicUsize>, Arc<AtomicBool>) =
            (Arc::default(), Arc::default(), Arc::default());
        let (heard, left, over, act) = (Arc::clone(&asked), Arc::clone(&hung_up), Arc::clone(&is_over), Arc::new(act));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (heard, left, act) = (Arc::clone(&heard), Arc::clone(&left), Arc::clone(&act));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(asked) = read(&stream) else { return };
                    heard.lock().unwrap().push(asked.clone());
                    perform(&mut stream, act(&asked), &left);
                });
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), port, asked, hung_up, is_over }
    }

    /// One that does these, one after the other, and the last one again and again.
    pub fn of(acts: Vec<Act>) -> Self {
        let number = AtomicUsize::new(0);
        Self::new(move |_| {
            let at = number.fetch_add(1, Ordering::Relaxed);
            acts[at.min(acts.len() - 1)].clone()
        })
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many hung up while they were kept waiting.
    pub fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::Relaxed)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Whoever waits for the next one gets it.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let mut body = vec![0; length?.trim().parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { head, body: serde_json::from_slice(&body).ok()? })
}

fn perform(stream: &mut TcpStream, act: Act, left: &AtomicUsize) {
    // Whoever asked may have left.
    let mut send = |text: &str| drop(stream.write_all(text.as_bytes()));
    let head = |length: usize| format!("content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n");
    match act {
        Act::Say(status, headers, body) => {
            send(&format!("HTTP/1.1 {status} Whatever\r\n{}", head(body.len())));
            for (name, value) in headers {
                send(&format!("{name}: {value}\r\n"));
            }
            send(&format!("\r\n{body}"));
        }
        Act::Hang => {
            stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
            if matches!(stream.read(&mut [0]), Ok(0)) {
                left.fetch_add(1, Ordering::Relaxed);
            }
        }
        Act::CutOff(body) => {
            send(&format!("HTTP/1.1 200 OK\r\n{}\r\n{}", head(body.len()), &body[..body.len() / 2]));
            drop(stream.shutdown(Shutdown::Both));
        }
        Act::Garbage => send("\u{7f}ELF not a word of HTTP\r\n\r\n"),
    }
}

/// This text, as the chat completions of `OpenAI` have it.
pub fn openai(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_271_400, "model": "gpt-4o-mini-2024-07-18",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
            "logprobs": null, "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 812, "completion_tokens": 20, "total_tokens": 832, "prompt_tokens_details": {"cached_tokens": 0}},
        "service_tier": "default", "system_fingerprint": "fp_1",
    })
}

/// This text, as the messages of Anthropic have it, after something that is nobody's business.
pub fn anthropic(text: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-3-5-haiku",
        "content": [
            {"type": "thinking", "thinking": "{\"proposal\": {\"intent\": \"stop\"}}", "signature": "c2ln"},
            {"type": "something_new", "text": "ignore me"},
            {"type": "text", "text": text, "citations": null},
        ],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 812, "output_tokens": 20, "cache_read_input_tokens": 0, "service_tier": "standard"},
    })
}

/// This text, as the chat of ollama has it.
pub fn ollama(text: &str) -> Value {
    json!({
        "model": "gemma3:4b", "created_at": "2026-11-21T14:30:00.1Z",
        "message": {"role": "assistant", "content": text},
        "done_reason": "stop", "done": true, "total_duration": 3_600_000_000_u64, "load_duration": 1_000_000,
        "prompt_eval_count": 812, "prompt_eval_duration": 1_000_000, "eval_count": 20, "eval_duration": 2_000_000,
    })
}

/// This text, as the one has it who is asked.
pub fn envelope(asked: &Asked, text: &str) -> Value {
    match asked.head.split_whitespace().nth(1).unwrap_or_default() {
        path if path.ends_with("/chat/completions") => openai(text),
        path if path.ends_with("/v1/messages") => anthropic(text),
        path if path.ends_with("/api/chat") => ollama(text),
        path => panic!("nobody asks for {path}"),
    }
}
