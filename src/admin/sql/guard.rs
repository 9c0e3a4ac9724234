//! Whether a statement is a question: the wall before the database's own.
//!
//! Pure: a text goes in, and the text to run comes out, or why not. It is an
//! allow-list in three parts, each of which must agree. The words are taken
//! apart as PostgreSQL does (`lexer`), so that nothing hides in a
//! comment or a quote. The words alone must name no function and no relation
//! of the system that is not on the lists (`words`). And a parser must
//! understand the whole and find nothing in it but reading (`tree`).
//! What it does not understand is refused.
//!
//! A guard like this knows no tables: that a view or an operator of somebody
//! calls a function is for the database to stop, and it does ([`super::runner`]).

use super::{
    lexer::{self, Token},
    reach::{self, Reach},
    shadow, tree, words,
};

/// Longer than anybody's question, and shorter than what makes a parser sweat.
pub const LONGEST: usize = 32 * 1024;
/// Brackets in brackets.
const DEEPEST: usize = 32;
/// A chain of operators is a tree as deep as it is long, and it is walked by recursion. Only what is used of it is ever there.
const STACK: usize = 256 * 1024 * 1024;

/// A statement that only asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    sql: String,
    shape: Shape,
}

/// What kind of answer a statement has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Rows of tables, or made ones.
    Rows,
    /// How PostgreSQL would find them.
    Explain,
    /// A setting.
    Setting,
}

impl Checked {
    /// Anything at all, as if it had been checked: for the proof that the database's own wall stands without this one. A test
    /// sees to it that nothing else uses it.
    #[doc(hidden)]
    #[must_use]
    pub fn without_guard(sql: &str, shape: Shape) -> Self {
        Self { sql: sql.to_owned(), shape }
    }

    /// The statement to run: the one that was given, without comments and with its strings in plain quotes.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What kind of answer it has.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// Why a statement is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing to run.
    #[error("there is no statement")]
    Empty,
    /// It is too long.
    #[error("the statement is longer than {LONGEST} bytes")]
    TooLong,
    /// It is too deep.
    #[error("there are more than {DEEPEST} brackets in one another")]
    TooDeep,
    /// Its words cannot be told apart with certainty.
    #[error("the statement holds {0}, which is not run here")]
    Unreadable(String),
    /// There is more than one.
    #[error("only one statement is run at a time")]
    Several,
    /// It begins like something else.
    #[error("a question begins with SELECT, VALUES, TABLE, WITH, EXPLAIN or SHOW, not with {0}")]
    NotAQuestion(String),
    /// It begins like something else.
    #[error("a change begins with INSERT, UPDATE or DELETE, not with {0}")]
    NotAChange(String),
    /// It does something besides reading.
    #[error("{0} is more than reading")]
    Acts(&'static str),
    /// A function is not on the list.
    #[error("the function {0} is not one of those that a question may call")]
    Function(String),
    /// A relation of the system is not on the list.
    #[error("{0} is not one of the system's relations that a question may read")]
    Relation(String),
    /// An operator of a schema.
    #[error("operators of a schema are not used in questions")]
    Operator,
    /// It would never end, or its answer would be too big.
    #[error("{0} would take too long or too much memory")]
    Costly(&'static str),
    /// The parser does not understand it, so nobody knows what it does.
    #[error("the statement is not understood: {0}")]
    NotUnderstood(String),
}

/// Whether a statement only asks.
pub fn check(sql: &str) -> Result<Checked, Refusal> {
    let tokens = one_statement(sql)?;
    let (shape, question) = begin(&tokens)?;
    let sql = lexer::write(&tokens);
    if shape != Shape::Setting {
        let called = words::check(question)?;
        let shadow = lexer::write(&shadow::of(question));
        on_big_stack(move || tree::check(&shadow, &called))?;
    }
    Ok(Checked { sql, shape })
}

/// A statement that changes rows of one table, as [`check_change`] has found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    sql: String,
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub verb: &'static str,
    /// The table, as it is written.
    pub table: String,
    /// Whether it has no condition, and so concerns every row.
    pub is_whole: bool,
    pub(super) reach: Reach,
}

impl Change {
    /// The statement to run.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }
}

/// Whether a statement changes rows of one table and does nothing else. What it does is for a person to judge.
pub fn check_change(sql: &str) -> Result<Change, Refusal> {
    let tokens = one_statement(sql)?;
    let verb = ["INSERT", "UPDATE", "DELETE"].into_iter().find(|verb| tokens[0].is(&verb.to_ascii_lowercase()));
    let verb = verb.ok_or_else(|| Refusal::NotAChange(lexer::write(&tokens[..1]).to_uppercase()))?;
    let table = tokens.get(if verb == "UPDATE" { 1.. } else { 2.. }).unwrap_or_default();
    // `INSERT INTO t (a, b)` looks like a call of `t`, and the names in it are columns.
    let rest = if verb == "INSERT" { after_columns(table) } else { table };
    let called = words::check(rest)?;
    if table.first().and_then(Token::as_name).is_some_and(|name| name.starts_with("pg_") || name == "information_schema") {
        return Err(Refusal::Relation(lexer::write(&table[..1])));
    }
    let shadow = lexer::write(&shadow::of(&tokens));
    let (table, is_whole) = on_big_stack(move || tree::check_change(&shadow, &called))?;
    let reach = reach::of(&tokens, verb)?;
    // Two readings of one statement have to agree on whether there is a condition.
    if verb != "INSERT" && is_whole == reach.is_spared {
        return Err(Refusal::NotUnderstood("it cannot be seen which rows it concerns".to_owned()));
    }
    Ok(Change { sql: lexer::write(&tokens), verb, table, is_whole, reach })
}

/// What follows the name of the table and the names of its columns.
fn after_columns(tokens: &[Token]) -> &[Token] {
    let is_part = |token: &&Token| token.as_name().is_some_and(|_| !begins_query(token)) || token.is_mark(".");
    let name = tokens.iter().take_while(is_part).count();
    let rest = &tokens[name..];
    let Some(end) = rest.iter().position(|token| token.is_mark(")")) else { return rest };
    let is_list = rest[0].is_mark("(")
        && rest[1..end].iter().all(|token| token.is_mark(",") || token.as_name().is_some_and(|_| !begins_query(token)));
    if is_list { &rest[end + 1..] } else { rest }
}

fn on_big_stack<T: Send + 'static>(walk: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    let walk = std::thread::Builder::new().stack_size(STACK).spawn(walk);
    match walk.map(std::thread::JoinHandle::join) {
        Ok(Ok(walked)) => walked,
        _ => Err(Refusal::NotUnderstood("it could not be parsed".to_owned())),
    }
}

/// The words of the one statement that there is.
fn one_statement(sql: &str) -> Result<Vec<Token>, Refusal> {
    if sql.len() > LONGEST {
        return Err(Refusal::TooLong);
    }
    let mut tokens = lexer::tokens(sql)?;
    while tokens.last().is_some_and(|last| last.is_mark(";")) {
        tokens.pop();
    }
    if tokens.is_empty() {
        return Err(Refusal::Empty);
    }
    if tokens.iter().any(|token| token.is_mark(";")) {
        return Err(Refusal::Several);
    }
    if depth(&tokens) > DEEPEST {
        return Err(Refusal::TooDeep);
    }
    Ok(tokens)
}

fn depth(tokens: &[Token]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in tokens {
        if token.is_mark("(") || token.is_mark("[") || token.is("case") {
            depth += 1;
            deepest = deepest.max(depth);
        } else if token.is_mark(")") || token.is_mark("]") || token.is("end") {
            depth = depth.saturating_sub(1);
        }
    }
    deepest
}

/// What kind of statement it is, and the query in it.
fn begin(tokens: &[Token]) -> Result<(Shape, &[Token]), Refusal> {
    let Some(first) = tokens.first() else { return Err(Refusal::Empty) };
    if first.is("explain") {
        let question = explained(&tokens[1..])?;
        let is_query = question.first().is_some_and(begins_query);
        return if is_query { Ok((Shape::Explain, question)) } else { Err(Refusal::Acts("what is to be explained")) };
    }
    if first.is("show") {
        return if is_setting(&tokens[1..]) {
            Ok((Shape::Setting, &[]))
        } else {
            Err(Refusal::Acts("SHOW of more than one setting"))
        };
    }
    if begins_query(first) {
        return Ok((Shape::Rows, tokens));
    }
    Err(Refusal::NotAQuestion(first.as_name().map_or_else(|| lexer::write(&tokens[..1]), str::to_uppercase)))
}

fn begins_query(token: &Token) -> bool {
    ["select", "values", "table", "with"].iter().any(|word| token.is(word)) || token.is_mark("(")
}

/// Options of EXPLAIN that show more and run nothing.
const EXPLAIN_OPTIONS: &[&str] = &["verbose", "costs", "settings", "generic_plan", "summary", "format", "buffers", "memory"];
/// Options of EXPLAIN that run the statement, or need it to be run, and are harmless where they say no.
const EXPLAIN_RUNS: &[&str] = &["analyze", "analyse", "timing", "wal"];
/// How they say no.
const EXPLAIN_NO: &[&str] = &["false", "off"];
/// What they may be set to.
const EXPLAIN_VALUES: &[&str] = &["true", "false", "on", "off", "text", "json", "xml", "yaml"];

/// What follows EXPLAIN and its options.
fn explained(tokens: &[Token]) -> Result<&[Token], Refusal> {
    let analyzes = Refusal::Acts("EXPLAIN ANALYZE, which runs the statement,");
    let is_analyze = |token: &Token| token.as_name().is_some_and(|name| name == "analyze" || name == "analyse");
    match tokens {
        [first, ..] if is_analyze(first) => Err(analyzes),
        [first, second, ..] if first.is("verbose") && is_analyze(second) => Err(analyzes),
        [first, rest @ ..] if first.is("verbose") => Ok(rest),
        [first, second, ..] if first.is_mark("(") && !begins_query(second) => {
            let end = tokens.iter().position(|token| token.is_mark(")"));
            let Some(end) = end else { return Err(Refusal::NotUnderstood("EXPLAIN without an end of its options".to_owned())) };
            for option in tokens[1..end].split(|token| token.is_mark(",")) {
                let is_known = |token: &Token, list: &[&str]| list.iter().any(|known| token.is(known));
                let is_zero = |token: &Token| matches!(&token.word, lexer::Word::Number(digit) if digit == "0");
                // Each option has to say no for itself: of several the last one counts.
                let is_allowed = match option {
                    [name, value] if is_known(name, EXPLAIN_RUNS) => is_known(value, EXPLAIN_NO) || is_zero(value),
                    [name] => is_known(name, EXPLAIN_OPTIONS),
                    [name, value] => {
                        let is_digit = matches!(&value.word, lexer::Word::Number(digit) if digit == "0" || digit == "1");
                        is_known(name, EXPLAIN_OPTIONS) && (is_known(value, EXPLAIN_VALUES) || is_digit)
                    }
                    _ => false,
                };
                if !is_allowed && option.first().is_some_and(is_analyze) {
                    return Err(analyzes);
                }
                if !is_allowed {
                    return Err(Refusal::Acts("an option of EXPLAIN that is not known here"));
                }
            }
            Ok(&tokens[end + 1..])
        }
        _ => Ok(tokens),
    }
}

/// Whether it is the name of one setting.
fn is_setting(tokens: &[Token]) -> bool {
    let says = |words: &[&str]| tokens.len() == words.len() && tokens.iter().zip(words).all(|(token, word)| token.is(word));
    let name = |token: &Token| token.as_name().is_some_and(|name| name != "all");
    let is_one = match tokens {
        [setting] => name(setting),
        [prefix, dot, setting] => name(prefix) && dot.is_mark(".") && name(setting),
        _ => false,
    };
    is_one || says(&["time", "zone"]) || says(&["transaction", "isolation", "level"]) || says(&["session", "authorization"])
}

#[cfg(test)]
mod tests;
