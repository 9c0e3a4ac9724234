//! The host: its windows, groups and limits.

use super::{Error, Refusal};
use crate::{
    alerts::{
        self,
        policy::{Mute, Way, span},
    },
    manifest::{
        self, HostSpec,
        alerts::Alerts,
        hold::{self, Target},
        host,
        window::Hours,
        window::Window,
    },
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
        alerts: alerts(&spec.alerts)?,
    })
}

/// Who is told of what.
fn alerts(spec: &Alerts) -> Result<alerts::Policy, Error> {
    let Alerts { delay, group, repeat, hostname, mute, receivers } = spec;
    let mute = mute.iter().enumerate().map(|(at, mute)| {
        let path = format!("spec.alerts.mute.{at}");
        let until = mute.until.as_deref().map(hold::moment).transpose();
        Ok(Mute {
            targets: targets(&mute.targets, &format!("{path}.targets"))?,
            reasons: mute.reasons.clone(),
            until: until.map_err(|error| refused(format!("{path}.until"), &error))?,
        })
    });
    let receivers = receivers.iter().enumerate().map(|(at, receiver)| {
        let path = format!("spec.alerts.receivers.{at}");
        let manifest::alerts::Receiver { name, severity, only, webhook, slack, alertmanager, email } = receiver;
        let ways =
            [webhook.clone().map(Way::Webhook), slack.clone().map(Way::Slack), alertmanager.clone().map(Way::Alertmanager)];
        let way = ways.into_iter().flatten().chain(email.clone().map(Way::Email)).next();
        Ok(alerts::Receiver {
            name: name.clone(),
            severity: *severity,
            only: targets(only, &format!("{path}.only"))?,
            way: way.ok_or_else(|| refused(path, &"a receiver has one of webhook, slack, alertmanager and email"))?,
        })
    });
    Ok(alerts::Policy {
        delay: span(*delay),
        group: span(*group),
        repeat: repeat.0.map(span),
        hostname: hostname.clone(),
        mute: mute.collect::<Result<_, Error>>()?,
        receivers: receivers.collect::<Result<_, Error>>()?,
    })
}

fn targets(texts: &[String], path: &str) -> Result<Vec<manifest::alerts::Target>, Error> {
    let target = |(at, text): (usize, &String)| text.parse().map_err(|error| refused(format!("{path}.{at}"), &error));
    texts.iter().enumerate().map(target).collect()
}

fn refused(path: String, error: &impl ToString) -> Error {
    Error(vec![Refusal { path, message: error.to_string() }])
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
