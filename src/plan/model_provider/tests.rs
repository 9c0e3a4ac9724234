//! What is decided about a model, in words.

mod properties;

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use jiff::SignedDuration;

use super::*;
use crate::{
    dotenv::Values,
    manifest::{Kind, model_provider::Variables},
    plan::{
        Action, EngineAction, Target,
        container::{Container, Health, Policy, Readiness, State},
        history::FailedModel,
        shape::{Limits, Shape},
    },
    secret::Secret,
};

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn key() -> Key {
    Key::new(Kind::ModelProvider, "default")
}

fn chooser() -> Chooser {
    Chooser {
        order: vec![Provider::Openai, Provider::Anthropic, Provider::Ollama],
        openai_model: "gpt-4o-mini".to_owned(),
        anthropic_model: "claude-3-5-haiku".to_owned(),
        ollama_model: "gemma3:4b".to_owned(),
        variables: Variables::default(),
    }
}

fn desired() -> Desired {
    Desired {
        key: key(),
        generation: 1,
        environment: "shop".to_owned(),
        chooser: chooser(),
        ollama: Ollama {
            url: None,
            container: None,
            run: None,
            pull: ModelPull::IfMissing,
            stall_after: std::time::Duration::from_mins(1),
            directory: None,
            healing: Healing::default(),
        },
    }
}

fn run() -> Box<container::Desired> {
    Box::new(container::Desired {
        key: key(),
        generation: 1,
        name: "ollama".to_owned(),
        shape: Shape { image: "ollama/ollama:latest".to_owned(), ..Shape::default() },
        variables: Vec::new(),
        pull_policy: crate::manifest::container::PullPolicy::IfMissing,
        depends_on: Vec::new(),
        probe: None,
        policy: Policy { allow_recreate: true, allow_remove: true, ..Policy::default() },
    })
}

fn values(values: &[(&str, &str)]) -> Values {
    values.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
}

fn chosen(keys: &[(&str, &str)]) -> Observed {
    Observed {
        at: now(),
        choice: Ok(chooser().choose(&values(keys))),
        run: None,
        container: None,
        started_at: None,
        server: None,
        history: History::default(),
    }
}

/// Ollama is the choice, and its server says this.
fn served(answer: Answer) -> Observed {
    let disk = Some(Disk { directory: "/var/lib/models".into(), free: u64::MAX, needed: None });
    let server = Server { url: "http://localhost:11434".to_owned(), answer, pulls_for: None, disk };
    Observed { server: Some(server), ..chosen(&[]) }
}

fn models(names: &[&str]) -> Answer {
    let model = |name: &&str| Model { name: (*name).to_owned(), digest: "a2af6cc3eb7fa8be85".to_owned(), size: 3_338_801_804 };
    Answer::Models { version: "0.5.4".to_owned(), models: names.iter().map(model).collect() }
}

fn containers(containers: Vec<Container>) -> Box<container::Observed> {
    Box::new(container::Observed {
        at: now(),
        containers,
        taken_names: BTreeSet::new(),
        missing_networks: BTreeSet::new(),
        missing_volumes: BTreeSet::new(),
        missing_images: BTreeSet::new(),
        variables: BTreeMap::new(),
        missing_variables: BTreeMap::new(),
        dependencies: BTreeMap::new(),
        changing: BTreeSet::new(),
        doubles: BTreeMap::new(),
        stop_suspected_until: None,
        closed: None,
        pulls_for: None,
        history: History::default(),
    })
}

fn ollama_in(state: State) -> Container {
    Container {
        id: "c1".to_owned(),
        name: "ollama".to_owned(),
        state,
        health: Health::None,
        broken_check: None,
        start_error: None,
        starved: None,
        probe: None,
        started_at: Some(now() - SignedDuration::from_hours(1)),
        restarts: 0,
        made_with: Some(container::MadeWith { shape: run().shape, variables: BTreeSet::new(), allow_remove: true }),
        networks: BTreeSet::new(),
        variables: BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// The plan, and how the object is.
#[track_caller]
fn check(desired: &Desired, observed: &Observed, expected: &Expect) {
    let plan = plan(desired, observed);
    let state = plan.state.as_ref().map(|state| format!("so: {state}\n"));
    expected.assert_eq(&format!("{plan}{}", state.unwrap_or_default()));
}

#[test]
fn the_first_provider_with_a_key_answers() {
    let choice = |keys: &[(&str, &str)]| {
        let choice = chooser().choose(&values(keys));
        format!("{choice}, because {}", choice.reason())
    };
    let all = [("OPENAI_API_KEY", "sk-1"), ("ANTHROPIC_API_KEY", "sk-ant-1"), ("OLLAMA_MODEL", "qwen3:4b")];
    assert_eq!(choice(&all), "openai/gpt-4o-mini, because OPENAI_API_KEY is set");
    assert_eq!(choice(&all[1..]), "anthropic/claude-3-5-haiku, because ANTHROPIC_API_KEY is set");
    assert_eq!(choice(&all[2..]), "ollama/qwen3:4b, because OLLAMA_MODEL is set");
    assert_eq!(choice(&[]), "ollama/gemma3:4b, because no key is set");
}

#[test]
fn a_key_that_is_empty_or_was_never_filled_in_is_none() {
    for nothing in ["", "  ", "changeme", "<your key>", "${OPENAI_API_KEY}"] {
        let choice = chooser().choose(&values(&[("OPENAI_API_KEY", nothing), ("ANTHROPIC_API_KEY", "sk-ant-1")]));
        assert_eq!(choice.provider, Provider::Anthropic, "{nothing:?}");
    }
}

#[test]
fn the_order_is_the_manifests() {
    let chooser = Chooser { order: vec![Provider::Ollama, Provider::Openai], ..chooser() };
    let keys = values(&[("OPENAI_API_KEY", "sk-1"), ("OLLAMA_MODEL", "qwen3:4b")]);
    assert_eq!(chooser.choose(&keys).to_string(), "ollama/qwen3:4b");
    // Nobody asked for this one.
    assert_eq!(chooser.choose(&values(&[("ANTHROPIC_API_KEY", "sk-ant-1")])).to_string(), "ollama/gemma3:4b");
}

#[test]
fn the_choice_is_written_with_its_reason_and_never_with_a_key() {
    let written: Vec<_> = chooser().assignments(&values(&[("OPENAI_API_KEY", "sk-1")])).collect();
    let written: Vec<_> = written.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
    assert_eq!(written, ["AI_PROVIDER=openai", "AI_MODEL=openai/gpt-4o-mini", "AI_MODEL_REASON=OPENAI_API_KEY is set"]);
}

#[test]
fn with_a_cloud_key_nothing_local_is_started() {
    let desired = Desired { ollama: Ollama { run: Some(run()), ..desired().ollama }, ..desired() };
    check(
        &desired,
        &chosen(&[("OPENAI_API_KEY", "sk-1")]),
        &expect![[r#"
        so: openai/gpt-4o-mini answers, because OPENAI_API_KEY is set
    "#]],
    );
}

#[test]
fn the_container_goes_when_another_provider_is_chosen() {
    let desired = Desired { ollama: Ollama { run: Some(run()), ..desired().ollama }, ..desired() };
    let observed =
        Observed { run: Some(containers(vec![ollama_in(State::Running)])), ..chosen(&[("ANTHROPIC_API_KEY", "sk-ant-1")]) };
    check(
        &desired,
        &observed,
        &expect![[r#"
        stop ollama, because anthropic/claude-3-5-haiku answers instead
        remove ollama, because anthropic/claude-3-5-haiku answers instead
    "#]],
    );
}

#[test]
fn a_container_that_is_not_declared_any_more_goes() {
    let observed = Observed { run: Some(containers(vec![ollama_in(State::Running)])), ..served(models(&["gemma3:4b"])) };
    check(
        &desired(),
        &observed,
        &expect![[r#"
        stop ollama, because its manifest is gone
        remove ollama, because its manifest is gone
    "#]],
    );
}

#[test]
fn nothing_changes_while_the_keys_cannot_be_read() {
    let desired = Desired { ollama: Ollama { run: Some(run()), ..desired().ollama }, ..desired() };
    let observed = Observed {
        choice: Err(".env cannot be used: it is not UTF-8".to_owned()),
        run: Some(containers(vec![ollama_in(State::Running)])),
        ..chosen(&[])
    };
    check(
        &desired,
        &observed,
        &expect![[r#"
        wait: which provider has its key is not known: .env cannot be used: it is not UTF-8
    "#]],
    );
}

#[test]
fn a_container_is_made_before_the_server_is_asked() {
    let desired = Desired { ollama: Ollama { run: Some(run()), ..desired().ollama }, ..desired() };
    check(
        &desired,
        &Observed { run: Some(containers(Vec::new())), ..chosen(&[]) },
        &expect![[r#"
        create ollama from ollama/ollama:latest, because it is missing
        start ollama, because it was made and never started
        wait: it is starting
    "#]],
    );
}

#[test]
fn a_declared_container_is_waited_for() {
    let container = Key::new(Kind::Container, "ollama");
    let desired = Desired { ollama: Ollama { container: Some(container), ..desired().ollama }, ..desired() };
    check(
        &desired,
        &Observed { container: Some(Readiness::Started), ..chosen(&[]) },
        &expect![[r#"
        wait: Container/ollama is not healthy
    "#]],
    );
}

#[test]
fn a_missing_model_is_pulled() {
    check(
        &desired(),
        &served(models(&["qwen3:4b"])),
        &expect![[r#"
        pull model gemma3:4b, because it is missing
    "#]],
    );
}

#[test]
fn a_model_that_is_there_answers() {
    check(
        &desired(),
        &served(models(&["qwen3:4b", "gemma3:4b"])),
        &expect![[r#"
        so: ollama/gemma3:4b answers (3.3 GB, a2af6cc3eb7f), because no key is set
    "#]],
    );
}

#[test]
fn a_missing_model_is_only_told_of_where_the_manifest_says_so() {
    let mut desired = Desired { ollama: Ollama { pull: ModelPull::Never, ..desired().ollama }, ..desired() };
    desired.chooser.ollama_model = "gemma-3-4b".to_owned();
    let observed = Observed { choice: Ok(desired.chooser.choose(&Values::new())), ..served(models(&[])) };
    check(
        &desired,
        &observed,
        &expect![[r#"
        wait: model gemma-3-4b is not there, and the manifest says not to pull it (did you mean `gemma3:4b`?)
    "#]],
    );
}

#[test]
fn a_server_that_is_not_well_is_told_of_with_its_words() {
    check(
        &desired(),
        &served(Answer::Wrong { reason: "out of memory (status 500)".to_owned() }),
        &expect![[r#"
        wait: the model server at http://localhost:11434 is not well: out of memory (status 500)
    "#]],
    );
    check(
        &desired(),
        &served(Answer::Silent { reason: "connection refused".to_owned() }),
        &expect![[r#"
        wait: no model server answers at http://localhost:11434: connection refused
    "#]],
    );
}

#[test]
fn a_server_whose_container_has_just_started_gets_a_moment() {
    let silent = served(Answer::Silent { reason: "connection refused".to_owned() });
    let starting = Observed { started_at: Some(now() - SignedDuration::from_secs(3)), ..silent.clone() };
    check(
        &desired(),
        &starting,
        &expect![[r#"
        wait: the model server at http://localhost:11434 has just been started
    "#]],
    );
    let long_up = plan(&desired(), &Observed { started_at: Some(now() - SignedDuration::from_mins(3)), ..silent });
    assert_eq!(long_up.wait.unwrap().code(), "ServerDown");
}

fn failed(seconds_ago: i64, count: u32, model: &str, reason: &str) -> History {
    let at = now() - SignedDuration::from_secs(seconds_ago);
    let failed = FailedModel { model: model.to_owned(), count, at, reason: reason.to_owned() };
    History { failed_model: Some(failed), ..History::default() }
}

#[test]
fn a_name_that_no_registry_knows_is_told_with_the_likely_one_and_tried_less_and_less_often() {
    let mut desired = desired();
    desired.chooser.ollama_model = "gemma-3-4b".to_owned();
    let observed = |seconds_ago, count| Observed {
        choice: Ok(desired.chooser.choose(&Values::new())),
        history: failed(seconds_ago, count, "gemma-3-4b", "pull model manifest: file does not exist"),
        ..served(models(&[]))
    };
    check(
        &desired,
        &observed(3, 4),
        &expect![[r#"
        wait: model gemma-3-4b cannot be pulled: pull model manifest: file does not exist (did you mean `gemma3:4b`?)
    "#]],
    );
    let wait = plan(&desired, &observed(3, 4)).wait.unwrap();
    assert_eq!(wait.until(), Some(now() + SignedDuration::from_secs(5)));
    check(
        &desired,
        &observed(8, 4),
        &expect![[r#"
        pull model gemma-3-4b, because it is missing
    "#]],
    );
}

#[test]
fn what_another_model_ran_into_says_nothing_about_this_one() {
    let observed = Observed { history: failed(1, 9, "qwen3:4b", "no such host"), ..served(models(&[])) };
    assert_eq!(plan(&desired(), &observed).steps.len(), 1);
}

fn on_disk(free: u64, needed: Option<u64>) -> Observed {
    let mut observed = served(models(&[]));
    let disk = Disk { directory: "/var/lib/models".into(), free, needed };
    observed.server.as_mut().unwrap().disk = Some(disk);
    observed
}

#[test]
fn a_model_that_would_not_fit_is_not_pulled_until_there_is_room() {
    check(
        &desired(),
        &on_disk(3_999_999_999, Some(4_000_000_000)),
        &expect![[r#"
        wait: model gemma3:4b needs 4.0 GB of free space in /var/lib/models, and there are 3.9 GB
    "#]],
    );
    for observed in [on_disk(4_000_000_000, Some(4_000_000_000)), on_disk(1, None)] {
        assert_eq!(plan(&desired(), &observed).steps.len(), 1, "{observed:?}");
    }
}

/// As in a container of our own, where the directories of the host are not.
#[test]
fn that_a_full_disk_would_come_as_a_surprise_is_noted_while_a_model_is_missing() {
    let unseen = |answer: Answer| {
        let mut observed = served(answer);
        observed.server.as_mut().unwrap().disk = None;
        observed
    };
    check(
        &desired(),
        &unseen(models(&[])),
        &expect![[r#"
        pull model gemma3:4b, because it is missing
        note: free space for models cannot be seen from here, so a full disk is not foreseen
    "#]],
    );
    let failed = Observed { history: failed(0, 1, "gemma3:4b", "no such host"), ..unseen(models(&[])) };
    let plan_of = |observed: &Observed| plan(&desired(), observed);
    assert_eq!(plan_of(&failed).notes, plan_of(&unseen(models(&[]))).notes, "it stays while nothing is tried");
    assert!(plan_of(&failed).steps.is_empty());
    assert_eq!(plan_of(&unseen(models(&["gemma3:4b"]))).notes, []);
    let mut never = desired();
    never.ollama.pull = ModelPull::Never;
    assert_eq!(plan(&never, &unseen(models(&[]))).notes, []);
}

#[test]
fn one_pull_of_a_model_is_enough() {
    let mut observed = served(models(&[]));
    observed.server.as_mut().unwrap().pulls_for = Some(Key::new(Kind::ModelProvider, "other"));
    check(
        &desired(),
        &observed,
        &expect![[r#"
        wait: model gemma3:4b is being pulled for ModelProvider/other already
    "#]],
    );
}

#[test]
fn a_container_through_which_a_model_is_pulled_is_not_stopped() {
    let target = || Target::seen("c1", "ollama");
    let pulled_through = container::Observed { pulls_for: Some(key()), ..*containers(Vec::new()) };
    let plan_of = |action: EngineAction| {
        let mut plan = Plan::default();
        plan.step(action, Why::Unhealthy);
        plan
    };
    let spared = spare(plan_of(EngineAction::RestartContainer { container: target() }), &pulled_through);
    expect![[r#"
        wait: a model is being pulled through it for ModelProvider/default
    "#]]
    .assert_eq(&spared.to_string());
    // One that is down pulls nothing any more.
    let start = plan_of(EngineAction::StartContainer { container: target() });
    assert_eq!(spare(start.clone(), &pulled_through), start);
    let restart = plan_of(EngineAction::RestartContainer { container: target() });
    assert_eq!(spare(restart.clone(), &containers(Vec::new())), restart);
}

#[test]
fn what_failed_is_remembered_until_it_succeeds_or_the_manifest_changes() {
    let step = plan(&desired(), &served(models(&[]))).steps.remove(0);
    assert!(matches!(step.action, Action::Model(_)));
    let history = History::default().after(&step, Some("no such host"), now()).after(&step, Some("connection refused"), now());
    let failed = history.failed_model.clone().unwrap();
    assert_eq!((failed.count, failed.reason.as_str()), (2, "connection refused"));
    assert_eq!(history.clone().after(&step, None, now()).failed_model, None);
    assert_eq!(history.for_generation(2).failed_model, None);
}

#[test]
fn sizes_are_told_as_people_say_them() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1_500, "1.5 kB"),
        (999_999_999, "999.9 MB"),
        (3_338_801_804, "3.3 GB"),
        (u64::MAX, "18446744073.7 GB"),
    ] {
        assert_eq!(size(bytes), text);
    }
}
