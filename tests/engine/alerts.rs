//! Who is told, how often, and that nobody who is not there keeps anything waiting.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::{
    host::{Host, container, manifest},
    receiver::{Http, Manner, nobody},
};

/// Gives up soon, and runs as soon as there is a file that says so.
const DOOMED: &str = "image: busybox:1\ncommand: [sh, -c, '[ -e /flag/up ] || exit 3; sleep 1000']\ninit: true\n\
                      volumes: ['./flag:/flag']\n\
                      healing: {budget: {attempts: 2, window: 10m}, backoff: {initial: 300ms}}";

/// A `Host` whose receivers are these lines.
fn told(receivers: &str) -> (String, String) {
    manifest("Host", "default", &format!("alerts:\n  delay: 1s\n  group: 1s\n  repeat: never\n  receivers:\n{receivers}"))
}

fn webhook(name: &str, url: &str) -> String {
    format!("    - {{name: {name}, webhook: {{url: '{url}'}}, only: [container/web]}}\n")
}

#[test]
fn a_crash_loop_is_told_once_and_once_that_it_is_over_whoever_else_is_dead_and_across_a_restart() {
    let ops = Http::new(Manner::Answers(vec![500, 503]));
    let hanging = Http::new(Manner::Hangs);
    let dead = format!("http://127.0.0.1:{}/", nobody());
    let receivers = [webhook("dead", &dead), webhook("hanging", &hanging.url("/")), webhook("ops", &ops.url("/"))].concat();
    let mut host = Host::new(&[container("web", DOOMED), container("api", "image: web:1"), told(&receivers)]);
    fs::create_dir(host.path("flag")).unwrap();
    host.run();
    host.eventually("it is in a crash loop", |host| host.holds("Container/web").contains("CrashLoop: CrashLoop"));
    // Two tries fail, and the third is taken: it is one message, under one name.
    host.eventually("it is told", |_| ops.heard().len() == 3);
    let ids: Vec<_> = ops.heard().iter().map(|request| request.body["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(ops.messages()[0], "firing Container/web CrashLoop");

    host.stays(3, "it is told once", |_| ops.heard().len() == 3);
    let begun = Instant::now();
    host.stop();
    assert!(begun.elapsed() < Duration::from_secs(15), "whoever hangs keeps us from ending: {:?}", begun.elapsed());
    host.run();
    host.stays(4, "it is told once by two Moorings", |_| ops.heard().len() == 3);

    // Meanwhile everything else is healed as ever.
    host.eventually("api runs", |host| host.state("api").starts_with("running"));
    host.docker("kill @api");
    let killed = Instant::now();
    host.eventually("it is back", |host| host.state("api").starts_with("running"));
    assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());

    fs::write(host.path("flag/up"), "").unwrap();
    host.release("Container/web");
    host.eventually("its end is told", |_| ops.messages().last().is_some_and(|last| last == "resolved Container/web CrashLoop"));
    thread::sleep(Duration::from_secs(3));
    assert_eq!(ops.messages()[3..], ["resolved Container/web CrashLoop"]);
    assert!(!hanging.heard().is_empty());
}

#[test]
fn a_receiver_that_refuses_for_good_is_said_once_and_told_to_the_others() {
    let (closed, ops) = (Http::new(Manner::Answers(vec![403; 100])), Http::new(Manner::Answers(Vec::new())));
    let receivers = format!(
        "    - {{name: closed, webhook: {{url: '{}'}}, only: [container/web]}}\n    - {{name: ops, webhook: {{url: '{}'}}, only: [host]}}\n",
        closed.url("/"),
        ops.url("/")
    );
    let mut host = Host::new(&[container("web", DOOMED), told(&receivers)]);
    fs::create_dir(host.path("flag")).unwrap();
    host.run();
    host.eventually("the other one is told", |_| ops.messages() == ["firing Host AlertNotSent"]);
    host.stays(3, "it is said once", |host| {
        let said = host.events("host").into_iter().filter(|(reason, _)| reason == "AlertNotSent").collect::<Vec<_>>();
        closed.heard().len() == 1 && said == [("AlertNotSent".to_owned(), 1)] && ops.heard().len() == 1
    });
    let refused = ops.heard()[0].body["alerts"][0]["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(refused, "closed cannot be told: it was refused: status 403, \"POST / HTTP/1.1\"");
}

#[test]
fn what_is_wrong_with_the_desired_state_is_one_alert_each() {
    let ops = Http::new(Manner::Answers(Vec::new()));
    let mut host = Host::new(&[
        container("web", "image: web:1"),
        told(&format!("    - {{name: ops, webhook: {{url: '{}'}}}}\n", ops.url("/"))),
    ]);
    host.run();
    host.converges();
    host.write("new.yaml", "kind: Contaner\n");
    host.eventually("a file that is refused is told", |_| ops.messages() == ["firing Host InvalidManifest"]);
    assert_eq!(ops.heard()[0].body["alerts"][0]["about"], "new.yaml");
    host.delete("new.yaml");
    host.eventually("its end is told", |_| ops.messages().len() == 2);

    let there = host.path("");
    let away = there.parent().unwrap().join("away");
    fs::rename(&there, &away).unwrap();
    host.eventually("a directory that is gone is told", |_| ops.messages().len() == 3);
    host.stays(4, "it is told once", |_| ops.messages()[2..] == ["firing Host DirectoryUnreadable"]);
    fs::rename(&away, &there).unwrap();
    host.eventually("its end is told", |_| ops.messages().len() == 4);
    assert_eq!(ops.messages()[3], "resolved Host DirectoryUnreadable");
}

#[test]
fn a_budget_that_is_spent_is_one_alert_however_many_wait_for_it() {
    let ops = Http::new(Manner::Answers(Vec::new()));
    let group = "groups: {shop: {members: [container/web, container/api], budget: {attempts: 1, window: 15s}}}\n";
    let (file, text) = told(&format!("    - {{name: ops, webhook: {{url: '{}'}}, only: [host]}}\n", ops.url("/")));
    let mut host = Host::new(&[container("web", "image: web:1"), container("api", "image: web:1"), (file, text + "  " + group)]);
    host.run();
    host.converges();
    host.docker("kill @web");
    host.eventually("it is back", |host| host.state("web").starts_with("running"));
    host.docker("kill @web @api");
    host.eventually("it is told", |_| ops.messages() == ["firing Host BudgetSpent"]);
    assert_eq!(ops.heard()[0].body["alerts"][0]["about"], "group shop");
    host.eventually("everything is back", |host| ["web", "api"].iter().all(|name| host.state(name).starts_with("running")));
    host.eventually("its end is told", |_| ops.messages().last().is_some_and(|last| last == "resolved Host BudgetSpent"));
    assert_eq!(ops.messages().len(), 2);
}

#[test]
fn receivers_that_cannot_work_are_no_beginning_and_those_that_did_stay_in_force() {
    let nowhere = told("    - {name: ops, webhook: {}}\n");
    let strange = told("    - {name: ops, webhook: {urlFrom: {environment: shpo, variable: ALERT_URL}}}\n");
    let mut host = Host::new(&[container("web", DOOMED), nowhere.clone()]);
    fs::create_dir(host.path("flag")).unwrap();
    let refusal = host.open().map(drop).unwrap_err().to_string();
    assert!(refusal.contains("`spec.alerts.receivers.0.webhook.url` is missing"), "{refusal}");
    host.put(strange.clone());
    let refusal = host.open().map(drop).unwrap_err().to_string();
    assert!(
        refusal.contains("spec.alerts.receivers.0.webhook.urlFrom.environment: there is no Environment named `shpo`"),
        "{refusal}"
    );

    let ops = Http::new(Manner::Answers(Vec::new()));
    host.put(told(&webhook("ops", &ops.url("/"))));
    host.run();
    for bad in [nowhere, strange] {
        host.put(bad);
        host.eventually("the bad one is told", |host| host.holds("Host/default").contains("Degraded: InvalidManifest"));
    }
    host.eventually("who was told before is told", |_| ops.messages() == ["firing Container/web CrashLoop"]);
}
