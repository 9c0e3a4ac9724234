//! The engine between Mooring and the simulated one: it hangs, refuses, breaks
//! off and tells old news, as the schedule says. Everything that Mooring does
//! passes through here, and the oracle sees it as it is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream, stream::BoxStream};
use mooring::{
    execute::{
        self,
        engine::{Effect, Ran},
    },
    observe::engine::{Description, Engine, Error, Event, ExecResult, Inspected, Listed, ListedNetwork},
    plan::{EngineAction, container::State},
    secret::Secret,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    dice::Dice,
    edge::IMAGE,
    late::{Heard, Late},
    nginx::Nginx,
    ollama::Ollama,
    oracle::{Call, Oracle},
    schedule::Trouble,
    support::simulated::{Events, Simulated, outside::Thing},
    trace::Trace,
    world::OLLAMA_IMAGE,
};

/// How long Mooring waits for a list, and for an act, before it gives up: as the real client does.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_TO_ACT: Duration = Duration::from_secs(30);
/// How old a list of yesterday may be.
const YESTERDAY: Duration = Duration::from_secs(4);

/// The engine as Mooring meets it. Clones are the same one.
#[derive(Clone)]
pub struct Hostile {
    pub(super) engine: Simulated,
    oracle: Oracle,
    pub(super) trace: Trace,
    /// What is carried out when nobody waits for it any more.
    pub late: Late,
    nginx: Nginx,
    ollama: Ollama,
    mood: Arc<Mutex<Mood>>,
    /// Changes when the stream of events is to end.
    cuts: Arc<watch::Sender<u64>>,
}

struct Mood {
    dice: Dice,
    /// What is wrong, and until when.
    troubles: Vec<(Trouble, Instant)>,
    /// A list that is told again, and when it was made.
    yesterday: Option<(Instant, Vec<Listed>)>,
    /// The containers in which something was run, by their ids: one may be gone before it is asked to reload, as the record says
    /// that it was.
    run_in: BTreeMap<String, String>,
}

/// How a request fares.
enum Fate {
    /// As it should.
    Well,
    /// It is answered with an error, after this time; if it was an order, it was carried out, or not.
    Ill { error: Ill, done: bool },
}

pub enum Ill {
    TimedOut,
    Status(u16),
    Garbled,
}

impl Ill {
    /// When whoever has asked knows of it.
    fn is_told_after(&self, patience: Duration) -> Duration {
        if let Self::TimedOut = self { patience } else { Duration::ZERO }
    }
}

impl Hostile {
    /// In front of this engine.
    pub fn new((engine, nginx, ollama): (Simulated, Nginx, Ollama), seed: u64, oracle: Oracle, trace: Trace) -> Self {
        let (dice, late) = (Dice::new(seed, "engine"), Late::new(seed));
        let mood = Mood { dice, troubles: Vec::new(), yesterday: None, run_in: BTreeMap::new() };
        let (mood, cuts) = (Arc::new(Mutex::new(mood)), Arc::new(watch::channel(0).0));
        Self { engine, oracle, trace, late, nginx, ollama, mood, cuts }
    }

    /// Something is wrong from now on, for so long.
    pub fn suffer(&self, trouble: Trouble, span: Duration) {
        let listed = self.engine.everything().into_iter().map(|thing| thing.listed).collect();
        let mut mood = self.mood();
        mood.troubles.push((trouble, Instant::now() + span));
        if trouble == Trouble::ListsOfYesterday {
            mood.yesterday = Some((Instant::now(), listed));
        }
        drop(mood);
        self.deliver_events();
    }

    /// What was wrong and has ended is not wrong any more.
    pub fn recover(&self) {
        let now = Instant::now();
        self.mood().troubles.retain(|(_, until)| *until > now);
        self.deliver_events();
    }

    /// Nothing is wrong any more.
    pub fn be_well(&self) {
        self.mood().troubles.clear();
        self.deliver_events();
    }

    /// The stream of events ends.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    fn deliver_events(&self) {
        let delivery = if self.is(Trouble::LosesEvents) {
            Events::Lost
        } else if self.is(Trouble::DoublesEvents) {
            Events::Doubled
        } else if self.is(Trouble::SwapsEvents) {
            Events::Reordered
        } else {
            Events::Delivered
        };
        self.engine.events_are(delivery);
    }

    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a container is called, or was when something was last run in it.
    fn name_of(&self, id: &str) -> String {
        let named = self.engine.everything().into_iter().find(|thing| thing.listed.id == id).map(|thing| thing.listed.name);
        let mut mood = self.mood();
        if let Some(name) = named {
            mood.run_in.insert(id.to_owned(), name);
        }
        mood.run_in.get(id).cloned().unwrap_or_default()
    }

    fn is(&self, trouble: Trouble) -> bool {
        let now = Instant::now();
        self.mood().troubles.iter().any(|(known, until)| *known == trouble && *until > now)
    }

    fn until(&self, trouble: Trouble) -> Option<Instant> {
        let now = Instant::now();
        self.mood().troubles.iter().filter(|(known, until)| *known == trouble && *until > now).map(|(_, until)| *until).max()
    }

    fn roll(&self, from: u64, to: u64) -> Duration {
        let slow = if self.is(Trouble::Dawdles) { 40 } else { 1 };
        self.mood().dice.millis(from, to) * slow
    }

    /// Takes the time that a request takes, and says how it ends.
    async fn meet(&self, patience: Duration, took: Duration) -> Fate {
        if let Some(until) = self.until(Trouble::Hangs) {
            let done = self.mood().dice.percent(50);
            let answered = Instant::now() + patience;
            if until >= answered {
                // The oracle must see what is done when it is done, so it is done before the wait.
                return Fate::Ill { error: Ill::TimedOut, done };
            }
            tokio::time::sleep_until(until).await;
        }
        sleep(took).await;
        let statuses: Vec<u16> = [500, 503, 409, 304].into_iter().filter(|status| self.is(Trouble::Refuses(*status))).collect();
        let garbles = self.is(Trouble::Garbles);
        let mut mood = self.mood();
        for status in statuses {
            if mood.dice.percent(60) {
                // Only a server's own errors come after the work was done.
                return Fate::Ill { error: Ill::Status(status), done: status >= 500 && mood.dice.percent(50) };
            }
        }
        if garbles && mood.dice.percent(50) {
            return Fate::Ill { error: Ill::Garbled, done: mood.dice.percent(50) };
        }
        Fate::Well
    }

    /// How a question fares.
    async fn ask(&self, what: &str) -> Result<(), Error> {
        self.trace.note(format!("asked to {what}"));
        let took = self.roll(1, 8);
        match self.meet(PATIENCE, took).await {
            Fate::Well => Ok(()),
            Fate::Ill { error: Ill::TimedOut, .. } => {
                sleep(PATIENCE).await;
                let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
                Err(Error::Unreachable { address: "hostile".into(), source: source.into() })
            }
            Fate::Ill { error: Ill::Status(status), .. } => {
                Err(Error::Refused { operation: what.to_owned(), status, message: "not now".to_owned() })
            }
            Fate::Ill { error: Ill::Garbled, .. } => {
                Err(Error::Unreadable { operation: what.to_owned(), source: "it ends in the middle".into() })
            }
        }
    }

    /// What would break off a pull that is on its way has to wait for it.
    fn spares_pulls(&self, action: &EngineAction, things: &[Thing]) {
        let stops = matches!(
            action,
            EngineAction::StopContainer { .. } | EngineAction::RestartContainer { .. } | EngineAction::RemoveContainer { .. }
        );
        let reference = action.container().filter(|_| stops).map(mooring::plan::Target::reference).unwrap_or_default();
        let is_meant = |thing: &&Thing| {
            let is_named = thing.listed.id == reference || thing.listed.name == reference;
            is_named && thing.listed.state == State::Running && thing.listed.image.starts_with(OLLAMA_IMAGE)
        };
        let volume = things.iter().find(is_meant).and_then(|thing| thing.volumes.first());
        if let Some(model) = volume.and_then(|volume| self.ollama.pulls(volume)) {
            self.oracle.accuse(format!("{action}, in the middle of the pull of {model}"));
        }
    }

    /// Carries an order out, and shows it to the oracle first.
    pub(super) async fn carry_out(
        &self,
        action: &EngineAction,
        variables: &BTreeMap<String, Secret>,
        call: &Call,
    ) -> Result<Effect, execute::engine::Error> {
        let before = self.engine.everything();
        let effect = execute::engine::Engine::perform(&self.engine, action, variables).await;
        self.trace.note(format!("engine: {action} -> {}", outcome(&effect)));
        if let Ok(Effect::Done) = effect {
            self.oracle.carried_out(call);
        }
        self.oracle.done((action, call), &before, effect.as_ref().ok().copied());
        effect
    }
}

impl Hostile {
    /// What is told of an order that went wrong.
    async fn told(&self, error: Ill, patience: Duration) -> execute::engine::Error {
        match error {
            Ill::TimedOut => {
                sleep(patience).await;
                execute::engine::Error::TimedOut { seconds: patience.as_secs() }
            }
            Ill::Status(status) => execute::engine::Error::Refused { status, message: "not now".to_owned() },
            Ill::Garbled => {
                execute::engine::Error::Unreachable { address: "hostile".to_owned(), source: "it ends in the middle".into() }
            }
        }
    }

    /// Runs a command in a container, as far as there is anything in it.
    async fn run(&self, id: &str, command: &[String], call: Option<&Call>) -> Result<Ran, execute::engine::Error> {
        let Some(thing) = self.engine.everything().into_iter().find(|thing| thing.listed.id == id) else {
            let message = format!("No such container: {id}");
            return Err(execute::engine::Error::Refused { status: 404, message });
        };
        if thing.listed.state != State::Running {
            let message = format!("container {id} is not running");
            return Err(execute::engine::Error::Refused { status: 409, message });
        }
        // Whether anybody is there at all.
        let ran = execute::engine::Engine::exec(&self.engine, id, command, PATIENCE_TO_ACT).await?;
        let ran = if thing.listed.image.starts_with(IMAGE) { self.nginx.exec(id, command) } else { ran };
        if let Some(call) = call.filter(|_| ran.exit_code == 0) {
            self.oracle.carried_out(call);
        }
        Ok(ran)
    }
}

fn outcome<T: std::fmt::Debug>(effect: &Result<T, execute::engine::Error>) -> String {
    match effect {
        Ok(effect) => format!("{effect:?}"),
        Err(error) => error.to_string(),
    }
}

#[async_trait]
impl Engine for Hostile {
    async fn describe(&self) -> Result<Description, Error> {
        self.ask("describe").await?;
        self.engine.describe().await
    }

    async fn list(&self) -> Result<Vec<Listed>, Error> {
        self.ask("list").await?;
        let listed = self.engine.list().await?;
        let is_old = self.is(Trouble::ListsOfYesterday);
        let mut mood = self.mood();
        let now = Instant::now();
        match &mood.yesterday {
            Some((made, old)) if is_old && now < *made + YESTERDAY => return Ok(old.clone()),
            _ => mood.yesterday = Some((now, listed.clone())),
        }
        Ok(listed)
    }

    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, Error> {
        self.ask("inspect").await?;
        self.engine.inspect(id).await
    }

    async fn has_image(&self, reference: &str) -> Result<bool, Error> {
        self.ask("look for an image").await?;
        self.engine.has_image(reference).await
    }

    async fn networks(&self) -> Result<Vec<ListedNetwork>, Error> {
        self.ask("list networks").await?;
        Engine::networks(&self.engine).await
    }

    async fn volumes(&self) -> Result<BTreeSet<String>, Error> {
        self.ask("list volumes").await?;
        Engine::volumes(&self.engine).await
    }

    async fn events(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        self.ask("listen").await?;
        let events = self.engine.events().await?;
        let (engine, mut cuts) = (self.clone(), self.cuts.subscribe());
        let late = events.then(move |event| {
            let engine = engine.clone();
            async move {
                if engine.is(Trouble::DelaysEvents) {
                    let late = engine.roll(100, 4_000);
                    sleep(late).await;
                }
                event
            }
        });
        let cut = async move {
            // The sender lives as long as anybody could be cut off.
            let _ = cuts.changed().await;
        };
        let broken = stream::once(async {
            let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            Err(Error::Unreachable { address: "hostile".into(), source: source.into() })
        });
        Ok(late.take_until(cut).chain(broken).boxed())
    }

    async fn exec(&self, id: &str, command: &[String]) -> Result<ExecResult, Error> {
        self.ask("run a command").await?;
        Engine::exec(&self.engine, id, command).await
    }
}

#[async_trait]
impl execute::engine::Engine for Hostile {
    async fn perform(
        &self,
        action: &EngineAction,
        variables: &BTreeMap<String, Secret>,
    ) -> Result<Effect, execute::engine::Error> {
        let (before, after) = (self.roll(1, 60), self.roll(1, 250));
        self.trace.note(format!("asked to {action}"));
        let asked = self.oracle.asked(action);
        self.spares_pulls(action, &self.engine.everything());
        let mut heard = Heard { engine: self, action, variables, call: asked.call.clone(), is_settled: false };
        let fate = self.meet(PATIENCE_TO_ACT, before).await;
        heard.is_settled = true;
        let may_be_late = match &fate {
            Fate::Well => self.is(Trouble::PutsOff),
            Fate::Ill { error, done } => !done && !matches!(error, Ill::Status(..500)),
        };
        let late = if may_be_late { self.late.by(action) } else { None };
        let (error, done) = match fate {
            Fate::Well if late.is_none() => {
                let effect = self.carry_out(action, variables, &asked.call).await;
                sleep(after).await;
                return effect;
            }
            Fate::Well => (self.late.excuse(), false),
            Fate::Ill { error, done } => (error, done),
        };
        match late {
            Some(late) => self.later(action, variables, &asked.call, late + error.is_told_after(PATIENCE_TO_ACT)),
            // What it came to, nobody is told.
            None if done => drop(self.carry_out(action, variables, &asked.call).await),
            None => self.trace.note(format!("engine: {action} is not carried out")),
        }
        match error {
            // To the engine's client that is no error: it says that there was nothing to do.
            Ill::Status(304) => Ok(Effect::AlreadySo),
            error => Err(self.told(error, PATIENCE_TO_ACT).await),
        }
    }

    async fn mark(&self, name: &str, text: &str) -> Result<String, execute::engine::Error> {
        execute::engine::Engine::mark(&self.engine, name, text).await
    }

    async fn exec(&self, id: &str, command: &[String], limit: Duration) -> Result<Ran, execute::engine::Error> {
        let (before, after) = (self.roll(1, 40), self.roll(1, 80));
        let is_act = command.last().is_some_and(|word| word == "reload");
        let name = self.name_of(id);
        let asked = is_act.then(|| self.oracle.asked_for("ReloadProxy", &name));
        match self.meet(limit, before).await {
            Fate::Well => {
                let ran = self.run(id, command, asked.as_ref().map(|asked| &asked.call)).await;
                sleep(after).await;
                ran
            }
            Fate::Ill { error, done } => {
                if done {
                    let _ = self.run(id, command, asked.as_ref().map(|asked| &asked.call)).await;
                }
                Err(self.told(error, limit).await)
            }
        }
    }

    async fn unmark(&self, name: &str) -> Result<(), execute::engine::Error> {
        execute::engine::Engine::unmark(&self.engine, name).await
    }
}
