//! Playbooks at work, and rehearsed.
//!
//! What is done by itself is done through the same chat and the same desk as by
//! people, in the playbook's name, and stands in a thread of its own.

use futures::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    playbooks::{self, Playbook, Step},
    talk::Claw,
    threads,
};
use crate::{
    admin::{
        chat::Part,
        desk::{Confirmed, Speaker},
        intent::{Intent, Tier},
    },
    view::EventView,
};

/// Whose the threads of playbooks are: everybody who has logged in may read them.
pub const OWNER: &str = "playbook";
/// Times that a playbook runs in an hour. What happens again and again is told by the events themselves.
const RUNS: i64 = 12;
/// Times that it changes something by itself in an hour.
const ACTS: i64 = 3;
/// Events that are looked through for a rehearsal.
const PAST: usize = 1000;
/// Those that are shown.
const SHOWN: usize = 50;

/// What a playbook would have been about, and what it would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsal {
    /// Whether nothing at all was done.
    pub dry_run: bool,
    /// Events of the past that fit, newest first.
    pub matches: Vec<Match>,
    /// The steps, about the newest of them.
    pub steps: Vec<Taken>,
}

/// An event that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Match {
    /// When it happened last.
    pub at: String,
    /// What it is about.
    pub object: String,
    /// Its reason.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// How often.
    pub count: i64,
}

/// A step, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// As it would be said.
    pub sentence: String,
    /// How much can go wrong; nothing, where it is not understood.
    pub tier: Option<Tier>,
    /// What it would do, or did; a `question` waits for a yes.
    pub parts: Vec<Part>,
}

fn said(text: impl Into<String>) -> Vec<Part> {
    vec![Part::Text { text: text.into() }]
}

/// Says what a playbook would do. Without a dry run, what only reads is asked, and the first step that changes something is
/// proposed to the speaker.
pub async fn rehearse(claw: &Claw, speaker: &Speaker, playbook: &Playbook, dry_run: bool) -> Result<Rehearsal, Error> {
    let mut past = claw.operator.events(None, PAST).await.map_err(Error::Conflict)?;
    past.retain(|event| playbook.pattern.means(event));
    past.reverse();
    let about = past.first().map(|event| event.object.clone());
    let mut steps = Vec::new();
    let mut waits = false;
    for step in &playbook.steps {
        let (sentence, intent) = match step.understood(&claw.chat, about.as_deref()) {
            Ok(understood) => understood,
            Err(error) => {
                let sentence = step.sentence(about.as_deref()).unwrap_or_else(|_| as_written(step));
                steps.push(Taken { sentence, tier: None, parts: said(error.to_string()) });
                continue;
            }
        };
        let tier = intent.tier();
        let parts = match (tier, dry_run) {
            _ if waits => said("It comes after the step that waits for a yes."),
            (Tier::Read, true) => said("It reads, and would be answered at once."),
            (Tier::Read, false) => claw.chat.answer(speaker, &sentence).await,
            (_, true) => proposal(claw, speaker, &sentence).await,
            (_, false) => {
                waits = true;
                claw.chat.answer(speaker, &sentence).await
            }
        };
        steps.push(Taken { sentence, tier: Some(tier), parts });
    }
    past.truncate(SHOWN);
    let matches = past.into_iter().map(|event| {
        let EventView { object, reason, message, last_at: at, count, .. } = event;
        Match { at, object, reason, message, count }
    });
    Ok(Rehearsal { dry_run, matches: matches.collect(), steps })
}

fn as_written(step: &Step) -> String {
    match step {
        Step::Sentence(sentence) => sentence.clone(),
        Step::Intent(intent) => intent.clone().masked().to_string(),
    }
}

/// What would be shown before a yes. It is asked in a session of its own, so that what the speaker was asked still stands.
async fn proposal(claw: &Claw, speaker: &Speaker, sentence: &str) -> Vec<Part> {
    let session = format!("rehearsal:{}", super::id());
    let aside = Speaker { session, actor: speaker.actor.clone() };
    let mut parts = claw.chat.answer(&aside, sentence).await;
    claw.desk.cancel(&aside).await;
    parts.retain(|part| !matches!(part, Part::Question { .. }));
    parts
}

/// Runs the playbooks that events fit, until the shutdown.
pub async fn watch(claw: Claw, shutdown: CancellationToken) {
    let mut events = std::pin::pin!(claw.operator.follow_events().take_until(shutdown.cancelled_owned()));
    while let Some(event) = events.next().await {
        let playbooks = match playbooks::enabled(&claw.shelf).await {
            Ok(playbooks) => playbooks,
            // That it is away has been said, once.
            Err(Error::Away) => continue,
            Err(error) => {
                tracing::error!(error = crate::error_chain(&error), "the playbooks cannot be read, so none runs");
                continue;
            }
        };
        for playbook in playbooks.iter().filter(|playbook| playbook.pattern.means(&event)) {
            if let Err(error) = run(&claw, playbook, &event).await {
                tracing::warn!(error = crate::error_chain(&error), playbook = playbook.name, "a playbook did not run to its end");
            }
        }
    }
}

/// Takes the steps of a playbook about an event.
pub(super) async fn run(claw: &Claw, playbook: &Playbook, event: &EventView) -> Result<(), Error> {
    let now = claw.operator.now();
    if !playbooks::count(&claw.shelf, &playbook.id, "run", RUNS, now).await? {
        return Ok(());
    }
    let speaker = Speaker { session: format!("playbook:{}", playbook.id), actor: format!("playbook:{}", playbook.name) };
    let words = format!("run the playbook {} because of {} on {}", playbook.name, event.reason, event.object);
    claw.operator.note(&speaker.actor, "RunPlaybook", &words, None).await;
    let thread = threads::named(&claw.shelf, OWNER, &format!("playbook: {}", playbook.name), now).await?;
    let because = format!("{} on {}: {}", event.reason, event.object, event.message);
    for step in &playbook.steps {
        let (sentence, parts) = match step.understood(&claw.chat, Some(&event.object)) {
            Ok((sentence, intent)) => {
                let parts = take(claw, playbook, &speaker, (&sentence, &intent)).await?;
                (sentence, parts)
            }
            Err(error) => (as_written(step), said(format!("Not done: {error}"))),
        };
        let text = claw.operator.mask().said(&format!("{sentence} (because of {because})"));
        threads::add(&claw.shelf, &thread.id, &text, &parts, claw.operator.now()).await?;
    }
    Ok(())
}

async fn take(claw: &Claw, playbook: &Playbook, speaker: &Speaker, step: (&str, &Intent)) -> Result<Vec<Part>, Error> {
    let (sentence, intent) = step;
    let offered = |why: &str| vec![Part::Text { text: why.to_owned() }, Part::Instead { sentences: vec![sentence.to_owned()] }];
    match intent.tier() {
        Tier::Read => Ok(claw.chat.answer(speaker, sentence).await),
        Tier::Write if !playbook.requires_confirmation => {
            if !playbooks::count(&claw.shelf, &playbook.id, "act", ACTS, claw.operator.now()).await? {
                return Ok(offered("Not done: it has changed something three times within an hour. By hand:"));
            }
            let mut parts = claw.chat.answer(speaker, sentence).await;
            let question =
                parts.iter().find_map(|part| if let Part::Question { id, .. } = part { Some(id.clone()) } else { None });
            let Some(id) = question else { return Ok(parts) };
            parts.retain(|part| !matches!(part, Part::Question { .. }));
            let text = match claw.desk.confirm(speaker, &id, None).await {
                Ok(Confirmed::Done(done)) => format!("Done by the playbook: {} ({}).", done.words, done.outcome),
                // Nobody is there who could type a name.
                Ok(Confirmed::Again(_)) => "Not done: it asks for a person".to_owned(),
                Err(error) => format!("Not done: {error}"),
            };
            parts.push(Part::Text { text });
            Ok(parts)
        }
        Tier::Write | Tier::Destructive => Ok(offered("It would change something, so it waits for a person who says it:")),
    }
}
