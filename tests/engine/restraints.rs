//! What is not permitted waits, visibly: modes, windows, budgets, fights, and the guard for the host as a whole.

use std::{fs, os::unix::fs::PermissionsExt};

use jiff::{Timestamp, tz::TimeZone};

use mooring::operator::{Operator, Wish};

use crate::host::{Host, container, environment, manifest};

fn policy(spec: &str) -> (String, String) {
    manifest("Host", "default", spec)
}

/// A window on every day that was open an hour ago for a minute.
fn closed() -> String {
    let past = Timestamp::now().to_zoned(TimeZone::UTC).checked_sub(jiff::Span::new().hours(1)).unwrap();
    let end = past.checked_add(jiff::Span::new().minutes(1)).unwrap();
    format!("{{start: '{}', end: '{}'}}", past.strftime("%H:%M"), end.strftime("%H:%M"))
}

fn count_events(host: &Host, key: &str, reason: &str) -> usize {
    host.events(key).iter().filter(|(told, _)| told == reason).count()
}

#[test]
fn what_is_only_observed_is_planned_and_shown_and_not_done() {
    let host = Host::start(&[container("web", "image: web:1\nrestart: 'no'"), container("api", "image: web:1\nrestart: 'no'")]);
    host.put(policy("groups: {front: {members: [container/web], mode: observe}}"));
    host.eventually("the group is in force", |host| host.holds("Host/default").starts_with("Ready: AsDeclared"));
    host.docker("kill @web @api");
    host.eventually("what is not in the group is brought back", |host| host.state("api") == "running healthy");
    host.eventually("it is said", |host| {
        host.holds("Container/web").contains("Held: ObserveOnly (only observed, as group front says)")
    });
    let plans = host.plans("Container/web");
    assert_eq!((plans[0].steps.len(), plans[0].withheld.len()), (0, 1), "{plans:?}");
    host.stays(3, "nothing is done", |host| host.state("web").starts_with("exited"));

    host.put(policy("mode: observe"));
    host.eventually("everything is only observed", |host| host.holds("Container/web").contains("as Host/default says"));
    host.put(container("web", "image: web:1\nrestart: 'no'\nmode: observe"));
    host.put(policy("{}"));
    host.eventually("its own manifest says so as well", |host| host.holds("Container/web").contains("as its manifest says"));
    host.put(container("web", "image: web:1\nrestart: 'no'"));
    host.converges();
    assert_eq!(host.state("web"), "running healthy");
}

#[test]
fn what_works_waits_for_its_window_and_is_healed_meanwhile() {
    let host = Host::start(&[container("web", "image: web:1")]);
    let first = host.id("web");
    host.put(policy(&format!("window: {}", closed())));
    host.eventually("the window is known", |host| host.holds("Host/default").contains("opens at"));
    host.put(container("web", "image: web:2"));
    host.eventually("it waits", |host| host.holds("Container/web").contains("Held: OutsideWindow"));
    assert!(
        host.holds("Container/web").contains("image mooring-demo/web:1 → mooring-demo/web:2"),
        "{}",
        host.holds("Container/web")
    );
    host.docker("kill @web");
    host.eventually("what is dead is made as it should be at once", |host| host.image("web").ends_with("web:2"));
    assert_ne!(host.id("web"), first);

    host.put(container("web", "image: web:1\nwindow: {start: '00:00', end: '23:59'}"));
    host.eventually("its own window is open, nearly always", |host| host.image("web").ends_with("web:1"));
    host.delete("web.yaml");
    host.eventually("without a manifest the host's window holds", |host| {
        host.holds("Container/web").contains("Held: OutsideWindow")
    });
    host.stays(2, "it is not removed", |host| host.state("web").starts_with("running"));
    host.put(policy("{}"));
    host.eventually("and then it is", |host| host.try_docker("inspect @web").is_err());
}

#[test]
fn a_budget_of_a_group_is_spent_together_and_there_is_one_alert() {
    let spec = "image: web:1\nrestart: 'no'\nhealing: {backoff: {initial: 1ms}}";
    let host = Host::start(&[container("one", spec), container("two", spec), container("three", spec)]);
    host.put(policy("groups: {all: {members: [container], budget: {attempts: 2, window: 1h}}}"));
    host.eventually("the group is in force", |host| host.holds("Host/default").starts_with("Ready: AsDeclared"));
    for name in ["one", "two"] {
        host.docker(&format!("kill @{name}"));
        host.eventually("it is brought back", |host| host.state(name) == "running healthy");
    }
    host.docker("kill @three");
    host.eventually("the budget is spent", |host| host.holds("Container/three").contains("BudgetSpent"));
    assert!(
        host.holds("Container/three").contains("the budget of group all is spent (2 tries in 1h)"),
        "{}",
        host.holds("Container/three")
    );
    host.stays(3, "nothing more is done", |host| host.state("three").starts_with("exited"));
    host.put(policy("{}"));
    host.eventually("there is more", |host| host.state("three") == "running healthy");
}

#[test]
fn a_file_that_somebody_opens_to_all_again_and_again_is_let_be_until_it_is_released() {
    let mut host = Host::new(&[environment("shop", "directory: shop\nsecrets: {generate: [{name: TOKEN}]}")]);
    fs::create_dir(host.path("shop")).unwrap();
    host.run();
    host.put(policy("fights: {corrections: 3, window: 5m}"));
    host.converges();
    let file = host.path("shop/.env.secrets");
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    let open = || fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for _ in 0..3 {
        open();
        host.eventually("it is closed again", |_| mode() == 0o600);
    }
    open();
    host.eventually("it is left alone", |host| host.holds("Environment/shop").contains("Degraded: Fight"));
    let told = host.holds("Environment/shop");
    assert!(told.contains("file .env.secrets was corrected 3 times in 5m and differs again"), "{told}");
    assert!(told.contains("belongs to root"), "{told}");
    host.stays(3, "it stays so", |_| mode() == 0o644);
    assert_eq!(count_events(&host, "Environment/shop", "Fight"), 1, "{:?}", host.events("Environment/shop"));
    host.release("Environment/shop");
    host.eventually("a person has ended it", |_| mode() == 0o600);
}

#[test]
fn a_limit_that_somebody_sets_again_and_again_is_let_be_and_the_container_kept_alive() {
    let host = Host::start(&[container("web", "image: web:1\nrestart: 'no'\nmemLimit: 64m")]);
    let limit = |host: &Host| host.inspect("web", "{{.HostConfig.Memory}}").unwrap();
    for _ in 0..3 {
        host.docker("update --memory 32m --memory-swap 64m @web");
        host.eventually("it is set again", |host| limit(host) == "67108864");
    }
    host.docker("update --memory 32m --memory-swap 64m @web");
    host.eventually("it is left alone", |host| host.holds("Container/web").contains("Degraded: Fight"));
    let told = host.holds("Container/web");
    assert!(told.contains("memLimit") && told.contains("the engine last told of"), "{told}");
    host.docker("kill @web");
    host.eventually("it is kept alive", |host| host.state("web") == "running healthy");
    assert_eq!(limit(&host), "33554432");
    host.release("Container/web");
    host.eventually("a person has ended it", |host| limit(host) == "67108864");
}

#[test]
fn when_most_containers_fail_at_once_they_come_back_a_few_at_a_time_and_it_is_told_once() {
    let names = ["one", "two", "three", "four", "five", "six"];
    let spec = "image: web:1\nrestart: 'no'";
    let mut manifests: Vec<_> = names.iter().map(|name| container(name, spec)).collect();
    manifests.push(container("last", &format!("{spec}\ndependsOn: [{{container: one, condition: healthy}}]")));
    manifests.push(policy("guard: {concurrency: 1}"));
    let mut host = Host::start(&manifests);
    // As after a reboot: whoever looks sees all of them down at once.
    host.stop();
    host.docker("kill @one @two @three @four @five @six @last");
    host.run();
    host.eventually("the host is blamed", |host| count_events(host, "Host", "HostInTrouble") == 1);
    host.converges();
    host.eventually("and it is over", |host| count_events(host, "Host", "HostRecovered") == 1);
    assert!(names.iter().all(|name| host.state(name) == "running healthy"));
    assert_eq!(count_events(&host, "Host", "HostInTrouble"), 1);
    let audit = host.audit();
    let starts: Vec<_> = audit.iter().filter(|entry| entry.operation == "StartContainer").skip(names.len() + 1).collect();
    assert_eq!(starts.len(), names.len() + 1, "{starts:?}");
    for (before, after) in starts.iter().zip(&starts[1..]) {
        assert!(before.concluded_at.as_ref().unwrap() < &after.created_at, "{before:?} and {after:?} at a time");
    }
    let of = |name: &str| starts.iter().position(|entry| entry.object == format!("Container/{name}")).unwrap();
    assert!(of("one") < of("last"), "{starts:?}");
}

#[test]
fn containers_of_others_that_are_taken_away_all_at_once_are_no_trouble_of_the_host() {
    let names = ["one", "two", "three", "four"];
    let healed = |name: &&str| container(name, &format!("management: heal\nselector: {{name: '@{name}'}}"));
    let mut host = Host::new(&names.iter().map(healed).collect::<Vec<_>>());
    for name in names {
        host.docker(&format!("run --detach --name @{name} --pull never mooring-demo/web:1"));
    }
    host.run();
    host.converges();
    host.docker("rm --force @one @two @three @four");
    host.eventually("they are missed", |host| host.holds("Container/four").contains("NotFound"));
    host.stays(3, "nobody blames the host", |host| count_events(host, "Host", "HostInTrouble") == 0);
}

#[test]
fn on_a_full_disk_nothing_that_runs_is_touched_and_it_is_said_what_to_prune() {
    let host = Host::start(&[container("web", "image: web:1\nrestart: 'no'"), policy("guard: {diskFree: 1048576g}")]);
    host.eventually("it is told", |host| host.holds("Host/default").contains("in trouble: the disk of"));
    assert!(host.holds("Host/default").contains("docker builder prune"), "{}", host.holds("Host/default"));
    host.put(container("web", "image: web:2\nrestart: 'no'"));
    host.eventually("it waits", |host| host.holds("Container/web").contains("HostInTrouble"));
    host.stays(2, "it is not replaced", |host| host.image("web").ends_with("web:1"));
    host.docker("kill @web");
    host.put(container("web", "image: web:1\nrestart: 'no'"));
    host.eventually("what is down is brought back", |host| host.state("web") == "running healthy");
    host.put(policy("{}"));
    host.put(container("web", "image: web:2\nrestart: 'no'"));
    host.eventually("the disk is good enough again", |host| host.image("web").ends_with("web:2"));
}

#[test]
fn without_a_good_version_of_the_hosts_manifest_nothing_is_begun_and_with_one_that_stays_in_force() {
    let bad = policy("window: {start: '02:00', end: '02:00', timeZone: Europe/Berln}");
    let mut host = Host::new(&[container("web", "image: web:1"), bad.clone()]);
    let refusal = host.open().map(drop).unwrap_err().to_string();
    assert!(
        refusal.contains("`spec.window.timeZone`: `Europe/Berln` is not a time zone (did you mean `Europe/Berlin`?)"),
        "{refusal}"
    );
    assert!(refusal.contains("`spec.window.end`: it never opens"), "{refusal}");

    host.put(policy("mode: observe"));
    host.run();
    host.eventually("it only observes", |host| host.holds("Container/web").contains("as Host/default says"));
    host.put(bad.clone());
    host.eventually("the bad one is told", |host| host.holds("Host/default").contains("Degraded: InvalidManifest"));
    host.stays(2, "what was good is in force", |host| host.try_docker("inspect @web").is_err());
    // A reboot with a typo in a file is no reason to leave everything down.
    host.stop();
    host.run();
    host.eventually("it begins with what was good", |host| host.holds("Container/web").contains("as Host/default says"));
    host.put(policy("{}"));
    host.converges();
}

/// As the dashboard asks, once somebody has confirmed it.
#[test]
fn a_restart_that_somebody_asked_for_is_a_step_in_that_persons_name_and_no_try_of_ours() {
    let host = Host::start(&[container("web", "image: web:1\nhealing: {budget: {attempts: 1}}")]);
    let key: mooring::manifest::Key = "Container/web".parse().unwrap();
    let started = host.started("web");
    let operator: &dyn Operator = &**host.context();
    let wish = Wish::Restart(key.clone());
    let shown = host.wait_for(operator.propose(&wish)).unwrap();
    host.wait_for(operator.fulfil(&wish, &shown, "session:0a1b")).unwrap();
    host.eventually("it was started anew", |host| host.started("web") != started && host.state("web") == "running healthy");
    let entries: Vec<_> = host.audit().into_iter().filter(|entry| entry.operation == "RestartContainer").collect();
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.actor.as_str(), entry.why.as_str()), ("session:0a1b", "session:0a1b asked for it"));
    host.converges();
    assert!(host.context().world.history(&key, 1).attempts.is_empty(), "it is no failure of the container");

    let refused = host.wait_for(operator.fulfil(&wish, &shown, "session:0a1b")).unwrap_err();
    assert!(refused.contains("not as it was shown"), "{refused}");
    host.stays(2, "what was asked for is done once", |host| host.count("Container/web", "RestartContainer") == 1);
}
