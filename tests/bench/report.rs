//! Figures → a table.

use std::{fmt, time::Duration};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::{Result, engine::Engine};

/// A time, as rows have it.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What was measured, beside its floor.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    what: String,
    unit: Unit,
    pub(crate) measured: Vec<f64>,
    pub(crate) floor: Vec<f64>,
    goal: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "MB")]
    Megabytes,
    #[serde(rename = "")]
    Count,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Millis => " ms",
            Self::Percent => " %",
            Self::Mebibytes => " MiB",
            Self::Megabytes => " MB",
            Self::Count => "",
        })
    }
}

impl Row {
    pub(crate) fn new(what: &str, unit: Unit, goal: &str) -> Self {
        Self { what: what.to_owned(), unit, measured: Vec::new(), floor: Vec::new(), goal: goal.to_owned() }
    }

    /// A figure of which there is only one.
    pub(crate) fn single(what: String, unit: Unit, value: f64, goal: &str) -> Self {
        Self { what, unit, measured: vec![value], floor: Vec::new(), goal: goal.to_owned() }
    }

    fn cells(&self) -> [String; 8] {
        let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.*}", digits(value)));
        let only_if = |several: bool, value: Option<f64>| show(value.filter(|_| several));
        let several = self.measured.len() > 1;
        let (p50, floor) = (percentile(&self.measured, 50), percentile(&self.floor, 50));
        let ratio = p50.zip(floor).map(|(p50, floor)| p50 / floor);
        [
            self.what.clone(),
            self.measured.len().to_string(),
            only_if(several, percentile(&self.measured, 0)),
            format!("{}{}", show(p50), self.unit),
            only_if(several, percentile(&self.measured, 99)),
            show(floor),
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            if self.goal.is_empty() { "–".to_owned() } else { self.goal.clone() },
        ]
    }
}

/// Three significant digits are more than a shared machine can tell.
fn digits(value: f64) -> usize {
    match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    }
}

/// By nearest rank: a value that was really measured.
fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cores: i64,
    memory_gib: i64,
    kernel: String,
    engine: String,
    storage: String,
}

impl Machine {
    pub(crate) async fn look(engine: &Engine) -> Result<Self> {
        let info = engine.client.info().await?;
        Ok(Self {
            cores: info.ncpu.unwrap_or_default(),
            memory_gib: info.mem_total.unwrap_or_default() >> 30,
            kernel: info.kernel_version.unwrap_or_default(),
            engine: info.server_version.unwrap_or_default(),
            storage: info.driver.unwrap_or_default(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, memory_gib, kernel, engine, storage } = self;
        write!(f, "{cores} cores, {memory_gib} GiB, Linux {kernel}, Docker {engine} on {storage}; load average ")?;
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        f.write_str(load.split(' ').next().unwrap_or("unknown"))
    }
}

/// Everything, for people.
pub(crate) fn table(machine: &Machine, rows: &[Row], markdown: bool) -> String {
    let mut table = Table::new();
    table.load_style(if markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING });
    table.set_header(["what", "n", "min", "p50", "p99", "floor p50", "ratio", "goal"]);
    table.add_rows(rows.iter().map(Row::cells));
    format!("{machine}\n\n{table}")
}

/// Every single figure, for programs.
pub(crate) fn json(machine: &Machine, rows: &[Row]) -> String {
    let everything = serde_json::json!({ "machine": machine, "rows": rows });
    serde_json::to_string_pretty(&everything).expect("texts and numbers can be written")
}
