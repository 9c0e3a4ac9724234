//! `mooring wait`: until objects are as hoped.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Error, Exit,
    backend::Backend,
    client,
    get::name,
    output::{self, Format},
    selection::Selection,
};
use crate::{
    manifest::{
        Key, quantity,
        status::{ConditionStatus, ConditionType},
    },
    settings::Settings,
    view::ObjectView,
};

/// Short enough that a script does not notice, long enough that asking costs nothing.
const PAUSE: Duration = Duration::from_millis(200);
/// `mooring run & mooring wait …` is a common pair, and the operator opens its socket only when its records are open.
const START: Duration = Duration::from_secs(10);

/// Wait until objects meet a condition
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring wait --for condition=Ready container/web
  mooring wait --for condition=Ready --all --timeout 5m
  mooring wait --for delete container/old

Exit codes: 0 met, 1 not met in time, 2 it cannot be said",
    long_about = "Wait until objects meet a condition, which has to be reported about the manifest as it is now.\n\nAn object that is not there yet may still come; without objects, all are meant."
)]
pub(super) struct WaitArgs {
    /// condition=TYPE, condition=TYPE=STATUS, or delete
    #[arg(long = "for", value_name = "CONDITION", default_value = "condition=Ready")]
    goal: Goal,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    timeout: quantity::Duration,
    /// KIND, KIND/NAME or KIND NAME
    #[arg(value_name = "OBJECT")]
    objects: Vec<String>,
    /// Waits for all objects
    #[arg(long, conflicts_with = "objects")]
    all: bool,
    /// How to write the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Condition(ConditionType, ConditionStatus),
    Delete,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "delete" {
            return Ok(Self::Delete);
        }
        let condition = text.strip_prefix("condition=").ok_or("say condition=Ready, condition=Ready=False, or delete")?;
        let (kind, status) = condition.split_once('=').unwrap_or((condition, "True"));
        let status = match status.to_ascii_lowercase().as_str() {
            "true" => ConditionStatus::True,
            "false" => ConditionStatus::False,
            "unknown" => ConditionStatus::Unknown,
            _ => return Err(format!("`{status}` is not True, False or Unknown")),
        };
        Ok(Self::Condition(kind.parse()?, status))
    }
}

pub(super) async fn run(settings: &Settings, args: WaitArgs) -> Result<Exit, Error> {
    let selection = Selection::parse(&args.objects)?;
    let deadline = Instant::now() + args.timeout.0;
    let backend = started(settings, deadline).await?;
    let spinner = output::spinner("waiting");
    let mut told = BTreeSet::new();
    let unmet = loop {
        let objects = backend.objects(selection.kind()).await?;
        let Findings { met, unmet } = findings(args.goal, &selection, &objects);
        for key in met {
            if told.insert(key.clone()) && args.output == Format::Text {
                output::line(&format!("{} {}", name(&key), in_words(args.goal)))?;
            }
        }
        if unmet.is_empty() || Instant::now() >= deadline {
            break unmet;
        }
        spinner
            .set_message(format!("waiting for {}", unmet.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>().join(", ")));
        tokio::time::sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))).await;
    };
    spinner.finish_and_clear();
    conclude(&args, &unmet)
}

fn conclude(args: &WaitArgs, unmet: &[(String, String)]) -> Result<Exit, Error> {
    match args.output {
        Format::Json => {
            let unmet: Vec<_> = unmet.iter().map(|(object, reason)| json!({"object": object, "reason": reason})).collect();
            output::json(&json!({"met": unmet.is_empty(), "unmet": unmet}))?;
        }
        Format::Text => {
            for (object, reason) in unmet {
                output::note(&format!("not met within {}: {object}: {}", args.timeout, output::printable(reason)));
            }
        }
    }
    Ok(if unmet.is_empty() { Exit::Good } else { Exit::Differs })
}

/// The operator that runs, or is about to.
async fn started(settings: &Settings, deadline: Instant) -> Result<Backend, Error> {
    let deadline = deadline.min(Instant::now() + START);
    loop {
        match Backend::running(settings).await {
            Err(Error::Client(client::Error::NoOperator { .. })) if Instant::now() < deadline => {
                tokio::time::sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))).await;
            }
            answered => return answered,
        }
    }
}

/// Which objects are as hoped, and which are not and why.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    met: Vec<Key>,
    unmet: Vec<(String, String)>,
}

fn findings(goal: Goal, selection: &Selection, objects: &[ObjectView]) -> Findings {
    let mut findings = Findings::default();
    let wanted: Vec<(Key, Option<&ObjectView>)> = match selection {
        Selection::Keys(keys) => keys.iter().map(|key| (key.clone(), objects.iter().find(|object| object.key == *key))).collect(),
        // What is being removed will be gone; it is not waited for unless it was named.
        Selection::All | Selection::Kind(_) => objects
            .iter()
            .filter(|object| selection.contains(&object.key) && (goal == Goal::Delete || object.source.is_some()))
            .map(|object| (object.key.clone(), Some(object)))
            .collect(),
    };
    if wanted.is_empty() && goal != Goal::Delete {
        findings.unmet.push(("objects".to_owned(), "there are none".to_owned()));
    }
    for (key, object) in wanted {
        match obstacle(goal, object) {
            None => findings.met.push(key),
            Some(reason) => findings.unmet.push((name(&key), reason)),
        }
    }
    findings
}

/// Why an object is not as hoped; `None` when it is.
fn obstacle(goal: Goal, object: Option<&ObjectView>) -> Option<String> {
    let (kind, wanted) = match (goal, object) {
        (Goal::Delete, object) => return object.map(|_| "it is still there".to_owned()),
        (Goal::Condition(..), None) => return Some("it is not there".to_owned()),
        (Goal::Condition(kind, wanted), Some(_)) => (kind, wanted),
    };
    let object = object?;
    let Some(status) = &object.status else { return Some("nothing is reported yet".to_owned()) };
    // What was reported about an earlier manifest says nothing about this one.
    if status.observed_generation != Some(object.generation) {
        return Some("the manifest has changed and was not looked at yet".to_owned());
    }
    match status.condition(kind) {
        Some(condition) if condition.status == wanted => None,
        Some(condition) => Some(format!("{kind} is {:?}: {}: {}", condition.status, condition.reason, condition.message)),
        // A condition that never held is not always reported.
        None if wanted == ConditionStatus::False => None,
        None => Some(format!("{kind} is not reported")),
    }
}

fn in_words(goal: Goal) -> String {
    match goal {
        Goal::Condition(kind, ConditionStatus::True) => format!("is {kind}"),
        Goal::Condition(kind, status) => format!("has {kind} {status:?}"),
        Goal::Delete => "is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http::fake, manifest::Kind};

    const READY: Goal = Goal::Condition(ConditionType::Ready, ConditionStatus::True);

    #[test]
    fn goals_are_read_as_kubectl_does() {
        assert_eq!("condition=Ready".parse(), Ok(READY));
        assert_eq!("condition=ready=true".parse(), Ok(READY));
        assert_eq!("condition=CrashLoop=False".parse(), Ok(Goal::Condition(ConditionType::CrashLoop, ConditionStatus::False)));
        assert_eq!("delete".parse(), Ok(Goal::Delete));
        assert!("Ready".parse::<Goal>().is_err());
        assert!("condition=Redy".parse::<Goal>().is_err());
        assert!("condition=Ready=Perhaps".parse::<Goal>().is_err());
    }

    #[test]
    fn a_condition_has_to_hold_for_the_manifest_as_it_is_now() {
        let object = fake::web(ConditionStatus::True);
        assert_eq!(obstacle(READY, Some(&object)), None);
        let changed = ObjectView { generation: 3, ..object };
        assert_eq!(obstacle(READY, Some(&changed)).as_deref(), Some("the manifest has changed and was not looked at yet"));
        assert_eq!(obstacle(READY, Some(&fake::shop())).as_deref(), Some("nothing is reported yet"));
    }

    #[test]
    fn an_object_that_is_not_there_yet_may_still_come() {
        assert_eq!(obstacle(READY, None).as_deref(), Some("it is not there"));
        assert_eq!(obstacle(Goal::Delete, None), None);
        assert_eq!(obstacle(Goal::Delete, Some(&fake::shop())).as_deref(), Some("it is still there"));
    }

    #[test]
    fn nothing_at_all_is_not_everything_ready() {
        let nothing = findings(READY, &Selection::All, &[]);
        assert_eq!(nothing.unmet, [("objects".to_owned(), "there are none".to_owned())]);
        assert_eq!(findings(Goal::Delete, &Selection::All, &[]), Findings::default());
    }

    #[test]
    fn what_is_being_removed_is_not_waited_for() {
        let gone = ObjectView { source: None, ..fake::web(ConditionStatus::False) };
        let ready = ObjectView { key: Key::new(Kind::Container, "api"), ..fake::web(ConditionStatus::True) };
        let findings = findings(READY, &Selection::All, &[gone, ready]);
        assert_eq!(findings.met, [Key::new(Kind::Container, "api")]);
        assert!(findings.unmet.is_empty());
    }
}
