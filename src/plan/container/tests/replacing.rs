//! Replacing what is outdated, and every place where that can be cut short.

use super::{world::named, *};
use crate::plan::history::FailedReplacement;

#[test]
fn an_outdated_container_is_replaced_by_one_made_beside_it() {
    let world =
        wanted().image("web:2").variable("TZ", "UTC").has("web", |container| container.of_image("web:1").given("TZ", "CET"));
    decides(
        &world,
        &expect![[r#"
            create web.next from web:2, because it differs in image web:1 → web:2; environment.TZ sha256:22942140920d → sha256:73fe396b5230
            start web.next, because it differs in image web:1 → web:2; environment.TZ sha256:22942140920d → sha256:73fe396b5230
            wait: it is starting
        "#]],
    );
}

#[test]
fn what_would_claim_the_same_port_steps_aside_first() {
    let world = wanted().port(80).image("web:2").has("web", |container| container.of_image("web:1"));
    decides(
        &world,
        &expect![[r#"
        create web.next from web:2, because it differs in image web:1 → web:2
        stop web, because it differs in image web:1 → web:2
        rename web to web.previous, because it differs in image web:1 → web:2
        rename web.next to web, because it differs in image web:1 → web:2
        start web, because it differs in image web:1 → web:2
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_variable_that_is_wanted_no_more_is_a_difference_and_one_of_the_image_is_none() {
    let world = wanted().has("web", |container| container.given("OLD", "x"));
    assert!(world.plan().to_string().contains("environment.OLD removed"));
    let from_image = wanted().has("web", |mut container| {
        container.variables.insert("PATH".into(), named("/bin"));
        container
    });
    decides(&from_image, &expect![""]);
}

#[test]
fn a_container_with_data_is_not_recreated_unless_that_is_permitted_and_is_kept_alive_meanwhile() {
    let outdated = wanted().volume("data").image("web:2").has("web", |container| container.of_image("web:1"));
    decides(
        &outdated,
        &expect![[r#"
        wait: forbidden: would recreate a container with data, because it differs in image web:1 → web:2; set allowRecreate
    "#]],
    );
    let dead = wanted().volume("data").image("web:2").has("web", |container| container.of_image("web:1").exited(1));
    decides(
        &dead,
        &expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
    assert!(outdated.allow_recreate().plan().steps.len() > 3);
}

#[test]
fn a_container_without_a_readable_label_counts_as_outdated_and_as_one_with_data() {
    let world = wanted().has("web", |mut container| {
        container.made_with = None;
        container
    });
    decides(
        &world,
        &expect![[r#"
        wait: forbidden: would recreate a container with data, because it differs in labels removed, was unreadable; set allowRecreate
    "#]],
    );
}

#[test]
fn nothing_is_replaced_before_its_image_is_there() {
    let world = wanted().image("web:2").missing_image().never_pull().has("web", |container| container.of_image("web:1"));
    decides(
        &world,
        &expect![[r#"
        wait: image web:2 is not there: pullPolicy is never
    "#]],
    );
}

#[test]
fn a_paused_or_stopped_container_is_not_replaced_under_the_hands_of_who_did_that() {
    let paused = wanted().image("web:2").has("web", |container| container.of_image("web:1").is(State::Paused));
    decides(
        &paused,
        &expect![[r#"
        wait: it is paused; unpause it when you are done
    "#]],
    );
    let stopped = wanted().image("web:2").has("web", |container| container.of_image("web:1").exited(0)).stopped_by_hand();
    assert!(matches!(stopped.plan().wait, Some(Wait::StoppedByHand { .. })));
    assert!(stopped.plan().steps.is_empty());
}

/// The old container, and the new one beside it.
fn beside(new: impl FnOnce(Container) -> Container) -> World {
    wanted().image("web:2").has("web", |container| container.of_image("web:1")).has("web.next", new)
}

#[test]
fn the_new_one_takes_over_when_it_is_healthy() {
    decides(
        &beside(|new| new.healthy(Health::Healthy)),
        &expect![[r#"
        rename web to web.previous, because a new one has taken its place
        rename web.next to web, because it is named web.next
        stop web, because a new one has taken its place
        remove web, because a new one has taken its place
    "#]],
    );
}

#[test]
fn the_new_one_is_waited_for_while_it_starts() {
    decides(&beside(|new| new.healthy(Health::Starting)), &expect!["wait: it is starting\n"]);
    decides(&beside(|new| new.started(1)), &expect!["wait: it is starting\n"]);
    assert!(!beside(|new| new.started(2)).plan().steps.is_empty(), "one that nobody checks has settled after a moment");
}

#[test]
fn a_new_one_that_was_made_and_not_started_is_started() {
    decides(
        &beside(|new| new.is(State::Created)),
        &expect![[r#"
        start web.next, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_new_one_that_fails_gives_way_and_the_old_one_stays() {
    for failed in
        [beside(|new| new.exited(1)), beside(|new| new.healthy(Health::Unhealthy)), beside(|new| new.is(State::Restarting))]
    {
        let plan = failed.plan();
        let steps: Vec<_> = plan.steps.iter().map(|step| step.action.to_string()).collect();
        assert_eq!(steps.last().map(String::as_str), Some("remove web.next"), "{plan}");
        assert!(plan.steps.iter().all(|step| step.action.target() == "web.next"), "{plan}");
    }
}

#[test]
fn an_old_one_that_stepped_aside_comes_back_when_the_new_one_fails() {
    let world = wanted()
        .port(80)
        .image("web:2")
        .has("web.previous", |old| old.of_image("web:1").exited(0))
        .has("web", |new| new.exited(1));
    decides(
        &world,
        &expect![[r#"
        remove web, because the new version did not come up: it exited with 1
        rename web.previous to web, because the new version did not come up: it exited with 1
        start web.previous, because the new version did not come up: it exited with 1
        wait: it is starting
    "#]],
    );
}

#[test]
fn an_interrupted_stepping_aside_is_finished() {
    let world =
        wanted().port(80).image("web:2").has("web", |old| old.of_image("web:1")).has("web.next", |new| new.is(State::Created));
    decides(
        &world,
        &expect![[r#"
        stop web, because it was made and never started
        rename web to web.previous, because it was made and never started
        rename web.next to web, because it is named web.next
        start web.next, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_manifest_that_changes_again_in_the_middle_goes_on_from_the_old_one() {
    let world = wanted()
        .port(80)
        .image("web:3")
        .has("web.previous", |old| old.of_image("web:1").exited(0))
        .has("web", |new| new.of_image("web:2").healthy(Health::Starting));
    decides(
        &world,
        &expect![[r#"
        stop web, because a new one has taken its place
        remove web, because a new one has taken its place
        create web.next from web:3, because it differs in image web:1 → web:3
        rename web.next to web, because it differs in image web:1 → web:3
        start web, because it differs in image web:1 → web:3
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_version_that_did_not_come_up_is_tried_again_later_and_not_for_ever() {
    let outdated = wanted().image("web:2").has("web", |container| container.of_image("web:1"));
    let fields = vec![FieldChange { field: "image".into(), from: Some("web:1".into()), to: Some("web:2".into()) }];
    let failed = |count, fields: &[FieldChange]| {
        let failed =
            FailedReplacement { fields: fields.to_vec(), count, at: world::at(world::NOW), reason: "it exited with 1".into() };
        outdated.clone().remembers(|history| history.failed_replacement = Some(failed))
    };
    decides(
        &failed(1, &fields),
        &expect![[r#"
        wait: the new version did not come up (it exited with 1), the old one runs on; next try at 1970-01-12T13:46:41Z
    "#]],
    );
    decides(
        &failed(3, &fields),
        &expect![[r#"
        wait: the new version did not come up (it exited with 1), the old one runs on; change the manifest, or release it
    "#]],
    );
    assert!(!failed(3, &[]).plan().steps.is_empty(), "another version gets its own tries");
}

#[test]
fn two_containers_as_declared_become_one() {
    let world = wanted().has("web", |container| container).has("web.next", |container| container);
    decides(
        &world,
        &expect![[r#"
            stop web.next, because a new one has taken its place
            remove web.next, because a new one has taken its place
            wait: it is starting
        "#]],
    );
}
