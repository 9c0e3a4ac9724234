//! Pulls that are cut off go on where they were.

use crate::{
    host::Host,
    stack::{MODEL, WEIGHTS, digest, operations, percent, pulled, start, transfers, with_own_server},
};

/// Slow enough to be caught in the middle: twelve seconds for the whole.
const RATE: &str = "8m";

/// Two transfers, the second of which began where the first was cut off, give or take what the server had not written yet.
#[track_caller]
fn assert_resumed(host: &Host) {
    let all = transfers(host);
    let [.., (first, sent)] = all[..] else { panic!("nothing was transferred") };
    assert!(first > WEIGHTS / 20, "the rest was fetched, and no more: {all:?}");
    assert_eq!(first + sent, WEIGHTS, "{all:?}");
    assert!(host.holds(MODEL).contains(&digest(host)), "{}", host.holds(MODEL));
}

#[test]
fn a_pull_whose_registry_goes_away_is_broken_off_and_goes_on_where_it_was() {
    let host = start(&[with_own_server("")], "", RATE);
    pulled(&host, 15);
    host.docker("kill @registry");
    // The server itself would try for more than a minute without a word.
    host.eventually("it is told", |host| host.holds(MODEL).contains("Degraded: PullFailed (model gemma3:4b cannot be pulled: "));
    let steps = host.steps(MODEL);
    assert!(operations(&host, MODEL).contains(&"PullModel gemma3:4b [failed]".to_owned()), "{steps:?}");
    let errors: Vec<_> = host.audit().into_iter().filter_map(|entry| entry.error).collect();
    assert!(errors.iter().any(|error| error.contains("no progress for 5 s, ") && error.contains(" of 98.3 MB")), "{errors:?}");
    host.docker("start @registry");
    host.converges();
    assert_resumed(&host);
    assert_eq!(operations(&host, MODEL).last().unwrap(), "PullModel gemma3:4b [done]");
}

#[test]
fn a_pull_goes_on_where_it_was_after_mooring_was_stopped() {
    let mut host = start(&[with_own_server("")], "", RATE);
    pulled(&host, 15);
    let begun = std::time::Instant::now();
    host.stop();
    assert!(begun.elapsed().as_secs() < 9, "Mooring does not wait for a pull that goes on later anyhow");
    host.eventually("the server stops as well", |host| transfers(host).len() == 1);
    let (_, sent) = transfers(&host)[0];
    assert!(sent < WEIGHTS);
    host.run();
    host.converges();
    assert_resumed(&host);
    assert!(host.events(MODEL).iter().any(|(reason, _)| reason == "PullBrokenOff"), "{:?}", host.events(MODEL));
}

#[test]
fn a_pull_is_begun_again_after_the_server_was_restarted_or_killed() {
    let host = start(&[with_own_server("")], "", RATE);
    pulled(&host, 15);
    host.docker("restart --time 1 @ollama");
    host.eventually("it is told", |host| host.count(MODEL, "PullModel") == 1 && percent(host).is_none());
    pulled(&host, 15);
    host.docker("kill @ollama");
    host.eventually("it is pulled", |host| host.holds(MODEL).starts_with("Ready: "));
    // How much of the part that it was at the server still has is its own affair.
    assert!((1..=3).contains(&transfers(&host).len()), "{:?}", transfers(&host));
    let steps = operations(&host, MODEL);
    let pulls: Vec<&str> = steps.iter().map(String::as_str).filter(|step| step.starts_with("PullModel")).collect();
    assert_eq!(pulls.last(), Some(&"PullModel gemma3:4b [done]"), "{steps:?}");
    assert!(pulls.iter().filter(|pull| pull.ends_with("[failed]")).count() >= 2, "{steps:?}");
    let errors: Vec<_> = host.audit().into_iter().filter_map(|entry| entry.error).collect();
    assert!(errors.iter().all(|error| !error.contains("no progress")), "a server that is gone is noticed at once: {errors:?}");
}

#[test]
fn a_pull_ends_when_a_key_is_set_and_what_has_come_is_kept() {
    let host = start(&[with_own_server("")], "", RATE);
    pulled(&host, 15);
    host.write(".env", "ANTHROPIC_API_KEY=sk-ant-1234567890\n");
    host.eventually("nothing local is left", |host| host.names().is_empty());
    host.converges();
    assert_eq!(transfers(&host).len(), 1);
    host.write(".env", "");
    host.eventually("the server is back", |host| host.state("ollama") == "running");
    host.converges();
    assert_resumed(&host);
}
