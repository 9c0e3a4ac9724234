//! What is used of the host and by each container, with the lines of the last hour.

use askama::Template;
use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};

use super::{
    Admin,
    login::Opened,
    pages::{Frame, rendered},
    plot::{Plot, top_of},
};
use crate::{
    admin::figures::{bytes, percent},
    manifest::Key,
    observe::gauges::{
        EVERY, Measured, Used,
        ring::{Ring, narrow, wide},
    },
};

/// Rows of the table; whoever uses less is summed up in a sentence.
const ROWS: usize = 100;
/// Points of a small line.
const SMALL: usize = 60;
/// From here on it is worth a look, in percent.
const MUCH: f32 = 70.0;
/// From here on it is urgent.
const NEARLY_ALL: f32 = 90.0;

/// A big number with its line.
pub(super) struct Gauge {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) of: String,
    /// `fine`, `much`, `full` or `unknown`.
    pub(super) level: &'static str,
    pub(super) plots: Vec<(&'static str, Plot)>,
}

/// A container in the table.
struct Row {
    name: String,
    object: Option<Key>,
    processors: String,
    processors_level: &'static str,
    processors_line: Plot,
    memory: String,
    memory_level: &'static str,
    memory_line: Plot,
    network: String,
}

/// All of it.
pub(super) struct Gauges {
    at: Option<String>,
    every: u64,
    host: Vec<Gauge>,
    rows: Vec<Row>,
    left_out: usize,
    notes: Vec<String>,
}

impl Gauges {
    fn of(measured: &Measured) -> Self {
        let mut sorted: Vec<(&String, &Used)> = measured.containers.iter().collect();
        let share = |used: &Used| used.processors.last().unwrap_or(-1.0);
        sorted.sort_by(|(_, one), (_, other)| share(other).total_cmp(&share(one)));
        let rows: Vec<Row> = sorted.iter().take(ROWS).map(|(name, used)| row(name, used, measured)).collect();
        let trouble = measured.trouble.as_ref().map(|trouble| format!("nothing is known of containers: {trouble}"));
        Self {
            at: measured.at.map(|at| at.to_string()),
            every: EVERY.as_secs(),
            host: host(measured),
            left_out: measured.left_out + sorted.len().saturating_sub(rows.len()),
            rows,
            notes: trouble.into_iter().chain(measured.look.limits.clone()).collect(),
        }
    }
}

/// How much that is, in a word that is also its colour.
fn level(percent: Option<f32>) -> &'static str {
    match percent {
        None => "unknown",
        Some(percent) if percent >= NEARLY_ALL => "full",
        Some(percent) if percent >= MUCH => "much",
        Some(_) => "fine",
    }
}

fn shown(value: Option<f32>, word: impl Fn(f32) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), word)
}

fn rate(value: f32) -> String {
    format!("{}/s", bytes(f64::from(value)))
}

fn of_bytes(pair: Option<(u64, u64)>) -> String {
    pair.map(|(used, total)| format!("{} of {}", bytes(wide(used)), bytes(wide(total)))).unwrap_or_default()
}

/// A share of something.
fn share(name: &str, of: String, ring: &Ring) -> Gauge {
    let plot = Plot::hour(name, &ring.points(), 100.0, percent);
    Gauge {
        name: name.to_owned(),
        value: shown(ring.last(), percent),
        of,
        level: level(ring.last()),
        plots: vec![("first", plot)],
    }
}

fn host(measured: &Measured) -> Vec<Gauge> {
    let look = &measured.look;
    let processors = if look.count == 1 { "1 processor".to_owned() } else { format!("{} processors", look.count) };
    let mut gauges = vec![
        share("CPU", processors, &measured.processors),
        share("Memory", of_bytes(look.memory), &measured.memory),
        load(measured),
        network(measured),
    ];
    gauges.extend(look.disks.iter().filter_map(|disk| {
        let ring = measured.disks.get(disk.paths.first()?)?;
        let paths: Vec<String> = disk.paths.iter().map(|path| path.display().to_string()).collect();
        let gauge = share("Disk", format!("{}: {}", of_bytes(Some((disk.used, disk.total))), paths.join(", ")), ring);
        Some(gauge)
    }));
    gauges
}

/// As many as there are processors are all that can work at once.
fn load(measured: &Measured) -> Gauge {
    let points = measured.load.points();
    let count = narrow(wide(measured.look.count.max(1) as u64));
    let word = |load: f32| format!("{load:.2}");
    Gauge {
        name: "Load".to_owned(),
        value: shown(measured.load.last(), word),
        of: measured.look.load.map(|[_, five, fifteen]| format!("5 min {five:.2}, 15 min {fifteen:.2}")).unwrap_or_default(),
        level: level(measured.load.last().map(|load| load / count * 100.0)),
        plots: vec![("first", Plot::hour("Load", &points, top_of(&points, count), word))],
    }
}

fn network(measured: &Measured) -> Gauge {
    let (received, sent) = (measured.received.points(), measured.sent.points());
    let top = top_of(received.iter().chain(&sent), 1024.0);
    let plot = |what, points: &[Option<f32>]| Plot::hour(what, points, top, rate);
    Gauge {
        name: "Network".to_owned(),
        value: format!("↓ {}", shown(measured.received.last(), rate)),
        of: format!("↑ {}", shown(measured.sent.last(), rate)),
        level: if measured.received.last().is_some() { "fine" } else { "unknown" },
        plots: vec![("first", plot("Received", &received)), ("second", plot("Sent", &sent))],
    }
}

fn row(name: &str, used: &Used, measured: &Measured) -> Row {
    let processors = used.processors.rolled_up(SMALL);
    let memory = used.memory.rolled_up(SMALL);
    let count = narrow(wide(measured.look.count.max(1) as u64));
    let total = measured.look.memory.map(|(_, total)| total);
    // A limit that is more than there is limits nothing.
    let limit = used.limit.filter(|limit| total.is_none_or(|total| *limit < total));
    let may_use = limit.or(total).map(|bytes| narrow(wide(bytes)));
    let word = |memory: f32| bytes(f64::from(memory));
    let last = used.memory.last();
    let limited = limit.map(|limit| format!(" of {}", bytes(wide(limit)))).unwrap_or_default();
    let (received, sent) = (used.received, used.sent);
    Row {
        name: name.to_owned(),
        object: used.object.clone(),
        processors: shown(used.processors.last(), percent),
        processors_level: level(used.processors.last().map(|share| share / count)),
        processors_line: Plot::new(&format!("CPU of {name}"), &processors, SMALL, top_of(&processors, 5.0), percent),
        memory: format!("{}{limited}", shown(last, word)),
        memory_level: level(last.zip(may_use).map(|(memory, all)| memory / all * 100.0)),
        memory_line: Plot::new(&format!("Memory of {name}"), &memory, SMALL, top_of(&memory, 1.0), word),
        network: if received.is_none() && sent.is_none() {
            "–".to_owned()
        } else {
            format!("↓ {} ↑ {}", shown(received, rate), shown(sent, rate))
        },
    }
}

#[derive(Template)]
#[template(path = "metrics.html", config = "src/http/admin/askama.toml")]
struct MetricsPage {
    frame: Frame,
    gauges: Gauges,
}

#[derive(Template)]
#[template(path = "metrics_part.html", config = "src/http/admin/askama.toml")]
struct MetricsPart {
    gauges: Gauges,
}

/// A few numbers for the first page.
#[derive(Template)]
#[template(path = "strip.html", config = "src/http/admin/askama.toml")]
pub(super) struct Strip {
    strip: Vec<Gauge>,
}

/// For the first page.
pub(super) fn strip_of(admin: &Admin) -> Vec<Gauge> {
    host(&admin.operator.gauges())
}

/// The page.
pub(super) async fn metrics(State(admin): State<Admin>, Extension(opened): Extension<Opened>) -> Response {
    let frame = Frame::new("Metrics", "metrics", &opened);
    rendered(StatusCode::OK, &MetricsPage { frame, gauges: Gauges::of(&admin.operator.gauges()) })
}

/// The part of it that changes.
pub(super) async fn metrics_part(State(admin): State<Admin>) -> Response {
    rendered(StatusCode::OK, &MetricsPart { gauges: Gauges::of(&admin.operator.gauges()) })
}

/// The numbers of the first page, as they change.
pub(super) async fn strip_part(State(admin): State<Admin>) -> Response {
    rendered(StatusCode::OK, &Strip { strip: strip_of(&admin) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_at_seventy_and_ninety_percent() {
        let levels = [None, Some(69.9), Some(70.0), Some(89.9), Some(90.0), Some(150.0)].map(level);
        assert_eq!(levels, ["unknown", "fine", "much", "much", "full", "full"]);
    }

    #[test]
    fn whoever_uses_most_stands_first_and_who_is_not_known_last() {
        let mut measured = Measured::default();
        measured.look.count = 2;
        for (name, processors) in [("a", Some(1.0)), ("b", None), ("c", Some(150.0))] {
            let mut used = Used::default();
            used.processors.push(processors);
            measured.containers.insert(name.to_owned(), used);
        }
        let gauges = Gauges::of(&measured);
        let shown: Vec<_> =
            gauges.rows.iter().map(|row| (row.name.as_str(), row.processors.as_str(), row.processors_level)).collect();
        assert_eq!(shown, [("c", "150 %", "much"), ("a", "1.0 %", "fine"), ("b", "–", "unknown")]);
    }

    #[test]
    fn more_containers_than_fit_are_counted() {
        let mut measured = Measured { left_out: 3, ..Measured::default() };
        for number in 0..ROWS + 5 {
            measured.containers.insert(format!("c{number}"), Used::default());
        }
        let gauges = Gauges::of(&measured);
        assert_eq!((gauges.rows.len(), gauges.left_out), (ROWS, 8));
    }
}
