//! `mooring diff`: what differs, and what would be done about it.

use clap::Args;
use serde_json::json;

use super::{
    Error, Exit,
    backend::Backend,
    get::name,
    output::{self, BAD, FAINT, Format, GOOD, PLAIN, STRONG, WARN, printable},
    selection::Selection,
};
use crate::{
    settings::Settings,
    view::{Change, PlanView, StepView},
};

/// Show what differs from the manifests and what would be done about it
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring diff
  mooring diff container/web
  mooring diff -o json | jq '.items[].steps[].action'

Exit codes: 0 nothing differs, 1 something differs, 2 it cannot be said",
    long_about = "Show what differs from the manifests and what would be done about it.\n\nWhat would be removed comes first. Secret values are shown as fingerprints."
)]
pub(super) struct DiffArgs {
    /// KIND, KIND/NAME or KIND NAME; everything, unless given
    #[arg(value_name = "OBJECT")]
    objects: Vec<String>,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: DiffArgs) -> Result<Exit, Error> {
    let selection = Selection::parse(&args.objects)?;
    let backend = Backend::any(settings).await?;
    let plans = output::patiently("looking at everything", plans(&backend, &selection)).await?;
    let differs = plans.iter().any(PlanView::differs);
    match args.output {
        Format::Json => output::json(&json!({"differs": differs, "items": plans}))?,
        Format::Text => output::print(&rendered(&plans))?,
    }
    Ok(if differs { Exit::Differs } else { Exit::Good })
}

async fn plans(backend: &Backend, selection: &Selection) -> Result<Vec<PlanView>, Error> {
    // What was named has to be there; a slip of the finger is answered with the right name.
    selection.pick(backend.objects(selection.kind()).await?)?;
    let only = match selection {
        Selection::Keys(keys) if keys.len() == 1 => keys.first(),
        Selection::All | Selection::Kind(_) | Selection::Keys(_) => None,
    };
    Ok(arranged(backend.plans(only).await?, selection))
}

fn arranged(mut plans: Vec<PlanView>, selection: &Selection) -> Vec<PlanView> {
    plans.retain(|plan| selection.contains(&plan.key));
    plans.sort_by_key(|plan| !is_removal(plan));
    plans
}

/// What cannot be taken back comes first.
fn is_removal(plan: &PlanView) -> bool {
    plan.steps.iter().any(|step| step.why == "NoLongerWanted")
}

/// The plans that differ, and how many do not.
pub(super) fn rendered(plans: &[PlanView]) -> String {
    let worth_telling = plans.iter().filter(|plan| plan.is_worth_telling());
    let mut lines: Vec<String> = worth_telling.flat_map(plan_lines).collect();
    let differing = plans.iter().filter(|plan| plan.differs()).count();
    lines.push(match (differing, plans.len() - differing) {
        (0, 0) => format!("{GOOD}Nothing is declared.{GOOD:#}"),
        (0, _) => format!("{GOOD}Everything is as declared.{GOOD:#}"),
        (1, same) => format!("1 object differs, {same} as declared."),
        (differing, same) => format!("{differing} objects differ, {same} as declared."),
    });
    output::lines(lines)
}

/// One object: what would be done, and what stands in the way.
pub(super) fn plan_lines(plan: &PlanView) -> Vec<String> {
    let (sign, style) = sign(plan);
    let mut lines = vec![format!("{style}{sign} {STRONG}{}{STRONG:#}{style:#}", printable(&name(&plan.key)))];
    // Steps follow from the same differences; they are worth their lines once.
    let mut told: &[Change] = &[];
    for (number, step) in plan.steps.iter().enumerate() {
        lines.append(&mut step_lines(number + 1, step, told));
        told = &step.changes;
    }
    let withheld = plan.withheld.iter().map(|step| (WARN, "held back", format!("{}, because {}", step.action, step.because)));
    let refused = plan.refused.iter().map(|refused| (BAD, "refused", refused.clone()));
    let waits = plan.wait.iter().map(|wait| (WARN, "waits", format!("{} ({})", wait.message, wait.code)));
    let notes = plan.notes.iter().map(|note| (FAINT, "note", note.clone()));
    let more = withheld.chain(refused).chain(waits).chain(notes);
    lines.extend(more.map(|(style, what, message)| format!("    {style}{what}:{style:#} {}", printable(&message))));
    lines
}

fn step_lines(number: usize, step: &StepView, told: &[Change]) -> Vec<String> {
    let is_told = !step.changes.is_empty() && step.changes == told;
    let reason = match step.changes.as_slice() {
        [] => format!("because {}", step.because),
        _ if is_told => "for the same reason".to_owned(),
        _ => "because it differs:".to_owned(),
    };
    let untold = if is_told { &[] } else { step.changes.as_slice() };
    let step = format!("    {number}. {}, {}", printable(&step.action), printable(&reason));
    let changes = untold.iter().map(|change| format!("         {}", change_text(change)));
    std::iter::once(step).chain(changes).collect()
}

/// One field, from and to.
pub(super) fn change_text(change: &Change) -> String {
    let Change { field, from, to } = change;
    match (from, to) {
        (Some(from), Some(to)) => format!("{field}: {BAD}{}{BAD:#} → {GOOD}{}{GOOD:#}", printable(from), printable(to)),
        (None, Some(to)) => format!("{field}: {GOOD}added {}{GOOD:#}", printable(to)),
        (Some(from), None) => format!("{field}: {BAD}removed, was {}{BAD:#}", printable(from)),
        (None, None) => format!("{field}: changed"),
    }
}

fn sign(plan: &PlanView) -> (char, anstyle::Style) {
    let makes = plan.steps.iter().any(|step| step.operation == "CreateContainer" && step.why == "Missing");
    match () {
        () if is_removal(plan) => ('-', BAD),
        () if plan.refused.is_some() => ('!', BAD),
        () if makes => ('+', GOOD),
        () if plan.differs() => ('~', WARN),
        () => ('=', PLAIN),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{
        http::fake,
        manifest::{Key, Kind},
        view::WaitView,
    };

    fn plan(name: &str, steps: Vec<StepView>) -> PlanView {
        let key = Key::new(Kind::Container, name);
        PlanView { key, steps, withheld: Vec::new(), wait: None, notes: Vec::new(), refused: None }
    }

    fn step(action: &str, why: &str, because: &str) -> StepView {
        let operation = if action.starts_with("create") { "CreateContainer" } else { "StopContainer" };
        StepView {
            operation: operation.to_owned(),
            target: "web".to_owned(),
            action: action.to_owned(),
            why: why.to_owned(),
            because: because.to_owned(),
            changes: Vec::new(),
        }
    }

    fn held() -> WaitView {
        WaitView { code: "Held".to_owned(), message: "held until noon".to_owned(), is_in_the_way: false }
    }

    fn plain(plans: &[PlanView]) -> String {
        anstream::adapter::strip_str(&rendered(plans)).to_string()
    }

    #[test]
    fn every_difference_is_told_once_with_its_steps_and_what_they_wait_for() {
        let mut web = fake::plan();
        web.steps.push(StepView { action: "stop web-old".to_owned(), ..web.steps[0].clone() });
        let refused =
            PlanView { refused: Some("spec.envFrom.0: there is no Environment/shop".to_owned()), ..plan("api", Vec::new()) };
        let plans = [
            plan("old", vec![step("stop old", "NoLongerWanted", "its manifest is gone")]),
            plan("new", vec![step("create new from nginx", "Missing", "it is missing")]),
            web,
            refused,
            plan("same", Vec::new()),
            PlanView { notes: vec!["container web-1 is a leftover".to_owned()], ..plan("noted", Vec::new()) },
            PlanView {
                withheld: vec![step("stop db", "Unhealthy", "it is unhealthy")],
                wait: Some(held()),
                ..plan("db", Vec::new())
            },
            PlanView { wait: Some(held()), ..plan("quiet", Vec::new()) },
        ];
        expect![[r#"
            - container/old
                1. stop old, because its manifest is gone
            + container/new
                1. create new from nginx, because it is missing
            ~ container/web
                1. create web from nginx:1.27, because it differs:
                     image: nginx:1.26 → nginx:1.27
                2. stop web-old, for the same reason
                waits: 4s until the next try (BackingOff)
            ! container/api
                refused: spec.envFrom.0: there is no Environment/shop
            = container/noted
                note: container web-1 is a leftover
            ~ container/db
                held back: stop db, because it is unhealthy
                waits: held until noon (Held)
            = container/quiet
                waits: held until noon (Held)
            5 objects differ, 3 as declared.
        "#]]
        .assert_eq(&plain(&plans));
    }

    #[test]
    fn nothing_that_differs_is_said_in_a_line() {
        assert_eq!(plain(&[plan("web", Vec::new())]), "Everything is as declared.\n");
        assert_eq!(plain(&[]), "Nothing is declared.\n");
    }

    #[test]
    fn removals_come_first_and_only_what_was_asked_for_is_shown() {
        let removal = plan("zz", vec![step("stop zz", "NoLongerWanted", "its manifest is gone")]);
        let names = |selection: &Selection| {
            let plans = arranged(vec![fake::plan(), plan("api", Vec::new()), removal.clone()], selection);
            plans.into_iter().map(|plan| plan.key.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&Selection::All), ["zz", "web", "api"]);
        assert_eq!(names(&Selection::Keys(vec![Key::new(Kind::Container, "api")])), ["api"]);
    }
}
