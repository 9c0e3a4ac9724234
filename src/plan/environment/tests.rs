//! Named cases, and in [`properties`] the laws over random worlds.

mod properties;
mod world;

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::{manifest::Kind, secret::FingerprintKey};

const SECRETS: &str = ".env.secrets";

/// Two secrets in `.env.secrets`, which lies between `.env` and `.env.local`.
fn desired() -> Desired {
    Desired {
        key: Key::new(Kind::Environment, "shop"),
        generation: 1,
        directory: Path::new("/srv/shop").to_owned(),
        files: [".env", SECRETS, ".env.local"].map(str::to_owned).to_vec(),
        secrets: Some(Secrets {
            file: SECRETS.to_owned(),
            generate: vec![
                Generate { variable: "TOKEN".to_owned(), format: SecretFormat::Hex, length: None },
                Generate { variable: "PASSWORD".to_owned(), format: SecretFormat::Alphanumeric, length: Some(40) },
            ],
        }),
        computed: Some(Computed {
            file: ".env.computed".to_owned(),
            templates: [("URL".to_owned(), Template::parse("db://${PASSWORD}").unwrap())].into(),
            choosers: Vec::new(),
        }),
    }
}

/// Nothing but a `.env` file: no secrets, no memory, no computed file.
fn bare() -> Observed {
    Observed {
        at: Timestamp::UNIX_EPOCH,
        files: [(".env", file("NAME=shop")), (SECRETS, FileState::Absent), (".env.local", FileState::Absent)]
            .map(|(name, state)| (name.to_owned(), state))
            .into(),
        last_good: Recall::Known(None),
        computed_values: Recall::Known(BTreeMap::new()),
        running: Recall::Known(BTreeMap::new()),
        computed: ComputedState::MissingValues { variables: vec!["PASSWORD".to_owned()] },
        history: History::default(),
    }
}

/// Everything as declared.
fn settled() -> Observed {
    let mut observed = bare().with(SECRETS, file("TOKEN=t1 PASSWORD=p1")).with_copy("TOKEN=t1 PASSWORD=p1");
    observed.computed = ComputedState::UpToDate { mode: SECRET_MODE };
    observed
}

impl Observed {
    fn with(mut self, name: &str, state: FileState) -> Self {
        self.files.insert(name.to_owned(), state);
        self
    }

    fn with_copy(mut self, content: &str) -> Self {
        self.last_good = Recall::Known(Some(LastGood { digest: digest(content), values: values(content) }));
        self
    }

    fn with_running(mut self, variable: &str, containers: &[(&str, &str)]) -> Self {
        let values = containers.iter().map(|(name, value)| RunningValue {
            id: format!("id-of-{name}"),
            name: (*name).to_owned(),
            fingerprint: fingerprint(value),
        });
        let mut running = self.running.known().cloned().unwrap_or_default();
        running.insert(variable.to_owned(), values.collect());
        self.running = Recall::Known(running);
        self
    }
}

/// A file of words like `NAME=value`; `NAME=` is empty and `NAME=<…>` a placeholder.
fn file(content: &str) -> FileState {
    let (digest, values) = (digest(content), values(content));
    FileState::Present(FileContent { digest, mode: SECRET_MODE, values, duplicates: Vec::new() })
}

fn values(content: &str) -> BTreeMap<String, ValueState> {
    let words = content.split_whitespace().map(|word| word.split_once('=').expect("NAME=value"));
    words.map(|(name, value)| (name.to_owned(), state(value))).collect()
}

fn state(value: &str) -> ValueState {
    match value {
        "" => ValueState::Empty,
        value => ValueState::Set { fingerprint: fingerprint(value), placeholder: value.starts_with('<') },
    }
}

fn fingerprint(value: &str) -> Fingerprint {
    FingerprintKey::new([7; FingerprintKey::LENGTH]).fingerprint(value)
}

fn digest(content: &str) -> String {
    format!("digest of {content}")
}

fn check(observed: &Observed, expected: &Expect) {
    expected.assert_eq(&plan(&desired(), observed).to_string());
}

#[test]
fn what_is_as_declared_is_left_alone() {
    check(&settled(), &expect![[""]]);
}

#[test]
fn secrets_that_nobody_knows_are_made_in_one_step() {
    check(
        &bare(),
        &expect![[r#"
        write TOKEN newly made, PASSWORD newly made to .env.secrets, because TOKEN, PASSWORD are in no file
    "#]],
    );
}

#[test]
fn an_empty_value_counts_as_absent() {
    check(
        &bare().with(SECRETS, file("TOKEN= PASSWORD=p1")),
        &expect![[r#"
        write TOKEN newly made to .env.secrets, because TOKEN is in no file
    "#]],
    );
}

#[test]
fn a_value_in_any_file_of_the_cascade_will_do() {
    check(
        &settled().with(".env", file("PASSWORD=p1")).with(SECRETS, file("PASSWORD=")).with(".env.local", file("TOKEN=t1")),
        &expect![[r#"
            keep a copy of .env.secrets, because its content is new and good
        "#]],
    );
}

#[test]
fn a_deleted_line_comes_back_from_the_copy() {
    check(
        &settled().with(SECRETS, file("PASSWORD=p1")),
        &expect![[r#"
        write TOKEN from the last good copy to .env.secrets, because TOKEN is in no file
    "#]],
    );
}

#[test]
fn what_runs_is_believed_before_the_copy_and_the_quarrel_is_told() {
    check(
        &settled().with(SECRETS, file("PASSWORD=p1")).with_running("TOKEN", &[("web", "t0"), ("api", "t0")]),
        &expect![[r#"
            write TOKEN from container api to .env.secrets, because TOKEN is in no file
            note: TOKEN was lost and its sources disagree; taken was the first of container api and 1 more (sha256:2cb43e63da2b), the last good copy (sha256:c0f0bdf0e985)
        "#]],
    );
}

#[test]
fn among_containers_the_value_that_most_have_is_taken() {
    check(
        &bare().with_running("TOKEN", &[("a", "old"), ("b", "new"), ("c", "new")]),
        &expect![[r#"
        write TOKEN from container b, PASSWORD newly made to .env.secrets, because TOKEN, PASSWORD are in no file
        note: TOKEN was lost and its sources disagree; taken was the first of container b and 1 more (sha256:5866b51eca78), container a (sha256:1c32cf136ded)
    "#]],
    );
}

#[test]
fn among_equally_common_values_the_first_name_decides() {
    check(
        &bare().with_running("TOKEN", &[("b", "1"), ("a", "2")]),
        &expect![[r#"
        write TOKEN from container a, PASSWORD newly made to .env.secrets, because TOKEN, PASSWORD are in no file
        note: TOKEN was lost and its sources disagree; taken was the first of container a (sha256:738534870f54), container b (sha256:886687e2952a)
    "#]],
    );
}

#[test]
fn the_computed_file_is_the_last_to_be_asked() {
    let mut observed = bare();
    observed.computed_values = Recall::Known([("TOKEN".to_owned(), fingerprint("t1"))].into());
    check(
        &observed,
        &expect![[r#"
        write TOKEN from the computed file, PASSWORD newly made to .env.secrets, because TOKEN, PASSWORD are in no file
    "#]],
    );
}

#[test]
fn a_lost_file_comes_back_whole() {
    check(
        &settled().with(SECRETS, FileState::Absent).with_running("TOKEN", &[("web", "t1")]),
        &expect![[r#"
        put .env.secrets back from the last good copy, because the file is gone
    "#]],
    );
}

#[test]
fn a_lost_file_comes_back_with_the_values_that_run() {
    check(
        &settled().with(SECRETS, FileState::Absent).with_running("TOKEN", &[("web", "t2")]),
        &expect![[r#"
        put .env.secrets back from the last good copy, with TOKEN from container web, because the file is gone
        note: TOKEN was lost and its sources disagree; taken was the first of container web (sha256:6ceb74314506), the last good copy (sha256:c0f0bdf0e985)
    "#]],
    );
}

#[test]
fn a_lost_file_comes_back_with_secrets_that_are_wanted_since() {
    check(
        &bare().with_copy("TOKEN=t1 OTHER=o1"),
        &expect![[r#"
        put .env.secrets back from the last good copy, with PASSWORD newly made, because the file is gone
    "#]],
    );
}

#[test]
fn a_file_whose_secrets_have_moved_before_it_went_stays_away() {
    check(&settled().with(SECRETS, FileState::Absent).with(".env.local", file("TOKEN=t1 PASSWORD=p1")), &expect![[""]]);
    check(
        &bare().with_copy("TOKEN=t1").with(".env.local", file("TOKEN=t1")),
        &expect![[r#"
        write PASSWORD newly made to .env.secrets, because PASSWORD is in no file
    "#]],
    );
}

#[test]
fn a_value_that_moved_and_runs_is_not_hidden_by_the_restored_file() {
    let observed =
        settled().with(SECRETS, FileState::Absent).with(".env", file("TOKEN=t2")).with_running("TOKEN", &[("web", "t2")]);
    check(
        &observed,
        &expect![[r#"
        put .env.secrets back from the last good copy, with TOKEN from container web, because the file is gone
    "#]],
    );
}

#[test]
fn a_copy_with_a_placeholder_is_not_put_back() {
    check(
        &bare().with_copy("TOKEN=<token> PASSWORD=p1"),
        &expect![[r#"
        write TOKEN newly made, PASSWORD from the last good copy to .env.secrets, because TOKEN, PASSWORD are in no file
    "#]],
    );
}

#[test]
fn nothing_is_made_while_the_engine_cannot_say_what_runs() {
    let mut observed = bare().with_copy("PASSWORD=p1").with(SECRETS, file(""));
    observed.running = Recall::Unknown { reason: "no answer".to_owned() };
    check(
        &observed,
        &expect![[r#"
        write PASSWORD from the last good copy to .env.secrets, because PASSWORD is in no file
        wait: the engine cannot be reached: no answer
    "#]],
    );
}

#[test]
fn nothing_is_made_while_the_copy_cannot_be_read() {
    let mut observed = bare();
    observed.last_good = Recall::Unknown { reason: "permission denied".to_owned() };
    check(
        &observed,
        &expect![[r#"
        wait: the last good copy of .env.secrets cannot be used: permission denied
    "#]],
    );
}

#[test]
fn nothing_is_made_while_the_computed_file_cannot_be_read() {
    let mut observed = bare();
    observed.computed_values = Recall::Unknown { reason: "permission denied".to_owned() };
    check(
        &observed,
        &expect![[r#"
        wait: .env.computed cannot be used: permission denied
    "#]],
    );
}

#[test]
fn a_file_that_does_not_parse_is_not_a_file_that_is_gone() {
    let broken = FileState::Unusable { reason: "line 3: unterminated quote".to_owned() };
    check(
        &bare().with(".env.local", broken.clone()),
        &expect![[r#"
        wait: .env.local cannot be used: line 3: unterminated quote
    "#]],
    );
    check(
        &settled().with(SECRETS, broken),
        &expect![[r#"
        wait: .env.secrets cannot be used: line 3: unterminated quote
    "#]],
    );
}

#[test]
fn an_unusable_file_does_not_keep_the_others_open_to_everybody() {
    let mut observed = settled().with(".env", FileState::Unusable { reason: "it is a directory".to_owned() });
    observed.computed = ComputedState::UpToDate { mode: 0o644 };
    check(
        &observed,
        &expect![[r#"
        set the mode of .env.computed to 0600, because its mode 0644 lets others in
        wait: .env cannot be used: it is a directory
    "#]],
    );
}

#[test]
fn a_placeholder_is_reported_and_never_replaced() {
    check(
        &settled().with(SECRETS, file("TOKEN=<token> PASSWORD=p1")),
        &expect![[r#"
        note: TOKEN in .env.secrets looks like a placeholder that was never filled in
    "#]],
    );
}

#[test]
fn a_placeholder_that_a_later_file_replaces_is_a_template() {
    check(&settled().with(".env", file("PASSWORD=<password>")), &expect![[""]]);
}

#[test]
fn a_good_change_is_remembered() {
    check(
        &settled().with(SECRETS, file("TOKEN=t2 PASSWORD=p1")),
        &expect![[r#"
        keep a copy of .env.secrets, because its content is new and good
    "#]],
    );
}

#[test]
fn a_copy_is_not_replaced_by_one_that_forgets_a_secret() {
    let observed = settled().with(".env", file("PASSWORD=<password>")).with(SECRETS, file("TOKEN=t1"));
    check(
        &observed,
        &expect![[r#"
        note: PASSWORD in .env looks like a placeholder that was never filled in
    "#]],
    );
}

#[test]
fn a_secret_that_moved_to_another_file_is_not_forgotten() {
    check(
        &settled().with(SECRETS, file("TOKEN=t1")).with(".env.local", file("PASSWORD=p1")),
        &expect![[r#"
        keep a copy of .env.secrets, because its content is new and good
    "#]],
    );
}

#[test]
fn files_with_secrets_are_closed_to_others() {
    let mut observed = settled();
    observed.computed = ComputedState::UpToDate { mode: 0o640 };
    if let Some(FileState::Present(content)) = observed.files.get_mut(SECRETS) {
        content.mode = 0o644;
    }
    check(
        &observed,
        &expect![[r#"
        set the mode of .env.secrets to 0600, because its mode 0644 lets others in
        set the mode of .env.computed to 0600, because its mode 0640 lets others in
    "#]],
    );
}

#[test]
fn the_computed_file_is_written_when_it_differs() {
    let mut observed = settled();
    observed.computed = ComputedState::Outdated { changed: vec!["URL".to_owned()] };
    check(
        &observed,
        &expect![[r#"
        write URL to .env.computed, because the cascade gives other values
    "#]],
    );
}

#[test]
fn a_template_without_its_values_waits() {
    let mut observed = settled();
    observed.computed = ComputedState::MissingValues { variables: vec!["DOMAIN".to_owned(), "PORT".to_owned()] };
    check(
        &observed,
        &expect![[r#"
        wait: DOMAIN, PORT has no value in any file
    "#]],
    );
}

#[test]
fn a_computed_file_that_cannot_be_used_waits() {
    let mut observed = settled();
    observed.computed = ComputedState::Unusable { reason: "it is a link out of the directory".to_owned() };
    check(
        &observed,
        &expect![[r#"
        wait: .env.computed cannot be used: it is a link out of the directory
    "#]],
    );
}

#[test]
fn a_variable_that_stands_twice_is_reported() {
    let mut observed = settled();
    if let Some(FileState::Present(content)) = observed.files.get_mut(".env") {
        content.duplicates = vec![("NAME".to_owned(), vec![1, 4])];
    }
    check(
        &observed,
        &expect![[r#"
        note: NAME stands in .env more than once (lines 1, 4); the last one counts
    "#]],
    );
}
