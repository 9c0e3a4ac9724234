//! Commands that change files of the desired-state directory, or say what a change would be.

use std::fs;

use expect_test::expect;

use super::{API, Stage, WEB, json};

#[test]
fn a_dry_run_of_apply_shows_what_would_change_and_writes_nothing() {
    let stage = Stage::new(&[("web.yaml", WEB)]);
    let new = WEB.replace("1.26", "1.27").replace("hunter2", "hunter3");
    let file = stage.given("both.yaml", &format!("{new}---\n{API}"));
    stage.expect(
        &["apply", "--dry-run", "-f", &file],
        &expect![[r#"
            exit 0
            container/web configured in web.yaml (dry run)
                environment.PASSWORD: (not shown) → (not shown)
                image: nginx:1.26 → nginx:1.27
            container/api created in web.yaml (dry run)
            note: no mooring runs here; this is what a look by ourselves shows
            note: what would be done cannot be said: the engine cannot be reached at unix:///nowhere/docker.sock: Socket not found: /nowhere/docker.sock
        "#]],
    );
    assert_eq!(stage.read("web.yaml"), WEB);
    let output = stage.run(&["apply", "--dry-run", "-f", &file, "-o", "json"]);
    assert_eq!(json(&output)["items"][0]["change"], "configured");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter"), "passwords are not shown");
}

#[test]
fn apply_writes_files_under_their_names_and_documents_from_standard_input_under_their_own() {
    let stage = Stage::new(&[]);
    let file = stage.given("shop.yaml", WEB);
    stage.expect(
        &["apply", "-f", &file],
        &expect![[r#"
        exit 0
        container/web created in shop.yaml
        note: no mooring runs here; what is written counts from when it does
    "#]],
    );
    assert_eq!(stage.read("shop.yaml"), WEB);
    assert!(stage.run(&["apply", &file]).status.success(), "the flag may be left out");
    let output = stage.run_with(&["apply", "-f", "-"], &format!("{}---\n{API}", WEB.replace("1.26", "1.27")));
    expect![[r#"
        exit 0
        container/web configured in shop.yaml
            image: nginx:1.26 → nginx:1.27
        container/api created in container-api.yaml
        note: no mooring runs here; what is written counts from when it does
    "#]]
    .assert_eq(&stage.shown(&output));
    assert_eq!(stage.files(), ["container-api.yaml", "shop.yaml"]);
    assert_eq!(stage.read("shop.yaml"), WEB.replace("1.26", "1.27"));
    assert_eq!(stage.read("container-api.yaml"), format!("---\n{API}"));
    stage.expect(
        &["apply", "-f", &file, "-f", "desired/container-api.yaml"],
        &expect![[r#"
        exit 0
        container/web configured in shop.yaml
            image: nginx:1.27 → nginx:1.26
        container/api unchanged in container-api.yaml
        note: no mooring runs here; what is written counts from when it does
    "#]],
    );
}

#[test]
fn apply_refuses_to_take_another_objects_declaration_away() {
    let stage = Stage::new(&[("both.yaml", &format!("{WEB}---\n{API}"))]);
    let file = stage.given("web.yaml", WEB);
    stage.expect(
        &["apply", "-f", &file],
        &expect![[r#"
        exit 2
        error: Container/web is declared in both.yaml, together with Container/api
        help: edit both.yaml itself, or `mooring delete Container/api` first
    "#]],
    );
    assert_eq!(stage.files(), ["both.yaml"]);
}

#[test]
fn apply_refuses_everything_when_one_file_is_wrong() {
    let stage = Stage::new(&[]);
    let (good, bad) = (stage.given("web.yaml", WEB), stage.given("bad.yaml", "kind: [\n"));
    let output = stage.run(&["apply", "-f", &good, "-f", &bad]);
    assert_eq!((output.status.code(), stage.files().len()), (Some(2), 0));
    stage.expect(
        &["apply", "-f", "nowhere.yaml"],
        &expect![[r#"
        exit 2
        error: could not read nowhere.yaml
          because No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn a_deleted_document_leaves_the_others_byte_for_byte() {
    let stage = Stage::new(&[("both.yaml", &format!("{WEB}---\r\n{API}"))]);
    stage.expect(
        &["delete", "ctr", "web", "--dry-run"],
        &expect![[r#"
        exit 0
        container/web deleted from both.yaml: its document is taken out, the others stay (dry run)
            its container is stopped and removed; volumes and networks stay
            container/api still refer to it, and keep what was last good until that is corrected
    "#]],
    );
    assert_eq!(stage.read("both.yaml"), format!("{WEB}---\r\n{API}"));
    assert!(stage.run(&["delete", "ctr/web"]).status.success());
    assert_eq!(stage.read("both.yaml"), format!("---\r\n{API}"));
}

#[test]
fn the_last_file_stays_as_a_comment_so_that_the_directory_is_not_taken_for_unmounted() {
    let stage = Stage::new(&[("web.yaml", WEB), ("api.yaml", API)]);
    stage.expect(&["delete", "container/api"], &expect![[r#"
        exit 0
        container/api deleted from api.yaml: the file is removed
            its container has data and was not permitted to be removed (allowRemove): if it has volumes on the engine, it stays until you remove it
            volumes and networks stay
    "#]]);
    assert_eq!(stage.files(), ["web.yaml"]);
    stage.expect(&["delete", "container/web"], &expect![[r#"
        exit 0
        container/web deleted from web.yaml: the file stays with a comment, so that the directory does not look like a missing mount
            its container is stopped and removed; volumes and networks stay
    "#]]);
    assert!(stage.read("web.yaml").starts_with('#'));
    stage.expect(
        &["delete", "container/web"],
        &expect![[r#"
        exit 2
        error: there is no Container/web
        help: `mooring get all` lists what there is
    "#]],
    );
}

#[test]
fn a_hold_is_a_file_that_release_takes_away_again() {
    let stage = Stage::new(&[("web.yaml", WEB)]);
    let hold = ["hold", "ctr/web", "--until", "2999-01-01T00:00:00Z", "--reason", "a new disk", "--by", "ada"];
    stage.expect(
        &hold,
        &expect![[r#"
        exit 0
        hold/container-web created in hold-container-web.yaml
        note: no mooring runs here; what is written counts from when it does
    "#]],
    );
    expect![[r#"
        apiVersion: mooring.dev/v1alpha1
        kind: Hold
        metadata:
          name: container-web
        spec:
          targets:
          - Container/web
          until: "2999-01-01T00:00:00Z"
          reason: a new disk
          by: ada
    "#]]
    .assert_eq(&stage.read("hold-container-web.yaml"));
    stage.expect(
        &["get", "holds"],
        &expect![[r#"
        exit 0
        NAME            READY   STATUS    SINCE   SUMMARY
        container-web   -       Pending   -       Container/web until 2999-01-01T00:00:00Z: a new disk
        note: no mooring runs here; this is what a look by ourselves shows
    "#]],
    );
    // Holding again moves the end, in the same file.
    let longer = ["hold", "container", "web", "--for", "1h", "--reason", "a new disk"];
    assert_eq!(stage.run(&longer).status.code(), Some(2), "`web` is no kind");
    let longer = ["hold", "container/web", "all", "--for", "1h", "--reason", "a new disk"];
    assert_eq!(stage.run(&longer).status.code(), Some(0));
    assert_eq!(stage.files(), ["hold-all.yaml", "hold-container-web.yaml", "web.yaml"]);
    stage.expect(
        &["release", "container/web"],
        &expect![[r#"
        exit 0
        hold/container-web ended
        container/web released
        note: hold/all is on more than this and stays; `mooring release hold/all` ends it
    "#]],
    );
    stage.expect(
        &["release", "hold/all"],
        &expect![[r#"
        exit 0
        hold/all ended
    "#]],
    );
    assert_eq!(stage.files(), ["web.yaml"]);
}

#[test]
fn a_hold_that_makes_no_sense_is_refused() {
    let stage = Stage::new(&[("web.yaml", WEB)]);
    let refused = |args: &[&str]| stage.shown(&stage.run(&[&["hold"], args, &["--reason", "a new disk"]].concat()));
    let told = [
        refused(&["ctr/wbe", "--for", "1h"]),
        refused(&["ctr/web", "--until", "2020-01-01T00:00:00Z"]),
        refused(&["ctr/web", "--until", "2999-01-01T00:00:00"]),
        refused(&["hold/web", "--for", "1h"]),
        refused(&["pod/web", "--for", "1h"]),
    ];
    expect![[r#"
        exit 2
        error: there is no Container/wbe
        help: did you mean Container/web?
        exit 2
        error: 2020-01-01T00:00:00Z is past: a hold that is over holds nothing
        help: say how long from now on: `--for 2h`
        exit 2
        error: `2999-01-01T00:00:00` has no time zone; add `Z` for UTC, or an offset such as `+02:00`
        help: or say how long: `--for 2h`
        exit 2
        error: nothing is ever done for a Hold itself; change or delete it instead
        help: as in `container/web`, `container` or `all`
        exit 2
        error: `pod` is not a kind; the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host; a target is KIND/NAME, KIND or all
        help: as in `container/web`, `container` or `all`
    "#]].assert_eq(&told.concat());
    assert_eq!(stage.files(), ["web.yaml"]);
    let file = "apiVersion: mooring.dev/v1alpha1\nkind: Hold\nmetadata: {name: bad}\n\
                spec: {targets: [pod/web, all, ALL], until: '2999-01-01 00:00', reason: ''}\n";
    let file = stage.given("bad.yaml", file);
    stage.expect(&["validate", &file], &expect![[r#"
        exit 2
        ROOT/bad.yaml:4:18: `spec.targets.0`: `pod` is not a kind; the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host; a target is KIND/NAME, KIND or all
        ROOT/bad.yaml:4:32: `spec.targets.2`: all is listed twice
        ROOT/bad.yaml:4:45: `spec.until`: `2999-01-01 00:00` has no time zone; add `Z` for UTC, or an offset such as `+02:00`
        ROOT/bad.yaml:4:73: `spec.reason` must not be empty
        error: 4 problems in the manifests
        help: `mooring explain KIND.field` says what a field expects
    "#]]);
}

#[test]
fn plugins_are_expanded_and_validated_offline() {
    let shop = "apiVersion: mooring.dev/v1alpha1\nkind: Environment\nmetadata: {name: shop}\nspec: {}\n";
    let claw = "apiVersion: mooring.dev/v1alpha1\nkind: Plugin\nmetadata: {name: claw}\n\
                spec: {directory: claw, project: shop, environment: shop, image: 'claw:1'}\n";
    let stage = Stage::new(&[("shop.yaml", shop), ("claw.yaml", claw)]);
    fs::create_dir(stage.desired().join("claw")).unwrap();
    let manifest = r#"{"name": "claw", "port": 3710, "dependencies": ["ai"]}"#;
    fs::write(stage.desired().join("claw/plugin.json"), manifest).unwrap();
    stage.expect(
        &["expand", "-o", "name"],
        &expect![[r#"
        exit 0
        environment/shop
        container/claw
        note: plugin/claw: it needs ai, which is neither a Plugin nor a Container here
    "#]],
    );
    let list = json(&stage.run(&["expand", "plugin/claw", "-o", "json"]));
    assert_eq!(list["items"][1]["spec"]["envFrom"][0]["keys"][1], "CLAW_WEB_SECRET");
    stage.expect(
        &["expand", "clow"],
        &expect![[r#"
        exit 2
        error: there is no Plugin/clow
        help: did you mean Plugin/claw?
    "#]],
    );
    stage.expect(
        &["validate"],
        &expect![[r#"
        exit 0
        shop.yaml:1: Environment/shop is good
        claw.yaml:1: Plugin/claw is good
    "#]],
    );
    fs::write(stage.desired().join("claw/plugin.json"), "{\n  \"name\": \"claw\",\n  \"port\": -1\n}").unwrap();
    stage.expect(
        &["validate"],
        &expect![[r#"
        exit 2
        ROOT/desired/claw/plugin.json:3:11: expected a port from 0 to 65535, found -1
        error: 1 problem in the manifests
        help: `mooring explain KIND.field` says what a field expects
    "#]],
    );
    stage.expect(
        &["expand"],
        &expect![[r#"
        exit 2
        ROOT/desired/claw/plugin.json:3:11: expected a port from 0 to 65535, found -1
        error: 1 problem in the manifests
        help: `mooring explain KIND.field` says what a field expects
    "#]],
    );
}
