//! Reads what is in a database, from its catalog.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::Value;

use super::{Column, Schema, Table, quoted, sounds_secret};
use crate::{
    admin::sql::{
        answer::Answer,
        guard,
        runner::{Database, Error, Limits},
    },
    secret::Secret,
};

/// Rows of the catalog that are read. A schema with more columns is told in part.
const ROWS: usize = 6000;
/// Columns whose values are looked at.
const SAMPLED: usize = 40;
/// Rows of a table that are looked at for them.
const LOOKED_AT: usize = 2000;
/// More values than this are no enumeration.
const FEW: usize = 12;
/// Longer values are no enumeration.
const SHORT: usize = 30;
/// What is kept of a comment.
const COMMENT: usize = 160;

const COLUMNS: &str = "\
SELECT n.nspname, c.relname, c.relkind::text, c.reltuples::bigint, obj_description(c.oid, 'pg_class'), a.attname, \
format_type(a.atttypid, a.atttypmod), a.attnotnull, col_description(c.oid, a.attnum), \
(SELECT string_agg(e.enumlabel, '|' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = a.atttypid) \
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname <> 'information_schema' \
AND n.nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT') \
ORDER BY n.nspname, c.relname, a.attnum";

const KEYS: &str = "\
SELECT n.nspname, c.relname, pg_get_constraintdef(k.oid) \
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
WHERE k.contype IN ('p', 'u', 'f') AND n.nspname NOT LIKE 'pg\\_%' ORDER BY n.nspname, c.relname, k.contype DESC, k.conname";

/// How many values a column has; less than nothing is a share of the rows. Of an inherited table there may be two lines.
const VARIETY: &str = "\
SELECT schemaname, tablename, attname, n_distinct, avg_width FROM pg_catalog.pg_stats \
WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'information_schema' ORDER BY 1, 2, 3, inherited";

pub(super) async fn read(url: &Secret) -> Result<Schema, Error> {
    // Without a path every name is written with its schema, as the tables are told.
    let limits = Limits { rows: ROWS, cell: 1024, time: Duration::from_secs(10), search_path: Vec::new(), ..Limits::default() };
    let database = Database::new(url.expose(), limits)?;
    let columns = ask(&database, COLUMNS).await?;
    let keys = ask(&database, KEYS).await?;
    let variety = ask(&database, VARIETY).await?;
    let mut schema = tables(&columns, &keys);
    let candidates = candidates(&schema, &variety);
    // Without values the tables are still worth telling.
    if let Some(values) = match sample(&schema, &candidates) {
        Some(sql) => ask(&database, &sql).await.ok(),
        None => None,
    } {
        add_values(&mut schema, &candidates, &values);
    }
    Ok(schema)
}

async fn ask(database: &Database, sql: &str) -> Result<Answer, Error> {
    let checked = guard::check(sql).map_err(|refusal| Error::Statement(refusal.to_string()))?;
    database.ask(&checked).await
}

fn text(row: &[Value], at: usize) -> String {
    match row.get(at) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A comment in one line.
fn comment(row: &[Value], at: usize) -> String {
    let words: Vec<String> = text(row, at).split_whitespace().map(str::to_owned).collect();
    words.join(" ").chars().take(COMMENT).collect()
}

fn tables(columns: &Answer, keys: &Answer) -> Schema {
    let mut tables: Vec<Table> = Vec::new();
    for row in &columns.rows {
        let (schema, name) = (text(row, 0), text(row, 1));
        if tables.last().is_none_or(|last| last.schema != schema || last.name != name) {
            let kind = if matches!(text(row, 2).as_str(), "v" | "m") { "view" } else { "table" };
            let rows = row.get(3).and_then(Value::as_i64).filter(|rows| *rows >= 0 && text(row, 2) != "v");
            tables.push(Table { schema, name, kind, comment: comment(row, 4), rows, ..Table::default() });
        }
        let values = text(row, 9).split('|').filter(|value| !value.is_empty()).map(str::to_owned).collect();
        let column = Column {
            name: text(row, 5),
            type_name: text(row, 6),
            is_required: row.get(7) == Some(&Value::Bool(true)),
            comment: comment(row, 8),
            values,
        };
        if let Some(last) = tables.last_mut() {
            last.columns.push(column);
        }
    }
    for row in &keys.rows {
        let (schema, name) = (text(row, 0), text(row, 1));
        if let Some(table) = tables.iter_mut().find(|table| table.schema == schema && table.name == name) {
            table.keys.push(text(row, 2));
        }
    }
    Schema { tables }
}

/// Parts of names that people have values under which are nobody's business.
const PRIVATE: &[&str] = &[
    "name",
    "mail",
    "phone",
    "address",
    "street",
    "city",
    "zip",
    "postal",
    "hash",
    "salt",
    "token",
    "secret",
    "pass",
    "key",
    "code",
    "session",
    "cookie",
    "ip",
    "agent",
    "url",
    "note",
    "comment",
    "message",
    "body",
    "text",
    "title",
    "subject",
    "description",
    "birth",
    "iban",
    "card",
    "ssn",
    "tax",
    "signature",
    "otp",
    "pin",
    "path",
    "file",
    "sku",
    "slug",
    "ref",
    "payload",
    "user",
];
/// Parts of names that enumerations go by.
const TELLING: &[&str] = &[
    "status",
    "state",
    "type",
    "kind",
    "level",
    "role",
    "category",
    "country",
    "currency",
    "plan",
    "tier",
    "provider",
    "source",
    "channel",
    "language",
    "locale",
    "severity",
    "priority",
    "method",
    "action",
    "outcome",
    "result",
    "reason",
    "mode",
    "event",
    "stage",
    "phase",
    "unit",
    "platform",
    "department",
    "gender",
];

/// Whether a value of this column may be shown to a model.
fn is_public(column: &str) -> bool {
    let words: Vec<String> = column.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
    !sounds_secret(column)
        && !words.iter().any(|word| PRIVATE.iter().any(|private| word == private || is_long_part(word, private)))
}

/// Whether a word has another one in it that is too long to be there by accident.
fn is_long_part(word: &str, part: &str) -> bool {
    part.len() > 3 && word.contains(part)
}

/// The columns that may have a few values only, by the places of table and column.
fn candidates(schema: &Schema, variety: &Answer) -> Vec<(usize, usize)> {
    let variety: BTreeMap<(String, String, String), (f64, f64)> = variety
        .rows
        .iter()
        .map(|row| {
            let number = |at: usize| row.get(at).and_then(Value::as_f64).unwrap_or(f64::NAN);
            ((text(row, 0), text(row, 1), text(row, 2)), (number(3), number(4)))
        })
        .collect();
    let mut found = Vec::new();
    for (at, table) in schema.tables.iter().enumerate() {
        for (place, column) in table.columns.iter().enumerate() {
            let is_text = ["text", "character", "\"char\""].iter().any(|kind| column.type_name.starts_with(kind))
                && !column.type_name.ends_with("[]");
            if !is_text || !is_public(&column.name) {
                continue;
            }
            let low = column.name.to_lowercase();
            let is_telling = TELLING.iter().any(|telling| low.split('_').any(|word| word == *telling));
            let seen = variety.get(&(table.schema.clone(), table.name.clone(), column.name.clone()));
            let repeats = match (seen, table.rows) {
                (Some((distinct, width)), Some(rows)) => {
                    #[expect(clippy::cast_precision_loss, reason = "it is an estimate to begin with")]
                    let rows = rows as f64;
                    let distinct = if *distinct < 0.0 { -distinct * rows } else { *distinct };
                    distinct <= 12.0 && distinct * 3.0 <= rows && *width <= 30.0
                }
                _ => false,
            };
            if is_telling || repeats {
                found.push((at, place));
            }
        }
    }
    found.truncate(SAMPLED);
    found
}

/// One statement that looks at all of them: at a few rows of each table, and never at a whole one.
fn sample(schema: &Schema, candidates: &[(usize, usize)]) -> Option<String> {
    let mut sql = String::new();
    for (number, (table, column)) in candidates.iter().enumerate() {
        let table = &schema.tables[*table];
        let column = quoted(&table.columns[*column].name);
        let union = if number == 0 { "" } else { " UNION ALL " };
        let from = table.quoted();
        write!(
            sql,
            "{union}(SELECT {number} AS place, d.v AS value FROM (SELECT DISTINCT s.v FROM (SELECT {column}::text AS v FROM {from} \
             LIMIT {LOOKED_AT}) s WHERE s.v IS NOT NULL ORDER BY s.v LIMIT {}) d)",
            FEW + 1
        )
        .expect("a string takes what is written to it");
    }
    (!sql.is_empty()).then_some(sql)
}

fn add_values(schema: &mut Schema, candidates: &[(usize, usize)], values: &Answer) {
    let mut found: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for row in &values.rows {
        let place = row.first().and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok());
        found.entry(place.unwrap_or(usize::MAX)).or_default().push(text(row, 1));
    }
    for (number, values) in found {
        let is_enumeration = values.len() <= FEW && values.iter().all(|value| value.chars().count() <= SHORT);
        if let (Some((table, column)), true) = (candidates.get(number), is_enumeration) {
            schema.tables[*table].columns[*column].values = values;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_questions_pass_the_guard() {
        for sql in [COLUMNS, KEYS, VARIETY] {
            guard::check(sql).unwrap_or_else(|refusal| panic!("{refusal}: {sql}"));
        }
        let column = |name: &str| Column { name: name.to_owned(), type_name: "text".to_owned(), ..Column::default() };
        let table = Table {
            schema: "shop".to_owned(),
            name: "Odd \"one".to_owned(),
            columns: vec![column("status"), column("order")],
            ..Table::default()
        };
        let sql = sample(&Schema { tables: vec![table] }, &[(0, 0), (0, 1)]).unwrap();
        guard::check(&sql).unwrap_or_else(|refusal| panic!("{refusal}: {sql}"));
    }

    #[test]
    fn nothing_is_taken_from_columns_that_sound_like_a_secret_or_a_person() {
        for name in [
            "password",
            "password_hash",
            "api_key",
            "refresh_token",
            "email",
            "full_name",
            "phone_number",
            "ip",
            "client_ip",
            "otp_secret",
        ] {
            assert!(!is_public(name), "{name}");
        }
        for name in ["status", "country", "kind", "currency", "shipping_method", "tier"] {
            assert!(is_public(name), "{name}");
        }
    }
}
