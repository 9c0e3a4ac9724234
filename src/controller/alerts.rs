//! Telling people: what is wrong → the book → the receivers.
//!
//! Everything here goes on beside the passes. Whoever is slow to listen, or
//! does not listen at all, keeps nobody waiting: there is one try at a time for
//! each receiver, and what cannot be delivered is given up after a while.

mod lanes;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::broadcast::{Receiver, error::TryRecvError},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{
    Context,
    world::{World, lock},
};
use crate::{
    alerts::{self, Alert, Book, Firing, Id, NOT_SENT, Notification, Policy, Seen, State, words::Letter},
    deliver::{self, Channel},
    manifest::{
        Key,
        alerts::Severity,
        status::{ConditionStatus, ConditionType, Status},
    },
    record::{events::Subject, status::Changed},
    source::state_file::StateFile,
    view::{AlertView, SentView, ToldView},
};
use lanes::{Lanes, Verdict};

/// What the book is kept in.
const FILE: StateFile = StateFile { name: "alerts.json", what: "what people were told" };
/// How often is looked whether something has lasted for long enough.
const TICK: Duration = Duration::from_secs(1);
/// Changes that come within this time are looked at together.
const GATHER: Duration = Duration::from_millis(100);
/// How long a message that is on its way may keep us from ending.
const FAREWELL: Duration = Duration::from_millis(1500);
/// The reason of the condition of whatever nobody can look at. The host is told of instead.
const UNSEEN: &str = "EngineUnreachable";
/// The word for a journal that cannot be written.
const NOT_WRITABLE: &str = "JournalNotWritable";

/// What was told, for whoever asks.
#[derive(Default)]
pub(super) struct Desk(Mutex<Book>);

/// What came of one try.
type Tried = (String, String, Result<(), deliver::Error>);

/// Tells for as long as we run, and a moment longer if something is on its way.
pub(super) async fn tell(ctx: Arc<Context>) {
    let mut statuses = ctx.record.status.subscribe();
    let mut writable = ctx.record.journal.writable();
    let mut teller = Teller::new(Arc::clone(&ctx));
    let mut stopped = pin!(ctx.stopped());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ctx.note_journal(*writable.borrow_and_update());
        teller.hear(&mut statuses);
        teller.step().await;
        let is_busy = !lock(&ctx.alerts.0).is_empty();
        tokio::select! {
            // The one that may come all the time is the last.
            biased;
            () = &mut stopped => break,
            changed = writable.changed() => if changed.is_err() { break },
            () = ctx.noted.troubles.changed() => {}
            Some(Ok(tried)) = teller.under_way.join_next() => teller.tried(tried),
            _ = tick.tick(), if is_busy => {}
            changed = statuses.recv() => {
                if let Ok(changed) = changed {
                    teller.note(&changed);
                } else {
                    teller.look_again();
                }
                tokio::time::sleep(GATHER).await;
            }
        }
    }
    let farewell = async {
        while let Some(tried) = teller.under_way.join_next().await {
            if let Ok(tried) = tried {
                teller.tried(tried);
            }
        }
    };
    // What is not told by then is told after the next start.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    teller.keep().await;
}

/// What the task knows.
struct Teller {
    ctx: Arc<Context>,
    /// What is wrong with objects.
    wrong: BTreeMap<Key, Wrong>,
    lanes: Lanes,
    under_way: JoinSet<Tried>,
    /// The book as it is on the disk, if it is there.
    kept: Option<Book>,
    host: String,
}

/// What is wrong with one object.
enum Wrong {
    /// Nobody can look at it.
    Unseen,
    /// These, by their reasons.
    Is(BTreeMap<String, Firing>),
}

impl Teller {
    fn new(ctx: Arc<Context>) -> Self {
        let kept = load(&ctx.world.settings.state);
        let book = kept.clone().unwrap_or_default();
        for receiver in book.unreached() {
            ctx.noted.troubles.note(NOT_SENT, receiver, &format!("{receiver} could not be told before Mooring was started"));
        }
        *lock(&ctx.alerts.0) = book;
        let mut teller =
            Self { ctx, wrong: BTreeMap::new(), lanes: Lanes::default(), under_way: JoinSet::new(), kept, host: host() };
        teller.look_again();
        teller
    }

    /// Looks at every object.
    fn look_again(&mut self) {
        self.wrong =
            self.ctx.record.status.all().iter().filter_map(|(key, status)| Some((key.clone(), wrong(status)?))).collect();
    }

    /// Takes note of what has changed since.
    fn hear(&mut self, statuses: &mut Receiver<Changed>) {
        loop {
            match statuses.try_recv() {
                Ok(changed) => self.note(&changed),
                Err(TryRecvError::Lagged(_)) => self.look_again(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn note(&mut self, Changed { key, status }: &Changed) {
        match status.as_ref().and_then(wrong) {
            Some(wrong) => drop(self.wrong.insert(key.clone(), wrong)),
            None => drop(self.wrong.remove(key)),
        }
    }

    /// What is wrong just now.
    fn seen(&self) -> Seen {
        let mut seen = Seen::default();
        // A status from an earlier run may be of an object that is gone.
        for (key, wrong) in self.wrong.iter().filter(|(key, _)| self.ctx.world.reader.get(key).is_some()) {
            match wrong {
                Wrong::Unseen => drop(seen.unknown.insert(key.clone())),
                Wrong::Is(reasons) => {
                    let firing = reasons.iter().map(|(reason, firing)| (Id::of_object(key.clone(), reason), firing.clone()));
                    seen.firing.extend(firing);
                }
            }
        }
        for ((reason, about), message) in self.ctx.noted.troubles.all() {
            let severity = alerts::severity(&reason);
            seen.firing.insert(Id::of_host(&reason, &about), Firing { severity, message });
        }
        seen
    }

    /// Decides what is to be told, keeps that, and sets out to tell it.
    async fn step(&mut self) {
        let policy = self.ctx.world.policy();
        let new = {
            let mut book = lock(&self.ctx.alerts.0);
            let new = book.step(self.ctx.world.clock.now(), &self.seen(), &policy.alerts);
            self.ctx.record.metrics.alerts_firing(book.firing());
            new
        };
        for Notification { receiver, state, alerts, .. } in &new {
            tracing::info!(receiver, state = state.as_str(), alerts = alerts.len(), "an alert is on its way");
        }
        self.forget_strangers(&policy.alerts);
        // First kept, then told: after a crash it is told again under the same name, rather than never.
        self.keep().await;
        for receiver in &policy.alerts.receivers {
            self.ctx.record.metrics.alerts_begin(&receiver.name);
            let next = lock(&self.ctx.alerts.0).next(&receiver.name).cloned();
            if let Some(notification) = next
                && self.lanes.set_out(&notification, receiver)
            {
                let (ctx, host) = (Arc::clone(&self.ctx), policy.alerts.hostname.clone().unwrap_or_else(|| self.host.clone()));
                let receiver = receiver.clone();
                self.under_way.spawn(async move {
                    let tried = ctx.world.send(&receiver, &notification, &host).await;
                    (receiver.name, notification.id, tried)
                });
            }
        }
    }

    /// Receivers that are not declared any more have no troubles.
    fn forget_strangers(&mut self, policy: &Policy) {
        self.lanes.retain(|name| policy.receiver(name).is_some());
        let strangers = self.ctx.noted.troubles.all().into_keys();
        for (reason, about) in strangers.filter(|(reason, about)| reason == NOT_SENT && policy.receiver(about).is_none()) {
            self.ctx.noted.troubles.settle(&reason, &about);
        }
    }

    /// One try has ended.
    fn tried(&mut self, (receiver, id, result): Tried) {
        let Context { record, noted, alerts, .. } = &*self.ctx;
        match self.lanes.tried(&receiver, result.as_ref().err()) {
            Verdict::Done => {
                record.metrics.alert(&receiver, "sent");
                lock(&alerts.0).delivered(&id);
                if noted.troubles.settle(NOT_SENT, &receiver) {
                    record.events.normal(Subject::Host, "AlertsSent", format!("{receiver} can be told again"));
                }
            }
            Verdict::Again { is_first } => {
                record.metrics.alert(&receiver, "failed");
                if let (true, Err(error)) = (is_first, &result) {
                    tracing::warn!(receiver, error = crate::error_chain(error), "an alert was not taken; trying again");
                }
            }
            Verdict::GivenUp => {
                record.metrics.alert(&receiver, "given_up");
                lock(&alerts.0).given_up(&id);
                let reason = result.err().map(|error| crate::error_chain(&error)).unwrap_or_default();
                let message = format!("{receiver} cannot be told: {reason}");
                tracing::error!(receiver, reason, "an alert was given up");
                if noted.troubles.note(NOT_SENT, &receiver, &message) {
                    record.events.warning(Subject::Host, NOT_SENT, message);
                }
            }
        }
    }

    /// Keeps the book on the disk, where it has changed and somebody reads it.
    async fn keep(&mut self) {
        let book = lock(&self.ctx.alerts.0).clone();
        let is_wanted = self.kept.is_some() || !self.ctx.world.policy().alerts.receivers.is_empty();
        if !is_wanted || self.kept.as_ref() == Some(&book) {
            return;
        }
        self.kept = Some(book.clone());
        let state = self.ctx.world.settings.state.clone();
        let saved = tokio::task::spawn_blocking(move || FILE.save(&state, &book)).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(error = crate::error_chain(&error), "a restart may tell people the same again");
        }
    }
}

/// What is kept of what people were told; nothing when there is none.
fn load(state: &Path) -> Option<Book> {
    FILE.load(state).unwrap_or_else(|error| {
        tracing::warn!(error = crate::error_chain(&error), "people may be told the same again");
        None
    })
}

/// What this host calls itself.
fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "this host".to_owned())
}

/// What is wrong with an object of this status, if anything is.
fn wrong(status: &Status) -> Option<Wrong> {
    let mut reasons = BTreeMap::new();
    for kind in [ConditionType::Degraded, ConditionType::CrashLoop] {
        let Some(condition) = status.condition(kind).filter(|condition| condition.status == ConditionStatus::True) else {
            continue;
        };
        if condition.reason == UNSEEN {
            return Some(Wrong::Unseen);
        }
        let firing = Firing { severity: alerts::severity(&condition.reason), message: condition.message.clone() };
        reasons.insert(condition.reason.clone(), firing);
    }
    (!reasons.is_empty()).then_some(Wrong::Is(reasons))
}

impl World {
    /// Tries once to tell a receiver.
    async fn send(&self, receiver: &alerts::Receiver, notification: &Notification, host: &str) -> Result<(), deliver::Error> {
        let channel = Channel::open(&receiver.way, &|variable| self.variable(variable))?;
        channel.send(&Letter { notification, host }, self.clock.now()).await
    }

    /// Sends a message to this receiver, or to all, that says that it is a test.
    pub(super) async fn test_alerts(&self, receiver: Option<&str>) -> Result<Vec<SentView>, String> {
        let policy = self.policy();
        let receivers: Vec<_> =
            policy.alerts.receivers.iter().filter(|known| receiver.is_none_or(|name| known.name == name)).collect();
        if let (Some(name), true) = (receiver, receivers.is_empty()) {
            return Err(format!("there is no receiver named `{name}`"));
        }
        let (at, host) = (self.clock.now(), policy.alerts.hostname.clone().unwrap_or_else(host));
        let tests = receivers.into_iter().map(|receiver| {
            let alert = Alert {
                id: Id::of_host("Test", ""),
                severity: Severity::Warning,
                message: "this is a test, and nothing is wrong".to_owned(),
                since: at,
                over: None,
            };
            let id = uuid::Uuid::new_v4().simple().to_string();
            let name = receiver.name.clone();
            let test = Notification {
                id,
                receiver: name.clone(),
                state: State::Firing,
                at,
                alerts: vec![alert],
                earlier: BTreeSet::new(),
            };
            let host = &host;
            async move {
                let error = self.send(receiver, &test, host).await.err();
                SentView { receiver: name, error: error.map(|error| crate::error_chain(&error)) }
            }
        });
        Ok(futures::future::join_all(tests).await)
    }

    /// What fires, and who was told.
    pub(super) fn alerts(&self, book: &Book) -> Vec<AlertView> {
        let (policy, now) = (self.policy(), self.clock.now());
        let view = |shown: alerts::book::Shown<'_>| {
            let Alert { id, severity, message, since, over } = shown.alert;
            let told = shown.told.into_iter().map(|(receiver, at, state)| ToldView {
                receiver: receiver.to_owned(),
                at: at.to_string(),
                state: state.to_owned(),
            });
            AlertView {
                subject: id.subject(),
                reason: id.reason.clone(),
                about: id.about.clone(),
                severity: severity.as_str().to_owned(),
                message: message.clone(),
                since: since.to_string(),
                over: over.map(|over| over.to_string()),
                is_muted: policy.alerts.mutes(id, now),
                told: told.collect(),
            }
        };
        let mut views: Vec<AlertView> = book.shown().map(view).collect();
        views.sort_by(|one, other| (&one.since, &one.subject, &one.reason).cmp(&(&other.since, &other.subject, &other.reason)));
        views
    }

    /// What fired when somebody last looked, and who was told.
    pub(super) fn kept_alerts(&self) -> Vec<AlertView> {
        self.alerts(&load(&self.settings.state).unwrap_or_default())
    }
}

impl Context {
    /// What fires, and who was told.
    pub(super) fn alerts_view(&self) -> Vec<AlertView> {
        let book = lock(&self.alerts.0).clone();
        self.world.alerts(&book)
    }

    fn note_journal(&self, is_writable: bool) {
        if is_writable {
            self.settle_trouble(NOT_WRITABLE, "JournalWritable", "the journal can be written again");
        } else {
            self.raise(NOT_WRITABLE, "the journal cannot be written, so nothing is corrected");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::status::Condition;

    fn status(conditions: &[(ConditionType, bool, &str)]) -> Status {
        let condition = |(kind, is_true, reason): &(ConditionType, bool, &str)| Condition {
            kind: *kind,
            status: if *is_true { ConditionStatus::True } else { ConditionStatus::False },
            reason: (*reason).to_owned(),
            message: "in words".to_owned(),
            last_transition_time: "2026-01-01T00:00:00.000Z".to_owned(),
        };
        Status { observed_generation: Some(1), conditions: conditions.iter().map(condition).collect() }
    }

    fn reasons(conditions: &[(ConditionType, bool, &str)]) -> Option<Vec<String>> {
        match wrong(&status(conditions))? {
            Wrong::Unseen => Some(vec!["unseen".to_owned()]),
            Wrong::Is(reasons) => Some(reasons.into_keys().collect()),
        }
    }

    #[test]
    fn what_is_degraded_or_given_up_is_wrong_and_what_nobody_can_look_at_is_unseen() {
        use ConditionType::{CrashLoop, Degraded, Progressing, Ready};

        assert_eq!(reasons(&[(Ready, false, "NotRunning"), (Progressing, true, "Starting"), (Degraded, false, "Fine")]), None);
        let both = [(Degraded, true, "InvalidManifest"), (CrashLoop, true, "CrashLoop")];
        assert_eq!(reasons(&both), Some(vec!["CrashLoop".to_owned(), "InvalidManifest".to_owned()]));
        assert_eq!(reasons(&[(Degraded, true, UNSEEN)]), Some(vec!["unseen".to_owned()]));
    }

    #[test]
    fn a_book_that_is_damaged_is_no_reason_to_stop() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(load(state.path()), None);
        FILE.save(state.path(), &Book::default()).unwrap();
        assert_eq!(load(state.path()), Some(Book::default()));
        std::fs::write(state.path().join(FILE.name), "{[").unwrap();
        assert_eq!(load(state.path()), None);
    }
}
