//! Tables in kubectl's look: no lines, three spaces between columns.

use anstyle::Style;
use comfy_table::{ContentArrangement, Table as Layout, presets};

use super::output::{self, STRONG, printable};

/// Between columns, as kubectl has it.
const GAP: u16 = 3;

/// A table whose rows are all known.
pub(super) struct Table {
    layout: Layout,
    styles: Vec<Style>,
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut layout = Layout::new();
        layout.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(headings.to_vec());
        Self { layout, styles: vec![STRONG] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>, style: Style) {
        self.layout.add_row(cells.into_iter().map(|cell| printable(&cell)).collect::<Vec<_>>());
        self.styles.push(style);
    }

    /// The table with a newline behind each row.
    pub(super) fn render(mut self) -> String {
        for column in self.layout.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let lines = self.layout.lines().zip(&self.styles);
        output::lines(lines.map(|(line, style)| format!("{style}{}{style:#}", line.trim_end())))
    }
}

/// A table whose rows come one after the other: each stands for itself, so widths are given beforehand and a cell
/// that is wider moves only its own row.
pub(super) struct Columns(&'static [(&'static str, usize)]);

impl Columns {
    /// Headings with widths; the last column takes what is left.
    pub(super) const fn new(columns: &'static [(&'static str, usize)]) -> Self {
        Self(columns)
    }

    /// The headings.
    pub(super) fn headings(&self) -> String {
        let headings = self.0.iter().map(|(heading, _)| (*heading).to_owned());
        format!("{STRONG}{}{STRONG:#}", self.row(headings))
    }

    /// One row.
    pub(super) fn row(&self, cells: impl IntoIterator<Item = String>) -> String {
        let gap = usize::from(GAP);
        let cells = cells.into_iter().zip(self.0).map(|(cell, (_, width))| format!("{:<width$}{:gap$}", printable(&cell), ""));
        cells.collect::<String>().trim_end().to_owned()
    }
}
