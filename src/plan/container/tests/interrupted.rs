//! A replacement has begun: every state in which a pass can find it, be it
//! because it takes its time or because Mooring was killed between two steps.

use expect_test::expect;

use super::*;

pub(super) fn web() -> Wish {
    desired("web")
}

pub(super) fn web2() -> Wish {
    web().image("nginx:2")
}

pub(super) fn edge() -> Wish {
    desired("edge").port(443)
}

pub(super) fn edge2() -> Wish {
    edge().image("nginx:2")
}

pub(super) fn old(name: &str) -> Seen {
    container("old", name).made_from(&if name.starts_with("web") { web() } else { edge() })
}

pub(super) fn new(name: &str) -> Seen {
    container("new", name).made_from(&if name.starts_with("web") { web2() } else { edge2() })
}

pub(super) fn both(old: Seen, new: Seen) -> World {
    world().with(old).with(new)
}

// Side by side.

#[test]
fn beside_killed_before_the_start() {
    check(
        &web2(),
        &both(old("web"), new("web.next").created()),
        expect![[r#"
        start web.next, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn beside_the_new_one_has_no_verdict_yet() {
    check(
        &web2(),
        &both(old("web"), new("web.next").health(Health::Starting)),
        expect![[r#"
        wait: it is starting
    "#]],
    );
    check(
        &web2(),
        &both(old("web"), new("web.next").probe(ProbeState::Pending)),
        expect![[r#"
        wait: it is starting
    "#]],
    );
}

/// Nothing tells us when a container that nobody checks has run for long enough, so the wait has an end.
#[test]
fn beside_the_new_one_is_unchecked_and_too_young() {
    let world = both(old("web"), new("web.next").started(1));
    check(
        &web2(),
        &world,
        expect![[r#"
        wait: it has just been started and has to stay up for a moment
    "#]],
    );
    let wait = plan(&web2().desired, &world.0).wait.unwrap();
    assert_eq!(wait.until(), Some(now() + SignedDuration::from_millis(500)));
}

#[test]
fn beside_the_new_one_is_ready() {
    check(
        &web2(),
        &both(old("web"), new("web.next").started(2)),
        expect![[r#"
            rename web to web.previous, because a new one has taken its place
            rename web.next to web, because that is its declared name
            stop web.previous, because a new one has taken its place
            remove web.previous, because a new one has taken its place
        "#]],
    );
    check(
        &web2(),
        &both(old("web"), new("web.next").started(0).health(Health::Healthy)),
        expect![[r#"
            rename web to web.previous, because a new one has taken its place
            rename web.next to web, because that is its declared name
            stop web.previous, because a new one has taken its place
            remove web.previous, because a new one has taken its place
        "#]],
    );
}

#[test]
fn beside_killed_between_the_two_renames() {
    check(
        &web2(),
        &both(old("web.previous"), new("web.next")),
        expect![[r#"
            rename web.next to web, because that is its declared name
            stop web.previous, because a new one has taken its place
            remove web.previous, because a new one has taken its place
        "#]],
    );
}

#[test]
fn beside_killed_before_the_old_one_was_stopped_or_removed() {
    check(
        &web2(),
        &both(old("web.previous"), new("web")),
        expect![[r#"
        stop web.previous, because a new one has taken its place
        remove web.previous, because a new one has taken its place
    "#]],
    );
    check(
        &web2(),
        &both(old("web.previous").exited(0), new("web")),
        expect![[r#"
        remove web.previous, because a new one has taken its place
    "#]],
    );
}

#[test]
fn beside_the_new_one_fails_and_the_old_one_has_never_been_away() {
    check(
        &web2(),
        &both(old("web"), new("web.next").exited(1)),
        expect![[r#"
        remove web.next, because the new version did not come up: it exited with 1
        wait: it is starting
    "#]],
    );
    check(
        &web2(),
        &both(old("web"), new("web.next").health(Health::Unhealthy)),
        expect![[r#"
        stop web.next, because the new version did not come up: it became unhealthy
        remove web.next, because the new version did not come up: it became unhealthy
        wait: it is starting
    "#]],
    );
    let mut late = new("web.next").health(Health::Unhealthy);
    late.0.starved = Some("the host is overloaded".to_owned());
    check(
        &web2(),
        &both(old("web"), late),
        expect![[r#"
        wait: its health check is not to be believed, and it is not restarted for that: it took too long each time, and the host is overloaded
    "#]],
    );
    check(
        &web2(),
        &both(old("web"), new("web.next").restarting(1)),
        expect![[r#"
        stop web.next, because the new version did not come up: it exits again and again
        remove web.next, because the new version did not come up: it exits again and again
        wait: it is starting
    "#]],
    );
    let failing = ProbeState::Failing { error: "HTTP 500".into() };
    check(
        &web2(),
        &both(old("web"), new("web.next").probe(failing)),
        expect![[r#"
        stop web.next, because the new version did not come up: its probe fails: HTTP 500
        remove web.next, because the new version did not come up: its probe fails: HTTP 500
        wait: it is starting
    "#]],
    );
}

#[test]
fn beside_the_new_one_fails_after_it_took_the_name() {
    check(
        &web2(),
        &both(old("web.previous"), new("web").exited(1)),
        expect![[r#"
        remove web, because the new version did not come up: it exited with 1
        rename web.previous to web, because the new version did not come up: it exited with 1
        wait: it is starting
    "#]],
    );
}

// One after the other.

#[test]
fn exclusive_killed_before_the_old_one_stepped_aside() {
    check(
        &edge2(),
        &both(old("edge"), new("edge.next").created()),
        expect![[r#"
            stop edge, because it differs in image nginx:1 → nginx:2
            rename edge to edge.previous, because it differs in image nginx:1 → nginx:2
            rename edge.next to edge, because that is its declared name
            start edge, because it was made and never started
            wait: it is starting
        "#]],
    );
}

#[test]
fn exclusive_killed_after_the_old_one_was_stopped() {
    check(
        &edge2(),
        &both(old("edge").exited(0), new("edge.next").created()),
        expect![[r#"
            rename edge to edge.previous, because it differs in image nginx:1 → nginx:2
            rename edge.next to edge, because that is its declared name
            start edge, because it was made and never started
            wait: it is starting
        "#]],
    );
}

#[test]
fn exclusive_killed_after_the_old_one_was_renamed() {
    check(
        &edge2(),
        &both(old("edge.previous").exited(0), new("edge.next").created()),
        expect![[r#"
            rename edge.next to edge, because that is its declared name
            start edge, because it was made and never started
            wait: it is starting
        "#]],
    );
}

#[test]
fn exclusive_killed_before_the_start() {
    check(
        &edge2(),
        &both(old("edge.previous").exited(0), new("edge").created()),
        expect![[r#"
        start edge, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn exclusive_the_new_one_is_ready() {
    check(
        &edge2(),
        &both(old("edge.previous").exited(0), new("edge")),
        expect![[r#"
        remove edge.previous, because a new one has taken its place
    "#]],
    );
}

#[test]
fn exclusive_the_new_one_fails_and_the_old_one_returns() {
    check(
        &edge2(),
        &both(old("edge.previous").exited(0), new("edge").exited(1)),
        expect![[r#"
        remove edge, because the new version did not come up: it exited with 1
        rename edge.previous to edge, because the new version did not come up: it exited with 1
        start edge, because the new version did not come up: it exited with 1
        wait: it is starting
    "#]],
    );
}

/// The most common bad upgrade: the engine cannot even start it. It stays *created*, and was once
/// started again for ever while the old one stood aside.
#[test]
fn exclusive_the_new_one_cannot_be_started_and_the_old_one_returns() {
    let world = both(old("edge.previous").exited(0), new("edge").created());
    check(
        &edge2(),
        &world.start_failed("edge", "no such program"),
        expect![[r#"
        remove edge, because the new version did not come up: it could not be started: no such program
        rename edge.previous to edge, because the new version did not come up: it could not be started: no such program
        start edge, because the new version did not come up: it could not be started: no such program
        wait: it is starting
    "#]],
    );
}

#[test]
fn exclusive_killed_while_the_old_one_returned() {
    let failed = |history: &mut History| {
        let fields = edge2().desired.shape.changes_from(&edge().desired.shape);
        let reason = "it exited with 1".to_owned();
        history.failed_replacement = Some(crate::plan::history::FailedReplacement { fields, count: 1, at: now(), reason });
    };
    // It was once started under the wrong name, and nobody found it.
    check(
        &edge2(),
        &world().with(old("edge.previous").exited(0)).remembering(failed),
        expect![[r#"
            rename edge.previous to edge, because that is its declared name
            start edge, because it exited with 0
            wait: the new version did not come up (it exited with 1), the old one runs on; next try at 2026-03-01T12:00:01Z
        "#]],
    );
    check(
        &edge2(),
        &world().with(old("edge").exited(0)).remembering(failed),
        expect![[r#"
        start edge, because it exited with 0
        wait: the new version did not come up (it exited with 1), the old one runs on; next try at 2026-03-01T12:00:01Z
    "#]],
    );
}

/// A process that does not die: the old one has the name until it has stopped, so it goes on serving.
#[test]
fn exclusive_an_old_one_that_cannot_be_stopped_keeps_its_name() {
    let plan = plan(&edge2().desired, &both(old("edge").health(Health::Unhealthy), new("edge.next").created()).0);
    assert_eq!(plan.steps[0].action.operation(), "StopContainer");
}

/// Killed before the second network was joined.
#[test]
fn the_new_one_joins_all_its_networks_before_it_starts() {
    let (before, after) = (web().network("a").network("b"), web2().network("a").network("b"));
    let old = container("old", "web").made_from(&before);
    let new = container("new", "web.next").made_from(&after).off("b").created();
    check(
        &after,
        &both(old, new),
        expect![[r#"
            connect web.next to b, because it is not on b
            start web.next, because it was made and never started
            wait: it is starting
        "#]],
    );
}

// Somebody interferes.

#[test]
fn a_person_stops_the_new_one() {
    check(
        &edge2(),
        &both(old("edge.previous").exited(0), new("edge").exited(0)).stopped_by_hand("new", 1),
        expect![[r#"
        wait: it was stopped by hand at 2026-03-01T11:59:59Z; start it, or release it
    "#]],
    );
}

#[test]
fn a_person_pauses_the_old_one() {
    // Frozen, it still has the port and the data.
    check(
        &edge2(),
        &both(old("edge").state(State::Paused), new("edge.next").created()),
        expect![[r#"
        wait: it is paused; unpause it when you are done
    "#]],
    );
}

#[test]
fn a_person_stops_the_old_one_before_it_is_replaced() {
    let world = both(old("web").exited(0), new("web.next").created());
    check(
        &web2(),
        &world.stopped_by_hand("old", 1),
        expect![[r#"
        wait: it was stopped by hand at 2026-03-01T11:59:59Z; start it, or release it
    "#]],
    );
}

#[test]
fn a_foreign_container_takes_the_name_between_the_two_renames() {
    check(
        &web2(),
        &both(old("web.previous"), new("web.next")).taken("web"),
        expect![[r#"
        wait: a container named web exists and is not ours
    "#]],
    );
}

#[test]
fn the_new_one_vanishes_and_is_made_again() {
    check(
        &edge2(),
        &world().with(old("edge.previous").exited(0)),
        expect![[r#"
        create edge.next from nginx:2, because it differs in image nginx:1 → nginx:2
        rename edge.next to edge, because it differs in image nginx:1 → nginx:2
        start edge, because it differs in image nginx:1 → nginx:2
        wait: it is starting
    "#]],
    );
}

#[test]
fn the_old_one_vanishes_and_the_new_one_does_without() {
    check(
        &web2(),
        &world().with(new("web.next")),
        expect![[r#"
            rename web.next to web, because that is its declared name
        "#]],
    );
    check(
        &edge2(),
        &world().with(new("edge.next").created()),
        expect![[r#"
            rename edge.next to edge, because that is its declared name
        "#]],
    );
}
