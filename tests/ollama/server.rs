//! The server is there, and the model is on it.

use crate::{
    host::{Host, container},
    stack::{
        MODEL, WEIGHTS, ask, asked_for_manifest, digest, host, is_listed, operations, provider, pulled, start, start_registry,
        transfers, with_own_server,
    },
};

fn is_ready(host: &Host) -> bool {
    host.holds(MODEL).starts_with("Ready: ")
}

#[test]
fn a_server_is_started_its_model_pulled_and_the_model_answers() {
    let host = start(&[with_own_server("")], "", "0");
    host.converges();
    let digest = digest(&host);
    let expected = format!("Ready: AsDeclared (ollama/gemma3:4b answers (98.3 MB, {digest}), because no key is set)");
    assert_eq!(host.holds(MODEL), expected);
    assert_eq!(transfers(&host), [(0, WEIGHTS)]);
    let steps = operations(&host, MODEL);
    assert!(steps.first().unwrap().starts_with("CreateVolume @models"), "{steps:?}");
    assert_eq!(steps.last().unwrap(), "PullModel gemma3:4b [done]");
    let pull = host.audit().into_iter().find(|entry| entry.operation == "PullModel").unwrap();
    let watched = pull.details["action"]["directory"].as_str().unwrap_or_default().to_owned();
    assert!(watched.contains("-models/"), "the disk of the volume is watched: {}", pull.details);
    assert_eq!(host.variable("ollama", "OLLAMA_NOPRUNE").as_deref(), Some("1"));

    let answer = ask(
        &host,
        "POST /api/generate",
        r#"{"model": "gemma3:4b", "prompt": "hi", "stream": false, "options": {"num_predict": 2}}"#,
    );
    assert!(answer.as_ref().is_some_and(|answer| answer.contains(r#""done":true"#)), "{answer:?}");
    for (variable, value) in [("AI_PROVIDER", "ollama"), ("AI_MODEL", "ollama/gemma3:4b")] {
        assert_eq!(host.value(".env.computed", variable).as_deref(), Some(value));
    }
    let reason = host.value(".env.computed", "AI_MODEL_REASON").unwrap();
    assert!(reason.contains("no key is set"), "{reason}");
}

#[test]
fn a_model_that_is_deleted_is_pulled_again() {
    let host = start(&[with_own_server("")], "", "0");
    host.converges();
    let server = host.id("ollama");
    host.docker("exec @ollama /bin/ollama rm gemma3:4b");
    assert!(!is_listed(&host));
    host.eventually("it is there again", is_listed);
    host.converges();
    assert_eq!(transfers(&host).len(), 2, "an ollama drops the layers with the model");
    assert_eq!((host.id("ollama"), host.count(MODEL, "PullModel")), (server, 2));
}

#[test]
fn a_server_that_dies_comes_back_with_its_models() {
    let host = start(&[with_own_server("")], "", "0");
    host.converges();
    host.docker("kill @ollama");
    host.eventually("it is missed", |host| !is_ready(host));
    host.converges();
    assert!(is_listed(&host));
    host.docker("rm -f @ollama");
    host.eventually("it is missed", |host| !is_ready(host));
    host.converges();
    assert!(is_listed(&host));
    assert_eq!((asked_for_manifest(&host), host.count(MODEL, "PullModel")), (1, 1), "the volume has kept it");
}

#[test]
fn a_stop_by_hand_means_what_the_manifest_says() {
    let host = start(&[with_own_server("")], "", "0");
    host.converges();
    host.docker("stop --time 1 @ollama");
    host.eventually("it is said", |host| host.holds(MODEL).contains("StoppedByHand"));
    host.stays(3, "it stays stopped", |host| host.state("ollama") == "exited");
    host.put(with_own_server(", onManualStop: heal"));
    host.converges();
    host.docker("stop --time 1 @ollama");
    host.eventually("it is missed", |host| !is_ready(host));
    host.converges();
    assert_eq!((host.state("ollama").as_str(), host.count(MODEL, "PullModel")), ("running", 1));
}

/// An ollama that is a `Container` like any other.
fn declared(more: &str) -> (String, String) {
    let probe = "probe: {http: {port: 11434, path: /api/version}, interval: 1s}";
    let rest = "allowRecreate: true\nallowRemove: true\nrestart: unless-stopped";
    container(
        "ollama",
        &format!("image: mooring-demo/ollama:1\nnetworks: ['@net']\nvolumes: ['@models:/root/.ollama']\n{probe}\n{rest}\n{more}"),
    )
}

#[test]
fn a_model_that_two_want_of_one_server_is_pulled_once() {
    let other = "variables: {provider: B_PROVIDER, model: B_MODEL, reason: B_REASON}\nollama: {container: ollama}";
    let manifests = [declared(""), provider("default", "ollama: {container: ollama}"), provider("other", other)];
    let host = start(&manifests, "", "30m");
    host.eventually("one of them waits for the other", |host| {
        [MODEL, "ModelProvider/other"].iter().any(|key| host.holds(key).contains("Progressing: PulledFor"))
    });
    host.converges();
    assert_eq!((asked_for_manifest(&host), transfers(&host)), (1, vec![(0, WEIGHTS)]));
    let steps = [operations(&host, MODEL), operations(&host, "ModelProvider/other")].concat();
    // Both may have decided on it in the same moment; one of them was told that it is under way.
    assert_eq!(steps.iter().filter(|step| *step == "PullModel gemma3:4b [done]").count(), 1, "{steps:?}");
}

#[test]
fn a_container_is_not_replaced_while_a_model_is_pulled_through_it() {
    let host = start(&[declared(""), provider("default", "ollama: {container: ollama}")], "", "12m");
    pulled(&host, 10);
    let before = host.id("ollama");
    host.put(declared("environment: {OLLAMA_KEEP_ALIVE: 1h}"));
    host.eventually("it waits", |host| host.holds("Container/ollama").contains("Progressing: PullUnderWay"));
    assert_eq!(host.id("ollama"), before);
    host.eventually("it is replaced in the end", |host| {
        host.variable("ollama", "OLLAMA_KEEP_ALIVE").as_deref() == Some("1h")
            && host.holds("Container/ollama").starts_with("Ready")
    });
    host.converges();
    assert_eq!(transfers(&host), [(0, WEIGHTS)], "it was pulled without a break");
    assert_eq!(host.count(MODEL, "PullModel"), 1);
}

/// Mooring neither makes nor removes it: whoever did may bring it back without its volume.
#[test]
fn a_server_of_somebody_else_is_kept_alive_and_its_model_comes_back() {
    let heal = "management: heal\nselector: {labels: {com.docker.compose.service: '@ollama'}}\nonManualStop: heal";
    let probe = "probe: {http: {port: 11434, path: /api/version}, interval: 1s}";
    let mut host =
        host(&[container("ollama", &format!("{heal}\n{probe}")), provider("default", "ollama: {container: ollama}")], "");
    start_registry(&host, "0");
    let compose = |host: &Host| {
        let label = "--label com.docker.compose.service=@ollama";
        host.docker(&format!("run --detach --name @ollama --network @net {label} --pull never mooring-demo/ollama:1"));
        host.id("ollama")
    };
    let first = compose(&host);
    host.run();
    host.converges();
    assert!(is_listed(&host));
    host.docker("exec @ollama /bin/ollama rm gemma3:4b");
    host.eventually("it is there again", is_listed);
    host.converges();
    assert_eq!((host.id("ollama"), host.count(MODEL, "PullModel")), (first.clone(), 2));

    host.docker("kill @ollama");
    host.eventually("it is missed", |host| !is_ready(host));
    host.converges();
    assert!(is_listed(&host));
    assert_eq!((host.id("ollama"), host.count(MODEL, "PullModel")), (first.clone(), 2), "it has kept its model");

    host.docker("rm --force --volumes @ollama");
    host.eventually("it is missed", |host| !is_ready(host));
    host.stays(2, "it is not Mooring's to make", |host| host.state("ollama") == "absent");
    let second = compose(&host);
    host.eventually("the new one has the model", is_listed);
    host.converges();
    assert_eq!((host.id("ollama"), host.count(MODEL, "PullModel")), (second.clone(), 3));
    assert_ne!(first, second);
    let steps = operations(&host, "Container/ollama");
    assert!(steps.iter().all(|step| step.starts_with("StartContainer @ollama")), "{steps:?}");
}
