//! `mooring describe`: everything about one object.

use anstyle::Style;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{
    Error, Exit,
    age::age,
    backend::Backend,
    diff, events,
    get::{headline, resource},
    output::{self, FAINT, Format, STRONG},
    selection,
    table::Table,
};
use crate::{
    manifest::status::{Condition, ConditionStatus, ConditionType},
    settings::Settings,
    view::{EventView, ObjectView, PlanView},
};

/// Enough to see what led to this.
const EVENTS: usize = 10;

/// Show everything about one object: spec, conditions, what would be done, what happened
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring describe container/web
  mooring describe env shop -o json")]
pub(super) struct DescribeArgs {
    /// KIND/NAME or KIND NAME
    #[arg(value_name = "OBJECT", required = true)]
    object: Vec<String>,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: DescribeArgs) -> Result<Exit, Error> {
    let key = selection::one(&args.object)?;
    let backend = Backend::any(settings).await?;
    backend.warn().await;
    // What is described is pasted into tickets; `get -o yaml` shows the manifest as it is.
    let object = backend.object(&key).await?.masked();
    // The engine may be away, or the journal; the rest is still worth telling.
    let plan = output::patiently("looking", backend.plans(Some(&key))).await;
    let plan = plan.map(|plans| plans.into_iter().find(|plan| plan.key == key)).map_err(|error| told(&error));
    let events = backend.events(Some(&key), EVENTS).await.map_err(|error| told(&error));
    match args.output {
        Format::Json => output::json(&json!({
            "object": resource(&object),
            "source": object.source,
            "plan": plan.as_ref().ok(),
            "events": events.as_ref().ok(),
        }))?,
        Format::Text => output::print(&rendered(&object, &plan, &events, Timestamp::now()))?,
    }
    Ok(Exit::Good)
}

fn told(error: &Error) -> String {
    crate::error_chain(error)
}

fn rendered(
    object: &ObjectView,
    plan: &Result<Option<PlanView>, String>,
    events: &Result<Vec<EventView>, String>,
    now: Timestamp,
) -> String {
    let spec = object.manifest.as_ref().and_then(|manifest| manifest.get("spec"));
    let plan = match plan {
        Ok(Some(plan)) if plan.is_worth_telling() => output::lines(diff::plan_lines(plan)),
        Ok(_) => "It is as declared.".to_owned(),
        Err(error) => format!("It cannot be said: {}", output::printable(error)),
    };
    let events = match events {
        Ok(events) if events.is_empty() => String::new(),
        Ok(events) => events::rendered(events),
        Err(error) => format!("They cannot be read: {}", output::printable(error)),
    };
    let sections = [
        ("Conditions", conditions(object, now)),
        ("Spec", spec.map(output::yaml).unwrap_or_default()),
        ("Plan", plan),
        ("Events", events),
    ];
    let sections = sections.into_iter().flat_map(|(heading, body)| section(heading, &body));
    output::lines(facts(object).into_iter().chain(sections))
}

fn facts(object: &ObjectView) -> Vec<String> {
    let observed = object.status.as_ref().and_then(|status| status.observed_generation);
    let observed = observed.map_or_else(|| "not yet observed".to_owned(), |generation| format!("observed {generation}"));
    let facts = [
        ("Name", object.key.name.clone()),
        ("Kind", object.key.kind.to_string()),
        ("Source", object.source.clone().unwrap_or_else(|| "none, its manifest is gone".to_owned())),
        ("Generation", format!("{} ({observed})", object.generation)),
        ("Status", headline(object)),
    ];
    let line =
        |(name, value): (&str, String)| format!("{STRONG}{:<13}{STRONG:#}{}", format!("{name}:"), output::printable(&value));
    facts.into_iter().map(line).collect()
}

fn conditions(object: &ObjectView, now: Timestamp) -> String {
    let Some(status) = object.status.as_ref().filter(|status| !status.conditions.is_empty()) else { return String::new() };
    let mut table = Table::new(&["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"]);
    for condition in &status.conditions {
        let since = age(&condition.last_transition_time, now);
        let (kind, holds) = (condition.kind.to_string(), format!("{:?}", condition.status));
        table.row([kind, holds, since, condition.reason.clone(), condition.message.clone()], style(condition));
    }
    table.render()
}

/// What is unknown is neither good nor bad, and must not look like either.
fn style(condition: &Condition) -> Style {
    match (condition.kind, condition.status) {
        (ConditionType::Ready, ConditionStatus::True) => output::GOOD,
        (ConditionType::Ready, ConditionStatus::False)
        | (ConditionType::CrashLoop | ConditionType::Degraded, ConditionStatus::True) => output::BAD,
        (_, ConditionStatus::Unknown) | (ConditionType::Progressing | ConditionType::Held, ConditionStatus::True) => output::WARN,
        (_, ConditionStatus::False) => output::PLAIN,
    }
}

/// A part under a heading, indented.
fn section(heading: &str, body: &str) -> Vec<String> {
    let none = format!("{FAINT}none{FAINT:#}");
    let body = if body.is_empty() { none.as_str() } else { body };
    let heading = [String::new(), format!("{STRONG}{heading}:{STRONG:#}")];
    heading.into_iter().chain(body.lines().map(|line| format!("  {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::http::fake;

    fn now() -> Timestamp {
        "2026-01-02T03:14:05Z".parse().unwrap()
    }

    #[test]
    fn everything_about_an_object_is_on_one_page() {
        let object = fake::web(ConditionStatus::False);
        let page = rendered(&object, &Ok(Some(fake::plan())), &Ok(vec![fake::event("Started", 2)]), now());
        expect![[r#"
            Name:        web
            Kind:        Container
            Source:      web.yaml:1
            Generation:  2 (observed 2)
            Status:      BackingOff

            Conditions:
              TYPE    STATUS   SINCE   REASON       MESSAGE
              Ready   False    10m     BackingOff   it exited with 137; next try in 4s

            Spec:
              image: nginx:1.27

            Plan:
              ~ container/web
                  1. create web from nginx:1.27, because it differs:
                       image: nginx:1.26 → nginx:1.27
                  waits: 4s until the next try (BackingOff)

            Events:
              TIME                   TYPE      REASON               OBJECT                     MESSAGE
              2026-01-02T03:05:05Z   Normal    Started              Container/web              start web, because it exited with 137 (2 times since 2026-01-02T03:04:05Z)
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&page).to_string());
    }

    #[test]
    fn a_condition_that_nobody_knows_looks_like_neither_a_good_nor_a_bad_one() {
        let styles = [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown].map(|status| {
            let conditions = fake::web(status).status.unwrap().conditions;
            style(&conditions[0])
        });
        assert_eq!(styles, [output::GOOD, output::BAD, output::WARN]);
    }

    #[test]
    fn what_cannot_be_said_does_not_hide_the_rest() {
        let page = rendered(&fake::shop(), &Err("the engine is away".to_owned()), &Err("the journal is away".to_owned()), now());
        expect![[r#"
            Name:        shop
            Kind:        Environment
            Source:      shop.yaml:1
            Generation:  1 (not yet observed)
            Status:      Pending

            Conditions:
              none

            Spec:
              none

            Plan:
              It cannot be said: the engine is away

            Events:
              They cannot be read: the journal is away
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&page).to_string());
    }
}
