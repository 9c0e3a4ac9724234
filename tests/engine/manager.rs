//! The backend manager in bad times: the program itself, asked as a machine asks it, that dies wherever a confirmed wish can be cut short.
//!
//! Never an act without its record, never one done twice, and no question that waits is left over by the dead.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::Write as _,
    net::TcpStream,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    between::{Between, Trouble},
    crashes::Witness,
    host::{Host, container, environment, free_port},
    proxy::request_within,
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
    /// How many objects there are.
    objects: usize,
}

impl Manager {
    fn new() -> Self {
        Self::of(&[], "")
    }

    /// With a database of ten orders.
    fn with_database() -> Self {
        let at = free_port();
        let postgres = format!(
            "image: mooring-demo/postgres:15\nports: ['127.0.0.1:{at}:5432']\nstopGracePeriod: 1s\n\
             environment: {{POSTGRES_USER: app, POSTGRES_DB: shop, POSTGRES_PASSWORD: app}}"
        );
        let url = format!("DATABASE_URL=postgresql://app:app@127.0.0.1:{at}/shop\n");
        let manager = Self::of(&[container("postgres", &postgres)], &url);
        manager.until("the database answers", |manager| manager.psql("SELECT 1").is_ok());
        manager.psql("CREATE TABLE orders AS SELECT n AS id, n * 250 AS cents FROM generate_series(1, 10) n").unwrap();
        manager
    }

    fn of(more: &[(String, String)], variables: &str) -> Self {
        Self::at(crate::host::engine(), more, variables)
    }

    /// The same where it finds the engine at this address.
    fn at(engine: String, more: &[(String, String)], variables: &str) -> Self {
        let shop = environment("shop", "directory: .\nfiles: [.env]");
        let web = "image: web:1\nenvFrom: [{environment: shop, keys: [LEVEL]}]";
        let manifests = [&[shop, container("web", web)], more].concat();
        let mut host = Host::new(&manifests);
        host.engine = engine;
        std::fs::write(host.path(".env"), format!("# What they share.\nLEVEL=0\n{variables}")).unwrap();
        let (port, objects) = (free_port(), manifests.len());
        let mut manager = Self { host, port, token: String::new(), mooring: None, objects };
        manager.starts(None);
        manager.until("it is up", |manager| manager.host.state("web") == "running healthy");
        manager.token = manager.machine("ci");
        manager
    }

    /// What the database says, as the only one that asks it but Mooring.
    fn psql(&self, statement: &str) -> Result<String, String> {
        let words =
            ["exec", "--env", "PGPASSWORD=app", "@postgres", "psql", "-qAt", "-h", "127.0.0.1", "-U", "app", "shop", "-c"];
        self.host.try_words(&[&words[..], &[statement]].concat()).map(|text| text.trim().to_owned())
    }

    /// The program with these words, on this state.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
        let path = |name: &str| self.host.path("..").join(name).display().to_string();
        command.args(words).args(["--desired", &path("desired"), "--state", &path("state")]);
        command.env("DOCKER_HOST", &self.host.engine);
        command
    }

    /// Starts it, to die at this point if one is given.
    fn starts(&mut self, dies_at: Option<&str>) {
        let log = File::options().create(true).append(true).open(self.host.path("../log")).unwrap();
        let mut command = self.command(&["run", "--no-http", "--resync", "3s", "--owner", &self.host.name]);
        command.args(["--claw-port", &self.port.to_string()]);
        command.env("CLAW_WEB_PASSWORD", "a-horse-of-correctness-9").env("CLAW_ADMIN_ALLOW_DESTRUCTIVE", "true");
        command.envs(dies_at.map(|point| ("MOORING_CRASH_AT", point)));
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.mooring = Some(command.spawn().unwrap());
    }

    /// Waits until all is as declared.
    fn converges(&self) {
        self.until("all is well", |manager| {
            manager.host.state("web") == "running healthy"
                && manager
                    .say("status")
                    .is_some_and(|answer| answer.contains(&format!("All {} are as declared.", manager.objects)))
        });
    }

    /// Ends it as a person does.
    fn ends(&mut self) {
        let Some(mut mooring) = self.mooring.take() else { return };
        // A child that was not waited for keeps its number.
        let _ = Command::new("kill").arg(mooring.id().to_string()).status();
        mooring.wait().unwrap();
    }

    /// Whether it has died by itself: within a moment after its answer, or some time where there was none.
    fn has_died(&mut self, has_answered: bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < if has_answered { Duration::from_secs(3) } else { PATIENCE } {
            if self.mooring.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.mooring = None;
                return true;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(has_answered, "it has neither answered nor died");
        false
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let log = || std::fs::read_to_string(self.host.path("../log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}\n{:?}", log(), self.acts());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What is answered to a line, if anything is.
    fn say(&self, text: &str) -> Option<String> {
        self.says(&self.token, text)
    }

    /// The same to whoever has this token.
    fn says(&self, token: &str, text: &str) -> Option<String> {
        let answer = self.post(&self.request(token, "/claw/message", &json!({ "message": text })))?;
        Some(answer["text"].as_str().map_or_else(|| answer.to_string(), str::to_owned))
    }

    /// A machine that may speak to it.
    fn machine(&self, name: &str) -> String {
        let made = self.command(&["claw", "token", "create", name]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// The id of the question that a line leads to.
    fn question(&self, text: &str) -> String {
        let answer = self.post(&self.request(&self.token, "/claw/message", &json!({ "message": text }))).unwrap();
        let question = answer["parts"].as_array().unwrap().iter().find(|part| part["type"] == "question");
        question.unwrap_or_else(|| panic!("no question: {answer}"))["id"].as_str().unwrap().to_owned()
    }

    /// Confirms it, and is gone before the answer.
    fn confirms_and_leaves(&self, body: &Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(self.request(&self.token, "/claw/admin/confirm", body).as_bytes()).unwrap();
        self.until("it is under way", |manager| manager.acts().last().is_some_and(|act| act.ends_with("open")));
    }

    fn request(&self, token: &str, path: &str, body: &Value) -> String {
        let body = body.to_string();
        let (port, length) = (self.port, body.len());
        format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    fn post(&self, text: &str) -> Option<Value> {
        // What was confirmed is waited for, and a restart has its time on a busy host.
        let answer = request_within(&format!("127.0.0.1:{}", self.port), text, PATIENCE).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body.trim()).ok()
    }

    /// The acts in the machine's name, each as `RestartContainer unknown`.
    fn acts(&self) -> Vec<String> {
        self.acts_of("token:ci")
    }

    fn acts_of(&self, actor: &str) -> Vec<String> {
        let listed = self.command(&["audit", "log", "--limit", "500", "-o", "json"]).output().unwrap();
        let text = String::from_utf8_lossy(&listed.stdout);
        let listed: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let rows = listed["items"].as_array().unwrap_or_else(|| panic!("no items: {text}"));
        let acts = rows.iter().filter(|row| {
            row["actor"] == actor
                && (row["object"] != "Host" || ["ChangeDatabase", "Hold"].iter().any(|own| row["operation"] == *own))
        });
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
fn dies_everywhere(
    mut manager: Manager,
    point: &str,
    wish: impl Fn(usize) -> String,
    answers: &[&str],
    looks: impl Fn(&Manager, usize),
) -> usize {
    for hit in 1..=MOST {
        manager.ends();
        manager.starts(Some(&format!("{point}:{hit}")));
        manager.converges();
        let acts = manager.acts().len();
        let shown = manager.say(&wish(hit)).unwrap();
        assert!(shown.contains("Say `yes`"), "{shown}");
        // Who dies does not answer.
        let has_answered = answers.iter().map(|answer| manager.say(answer).is_some()).fold(true, |_, answered| answered);
        let has_died = manager.has_died(has_answered);
        if has_died {
            manager.starts(None);
            manager.converges();
            let acts = manager.acts();
            let voided = manager.say(answers.last().unwrap()).unwrap();
            assert_eq!(manager.say("yes").unwrap(), "Nothing waits for a yes.", "{point}:{hit}");
            assert_eq!(manager.acts(), acts, "{point}:{hit}: {voided}");
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
        let manager = Manager::new();
        let (witness, known) = (Witness::of(&manager.host), Cell::new(0));
        let deaths = dies_everywhere(
            manager,
            point,
            |_| "restart web".to_owned(),
            &["yes"],
            |manager, hit| {
                let restarts = witness.times(&manager.host, "restart");
                let acts = manager.acts();
                let on_record = acts.len() - known.replace(acts.len());
                let is_done = on_record == 1 && acts.last().unwrap().ends_with("done");
                // None without its record, none twice, and none that the record makes up.
                assert!((usize::from(is_done)..=on_record).contains(&restarts), "{point}:{hit}: {restarts} restarts, {acts:?}");
            },
        );
        assert!(deaths >= 1, "{point} was never passed");
    }
}

/// Whoever asked was told that it stays stopped. The log said that it was done, and whoever came after started it again.
#[test]
fn a_confirmed_stop_lasts_or_was_never_made_wherever_mooring_dies() {
    for (point, is_stopped) in [
        ("execute-before-intent", false),
        ("execute-after-intent", false),
        ("execute-after-effect", true),
        ("execute-after-outcome", true),
    ] {
        let mut manager = Manager::new();
        manager.ends();
        manager.starts(Some(point));
        manager.converges();
        let shown = manager.say("stop web").unwrap();
        assert!(shown.contains("Say `yes`"), "{shown}");
        // What takes something down is confirmed by its name as well.
        let has_answered = manager.say("yes").is_some() && manager.say("web").is_some();
        assert!(manager.has_died(has_answered), "nobody came by {point}");
        manager.starts(None);
        manager.until("it is up", |manager| manager.say("status").is_some());
        let is_so = |host: &Host| host.state("web").starts_with("exited") == is_stopped;
        manager.host.stays(5, point, is_so);
        manager.verifies();
    }
}

/// What is no step of a plan has an intent of its own.
#[test]
fn a_confirmed_hold_and_its_release_are_done_or_not_and_on_record_wherever_mooring_dies() {
    let mut manager = Manager::new();
    let held = |manager: &Manager| manager.host.path("hold-container-web.yaml").exists();
    for (point, is_held) in [("wish-after-intent", false), ("wish-after-act", true), ("wish-after-outcome", true)] {
        for (wish, is_so) in [("hold web for 1h because it is moved", is_held), ("release web", !is_held)] {
            // What it is about has to be as it would be without a death.
            let is_release = wish.starts_with("release");
            if is_release && !held(&manager) {
                manager.say("hold web for 1h because it is moved").unwrap();
                manager.say("yes").unwrap();
            }
            manager.ends();
            manager.starts(Some(point));
            manager.until("it is up", |manager| manager.say("status").is_some());
            let acts = manager.acts().len();
            let shown = manager.say(wish).unwrap();
            assert!(shown.contains("Say `yes`"), "{shown}");
            let has_answered = manager.say("yes").is_some();
            assert!(manager.has_died(has_answered), "nobody came by {point}: {wish}");
            manager.starts(None);
            manager.until("it is up", |manager| manager.say("status").is_some());
            let now = manager.acts();
            let outcome = if point == "wish-after-outcome" { "done" } else { "unknown" };
            let operation = if is_release { "Release" } else { "Hold" };
            assert_eq!(
                (now.len(), now.last().unwrap().as_str()),
                (acts + 1, format!("{operation} {outcome}").as_str()),
                "{point}"
            );
            assert_eq!(held(&manager), is_so, "{point}: {wish}");
            assert_eq!(manager.host.leftovers(), [""; 0], "{point}: {wish}");
            manager.verifies();
        }
    }
}

#[test]
fn a_confirmed_change_of_a_variable_is_whole_or_not_there_wherever_mooring_dies() {
    for point in ["variable-before-write", "variable-after-temp", "variable-after-rename", "variable-after-sync"] {
        let before = RefCell::new("0".to_owned());
        let deaths = dies_everywhere(
            Manager::new(),
            point,
            |hit| format!("set LEVEL to {hit}"),
            &["yes"],
            |manager, hit| {
                let text = manager.host.read(".env");
                let level = text.strip_prefix("# What they share.\nLEVEL=").unwrap_or_else(|| panic!("{point}:{hit}: {text}"));
                let level = level.trim_end().to_owned();
                let was = before.replace(level.clone());
                assert!([hit.to_string(), was].contains(&level), "{point}:{hit}: {text}");
                manager.until("the container follows what stands there", |manager| {
                    manager.host.variable("web", "LEVEL").as_deref() == Some(&level)
                });
                assert_eq!(manager.host.leftovers(), [""; 0], "{point}:{hit}");
            },
        );
        assert!(deaths >= 1, "{point} was never passed");
    }
}

/// Asks for this order to be deleted, and says yes once.
fn half_confirmed(manager: &Manager, id: usize) {
    let shown = manager.say(&format!("DELETE FROM orders WHERE id = {id}")).unwrap();
    assert!(shown.contains("Say `yes`"), "{shown}");
    let again = manager.say("yes").unwrap();
    assert!(again.contains("orders"), "{again}");
}

/// Holds everybody up who wants to write there, from the database itself, for so long.
fn locks(manager: &Manager, seconds: u32) {
    let statement = format!("BEGIN; LOCK TABLE orders; SELECT pg_sleep({seconds})");
    let words =
        ["exec", "--detach", "--env", "PGPASSWORD=app", "@postgres", "psql", "-h", "127.0.0.1", "-U", "app", "shop", "-c"];
    manager.host.try_words(&[&words[..], &[&statement]].concat()).unwrap();
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    manager.until("it is locked", |manager| manager.psql(held).as_deref() == Ok("1"));
}

#[test]
fn a_confirmed_change_of_rows_is_made_once_or_not_at_all_wherever_mooring_dies() {
    for (point, is_made) in [("change-after-intent", false), ("change-before-commit", false), ("change-after-commit", true)] {
        let wish = |hit| format!("DELETE FROM orders WHERE id = {hit}");
        let deaths = dies_everywhere(Manager::with_database(), point, wish, &["yes", "orders"], |manager, hit| {
            let left = manager.psql("SELECT count(*) FROM orders").unwrap();
            let has_died = manager.acts().last().unwrap().ends_with("unknown");
            // The first time it dies; the second time nothing is in the way.
            let expected = 10 - usize::from(is_made) - usize::from(hit == 2);
            assert_eq!((has_died, left), (hit == 1, expected.to_string()), "{point}:{hit}");
        });
        assert_eq!(deaths, 1, "{point}");
    }
}

#[test]
fn a_database_that_dies_in_the_middle_of_a_confirmed_change_has_lost_nothing_and_that_is_on_record() {
    let mut manager = Manager::with_database();
    manager.converges();
    half_confirmed(&manager, 3);
    locks(&manager, 60);
    thread::scope(|scope| {
        let answer = scope.spawn(|| manager.say("orders").unwrap());
        manager.until("it is under way", |manager| manager.acts() == ["ChangeDatabase open"]);
        thread::sleep(Duration::from_millis(500));
        manager.host.docker("kill @postgres");
        let answer = answer.join().unwrap();
        assert!(answer.contains("Not done"), "{answer}");
    });
    assert_eq!(manager.acts(), ["ChangeDatabase failed"]);
    manager.until("the database is back", |manager| manager.psql("SELECT count(*) FROM orders").as_deref() == Ok("10"));
    manager.converges();
    assert_eq!(manager.say("yes").unwrap(), "Nothing waits for a yes.");
    half_confirmed(&manager, 3);
    let done = manager.say("orders").unwrap();
    assert!(done.contains("1 row changed"), "{done}");
    assert_eq!(manager.psql("SELECT count(*) FROM orders").unwrap(), "9");
    manager.ends();
    manager.verifies();
}

#[test]
fn what_was_confirmed_by_somebody_who_has_left_since_is_finished_and_on_record() {
    let mut manager = Manager::with_database();
    manager.converges();
    // Longer than what SQLx calls a slow statement.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(1.5); RETURN OLD; END$$;
        CREATE TRIGGER slow BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION slow()";
    manager.psql(slow).unwrap();
    manager.say("DELETE FROM orders WHERE id = 3").unwrap();
    let second = manager.question("yes");
    manager.confirms_and_leaves(&json!({ "id": second, "name": "orders" }));
    manager.until("it is done", |manager| manager.acts() == ["ChangeDatabase done"]);
    assert_eq!(manager.psql("SELECT count(*) FROM orders").unwrap(), "9");
    let log = std::fs::read_to_string(manager.host.path("../log")).unwrap();
    assert!(!log.contains("mooring_key") && !log.contains("DELETE"), "a statement is in Mooring's own log: {log}");
    let before = manager.host.started("web");
    let restart = manager.question("restart web");
    manager.confirms_and_leaves(&json!({ "id": restart }));
    manager.until("it is done", |manager| manager.acts().last().unwrap() == "RestartContainer done");
    assert_ne!(manager.host.started("web"), before);
    manager.ends();
    manager.verifies();
}

#[test]
fn a_confirmed_restart_of_which_the_engine_does_not_say_what_it_did_is_never_done_twice() {
    let between = Between::new(&crate::host::engine());
    let manager = Manager::at(between.address(), &[], "");
    let witness = Witness::of(&manager.host);
    let troubles = [
        (Trouble::DoneAndRefused(500), 1, "failed"),
        (Trouble::DoneAndBrokenOff, 1, "failed"),
        (Trouble::Refused(500), 0, "failed"),
        (Trouble::DoneLater, 1, "failed"),
        (Trouble::Hangs, 0, "failed"),
        (Trouble::Late, 1, "done"),
    ];
    for (number, (trouble, times, outcome)) in troubles.into_iter().enumerate() {
        manager.converges();
        between.orders("POST /containers/{}/restart", &[trouble]);
        let shown = manager.say("restart web").unwrap();
        assert!(shown.contains("Say `yes`"), "{shown}");
        let answer = manager.say("yes").unwrap();
        assert_eq!(answer.contains("Not done"), outcome == "failed", "{trouble:?}: {answer}");
        // What it owes it has done, the resync has come by, and whoever says yes once more has confirmed nothing.
        between.turns(0);
        thread::sleep(Duration::from_secs(4));
        manager.converges();
        assert_eq!(manager.say("yes").unwrap(), "Nothing waits for a yes.");
        let acts = manager.acts();
        assert_eq!(
            (acts.len(), acts.last().unwrap().as_str()),
            (number + 1, format!("RestartContainer {outcome}").as_str()),
            "{trouble:?}"
        );
        // By the engine's own word, whatever it said of it.
        assert_eq!(witness.times(&manager.host, "restart"), times, "{trouble:?}: {answer}");
        assert!(between.deeds().contains(&("POST /containers/{}/restart".to_owned(), format!("{trouble:?}"))));
    }
    manager.verifies();
}

/// She was told that another wish had come in between, and he that his was done.
#[test]
fn of_two_wishes_at_the_same_moment_each_hears_what_came_of_his_own() {
    let between = Between::new(&crate::host::engine());
    let manager = Manager::at(between.address(), &[], "");
    let (ada, bob) = (manager.machine("ada"), manager.machine("bob"));
    let witness = Witness::of(&manager.host);
    between.orders("POST /containers/{}/restart", &[Trouble::Late]);
    for (token, wish) in [(&ada, "restart web"), (&bob, "stop web")] {
        assert!(manager.says(token, wish).unwrap().contains("Say `yes`"));
    }
    // A stop is confirmed twice.
    assert!(manager.says(&bob, "yes").unwrap().contains("a second time"));
    thread::scope(|scope| {
        let hers = scope.spawn(|| manager.says(&ada, "yes").unwrap());
        manager.until("hers is under way", |manager| !manager.acts_of("token:ada").is_empty());
        let his = manager.says(&bob, "web").unwrap();
        assert!(his.contains("is not as it was shown; look again"), "{his}");
        let hers = hers.join().unwrap();
        assert!(hers.contains("Outcome: done"), "{hers}");
    });
    manager.converges();
    assert_eq!(manager.acts_of("token:ada"), ["RestartContainer done"]);
    assert_eq!(manager.acts_of("token:bob"), [""; 0]);
    assert_eq!(witness.times(&manager.host, "restart"), 1);
    assert_eq!(manager.host.state("web"), "running healthy");
}

/// Whoever died had asked for it, and who comes after does not know that it will be done.
#[test]
fn what_the_engine_does_only_after_mooring_has_died_is_done_once() {
    for (fault, kind, action) in [
        ("kill @web", "POST /containers/{}/start", "start"),
        ("rm -f @web", "POST /containers/{}/start", "start"),
        ("rm -f @web", "POST /containers/create", "create"),
    ] {
        let between = Between::new(&crate::host::engine());
        let mut manager = Manager::at(between.address(), &[], "");
        let witness = Witness::of(&manager.host);
        between.orders(kind, &[Trouble::DoneLater]);
        manager.host.docker(fault);
        manager.until("the engine was asked", |_| between.owes());
        let mut mooring = manager.mooring.take().unwrap();
        mooring.kill().unwrap();
        mooring.wait().unwrap();
        manager.starts(None);
        manager.converges();
        between.turns(0);
        thread::sleep(Duration::from_secs(4));
        manager.converges();
        assert_eq!(witness.times(&manager.host, action), 1, "{fault}: {kind}");
        assert_eq!(manager.host.names(), ["@web"], "{fault}: {kind}");
        manager.verifies();
    }
}
