//! A hold on objects: what would be done to them is shown, and waits.
//!
//! Nothing is ever done for a hold itself. [`withhold`] takes the steps out of
//! the plan of an object that is held, wherever plans are made, so that no kind
//! has to know of holds and none can forget them.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::{Note, Plan, Wait};
use crate::manifest::{Key, hold::Target};

/// What the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The hold.
    pub key: Key,
    /// The manifest's generation.
    pub generation: i64,
    /// What it is on.
    pub targets: Vec<Target>,
    /// Its end. From then on it does nothing.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: Option<String>,
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// Targets that mean no object, with the object that was probably meant.
    pub unmatched: Vec<Unmatched>,
}

/// A target that means no object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unmatched {
    /// The target.
    pub target: String,
    /// The object that was probably meant.
    pub nearest: Option<Key>,
}

impl Unmatched {
    /// What was probably meant, to be added to a sentence.
    #[must_use]
    pub fn suggestion(&self) -> String {
        self.nearest.as_ref().map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default()
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} means no object", self.target)
    }
}

impl Desired {
    /// Whether it holds anything at this moment.
    #[must_use]
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        at < self.until
    }

    /// Whether it is on this object, or on the one that it was expanded from.
    #[must_use]
    pub fn covers(&self, key: &Key, expanded_from: Option<&Key>) -> bool {
        self.targets.iter().any(|target| target.covers(key) || expanded_from.is_some_and(|parent| target.covers(parent)))
    }

    fn wait(&self) -> Wait {
        Wait::Held { hold: self.key.clone(), until: self.until, by: self.by.clone(), reason: self.reason.clone() }
    }
}

/// Nothing is to be done for a hold; only whether it is over, and what it misses, is worth telling.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    if !desired.is_in_force(observed.at) {
        return Plan::waiting(Wait::HoldOver { since: desired.until });
    }
    let notes = observed.unmatched.iter().cloned().map(Note::HoldsNothing).collect();
    Plan { notes, ..Plan::waiting(desired.wait()) }
}

/// An object's plan under these holds, when it is looked at at this moment.
///
/// The steps are kept aside, in their order. Of several holds the one that lasts longest is told. What stands in the way
/// anyway is told instead of the hold when there is no step that the hold keeps from being taken.
#[must_use]
pub fn withhold(plan: Plan, object: (&Key, Option<&Key>), holds: &[Desired], at: Timestamp) -> Plan {
    let (key, expanded_from) = object;
    let in_force = holds.iter().filter(|hold| hold.is_in_force(at) && hold.covers(key, expanded_from));
    let Some(hold) = in_force.max_by(|one, other| (one.until, &other.key).cmp(&(other.until, &one.key))) else {
        return plan;
    };
    let has_steps = !plan.steps.is_empty() || !plan.withheld.is_empty();
    let wait = plan.wait.clone().filter(|_| !has_steps).unwrap_or_else(|| hold.wait());
    plan.withheld_for(wait)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        manifest::Kind,
        plan::{EngineAction, Target as Container, Why},
    };

    const NOON: &str = "2026-11-21T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn web() -> Key {
        Key::new(Kind::Container, "web")
    }

    fn hold(name: &str, targets: &[&str], until: &str) -> Desired {
        Desired {
            key: Key::new(Kind::Hold, name),
            generation: 1,
            targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
            until: at(until),
            reason: "the disk is being replaced".to_owned(),
            by: Some("ada".to_owned()),
        }
    }

    fn restart() -> Plan {
        let mut plan = Plan::starting();
        let container = Container::seen("1", "web");
        plan.step(EngineAction::StopContainer { container: container.clone() }, Why::Unhealthy);
        plan.step(EngineAction::StartContainer { container }, Why::Unhealthy);
        plan
    }

    fn check(plan: Plan, holds: &[Desired], expected: &Expect) {
        expected.assert_eq(&withhold(plan, (&web(), None), holds, at(NOON)).to_string());
    }

    #[test]
    fn the_steps_of_what_is_held_are_listed_and_wait() {
        check(
            restart(),
            &[hold("disk", &["container/web"], "2026-11-21T14:00:00Z")],
            &expect![[r#"
                held back: stop web, because it is unhealthy
                held back: start web, because it is unhealthy
                wait: held until 2026-11-21T14:00:00Z by ada (Hold/disk): the disk is being replaced
            "#]],
        );
    }

    #[test]
    fn a_hold_that_is_over_or_on_others_changes_nothing() {
        let holds = [hold("disk", &["container/web"], NOON), hold("api", &["container/api"], "2026-11-21T14:00:00Z")];
        assert_eq!(withhold(restart(), (&web(), None), &holds, at(NOON)), restart());
    }

    #[test]
    fn what_is_held_and_as_declared_says_that_it_is_held_and_is_no_difference() {
        let holds = [hold("all", &["all"], "2026-11-21T14:00:00Z")];
        let plan = withhold(Plan::default(), (&web(), None), &holds, at(NOON));
        assert!(plan.is_converged());
        expect![[r#"
            wait: held until 2026-11-21T14:00:00Z by ada (Hold/all): the disk is being replaced
        "#]]
        .assert_eq(&plan.to_string());
    }

    #[test]
    fn what_stands_in_the_way_anyway_is_not_hidden_by_a_hold() {
        check(
            Plan::waiting(Wait::NotFound),
            &[hold("all", &["all"], "2026-11-21T14:00:00Z")],
            &expect![[r#"
                wait: there is no such container, and making it is not Mooring's job
            "#]],
        );
    }

    #[test]
    fn of_several_holds_the_longest_is_told() {
        check(
            restart(),
            &[hold("short", &["all"], "2026-11-21T13:00:00Z"), hold("long", &["container"], "2026-11-22T13:00:00Z")],
            &expect![[r#"
                held back: stop web, because it is unhealthy
                held back: start web, because it is unhealthy
                wait: held until 2026-11-22T13:00:00Z by ada (Hold/long): the disk is being replaced
            "#]],
        );
    }

    #[test]
    fn what_a_held_plugin_expands_into_is_held_with_it() {
        let claw = Key::new(Kind::Plugin, "claw");
        let holds = [hold("claw", &["plugin/claw"], "2026-11-21T14:00:00Z")];
        assert!(withhold(restart(), (&web(), Some(&claw)), &holds, at(NOON)).steps.is_empty());
        assert_eq!(withhold(restart(), (&web(), None), &holds, at(NOON)), restart());
    }

    #[test]
    fn a_hold_says_what_it_misses_and_when_it_is_over() {
        let desired = hold("disk", &["container/wbe"], "2026-11-21T14:00:00Z");
        let unmatched = vec![Unmatched { target: "Container/wbe".to_owned(), nearest: Some(web()) }];
        let told = plan(&desired, &Observed { at: at(NOON), unmatched: unmatched.clone() });
        expect![[r#"
            wait: held until 2026-11-21T14:00:00Z by ada (Hold/disk): the disk is being replaced
            note: Container/wbe means no object, so nothing is held by it (did you mean Container/web?)
        "#]]
        .assert_eq(&told.to_string());
        let told = plan(&desired, &Observed { at: at("2026-11-21T14:00:00Z"), unmatched });
        expect![[r#"
            wait: it ended at 2026-11-21T14:00:00Z and holds nothing any more
        "#]]
        .assert_eq(&told.to_string());
        assert!(told.is_converged());
    }

    proptest! {
        #[test]
        fn steps_are_taken_or_withheld_never_both_and_never_lost(
            ends in proptest::collection::vec((-2_i64..3, 0_usize..4), 0..5),
            has_steps in any::<bool>(),
        ) {
            let targets = ["all", "container", "container/web", "environment/shop"];
            let noon = at(NOON);
            let holds: Vec<_> = ends.iter().enumerate().map(|(number, (hours, target))| Desired {
                until: noon + jiff::SignedDuration::from_hours(*hours),
                ..hold(&format!("hold-{number}"), &[targets[*target]], NOON)
            }).collect();
            let before = if has_steps { restart() } else { Plan::default() };
            let after = withhold(before.clone(), (&web(), None), &holds, noon);
            let is_held = ends.iter().any(|(hours, target)| *hours > 0 && *target != 3);
            if is_held {
                prop_assert!(after.steps.is_empty());
                prop_assert_eq!(&after.withheld, &before.steps);
                let longest = holds.iter().filter(|hold| hold.covers(&web(), None)).map(|hold| hold.until).max();
                prop_assert_eq!(after.wait.as_ref().and_then(Wait::until), longest);
            } else {
                prop_assert_eq!(&after, &before);
            }
            // Holding what is held changes nothing more.
            prop_assert_eq!(withhold(after.clone(), (&web(), None), &holds, noon), after);
        }
    }
}
