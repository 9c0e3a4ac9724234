//! Questions about a database that are so plain that no model is needed to say them in SQL.

use super::schema::{Schema, Table, quoted, sounds_secret, stem};

/// Rows that are shown when nobody says how many.
const ROWS: u32 = 10;
/// Rows that are shown at most.
const MOST: u32 = 200;

/// The tables that there are.
pub const TABLES: &str = "SELECT table_schema, table_name FROM information_schema.tables \
                          WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2";

/// Words that say nothing here.
const FILLERS: &[&str] = &[
    "the", "a", "an", "my", "our", "please", "me", "of", "in", "from", "are", "is", "there", "do", "does", "have", "has",
    "table", "view", "database", "all", "what", "which", "show", "list", "give", "get", "on", "for", "i", "we", "can", "you",
    "tell", "about",
];

/// Whether somebody asks which tables there are, and nothing else.
#[must_use]
pub fn is_about_tables(question: &str) -> bool {
    if matches!(question.trim(), "\\d" | "\\dt") {
        return true;
    }
    let words = words(question);
    let rest = words.iter().filter(|word| !FILLERS.contains(&word.as_str()));
    words.iter().any(|word| word == "tables") && rest.clone().all(|word| word == "tables" || word == "exist") && rest.count() < 3
}

/// What becomes of a plain question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// It is this statement.
    Statement(String),
    /// It is one of these questions: there are several tables of that name.
    Which(Vec<String>),
}

/// What is asked about a table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// How many rows it has.
    Count,
    /// What columns it has.
    Columns,
    /// Some of its rows.
    Rows { end: Option<End>, limit: u32 },
}

/// Where the rows are that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// Rows in words.
const ROW_WORDS: &[&str] = &["rows", "row", "records", "record", "entries", "entry"];
/// Columns in words.
const COLUMN_WORDS: &[&str] = &["describe", "columns", "column", "structure"];
const LAST: &[&str] = &["last", "latest", "newest"];
const FIRST: &[&str] = &["first", "oldest"];

/// Whether it is of one of these forms, whatever it is about.
#[must_use]
pub fn is_plain(question: &str) -> bool {
    asked(question).is_some()
}

/// The statement for a question of one of these forms: how many rows there are in a table, what columns it has, some of its rows.
#[must_use]
pub fn statement(question: &str, schema: &Schema) -> Option<Plain> {
    let (asked, words) = asked(question)?;
    // "Time entries" may be what the table is called.
    let names = |word: &String| !ROW_WORDS.contains(&word.as_str());
    let mut tables = called(schema, &words.iter().filter(|word| names(word)).cloned().collect::<Vec<_>>());
    if tables.is_empty() {
        tables = called(schema, &words);
    }
    let table = match tables.as_slice() {
        [] => return None,
        [table] => *table,
        several => {
            let which = |table: &&Table| match &asked {
                Asked::Count => format!("how many rows are in {}.{}?", table.schema, table.name),
                Asked::Columns => format!("describe the table {}.{}", table.schema, table.name),
                Asked::Rows { end: Some(End::Last), limit } => {
                    format!("show the last {limit} rows of {}.{}", table.schema, table.name)
                }
                Asked::Rows { limit, .. } => format!("show the first {limit} rows of {}.{}", table.schema, table.name),
            };
            return Some(Plain::Which(several.iter().map(|table| format!("ask the database: {}", which(table))).collect()));
        }
    };
    let statement = match asked {
        Asked::Count => format!("SELECT count(*) AS rows FROM {}", table.quoted()),
        Asked::Columns => columns_of(table),
        Asked::Rows { end, limit } => rows_of(table, end, limit)?,
    };
    Some(Plain::Statement(statement))
}

/// What is asked, and the words that are left for the table. None if the question is of another form.
fn asked(question: &str) -> Option<(Asked, Vec<String>)> {
    // As `psql` has it.
    let described = ["\\d+ ", "\\d "].iter().find_map(|command| question.trim().strip_prefix(command));
    if let Some(table) = described {
        return Some((Asked::Columns, words(table)));
    }
    let words = words(question);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    let left = |used: &[&[&str]]| {
        let is_used = |word: &str| FILLERS.contains(&word) || used.iter().any(|used| used.contains(&word));
        words.iter().filter(|word| !is_used(word)).cloned().collect::<Vec<_>>()
    };
    let begins = |phrase: &[&str]| words.len() > phrase.len() && words.iter().zip(phrase).all(|(word, said)| word == said);
    let counts = begins(&["how", "many"])
        || begins(&["count"])
        || begins(&["number", "of"])
        || begins(&["what", "is", "the", "number", "of"]);
    let found = if counts {
        (Asked::Count, left(&[&["how", "many", "count", "number", "exist"]]))
    } else if has(COLUMN_WORDS) {
        (Asked::Columns, left(&[COLUMN_WORDS]))
    } else {
        let asks = has(&["show", "list", "display", "give", "get", "print", "what", "which"]);
        let end = if has(LAST) { Some(End::Last) } else { has(FIRST).then_some(End::First) };
        // More than one number is about something else.
        let mut numbers = words.iter().filter(|word| word.parse::<u32>().is_ok());
        let number = numbers.next().cloned().unwrap_or_default();
        if numbers.next().is_some() || !(has(ROW_WORDS) || asks && (end.is_some() || !number.is_empty() || has(&["table"]))) {
            return None;
        }
        let limit = number.parse().unwrap_or(ROWS).clamp(1, MOST);
        (Asked::Rows { end, limit }, left(&[&[number.as_str(), "display", "print"], LAST, FIRST]))
    };
    (!found.1.is_empty()).then_some(found)
}

fn columns_of(table: &Table) -> String {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    format!(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = {} AND table_name = {} \
         ORDER BY ordinal_position",
        text(&table.schema),
        text(&table.name)
    )
}

/// None where rows have no last one.
fn rows_of(table: &Table, end: Option<End>, limit: u32) -> Option<String> {
    let order = match (order(table), end) {
        (Some(order), Some(End::Last)) => format!(" ORDER BY {order} DESC"),
        (Some(order), _) => format!(" ORDER BY {order}"),
        (None, Some(_)) => return None,
        (None, None) => String::new(),
    };
    // What sounds like a secret is nothing to be shown unasked.
    let columns: Vec<String> =
        table.columns.iter().filter(|column| !sounds_secret(&column.name)).map(|column| quoted(&column.name)).collect();
    Some(format!("SELECT {} FROM {}{order} LIMIT {limit}", columns.join(", "), table.quoted()))
}

fn words(question: &str) -> Vec<String> {
    let words = question.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).map(|word| word.trim_matches('.'));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The tables that are meant by these words, if they mean nothing else.
fn called<'a>(schema: &'a Schema, words: &[String]) -> Vec<&'a Table> {
    let said = words.join("_");
    let name = |table: &Table| table.name.to_lowercase().replace(' ', "_");
    let is_exactly = |table: &Table| said == name(table) || said == format!("{}.{}", table.schema.to_lowercase(), name(table));
    let is_about = |table: &Table| match said.split_once('.') {
        Some((schema, said)) => schema == table.schema.to_lowercase() && stem(said) == stem(&name(table)),
        None => stem(&said) == stem(&name(table)),
    };
    if said.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<&Table> = schema.tables.iter().filter(|table| is_exactly(table)).collect();
    if found.is_empty() {
        found = schema.tables.iter().filter(|table| is_about(table)).collect();
    }
    // What SQL would take without the schema's name is what people mean without it.
    if found.iter().filter(|table| table.schema == "public").count() == 1 {
        found.retain(|table| table.schema == "public");
    }
    found
}

/// What the rows of a table are in the order of: when they came, or the number that they got.
fn order(table: &Table) -> Option<String> {
    let is_time = |type_name: &str| type_name.starts_with("timestamp") || type_name == "date";
    let named = ["created_at", "inserted_at", "at", "created", "occurred_at", "timestamp", "ordered_at", "date"];
    let by_name =
        named.iter().find_map(|name| table.columns.iter().find(|column| column.name == *name && is_time(&column.type_name)));
    // The only one, or the only one that is always there: the others say what came later.
    let only_time = |is_required: bool| {
        let mut times = table.columns.iter().filter(|column| is_time(&column.type_name) && (column.is_required || !is_required));
        times.next().filter(|_| times.next().is_none())
    };
    let is_number = |type_name: &str| matches!(type_name, "integer" | "bigint");
    let number = |name: &str| table.columns.iter().find(|column| column.name == name && is_number(&column.type_name));
    let key = || {
        let keys = table.keys.iter().filter_map(|key| key.strip_prefix("PRIMARY KEY (")?.strip_suffix(')'));
        keys.map(|column| column.trim_matches('"')).find_map(number)
    };
    by_name
        .or_else(|| only_time(false))
        .or_else(|| only_time(true))
        .or_else(|| number("id"))
        .or_else(key)
        .map(|column| quoted(&column.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::sql::schema::Column;

    fn schema() -> Schema {
        let column = |(name, type_name): (&str, &str)| Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            ..Column::default()
        };
        let table = |schema: &str, name: &str, columns: &[(&str, &str)]| Table {
            schema: schema.to_owned(),
            name: name.to_owned(),
            columns: columns.iter().copied().map(column).collect(),
            ..Table::default()
        };
        let users = [("id", "integer"), ("email", "text"), ("password_hash", "text"), ("created_at", "timestamp with time zone")];
        Schema {
            tables: vec![
                table("auth", "users", &users),
                table("public", "order_items", &[("id", "bigint")]),
                table("a", "twice", &[("id", "bigint")]),
                table("b", "twice", &[("id", "bigint")]),
                table("a", "It's odd", &[("x", "text")]),
                Table {
                    columns: vec![
                        column(("id", "integer")),
                        Column { is_required: true, ..column(("opened_at", "date")) },
                        column(("closed_at", "date")),
                    ],
                    ..table("a", "tickets", &[])
                },
                table("a", "time entries", &[("day", "date")]),
                table("a", "loose", &[("x", "text")]),
                Table {
                    keys: vec!["PRIMARY KEY (nr)".to_owned()],
                    ..table("a", "keyed", &[("nr", "integer"), ("note", "text")])
                },
            ],
        }
    }

    #[test]
    fn plain_questions_about_a_table_need_no_model() {
        let statement = |question: &str| match statement(question, &schema()) {
            Some(Plain::Statement(sql)) => sql,
            Some(Plain::Which(which)) => which.join(" | "),
            None => "none".to_owned(),
        };
        let count = "SELECT count(*) AS rows FROM auth.users";
        for question in [
            "How many rows are in the users table?",
            "how many rows in auth.users",
            "How many records does user have?",
            "how many users are there?",
            "How many users exist",
            "how many auth.users do we have?",
            "count the users",
            "what is the number of users?",
        ] {
            assert_eq!(statement(question), count, "{question}");
        }
        let last = "SELECT id, email, created_at FROM auth.users ORDER BY created_at DESC LIMIT 5";
        assert_eq!(statement("show the last 5 rows of users"), last);
        assert_eq!(statement("show me the first rows of order items"), "SELECT id FROM public.order_items ORDER BY id LIMIT 10");
        assert!(
            statement("describe the table users")
                .ends_with("table_schema = 'auth' AND table_name = 'users' ORDER BY ordinal_position")
        );
        for question in
            ["what columns does order_items have?", "\\d order_items", "\\d+ public.order_items", "describe public.order_item"]
        {
            assert!(statement(question).contains("table_name = 'order_items'"), "{question}");
        }
        assert_eq!(statement("show the last 5 users"), last);
        assert_eq!(
            statement("show me the 3 newest order items").replace(" DESC", ""),
            "SELECT id FROM public.order_items ORDER BY id LIMIT 3"
        );
        assert_eq!(statement("show 3 rows of It_s_odd"), "none");
        assert_eq!(statement("show 3 rows of auth.users"), last.replace(" DESC", "").replace('5', "3"));
        assert_eq!(statement("show me the users table"), last.replace(" DESC", "").replace('5', "10"));
        assert_eq!(statement("show 2 rows of loose"), "SELECT x FROM a.loose LIMIT 2");
        assert_eq!(statement("how many time entries are there?"), "SELECT count(*) AS rows FROM a.\"time entries\"");
        assert!(statement("show the last ticket").ends_with("ORDER BY opened_at DESC LIMIT 10"));
        assert_eq!(statement("show the last 2 rows of keyed"), "SELECT nr, note FROM a.keyed ORDER BY nr DESC LIMIT 2");
        let which = |form: &str| ["a", "b"].map(|schema| format!("ask the database: {}", form.replace('*', schema))).join(" | ");
        assert_eq!(statement("how many rows in twice"), which("how many rows are in *.twice?"));
        assert_eq!(statement("describe twice"), which("describe the table *.twice"));
        assert_eq!(statement("show the last 4 twice"), which("show the last 4 rows of *.twice"));
        for other in [
            "how many users signed up this week?",
            "how many rows in users have no email",
            "how many users are there in Berlin?",
            "how many containers are there?",
            "show the last 5 log lines",
            "show the last 2 of loose",
            "show users 3 and 4",
            "show the audit log",
            "users",
            "show the last 5 rows of It's odd",
            "describe the situation",
            "how many rows",
        ] {
            assert_eq!(statement(other), "none", "{other}");
        }
    }

    #[test]
    fn which_tables_there_are_is_one_of_them() {
        for question in ["What tables are in my database?", "list all tables", "show me the tables", "which tables exist"] {
            assert!(is_about_tables(question), "{question}");
        }
        for question in ["which tables are the biggest?", "what is on the kitchen tables", "show the users table"] {
            assert!(!is_about_tables(question), "{question}");
        }
    }
}
