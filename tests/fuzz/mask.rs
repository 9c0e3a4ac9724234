//! Secrets that people type: they are found wherever they stand, and taken out everywhere.

use std::time::Duration;

use mooring::secret::{
    Secret,
    mask::Mask,
    said::{concealed, secrets},
};

use crate::{
    engine::{self, Target},
    law,
};

const WORDS: &[&str] = &[
    "password",
    "DB_PASSWORD=",
    "the password of db is ",
    "set ",
    " to ",
    "token: ",
    "secret",
    "api key ",
    "Authorization: Bearer ",
    "postgres://app:hunter2@db/shop",
    "https://u:p@ss@host/",
    "://",
    "@",
    ":",
    "=",
    "\"",
    "'",
    "`",
    "“",
    "”",
    "„",
    "sk-abcdefgh",
    "ghp_0123456789",
    "A=ghp_0123456789",
    "eyJhbGciOiJIUzI1NiJ9.e30.x",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "-----END",
    "-----",
    "***",
    "(not shown)",
    "login admin/hunter2",
    "user: ",
    " is ",
    ",",
    ".",
    "hunter2",
    "is it",
    "\n",
    "--password ",
    "-p ",
    "curl -u ",
    "$2b$10$abcdefghij",
];
/// Nothing but its place tells that it is one.
const TYPED: &str = "correct-horse";

#[test]
fn a_secret_that_is_typed_is_taken_out_of_whatever_is_kept() {
    let list = engine::file("tests/questions/builtin.txt");
    let lines = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" => "));
    let seeds =
        lines.map(|(said, _)| said.replace("\\n", "\n")).filter(|said| said.contains(['=', ':', '"']) || said.contains("set"));
    Target { name: "mask", seeds: seeds.collect(), words: WORDS, cases: 1_000, limit: Duration::from_secs(1), check }.run();
}

fn check(text: &[u8]) -> Result<(), String> {
    let text = engine::lossy(text);
    let hidden = concealed(&text);
    let found = secrets(&text);
    law!(found.is_empty() == (hidden == text), "what is concealed is what was found", "{} in {hidden:?}", found.len());
    law!(found.iter().all(|secret| !secret.is_empty()), "a secret is something", "{hidden:?}");
    let rest: usize = found.iter().map(|secret| secret.expose().len()).sum();
    law!(hidden.len() + rest == text.len() + 3 * found.len(), "nothing else is taken out", "{hidden:?}");
    // This is how the chat keeps it: what was typed once is not kept anywhere.
    let kept = Mask::new(&found).said(&text);
    for line in found.iter().flat_map(|secret| secret.expose().lines()).map(str::trim).filter(|line| line.len() >= 4) {
        // One that has our own mark in it comes out of what is left of another.
        law!(
            !kept.contains(line) || line.contains("***") || "***".contains(line),
            "what is masked is nowhere",
            "{line:?} in {kept:?}"
        );
    }
    let also = Mask::new(&[Secret::new(TYPED.to_owned())]).apply(format!("{text}{TYPED}{text}"));
    law!(!also.contains(TYPED), "what is known is taken out", "{also:?}");
    typed(&text)
}

/// Whatever was said before and is said after, in lines of their own.
fn typed(text: &str) -> Result<(), String> {
    if text.len() > 2_000 || text.contains(TYPED) {
        return Ok(());
    }
    for line in [
        format!("DB_PASSWORD={TYPED}"),
        format!("export API_TOKEN=\"{TYPED}\""),
        format!("set POSTGRES_PASSWORD to {TYPED}"),
        format!("postgres://app:{TYPED}@db:5432/shop"),
    ] {
        let hidden = concealed(&format!("{text}\n{line}\n{text}"));
        law!(!hidden.contains(TYPED), "a value of a telling name is concealed", "{line} in {hidden:?}");
    }
    Ok(())
}
