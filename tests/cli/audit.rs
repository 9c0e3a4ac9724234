//! The audit log at the command line: verified by the program, and by a stranger's script from what it exports.

use std::{io::Write as _, process::Stdio};

use mooring::record::{
    Record, Settings,
    events::Subject,
    journal::{Actor, Command, Outcome},
};
use serde_json::Value;

use super::{Stage, json};

/// A state directory with so many commands of root on record, with words that a careless serialisation would trip over.
fn with_commands(commands: usize) -> Stage {
    let stage = Stage::new(&[]);
    write(&stage, commands);
    stage
}

fn write(stage: &Stage, commands: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let record = Record::join(&stage.root.path().join("state"), Settings::default()).await.unwrap();
        for number in 0..commands {
            let command = Command {
                actor: &Actor::Cli("root".into()),
                operation: "Apply",
                object: &Subject::Host,
                target: "größer\n~ 3:abc",
                why: "\"quoted\" \\ \u{1F6A2}",
                details: &serde_json::json!({"number": number, "b": 1.50, "a": null}),
                outcome: &Outcome::Failed { error: String::new() },
            };
            record.journal.note(&command).await.unwrap();
        }
        record.shutdown().await;
    });
}

/// What the script says of these rows, and how it ends.
fn script(rows: &[u8]) -> (Option<i32>, String) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/verify-audit.py");
    let mut child = std::process::Command::new("python3")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(rows).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap().trim().to_owned())
}

#[test]
fn a_script_that_knows_nothing_of_mooring_comes_to_the_same_verdict() {
    let stage = with_commands(3);
    let exported = stage.run(&["audit", "export"]).stdout;
    let verified = json(&stage.run(&["audit", "verify", "-o", "json"]));
    assert_eq!((&verified["good"], &verified["rows"]), (&Value::Bool(true), &Value::from(6)));
    let head = verified["head"]["hash"].as_str().unwrap();
    assert_eq!(script(&exported), (Some(0), format!("good: 6 rows, the last one is 6 with the digest {head}")));

    let text = String::from_utf8(exported).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let edited = text.replacen("cli:root", "cli:else", 1);
    assert!(script(edited.as_bytes()).1.starts_with("not good: row 1 was changed"));
    let removed = [&lines[..2], &lines[3..]].concat().join("\n");
    assert_eq!(script(removed.as_bytes()), (Some(1), "not good: row 4 does not follow row 2".to_owned()));
    assert_eq!(script(b"rubbish\n").0, Some(2));
}

#[test]
fn a_log_that_is_not_good_is_exit_1_and_names_the_row() {
    let stage = with_commands(3);
    let anchors =
        stage.given("anchors", &format!("{{\"at\":\"2026-01-02T03:04:05Z\",\"id\":9,\"hash\":\"{}\"}}\n", "0".repeat(64)));
    let output = stage.run(&["audit", "verify", "--anchor", &anchors]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("not good: the log ends at row 6, but row 9 was there 2026-01-02T03:04:05Z: "), "{said}");
}

#[test]
fn clearing_has_to_be_confirmed_and_leaves_an_archive_that_is_verified_with_the_log() {
    let stage = with_commands(2);
    assert_eq!(stage.run(&["audit", "log", "--clear"]).status.code(), Some(2));
    let cleared = json(&stage.run(&["audit", "log", "--clear", "--confirm", "-o", "json"]));
    assert_eq!(cleared["rows"], 4);
    let archive = cleared["archive"].as_str().unwrap();
    write(&stage, 1);

    let alone = json(&stage.run(&["audit", "verify", "-o", "json"]));
    assert_eq!((&alone["good"], &alone["rows"], &alone["archive"]), (&Value::Bool(true), &Value::from(4), &cleared["archive"]));
    let both = json(&stage.run(&["audit", "verify", "--archive", archive, "-o", "json"]));
    assert_eq!((&both["good"], &both["rows"], &both["archive"]), (&Value::Bool(true), &Value::from(8), &Value::Null));
    let listed = json(&stage.run(&["audit", "log", "--operation", "ClearAuditLog", "-o", "json"]));
    assert_eq!(listed["items"][0]["target"], cleared["archive"]);

    let rest = stage.run(&["audit", "export"]).stdout;
    let whole = [std::fs::read(archive).unwrap(), rest].concat();
    assert!(script(&whole).1.starts_with("good: 8 rows"), "{:?}", script(&whole));
}

#[test]
fn where_there_is_no_log_it_says_so() {
    let output = Stage::new(&[]).run(&["audit", "verify"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no audit log in ") && said.contains("--state"), "{said}");
}
