//! Directories as people, editors and broken mounts leave them.

use std::{fmt::Write as _, fs, os::unix::fs::symlink, time::Instant};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::source::catalogue::Catalogue;

fn container(name: &str) -> String {
    format!("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {{image: nginx}}\n")
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

#[track_caller]
fn check(scan: &Scan, expected: &Expect) {
    let text = scan.files.iter().fold(String::new(), |mut text, (path, reading)| {
        let reading = match &**reading {
            FileReading::Parsed(manifests) => format!("{} manifests", manifests.len()),
            FileReading::Refused(problems) => problems[0].to_string(),
            FileReading::Unreadable(reason) => format!("unreadable: {reason}"),
        };
        writeln!(text, "{}: {reading}", path.display()).unwrap();
        text
    });
    expected.assert_eq(&text);
}

#[test]
fn every_yaml_file_is_read_and_leftovers_of_editors_are_not() {
    let web = container("web");
    let files = [
        "b.yml",
        "a.yaml",
        "apps/web.yaml",
        "apps/deep/er.yaml",
        ".hidden.yaml",
        ".git/x.yaml",
        ".a.yaml.swp",
        "a.yaml~",
        "#a.yaml#",
        "README.md",
        "yaml",
        "..data/x.yaml",
    ];
    let directory = directory(&files.map(|name| (name, web.as_str())));
    check(
        &scan(directory.path()).unwrap(),
        &expect![[r#"
        a.yaml: 1 manifests
        apps/deep/er.yaml: 1 manifests
        apps/web.yaml: 1 manifests
        b.yml: 1 manifests
    "#]],
    );
}

#[test]
fn what_is_in_a_plugins_directory_is_no_manifest() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("plugins/notify");
    fs::create_dir_all(plugin.join("deep")).unwrap();
    for file in ["plugin.json", "docker-compose.plugin.yml", "deep/config.yaml"] {
        fs::write(plugin.join(file), "services: {}").unwrap();
    }
    fs::write(directory.path().join("plugins/ours.yaml"), "# nothing").unwrap();
    let files: Vec<_> = scan(directory.path()).unwrap().files.into_keys().collect();
    assert_eq!(files, [PathBuf::from("plugins/ours.yaml")]);
}

#[test]
fn a_broken_file_is_refused_and_one_of_comments_has_no_manifests() {
    let directory = directory(&[("broken.yaml", "a: [\n"), ("comment.yaml", "# nothing\n"), ("empty.yaml", "")]);
    check(
        &scan(directory.path()).unwrap(),
        &expect![[r#"
        broken.yaml: broken.yaml:1:4: `[` is never closed
        comment.yaml: 0 manifests
        empty.yaml: 0 manifests
    "#]],
    );
}

#[test]
fn what_cannot_be_read_is_told_and_not_left_out() {
    let directory = directory(&[("a.yaml", &container("web"))]);
    fs::create_dir(directory.path().join("directory.yaml")).unwrap();
    symlink("/nowhere/at/all", directory.path().join("link.yaml")).unwrap();
    nix::unistd::mkfifo(&directory.path().join("pipe.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    check(
        &scan(directory.path()).unwrap(),
        &expect![[r#"
        a.yaml: 1 manifests
        directory.yaml: unreadable: it is a directory
        link.yaml: unreadable: No such file or directory (os error 2)
        pipe.yaml: unreadable: it is not a regular file
    "#]],
    );
}

#[test]
fn links_to_files_and_directories_are_followed_once() {
    let other = directory(&[("x.yaml", &container("other"))]);
    let directory = directory(&[("a.yaml", &container("web"))]);
    symlink(other.path(), directory.path().join("other")).unwrap();
    symlink(directory.path(), directory.path().join("circle")).unwrap();
    symlink(other.path().join("x.yaml"), directory.path().join("y.yaml")).unwrap();
    check(
        &scan(directory.path()).unwrap(),
        &expect![[r#"
            a.yaml: 1 manifests
            other/x.yaml: 1 manifests
            y.yaml: 1 manifests
        "#]],
    );
}

#[test]
fn a_missing_directory_and_a_file_in_its_place_are_errors() {
    let directory = directory(&[("file", "")]);
    for name in ["missing", "file"] {
        let error = scan(&directory.path().join(name)).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
    }
    assert!(scan(directory.path()).unwrap().is_empty());
}

#[test]
fn a_file_that_is_too_large_is_refused_without_reading_all_of_it() {
    let directory = directory(&[]);
    fs::File::create(directory.path().join("huge.yaml")).unwrap().set_len(1 << 40).unwrap();
    check(
        &scan(directory.path()).unwrap(),
        &expect![[r#"
        huge.yaml: huge.yaml:1:1: the file is larger than 1 MiB (split it into several files)
    "#]],
    );
}

#[test]
fn an_unchanged_file_is_not_parsed_again_and_a_changed_one_is() {
    let directory = directory(&[("a.yaml", &container("one")), ("b.yaml", &container("b"))]);
    let (mut scanner, path) = (Scanner::new(directory.path()), directory.path().join("a.yaml"));
    let name = |scan: &Scan| match &*scan.files[Path::new("a.yaml")] {
        FileReading::Parsed(manifests) => manifests[0].manifest.key().name,
        other => panic!("{other:?}"),
    };
    let first = scanner.scan().unwrap();
    // Same length, and on a coarse clock also the same time.
    fs::write(&path, container("two")).unwrap();
    let second = scanner.scan().unwrap();
    assert_eq!((name(&first), name(&second)), ("one".to_owned(), "two".to_owned()));
    assert!(Arc::ptr_eq(&first.files[Path::new("b.yaml")], &second.files[Path::new("b.yaml")]));
    // Touched, or written again with the same content: read, but not parsed.
    fs::write(&path, container("two")).unwrap();
    let third = scanner.scan().unwrap();
    assert!(Arc::ptr_eq(&second.files[Path::new("a.yaml")], &third.files[Path::new("a.yaml")]));
    fs::remove_file(&path).unwrap();
    assert!(!scanner.scan().unwrap().files.contains_key(Path::new("a.yaml")));
}

#[test]
fn ten_thousand_files_are_read_in_seconds_and_again_in_no_time() {
    let directory = directory(&[]);
    for number in 0..10_000 {
        fs::write(directory.path().join(format!("app{number}.yaml")), container(&format!("app{number}"))).unwrap();
    }
    let mut scanner = Scanner::new(directory.path());
    let mut catalogue = Catalogue::default();
    let mut round = || {
        let start = Instant::now();
        let scan = scanner.scan().unwrap();
        let read = start.elapsed().as_secs_f64();
        catalogue.merge(&scan);
        assert_eq!((scan.files.len(), catalogue.located().len()), (10_000, 10_000));
        [read, start.elapsed().as_secs_f64() - read]
    };
    let [cold, second, settled] = [round(), round(), round()];
    println!("read and merged in seconds: cold {cold:.2?}, second {second:.2?}, settled {settled:.2?}");
    // Generous, because other tests run beside it: what is not linear, or parses what it knows, is far beyond.
    assert!(cold[0] < 20.0 && settled[0] < 2.0 && settled[1] < 4.0, "{cold:?} {second:?} {settled:?}");
}

#[test]
fn far_too_many_files_are_refused() {
    let directory = directory(&[]);
    for number in 0..=MAX_FILES {
        fs::File::create(directory.path().join(format!("{number}.yaml"))).unwrap();
    }
    assert!(matches!(scan(directory.path()), Err(Error::TooManyFiles { .. })));
}
