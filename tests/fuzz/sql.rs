//! The guard before the database: what it lets through is one statement of the right kind, as somebody else reads the same tree, and
//! as PostgreSQL itself does: [`postgres`].

mod postgres;

use std::{ops::ControlFlow, thread, time::Duration};

use mooring::admin::sql::guard::{self, Change, Checked, Shape};
use sqlparser::{
    ast::{Expr, ObjectName, SetExpr, Statement, TableFactor, Visit, Visitor},
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

/// A test has a small stack, and what reads a deep tree without optimisation wants a great one. (The guard sees to its own.)
fn check(text: &[u8]) -> Result<(), String> {
    thread::scope(|scope| {
        let checking =
            thread::Builder::new().name("judge".to_owned()).stack_size(256 << 20).spawn_scoped(scope, || check_here(text));
        checking.unwrap().join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
    })
}

fn check_here(text: &[u8]) -> Result<(), String> {
    let text = engine::lossy(text);
    let (question, change) = (guard::check(&text), guard::check_change(&text));
    law!(question.is_err() || change.is_err(), "a question is no change", "{question:?} {change:?}");
    if let Ok(checked) = question {
        only_asks(&checked)?;
        let again = guard::check(checked.sql());
        // With a space on each side of a sign it may be longer than anything that is read.
        let is_longer = checked.sql().len() > guard::LONGEST;
        law!(is_longer || again.as_ref() == Ok(&checked), "what is run passes again", "{} is {again:?}", checked.sql());
    }
    if let Ok(change) = change {
        only_changes_rows(&change)?;
        let again = guard::check_change(change.sql());
        let is_longer = change.sql().len() > guard::LONGEST;
        law!(is_longer || again.as_ref() == Ok(&change), "what is run passes again", "{} is {again:?}", change.sql());
    }
    Ok(())
}

/// The one statement in it; none where the parser does not know PostgreSQL well enough. The guard uses the same one (on words that it
/// has made simpler), so it is no judge of its own: that is PostgreSQL.
fn parsed(sql: &str) -> Result<Option<Statement>, String> {
    let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(200).try_with_sql(sql);
    let Ok(statements) = parser.and_then(|mut parser| parser.parse_statements()) else { return Ok(None) };
    let [statement] = statements.as_slice() else { return Err(format!("it is one statement: {sql}")) };
    Ok(Some(statement.clone()))
}

fn only_asks(checked: &Checked) -> Result<(), String> {
    let Some(statement) = parsed(checked.sql())? else { return Ok(()) };
    let is_right = match (checked.shape(), &statement) {
        (Shape::Rows, Statement::Query(_)) | (Shape::Setting, Statement::ShowVariable { .. }) => true,
        (Shape::Explain, Statement::Explain { analyze, .. }) => !analyze,
        _ => false,
    };
    law!(is_right, "it is of the kind that it was taken for", "{:?} {statement}", checked.shape());
    does_nothing_else(&statement, false)
}

fn only_changes_rows(change: &Change) -> Result<(), String> {
    let Some(statement) = parsed(change.sql())? else { return Ok(()) };
    let (verb, is_whole) = match &statement {
        Statement::Insert(_) => ("INSERT", change.is_whole),
        Statement::Update(update) => ("UPDATE", update.selection.is_none()),
        Statement::Delete(delete) => ("DELETE", delete.selection.is_none()),
        _ => ("something else", false),
    };
    law!(verb == change.verb, "it is of the kind that it was taken for", "{} {statement}", change.verb);
    law!(is_whole == change.is_whole, "every row is told from some", "{statement}");
    does_nothing_else(&statement, true)
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
            Expr::Function(function) => reads(&function.name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<String> {
        match table {
            TableFactor::Function { name, .. } | TableFactor::Table { name, args: Some(_), .. } => reads(name),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Goes on, unless a function of this name acts.
fn reads(name: &ObjectName) -> ControlFlow<String> {
    let name = name.0.last().map(ToString::to_string).unwrap_or_default().to_lowercase();
    if ACTING.contains(&name.trim_matches('"')) { ControlFlow::Break(name) } else { ControlFlow::Continue(()) }
}

#[test]
fn what_acts_is_seen_wherever_it_stands() {
    let look = |sql| does_nothing_else(&parsed(sql).unwrap().unwrap(), false);
    for sql in ["SELECT pg_sleep(1)", "SELECT * FROM pg_sleep(1)", "SELECT 1 FROM t, LATERAL pg_catalog.PG_SLEEP(1) x"] {
        assert!(look(sql).is_err(), "{sql}");
    }
    assert_eq!(look("SELECT upper(a) FROM generate_series(1, 2) a"), Ok(()));
}

#[test]
fn most_of_what_is_let_through_is_looked_at_by_somebody_else() {
    let asked = postgres::let_through(7, &seeds(), guard::check);
    let seen = asked.iter().filter(|checked| parsed(checked.sql()).is_ok_and(|statement| statement.is_some())).count();
    assert!(seen * 10 >= asked.len() * 8 && seen > 100, "{seen} of {}", asked.len());
}
