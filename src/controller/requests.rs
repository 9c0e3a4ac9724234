//! What people have asked for and confirmed, until a pass takes it up: one request for each object.
//!
//! Whoever asks later replaces who still waits, and both are told. What a pass has taken up is out of reach of that: it is answered
//! by what came of it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{Context, world::lock};
use crate::{
    execute::{self, Report},
    manifest::Key,
    plan::{self, Plan, Situation, Step, request::Request},
};

/// How long a request stands when something else is to be done first. No clock that is set makes it longer.
const STANDS: Duration = Duration::from_mins(1);

/// What came of a request; an `Err` says why not.
pub type Answer = Result<(), String>;

/// The requests that stand.
#[derive(Debug, Default)]
pub struct Requests {
    by_object: Mutex<BTreeMap<Key, Asked>>,
    asked: AtomicU64,
}

/// A request, and who waits to hear what came of it.
#[derive(Debug)]
pub struct Asked {
    number: u64,
    since: Instant,
    request: Request,
    answer: oneshot::Sender<Answer>,
}

/// A request as a pass goes by it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The number that whoever asked has been given.
    pub number: u64,
    /// When. What was seen before that says nothing about what was shown.
    pub since: Instant,
    /// What was asked for.
    pub request: Request,
}

impl Requests {
    /// Asks for something, under a number of its own. Whoever still waits with another wish for the same object is told so.
    pub fn ask(&self, key: &Key, request: Request) -> (u64, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let asked = Asked { number, since: Instant::now(), request, answer };
        if let Some(before) = lock(&self.by_object).insert(key.clone(), asked) {
            before.was_replaced();
        }
        (number, answered)
    }

    /// What was asked of an object and not taken up yet.
    #[must_use]
    pub fn standing(&self, key: &Key) -> Option<Standing> {
        let mut requests = lock(&self.by_object);
        requests.retain(|_, asked| asked.since.elapsed() < STANDS);
        requests.get(key).map(|asked| Standing { number: asked.number, since: asked.since, request: asked.request.clone() })
    }

    /// Takes a request up, unless somebody has replaced it since: then nothing is to be done in its name.
    pub fn take_up(&self, key: &Key, standing: &Standing) -> Option<Asked> {
        let mut requests = lock(&self.by_object);
        if requests.get(key)?.number == standing.number { requests.remove(key) } else { None }
    }

    /// One that was taken up stands again, as nothing was begun; not if somebody has asked for something else by now.
    pub fn give_back(&self, key: &Key, asked: Asked) {
        let mut requests = lock(&self.by_object);
        if requests.contains_key(key) {
            asked.was_replaced();
        } else {
            requests.insert(key.clone(), asked);
        }
    }
}

impl Asked {
    /// Says what came of it.
    pub fn answer(self, answer: Answer) {
        // Who does not wait any more reads it in the log.
        let _ = self.answer.send(answer);
    }

    fn was_replaced(self) {
        self.answer(Err("another request for the same object came in between".to_owned()));
    }
}

/// Somebody has asked for something else since the plan was made.
#[derive(Debug)]
pub struct Replaced;

impl Context {
    /// What was asked of an object. Where it is not any more what was shown to whoever asked, he hears that at once.
    pub(super) fn standing(&self, key: &Key, situation: &Situation, seen_since: Instant) -> Option<Standing> {
        let standing = self.world.requests.standing(key)?;
        if standing.since > seen_since || plan::request::fits(situation, &standing.request) {
            return Some(standing);
        }
        if let Some(asked) = self.world.requests.take_up(key, &standing) {
            asked.answer(Err(format!("{key} is not as it was shown; look again")));
        }
        None
    }

    /// The request that a plan carries out, out of reach of whoever asks for something else now; none where it carries out none.
    pub(super) fn take_up(&self, key: &Key, plan: &Plan, standing: Option<&Standing>) -> Result<Option<Asked>, Replaced> {
        match standing.filter(|_| plan.steps.iter().any(Step::is_asked)) {
            Some(standing) => self.world.requests.take_up(key, standing).map(Some).ok_or(Replaced),
            None => Ok(None),
        }
    }

    /// Tells whoever asked what came of it. What was not begun stands again.
    pub(super) fn answer(&self, key: &Key, asked: Option<Asked>, report: &Report) {
        let Some(asked) = asked else { return };
        match (report.taken.iter().find(|taken| taken.step.is_asked()), &report.failure) {
            (Some(taken), _) => asked.answer(taken.outcome.error().map_or(Ok(()), |error| Err(error.to_owned()))),
            // Whoever asked can do something about that, and would wait for it in vain.
            (None, Some(failure @ execute::Error::Record { .. })) => asked.answer(Err(crate::error_chain(failure))),
            (None, _) => self.world.requests.give_back(key, asked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        manifest::Kind,
        plan::request::{Shown, Wanted},
    };

    fn web() -> Key {
        Key { kind: Kind::Container, name: "web".to_owned() }
    }

    fn request(by: &str) -> Request {
        Request { by: by.to_owned(), wanted: Wanted::Restart(Shown { id: "1".to_owned(), started_at: None }) }
    }

    fn standing(requests: &Requests) -> Standing {
        requests.standing(&web()).unwrap()
    }

    #[tokio::test]
    async fn what_is_taken_up_is_answered_by_what_came_of_it_whoever_asks_meanwhile() {
        let requests = Requests::default();
        let (_, ada) = requests.ask(&web(), request("ada"));
        let taken = requests.take_up(&web(), &standing(&requests)).unwrap();
        let (_, mut bob) = requests.ask(&web(), request("bob"));
        taken.answer(Ok(()));
        assert_eq!(ada.await.unwrap(), Ok(()));
        assert!(bob.try_recv().is_err(), "nothing was done for bob");
        assert_eq!(standing(&requests).request.by, "bob");
    }

    #[tokio::test]
    async fn who_still_waits_is_replaced_and_told_and_nothing_is_done_in_the_name_of_that() {
        let requests = Requests::default();
        let (_, ada) = requests.ask(&web(), request("ada"));
        let seen = standing(&requests);
        let _bob = requests.ask(&web(), request("bob"));
        assert!(ada.await.unwrap().unwrap_err().contains("came in between"));
        assert!(requests.take_up(&web(), &seen).is_none());
        assert_eq!(standing(&requests).request.by, "bob");
    }

    #[tokio::test]
    async fn what_was_not_begun_stands_again_unless_somebody_has_asked_for_something_else() {
        let requests = Requests::default();
        let (_, mut ada) = requests.ask(&web(), request("ada"));
        let taken = requests.take_up(&web(), &standing(&requests)).unwrap();
        requests.give_back(&web(), taken);
        assert!(ada.try_recv().is_err());
        let taken = requests.take_up(&web(), &standing(&requests)).unwrap();
        let _bob = requests.ask(&web(), request("bob"));
        requests.give_back(&web(), taken);
        assert!(ada.await.unwrap().is_err());
        assert_eq!(standing(&requests).request.by, "bob");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_nothing_came_of_does_not_stand_for_ever() {
        let requests = Requests::default();
        let _ada = requests.ask(&web(), request("ada"));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(requests.standing(&web()).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(requests.standing(&web()).is_none());
    }
}
