//! The container does what it should, and something small about it is not as declared.

use expect_test::expect;

use super::*;

#[test]
fn a_misnamed_container_gets_its_name() {
    let misnamed = container("c1", "old-web").made_from(&desired("web"));
    check(
        &desired("web"),
        &world().with(misnamed.clone()),
        expect![[r#"
            rename old-web to web, because that is its declared name
        "#]],
    );
    check(
        &desired("web"),
        &world().with(misnamed).taken("web"),
        expect![[r#"
        wait: a container named web exists and is not ours
    "#]],
    );
}

#[test]
fn a_container_that_has_left_a_network_is_connected() {
    let wish = desired("web").network("front").network("back");
    let alone = container("c1", "web").made_from(&wish).off("back");
    check(
        &wish,
        &world().with(alone.clone()),
        expect![[r#"
            connect web to back, because it is not on back
        "#]],
    );
    check(
        &wish,
        &world().with(alone).no_network("back"),
        expect![[r#"
            create network back, because it is not on back
            connect web to back, because it is not on back
        "#]],
    );
}

/// Off its network it cannot be healthy; a restart would cost it its memory and not help.
#[test]
fn an_unhealthy_container_off_its_network_is_connected_before_it_is_restarted() {
    let wish = desired("web").network("back");
    let alone = container("c1", "web").made_from(&wish).off("back").health(Health::Unhealthy);
    check(
        &wish,
        &world().with(alone),
        expect![[r#"
            connect web to back, because it is not on back
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_limit_is_changed_on_the_living_container() {
    let made = container("c1", "web").made_from(&desired("web").memory(64).restart(Restart::Always));
    check(
        &desired("web").memory(128).restart(Restart::Always),
        &world().with(made),
        expect![[r#"
        update web, because it differs in memLimit 64 → 128
    "#]],
    );
}

#[test]
fn a_limit_that_somebody_changed_by_hand_is_changed_back() {
    let mut made = container("c1", "web").made_from(&desired("web").memory(64));
    made.0.limits.mem_limit = Some(1 << 30);
    check(
        &desired("web").memory(64),
        &world().with(made),
        expect![[r#"
        update web, because it differs in memLimit 1073741824 → 64
    "#]],
    );
}

/// To the engine, no policy is the policy `no`: no new container is needed for that.
#[test]
fn a_restart_policy_is_taken_away_from_the_living_container() {
    let made = container("c1", "web").made_from(&desired("web").restart(Restart::Always));
    check(
        &desired("web"),
        &world().with(made),
        expect![[r#"
        update web, because it differs in restart always → no
    "#]],
    );
    let made = container("c1", "web").made_from(&desired("web").restart(Restart::No));
    check(&desired("web"), &world().with(made), expect![[""]]);
}

#[test]
fn duplicates_that_fit_are_removed() {
    let wish = desired("web");
    let world = world()
        .with(container("c1", "web").made_from(&wish))
        .with(container("c2", "web-copy").made_from(&wish))
        .with(container("c3", "web-paused").made_from(&wish).state(State::Paused));
    check(
        &wish,
        &world,
        expect![[r#"
            stop web-copy, because it is left over
            remove web-copy, because it is left over
            note: container web-paused is a leftover that is not removed by itself
        "#]],
    );
}

#[test]
fn a_duplicate_with_data_is_left_to_a_person() {
    let wish = desired("db").volume("data");
    let world = world().with(container("c1", "db").made_from(&wish)).with(container("c2", "db-copy").made_from(&wish));
    check(
        &wish,
        &world,
        expect![[r#"
        note: container db-copy is a leftover that is not removed by itself
    "#]],
    );
}

#[test]
fn a_container_on_its_last_good_image_says_so() {
    let fallback = crate::plan::history::Fallback { bad: "nginx:1".into(), good: "nginx:0".into() };
    let world = world()
        .with(container("c1", "web").made_from(&desired("web").image("nginx:0")))
        .remembering(|history| history.fallback = Some(fallback));
    check(
        &desired("web"),
        &world,
        expect![[r#"
        wait: it runs with the last good image nginx:0, because nginx:1 kept failing; change the manifest, or release it
    "#]],
    );
    // Another image is another try.
    check(
        &desired("web").image("nginx:2"),
        &world,
        expect![[r#"
        create web.next from nginx:2, because it differs in image nginx:0 → nginx:2
        start web.next, because it differs in image nginx:0 → nginx:2
        wait: it is starting
    "#]],
    );
}
