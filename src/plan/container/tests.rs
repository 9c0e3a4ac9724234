//! Decisions about containers: the world in a few lines, then the plan.

mod laws;
mod recovering;
mod replacing;
mod world;

use expect_test::{Expect, expect};

use super::*;
use world::{World, wanted};

/// What is decided about this world.
#[track_caller]
fn decides(world: &World, expected: &Expect) {
    expected.assert_eq(&world.plan().to_string());
}

#[test]
fn a_missing_container_is_made_with_everything_it_needs() {
    let world = wanted().network("shop").network("metrics").volume("data").missing_image();
    decides(
        &world,
        &expect![[r#"
            create network shop, because Container/web needs it
            create network metrics, because Container/web needs it
            create volume data, because Container/web needs it
            pull web:1, because Container/web needs it
            create web from web:1, because it is missing
            connect web to metrics, because it has left metrics
            start web, because it was made and never started
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_container_as_declared_is_left_alone() {
    decides(&wanted().has("web", |container| container), &expect![""]);
}

#[test]
fn a_missing_image_that_may_not_be_pulled_is_said_and_nothing_is_done() {
    let world = wanted().missing_image().never_pull();
    decides(
        &world,
        &expect![[r#"
        wait: image web:1 is not there: pullPolicy is never
    "#]],
    );
}

#[test]
fn an_image_that_could_not_be_pulled_is_tried_again_later() {
    let world = wanted().missing_image().pull_failed_before(5);
    decides(
        &world,
        &expect![[r#"
        wait: image web:1 is not there: no such host
    "#]],
    );
    assert!(wanted().missing_image().pull_failed_before(3600).plan().steps.len() > 1);
}

#[test]
fn a_variable_without_a_value_keeps_a_container_from_being_made() {
    decides(
        &wanted().lacks_variable("TOKEN"),
        &expect![[r#"
        wait: TOKEN has no value: Environment/shop has none
    "#]],
    );
}

#[test]
fn a_variable_whose_value_is_not_known_is_no_reason_to_replace_what_runs() {
    let world = wanted().lacks_variable("TOKEN").has("web", |container| container.given("TOKEN", "secret"));
    decides(&world, &expect![""]);
}

#[test]
fn a_container_waits_for_what_it_depends_on() {
    decides(
        &wanted().depends_on("db", Readiness::Started),
        &expect![[r#"
        wait: Container/db is not healthy
    "#]],
    );
    assert!(!wanted().depends_on("db", Readiness::Healthy).plan().steps.is_empty());
}

#[test]
fn a_name_that_belongs_to_somebody_else_is_not_taken() {
    decides(
        &wanted().name_taken(),
        &expect![[r#"
        wait: a container named web exists and is not ours
    "#]],
    );
}

#[test]
fn what_the_engine_can_change_is_changed_in_place() {
    let world = wanted().memory(512).has("web", |container| container.with_memory(256));
    decides(
        &world,
        &expect![[r#"
        update web, because it differs in memLimit 256 → 512
    "#]],
    );
}

#[test]
fn a_limit_that_is_taken_back_needs_a_new_container() {
    let world = wanted().has("web", |container| container.with_memory(256).made_with(|shape| shape.limits.mem_limit = Some(256)));
    decides(
        &world,
        &expect![[r#"
        create web.next from web:1, because it differs in memLimit removed, was 256
        start web.next, because it differs in memLimit removed, was 256
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_renamed_and_disconnected_container_gets_both_back() {
    let world = wanted().network("shop").has("other", |container| container.off("shop"));
    decides(
        &world,
        &expect![[r#"
        rename other to web, because it is named other
        create network shop, because it has left shop
        connect other to shop, because it has left shop
    "#]],
    );
}

#[test]
fn a_manifest_that_is_gone_takes_its_containers_with_it() {
    let world = wanted().has("web", |container| container).has("web.previous", World::stopped);
    expect![[r#"
        stop web, because its manifest is gone
        remove web, because its manifest is gone
        remove web.previous, because its manifest is gone
    "#]]
    .assert_eq(&absent::plan(&world.observed).to_string());
}

#[test]
fn a_container_with_data_is_not_removed_unless_that_was_permitted() {
    let kept = wanted().volume("data").has("web", |container| container);
    expect![[r#"
        wait: forbidden: would remove a container with data; it had no allowRemove when its manifest went
    "#]]
    .assert_eq(&absent::plan(&kept.observed).to_string());
    let mut permitted = kept.clone();
    permitted.observed.containers[0].made_with.as_mut().unwrap().allow_remove = true;
    assert_eq!(absent::plan(&permitted.observed).steps.len(), 2);
}

#[test]
fn a_container_whose_label_cannot_be_read_is_not_removed() {
    let world = wanted().has("web", |mut container| {
        container.made_with = None;
        container
    });
    assert!(absent::plan(&world.observed).steps.is_empty());
}
