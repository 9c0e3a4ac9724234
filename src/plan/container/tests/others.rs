//! Containers whose manifest is gone, and those that somebody else made.

use expect_test::expect;

use super::*;
use crate::manifest::container::Selector;

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect!` makes a value")]
fn check_absent(world: &World, expected: Expect) {
    expected.assert_eq(&absent::plan(&world.0).to_string());
}

#[test]
fn a_container_without_data_goes_with_its_manifest() {
    let wish = desired("web");
    let world = world()
        .with(container("c1", "web").made_from(&wish))
        .with(container("c2", "web.previous").made_from(&wish).exited(0))
        .with(container("c3", "web.next").made_from(&wish).created());
    check_absent(
        &world,
        expect![[r#"
        stop web, because its manifest is gone
        remove web, because its manifest is gone
        remove web.previous, because its manifest is gone
        remove web.next, because its manifest is gone
    "#]],
    );
}

#[test]
fn a_container_with_data_stays_without_permission() {
    let wish = desired("db").volume("data");
    check_absent(
        &world().with(container("c1", "db").made_from(&wish)),
        expect![[r#"
        wait: forbidden: would remove a container with data; it was made without allowRemove, so remove it by hand
    "#]],
    );
    check_absent(
        &world().with(container("c1", "db").made_from(&wish.allow_remove())),
        expect![[r#"
        stop db, because its manifest is gone
        remove db, because its manifest is gone
    "#]],
    );
}

#[test]
fn a_container_with_unreadable_labels_may_have_data() {
    check_absent(
        &world().with(container("c1", "db")),
        expect![[r#"
        wait: forbidden: would remove a container with data; it was made without allowRemove, so remove it by hand
    "#]],
    );
}

#[test]
fn a_container_that_is_paused_or_being_removed_is_left_alone() {
    let wish = desired("web");
    check_absent(
        &world().with(container("c1", "web").made_from(&wish).state(State::Paused)),
        expect![[r#"
        wait: it is paused; unpause it when you are done
    "#]],
    );
    check_absent(
        &world().with(container("c1", "web").made_from(&wish).state(State::Removing)),
        expect![[r#"
        wait: the engine is removing it
    "#]],
    );
}

#[test]
fn what_a_person_has_to_do_is_told_before_what_the_engine_does() {
    let wish = desired("db").volume("data");
    let forbidden = || container("c1", "db").made_from(&wish);
    let vanishing = || container("c2", "db.next").made_from(&wish).state(State::Removing);
    check_absent(
        &world().with(forbidden()).with(vanishing()),
        expect![[r#"
        wait: forbidden: would remove a container with data; it was made without allowRemove, so remove it by hand
    "#]],
    );
    check_absent(
        &world().with(vanishing()).with(forbidden()),
        expect![[r#"
        wait: forbidden: would remove a container with data; it was made without allowRemove, so remove it by hand
    "#]],
    );
}

fn healed() -> heal::Desired {
    let network = Network { name: "shop".into(), aliases: Vec::new(), ipv4_address: None, ipv6_address: None };
    heal::Desired {
        key: Key::new(Kind::Container, "redis"),
        generation: 1,
        selector: Selector { name: Some("shop-redis-1".into()), ..Selector::default() },
        networks: vec![network],
        depends_on: Vec::new(),
        probe: None,
        policy: Policy::default(),
    }
}

fn redis() -> Seen {
    let mut seen = container("c1", "shop-redis-1");
    seen.0.networks.insert("shop".into());
    seen
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "`expect!` makes a value")]
fn check_healed(world: &World, expected: Expect) {
    expected.assert_eq(&heal::plan(&healed(), &world.0).to_string());
}

#[test]
fn a_healed_container_that_is_well_is_left_alone() {
    check_healed(&world().with(redis()), expect![[""]]);
}

#[test]
fn a_healed_container_is_started_restarted_and_reconnected() {
    check_healed(
        &world().with(redis().exited(1)),
        expect![[r#"
        start shop-redis-1, because it exited with 1
        wait: it is starting
    "#]],
    );
    check_healed(
        &world().with(redis().created()),
        expect![[r#"
        start shop-redis-1, because it was made and never started
        wait: it is starting
    "#]],
    );
    check_healed(
        &world().with(redis().health(Health::Unhealthy)),
        expect![[r#"
        restart shop-redis-1, because it is unhealthy
        wait: it is starting
    "#]],
    );
    check_healed(
        &world().with(redis().off("shop")),
        expect![[r#"
            connect shop-redis-1 to shop, because it is not on shop
        "#]],
    );
}

#[test]
fn a_healed_container_is_never_made() {
    check_healed(
        &world(),
        expect![[r#"
        wait: there is no such container, and making it is not Mooring's job
    "#]],
    );
    check_healed(
        &world().with(redis().off("shop")).no_network("shop"),
        expect![[r#"
        wait: there is no network shop, and making it is not Mooring's job
    "#]],
    );
}

#[test]
fn a_healed_container_is_never_removed() {
    check_healed(
        &world().with(redis().state(State::Dead)),
        expect![[r#"
        wait: the engine has half removed it; remove it by hand
    "#]],
    );
    check_healed(
        &world().with(redis().exited(1)).tried(&[9, 7]),
        expect![[r#"
        start shop-redis-1, because it exited with 1
        wait: it is starting
    "#]],
    );
    check_healed(
        &world().with(redis().exited(1)).tried(&[9, 7, 5]),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
    "#]],
    );
    check_healed(
        &world().with(redis().restarting(9)),
        expect![[r#"
        restart shop-redis-1, because it exited again after each of 9 restarts by the engine
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_healed_container_that_was_stopped_or_paused_is_left_alone() {
    check_healed(
        &world().with(redis().exited(0)).stopped_by_hand("c1", 60),
        expect![[r#"
        wait: it was stopped by hand at 2026-03-01T11:59:00Z; start it, or release it
    "#]],
    );
    check_healed(
        &world().with(redis().state(State::Paused)),
        expect![[r#"
        wait: it is paused; unpause it when you are done
    "#]],
    );
}
