//! What the engine refuses is a try, and says nothing about the container.

use expect_test::expect;

use super::{recover::exited, *};

/// What the engine has only refused is not in the container: the first rung is still the one to take.
#[test]
fn a_container_that_the_engine_has_tried_to_start_in_vain_is_made_anew_and_one_that_it_refused_to_start_is_not() {
    let wish = desired("web");
    let failed = container("c1", "web").made_from(&wish).exited(1);
    let tried = |seen: Seen| world().with(seen).tried(&[1]).remembering(|history| history.failures = 0);
    check(
        &wish,
        &tried(failed.clone()),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
    check(
        &wish,
        &tried(failed.clone().not_startable("error creating overlay mount")),
        expect![[r#"
        remove web, because an earlier try did not help
        create web from nginx:1, because an earlier try did not help
        start web, because an earlier try did not help
        wait: it is starting
    "#]],
    );
    check(
        &wish,
        &tried(failed.not_startable("network shop is ambiguous (2 matches found on name)")),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}

/// Three refusals within seconds once had a container stay down until somebody released it, however well the engine was by then.
#[test]
fn what_an_engine_has_only_refused_is_tried_again_as_soon_as_the_budget_permits_it() {
    let refused = exited(1).tried(&[9, 7, 5]).remembering(|history| (history.failures, history.is_refused) = (0, true));
    check(
        &desired("web"),
        &refused,
        expect![[r#"
        wait: the engine refuses to mend it (it exited with 1): 3 tries were in vain, and the next one may be at 2026-03-01T12:09:51Z
    "#]],
    );
    let later = exited(1).tried(&[601, 7, 5]).remembering(|history| (history.failures, history.is_refused) = (0, true));
    check(
        &desired("web"),
        &later,
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
    let given_up = refused.remembering(|history| history.crash_loop = Some(seconds_ago(1)));
    check(
        &desired("web"),
        &given_up,
        expect![[r#"
        wait: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
    "#]],
    );
}

/// That the engine has tried it in vain is in the container: no time makes it better.
#[test]
fn a_container_that_cannot_be_started_is_given_up_like_one_that_does_not_stay_up() {
    let wish = desired("web");
    let world = world().with(container("c1", "web").made_from(&wish).exited(127).not_startable("no such program"));
    check(
        &wish,
        &world.tried(&[9, 7, 5]).remembering(|history| history.is_refused = true),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it exited with 127); mend it, then release it
    "#]],
    );
}
