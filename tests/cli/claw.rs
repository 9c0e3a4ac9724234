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
