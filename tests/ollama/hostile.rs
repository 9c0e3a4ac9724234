//! A model is had from behind an engine that is not to be trusted, too.

use std::{thread, time::Duration};

use crate::{
    between::{Between, only_looks},
    stack::{MODEL, digest, host, is_listed, operations, provider, start_registry},
};

#[test]
fn a_model_is_pulled_and_kept_while_the_engine_refuses_breaks_off_and_hangs() {
    let run = "run: {name: '@ollama', image: 'mooring-demo/ollama:1', volume: '@models', networks: ['@net']}";
    // What the engine refuses counts as a try.
    let healing = "healing: {budget: {attempts: 100, window: 10m}, backoff: {initial: 200ms, factor: 1}}";
    let mut host = host(&[provider("default", &format!("ollama:\n  {run}\n  stallAfter: 5s\n{healing}"))], "");
    start_registry(&host, "30m");
    let between = Between::new(&host.engine);
    (host.engine, host.patience) = (between.address(), Duration::from_mins(3));
    between.turns(1);
    while let Err(error) = host.try_run() {
        let error = mooring::error_chain(&error);
        assert!(error.contains("the engine cannot be asked for the lease"), "{error}");
        thread::sleep(Duration::from_millis(100));
    }
    host.eventually("it is pulled", is_listed);
    host.docker("kill @ollama");
    host.eventually("the server is back, and has it", is_listed);
    host.docker("rm --force @ollama");
    host.eventually("and so is another one", is_listed);
    between.turns(0);
    host.converges();
    assert!(host.holds(MODEL).contains(&digest(&host)), "{}", host.holds(MODEL));
    let pulls = operations(&host, MODEL).iter().filter(|step| *step == "PullModel gemma3:4b [done]").count();
    assert_eq!(pulls, 1, "what is there is not pulled again: {:?}", host.steps(MODEL));
    let done = host.audit().len();
    host.stays(3, "nothing more is done", |host| host.audit().len() == done && is_listed(host));
    let met = between.deeds().into_iter().filter(|(kind, _)| kind != "event" && !only_looks(kind)).count();
    assert!(met > 2, "no act met any trouble: {:?}", between.deeds());
    assert_eq!(host.names(), ["@ollama"]);
    host.stop();
    host.record_is_whole();
    between.ends();
}
