//! Questions to the database of the stack.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::Talk;
use crate::{
    admin::{
        database::{self, DATABASE_URL},
        intent,
        model::Error as ModelError,
        sql::{
            answer::Answer,
            author::{self, Failed, Written},
            forms, guard,
            runner::Error,
            schema::Schema,
        },
    },
    secret::Secret,
};

/// How long is waited for the tables where they may have nothing to do with what was said.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why there are no rows.
enum Unanswered {
    /// The statement is to blame, and another one may do.
    Statement(String),
    /// Another statement would fare no better.
    Database(String),
}

impl Talk<'_> {
    /// Asks the database of the Environment, behind both walls: the statement is shown in full, and so is what became of it.
    pub(super) async fn database(&self, question: &str) {
        if !is_sql(question) && guard::check(question).is_err() {
            return self.in_words(question).await;
        }
        if let Err(Unanswered::Statement(why) | Unanswered::Database(why)) = self.query(question).await {
            self.answer.text(why);
        }
    }

    /// A question in words: said in SQL by us where that is plain, and by a model where it is not.
    async fn in_words(&self, question: &str) {
        if forms::is_about_tables(question) {
            if let Err(Unanswered::Statement(why) | Unanswered::Database(why)) = self.query(forms::TABLES).await {
                self.answer.text(why);
            }
            return;
        }
        let Some(schema) = self.schema().await else { return };
        match forms::statement(question, &schema) {
            Some(forms::Plain::Statement(sql)) => {
                if let Err(Unanswered::Statement(why) | Unanswered::Database(why)) = self.query(&sql).await {
                    self.answer.text(why);
                }
                return;
            }
            Some(forms::Plain::Which(questions)) => {
                self.answer.text("There are several tables of that name. Which one?");
                return self.answer.instead(questions);
            }
            None => {}
        }
        if !self.may_be_told(question) {
            return;
        }
        let tables = schema.for_question(question);
        let Some(written) = self.written(&tables, question, None).await else { return };
        let Some((sql, why)) = self.try_written(written).await else { return };
        // Once more, with what went wrong: a name that is not quite right is the most usual of errors.
        self.answer.text(format!("{why} The model is asked once more."));
        let Some(tables) = self.schema().await.map(|schema| schema.for_question(question)) else { return };
        let Some(written) = self.written(&tables, question, Some(Failed { sql: &sql, error: &why })).await else { return };
        if let Some((_, why)) = self.try_written(written).await {
            self.answer.text(format!("{why} You can ask in SQL as well."));
        }
    }

    /// Whether it is a plain question about a table that there is: whatever else it may be, it needs no model.
    pub(super) async fn is_about_a_table(&self, text: &str) -> bool {
        if forms::is_about_tables(text) {
            return true;
        }
        let Some(url) = database::url(self.operator).filter(|_| forms::is_plain(text)) else { return false };
        // A database that is away shall not keep a model from being asked.
        let schema = tokio::time::timeout(PATIENCE, self.schemas.of(&url)).await;
        matches!(schema, Ok(Ok(schema)) if forms::statement(text, &schema).is_some())
    }

    /// Runs what a model wrote. Some statement, and why it did not work, if another one may.
    async fn try_written(&self, Written { sql, explanation }: Written) -> Option<(String, String)> {
        if !explanation.is_empty() {
            self.answer.text(explanation);
        }
        let sql = sql?;
        match self.query(&sql).await {
            Ok(()) => None,
            Err(Unanswered::Database(why)) => {
                self.answer.text(why);
                None
            }
            Err(Unanswered::Statement(why)) => {
                // Perhaps the tables are not what they were.
                self.schemas.forget();
                Some((sql, why))
            }
        }
    }

    /// What a model writes for a question. None when there is nothing: then it has been said why.
    async fn written(&self, tables: &str, question: &str, failed: Option<Failed<'_>>) -> Option<Written> {
        let request = author::question(tables, question, self.operator.now(), failed);
        let written = self.put(&request, "to say a question in SQL").await?.and_then(|(_, reply)| author::read(&reply.text));
        self.or_say(written)
    }

    /// Shows the statement that a change needs, tries it and takes that back, and asks whether it shall be made.
    pub(super) async fn change(&self, request: &str) {
        let Some(Written { sql, explanation }) = self.change_in_sql(request).await else { return };
        if !explanation.is_empty() {
            self.answer.text(explanation);
        }
        if let Some(sql) = sql {
            self.propose_rows(&sql).await;
        }
    }

    /// The statement for a change that was asked for: as it was said if that is SQL, or as a model writes it. It is not run. None
    /// when there is none: then it has been said why.
    async fn change_in_sql(&self, request: &str) -> Option<Written> {
        if is_change(request) {
            return Some(Written { sql: Some(request.trim().trim_end_matches(';').to_owned()), explanation: String::new() });
        }
        if !self.may_be_told(request) {
            return None;
        }
        let schema = self.schema().await?;
        let asked = author::change(&schema.for_question(request), request, self.operator.now());
        let written = self.put(&asked, "to say a change in SQL").await?.and_then(|(_, reply)| author::read(&reply.text));
        self.or_say(written)
    }

    fn or_say(&self, written: Result<Written, ModelError>) -> Option<Written> {
        let say = |error| self.answer.text(format!("No model could say that in SQL: {error}. SQL itself I can ask without one."));
        written.map_err(say).ok()
    }

    /// The address of the database. None when there is none: then that has been said.
    fn database_url(&self) -> Option<Secret> {
        let url = database::url(self.operator);
        if url.is_none() {
            self.answer.text(format!("No Environment has a {DATABASE_URL}, so there is no database to ask."));
        }
        url
    }

    /// What is in the database. None when that cannot be seen: then it has been said why.
    async fn schema(&self) -> Option<Arc<Schema>> {
        let url = self.database_url()?;
        let schema = self.schemas.of(&url).await;
        schema
            .map_err(|error| self.answer.text(format!("What is in the database cannot be seen: {}", crate::error_chain(&error))))
            .ok()
    }

    async fn query(&self, sql: &str) -> Result<(), Unanswered> {
        let checked = match guard::check(sql) {
            Ok(checked) => checked,
            Err(refusal) => {
                self.answer.code("sql", sql);
                return Err(Unanswered::Statement(format!("Not asked: {refusal}.")));
            }
        };
        let Some(url) = self.database_url() else { return Ok(()) };
        self.answer.code("sql", checked.sql());
        let answered = tokio::select! {
            answered = database::put(self.operator, &self.speaker.actor, &url, &checked) => answered,
            // The database stops looking when nobody waits.
            () = self.answer.0.closed() => return Ok(()),
        };
        match answered {
            Ok(found) => {
                self.found(&found);
                Ok(())
            }
            Err(error) => {
                let why = format!("{}.", crate::error_chain(&error));
                Err(match error {
                    Error::Statement(_) | Error::Writes(_) | Error::Forbidden { .. } | Error::Costly { .. } | Error::Big(_) => {
                        Unanswered::Statement(why)
                    }
                    _ => Unanswered::Database(why),
                })
            }
        }
    }

    fn found(&self, found: &Answer) {
        let rows = if found.rows.len() == 1 { "row" } else { "rows" };
        let more = if found.truncated { ", and there are more" } else { "" };
        let cut = if found.cut > 0 { format!("; {} values are cut off", found.cut) } else { String::new() };
        let cost = found.cost.map(|cost| format!(", at a cost of {cost:.0}")).unwrap_or_default();
        let took = found.took.as_millis();
        self.answer.text(format!("{} {rows}{more}, as {}, in {took} ms{cost}{cut}", found.rows.len(), found.role));
        let head: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
        let rows = found.rows.iter().map(|row| row.iter().map(text_of).collect()).collect();
        self.answer.table("There are none.", &head, rows);
    }
}

/// Whether it is SQL that changes something, right or wrong.
fn is_change(request: &str) -> bool {
    let low = request.to_lowercase();
    let words: Vec<&str> = low.split_whitespace().take(3).collect();
    match words.as_slice() {
        ["insert", "into", ..] | ["delete", "from", ..] | ["truncate", ..] => true,
        ["update", ..] => intent::is_update(request),
        ["drop" | "alter" | "create", object, ..] => ["table", "index", "view", "schema"].contains(object),
        ["with", _, "as"] => low.contains(" as ("),
        _ => false,
    }
}

/// Whether a line that is no sentence is a question in SQL, right or refused for what it does.
pub(super) fn is_question(text: &str) -> bool {
    match guard::check(text) {
        Ok(_) => true,
        Err(guard::Refusal::NotUnderstood(_) | guard::Refusal::Unreadable(_)) => false,
        Err(_) => is_sql(text),
    }
}

/// Whether it is meant as SQL, right or wrong.
fn is_sql(question: &str) -> bool {
    let low = question.to_lowercase();
    let mut words = low.split(|c: char| c.is_whitespace() || c == '(').filter(|word| !word.is_empty());
    match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
        ("select" | "values" | "explain", _) => true,
        // These begin many a sentence as well.
        ("with", second) => second == "recursive" || low.contains(" as (") || low.contains(" as materialized"),
        ("table", _) => guard::check(question).is_ok(),
        ("show", setting) => setting.contains('_') && guard::check(question).is_ok(),
        _ => false,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
