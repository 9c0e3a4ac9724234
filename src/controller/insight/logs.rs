//! The log of a container, without the secrets that are known.

use futures::{StreamExt, stream::BoxStream};

use crate::{
    controller::world::{World, lock, out_of_reach},
    manifest::{Key, Kind},
    observe::{
        engine::{self, Inspected, LogAsked},
        log,
    },
    plan::container::State,
    resolve::Desired,
    secret::{
        Secret,
        mask::{Mask, is_telling, password_of},
    },
    view::insight::{LineView, LogQuery},
};

/// More lines are never read at once.
const LINES: usize = 5000;
/// More bytes of text are never shown at once; a log that goes on has an end of its own.
const BYTES: usize = 1 << 20;

impl World {
    /// What the container of an object has written.
    pub(super) async fn log(&self, key: &Key, query: &LogQuery) -> Result<BoxStream<'static, Result<LineView, String>>, String> {
        let failed = |error: engine::Error| out_of_reach(&error);
        let snapshot = self.seen().await.map_err(failed)?;
        let listed = self.listed_of(key, &snapshot);
        let running = listed.iter().rev().find(|listed| listed.state == State::Running);
        let container = running.or(listed.last()).ok_or_else(|| format!("{key} has no container"))?;
        let inspected = self.snapshots.details_of(container).await.map_err(failed)?;
        let mask = Mask::new(&self.secret_values(inspected.as_deref()));
        let asked = LogAsked { tail: query.tail.clamp(1, LINES), since: query.since, follow: query.follow };
        let lines = self.snapshots.engine().log(&container.id, &asked).await.map_err(failed)?;
        let wanted = query.contains.as_ref().map(|text| text.to_lowercase()).filter(|text| !text.is_empty());
        let is_endless = query.follow;
        let shown = lines.map(move |line| {
            let line = line.map_err(|error| out_of_reach(&error))?;
            // First of all: a secret that is cut through is not known any more.
            let text = log::shortened(mask.apply(line.text));
            Ok(LineView { at: line.at.map(|at| at.to_string()).unwrap_or_default(), text })
        });
        let has = move |line: &Result<LineView, String>| {
            let Ok(line) = line else { return true };
            wanted.as_ref().is_none_or(|wanted| line.text.to_lowercase().contains(wanted))
        };
        let meant = shown.filter(move |line| std::future::ready(has(line)));
        let within = meant.scan(0, move |bytes, line: Result<LineView, String>| {
            *bytes += line.as_ref().map_or(0, |line| line.text.len());
            std::future::ready((is_endless || *bytes <= BYTES).then_some(line))
        });
        Ok(within.boxed())
    }

    /// The values that are not to be shown: those of all `Environment`s, and what this container was given under a telling
    /// name.
    pub(in crate::controller) fn secret_values(&self, inspected: Option<&Inspected>) -> Vec<Secret> {
        let mut values = Vec::new();
        let mut add = |name: &str, value: &Secret, is_secret: bool| {
            if is_secret || is_telling(name) {
                values.push(value.clone());
            }
            values.extend(password_of(value.expose()).map(|password| Secret::new(password.to_owned())));
        };
        for name in self.reader.objects().into_keys().filter(|key| key.kind == Kind::Environment).map(|key| key.name) {
            let Ok(all) = self.values(&name) else { continue };
            let kept = self.kept_secrets(&name);
            for (variable, value) in &all {
                add(variable, value, kept.contains(variable));
            }
        }
        for (variable, value) in inspected.iter().flat_map(|inspected| &inspected.variables) {
            add(variable, value, false);
        }
        values
    }

    /// The variables that an `Environment` keeps as secrets: those that it makes, and whatever else is in their file.
    pub(super) fn kept_secrets(&self, environment: &str) -> Vec<String> {
        let key = Key::new(Kind::Environment, environment);
        let known = lock(&self.resolved).get(&key).cloned();
        let Some(Desired::Environment(desired)) = known else { return Vec::new() };
        let Some(secrets) = &desired.secrets else { return Vec::new() };
        let mut names: Vec<String> = secrets.generate.iter().map(|secret| secret.variable.clone()).collect();
        let cascade = self.files.cascade(&desired);
        names.extend(cascade.names_in(&secrets.file));
        names
    }
}
