use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::plan::{Target, Why, fight::Contest, shape::FieldChange};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn web() -> Target {
    Target::seen("1", "web")
}

fn step(action: EngineAction, why: Why) -> Step {
    Step { action: action.into(), why }
}

fn start() -> Plan {
    let why = Why::NotRunning { exit_code: 137, out_of_memory: false };
    Plan { steps: vec![step(EngineAction::StartContainer { container: web() }, why)], ..Plan::default() }
}

fn restart() -> Plan {
    Plan { steps: vec![step(EngineAction::RestartContainer { container: web() }, Why::Unhealthy)], ..Plan::default() }
}

fn replace() -> Plan {
    let fields = vec![FieldChange { field: "image".to_owned(), from: None, to: Some("web:2".to_owned()) }];
    let why = Why::Outdated { fields };
    Plan { steps: vec![step(EngineAction::StopContainer { container: web() }, why)], ..Plan::default() }
}

fn connect() -> Plan {
    let network = "shop".to_owned();
    let action = EngineAction::CreateNetwork { name: network.clone() };
    Plan { steps: vec![step(action, Why::Missing)], ..Plan::default() }
}

fn spent(scope: &str, acts: &[i64]) -> Budget {
    let acts = acts.iter().map(|act| at(*act)).collect();
    Budget { scope: scope.to_owned(), attempts: 2, window: SignedDuration::from_mins(1), acts }
}

fn check(plan: Plan, restraints: &Restraints, expected: &Expect) {
    expected.assert_eq(&restrain(plan, &History::default(), restraints, at(50)).to_string());
}

#[test]
fn who_only_observes_sees_what_would_be_done() {
    check(
        start(),
        &Restraints { observe: Some("group shop".to_owned()), ..Restraints::default() },
        &expect![[r#"
            held back: start web, because it exited with 137
            wait: only observed, as group shop says
        "#]],
    );
}

#[test]
fn a_budget_that_is_spent_says_whose_it_is_and_when_there_is_more() {
    let budgets = vec![spent("the host", &[40]), spent("group shop", &[10, 20, 45])];
    check(
        restart(),
        &Restraints { budgets, ..Restraints::default() },
        &expect![[r#"
            held back: restart web, because it is unhealthy
            wait: the budget of group shop is spent (2 tries in 1m); there is something left at 2026-01-01T00:01:20Z
        "#]],
    );
}

#[test]
fn a_budget_is_for_acts_on_containers_and_not_for_the_rest() {
    let restraints = Restraints { budgets: vec![spent("the host", &[10, 20])], ..Restraints::default() };
    assert_eq!(restrain(connect(), &History::default(), &restraints, at(50)), connect());
}

#[test]
fn while_the_host_is_in_trouble_what_runs_is_not_touched_and_what_is_down_has_to_wait_for_its_turn() {
    let trouble = |is_turn| {
        let stance = Stance::Trouble { cause: "the disk is full".to_owned(), is_turn };
        Restraints { stance, ..Restraints::default() }
    };
    let held = expect![[r#"
        held back: restart web, because it is unhealthy
        wait: what runs is not touched while the host is in trouble: the disk is full
    "#]];
    check(restart(), &trouble(true), &held);
    check(
        replace(),
        &trouble(true),
        &expect![[r#"
            held back: stop web, because it differs in image added: web:2
            wait: what runs is not touched while the host is in trouble: the disk is full
        "#]],
    );
    check(
        start(),
        &trouble(false),
        &expect![[r#"
            held back: start web, because it exited with 137
            wait: containers come back a few at a time, and others are before it
        "#]],
    );
    assert_eq!(restrain(start(), &History::default(), &trouble(true), at(50)), start());
}

fn stances() -> impl Strategy<Value = Stance> {
    prop_oneof![
        Just(Stance::Ordinary),
        any::<bool>().prop_map(|is_turn| Stance::Trouble { cause: "a cause".to_owned(), is_turn }),
        any::<bool>().prop_map(|is_turn| Stance::Recovery { is_turn }),
    ]
}

proptest! {
    #[test]
    fn steps_are_taken_or_withheld_never_both_and_never_lost(
        number in 0_usize..4,
        observe in any::<bool>(),
        acts in proptest::collection::vec(0_i64..100, 0..6),
        stance in stances(),
        is_contested in any::<bool>(),
        is_finishing in any::<bool>(),
    ) {
        let before = Plan { is_finishing, ..[start(), restart(), replace(), connect()][number].clone() };
        let contest = Contest { what: "image = web:2".to_owned(), times: 3 };
        let restraints = Restraints {
            observe: observe.then(|| "somebody".to_owned()),
            budgets: vec![spent("the host", &acts)],
            stance,
            contests: Contests { contested: is_contested.then_some(contest).into_iter().collect(), ..Contests::default() },
        };
        let after = restrain(before.clone(), &History::default(), &restraints, at(50));
        let all: Vec<_> = after.steps.iter().chain(&after.withheld).cloned().collect();
        prop_assert_eq!(&all, &before.steps);
        prop_assert!(after.withheld.is_empty() || (after.steps.is_empty() && after.wait.is_some()));
        prop_assert!(!is_finishing || observe || is_contested || after.withheld.is_empty(), "what was begun is finished");
        // Restraining what is restrained changes nothing more.
        prop_assert_eq!(restrain(after.clone(), &History::default(), &restraints, at(50)), after);
    }

    #[test]
    fn a_budget_is_never_exceeded(acts in proptest::collection::vec(0_i64..300, 0..60)) {
        let mut budget = Budget { attempts: 3, ..spent("the host", &[]) };
        let mut sorted = acts;
        sorted.sort_unstable();
        for act in sorted {
            if budget.spent_until(at(act)).is_none() {
                budget.acts.push(at(act));
            }
        }
        for act in &budget.acts {
            let within = budget.acts.iter().filter(|other| **other <= *act && act.duration_since(**other) < budget.window);
            prop_assert!(within.count() <= 3);
        }
    }
}
