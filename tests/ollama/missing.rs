//! Models that are not to be had.

use crate::stack::{MODEL, host, is_listed, provider, start, with_own_server};

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
