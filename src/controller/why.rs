//! Why something was done: cause, decision, steps, outcome and proof, from the record alone.

use jiff::{SignedDuration, Timestamp};

use crate::{
    manifest::{Key, status::ConditionStatus},
    plan::rules::rule_of,
    record::{
        Record,
        journal::{AuditEntry, AuditFilter},
    },
    view::{WhyStep, WhyView},
};

/// Acts that are looked through for a given one, and for how often the same was done.
const LOOKED_THROUGH: u32 = 1000;
/// Within this time the same reason is the same trouble.
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// The last act for an object, or the given one, with all that was done in the same pass; none if there was none.
pub(super) async fn why(record: &Record, key: &Key, act: Option<i64>) -> Result<Option<WhyView>, String> {
    let entries = |filter| async move { record.journal.log(&filter).await.map_err(|error| crate::error_chain(&error)) };
    let of_object = AuditFilter { object: Some(key.clone()), limit: LOOKED_THROUGH, ..AuditFilter::default() };
    let about = entries(AuditFilter { before: act.map(|act| act.saturating_add(1)), ..of_object }).await?;
    let asked_for = about.iter().rev().find(|entry| act.is_none_or(|act| entry.id == act) && entry.operation != "ReadAuditLog");
    let Some(asked_for) = asked_for else { return Ok(None) };
    let steps = match &asked_for.pass {
        Some(pass) => entries(AuditFilter { pass: Some(pass.clone()), limit: LOOKED_THROUGH, ..AuditFilter::default() }).await?,
        None => vec![asked_for.clone()],
    };
    let first = steps.first().unwrap_or(asked_for);
    Ok(Some(WhyView {
        object: key.to_string(),
        at: first.created_at.clone(),
        actor: first.actor.clone(),
        pass: first.pass.clone(),
        seen: first.why.clone(),
        fields: fields(first),
        generation: first.generation,
        rule: first.why_code.clone(),
        rule_says: rule_of(&first.why_code).map(str::to_owned),
        outcome: outcome(&steps),
        proof: proof(record, key, &steps),
        lately: lately(&about, first),
        steps: steps.iter().map(step).collect(),
    }))
}

/// What differed, if that was the reason. Secrets are fingerprints already.
fn fields(entry: &AuditEntry) -> Vec<String> {
    let fields = entry.details.pointer("/why/fields").and_then(serde_json::Value::as_array).into_iter().flatten();
    let part = |field: &serde_json::Value, name: &str| field.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let nothing = || "nothing".to_owned();
    let shown = fields.filter_map(|field| {
        let (seen, wanted) = (part(field, "from").unwrap_or_else(nothing), part(field, "to").unwrap_or_else(nothing));
        Some(format!("{}: wanted {wanted}, seen {seen}", part(field, "field")?))
    });
    shown.collect()
}

fn step(entry: &AuditEntry) -> WhyStep {
    let took = entry.concluded_at.as_deref().and_then(|end| Some(time(end)?.duration_since(time(&entry.created_at)?)));
    WhyStep {
        id: entry.id,
        action: entry.action.clone(),
        because: entry.why.clone(),
        outcome: entry.outcome.clone().unwrap_or_else(|| "open".to_owned()),
        error: entry.error.clone(),
        took_millis: took.and_then(|took| u64::try_from(took.as_millis()).ok()),
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// What the steps came to, in a sentence.
fn outcome(steps: &[AuditEntry]) -> String {
    let of = |outcome: &str| steps.iter().find(|step| step.outcome.as_deref() == Some(outcome));
    if let Some(step) = steps.iter().find(|step| step.outcome.is_none()) {
        return format!("it is still under way, at: {}", step.action);
    }
    if let Some(failed) = of("failed") {
        let error = failed.error.as_deref().unwrap_or("no reason is on record");
        return format!("it failed at `{}`: {error}", failed.action);
    }
    if let Some(unknown) = of("unknown") {
        return format!(
            "what became of `{}` is not known: Mooring ended, or the answer was lost; it looked again after that",
            unknown.action
        );
    }
    if of("done").is_none() { "it was so already".to_owned() } else { "every step was done".to_owned() }
}

/// What shows how it ended: steps that prove something, and the conditions since.
fn proof(record: &Record, key: &Key, steps: &[AuditEntry]) -> Vec<String> {
    let asked = steps.iter().filter(|step| step.operation == "ProveRoutes" && step.outcome.as_deref() == Some("done"));
    let mut proof: Vec<String> = asked.map(|step| format!("{}: answered as they should", step.action)).collect();
    let begun = steps.first().map(|step| step.created_at.as_str()).unwrap_or_default();
    let status = record.status.get(key).unwrap_or_default();
    let holding = status.conditions.iter().filter(|condition| condition.status == ConditionStatus::True);
    proof.extend(holding.map(|condition| {
        // As text they compare as times do.
        let since = if condition.last_transition_time.as_str() >= begun { "since" } else { "already, and still, since" };
        format!("{:?} {since} {}: {}", condition.kind, condition.last_transition_time, condition.message)
    }));
    proof
}

/// How often the same was the reason within an hour, this time included.
fn lately(about: &[AuditEntry], first: &AuditEntry) -> usize {
    let Some(at) = time(&first.created_at) else { return 1 };
    let is_same = |entry: &&AuditEntry| {
        entry.why_code == first.why_code && time(&entry.created_at).is_some_and(|then| at.duration_since(then) < LATELY)
    };
    let mut passes: Vec<_> = about.iter().filter(is_same).map(|entry| entry.pass.as_deref()).collect();
    passes.dedup();
    passes.len().max(1)
}
