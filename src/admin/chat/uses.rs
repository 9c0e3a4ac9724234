//! What is used of the host, how services fare, and what they write.

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;

use super::{Talk, key};
use crate::{
    admin::{
        figures::{bytes, percent, since},
        intent::Gauge,
    },
    manifest::Kind,
    observe::gauges::{
        Measured, Used,
        ring::{Ring, wide},
    },
    view::insight::{LogQuery, RunView},
};

/// Containers that are listed with what they use.
const SHOWN: usize = 10;
/// Longer answers are cut: their end is what people look for.
const LINES_SHOWN: usize = 500;
/// An engine that does not send a log in this time shows what it has sent.
const PATIENCE: Duration = Duration::from_secs(10);

impl Talk<'_> {
    /// How services are: whether they run, since when, how often they were restarted, what they use.
    pub(super) async fn health(&self, services: &[String]) {
        self.status(Some(Kind::Container), services);
        let runs = match self.operator.runs().await {
            Ok(runs) => runs,
            Err(error) => return self.answer.text(format!("Nothing is known of containers: {error}.")),
        };
        let (measured, now) = (self.operator.gauges(), self.operator.now());
        let meant = runs.iter().filter(|run| run.key.kind == Kind::Container && services.contains(&run.key.name));
        let rows: Vec<Vec<String>> = meant.map(|run| row(run, measured.containers.get(&run.name), now)).collect();
        if let ([service], []) = (services, rows.as_slice()) {
            self.answer.text(format!("No container of {service} is there."));
        } else if !rows.is_empty() {
            self.answer.table("", &["Container", "State", "Health", "Up for", "Restarts", "CPU", "Memory"], rows);
        }
    }

    /// What is used of the host, or by one service.
    pub(super) fn metrics(&self, which: Gauge, service: Option<&str>) {
        let measured = self.operator.gauges();
        if measured.at.is_none() {
            return self.answer.text("Nothing is measured yet; it begins when the backend manager does.");
        }
        match service {
            Some(service) => self.used_by(service, &measured),
            None => self.used_of_host(which, &measured),
        }
    }

    fn used_by(&self, service: &str, measured: &Measured) {
        let key = key(service);
        let of_service = measured.containers.iter().filter(|(name, used)| used.object.as_ref() == Some(&key) || *name == service);
        let rows = of_service.map(|(name, used)| used_row(name, used)).collect();
        self.answer.table(&format!("No container of {service} runs."), &USED, rows);
    }

    fn used_of_host(&self, which: Gauge, measured: &Measured) {
        let is_meant = |gauge| which == Gauge::All || which == gauge;
        let mut rows = Vec::new();
        let mut add = |what: &str, now: String, detail: String, ring: &Ring, word: fn(f32) -> String| {
            let highest = ring.points().into_iter().flatten().reduce(f32::max).map(word).unwrap_or_default();
            rows.push(vec![what.to_owned(), now, detail, highest]);
        };
        let look = &measured.look;
        let of = |(used, total): (u64, u64)| format!("{} of {}", bytes(wide(used)), bytes(wide(total)));
        if is_meant(Gauge::Cpu) {
            add("CPU", shown(&measured.processors, percent), format!("{} processors", look.count), &measured.processors, percent);
            let load = look.load.map(|[one, five, fifteen]| format!("{one:.2}, {five:.2}, {fifteen:.2}")).unwrap_or_default();
            add("Load", load, "1, 5 and 15 minutes".to_owned(), &measured.load, |load| format!("{load:.2}"));
        }
        if is_meant(Gauge::Memory) {
            let detail = look.memory.map(of).unwrap_or_default();
            add("Memory", shown(&measured.memory, percent), detail, &measured.memory, percent);
        }
        if is_meant(Gauge::Disk) {
            for disk in &look.disks {
                let Some(ring) = disk.paths.first().and_then(|path| measured.disks.get(path)) else { continue };
                let paths: Vec<String> = disk.paths.iter().map(|path| path.display().to_string()).collect();
                let detail = format!("{}: {}", of((disk.used, disk.total)), paths.join(", "));
                add("Disk", shown(ring, percent), detail, ring, percent);
            }
        }
        if which == Gauge::All {
            add("Received", shown(&measured.received, rate), String::new(), &measured.received, rate);
            add("Sent", shown(&measured.sent, rate), String::new(), &measured.sent, rate);
        }
        self.answer.table("That could not be measured.", &["What", "Now", "Of", "Highest in the last hour"], rows);
        if which != Gauge::Disk {
            self.most(which, measured);
        }
        measured.look.limits.iter().for_each(|limits| self.answer.text(format!("{limits}.")));
    }

    /// Who uses most.
    fn most(&self, which: Gauge, measured: &Measured) {
        let share = |used: &Used| if which == Gauge::Memory { used.memory.last() } else { used.processors.last() };
        let mut sorted: Vec<(&String, &Used)> = measured.containers.iter().collect();
        sorted.sort_by(|(_, one), (_, other)| share(other).unwrap_or(-1.0).total_cmp(&share(one).unwrap_or(-1.0)));
        let rows = sorted.into_iter().take(SHOWN).map(|(name, used)| used_row(name, used)).collect();
        self.answer.table("No container runs.", &USED, rows);
    }

    /// What a service has written.
    pub(super) async fn log(&self, service: &str, lines: u32, contains: Option<String>, since: Option<Timestamp>) {
        let key = key(service);
        let tail = usize::try_from(lines).unwrap_or(LINES_SHOWN);
        let query = LogQuery { tail, contains: contains.clone(), since, follow: false };
        let mut read = Vec::new();
        let reading = async {
            let mut log = self.operator.log(&key, &query).await?;
            while let Some(line) = log.next().await {
                read.push(line?);
            }
            Ok::<_, String>(())
        };
        let outcome = tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Ok(()));
        let words = format!("read the log of {key}");
        self.operator.note(&self.speaker.actor, "ReadLog", &words, outcome.as_ref().err().map(String::as_str)).await;
        if let Err(error) = outcome {
            return self.answer.text(format!("The log of {service} cannot be read: {error}."));
        }
        let cut = read.len().saturating_sub(LINES_SHOWN);
        let with = contains.map(|text| format!(" with `{text}`")).unwrap_or_default();
        if read.is_empty() {
            return self.answer.text(format!("{service} has written no lines{with} of late."));
        }
        let shown = if cut > 0 { format!(", the last {LINES_SHOWN} of them") } else { String::new() };
        self.answer.text(format!("{} lines of {service}{with}{shown}; secrets that are known are shown as ***.", read.len()));
        let text: Vec<String> = read[cut..].iter().map(|line| format!("{} {}", line.at, line.text)).collect();
        self.answer.code("log", text.join("\n"));
    }
}

/// What a container uses.
const USED: [&str; 5] = ["Container", "CPU (of one processor)", "Memory", "Received", "Sent"];

fn used_row(name: &str, used: &Used) -> Vec<String> {
    let of = |value: Option<f32>| value.map_or_else(unknown, rate);
    let memory = shown(&used.memory, |memory| bytes(f64::from(memory)));
    vec![name.to_owned(), shown(&used.processors, percent), memory, of(used.received), of(used.sent)]
}

fn row(run: &RunView, used: Option<&Used>, now: Timestamp) -> Vec<String> {
    vec![
        run.name.clone(),
        run.state.clone(),
        run.health.unwrap_or("no check").to_owned(),
        run.started_at.map_or_else(unknown, |at| since(at, now)),
        run.restarts.to_string(),
        used.map_or_else(unknown, |used| shown(&used.processors, percent)),
        used.map_or_else(unknown, |used| shown(&used.memory, |memory| bytes(f64::from(memory)))),
    ]
}

fn shown(ring: &Ring, word: impl Fn(f32) -> String) -> String {
    ring.last().map_or_else(unknown, word)
}

fn rate(value: f32) -> String {
    format!("{}/s", bytes(f64::from(value)))
}

fn unknown() -> String {
    "–".to_owned()
}
