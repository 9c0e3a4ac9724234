//! Which secrets there are, without a single value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    controller::{Context, world::lock},
    manifest::{Key, Kind},
    plan::{
        container::Variables,
        environment::{self, FileState, Recall, ValueState},
        history::History,
    },
    record::journal::AuditFilter,
    resolve::Desired,
    secret::mask::is_telling,
    view::insight::{SecretView, WrittenView},
};

/// Entries of the log that are looked through for one `Environment`.
const LOOKED_THROUGH: u32 = 1000;

impl Context {
    pub(super) async fn secrets_view(&self) -> Vec<SecretView> {
        let keys = self.world.reader.objects().into_keys().filter(|key| key.kind == Kind::Environment);
        let mut secrets = Vec::new();
        for key in keys {
            let Ok(desired) = self.world.environment(&key.name) else { continue };
            let not_asked = Recall::Unknown { reason: "it was not asked".to_owned() };
            let observed = self.world.files.read(&desired, &not_asked, History::default(), self.world.clock.now()).observed;
            let written = self.written(&key).await;
            secrets.extend(self.secrets_of(&desired, &observed, &written));
        }
        secrets
    }

    fn secrets_of(
        &self,
        desired: &environment::Desired,
        observed: &environment::Observed,
        written: &BTreeMap<String, WrittenView>,
    ) -> Vec<SecretView> {
        let kept: BTreeSet<&String> =
            desired.secrets.iter().flat_map(|secrets| &secrets.generate).map(|secret| &secret.variable).collect();
        let secrets_file = desired.secrets.as_ref().map(|secrets| &secrets.file);
        let mut names: BTreeSet<&String> = kept.clone();
        for (file, state) in &observed.files {
            let FileState::Present(content) = state else { continue };
            names.extend(content.values.keys().filter(|name| Some(file) == secrets_file || is_telling(name)));
        }
        let view = |name: &String| {
            let found = in_force(desired, observed, name);
            SecretView {
                environment: desired.key.name.clone(),
                name: name.clone(),
                file: found.as_ref().map(|(file, ..)| file.clone()),
                fingerprint: found.as_ref().map(|(_, fingerprint, _)| fingerprint.clone()),
                is_placeholder: found.is_some_and(|(.., is_placeholder)| is_placeholder),
                is_kept: kept.contains(name),
                written: written.get(name).cloned(),
                users: self.users_of_variable(&desired.key.name, name),
            }
        };
        names.into_iter().map(view).collect()
    }

    /// The containers that are given a variable.
    fn users_of_variable(&self, environment: &str, variable: &String) -> Vec<Key> {
        let resolved = lock(&self.world.resolved);
        let is_given = |variables: &Variables| match variables {
            Variables::Literal(_) => false,
            Variables::Environment { name, keys, optional } => {
                name == environment && keys.as_ref().is_none_or(|keys| keys.contains(variable) || optional.contains(variable))
            }
        };
        let users = resolved.iter().filter_map(|(key, desired)| match desired {
            Desired::Container(container) => container.variables.iter().any(is_given).then(|| key.clone()),
            _ => None,
        });
        users.collect()
    }

    /// When Mooring last wrote each variable of an `Environment`, as the log has it.
    async fn written(&self, key: &Key) -> BTreeMap<String, WrittenView> {
        let mut written = BTreeMap::new();
        for operation in ["WriteSecrets", "RestoreFile"] {
            let filter = AuditFilter {
                object: Some(key.clone()),
                operation: Some(operation.to_owned()),
                limit: LOOKED_THROUGH,
                ..AuditFilter::default()
            };
            let Ok(entries) = self.record.journal.log(&filter).await else { continue };
            for entry in entries.iter().filter(|entry| entry.outcome.as_deref() == Some("done")) {
                let secrets = entry.details.pointer("/action/secrets").and_then(Value::as_array).into_iter().flatten();
                for (variable, how) in secrets.filter_map(how) {
                    let view = WrittenView { at: entry.created_at.clone(), how };
                    // As text they compare as times do.
                    if written.get(&variable).is_none_or(|known: &WrittenView| known.at < view.at) {
                        written.insert(variable, view);
                    }
                }
            }
        }
        written
    }
}

/// The value that counts: its file, its public name, and whether it was never filled in.
fn in_force(desired: &environment::Desired, observed: &environment::Observed, name: &String) -> Option<(String, String, bool)> {
    desired.files.iter().rev().find_map(|file| match observed.files.get(file)? {
        FileState::Present(content) => match content.values.get(name)? {
            ValueState::Set { fingerprint, placeholder } => Some((file.clone(), fingerprint.to_string(), *placeholder)),
            ValueState::Empty => None,
        },
        FileState::Absent | FileState::Unusable { .. } => None,
    })
}

/// A variable that was written, and where its value came from.
fn how(secret: &Value) -> Option<(String, String)> {
    let variable = secret.get("variable")?.as_str()?.to_owned();
    let from = secret.get("from")?;
    let name = |from: &Value| from.get("name")?.as_str().map(str::to_owned);
    let how = match from {
        Value::String(source) if source == "lastGood" => "brought back from the last good copy".to_owned(),
        Value::String(source) if source == "computed" => "brought back from the computed file".to_owned(),
        from => match (from.get("generated"), from.get("container").and_then(name)) {
            (Some(_), _) => "made by Mooring".to_owned(),
            (None, Some(name)) => format!("brought back from container {name}"),
            (None, None) => return None,
        },
    };
    Some((variable, how))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::action::{SecretSource, SecretWrite};

    #[test]
    fn the_log_says_where_a_secret_came_from() {
        let of = |from: SecretSource| {
            let write = SecretWrite { variable: "TOKEN".to_owned(), from };
            how(&serde_json::to_value(&write).unwrap()).unwrap().1
        };
        let container = SecretSource::Container { id: "c1".to_owned(), name: "web".to_owned() };
        assert_eq!(of(container), "brought back from container web");
        assert_eq!(of(SecretSource::LastGood), "brought back from the last good copy");
        assert_eq!(of(SecretSource::Computed), "brought back from the computed file");
        let made = SecretSource::Generated { format: crate::manifest::environment::SecretFormat::default(), length: None };
        assert_eq!(of(made), "made by Mooring");
        assert_eq!(how(&json!({"variable": "TOKEN", "from": "elsewhere"})), None);
    }
}
