//! What is held is left alone, says so, and is looked after again at the very end of the hold.

use std::time::Duration;

use jiff::Timestamp;
use mooring::view::StepView;

use crate::{
    host::{Host, container, environment},
    proxy,
};

/// A hold on these targets with this end.
fn hold(name: &str, targets: &str, until: Timestamp) -> (String, String) {
    let text = format!(
        "apiVersion: mooring.dev/v1alpha1\nkind: Hold\nmetadata: {{name: {name}}}\n\
         spec: {{targets: [{targets}], until: '{until}', reason: a new disk, by: ada}}\n"
    );
    (format!("{name}.yaml"), text)
}

fn has_event(host: &Host, key: &str, reason: &str) -> bool {
    host.events(key).iter().any(|(told, _)| told == reason)
}

#[test]
fn what_is_held_stays_down_and_comes_back_when_the_hold_ends() {
    let host = Host::start(&[container("web", "image: web:1\nrestart: 'no'"), container("other", "image: web:1")]);
    host.put(hold("disk", "container/web", Timestamp::now() + Duration::from_hours(1)));
    host.eventually("it is said", |host| host.holds("Container/web").contains("Held: Held"));
    assert!(host.holds("Container/web").contains("Ready: AsDeclared"), "what is held and well is well");
    assert!(host.holds("Hold/disk").contains("Held: Held"));

    host.docker("kill @web @other");
    host.eventually("what is not held is brought back", |host| host.state("other") == "running healthy");
    host.eventually("it is missed", |host| !host.holds("Container/web").contains("Ready"));
    host.stays(3, "it stays down", |host| host.state("web").starts_with("exited"));
    assert_eq!(host.count("Container/web", "StartContainer"), 1, "the one with which it began");
    let plans = host.plans("Container/web");
    assert_eq!(plans[0].withheld.len(), 1, "{plans:?}");

    let until = Timestamp::now() + Duration::from_secs(2);
    host.put(hold("disk", "container/web", until));
    host.eventually("it runs again", |host| host.state("web") == "running healthy");
    host.converges();
    let starts: Vec<_> = host.audit().into_iter().filter(|entry| entry.operation == "StartContainer").collect();
    let [_, start] = starts.iter().filter(|entry| entry.object == "Container/web").collect::<Vec<_>>()[..] else {
        panic!("{starts:?}")
    };
    let late = start.created_at.parse::<Timestamp>().unwrap().duration_since(until);
    // Whatever nobody waits for is seen ten seconds later.
    assert!(late.as_millis() >= 0 && late.as_millis() < 8_000, "{late:?} after the end");
    assert!(host.holds("Hold/disk").starts_with("Ready: HoldOver"), "{}", host.holds("Hold/disk"));
    assert!(has_event(&host, "Hold/disk", "HoldOver") && has_event(&host, "Container/web", "HoldOver"));
    assert!(!has_event(&host, "Container/other", "HoldOver"));
}

#[test]
fn a_hold_on_everything_keeps_files_and_removals_back_until_it_is_taken_away() {
    let shop = environment("shop", "directory: shop\nsecrets: {generate: [{name: TOKEN}]}\ncomputed: {values: {A: '1'}}");
    let mut host = Host::new(&[shop, container("web", "image: web:1"), container("gone", "image: web:1")]);
    std::fs::create_dir(host.path("shop")).unwrap();
    host.run();
    host.converges();
    let token = host.value("shop/.env.secrets", "TOKEN");
    host.put(hold("all", "all", Timestamp::now() + Duration::from_hours(1)));
    host.eventually("it is said", |host| host.holds("Environment/shop").contains("Held: Held"));

    host.delete("shop/.env.secrets");
    host.delete("gone.yaml");
    host.put(container("new", "image: web:1"));
    host.eventually("all of it is held back", |host| {
        ["Environment/shop", "Container/gone", "Container/new"].iter().all(|key| {
            let plans = host.plans(key);
            plans.iter().any(|plan| plan.steps.is_empty() && !plan.withheld.is_empty())
        })
    });
    host.stays(2, "nothing is done", |host| {
        host.value("shop/.env.secrets", "TOKEN").is_none() && host.state("new") == "absent" && host.state("gone") != "absent"
    });

    host.delete("all.yaml");
    host.converges();
    assert_eq!(host.value("shop/.env.secrets", "TOKEN"), token);
    host.eventually("what is not wanted any more is gone", |host| host.state("gone") == "absent");
    assert!(has_event(&host, "Container/web", "HoldOver"));
}

#[test]
fn the_sites_of_a_held_proxy_are_not_written_until_the_hold_is_over() {
    let host = proxy::start(&proxy::stack("resolver", ""));
    let before = host.read("sites/one.test.conf");
    host.put(hold("edge-hold", "proxy/edge", Timestamp::now() + Duration::from_hours(1)));
    host.eventually("it is said, and what is held and well is well", |host| {
        let holds = host.holds("Proxy/edge");
        holds.contains("Held: Held") && holds.contains("Ready: AsDeclared")
    });
    let steps = host.steps("Proxy/edge").len();

    // As people do whose change cannot wait.
    let edited = before.replace("proxy_pass $upstream", "return 418");
    assert_ne!(edited, before);
    std::fs::write(host.path("sites/one.test.conf"), &edited).unwrap();
    host.docker("exec @nginx nginx -s reload");
    host.eventually("the edit is in force", |host| proxy::who(host, "one.test") == "418");
    host.eventually("the plan says what is withheld", |host| {
        host.plans("Proxy/edge").iter().any(|plan| {
            let is_swap = |step: &StepView| step.operation == "SwapSites" && step.because == "somebody has edited one.test.conf";
            plan.steps.is_empty() && plan.withheld.iter().any(is_swap)
        })
    });
    host.put(proxy::edge("resolver", "", "{host: new.test, to: {container: one, port: 8080}}"));
    host.stays(4, "nothing is written", |host| {
        host.read("sites/one.test.conf") == edited && host.read("sites/new.test.conf").is_empty()
    });
    assert_eq!(proxy::who(&host, "one.test"), "418");
    assert_eq!(host.steps("Proxy/edge").len(), steps, "{:?}", host.steps("Proxy/edge"));

    host.put(proxy::stack("resolver", "").remove(3));
    host.delete("edge-hold.yaml");
    host.eventually("the file is as it was", |host| host.read("sites/one.test.conf") == before);
    host.converges();
    host.eventually("one answers again", |host| proxy::who(host, "one.test") == "one");
    assert!(has_event(&host, "Proxy/edge", "HoldOver"));
}
