//! Numbers for Prometheus.
//!
//! Label sets are small and fixed: kinds, operations, outcomes, conditions.
//! Names of objects are never labels; who wants those asks for events.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector, process_collector::ProcessCollector,
};

use super::{
    chain::Head,
    journal::Outcome,
    pass::{PassGuard, PassOutcome},
};
use crate::manifest::{Kind, status::ConditionType};

/// From what a restart of a small container takes to what a pull and a slow health check may.
const CORRECTION: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Our own share of a correction; the aim is 25 ms for all but one in a hundred.
const FIRST_EFFECT: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// From a pass that finds nothing to one that waits for containers to stop.
const PASS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0];

/// From a quick disk to the limit of one transaction.
const JOURNAL_WRITE: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Digits of a digest in a label: enough to compare, and short enough to read.
const DIGITS: usize = 16;

/// Everything that is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    steps: IntCounterVec,
    passes: IntCounterVec,
    pass_duration: HistogramVec,
    correction: HistogramVec,
    first_effect: Histogram,
    last_observation: Gauge,
    queue_depth: IntGauge,
    objects: IntGaugeVec,
    journal_writable: IntGauge,
    journal_write: Histogram,
    audit_head: IntGaugeVec,
    audit_unshipped: IntGauge,
    events_dropped: IntCounter,
    engine_reconnects: IntCounter,
    engine_calls: IntCounterVec,
    manifests_refused: IntGauge,
    crash_loops: IntCounterVec,
    pulls: IntGauge,
    pull_bytes: IntGaugeVec,
    alerts: IntCounterVec,
    alerts_firing: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics of their own registry, all at zero.
    #[must_use]
    pub fn new() -> Self {
        let register = Registrar::new();
        let metrics = Self {
            steps: register.counters("steps_total", "Steps taken, by what came of them.", &["kind", "operation", "outcome"]),
            passes: register.counters("passes_total", "Passes over one object, by how they ended.", &["kind", "outcome"]),
            pass_duration: register.histograms("pass_duration_seconds", "How long passes took.", PASS),
            correction: register.histograms("correction_seconds", "From a fault being seen to its being corrected.", CORRECTION),
            first_effect: register.histogram(
                "first_effect_seconds",
                "From the trigger of a pass to its first effect being requested.",
                FIRST_EFFECT,
            ),
            last_observation: register
                .gauge("last_observation_timestamp_seconds", "When everything was last looked at, in seconds since 1970."),
            queue_depth: register.int_gauge("queue_depth", "Objects that wait for a pass."),
            objects: register.int_gauges("objects", "Objects with a true condition.", &["kind", "condition"]),
            journal_writable: register.int_gauge("journal_writable", "Whether acts can be recorded; nothing is done while not."),
            journal_write: register.histogram(
                "journal_write_seconds",
                "How long the journal's transactions took.",
                JOURNAL_WRITE,
            ),
            audit_head: register.int_gauges(
                "audit_head",
                "The number of the audit log's last row, with the beginning of its digest.",
                &["hash"],
            ),
            audit_unshipped: register.int_gauge("audit_unshipped_rows", "Rows of the audit log that are not in PostgreSQL yet."),
            events_dropped: register.counter("events_dropped_total", "Events lost because too many waited to be written."),
            engine_reconnects: register.counter("engine_reconnects_total", "Times the engine's event stream was opened again."),
            engine_calls: register.counters("engine_calls_total", "Requests to the engine.", &["call"]),
            manifests_refused: register.int_gauge("manifests_refused", "Manifests that are refused just now."),
            crash_loops: register.counters("crash_loops_total", "Times an object was given up.", &["kind"]),
            pulls: register.int_gauge("model_pulls", "Models that are being pulled."),
            pull_bytes: register.int_gauges("model_pull_bytes", "Bytes of models that are being pulled.", &["state"]),
            alerts: register.counters(
                "alerts_total",
                "Tries to tell a receiver of alerts, by what came of them.",
                &["receiver", "outcome"],
            ),
            alerts_firing: register.int_gauge("alerts_firing", "Alerts that fire, whether or not anybody was told."),
            registry: register.0,
        };
        metrics.begin();
        metrics
    }

    /// Counters that exist from the start: the first increase of one that appears late is invisible to `rate`.
    fn begin(&self) {
        for kind in Kind::ALL {
            for outcome in PassOutcome::ALL {
                self.passes.with_label_values(&[kind.as_str(), outcome.as_str()]);
            }
            self.crash_loops.with_label_values(&[kind.as_str()]);
        }
        self.journal_writable(true);
        self.pulls(0, 0, 0);
    }

    /// So many models are being pulled, with so many bytes of so many.
    pub fn pulls(&self, pulls: usize, completed: u64, total: u64) {
        self.pulls.set(gauge(pulls));
        for (state, bytes) in [("completed", completed), ("total", total)] {
            self.pull_bytes.with_label_values(&[state]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// There is a receiver: its counters exist from now on.
    pub fn alerts_begin(&self, receiver: &str) {
        for outcome in ["sent", "failed", "given_up"] {
            self.alerts.with_label_values(&[receiver, outcome]);
        }
    }

    /// A try to tell a receiver has ended.
    pub fn alert(&self, receiver: &str, outcome: &str) {
        self.alerts.with_label_values(&[receiver, outcome]).inc();
    }

    /// So many alerts fire.
    pub fn alerts_firing(&self, count: usize) {
        self.alerts_firing.set(gauge(count));
    }

    /// The last row of the audit log: one series, as an earlier head says nothing.
    pub fn audit_head(&self, head: &Head) {
        self.audit_head.reset();
        self.audit_head.with_label_values(&[head.hash.get(..DIGITS).unwrap_or_default()]).set(head.id);
    }

    /// So many rows of the audit log are still to be shipped.
    pub fn audit_unshipped(&self, rows: i64) {
        self.audit_unshipped.set(rows.max(0));
    }

    /// A step has been taken.
    pub fn step(&self, kind: Kind, operation: &str, outcome: &Outcome) {
        self.steps.with_label_values(&[kind.as_str(), operation, outcome.as_str()]).inc();
    }

    /// A pass begins. Conclude the guard; one that is dropped counts as abandoned.
    #[must_use]
    pub fn pass(self: &Arc<Self>, kind: Kind) -> PassGuard {
        PassGuard::new(Arc::clone(self), kind)
    }

    pub(super) fn pass_ended(&self, kind: Kind, outcome: PassOutcome, took: Duration) {
        self.passes.with_label_values(&[kind.as_str(), outcome.as_str()]).inc();
        self.pass_duration.with_label_values(&[kind.as_str()]).observe(took.as_secs_f64());
    }

    /// A fault has been corrected, so long after it was seen.
    pub fn correction(&self, kind: Kind, took: Duration) {
        self.correction.with_label_values(&[kind.as_str()]).observe(took.as_secs_f64());
    }

    /// The first effect of a pass has been requested, so long after its trigger.
    pub fn first_effect(&self, took: Duration) {
        self.first_effect.observe(took.as_secs_f64());
    }

    /// Everything has been looked at.
    pub fn observed(&self, at: Timestamp) {
        self.last_observation.set(at.as_duration().as_secs_f64());
    }

    /// So many objects wait for a pass.
    pub fn queue_depth(&self, depth: usize) {
        self.queue_depth.set(gauge(depth));
    }

    /// The engine's event stream was opened again.
    pub fn engine_reconnected(&self) {
        self.engine_reconnects.inc();
    }

    /// A request goes to the engine.
    pub fn engine_call(&self, call: &str) {
        self.engine_calls.with_label_values(&[call]).inc();
    }

    /// So many manifests are refused just now.
    pub fn manifests_refused(&self, count: usize) {
        self.manifests_refused.set(gauge(count));
    }

    /// An object has been given up.
    pub fn crash_loop(&self, kind: Kind) {
        self.crash_loops.with_label_values(&[kind.as_str()]).inc();
    }

    pub(super) fn journal_writable(&self, is_writable: bool) {
        self.journal_writable.set(i64::from(is_writable));
    }

    pub(super) fn journal_write(&self, took: Duration) {
        self.journal_write.observe(took.as_secs_f64());
    }

    pub(super) fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    pub(super) fn objects(&self, counts: &BTreeMap<(Kind, ConditionType), usize>) {
        for ((kind, condition), count) in counts {
            self.objects.with_label_values(&[kind.as_str(), condition.to_string().as_str()]).set(gauge(*count));
        }
    }

    /// All of it in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        // Cannot fail: every family has a name, a help and values.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Makes metrics and registers them. Fails only for names that are wrong or
/// doubled, which every start would show.
struct Registrar(Registry);

impl Registrar {
    fn new() -> Self {
        let registry = Registry::new();
        registry
            .register(Box::new(ProcessCollector::new(std::process::id().cast_signed(), "mooring")))
            .expect("its names are its own");
        let register = Self(registry);
        let info = register.int_gauges("build_info", "Which version this is.", &["version"]);
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register
    }

    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names and labels are well-formed");
        self.0.register(Box::new(metric.clone())).expect("every name is used once");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(options(name, help)))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(options(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.add(Gauge::with_opts(options(name, help)))
    }

    fn int_gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::with_opts(options(name, help)))
    }

    fn int_gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(options(name, help), labels))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.add(Histogram::with_opts(HistogramOpts::from(options(name, help)).buckets(buckets.to_vec())))
    }

    fn histograms(&self, name: &str, help: &str, buckets: &[f64]) -> HistogramVec {
        self.add(HistogramVec::new(HistogramOpts::from(options(name, help)).buckets(buckets.to_vec()), &["kind"]))
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("mooring")
}

#[cfg(test)]
mod tests;
