//! Chromium, told what to do by `chromedriver`: a small part of the protocol `WebDriver`, which is JSON over HTTP.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::network::{apart, lead_out, within};

/// Long enough for a machine that has other things to do; whoever waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Between one look and the next.
const LOOK: Duration = Duration::from_millis(60);
/// Under this key the protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The keys that have no letter, as the protocol writes them.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// A browser of its own, without a window.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// What every address begins with.
    base: String,
    /// What the names of the test's containers begin with; nothing in what is read.
    prefix: String,
    /// Values that no page may have.
    secrets: Vec<String>,
}

impl Browser {
    /// Opens one for the pages of the manager on this port of loopback, on none of which a secret may be.
    pub fn open(manager: u16, prefix: &str, secrets: Vec<String>) -> Self {
        let port = crate::host::free_port();
        let driver = apart("chromedriver")
            .args([format!("--port={port}"), "--log-level=OFF".to_owned()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("no network of its own ({error})"));
        let base = format!("http://127.0.0.1:{manager}");
        let mut browser = Self { driver, port, session: String::new(), base, prefix: prefix.to_owned(), secrets };
        let begun = Instant::now();
        while browser.dial().is_err() {
            assert!(begun.elapsed() < PATIENCE, "chromedriver does not listen: run manifests/dev/browser.sh setup");
            thread::sleep(LOOK);
        }
        lead_out(browser.driver.id(), manager).unwrap();
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--window-size=1280,900", "--lang=en"],
        });
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let opened = browser.request("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}})).unwrap();
        opened["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.post("/timeouts", &json!({"pageLoad": 40_000, "script": 40_000}));
        browser.size(1280, 900, false);
        browser
    }

    fn dial(&self) -> io::Result<TcpStream> {
        within(self.driver.id(), || TcpStream::connect(("127.0.0.1", self.port)))
    }

    /// One request of the protocol: its value, or what went wrong.
    fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let mut io = self.dial().map_err(|error| error.to_string())?;
        io.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
        write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        io.write_all(head.as_bytes()).and_then(|()| io.write_all(body.as_bytes())).map_err(|error| error.to_string())?;
        let (mut io, mut length) = (BufReader::new(io), 0);
        loop {
            let mut line = String::new();
            io.read_line(&mut line).map_err(|error| error.to_string())?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        io.read_exact(&mut body).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        match &answer["value"]["error"] {
            Value::String(error) => Err(format!("{error}: {}", answer["value"]["message"].as_str().unwrap_or_default())),
            _ => Ok(answer["value"].clone()),
        }
    }

    fn try_post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.request("POST", &format!("/session/{}{path}", self.session), body)
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A command of the browser's own protocol.
    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    // Where

    /// Goes to a path, and looks through what is there for secrets.
    #[track_caller]
    pub fn go(&self, path: &str) {
        self.post("/url", &json!({"url": format!("{}{path}", self.base)}));
        self.shows_no_secret();
    }

    /// Goes back, as the button does.
    pub fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// The path of the page that is shown.
    pub fn path(&self) -> String {
        self.js("return location.pathname").as_str().unwrap_or_default().to_owned()
    }

    /// A screen of this size, in the pixels of style sheets.
    pub fn size(&self, width: u32, height: u32, is_phone: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the person prefers: dark, or light.
    pub fn dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    // What is there

    /// What a script says about the page. Nothing keeps it from what the page's own scripts may not do.
    #[track_caller]
    pub fn js(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The same for one that calls its last argument when it is done.
    #[track_caller]
    pub fn js_later(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": []}))
    }

    /// The text of the page as a person reads it.
    pub fn text(&self) -> String {
        self.text_of("body")
    }

    /// The text of the first element, as a person reads it; empty without one.
    pub fn text_of(&self, css: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(css));
        // Between two pages there is nothing to ask.
        let answer = self.try_post("/execute/sync", &json!({"script": script, "args": []}));
        answer.ok().and_then(|text| Some(text.as_str()?.replace(&self.prefix, ""))).unwrap_or_default()
    }

    /// Waits until the page has this text.
    #[track_caller]
    pub fn sees(&self, text: &str) {
        self.sees_in("body", text);
    }

    /// Waits until this part of the page has this text.
    #[track_caller]
    pub fn sees_in(&self, css: &str, text: &str) {
        self.until(text, |browser| browser.text_of(css).contains(text));
    }

    /// Waits until this is so.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}\n{}", self.path(), self.text());
            thread::sleep(LOOK);
        }
        self.shows_no_secret();
    }

    /// Every value of a secret stays off every page, also where nobody reads it.
    #[track_caller]
    pub fn shows_no_secret(&self) {
        let Ok(Value::String(source)) = self.request("GET", &format!("/session/{}/source", self.session), &Value::Null) else {
            return;
        };
        for (number, secret) in self.secrets.iter().enumerate() {
            assert!(!source.contains(secret.as_str()), "the value of secret {number} is on {}", self.path());
        }
    }

    // What a person does

    /// The element, once it is there.
    #[track_caller]
    fn find(&self, css: &str) -> String {
        let begun = Instant::now();
        loop {
            match self.try_post("/element", &json!({"using": "css selector", "value": css})) {
                Ok(found) => return found[ELEMENT].as_str().unwrap().to_owned(),
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{css}: {error}\n{}", self.text()),
            }
            thread::sleep(LOOK);
        }
    }

    /// What is done to an element, tried again while the page puts another in its place.
    #[track_caller]
    fn act(&self, css: &str, action: &str, body: &Value) {
        let begun = Instant::now();
        loop {
            let Err(error) = self.try_post(&format!("/element/{}/{action}", self.find(css)), body) else { return };
            assert!(begun.elapsed() < PATIENCE, "{css}: {error}");
            thread::sleep(LOOK);
        }
    }

    /// Clicks on it.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.act(css, "click", &json!({}));
    }

    /// Types into it.
    #[track_caller]
    pub fn enter(&self, css: &str, text: &str) {
        self.act(css, "value", &json!({"text": text}));
    }

    /// Types without touching anything else: to wherever the focus is.
    pub fn keys(&self, text: &str) {
        let strokes = text.chars().flat_map(|key| {
            let stroke = |kind: &str| json!({"type": kind, "value": key.to_string()});
            [stroke("keyDown"), stroke("keyUp")]
        });
        let strokes: Vec<Value> = strokes.collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": strokes}]}));
    }

    // What nobody is to see

    /// What the console has said since it was last asked: errors, and what the policy of the page forbids.
    pub fn complaints(&self) -> Vec<String> {
        let said = self.post("/se/log", &json!({"type": "browser"}));
        let said = said.as_array().unwrap().iter().filter(|entry| entry["level"] != "DEBUG" && entry["level"] != "INFO");
        said.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The page as a picture, in the format PNG, with the names as somebody would have given them.
    pub fn picture(&self) -> Vec<u8> {
        let script = "const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(";
        self.js(&format!("{script}{}, 'shop-')", json!(self.prefix)));
        let picture = self.request("GET", &format!("/session/{}/screenshot", self.session), &Value::Null).unwrap();
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes Chromium with it.
        let _ = self.request("DELETE", &format!("/session/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
