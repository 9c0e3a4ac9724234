//! What people want to be changed: shown as the plan that it comes to, and handed to the passes once it is confirmed.

mod variable;

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};

use super::{Context, insight::word_of, operator::actor};
use crate::{
    crash,
    manifest::{Key, Kind, hold::Target},
    operator::{HoldEnd, Operator as _, Proposed, Wish, insight::Insight as _},
    plan::{
        Plan, Situation, Step,
        container::{Container, State},
        request::{Request, Shown, Wanted},
    },
    record::{
        events::Subject,
        journal::{Command, IntentId, Outcome},
    },
    source::desired::{DesiredDirectory, holds},
};

/// How long whoever confirmed it is kept waiting for what came of it. A stop takes up to ten seconds.
const ANSWERED: Duration = Duration::from_secs(20);

/// How a wish comes about.
pub(super) enum Means {
    /// As a step of the plan of this object.
    Step(Key, Wanted),
    /// By trying again, and by the end of these holds.
    Release(Key, Vec<Key>),
    /// By files that declare it.
    Hold(Vec<Target>, HoldEnd, String),
}

impl Context {
    /// What a wish would come to as things are now, and how.
    pub(super) async fn proposed(&self, wish: &Wish) -> Result<(Proposed, Means), String> {
        match wish {
            Wish::Restart(key) => {
                let runs = |container: &Container| container.state == State::Running;
                self.propose_step(key, "restart", |container| runs(container).then(|| Wanted::Restart(shown(container)))).await
            }
            Wish::Start(key) => {
                let stands = |container: &Container| matches!(container.state, State::Exited { .. } | State::Created);
                self.propose_step(key, "start", |container| stands(container).then(|| Wanted::Start(shown(container)))).await
            }
            Wish::Stop(key) => {
                let runs = |container: &Container| matches!(container.state, State::Running | State::Restarting);
                self.propose_step(key, "stop", |container| runs(container).then(|| Wanted::Stop(shown(container)))).await
            }
            Wish::Release(key) => self.propose_release(key),
            Wish::Hold { targets, end, reason } => self.propose_hold(targets, *end, reason),
            Wish::Variable { name, value, file } => self.propose_variable(name, value.as_ref(), file.as_deref()).await,
        }
    }

    /// Something done with a container of an object.
    async fn propose_step(
        &self,
        key: &Key,
        verb: &str,
        wanted: impl Fn(&Container) -> Option<Wanted> + Send,
    ) -> Result<(Proposed, Means), String> {
        let object = self.world.reader.get(key).ok_or_else(|| format!("there is no {key}"))?;
        let situation = self.situation(key).await?;
        let (Situation::Container(_, observed) | Situation::Healed(_, observed)) = &situation else {
            return Err(format!("{key} is no container, so there is nothing to {verb}"));
        };
        let Some((container, wanted)) = observed.containers.iter().find_map(|container| Some((container, wanted(container)?)))
        else {
            let states: Vec<String> = observed.containers.iter().map(|container| word_of(&container.state)).collect();
            let state = if states.is_empty() { "gone".to_owned() } else { states.join(", ") };
            return Err(format!("there is nothing to {verb}: the container of {key} is `{state}`"));
        };
        let plan = self.world.plan_asked(&object, &situation, Some(&Request::by_nobody(wanted.clone())));
        let step = asked_step(key, &plan)?;
        let users: Vec<String> =
            self.world.users(key).iter().filter(|user| user.kind == Kind::Container).map(ToString::to_string).collect();
        let mut details = about(container);
        details.extend(consequence(&wanted));
        if !users.is_empty() && !matches!(wanted, Wanted::Start(_)) {
            details.push(format!("what depends on it may notice: {}", users.join(", ")));
        }
        let proposed = Proposed {
            what: format!("{}{} {}?", verb[..1].to_uppercase(), &verb[1..], container.name),
            words: format!("{verb} of {}", container.name),
            object: Some(key.clone()),
            name: key.name.clone(),
            digest: digest(&[&format!("{wanted:?}"), &step.to_string(), &users.join(" ")]),
            details,
            diff: None,
        };
        Ok((proposed, Means::Step(key.clone(), wanted)))
    }

    fn propose_release(&self, key: &Key) -> Result<(Proposed, Means), String> {
        let object = self.world.reader.get(key).ok_or_else(|| format!("there is no {key}"))?;
        let directory = DesiredDirectory::read(&self.world.settings.desired).map_err(|error| crate::error_chain(&error))?;
        let on = holds::Holds::on(key, object.expanded_from().as_ref(), &directory);
        let mut details = vec!["what was given up, left stopped or left to somebody else is taken in hand again".to_owned()];
        details.extend(on.alone.iter().map(|hold| format!("{hold} ends")));
        details.extend(on.shared.iter().map(|hold| format!("{hold} is on more than this, and stays")));
        let proposed = Proposed {
            what: format!("Release {key}?"),
            words: format!("release of {key}"),
            object: Some(key.clone()),
            name: key.name.clone(),
            digest: digest(&[&format!("{on:?}")]),
            details,
            diff: None,
        };
        Ok((proposed, Means::Release(key.clone(), on.alone)))
    }

    fn propose_hold(&self, targets: &[Target], end: HoldEnd, reason: &str) -> Result<(Proposed, Means), String> {
        if let Some(missing) = self.world.unmatched(targets).first() {
            let nearest = missing.nearest.as_ref().map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            return Err(format!("there is no {}{nearest}", missing.target));
        }
        let now = self.world.clock.now();
        let until = until(end, now)?;
        let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let how_long = match end {
            HoldEnd::After(duration) => format!("for {duration:#}, counted from your yes"),
            HoldEnd::At(_) => format!("until {until:.0}"),
        };
        let proposed = Proposed {
            what: format!("Hold {names}?"),
            words: format!("hold of {names}"),
            object: match targets {
                [Target::Object(key)] => Some(key.clone()),
                _ => None,
            },
            name: names.clone(),
            digest: digest(&[&names, &format!("{end:?}"), reason]),
            details: vec![
                format!("{how_long}, whatever happens to it is shown and left alone"),
                format!("the reason that everybody reads: {reason}"),
                "a file of the desired-state directory says so; `release` ends it before its time".to_owned(),
            ],
            diff: None,
        };
        Ok((proposed, Means::Hold(targets.to_vec(), end, reason.to_owned())))
    }

    /// Has a wish done that was shown as this.
    pub(super) async fn fulfil(&self, wish: &Wish, shown: &Proposed, by: &str) -> Result<String, String> {
        let (now, means) = self.proposed(wish).await?;
        if now != *shown {
            let what = shown.object.as_ref().map_or_else(|| "it".to_owned(), ToString::to_string);
            return Err(format!("{what} is not as it was shown; look again"));
        }
        match means {
            Means::Step(key, wanted) => self.hand_over(&key, wanted, by).await,
            Means::Release(key, held_by) => {
                let done = async {
                    holds::end(&held_by, &self.world.settings.desired).map_err(|error| crate::error_chain(&error))?;
                    self.try_again(&key).await
                };
                self.on_record(by, ("Release", &key.clone().into()), &now.words, done).await?;
                Ok("it is looked at now".to_owned())
            }
            Means::Hold(targets, end, reason) => {
                let until = until(end, self.world.clock.now())?;
                let done = async { self.write_holds(&targets, until, &reason, by) };
                self.on_record(by, ("Hold", &Subject::Host), &now.words, done).await?;
                Ok(format!("held until {until:.0}"))
            }
        }
    }

    /// Lets the next pass take the step, and waits for what comes of it.
    async fn hand_over(&self, key: &Key, wanted: Wanted, by: &str) -> Result<String, String> {
        let (number, answered) = self.world.requests.ask(key, Request { by: by.to_owned(), wanted });
        self.triggers.trigger(key);
        match timeout(ANSWERED, answered).await {
            Ok(Ok(outcome)) => outcome.map(|()| "done".to_owned()),
            Ok(Err(_)) => Err("it was broken off, maybe before it was begun; the audit log says how far it came".to_owned()),
            Err(_) if self.world.requests.standing(key).is_some_and(|standing| standing.number == number) => {
                Ok("something else is done first; the audit log says when this is done, within a minute or not at all".to_owned())
            }
            Err(_) => Ok("it is under way; the audit log says what comes of it".to_owned()),
        }
    }

    /// Writes down what somebody is about to do. An `Err` says why it is not on record: then it must not be done.
    pub(super) async fn announce(
        &self,
        by: &str,
        operation: &'static str,
        (object, target): (&Subject, &str),
        words: &str,
    ) -> Result<IntentId, String> {
        let command = Command {
            actor: &actor(by),
            operation,
            object,
            target,
            why: "somebody asked for it",
            details: &serde_json::json!({"words": self.mask().said(words)}),
            outcome: &Outcome::Done,
        };
        self.record.journal.announce(&command).await.map_err(|error| crate::error_chain(&error))
    }

    /// Does something that is on record before and after.
    pub(super) async fn on_record(
        &self,
        by: &str,
        (operation, object): (&'static str, &Subject),
        words: &str,
        act: impl Future<Output = Result<(), String>> + Send,
    ) -> Result<(), String> {
        let target = match object {
            Subject::Object(key) => &key.name,
            Subject::Host => words,
        };
        let intent = self.announce(by, operation, (object, target), words).await?;
        crash::point("wish-after-intent");
        let done = act.await;
        crash::point("wish-after-act");
        self.conclude(intent, done.as_ref().err().map(String::as_str)).await;
        crash::point("wish-after-outcome");
        done
    }

    fn write_holds(&self, targets: &[Target], until: Timestamp, reason: &str, by: &str) -> Result<(), String> {
        let directory = DesiredDirectory::read(&self.world.settings.desired).map_err(|error| crate::error_chain(&error))?;
        for target in targets {
            let (file, text) = holds::file(target, until, reason, Some(by));
            directory.write(&file, text.as_bytes()).map_err(|error| {
                let hint = "; if the directory is read-only here, `mooring hold` on the host writes it";
                format!("{}{hint}", crate::error_chain(&error))
            })?;
        }
        Ok(())
    }

    async fn situation(&self, key: &Key) -> Result<Situation, String> {
        let object = self.world.reader.get(key).ok_or_else(|| format!("there is no {key}"))?;
        let desired = self.world.resolve(&object).0.ok_or_else(|| format!("the manifest of {key} is refused"))?;
        let seen = self.world.observe(&desired, Instant::now()).await.map_err(|error| crate::error_chain(&error))?;
        Ok(seen.situation)
    }
}

fn shown(container: &Container) -> Shown {
    Shown { id: container.id.clone(), started_at: container.started_at }
}

/// What is to be known of a container before something is done with it.
fn about(container: &Container) -> Vec<String> {
    let id = container.id.get(..12).unwrap_or(&container.id);
    let since = container.started_at.filter(|_| container.state == State::Running);
    let since = since.map(|at| format!(" since {at:.0}")).unwrap_or_default();
    vec![format!("container {} ({id}): {}{since}", container.name, word_of(&container.state))]
}

fn consequence(wanted: &Wanted) -> Option<String> {
    let text = match wanted {
        Wanted::Restart(_) => "it is stopped and started again; its data stays",
        Wanted::Stop(_) => "it stays stopped until somebody starts or releases it; its data stays",
        Wanted::Start(_) | Wanted::Variable(_) => return None,
    };
    Some(text.to_owned())
}

/// The step that was asked for, if it is what would be done; otherwise what stands before it.
fn asked_step<'a>(key: &Key, plan: &'a Plan) -> Result<&'a Step, String> {
    if let Some(step) = plan.steps.iter().find(|step| step.is_asked()) {
        return Ok(step);
    }
    let wait = plan.wait.as_ref().map(|wait| format!(": {wait}")).unwrap_or_default();
    if plan.withheld.iter().any(Step::is_asked) {
        return Err(format!("{key} is left alone{wait}"));
    }
    match plan.steps.first().or(plan.withheld.first()) {
        Some(first) => Err(format!("something else is to be done with {key} first ({first}); ask again after that")),
        None => Err(format!("that cannot be done with {key} just now{wait}")),
    }
}

fn until(end: HoldEnd, now: Timestamp) -> Result<Timestamp, String> {
    let end = match end {
        HoldEnd::After(duration) => now.checked_add(duration).ok(),
        HoldEnd::At(at) => Some(at),
    };
    // To the second: nobody means more, and everybody has to read it.
    let end = end.and_then(|end| Timestamp::from_second(end.as_second()).ok());
    let end = end.ok_or("that is further away than there are dates")?;
    if end <= now { Err(format!("{end} is past: a hold that is over holds nothing")) } else { Ok(end) }
}

fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts look alike.
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}
