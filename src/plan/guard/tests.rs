use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::manifest::Kind;

fn settings() -> Settings {
    Settings {
        percent: 50,
        containers: 4,
        within: SignedDuration::from_secs(30),
        patience: SignedDuration::from_secs(120),
        concurrency: 3,
        disk_free: 1,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// `failing` of `total` containers fail, since these seconds.
fn seen(now: i64, total: usize, failing: &[i64], signs: &[Sign]) -> Census {
    let key = |number: usize| Key::new(Kind::Container, format!("c{number}"));
    let failing = failing.iter().enumerate().map(|(number, since)| (key(number), at(*since))).collect();
    Census { at: at(now), total, failing, signs: signs.to_vec() }
}

fn full() -> Sign {
    Sign::DiskFull { path: "/var/lib/docker".to_owned(), free: 3 << 20, advice: vec!["prune images".to_owned()] }
}

/// What becomes of an ordinary host that is looked at so often.
fn check(looks: &[Census], expected: &Expect) {
    let mut state = State::Ordinary;
    let lines = looks.iter().map(|census| {
        state = state.next(census, &settings());
        let seconds = census.at.duration_since(at(0)).as_secs();
        match &state {
            State::Ordinary => format!("{seconds}s ordinary\n"),
            State::Trouble { cause, .. } => format!("{seconds}s trouble: {cause}\n"),
            State::Recovery { .. } => format!("{seconds}s recovery\n"),
        }
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn when_most_containers_fail_at_once_it_is_the_host_until_they_are_back() {
    check(
        &[seen(0, 6, &[0, 0, 0], &[]), seen(1, 6, &[0, 0, 0, 1, 1], &[]), seen(5, 6, &[0, 0], &[]), seen(6, 6, &[], &[])],
        &expect![[r#"
            0s ordinary
            1s trouble: 5 of 6 containers fail at once, and nothing is seen that explains it
            5s recovery
            6s ordinary
        "#]],
    );
}

#[test]
fn containers_that_fail_one_after_the_other_fail_by_themselves() {
    check(
        &[
            seen(0, 4, &[0], &[]),
            seen(40, 4, &[0, 40], &[]),
            seen(80, 4, &[0, 40, 80], &[]),
            seen(120, 4, &[0, 40, 80, 120], &[]),
        ],
        &expect![[r#"
            0s ordinary
            40s ordinary
            80s ordinary
            120s ordinary
        "#]],
    );
}

#[test]
fn with_few_containers_nobody_can_tell_that_it_is_the_host() {
    check(&[seen(0, 3, &[0, 0, 0], &[])], &expect![["0s ordinary\n"]]);
}

#[test]
fn patience_ends_and_what_runs_is_restarted_a_few_at_a_time() {
    let failing = [0; 8];
    check(
        &[
            seen(0, 8, &failing, &[]),
            seen(119, 8, &failing, &[]),
            seen(120, 8, &failing, &[]),
            seen(719, 8, &failing, &[]),
            seen(720, 8, &failing, &[]),
        ],
        &expect![[r#"
            0s trouble: 8 of 8 containers fail at once, and nothing is seen that explains it
            119s trouble: 8 of 8 containers fail at once, and nothing is seen that explains it
            120s recovery
            719s recovery
            720s ordinary
        "#]],
    );
}

#[test]
fn a_full_disk_is_trouble_for_as_long_as_it_is_full() {
    check(
        &[
            seen(0, 8, &[], &[full()]),
            seen(9999, 8, &[5, 5], &[full()]),
            seen(10_000, 8, &[5, 5], &[]),
            seen(10_001, 8, &[], &[]),
        ],
        &expect![[r#"
            0s trouble: the disk of /var/lib/docker is full, 3 MiB are left; prune images
            9999s trouble: the disk of /var/lib/docker is full, 3 MiB are left; prune images
            10000s recovery
            10001s ordinary
        "#]],
    );
}

#[test]
fn what_is_seen_of_the_host_is_told_as_the_cause() {
    let failing = [100; 5];
    let cause = |sign: Sign| match State::Ordinary.next(&seen(110, 5, &failing, &[sign]), &settings()) {
        State::Trouble { cause, .. } => format!("{cause}\n"),
        state => panic!("{state:?}"),
    };
    let causes = [
        cause(Sign::EngineRestarted { at: at(95) }),
        cause(Sign::ClockJumped { by: SignedDuration::from_hours(-2), at: at(100) }),
        cause(Sign::NetworkGone),
        cause(Sign::OutOfMemory { available: 5 << 20 }),
        // That was too long ago to explain anything.
        cause(Sign::EngineRestarted { at: at(-500) }),
    ];
    expect![[r#"
        5 of 5 containers fail at once: the engine was restarted
        5 of 5 containers fail at once: the clock was set by 2h ago
        5 of 5 containers fail at once: the host has lost its way to the network
        5 of 5 containers fail at once: the host is out of memory, 5 MiB are left
        5 of 5 containers fail at once, and nothing is seen that explains it
    "#]]
    .assert_eq(&causes.concat());
}

proptest! {
    #[test]
    fn a_host_on_which_nothing_fails_is_ordinary_after_one_look(
        total in 0_usize..50,
        failing in proptest::collection::vec(0_i64..100, 0..50),
        looks in 1_i64..2000,
    ) {
        let before = State::Ordinary.next(&seen(looks, total.max(failing.len()), &failing, &[]), &settings());
        let after = before.next(&seen(looks + 1, total, &[], &[]), &settings());
        prop_assert_eq!(after, State::Ordinary);
    }

    #[test]
    fn a_minority_is_never_the_host(total in 8_usize..50, share in 0_usize..100) {
        let failing = vec![0; (total - 1) / 2 * share / 100];
        prop_assert_eq!(State::Ordinary.next(&seen(1, total, &failing, &[]), &settings()), State::Ordinary);
    }
}
