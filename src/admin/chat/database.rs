//! Questions to the database of the stack.

use serde_json::Value;

use super::Talk;
use crate::admin::sql::{
    answer::Answer,
    guard,
    runner::{Database, Limits},
};

/// Where the URL of the database is.
const DATABASE_URL: &str = "DATABASE_URL";

/// What can be asked in plain words without any model.
const TABLES: &str = "SELECT table_schema, table_name FROM information_schema.tables \
                      WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2";

impl Talk<'_> {
    /// Asks the database of the Environment, behind both walls: the statement is shown in full, and so is what became of it.
    pub(super) async fn database(&self, question: &str) {
        let words = question.to_lowercase();
        let is_about_tables = words.contains("table") && ["what", "which", "list", "show"].iter().any(|ask| words.contains(ask));
        let begins = |word: &&str| words.trim_start().starts_with(*word);
        let is_sql = ["select", "with", "values", "table ", "explain"].iter().any(begins);
        match (is_sql, is_about_tables) {
            (true, _) => self.query(question).await,
            (false, true) => self.query(TABLES).await,
            (false, false) => {
                self.answer.text("That is for the database, and no model is asked yet that could say it in SQL; SQL I can ask.");
            }
        }
    }

    async fn query(&self, sql: &str) {
        let checked = match guard::check(sql) {
            Ok(checked) => checked,
            Err(refusal) => return self.answer.text(format!("Not asked: {refusal}")),
        };
        let Some(url) = self.operator.variable(DATABASE_URL) else {
            return self.answer.text(format!("No Environment has a {DATABASE_URL}, so there is no database to ask."));
        };
        self.answer.code("sql", checked.sql());
        let answered = match Database::new(url.expose(), Limits::default()) {
            Ok(database) => database.ask(&checked).await,
            Err(error) => Err(error),
        };
        let error = answered.as_ref().err().map(|error| crate::error_chain(error));
        let words = format!("ask the database: {}", checked.sql());
        self.operator.note(&self.speaker.actor, "AskDatabase", &words, error.as_deref()).await;
        match answered {
            Ok(found) => self.found(&found),
            Err(error) => self.answer.text(crate::error_chain(&error)),
        }
    }

    fn found(&self, found: &Answer) {
        let more = if found.truncated { ", and there are more" } else { "" };
        self.answer.text(format!("{} rows{more}, as {}, in {} ms", found.rows.len(), found.role, found.took.as_millis()));
        let head: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
        let rows = found.rows.iter().map(|row| row.iter().map(text_of).collect()).collect();
        self.answer.table("There are none.", &head, rows);
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
