//! Variables of `.env` cascades: where one stands, what may be shown of it, who takes it, and what a change comes to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Means, asked_step, digest};
use crate::{
    controller::Context,
    manifest::{Key, Kind},
    operator::{Proposed, VariableView},
    plan::{
        History, Situation,
        container::Variables,
        environment::{Desired, FileState, Observed, Recall},
        request::{Request, VariableChange, Wanted},
    },
    resolve,
    secret::{Secret, mask::may_be_secret},
};

/// Who takes a variable, and whether a new value reaches it without anybody's help.
type Takers = BTreeMap<Key, bool>;

impl Context {
    /// A change of an `.env` file, and who takes it.
    pub(super) async fn propose_variable(
        &self,
        name: &str,
        value: Option<&Secret>,
        file: Option<&str>,
    ) -> Result<(Proposed, Means), String> {
        let (key, desired, observed) = self.environment_of(name, file).await?;
        let file = file_of(name, value.is_some(), file, &desired, &observed)?;
        let old = self.world.values(&desired.key.name).ok().and_then(|values| values.get(name).cloned());
        let expected = match observed.files.get(&file) {
            Some(FileState::Present(content)) => Some(content.digest.clone()),
            Some(FileState::Absent) => None,
            Some(FileState::Unusable { reason }) => return Err(format!("{file} cannot be used: {reason}")),
            None => return Err(format!("{file} is not a file of {key}")),
        };
        let is_there = stands_in(&observed, &file, name);
        if value.is_some() && is_there && old.as_ref() == value {
            return Err(format!("{name} has that value already"));
        }
        let path = desired.directory.join(&file);
        let change = VariableChange { file: file.clone(), path, expected, variable: name.to_owned(), value: value.cloned() };
        let object = self.world.reader.get(&key).ok_or_else(|| format!("there is no {key}"))?;
        let expected = format!("{:?}", change.expected);
        let wanted = Wanted::Variable(change);
        let situation = Situation::Environment(desired.clone(), observed.clone());
        let plan = self.world.plan_asked(&object, &situation, Some(&Request::by_nobody(wanted.clone())));
        let step = asked_step(&key, &plan)?;
        let users = self.takers(&desired, name);
        let is_secret = desired.is_secret(name);
        let show = |value: &Secret| self.shown_value(name, value, is_secret);
        let line = |sign: char, value: &Secret| format!("{sign}{name}={}", show(value));
        let gone = old.as_ref().filter(|_| is_there).map(|old| line('-', old));
        let lines: Vec<String> = std::iter::once(file.clone()).chain(gone).chain(value.map(|value| line('+', value))).collect();
        let proposed = Proposed {
            what: if value.is_some() { format!("Set {name} in {file}?") } else { format!("Take {name} out of {file}?") },
            words: format!("change of {name} in {file}"),
            object: Some(key.clone()),
            name: name.to_owned(),
            digest: digest(&[&expected, &step.to_string(), &format!("{users:?}")]),
            details: variable_details(&key, name, value.is_none(), &users, (&desired, &observed, &file)),
            diff: Some(lines.join("\n")),
        };
        Ok((proposed, Means::Step(key, wanted)))
    }

    /// The cascade that a variable is in, or would be.
    async fn environment_of(&self, name: &str, file: Option<&str>) -> Result<(Key, Desired, Observed), String> {
        let mut cascades = Vec::new();
        for key in self.environments() {
            if let Situation::Environment(desired, observed) = self.situation(&key).await? {
                cascades.push((key, desired, observed));
            }
        }
        let has = |observed: &Observed| observed.files.keys().any(|file| stands_in(observed, file, name));
        let is_meant = |desired: &Desired| file.is_none_or(|file| desired.files.iter().any(|known| known == file));
        if cascades.is_empty() {
            return Err("no Environment is declared, so there is no file to change".to_owned());
        }
        cascades.retain(|(_, desired, _)| is_meant(desired));
        if cascades.iter().any(|(_, _, observed)| has(observed)) {
            cascades.retain(|(_, _, observed)| has(observed));
        }
        match cascades.len() {
            0 => Err(format!("no Environment has a file `{}`", file.unwrap_or_default())),
            1 => Ok(cascades.remove(0)),
            _ => {
                let keys: Vec<String> = cascades.iter().map(|(key, ..)| key.to_string()).collect();
                Err(format!("it could be meant in {}; change it in the file", keys.join(" and in ")))
            }
        }
    }

    fn environments(&self) -> Vec<Key> {
        self.world.reader.objects().into_keys().filter(|key| key.kind == Kind::Environment).collect()
    }

    /// The containers that take a variable of an environment, or one that is computed from it.
    fn takers(&self, desired: &Desired, name: &str) -> Takers {
        let computed = desired.computed.iter().flat_map(|computed| &computed.templates);
        let from_it = computed.filter(|(_, template)| template.variables().any(|variable| variable == name));
        let names: Vec<&str> = from_it.map(|(variable, _)| variable.as_str()).chain([name]).collect();
        let mut takers = Takers::new();
        for (key, object) in self.world.reader.objects() {
            let Some(resolve::Desired::Container(container)) = self.world.resolve(&object).0 else { continue };
            if names.iter().any(|name| takes(&container.variables, &desired.key.name, name)) {
                let follows = !container.shape.is_stateful() || container.policy.allow_recreate;
                takers.insert(key, follows);
            }
        }
        takers
    }

    /// A value as it may be shown: itself, or its fingerprint.
    fn shown_value(&self, name: &str, value: &Secret, is_secret: bool) -> String {
        if is_secret || may_be_secret(name, value.expose()) {
            format!("({})", self.world.files.key().fingerprint(value.expose()))
        } else {
            value.expose().to_owned()
        }
    }

    /// The last file of a cascade that has a variable.
    fn file_with(&self, desired: &Desired, name: &str) -> Option<String> {
        let not_asked = Recall::Unknown { reason: "it was not asked".to_owned() };
        let reading = self.world.files.read(desired, &not_asked, History::default(), self.world.clock.now());
        desired.files.iter().rev().find(|file| stands_in(&reading.observed, file, name)).cloned()
    }

    pub(in crate::controller) fn variable_names(&self) -> Vec<String> {
        let values = self.environments().into_iter().filter_map(|key| self.world.values(&key.name).ok());
        values.flat_map(BTreeMap::into_keys).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(in crate::controller) fn variable_views(&self, name: &str) -> Vec<VariableView> {
        let view = |key: Key| {
            let desired = self.world.environment(&key.name).ok()?;
            let value = self.world.values(&key.name).ok()?.get(name).cloned()?;
            let shown = self.shown_value(name, &value, desired.is_secret(name));
            let file = self.file_with(&desired, name);
            Some(VariableView { environment: key.name, file, shown, users: self.takers(&desired, name).into_keys().collect() })
        };
        self.environments().into_iter().filter_map(view).collect()
    }
}

/// Whether a container takes this variable from that environment, and from nowhere else that comes later.
fn takes(sources: &[Variables], environment: &str, variable: &str) -> bool {
    let last = sources.iter().rev().find_map(|source| match source {
        Variables::Literal(literals) => literals.contains_key(variable).then_some(None),
        Variables::Environment { name, keys, optional } => {
            let has = keys.as_ref().is_none_or(|keys| keys.iter().any(|key| key == variable));
            (has || optional.iter().any(|key| key == variable)).then_some(Some(name))
        }
    });
    last.flatten().is_some_and(|name| name == environment)
}

fn stands_in(observed: &Observed, file: &str, name: &str) -> bool {
    matches!(observed.files.get(file), Some(FileState::Present(content)) if content.values.contains_key(name))
}

/// The file to change: where the variable counts, or where a new one belongs.
fn file_of(name: &str, is_set: bool, asked: Option<&str>, desired: &Desired, observed: &Observed) -> Result<String, String> {
    if desired.computed.as_ref().is_some_and(|computed| computed.templates.contains_key(name)) {
        return Err(format!("{name} is computed by Mooring; change what it is made of"));
    }
    let counts = desired.files.iter().rev().find(|file| stands_in(observed, file, name));
    match (asked, counts) {
        (Some(asked), Some(counts)) if place(desired, asked) < place(desired, counts) && is_set => {
            Err(format!("{counts} has {name} too, and counts before {asked}; change it there"))
        }
        (Some(asked), _) if !is_set && !stands_in(observed, asked, name) => Err(format!("{asked} has no {name}")),
        (Some(asked), _) => Ok(asked.to_owned()),
        (None, Some(counts)) => Ok(counts.clone()),
        (None, None) if !is_set => Err(format!("no file of {} has {name}", desired.key)),
        (None, None) => Ok(new_place(name, desired, observed)),
    }
}

fn place(desired: &Desired, file: &str) -> Option<usize> {
    desired.files.iter().position(|known| known == file)
}

/// Where a new variable belongs: a secret among the secrets, anything else into the last file that there is.
fn new_place(name: &str, desired: &Desired, observed: &Observed) -> String {
    let secrets = desired.secrets.as_ref().map(|secrets| &secrets.file);
    if let Some(file) = secrets.filter(|_| may_be_secret(name, "")) {
        return file.clone();
    }
    let is_there = |file: &&String| matches!(observed.files.get(*file), Some(FileState::Present(_)));
    let files = || desired.files.iter().filter(|file| Some(*file) != secrets);
    files()
        .rev()
        .find(is_there)
        .or_else(|| files().next())
        .or(desired.files.first())
        .cloned()
        .unwrap_or_else(|| ".env".to_owned())
}

/// What is to be known before a variable is changed.
fn variable_details(
    key: &Key,
    name: &str,
    goes: bool,
    users: &Takers,
    (desired, observed, file): (&Desired, &Observed, &str),
) -> Vec<String> {
    let mut details = vec![format!("{file} of {key} changes in this line and in no other")];
    let others = || desired.files.iter().filter(|other| *other != file && stands_in(observed, other, name));
    if goes && let Some(next) = others().next_back() {
        details.push(format!("{next} has it too, and counts then"));
    }
    if goes && desired.secrets.iter().any(|secrets| secrets.generate.iter().any(|secret| secret.variable == name)) {
        details.push("it is a secret that must exist: it comes back from whoever remembers it, or is made anew".to_owned());
    }
    let named = |follows: bool| {
        let users: Vec<String> = users.iter().filter(|(_, does)| **does == follows).map(|(key, _)| key.to_string()).collect();
        (!users.is_empty()).then(|| users.join(", "))
    };
    details.extend(named(true).map(|users| format!("made anew with it, in order: {users}")));
    details.extend(named(false).map(|users| format!("takes it, has data and is not made anew: {users}")));
    if users.is_empty() {
        details.push("no container of ours takes it; what Compose has made takes it with `docker compose up -d`".to_owned());
    }
    details
}

impl Desired {
    /// Whether it is declared to be a secret.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secrets| secrets.generate.iter().any(|secret| secret.variable == name))
    }
}
