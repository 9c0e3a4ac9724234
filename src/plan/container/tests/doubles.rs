//! Several networks with one name.
//!
//! What taught it: a Mooring died while the engine worked on its request for a
//! network, the next one found none and made another, and the container could
//! never be started: `network shop is ambiguous (2 matches found on name)`.

use expect_test::expect;

use super::*;

const OURS: bool = true;
const USED: bool = true;

#[test]
fn of_two_empty_ones_of_ours_the_younger_goes_before_the_start() {
    let wish = desired("web").network("shop");
    check(
        &wish,
        &world()
            .with(container("c1", "web").made_from(&wish).created())
            .double("shop", ("0123456789abcdef", OURS, !USED), 5)
            .double("shop", ("fedcba9876543210", OURS, !USED), 60),
        expect![[r#"
            remove network shop (0123456789ab), because there is another one of that name, and nobody is on this one
            start web, because it was made and never started
            wait: it is starting
        "#]],
    );
}

#[test]
fn the_one_in_use_stays_however_old_the_other_is() {
    let wish = desired("web").network("shop");
    check(
        &wish,
        &world().with(container("c1", "web").made_from(&wish).exited(1)).double("shop", ("old", OURS, !USED), 60).double(
            "shop",
            ("new", OURS, USED),
            5,
        ),
        expect![[r#"
            remove network shop (old), because there is another one of that name, and nobody is on this one
            start web, because it exited with 1
            wait: it is starting
        "#]],
    );
}

#[test]
fn one_that_somebody_else_made_is_not_removed() {
    let wish = desired("web").network("shop");
    let exited = || world().with(container("c1", "web").made_from(&wish).exited(1));
    check(
        &wish,
        &exited().double("shop", ("theirs", !OURS, !USED), 60).double("shop", ("ours", OURS, USED), 5),
        expect![[r#"
            start web, because it exited with 1
            wait: it is starting
        "#]],
    );
    check(
        &wish,
        &exited().double("shop", ("theirs", !OURS, USED), 5).double("shop", ("ours", OURS, !USED), 60),
        expect![[r#"
            remove network shop (ours), because there is another one of that name, and nobody is on this one
            start web, because it exited with 1
            wait: it is starting
        "#]],
    );
}

#[test]
fn of_two_in_use_none_is_removed() {
    let wish = desired("web").network("shop");
    check(
        &wish,
        &world().with(container("c1", "web").made_from(&wish).exited(1)).double("shop", ("one", OURS, USED), 60).double(
            "shop",
            ("two", OURS, USED),
            5,
        ),
        expect![[r#"
            start web, because it exited with 1
            wait: it is starting
        "#]],
    );
}

#[test]
fn they_are_nobodys_business_while_nothing_is_started() {
    let wish = desired("web").network("shop");
    check(
        &wish,
        &world()
            .with(container("c1", "web").made_from(&wish).state(State::Paused))
            .double("shop", ("one", OURS, !USED), 60)
            .double("shop", ("two", OURS, !USED), 5),
        expect![[r#"
            wait: it is paused; unpause it when you are done
        "#]],
    );
}

#[test]
fn a_container_that_is_only_kept_alive_is_freed_of_our_doubles_as_well() {
    let wish = desired("web").network("shop");
    let healed = heal::Desired {
        key: Key::new(Kind::Container, "web"),
        generation: 1,
        selector: crate::manifest::container::Selector::default(),
        networks: wish.desired.shape.networks.clone(),
        depends_on: Vec::new(),
        probe: None,
        policy: Policy::default(),
    };
    let world = world()
        .with(container("c1", "web").made_from(&wish).exited(1))
        .double("shop", ("theirs", !OURS, USED), 60)
        .double("shop", ("ours", OURS, !USED), 5);
    expect![[r#"
        remove network shop (ours), because there is another one of that name, and nobody is on this one
        start web, because it exited with 1
        wait: it is starting
    "#]]
    .assert_eq(&heal::plan(&healed, &world.0).to_string());
}
