//! The container does not exist yet.

use expect_test::expect;

use super::*;

#[test]
fn a_missing_container_is_made_and_started() {
    check(
        &desired("web"),
        &world(),
        expect![[r#"
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn what_it_needs_is_made_first_and_further_networks_are_joined_before_the_start() {
    let wish = desired("db").network("front").network("back").volume("data").env("PASSWORD", "x");
    let world = world().no_network("back").no_volume("data").no_image("nginx:1");
    check(
        &wish,
        &world,
        expect![[r#"
            create network back, because Container/db needs it
            create volume data, because Container/db needs it
            pull nginx:1, because Container/db needs it
            create db from nginx:1, because it is missing
            connect db to back, because it is not on back
            start db, because it was made and never started
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_volume_that_is_mounted_twice_is_made_once() {
    check(
        &desired("db").volume("data").volume("data"),
        &world().no_volume("data"),
        expect![[r#"
        create volume data, because Container/db needs it
        create db from nginx:1, because it is missing
        start db, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_that_was_made_and_never_started_is_started() {
    let wish = desired("web");
    check(
        &wish,
        &world().with(container("c1", "web").made_from(&wish).created()),
        expect![[r#"
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
}

/// Killed between making it and joining its second network: it must not start without it.
#[test]
fn a_container_that_was_not_joined_to_all_its_networks_is_joined_before_its_start() {
    let wish = desired("web").network("front").network("back");
    let world = world().with(container("c1", "web").made_from(&wish).off("back").created());
    check(
        &wish,
        &world,
        expect![[r#"
            connect web to back, because it is not on back
            start web, because it was made and never started
            wait: it is starting
        "#]],
    );
}

/// The engine said that the network was there when it was asked to make it. The container names it, and was never started.
#[test]
fn a_container_that_was_never_started_gets_the_network_that_it_names() {
    let wish = desired("web").network("front");
    let world = world().with(container("c1", "web").made_from(&wish).created()).no_network("front");
    check(
        &wish,
        &world,
        expect![[r#"
            create network front, because it is not on front
            start web, because it was made and never started
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_name_that_belongs_to_a_foreign_container_is_left_to_it() {
    check(
        &desired("web"),
        &world().taken("web"),
        expect![[r#"
        wait: a container named web exists and is not ours
    "#]],
    );
}

#[test]
fn a_container_is_not_made_without_all_its_variables() {
    check(
        &desired("web").env("TZ", "UTC"),
        &world().no_value("PASSWORD"),
        expect![[r#"
        wait: PASSWORD has no value: it is in no file of Environment/shop
    "#]],
    );
}

#[test]
fn a_container_is_not_made_before_its_dependency_is_up() {
    let wish = desired("web").depends_on("db", DependencyCondition::Healthy);
    check(
        &wish,
        &world(),
        expect![[r#"
        wait: Container/db is not healthy
    "#]],
    );
    check(
        &wish,
        &world().dependency("db", Readiness::Started),
        expect![[r#"
        wait: Container/db is not healthy
    "#]],
    );
    check(
        &wish,
        &world().dependency("db", Readiness::Healthy),
        expect![[r#"
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
    let wish = desired("web").depends_on("db", DependencyCondition::Started);
    check(
        &wish,
        &world().dependency("db", Readiness::Started),
        expect![[r#"
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_missing_image_is_pulled_where_the_policy_permits() {
    let world = world().no_image("nginx:1");
    check(
        &desired("web").pull(PullPolicy::IfMissing),
        &world,
        expect![[r#"
        pull nginx:1, because Container/web needs it
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
    check(
        &desired("web").pull(PullPolicy::Always),
        &world,
        expect![[r#"
        pull nginx:1, because Container/web needs it
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
    check(
        &desired("web").pull(PullPolicy::Never),
        &world,
        expect![[r#"
        wait: image nginx:1 is not there: pullPolicy is never
    "#]],
    );
}

#[test]
fn an_image_that_is_there_is_pulled_only_under_always() {
    check(
        &desired("web").pull(PullPolicy::Always),
        &world(),
        expect![[r#"
        pull nginx:1, because Container/web needs it
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
    check(
        &desired("web").pull(PullPolicy::Never),
        &world(),
        expect![[r#"
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_pull_that_failed_is_tried_again_after_a_growing_pause() {
    let wish = desired("web");
    let world = world().no_image("nginx:1");
    check(
        &wish,
        &world.clone().pull_failed("nginx:1", 1, 0),
        expect![[r#"
        wait: image nginx:1 is not there: no route to host
    "#]],
    );
    check(
        &wish,
        &world.clone().pull_failed("nginx:1", 5, 2),
        expect![[r#"
        wait: image nginx:1 is not there: no route to host
    "#]],
    );
    check(
        &wish,
        &world.clone().pull_failed("nginx:1", 5, 16),
        expect![[r#"
        pull nginx:1, because Container/web needs it
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
    check(
        &wish,
        &world.pull_failed("nginx:0", 5, 2),
        expect![[r#"
        pull nginx:1, because Container/web needs it
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_that_vanishes_over_and_over_again_uses_up_the_budget() {
    let world = world().remembering(|history| history.seen_ready = true);
    check(
        &desired("web"),
        &world.clone().tried(&[300]),
        expect![[r#"
        create web from nginx:1, because it is missing
        start web, because it was made and never started
        wait: it is starting
    "#]],
    );
    check(
        &desired("web"),
        &world.clone().tried(&[300, 1]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:00:01Z after 2 tries
    "#]],
    );
    check(
        &desired("web"),
        &world.tried(&[300, 200, 100]),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it is missing); mend it, then release it
    "#]],
    );
}

/// Otherwise `docker rm -f` would be a second, secret way of releasing.
#[test]
fn removing_a_container_does_not_release_it_from_its_crash_loop() {
    let world = world().tried(&[3000]).remembering(|history| history.crash_loop = Some(seconds_ago(2000)));
    check(
        &desired("web"),
        &world,
        expect![[r#"
        wait: crash loop: given up after 1 try (it is missing); mend it, then release it
    "#]],
    );
}

/// An invalid command makes the engine refuse the start and leave the container *created*; without
/// a memory of that it would be started for ever, with neither pause nor end.
#[test]
fn a_start_that_failed_takes_the_ladder() {
    let wish = desired("web");
    let world = world().with(container("c1", "web").made_from(&wish).created()).start_failed("web", "no such program");
    check(
        &wish,
        &world,
        expect![[r#"
        start web, because it could not be started: no such program
        wait: it is starting
    "#]],
    );
    check(
        &wish,
        &world.clone().tried(&[0]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:00:01Z after 1 try
    "#]],
    );
    check(
        &wish,
        &world.clone().tried(&[1]),
        expect![[r#"
        remove web, because an earlier try did not help
        create web from nginx:1, because an earlier try did not help
        start web, because an earlier try did not help
        wait: it is starting
    "#]],
    );
    check(
        &wish,
        &world.tried(&[7, 5, 1]),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it could not be started: no such program); mend it, then release it
    "#]],
    );
}

#[test]
fn a_container_that_is_being_removed_is_made_again_when_it_is_gone() {
    let wish = desired("web");
    check(
        &wish,
        &world().with(container("c1", "web").made_from(&wish).state(State::Removing)),
        expect![[r#"
        wait: the engine is removing it
    "#]],
    );
}

#[test]
fn a_dead_container_is_removed() {
    let wish = desired("db").volume("data");
    check(
        &wish,
        &world().with(container("c1", "db").made_from(&wish).state(State::Dead)),
        expect![[r#"
        remove db, because an earlier removal got stuck
    "#]],
    );
    // Outdated or not: what it was made with does not matter any more.
    check(
        &wish,
        &world().with(container("c1", "db").state(State::Dead)),
        expect![[r#"
        remove db, because an earlier removal got stuck
    "#]],
    );
}
