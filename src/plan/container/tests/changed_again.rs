//! The manifest changes, or changes back, while a replacement is under way; and
//! other worlds in which it is not plain which container is which.

use expect_test::expect;

use super::{
    interrupted::{both, edge, edge2, new, old, web, web2},
    *,
};

fn web3() -> Wish {
    web().image("nginx:3")
}

#[test]
fn a_third_version_replaces_the_first_and_the_second_goes() {
    check(
        &web3(),
        &both(old("web"), new("web.next").health(Health::Starting)),
        expect![[r#"
            stop web.next, because it is left over
            remove web.next, because it is left over
            create web.next from nginx:3, because it differs in image nginx:1 → nginx:3
            start web.next, because it differs in image nginx:1 → nginx:3
            wait: it is starting
        "#]],
    );
    let edge3 = edge().image("nginx:3");
    check(
        &edge3,
        &both(old("edge.previous").exited(0), new("edge").exited(1)),
        expect![[r#"
            remove edge, because it is left over
            create edge.next from nginx:3, because it differs in image nginx:1 → nginx:3
            rename edge.next to edge, because it differs in image nginx:1 → nginx:3
            start edge, because it differs in image nginx:1 → nginx:3
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_third_version_replaces_the_second_once_that_serves() {
    check(
        &web3(),
        &both(old("web.previous"), new("web")),
        expect![[r#"
            stop web.previous, because it is left over
            remove web.previous, because it is left over
            create web.next from nginx:3, because it differs in image nginx:2 → nginx:3
            start web.next, because it differs in image nginx:2 → nginx:3
            wait: it is starting
        "#]],
    );
}

/// Between the renames nobody has the name: the first gets it back before the third is made.
#[test]
fn a_third_version_between_the_two_renames() {
    check(
        &web3(),
        &both(old("web.previous"), new("web.next")),
        expect![[r#"
            stop web.next, because it is left over
            remove web.next, because it is left over
            rename web.previous to web, because that is its declared name
            create web.next from nginx:3, because it differs in image nginx:1 → nginx:3
            start web.next, because it differs in image nginx:1 → nginx:3
            wait: it is starting
        "#]],
    );
}

#[test]
fn a_third_version_that_cannot_be_made_brings_the_first_back() {
    let edge3 = edge().image("nginx:3");
    let world = both(old("edge.previous").exited(0), new("edge").exited(1)).no_value("PASSWORD");
    check(
        &edge3,
        &world,
        expect![[r#"
            remove edge, because it is left over
            rename edge.previous to edge, because that is its declared name
            start edge, because it exited with 0
            wait: PASSWORD has no value: it is in no file of Environment/shop
        "#]],
    );
}

#[test]
fn the_first_version_is_wanted_again_before_the_second_took_over() {
    check(
        &web(),
        &both(old("web"), new("web.next")),
        expect![[r#"
            stop web.next, because it is left over
            remove web.next, because it is left over
        "#]],
    );
    // It was once taken for a new version that had failed, and removed.
    check(
        &web(),
        &both(old("web").exited(1), new("web.next")),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}

/// The first steps back in, by the same way on which it stepped aside. It was once taken for a new
/// version that had failed, because it was stopped; its name was in the way of the other's.
#[test]
fn the_first_version_is_wanted_again_after_it_stepped_aside() {
    check(
        &edge(),
        &both(old("edge.previous").exited(0), new("edge")),
        expect![[r#"
            rename edge.previous to edge.next, because the manifest has come back to it
            stop edge, because it differs in image nginx:2 → nginx:1
            rename edge to edge.previous, because it differs in image nginx:2 → nginx:1
            start edge.next, because the manifest has come back to it
            rename edge.next to edge, because that is its declared name
            wait: it is starting
        "#]],
    );
    check(
        &edge(),
        &both(old("edge.next").exited(0), new("edge").exited(0)),
        expect![[r#"
            rename edge to edge.previous, because it differs in image nginx:2 → nginx:1
            start edge.next, because the manifest has come back to it
            rename edge.next to edge, because that is its declared name
            wait: it is starting
        "#]],
    );
    check(
        &edge(),
        &both(old("edge.next").started(0), new("edge.previous").exited(0)),
        expect![[r#"
        wait: it has just been started and has to stay up for a moment
    "#]],
    );
    check(
        &edge(),
        &both(old("edge.next"), new("edge.previous").exited(0)),
        expect![[r#"
            rename edge.next to edge, because that is its declared name
            remove edge.previous, because a new one has taken its place
        "#]],
    );
}

#[test]
fn the_first_version_is_wanted_again_after_the_second_took_the_name() {
    check(
        &web(),
        &both(old("web.previous"), new("web")),
        expect![[r#"
            rename web.previous to web.next, because the manifest has come back to it
            rename web to web.previous, because a new one has taken its place
            rename web.next to web, because that is its declared name
            stop web.previous, because a new one has taken its place
            remove web.previous, because a new one has taken its place
        "#]],
    );
}

/// Found by playing random worlds: each has the name that the other needs.
#[test]
fn two_versions_with_swapped_names_find_their_way() {
    check(
        &edge2(),
        &both(old("edge.next"), new("edge.previous").created()),
        expect![[r#"
        rename edge.next to edge, because that is its declared name
        rename edge.previous to edge.next, because the manifest has come back to it
        stop edge, because it differs in image nginx:1 → nginx:2
        rename edge to edge.previous, because it differs in image nginx:1 → nginx:2
        rename edge.next to edge, because that is its declared name
        start edge, because it was made and never started
        wait: it is starting
    "#]],
    );
    check(
        &web2(),
        &both(old("web.next"), new("web.previous")),
        expect![[r#"
        rename web.next to web, because that is its declared name
        rename web.previous to web.next, because the manifest has come back to it
        rename web to web.previous, because a new one has taken its place
        rename web.next to web, because that is its declared name
        stop web.previous, because a new one has taken its place
        remove web.previous, because a new one has taken its place
    "#]],
    );
}

/// Found by playing random worlds: it was once brought back, to be started for the first time.
#[test]
fn a_container_that_has_never_run_is_no_way_back() {
    check(
        &web2(),
        &both(old("web.previous").created(), new("web").exited(1)),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
    check(
        &web2(),
        &both(old("web").created(), new("web.next")),
        expect![[r#"
        remove web, because it is left over
        rename web.next to web, because that is its declared name
    "#]],
    );
}

/// Found by playing random worlds: the rename failed over and over again, after the old one had been stopped.
#[test]
fn nothing_begins_while_the_engine_is_removing_one_whose_name_is_needed() {
    let vanishing = container("c9", "edge.previous").made_from(&edge()).state(State::Removing);
    check(
        &edge2(),
        &world().with(old("edge")).with(vanishing.clone()),
        expect![[r#"
        wait: the engine is removing it
    "#]],
    );
    check(
        &edge2(),
        &both(old("edge"), new("edge.next").created()).with(vanishing),
        expect![[r#"
        wait: the engine is removing it
    "#]],
    );
}

#[test]
fn a_container_that_has_lost_its_labels_is_no_way_back() {
    let stranger = container("c9", "web-backup").exited(0);
    check(
        &web(),
        &both(old("web").exited(1), stranger.clone()),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
    check(
        &web(),
        &both(old("web"), stranger),
        expect![[r#"
        note: container web-backup is a leftover that is not removed by itself
    "#]],
    );
}

#[test]
fn a_dead_or_vanishing_one_is_no_way_back() {
    check(
        &web2(),
        &both(old("web.previous").state(State::Dead), new("web")),
        expect![[r#"
            remove web.previous, because it is left over
        "#]],
    );
    check(
        &web2(),
        &both(old("web.previous").state(State::Removing), new("web").exited(1)),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}
