//! The answer to a question, for people, for programs and for a spreadsheet.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;
use serde_json::Value;

/// Whole numbers up to here are the same in every program that reads JSON.
const EXACT: i64 = 1 << 53;

/// The rows that a question found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The statement as it was run.
    pub sql: String,
    /// Whose rights it was run with.
    pub role: String,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows than these.
    pub truncated: bool,
    /// How many values were cut off because they are too long.
    pub cut: usize,
    /// What PostgreSQL expected it to cost, in its own unit; none for what it makes no plan for.
    pub cost: Option<f64>,
    /// How long it took.
    pub took: Duration,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name, which need not be the only one of that name.
    pub name: String,
    /// Its type, as PostgreSQL calls it.
    #[serde(rename = "type")]
    pub type_name: String,
}

impl Answer {
    /// The rows as CSV (RFC 4180), with the names of the columns first. Nothing stands for NULL.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = line(self.columns.iter().map(|column| column.name.clone()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })));
        }
        text
    }
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for (number, field) in fields.enumerate() {
        if number > 0 {
            text.push(',');
        }
        let is_plain = !field.contains(['"', ',', '\n', '\r']) && field.trim() == field;
        let written = if is_plain { write!(text, "{field}") } else { write!(text, "\"{}\"", field.replace('"', "\"\"")) };
        written.expect("a string takes what is written to it");
    }
    text.push_str("\r\n");
    text
}

/// A value of this type, which PostgreSQL wrote as text, for JSON. What JSON's numbers would change stays text.
pub(super) fn value(text: &str, type_name: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    match type_name {
        "boolean" => match text {
            "t" => Value::Bool(true),
            "f" => Value::Bool(false),
            _ => as_text(),
        },
        "smallint" | "integer" | "bigint" | "oid" => match text.parse::<i64>() {
            Ok(number) if number.abs() <= EXACT => Value::from(number),
            _ => as_text(),
        },
        "real" | "double precision" | "numeric" => {
            let digits = text.chars().filter(char::is_ascii_digit).count();
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && digits <= 15);
            number.map_or_else(as_text, Value::from)
        }
        _ => as_text(),
    }
}

/// At most so many bytes of a text, and whether that is less than all of it.
pub(super) fn shorten(text: &str, limit: usize) -> (String, bool) {
    if text.len() <= limit {
        return (text.to_owned(), false);
    }
    let end = text.floor_char_boundary(limit);
    (format!("{}…", &text[..end]), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_only_where_nothing_of_it_is_lost() {
        assert_eq!(value("9007199254740992", "bigint"), Value::from(9_007_199_254_740_992_i64));
        assert_eq!(value("9007199254740993", "bigint"), Value::from("9007199254740993"));
        assert_eq!(value("19.90", "numeric"), Value::from(19.9));
        assert_eq!(value("0.1234567890123456789", "numeric"), Value::from("0.1234567890123456789"));
        assert_eq!(value("NaN", "double precision"), Value::from("NaN"));
        assert_eq!(value("t", "boolean"), Value::from(true));
        assert_eq!(value("1", "text"), Value::from("1"));
    }

    #[test]
    fn csv_keeps_what_a_spreadsheet_would_take_apart() {
        let columns = ["id", "na\"me"].map(|name| Column { name: name.to_owned(), type_name: "text".to_owned() });
        let answer = Answer {
            sql: String::new(),
            role: String::new(),
            columns: columns.to_vec(),
            rows: vec![vec![Value::from(1), Value::from("a, b\nc")], vec![Value::Null, Value::from(true)]],
            truncated: false,
            cut: 0,
            cost: None,
            took: Duration::ZERO,
        };
        assert_eq!(answer.csv(), "id,\"na\"\"me\"\r\n1,\"a, b\nc\"\r\n,true\r\n");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("aé", 2), ("a…".to_owned(), true));
        assert_eq!(shorten("aé", 3), ("aé".to_owned(), false));
    }
}
