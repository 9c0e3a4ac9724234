//! What is wrong with the host, or with Mooring itself, apart from any object: each thing once, for as long as it lasts.

use std::{collections::BTreeMap, sync::Mutex};

use tokio::sync::Notify;

use super::{
    Context,
    world::{World, lock},
};
use crate::{manifest::Key, plan::Wait, plan::restraint::Restrained, record::events::Subject};

/// Everything that is wrong.
#[derive(Default)]
pub(super) struct Troubles {
    /// In words, by its reason and what it is about.
    known: Mutex<BTreeMap<(String, String), String>>,
    /// The budgets that objects wait for, with what they say of them.
    spent: Mutex<BTreeMap<Key, (String, String)>>,
    changed: Notify,
}

impl Troubles {
    /// All of it.
    pub(super) fn all(&self) -> BTreeMap<(String, String), String> {
        lock(&self.known).clone()
    }

    /// Waits until it is something else.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Something is wrong; true when that is news.
    pub(super) fn note(&self, reason: &str, about: &str, message: &str) -> bool {
        let before = lock(&self.known).insert((reason.to_owned(), about.to_owned()), message.to_owned());
        if before.as_deref() != Some(message) {
            self.changed.notify_one();
        }
        before.is_none()
    }

    /// It is not, or not any more; true when that is news.
    pub(super) fn settle(&self, reason: &str, about: &str) -> bool {
        let was_there = lock(&self.known).remove(&(reason.to_owned(), about.to_owned())).is_some();
        if was_there {
            self.changed.notify_one();
        }
        was_there
    }

    /// All that is wrong for a reason, with what it is about. Returns what has begun, and what has ended.
    pub(super) fn are(&self, reason: &str, now: &BTreeMap<String, String>) -> (Vec<String>, Vec<String>) {
        let before: Vec<String> = {
            let known = lock(&self.known);
            known.keys().filter(|(known, _)| known == reason).map(|(_, about)| about.clone()).collect()
        };
        let ended = before.into_iter().filter(|about| !now.contains_key(about) && self.settle(reason, about)).collect();
        let begun = now.iter().filter(|(about, message)| self.note(reason, about, message));
        (begun.map(|(about, _)| about.clone()).collect(), ended)
    }
}

/// The word of a budget of which nothing is left.
const SPENT: &str = "BudgetSpent";

impl Context {
    /// Something is wrong with the host, or with Mooring itself: told once until it is over.
    pub(super) fn raise(&self, reason: &str, message: &str) {
        if self.noted.troubles.note(reason, "", message) {
            self.record.events.warning(Subject::Host, reason, message);
        }
    }

    /// It is over.
    pub(super) fn settle_trouble(&self, reason: &str, word: &str, message: &str) {
        if self.noted.troubles.settle(reason, "") {
            self.record.events.normal(Subject::Host, word, message);
        }
    }

    /// Keeps in mind which budget an object waits for. However many wait for it, it is one thing that is wrong.
    pub(super) fn note_budget(&self, key: &Key, wait: Option<&Wait>) {
        let scope = match wait {
            Some(wait @ Wait::Restrained(Restrained::BudgetSpent { scope, .. })) => Some((scope.clone(), wait.to_string())),
            Some(_) | None => None,
        };
        let spent: BTreeMap<String, String> = {
            let mut spent = lock(&self.noted.troubles.spent);
            let before = spent.get(key).cloned();
            match &scope {
                // When there is something left of it moves with every act; what was first said stands.
                Some((scope, _)) if before.as_ref().is_some_and(|(before, _)| before == scope) => return,
                Some(scope) => drop(spent.insert(key.clone(), scope.clone())),
                None if spent.remove(key).is_none() => return,
                None => {}
            }
            // The first object speaks for all.
            spent.values().rev().cloned().collect()
        };
        let (begun, ended) = self.noted.troubles.are(SPENT, &spent);
        for scope in begun {
            self.record.events.warning(
                Subject::Host,
                SPENT,
                format!("the budget of {scope} is spent: what it is for has to wait"),
            );
        }
        for scope in ended {
            self.record.events.normal(Subject::Host, "BudgetLeft", format!("nothing waits for the budget of {scope} any more"));
        }
    }
}

impl World {
    /// The value of a variable of an environment.
    pub(super) fn variable(&self, variable: &crate::manifest::alerts::Variable) -> Result<crate::secret::Secret, String> {
        let crate::manifest::alerts::Variable { environment, variable } = variable;
        let missing = || format!("{variable} has no value in Environment/{environment}");
        self.values(environment)?.remove(variable).filter(|value| !value.is_empty()).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_news_when_it_begins_and_when_it_ends() {
        let troubles = Troubles::default();
        assert!(troubles.note("EngineLost", "", "refused"));
        assert!(!troubles.note("EngineLost", "", "no such file"));
        assert_eq!(troubles.all()[&("EngineLost".to_owned(), String::new())], "no such file");
        assert!(troubles.settle("EngineLost", ""));
        assert!(!troubles.settle("EngineLost", ""));
    }

    #[test]
    fn all_troubles_of_a_reason_are_compared_with_those_before() {
        let troubles = Troubles::default();
        troubles.note("EngineLost", "", "refused");
        let of = |files: &[&str]| files.iter().map(|file| ((*file).to_owned(), "line 3".to_owned())).collect::<BTreeMap<_, _>>();
        assert_eq!(troubles.are("InvalidManifest", &of(&["a", "b"])), (vec!["a".to_owned(), "b".to_owned()], vec![]));
        assert_eq!(troubles.are("InvalidManifest", &of(&["b", "c"])), (vec!["c".to_owned()], vec!["a".to_owned()]));
        assert_eq!(troubles.all().len(), 3);
    }
}
