//! Bringing back what is not well.

use super::{world::NOW, *};
use crate::{
    manifest::container::Selector,
    plan::history::{Fallback, ManualStop},
};

#[test]
fn an_exited_container_is_started() {
    decides(
        &wanted().has("web", |container| container.exited(137)),
        &expect![[r#"
        start web, because it exited with 137
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_that_ran_out_of_memory_is_started_and_that_is_said() {
    let world = wanted().has("web", |container| container.is(State::Exited { exit_code: 137, out_of_memory: true }));
    decides(
        &world,
        &expect![[r#"
        start web, because it ran out of memory and was killed
        wait: it is starting
    "#]],
    );
}

#[test]
fn an_unhealthy_container_is_restarted() {
    decides(
        &wanted().has("web", |container| container.healthy(Health::Unhealthy)),
        &expect![[r#"
        restart web, because it is unhealthy
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_failing_probe_counts_although_the_engine_sees_nothing() {
    let failing = ProbeState::Failing { error: "port 80: refused".into() };
    let world = wanted().has("web", |container| container.healthy(Health::Healthy).probed(failing));
    decides(
        &world,
        &expect![[r#"
        restart web, because its probe fails: port 80: refused
        wait: it is starting
    "#]],
    );
}

#[test]
fn what_somebody_else_is_at_work_on_is_left_alone() {
    let doing = |state| wanted().has("web", |container| container.is(state)).plan().to_string();
    expect!["wait: it is paused; unpause it when you are done\n"].assert_eq(&doing(State::Paused));
    expect!["wait: the engine is restarting it\n"].assert_eq(&doing(State::Restarting));
    expect!["wait: the engine is removing it\n"].assert_eq(&doing(State::Removing));
}

#[test]
fn a_half_removed_container_is_removed_entirely() {
    decides(
        &wanted().has("web", |container| container.is(State::Dead)),
        &expect![[r#"
        remove web, because it exited with 0
    "#]],
    );
}

#[test]
fn a_stop_by_hand_is_respected_or_not_as_the_manifest_says() {
    let stopped = wanted().has("web", |container| container.exited(0)).stopped_by_hand();
    decides(
        &stopped,
        &expect![[r#"
        wait: it was stopped by hand at 1970-01-12T13:45:40Z; start it, or release it
    "#]],
    );
    decides(
        &stopped.heals_manual_stops(),
        &expect![[r#"
        start web, because it exited with 0
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_stop_by_hand_of_another_container_says_nothing_about_this_one() {
    let world = wanted().has("web", |container| container.exited(0)).remembers(|history| {
        history.manual_stop = Some(ManualStop { container: "another".into(), at: world::at(NOW) });
    });
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn while_a_stop_by_hand_is_possible_nothing_is_started() {
    let mut world = wanted().has("web", |container| container.exited(143));
    world.observed.stop_suspected_until = Some(world::at(NOW + 1));
    decides(
        &world,
        &expect![[r#"
        wait: somebody seems to be stopping it
    "#]],
    );
}

#[test]
fn a_container_whose_dependency_is_down_is_left_alone_and_says_so() {
    let world = wanted().depends_on("db", Readiness::Down).has("web", |container| container.healthy(Health::Unhealthy));
    decides(
        &world,
        &expect![[r#"
        wait: Container/db is not healthy
    "#]],
    );
}

#[test]
fn the_second_failure_in_a_row_makes_it_anew() {
    decides(
        &wanted().tried(&[10]).has("web", |container| container.exited(1)),
        &expect![[r#"
        remove web, because 1 earlier tries did not help
        create web from web:1, because 1 earlier tries did not help
        start web, because 1 earlier tries did not help
        wait: it is starting
    "#]],
    );
}

#[test]
fn the_third_failure_in_a_row_falls_back_to_the_last_good_image() {
    let world = wanted().image("web:2").tried(&[30, 10]).has("web", |container| container.exited(1));
    let world = world.remembers(|history| history.good_image = Some("web:1".into()));
    decides(
        &world,
        &expect![[r#"
        remove web, because 2 earlier tries with web:2 did not help
        create web from web:1, because 2 earlier tries with web:2 did not help
        start web, because 2 earlier tries with web:2 did not help
        wait: it is starting
    "#]],
    );
}

#[test]
fn on_the_last_good_image_it_stays_and_says_so() {
    let world = wanted().has("web", |container| container).image("web:2").remembers(|history| {
        history.fallback = Some(Fallback { bad: "web:2".into(), good: "web:1".into() });
    });
    decides(
        &world,
        &expect![[r#"
        wait: it runs with the last good image web:1, because web:2 kept failing; change the manifest, or release it
    "#]],
    );
}

#[test]
fn tries_that_helped_count_for_the_budget_but_not_for_the_ladder() {
    let mut world = wanted().tried(&[300]).has("web", |container| container.exited(1));
    world.observed.history.failures = 0;
    decides(
        &world,
        &expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_container_with_data_is_started_again_and_never_made_anew() {
    let world = wanted().volume("data").tried(&[10]).has("web", |container| container.exited(1));
    decides(
        &world,
        &expect![[r#"
        start web, because it exited with 1
        wait: it is starting
    "#]],
    );
}

#[test]
fn each_try_waits_longer_than_the_one_before() {
    let due = |tried: &[i64]| {
        let plan = wanted().tried(tried).has("web", |container| container.exited(1)).plan();
        match plan.wait {
            Some(Wait::BackingOff { until, .. }) => until.duration_since(world::at(NOW)).as_secs(),
            _ => 0,
        }
    };
    assert_eq!([due(&[0]), due(&[5, 0]), due(&[2]), due(&[9, 2])], [1, 2, 0, 0]);
}

#[test]
fn a_spent_budget_is_a_crash_loop_until_it_is_released() {
    let world = wanted().tried(&[90, 60, 30]).has("web", |container| container.exited(1));
    decides(
        &world,
        &expect![[r#"
        wait: crash loop: given up after 3 tries (it exited with 1); mend it, then release it
    "#]],
    );
    let much_later =
        wanted().has("web", |container| container.exited(1)).remembers(|history| history.crash_loop = Some(world::at(0)));
    assert!(matches!(much_later.plan().wait, Some(Wait::CrashLoop { .. })));
    let released = History { generation: 1, ..much_later.observed.history.clone() }.released();
    assert_eq!(much_later.remembers(|history| *history = released).plan().steps.len(), 1);
}

#[test]
fn tries_from_before_a_long_time_of_quiet_are_forgotten() {
    let world = wanted().tried(&[650, 620, 601]).has("web", |container| container.exited(1));
    assert_eq!(world.plan().steps.len(), 1);
}

#[test]
fn somebody_who_keeps_removing_it_is_not_fought_for_ever() {
    let world = wanted().tried(&[90, 60, 30]).remembers(|history| history.seen_ready = true);
    decides(
        &world,
        &expect![[r#"
        wait: crash loop: given up after 3 tries (it keeps vanishing); mend it, then release it
    "#]],
    );
}

fn healed(world: &World) -> Plan {
    let desired = heal::Desired {
        key: world.desired.key.clone(),
        generation: 1,
        selector: Selector::default(),
        networks: world.desired.shape.networks.clone(),
        depends_on: Vec::new(),
        probe: None,
        policy: world.desired.policy.clone(),
    };
    heal::plan(&desired, &world.observed)
}

#[test]
fn somebody_elses_container_is_started_and_reconnected_and_never_made_or_removed() {
    expect![[r#"
        wait: there is no such container, and making it is not Mooring's job
    "#]]
    .assert_eq(&healed(&wanted()).to_string());
    let foreign = |mut container: Container| {
        container.made_with = None;
        container
    };
    let world = wanted().tried(&[10]).network("shop").has("theirs", |container| foreign(container).exited(1));
    expect![[r#"
        start theirs, because it exited with 1
        wait: it is starting
    "#]]
    .assert_eq(&healed(&world).to_string());
    let world = wanted().network("shop").has("theirs", |container| foreign(container).off("shop"));
    expect![[r#"
        create network shop, because it has left shop
        connect theirs to shop, because it has left shop
    "#]]
    .assert_eq(&healed(&world).to_string());
}
