//! What is reported about each object: five conditions, derived from its plan.
//!
//! The derivation is pure. A status that has not changed is not written again,
//! so a host where nothing happens writes nothing.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{clock, pending::Pending, writer::Known};
use crate::{
    manifest::{
        Key, Kind,
        status::{Condition, ConditionStatus, ConditionType, Status},
    },
    plan::{Plan, Wait},
};

/// What a pass has found out about an object.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// The generation of the manifest that is in force.
    pub generation: i64,
    /// What was decided, whether or not it has been carried out since.
    pub plan: &'a Plan,
    /// Why a step failed, if one did.
    pub failure: Option<&'a str>,
    /// Why a newer manifest was refused, if one was: the last good one stays in force.
    pub refusal: Option<&'a str>,
}

/// The status of an object after a pass. `lastTransitionTime` moves only when a condition turns.
#[must_use]
pub fn conditions(previous: &Status, findings: &Findings<'_>, at: Timestamp) -> Status {
    let conditions = ConditionType::ALL.map(|kind| {
        let claim = match kind {
            ConditionType::Ready => ready(findings),
            ConditionType::Progressing => progressing(findings),
            ConditionType::Degraded => degraded(findings),
            ConditionType::Held | ConditionType::CrashLoop => waiting(kind, findings.plan),
        };
        condition(kind, claim, previous, at)
    });
    Status { observed_generation: Some(findings.generation), conditions: conditions.into() }
}

/// The status of an object whose newest manifest was refused, apart from any
/// pass: whatever was true of the last good one still is.
#[must_use]
pub fn refused(previous: &Status, refusal: &str, at: Timestamp) -> Status {
    let conditions = ConditionType::ALL.map(|kind| match (kind, previous.condition(kind)) {
        (ConditionType::Degraded, _) => condition(kind, invalid(refusal), previous, at),
        (_, Some(known)) => known.clone(),
        (ConditionType::Ready, None) => {
            let claim = Claim::new(ConditionStatus::False, INVALID, "no version of its manifest has been accepted");
            condition(kind, claim, previous, at)
        }
        (_, None) => condition(kind, absent(kind), previous, at),
    });
    Status { observed_generation: previous.observed_generation, conditions: conditions.into() }
}

/// The status of an object whose pass is busy with a pull: how far that is.
#[must_use]
pub fn pulling(previous: &Status, progress: &str, at: Timestamp) -> Status {
    let conditions = ConditionType::ALL.map(|kind| {
        let status = match kind {
            ConditionType::Ready => ConditionStatus::False,
            ConditionType::Progressing => ConditionStatus::True,
            ConditionType::Degraded | ConditionType::Held | ConditionType::CrashLoop => {
                return previous.condition(kind).cloned().unwrap_or_else(|| condition(kind, absent(kind), previous, at));
            }
        };
        condition(kind, Claim::new(status, PULLING, progress), previous, at)
    });
    Status { observed_generation: previous.observed_generation, conditions: conditions.into() }
}

/// The reason's word while a model is being pulled.
pub const PULLING: &str = "Pulling";

const INVALID: &str = "InvalidManifest";

/// A condition without its time.
struct Claim {
    status: ConditionStatus,
    reason: String,
    message: String,
}

impl Claim {
    fn new(status: ConditionStatus, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into() }
    }
}

fn ready(findings: &Findings<'_>) -> Claim {
    let Findings { plan, failure, .. } = findings;
    if let Some(failure) = failure {
        return Claim::new(ConditionStatus::False, "StepFailed", *failure);
    }
    match (plan.steps.first().or(plan.withheld.first()), &plan.wait) {
        // What nobody can look at may well be as declared.
        (_, Some(wait @ Wait::EngineUnreachable { .. })) => Claim::new(ConditionStatus::Unknown, wait.code(), wait.to_string()),
        (Some(step), _) => Claim::new(ConditionStatus::False, step.why.code(), step.why.to_string()),
        (None, Some(wait)) if wait.is_in_the_way() => Claim::new(ConditionStatus::False, wait.code(), wait.to_string()),
        (None, Some(wait)) if wait.condition() == ConditionType::Ready => waiting(ConditionType::Ready, plan),
        (None, Some(_) | None) => {
            Claim::new(ConditionStatus::True, "AsDeclared", plan.state.as_deref().unwrap_or("it is as declared"))
        }
    }
}

fn progressing(findings: &Findings<'_>) -> Claim {
    let Some(step) = findings.plan.steps.first() else { return waiting(ConditionType::Progressing, findings.plan) };
    let reason = if findings.failure.is_some() { "Retrying" } else { "Correcting" };
    Claim::new(ConditionStatus::True, reason, step.to_string())
}

fn degraded(findings: &Findings<'_>) -> Claim {
    match (findings.refusal, findings.failure) {
        (Some(refusal), _) => invalid(refusal),
        (None, Some(failure)) => Claim::new(ConditionStatus::True, "StepFailed", failure),
        (None, None) => standing(findings.plan),
    }
}

/// What stands in the way, and what a person has to mend in any case: the one is often the reason of the other.
fn standing(plan: &Plan) -> Claim {
    let claim = waiting(ConditionType::Degraded, plan);
    match (&claim.status, defects(plan)) {
        (ConditionStatus::True, Some(defects)) => Claim { message: format!("{}; {}", claim.message, defects.message), ..claim },
        (_, Some(defects)) => defects,
        (_, None) => claim,
    }
}

/// What a person has to mend although it stands in the way of nothing.
fn defects(plan: &Plan) -> Option<Claim> {
    let defects: Vec<_> = plan.notes.iter().filter(|note| note.is_defect()).collect();
    let messages: Vec<_> = defects.iter().map(ToString::to_string).collect();
    Some(Claim::new(ConditionStatus::True, defects.first()?.code(), messages.join("; ")))
}

/// True when this is what the plan waits for.
fn waiting(kind: ConditionType, plan: &Plan) -> Claim {
    match &plan.wait {
        Some(wait) if wait.condition() == kind => Claim::new(ConditionStatus::True, wait.code(), wait.to_string()),
        Some(_) | None => absent(kind),
    }
}

fn invalid(refusal: &str) -> Claim {
    Claim::new(ConditionStatus::True, INVALID, refusal)
}

/// What a condition says when there is nothing to say.
fn absent(kind: ConditionType) -> Claim {
    let (reason, message) = match kind {
        ConditionType::Ready => ("Unknown", "nobody has looked yet"),
        ConditionType::Progressing => ("Settled", "nothing is under way"),
        ConditionType::Degraded => ("NothingWrong", "nothing stands in the way"),
        ConditionType::Held => ("NotHeld", "nobody has asked to leave it alone"),
        ConditionType::CrashLoop => ("WithinBudget", "the healing budget is not spent"),
    };
    Claim::new(ConditionStatus::False, reason, message)
}

fn condition(kind: ConditionType, claim: Claim, previous: &Status, at: Timestamp) -> Condition {
    let Claim { status, reason, message } = claim;
    let last_transition_time = match previous.condition(kind) {
        Some(known) if known.status == status => known.last_transition_time.clone(),
        Some(_) | None => clock::text(at),
    };
    Condition { kind, status, reason, message, last_transition_time }
}

/// News about an object's status; none when the object is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The object.
    pub key: Key,
    /// Its status now.
    pub status: Option<Status>,
}

/// The newest status of every object. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Statuses {
    known: Known<Status>,
    pending: Arc<Pending>,
    changes: broadcast::Sender<Changed>,
}

/// News that may wait for somebody who watches; who is further behind lists again.
const CHANGES: usize = 1024;

impl Statuses {
    pub(super) fn new(known: Known<Status>, pending: Arc<Pending>) -> Self {
        Self { known, pending, changes: broadcast::Sender::new(CHANGES) }
    }

    /// The status of an object, as it was last set; as it was in the last run, until then.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Status> {
        self.known.lock().expect("nothing panics while holding it").get(key).cloned()
    }

    /// The status of every object.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Key, Status> {
        self.known.lock().expect("nothing panics while holding it").clone()
    }

    /// Sets the status of an object; true when that is news. Never waits: it is written when there is time.
    #[expect(clippy::must_use_candidate, reason = "most callers only want it set")]
    pub fn set(&self, key: &Key, status: Status) -> bool {
        {
            let mut known = self.known.lock().expect("nothing panics while holding it");
            if known.get(key) == Some(&status) {
                return false;
            }
            known.insert(key.clone(), status.clone());
        }
        self.tell(key, Some(status));
        true
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, key: &Key) {
        if self.known.lock().expect("nothing panics while holding it").remove(key).is_some() {
            self.tell(key, None);
        }
    }

    /// Every change from now on. Subscribe first and then look, so that nothing is missed between.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// How many objects of each kind have each condition.
    pub(super) fn count(&self) -> BTreeMap<(Kind, ConditionType), usize> {
        let mut counts: BTreeMap<_, usize> =
            Kind::ALL.into_iter().flat_map(|kind| ConditionType::ALL.map(|condition| ((kind, condition), 0))).collect();
        for (key, status) in &*self.known.lock().expect("nothing panics while holding it") {
            for condition in status.conditions.iter().filter(|condition| condition.status == ConditionStatus::True) {
                *counts.entry((key.kind, condition.kind)).or_default() += 1;
            }
        }
        counts
    }

    fn tell(&self, key: &Key, status: Option<Status>) {
        self.pending.add_status(key.clone(), status.clone());
        // An error says that nobody listens.
        let _ = self.changes.send(Changed { key: key.clone(), status });
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::plan::{EngineAction, Target, Why};

    const EARLIER: &str = "2026-01-01T00:00:00Z";
    const LATER: &str = "2026-01-01T00:05:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn starting() -> Plan {
        let mut plan = Plan::default();
        let container = Target::named("redis");
        plan.step(EngineAction::StartContainer { container }, Why::NotRunning { exit_code: 137, out_of_memory: false });
        plan
    }

    fn found<'a>(plan: &'a Plan, failure: Option<&'a str>, refusal: Option<&'a str>) -> Findings<'a> {
        Findings { generation: 3, plan, failure, refusal }
    }

    /// The conditions that are not as they are when all is well.
    fn check(status: &Status, expected: &Expect) {
        let kinds: Vec<_> = status.conditions.iter().map(|condition| condition.kind).collect();
        assert_eq!(kinds, ConditionType::ALL);
        let told = status
            .conditions
            .iter()
            .filter(|condition| condition.kind == ConditionType::Ready || condition.status != ConditionStatus::False);
        let lines: Vec<_> = told
            .map(|Condition { kind, status, reason, message, .. }| format!("{kind}={status:?} {reason}: {message}\n"))
            .collect();
        expected.assert_eq(&lines.concat());
    }

    #[test]
    fn a_converged_object_is_ready() {
        let status = conditions(&Status::default(), &found(&Plan::default(), None, None), at(EARLIER));
        assert_eq!(status.observed_generation, Some(3));
        check(
            &status,
            &expect![[r#"
            Ready=True AsDeclared: it is as declared
        "#]],
        );
    }

    #[test]
    fn an_object_with_steps_is_progressing() {
        check(
            &conditions(&Status::default(), &found(&starting(), None, None), at(EARLIER)),
            &expect![[r#"
                Ready=False NotRunning: it exited with 137
                Progressing=True Correcting: start redis, because it exited with 137
            "#]],
        );
    }

    #[test]
    fn a_failed_step_degrades() {
        check(
            &conditions(&Status::default(), &found(&starting(), Some("no such image"), None), at(EARLIER)),
            &expect![[r#"
                Ready=False StepFailed: no such image
                Progressing=True Retrying: start redis, because it exited with 137
                Degraded=True StepFailed: no such image
            "#]],
        );
    }

    #[test]
    fn a_wait_makes_its_own_condition_true() {
        check(
            &conditions(&Status::default(), &found(&Plan::waiting(Wait::Paused), None, None), at(EARLIER)),
            &expect![[r#"
                Ready=False Paused: it is paused; unpause it when you are done
                Held=True Paused: it is paused; unpause it when you are done
            "#]],
        );
        let spent = Wait::CrashLoop { attempts: 3, reason: "it exited with 1".into() };
        check(
            &conditions(&Status::default(), &found(&Plan::waiting(spent), None, None), at(EARLIER)),
            &expect![[r#"
                Ready=False CrashLoop: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
                CrashLoop=True CrashLoop: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
            "#]],
        );
    }

    #[test]
    fn what_is_held_says_so_and_is_ready_only_when_nothing_is_held_back() {
        let hold = Key::new(Kind::Hold, "disk");
        let wait = Wait::Held { hold, until: at(LATER), by: None, reason: "a new disk".into() };
        check(
            &conditions(&Status::default(), &found(&Plan::waiting(wait.clone()), None, None), at(EARLIER)),
            &expect![[r#"
                Ready=True AsDeclared: it is as declared
                Held=True Held: held until 2026-01-01T00:05:00Z (Hold/disk): a new disk
            "#]],
        );
        let plan = Plan { withheld: starting().steps, ..Plan::waiting(wait) };
        check(
            &conditions(&Status::default(), &found(&plan, None, None), at(EARLIER)),
            &expect![[r#"
                Ready=False NotRunning: it exited with 137
                Held=True Held: held until 2026-01-01T00:05:00Z (Hold/disk): a new disk
            "#]],
        );
        let over = Plan::waiting(Wait::HoldOver { since: at(EARLIER) });
        check(
            &conditions(&Status::default(), &found(&over, None, None), at(LATER)),
            &expect![[r#"
                Ready=True HoldOver: it ended at 2026-01-01T00:00:00Z and holds nothing any more
            "#]],
        );
    }

    #[test]
    fn behind_an_engine_that_is_away_readiness_is_unknown() {
        let plan = Plan::waiting(Wait::EngineUnreachable { reason: "connection refused".into() });
        check(
            &conditions(&Status::default(), &found(&plan, None, None), at(EARLIER)),
            &expect![[r#"
                Ready=Unknown EngineUnreachable: the engine cannot be reached: connection refused
                Degraded=True EngineUnreachable: the engine cannot be reached: connection refused
            "#]],
        );
    }

    #[test]
    fn a_refused_manifest_degrades_what_stays_ready() {
        let good = conditions(&Status::default(), &found(&Plan::default(), None, None), at(EARLIER));
        let expected = expect![[r#"
            Ready=True AsDeclared: it is as declared
            Degraded=True InvalidManifest: redis.yaml:3:5: unknown field
        "#]];
        let refusal = "redis.yaml:3:5: unknown field";
        let told = refused(&good, refusal, at(LATER));
        check(&told, &expected);
        // A pass on the last good version says the same, and nothing has turned.
        assert_eq!(conditions(&told, &found(&Plan::default(), None, Some(refusal)), at("2026-01-01T00:09:00Z")), told);
    }

    #[test]
    fn an_object_whose_first_manifest_is_refused_is_not_ready() {
        let status = refused(&Status::default(), "tab in line 3", at(EARLIER));
        assert_eq!(status.observed_generation, None);
        check(
            &status,
            &expect![[r#"
            Ready=False InvalidManifest: no version of its manifest has been accepted
            Degraded=True InvalidManifest: tab in line 3
        "#]],
        );
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_turns() {
        let time = |status: &Status| status.condition(ConditionType::Ready).unwrap().last_transition_time.clone();
        let broken = conditions(&Status::default(), &found(&starting(), None, None), at(EARLIER));
        let still_broken = conditions(&broken, &found(&starting(), Some("no such image"), None), at(LATER));
        assert_eq!(time(&still_broken), time(&broken));
        let well = conditions(&still_broken, &found(&Plan::default(), None, None), at(LATER));
        assert_eq!(time(&well), "2026-01-01T00:05:00.000Z");
    }

    #[test]
    fn an_unchanged_status_is_no_news_and_no_work() {
        let pending = Arc::new(Pending::default());
        let statuses = Statuses::new(Known::default(), Arc::clone(&pending));
        let (key, mut news) = (Key::new(Kind::Container, "redis"), statuses.subscribe());
        let status = conditions(&Status::default(), &found(&Plan::default(), None, None), at(EARLIER));
        assert!(statuses.set(&key, status.clone()));
        assert!(!pending.take().is_empty());
        assert_eq!(news.try_recv().unwrap(), Changed { key: key.clone(), status: Some(status.clone()) });

        let again = conditions(&status, &found(&Plan::default(), None, None), at(LATER));
        assert!(!statuses.set(&key, again));
        assert!(pending.is_empty());
        assert!(news.try_recv().is_err());

        statuses.forget(&key);
        assert_eq!(news.try_recv().unwrap(), Changed { key, status: None });
    }
}
