//! What is used, and what is written: asked of the real engine.

use std::{thread, time::Duration};

use futures::StreamExt;
use mooring::{
    operator::insight::Insight,
    view::insight::{LineView, LogQuery},
};

use crate::host::{Host, container, environment};

const SHOP: &str = "secrets: {generate: [{name: APP_SECRET}]}\ncomputed: {values: {URL: 'shop://app:${APP_SECRET}/db'}}";

/// The whole text of a log.
fn log(host: &Host, object: &str, query: &LogQuery) -> Vec<String> {
    let read = async {
        let lines = host.context().log(&object.parse().unwrap(), query).await.unwrap();
        lines.map(|line| line.unwrap().text).collect::<Vec<_>>().await
    };
    host.wait_for(read)
}

fn last(lines: usize) -> LogQuery {
    LogQuery { tail: lines, ..LogQuery::default() }
}

#[test]
fn what_each_container_uses_is_measured_and_one_that_ends_leaves_no_line_behind() {
    let burner = "image: busybox:1\ncommand: [sh, -c, 'while true; do :; done']";
    let host = Host::start(&[container("burner", burner), container("web", "image: web:1")]);
    let (busy, quiet) = (format!("{}-burner", host.name), format!("{}-web", host.name));
    host.wait_for(host.context().measure());
    let first = host.context().gauges();
    assert!(first.containers[&busy].processors.last().is_none(), "one look says nothing of how fast it grows");
    thread::sleep(Duration::from_secs(3));
    host.wait_for(host.context().measure());
    let measured = host.context().gauges();
    let (busy_used, quiet_used) = (&measured.containers[&busy], &measured.containers[&quiet]);
    let processors = busy_used.processors.last().unwrap();
    assert!(processors > 5.0 && processors > quiet_used.processors.last().unwrap(), "{processors}");
    assert!(processors < 250.0, "one shell keeps one processor busy: {processors}");
    assert!(quiet_used.memory.last().unwrap() > 10_000.0, "{quiet_used:?}");
    assert_eq!(busy_used.object.as_ref().unwrap().to_string(), "Container/burner");
    assert!(measured.processors.last().is_some() && measured.memory.last().is_some() && !measured.disks.is_empty());

    host.delete("burner.yaml");
    host.eventually("it is gone", |host| host.names() == ["@web"]);
    host.eventually("its line as well", |host| {
        host.wait_for(host.context().measure());
        !host.context().gauges().containers.contains_key(&busy)
    });
}

#[test]
fn a_log_is_shown_without_secrets_and_without_what_moves_a_terminal() {
    let script = "printf \"\\033[31mred\\033[0m $APP_SECRET\\n\"; echo \"$URL\" >&2; sleep 1; for i in 1 2 3; do echo line $i; done; sleep 1000";
    let app = format!("image: busybox:1\nenvFrom: [{{environment: shop}}]\ncommand: [sh, -c, '{script}']");
    let host = Host::start(&[environment("shop", SHOP), container("app", &app)]);
    host.eventually("all is written", |host| log(host, "Container/app", &last(100)).len() == 5);
    let mut lines = log(&host, "Container/app", &last(100));
    let value = host.value(".env.secrets", "APP_SECRET").unwrap();
    assert!(lines.iter().all(|line| !line.contains(&value)), "{lines:?}");
    lines.sort();
    assert_eq!(lines, ["line 1", "line 2", "line 3", "red ***", "shop://app:***/db"]);
    assert_eq!(log(&host, "Container/app", &last(2)), ["line 2", "line 3"]);
    let query = LogQuery { contains: Some("LINE 2".to_owned()), ..last(100) };
    assert_eq!(log(&host, "Container/app", &query), ["line 2"]);
    let later = LogQuery { since: jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1)).ok(), ..last(100) };
    assert_eq!(log(&host, "Container/app", &later), Vec::<String>::new());
    let error = host.wait_for(host.context().log(&"Environment/shop".parse().unwrap(), &last(1))).err().unwrap();
    assert_eq!(error, "Environment/shop has no container");
}

#[test]
fn a_terminals_log_is_read_line_by_line_as_well() {
    let healed = container("app", "management: heal\nselector: {labels: {app: '@app'}}");
    let mut host = Host::new(std::slice::from_ref(&healed));
    let script = "printf \"\\033[1mbold\\033[0m\\r\\n10%%\\r100%%\\nAPI_TOKEN=$API_TOKEN\\n\"; sleep 1000";
    let run = ["run", "--detach", "--tty", "--name", "@app", "--label", "app=@app", "--env", "API_TOKEN=hunter2hunter2"];
    host.try_words(&[&run[..], &["--pull", "never", "mooring-demo/busybox:1", "sh", "-c", script]].concat()).unwrap();
    host.run();
    host.converges();
    host.eventually("it is read", |host| log(host, "Container/app", &last(100)) == ["bold", "100%", "API_TOKEN=***"]);
}

#[test]
fn a_log_that_is_followed_tells_new_lines_as_they_are_written_and_ends_with_its_container() {
    let ticker = "image: busybox:1\ncommand: [sh, -c, 'i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.3; done']";
    let host = Host::start(&[container("ticker", ticker)]);
    let query = LogQuery { follow: true, contains: Some("tick".to_owned()), ..last(1) };
    let follow = async {
        let lines = host.context().log(&"Container/ticker".parse().unwrap(), &query).await.unwrap();
        let told: Vec<LineView> = lines.take(4).map(Result::unwrap).collect().await;
        told
    };
    let told = host.wait_for(async { tokio::time::timeout(Duration::from_secs(20), follow).await }).unwrap();
    let numbers: Vec<u32> = told.iter().map(|line| line.text.strip_prefix("tick ").unwrap().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "each once, in order: {told:?}");

    let ended = async {
        let lines = host.context().log(&"Container/ticker".parse().unwrap(), &query).await.unwrap();
        lines.for_each(|_| async {}).await;
    };
    host.write("empty.yaml", "# nothing\n");
    host.delete("ticker.yaml");
    host.wait_for(async { tokio::time::timeout(Duration::from_secs(30), ended).await }).unwrap();
}

#[test]
fn secrets_are_listed_with_where_they_come_from_and_never_with_their_values() {
    let app = container("app", "image: web:1\nenvFrom: [{environment: shop, keys: [APP_SECRET]}]");
    let host = Host::start(&[environment("shop", SHOP), app]);
    let secrets = host.wait_for(host.context().secrets());
    let secret = secrets.iter().find(|secret| secret.name == "APP_SECRET").unwrap();
    assert_eq!(secret.file.as_deref(), Some(".env.secrets"));
    assert!(secret.is_kept && !secret.is_placeholder, "{secret:?}");
    assert_eq!(secret.written.as_ref().unwrap().how, "made by Mooring");
    assert_eq!(secret.users, ["Container/app".parse().unwrap()]);
    let value = host.value(".env.secrets", "APP_SECRET").unwrap();
    assert!(!serde_json::to_string(&secrets).unwrap().contains(&value));

    host.docker("kill @app");
    host.eventually("it is on the list of what was put right", |host| {
        let corrections = host.context().corrections();
        corrections.iter().filter(|correction| correction.key.to_string() == "Container/app").count() >= 2
    });
    let runs = host.wait_for(host.context().runs()).unwrap();
    assert!(runs.len() == 1 && runs[0].is_running && runs[0].started_at.is_some(), "{runs:?}");
    let verified = host.wait_for(host.context().verify_audit()).unwrap();
    assert!(verified.fault.is_none() && verified.rows > 0, "{verified:?}");
}
