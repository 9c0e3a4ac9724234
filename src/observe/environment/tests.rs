use std::{fs, os::unix::fs::symlink};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::{
    dotenv::template::Template,
    manifest::{Key, Kind, environment::SecretFormat},
    plan::environment::{Computed, Generate, Secrets},
};

const SECRETS: &str = ".env.secrets";

struct World {
    project: TempDir,
    state: TempDir,
    desired: Desired,
    running: Recall<Vec<RunningContainer>>,
}

/// A project with these files, which wants `TOKEN` and `PASSWORD`.
fn world(files: &[(&str, &str)]) -> World {
    let (project, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for (name, text) in files {
        fs::write(project.path().join(name), text).unwrap();
    }
    let generate = |name: &str| Generate { variable: name.to_owned(), format: SecretFormat::Hex, length: None };
    let desired = Desired {
        key: Key::new(Kind::Environment, "shop"),
        generation: 1,
        directory: project.path().to_owned(),
        files: [".env", SECRETS, ".env.local"].map(str::to_owned).to_vec(),
        secrets: Some(Secrets { file: SECRETS.to_owned(), generate: ["TOKEN", "PASSWORD"].map(generate).to_vec() }),
        computed: Some(Computed {
            file: ".env.computed".to_owned(),
            templates: [("URL".to_owned(), Template::parse("db://${PASSWORD}").unwrap())].into(),
            choosers: Vec::new(),
        }),
    };
    World { project, state, desired, running: Recall::Known(Vec::new()) }
}

impl World {
    fn reader(&self) -> EnvironmentReader {
        EnvironmentReader::new(FingerprintKey::new([7; FingerprintKey::LENGTH]), self.state.path().to_owned())
    }

    fn read(&self) -> Reading {
        self.reader().read(&self.desired, &self.running, History::default(), Timestamp::UNIX_EPOCH)
    }

    fn keep(&self, text: &[u8]) {
        let copies = self.state.path().join("environments/shop");
        fs::create_dir_all(&copies).unwrap();
        fs::write(copies.join(SECRETS), text).unwrap();
    }
}

/// One line for each value of each file.
fn check_states(world: &World, expected: &Expect) {
    let reading = world.read();
    let mut lines = Vec::new();
    for name in &world.desired.files {
        match &reading.observed.files[name] {
            FileState::Absent => lines.push(format!("{name}: absent")),
            FileState::Unusable { reason } => lines.push(format!("{name}: {reason}")),
            FileState::Present(content) => {
                lines.extend(content.values.iter().map(|(variable, state)| format!("{name}: {variable} {}", word(state))));
            }
        }
    }
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

fn word(state: &ValueState) -> &'static str {
    match state {
        ValueState::Empty => "empty",
        ValueState::Set { placeholder: true, .. } => "placeholder",
        ValueState::Set { placeholder: false, .. } => "set",
    }
}

/// The values that containers get.
fn check_values(world: &World, expected: &Expect) {
    let lines: Vec<_> = match world.read().values {
        Recall::Known(values) => values.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect(),
        Recall::Unknown { reason } => vec![format!("unknown: {reason}")],
    };
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn values_are_told_from_empty_ones_and_from_placeholders() {
    let text = "A=1\nB=\nC=''\nD=changeme\nE=${NOPE}\nF= # a comment\nG=real\nG=\nH";
    check_states(
        &world(&[(".env", text)]),
        &expect![[r#"
        .env: A set
        .env: B empty
        .env: C empty
        .env: D placeholder
        .env: E placeholder
        .env: F placeholder
        .env: G placeholder
        .env.secrets: absent
        .env.local: absent
    "#]],
    );
}

#[test]
fn a_later_file_counts_and_computed_values_count_most() {
    let world = world(&[
        (".env", "NAME=shop\nPASSWORD=p0\nURL=u\nEMPTY=full\n"),
        (SECRETS, "TOKEN=t1\nPASSWORD=p1\n"),
        (".env.local", "EMPTY=\nGREETING=hello ${NAME}\n"),
    ]);
    check_values(
        &world,
        &expect![[r#"
            GREETING=hello shop
            NAME=shop
            PASSWORD=p1
            TOKEN=t1
            URL=db://p1
        "#]],
    );
}

#[test]
fn an_empty_value_of_a_secret_hides_none_and_one_that_is_to_have_a_value_is_named_without() {
    check_values(
        &world(&[(SECRETS, "TOKEN=t1\nPASSWORD=\n"), (".env.local", "TOKEN=\n")]),
        &expect![[r#"
            PASSWORD=
            TOKEN=t1
            URL=
        "#]],
    );
}

#[test]
fn what_cannot_be_used_makes_the_values_unknown() {
    check_values(
        &world(&[(".env", "A=1\n"), (SECRETS, "TOKEN='t1\n")]),
        &expect![[r#"
        unknown: .env.secrets cannot be used: line 1, column 7: this quote is never closed
    "#]],
    );
    let linked = world(&[(".env", "A=1\n")]);
    symlink("/etc/hostname", linked.project.path().join(".env.local")).unwrap();
    check_values(
        &linked,
        &expect![[r#"
        unknown: .env.local cannot be used: it is a link out of its directory
    "#]],
    );
    let mut unmounted = world(&[]);
    unmounted.desired.directory.push("gone");
    check_values(
        &unmounted,
        &expect![[r#"
        unknown: .env cannot be used: its directory cannot be used: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn every_way_of_being_unusable_is_named() {
    let world = world(&[(".env", "A=1\nB=\"unclosed\n"), (SECRETS, "A=\0\n"), (".env.local", &"#".repeat(1 << 20))]);
    check_states(
        &world,
        &expect![[r#"
        .env: line 2, column 3: this quote is never closed
        .env.secrets: line 1, column 3: the text has a NUL byte
    "#]],
    );
    fs::write(world.project.path().join(".env"), b"A=\xff\n").unwrap();
    fs::write(world.project.path().join(SECRETS), "A=${B:?needed}\n").unwrap();
    fs::write(world.project.path().join(".env.local"), "#".repeat((1 << 20) + 1)).unwrap();
    check_states(
        &world,
        &expect![[r#"
        .env: line 1, column 3: the text is not UTF-8
        .env.secrets: line 1, column 3: `A` requires `B`, which has no value
        .env.local: it is larger than 1048576 bytes
    "#]],
    );
}

#[test]
fn only_real_values_of_wanted_secrets_are_remembered_from_containers() {
    let mut world = world(&[]);
    let variables = [("TOKEN", "t1"), ("PASSWORD", "changeme"), ("PATH", "/bin")];
    let variables = variables.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
    let container =
        |id: &str| RunningContainer { id: id.to_owned(), name: "web".to_owned(), variables: variables.clone().into() };
    world.running = Recall::Known(vec![container("c1"), container("c2")]);
    let observed = world.read().observed;
    let running = observed.running.known().unwrap();
    assert_eq!(running.keys().collect::<Vec<_>>(), ["TOKEN"]);
    assert_eq!(running["TOKEN"].iter().map(|value| value.id.as_str()).collect::<Vec<_>>(), ["c1", "c2"]);
}

#[test]
fn the_copy_is_compared_by_digest_and_read_like_the_file() {
    let world = world(&[(".env", "BASE=b\n"), (SECRETS, "TOKEN=${BASE}1\n")]);
    assert_eq!(world.read().observed.last_good, Recall::Known(None));
    world.keep(b"TOKEN=${BASE}1\n");
    let observed = world.read().observed;
    let FileState::Present(content) = &observed.files[SECRETS] else { panic!("{observed:?}") };
    let copy = observed.last_good.known().unwrap().as_ref().unwrap();
    assert_eq!((&copy.digest, &copy.values), (&content.digest, &content.values));
}

#[test]
fn a_copy_that_cannot_be_read_is_not_a_copy_that_is_not_there() {
    let world = world(&[]);
    world.keep(b"TOKEN='t1\n");
    assert!(world.read().observed.last_good.unknown().is_some());
}

#[test]
fn a_digest_is_keyed() {
    let world = world(&[(SECRETS, "TOKEN=t1\n")]);
    let other = EnvironmentReader::new(FingerprintKey::new([8; FingerprintKey::LENGTH]), world.state.path().to_owned());
    let reading = other.read(&world.desired, &world.running, History::default(), Timestamp::UNIX_EPOCH);
    assert_ne!(world.read().observed.files[SECRETS], reading.observed.files[SECRETS]);
}

#[test]
fn the_computed_file_is_compared_with_what_it_should_say() {
    let world = world(&[(SECRETS, "TOKEN=t1\nPASSWORD=p1\n")]);
    let check = |text: Option<&str>, expected: Expect| {
        let file = world.project.path().join(".env.computed");
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => drop(fs::remove_file(&file)),
        }
        expected.assert_eq(&format!("{:?}", world.read().observed.computed));
    };
    let ours = "# Generated by Mooring from Environment/shop. Edits are overwritten.\n";
    check(None, expect![[r#"Outdated { changed: ["URL"] }"#]]);
    check(Some(&format!("{ours}URL=db://p1\n")), expect!["UpToDate { mode: 420 }"]);
    check(Some(&format!("{ours}URL=db://p2\nOLD=1\n")), expect![[r#"Outdated { changed: ["OLD", "URL"] }"#]]);
    check(Some(&format!("{ours}# mine\nURL=db://p1\n")), expect![[r#"Outdated { changed: ["URL"] }"#]]);
    check(Some(""), expect![[r#"Outdated { changed: ["URL"] }"#]]);
    check(
        Some("URL=db://p1\n"),
        expect![[r#"Unusable { reason: "Mooring did not write it; remove it, or name another file" }"#]],
    );
    fs::write(world.project.path().join(SECRETS), "TOKEN=t1\nPASSWORD=\n").unwrap();
    check(None, expect![[r#"MissingValues { variables: ["PASSWORD"] }"#]]);
}
