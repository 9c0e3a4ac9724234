//! The container is another one than declared.

use expect_test::expect;

use super::*;
use crate::plan::history::FailedReplacement;

/// A web server of version 1, beside which a new one can run.
fn web() -> Wish {
    desired("web").env("TZ", "UTC")
}

/// A server with a published port: two of them cannot run at the same time.
fn edge() -> Wish {
    desired("edge").port(443)
}

/// A database.
fn db() -> Wish {
    desired("db").volume("data")
}

fn running(wish: &Wish) -> World {
    world().with(container("c1", &wish.desired.name).made_from(wish))
}

#[test]
fn an_outdated_image_is_replaced_beside() {
    check(
        &web().image("nginx:2"),
        &running(&web()),
        expect![[r#"
        create web.next from nginx:2, because it differs in image nginx:1 → nginx:2
        start web.next, because it differs in image nginx:1 → nginx:2
        wait: it is starting
    "#]],
    );
}

#[test]
fn what_claims_a_port_is_replaced_one_after_the_other() {
    check(
        &edge().image("nginx:2"),
        &running(&edge()),
        expect![[r#"
        create edge.next from nginx:2, because it differs in image nginx:1 → nginx:2
        stop edge, because it differs in image nginx:1 → nginx:2
        rename edge to edge.previous, because it differs in image nginx:1 → nginx:2
        rename edge.next to edge, because it differs in image nginx:1 → nginx:2
        start edge, because it differs in image nginx:1 → nginx:2
        wait: it is starting
    "#]],
    );
}

/// Whichever of the two has the port or the data: caution costs a moment, the opposite may cost the data.
#[test]
fn what_will_claim_something_or_has_claimed_it_is_replaced_one_after_the_other() {
    let with_port = desired("web").env("TZ", "UTC").port(80);
    for (wish, made) in [(&web(), &with_port), (&with_port, &web())] {
        let operations: Vec<_> = plan(&wish.desired, &running(made).seen_for(wish)).steps;
        let operations: Vec<_> = operations.iter().map(|step| step.action.operation()).collect();
        let one_by_one = ["CreateContainer", "StopContainer", "RenameContainer", "RenameContainer", "StartContainer"];
        assert_eq!(operations, one_by_one);
    }
}

#[test]
fn a_changed_value_of_a_variable_is_named_by_its_fingerprint() {
    check(
        &web().env("TZ", "CET"),
        &running(&web()),
        expect![[r#"
        create web.next from nginx:1, because it differs in environment.TZ sha256:73fe396b5230 → sha256:22942140920d
        start web.next, because it differs in environment.TZ sha256:73fe396b5230 → sha256:22942140920d
        wait: it is starting
    "#]],
    );
}

#[test]
fn every_difference_is_named() {
    let wish = web().image("nginx:2").label("team", "shop").env("NEW", "1").network("front");
    check(
        &wish,
        &running(&web().label("team", "web")),
        expect![[r#"
            create web.next from nginx:2, because it differs in image nginx:1 → nginx:2; labels.team web → shop; networks added: [{"name":"front"}]; environment.NEW added: sha256:886687e2952a
            start web.next, because it differs in image nginx:1 → nginx:2; labels.team web → shop; networks added: [{"name":"front"}]; environment.NEW added: sha256:886687e2952a
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_variable_that_left_the_manifest_is_a_difference() {
    check(
        &desired("web"),
        &running(&web()),
        expect![[r#"
        create web.next from nginx:1, because it differs in environment.TZ removed, was sha256:73fe396b5230
        start web.next, because it differs in environment.TZ removed, was sha256:73fe396b5230
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_variable_of_the_image_is_none() {
    let mut made = container("c1", "web").made_from(&web());
    made.0.variables.insert("PATH".into(), fingerprint("/bin"));
    check(&web(), &world().with(made), expect![[""]]);
}

#[test]
fn a_variable_without_a_value_is_no_difference() {
    check(&desired("web"), &running(&web()).no_value("TZ"), expect![[""]]);
}

#[test]
fn a_limit_that_left_the_manifest_needs_a_new_container() {
    check(
        &web(),
        &running(&web().memory(64)),
        expect![[r#"
        create web.next from nginx:1, because it differs in memLimit removed, was 64
        start web.next, because it differs in memLimit removed, was 64
        wait: it is starting
    "#]],
    );
}

/// Its label never had the limit, for that had been set on the living container.
#[test]
fn a_limit_that_was_set_later_and_left_the_manifest_needs_a_new_container_too() {
    let mut made = container("c1", "web").made_from(&web());
    made.0.limits.mem_limit = Some(64);
    check(
        &web(),
        &world().with(made),
        expect![[r#"
        create web.next from nginx:1, because it differs in memLimit removed, was 64
        start web.next, because it differs in memLimit removed, was 64
        wait: it is starting
    "#]],
    );
}

/// Podman gives every container a limit of processes; to replace it for that would never end.
#[test]
fn a_default_of_the_engine_is_no_difference() {
    let mut made = container("c1", "web").made_from(&web());
    made.0.limits.pids_limit = Some(2048);
    check(&web(), &world().with(made), expect![[""]]);
}

#[test]
fn a_container_with_unreadable_labels_is_outdated_and_may_have_data() {
    let world = world().with(container("c1", "web"));
    check(
        &desired("web"),
        &world,
        expect![[r#"
            wait: forbidden: would recreate a container with data, because it differs in labels unreadable → readable; set allowRecreate
        "#]],
    );
    check(
        &desired("web").allow_recreate(),
        &world,
        expect![[r#"
            create web.next from nginx:1, because it differs in labels unreadable → readable
            stop web, because it differs in labels unreadable → readable
            rename web to web.previous, because it differs in labels unreadable → readable
            rename web.next to web, because it differs in labels unreadable → readable
            start web, because it differs in labels unreadable → readable
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_container_with_data_is_not_replaced_without_permission() {
    check(
        &db().image("pg:2"),
        &running(&db()),
        expect![[r#"
        wait: forbidden: would recreate a container with data, because it differs in image nginx:1 → pg:2; set allowRecreate
    "#]],
    );
}

#[test]
fn with_permission_a_container_with_data_steps_aside() {
    check(
        &db().image("pg:2").allow_recreate(),
        &running(&db()),
        expect![[r#"
        create db.next from pg:2, because it differs in image nginx:1 → pg:2
        stop db, because it differs in image nginx:1 → pg:2
        rename db to db.previous, because it differs in image nginx:1 → pg:2
        rename db.next to db, because it differs in image nginx:1 → pg:2
        start db, because it differs in image nginx:1 → pg:2
        wait: it is starting
    "#]],
    );
}

/// It has written nothing yet, so correcting a typing error needs no permission.
#[test]
fn a_container_that_has_never_run_is_simply_made_anew() {
    let world = world().with(container("c1", "db").made_from(&db()).created()).start_failed("db", "no such program");
    check(
        &db().image("pg:2"),
        &world,
        expect![[r#"
        remove db, because it differs in image nginx:1 → pg:2
        create db from pg:2, because it differs in image nginx:1 → pg:2
        start db, because it differs in image nginx:1 → pg:2
        wait: it is starting
    "#]],
    );
    check(
        &db().image("pg:2"),
        &world.no_value("PASSWORD"),
        expect![[r#"
        wait: PASSWORD has no value: it is in no file of Environment/shop
    "#]],
    );
}

#[test]
fn while_it_may_not_be_replaced_the_old_one_is_kept_alive() {
    let wish = db().image("pg:2");
    let old = || container("c1", "db").made_from(&db());
    check(
        &wish,
        &world().with(old().exited(1)),
        expect![[r#"
        start db, because it exited with 1
        wait: forbidden: would recreate a container with data, because it differs in image nginx:1 → pg:2; set allowRecreate
    "#]],
    );
    check(
        &wish,
        &world().with(old().health(Health::Unhealthy)),
        expect![[r#"
        restart db, because it is unhealthy
        wait: forbidden: would recreate a container with data, because it differs in image nginx:1 → pg:2; set allowRecreate
    "#]],
    );
    check(
        &wish,
        &world().with(old().health(Health::Starting)),
        expect![[r#"
        wait: forbidden: would recreate a container with data, because it differs in image nginx:1 → pg:2; set allowRecreate
    "#]],
    );
    check(
        &wish,
        &world().with(old().exited(1)).tried(&[30, 20, 10]),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
    "#]],
    );
}

/// The permission that is lacking once hid the end of the pause, after which nobody would have looked.
#[test]
fn the_pause_of_an_ailing_old_one_is_told_before_what_is_forbidden() {
    let old = container("c1", "db").made_from(&db()).exited(1);
    check(
        &db().image("pg:2"),
        &world().with(old).tried(&[0]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:00:01Z after 1 try
    "#]],
    );
}

#[test]
fn an_old_one_that_may_not_be_replaced_is_kept_on_its_own_networks() {
    let old = db().network("back");
    let world = world().with(container("c1", "db").made_from(&old).off("back"));
    check(
        &db().network("back").network("front"),
        &world,
        expect![[r#"
            connect db to back, because it is not on back
            wait: forbidden: would recreate a container with data, because it differs in networks [{"name":"back"}] → [{"name":"back"},{"name":"front"}]; set allowRecreate
        "#]],
    );
}

#[test]
fn what_stands_in_the_way_of_the_new_one_keeps_the_old_one() {
    let wish = web().image("nginx:2");
    let running = || running(&web());
    check(
        &wish,
        &running().no_value("PASSWORD"),
        expect![[r#"
        wait: PASSWORD has no value: it is in no file of Environment/shop
    "#]],
    );
    check(
        &wish.clone().pull(PullPolicy::Never),
        &running().no_image("nginx:2"),
        expect![[r#"
        wait: image nginx:2 is not there: pullPolicy is never
    "#]],
    );
    check(
        &wish,
        &running().no_image("nginx:2").pull_failed("nginx:2", 1, 0),
        expect![[r#"
        wait: image nginx:2 is not there: no route to host
    "#]],
    );
    check(
        &wish.clone().depends_on("db", DependencyCondition::Started),
        &running(),
        expect![[r#"
        wait: Container/db is not started
    "#]],
    );
}

#[test]
fn what_a_person_stopped_or_paused_is_not_replaced() {
    let wish = web().image("nginx:2");
    let old = || container("c1", "web").made_from(&web());
    check(
        &wish,
        &world().with(old().exited(0)).stopped_by_hand("c1", 60),
        expect![[r#"
        wait: it was stopped by hand at 2026-03-01T11:59:00Z; start it, or release it
    "#]],
    );
    check(
        &wish,
        &world().with(old().state(State::Paused)),
        expect![[r#"
        wait: it is paused; unpause it when you are done
    "#]],
    );
}

/// Foreign `edge.previous`: the old one would have been stopped and then could not have been renamed.
#[test]
fn nothing_begins_while_a_name_that_it_takes_is_not_free() {
    check(
        &edge().image("nginx:2"),
        &running(&edge()).taken("edge.previous"),
        expect![[r#"
        wait: a container named edge.previous exists and is not ours
    "#]],
    );
    check(
        &edge().image("nginx:2"),
        &running(&edge()).taken("edge.next"),
        expect![[r#"
        wait: a container named edge.next exists and is not ours
    "#]],
    );
}

#[test]
fn an_exited_outdated_container_is_replaced_rather_than_started() {
    check(
        &web().image("nginx:2"),
        &world().with(container("c1", "web").made_from(&web()).exited(1)),
        expect![[r#"
        create web.next from nginx:2, because it differs in image nginx:1 → nginx:2
        start web.next, because it differs in image nginx:1 → nginx:2
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_misnamed_outdated_container_gets_its_name_before_it_is_replaced_beside() {
    check(
        &web().image("nginx:2").named("www"),
        &running(&web()),
        expect![[r#"
            rename web to www, because that is its declared name
            create www.next from nginx:2, because it differs in image nginx:1 → nginx:2
            start www.next, because it differs in image nginx:1 → nginx:2
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_misnamed_outdated_container_that_has_to_step_aside_does_so() {
    check(
        &edge().image("nginx:2").named("www"),
        &running(&edge()),
        expect![[r#"
        create www.next from nginx:2, because it differs in image nginx:1 → nginx:2
        stop edge, because it differs in image nginx:1 → nginx:2
        rename edge to www.previous, because it differs in image nginx:1 → nginx:2
        rename www.next to www, because it differs in image nginx:1 → nginx:2
        start www, because it differs in image nginx:1 → nginx:2
        wait: it is starting
    "#]],
    );
}

/// Only the new one was left, under its interim name, which the next one needs.
#[test]
fn an_outdated_container_under_an_interim_name_makes_room() {
    for interim in ["edge.next", "edge.previous"] {
        let world = world().with(container("c1", interim).made_from(&edge()));
        let plan = plan(&edge().image("nginx:2").desired, &world.0);
        let renamed = plan.steps.first().is_some_and(|step| step.to_string().starts_with("rename edge.next to edge"));
        assert_eq!(renamed, interim == "edge.next", "{plan}");
    }
}

fn failed(count: u32, seconds: i64) -> impl FnOnce(&mut History) {
    let change = FieldChange { field: "image".into(), from: Some("nginx:1".into()), to: Some("nginx:2".into()) };
    let reason = "it exited with 1".to_owned();
    move |history| {
        let failed = FailedReplacement { fields: vec![change], count, at: seconds_ago(seconds), reason };
        history.failed_replacement = Some(failed);
    }
}

#[test]
fn a_failed_replacement_is_tried_again_after_a_pause_and_then_given_up() {
    let wish = web().image("nginx:2");
    check(
        &wish,
        &running(&web()).remembering(failed(1, 0)),
        expect![[r#"
        wait: the new version did not come up (it exited with 1), the old one runs on; next try at 2026-03-01T12:00:01Z
    "#]],
    );
    check(
        &wish,
        &running(&web()).remembering(failed(2, 1)),
        expect![[r#"
        wait: the new version did not come up (it exited with 1), the old one runs on; next try at 2026-03-01T12:00:01Z
    "#]],
    );
    check(
        &wish,
        &running(&web()).remembering(failed(2, 2)),
        expect![[r#"
        create web.next from nginx:2, because it differs in image nginx:1 → nginx:2
        start web.next, because it differs in image nginx:1 → nginx:2
        wait: it is starting
    "#]],
    );
    check(
        &wish,
        &running(&web()).remembering(failed(3, 9999)),
        expect![[r#"
        wait: the new version did not come up (it exited with 1), the old one runs on; change the manifest, or release it
    "#]],
    );
}

#[test]
fn another_version_than_the_failed_one_is_tried_at_once() {
    check(
        &web().image("nginx:3"),
        &running(&web()).remembering(failed(3, 0)),
        expect![[r#"
        create web.next from nginx:3, because it differs in image nginx:1 → nginx:3
        start web.next, because it differs in image nginx:1 → nginx:3
        wait: it is starting
    "#]],
    );
    check(
        &web().image("nginx:2").env("TZ", "CET"),
        &running(&web()).remembering(failed(3, 0)),
        expect![[r#"
        create web.next from nginx:2, because it differs in image nginx:1 → nginx:2; environment.TZ sha256:73fe396b5230 → sha256:22942140920d
        start web.next, because it differs in image nginx:1 → nginx:2; environment.TZ sha256:73fe396b5230 → sha256:22942140920d
        wait: it is starting
    "#]],
    );
}
