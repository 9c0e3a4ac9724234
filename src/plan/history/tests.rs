//! What is remembered after a step, after a pass, and when it is forgotten.

use super::*;
use crate::plan::{
    action::{NewContainer, Target},
    container::{Health, MadeWith},
    proxy::{
        Memory,
        memory::{Rejected, Stage},
    },
    shape::{Limits, Shape},
};

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn seconds_ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

const RESET_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A memory in which everything that can be remembered is.
fn full() -> History {
    History {
        generation: 1,
        failures: 0,
        attempts: vec![seconds_ago(9), seconds_ago(3)],
        is_refused: true,
        crash_loop: Some(seconds_ago(2)),
        manual_stop: Some(ManualStop { container: "c1".into(), at: seconds_ago(60), asked: false }),
        failed_replacement: Some(FailedReplacement {
            fields: Vec::new(),
            count: 1,
            at: now(),
            reason: "it exited with 1".into(),
        }),
        failed_start: Some(FailedStart { container: "web".into(), reason: "no such program".into() }),
        failed_pull: Some(FailedPull { image: "nginx:2".into(), count: 1, at: now(), reason: "no such image".into() }),
        failed_model: Some(FailedModel { model: "gemma3:4b".into(), count: 1, at: now(), reason: "no such host".into() }),
        choice: Some("ollama/gemma3:4b answers, because no key is set".into()),
        seen_ready: true,
        good_image: Some("nginx:1".into()),
        fallback: Some(Fallback { bad: "nginx:2".into(), good: "nginx:1".into() }),
        proxy: None,
        acts: vec![seconds_ago(3)],
        corrections: BTreeMap::from([("memLimit = 64m".to_owned(), vec![seconds_ago(3)])]),
        fights: BTreeMap::from([("memLimit = 64m".to_owned(), Fight { times: 3, since: seconds_ago(3) })]),
        goes_by: 17,
    }
}

fn step(action: EngineAction, why: Why) -> Step {
    Step { action: action.into(), why }
}

fn web() -> Target {
    Target::seen("c1", "web")
}

fn start(why: Why) -> Step {
    step(EngineAction::StartContainer { container: web() }, why)
}

fn create(image: &str, why: Why) -> Step {
    let new = NewContainer {
        name: "web".into(),
        object: "Container/web".parse().unwrap(),
        shape: Shape { image: image.into(), ..Shape::default() },
        variables: std::collections::BTreeMap::default(),
        allow_remove: false,
    };
    step(EngineAction::CreateContainer(Box::new(new)), why)
}

fn container(state: State, started: i64) -> Container {
    let shape = Shape { image: "nginx:3".into(), ..Shape::default() };
    Container {
        id: "c1".into(),
        name: "web".into(),
        state,
        health: Health::None,
        broken_check: None,
        start_error: None,
        starved: None,
        probe: None,
        started_at: Some(seconds_ago(started)),
        restarts: 0,
        made_with: Some(MadeWith { shape, variables: std::collections::BTreeSet::default(), allow_remove: false }),
        networks: std::collections::BTreeSet::default(),
        variables: std::collections::BTreeMap::default(),
        limits: Limits::default(),
    }
}

const EXITED: State = State::Exited { exit_code: 1, out_of_memory: false };

fn fell() -> Why {
    Why::NotRunning { exit_code: 1, out_of_memory: false }
}

#[test]
fn the_same_generation_remembers_everything() {
    assert_eq!(full().for_generation(1), full());
}

/// Editing a manifest once started what a person had stopped.
#[test]
fn another_generation_remembers_what_is_about_the_world() {
    let History { manual_stop, good_image, choice, acts, goes_by, .. } = full();
    let expected =
        History { generation: 2, manual_stop, choice, good_image, acts, goes_by, seen_ready: true, ..History::default() };
    assert_eq!(full().for_generation(2), expected);
}

#[test]
fn a_release_forgets_the_stop_by_a_person_as_well_but_not_what_was_done_on_the_host() {
    let History { good_image, choice, acts, goes_by, .. } = full();
    let expected = History { generation: 1, choice, good_image, acts, goes_by, seen_ready: true, ..History::default() };
    assert_eq!(full().released(), expected);
}

fn forgotten(step: &Step, end: End) -> CutShort<'_> {
    CutShort { code: step.code(), container: Some("c1"), end, at: now() }
}

/// Whoever died in the middle of it, and died again, started a container as often as it died itself.
#[test]
fn a_step_that_was_cut_short_is_a_try_that_proves_nothing() {
    let before = || History { seen_ready: true, ..History::default() };
    let tried = before().cut_short(&[forgotten(&start(fell()), End::Unknown)], now());
    assert_eq!((tried.attempts, tried.acts, tried.failures, tried.is_refused), (vec![now()], vec![now()], 0, true));
    let first = step(EngineAction::StartContainer { container: web() }, Why::NeverStarted);
    assert_eq!(History::default().cut_short(&[forgotten(&first, End::Unknown)], now()), History::default());
}

/// A container made anew that took Mooring along when it was started was made anew by each that came after.
#[test]
fn a_pass_that_was_cut_short_counts_once_by_the_steps_before_its_last_as_well() {
    let before = History { seen_ready: true, failures: 1, attempts: vec![seconds_ago(3)], ..History::default() };
    let create = create("nginx:1", Why::RestartDidNotHelp { attempts: 1 });
    let remove = step(EngineAction::RemoveContainer { container: web() }, Why::RestartDidNotHelp { attempts: 1 });
    let start = start(Why::RestartDidNotHelp { attempts: 1 });
    let steps = [forgotten(&remove, End::Done), forgotten(&create, End::Done), forgotten(&start, End::Unknown)];
    let tried = before.cut_short(&steps, now());
    assert_eq!((tried.attempts, tried.failures, tried.is_refused), (vec![seconds_ago(3), now()], 2, false));
    assert_eq!(tried.acts, [now()], "a pass is one act");
}

#[test]
fn a_stop_that_was_asked_for_is_remembered_by_whoever_comes_after_unless_it_failed() {
    let stop = step(EngineAction::StopContainer { container: web() }, Why::Asked { by: "ada".into() });
    let asked = ManualStop { container: "c1".into(), at: now(), asked: true };
    for (end, expected) in [(End::Done, Some(&asked)), (End::Unknown, Some(&asked)), (End::Failed, None)] {
        assert_eq!(History::default().cut_short(&[forgotten(&stop, end)], now()).manual_stop.as_ref(), expected, "{end:?}");
    }
    let replaced = step(EngineAction::StopContainer { container: web() }, Why::Replaced);
    assert_eq!(History::default().cut_short(&[forgotten(&replaced, End::Done)], now()).manual_stop, None);
}

#[test]
fn only_corrective_steps_are_tries() {
    let is_try = |step: &Step, seen_ready| {
        let before = History { seen_ready, ..History::default() };
        !before.after(step, None, now()).attempts.is_empty()
    };
    let restart = step(EngineAction::RestartContainer { container: web() }, Why::Unhealthy);
    assert!(is_try(&restart, false));
    assert!(is_try(&start(fell()), false));
    assert!(is_try(&start(Why::StartFailed { error: String::new() }), false));
    assert!(is_try(&create("nginx:1", Why::RestartDidNotHelp { attempts: 1 }), false));
    assert!(is_try(&create("nginx:1", Why::Missing), true));
    // A remake is one try, not two.
    assert!(!is_try(&start(Why::RestartDidNotHelp { attempts: 1 }), true));
    assert!(!is_try(&create("nginx:1", Why::Missing), false));
    assert!(!is_try(&start(Why::NeverStarted), true));
    assert!(!is_try(&step(EngineAction::StopContainer { container: web() }, Why::Replaced), true));
}

#[test]
fn a_try_that_failed_is_a_try() {
    assert_eq!(History::default().after(&start(fell()), Some("no space left"), now()).attempts, [now()]);
}

/// Two refusals in a row once led to an older image, and one to a container that was removed and, refused as well, not made anew.
#[test]
fn what_the_engine_refuses_is_a_try_and_no_proof_that_it_would_not_have_helped() {
    let refused = History::default().after(&start(fell()), Some("the engine refused: 503 try again later"), now());
    assert_eq!((refused.attempts.len(), refused.failures, refused.is_refused), (1, 0, true));
    let done = refused.after(&start(fell()), None, now());
    assert_eq!((done.attempts.len(), done.failures, done.is_refused), (2, 1, false));
}

#[test]
fn what_failed_for_a_cause_that_was_put_right_is_no_try_any_more_and_counts_on_the_host_all_the_same() {
    let right = full().with_a_clean_slate();
    assert_eq!((right.attempts.len(), right.failures, right.crash_loop), (0, 0, None));
    assert_eq!((right.acts, right.good_image, right.manual_stop), (full().acts, full().good_image, full().manual_stop));
}

/// It took three of these to give a container up that nothing was wrong with.
#[test]
fn a_start_that_was_refused_for_want_of_a_clear_network_says_nothing_about_the_container() {
    let refusal = "the engine refused: 400 network shop is ambiguous (2 matches found on name)";
    let before = full();
    assert_eq!(before.clone().after(&start(fell()), Some(refusal), now()), before);
}

#[test]
fn only_so_many_tries_are_kept() {
    let all = (0..100).fold(History::default(), |history, second| history.after(&start(fell()), None, seconds_ago(100 - second)));
    assert_eq!(all.attempts.len(), ATTEMPTS_KEPT);
    assert_eq!(all.attempts.last(), Some(&seconds_ago(1)));
}

#[test]
fn a_failed_start_is_remembered_until_a_start_succeeds_or_a_new_container_is_made() {
    let failed = History::default().after(&start(Why::NeverStarted), Some("no such program"), now());
    assert_eq!(failed.failed_start, Some(FailedStart { container: "c1".into(), reason: "no such program".into() }));
    assert_eq!(failed.clone().after(&start(fell()), None, now()).failed_start, None);
    assert_eq!(failed.clone().after(&create("nginx:1", Why::Missing), None, now()).failed_start, None);
    assert_ne!(failed.after(&create("nginx:1", Why::Missing), Some("no such image"), now()).failed_start, None);
}

#[test]
fn failed_pulls_of_one_image_are_counted() {
    let pull = |image: &str| step(EngineAction::PullImage { image: image.into() }, Why::Missing);
    let once = History::default().after(&pull("nginx:2"), Some("timed out"), seconds_ago(5));
    let twice = once.after(&pull("nginx:2"), Some("refused"), now());
    let expected = FailedPull { image: "nginx:2".into(), count: 2, at: now(), reason: "refused".into() };
    assert_eq!(twice.failed_pull, Some(expected));
    let other = twice.clone().after(&pull("nginx:3"), Some("refused"), now());
    assert_eq!(other.failed_pull.map(|failed| failed.count), Some(1));
    assert_eq!(twice.after(&pull("nginx:2"), None, now()).failed_pull, None);
}

#[test]
fn failed_replacements_of_one_version_are_counted_once_it_is_removed() {
    let fields = |to: &str| vec![FieldChange { field: "image".into(), from: None, to: Some(to.into()) }];
    let remove = |to: &str| {
        let why = Why::ReplacementFailed { reason: "it exited with 1".into(), fields: fields(to) };
        step(EngineAction::RemoveContainer { container: web() }, why)
    };
    let once = History::default().after(&remove("nginx:2"), None, seconds_ago(5));
    assert_eq!(once.clone().after(&remove("nginx:2"), Some("device busy"), now()), once, "the removal is tried again");
    let twice = once.after(&remove("nginx:2"), None, now());
    let count = |history: &History| history.failed_replacement.as_ref().map(|failed| failed.count);
    assert_eq!(count(&twice), Some(2));
    assert_eq!(count(&twice.after(&remove("nginx:3"), None, now())), Some(1));
}

#[test]
fn the_last_good_image_stands_in_once_a_container_is_made_of_it() {
    let suspect = create("nginx:1", Why::ImageSuspect { image: "nginx:2".into(), attempts: 2 });
    assert_eq!(History::default().after(&suspect, Some("no such image"), now()).fallback, None);
    let expected = Fallback { bad: "nginx:2".into(), good: "nginx:1".into() };
    assert_eq!(History::default().after(&suspect, None, now()).fallback, Some(expected));
}

#[test]
fn a_spent_budget_is_remembered_from_when_it_was_first_told() {
    let plan = Plan::waiting(Wait::CrashLoop { attempts: 3, reason: "it exited with 1".into() });
    let tried = History { attempts: vec![seconds_ago(6)], ..History::default() };
    let told = tried.settled(&plan, &[container(EXITED, 9)], seconds_ago(5), RESET_AFTER);
    assert_eq!(told.crash_loop, Some(seconds_ago(5)));
    assert_eq!(told.settled(&plan, &[container(EXITED, 9)], now(), RESET_AFTER).crash_loop, Some(seconds_ago(5)));
}

/// The release came while a pass decided, by what was known before it, and the container stayed down.
#[test]
fn who_is_released_while_it_is_decided_to_give_up_is_not_given_up() {
    let plan = Plan::waiting(Wait::CrashLoop { attempts: 3, reason: "it exited with 1".into() });
    let settled = |history: History| history.settled(&plan, &[container(EXITED, 9)], now(), RESET_AFTER);
    assert_eq!(settled(full().released()).crash_loop, None);
    assert_eq!(settled(full().with_a_clean_slate()).crash_loop, None);
}

#[test]
fn being_as_declared_forgets_the_version_that_failed_and_nothing_else() {
    let settled =
        History { manual_stop: None, ..full() }.settled(&Plan::default(), &[container(State::Running, 5)], now(), RESET_AFTER);
    assert_eq!(settled, History { manual_stop: None, failed_replacement: None, ..full() });
}

#[test]
fn staying_up_for_long_cleans_the_slate_and_makes_the_image_a_good_one() {
    let settled = full().settled(&Plan::default(), &[container(State::Running, 600)], now(), RESET_AFTER);
    assert_eq!((settled.attempts.as_slice(), settled.crash_loop), (&[][..], None));
    assert_eq!(settled.good_image.as_deref(), Some("nginx:3"));
}

/// With something still to wait for it was once never clean again: months later a first fall was the third.
#[test]
fn staying_up_for_long_counts_for_one_that_is_not_as_declared_too() {
    let plan = Plan::waiting(Wait::RecreateForbidden { fields: Vec::new() });
    assert_eq!(full().settled(&plan, &[container(State::Running, 600)], now(), RESET_AFTER).attempts, []);
}

#[test]
fn one_of_several_that_stays_up_does_not_speak_for_the_others() {
    let both = [container(State::Running, 600), container(EXITED, 600)];
    assert_eq!(full().settled(&Plan::default(), &both, now(), RESET_AFTER).attempts, full().attempts);
}

#[test]
fn a_pass_with_steps_proves_nothing() {
    let mut plan = Plan::default();
    plan.step(EngineAction::StopContainer { container: web() }, Why::Replaced);
    let settled = History { manual_stop: None, ..full() }.settled(&plan, &[container(State::Running, 600)], now(), RESET_AFTER);
    assert_eq!(settled, History { manual_stop: None, ..full() });
}

#[test]
fn a_stop_that_was_asked_for_is_not_forgotten_over_what_was_seen_before_it() {
    let asked = Step {
        action: EngineAction::StopContainer { container: Target::seen("c1", "web") }.into(),
        why: Why::Asked { by: "session:0a1b".to_owned() },
    };
    let history = History::default().after(&asked, None, now());
    let stop = ManualStop { container: "c1".to_owned(), at: now(), asked: true };
    assert_eq!(history.manual_stop, Some(stop.clone()));
    let seen_before = seconds_ago(1);
    let history = history.settled(&Plan::default(), &[], seen_before, RESET_AFTER);
    assert_eq!(history.manual_stop, Some(stop));
    assert_eq!(history.settled(&Plan::default(), &[], now(), RESET_AFTER).manual_stop, None, "it is gone");
}

#[test]
fn a_stop_by_a_person_is_remembered_until_the_container_runs_has_run_or_is_gone() {
    let after =
        |containers: &[Container]| full().settled(&Plan::waiting(Wait::Paused), containers, now(), RESET_AFTER).manual_stop;
    assert_eq!(after(&[container(EXITED, 90)]), full().manual_stop);
    assert_eq!(after(&[container(State::Running, 5)]), None);
    assert_eq!(after(&[container(EXITED, 5)]), None, "started, and fallen since");
    assert_eq!(after(&[]), None);
}

#[test]
fn a_memory_survives_its_way_to_the_disk_and_back() {
    for history in [full(), History::default()] {
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}

#[test]
fn a_clock_that_is_set_takes_the_tries_along_that_were_made_before_and_no_others() {
    let attempts = |attempts: [i64; 2], by: i64| {
        let history = History { attempts: attempts.map(seconds_ago).to_vec(), ..History::default() };
        history.moved(SignedDuration::from_secs(by), now()).attempts
    };
    assert_eq!(attempts([-7190, 2], -7200), [seconds_ago(10), seconds_ago(2)], "set back: one was in the future");
    assert_eq!(attempts([7210, 2], 7200), [seconds_ago(10), seconds_ago(2)], "set forward: one was made since");
}

#[test]
fn a_clock_that_is_set_takes_along_what_nginx_has_refused() {
    let refused = |at| Rejected {
        config: "c0ffee".to_owned(),
        digest: "beef".to_owned(),
        stage: Stage::Reload,
        reason: "nginx says no".to_owned(),
        count: 1,
        at,
        is_no_way_back: false,
    };
    let memory = |at| Memory { rejected: Some(refused(at)), reloads: vec![at], ..Memory::default() };
    let history = History { proxy: Some(Box::new(memory(seconds_ago(-7190)))), ..History::default() };
    let moved = history.moved(SignedDuration::from_secs(-7200), now());
    assert_eq!(*moved.proxy.unwrap(), memory(seconds_ago(10)), "set back: it was in the future");
}

#[test]
fn what_was_tried_in_the_future_was_tried_just_now() {
    let history = History { attempts: vec![seconds_ago(3), seconds_ago(-7200)], ..full() };
    let found = history.clone().no_later_than(now());
    assert_eq!(found.attempts, [seconds_ago(3), now()]);
    assert_eq!(found.manual_stop, history.manual_stop, "that is compared with the engine's times");
}

#[test]
fn of_an_object_that_is_gone_only_what_was_done_is_remembered_for_an_hour() {
    let left = full().left_behind(now()).unwrap();
    assert!(left.is_left_behind());
    assert_eq!(left, History { acts: vec![seconds_ago(3)], goes_by: 17, ..History::default() });
    assert_eq!(left.clone().for_generation(1), History { generation: 1, ..left.clone() });
    assert_eq!(left.left_behind(now() + SignedDuration::from_hours(2)), None);
}
