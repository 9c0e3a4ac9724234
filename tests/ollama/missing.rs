//! Models that are not to be had.

use crate::stack::{MODEL, host, is_listed, provider, start, start_registry, transfers, with_own_server};

#[test]
fn a_wrong_name_is_told_with_the_one_that_was_probably_meant() {
    let host = start(&[with_own_server("")], "OLLAMA_MODEL=gemma-3-4b\n", "0");
    let told = "Degraded: PullFailed (model gemma-3-4b cannot be pulled: pull model manifest: file does not exist \
                (did you mean `gemma3:4b`?))";
    host.eventually("it is told", |host| host.holds(MODEL).contains(told));
    assert_eq!(host.value(".env.computed", "AI_MODEL").as_deref(), Some("ollama/gemma-3-4b"));
    host.write(".env", "OLLAMA_MODEL=gemma3:4b\n");
    host.eventually("the right one is pulled", is_listed);
    host.converges();
    assert!(host.holds(MODEL).ends_with("because OLLAMA_MODEL is set)"), "{}", host.holds(MODEL));
}

#[test]
fn a_model_that_may_not_be_pulled_is_reported_and_taken_when_somebody_else_brings_it() {
    let run = "run: {name: '@ollama', image: 'mooring-demo/ollama:1', volume: '@models', networks: ['@net']}";
    let host = start(&[provider("default", &format!("ollama:\n  {run}\n  pull: never"))], "", "0");
    host.eventually("it is told", |host| host.holds(MODEL).contains("Degraded: ModelMissing"));
    host.stays(2, "nobody pulls", |host| host.count(MODEL, "PullModel") == 0);
    host.docker("exec @ollama /bin/ollama pull gemma3:4b");
    host.converges();
    assert_eq!(host.count(MODEL, "PullModel"), 0);
}

#[test]
fn a_server_that_is_not_there_is_reported_with_its_address() {
    let mut host = host(&[provider("default", "ollama: {url: 'http://127.0.0.1:9'}")], "");
    host.run();
    let told = "Degraded: ServerDown (no model server answers at http://127.0.0.1:9: ";
    host.eventually("it is told", |host| host.holds(MODEL).contains(told));
}

#[test]
fn a_model_that_does_not_fit_onto_the_disk_of_the_server_is_not_pulled() {
    let mut host = host(&[with_own_server("")], "");
    start_registry(&host, "8m");
    host.docker("volume create --opt type=tmpfs --opt device=tmpfs --opt o=size=50m @models");
    host.run();
    host.eventually("it is told", |host| {
        // A fifth more than all of it, less what came until it was clear how much there is.
        let holds = host.holds(MODEL);
        holds.contains("Degraded: DiskTooSmall (model gemma3:4b needs 11") && holds.contains(" MB of free space in ")
    });
    host.stays(4, "nothing more is pulled", |host| host.count(MODEL, "PullModel") == 1);
    assert!(transfers(&host).iter().all(|(_, sent)| *sent < 50 << 20), "the disk was not filled: {:?}", transfers(&host));
}
