//! The host in numbers, and its services in a word each: what clients of the
//! old backend manager ask for, in the shapes that they know.

use std::{path::Path, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::{database, talk::Claw};
use crate::{admin::standing::Standing, manifest::Kind, view::ObjectView};

/// What was found out so lately is told again.
const FRESH: Duration = Duration::from_mins(5);
/// Services that are looked at at the same time.
const AT_ONCE: usize = 8;
/// A look at one service that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between the two looks at the processors.
const BETWEEN: Duration = Duration::from_millis(200);
/// How many tables there are for people.
const TABLES: &str = "SELECT count(*) FROM information_schema.tables \
                      WHERE table_schema NOT IN ('pg_catalog', 'information_schema')";

/// How everything is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Memory in use.
    pub ram_used_gb: f64,
    /// Memory.
    pub ram_total_gb: f64,
    /// Processors.
    pub cpu_cores: usize,
    /// Disk in use.
    pub disk_used_gb: f64,
    /// Disk.
    pub disk_total_gb: f64,
    /// Tables in the database of the Environment; nothing, where there is none or it does not answer.
    pub table_count: Option<i64>,
    /// When all this was so.
    pub captured_at: String,
    /// The services.
    pub services: Vec<Running>,
}

/// Whether a service runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// Whether its container runs.
    pub running: bool,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Service")]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// What its container is called.
    pub display_name: String,
    /// How it is.
    pub status: ServiceStatus,
    /// How long its container runs.
    pub uptime_seconds: i64,
    /// Its container, if one runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceStatus {
    /// It runs.
    Running,
    /// It does not.
    Stopped,
    /// Something is wrong with it.
    Error,
    /// It is on its way.
    Restarting,
}

/// What is used of the host, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// Of the processors.
    pub cpu_percent: f64,
    /// Of the memory.
    pub ram_percent: f64,
    /// Of the disk.
    pub disk_percent: f64,
}

/// The status that was told last.
#[derive(Debug, Default)]
pub struct Last(Mutex<Option<(Instant, Status)>>);

impl Claw {
    /// How everything is, or was less than five minutes ago.
    pub async fn status(&self, actor: &str) -> Status {
        let mut last = self.last.0.lock().await;
        match &*last {
            Some((at, status)) if at.elapsed() < FRESH => status.clone(),
            _ => {
                let status = self.look(actor).await;
                *last = Some((Instant::now(), status.clone()));
                status
            }
        }
    }

    /// How everything is now.
    pub async fn refreshed(&self, actor: &str) -> Status {
        // Whoever asks meanwhile waits for this look instead of taking one more.
        let mut last = self.last.0.lock().await;
        let status = self.look(actor).await;
        *last = Some((Instant::now(), status.clone()));
        status
    }

    async fn look(&self, actor: &str) -> Status {
        let services = self.services().await;
        let count = database::ask(&*self.operator, actor, TABLES).await.ok();
        let table_count = count.and_then(|answer| answer.rows.first()?.first()?.as_i64());
        let (ram_used, ram_total) = memory();
        let (disk_used, disk_total) = disk();
        Status {
            ram_used_gb: gigabytes(ram_used),
            ram_total_gb: gigabytes(ram_total),
            cpu_cores: std::thread::available_parallelism().map_or(1, usize::from),
            disk_used_gb: gigabytes(disk_used),
            disk_total_gb: gigabytes(disk_total),
            table_count,
            captured_at: self.operator.now().to_string(),
            services: services
                .into_iter()
                .map(|service| Running { name: service.name, running: service.container_id.is_some() })
                .collect(),
        }
    }

    /// Every service.
    pub async fn services(&self) -> Vec<ServiceView> {
        let now = self.operator.now();
        let objects = self.operator.objects(Some(Kind::Container));
        stream::iter(objects).map(|object| self.service(object, now)).buffered(AT_ONCE).collect().await
    }

    async fn service(&self, object: ObjectView, now: Timestamp) -> ServiceView {
        let (standing, ..) = Standing::of(object.status.as_ref());
        let found = tokio::time::timeout(PATIENCE, self.operator.restartable(&object.key)).await;
        let running = found.ok().and_then(Result::ok);
        let status = match (&running, standing) {
            (_, Standing::Degraded) => ServiceStatus::Error,
            (Some(_), _) => ServiceStatus::Running,
            (None, Standing::Progressing) => ServiceStatus::Restarting,
            (None, Standing::Ready | Standing::Held | Standing::Unknown) => ServiceStatus::Stopped,
        };
        let since = running.as_ref().and_then(|running| running.started_at);
        let uptime_seconds = since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
        let name = object.key.name;
        let display_name = running.as_ref().map_or_else(|| name.clone(), |running| running.name.clone());
        ServiceView { name, display_name, status, uptime_seconds, container_id: running.map(|running| running.id) }
    }
}

/// What is used of the host. It takes a moment: processors are looked at twice.
pub async fn metrics() -> Metrics {
    let before = ticks();
    tokio::time::sleep(BETWEEN).await;
    let after = ticks();
    let (busy, all) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    let (ram_used, ram_total) = memory();
    let (disk_used, disk_total) = disk();
    let (cpu_percent, ram_percent) = (percent(busy, all), percent(ram_used, ram_total));
    Metrics { cpu_percent, ram_percent, disk_percent: percent(disk_used, disk_total) }
}

/// With one digit behind the point.
fn percent(part: u64, whole: u64) -> f64 {
    let tenths = u128::from(part) * 1000 / u128::from(whole.max(1));
    f64::from(u32::try_from(tenths.min(1000)).unwrap_or(1000)) / 10.0
}

/// With two digits behind the point.
fn gigabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / (1 << 30) * 100 + bytes % (1 << 30) * 100 / (1 << 30)).unwrap_or(u32::MAX)) / 100.0
}

/// Ticks that the processors worked, and all of them, since the start of the host.
fn ticks() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    // What guests used stands in the first fields already.
    let numbers: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|number| number.parse().ok()).collect();
    let all: u64 = numbers.iter().sum();
    let idle: u64 = numbers.iter().skip(3).take(2).sum();
    (all.saturating_sub(idle), all)
}

/// Bytes of memory in use, and all of them.
fn memory() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let total = kilobytes("MemTotal:");
    (total.saturating_sub(kilobytes("MemAvailable:")) * 1024, total * 1024)
}

/// Bytes of the first disk in use, and all of them.
fn disk() -> (u64, u64) {
    let Ok(found) = nix::sys::statvfs::statvfs(Path::new("/")) else { return (0, 0) };
    let size = found.fragment_size();
    let total = found.blocks().saturating_mul(size);
    (total.saturating_sub(found.blocks_free().saturating_mul(size)), total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_down_and_never_beyond_what_there_is() {
        assert!((percent(1, 3) - 33.3).abs() < f64::EPSILON);
        assert!((percent(5, 0) - 100.0).abs() < f64::EPSILON);
        assert!((gigabytes(3 << 29) - 1.5).abs() < f64::EPSILON);
    }

    #[tokio::test]
    async fn this_host_has_memory_a_disk_and_processors() {
        let (used, total) = memory();
        assert!(0 < used && used < total, "{used} of {total}");
        let (used, total) = disk();
        assert!(0 < used && used <= total, "{used} of {total}");
        let (busy, all) = ticks();
        assert!(0 < busy && busy < all, "{busy} of {all}");
        let Metrics { cpu_percent, ram_percent, disk_percent } = metrics().await;
        assert!([cpu_percent, ram_percent, disk_percent].iter().all(|percent| (0.0..=100.0).contains(percent)));
    }
}
