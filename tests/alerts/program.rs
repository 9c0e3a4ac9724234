//! The program itself: `mooring alerts`, without an operator and without an engine.

use std::{
    fs,
    process::{Command, Output},
};

use super::receiver::{Http, Manner, Smtp, nobody};

/// Runs the program on a desired state with these receivers.
fn run(receivers: &str, args: &[&str]) -> (Output, String) {
    let root = tempfile::tempdir().unwrap();
    let desired = root.path().join("desired");
    fs::create_dir(&desired).unwrap();
    let host = format!(
        "apiVersion: mooring.dev/v1alpha1\nkind: Host\nmetadata: {{name: default}}\nspec:\n  alerts:\n    hostname: shop-1\n    receivers:\n{receivers}"
    );
    let environment =
        "apiVersion: mooring.dev/v1alpha1\nkind: Environment\nmetadata: {name: shop}\nspec: {directory: ., files: [.env]}\n";
    fs::write(desired.join("host.yaml"), host).unwrap();
    fs::write(desired.join("shop.yaml"), environment).unwrap();
    fs::write(desired.join(".env"), format!("DEAD_URL=http://127.0.0.1:{}/T0K3N\n", nobody())).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
    command.args(args).env_clear().current_dir(root.path());
    command.env("MOORING_DESIRED", "desired").env("MOORING_STATE", "state").env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = command.output().unwrap();
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8(text).unwrap();
    (output, text)
}

#[test]
fn a_test_reaches_every_receiver_and_says_who_did_not_take_it() {
    let (http, smtp) = (Http::new(Manner::Answers(Vec::new())), Smtp::new());
    let receivers = format!(
        "    - {{name: ops, webhook: {{url: '{}'}}, severity: critical, only: [host]}}\n    \
         - {{name: mail, email: {{smtp: '127.0.0.1:{}', tls: none, from: a@shop.test, to: [b@shop.test]}}}}\n    \
         - {{name: dead, slack: {{urlFrom: {{environment: shop, variable: DEAD_URL}}}}}}\n",
        http.url("/"),
        smtp.server.port
    );
    let (output, text) = run(&receivers, &["alerts", "test"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let answer = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(answer("ops").ends_with("it was taken"), "{text}");
    assert!(answer("mail").ends_with("it was taken"), "{text}");
    assert!(answer("dead").contains("refused") && !text.contains("T0K3N"), "{text}");
    assert_eq!(http.messages(), ["firing Host Test"]);
    assert!(smtp.mails()[0].contains("Subject: [firing] Host: Test on shop-1"));

    let (output, text) = run(&receivers, &["alerts", "test", "ops"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let (output, text) = run(&receivers, &["alerts", "test", "opps"]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("there is no receiver named `opps`"), "{text}");
}

#[test]
fn nothing_is_wrong_before_anybody_has_looked() {
    let (output, text) = run("    - {name: ops, webhook: {url: 'http://127.0.0.1:1'}}\n", &["alerts", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap(), serde_json::json!({"items": []}));
}

#[test]
fn receivers_that_cannot_work_are_refused_with_the_field_named() {
    let receivers = "    \
        - {name: ops, webhook: {}}\n    \
        - {name: ops, slack: {url: hooks.example.test/T0K3N}}\n    \
        - {name: two, webhook: {url: 'http://a'}, slack: {url: 'http://b'}}\n    \
        - {name: none}\n    \
        - {name: mail, email: {smtp: 'mail.test', tls: none, from: me, to: [], username: u, passwordFrom: {environment: shop, variable: P}}}\n";
    let (output, text) = run(receivers, &["validate"]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for part in [
        "`spec.alerts.receivers.0.webhook.url` is missing",
        "`spec.alerts.receivers.1.name`: another receiver is called `ops`",
        "`spec.alerts.receivers.1.slack.url`: expected a URL",
        "`spec.alerts.receivers.2.slack` cannot be given beside `webhook`",
        "`spec.alerts.receivers.3.webhook` is missing",
        "`spec.alerts.receivers.4.email.from`",
        "`spec.alerts.receivers.4.email.to`",
        "`spec.alerts.receivers.4.email.passwordFrom` would be sent for everybody to read",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("T0K3N"), "{text}");
}
