//! Who judges a run. It knows what people have declared and what was done to it,
//! looks at the engine, the files and the journal as they are, and uses
//! nothing of what decides in Mooring.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound::{Excluded, Included},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mooring::{
    execute::Effect,
    observe::engine::{OBJECT_LABEL, OWNER_LABEL},
    plan::{
        EngineAction,
        action::NewContainer,
        container::{Health, State},
    },
};
use tokio::time::Instant;

use super::{
    edge::EDGE,
    ledger::{Ledger, What},
    records::Records,
    support::simulated::outside::Thing,
    trace::Trace,
    world::World,
};

/// How the log calls it when sites are written.
const SWAP: &str = "SwapSites";
/// In which time the budgets of the manifests hold.
const WINDOW: Duration = Duration::from_mins(10);
const MINUTE: Duration = Duration::from_mins(1);
/// Who is well for so long is seen to be: there is a look at everything every ten seconds.
const KNOWN: Duration = Duration::from_secs(15);

/// The judge. Clones are the same one.
#[derive(Clone)]
pub struct Oracle(Arc<Mutex<Inner>>);

struct Inner {
    trace: Trace,
    world: World,
    /// What was done that must not be.
    violations: Vec<String>,
    records: Option<Records>,
    /// How often each operation was asked for on each target, and how many of these are not answered yet.
    asked: BTreeMap<What, usize>,
    under_way: BTreeMap<What, usize>,
    /// What was really done.
    ledger: Ledger,
    /// How often Mooring has changed each file, and how far the log had come when it was last seen to.
    written: BTreeMap<PathBuf, usize>,
    head: i64,
    /// Everything that Mooring has asked the engine to do.
    acts: usize,
    /// When each object was brought back, or was tried to be.
    corrections: BTreeMap<String, Vec<Instant>>,
    /// When it was asked to start, restart or make one for each object, whatever the reason and whatever came of it.
    tries: BTreeMap<String, Vec<Instant>>,
    /// When each object's tries began to count anew: its manifest changed then.
    fresh: BTreeMap<String, BTreeSet<Instant>>,
    /// When Mooring last wrote a site that no nginx has been told of: what nginx died of before that is put right.
    untold: Option<Instant>,
    /// When everybody's did: the clock was set, and with it every window.
    fresh_for_all: BTreeSet<Instant>,
    /// Containers that Mooring itself has stopped.
    stopped: BTreeSet<String>,
    /// Since when each object has been well, and those that were for long enough to be known to be.
    well_since: BTreeMap<String, Instant>,
    have_been_well: BTreeSet<String>,
    /// When Mooring last took away a container of an object.
    given_up: BTreeMap<String, Instant>,
    /// The value that each secret was first seen with.
    secrets: BTreeMap<String, String>,
}

impl Oracle {
    /// Nothing has happened yet.
    pub fn new(world: &World, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            trace,
            world: world.clone(),
            violations: Vec::new(),
            records: None,
            asked: BTreeMap::new(),
            under_way: BTreeMap::new(),
            ledger: Ledger::default(),
            written: BTreeMap::new(),
            head: 0,
            acts: 0,
            corrections: BTreeMap::new(),
            tries: BTreeMap::new(),
            fresh: BTreeMap::new(),
            untold: None,
            fresh_for_all: BTreeSet::new(),
            stopped: BTreeSet::new(),
            well_since: BTreeMap::new(),
            have_been_well: BTreeSet::new(),
            given_up: BTreeMap::new(),
            secrets: BTreeMap::new(),
        })))
    }

    /// The journal is there.
    pub fn reads(&self, state: &Path) {
        self.state().records = Some(Records::open(state));
    }

    /// The journal is closed.
    pub fn closes(&self) {
        self.state().records = None;
    }

    /// People want something else of an object.
    pub fn declared(&self, world: &World, changed: &str) {
        let mut state = self.state();
        state.world = world.clone();
        state.fresh.entry(changed.to_owned()).or_default().insert(Instant::now());
    }

    /// The manifest of this object was away, and is back: what is made for it now is made for the first time.
    pub fn begins_anew(&self, service: &str) {
        let mut state = self.state();
        state.well_since.remove(service);
        state.have_been_well.remove(service);
    }

    /// The clock was set: windows that go across that moment are not what they were.
    pub fn clock_set(&self) {
        self.state().fresh_for_all.insert(Instant::now());
    }

    /// An nginx has read its files anew without having been started.
    pub fn reloaded(&self) {
        self.state().untold = None;
    }

    /// Something is wrong.
    pub fn accuse(&self, violation: String) {
        self.state().accuse(violation);
    }

    /// What was done that must not be, oldest first.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// How often Mooring has asked the engine to do something.
    pub fn acts(&self) -> usize {
        self.state().acts
    }

    /// How often Mooring has tried to bring this object back within the window of a budget, at most.
    pub fn tries(&self, service: &str) -> usize {
        let state = self.state();
        let times = state.tries.get(service).map(Vec::as_slice).unwrap_or_default();
        // Where the clock was set, what was long ago may have been lately.
        if state.fresh_for_all.is_empty() { most_within(times, WINDOW) } else { times.len() }
    }

    /// The value that a secret has to have, once it has one.
    pub fn secret(&self, name: &str) -> Option<String> {
        self.state().secrets.get(name).cloned()
    }

    /// Mooring asks for this: it has to be on record by now. Over when the answer is dropped.
    pub fn asked(&self, action: &EngineAction) -> Asked {
        let asked = self.asked_for(action.operation(), action.target());
        let mut state = self.state();
        state.judge(action);
        state.tried(action);
        drop(state);
        asked
    }

    /// See there: for this operation on this target.
    pub fn asked_for(&self, operation: &str, target: &str) -> Asked {
        let mut state = self.state();
        state.acts += 1;
        let what = (operation.to_owned(), target.to_owned());
        let open = state.records.as_mut().map(|records| records.open_intents(&what.0, &what.1)).unwrap_or_default();
        *state.asked.entry(what.clone()).or_default() += 1;
        let under_way = state.under_way.entry(what.clone()).or_default();
        *under_way += 1;
        // Several objects may want the same thing, each with a record of its own.
        let is_on_record = open.len() >= *under_way;
        let intent = state.ledger.take(&open);
        if !is_on_record {
            state.accuse(format!("an act without a record: {operation} {target}"));
        } else if intent.is_none() {
            state.accuse(format!("{operation} of {target} is asked for once more by the same record"));
        }
        Asked { oracle: self.clone(), call: Call { what, intent, at: Instant::now() } }
    }

    /// Mooring has changed these files: each change has to be on record by now, with an intent of its own.
    pub fn wrote(&self, paths: &BTreeSet<PathBuf>) {
        let mut state = self.state();
        let head = state.head;
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((operations, target)) = on_record(path) else {
                state.accuse(format!("{name} was written, and is none of Mooring's"));
                continue;
            };
            if operations.contains(&SWAP) {
                state.untold = Some(Instant::now());
            }
            let times = state.written.entry(path.clone()).or_default();
            *times += 1;
            let times = *times;
            // Where the journal is not open, nothing can be on record.
            let since = state.records.as_mut().map(|records| records.intents_since(operations, &target, head));
            let (all, open, now) = since.unwrap_or_default();
            if all < times || open == 0 {
                state.accuse(format!("{name} was changed without a record: {times} times, {all} of them with one"));
            }
            state.head = state.head.max(now);
        }
    }

    /// It was carried out, and the world is different now.
    pub fn carried_out(&self, call: &Call) {
        self.state().ledger.carried_out(&call.what, call.intent);
    }

    /// It was done, to an engine that had these containers.
    pub fn done(&self, (action, call): (&EngineAction, &Call), before: &[Thing], effect: Option<Effect>) {
        let mut state = self.state();
        // What the engine itself refuses has touched nothing.
        let Some(effect) = effect else { return };
        if let EngineAction::CreateContainer(new) = action {
            state.made((new, call), before);
            return;
        }
        let Some(target) = action.container() else { return };
        let reference = target.reference();
        let found = before.iter().find(|thing| thing.listed.id == reference || thing.listed.name == reference);
        let Some(thing) = found else { return };
        state.may_touch(action, thing);
        let Some(service) = service_of(thing) else { return };
        match action {
            EngineAction::StopContainer { .. } => drop(state.stopped.insert(thing.listed.id.clone())),
            EngineAction::RestartContainer { .. } => state.corrected(&service, call),
            EngineAction::StartContainer { .. } if effect == Effect::Done => {
                // The old one comes back when the new one is given up, which happens as often as new ones are tried.
                let is_back = state.given_up.get(&service).is_some_and(|at| at.elapsed() < MINUTE);
                let returns = state.stopped.remove(&thing.listed.id) || is_back;
                if thing.starts > 0 && !returns {
                    state.corrected(&service, call);
                }
            }
            EngineAction::RemoveContainer { .. } => state.removed(thing, &service),
            _ => {}
        }
    }

    /// Looks at the secrets as they stand in their file.
    pub fn look_at_secrets(&self, text: &str) {
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            if !value.is_empty() {
                self.state().secret_is(name, value, "its file");
            }
        }
    }

    /// They are lost before anybody could keep them.
    pub fn forget_secrets(&self) {
        self.state().secrets.clear();
    }

    /// Looks at the containers as they stand.
    pub fn look_at_containers(&self, things: &[Thing]) {
        let mut state = self.state();
        // Whoever is well, and not as declared, has still to be made for the first time.
        let is_wanted = |thing: &Thing| {
            let service = service_of(thing).and_then(|name| state.world.services.get(&name));
            service.is_some_and(|service| service.reference() == thing.listed.image)
        };
        let is_well = |thing: &&Thing| {
            is_wanted(thing)
                && thing.listed.state == State::Running
                && matches!(thing.listed.health, Health::None | Health::Healthy)
        };
        let well: BTreeSet<String> = things.iter().filter(is_well).filter_map(service_of).collect();
        state.well_since.retain(|service, _| well.contains(service));
        for service in well {
            let since = *state.well_since.entry(service.clone()).or_insert_with(Instant::now);
            if since.elapsed() > KNOWN {
                state.have_been_well.insert(service);
            }
        }
    }

    /// Checks what can only be judged at the end: that nothing was done more often than it is on record, nor otherwise than
    /// the record says, and that no budget was exceeded.
    pub fn count(&self, records: &mut Records) {
        let mut state = self.state();
        for ((operation, target), times) in state.asked.clone() {
            let on_record = records.intents(&operation, &target);
            if on_record < times {
                state.accuse(format!("{operation} of {target} was asked for {times} times, and is on record {on_record} times"));
            }
        }
        for lie in state.ledger.lies(&records.outcomes()) {
            state.accuse(lie);
        }
        state.judge_budgets();
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that Mooring has asked for, and waits for.
pub struct Asked {
    oracle: Oracle,
    /// What it is, also when nobody waits for it any more.
    pub call: Call,
}

/// Something that Mooring has asked for.
#[derive(Clone)]
pub struct Call {
    what: What,
    /// The intent that it goes by.
    intent: Option<i64>,
    /// When.
    at: Instant,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(under_way) = self.oracle.state().under_way.get_mut(&self.call.what) {
            *under_way -= 1;
        }
    }
}

impl Inner {
    fn accuse(&mut self, violation: String) {
        self.trace.note(format!("ORACLE: {violation}"));
        self.violations.push(violation);
    }

    /// Between any two moments at which tries begin to count anew, no budget is exceeded.
    fn judge_budgets(&mut self) {
        let mut all: Vec<Instant> = Vec::new();
        for (service, mut times) in self.corrections.clone() {
            times.sort();
            let limit = usize::try_from(self.world.services[&service].attempts).unwrap();
            let fresh = self.fresh.get(&service).into_iter().flatten().chain(&self.fresh_for_all).copied().collect();
            let most = most_between(&times, &fresh, WINDOW);
            if most > limit {
                self.accuse(format!("{service} was brought back {most} times in ten minutes, and {limit} are permitted"));
            }
            all.extend(times);
        }
        all.sort();
        if let Some((attempts, minute)) = self.world.budget {
            for (limit, span) in [(attempts, WINDOW), (minute, MINUTE)] {
                let (most, limit) = (most_between(&all, &self.fresh_for_all, span), usize::try_from(limit).unwrap());
                if most > limit {
                    self.accuse(format!("there were {most} corrections on the host in {span:?}, and {limit} are permitted"));
                }
            }
        }
    }

    /// What must never be asked for, whatever is there.
    fn judge(&mut self, action: &EngineAction) {
        if let EngineAction::RemoveNetwork { name, .. } = action
            && self.world.services.values().any(|service| service.is_theirs)
        {
            self.accuse(format!("it removes the network {name}, which somebody else has made"));
        }
    }

    /// Only what is Mooring's own may be changed; what it was asked to heal may be brought back.
    fn may_touch(&mut self, action: &EngineAction, thing: &Thing) {
        let is_ours = thing.listed.labels.contains_key(OWNER_LABEL);
        let is_care = matches!(
            action,
            EngineAction::StartContainer { .. } | EngineAction::RestartContainer { .. } | EngineAction::ConnectNetwork { .. }
        );
        let is_declared = service_of(thing).is_some_and(|service| self.world.services.contains_key(&service));
        let may = is_ours || (is_care && is_declared);
        if !may {
            self.accuse(format!("it touches somebody else's container: {action}"));
        }
    }

    fn removed(&mut self, thing: &Thing, service: &str) {
        let may = self.world.services.get(service).is_some_and(|service| service.may_recreate);
        if thing.is_stateful && thing.starts > 0 && !may {
            self.accuse(format!("it removes {}, which has data and may not be made anew", thing.listed.name));
        }
        self.given_up.insert(service.to_owned(), Instant::now());
    }

    fn tried(&mut self, action: &EngineAction) {
        if let EngineAction::StartContainer { .. } | EngineAction::RestartContainer { .. } | EngineAction::CreateContainer(_) =
            action
        {
            let name = action.target().trim_end_matches(".next").trim_start_matches("shop-").trim_end_matches("-1");
            self.tries.entry(name.to_owned()).or_default().push(Instant::now());
        }
    }

    fn made(&mut self, (new, call): (&NewContainer, &Call), before: &[Thing]) {
        let service = new.object.name.clone();
        let is_there = before.iter().any(|thing| service_of(thing).as_deref() == Some(&service));
        // Making it for the first time is no correction, nor is making it after Mooring itself has taken it away.
        let is_given_up = self.given_up.get(&service).is_some_and(|at| at.elapsed() < MINUTE);
        if !is_there && !is_given_up && self.have_been_well.contains(&service) {
            self.corrected(&service, call);
        }
    }

    fn corrected(&mut self, service: &str, call: &Call) {
        self.trace.note(format!("oracle: {service} is brought back"));
        if let Some(written) = self.untold.take_if(|_| service == EDGE) {
            self.fresh.entry(EDGE.to_owned()).or_default().insert(written);
        }
        // What is carried out late was decided on when it was asked for.
        self.corrections.entry(service.to_owned()).or_default().push(call.at);
    }

    fn secret_is(&mut self, name: &str, value: &str, place: &str) {
        match self.secrets.get(name) {
            None => drop(self.secrets.insert(name.to_owned(), value.to_owned())),
            Some(known) if known == value => {}
            Some(_) => self.accuse(format!("the secret {name} has another value in {place} than it had")),
        }
    }
}

/// Which operations may change this file, and what they call their target; none if none may.
fn on_record(path: &Path) -> Option<(&'static [&'static str], String)> {
    let (name, directory) = (path.file_name()?.to_str()?, path.parent()?);
    match name {
        _ if directory.ends_with("environments/shop") => {
            let desired = directory.ancestors().nth(3)?.join("desired");
            Some((&["KeepLastGood"], desired.join(name).display().to_string()))
        }
        "own.conf" => None,
        _ if directory.ends_with("sites") => Some((&[SWAP], directory.display().to_string())),
        ".env" => Some((&["RestoreFile", "SetMode"], path.display().to_string())),
        ".env.secrets" => Some((&["WriteSecrets", "RestoreFile", "SetMode"], path.display().to_string())),
        ".env.computed" => Some((&["WriteComputed", "SetMode"], path.display().to_string())),
        _ => None,
    }
}

/// The object that a container belongs to, by its labels.
pub fn service_of(thing: &Thing) -> Option<String> {
    let labels = &thing.listed.labels;
    let own = labels.get(OBJECT_LABEL).and_then(|object| object.strip_prefix("Container/"));
    own.or_else(|| labels.get("com.docker.compose.service").map(String::as_str)).map(str::to_owned)
}

/// The most of these times that lie within such a span, none of these moments among them.
fn most_between(times: &[Instant], moments: &BTreeSet<Instant>, span: Duration) -> usize {
    // What happens at such a moment happens after it.
    let parts = times.chunk_by(|at, next| moments.range((Excluded(*at), Included(*next))).next().is_none());
    parts.map(|part| most_within(part, span)).max().unwrap_or(0)
}

/// The most of these times that lie within such a span.
fn most_within(times: &[Instant], span: Duration) -> usize {
    (0..times.len()).map(|first| times[first..].iter().take_while(|at| **at - times[first] < span).count()).max().unwrap_or(0)
}

/// The content of larger files is not compared, which are room that is kept free: they are only ever made and removed.
const COMPARED: u64 = 4 << 20;

/// Every file below a directory with its identity, its mode, its length and its content: what differs was written.
pub fn files_below(directory: &Path) -> BTreeMap<PathBuf, (u64, u32, u64, Vec<u8>)> {
    use std::os::unix::fs::MetadataExt as _;

    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                directories.push(path);
                continue;
            }
            let is_small = metadata.len() <= COMPARED;
            let content = if is_small { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
            found.insert(path, (metadata.ino(), metadata.mode(), metadata.len(), content));
        }
    }
    found
}
