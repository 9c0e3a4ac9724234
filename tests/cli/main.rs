//! The real program on temporary directories, without an engine.

#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use expect_test::{Expect, expect};
use serde_json::Value;
use tempfile::TempDir;

mod audit;
mod changes;
mod claw;

const WEB: &str = "\
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {name: web}
spec:
  image: nginx:1.26
  environment: {PASSWORD: hunter2}
";

const API: &str = "\
# the api
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {name: api}
spec:
  image: api:1
  volumes: [\"api_data:/data\"]
  dependsOn: [{container: web}]
";

/// A desired-state directory, a state directory, and the program on them.
struct Stage {
    root: TempDir,
}

impl Stage {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let stage = Self { root };
        fs::create_dir(stage.desired()).unwrap();
        for (name, text) in files {
            fs::write(stage.desired().join(name), text).unwrap();
        }
        stage
    }

    fn desired(&self) -> std::path::PathBuf {
        self.root.path().join("desired")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.desired().join(name)).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.desired()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A file beside the directories.
    fn given(&self, name: &str, text: &str) -> String {
        let path = self.root.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, "")
    }

    fn run_with(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
        command.args(args).env_clear().current_dir(self.root.path());
        command.env("MOORING_DESIRED", "desired").env("MOORING_STATE", "state").env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Exit code, standard output and standard error, with our own directory taken out.
    fn shown(&self, output: &Output) -> String {
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(&self.root.path().display().to_string(), "ROOT");
        format!("exit {}\n{}{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    fn expect(&self, args: &[&str], expected: &Expect) {
        expected.assert_eq(&self.shown(&self.run(args)));
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn good_manifests_are_validated_offline() {
    let stage = Stage::new(&[("web.yaml", WEB), ("api.yaml", API)]);
    stage.expect(
        &["validate"],
        &expect![[r#"
        exit 0
        api.yaml:2: Container/api is good
        web.yaml:1: Container/web is good
    "#]],
    );
    let output = stage.run(&["validate", "-f", "desired/web.yaml", "-o", "json"]);
    assert_eq!(json(&output)["manifests"][0]["object"], "Container/web");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn everything_that_is_wrong_with_a_file_is_told_at_once() {
    let stage = Stage::new(&[]);
    let file = stage.given("bad.yaml", &WEB.replace("image", "imagee").replace("web", "W"));
    stage.expect(&["validate", &file], &expect![[r#"
        exit 2
        ROOT/bad.yaml:3:18: `metadata.name`: expected 2 to 63 lower-case letters, digits, `_`, `.` and `-`, beginning with a letter or digit, found "W" (The object's name, unique among those of its kind.)
        ROOT/bad.yaml:4:1: `spec.image` is missing (the image, as `docker run` takes it; only `management: heal` needs none)
        ROOT/bad.yaml:5:3: unknown field `spec.imagee` (did you mean `image`?)
        error: 3 problems in the manifests
        help: `mooring explain KIND.field` says what a field expects
    "#]]);
    let output = stage.run(&["validate", &file, "-o", "json"]);
    assert_eq!((output.status.code(), json(&output)["valid"].as_bool()), (Some(2), Some(false)));
}

#[test]
fn references_and_names_are_checked_across_the_files_of_a_directory() {
    let stage = Stage::new(&[("api.yaml", API)]);
    stage.expect(
        &["validate"],
        &expect![[r#"
            exit 2
            api.yaml:2:1: spec.dependsOn.0.container: there is no Container named `web`
            error: 1 problem in the manifests
            help: `mooring explain KIND.field` says what a field expects
        "#]],
    );
    let stage = Stage::new(&[("web.yaml", WEB), ("web2.yaml", WEB)]);
    stage.expect(
        &["validate"],
        &expect![[r#"
            exit 2
            web.yaml:1:1: Container/web is declared again at web2.yaml:1, which has no effect (rename one of the two, or remove it)
            web2.yaml:1:1: Container/web is already declared at web.yaml:1, which stays in force (rename one of the two, or remove it)
            error: 2 problems in the manifests
            help: `mooring explain KIND.field` says what a field expects
        "#]],
    );
}

#[test]
fn fields_are_explained() {
    let stage = Stage::new(&[]);
    stage.expect(
        &["explain", "ctr.restart"],
        &expect![[r#"
        exit 0
        Kind:     Container
        Field:    spec.restart
        Expects:  no, always, unless-stopped or on-failure[:N]

        The engine's restart policy: `no`, `always`, `unless-stopped`, `on-failure[:N]`.
    "#]],
    );
    stage.expect(
        &["explain", "env.secrets.generate.format"],
        &expect![[r#"
        exit 0
        Kind:     Environment
        Field:    spec.secrets.generate.format
        Expects:  one of hex, base64url, alphanumeric, uuid
        Default:  "hex"

        How the value is written.

        Values:
          hex
              Hexadecimal digits; 64 of them by default, that is 32 random bytes.
          base64url
              The URL-safe base 64 alphabet, without padding.
          alphanumeric
              Letters and digits.
          uuid
              A random (version 4) UUID.
    "#]],
    );
    stage.expect(
        &["explain", "container.spec.imag"],
        &expect![[r#"
        exit 2
        error: Container has no field `spec.imag` (did you mean `image`?)
    "#]],
    );
    stage.expect(
        &["explain", "pod"],
        &expect![[r#"
            exit 2
            error: `pod` is not a kind; the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host
            help: say KIND or KIND.path.to.field, as in `container.spec.image`
        "#]],
    );
    assert_eq!(json(&stage.run(&["explain", "container", "-o", "json"]))["kind"], "Container");
}

#[test]
fn definitions_are_printed_and_written() {
    let stage = Stage::new(&[]);
    let all = String::from_utf8(stage.run(&["crds"]).stdout).unwrap();
    assert_eq!(all.matches("kind: CustomResourceDefinition").count(), 7);
    assert_eq!(json(&stage.run(&["crds", "ctr", "-o", "json"]))["spec"]["names"]["kind"], "Container");
    stage.expect(
        &["crds", "--directory", "crds"],
        &expect![[r#"
            exit 0
            crds/environments.yaml
            crds/containers.yaml
            crds/proxies.yaml
            crds/modelproviders.yaml
            crds/plugins.yaml
            crds/holds.yaml
            crds/hosts.yaml
        "#]],
    );
    let container = fs::read_to_string(stage.root.path().join("crds/containers.yaml")).unwrap();
    assert!(all.contains(&container));
}

#[test]
fn every_shell_gets_its_completions() {
    let stage = Stage::new(&[]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = stage.run(&["completions", shell]);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("audit"), "{shell}");
    }
}

#[test]
fn a_slip_of_the_finger_is_answered_with_the_right_name() {
    let stage = Stage::new(&[("web.yaml", WEB)]);
    stage.expect(
        &["delete", "ctr/wbe"],
        &expect![[r#"
            exit 2
            error: there is no Container/wbe
            help: did you mean Container/web?
        "#]],
    );
    stage.expect(
        &["get", "ctr/wbe"],
        &expect![[r#"
            exit 2
            note: no mooring runs here; this is what a look by ourselves shows
            error: there is no Container/wbe
            help: did you mean Container/web?
        "#]],
    );
    stage.expect(
        &["release", "web"],
        &expect![[r#"
            exit 2
            error: `web` is not a kind; the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host
            help: say KIND, KIND/NAME, KIND NAME or all, as in `container/web`
        "#]],
    );
}

#[test]
fn objects_are_listed_without_an_operator_and_without_an_engine() {
    let stage = Stage::new(&[("web.yaml", WEB)]);
    stage.expect(
        &["get", "all"],
        &expect![[r#"
        exit 0
        NAME   READY   STATUS    SINCE   SUMMARY
        web    -       Pending   -       nginx:1.26
        note: no mooring runs here; this is what a look by ourselves shows
    "#]],
    );
    assert_eq!(json(&stage.run(&["get", "ctr/web", "-o", "json"]))["metadata"]["name"], "web");
    assert_eq!(json(&stage.run(&["get", "-o", "json"]))["kind"], "List");
    stage.expect(
        &["diff"],
        &expect![[r#"
        exit 2
        note: no mooring runs here; this is what a look by ourselves shows
        error: the engine cannot be reached at unix:///nowhere/docker.sock: Socket not found: /nowhere/docker.sock
    "#]],
    );
    stage.expect(
        &["events"],
        &expect![[r#"
        exit 0
        note: no mooring runs here; this is what a look by ourselves shows
        note: there are no events
    "#]],
    );
    stage.expect(
        &["audit", "log", "-o", "json"],
        &expect![[r#"
        exit 0
        {
          "items": []
        }
        note: no mooring runs here; this is what a look by ourselves shows
    "#]],
    );
}

#[test]
fn what_needs_an_operator_says_how_to_start_one() {
    let stage = Stage::new(&[("web.yaml", WEB)]);
    stage.expect(
        &["release", "ctr/web"],
        &expect![[r#"
            exit 2
            error: no mooring runs with the control socket ROOT/state/mooring.sock
              because No such file or directory (os error 2)
            help: start it with `mooring run`, or name its state directory with --state DIR
        "#]],
    );
    stage.expect(
        &["wait", "--timeout", "1ms", "ctr/web"],
        &expect![[r#"
            exit 2
            error: no mooring runs with the control socket ROOT/state/mooring.sock
              because No such file or directory (os error 2)
            help: start it with `mooring run`, or name its state directory with --state DIR
        "#]],
    );
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let stage = Stage::new(&[]);
    for args in [&["frobnicate"][..], &["wait", "--for", "Ready"], &["run", "--resync", "1ms"], &["run", "--timeout", "5m"]] {
        assert_eq!(stage.run(args).status.code(), Some(2), "{args:?}");
    }
    stage.expect(
        &["run", "--engine", "tcp://127.0.0.1:2375"],
        &expect![[r#"
        exit 2
        error: `tcp://127.0.0.1:2375` is not the address of an engine on this host; it has to be unix:///path/to/docker.sock
        help: name it with --engine or DOCKER_HOST
    "#]],
    );
    assert!(!Path::new(&stage.root.path().join("state")).exists());
}

#[test]
fn whoever_stops_reading_is_not_told_off() {
    let stage = Stage::new(&[]);
    let mut child = stage.command(&["crds"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn colours_are_for_terminals() {
    let stage = Stage::new(&[("web.yaml", WEB)]);
    let output = stage.run(&["get"]);
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
}
