//! The order in which containers are made that depend on each other and all have to be made anew.

use expect_test::expect;

use super::*;

const HEALTHY: Readiness = Readiness::Healthy;

/// A container that depends on one that is healthy, while another version of that is on its way.
fn dependent() -> (Wish, World) {
    let wish = desired("web").depends_on("db", DependencyCondition::Healthy).env("PASSWORD", "new");
    (wish, world().dependency("db", HEALTHY).changing("db"))
}

fn outdated(wish: &Wish) -> Seen {
    container("c1", "web").made_from(&wish.clone().env("PASSWORD", "old"))
}

#[test]
fn an_outdated_container_is_not_replaced_before_what_it_depends_on() {
    let (wish, world) = dependent();
    let world = world.with(outdated(&wish));
    check(
        &wish,
        &world,
        expect![[r#"
        wait: Container/db is not up to date yet
    "#]],
    );
    let mut world = world;
    world.0.changing.clear();
    check(
        &wish,
        &world,
        expect![[r#"
        create web.next from nginx:1, because it differs in environment.PASSWORD sha256:1c32cf136ded → sha256:5866b51eca78
        start web.next, because it differs in environment.PASSWORD sha256:1c32cf136ded → sha256:5866b51eca78
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_missing_container_is_not_made_before_what_it_depends_on_is_up_to_date() {
    let (wish, world) = dependent();
    check(
        &wish,
        &world,
        expect![[r#"
        wait: Container/db is not up to date yet
    "#]],
    );
}

#[test]
fn one_that_waits_for_another_version_is_kept_alive_meanwhile() {
    let (wish, world) = dependent();
    check(
        &wish,
        &world.with(outdated(&wish).exited(1)),
        expect![[r#"
        start web, because it exited with 1
        wait: Container/db is not up to date yet
    "#]],
    );
}

#[test]
fn one_that_is_as_declared_has_nothing_to_wait_for() {
    let (wish, world) = dependent();
    check(&wish, &world.with(container("c1", "web").made_from(&wish)), expect![[r#""#]]);
}

/// Whether those that depend on an object in this world wait for it.
fn is_waited_for(wish: &Wish, world: &World) -> bool {
    let observed = world.seen_for(wish);
    is_on_its_way(&wish.desired, &observed, &plan(&wish.desired, &observed))
}

#[test]
fn a_version_is_on_its_way_from_the_decision_until_the_old_one_is_gone() {
    let wish = desired("db").image("good:2");
    let old = || container("c1", "db").made_from(&wish.clone().image("good:1"));
    let new = || container("c2", "db.next").made_from(&wish);
    assert!(is_waited_for(&wish, &world().with(old())));
    assert!(is_waited_for(&wish, &world().with(old()).with(new().created())));
    assert!(is_waited_for(&wish, &world().with(old()).with(new().health(Health::Starting))));
    assert!(is_waited_for(&wish, &world().with(old()).with(new().started(0))), "it has not settled");
    assert!(is_waited_for(&wish, &world().with(old()).with(new())), "it still has to take over");
    assert!(!is_waited_for(&wish, &world().with(container("c2", "db").made_from(&wish))));
}

#[test]
fn a_version_that_waits_for_another_ones_is_on_its_way_as_well() {
    let (wish, world) = dependent();
    let world = world.with(outdated(&wish));
    assert!(is_waited_for(&wish, &world));
    let mut down = world.clone();
    down.0.changing.clear();
    let down = down.dependency("db", Readiness::Down);
    assert!(!is_waited_for(&wish, &down), "nobody knows when that comes up");
}

#[test]
fn nobody_waits_for_a_version_that_does_not_come() {
    let wish = desired("db").image("good:2");
    let old = || container("c1", "db").made_from(&wish.clone().image("good:1"));
    let with_data = wish.clone().volume("data");
    let forbidden = world().with(container("c1", "db").made_from(&with_data.clone().image("good:1")));
    assert!(!is_waited_for(&with_data, &forbidden), "it is forbidden");
    assert!(!is_waited_for(&wish, &world().with(old().state(State::Paused))), "the old one is paused");
    assert!(!is_waited_for(&wish, &world().with(old()).taken("db.next")), "its name is taken");
    assert!(!is_waited_for(&wish, &world().with(old()).no_value("PASSWORD")), "it lacks a value");
    assert!(!is_waited_for(&wish.clone().pull(PullPolicy::Never), &world().with(old()).no_image("good:2")), "it lacks its image");
    let gone = old().exited(143);
    assert!(!is_waited_for(&wish, &world().with(gone).stopped_by_hand("c1", 1)), "a person stopped the old one");
    for (count, backoff) in [(1, "it backs off"), (3, "it was given up")] {
        let fields = differences(&wish.desired, &world().seen_for(&wish), &old().0);
        let failed = crate::plan::history::FailedReplacement { fields, count, at: seconds_ago(0), reason: "it exited".into() };
        let world = world().with(old()).remembering(|history| history.failed_replacement = Some(failed));
        assert!(!is_waited_for(&wish, &world), "{backoff}");
    }
}
