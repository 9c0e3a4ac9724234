//! Who may know what: the table of `ARCHITECTURE.md`, checked against the sources.
//!
//! It reads text, not types, which is weaker than a crate boundary and a tenth
//! of the price. Comments do not count.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A word that gives an outside thing away, and the modules that may use it.
const LAYERS: &[(&str, &[&str])] = &[
    ("bollard::", &["observe", "execute"]),
    ("hickory_resolver::", &["observe"]),
    ("nix::sched", &["observe"]),
    ("lettre::", &["deliver"]),
    ("tokio_rustls::", &["deliver"]),
    ("webpki_roots::", &["deliver"]),
    ("sqlx::", &["record", "admin"]),
    ("axum::", &["http"]),
    ("clap::", &["cli"]),
    ("kube_runtime::", &["store", "controller"]),
    ("notify::", &["source"]),
    ("prometheus::", &["record"]),
    ("sqlparser::", &["admin"]),
    // It stands between Mooring and the engine, and Mooring does not know it.
    ("socket_proxy::", &["cli"]),
    ("Timestamp::now", &["clock", "record", "cli"]),
];

/// Modules that decide, and must not be able to do anything else.
const PURE: &[&str] = &[
    "plan",
    "resolve",
    "manifest",
    "dotenv",
    "expand",
    "nginx",
    "sites",
    "alerts",
    "socket_proxy/rules",
    "socket_proxy/target",
    "admin/sql/guard",
    "admin/sql/lexer",
    "admin/sql/reach",
    "admin/sql/words",
    "admin/sql/shadow",
    "admin/sql/tree",
    "admin/sql/answer",
    "admin/timeline",
    "admin/figures",
    "secret/mask",
    "observe/log",
    "observe/gauges/ring",
    "http/admin/plot",
    "admin/sql/author",
    "admin/sql/forms",
    "admin/sql/schema/render",
    "admin/model/openai",
    "admin/model/anthropic",
    "admin/model/ollama",
    "admin/model/proposal",
];

/// What a pure module must not name.
const IMPURE: &[&str] =
    &["tokio::", "tracing::", "std::fs", "std::env", "std::net::Tcp", "Timestamp::now", "Instant::now", "SystemTime"];

#[test]
fn outside_things_are_known_only_to_the_modules_that_may_know_them() {
    let violations = violations(LAYERS.iter().map(|(word, modules)| (*word, Allowed::Only(modules))));
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_deciding_modules_name_nothing_that_acts_or_tells_the_time() {
    let violations = violations(IMPURE.iter().map(|word| (*word, Allowed::NotIn(PURE))));
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn what_understands_people_knows_nothing_that_acts() {
    let acting =
        ["crate::observe", "crate::execute", "crate::record", "crate::controller", "crate::store", "crate::http", "crate::cli"];
    let violations: Vec<String> = sources()
        .into_iter()
        .filter(|(path, _)| path.starts_with(root().join("admin/intent")) || path.ends_with("admin/intent.rs"))
        .flat_map(|(path, text)| {
            let code: Vec<String> = text
                .lines()
                .take_while(|line| *line != "mod tests {")
                .filter_map(|line| line.split("//").next().map(str::to_owned))
                .collect();
            let named = IMPURE.iter().chain(&acting).filter(move |word| code.iter().any(|line| line.contains(**word)));
            named.map(|word| format!("{}: `{word}`", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn nothing_but_a_test_runs_a_statement_that_the_guard_has_not_seen() {
    for (path, text) in sources() {
        let is_guard = is_of(&path, "admin/sql/guard");
        assert!(is_guard || !text.contains("without_guard"), "{} goes around the guard", path.display());
    }
}

#[test]
fn only_one_module_parses_sql() {
    for (path, text) in sources() {
        assert!(is_of(&path, "admin/sql/tree") || !text.contains("sqlparser::"), "{} parses SQL", path.display());
    }
}

#[test]
fn no_source_file_is_longer_than_six_hundred_lines_before_its_tests() {
    let too_long: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()))
        .filter(|(_, lines)| *lines > 600)
        .map(|(path, lines)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

enum Allowed {
    Only(&'static [&'static str]),
    NotIn(&'static [&'static str]),
}

fn violations(rules: impl Iterator<Item = (&'static str, Allowed)>) -> Vec<String> {
    let sources = sources();
    let mut violations = Vec::new();
    for (word, allowed) in rules {
        for (path, text) in &sources {
            let module = module(path);
            let may = match &allowed {
                Allowed::Only(modules) => modules.contains(&module.as_str()),
                Allowed::NotIn(modules) => !modules.iter().any(|module| is_of(path, module)),
            };
            let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
            for (number, line) in code.enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if !may && code.contains(word) {
                    violations.push(format!("{}:{}: `{word}` is not for module `{module}`", path.display(), number + 1));
                }
            }
        }
    }
    violations
}

/// Whether a file belongs to a module, given as the path of its file without the ending.
fn is_of(path: &Path, module: &str) -> bool {
    let relative = path.strip_prefix(root()).expect("the file is below src");
    relative.starts_with(module) || relative == Path::new(&format!("{module}.rs"))
}

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let relative = path.strip_prefix(root()).expect("the file is below src");
    let first = relative.components().next().expect("the path is not empty");
    Path::new(first.as_os_str()).file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                directories.push(path);
            // Unit tests may use whatever shows the world they need.
            } else if path.file_name().is_some_and(|name| name != "tests.rs")
                && !path.components().any(|part| part.as_os_str() == "tests")
            {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                sources.push((path, text));
            }
        }
    }
    assert!(sources.len() > 20, "the sources were not found");
    sources
}
