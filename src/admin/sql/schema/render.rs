//! The tables as text, those first that a question seems to be about.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Schema, Table, quoted};

/// What a small model has room for, beside our instructions.
const LONGEST: usize = 12 * 1024;
/// The names of the tables for which there is no room.
const LONGEST_NAMES: usize = 2 * 1024;
/// Columns of a table that are told.
const COLUMNS: usize = 80;

impl Schema {
    /// What is there, in a bounded size, with the tables first that the question has words of.
    #[must_use]
    pub fn for_question(&self, question: &str) -> String {
        let mut tables: Vec<(usize, &Table)> = self.scores(question).into_iter().zip(&self.tables).collect();
        tables.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let mut text = String::new();
        let mut others: Vec<String> = Vec::new();
        for (_, table) in tables {
            let told = table.told();
            if text.len() + told.len() <= LONGEST {
                text.push_str(&told);
            } else {
                others.push(table.quoted());
            }
        }
        if !others.is_empty() {
            let names = others.join(", ");
            let end = names.floor_char_boundary(LONGEST_NAMES);
            let more = if end < names.len() { ", …" } else { "" };
            writeln!(text, "And without their columns: {}{more}", &names[..end]).expect("a string takes what is written to it");
        }
        text
    }

    /// How much of the question is in each table.
    fn scores(&self, question: &str) -> Vec<usize> {
        let asked: BTreeSet<String> = words(question).collect();
        let shares = |text: &str| words(text).filter(|word| asked.contains(word)).count();
        let own: Vec<usize> = self
            .tables
            .iter()
            .map(|table| {
                let columns: usize = table
                    .columns
                    .iter()
                    .map(|column| shares(&column.name) + shares(&column.comment).min(1) + shares(&column.values.join(" ")))
                    .sum();
                8 * shares(&table.name) + 2 * shares(&table.comment).min(2) + columns.min(6)
            })
            .collect();
        // What a table refers to, or is referred to by, is often needed to say what it means.
        let refers = |table: &Table, other: &Table| {
            let target = format!("REFERENCES {}(", other.quoted());
            table.keys.iter().any(|key| key.contains(&target))
        };
        let near = |table: &Table| {
            let about = self.tables.iter().zip(&own).filter(|(_, score)| **score >= 8);
            usize::from(about.into_iter().any(|(other, _)| refers(table, other) || refers(other, table)))
        };
        self.tables.iter().zip(&own).map(|(table, score)| score + 4 * near(table)).collect()
    }
}

impl Table {
    fn told(&self) -> String {
        let rows = self.rows.map(|rows| format!(", about {rows} rows")).unwrap_or_default();
        let mut text = format!("{} ({}{rows}){}\n", self.quoted(), self.kind, note(&self.comment));
        for column in self.columns.iter().take(COLUMNS) {
            let required = if column.is_required { " not null" } else { "" };
            let values =
                if column.values.is_empty() { String::new() } else { format!(", one of: {}", column.values.join(" | ")) };
            let line = format!("  {} {}{required}{values}{}\n", quoted(&column.name), column.type_name, note(&column.comment));
            text.push_str(&line);
        }
        for key in &self.keys {
            writeln!(text, "  {key}").expect("a string takes what is written to it");
        }
        text
    }
}

fn note(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!(" -- {comment}") }
}

/// The words of a text, without capitals and without the ends that many of them have.
pub(in crate::admin::sql) fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2).map(str::to_lowercase);
    words.map(|word| stem(&word))
}

/// `categories` and `category`, `boxes` and `box`, `users` and `user` are the same.
pub(in crate::admin::sql) fn stem(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let is_es = ["ses", "xes", "ches", "shes"].iter().any(|end| word.ends_with(end));
    if is_es {
        return word[..word.len() - 2].to_owned();
    }
    word.strip_suffix('s').filter(|stem| !stem.ends_with('s')).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::sql::schema::Column;

    fn table(name: &str, columns: &[&str], keys: &[&str]) -> Table {
        let column = |name: &&str| Column { name: (*name).to_owned(), type_name: "text".to_owned(), ..Column::default() };
        Table {
            schema: "app".to_owned(),
            name: name.to_owned(),
            kind: "table",
            columns: columns.iter().map(column).collect(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Table::default()
        }
    }

    #[test]
    fn a_table_is_told_with_its_columns_values_comments_and_keys() {
        let mut orders = table("Order items", &["id", "status"], &["PRIMARY KEY (id)"]);
        orders.rows = Some(5);
        orders.comment = "what was bought".to_owned();
        orders.columns[1].values = vec!["draft".to_owned(), "paid".to_owned()];
        orders.columns[0].is_required = true;
        let expected = "app.\"Order items\" (table, about 5 rows) -- what was bought\n  id text not null\n  \
                        status text, one of: draft | paid\n  PRIMARY KEY (id)\n";
        assert_eq!(Schema { tables: vec![orders] }.for_question("anything"), expected);
    }

    #[test]
    fn what_is_asked_for_comes_first_then_what_belongs_to_it_and_the_rest_by_name_alone() {
        let mut tables: Vec<Table> = (0..400).map(|number| table(&format!("t{number:03}"), &["a", "b", "c", "d"], &[])).collect();
        tables.push(table("order_lines", &["id"], &["FOREIGN KEY (order_id) REFERENCES app.invoices(id)"]));
        tables.push(table("invoices", &["id", "total"], &[]));
        let text = Schema { tables }.for_question("Which invoice has the highest total?");
        assert!(text.starts_with("app.invoices ") && text.find("app.order_lines").unwrap() < text.find("app.t000").unwrap());
        assert!(
            text.len() < LONGEST + LONGEST_NAMES + 100 && text.contains("And without their columns: app.t"),
            "{}",
            text.len()
        );
    }

    #[test]
    fn words_are_the_same_with_and_without_the_end_of_many() {
        for (many, one) in
            [("categories", "category"), ("users", "user"), ("boxes", "box"), ("addresses", "address"), ("status", "statu")]
        {
            assert_eq!(stem(many), one);
        }
        assert_eq!(stem("address"), "address");
    }
}
