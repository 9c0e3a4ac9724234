//! Which rows a change is about: its own conditions, put as a question.
//!
//! The words are those of the statement, cut where PostgreSQL's grammar cuts
//! it, and nothing is added to them that could act. What is asked with them is
//! said in [`super::change`].

use super::{
    guard::Refusal,
    lexer::{self, Token, Word},
};

/// What gives another value each time, or each moment. A name of somebody's own may be among them; then less is compared.
const MOVES: &[&str] = &[
    "clock_timestamp",
    "current_date",
    "current_time",
    "current_timestamp",
    "gen_random_uuid",
    "localtime",
    "localtimestamp",
    "nextval",
    "now",
    "random",
    "random_normal",
    "statement_timestamp",
    "timeofday",
    "transaction_timestamp",
    "uuidv4",
    "uuidv7",
];
/// Texts that are a time of their own when they are read as one.
const MOVING_TEXTS: &[&str] = &["now", "today", "tomorrow", "yesterday"];

/// The rows that a change is about, in parts of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// What the rows of the table are called in the question. None for rows that are not there yet.
    pub(super) target: Option<String>,
    /// `FROM` and what follows it. None where the rows are written in the statement itself, or are others each time.
    pub(super) from: Option<String>,
    /// What the rows are given, where that is the same each time it is asked.
    pub(super) values: Vec<String>,
    /// Whether other tables stand beside it.
    pub(super) is_joined: bool,
    /// Whether there is a condition that spares rows.
    pub(super) is_spared: bool,
    /// Whether what is there already is changed instead of added.
    pub(super) meets: bool,
}

/// The reach of a change that begins with this verb.
pub(super) fn of(tokens: &[Token], verb: &str) -> Result<Reach, Refusal> {
    let reach = match verb {
        "INSERT" => of_insert(tokens),
        "UPDATE" => of_update(tokens),
        _ => of_delete(tokens),
    };
    let is_spared = clause(tokens, 1, &["where"]) < clause(tokens, 1, &["returning"]);
    let reach = reach.map(|reach| Reach { is_spared, ..reach });
    reach.ok_or_else(|| Refusal::NotUnderstood("it cannot be seen which rows it concerns".to_owned()))
}

fn of_update(tokens: &[Token]) -> Option<Reach> {
    let (target, head) = table(tokens, 1, &["set"])?;
    let end = clause(tokens, head + 1, &["from", "where", "returning"]);
    let values = assignments(tokens.get(head + 1..end)?);
    let joined = tokens.get(end).is_some_and(|token| token.is("from"));
    Some(Reach {
        target: Some(target),
        from: Some(rows(tokens, 1, head, if joined { end } else { head }, end)),
        values,
        is_joined: joined,
        ..Reach::default()
    })
}

fn of_delete(tokens: &[Token]) -> Option<Reach> {
    let (target, head) = table(tokens, 2, &["using", "where", "returning"])?;
    let is_joined = tokens.get(head).is_some_and(|token| token.is("using"));
    Some(Reach { target: Some(target), from: Some(rows(tokens, 2, head, head, head)), is_joined, ..Reach::default() })
}

/// `FROM` the table at `start`, and whatever else `joined` begins, with the condition that follows `end`.
fn rows(tokens: &[Token], start: usize, head: usize, joined: usize, end: usize) -> String {
    let condition = clause(tokens, end, &["where"]);
    let returning = clause(tokens, end, &["returning"]);
    let mut from = format!("FROM {}", lexer::write(&tokens[start..head]));
    if tokens.get(joined).is_some_and(|token| token.is("from") || token.is("using")) {
        from = format!("{from}, {}", lexer::write(&tokens[joined + 1..condition.min(returning)]));
    }
    if condition < returning {
        from = format!("{from} WHERE ({})", lexer::write(&tokens[condition + 1..returning]));
    }
    from
}

fn of_insert(tokens: &[Token]) -> Option<Reach> {
    let mut at = name(tokens, 2)?;
    if tokens.get(at).is_some_and(|token| token.is("as")) {
        at += 2;
    }
    if tokens.get(at)?.is_mark("(") && !begins_query(tokens.get(at + 1)?) {
        at = closing(tokens, at)? + 1;
    }
    if tokens.get(at)?.is("overriding") {
        at += 3;
    }
    let mut end = clause(tokens, at, &["returning"]);
    let conflict = (at..end).find(|&at| {
        let says = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is(word));
        let follows = tokens.get(at + 2).is_some_and(|token| token.is("do") || token.is("on") || token.is_mark("("));
        says(at, "on") && says(at + 1, "conflict") && follows && is_outside(tokens, at)
    });
    end = conflict.unwrap_or(end);
    let source = tokens.get(at..end)?;
    let is_query = source.iter().any(|token| token.is("select") || token.is("table"));
    let is_same = !source.iter().any(moves) && !source.iter().any(|token| token.is("default"));
    let from = (is_query && is_same).then(|| format!("FROM ({}) AS mooring_source", lexer::write(source)));
    Some(Reach { from, meets: conflict.is_some(), ..Reach::default() })
}

/// What the table that is named here is called, and where the next of these words follows it.
fn table(tokens: &[Token], start: usize, next: &[&str]) -> Option<(String, usize)> {
    let is_only = tokens.get(start)?.is("only");
    let named = if is_only { start + 1 } else { start };
    let mut at = name(tokens, named)?;
    let mut called = lexer::write(&tokens[named..at]);
    let follows = |at: usize| tokens.get(at).is_none_or(|token| next.iter().any(|word| token.is(word)));
    if tokens.get(at).is_some_and(|token| token.word == Word::Operator("*".to_owned())) {
        at += 1;
    }
    if tokens.get(at).is_some_and(|token| token.is("as")) {
        at += 1;
        called = lexer::write(tokens.get(at..=at).filter(|alias| alias[0].as_name().is_some())?);
        at += 1;
    } else if !follows(at) {
        called = lexer::write(tokens.get(at..=at).filter(|alias| alias[0].as_name().is_some())?);
        at += 1;
    }
    follows(at).then_some((called, at))
}

/// Where the name ends that begins here.
fn name(tokens: &[Token], at: usize) -> Option<usize> {
    tokens.get(at)?.as_name()?;
    let mut end = at + 1;
    while tokens.get(end).is_some_and(|token| token.is_mark(".")) {
        tokens.get(end + 1)?.as_name()?;
        end += 2;
    }
    Some(end)
}

/// What columns are set to, where that is the same each time.
fn assignments(tokens: &[Token]) -> Vec<String> {
    let mut depth = 0_usize;
    let parts = tokens.split(|token| {
        if opens(token) {
            depth += 1;
        } else if closes(token) {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && token.is_mark(",")
    });
    parts.filter_map(assigned).collect()
}

fn assigned(tokens: &[Token]) -> Option<String> {
    let equals = (0..tokens.len()).find(|&at| tokens[at].word == Word::Operator("=".to_owned()) && is_outside(tokens, at))?;
    let value = &tokens[equals + 1..];
    if value.iter().any(|token| moves(token) || token.is("default")) {
        return None;
    }
    let text = lexer::write(value);
    // Several columns from one row of a query.
    let is_row = tokens[0].is_mark("(") && value.first()?.is_mark("(") && begins_query(value.get(1)?);
    Some(if is_row { format!("(SELECT mooring_row::text FROM {text} AS mooring_row)") } else { text })
}

fn moves(token: &Token) -> bool {
    let is_moving_text = matches!(&token.word, Word::Text(text) if MOVING_TEXTS.contains(&text.trim().to_lowercase().as_str()));
    is_moving_text || token.as_name().is_some_and(|name| MOVES.contains(&name))
}

/// Where one of these words begins a clause, from here on; the end if none does.
fn clause(tokens: &[Token], from: usize, words: &[&str]) -> usize {
    let begins = |at: &usize| {
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        // `IS DISTINCT FROM` compares, and after a dot or AS there is a name.
        let is_other = before.is_some_and(|before| before.is_mark(".") || before.is("as"))
            || (tokens[*at].is("from") && before.is_some_and(|before| before.is("distinct")));
        words.iter().any(|word| tokens[*at].is(word)) && !is_other && is_outside(tokens, *at)
    };
    (from..tokens.len()).find(begins).unwrap_or(tokens.len())
}

/// Whether no bracket is open before it.
fn is_outside(tokens: &[Token], at: usize) -> bool {
    tokens[..at].iter().filter(|token| opens(token)).count() == tokens[..at].iter().filter(|token| closes(token)).count()
}

fn opens(token: &Token) -> bool {
    token.is_mark("(") || token.is_mark("[")
}

fn closes(token: &Token) -> bool {
    token.is_mark(")") || token.is_mark("]")
}

/// The end of the bracket that opens here.
fn closing(tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().enumerate().skip(at).find_map(|(end, token)| {
        if opens(token) {
            depth += 1;
        } else if closes(token) {
            depth = depth.saturating_sub(1);
        }
        (depth == 0).then_some(end)
    })
}

fn begins_query(token: &Token) -> bool {
    ["select", "values", "table", "with"].iter().any(|word| token.is(word)) || token.is_mark("(")
}
