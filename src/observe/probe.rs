//! Our own checks on containers: HTTP, TCP, or a command inside.
//!
//! One task for each container that has a probe and runs. It asks at the
//! probe's interval and keeps the verdict; when the verdict changes it says so
//! by the object's key, and a pass looks again. The verdict is part of the
//! observation like the engine's own.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::Empty;
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    dial::{Dial, Stream},
    docker::wants_password,
    engine::{Engine, Listed},
    host::{LATE, overload},
};
use crate::{
    clock::Clock,
    manifest::{Key, container::Probe},
    plan::container::{ProbeState, State},
};

/// Called with an object's key when its probe's verdict changes.
pub type OnChange = Arc<dyn Fn(&Key) + Send + Sync>;

/// All probes.
pub struct Probes {
    engine: Arc<dyn Engine>,
    dial: Arc<dyn Dial>,
    clock: Clock,
    on_change: OnChange,
    running: Mutex<HashMap<String, Running>>,
}

struct Running {
    probe: Probe,
    address: Option<IpAddr>,
    state: Arc<Mutex<ProbeState>>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Probes {
    /// No probes yet. Probes that run a command do so through `engine`, the others connect through `dial`.
    #[must_use]
    pub fn new((engine, dial): (Arc<dyn Engine>, Arc<dyn Dial>), clock: Clock, on_change: OnChange) -> Self {
        Self { engine, dial, clock, on_change, running: Mutex::default() }
    }

    /// What the probe of this container says. The first question starts it.
    #[must_use]
    pub fn state(&self, key: &Key, container: &Listed, probe: &Probe) -> Option<ProbeState> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if container.state != State::Running {
            running.remove(&container.id);
            return None;
        }
        let address = container.networks.values().flatten().find_map(|address| address.parse().ok());
        let unchanged = running.get(&container.id).filter(|known| known.probe == *probe && known.address == address);
        if let Some(known) = unchanged {
            return Some(known.state.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        let state = Arc::new(Mutex::new(ProbeState::Pending));
        let checker = Checker {
            engine: Arc::clone(&self.engine),
            dial: Arc::clone(&self.dial),
            clock: self.clock,
            container: container.id.clone(),
            address,
            probe: probe.clone(),
        };
        let (key, on_change) = (key.clone(), Arc::clone(&self.on_change));
        let task = tokio::spawn(watch(checker, Arc::clone(&state), move || on_change(&key)));
        running.insert(container.id.clone(), Running { probe: probe.clone(), address, state, task });
        Some(ProbeState::Pending)
    }

    /// Ends the probes of containers that are there no more.
    pub fn retain<T>(&self, containers: &BTreeMap<String, T>) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| containers.contains_key(id));
    }
}

/// Asks again and again, and keeps the verdict.
async fn watch(checker: Checker, state: Arc<Mutex<ProbeState>>, changed: impl Fn()) {
    let started = Instant::now();
    let (mut failures, mut has_started) = (0, false);
    let mut ticks = tokio::time::interval(checker.probe.interval.0.max(Duration::from_millis(100)));
    // A check that took long is followed by a full interval, not by a volley.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (result, is_late) = checker.check().await;
        failures = if result.is_ok() { 0 } else { failures + 1 };
        // Who has answered once has started, as the engine sees it with its own checks.
        has_started |= result.is_ok();
        let in_grace = !has_started && started.elapsed() < checker.probe.start_period.0;
        // Where the host has no time to give, an answer that is late says little.
        let times = if is_late && overload(&checker.clock).is_some() { LATE } else { 1 };
        let needed = checker.probe.retries.saturating_mul(times);
        let verdict = match result {
            Ok(()) => ProbeState::Passing,
            Err(error) if failures >= needed && !in_grace => ProbeState::Failing { error },
            Err(_) => continue,
        };
        let flipped = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let flipped = std::mem::discriminant(&*state) != std::mem::discriminant(&verdict);
            *state = verdict;
            flipped
        };
        if flipped {
            changed();
        }
    }
}

/// Makes one check.
struct Checker {
    engine: Arc<dyn Engine>,
    dial: Arc<dyn Dial>,
    clock: Clock,
    container: String,
    address: Option<IpAddr>,
    probe: Probe,
}

impl Checker {
    /// What came of it, and whether nothing did in time.
    async fn check(&self) -> (Result<(), String>, bool) {
        let limit = self.probe.timeout.0;
        let check = async {
            if let Some(http) = &self.probe.http {
                self.http(http.port, &http.path).await
            } else if let Some(tcp) = &self.probe.tcp {
                self.connect(tcp.port).await.map(drop)
            } else if let Some(exec) = &self.probe.exec {
                self.exec(&exec.command).await
            } else {
                Ok(())
            }
        };
        match tokio::time::timeout(limit, check).await {
            Ok(result) => (result, false),
            Err(_) => (Err(format!("no answer within {}", self.probe.timeout)), true),
        }
    }

    async fn connect(&self, port: u16) -> Result<Box<dyn Stream>, String> {
        let address = self.address.ok_or("the container has no address")?;
        self.dial.dial(&address.to_string(), port).await.map_err(|error| format!("port {port}: {error}"))
    }

    async fn http(&self, port: u16, path: &str) -> Result<(), String> {
        let stream = self.connect(port).await?;
        let failed = |error: hyper::Error| format!("GET {path} on port {port}: {error}");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let request = Request::get(path)
            .header("host", "localhost")
            .header("user-agent", crate::USER_AGENT)
            .header("connection", "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| format!("GET {path}: {error}"))?;
        // The connection has to be driven while the answer is awaited, and is done with it.
        let mut response = std::pin::pin!(sender.send_request(request));
        let response = tokio::select! {
            response = &mut response => response.map_err(failed)?,
            // A server that closes at once leaves both ready together: the answer may well be there.
            ended = connection => {
                ended.map_err(failed)?;
                response.await.map_err(|_| format!("GET {path} on port {port}: closed without an answer"))?
            }
        };
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            Ok(())
        } else {
            Err(format!("GET {path} on port {port}: status {}", status.as_u16()))
        }
    }

    async fn exec(&self, command: &[String]) -> Result<(), String> {
        let result = self.engine.exec(&self.container, command).await.map_err(|error| error.to_string())?;
        // A Redis that wants a password is alive, whoever has forgotten to give it.
        if result.exit_code == 0 || wants_password(&result.output) {
            return Ok(());
        }
        Err(format!("{} exited with {}: {}", command.first().map_or("", String::as_str), result.exit_code, result.output.trim()))
    }
}
