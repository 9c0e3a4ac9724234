//! What is in force after people and machines have had their way with the files.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::source::{directory::FileReading, parse::parse_located};

/// What a file does in a test.
enum Does<'a> {
    Say(&'a str),
    NotOpen,
}
use Does::{NotOpen, Say};

fn scan(files: &[(&str, Does<'_>)]) -> Scan {
    let reading = |path: &Path, does: &Does<'_>| match does {
        Say(text) => match parse_located(path, text.as_bytes()) {
            Ok(manifests) => FileReading::Parsed(manifests),
            Err(problems) => FileReading::Refused(problems),
        },
        NotOpen => FileReading::Unreadable("it is on fire".to_owned()),
    };
    Scan { files: files.iter().map(|(path, does)| (PathBuf::from(path), Arc::new(reading(Path::new(path), does)))).collect() }
}

fn container(name: &str, image: &str) -> String {
    format!("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {{image: {image}}}\n")
}

/// The catalogue after these scans, one after the other.
fn after(scans: &[Scan]) -> Catalogue {
    scans.iter().fold(Catalogue::default(), merge)
}

fn text(catalogue: &Catalogue) -> String {
    let mut text = String::new();
    for (key, Located { manifest, file, line }) in &catalogue.in_force {
        let json = manifest.spec_json();
        let (image, generation) = (json["image"].as_str().unwrap_or("-"), manifest.meta().generation.unwrap());
        writeln!(text, "{key}: {image}, generation {generation}, from {}:{line}", file.display()).unwrap();
    }
    catalogue.problems.iter().for_each(|problem| writeln!(text, "{problem}").unwrap());
    catalogue.retained.iter().for_each(|(file, reason)| writeln!(text, "{} retained: {reason}", file.display()).unwrap());
    if !catalogue.has_files {
        writeln!(text, "there are no files").unwrap();
    }
    text
}

#[track_caller]
fn check(catalogue: &Catalogue, expected: &Expect) {
    expected.assert_eq(&text(catalogue));
}

#[test]
fn files_come_change_and_go() {
    let (v1, v2, api) = (container("web", "v1"), container("web", "v2"), container("api", "a"));
    let both = scan(&[("a.yaml", Say(&v1)), ("b.yaml", Say(&api))]);
    check(
        &after(std::slice::from_ref(&both)),
        &expect![[r#"
        Container/api: a, generation 1, from b.yaml:1
        Container/web: v1, generation 1, from a.yaml:1
    "#]],
    );
    let changed = scan(&[("a.yaml", Say(&v2)), ("b.yaml", Say(&api))]);
    check(
        &after(&[both.clone(), changed]),
        &expect![[r#"
        Container/api: a, generation 1, from b.yaml:1
        Container/web: v2, generation 2, from a.yaml:1
    "#]],
    );
    let fewer = scan(&[("b.yaml", Say(&api))]);
    check(
        &after(&[both.clone(), fewer]),
        &expect![[r#"
        Container/api: a, generation 1, from b.yaml:1
    "#]],
    );
    let moved = scan(&[("c/a.yaml", Say(&v1)), ("b.yaml", Say(&api))]);
    check(
        &after(&[both, moved]),
        &expect![[r#"
        Container/api: a, generation 1, from b.yaml:1
        Container/web: v1, generation 1, from c/a.yaml:1
    "#]],
    );
}

#[test]
fn a_broken_file_is_not_a_file_that_is_gone() {
    let (good, half) = (container("web", "v1"), container("web", "v2").replace("}\n", ""));
    let other = container("api", "a");
    let before = scan(&[("a.yaml", Say(&good)), ("b.yaml", Say(&other))]);
    let broken = scan(&[("a.yaml", Say(&half)), ("b.yaml", Say(&container("api", "b")))]);
    let catalogue = after(&[before.clone(), broken.clone()]);
    check(
        &catalogue,
        &expect![[r#"
            Container/api: b, generation 2, from b.yaml:1
            Container/web: v1, generation 1, from a.yaml:1
            a.yaml:3:25: expected `,` or `}`
            a.yaml retained: the last good version stays in force: a.yaml:3:25: expected `,` or `}`
        "#]],
    );
    expect![[r#"
        {
            Key {
                kind: Container,
                name: "web",
            }: "the last good version stays in force: a.yaml:3:25: expected `,` or `}`",
        }"#]]
    .assert_eq(&format!("{:#?}", catalogue.retained()));
    // Saved in the end, it counts again.
    let saved = scan(&[("a.yaml", Say(&container("web", "v2"))), ("b.yaml", Say(&other))]);
    check(
        &after(&[before.clone(), broken.clone(), broken, saved]),
        &expect![[r#"
        Container/api: a, generation 3, from b.yaml:1
        Container/web: v2, generation 2, from a.yaml:1
    "#]],
    );
    let never_good = scan(&[("a.yaml", Say("kind: [\n"))]);
    check(
        &after(&[never_good]),
        &expect![[r#"
        a.yaml:1:7: `[` is never closed
    "#]],
    );
}

#[test]
fn an_unreadable_file_or_directory_is_not_one_that_is_gone() {
    let (web, api) = (container("web", "v1"), container("api", "a"));
    let before = scan(&[("apps/a.yaml", Say(&web)), ("apps.yaml", Say(&api))]);
    let file = scan(&[("apps/a.yaml", NotOpen), ("apps.yaml", Say(&api))]);
    check(
        &after(&[before.clone(), file]),
        &expect![[r#"
        Container/api: a, generation 1, from apps.yaml:1
        Container/web: v1, generation 1, from apps/a.yaml:1
        apps/a.yaml:1:1: cannot be read: it is on fire
        apps/a.yaml retained: the last good version stays in force: apps/a.yaml:1:1: cannot be read: it is on fire
    "#]],
    );
    let directory = scan(&[("apps", NotOpen), ("apps.yaml", Say(&api))]);
    check(
        &after(&[before, directory]),
        &expect![[r#"
        Container/api: a, generation 1, from apps.yaml:1
        Container/web: v1, generation 1, from apps/a.yaml:1
        apps:1:1: cannot be read: it is on fire
        apps/a.yaml retained: the last good version stays in force: apps:1:1: cannot be read: it is on fire
    "#]],
    );
}

#[test]
fn of_two_files_with_one_name_the_one_in_force_stays() {
    let (web, other) = (container("web", "v1"), container("web", "other"));
    let first = scan(&[("b.yaml", Say(&web))]);
    let both = scan(&[("a.yaml", Say(&other)), ("b.yaml", Say(&web))]);
    check(
        &after(&[first.clone(), both.clone()]),
        &expect![[r#"
        Container/web: v1, generation 1, from b.yaml:1
        a.yaml:1:1: Container/web is already declared at b.yaml:1, which stays in force (rename one of the two, or remove it)
        b.yaml:1:1: Container/web is declared again at a.yaml:1, which has no effect (rename one of the two, or remove it)
    "#]],
    );
    expect![[r#"
        {
            Key {
                kind: Container,
                name: "web",
            }: "a.yaml:1 declares it too, which has no effect: b.yaml:1 stays in force",
        }"#]]
    .assert_eq(&format!("{:#?}", after(&[first.clone(), both.clone()]).retained()));
    // Without a past, the first by path.
    check(
        &after(std::slice::from_ref(&both)),
        &expect![[r#"
        Container/web: other, generation 1, from a.yaml:1
        a.yaml:1:1: Container/web is declared again at b.yaml:1, which has no effect (rename one of the two, or remove it)
        b.yaml:1:1: Container/web is already declared at a.yaml:1, which stays in force (rename one of the two, or remove it)
    "#]],
    );
    // With the one gone, the other takes over, even if it cannot be read at that moment.
    let gone = scan(&[("a.yaml", Say(&other))]);
    check(
        &after(&[first.clone(), both.clone(), gone]),
        &expect![[r#"
        Container/web: other, generation 2, from a.yaml:1
    "#]],
    );
    let gone_and_broken = scan(&[("a.yaml", Say("kind: [\n"))]);
    check(
        &after(&[first, both, gone_and_broken]),
        &expect![[r#"
        Container/web: other, generation 2, from a.yaml:1
        a.yaml:1:7: `[` is never closed
        a.yaml retained: the last good version stays in force: a.yaml:1:7: `[` is never closed
    "#]],
    );
}

#[test]
fn an_emptied_directory_holds_everything() {
    let web = container("web", "v1");
    let before = scan(&[("a.yaml", Say(&web))]);
    let empty = after(&[before.clone(), scan(&[])]);
    check(
        &empty,
        &expect![[r#"
        Container/web: v1, generation 1, from a.yaml:1
        a.yaml retained: the desired-state directory is empty, which looks like a missing mount
        there are no files
    "#]],
    );
    assert!(!empty.is_empty() && !empty.has_files());
    // The mount is back.
    check(
        &after(&[before.clone(), scan(&[]), before.clone()]),
        &expect![[r#"
        Container/web: v1, generation 1, from a.yaml:1
    "#]],
    );
    // A file that says nothing says that nothing is wanted.
    let nothing = after(&[before, scan(&[]), scan(&[("none.yaml", Say("# nothing\n"))])]);
    assert!(nothing.is_empty() && nothing.has_files());
    assert!(!after(&[scan(&[])]).has_files());
}

#[test]
fn the_catalogue_survives_a_restart() {
    let state = TempDir::new().unwrap();
    let (v1, v2, other) = (container("web", "v1"), container("web", "v2"), container("web", "other"));
    let environment = "apiVersion: mooring.dev/v1alpha1\nkind: Environment\nmetadata: {name: shop, labels: {a: b}}\nspec:\n  computed: {values: {A: b}}\n";
    let mut catalogue = after(&[
        scan(&[("a.yaml", Say(&v1)), ("e.yaml", Say(environment))]),
        scan(&[("a.yaml", Say(&v2)), ("b.yaml", Say(&other)), ("e.yaml", Say(environment))]),
    ]);
    catalogue.save(state.path()).unwrap();
    let loaded = Catalogue::load(state.path()).unwrap();
    assert_eq!((&loaded.in_force, &loaded.shadowed), (&catalogue.in_force, &catalogue.shadowed));
    let mode = fs::metadata(state.path().join("catalogue.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Broken at the start: the last good version is in force, with its generation.
    check(
        &merge(loaded, &scan(&[("a.yaml", Say("kind: [\n")), ("e.yaml", Say(environment))])),
        &expect![[r#"
        Environment/shop: -, generation 1, from e.yaml:1
        Container/web: v2, generation 2, from a.yaml:1
        a.yaml:1:7: `[` is never closed
        a.yaml retained: the last good version stays in force: a.yaml:1:7: `[` is never closed
    "#]],
    );
}

#[test]
fn the_catalogue_is_written_only_when_it_changed() {
    let state = TempDir::new().unwrap();
    let web = container("web", "v1");
    let mut catalogue = after(&[scan(&[("a.yaml", Say(&web))])]);
    catalogue.save(state.path()).unwrap();
    fs::remove_file(state.path().join("catalogue.json")).unwrap();
    catalogue.merge(&scan(&[("a.yaml", Say(&web))]));
    catalogue.save(state.path()).unwrap();
    assert!(Catalogue::load(state.path()).unwrap().is_empty(), "nothing had changed");
    catalogue.merge(&scan(&[("a.yaml", Say(&container("web", "v2")))]));
    catalogue.save(state.path()).unwrap();
    assert!(!Catalogue::load(state.path()).unwrap().is_empty());
}

#[test]
fn a_damaged_catalogue_is_an_error_and_one_of_another_version_loses_only_what_it_cannot_say() {
    let state = TempDir::new().unwrap();
    assert!(Catalogue::load(state.path()).unwrap().is_empty());
    fs::write(state.path().join("catalogue.json"), "{\"manifests\": [").unwrap();
    assert!(matches!(Catalogue::load(state.path()).unwrap_err(), Error::Damaged { .. }));
    let (web, api) = (container("web", "v1"), container("api", "v1"));
    after(&[scan(&[("a.yaml", Say(&web)), ("b.yaml", Say(&api))])]).save(state.path()).unwrap();
    let path = state.path().join("catalogue.json");
    let changed = fs::read_to_string(&path).unwrap().replacen("\"image\"", "\"picture\"", 1);
    fs::write(path, changed).unwrap();
    check(
        &Catalogue::load(state.path()).unwrap(),
        &expect![[r#"
        Container/web: v1, generation 1, from a.yaml:1
        b.yaml:1:1: what was kept of the Container here cannot be used any more: `spec.picture` is not valid
    "#]],
    );
}
