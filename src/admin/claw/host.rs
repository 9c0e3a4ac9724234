//! The host in numbers, and its services in a word each: what clients of the
//! old backend manager ask for, in the shapes that they know.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::talk::Claw;
use crate::{
    admin::{database, standing::Standing},
    manifest::Kind,
    observe::gauges::{
        Measured,
        host::Look,
        ring::{Ring, wide},
    },
    view::{ObjectView, insight::RunView},
};

/// What was found out so lately is told again.
const FRESH: Duration = Duration::from_mins(5);
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
        let measured = self.measured().await;
        let (ram_used, ram_total) = measured.look.memory.unwrap_or_default();
        let (disk_used, disk_total) = fullest(&measured.look).unwrap_or_default();
        Status {
            ram_used_gb: gigabytes(ram_used),
            ram_total_gb: gigabytes(ram_total),
            cpu_cores: measured.look.count,
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
        // Without an answer nothing is known to run.
        let runs = self.operator.runs().await.unwrap_or_default();
        let objects = self.operator.objects(Some(Kind::Container)).into_iter();
        objects.map(|object| service(object, &runs, now)).collect()
    }

    /// What is used of the host.
    pub async fn metrics(&self) -> Metrics {
        let measured = self.measured().await;
        let percent = |ring: &Ring| ring.last().map_or(0.0, |last| tenths(f64::from(last)));
        let disk_percent = fullest(&measured.look).map_or(0.0, |(used, total)| share(used, total));
        Metrics { cpu_percent: percent(&measured.processors), ram_percent: percent(&measured.memory), disk_percent }
    }

    /// What was measured last; right after the start it is measured now, twice, since processors are looked at twice.
    async fn measured(&self) -> Measured {
        let measured = self.operator.gauges();
        if measured.processors.last().is_some() {
            return measured;
        }
        self.operator.measure().await;
        tokio::time::sleep(BETWEEN).await;
        self.operator.measure().await;
        self.operator.gauges()
    }
}

fn service(object: ObjectView, runs: &[RunView], now: Timestamp) -> ServiceView {
    let (standing, ..) = Standing::of(object.status.as_ref());
    let running = runs.iter().find(|run| run.key == object.key && run.is_running);
    let status = match (running, standing) {
        (_, Standing::Degraded) => ServiceStatus::Error,
        (Some(_), _) => ServiceStatus::Running,
        (None, Standing::Progressing) => ServiceStatus::Restarting,
        (None, Standing::Ready | Standing::Held | Standing::Unknown) => ServiceStatus::Stopped,
    };
    let since = running.and_then(|running| running.started_at);
    let uptime_seconds = since.map_or(0, |since| now.duration_since(since).as_secs().max(0));
    let name = object.key.name;
    let display_name = running.map_or_else(|| name.clone(), |running| running.name.clone());
    ServiceView { name, display_name, status, uptime_seconds, container_id: running.map(|running| running.id.clone()) }
}

/// The file system that is the fullest: bytes in use, and all of them.
fn fullest(look: &Look) -> Option<(u64, u64)> {
    let disks = look.disks.iter().map(|disk| (disk.used, disk.total));
    disks.max_by(|one, other| share(one.0, one.1).total_cmp(&share(other.0, other.1)))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { tenths(wide(part) * 100.0 / wide(whole)) }
}

/// With one digit behind the point.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// With two digits behind the point.
fn gigabytes(bytes: u64) -> f64 {
    (wide(bytes) / wide(1 << 30) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_an_empty_disk_is_not_full() {
        assert!((share(1, 3) - 33.3).abs() < f64::EPSILON);
        assert!(share(5, 0).abs() < f64::EPSILON);
        assert!((gigabytes(3 << 29) - 1.5).abs() < f64::EPSILON);
    }
}
