//! The backend manager in bad times: the program itself, asked as a machine asks it, that dies wherever a confirmed wish can be cut short.
//!
//! Never an act without its record, never one done twice, and no question that waits is left over by the dead.

use std::{
    fs::File,
    net::TcpListener,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    host::{Host, container, environment},
    proxy::request,
};

/// Long enough for a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(1);
/// No wish has more steps of one kind; whoever dies more often does not get on.
const MOST: usize = 20;

/// The stack, the program, and a machine that may speak to it.
struct Manager {
    host: Host,
    port: u16,
    token: String,
    mooring: Option<Child>,
}

impl Manager {
    fn new() -> Self {
        let shop = environment("shop", "directory: .\nfiles: [.env]");
        let web = "image: web:1\nenvFrom: [{environment: shop, keys: [LEVEL]}]";
        let host = Host::new(&[shop, container("web", web)]);
        std::fs::write(host.path(".env"), "# What they share.\nLEVEL=0\n").unwrap();
        // Free until somebody else takes it, which nobody does within a test.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut manager = Self { host, port, token: String::new(), mooring: None };
        manager.starts(None);
        manager.until("it is up", |manager| manager.host.state("web") == "running healthy");
        let made = manager.command(&["claw", "token", "create", "ci"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().clone_into(&mut manager.token);
        manager
    }

    /// The program with these words, on this state.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
        let path = |name: &str| self.host.path("..").join(name).display().to_string();
        command.args(words).args(["--desired", &path("desired"), "--state", &path("state")]);
        command.env("DOCKER_HOST", crate::host::engine());
        command
    }

    /// Starts it, to die at this point if one is given.
    fn starts(&mut self, dies_at: Option<&str>) {
        let log = File::options().create(true).append(true).open(self.host.path("../log")).unwrap();
        let mut command = self.command(&["run", "--no-http", "--resync", "3s", "--owner", &self.host.name]);
        command.args(["--claw-port", &self.port.to_string()]);
        command.env("CLAW_WEB_PASSWORD", "a-horse-of-correctness-9").envs(dies_at.map(|point| ("MOORING_CRASH_AT", point)));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.mooring = Some(command.spawn().unwrap());
    }

    /// Waits until all is as declared.
    fn converges(&self) {
        self.until("all is well", |manager| {
            manager.host.state("web") == "running healthy"
                && manager.say("status").is_some_and(|answer| answer.contains("All 2 are as declared."))
        });
    }

    /// Ends it as a person does.
    fn ends(&mut self) {
        let Some(mut mooring) = self.mooring.take() else { return };
        // A child that was not waited for keeps its number.
        let _ = Command::new("kill").arg(mooring.id().to_string()).status();
        mooring.wait().unwrap();
    }

    /// Whether it has died by itself, within a moment.
    fn has_died(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            if self.mooring.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.mooring = None;
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let log = || std::fs::read_to_string(self.host.path("../log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What is answered, if anything is.
    fn say(&self, text: &str) -> Option<String> {
        let body = json!({ "message": text }).to_string();
        let head = format!(
            "POST /claw/message HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            self.token,
            body.len()
        );
        let answer = request(&format!("127.0.0.1:{}", self.port), &head).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let answer: Value = serde_json::from_str(body.trim()).ok()?;
        Some(answer["text"].as_str().unwrap_or(body).to_owned())
    }

    /// The acts in the machine's name, each as `RestartContainer unknown`.
    fn acts(&self) -> Vec<String> {
        let listed = self.command(&["audit", "log", "--limit", "500", "-o", "json"]).output().unwrap();
        let text = String::from_utf8_lossy(&listed.stdout);
        let listed: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let rows = listed["items"].as_array().unwrap_or_else(|| panic!("no items: {text}"));
        let acts = rows.iter().filter(|row| row["actor"] == "token:ci" && row["object"] != "Host");
        acts.map(|row| format!("{} {}", row["operation"].as_str().unwrap(), row["outcome"].as_str().unwrap_or("open"))).collect()
    }

    fn verifies(&self) {
        let verified = self.command(&["audit", "verify"]).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.ends();
    }
}

/// Confirms this again and again, and has the program die at the `hit`-th passage of the point, until it does not any more. After each
/// death it is started again, and `looks` is told whether the record says that it was done.
fn dies_everywhere(point: &str, wish: impl Fn(usize) -> String, looks: impl Fn(&Manager, usize)) -> usize {
    let mut manager = Manager::new();
    for hit in 1..=MOST {
        manager.ends();
        manager.starts(Some(&format!("{point}:{hit}")));
        manager.converges();
        let acts = manager.acts().len();
        let shown = manager.say(&wish(hit)).unwrap();
        assert!(shown.contains("Say `yes`"), "{shown}");
        // Who dies does not answer.
        let _ = manager.say("yes");
        let has_died = manager.has_died();
        if has_died {
            manager.starts(None);
            manager.converges();
            let voided = manager.say("yes").unwrap();
            assert_eq!(voided, "Nothing waits for a yes.", "{point}:{hit}");
        }
        let now = manager.acts();
        assert!(now.len() <= acts + 1, "{point}:{hit} is on record twice: {now:?}");
        assert!(now.iter().all(|act| !act.ends_with("open")), "{point}:{hit}: {now:?}");
        looks(&manager, hit);
        manager.verifies();
        if !has_died {
            return hit - 1;
        }
    }
    panic!("{point} has no end");
}

#[test]
fn a_confirmed_restart_is_done_once_or_not_at_all_wherever_mooring_dies() {
    for point in ["execute-before-intent", "execute-after-intent", "execute-after-effect", "execute-after-outcome"] {
        let started = std::cell::RefCell::new(Vec::<String>::new());
        let deaths = dies_everywhere(
            point,
            |_| "restart web".to_owned(),
            |manager, hit| {
                let mut started = started.borrow_mut();
                started.push(manager.host.started("web"));
                let restarts = manager.acts();
                // As often as it was started anew, it is on record, and no more often.
                let mut times = started.clone();
                times.dedup();
                assert!(times.len() <= restarts.len() + 1, "{point}:{hit}: {times:?} {restarts:?}");
            },
        );
        assert!(deaths >= 1, "{point} was never passed");
    }
}

#[test]
fn a_confirmed_change_of_a_variable_is_whole_or_not_there_wherever_mooring_dies() {
    for point in ["variable-before-write", "variable-after-temp", "variable-after-rename", "variable-after-sync"] {
        let deaths = dies_everywhere(
            point,
            |hit| format!("set LEVEL to {hit}"),
            |manager, hit| {
                let text = manager.host.read(".env");
                let level = text.strip_prefix("# What they share.\nLEVEL=").unwrap_or_else(|| panic!("{point}:{hit}: {text}"));
                let level = level.trim_end().to_owned();
                assert!([hit.to_string(), (hit - 1).to_string(), "0".to_owned()].contains(&level), "{point}:{hit}: {text}");
                manager.until("the container follows what stands there", |manager| {
                    manager.host.variable("web", "LEVEL").as_deref() == Some(&level)
                });
                assert_eq!(manager.host.leftovers(), [""; 0], "{point}:{hit}");
            },
        );
        assert!(deaths >= 1, "{point} was never passed");
    }
}
