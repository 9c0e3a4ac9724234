//! The guard before the database: what it lets through is one statement of the right kind, for others that read SQL as well.

mod postgres;

use std::{ops::ControlFlow, time::Duration};

use mooring::admin::sql::guard::{self, Change, Checked, Shape};
use sqlparser::{
    ast::{Expr, SetExpr, Statement, Visit, Visitor},
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use crate::{
    engine::{self, Target},
    law,
};

pub const WORDS: &[&str] = &[
    "SELECT ",
    "FROM ",
    "WHERE ",
    "WITH x AS (",
    ") ",
    "INSERT INTO shop.orders (note) VALUES ('x')",
    "UPDATE shop.orders SET note = 'x'",
    "DELETE FROM shop.orders",
    "INTO t ",
    "FOR UPDATE ",
    "; ",
    "-- ",
    "/* ",
    "*/",
    "'",
    "E'\\'",
    "$$",
    "$a$",
    "\"",
    "U&\"\\0061\"",
    "U&'\\0027'",
    "pg_sleep(1)",
    "set_config('a.b', 'c', false)",
    "nextval('s')",
    "pg_read_file('/etc/passwd')",
    "lo_import('/etc/passwd')",
    "dblink('x', 'y')",
    "query_to_xml('DELETE FROM t', true, true, '')",
    "pg_advisory_lock(1)",
    "current_setting('a')",
    "count(*)",
    "generate_series(1, 1000000000)",
    "repeat('x', 1000000000)",
    "::regclass",
    "::text",
    "CASE WHEN ",
    " END",
    "EXPLAIN ",
    "EXPLAIN ANALYZE ",
    "(ANALYZE) ",
    "SHOW ",
    "TABLE ",
    "VALUES (1)",
    "LATERAL ",
    "RETURNING *",
    "ON CONFLICT DO NOTHING",
    "COPY t TO PROGRAM 'id'",
    "UNION ALL ",
    "OPERATOR(pg_catalog.+)",
    "pg_catalog.",
    "pg_authid",
    "pg_shadow",
    "information_schema.",
    "[1:2]",
    "AND ",
    "OR ",
    "NOT ",
    "NULL",
    "1",
    "true",
    "(",
    ")",
    ",",
    "*",
    ".",
    "=",
    "||",
    "shop.orders",
    "id",
    "note",
    "XMLTABLE(",
    "JSON_TABLE(",
    "TABLESAMPLE SYSTEM (1)",
    "\u{a0}",
    "ſelect",
];
/// Functions that do more than read; the guard does not know this list, it has one of what it lets through.
const ACTING: &[&str] = &[
    "pg_sleep",
    "set_config",
    "nextval",
    "setval",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_dir",
    "lo_import",
    "lo_export",
    "lo_unlink",
    "lo_create",
    "dblink",
    "dblink_exec",
    "query_to_xml",
    "table_to_xml",
    "database_to_xml",
    "pg_advisory_lock",
    "pg_try_advisory_lock",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_reload_conf",
    "pg_notify",
    "txid_current",
    "pg_switch_wal",
    "pg_stat_file",
    "pg_logfile_rotate",
    "pg_create_logical_replication_slot",
    "pg_drop_replication_slot",
    "cursor_to_xml",
    "pg_export_snapshot",
    "currval",
    "lastval",
];

pub fn seeds() -> Vec<String> {
    let lists = ["legit", "more", "attacks", "more_attacks"].map(|name| engine::file(&format!("tests/sql/{name}.txt")));
    let lines = lists.iter().flat_map(|list| list.lines()).filter(|line| !line.is_empty() && !line.starts_with("-- "));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_the_guard_lets_through_is_one_statement_of_the_right_kind() {
    Target { name: "sql", seeds: seeds(), words: WORDS, cases: 2_500, limit: Duration::from_secs(5), check }.run();
}

fn check(text: &[u8]) -> Result<(), String> {
    let text = engine::lossy(text);
    let (question, change) = (guard::check(&text), guard::check_change(&text));
    law!(question.is_err() || change.is_err(), "a question is no change", "{question:?} {change:?}");
    if let Ok(checked) = question {
        only_asks(&checked)?;
        let again = guard::check(checked.sql());
        law!(again.as_ref() == Ok(&checked), "what is run passes again", "{} is {again:?}", checked.sql());
    }
    if let Ok(change) = change {
        only_changes_rows(&change)?;
        let again = guard::check_change(change.sql());
        law!(again.as_ref() == Ok(&change), "what is run passes again", "{} is {again:?}", change.sql());
    }
    Ok(())
}

/// What a parser reads that has no part in the decision; nothing where it does not know PostgreSQL well enough.
fn parsed(sql: &str) -> Option<Vec<Statement>> {
    Parser::new(&PostgreSqlDialect {}).with_recursion_limit(200).try_with_sql(sql).ok()?.parse_statements().ok()
}

fn only_asks(checked: &Checked) -> Result<(), String> {
    let Some(statements) = parsed(checked.sql()) else { return Ok(()) };
    let [statement] = statements.as_slice() else { return Err(format!("it is one statement: {}", checked.sql())) };
    let is_right = match (checked.shape(), statement) {
        (Shape::Rows, Statement::Query(_)) | (Shape::Setting, Statement::ShowVariable { .. }) => true,
        (Shape::Explain, Statement::Explain { analyze, .. }) => !analyze,
        _ => false,
    };
    law!(is_right, "it is of the kind that it was taken for", "{:?} {statement}", checked.shape());
    does_nothing_else(statement, false)
}

fn only_changes_rows(change: &Change) -> Result<(), String> {
    let Some(statements) = parsed(change.sql()) else { return Ok(()) };
    let [statement] = statements.as_slice() else { return Err(format!("it is one statement: {}", change.sql())) };
    let (verb, is_whole) = match statement {
        Statement::Insert(_) => ("INSERT", change.is_whole),
        Statement::Update(update) => ("UPDATE", update.selection.is_none()),
        Statement::Delete(delete) => ("DELETE", delete.selection.is_none()),
        _ => ("something else", false),
    };
    law!(verb == change.verb, "it is of the kind that it was taken for", "{} {statement}", change.verb);
    law!(is_whole == change.is_whole, "every row is told from some", "{statement}");
    does_nothing_else(statement, true)
}

fn does_nothing_else(statement: &Statement, may_change: bool) -> Result<(), String> {
    let mut look = Look { changes: usize::from(may_change) };
    match statement.visit(&mut look) {
        ControlFlow::Break(what) => Err(format!("it does nothing else: {what} in {statement}")),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Looks for what acts, anywhere inside.
struct Look {
    changes: usize,
}

impl Visitor for Look {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<String> {
        let acts = matches!(statement, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_));
        match self.changes.checked_sub(usize::from(acts)) {
            Some(left) => self.changes = left,
            None => return ControlFlow::Break("a change".to_owned()),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &sqlparser::ast::Query) -> ControlFlow<String> {
        let into = matches!(&*query.body, SetExpr::Select(select) if select.into.is_some());
        if into || !query.locks.is_empty() {
            return ControlFlow::Break("INTO or a lock".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Function(function) => {
                let name = function.name.0.last().map(ToString::to_string).unwrap_or_default().to_lowercase();
                if ACTING.contains(&name.trim_matches('"')) { ControlFlow::Break(name) } else { ControlFlow::Continue(()) }
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
