//! Tokens of machines at the command line.

use std::fs;

use super::{Stage, json};

#[test]
fn a_token_is_shown_once_kept_by_its_digest_and_gone_when_it_is_revoked() {
    let stage = Stage::new(&[]);
    fs::create_dir(stage.root.path().join("state")).unwrap();
    let made = stage.run(&["claw", "token", "create", "ci", "--expires", "90d", "-o", "json"]);
    assert_eq!(made.status.code(), Some(0), "{}", stage.shown(&made));
    let token = json(&made)["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("mct_") && token.len() == 68, "{token}");
    for file in fs::read_dir(stage.root.path().join("state")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(&token), "whoever reads the file has no token from it");
    }
    let listed = json(&stage.run(&["claw", "token", "list", "-o", "json"]));
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["lastUsedAt"]), (&"ci".into(), &serde_json::Value::Null));
    let again = stage.run(&["claw", "token", "create", "ci"]);
    assert!(stage.shown(&again).contains("there is a token `ci` already"), "{}", stage.shown(&again));
    assert_ne!(again.status.code(), Some(0));

    assert!(stage.shown(&stage.run(&["claw", "token", "revoke", "ci"])).contains("opens nothing any more"));
    assert!(stage.shown(&stage.run(&["claw", "token", "revoke", "ci"])).contains("there is no token `ci`"));
    let log = stage.shown(&stage.run(&["audit", "log"]));
    assert!(log.contains("make a token for ci") && log.contains("revoke the token of ci") && !log.contains(&token), "{log}");
}

#[test]
fn a_lifetime_or_a_name_that_cannot_be_is_refused() {
    let stage = Stage::new(&[]);
    fs::create_dir(stage.root.path().join("state")).unwrap();
    for wrong in [["ci", "--expires=0d"], ["ci", "--expires=1w"], ["CI", "--expires=1d"], ["a b", "--expires=1d"]] {
        let refused = stage.run(&["claw", "token", "create", wrong[0], wrong[1]]);
        assert_eq!(refused.status.code(), Some(2), "{}", stage.shown(&refused));
    }
    assert!(json(&stage.run(&["claw", "token", "list", "-o", "json"]))["items"].as_array().unwrap().is_empty());
}

#[test]
fn a_password_that_is_set_says_on_which_port_it_opens_something_and_what_counts_before_it() {
    let stage = Stage::new(&[]);
    fs::create_dir(stage.root.path().join("state")).unwrap();
    let enable = ["claw", "admin", "enable", "--password", "correct horse battery"];
    let plain = stage.run(&enable);
    assert_eq!(plain.status.code(), Some(0), "{}", stage.shown(&plain));
    let shown = stage.shown(&plain);
    assert!(shown.contains("http://127.0.0.1:3710/admin") && !shown.contains("counts before"), "{shown}");
    let mut given = stage.command(&enable);
    given.env("CLAW_PORT", "4711").env("CLAW_WEB_PASSWORD", "another one");
    let shown = stage.shown(&given.output().unwrap());
    assert!(shown.contains("http://127.0.0.1:4711/admin"), "{shown}");
    assert!(shown.contains("CLAW_WEB_PASSWORD is set in the environment of a Mooring that is started from here"), "{shown}");
    assert!(!shown.contains("another one") && !shown.contains("correct horse"), "{shown}");
}
