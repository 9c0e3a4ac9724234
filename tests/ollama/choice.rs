//! Who answers follows the keys, at any time, and nobody is disturbed whom that does not concern.

use crate::{
    host::{Host, container},
    stack::{MODEL, host, is_listed, provider, start, transfers, with_own_server},
};

const KEY: &str = "OPENAI_API_KEY=sk-proj-1234567890abcdef\n";

fn computed(host: &Host) -> String {
    let value = |variable| host.value(".env.computed", variable).unwrap_or_default();
    [value("AI_PROVIDER"), value("AI_MODEL"), value("AI_MODEL_REASON")].join(" ").replace('\'', "")
}

#[test]
fn with_a_cloud_key_nothing_local_is_started() {
    let mut host = host(&[with_own_server("")], KEY);
    host.run();
    host.converges();
    assert_eq!(host.holds(MODEL), "Ready: AsDeclared (openai/gpt-4o-mini answers, because OPENAI_API_KEY is set)");
    assert_eq!(computed(&host), "openai openai/gpt-4o-mini OPENAI_API_KEY is set");
    host.stays(4, "nothing is started", |host| host.names().is_empty());
    assert!(host.steps(MODEL).is_empty(), "{:?}", host.steps(MODEL));
    assert_eq!(host.docker("volume ls --quiet --filter name=@models"), "");
    let key = KEY.trim().split_once('=').unwrap().1;
    assert!(host.audit().iter().all(|entry| !format!("{entry:?}").contains(key)), "a key is no one's business");
}

#[test]
fn a_key_that_is_empty_or_was_never_filled_in_is_none() {
    let host = start(&[with_own_server("")], "OPENAI_API_KEY=\nANTHROPIC_API_KEY=changeme\n", "0");
    host.converges();
    assert_eq!(computed(&host), "ollama ollama/gemma3:4b no key is set");
    assert!(is_listed(&host));
}

#[test]
fn a_new_key_changes_the_choice_and_recreates_exactly_those_who_use_it() {
    let uses = |key: &str| format!("image: web:1\nenvFrom: [{{environment: shop, keys: [{key}]}}]");
    let manifests = [
        with_own_server(""),
        container("ai", &uses("AI_MODEL")),
        container("shop-front", &uses("TITLE")),
        container("other", "image: web:1"),
    ];
    let host = start(&manifests, "TITLE=wares\n", "0");
    host.converges();
    assert_eq!(host.variable("ai", "AI_MODEL").as_deref(), Some("ollama/gemma3:4b"));
    let bystanders = || [host.id("shop-front"), host.id("other"), host.started("shop-front"), host.started("other")];
    let (before, first) = (bystanders(), host.id("ai"));

    host.write(".env", &format!("TITLE=wares\n{KEY}"));
    host.eventually("the user has the new choice", |host| {
        host.variable("ai", "AI_MODEL").as_deref() == Some("openai/gpt-4o-mini") && host.state("ai") == "running healthy"
    });
    host.eventually("the local server is put away", |host| host.state("ollama") == "absent");
    host.converges();
    assert_eq!(computed(&host), "openai openai/gpt-4o-mini OPENAI_API_KEY is set");
    assert_eq!((host.names(), bystanders()), (vec!["@ai".into(), "@other".into(), "@shop-front".into()], before.clone()));
    assert_ne!(host.id("ai"), first);
    let removal = host.steps(MODEL).into_iter().find(|step| step.starts_with("RemoveContainer")).unwrap();
    assert!(removal.contains("openai/gpt-4o-mini answers"), "{removal}");

    host.write(".env", "TITLE=wares\n");
    host.eventually("ollama answers again", |host| {
        host.variable("ai", "AI_MODEL").as_deref() == Some("ollama/gemma3:4b") && is_listed(host)
    });
    host.converges();
    assert_eq!((transfers(&host).len(), host.count(MODEL, "PullModel")), (1, 1), "its volume was kept, and the model in it");
    assert_eq!(bystanders(), before);
    let chosen =
        host.events(MODEL).into_iter().filter(|(reason, _)| reason == "ModelChosen").map(|(_, count)| count).sum::<i64>();
    assert_eq!(chosen, 3, "{:?}", host.events(MODEL));
}

#[test]
fn another_key_of_the_same_provider_recreates_nobody_who_only_asks_which_one_it_is() {
    let uses = |key: &str| format!("image: web:1\nenvFrom: [{{environment: shop, keys: [{key}]}}]");
    let manifests = [with_own_server(""), container("asks", &uses("AI_MODEL")), container("pays", &uses("OPENAI_API_KEY"))];
    let mut host = host(&manifests, KEY);
    host.run();
    host.converges();
    let (asks, pays) = (host.id("asks"), host.id("pays"));
    host.write(".env", "OPENAI_API_KEY=sk-proj-another-0987654321\n");
    host.eventually("the one that has the key gets the new one", |host| {
        host.variable("pays", "OPENAI_API_KEY").is_some_and(|key| key.contains("another"))
            && host.state("pays") == "running healthy"
    });
    host.converges();
    assert_eq!(host.id("asks"), asks);
    assert_ne!(host.id("pays"), pays);
}

#[test]
fn a_manifest_that_goes_takes_its_server_along_and_leaves_the_models() {
    let mut host = start(&[with_own_server("")], "", "0");
    host.converges();
    host.delete("default.yaml");
    host.eventually("nothing is left", |host| host.names().is_empty());
    // Nobody writes the file any more, and a file that nobody writes is not ours to remove.
    assert_eq!(computed(&host), "ollama ollama/gemma3:4b no key is set");
    assert!(host.docker("volume ls --quiet --filter name=@models").ends_with("-models"));
    // It comes and goes while nobody watches.
    host.stop();
    host.put(with_own_server(""));
    host.run();
    host.converges();
    assert_eq!((computed(&host).as_str(), transfers(&host).len()), ("ollama ollama/gemma3:4b no key is set", 1));
    host.stop();
    host.write(".env", KEY);
    host.run();
    host.eventually("nothing is left", |host| host.names().is_empty());
    host.converges();
    assert_eq!(computed(&host), "openai openai/gpt-4o-mini OPENAI_API_KEY is set");
}

#[test]
fn keys_that_cannot_be_read_change_nothing() {
    let host = start(&[with_own_server("")], "", "0");
    host.converges();
    let (server, before) = (host.id("ollama"), host.read(".env.computed"));
    host.write(".env", "OPENAI_API_KEY='sk-proj-1234567890\n");
    host.eventually("it is told", |host| host.holds(MODEL).contains("Degraded: ChoiceUnknown"));
    host.stays(4, "all stays as it was", |host| host.id("ollama") == server && host.read(".env.computed") == before);
    assert!(host.state("ollama") == "running" && is_listed(&host));
    host.write(".env", "");
    host.converges();
    assert_eq!(host.id("ollama"), server);
}

#[test]
fn a_server_that_becomes_a_container_of_its_own_is_handed_over_with_its_models() {
    let host = start(&[with_own_server("")], "", "0");
    host.converges();
    let volumes = "networks: ['@net']\nvolumes: ['@models:/root/.ollama']";
    let probe = "probe: {http: {port: 11434, path: /api/version}, interval: 1s}";
    host.put(container("ollama", &format!("image: mooring-demo/ollama:1\n{volumes}\n{probe}\nallowRecreate: true")));
    host.put(provider("default", "ollama: {container: ollama}"));
    host.eventually("it is another one", |host| {
        host.steps("Container/ollama").iter().any(|step| step.starts_with("StartContainer"))
    });
    host.converges();
    assert!(is_listed(&host));
    assert_eq!((host.names(), transfers(&host).len()), (vec!["@ollama".to_owned()], 1));
}
