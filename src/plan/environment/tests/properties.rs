//! The laws of the planner, over random worlds: it gets where it should, it
//! then stops, and on the way there nothing that was there is lost.
//!
//! The goal is stated on plain values and knows nothing of how plans are made.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    super::{SECRET_MODE, plan},
    SECRETS,
    world::{FILES, World, any_world, desired, is_placeholder},
};

const WANTED: [&str; 3] = ["A", "B", "C"];

/// Secrets first, then what depends on them.
const PASSES: usize = 2;

/// Runs passes until one has nothing to do; gives all worlds on the way, the first and the last among them.
fn converge(world: World) -> Vec<World> {
    let mut worlds = vec![world];
    for _ in 0..=PASSES {
        let mut world = worlds[worlds.len() - 1].clone();
        let plan = plan(&desired(), &world.observe());
        if plan.steps.is_empty() {
            return worlds;
        }
        for step in &plan.steps {
            world.apply(step);
            worlds.push(world.clone());
        }
    }
    panic!("still something to do after {PASSES} passes");
}

/// Every wanted secret has a value, nobody else can read it, and what is derived from it is up to date.
fn reached_the_goal(world: &World) -> Result<(), TestCaseError> {
    for variable in WANTED {
        prop_assert!(world.in_files(variable).next().is_some(), "{variable} has no value");
    }
    if let Some(file) = &world.files[SECRETS] {
        prop_assert_eq!(file.mode, SECRET_MODE);
    }
    let computed = world.computed.as_ref().map(|file| (file.mode, file.values.clone()));
    prop_assert_eq!(computed, world.rendered().map(|values| (SECRET_MODE, values)));
    Ok(())
}

/// No value that stood in a file has changed, and no file has gone.
fn kept_every_value(before: &World, after: &World) -> Result<(), TestCaseError> {
    for file in FILES {
        let Some(values) = before.values(file) else { continue };
        let Some(now) = after.values(file) else { return Err(TestCaseError::fail(format!("{file} is gone"))) };
        for (variable, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
            prop_assert_eq!(now.get(variable), Some(value), "{} in {}", variable, file);
        }
    }
    Ok(())
}

/// A secret that was in no file has a value that somebody remembered, if anybody did.
fn recovered_what_was_known(before: &World, after: &World) -> Result<(), TestCaseError> {
    for variable in WANTED.into_iter().filter(|variable| before.in_files(variable).next().is_none()) {
        let Some(now) = after.in_files(variable).next_back() else { continue };
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for value in before.running.values().filter(|_| before.engine_answers).filter_map(|values| values.get(variable)) {
            *votes.entry(value).or_default() += 1;
        }
        let remembered = [before.copy.as_ref(), before.computed.as_ref().map(|file| &file.values)];
        let real = |value: &&String| !value.is_empty() && !is_placeholder(value);
        let remembered = remembered.into_iter().flatten().filter_map(|values| values.get(variable)).find(real);
        match (votes.values().max(), remembered) {
            (Some(most), _) => prop_assert_eq!(votes.get(now), Some(most), "{} is not what runs", variable),
            (None, Some(value)) => prop_assert_eq!(now, value, "{} is not what was remembered", variable),
            (None, None) => prop_assert!(now.starts_with("new") && before.engine_answers, "{variable} was not made properly"),
        }
    }
    Ok(())
}

/// No secret got a placeholder that it had not.
fn brought_no_placeholder(before: &World, after: &World) -> Result<(), TestCaseError> {
    for variable in WANTED {
        let count = |world: &World| world.in_files(variable).filter(|value| is_placeholder(value)).count();
        prop_assert!(count(after) <= count(before), "{variable} got a placeholder");
    }
    Ok(())
}

/// Every real value of a secret that the copy had is still in the copy, or a file has a real one.
fn forgot_nothing(before: &World, after: &World) -> Result<(), TestCaseError> {
    let real = |value: &str| !value.is_empty() && !is_placeholder(value);
    for variable in WANTED {
        let remembered = |world: &World| world.copy.as_ref().and_then(|copy| copy.get(variable)).is_some_and(|value| real(value));
        if remembered(before) && !remembered(after) {
            prop_assert!(after.in_files(variable).any(real), "{variable} is forgotten");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_any_world_the_goal_is_reached_and_nothing_is_lost(world in any_world()) {
        let worlds = converge(world);
        let (before, after) = (&worlds[0], &worlds[worlds.len() - 1]);
        if before.broken.is_none() && before.engine_answers {
            reached_the_goal(after)?;
            prop_assert!(plan(&desired(), &after.observe()).is_converged());
        }
        recovered_what_was_known(before, after)?;
        for pair in worlds.windows(2) {
            kept_every_value(&pair[0], &pair[1])?;
            brought_no_placeholder(&pair[0], &pair[1])?;
            forgot_nothing(&pair[0], &pair[1])?;
        }
    }

    #[test]
    fn while_a_file_cannot_be_used_no_content_changes(world in any_world().prop_filter("broken", |world| world.broken.is_some())) {
        let worlds = converge(world);
        let (before, after) = (&worlds[0], &worlds[worlds.len() - 1]);
        for file in FILES {
            prop_assert_eq!(before.values(file), after.values(file));
        }
        prop_assert_eq!(&before.copy, &after.copy);
    }
}
