//! The host: its windows, groups and limits.

use jiff::SignedDuration;

use super::{Error, Refusal};
use crate::{
    manifest::{HostSpec, hold::Target, host, quantity, window::Hours, window::Window},
    plan::{
        guard,
        host::{Desired, Group, Policy},
    },
    store::Object,
};

/// `source` has read all of it before; a refusal here is for manifests that came another way.
pub(super) fn resolve(object: &Object, spec: &HostSpec) -> Result<Desired, Error> {
    Ok(Desired { key: object.key().clone(), generation: object.generation(), policy: policy(spec)? })
}

/// What a manifest permits.
pub(crate) fn policy(spec: &HostSpec) -> Result<Policy, Error> {
    let group = |(name, group): (&String, &host::Group)| {
        let member = |(at, text): (usize, &String)| {
            let refused = |error: crate::manifest::hold::InvalidTarget| {
                Error(vec![Refusal { path: format!("spec.groups.{name}.members.{at}"), message: error.to_string() }])
            };
            text.parse::<Target>().map_err(refused)
        };
        let group = Group {
            members: group.members.iter().enumerate().map(member).collect::<Result<_, _>>()?,
            mode: group.mode,
            window: hours(group.window.as_ref(), &format!("spec.groups.{name}.window"))?,
            budget: group.budget.as_ref().map(|budget| (budget.attempts, span(budget.window))),
        };
        Ok((name.clone(), group))
    };
    Ok(Policy {
        mode: spec.mode,
        window: hours(spec.window.as_ref(), "spec.window")?,
        budget: spec.budget.clone(),
        groups: spec.groups.iter().map(group).collect::<Result<_, Error>>()?,
        guard: guard::Settings {
            percent: spec.guard.percent,
            containers: spec.guard.containers,
            within: span(spec.guard.within),
            patience: span(spec.guard.patience),
            concurrency: spec.guard.concurrency,
            disk_free: spec.guard.disk_free.0,
        },
        fights: (spec.fights.corrections, span(spec.fights.window)),
        database: spec.database.clone(),
    })
}

impl Default for Policy {
    fn default() -> Self {
        policy(&HostSpec::default()).expect("a manifest without windows and groups has nothing that could be refused")
    }
}

/// A window that has been understood.
pub(super) fn hours(window: Option<&Window>, path: &str) -> Result<Option<Hours>, Error> {
    let refusal = |wrong: crate::manifest::window::InvalidWindow| Refusal {
        path: format!("{path}.{}", wrong.field.replace('/', ".")),
        message: wrong.message,
    };
    let hours = window.map(Window::hours).transpose();
    hours.map_err(|wrong| Error(wrong.into_iter().map(refusal).collect()))
}

/// A span of time as the planner counts it.
fn span(duration: quantity::Duration) -> SignedDuration {
    SignedDuration::try_from(duration.0).unwrap_or(SignedDuration::MAX)
}
