//! The engine's answers → our own values.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
    EventMessage, EventMessageTypeEnum, HealthStatusEnum, HostConfig, RestartPolicyNameEnum,
};
use jiff::Timestamp;

use crate::{
    observe::engine::{Event, EventAction, Inspected, Listed, OBJECT_LABEL},
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
    Some(Listed {
        id: summary.id?,
        name: name.to_owned(),
        image: summary.image.unwrap_or_default(),
        state: listed_state(summary.state, &status),
        health: listed_health(&status),
        created_at: summary.created.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_default(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        networks: networks
            .into_iter()
            .map(|(name, endpoint)| (name, endpoint.ip_address.filter(|address| !address.is_empty())))
            .collect(),
    })
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
        // `Exited (137) 5 seconds ago`: the only place where the list has the code.
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::EMPTY) | None => {
            let code = status.split_once('(').and_then(|(_, rest)| rest.split_once(')')).and_then(|(code, _)| code.parse().ok());
            State::Exited { exit_code: code.unwrap_or(-1), out_of_memory: false }
        }
    }
}

/// `Up 5 minutes (unhealthy)`: older engines' lists have it in this text only.
fn listed_health(status: &str) -> Health {
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

/// The details of a container.
pub(super) fn inspected(response: ContainerInspectResponse) -> Inspected {
    let state = response.state.unwrap_or_default();
    let config = response.config.unwrap_or_default();
    Inspected {
        health: health(&state),
        restarts: response.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        started_at: instant(state.started_at.as_deref()),
        finished_at: instant(state.finished_at.as_deref()),
        state: inspected_state(&state),
        variables: variables(config.env.unwrap_or_default()),
        limits: limits(&response.host_config.unwrap_or_default()),
        stop_signal: config.stop_signal,
    }
}

fn inspected_state(state: &ContainerState) -> State {
    match state.status {
        Some(ContainerStateStatusEnum::CREATED) => State::Created,
        Some(ContainerStateStatusEnum::RUNNING) => State::Running,
        Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => State::Removing,
        Some(ContainerStateStatusEnum::DEAD) => State::Dead,
        _ => State::Exited { exit_code: state.exit_code.unwrap_or(-1), out_of_memory: state.oom_killed.unwrap_or_default() },
    }
}

fn health(state: &ContainerState) -> Health {
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        _ => Health::None,
    }
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

/// What the engine shows as zero is no limit.
fn limits(config: &HostConfig) -> Limits {
    let some = |limit: Option<i64>| limit.filter(|limit| *limit > 0);
    let policy = config.restart_policy.clone().unwrap_or_default();
    let restart = match policy.name {
        Some(RestartPolicyNameEnum::ALWAYS) => Restart::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Restart::UnlessStopped,
        Some(RestartPolicyNameEnum::ON_FAILURE) => {
            Restart::OnFailure(policy.maximum_retry_count.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0))
        }
        Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) | None => Restart::No,
    };
    Limits {
        mem_limit: some(config.memory),
        nano_cpus: some(config.nano_cpus),
        pids_limit: some(config.pids_limit),
        restart: Some(restart),
    }
}

/// An event. What it says of exit codes and names is not believed: a container's labels share that map and can lie.
pub(super) fn event(message: &EventMessage) -> Event {
    let attributes = message.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
    let attribute = |name: &str| attributes.and_then(|attributes: &HashMap<String, String>| attributes.get(name)).cloned();
    let of_network = message.typ == Some(EventMessageTypeEnum::NETWORK);
    let id = message.actor.as_ref().and_then(|actor| actor.id.clone());
    let nanos = message.time_nano.map(i128::from).and_then(|nanos| Timestamp::from_nanosecond(nanos).ok());
    Event {
        // Network events are about the network, and name the container by its id only.
        container: if of_network { attribute("container") } else { id },
        object: attribute(OBJECT_LABEL),
        action: action(message.action.as_deref().unwrap_or_default(), attribute("signal").as_deref()),
        at: nanos.unwrap_or_default(),
    }
}

fn action(action: &str, signal: Option<&str>) -> EventAction {
    match action {
        "kill" => EventAction::Signalled { kill: signal == Some("9") },
        "die" => EventAction::Died,
        "stop" => EventAction::Stopped,
        "start" | "restart" => EventAction::Started,
        "create" | "destroy" | "rename" | "update" | "pause" | "unpause" | "connect" | "disconnect" | "oom" => {
            EventAction::Changed
        }
        _ if action.starts_with("health_status") => EventAction::HealthChanged,
        _ => EventAction::Other,
    }
}
