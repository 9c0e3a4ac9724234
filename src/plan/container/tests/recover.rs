//! The container is the right one and does not do what it should.

use expect_test::expect;

use super::*;

fn web_in(state: State) -> World {
    world().with(container("c1", "web").made_from(&desired("web")).state(state))
}

pub(super) fn exited(exit_code: i64) -> World {
    web_in(State::Exited { exit_code, out_of_memory: false })
}

#[test]
fn a_container_that_is_as_declared_is_left_alone() {
    check(&desired("web"), &web_in(State::Running), expect![[""]]);
}

#[test]
fn an_exited_container_is_started_whatever_its_exit_code() {
    for exit_code in [0, 1, 137, 143] {
        let plan = plan(&desired("web").desired, &exited(exit_code).0).to_string();
        assert_eq!(plan, format!("start web, because it exited with {exit_code}\nwait: it is starting\n"));
    }
}

#[test]
fn a_container_that_ran_out_of_memory_says_so() {
    check(
        &desired("web"),
        &web_in(State::Exited { exit_code: 137, out_of_memory: true }),
        expect![[r#"
        start web, because it ran out of memory and was killed
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_stop_by_a_person_is_respected() {
    check(
        &desired("web"),
        &exited(143).stopped_by_hand("c1", 60),
        expect![[r#"
        wait: it was stopped by hand at 2026-03-01T11:59:00Z; start it, or release it
    "#]],
    );
}

#[test]
fn a_stop_by_a_person_is_healed_where_the_manifest_says_so() {
    check(
        &desired("web").heal_manual_stops(),
        &exited(143).stopped_by_hand("c1", 60),
        expect![[r#"
        start web, because it exited with 143
        wait: it is starting
    "#]],
    );
}

/// It ran again and then fell, all between two looks: the fall is no one's wish.
#[test]
fn a_container_that_was_started_after_the_stop_and_fell_is_started() {
    let fallen = container("c1", "web").made_from(&desired("web")).exited(1).started(30);
    check(
        &desired("web"),
        &world().with(fallen).stopped_by_hand("c1", 60),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_stop_of_an_earlier_container_says_nothing_about_this_one() {
    check(
        &desired("web"),
        &exited(143).stopped_by_hand("c0", 60),
        expect![[r#"
        start web, because it exited with 143
        wait: it is starting
    "#]],
    );
}

#[test]
fn while_a_stop_is_suspected_nothing_is_started() {
    let mut world = exited(0);
    world.0.stop_suspected_until = Some(in_seconds(2));
    check(
        &desired("web"),
        &world,
        expect![[r#"
        wait: somebody seems to be stopping it
    "#]],
    );
    world.0.stop_suspected_until = Some(now());
    check(
        &desired("web"),
        &world,
        expect![[r#"
        start web, because it exited with 0
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_paused_container_is_left_alone() {
    check(
        &desired("web"),
        &web_in(State::Paused),
        expect![[r#"
        wait: it is paused; unpause it when you are done
    "#]],
    );
}

#[test]
fn an_unhealthy_container_is_restarted() {
    let world = world().with(container("c1", "web").made_from(&desired("web")).health(Health::Unhealthy));
    check(
        &desired("web"),
        &world,
        expect![[r#"
        restart web, because it is unhealthy
        wait: it is starting
    "#]],
    );
}

#[test]
fn an_unhealthy_container_that_our_own_probe_finds_well_is_left_alone() {
    let contradicted = container("c1", "web").made_from(&desired("web")).health(Health::Unhealthy).probe(ProbeState::Passing);
    assert_eq!(contradicted.0.readiness(), Readiness::Healthy);
    check(
        &desired("web"),
        &world().with(contradicted),
        expect![[r#"
        wait: its health check is not to be believed, and it is not restarted for that: it fails while the probe of the manifest succeeds
    "#]],
    );
}

#[test]
fn a_check_that_cannot_be_run_says_nothing_about_its_container() {
    let mut broken = container("c1", "web").made_from(&desired("web"));
    broken.0.broken_check = Some("curl: not found".to_owned());
    check(
        &desired("web"),
        &world().with(broken),
        expect![[r#"
        wait: its health check is not to be believed, and it is not restarted for that: curl: not found
    "#]],
    );
}

/// A restart takes processor time, too, and whoever is restarted does not answer at all.
#[test]
fn a_check_that_is_late_on_a_host_without_time_to_give_is_no_reason_to_restart() {
    let mut late = container("c1", "web").made_from(&desired("web")).health(Health::Unhealthy);
    late.0.starved = Some("the host is overloaded".to_owned());
    check(
        &desired("web"),
        &world().with(late.clone()),
        expect![[r#"
        wait: its health check is not to be believed, and it is not restarted for that: it took too long each time, and the host is overloaded
    "#]],
    );
    check(
        &desired("web"),
        &world().with(late.probe(ProbeState::Failing { error: "connection refused".into() })),
        expect![[r#"
        restart web, because its probe fails: connection refused
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_whose_probe_fails_is_restarted() {
    let failing = ProbeState::Failing { error: "connection refused".into() };
    let world = world().with(container("c1", "web").made_from(&desired("web")).probe(failing));
    check(
        &desired("web"),
        &world,
        expect![[r#"
        restart web, because its probe fails: connection refused
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_without_a_verdict_is_given_time() {
    let starting = container("c1", "web").made_from(&desired("web")).health(Health::Starting);
    check(
        &desired("web"),
        &world().with(starting),
        expect![[r#"
        wait: it is starting
    "#]],
    );
    let pending = container("c1", "web").made_from(&desired("web")).probe(ProbeState::Pending);
    check(
        &desired("web"),
        &world().with(pending),
        expect![[r#"
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_whose_dependency_is_down_is_left_alone() {
    let wish = desired("web").depends_on("db", DependencyCondition::Started);
    check(
        &wish,
        &exited(1).dependency("db", Readiness::Down),
        expect![[r#"
        wait: Container/db is not started
    "#]],
    );
    let unhealthy = world().with(container("c1", "web").made_from(&desired("web")).health(Health::Unhealthy));
    check(
        &wish,
        &unhealthy.dependency("db", Readiness::Down),
        expect![[r#"
        wait: Container/db is not started
    "#]],
    );
    // What runs well needs nobody.
    check(&wish, &web_in(State::Running).dependency("db", Readiness::Down), expect![[""]]);
}

#[test]
fn a_restart_by_the_engine_is_waited_for() {
    let restarting = container("c1", "web").made_from(&desired("web")).restarting(4);
    check(
        &desired("web"),
        &world().with(restarting),
        expect![[r#"
        wait: the engine is restarting it
    "#]],
    );
}

/// With `restart: always` the engine goes on for ever, and it never tells anybody.
#[test]
fn restarts_by_the_engine_that_do_not_help_take_the_next_rung() {
    let wish = desired("web").restart(Restart::Always);
    let world = world().with(container("c1", "web").made_from(&wish).restarting(5));
    check(
        &wish,
        &world,
        expect![[r#"
        stop web, because 5 earlier tries did not help
        remove web, because 5 earlier tries did not help
        create web from nginx:1, because 5 earlier tries did not help
        start web, because 5 earlier tries did not help
        wait: it is starting
    "#]],
    );
    check(
        &wish,
        &world.tried(&[300, 200, 100]),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it exited again after each of 5 restarts by the engine); mend it, then release it
    "#]],
    );
}

#[test]
fn a_container_with_data_that_the_engine_restarts_in_vain_is_only_restarted() {
    let wish = desired("db").volume("data").restart(Restart::Always);
    check(
        &wish,
        &world().with(container("c1", "db").made_from(&wish).restarting(9)),
        expect![[r#"
        restart db, because it exited again after each of 9 restarts by the engine
        wait: it is starting
    "#]],
    );
}

/// `docker kill` disarms `unless-stopped`, and `on-failure` gives up: to us both are a container that has exited.
#[test]
fn a_container_that_the_engine_has_given_up_is_started() {
    for restart in [Restart::UnlessStopped, Restart::OnFailure(Some(3))] {
        let wish = desired("web").restart(restart);
        let plan = plan(&wish.desired, &world().with(container("c1", "web").made_from(&wish).exited(137)).0);
        assert_eq!(plan.to_string(), "start web, because it exited with 137\nwait: it is starting\n");
    }
}

#[test]
fn the_ladder_goes_from_start_to_remake_to_the_last_good_image_to_crash_loop() {
    let world = exited(1).remembering(|history| history.good_image = Some("nginx:0".into()));
    check(
        &desired("web"),
        &world,
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
    check(
        &desired("web"),
        &world.clone().tried(&[1]),
        expect![[r#"
        remove web, because an earlier try did not help
        create web from nginx:1, because an earlier try did not help
        start web, because an earlier try did not help
        wait: it is starting
    "#]],
    );
    check(
        &desired("web"),
        &world.clone().tried(&[4, 2]),
        expect![[r#"
        remove web, because 2 earlier tries with nginx:1 did not help
        create web from nginx:0, because 2 earlier tries with nginx:1 did not help
        start web, because 2 earlier tries with nginx:1 did not help
        wait: it is starting
    "#]],
    );
    check(
        &desired("web"),
        &world.tried(&[9, 7, 5]),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
    "#]],
    );
}

#[test]
fn without_another_good_image_the_third_rung_makes_the_same_again() {
    check(
        &desired("web"),
        &exited(1).tried(&[4, 2]),
        expect![[r#"
        remove web, because 2 earlier tries did not help
        create web from nginx:1, because 2 earlier tries did not help
        start web, because 2 earlier tries did not help
        wait: it is starting
    "#]],
    );
    let world = exited(1).remembering(|history| history.good_image = Some("nginx:1".into()));
    check(
        &desired("web"),
        &world.tried(&[4, 2]),
        expect![[r#"
        remove web, because 2 earlier tries did not help
        create web from nginx:1, because 2 earlier tries did not help
        start web, because 2 earlier tries did not help
        wait: it is starting
    "#]],
    );
}

#[test]
fn each_try_waits_longer_than_the_one_before() {
    let wish = desired("web").budget(20, 3600);
    check(
        &wish,
        &exited(1).tried(&[0]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:00:01Z after 1 try
    "#]],
    );
    check(
        &wish,
        &exited(1).tried(&[5, 0]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:00:02Z after 2 tries
    "#]],
    );
    check(
        &wish,
        &exited(1).tried(&[9, 5, 0]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:00:04Z after 3 tries
    "#]],
    );
    check(
        &wish,
        &exited(1).tried(&[50, 40, 30, 20, 10, 9, 8, 7, 6, 0]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:05:00Z after 10 tries
    "#]],
    );
}

/// It once counted only the tries of the window: with a short one the pause shrank again.
#[test]
fn tries_that_have_left_the_window_still_make_the_pause_longer() {
    let wish = desired("web").budget(3, 60);
    check(
        &wish,
        &exited(1).tried(&[300, 200, 100, 0]),
        expect![[r#"
        wait: backing off until 2026-03-01T12:00:08Z after 4 tries
    "#]],
    );
}

/// It once forgot all tries `resetAfter` after the last one, up or not: with a long pause the budget was never spent.
#[test]
fn time_alone_does_not_make_the_slate_clean() {
    let wish = desired("web").budget(3, 3600);
    check(
        &wish,
        &exited(1).tried(&[1900, 1300, 700]),
        expect![[r#"
        wait: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
    "#]],
    );
}

#[test]
fn a_crash_loop_lasts_until_it_is_released() {
    let world = exited(1).tried(&[90_000]).remembering(|history| history.crash_loop = Some(seconds_ago(80_000)));
    check(
        &desired("web"),
        &world,
        expect![[r#"
        wait: crash loop: given up after 1 try (it exited with 1); mend it, then release it
    "#]],
    );
    let released = World(Observed { history: world.0.history.clone().released(), ..world.0 });
    check(
        &desired("web"),
        &released,
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}

/// The engine lost an image that nobody may pull: a remake would only lose the container as well.
#[test]
fn a_container_is_not_remade_when_its_image_is_gone() {
    let wish = desired("web").pull(PullPolicy::Never);
    check(
        &wish,
        &exited(1).no_image("nginx:1").tried(&[10]),
        expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}

/// The pull comes before the removal: a registry that is down must not cost us the container.
#[test]
fn a_remake_pulls_before_it_removes() {
    check(
        &desired("web"),
        &exited(1).no_image("nginx:1").tried(&[10]),
        expect![[r#"
        pull nginx:1, because Container/web needs it
        remove web, because an earlier try did not help
        create web from nginx:1, because an earlier try did not help
        start web, because an earlier try did not help
        wait: it is starting
    "#]],
    );
}

/// Whether the wanted image is there says nothing about the last good one.
#[test]
fn a_last_good_image_that_is_gone_is_pulled_or_passed_over() {
    let good = |history: &mut History| history.good_image = Some("nginx:0".into());
    let world = exited(1).no_image("nginx:0").tried(&[10, 5]).remembering(good);
    check(
        &desired("web"),
        &world,
        expect![[r#"
        pull nginx:0, because Container/web needs it
        remove web, because 2 earlier tries with nginx:1 did not help
        create web from nginx:0, because 2 earlier tries with nginx:1 did not help
        start web, because 2 earlier tries with nginx:1 did not help
        wait: it is starting
    "#]],
    );
    check(
        &desired("web").pull(PullPolicy::Never),
        &world,
        expect![[r#"
        remove web, because 2 earlier tries did not help
        create web from nginx:1, because 2 earlier tries did not help
        start web, because 2 earlier tries did not help
        wait: it is starting
    "#]],
    );
}

/// It once removed the misnamed one and then could not make it anew, because the name was taken.
#[test]
fn a_misnamed_container_is_not_remade_while_its_name_is_taken() {
    let misnamed = container("c1", "web.next").made_from(&desired("web")).exited(1);
    check(
        &desired("web"),
        &world().with(misnamed).taken("web").tried(&[10]),
        expect![[r#"
        start web.next, because it exited with 1
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_with_data_is_started_but_never_remade_without_permission() {
    let wish = desired("db").volume("data");
    let world = world().with(container("c1", "db").made_from(&wish).exited(1)).tried(&[5]);
    check(
        &wish,
        &world,
        expect![[r#"
        start db, because it exited with 1
        wait: it is starting
    "#]],
    );
    check(
        &wish.allow_recreate(),
        &world,
        expect![[r#"
        remove db, because an earlier try did not help
        create db from nginx:1, because an earlier try did not help
        start db, because an earlier try did not help
        wait: it is starting
    "#]],
    );
}
