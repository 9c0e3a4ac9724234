//! The engine's answers → our own values.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerStatsResponse, ContainerSummary,
    ContainerSummaryHealth, ContainerSummaryHealthStatusEnum, ContainerSummaryStateEnum, EndpointSettings, EventMessage,
    EventMessageTypeEnum, HealthStatusEnum, HealthcheckResult, HostConfig, Network, RestartPolicy, RestartPolicyNameEnum,
};
use jiff::Timestamp;

use crate::{
    observe::{
        engine::{Event, EventAction, Inspected, Listed, ListedNetwork, OBJECT_LABEL, OWNER_LABEL, Usage},
        host::LATE,
    },
    plan::{
        container::{Health, State},
        shape::{Limits, Restart},
    },
    secret::Secret,
};

/// The instant that the engine shows for *never*.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A line of the list. One without id or name is nothing that could be acted on.
pub(super) fn listed(summary: ContainerSummary) -> Option<Listed> {
    let status = summary.status.unwrap_or_default();
    let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    // A container that is linked to has more names, all of them with a second slash.
    let names = summary.names.unwrap_or_default();
    let name = names.iter().filter_map(|name| name.strip_prefix('/')).find(|name| !name.contains('/'))?;
    let state = listed_state(summary.state, &status);
    // An address is given back when a container ends, whatever an engine still shows.
    let has_address = matches!(state, State::Running | State::Paused);
    Some(Listed {
        id: summary.id?,
        name: name.to_owned(),
        image: summary.image.unwrap_or_default(),
        state,
        health: listed_health(summary.health.as_ref(), &status),
        created_at: summary.created.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_default(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        network_ids: networks.iter().filter_map(|(name, endpoint)| Some((name.clone(), network_id(endpoint)?))).collect(),
        networks: networks.into_iter().map(|(name, endpoint)| (name, address(endpoint).filter(|_| has_address))).collect(),
    })
}

/// The engine shows none as an empty text.
fn network_id(endpoint: &EndpointSettings) -> Option<String> {
    endpoint.network_id.clone().filter(|id| !id.is_empty())
}

/// A line of the list of networks.
pub(super) fn listed_network(network: Network) -> Option<ListedNetwork> {
    Some(ListedNetwork {
        id: network.id?,
        name: network.name?,
        created_at: instant(network.created.as_deref()).unwrap_or_default(),
        labels: network.labels.unwrap_or_default().into_iter().collect(),
    })
}

/// The engine shows an address that there is not as an empty text.
fn address(endpoint: EndpointSettings) -> Option<String> {
    let addresses = [endpoint.ip_address, endpoint.global_ipv6_address];
    addresses.into_iter().flatten().find(|address| !address.is_empty())
}

fn listed_state(state: Option<ContainerSummaryStateEnum>, status: &str) -> State {
    match state {
        Some(ContainerSummaryStateEnum::CREATED) => State::Created,
        // One that is stopping runs until it has stopped.
        Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::STOPPING) => State::Running,
        Some(ContainerSummaryStateEnum::PAUSED) => State::Paused,
        Some(ContainerSummaryStateEnum::RESTARTING) => State::Restarting,
        Some(ContainerSummaryStateEnum::REMOVING) => State::Removing,
        Some(ContainerSummaryStateEnum::DEAD) => State::Dead,
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::EMPTY) | None => {
            State::Exited { exit_code: listed_exit_code(status).unwrap_or(-1), out_of_memory: false }
        }
    }
}

/// `Exited (137) 5 seconds ago`: the only place where the list has the code.
fn listed_exit_code(status: &str) -> Option<i64> {
    status.strip_prefix("Exited (")?.split_once(')')?.0.parse().ok()
}

/// Engines before API 1.52 have it in the text alone, as in `Up 5 minutes (unhealthy)`.
fn listed_health(health: Option<&ContainerSummaryHealth>, status: &str) -> Health {
    match health.and_then(|health| health.status) {
        Some(ContainerSummaryHealthStatusEnum::STARTING) => Health::Starting,
        Some(ContainerSummaryHealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(ContainerSummaryHealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(ContainerSummaryHealthStatusEnum::NONE) => Health::None,
        Some(ContainerSummaryHealthStatusEnum::EMPTY) | None => health_in_text(status),
    }
}

fn health_in_text(status: &str) -> Health {
    if status.ends_with("(healthy)") {
        Health::Healthy
    } else if status.ends_with("(unhealthy)") {
        Health::Unhealthy
    } else if status.ends_with("(health: starting)") {
        Health::Starting
    } else {
        Health::None
    }
}

/// The details of a container. One that ends as soon as it starts may have ended before it was started: the
/// engine notes the start later.
pub(super) fn inspected(response: ContainerInspectResponse) -> Inspected {
    let state = response.state.unwrap_or_default();
    let config = response.config.unwrap_or_default();
    let retries = retries(config.healthcheck.as_ref().and_then(|check| check.retries));
    Inspected {
        broken_check: broken_check(&state),
        check_is_late: check_is_late(&state, retries),
        start_error: start_error(&state),
        health: health(&state, retries),
        restarts: response.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        started_at: instant(state.started_at.as_deref()),
        finished_at: instant(state.finished_at.as_deref()),
        state: inspected_state(&state),
        variables: variables(config.env.unwrap_or_default()),
        limits: limits(&response.host_config.unwrap_or_default()),
        stop_signal: config.stop_signal,
        mounts: response
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter_map(|mount| Some((mount.source?, mount.destination?)))
            .collect(),
        pid: state.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0),
        aliases: aliases(response.network_settings.and_then(|settings| settings.networks).unwrap_or_default()),
    }
}

/// What the networks know a container by. Engines before API 1.44 put what they add themselves among the aliases.
fn aliases(networks: HashMap<String, EndpointSettings>) -> BTreeMap<String, BTreeSet<String>> {
    let names = |settings: EndpointSettings| settings.aliases.into_iter().chain(settings.dns_names).flatten().collect();
    networks.into_iter().map(|(network, settings)| (network, names(settings))).collect()
}

/// What the engine keeps until a start succeeds. Of one that it refused to try it keeps nothing.
fn start_error(state: &ContainerState) -> Option<String> {
    state.error.clone().filter(|error| !error.is_empty() && state.running != Some(true))
}

fn inspected_state(state: &ContainerState) -> State {
    match state.status {
        Some(ContainerStateStatusEnum::CREATED) => State::Created,
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => State::Running,
        Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => State::Removing,
        Some(ContainerStateStatusEnum::DEAD) => State::Dead,
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::EMPTY) | None => {
            State::Exited { exit_code: state.exit_code.unwrap_or(-1), out_of_memory: state.oom_killed.unwrap_or_default() }
        }
    }
}

/// The engine's own number of failures in a row that make a container unhealthy.
const RETRIES: i64 = 3;

/// How many failures in a row make a container unhealthy, whose check says this or nothing about it.
fn retries(said: Option<i64>) -> i64 {
    said.filter(|retries| *retries > 0).unwrap_or(RETRIES)
}

/// While a container is paused, and after that until its next check, the engine calls it unhealthy without any
/// check having failed. That is no verdict.
fn health(state: &ContainerState, retries: i64) -> Health {
    let streak = state.health.as_ref().and_then(|health| health.failing_streak);
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::UNHEALTHY) if streak.is_some_and(|streak| streak < retries) => Health::Starting,
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => Health::None,
    }
}

/// What is shown of a check's complaint.
const COMPLAINT: usize = 160;

/// The results of the failures in a row that there were last, the youngest first; the engine keeps no more than five.
fn failures(state: &ContainerState) -> impl Iterator<Item = &HealthcheckResult> {
    let health = state.health.as_ref();
    let streak = health.and_then(|health| usize::try_from(health.failing_streak?).ok()).unwrap_or_default();
    health.into_iter().flat_map(|health| health.log.iter().flatten().rev()).take(streak)
}

/// Why a health check cannot be run. Then every failure in the streak is of this sort: the engine did not find the
/// program (its code is -1, which it also has for a check that takes too long), or a shell did not (126 and 127). A check
/// that is refused for want of a password cannot be run either: whoever refuses it is alive.
fn broken_check(state: &ContainerState) -> Option<String> {
    let output = |result: &HealthcheckResult| result.output.clone().unwrap_or_default();
    let is_broken = |result: &HealthcheckResult| match result.exit_code {
        Some(126 | 127) => true,
        Some(-1) => output(result).contains("exec failed") || output(result).contains("executable file not found"),
        _ => wants_password(&output(result)),
    };
    let complaint = failures(state).next().map(output)?;
    let line = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it does not say why").trim();
    failures(state).all(is_broken).then(|| line.chars().take(COMPLAINT).collect())
}

/// Whether no check in the streak of failures has come to a verdict, and there are not too many of them: they took too long, or could
/// not be begun, and the engine's code is -1 for both.
fn check_is_late(state: &ContainerState, retries: i64) -> bool {
    let streak = state.health.as_ref().and_then(|health| health.failing_streak).unwrap_or_default();
    let mut failures = failures(state).peekable();
    streak < retries.saturating_mul(i64::from(LATE))
        && failures.peek().is_some()
        && failures.all(|result| result.exit_code == Some(-1))
}

/// Whether a Redis, or what speaks its language, has answered that it is not for everybody: <https://redis.io/docs/latest/commands/auth/>.
pub(in crate::observe) fn wants_password(output: &str) -> bool {
    output.contains("NOAUTH ") || output.contains("WRONGPASS ")
}

fn instant(text: Option<&str>) -> Option<Timestamp> {
    text.filter(|text| *text != NEVER)?.parse().ok()
}

/// `NAME=value`; a name alone has no value.
fn variables(lines: Vec<String>) -> BTreeMap<String, Secret> {
    let split = |line: String| {
        let (name, value) = line.split_once('=').unwrap_or((&line, ""));
        (name.to_owned(), Secret::new(value.to_owned()))
    };
    lines.into_iter().map(split).collect()
}

/// What the engine shows as zero, or as minus one, is no limit.
fn limits(config: &HostConfig) -> Limits {
    let some = |limit: Option<i64>| limit.filter(|limit| *limit > 0);
    Limits {
        mem_limit: some(config.memory),
        nano_cpus: some(config.nano_cpus),
        pids_limit: some(config.pids_limit),
        restart: Some(config.restart_policy.as_ref().map_or(Restart::No, restart)),
    }
}

fn restart(policy: &RestartPolicy) -> Restart {
    let count = policy.maximum_retry_count.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    match policy.name {
        Some(RestartPolicyNameEnum::ALWAYS) => Restart::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Restart::UnlessStopped,
        Some(RestartPolicyNameEnum::ON_FAILURE) => Restart::OnFailure(count),
        Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) | None => Restart::No,
    }
}

/// What a container uses. Pages of files that nobody has changed for a while are given back when they are needed, and are
/// not counted: as `docker stats` does.
pub(super) fn usage(stats: &ContainerStatsResponse) -> Usage {
    let memory = stats.memory_stats.as_ref();
    let cache = memory.and_then(|memory| {
        let details = memory.stats.as_ref()?;
        ["total_inactive_file", "inactive_file"].iter().find_map(|name| details.get(*name)).copied()
    });
    let bytes = memory.and_then(|memory| memory.usage);
    let networks = stats.networks.as_ref();
    let sum = |of: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| {
        networks.map(|networks| networks.values().filter_map(of).fold(0, u64::saturating_add))
    };
    Usage {
        at: instant(stats.read.as_deref()),
        nanos: stats.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage),
        memory: bytes.map(|bytes| bytes.saturating_sub(cache.unwrap_or_default())),
        limit: memory.and_then(|memory| memory.limit),
        received: sum(|network| network.rx_bytes),
        sent: sum(|network| network.tx_bytes),
    }
}

/// An event. What it says of exit codes and names is not believed: a container's labels share that map and win.
pub(super) fn event(message: EventMessage) -> Event {
    let actor = message.actor.unwrap_or_default();
    let mut attributes = actor.attributes.unwrap_or_default();
    let container = match message.typ {
        Some(EventMessageTypeEnum::CONTAINER) => actor.id,
        // It is about the network, and names the container by its id only.
        Some(EventMessageTypeEnum::NETWORK) => attributes.remove("container"),
        _ => None,
    };
    let action = match &container {
        Some(_) => action(message.action.as_deref().unwrap_or_default(), attributes.get("signal").map(String::as_str)),
        None => EventAction::Other,
    };
    let said = message.action.clone().unwrap_or_default();
    let at = message.time_nano.and_then(|nanos| Timestamp::from_nanosecond(nanos.into()).ok());
    let (object, owner) = (attributes.remove(OBJECT_LABEL), attributes.remove(OWNER_LABEL));
    Event { container, object, owner, action, at: at.unwrap_or_default(), said }
}

fn action(action: &str, signal: Option<&str>) -> EventAction {
    match action {
        "kill" => EventAction::Signalled { kill: signal.is_some_and(is_kill) },
        "die" => EventAction::Died,
        "stop" => EventAction::Stopped,
        "start" | "restart" => EventAction::Started,
        "create" | "destroy" | "rename" | "update" | "pause" | "unpause" | "connect" | "disconnect" | "oom" => {
            EventAction::Changed
        }
        // The verdict stands behind a colon, as in `health_status: unhealthy`.
        _ if action.starts_with("health_status") => EventAction::HealthChanged,
        _ => EventAction::Other,
    }
}

/// Docker says the number; others that speak its language say the name.
fn is_kill(signal: &str) -> bool {
    matches!(signal, "9" | "KILL" | "SIGKILL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(results: &[(i64, &str)]) -> ContainerState {
        let result = |(code, output): &(i64, &str)| HealthcheckResult {
            exit_code: Some(*code),
            output: Some((*output).to_owned()),
            ..HealthcheckResult::default()
        };
        let health = bollard::models::Health {
            failing_streak: Some(i64::try_from(results.len()).unwrap()),
            log: Some(results.iter().map(result).collect()),
            ..bollard::models::Health::default()
        };
        ContainerState { health: Some(health), ..ContainerState::default() }
    }

    #[test]
    fn a_check_is_broken_when_its_program_was_never_found() {
        let missing = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"curl\": executable file not found in $PATH: unknown";
        assert_eq!(broken_check(&state(&[(-1, missing), (-1, missing)])).as_deref(), Some(&missing[..160.min(missing.len())]));
        assert_eq!(broken_check(&state(&[(127, "/bin/sh: curl: not found\n")])).as_deref(), Some("/bin/sh: curl: not found"));
        let refused =
            "AUTH failed: WRONGPASS invalid username-password pair or user is disabled.\nNOAUTH Authentication required.\n";
        assert_eq!(broken_check(&state(&[(1, refused), (1, refused)])).as_deref(), Some("NOAUTH Authentication required."));
        assert_eq!(broken_check(&state(&[(126, "")])).as_deref(), Some("it does not say why"));
    }

    #[test]
    fn a_check_is_late_when_it_took_too_long_each_time_and_not_for_ever() {
        let late = |times| vec![(-1, "Health check exceeded timeout (2s)"); times];
        assert!(check_is_late(&state(&late(2)), 2) && check_is_late(&state(&late(19)), 2));
        assert!(!check_is_late(&state(&late(20)), 2));
        assert!(!check_is_late(&state(&[(-1, "Health check exceeded timeout (2s)"), (1, "refused")]), 2));
        assert!(check_is_late(&state(&[(-1, "Health check exceeded timeout (2s)"), (-1, "OCI runtime exec failed")]), 2));
        assert!(!check_is_late(&state(&[]), 2));
    }

    #[test]
    fn a_check_that_failed_once_or_took_too_long_is_not_broken() {
        assert_eq!(broken_check(&state(&[(127, "sh: curl: not found"), (1, "refused")])), None);
        assert_eq!(broken_check(&state(&[(-1, "Health check exceeded timeout (2s)")])), None);
        assert_eq!(broken_check(&state(&[])), None);
        assert_eq!(broken_check(&ContainerState::default()), None);
    }
}
