//! What the engine itself says was done, held against the log: a thing that was done twice, or that nobody wrote down, shows nowhere
//! else. By its times it is also known how long a container took by itself.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    mem,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::host::Host;

/// What the engine calls it, and which steps of ours come to that.
const STEPS: [(&str, &[&str]); 5] = [
    ("create", &["CreateContainer"]),
    ("start", &["StartContainer", "RestartContainer"]),
    ("stop", &["StopContainer", "RestartContainer"]),
    ("rename", &["RenameContainer"]),
    ("destroy", &["RemoveContainer"]),
];
/// What is listened to.
const EVENTS: [&str; 11] =
    ["create", "start", "restart", "kill", "die", "stop", "rename", "destroy", "connect", "update", "health_status"];
/// How long it may take to converge, beyond what the containers take by themselves: on a machine that has nothing else to do it is a
/// second or two; what is caught here is somebody who waits for something that has passed.
const SOON: Duration = Duration::from_secs(30);

/// Something that happened to a container.
#[derive(Clone, Debug)]
pub struct Event {
    /// Since 1970, by the engine's clock, which is ours.
    at: Duration,
    action: String,
    /// The container's id.
    container: String,
    /// The network that it was connected to.
    network: Option<String>,
    /// The name of the container, or of a volume.
    name: String,
}

/// Hears all that the engine says, from when it is made.
pub struct Witness {
    prefix: String,
    listening: Child,
    heard: Arc<Mutex<Vec<Event>>>,
    /// How often it was asked.
    asked: Cell<usize>,
    /// The last row of the log that was held against what was heard.
    since: Cell<i64>,
    /// The deaths at each point, and the longest way back.
    worst: RefCell<BTreeMap<String, (usize, Duration)>>,
}

/// Now, as the engine counts.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

impl Witness {
    pub fn of(host: &Host) -> Self {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &host.outside).args(["events", "--format", "{{json .}}"]);
        command.args(EVENTS.iter().flat_map(|event| ["--filter".to_owned(), format!("event={event}")]));
        let mut listening = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(listening.stdout.take().unwrap()).lines();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            lines.map_while(Result::ok).filter_map(|line| event(&line)).for_each(|event| hearing.lock().unwrap().push(event));
        });
        let since = Cell::new(host.audit().last().map_or(0, |entry| entry.id));
        let prefix = format!("{}-", host.name);
        let witness = Self { prefix, listening, heard, asked: Cell::default(), since, worst: RefCell::default() };
        witness.hears(host);
        witness
    }

    /// All that has happened to our containers since it was last asked.
    pub fn hears(&self, host: &Host) -> Vec<Event> {
        // The engine says things in their order: what it says of this was the last one.
        let begun = Instant::now();
        loop {
            self.asked.set(self.asked.get() + 1);
            let mark = format!("{}heard-{}", self.prefix, self.asked.get());
            host.docker(&format!("volume create {mark}"));
            host.docker(&format!("volume rm {mark}"));
            // Who listens only now has not heard it.
            let patience = Instant::now() + Duration::from_secs(3);
            while Instant::now() < patience {
                let mut heard = self.heard.lock().unwrap();
                if let Some(at) = heard.iter().position(|event| event.name == mark) {
                    let rest = heard.split_off(at + 1);
                    let mut all = mem::replace(&mut *heard, rest);
                    drop(heard);
                    let ours: Vec<String> = all
                        .iter()
                        .filter(|event| event.name.starts_with(&self.prefix))
                        .map(|event| event.container.clone())
                        .collect();
                    all.retain(|event| ours.contains(&event.container) && !event.container.is_empty());
                    return all;
                }
                drop(heard);
                thread::sleep(Duration::from_millis(5));
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "the engine says nothing");
        }
    }

    /// How often this has happened to containers of ours, since it was last asked.
    pub fn times(&self, host: &Host, action: &str) -> usize {
        self.hears(host).iter().filter(|event| event.action == action).count()
    }

    /// Holds the log of somebody who has converged, between these times, against what was heard: each act that is on record as done was
    /// done once; one of which nobody knows, at most once; none that is not on record.
    pub fn agrees(&self, host: &Host, place: &str, (from, to): (Duration, Duration)) {
        let heard = self.hears(host);
        let rows: Vec<_> = host.audit().into_iter().filter(|entry| entry.id > self.since.get()).collect();
        self.since.set(rows.last().map_or(self.since.get(), |entry| entry.id));
        let acts = |steps: &[&str], outcomes: &[&str]| {
            let of_these = rows.iter().filter(|row| steps.contains(&row.operation.as_str()));
            of_these.filter(|row| outcomes.contains(&row.outcome.as_deref().unwrap_or("open"))).count()
        };
        let story = || {
            let rows =
                rows.iter().map(|row| format!("{} {} [{}]", row.operation, row.target, row.outcome.as_deref().unwrap_or("open")));
            format!("{:#?}\n{heard:#?}", rows.collect::<Vec<_>>())
        };
        for (action, steps) in STEPS {
            let times = heard.iter().filter(|event| event.action == action && event.network.is_none()).count();
            let (done, perhaps) = (acts(steps, &["done"]), acts(steps, &["unknown", "failed"]));
            assert!(
                (done..=done + perhaps).contains(&times),
                "after {place}: {times} × {action}, {done} done and {perhaps} of which nobody knows: {}",
                story()
            );
        }
        let connected = acts(&["ConnectNetwork"], &["done", "unknown", "failed"]);
        for (container, network) in heard.iter().filter_map(|event| Some((&event.container, event.network.as_ref()?))) {
            let times =
                heard.iter().filter(|event| event.container == *container && event.network.as_ref() == Some(network)).count();
            let starts = heard.iter().filter(|event| event.container == *container && event.action == "start").count();
            // Each start connects it anew.
            assert!(times <= starts + connected, "after {place}: connected {times} times: {}", story());
        }
        self.took(place, to.saturating_sub(from + own(&heard, (from, to))));
    }

    fn took(&self, place: &str, took: Duration) {
        assert!(took < SOON, "after {place}, it took {took:?} to converge, beyond the containers' own time");
        let point = place.split(':').next().unwrap_or(place).to_owned();
        let mut worst = self.worst.borrow_mut();
        let (deaths, longest) = worst.entry(point).or_default();
        (*deaths, *longest) = (*deaths + 1, (*longest).max(took));
    }
}

impl Drop for Witness {
    #[expect(clippy::print_stderr, reason = "these are the figures of docs/reliability.md")]
    fn drop(&mut self) {
        for (point, (starts, longest)) in &*self.worst.borrow() {
            eprintln!("{point}: {starts} starts, as declared after {:.2} s at most", longest.as_secs_f64());
        }
        let _ = self.listening.kill();
        let _ = self.listening.wait();
    }
}

fn event(line: &str) -> Option<Event> {
    let said: Value = serde_json::from_str(line).ok()?;
    let (actor, attributes) = (&said["Actor"], &said["Actor"]["Attributes"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let event = Event {
        at: Duration::from_nanos(said["timeNano"].as_u64()?),
        action: text(&said["Action"]),
        container: text(&actor["ID"]),
        network: None,
        name: text(&attributes["name"]),
    };
    match said["Type"].as_str()? {
        "container" => Some(event),
        "network" if event.action == "connect" => Some(Event {
            container: text(&attributes["container"]),
            network: Some(text(&actor["ID"])),
            name: String::new(),
            ..event
        }),
        "volume" if event.action == "create" => Some(Event { container: String::new(), name: text(&actor["ID"]), ..event }),
        _ => None,
    }
}

/// What containers have taken by themselves within this time: until they were healthy, and until they had ended.
fn own(heard: &[Event], (from, to): (Duration, Duration)) -> Duration {
    let mut spans = Vec::new();
    for (at, begun) in heard.iter().enumerate().filter(|(_, event)| ["start", "kill"].contains(&event.action.as_str())) {
        let end = if begun.action == "start" { "health_status: healthy" } else { "die" };
        let mut later = heard[at..].iter().filter(|event| event.container == begun.container);
        if let Some(ended) = later.find(|event| event.action == end) {
            spans.push((begun.at.clamp(from, to), ended.at.clamp(from, to)));
        }
    }
    spans.sort();
    let (mut sum, mut reached) = (Duration::ZERO, from);
    for (begun, ended) in spans {
        sum += ended.saturating_sub(begun.max(reached));
        reached = reached.max(ended);
    }
    sum
}

#[test]
fn what_containers_take_by_themselves_is_counted_once() {
    let event = |at, action: &str, container: &str| Event {
        at: Duration::from_secs(at),
        action: action.to_owned(),
        container: container.to_owned(),
        network: None,
        name: String::new(),
    };
    let heard = [
        event(1, "start", "a"),
        event(2, "start", "b"),
        event(4, "health_status: healthy", "b"),
        event(5, "health_status: healthy", "a"),
        event(8, "kill", "a"),
        event(10, "die", "a"),
        event(11, "start", "c"),
    ];
    assert_eq!(own(&heard, (Duration::from_secs(3), Duration::from_secs(9))), Duration::from_secs(3));
}
