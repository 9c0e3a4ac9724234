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
    let words = words(question);
    let rest = words.iter().filter(|word| !FILLERS.contains(&word.as_str()));
    words.iter().any(|word| word == "tables") && rest.clone().all(|word| word == "tables" || word == "exist") && rest.count() < 3
}

/// The statement for a question of one of these forms: how many rows there are in a table, what columns it has, its last rows.
#[must_use]
pub fn statement(question: &str, schema: &Schema) -> Option<String> {
    let words = words(question);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    let used = |used: &[&str]| {
        let rest = words.iter().filter(|word| !FILLERS.contains(&word.as_str()) && !used.contains(&word.as_str()));
        rest.cloned().collect::<Vec<_>>()
    };
    let rows = ["rows", "row", "records", "record", "entries", "entry"];
    if words.starts_with(&["how".to_owned(), "many".to_owned()]) && has(&rows) {
        let table = one(schema, &used(&[&["how", "many"], rows.as_slice()].concat()))?;
        return Some(format!("SELECT count(*) AS rows FROM {}", table.quoted()));
    }
    if has(&["describe", "columns", "structure"]) {
        let table = one(schema, &used(&["describe", "columns", "structure"]))?;
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        return Some(format!(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = {} AND table_name = {} \
             ORDER BY ordinal_position",
            text(&table.schema),
            text(&table.name)
        ));
    }
    let ends = ["last", "latest", "newest", "first", "oldest"];
    if has(&ends) && has(&rows) {
        let number = words.iter().find_map(|word| word.parse::<u32>().ok());
        let number_word = number.map(|number| number.to_string()).unwrap_or_default();
        let table = one(schema, &used(&[&[number_word.as_str()], ends.as_slice(), rows.as_slice()].concat()))?;
        let order = order(table)?;
        let way = if has(&["first", "oldest"]) { "" } else { " DESC" };
        // What sounds like a secret is nothing to be shown unasked.
        let columns: Vec<String> =
            table.columns.iter().filter(|column| !sounds_secret(&column.name)).map(|column| quoted(&column.name)).collect();
        let limit = number.unwrap_or(ROWS).clamp(1, MOST);
        return Some(format!("SELECT {} FROM {} ORDER BY {order}{way} LIMIT {limit}", columns.join(", "), table.quoted()));
    }
    None
}

fn words(question: &str) -> Vec<String> {
    let words = question.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).map(|word| word.trim_matches('.'));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The only table that is meant by these words, if they mean nothing else.
fn one<'a>(schema: &'a Schema, words: &[String]) -> Option<&'a Table> {
    let said = words.join("_");
    let is_called = |table: &&Table| {
        let name = table.name.to_lowercase().replace(' ', "_");
        let full = format!("{}.{name}", table.schema.to_lowercase());
        said == name || said == full || stem(&said) == stem(&name)
    };
    let mut found: Vec<&Table> = schema.tables.iter().filter(is_called).collect();
    if found.len() > 1 {
        found.retain(|table| table.schema == "public");
    }
    match found.as_slice() {
        [table] if !said.is_empty() => Some(table),
        _ => None,
    }
}

/// What the rows of a table are in the order of: when they came, or the number that they got.
fn order(table: &Table) -> Option<String> {
    let is_time = |type_name: &str| type_name.starts_with("timestamp") || type_name == "date";
    let named = ["created_at", "inserted_at", "at", "created", "occurred_at", "timestamp", "ordered_at", "date"];
    let by_name =
        named.iter().find_map(|name| table.columns.iter().find(|column| column.name == *name && is_time(&column.type_name)));
    let only_time = || {
        let mut times = table.columns.iter().filter(|column| is_time(&column.type_name));
        times.next().filter(|_| times.next().is_none())
    };
    let is_number = |type_name: &str| matches!(type_name, "integer" | "bigint");
    let number = || table.columns.iter().find(|column| column.name == "id" && is_number(&column.type_name));
    by_name.or_else(only_time).or_else(number).map(|column| quoted(&column.name))
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
            ],
        }
    }

    #[test]
    fn plain_questions_about_a_table_need_no_model() {
        let statement = |question: &str| statement(question, &schema()).unwrap_or_else(|| "none".to_owned());
        let count = "SELECT count(*) AS rows FROM auth.users";
        for question in
            ["How many rows are in the users table?", "how many rows in auth.users", "How many records does user have?"]
        {
            assert_eq!(statement(question), count, "{question}");
        }
        let last = "SELECT id, email, created_at FROM auth.users ORDER BY created_at DESC LIMIT 5";
        assert_eq!(statement("show the last 5 rows of users"), last);
        assert_eq!(statement("show me the first rows of order items"), "SELECT id FROM public.order_items ORDER BY id LIMIT 10");
        assert!(
            statement("describe the table users")
                .ends_with("table_schema = 'auth' AND table_name = 'users' ORDER BY ordinal_position")
        );
        assert!(statement("what columns does order_items have?").contains("'order_items'"));
        for other in [
            "how many users signed up this week?",
            "how many rows in twice",
            "how many rows in users have no email",
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
