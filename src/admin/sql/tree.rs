//! What a parser finds in a question: nothing but reading, or a refusal.

use std::ops::ControlFlow;

use sqlparser::{
    ast::{
        Expr, FromTable, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Select,
        SelectFlavor, SetExpr, Statement, TableAlias, TableFactor, TableObject, UnaryOperator, Value, Visitor, With,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::{
    guard::Refusal,
    words::{self, Called},
};

/// How deep the parser goes into itself; brackets alone are counted before.
const RECURSION: usize = 128;
/// More of the same text than anybody reads.
const REPEATED: f64 = 10_000.0;
/// More numbers than anybody counts with.
const SERIES: f64 = 1_000_000.0;

/// Whether this, as PostgreSQL's words, is one query that only reads. `called` are names before brackets that nobody knows: they
/// have to be aliases.
pub(super) fn check(sql: &str, called: &Called) -> Result<(), Refusal> {
    let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(RECURSION).try_with_sql(sql);
    let statements = parser.and_then(|mut parser| parser.parse_statements());
    let statements = statements.map_err(|error| Refusal::NotUnderstood(error.to_string()))?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return Err(Refusal::NotUnderstood("it is not one query".to_owned()));
    };
    walk(&**query, Walk { aliases: Called::new(), may_change: false }, called)
}

/// Whether this is one change of rows of one table, and what it says of it: the table, and whether every row is concerned.
pub(super) fn check_change(sql: &str, called: &Called) -> Result<(String, bool), Refusal> {
    let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(RECURSION).try_with_sql(sql);
    let statements = parser.and_then(|mut parser| parser.parse_statements());
    let statements = statements.map_err(|error| Refusal::NotUnderstood(error.to_string()))?;
    let [statement] = statements.as_slice() else {
        return Err(Refusal::NotUnderstood("it is not one statement".to_owned()));
    };
    let changed = match statement {
        Statement::Insert(insert) => match &insert.table {
            TableObject::TableName(name) => Some((name.to_string(), false)),
            _ => None,
        },
        Statement::Update(update) if update.table.joins.is_empty() => {
            Some((table(&update.table.relation), update.selection.is_none())).and_then(|(table, whole)| Some((table?, whole)))
        }
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            match from.as_slice() {
                [from] if from.joins.is_empty() && delete.tables.is_empty() => {
                    table(&from.relation).map(|table| (table, delete.selection.is_none()))
                }
                _ => None,
            }
        }
        _ => None,
    };
    let changed = changed.ok_or_else(|| Refusal::NotUnderstood("it does not change one table".to_owned()))?;
    walk(statement, Walk { aliases: Called::new(), may_change: true }, called)?;
    Ok(changed)
}

fn table(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { name, args: None, .. } => Some(name.to_string()),
        _ => None,
    }
}

/// Goes through all of it.
fn walk(what: &impl sqlparser::ast::Visit, mut walk: Walk, called: &Called) -> Result<(), Refusal> {
    if let ControlFlow::Break(refusal) = what.visit(&mut walk) {
        return Err(refusal);
    }
    let unknown = called.iter().find(|(name, times)| walk.aliases.get(*name).unwrap_or(&0) < times);
    unknown.map_or(Ok(()), |(name, _)| Err(Refusal::Function(name.clone())))
}

/// Goes through everything that there is in a query.
struct Walk {
    /// Names that are given together with names of columns, and how often.
    aliases: Called,
    /// Whether the outermost statement may be a change, and has not been visited yet.
    may_change: bool,
}

type Flow = ControlFlow<Refusal>;

fn refuse(what: &'static str) -> Flow {
    ControlFlow::Break(Refusal::Acts(what))
}

fn not_understood(what: &str) -> Flow {
    ControlFlow::Break(Refusal::NotUnderstood(what.to_owned()))
}

impl Visitor for Walk {
    type Break = Refusal;

    fn pre_visit_statement(&mut self, _: &Statement) -> Flow {
        // The outermost query is visited as a query; a statement inside is never one.
        if std::mem::take(&mut self.may_change) {
            return Flow::Continue(());
        }
        refuse("a statement in the statement")
    }

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        if !query.locks.is_empty() {
            return refuse("locking rows");
        }
        let is_foreign = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if is_foreign {
            return not_understood("a clause of another database");
        }
        if let Some(with) = &query.with {
            with.cte_tables.iter().for_each(|table| self.alias(Some(&table.alias)));
            let is_limited = query.limit_clause.is_some() || query.fetch.is_some();
            if with.recursive && !is_limited && is_endless(with) {
                return ControlFlow::Break(Refusal::Costly("a recursion without a condition"));
            }
        }
        check_body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        if select.into.is_some() {
            return refuse("SELECT INTO");
        }
        let is_foreign = select.top.is_some()
            || select.exclude.is_some()
            || select.select_modifiers.is_some()
            || select.prewhere.is_some()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || select.flavor != SelectFlavor::Standard
            || !(select.optimizer_hints.is_empty() && select.lateral_views.is_empty() && select.connect_by.is_empty())
            || !(select.cluster_by.is_empty() && select.distribute_by.is_empty() && select.sort_by.is_empty());
        if is_foreign { not_understood("a clause of another database") } else { Flow::Continue(()) }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Flow {
        match factor {
            TableFactor::Table { name, alias, args, with_hints, version, partitions, json_path, index_hints, .. } => {
                self.alias(alias.as_ref());
                let is_foreign = !(with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty())
                    || version.is_some()
                    || json_path.is_some();
                match args {
                    _ if is_foreign => not_understood("a table of another database"),
                    Some(args) => check_call(name, &args.args),
                    None => Flow::Continue(()),
                }
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.alias(alias.as_ref());
                check_call(name, args)
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. }
            | TableFactor::XmlTable { alias, .. } => {
                self.alias(alias.as_ref());
                Flow::Continue(())
            }
            _ => not_understood("a table of another database"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        match expr {
            Expr::Function(function) => check_function(function),
            _ => Flow::Continue(()),
        }
    }
}

impl Walk {
    /// Keeps a name that columns are named with.
    fn alias(&mut self, alias: Option<&TableAlias>) {
        if let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) {
            *self.aliases.entry(folded(&alias.name)).or_default() += 1;
        }
    }
}

/// Only queries, and queries of queries.
fn check_body(body: &SetExpr) -> Flow {
    let mut left = Some(body);
    while let Some(body) = left.take() {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => {}
            SetExpr::SetOperation { left: first, right, .. } => {
                // To the left they are as many as somebody writes, to the right as deep as his brackets.
                check_body(right)?;
                left = Some(first);
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => return refuse("changing rows"),
            SetExpr::Table(_) => return not_understood("TABLE"),
        }
    }
    Flow::Continue(())
}

fn check_function(function: &Function) -> Flow {
    if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
        return not_understood("a call of another database");
    }
    match &function.args {
        FunctionArguments::List(list) => check_call(&function.name, &list.args),
        FunctionArguments::None if is_value(&function.name) => Flow::Continue(()),
        FunctionArguments::None | FunctionArguments::Subquery(_) => check_call(&function.name, &[]),
    }
}

/// Functions that are called without brackets.
const VALUES: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
];

fn is_value(name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| ident.quote_style.is_none() && VALUES.contains(&folded(ident).as_str())))
}

/// Whether a function is one that may be called, with this.
fn check_call(name: &ObjectName, args: &[FunctionArg]) -> Flow {
    let unknown = || ControlFlow::Break(Refusal::Function(name.to_string()));
    let parts: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
    let (ident, is_bare) = match parts.as_deref() {
        Some([ident]) => (*ident, true),
        Some([schema, ident]) if folded(schema) == "pg_catalog" => (*ident, false),
        _ => return unknown(),
    };
    let called = folded(ident);
    let is_grammar = is_bare && ident.quote_style.is_none() && words::is_grammar(&called);
    if !is_grammar && !words::is_function(&called) {
        return unknown();
    }
    check_cost(&called, args)
}

/// What is known to be too much without asking.
fn check_cost(name: &str, args: &[FunctionArg]) -> Flow {
    let numbers: Vec<Option<f64>> = args.iter().map(|arg| argument(arg).and_then(number)).collect();
    let is_costly = match (name, numbers.as_slice()) {
        ("repeat" | "lpad" | "rpad", [_, Some(times), ..]) => *times > REPEATED,
        ("generate_series", [Some(first), Some(last)]) => (last - first).abs() > SERIES,
        ("generate_series", [Some(first), Some(last), Some(step)]) => ((last - first) / step).abs() > SERIES,
        _ => false,
    };
    match name {
        _ if !is_costly => Flow::Continue(()),
        "generate_series" => ControlFlow::Break(Refusal::Costly("such a long series")),
        _ => ControlFlow::Break(Refusal::Costly("such a long text")),
    }
}

fn argument(arg: &FunctionArg) -> Option<&Expr> {
    let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = arg;
    match arg {
        FunctionArgExpr::Expr(expr) => Some(expr),
        _ => None,
    }
}

/// The number that somebody has written.
fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) | Value::SingleQuotedString(text) => text.parse().ok(),
            _ => None,
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => number(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr).map(|number| -number),
        _ => None,
    }
}

/// Whether a query calls itself for ever: every row makes one more, whatever is in it.
fn is_endless(with: &With) -> bool {
    with.cte_tables.iter().any(|table| {
        let SetExpr::SetOperation { right, .. } = &*table.query.body else { return false };
        let SetExpr::Select(select) = &**right else { return false };
        let [from] = select.from.as_slice() else { return false };
        let TableFactor::Table { name, args: None, .. } = &from.relation else { return false };
        let calls_itself = matches!(name.0.as_slice(), [part] if part.as_ident().map(folded) == Some(folded(&table.alias.name)));
        let is_limited = table.query.limit_clause.is_some() || table.query.fetch.is_some();
        calls_itself && from.joins.is_empty() && select.selection.is_none() && select.having.is_none() && !is_limited
    })
}

/// A name as PostgreSQL looks it up.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}
