//! What the words of a statement alone give away.
//!
//! In PostgreSQL a function is called by a name and a bracket, and in no other
//! way that a list could stop. So every name before a bracket is a keyword, is
//! on the list, or is left to [`super::tree`], which must find as many aliases
//! of that name.

use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};

use super::{
    guard::Refusal,
    lexer::{Token, Word},
};

/// The functions that a question may call.
static FUNCTIONS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| list(include_str!("functions.txt")));
/// The relations of the system that a question may read.
static RELATIONS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| list(include_str!("relations.txt")));

fn list(text: &'static str) -> HashSet<&'static str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// Words of the grammar that may stand before a bracket that is no call. Many of them may be names of functions as well;
/// [`super::tree`] sees to it that they are not used so.
const KEYWORDS: &[&str] = &[
    "all",
    "and",
    "any",
    "as",
    "asymmetric",
    "between",
    "bernoulli",
    "by",
    "case",
    "collation",
    "conflict",
    "content",
    "cube",
    "distinct",
    "document",
    "else",
    "escape",
    "except",
    "exists",
    "filter",
    "first",
    "for",
    "from",
    "group",
    "groups",
    "having",
    "ilike",
    "in",
    "intersect",
    "is",
    "join",
    "lateral",
    "like",
    "limit",
    "materialized",
    "next",
    "not",
    "offset",
    "on",
    "only",
    "operator",
    "or",
    "over",
    "partition",
    "passing",
    "placing",
    "range",
    "repeatable",
    "rows",
    "select",
    "set",
    "sets",
    "some",
    "symmetric",
    "system",
    "then",
    "to",
    "union",
    "using",
    "value",
    "values",
    "when",
    "where",
    "window",
    "xmlnamespaces",
    "zone",
];
/// Calls that the grammar has words for, so that nobody else can have made them.
const CALLS: &[&str] = &[
    "array",
    "cast",
    "coalesce",
    "current_time",
    "current_timestamp",
    "extract",
    "greatest",
    "grouping",
    "least",
    "localtime",
    "localtimestamp",
    "normalize",
    "nullif",
    "overlay",
    "position",
    "rollup",
    "row",
    "substring",
    "treat",
    "trim",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];
/// Types that take a number in brackets.
const TYPES: &[&str] = &[
    "bit",
    "bpchar",
    "char",
    "character",
    "dec",
    "decimal",
    "float",
    "interval",
    "nchar",
    "numeric",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "varbit",
    "varchar",
    "varying",
    "second",
];

/// Whether a question may call it.
pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(name)
}

/// Whether it is a call that is built into the grammar.
pub(super) fn is_grammar(name: &str) -> bool {
    CALLS.contains(&name)
}

/// Whether a bracket may stand behind it.
fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name) || CALLS.contains(&name) || TYPES.contains(&name)
}

/// The names before brackets that are neither keywords nor functions, and how often each is there.
pub(super) type Called = BTreeMap<String, usize>;

/// Refuses what the words alone give away.
pub(super) fn check(tokens: &[Token]) -> Result<Called, Refusal> {
    let mut called = Called::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        let follows_dot = before.is_some_and(|before| before.is_mark("."));
        let next = tokens.get(at + 1);
        if let Some(name) = token.as_name() {
            is_known_relation(name, tokens, at)?;
            if next.is_some_and(|next| next.is_mark("(")) {
                check_call(tokens, at, name, &mut called)?;
            }
        }
        let is_label = follows_dot || before.is_some_and(|before| before.is("as"));
        if !is_label {
            check_keyword(token, next, tokens.get(at + 2))?;
        }
    }
    Ok(called)
}

/// Names of the system begin in a way that nobody else's may.
fn is_known_relation(name: &str, tokens: &[Token], at: usize) -> Result<(), Refusal> {
    let is_systems = name.starts_with("pg_") || name.starts_with("_pg_") || name.starts_with("user_mapping");
    // After a schema of somebody's own, a name like this is his own.
    let is_own = at >= 2
        && tokens[at - 1].is_mark(".")
        && tokens[at - 2].as_name().is_some_and(|schema| !schema.starts_with("pg_") && schema != "information_schema");
    // A column is not a relation, but an alias that hides one is too clever here.
    if is_systems && !is_own && !RELATIONS.contains(name) && !FUNCTIONS.contains(name) {
        return Err(Refusal::Relation(name.to_owned()));
    }
    Ok(())
}

fn check_call(tokens: &[Token], at: usize, name: &str, called: &mut Called) -> Result<(), Refusal> {
    let is_dotted = at >= 1 && tokens[at - 1].is_mark(".");
    if is_dotted {
        let is_builtin = at >= 2 && tokens[at - 2].as_name() == Some("pg_catalog") && (at < 3 || !tokens[at - 3].is_mark("."));
        let is_allowed = is_builtin && (is_function(name) || TYPES.contains(&name));
        return if is_allowed { Ok(()) } else { Err(Refusal::Function(qualified(tokens, at))) };
    }
    let is_keyword = matches!(tokens[at].word, Word::Name(_)) && is_keyword(name);
    if !is_keyword && !is_function(name) {
        *called.entry(name.to_owned()).or_default() += 1;
    }
    Ok(())
}

/// The name at this place with what stands before its dots.
fn qualified(tokens: &[Token], at: usize) -> String {
    let mut parts: Vec<&str> = tokens[at].as_name().into_iter().collect();
    let mut at = at;
    while at >= 2 && tokens[at - 1].is_mark(".") {
        parts.extend(tokens[at - 2].as_name());
        at -= 2;
    }
    parts.reverse();
    parts.join(".")
}

fn check_keyword(token: &Token, next: Option<&Token>, second: Option<&Token>) -> Result<(), Refusal> {
    let follows = |words: &[&str]| next.is_some_and(|next| words.iter().any(|word| next.is(word)));
    if token.is("into") {
        return Err(Refusal::Acts("SELECT INTO"));
    }
    if token.is("for") && follows(&["update", "share", "no", "key"]) {
        return Err(Refusal::Acts("locking rows"));
    }
    if token.is("tablesample") && !follows(&["bernoulli", "system"]) {
        return Err(Refusal::Function("of this TABLESAMPLE".to_owned()));
    }
    let is_builtin = second.is_some_and(|second| second.is("pg_catalog"));
    if token.is("operator") && next.is_some_and(|next| next.is_mark("(")) && !is_builtin {
        return Err(Refusal::Operator);
    }
    Ok(())
}
