//! Brings lost secrets back, or has new ones made when nobody knows the old ones.
//!
//! Sources are asked in this order: running containers, the last good copy, the
//! computed file. What runs comes first because the data behind it (a database
//! with its password) was made with that value.

use std::collections::BTreeMap;

use super::{Desired, FileState, Generate, LastGood, Observed, RunningValue, Secrets, ValueState, has_value};
use crate::{
    plan::{
        FileAction, Note, Plan, Wait, Why,
        action::{SecretSource, SecretWrite},
    },
    secret::Fingerprint,
};

/// Plans the one step that makes every wanted secret exist, as far as that can be decided.
pub(super) fn plan(plan: &mut Plan, desired: &Desired, secrets: &Secrets, observed: &Observed) {
    let mut writes = Vec::new();
    for wanted in secrets.generate.iter().filter(|wanted| !has_value(desired, observed, &wanted.variable)) {
        let candidates = candidates(observed, &wanted.variable);
        plan.notes.extend(disagreement(&wanted.variable, &candidates));
        match source(desired, secrets, observed, wanted, &candidates) {
            Ok(from) => writes.push(SecretWrite { variable: wanted.variable.clone(), from }),
            Err(wait) => plan.wait = plan.wait.take().or(Some(wait)),
        }
    }
    if writes.is_empty() {
        return;
    }
    let environment = desired.key.name.clone();
    let path = desired.directory.join(&secrets.file);
    if let Some(copy) = copy_to_restore(observed, secrets, &writes) {
        let secrets = differing_from_copy(copy, secrets, observed, writes);
        plan.step(FileAction::RestoreFile { environment, path, secrets }, Why::FileMissing);
        return;
    }
    let expected = match observed.files.get(&secrets.file) {
        Some(FileState::Present(content)) => Some(content.digest.clone()),
        Some(FileState::Absent | FileState::Unusable { .. }) | None => None,
    };
    let why = Why::SecretsMissing { secrets: writes.iter().map(|write| (write.variable.clone(), write.from.clone())).collect() };
    plan.step(FileAction::WriteSecrets { environment, path, expected, secrets: writes }, why);
}

/// A value that somebody remembers.
struct Candidate<'a> {
    from: SecretSource,
    /// The source in words.
    who: String,
    fingerprint: &'a Fingerprint,
}

/// Everybody who remembers the variable, the one to believe first. Containers with the same value speak with one voice.
fn candidates<'a>(observed: &'a Observed, variable: &str) -> Vec<Candidate<'a>> {
    let running = voices(observed, variable).into_iter().map(|(value, others)| Candidate {
        from: container(value),
        who: match others {
            0 => format!("container {}", value.name),
            others => format!("container {} and {others} more", value.name),
        },
        fingerprint: &value.fingerprint,
    });
    let copy = observed.last_good.known().and_then(Option::as_ref);
    let last_good = copy.and_then(|copy| copy.values.get(variable)).and_then(ValueState::real).map(|fingerprint| Candidate {
        from: SecretSource::LastGood,
        who: "the last good copy".to_owned(),
        fingerprint,
    });
    let computed = observed.computed_values.known().and_then(|values| values.get(variable)).map(|fingerprint| Candidate {
        from: SecretSource::Computed,
        who: "the computed file".to_owned(),
        fingerprint,
    });
    running.chain(last_good).chain(computed).collect()
}

fn container(value: &RunningValue) -> SecretSource {
    SecretSource::Container { id: value.id.clone(), name: value.name.clone() }
}

/// The distinct values that containers run with: the one that most have first,
/// among equals the one of the container whose name comes first. Each is
/// represented by the first of its containers, with the number of the others.
fn voices<'a>(observed: &'a Observed, variable: &str) -> Vec<(&'a RunningValue, usize)> {
    let running = observed.running.known().and_then(|running| running.get(variable));
    let mut by_value: BTreeMap<&Fingerprint, Vec<&RunningValue>> = BTreeMap::new();
    for value in running.into_iter().flatten() {
        by_value.entry(&value.fingerprint).or_default().push(value);
    }
    let mut voices: Vec<_> = by_value
        .into_values()
        .filter_map(|same| same.iter().copied().min_by_key(|value| (&value.name, &value.id)).map(|first| (first, same.len() - 1)))
        .collect();
    voices.sort_by(|(one, ones), (other, others)| {
        others.cmp(ones).then_with(|| (&one.name, &one.id).cmp(&(&other.name, &other.id)))
    });
    voices
}

/// The value that containers run with.
fn running<'a>(observed: &'a Observed, variable: &str) -> Option<&'a RunningValue> {
    voices(observed, variable).first().map(|(value, _)| *value)
}

fn disagreement(variable: &str, candidates: &[Candidate]) -> Option<Note> {
    let agreed = candidates.windows(2).all(|pair| pair[0].fingerprint == pair[1].fingerprint);
    (!agreed).then(|| Note::SourcesDisagree {
        variable: variable.to_owned(),
        sources: candidates.iter().map(|candidate| format!("{} ({})", candidate.who, candidate.fingerprint)).collect(),
    })
}

/// Where the value comes from: from the first who remembers it. A new one is
/// made only when everybody has been asked.
fn source(
    desired: &Desired,
    secrets: &Secrets,
    observed: &Observed,
    wanted: &Generate,
    candidates: &[Candidate],
) -> Result<SecretSource, Wait> {
    if let Some(first) = candidates.first() {
        return Ok(first.from.clone());
    }
    if let Some(reason) = observed.running.unknown() {
        return Err(Wait::EngineUnreachable { reason: reason.to_owned() });
    }
    if let Some(reason) = observed.last_good.unknown() {
        let file = format!("the last good copy of {}", secrets.file);
        return Err(Wait::UnreadableFile { file, reason: reason.to_owned() });
    }
    if let (Some(computed), Some(reason)) = (&desired.computed, observed.computed_values.unknown()) {
        return Err(Wait::UnreadableFile { file: computed.file.clone(), reason: reason.to_owned() });
    }
    Ok(SecretSource::Generated { format: wanted.format, length: wanted.length })
}

/// The copy, when it is the whole file that was lost: it is gone, and the copy
/// knows some of what is missing. Then its comments and whatever else the user
/// keeps in it have to come back as well.
///
/// When the copy knows nothing of what is missing, the file was emptied into
/// others before it went, and stays away. A copy with a placeholder for a
/// secret stays away too: it might come to stand over a real value.
fn copy_to_restore<'a>(observed: &'a Observed, secrets: &Secrets, missing: &[SecretWrite]) -> Option<&'a LastGood> {
    match observed.files.get(&secrets.file) {
        Some(FileState::Absent) => {}
        Some(FileState::Present(_) | FileState::Unusable { .. }) | None => return None,
    }
    let copy = observed.last_good.known()?.as_ref()?;
    let knows = |write: &SecretWrite| copy.values.get(&write.variable).and_then(ValueState::real).is_some();
    let placeholder =
        |wanted: &Generate| matches!(copy.values.get(&wanted.variable), Some(ValueState::Set { placeholder: true, .. }));
    (missing.iter().any(knows) && !secrets.generate.iter().any(placeholder)).then_some(copy)
}

/// The wanted secrets that must not come back as the copy has them: those that
/// it has not, and those that containers run with another value. Were the
/// copy's value restored first, it would be an existing one, and stay.
fn differing_from_copy(copy: &LastGood, secrets: &Secrets, observed: &Observed, missing: Vec<SecretWrite>) -> Vec<SecretWrite> {
    let mut missing: BTreeMap<_, _> = missing.into_iter().map(|write| (write.variable, write.from)).collect();
    let differing = secrets.generate.iter().filter_map(|Generate { variable, .. }| {
        let from = match (copy.values.get(variable).and_then(ValueState::real), running(observed, variable)) {
            (Some(copied), Some(running)) if running.fingerprint != *copied => container(running),
            (Some(_), _) => return None,
            // Another file may have what the copy has not.
            (None, _) => missing.remove(variable)?,
        };
        Some(SecretWrite { variable: variable.clone(), from })
    });
    differing.collect()
}
