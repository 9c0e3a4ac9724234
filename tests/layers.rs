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
fn what_is_looked_after_is_reached_by_one_way() {
    // So that a simulation can take its place. The repair of sites looks into its sockets without waiting, and keeps them; the
    // others speak with people, with those who are told, and with databases.
    let may = ["observe/dial", "execute/repair/answers", "deliver", "http", "admin"];
    for (path, text) in sources() {
        let is_permitted = may.iter().any(|module| is_of(&path, module));
        assert!(is_permitted || !text.contains("TcpStream"), "{} connects by itself", path.display());
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

/// What changes a file or a name. (`OpenOptions` that make one are found by `create`.)
const WRITES: &[&str] = &[
    ".persist(",
    ".persist_noclobber(",
    "fs::rename(",
    "renameat2(",
    "fs::remove_file(",
    "fs::remove_dir_all(",
    "fs::hard_link(",
    "fs::write(",
    "fs::copy(",
    "File::create(",
    ".create(true)",
    ".create_new(true)",
    ".set_len(",
    "set_permissions(",
    "posix_fallocate(",
    "tempfile_in(",
    "temporary.close(",
];

/// Functions that change files where no test makes Mooring die, and why nothing is to be learned there.
const NO_POINT: &[(&str, &str, &str)] = &[
    ("admin/store.rs", "open", "an empty file with its mode, made again by the next one; what is in it is SQLite's"),
    ("cli/audit/export.rs", "run", "what somebody asked for, not what anybody goes by"),
    ("cli/crds.rs", "write", "what somebody asked for, not what anybody goes by"),
    ("controller/anchors.rs", "open", "an empty file: `append` has the point"),
    ("controller/context.rs", "make_state_directory", "a mode that each start sets"),
    ("execute/files/replace.rs", "sweep_temporaries", "what is not swept up is swept up by the next one"),
    ("execute/files/replace.rs", "write_temporary", "each of its three callers has a point behind it"),
    ("execute/files/replace.rs", "exchange", "its caller has a point before it and one behind it"),
    ("execute/repair.rs", "write", "a temporary file, whose caller has a point behind it"),
    ("execute/proxy/stage.rs", "write", "a file for one test; `stage` has a point behind it"),
    ("http/socket.rs", "bind_for", "a socket, not a file: each start makes it anew"),
    ("http/socket.rs", "remove_if_there", "a socket of somebody who is gone"),
    ("http/socket.rs", "drop", "a socket of our own, found stale if it stays"),
    ("record/ballast.rs", "give_up", "one name less, and nothing that follows"),
    ("record/database.rs", "create", "an empty file with its mode, made again by the next one; what is in it is SQLite's"),
    ("record/database.rs", "keep", "its caller has a point behind it"),
    ("record/database.rs", "prepare_directory", "a mode that each start sets"),
    ("record/key.rs", "fingerprint_key", "a mode that each start sets"),
];

/// Whoever writes says where a test can make us die; `crashes` of the tests on the real engine dies there.
#[test]
fn every_function_that_changes_files_has_a_point_at_which_mooring_can_be_made_to_die() {
    let mut writing = Vec::new();
    for (path, text) in sources() {
        let relative = path.strip_prefix(root()).expect("the file is below src").display().to_string();
        for (name, body) in functions(&text) {
            if WRITES.iter().any(|write| body.contains(write)) {
                writing.push((relative.clone(), name, body.contains("crash::point(")));
            }
        }
    }
    let is_listed = |file: &str, name: &str| NO_POINT.iter().any(|(listed, function, _)| (*listed, *function) == (file, name));
    let missing: Vec<_> = writing.iter().filter(|(file, name, has_point)| !has_point && !is_listed(file, name)).collect();
    assert!(missing.is_empty(), "no point: {missing:#?}");
    let is_needed = |file: &str, name: &str| {
        writing.iter().any(|(path, function, has_point)| (path.as_str(), function.as_str()) == (file, name) && !has_point)
    };
    let stale: Vec<_> = NO_POINT.iter().filter(|(file, name, _)| !is_needed(file, name)).collect();
    assert!(stale.is_empty(), "listed for nothing: {stale:#?}");
    assert!(writing.len() > NO_POINT.len() + 15, "the sources were not understood: {writing:#?}");
}

/// The functions before the tests of a source file, by name, each with the text up to the next one.
fn functions(text: &str) -> Vec<(String, String)> {
    let mut functions: Vec<(String, String)> = Vec::new();
    for line in text.lines().take_while(|line| *line != "mod tests {") {
        let code = line.split("//").next().unwrap_or_default();
        let words =
            code.trim_start().trim_start_matches("pub ").trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
        let words = words.trim_start_matches("async ");
        if let Some(rest) = words.strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            functions.push((name.to_owned(), String::new()));
        }
        if let Some((_, body)) = functions.last_mut() {
            body.push_str(code);
            body.push('\n');
        }
    }
    functions
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
