//! One pass over one object: resolve, observe, plan, execute, record.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::SignedDuration;
use kube_runtime::controller::Action;
use tokio::time::Instant;

use super::{Context, requests::Standing, triggers::Mark};
use crate::{
    execute::{self, Pass, Report, Taken, execute, files},
    manifest::{Key, Kind},
    observe::engine,
    plan::{
        self, History, Plan, Situation, Step, Wait, Why,
        fight::{self, Contests},
        proxy::ProxyAction,
        restraint::Restrained,
    },
    record::{
        journal::{Actor, Outcome, PassId},
        pass::PassOutcome,
    },
    resolve::{self, Desired},
    store::Object,
};

/// How soon to look again at something that is on its way.
///
/// What it waits for is usually told by an event; this is for containers that
/// nobody checks, and for events that were lost.
const PROGRESSING: Duration = Duration::from_millis(500);

/// How soon to see whether it is its turn.
const TURNS: Duration = Duration::from_millis(200);

/// How soon to look again when the next look decides differently anyhow.
const AT_ONCE: Duration = Duration::from_millis(5);

/// A pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The world could not be seen.
    #[error("could not look at {key}")]
    Observe {
        /// The object.
        key: Key,
        /// What stood in the way.
        source: engine::Error,
    },
    /// The plan was not carried out to its end.
    #[error("could not bring {key} back to what it should be")]
    Execute {
        /// The object.
        key: Key,
        /// What stood in the way.
        source: Box<execute::Error>,
    },
    /// What happened could not be written down.
    #[error("could not remember what happened to {key}")]
    Record {
        /// The object.
        key: Key,
        /// What stood in the way.
        source: crate::record::Error,
    },
    /// A bug of ours; the object is tried again like after any failure.
    #[error("the pass over {key} broke off: {message}")]
    Panic {
        /// The object.
        key: Key,
        /// What the panic said.
        message: String,
    },
}

/// What the applier calls. A panic in a pass must not take the others down.
pub async fn reconcile(object: Arc<Object>, ctx: Arc<Context>) -> Result<Action, Error> {
    let key = object.key().clone();
    let pass = AssertUnwindSafe(guarded(&object, &ctx)).catch_unwind();
    pass.await.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        Err(Error::Panic { key, message })
    })
}

/// What the applier asks after a failure.
#[expect(clippy::needless_pass_by_value, reason = "the applier passes both by value")]
pub fn error_policy(object: Arc<Object>, error: &Error, ctx: Arc<Context>) -> Action {
    // Somebody else wrote the file first: what is to be done now shows at the next look, and nothing is wrong.
    if let Error::Execute { source, .. } = error
        && let execute::Error::File { source: files::Error::Changed { .. }, .. } = **source
    {
        return Action::requeue(AT_ONCE);
    }
    // The planner makes the pauses between pulls, and says meanwhile what is wrong and what was probably meant.
    if let Error::Execute { source, .. } = error
        && matches!(**source, execute::Error::Model { .. })
    {
        return Action::requeue(AT_ONCE);
    }
    let pause = ctx.world.retries.failed(object.key());
    tracing::warn!(object = %object.key(), error = crate::error_chain(error), retry_in = ?pause, "a pass failed");
    Action::requeue(pause)
}

async fn guarded(object: &Object, ctx: &Context) -> Result<Action, Error> {
    let key = object.key();
    let mark = ctx.triggers.take(key);
    if let Some(left) = ctx.world.retries.left(key) {
        return Ok(Action::requeue(left));
    }
    let looked = look_and_act(object, ctx, mark).await?;
    ctx.world.retries.clear(key);
    match looked {
        // What was done changes the world: look at it as it is now.
        Looked::Acted => {
            ctx.triggers.trigger(key);
            Ok(Action::await_change())
        }
        Looked::Waiting { next, .. } => Ok(next.map_or_else(Action::await_change, Action::requeue)),
        Looked::Converged => Ok(ctx.world.hold_ends_in(key).map_or_else(Action::await_change, Action::requeue)),
        Looked::Refused(_) => Ok(Action::await_change()),
    }
}

/// What a pass came to.
#[derive(Debug)]
pub enum Looked {
    /// The object is as declared.
    Converged,
    /// Every step of the plan was taken, or somebody wants something else by now.
    Acted,
    /// Something stands in the way.
    Waiting {
        /// What; none when the desired-state directory looks unmounted and there would have been something to do.
        wait: Option<Wait>,
        /// When to look again although nothing happens.
        next: Option<Duration>,
    },
    /// The manifest's references are wrong, and there is no earlier version to go by.
    Refused(resolve::Error),
}

/// Runs one pass.
pub async fn look_and_act(object: &Object, ctx: &Context, mark: Option<Mark>) -> Result<Looked, Error> {
    let key = object.key();
    let begun = ctx.record.metrics.pass(key.kind);
    let looked = Instant::now();
    let not_before = mark.map_or(looked, |mark| mark.last);
    let (desired, refusal) = ctx.world.resolve(object);
    ctx.refused(object, refusal.as_ref());
    let Some(desired) = desired else {
        begun.conclude(PassOutcome::Waiting);
        return Ok(Looked::Refused(refusal.unwrap_or(resolve::Error(Vec::new()))));
    };
    let seen = match ctx.world.observe(&desired, not_before).await {
        Ok(seen) => seen,
        Err(source) => {
            ctx.unreachable(object, &source);
            begun.conclude(PassOutcome::Failed);
            return Err(Error::Observe { key: key.clone(), source });
        }
    };
    ctx.guard();
    let standing = ctx.standing(key, &seen.situation, not_before);
    let plan = ctx.decide(object, &seen.situation, standing.as_ref());
    let _acting = ctx.world.count_act(object, &plan, seen.situation.at());
    ctx.readiness_changed(key, &seen.situation, &plan);
    let fault = ctx.fault_since(key, &plan, mark);
    if plan.steps.is_empty() || ctx.is_unmounted(&desired).await {
        ctx.decided(object, &plan, None, refusal.as_ref());
        let looked = ctx.leave(object, (&desired, &seen.situation), plan).await?;
        begun.conclude(if matches!(looked, Looked::Converged) { PassOutcome::Converged } else { PassOutcome::Waiting });
        return Ok(looked);
    }
    let Ok(asked) = ctx.take_up(key, &plan, standing.as_ref()) else {
        begun.conclude(PassOutcome::Waiting);
        return Ok(Looked::Acted);
    };
    ctx.decided(object, &plan, None, refusal.as_ref());
    let pass = Pass {
        actor: asker(&plan),
        id: PassId::new(),
        object: key,
        generation: object.generation(),
        desired: &desired,
        environments: &seen.environments,
        is_outdated: &|| ctx.has_moved_since(key, looked),
    };
    let report = execute(&ctx.hands, &pass, &plan).await;
    ctx.answer(key, asked, &report);
    ctx.acted((object, &seen.situation), &report, fault).await?;
    match report.failure {
        None => {
            begun.conclude(PassOutcome::Acted);
            ctx.settle(object, &desired, &seen.situation, &plan).await?;
            Ok(Looked::Acted)
        }
        // Nothing has been learnt, and there is something else to do already.
        Some(execute::Error::Proxy { source: execute::proxy::Error::Outdated, .. }) => {
            begun.conclude(PassOutcome::Acted);
            Ok(Looked::Acted)
        }
        Some(source) => {
            begun.conclude(PassOutcome::Failed);
            if !is_ours(&source) {
                ctx.decided(object, &plan, Some(&crate::error_chain(&source)), refusal.as_ref());
            }
            Err(Error::Execute { key: key.clone(), source: Box::new(source) })
        }
    }
}

/// In whose name a plan is carried out.
fn asker(plan: &Plan) -> Actor {
    match plan.steps.first().map(|step| &step.why) {
        Some(Why::Asked { by }) => super::operator::actor(by),
        Some(_) | None => Actor::Reconciler,
    }
}

/// When to look again although nothing happens.
fn next_look(plan: &Plan, situation: &Situation) -> Option<Duration> {
    let wait = plan.wait.as_ref()?;
    if let Some(until) = wait.until() {
        let left = until.duration_since(situation.at());
        return Some(Duration::try_from(left).unwrap_or_default().max(Duration::from_millis(10)));
    }
    match wait {
        Wait::Starting | Wait::EngineBusy { .. } | Wait::Restrained(Restrained::HostInTrouble { .. }) => Some(PROGRESSING),
        Wait::Restrained(Restrained::NotItsTurn) => Some(TURNS),
        _ => None,
    }
}

/// Whether we ended a pull or a proof ourselves, so that nothing has been learnt from it.
fn is_broken_off(report: &Report, step: &Step) -> bool {
    let may_be = matches!(step.action, plan::Action::Model(_) | plan::Action::Proxy(ProxyAction::ProveRoutes { .. }));
    may_be && report.failure.as_ref().is_some_and(is_ours)
}

/// The change of an nginx that failed because the engine could not ask it.
fn unasked<'a>(report: &Report, step: &'a Step) -> Option<&'a ProxyAction> {
    let plan::Action::Proxy(action) = &step.action else { return None };
    let is_the_engine =
        |failure: &execute::Error| matches!(failure, execute::Error::Proxy { source: execute::proxy::Error::Engine(_), .. });
    report.failure.as_ref().is_some_and(is_the_engine).then_some(action)
}

fn is_ours(failure: &execute::Error) -> bool {
    match failure {
        execute::Error::Model { source, .. } => source.is_ours(),
        execute::Error::Proxy { source, .. } => matches!(source, execute::proxy::Error::Outdated),
        _ => false,
    }
}

impl Context {
    /// What is to be done, when it is the object's turn; with what was asked of it.
    fn decide(&self, object: &Object, situation: &Situation, asked: Option<&Standing>) -> Plan {
        let plan = self.world.plan_asked(object, situation, asked.map(|standing| &standing.request));
        if self.takes_turn(object.key(), &plan) { plan } else { plan.withheld_for(Restrained::NotItsTurn) }
    }

    /// Leaves an object as it is, since nothing is to be done or nothing can be.
    async fn leave(&self, object: &Object, (desired, situation): (&Desired, &Situation), plan: Plan) -> Result<Looked, Error> {
        self.fought(object, situation, &plan).await?;
        self.settle(object, desired, situation, &plan).await?;
        if plan.is_converged() {
            self.corrected(object.key());
            return Ok(Looked::Converged);
        }
        Ok(Looked::Waiting { next: next_look(&plan, situation), wait: plan.wait })
    }

    /// Keeps what was learnt, where it is new.
    async fn settle(&self, object: &Object, desired: &Desired, situation: &Situation, plan: &Plan) -> Result<(), Error> {
        let (containers, reset_after) = match (situation, desired) {
            (Situation::Container(wanted, observed), _) => (&observed.containers, wanted.policy.healing.backoff.reset_after),
            (Situation::Healed(wanted, observed), _) => (&observed.containers, wanted.policy.healing.backoff.reset_after),
            (Situation::Absent(key, observed), _) => {
                if observed.containers.is_empty() {
                    self.forget(key).await;
                }
                return Ok(());
            }
            (Situation::ModelProvider(wanted, observed), _) => return self.settle_model(object, wanted, observed, plan).await,
            (Situation::Plugin(_, observed), _) => {
                self.found(object.key(), &observed.found).await;
                return Ok(());
            }
            (Situation::Environment(..) | Situation::Proxy(..) | Situation::Hold(..) | Situation::Host(..), _) => {
                return Ok(());
            }
        };
        let reset_after = SignedDuration::try_from(reset_after.0).unwrap_or(SignedDuration::MAX);
        let settled = |history: History| history.settled(plan, containers, situation.at(), reset_after);
        self.remember((object.key(), object.generation()), settled).await
    }

    /// Writes down what a plan came to.
    async fn acted(
        &self,
        (object, situation): (&Object, &Situation),
        report: &Report,
        fault: Option<Instant>,
    ) -> Result<(), Error> {
        let key = object.key();
        if let (Some(first), Some(fault)) = (report.first_effect, fault) {
            self.record.metrics.first_effect(first.duration_since(fault));
        }
        for Taken { step, outcome, .. } in &report.taken {
            let operation = step.action.operation();
            self.record.metrics.step(key.kind, operation, outcome);
            match outcome.error() {
                None => {
                    tracing::info!(object = %key, step = %step.action, why = %step.why, outcome = outcome.as_str(), "done");
                    self.record.events.normal(key.clone(), operation, step.to_string());
                }
                Some(error) if is_broken_off(report, step) => {
                    tracing::info!(object = %key, step = %step.action, error, "broken off");
                    if key.kind == Kind::ModelProvider {
                        self.record.events.normal(key.clone(), "PullBrokenOff", error.to_owned());
                    }
                }
                Some(error) => {
                    tracing::warn!(object = %key, step = %step.action, why = %step.why, error, "failed");
                    self.record.events.warning(key.clone(), "StepFailed", error.to_owned());
                }
            }
            if let Some(target) = step.action.container() {
                self.world.snapshots.distrust(target.reference());
            }
        }
        let taken: Vec<&Step> = report.taken.iter().map(|taken| &taken.step).collect();
        let done = report.taken.iter().filter(|taken| taken.outcome.error().is_none()).map(|taken| &taken.step);
        let done: Vec<&Step> = done.collect();
        if let Situation::Proxy(desired, _) = situation
            && let Some(key) = plan::proxy::put_right(desired, &done)
        {
            self.was_put_right(key).await;
        }
        // What was already so has nobody to fight with.
        let corrected = report.taken.iter().filter(|taken| matches!(taken.outcome, Outcome::Done)).map(|taken| &taken.step);
        let corrected: Vec<&Step> = corrected.collect();
        let (at, now) = (self.world.clock.now(), Instant::now());
        let acted = |history| {
            let learnt =
                report.taken.iter().filter(|taken| taken.outcome.error().is_none() || !is_broken_off(report, &taken.step));
            let history = learnt.fold(history, |history: History, Taken { step, outcome, at: then, .. }| {
                // A reload is as old as it is, however long the proof after it has taken.
                let ago = SignedDuration::try_from(now.duration_since(*then)).unwrap_or_default();
                let then = at.saturating_sub(ago).unwrap_or(at);
                match (outcome.error(), unasked(report, step)) {
                    (Some(_), Some(action)) => history.unasked(action, then),
                    (error, _) => history.after(step, error, then),
                }
            });
            let goes_by = report.taken.last().map_or(history.goes_by, |taken| taken.intent.0);
            history.acted(&taken, &corrected, at).going_by(goes_by)
        };
        self.remember((key, object.generation()), acted).await
    }

    /// An nginx whose files were put right while it was down gets its tries back: those before could not help.
    async fn was_put_right(&self, key: &Key) {
        self.tries_again(key, History::with_a_clean_slate).await;
    }

    /// Keeps in mind what somebody else undoes, and when that is over.
    async fn fought(&self, object: &Object, situation: &Situation, plan: &Plan) -> Result<(), Error> {
        let (key, at) = (object.key(), situation.at());
        let history = self.world.history(key, object.generation());
        if history.fights.is_empty() && !matches!(plan.wait, Some(Wait::Restrained(Restrained::Fight { .. }))) {
            return Ok(());
        }
        let fights = self.world.policy().fights;
        let fought = |history: History| {
            let contests = Contests { contested: fight::contests(&history, fights, at), window: fights.1, hints: Vec::new() };
            history.fought(plan, &contests, at)
        };
        self.remember((key, object.generation()), fought).await
    }
}
